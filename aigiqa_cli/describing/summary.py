"""Moments, quantiles and histograms of one set of scores, by the conventions of pandas' `describe` and `skew`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BINS = 20  # of every histogram: on a scale from 0 to 5 or 0 to 100 their edges are round numbers
_LEAST_FOR_SKEWNESS = 3


@dataclass(frozen=True)
class Summary:
    """In the unit of the values, but for n and skewness. What too few values do not determine is None.

    std: n - 1 in the denominator. Quartiles: linear between the two nearest values (Hyndman & Fan 1996, type 7).
    skewness: sqrt(n (n - 1)) / (n - 2) · m3 / m2^1.5 (Joanes & Gill 1998, G1); None where all values are equal.
    """

    n: int
    mean: float
    std: float | None
    min: float
    q1: float
    median: float
    q3: float
    max: float
    skewness: float | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Histogram:
    """`counts[i]` values lie in `edges[i]` <= value < `edges[i + 1]`; the last bin holds its upper edge too."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        return {"edges": list(self.edges), "counts": list(self.counts)}


def summary(values: Floats) -> Summary | None:
    """Of finite values (n,); None where there are none."""
    import numpy as np

    n = len(values)
    if not n:
        return None
    q1, median, q3 = (float(one) for one in np.quantile(values, (0.25, 0.5, 0.75)))
    low, high = float(values.min()), float(values.max())
    mean = min(max(float(values.mean()), low), high)  # the rounded mean of equal values may be off by one bit
    std = float(values.std(ddof=1)) if n > 1 else None
    return Summary(n, mean, std, low, q1, median, q3, high, _skewness(values) if high > low else None)


def _skewness(values: Floats) -> float | None:
    import numpy as np

    n = len(values)
    if n < _LEAST_FOR_SKEWNESS:
        return None
    centred = values - values.mean()
    m2, m3 = float(np.mean(centred**2)), float(np.mean(centred**3))
    return float(np.sqrt(n * (n - 1)) / (n - 2) * m3 / m2**1.5) if m2 > 0 else None


def histogram(values: Floats, low: float, high: float) -> Histogram:
    """BINS bins of one width from `low` to `high`; what lies outside counts in the first or last bin, so that no value
    is lost. Where `low` is `high` one value fills the first bin."""
    import numpy as np

    edges = np.linspace(low, high, BINS + 1)
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, BINS - 1) if high > low else values * 0
    counts = np.bincount(places.astype(np.intp), minlength=BINS)
    return Histogram(tuple(float(edge) for edge in edges), tuple(int(count) for count in counts))
