"""The data of a zip's members, unpacked strictly: exactly the declared bytes come out, and no packed byte is left over.

The standard library stops at the declared length, whatever follows; other programs call that broken (A12). So streams
of deflate, bzip2 and LZMA must end by themselves, at the last packed byte.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Protocol

from aigiqa_cli.archives.contract import Chunks, Member, Refusal, checked, password_wrong
from aigiqa_cli.archives.source import PRead
from aigiqa_cli.archives.zip_directory import Entry
from aigiqa_cli.archives.zip_layout import DEFERRED, DESCRIPTOR_MARK, ENCRYPTED

WHOLE = 32 << 20  # members up to this size are inflated in one call, which runs without the interpreter lock
BLOCK = 1 << 20
MAX_DICTIONARY = 256 << 20  # of LZMA: reserved whole before the first byte is unpacked
_LZMA_HEAD = 9  # version, length of what follows, properties, and the size of the dictionary
_ENDS_BY_MARK = 0x2  # of the flags of an LZMA member
_UNKNOWN = (1 << 64) - 1
_SECRET_HEAD = 12
_LOCAL_TIME = 11  # where the high byte of the time stands in a local header


class Decoder(Protocol):
    """A stream that is being unpacked."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def feed(self, packed: bytes, most: int) -> Chunks:
        """What these further bytes give, at most `most` bytes at a time."""


def unpacked(pread: PRead, start: int, entry: Entry, member: Member, password: str = "") -> Chunks:
    """The bytes of a member whose data begin at `start`. Raises Refusal; of an encrypted one Needed."""
    packed = _packed(pread, start, entry, member)
    if not entry.flags & ENCRYPTED:
        yield from checked(member, _plain(entry, member, packed), entry.crc)
        return
    marks = {entry.crc >> 24, *(pread(1, entry.offset + _LOCAL_TIME) if entry.flags & DEFERRED else b"")}
    try:
        yield from checked(member, _plain(entry, member, _decrypted(packed, password, marks)), entry.crc)
    except Refusal:
        raise password_wrong(f"the member {member.name!r}") from None


def without_false_end(member: Member, chunks: Chunks) -> Chunks:
    """The data of a stored member whose sizes follow it: one who reads from the front looks for them in the data, and
    must not find them there (A18)."""
    kept, begin = b"", 0
    for chunk in chunks:
        data = kept + chunk
        at = data.find(DESCRIPTOR_MARK)
        while 0 <= at <= len(data) - 12:
            if struct.unpack_from("<I", data, at + 8)[0] == (begin + at) & 0xFFFFFFFF:
                raise Refusal(f"the member {member.name!r} holds what looks like its own end", "A18")
            at = data.find(DESCRIPTOR_MARK, at + 1)
        kept = data[-11:]
        begin += len(data) - len(kept)
        yield chunk


def _packed(pread: PRead, start: int, entry: Entry, member: Member) -> Chunks:
    left = entry.packed
    step = BLOCK if _is_large(entry) else left
    while left > 0:
        data = pread(min(step, left), start)
        if not data:
            raise Refusal(f"the member {member.name!r} is cut off", "A17")
        start, left = start + len(data), left - len(data)
        yield data


def _plain(entry: Entry, member: Member, packed: Chunks) -> Chunks:
    if entry.method == zipfile.ZIP_STORED:
        yield from packed
        return
    if entry.method == zipfile.ZIP_LZMA:
        packed = _as_lzma_file(entry, member, packed)
    decoder = _decoder(entry.method)
    most = BLOCK if _is_large(entry) else entry.unpacked + 1
    for data in packed:
        if decoder.eof:
            raise _no_end(member)
        try:
            yield from decoder.feed(data, most)
        except (zlib.error, lzma.LZMAError, ValueError) as error:
            raise Refusal(f"the member {member.name!r} cannot be unpacked: {error}", "A16") from None
    if not decoder.eof or decoder.unused_data:
        raise _no_end(member)


def _no_end(member: Member) -> Refusal:
    return Refusal(f"the member {member.name!r} does not end where it should", "A12")


def _is_large(entry: Entry) -> bool:
    return max(entry.packed, entry.unpacked) > WHOLE


def _decoder(method: int) -> Decoder:
    if method == zipfile.ZIP_DEFLATED:
        return _Deflated()
    return _Buffered(bz2.BZ2Decompressor() if method == zipfile.ZIP_BZIP2 else lzma.LZMADecompressor(lzma.FORMAT_ALONE))


class _Deflated:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def feed(self, packed: bytes, most: int) -> Chunks:
        while packed and not self._stream.eof:
            yield self._stream.decompress(packed, most)
            packed = self._stream.unconsumed_tail


class _Buffered:
    """bzip2 and LZMA keep by themselves what they have not taken yet."""

    def __init__(self, stream: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._stream = stream

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def feed(self, packed: bytes, most: int) -> Chunks:
        yield self._taken(packed, most)
        while not (self._stream.eof or self._stream.needs_input):
            yield self._taken(b"", most)

    def _taken(self, packed: bytes, most: int) -> bytes:
        try:
            return self._stream.decompress(packed, most)
        except OSError as error:  # bzip2 says so of data; nothing is read here
            raise ValueError(str(error)) from None


def _as_lzma_file(entry: Entry, member: Member, packed: Chunks) -> Iterator[bytes]:
    """The same data with the head of an LZMA file, which says where they end: at a mark, or after so many bytes."""
    first = next(packed, b"")
    if len(first) < _LZMA_HEAD or first[2:4] != b"\x05\x00":
        raise Refusal(f"the member {member.name!r} has no LZMA properties", "A16")
    wanted = int.from_bytes(first[5:_LZMA_HEAD], "little")
    if wanted > MAX_DICTIONARY:
        raise Refusal(f"the member {member.name!r} asks for a dictionary of {wanted} bytes", "A13")
    size = _UNKNOWN if entry.flags & _ENDS_BY_MARK else entry.unpacked
    yield first[4:_LZMA_HEAD] + size.to_bytes(8, "little") + first[_LZMA_HEAD:]
    yield from packed


def _decrypted(packed: Chunks, password: str, marks: set[int]) -> Iterator[bytes]:
    """The old encryption of zip, which the standard library undoes no faster. Twelve bytes stand before the data; of
    those the last one is among `marks`, if the password is right: a byte of the checksum, or of the time."""
    cipher = _Cipher(password.encode())
    head = cipher.decrypt(next(packed, b""))
    if len(head) < _SECRET_HEAD or head[_SECRET_HEAD - 1] not in marks:
        raise Refusal("the password does not fit", "A20")
    yield head[_SECRET_HEAD:]
    for data in packed:
        yield cipher.decrypt(data)


class _Cipher:
    """As APPNOTE 6.1 describes it."""

    def __init__(self, password: bytes) -> None:
        self._keys = 0x12345678, 0x23456789, 0x34567890
        for byte in password:
            self._keys = _turned(*self._keys, byte)

    def decrypt(self, data: bytes) -> bytes:
        plain, keys = bytearray(), self._keys
        for byte in data:
            word = (keys[2] | 2) & 0xFFFF
            byte ^= (word * (word ^ 1) >> 8) & 0xFF  # noqa: PLW2901 - what was one thing is now the other
            plain.append(byte)
            keys = _turned(*keys, byte)
        self._keys = keys
        return bytes(plain)


_TABLE = tuple(zlib.crc32(bytes([byte]), 0xFFFFFFFF) ^ 0xFFFFFFFF for byte in range(256))


def _turned(first: int, second: int, third: int, byte: int) -> tuple[int, int, int]:
    first = (first >> 8) ^ _TABLE[(first ^ byte) & 0xFF]
    second = ((second + (first & 0xFF)) * 134_775_813 + 1) & 0xFFFFFFFF
    return first, second, (third >> 8) ^ _TABLE[(third ^ second >> 24) & 0xFF]
