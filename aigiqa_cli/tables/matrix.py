"""mat (MATLAB v4 to v7): declared variables, each a vector; a number becomes its shortest round-trip text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from aigiqa_cli.tables.layout import MAX_ROWS, Layout

HDF5 = b"\x89HDF"
MAX_BYTES = 512 << 20


def rows(stream: BinaryIO, layout: Layout) -> Iterator[tuple[int, Sequence[str]]]:
    """Row n holds the n-th number of each variable that `layout.columns` names."""
    vectors = [_vector(layout, name, value) for name, value in _variables(stream, layout)]
    lengths = {len(vector) for vector in vectors}
    if len(lengths) != 1:
        found = ", ".join(str(length) for length in sorted(lengths))
        raise layout.refusal(0, "the variables have different lengths", "one length", found, "T07")
    for number, values in enumerate(zip(*vectors, strict=True), 1):
        yield number, [repr(value) for value in values]


def _variables(stream: BinaryIO, layout: Layout) -> list[tuple[str, Any]]:
    """Sizes are checked before anything is loaded, and only what is declared is loaded (T13)."""
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    head = stream.read(512)
    stream.seek(0)
    if HDF5 in head[:8] or b"MATLAB 7.3" in head[:128]:
        raise layout.refusal(0, "a MATLAB 7.3 file", "version 4 to 7", "version 7.3 (HDF5)", "T13")
    try:
        listed = {name: shape for name, shape, _ in whosmat(stream)}
        missing = [name for name in layout.columns if name not in listed]
        if missing:
            found = ", ".join(sorted(listed)) or "none"
            raise layout.refusal(0, f"missing variable {', '.join(missing)}", ",".join(layout.columns), found, "T08")
        for name in layout.columns:
            if _count(listed[name]) > MAX_ROWS:
                raise layout.refusal(0, f"the variable {name} is too large", f"at most {MAX_ROWS} numbers", fault="T13")
        stream.seek(0)
        loaded = loadmat(stream, variable_names=list(layout.columns))
    except (MatReadError, ValueError, TypeError, OSError, EOFError, NotImplementedError) as error:
        raise layout.refusal(0, f"not a readable MATLAB file: {error}", fault="T13") from None
    return [(name, loaded[name]) for name in layout.columns]


def _count(shape: Sequence[int]) -> int:
    count = 1
    for side in shape:
        count *= int(side)
    return count


def _vector(layout: Layout, name: str, value: Any) -> list[float]:
    import numpy as np

    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise layout.refusal(0, f"the variable {name} holds no numbers", "numbers", str(type(value)), "T13")
    if value.ndim > 1 and sorted(value.shape)[:-1] != [1] * (value.ndim - 1):
        raise layout.refusal(0, f"the variable {name} is no vector", "n x 1", str(value.shape), "T13")
    return list(value.reshape(-1).tolist())
