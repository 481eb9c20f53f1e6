"""The shape of the monotone logistic, and the search for the one that correlates best.

    S(z) = (s(t(z)) - s(t(a))) / (s(t(b)) - s(t(a))),   s(t) = 1 / (1 + exp(-t)),   t(z) = 2 k (z - c)

with S(a) = 0 and S(b) = 1 at the smallest and largest prediction a and b. Written as

    S(z) = sinh(k (z - a)) / sinh(k (b - a)) * cosh(k (b - c)) / cosh(k (z - c))

nothing cancels, so the limits of the family belong to it: the line (k -> 0) and the two exponentials (c -> -inf and
c -> +inf), which saturating and exponential predictions need and where the usual form with two asymptotes breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aigiqa_cli.evaluating.samples import FitFailed

if TYPE_CHECKING:
    from aigiqa_cli.evaluating.samples import Floats

TAIL = 20.0  # k |z - c| beyond which the logistic and the exponential are one in float64: exp(-40)
FLATTEST = 1e-3  # k (b - a): flatter curves differ from the line by less than 1e-7
WINDOW = 0.05  # the steepest curve takes half of the shortest distance that holds this share of the images
QUANTILES = (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1.0)  # where centres of starts lie, and beyond both ends
LOOKED_AT = 500  # images that rank the starts; the best starts then see all
REFINED = 4  # starts that are followed
STEPS = 1_000
EQUAL = 1e-9  # standardised predictions that are nearer are one place
IMPROVED = 1e-12  # a step that gains less ends the search; so does a slope below FLAT
FLAT = 1e-9


@dataclass(frozen=True)
class Curve:
    """S(z) for the ends a < b, curvature k >= 0 and centre c."""

    a: float
    b: float
    k: float
    c: float

    def __call__(self, z: Floats) -> Floats:
        import numpy as np

        if self.k == 0:
            line: Floats = (z - self.a) / (self.b - self.a)
            return line
        return _shapes(z, self.a, self.b, np.float64(self.k), np.float64(self.c))

    def steepness(self, z: Floats) -> Floats:
        """ds/dt over s(t(b)) - s(t(a)): what the derivatives of S are made of, up to what a linear map takes away."""
        import numpy as np

        ends = [np.exp(-2 * self.k * abs(end - self.c)) for end in (self.a, self.b)]
        outer = (1 + ends[0]) * (1 + ends[1]) / -np.expm1(-2 * self.k * (self.b - self.a))
        away = np.abs(z - self.c)
        outside = max(self.c - self.b, self.a - self.c, 0.0)
        steep: Floats = np.exp(2 * self.k * (outside - away)) * outer / (1 + np.exp(-2 * self.k * away)) ** 2
        return steep


def best(z: Floats, target: Floats) -> tuple[float, Curve]:
    """The curve whose S(z) correlates most with `target`, and that correlation. Both arrays standardised, (n,).

    At least as good as the line. Deterministic: a grid of starts, the best of which L-BFGS-B follows until nothing
    is gained. A start that does not come to an end is dropped; FitFailed where all are.
    """
    import numpy as np

    a, b = float(z.min()), float(z.max())
    limits = (FLATTEST / (b - a), max(2 / _narrowest(z), 4 / (b - a)))
    order = np.lexsort((target, z))  # equal predictions in the order of the scores, whatever the order of the images
    few = np.append(order[: -1 : max(1, len(z) // LOOKED_AT)], order[-1])  # with both ends
    starts = _starts(z, limits[1], z[few], target[few])
    line = (float(np.mean(z * target)), Curve(a, b, 0.0, 0.0))
    found = [one for start in starts if (one := _follow(z, target, start, limits))]
    if not found:
        raise FitFailed(f"none of the {REFINED} best starts comes to an end in {STEPS} steps")
    # What is equal but for rounding is decided by the order of the starts, so the same curve is named everywhere.
    return max([line, *found], key=lambda one: round(one[0], 12))


def correlated(z: Floats, target: Floats, curve: Curve) -> tuple[float, tuple[float, float]]:
    """Correlation of the curve with the target, and its derivatives by k and c."""
    import numpy as np

    shape = curve(z)
    spread = shape - shape.mean()
    norm = float(np.sqrt(np.mean(spread**2)))  # never 0: S is 0 at one image and 1 at another
    spread /= norm
    value = float(np.mean(spread * target))
    rest = (target - value * spread) * curve.steepness(z) * (2 / norm)
    return value, (float(np.mean(rest * (z - curve.c))), -curve.k * float(np.mean(rest)))


def _shapes(z: Floats, a: float, b: float, k: Any, c: Any) -> Floats:
    """S(z) for one k and c, or for many in columns: shapes (n,), (m, 1), (m, 1) give (m, n)."""
    import numpy as np

    u, v = k * (z - a), k * (z - c)
    rise = np.sign(u) * np.expm1(-2 * np.abs(u)) / np.expm1(-2 * k * (b - a))
    fall = (1 + np.exp(-2 * k * np.abs(b - c))) / (1 + np.exp(-2 * np.abs(v)))
    # |u| - |v| less the same at b, without the difference of large numbers
    power = 2 * k * (np.minimum(z, c) - np.minimum(b, c) + np.maximum(a - z, 0))
    shapes: Floats = np.exp(power) * rise * fall
    return shapes


def _starts(z: Floats, steepest: float, few: Floats, target: Floats) -> list[Curve]:
    """The best of all curves with k doubling from nearly straight to the steepest, and c at quantiles and beyond."""
    import numpy as np

    a, b = float(z.min()), float(z.max())
    inside = np.quantile(z, QUANTILES).tolist()
    doublings = int(np.ceil(np.log2(2 * steepest * (b - a))))
    places = [
        (k, c)
        for k in np.geomspace(0.5 / (b - a), steepest, doublings + 1).tolist()
        for c in (a - TAIL / k, a - 2 / k, *inside, b + 2 / k, b + TAIL / k)
    ]
    k, c = np.array(places).T[:, :, np.newaxis]
    shapes = _shapes(few, a, b, k, c)
    shapes -= shapes.mean(axis=1, keepdims=True)
    values = shapes @ target / np.sqrt(np.sum(shapes**2, axis=1))
    return [Curve(a, b, *places[n]) for n in np.argsort(-values, kind="stable")[:REFINED]]


def _follow(z: Floats, target: Floats, start: Curve, limits: tuple[float, float]) -> tuple[float, Curve] | None:
    """From a start to the optimum; None where the search does not end.

    The coordinates are log k, and c as a share, -1..1, of the room between the two exponentials, which depends on k;
    both in steps that are of the size of the curve at the start.
    """
    import numpy as np
    from scipy.optimize import minimize

    a, b = start.a, start.b
    middle, half = (a + b) / 2, (b - a) / 2
    share, step = (start.c - middle) / (half + TAIL / start.k), 1 / (start.k * half + TAIL)

    def curve(place: Floats) -> Curve:
        k = float(np.exp(place[0]))
        return Curve(a, b, k, middle + (share + float(place[1]) * step) * (half + TAIL / k))

    def loss(place: Floats) -> tuple[float, Floats]:
        here = curve(place)
        value, (by_k, by_c) = correlated(z, target, here)
        part, room = share + place[1] * step, TAIL / here.k
        return -value, -np.array((here.k * by_k - by_c * part * room, by_c * step * (half + room)))

    bounds = (np.log(limits), ((-1 - share) / step, (1 - share) / step))
    options = {"ftol": IMPROVED, "gtol": FLAT, "maxiter": STEPS, "maxfun": 10 * STEPS}
    done = minimize(loss, (np.log(start.k), 0.0), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return (-float(done.fun), curve(done.x)) if done.success else None


def _narrowest(z: Floats) -> float:
    """The shortest distance, above 0, that holds WINDOW of the images."""
    import numpy as np

    ordered = np.sort(z)
    size = max(1, int(np.ceil(WINDOW * len(z))))
    widths = ordered[size:] - ordered[:-size]
    return float(widths[widths > EQUAL].min(initial=float(np.ptp(z))))
