"""Confidence intervals by resampling prompts, not images.

Images of one prompt share its difficulty, so they are not independent, and an interval that resamples images is too
narrow. The bootstrap of clusters (Davison & Hinkley 1997, 3.8; Field & Welsh 2007) draws as many prompts as there
are, with replacement, each with all its images; the interval is from the percentiles of the results (Efron 1979).

A resample is never built. It is a whole number for each prompt, how often that was drawn, and every measure has a
weighted form that gives the same value: moments are a matrix product of these numbers with sums over each prompt, and
the mid-ranks of SRCC come from cumulated weights in an order that is found once. KRCC would need log n such passes
for each resample, ten times what all else costs together, and its interval says what that of SRCC says; it has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from aigiqa_cli.evaluating.chance import Chance
from aigiqa_cli.evaluating.fits import logistic
from aigiqa_cli.evaluating.rank_resampling import rank_correlation, ratio
from aigiqa_cli.evaluating.samples import FitFailed, Undefined, numbered, paired, standardised, varied

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from aigiqa_cli.evaluating.samples import Floats, Indices

    # How often each cluster was drawn, shape (resamples, clusters) -> the value in each resample, NaN where undefined.
    Statistic = Callable[[Floats], Floats]

MEASURES = ("srcc", "plcc", "plcc_logistic", "rmse", "mae")
BLOCK = 250_000  # weights that exist at one time, so that a few arrays of 2 MB pass through the processor's cache
UNDEFINED = 0.05  # a measure that is undefined in a larger share of the resamples has no interval


def intervals(
    predictions: ArrayLike,
    mos: ArrayLike,
    clusters: Sequence[object],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Lower and upper end of the interval of srcc, plcc, plcc_logistic, rmse and mae.

    `clusters` names the prompt of each image. plcc_logistic, rmse and mae are of the predictions mapped by the
    logistic that was fitted to the whole sample: refitting four parameters to each resample moves the interval by
    less than its own Monte Carlo error from some hundred images on, and costs a thousand fits. A measure is left out
    where it is undefined, its fit fails, or more than 5 % of the resamples leave it undefined.

    Same seed, same resamples on every machine and for every order of the images. Undefined for fewer than two
    clusters; with fewer than about 20 the interval is too narrow, as any bootstrap is with so few observations.
    """
    import numpy as np

    x, y = paired(predictions, mos)
    members, count = numbered(clusters, len(x))
    statistics = {}
    fitted = _fitted_once(x, y)
    for measure in MEASURES:
        try:
            statistics[measure] = statistic(measure, x, y, members, count, fitted)
        except (Undefined, FitFailed):
            continue
    found = {}
    for measure, values in replicates(statistics, count, resamples=resamples, seed=seed, images=len(x)).items():
        kept = values[np.isfinite(values)]
        if len(kept) >= (1 - UNDEFINED) * resamples:
            low, high = np.quantile(kept, ((1 - level) / 2, (1 + level) / 2))
            found[measure] = (float(low), float(high))
    return found


def replicates(
    statistics: Mapping[str, Statistic], clusters: int, *, resamples: int, seed: int, images: int
) -> dict[str, Floats]:
    """Each statistic in the same `resamples` resamples: arrays of shape (resamples,), NaN where it is undefined.

    Memory is bounded by BLOCK, whatever the number of resamples. Undefined for fewer than two clusters.
    """
    import numpy as np

    found = {name: np.empty(resamples) for name in statistics}
    done = 0
    for drawn in draws(clusters, resamples, seed, max(1, BLOCK // max(images, clusters))):
        for name, value in statistics.items():
            found[name][done : done + len(drawn)] = value(drawn)
        done += len(drawn)
    return found


def draws(clusters: int, resamples: int, seed: int, rows: int) -> Iterator[Floats]:
    """How often each cluster is in each resample, in blocks of at most `rows` resamples: shapes (<= rows, clusters).

    What is drawn does not depend on `rows`. Undefined for fewer than two clusters.
    """
    import numpy as np

    if clusters == 1:
        raise Undefined("all images share one prompt: nothing can be resampled")
    chance = Chance(seed)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        chosen = chance.integers(clusters, size, clusters)
        places = chosen + np.arange(size)[:, np.newaxis] * clusters
        yield np.bincount(places.ravel(), minlength=size * clusters).reshape(size, clusters).astype(np.float64)


def statistic(
    measure: str, x: Floats, y: Floats, members: Indices, count: int, fitted: Callable[[], Floats] | None = None
) -> Statistic:
    """The weighted form of one of MEASURES; `members` is the cluster of each image, 0..count-1.

    `fitted` gives the predictions mapped by the logistic, where the caller has them. Undefined and FitFailed where
    the measure of the whole sample is.
    """
    if measure == "srcc":
        return rank_correlation(varied(x, "predictions"), varied(y, "scores"), members)
    if measure == "plcc":
        return _correlation(x, y, members, count)
    mapped = fitted() if fitted else logistic(x, y).fitted
    if measure == "plcc_logistic":
        return _correlation(mapped, y, members, count)
    return _error(mapped - y, members, count, 2 if measure == "rmse" else 1)


def _fitted_once(x: Floats, y: Floats) -> Callable[[], Floats]:
    done: list[Floats] = []

    def fitted() -> Floats:
        if not done:
            done.append(logistic(x, y).fitted)
        return done[0]

    return fitted


def _sums(members: Indices, count: int, *columns: Floats) -> Floats:
    """Sums of each column over each cluster, shape (count, columns), after the number of its images."""
    import numpy as np

    counted = [np.bincount(members, minlength=count).astype(np.float64)]
    return np.stack(counted + [np.bincount(members, weights=column, minlength=count) for column in columns], axis=1)


def _correlation(x: Floats, y: Floats, members: Indices, count: int) -> Statistic:

    x, y = standardised(x), standardised(y)  # so that little cancels in the differences below
    sums = _sums(members, count, x, y, x * x, y * y, x * y)

    def value(drawn: Floats) -> Floats:
        n, sx, sy, sxx, syy, sxy = (drawn @ sums).T
        return ratio(sxy - sx * sy / n, sxx - sx * sx / n, syy - sy * sy / n, n)

    return value


def _error(errors: Floats, members: Indices, count: int, power: int) -> Statistic:
    import numpy as np

    sums = _sums(members, count, np.abs(errors) ** power)

    def value(drawn: Floats) -> Floats:
        n, total = (drawn @ sums).T
        mean: Floats = (total / n) ** (1 / power)
        return mean

    return value
