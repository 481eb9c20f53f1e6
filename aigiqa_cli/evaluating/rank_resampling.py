"""SRCC of resamples that are given as weights, without building them.

With images of whole-number weights w in the order of their values, twice the mid-rank of a value, less 1, is the sum
of the weights up to it and of those below it: all are whole numbers, so every sum up to 2^53 is exact. The mean of
these is n, the number of images in the resample; their squares about it sum to (n^3 - sum(t^3)) / 3, where t is the
weight of each distinct value (Kendall & Gibbons 1990, 3.8, on tied ranks).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aigiqa_cli.evaluating.samples import Floats, Indices

CHUNK = 64  # rows that are cumulated one after the other


def rank_correlation(x: Floats, y: Floats, members: Indices) -> Callable[[Floats], Floats]:
    """From how often each cluster is drawn, (resamples, clusters), to SRCC in each resample, NaN where undefined.

    Inside, images stand in rows and resamples in columns, so that every step runs along memory, and four arrays of
    that size are used again for each block of resamples: a fresh one costs more than what is written into it.
    """
    import numpy as np

    by_x, by_y = _order(x), _order(y)
    of_x, of_y, level_y = members[by_x.images], members[by_y.images], by_y.level[by_x.images]
    level_x = by_x.level[by_x.images]
    sizes = np.bincount(members).astype(np.float64)
    rooms: list[Floats] = []

    def value(drawn: Floats) -> Floats:
        times = np.ascontiguousarray(drawn.T)
        n, cubes = sizes @ times, sizes @ (times * times * times)
        if not rooms or rooms[0].shape[1] != len(drawn):
            rooms[:] = [np.empty((-(-len(x) // CHUNK) * CHUNK, len(drawn))) for _ in range(4)]
        weights, sums, spare, along = rooms
        along, weights = along[: len(x)], weights[: len(x)]
        _rows(times, of_y, sums)
        ranks, ties_y = _doubled_ranks(sums, spare, by_y.ends, len(x), cubes)
        _rows(ranks, level_y, along)
        _rows(times, of_x, weights)
        sums[: len(x)] = weights
        ranks, ties_x = _doubled_ranks(sums, spare, by_x.ends, len(x), cubes)
        if len(ranks) < len(x):
            ranks = _rows(ranks, level_x, spare)
        products = np.einsum("ij,ij,ij->j", weights, ranks, along)
        return ratio(products - n**3, (n**3 - ties_x) / 3, (n**3 - ties_y) / 3, n**3)

    return value


def ratio(covariance: Floats, first: Floats, second: Floats, unit: Floats) -> Floats:
    """covariance / sqrt(first * second); NaN where one of the sums of squares is nothing but rounding of `unit`."""
    import numpy as np

    defined = np.minimum(first, second) > 1e-13 * unit
    product = np.where(defined, first * second, 1.0)
    return np.where(defined, np.clip(covariance / np.sqrt(product), -1.0, 1.0), np.nan)


@dataclass(frozen=True, eq=False)
class _Order:
    """The images by value; where in that order each distinct value ends; the number of each image's value."""

    images: Indices
    ends: Indices
    level: Indices


def _order(values: Floats) -> _Order:
    import numpy as np

    order = np.argsort(values, kind="stable")
    ordered = values[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    _, level = np.unique(values, return_inverse=True)
    return _Order(order, ends, level.astype(np.intp))


def _rows(source: Floats, places: Indices, room: Floats) -> Floats:
    """The rows of `source` at `places`, at the start of `room`."""
    return source.take(places, axis=0, mode="clip", out=room[: len(places)])


def _doubled_ranks(sums: Floats, spare: Floats, ends: Indices, n: int, cubes: Floats) -> tuple[Floats, Floats]:
    """Twice the mid-rank, less 1, of each distinct value, and the sum of the cubes of their weights.

    The first `n` rows of `sums` are the weights in the order of the values. `cubes` is the sum for n distinct values.
    Both rooms are written to; the ranks lie in one of them.
    """
    import numpy as np

    sums[n:] = 0
    _cumulate(sums)
    if len(ends) == n:
        np.add(sums[1:n], sums[: n - 1], out=spare[1:n])
        spare[0] = sums[0]
        return spare[:n], cubes
    up_to = _rows(sums, ends, spare)
    tied = sums[: len(ends)]
    np.subtract(up_to[1:], up_to[:-1], out=tied[1:])
    tied[0] = up_to[0]
    cubes = np.einsum("ij,ij,ij->j", tied, tied, tied)
    np.add(up_to[1:], up_to[:-1], out=tied[1:])
    return tied, cubes


def _cumulate(rows: Floats) -> None:
    """Cumulative sums down the rows, in place: within chunks of rows, all chunks at once, then over the chunks.

    `numpy.cumsum` goes down one column after the other, against memory, and takes three times as long.
    """
    import numpy as np

    chunks = rows.reshape(-1, CHUNK, rows.shape[1])
    for row in range(1, CHUNK):
        chunks[:, row] += chunks[:, row - 1]
    chunks[1:] += np.cumsum(chunks[:-1, -1], axis=0)[:, np.newaxis]
