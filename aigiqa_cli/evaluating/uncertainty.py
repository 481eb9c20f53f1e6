"""Errors beyond what raters leave open, after Recommendation ITU-T P.1401 (01/2020), clauses 7.4, 7.5.2.2 and 7.7.

All arrays have shape (n,). `std` is the sample standard deviation (divisor raters - 1) of the ratings of an image, on
the scale of `mos`; `raters` is how many rated it, one number or one for each image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigiqa_cli.evaluating.samples import Undefined, paired

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from aigiqa_cli.evaluating.samples import Floats

NORMAL_FROM = 30  # raters from which P.1401 takes the normal distribution in place of Student's


def half_widths(std: ArrayLike, raters: ArrayLike, level: float = 0.95) -> Floats:
    """Half of the confidence interval of each MOS: t(level, raters - 1) * std / sqrt(raters) (P.1401, 7.4).

    t is the two-sided quantile of Student's distribution for fewer than 30 raters, else that of the normal one.
    Undefined for fewer than two raters, ValueError for a negative std.
    """
    import numpy as np
    from scipy.stats import norm, t

    spread = np.asarray(std, dtype=np.float64)
    count = np.broadcast_to(np.asarray(raters, dtype=np.float64), spread.shape)
    spread, count = paired(spread, count, least=1)
    if (spread < 0).any():
        raise ValueError("expected standard deviations, found one below 0")
    if (count <= 1).any():
        raise Undefined("an interval needs at least two raters")
    tail = (1 + level) / 2
    quantile = np.where(count < NORMAL_FROM, t.ppf(tail, count - 1), norm.ppf(tail))
    widths: Floats = quantile * spread / np.sqrt(count)
    return widths


def epsilon_rmse(fitted: ArrayLike, mos: ArrayLike, std: ArrayLike, raters: ArrayLike, parameters: int = 4) -> float:
    """RMSE*, the root mean square error that ignores what lies inside the interval of the MOS (P.1401, 7.7):

        sqrt(sum(max(0, |mos - fitted| - ci95)^2) / (n - d))

    `fitted` are predictions on the scale of the MOS, d = `parameters` is what their mapping has been fitted with: 4
    for the logistic here and for the third-order polynomial of P.1401, 1 for none. Undefined for n <= d.
    """
    import numpy as np

    x, y = paired(fitted, mos, least=1)
    if len(x) <= parameters:
        raise Undefined(f"{len(x)} images leave nothing over after {parameters} parameters")
    beyond = np.maximum(0.0, np.abs(y - x) - _widths(std, raters, x))
    return float(np.sqrt(np.sum(beyond**2) / (len(x) - parameters)))


def outlier_ratio(fitted: ArrayLike, mos: ArrayLike, std: ArrayLike, raters: ArrayLike) -> float:
    """Share of images whose |mos - fitted| is larger than the half width of the 95 % interval (P.1401, 7.5.2.2)."""
    import numpy as np

    x, y = paired(fitted, mos, least=1)
    return float(np.mean(np.abs(y - x) > _widths(std, raters, x)))


def _widths(std: ArrayLike, raters: ArrayLike, like: Floats) -> Floats:
    widths = half_widths(std, raters)
    if widths.shape != like.shape:
        raise ValueError(f"expected {len(like)} standard deviations, found {widths.shape}")
    return widths
