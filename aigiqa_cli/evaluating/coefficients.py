"""Correlations and errors of predictions against mean opinion scores, on the values as they are.

x and y are arrays of shape (n,), predictions first. All raise Undefined for fewer than two images (the errors: for
none) and ValueError for NaN, infinity or different lengths; the correlations raise Undefined for constant input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigiqa_cli.evaluating.samples import paired, standardised, varied

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def plcc(x: ArrayLike, y: ArrayLike) -> float:
    """Pearson's linear correlation: cov(x, y) / (sd(x) sd(y)) (Pearson 1896). In -1..1."""
    import numpy as np

    first, second = paired(x, y)
    first, second = standardised(varied(first, "predictions")), standardised(varied(second, "scores"))
    return float(np.clip(np.mean(first * second), -1.0, 1.0))


def srcc(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation: Pearson's of the ranks, equal values sharing their mean rank (Spearman 1904).

    The short formula 1 - 6 sum(d^2) / (n^3 - n) is wrong with ties and is not used.
    """
    from scipy.stats import rankdata

    first, second = paired(x, y)
    return plcc(rankdata(varied(first, "predictions")), rankdata(varied(second, "scores")))


def krcc(x: ArrayLike, y: ArrayLike) -> float:
    """Kendall's tau-b: (concordant - discordant) / sqrt((n0 - ties in x) (n0 - ties in y)), n0 = n (n - 1) / 2 pairs
    (Kendall 1945). O(n log n) time, O(n) memory."""
    from scipy.stats import kendalltau

    first, second = paired(x, y)
    varied(first, "predictions")
    varied(second, "scores")
    return float(kendalltau(first, second, variant="b").statistic)


def rmse(x: ArrayLike, y: ArrayLike) -> float:
    """Root mean square error, sqrt(mean((x - y)^2)), in the unit of the scores. Only sensible on one scale."""
    import numpy as np

    first, second = paired(x, y, least=1)
    return float(np.sqrt(np.mean((first - second) ** 2)))


def mae(x: ArrayLike, y: ArrayLike) -> float:
    """Mean absolute error, mean(|x - y|), in the unit of the scores. Only sensible on one scale."""
    import numpy as np

    first, second = paired(x, y, least=1)
    return float(np.mean(np.abs(first - second)))
