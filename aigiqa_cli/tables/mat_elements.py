"""What a MATLAB file (v4 to v7) holds, read before any library sees it: every number in it is checked against the
bytes that are there, so that nothing is reserved or unpacked because a file says so (T13)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

MAX_NUMBERS = 10_000_000
MAX_NAME = 256
MAX_VARIABLES = 10_000

_HEAD5 = 128
_MATRIX, _PACKED = 14, 15
_KNOWN_CLASSES = range(1, 16)  # of which cells, structures, objects, text and sparse arrays hold no plain numbers
_NUMERIC_CLASSES = range(6, 16)  # double, single, and the integers
_WIDTHS5 = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
_WIDTHS4 = (8, 4, 4, 2, 2, 1)
_HEAD4, _MOST_KINDS4 = 20, 2
_COMPLEX = 0x800
_HEAD = 4096  # of an unpacked variable: flags, sides and name stand in it
_LARGEST = MAX_NUMBERS * 8 + _HEAD


class Broken(Exception):
    """The bytes are no sound MATLAB file, or hold what is not read here; the text says why."""


@dataclass(frozen=True)
class Variable:
    """One variable: its name, its sides, whether it is a full array of real numbers, and its bytes in the file."""

    name: str
    shape: tuple[int, ...]
    numbers: bool
    element: memoryview
    packed: bool = False


def is_version_4(data: bytes) -> bool:
    """Files of version 4 have no text at their beginning."""
    return 0 in data[:4]


def begins_as_version_4(head: bytes) -> bool:
    """Is this the beginning of a file of version 4: the numbers of its first variable, and a name that ends with 0?"""
    for order in "<>":
        if len(head) < _HEAD4:
            return False
        kind, rows, columns, imaginary, length = struct.unpack_from(order + "5i", head)
        machine, unused, number, what = kind // 1000, kind // 100 % 10, kind // 10 % 10, kind % 10
        fitting = machine == (order == ">") and not unused and number < len(_WIDTHS4) and what <= _MOST_KINDS4
        if fitting and min(rows, columns) >= 0 and imaginary in (0, 1) and 1 < length <= MAX_NAME:
            name = head[_HEAD4 : _HEAD4 + length]
            return name[-1:] == b"\0" and name[:-1].isascii() and name[:-1].decode().isidentifier()
    return False


def listed(data: bytes) -> Iterator[Variable]:
    """The variables of a file, in its order. Raises Broken."""
    try:
        for count, variable in enumerate(_version4(data) if is_version_4(data) else _version5(data)):
            if count >= MAX_VARIABLES:
                raise Broken(f"more than {MAX_VARIABLES} variables")
            yield variable
    except (struct.error, zlib.error, ValueError, OverflowError) as error:
        raise Broken(str(error)) from None


def sound_file(data: bytes, wanted: Iterable[Variable]) -> bytes:
    """A file of the same kind that holds these variables only, unpacked, their lengths proven. Raises Broken."""
    head = b"" if is_version_4(data) else data[:_HEAD5]
    try:
        return head + b"".join(_whole(data, variable) for variable in wanted)
    except (struct.error, zlib.error) as error:
        raise Broken(str(error)) from None


# ---------------------------------------------------------------------------------------------------------------------
# Version 5 (also what "-v6" and "-v7" write)
# ---------------------------------------------------------------------------------------------------------------------


def _order(data: bytes) -> str:
    return "<" if data[126:128] == b"IM" else ">"


def _version5(data: bytes) -> Iterator[Variable]:
    if len(data) < _HEAD5 or data[126:128] not in (b"IM", b"MI"):
        raise Broken("its header is cut off or not that of a MATLAB file")
    order, view, at = _order(data), memoryview(data), _HEAD5
    while at < len(data):
        kind, size = struct.unpack_from(order + "II", data, at)
        end = at + 8 + size
        if end > len(data):
            raise Broken("a variable is cut off")
        if kind == _PACKED:
            body = zlib.decompressobj().decompress(view[at + 8 : end], _HEAD)
            yield _described(order, body, view[at + 8 : end], packed=True)
        elif kind == _MATRIX:
            yield _described(order, bytes(view[at : at + _HEAD]), view[at:end])
        else:
            raise Broken(f"an element of the unknown kind {kind}")
        at = end


def _described(order: str, head: bytes, element: memoryview, *, packed: bool = False) -> Variable:
    kind, _ = struct.unpack_from(order + "II", head)
    if kind != _MATRIX:
        raise Broken(f"a packed element of the unknown kind {kind}")
    flags, at = _part(order, head, 8)
    (word,) = struct.unpack_from(order + "I", flags)
    if word & 0xFF not in _KNOWN_CLASSES:  # objects and function handles have no sides
        return Variable("", (), numbers=False, element=element)
    sides, at = _part(order, head, at)
    shape = struct.unpack(f"{order}{len(sides) // 4}i", sides[: len(sides) // 4 * 4])
    name, at = _part(order, head, at)
    if len(name) > MAX_NAME or len(shape) > 32 or min(shape, default=0) < 0:  # noqa: PLR2004 - what numpy can hold
        raise Broken("a variable has an impossible name or shape")
    numbers = word & 0xFF in _NUMERIC_CLASSES and not word & _COMPLEX and len(shape) > 1
    return Variable(name.decode("ascii"), shape, numbers, element, packed)


def _part(order: str, data: bytes, at: int) -> tuple[bytes, int]:
    """The body of a part of a variable, and where the next part begins."""
    kind, size = struct.unpack_from(order + "II", data, at)
    if kind >> 16:  # a short one: length, kind and body in eight bytes
        size = kind >> 16
        if size > 4:  # noqa: PLR2004
            raise Broken("a part is longer than its place")
        return data[at + 4 : at + 4 + size], at + 8
    begin, end = at + 8, at + 8 + size
    if end > len(data):
        raise Broken("a part is cut off")
    return data[begin:end], end + -size % 8


def _whole(data: bytes, variable: Variable) -> bytes:
    if is_version_4(data):
        return bytes(variable.element)
    order = _order(data)
    element = bytes(variable.element)
    if variable.packed:
        inflater = zlib.decompressobj()
        element = inflater.decompress(variable.element, _LARGEST)
        if not inflater.eof or inflater.unused_data:
            raise Broken(f"the variable {variable.name} unpacks to more than its numbers, or is cut off")
    _, size = struct.unpack_from(order + "II", element)
    if 8 + size != len(element):
        raise Broken(f"the variable {variable.name} has another length than it states")
    at = 8
    for _ in range(3):  # flags, sides, name
        _, at = _part(order, element, at)
    kind, size = struct.unpack_from(order + "II", element, at)
    body, end = _part(order, element, at)
    width = _WIDTHS5.get(kind & 0xFFFF if kind >> 16 else kind)
    if width is None or len(body) != width * prod(variable.shape) or end != len(element):
        raise Broken(f"the variable {variable.name} holds other numbers than it states")
    return element


# ---------------------------------------------------------------------------------------------------------------------
# Version 4
# ---------------------------------------------------------------------------------------------------------------------


def _version4(data: bytes) -> Iterator[Variable]:
    view, at = memoryview(data), 0
    while at < len(data):
        (kind,) = struct.unpack_from("<i", data, at)
        order = "<" if 0 <= kind < 5000 else ">"  # noqa: PLR2004 - as the format tells the order of its bytes
        kind, rows, columns, imaginary, length = struct.unpack_from(order + "5i", data, at)
        machine, unused, number, what = kind // 1000, kind // 100 % 10, kind // 10 % 10, kind % 10
        if machine not in (0, 1) or (machine == 1) != (order == ">") or unused or number >= len(_WIDTHS4):
            raise Broken("a header that is not that of a MATLAB file")
        if min(rows, columns) < 0 or imaginary not in (0, 1) or not 1 <= length <= MAX_NAME:
            raise Broken("a variable has an impossible name or shape")
        end = at + 20 + length + rows * columns * _WIDTHS4[number] * (1 + imaginary)
        if end > len(data):
            raise Broken("a variable is cut off")
        name = bytes(view[at + 20 : at + 20 + length]).rstrip(b"\0").decode("ascii")
        yield Variable(name, (rows, columns), not what and not imaginary, view[at:end])
        at = end
