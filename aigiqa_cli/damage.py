"""Where in a damaged file the damage is, as far as the file itself tells.

A record holds one hash a file: it says that a file is damaged, not where. A PNG carries a check sum for each of its
chunks (ISO/IEC 15948, 5.3), so the range can be narrowed to those that do not fit. Other formats have none, and of them
nothing less than the whole file can be named.
"""

from __future__ import annotations

import zlib
from typing import BinaryIO

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AROUND = 12  # bytes of a chunk beside its data: length, kind, check sum
_BLOCK = 1 << 20
_LAST = b"IEND"


def damaged_range(stream: BinaryIO, size: int) -> tuple[int, int]:
    """First byte, and the one after the last, between which every damaged byte is; `stream` stands at the beginning of
    a file of `size` bytes that are not all as they were."""
    if stream.read(len(_SIGNATURE)) != _SIGNATURE:
        return 0, size
    at = len(_SIGNATURE)
    bad: list[int] = []
    while size - at >= _AROUND:
        head = stream.read(8)
        length, kind = int.from_bytes(head[:4]), head[4:]
        if length > size - at - _AROUND or not kind.isalpha() or not kind.isascii():
            return (bad or [at])[0], size  # what follows has no known beginning
        if not _fits(stream, kind, length):
            bad += [at, at + _AROUND + length]
        at += _AROUND + length
        if kind == _LAST:
            break
    if at < size:  # bytes that no check sum covers
        bad += [at, size]
    return (bad[0], bad[-1]) if bad else (0, size)


def _fits(stream: BinaryIO, kind: bytes, length: int) -> bool:
    found = zlib.crc32(kind)
    while length and (block := stream.read(min(length, _BLOCK))):
        found, length = zlib.crc32(block, found), length - len(block)
    return stream.read(4) == found.to_bytes(4)
