"""mat (MATLAB v4 to v7): declared variables, each a vector; a number becomes its shortest round-trip text."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, BinaryIO

from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.tables import mat_elements
from aigiqa_cli.tables.layout import MAX_ROWS, Layout

HDF5 = b"\x89HDF\r\n\x1a\n"
MAX_BYTES = 256 << 20


def rows(stream: BinaryIO, layout: Layout) -> Iterator[tuple[int, Sequence[str]]]:
    """Row n holds the n-th number of each variable that `layout.columns` names."""
    vectors = [_vector(layout, name, value) for name, value in _variables(stream, layout)]
    lengths = {len(vector) for vector in vectors}
    if len(lengths) != 1:
        found = ", ".join(str(length) for length in sorted(lengths))
        raise layout.refusal(0, "the variables have different lengths", "one length", found, "T07")
    for number, values in enumerate(zip(*vectors, strict=True), 1):
        yield number, [repr(value) for value in values]


def looks_like_one(head: bytes) -> bool:
    """Is what begins like this a MATLAB file, of whatever version?"""
    return head.startswith(b"MATLAB ") or _is_hdf5(head) or mat_elements.begins_as_version_4(head)


def refuse_version(head: bytes, layout: Layout) -> None:
    """Raises RefusedInput (T13) for a file of version 7.3: that is another format under the same name."""
    named = head.startswith(b"MATLAB 7.3")
    if named or _is_hdf5(head):
        what = "a MATLAB 7.3 file" if named else "an HDF5 file, as MATLAB 7.3 writes them"
        hint = "save it in MATLAB with -v7; or leave it out: aigiqa fetch --labels-only DB"
        raise layout.refusal(0, what, "version 4 to 7", "version 7.3 (HDF5)", "T13", hint)


def _is_hdf5(head: bytes) -> bool:
    return HDF5 in (head[: len(HDF5)], head[512 : 512 + len(HDF5)])


def _variables(stream: BinaryIO, layout: Layout) -> list[tuple[str, Any]]:
    """Names and sizes are read and checked by us, and the library is given what is declared and nothing else (T13)."""
    from scipy.io import loadmat

    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise layout.refusal(0, "the file is too large", f"at most {MAX_BYTES} bytes", fault="T13")
    refuse_version(data, layout)
    try:
        wanted = _wanted(layout, data)
        loaded = loadmat(io.BytesIO(mat_elements.sound_file(data, wanted)))
        return [(name, loaded[name]) for name in layout.columns]
    except RefusedInput:
        raise
    except Exception as error:  # noqa: BLE001 - the library is not made for hostile bytes: whatever it raises, refuse
        reason = error or type(error).__name__
        raise layout.refusal(0, f"not a readable MATLAB file: {reason}", fault="T13") from None


def _wanted(layout: Layout, data: bytes) -> list[mat_elements.Variable]:
    """The declared variables. Raises RefusedInput, or Broken."""
    listed: dict[str, mat_elements.Variable] = {}
    for variable in mat_elements.listed(data):
        if variable.name in listed:
            raise layout.refusal(0, f"the variable {variable.name} stands twice", "each once", fault="T13")
        listed[variable.name] = variable
    missing = [name for name in layout.columns if name not in listed]
    if missing:
        found = ", ".join(sorted(filter(None, listed))) or "none"
        raise layout.refusal(0, f"missing variable {', '.join(missing)}", ",".join(layout.columns), found, "T08")
    for name in layout.columns:
        if prod(listed[name].shape) > MAX_ROWS:
            raise layout.refusal(0, f"the variable {name} is too large", f"at most {MAX_ROWS} numbers", fault="T13")
        if not listed[name].numbers:
            raise layout.refusal(0, f"the variable {name} holds no numbers", "numbers", "something else", "T13")
    return [listed[name] for name in layout.columns]


def _vector(layout: Layout, name: str, value: Any) -> list[float]:
    import numpy as np

    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise layout.refusal(0, f"the variable {name} holds no numbers", "numbers", str(type(value)), "T13")
    if value.ndim > 1 and sorted(value.shape)[:-1] != [1] * (value.ndim - 1):
        raise layout.refusal(0, f"the variable {name} is no vector", "n x 1", str(value.shape), "T13")
    return list(value.reshape(-1).tolist())
