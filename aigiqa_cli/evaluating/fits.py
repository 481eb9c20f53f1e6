"""The curve from predictions to the scale of the scores: the one specified logistic, and the isotonic one.

A correlation after a fit says how well the predictions would do if their scale were right. It is taken on the
images that the curve was fitted to, as everywhere in the field, so it flatters a little: by four free parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aigiqa_cli.evaluating.coefficients import plcc, srcc
from aigiqa_cli.evaluating.logistic_curve import Curve, best
from aigiqa_cli.evaluating.samples import FitFailed, paired, standardised, varied

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from aigiqa_cli.evaluating.samples import Floats

LEAST = 5  # images: four parameters go through any four
ROUNDING = 1e-12  # what counts as 0
FREE = 4  # parameters of the logistic that are fitted: the d of ITU-T P.1401


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted curve. `fitted` holds the mapped predictions, shape (n,), in the unit of the scores; calling the fit
    maps others. `direction` is 1 where scores rise with the predictions, -1 where they fall."""

    name: str
    direction: int
    parameters: tuple[float, ...]
    fitted: Floats

    def __call__(self, x: ArrayLike) -> Floats:
        import numpy as np

        values = np.asarray(x, dtype=np.float64)
        if self.name == "isotonic":
            half = len(self.parameters) // 2
            knots, steps = self.parameters[:half], self.parameters[half:]
            return np.asarray(np.interp(self.direction * values, knots, steps), dtype=np.float64)
        location, scale, low, high, *shape = self.parameters
        return low + (high - low) * Curve(*shape)(self.direction * (values - location) / scale)


def logistic(predictions: ArrayLike, mos: ArrayLike) -> Fit:
    """The least-squares monotone logistic with four free parameters, on standardised predictions.

        f(x) = low + (high - low) S(z),   z = direction * (x - mean) / sd,   high >= low

    S is the logistic of curvature k >= 0 and centre c that goes from 0 at the smallest z to 1 at the largest (see
    `logistic_curve`). It is VQEG's four-parameter logistic (final report of phase I, 2000), b2 + (b1 - b2) /
    (1 + exp(-(z - b3) / b4)) with b3 = c and b4 = 1 / (2 k), given by its values at the ends in place of its
    asymptotes, which run away where the data are straight or bend only once. `direction` is the sign of SRCC; where
    PLCC has another, of the curve with the smaller error.

    Given k and c, low and high are a linear regression, so the least error is where the correlation of S with the
    scores is largest: a search in two bounded dimensions from a grid of starts, which includes the line and the
    exponentials. So PLCC after the fit is never below |PLCC| before it, and shift, scale and sign of the predictions
    cancel. Deterministic.

    `parameters` are mean, sd, low, high, smallest z, largest z, k, c, of which low, high, k, c are fitted.
    Undefined for fewer than five images or constant input, FitFailed where no start settles.
    """
    import numpy as np

    x, y = paired(predictions, mos, least=LEAST)
    target = standardised(varied(y, "scores"))
    varied(x, "predictions")
    with np.errstate(over="ignore", invalid="ignore"):
        location, scale = float(x.mean()), float(x.std())
    if not np.isfinite((location, scale)).all() or scale == 0:
        raise FitFailed("the predictions cannot be standardised in float64")
    z = (x - location) / scale
    found = [(*best(sign * z, target), sign) for sign in _directions(x, y)]
    correlation, curve, direction = max(found, key=lambda one: one[0])
    if not correlation > 0:
        raise FitFailed("the scores neither rise nor fall with the predictions")
    shape = curve(direction * z)
    rise = float(np.mean((shape - shape.mean()) * (y - y.mean())) / np.mean((shape - shape.mean()) ** 2))
    low = float(y.mean() - rise * shape.mean())
    fitted = low + rise * shape
    parameters = (location, scale, low, low + rise, curve.a, curve.b, curve.k, curve.c)
    return Fit("logistic", direction, parameters, fitted)


def isotonic(predictions: ArrayLike, mos: ArrayLike) -> Fit:
    """The least-squares monotone step curve: the best that any monotone map could do on these images.

    Pool adjacent violators (Ayer et al. 1955; Barlow et al. 1972), equal predictions pooled first. Only the order of
    the predictions enters, so any increasing map of them gives the same. It has as many free parameters as steps and
    flatters more than the logistic: it is an upper bound, not a score to compete with.

    `direction` is the sign of SRCC; where that is 0, of the better curve. `parameters` are the distinct values of
    direction * predictions, increasing, and after them the mapped value of each; between them a call interpolates
    linearly, outside it stays at the end. Undefined for constant input, FitFailed where the best curve is flat.
    """
    import numpy as np

    x, y = paired(predictions, mos)
    ranks = srcc(x, y)
    tried = (1, -1) if abs(ranks) < ROUNDING else (1,) if ranks > 0 else (-1,)
    steepest = max((_steps(direction, x, y) for direction in tried), key=lambda fit: float(np.std(fit.fitted)))
    # The mean of one pool of all images may differ from itself in the last bits.
    if np.ptp(steepest.fitted) <= ROUNDING * np.ptp(y):
        raise FitFailed("the best monotone curve is flat")
    return steepest


def _steps(direction: int, x: Floats, y: Floats) -> Fit:
    import numpy as np
    from scipy.optimize import isotonic_regression

    knots, place, weights = np.unique(direction * x, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=y) / weights
    steps = np.asarray(isotonic_regression(means, weights=weights).x, dtype=np.float64)
    return Fit("isotonic", direction, (*knots.tolist(), *steps.tolist()), steps[place])


def _directions(x: Floats, y: Floats) -> tuple[int, ...]:
    """The sign of SRCC; both where it is 0 but for rounding, or PLCC does not have the same one."""
    ranks, values = srcc(x, y), plcc(x, y)
    if min(abs(ranks), abs(values)) < ROUNDING or ranks * values < 0:
        return (1, -1)
    return (1,) if ranks > 0 else (-1,)
