"""PNG and ZIP, written by hand: a compressor's output differs between builds of zlib, stored bytes do not."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

_STORED_BLOCK = 0xFFFF  # the longest stored block that deflate knows
_FIRST_OF_1980 = 0x21  # the earliest date that ZIP can state, as DOS writes it
_UNIX_ZIP_1_0 = 3 << 8 | 10
_READABLE_FILE = 0o100644 << 16


def png(pixels: bytes, width: int, comment: str) -> bytes:
    """A PNG of 8-bit RGB rows, neither filtered nor compressed."""
    row = width * 3
    lines = b"".join(b"\0" + pixels[at : at + row] for at in range(0, len(pixels), row))
    header = struct.pack(">IIBBBBB", width, len(pixels) // row, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"tEXt", b"Comment\0" + comment.encode("latin-1")), (b"IDAT", _zlib(lines)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in (*chunks, (b"IEND", b"")))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _zlib(data: bytes) -> bytes:
    blocks = []
    for at in range(0, len(data), _STORED_BLOCK):
        part = data[at : at + _STORED_BLOCK]
        last = at + len(part) == len(data)
        blocks.append(struct.pack("<BHH", last, len(part), len(part) ^ 0xFFFF) + part)
    return b"\x78\x01" + b"".join(blocks) + struct.pack(">I", zlib.adler32(data))


def zip_stored(members: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """The blocks of a ZIP whose members are stored, all dated 1980-01-01. Names are ASCII."""
    directory, offset, count = b"", 0, 0
    for name, data in members:
        shared = struct.pack(
            "<HHHHHIIIHH", 10, 0, 0, 0, _FIRST_OF_1980, zlib.crc32(data), len(data), len(data), len(name), 0
        )
        entry = b"PK\1\2" + struct.pack("<H", _UNIX_ZIP_1_0) + shared
        directory += entry + struct.pack("<HHHII", 0, 0, 0, _READABLE_FILE, offset) + name.encode("ascii")
        block = b"PK\3\4" + shared + name.encode("ascii") + data
        offset, count = offset + len(block), count + 1
        yield block
    yield directory + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), offset, 0)
