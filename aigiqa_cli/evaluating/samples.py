"""What goes into every formula of this room, and the two ways in which a number can be missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]


class Undefined(Exception):
    """The formula has no value here: too few images, or all values equal. The text says which."""


class FitFailed(Exception):
    """No curve was found. A failed fit is never turned into a number."""


def paired(*values: ArrayLike, least: int = 2) -> tuple[Floats, ...]:
    """The same numbers as float64 arrays of one shape (n,).

    ValueError for another shape, different lengths, NaN or infinity; Undefined for fewer than `least` numbers.
    """
    import numpy as np

    arrays = tuple(np.asarray(value, dtype=np.float64) for value in values)
    if any(array.ndim != 1 or array.shape != arrays[0].shape for array in arrays):
        raise ValueError(f"expected arrays of one length, found shapes {[array.shape for array in arrays]}")
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("expected finite numbers")
    if arrays[0].size < least:
        size = arrays[0].size
        raise Undefined(f"{size} image{'' if size == 1 else 's'}, at least {least} are needed")
    return arrays


def varied(values: Floats, what: str) -> Floats:
    """The same array; Undefined where all its values are equal."""
    if values.min() == values.max():
        raise Undefined(f"all {what} are equal")
    return values


def standardised(values: Floats) -> Floats:
    """(values - mean) / standard deviation, safe from overflow and underflow. Undefined where all are equal."""
    import numpy as np

    scaled = varied(values, "values") / np.abs(values).max()
    centred = scaled - scaled.mean()
    spread = np.sqrt(np.mean(centred**2))
    if spread == 0:  # differences below the resolution of float64
        raise Undefined("all values are equal within the precision of float64")
    result: Floats = centred / spread
    return result


def numbered(labels: Sequence[object] | ArrayLike, n: int) -> tuple[Indices, int]:
    """Each label as the number of its group, 0..groups-1 in the sorted order of the labels; and how many groups.

    Sorted, so that the same images in another order have the same groups. ValueError for another length than n.
    """
    import numpy as np

    found, numbers = np.unique(np.asarray(labels), return_inverse=True)
    if numbers.shape != (n,):
        raise ValueError(f"expected {n} labels, found shape {numbers.shape}")
    return numbers.astype(np.intp), len(found)
