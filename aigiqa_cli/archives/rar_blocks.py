"""The blocks of a rar, from its mark to its end. rarfile takes a cut between two members for the end, and whatever
stands behind the end for nothing. Volumes are filled up with zeros; rar before version 3 wrote no end."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from aigiqa_cli.archives.contract import MAX_MEMBERS, Refusal
from aigiqa_cli.archives.source import Piece

_MARK4, _MARK5 = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"
_MAIN5, _ENCRYPTION5, _END5 = 1, 4, 5
_MAIN4, _FILE4, _SERVICE4, _END4 = 0x73, 0x74, 0x7A, 0x7B
_MOST_OF_A_HEADER = 4 << 20
_OLD = 20  # version of rar; up to it there is no block at the end
_EXACT_TIME = 0x1000  # of a file header; later versions alone write it
_PADDING = 1 << 20  # zeros behind the end, with which volumes are filled up


@dataclass(frozen=True)
class Volume:
    """What the headers say of a volume: its number, and whether another one follows. `known`: they can be read."""

    number: int = 0
    more: bool = False
    known: bool = True


def walk(piece: Piece) -> Volume:
    """Step over every block of one volume. Raises Refusal if the end is missing, or not at the very end (A17)."""
    mark = piece.pread(8, 0)
    if mark == _MARK5:
        return _walk5(piece)
    if mark.startswith(_MARK4):
        return _walk4(piece)
    raise Refusal("a volume of the rar does not begin like one", "A17")


def _walk5(piece: Piece) -> Volume:
    at, number = len(_MARK5), 0
    for _ in range(2 * MAX_MEMBERS):
        head = piece.pread(64, at)
        size, place = _variable(head, 4)
        if size > _MOST_OF_A_HEADER:
            raise Refusal(f"a header of the rar is {size} bytes long", "A13")
        end = at + place + size
        kind, place = _variable(head, place)
        flags, place = _variable(head, place)
        _, place = _variable(head, place) if flags & 1 else (0, place)
        data, place = _variable(head, place) if flags & 2 else (0, place)
        if kind == _ENCRYPTION5:
            return Volume(known=False)
        if kind == _MAIN5:
            about, place = _variable(head, place)
            number = _variable(head, place)[0] if about & 2 else 0
        at = end + data
        if kind == _END5:
            more = bool(_variable(head, place)[0] & 1)
            return _ended(piece, at, Volume(number, more))
    raise Refusal("the rar has too many blocks", "A14")


def _walk4(piece: Piece) -> Volume:
    at, first, old = len(_MARK4), True, False
    for _ in range(2 * MAX_MEMBERS):
        head = piece.pread(40, at)
        if len(head) < 7:  # noqa: PLR2004 - the fixed part of each header
            break
        _, kind, flags, size = struct.unpack_from("<HBHH", head)
        if size < 7:  # noqa: PLR2004 - as above
            break
        data = struct.unpack_from("<I", head, 7)[0] if flags & 0x8000 and len(head) >= 11 else 0  # noqa: PLR2004
        if kind in (_FILE4, _SERVICE4) and flags & 0x100 and len(head) >= 36:  # noqa: PLR2004 - more than 4 GiB
            data += struct.unpack_from("<I", head, 32)[0] << 32
        if kind == _FILE4 and len(head) > 24:  # noqa: PLR2004 - the version that is needed to unpack it
            old = head[24] <= _OLD and not flags & _EXACT_TIME
        if kind == _MAIN4:
            if flags & 0x80:
                return Volume(known=False)
            first = not flags & 1 or bool(flags & 0x100) or not flags & 0x10
        at += size + data
        if kind == _END4:
            return _ended(piece, at, Volume(0 if first else 1, bool(flags & 1)))
    if old and at == piece.length:
        return Volume(known=False)
    raise Refusal("the end of the rar is missing", "A17")


def _ended(piece: Piece, at: int, volume: Volume) -> Volume:
    if at > piece.length:
        raise Refusal("the rar is cut off", "A17")
    rest = min(piece.length - at, _PADDING)
    if at + rest < piece.length or piece.pread(rest, at).strip(b"\0"):
        raise Refusal("something follows the end of the rar", "A17")
    return volume


def _variable(data: bytes, at: int) -> tuple[int, int]:
    """A number of version 5, seven bits a byte, and where the next one begins."""
    value = shift = 0
    for place in range(at, min(at + 10, len(data))):
        value |= (data[place] & 0x7F) << shift
        shift += 7
        if not data[place] & 0x80:
            return value, place + 1
    raise Refusal("the end of the rar is missing", "A17")
