"""A zip split over disks (`.z01`, `.z02`, ... `.zip`), shown as one ordinary zip.

Its directory counts from the beginning of each disk, and its first disk may begin with a mark. Only the directory is
written anew, in memory; the members' bytes stay where they are.
"""

from __future__ import annotations

import struct

from aigiqa_cli.archives.contract import MAX_MEMBERS, Needed, Refusal
from aigiqa_cli.archives.source import Piece, Source, memory, part_of

_END = struct.Struct("<4s4H2IH")
_WIDE_END = struct.Struct("<4sQ2H2I4Q")
_WIDE_LOCATOR = struct.Struct("<4sIQI")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_WIDE_EXTRA = 0x0001
_MARKS = (b"PK\x07\x08", b"PK00")
_FULL, _FULL_LONG = 0xFFFF, 0xFFFFFFFF
_MOST_OF_A_DIRECTORY = 512 << 20


def joined(source: Source) -> Source:
    """The same archive as if it had never been split. Raises Needed if disks are missing."""
    end, count, size, disk, offset = _end(source)
    disks = len(source.pieces)
    if disk >= disks or size > min(_MOST_OF_A_DIRECTORY, source.length) or count > MAX_MEMBERS:
        raise Refusal("the directory of the split zip is impossible", "A17")
    begin = source.start(disk) + offset
    if begin + size != end:
        raise Refusal("the directory of the split zip is not where its end says", "A17")
    skipped = 4 if source.pread(4, 0) in _MARKS else 0
    starts = [source.start(number) - skipped for number in range(disks)]
    directory = _rewritten(source.pread(size, begin), starts)
    data = [part_of(source.pieces[0], skipped, source.pieces[0].length), *source.pieces[1:]]
    kept = _until(data, begin - skipped)
    tail = directory + _ends(count, len(directory), begin - skipped)
    return Source(source.opened, [*kept, memory(tail)])


def _end(source: Source) -> tuple[int, int, int, int, int]:
    """(position of the end record, members, length of the directory, its disk, its offset there)."""
    at = max(0, source.length - 65_557)
    tail = source.pread(source.length - at, at)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or found + _END.size > len(tail):
        raise Refusal("the end of the split zip is missing", "A17")
    _, this, disk, _, count, size, offset, comment = _END.unpack_from(tail, found)
    if found + _END.size + comment != len(tail):
        raise Refusal("something follows the end of the split zip", "A17")
    end = at + found
    locator_at = end - _WIDE_LOCATOR.size
    locator = source.pread(_WIDE_LOCATOR.size, locator_at)
    if locator[:4] == b"PK\x06\x07":
        _, where, relative, _ = _WIDE_LOCATOR.unpack(locator)
        if where >= len(source.pieces):
            raise Refusal("the directory of the split zip is impossible", "A19")
        end = source.start(where) + relative
        wide = source.pread(_WIDE_END.size, end)
        if end + _WIDE_END.size != locator_at or wide[:4] != b"PK\x06\x06":
            raise Refusal("the ZIP64 end record is not where it should be", "A19")
        _, _, _, _, this, disk, _, count, size, offset = _WIDE_END.unpack(wide)
    if this + 1 != len(source.pieces):
        raise Needed(f"the zip was split into {this + 1} volumes, and {len(source.pieces)} are here", "N27", "")
    return end, count, size, disk, offset


def _rewritten(directory: bytes, starts: list[int]) -> bytes:
    """Whether it has as many entries as its end counts, whoever reads the ordinary zip sees (see zip_directory)."""
    parts: list[bytes] = []
    at = 0
    while at < len(directory):
        head = directory[at : at + _CENTRAL.size]
        if len(head) < _CENTRAL.size or head[:4] != b"PK\x01\x02":
            raise Refusal("the directory of the split zip is broken", "A17")
        fields = list(_CENTRAL.unpack(head))
        lengths = fields[10:13]
        rest = directory[at + _CENTRAL.size : at + _CENTRAL.size + sum(lengths)]
        at += _CENTRAL.size + sum(lengths)
        parts.append(_entry(fields, rest, starts))
    return b"".join(parts)


def _entry(fields: list[int], rest: bytes, starts: list[int]) -> bytes:
    """One entry with its place counted from the beginning of the whole."""
    name_length, extra_length = fields[10], fields[11]
    name, extra = rest[:name_length], rest[name_length : name_length + extra_length]
    comment = rest[name_length + extra_length :]
    wide, others = _split_extra(extra)
    packed, unpacked, disk, offset = fields[8], fields[9], fields[13], fields[16]
    values = iter(_numbers(wide, fields))
    unpacked = next(values) if unpacked == _FULL_LONG else unpacked
    packed = next(values) if packed == _FULL_LONG else packed
    offset = next(values) if offset == _FULL_LONG else offset
    disk = next(values) if disk == _FULL else disk
    if disk >= len(starts):
        raise Refusal("a member of the split zip begins on a disk that is not there", "A17")
    place = starts[disk] + offset
    longs = [number for number in (unpacked, packed, place) if number >= _FULL_LONG]
    extra = struct.pack(f"<2H{len(longs)}Q", _WIDE_EXTRA, 8 * len(longs), *longs) + others if longs else others
    fields[8], fields[9], fields[16] = (min(number, _FULL_LONG) for number in (packed, unpacked, place))
    fields[11], fields[13] = len(extra), 0
    return _CENTRAL.pack(*fields) + name + extra + comment


def _split_extra(extra: bytes) -> tuple[bytes, bytes]:
    """The body of the ZIP64 field, and all other fields as they are."""
    wide, others = b"", b""
    while len(extra) >= 4:  # noqa: PLR2004 - header of an extra field
        kind, length = struct.unpack("<HH", extra[:4])
        field, extra = extra[: 4 + length], extra[4 + length :]
        if kind == _WIDE_EXTRA:
            wide = field[4:]
        else:
            others += field
    return wide, others + extra


def _numbers(wide: bytes, fields: list[int]) -> list[int]:
    """The numbers of a ZIP64 field in its order: unpacked, packed, offset, disk, each only where it is needed."""
    longs = sum(fields[number] == _FULL_LONG for number in (9, 8, 16))
    needed = 8 * longs + 4 * (fields[13] == _FULL)
    if len(wide) < needed:
        raise Refusal("a member of the split zip has no ZIP64 numbers", "A19")
    return list(struct.unpack(f"<{longs}Q{'I' if fields[13] == _FULL else ''}", wide[:needed]))


def _until(pieces: list[Piece], end: int) -> list[Piece]:
    """The pieces up to the directory."""
    kept: list[Piece] = []
    for piece in pieces:
        length = min(piece.length, end)
        if length <= 0:
            break
        kept.append(piece if length == piece.length else part_of(piece, 0, length))
        end -= length
    return kept


def _ends(count: int, size: int, offset: int) -> bytes:
    """The end records of an ordinary zip."""
    narrow = (min(count, _FULL), min(count, _FULL), min(size, _FULL_LONG), min(offset, _FULL_LONG), 0)
    end = _END.pack(b"PK\x05\x06", 0, 0, *narrow)
    if count < _FULL and size < _FULL_LONG and offset < _FULL_LONG:
        return end
    wide = _WIDE_END.pack(b"PK\x06\x06", _WIDE_END.size - 12, 45, 45, 0, 0, count, count, size, offset)
    return wide + _WIDE_LOCATOR.pack(b"PK\x06\x07", 0, offset + size, 1) + end
