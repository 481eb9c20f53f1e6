"""Numbers drawn from a seed: the same on every machine, and in every version of Python and numpy.

numpy promises that the raw stream of PCG64 for a seed never changes, but not what its `Generator` makes of it (NEP
19: methods may be improved). So only `random_raw` is used, and what is made of its 64-bit words stands here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aigiqa_cli.evaluating.samples import Floats, Indices


class Chance:
    """A stream of draws. Each call goes on where the one before ended."""

    def __init__(self, seed: int) -> None:
        import numpy as np

        self._words = np.random.PCG64(seed)

    def integers(self, below: int, rows: int, columns: int) -> Indices:
        """Whole numbers 0..below-1, shape (rows, columns), from the upper half of a word each: (word * below) >> 32.

        Some come up more often than others by a share of at most below / 2^32. ValueError for more than 2^32.
        """
        import numpy as np

        if not 0 < below <= 2**32:
            raise ValueError(f"expected 1..2^32 choices, found {below}")
        words = self._words.random_raw(rows * columns).reshape(rows, columns)
        drawn: Indices = (((words >> np.uint64(32)) * np.uint64(below)) >> np.uint64(32)).astype(np.intp)
        return drawn

    def normals(self, rows: int, columns: int) -> Floats:
        """Standard normal numbers, shape (rows, columns): the inverse distribution at (word >> 11 + 1/2) / 2^53."""
        import numpy as np
        from scipy.special import ndtri

        words = self._words.random_raw(rows * columns).reshape(rows, columns)
        shares = ((words >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
        return np.asarray(ndtri(shares), dtype=np.float64)
