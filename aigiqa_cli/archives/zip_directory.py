"""The directory of a zip, read strictly: what two readers could understand in two ways is refused.

The standard library's reader moves offsets, stops at NUL, takes the last of two ends and the first of two numbers.
Here each number stands where it must and says what its twin says, or the archive is refused (A14, A17, A18, A19).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from aigiqa_cli.archives.contract import MAX_MEMBERS, Refusal
from aigiqa_cli.archives.source import PRead

_END = struct.Struct("<4s4H2IH")
_WIDE_END = struct.Struct("<4sQ2H2I4Q")
_WIDE_LOCATOR = struct.Struct("<4sIQI")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END_MARK, _WIDE_END_MARK, _LOCATOR_MARK = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_MARKS = (b"PK\x01\x02", b"PK\x03\x04", _END_MARK, _WIDE_END_MARK, _LOCATOR_MARK)
_LONGEST_END = _END.size + 0xFFFF
_MOST_OF_A_DIRECTORY = 512 << 20
FULL, FULL_LONG = 0xFFFF, 0xFFFFFFFF
WIDE_FIELD = 0x0001


@dataclass(slots=True)
class Entry:
    """What the directory says of one member. `raw` is its name as it stands there, `start` where its data begin once
    its local header has been read (see zip_layout)."""

    number: int
    raw: bytes
    flags: int
    method: int
    crc: int
    packed: int
    unpacked: int
    offset: int
    extra: bytes
    system: int
    attributes: int
    start: int = -1


@dataclass(frozen=True)
class Directory:
    """All entries in their order, and where the directory begins."""

    entries: list[Entry]
    begin: int


def read(pread: PRead, length: int) -> Directory:
    """Read the directory of a zip of `length` bytes. Raises Refusal."""
    last, numbers = _end(pread, length)
    end, count, size, begin = _wide_end(pread, last, numbers)
    if count > MAX_MEMBERS:
        raise Refusal(f"the zip has {count} members", "A14")
    if begin + size != end:
        lost = begin + size - end
        what = f"{lost} bytes before it are missing" if lost > 0 else f"{-lost} bytes are too many"
        raise Refusal(f"the directory of the zip is not where its end says: {what}", "A17")
    if size > _MOST_OF_A_DIRECTORY:
        raise Refusal(f"the zip has a directory of {size} bytes", "A14")
    entries = list(_entries(pread(size, begin), count, wide=end != last))
    return Directory(entries, begin)


def fields(extra: bytes) -> list[tuple[int, bytes]]:
    """The extra fields of a header: kind and body. Zeros behind them are padding."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        at += 4 + length
        found.append((kind, extra[at - length : at]))
    if at > len(extra) or extra[at:].strip(b"\0"):
        raise Refusal("the extra fields of a member run over their end", "A17")
    return found


def the_field(extra: bytes, kind: int) -> bytes | None:
    """The body of the one extra field of a kind; None without one. Two of them would be read by nobody alike."""
    if not extra:
        return None
    bodies = [body for found, body in fields(extra) if found == kind]
    if len(bodies) > 1:
        raise Refusal(f"a member has {len(bodies)} extra fields of the kind {kind:#06x}", "A18")
    return bodies[0] if bodies else None


def widened(extra: bytes, *numbers: int) -> tuple[int, ...]:
    """(unpacked, packed[, offset]): numbers that are full stand in the ZIP64 field, in this order (A19).

    Some writers put all of them there, needed or not; then those that are not needed must say the same.
    """
    body = the_field(extra, WIDE_FIELD)
    needed = sum(number == FULL_LONG for number in numbers)
    if not body:
        return numbers  # a plain number that happens to be full is judged like any other
    count, rest = divmod(len(body), 8)
    disk = int.from_bytes(body[8 * count :], "little")
    if count < needed or rest not in (0, 4) or disk:
        raise Refusal("a ZIP64 field does not hold the numbers that it should", "A19")
    there = struct.unpack_from(f"<{count}Q", body)
    values = iter(there)
    full = tuple(next(values) if number == FULL_LONG else number for number in numbers)
    if count > needed and there[: len(full)] != full[:count]:
        raise Refusal("a ZIP64 field says something else than its header", "A19")
    return full


def _end(pread: PRead, length: int) -> tuple[int, tuple[int, ...]]:
    """Exactly one end record, at the exact end (A17): what comes before or after makes readers disagree.

    Returns its position and its numbers: this disk, disk of the directory, members here and in all, size, offset.
    """
    tail_start = max(0, length - _LONGEST_END)
    tail = pread(length - tail_start, tail_start)
    last = tail.rfind(_END_MARK)
    if last < 0 or last + _END.size > len(tail):
        raise Refusal("the end of the zip is missing: the file is cut off or not a zip", "A17")
    ends = [at for at in _places(tail, _END_MARK) if _reaches_end(tail, at)]
    if not ends:
        raise Refusal("something follows the end of the zip", "A17")
    if len(ends) > 1:
        raise Refusal("the zip has two ends: its comment holds another one", "A17")
    if any(mark in tail[ends[0] + _END.size :] for mark in _MARKS):
        raise Refusal("the comment of the zip holds parts of another one", "A17")
    _, *numbers, _ = _END.unpack_from(tail, ends[0])
    return tail_start + ends[0], tuple(numbers)


def _wide_end(pread: PRead, end: int, narrow: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(where the directory ends, members, its size, its offset): the ZIP64 end record, where there is one, says what
    the plain one says (A19)."""
    locator_at = end - _WIDE_LOCATOR.size
    locator = pread(_WIDE_LOCATOR.size, locator_at) if locator_at >= 0 else b""
    if locator[:4] != _LOCATOR_MARK:
        _check_counts(narrow, "A17")
        return (end, *narrow[3:])  # type: ignore[return-value]  # three of them
    at = locator_at - _WIDE_END.size
    record = pread(_WIDE_END.size, at) if at >= 0 else b""
    _, disk, where, disks = _WIDE_LOCATOR.unpack(locator)
    if record[:4] != _WIDE_END_MARK or where != at or disk or disks > 1:
        raise Refusal("the ZIP64 end record is not where it should be", "A19")
    _, size, _made, _needed, *wide = _WIDE_END.unpack(record)
    if size != _WIDE_END.size - 12:
        raise Refusal("the ZIP64 end record has another length than it says", "A19")
    for short, long, mask in zip(narrow, wide, (FULL, FULL, FULL, FULL, FULL_LONG, FULL_LONG), strict=True):
        if short not in (mask, long):
            raise Refusal("the zip has two ends that disagree", "A19")
    _check_counts(tuple(wide), "A19")
    return (at, *wide[3:])


def _check_counts(numbers: tuple[int, ...], fault: str) -> None:
    disk, start_disk, here, count, *_ = numbers
    if disk or start_disk:
        raise Refusal("the zip says that it is one of several disks", fault)
    if here != count:
        raise Refusal(f"the end of the zip counts {count} members, {here} of them on its only disk", fault)


def _entries(data: bytes, count: int, *, wide: bool) -> Iterator[Entry]:
    """Every entry. macOS writes no ZIP64: it counts more than 65,535 members by their last 16 bits, and the common
    readers list them all."""
    at, number = 0, 0
    while at < len(data):
        head = data[at : at + _CENTRAL.size]
        if len(head) < _CENTRAL.size or head[:4] != b"PK\x01\x02":
            raise Refusal("the directory of the zip is broken", "A17")
        (_, made, _, flags, method, _, _, crc, packed, unpacked, name_size, extra_size, comment_size, disk, _, outer,
         offset) = _CENTRAL.unpack(head)  # fmt: skip
        name_end = at + _CENTRAL.size + name_size
        extra_end, begin = name_end + extra_size, at
        at = extra_end + comment_size
        if at > len(data) or number >= MAX_MEMBERS:
            raise Refusal("the directory of the zip is broken, or has too many members", "A17")
        hidden = data[begin + 4 : at] if at == len(data) else data[extra_end:at]
        if hidden and any(mark in hidden for mark in _MARKS):
            raise Refusal("the directory of the zip holds parts of another one", "A17")
        extra = data[name_end:extra_end]
        if extra:
            unpacked, packed, offset = widened(extra, unpacked, packed, offset)
        if disk not in (0, FULL):
            raise Refusal("a member of the zip begins on another disk", "A17")
        raw = data[begin + _CENTRAL.size : name_end]
        yield Entry(number, raw, flags, method, crc, packed, unpacked, offset, extra, made >> 8, outer)
        number += 1
    if number != count and (wide or number & FULL != count):
        raise Refusal(f"the end of the zip counts {count} members, its directory {number}", "A17")


def _places(data: bytes, word: bytes) -> Iterator[int]:
    at = data.find(word)
    while at >= 0:
        yield at
        at = data.find(word, at + 1)


def _reaches_end(tail: bytes, at: int) -> bool:
    """Is this an end record whose comment ends exactly where the file ends? The last one is here as a whole."""
    *_, comment = _END.unpack_from(tail, at)
    return bool(at + _END.size + comment == len(tail))
