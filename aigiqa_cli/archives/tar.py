"""tar, plain or compressed with gzip, xz, bzip2 or zstd: read twice from the front, once to judge, once to stream."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Protocol, cast

from aigiqa_cli.archives import member_names, tar_headers
from aigiqa_cli.archives.contract import Chunks, Consume, Member, Refusal, check_total
from aigiqa_cli.archives.source import Source

BLOCK = 1 << 20
MAX_PADDING = 16 << 20  # zeros after the end; tar itself pads to at most a few MiB
_BROKEN = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, ValueError, OverflowError)


class _Decompressor(Protocol):
    """What the decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Inflated:
    """bzip2, xz or zstd, strictly: after a stream comes another one or nothing (libraries skip anything else, A31)."""

    def __init__(self, raw: IO[bytes], new: Callable[[], _Decompressor]) -> None:
        self.raw = raw
        self.new = new
        self.current = new()

    def read(self, size: int) -> bytes:
        data = b""
        while not data:
            packed = self.current.unused_data if self.current.eof else b""
            if not packed and (self.current.eof or self.current.needs_input):
                packed = self.raw.read(BLOCK)
                if not packed and not self.current.eof:
                    raise EOFError("the compressed data is cut off")
                if not packed:
                    break
            if self.current.eof:
                self.current = self.new()
            data = self._decompressed(packed, size)
        return data

    def _decompressed(self, packed: bytes, size: int) -> bytes:
        try:
            return self.current.decompress(packed, size)
        except OSError as error:  # bzip2 says so of data; nothing is read here
            raise ValueError(str(error)) from None


class TarFormat:
    """A tar archive."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.broken: tuple[type[Exception], ...] = _BROKEN

    def members(self) -> list[Member]:
        found: list[tuple[int, str | bytes, int]] = []
        folders: list[str | bytes] = []
        total, number = 0, -1
        for number, header, _ in self._entries():
            if header.folder:
                folders.append(header.name)
                continue
            total += header.size
            check_total(self.source.length, total)
            found.append((number, header.name, header.size))
        if number < 0:
            raise Refusal("the tar has no members", "A25")
        names = self._decoded([name for _, name, _ in found] + folders)
        files = [
            Member(number, member_names.judge(name), size)
            for (number, _, size), name in zip(found, names, strict=False)
        ]
        above = [member_names.judge_folder(name) for name in names[len(found) :]]
        member_names.refuse_twins((member.name for member in files), above)
        return files

    def stream(self, wanted: Iterable[Member], consume: Consume) -> None:
        by_number = {member.number: member for member in wanted}
        last = max(by_number, default=-1)
        for number, _, data in self._entries():
            if number in by_number:
                consume(by_number[number], data)
            if number == last:
                return

    def _decoded(self, names: list[str | bytes]) -> list[str]:
        """Text is UTF-8 by declaration; all others are in one encoding (A22)."""
        decoded = iter(member_names.decode_all([name for name in names if isinstance(name, bytes)]))
        return [name if isinstance(name, str) else next(decoded) for name in names]

    def _entries(self) -> Iterator[tuple[int, tar_headers.Header, Chunks]]:
        """Number, header and data of each member; data that are not taken are passed over."""
        with self.source.open() as raw:
            try:
                stream = self._opened(raw)
                for number, header in enumerate(tar_headers.read(lambda count: _exactly(stream, count))):
                    data = self._chunks(stream, header)
                    yield number, header, data
                    for _ in data:
                        continue
                self._check_rest(stream)
            except self.broken as error:
                raise Refusal(f"not a readable tar: {error}", "A17") from None

    def _check_rest(self, stream: IO[bytes]) -> None:
        """Nothing but zeros follows the end (A17, A31). Reading on also checks a compressed stream to its last byte."""
        padding = 0
        while rest := stream.read(BLOCK):
            padding += len(rest)
            if rest.strip(b"\0") or padding > MAX_PADDING:
                raise Refusal("something follows the end of the tar", "A17")

    def _opened(self, raw: IO[bytes]) -> IO[bytes]:
        magic = self.source.pread(6, 0)
        if magic[:2] == b"\x1f\x8b":
            return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
        if magic[:3] == b"BZh":
            return cast("IO[bytes]", _Inflated(raw, bz2.BZ2Decompressor))
        if magic == b"\xfd7zXZ\x00":
            return cast("IO[bytes]", _Inflated(raw, lzma.LZMADecompressor))
        if magic[:4] == b"\x28\xb5\x2f\xfd":
            return cast("IO[bytes]", _Inflated(raw, self._zstd()))
        return raw

    def _zstd(self) -> Callable[[], _Decompressor]:
        """Frames that ask for more than 128 MiB of window are refused by the library itself (A31)."""
        if sys.version_info >= (3, 14):  # pragma: no cover - the library of older interpreters is another one
            from compression import zstd
        else:
            from backports import zstd
        self.broken = (*_BROKEN, zstd.ZstdError)
        return zstd.ZstdDecompressor

    def _chunks(self, stream: IO[bytes], header: tar_headers.Header) -> Chunks:
        left = header.size
        while left > 0:
            chunk = self._read(stream, min(BLOCK, left))
            left -= len(chunk)
            yield chunk
        padding = tar_headers.padded(header.size) - header.size
        while padding > 0:
            padding -= len(self._read(stream, padding))

    def _read(self, stream: IO[bytes], count: int) -> bytes:
        try:
            data = stream.read(count)
        except self.broken as error:
            raise Refusal(f"the data of the tar cannot be read: {error}", "A16") from None
        if not data:
            raise Refusal("the tar is cut off", "A17")
        return data


def _exactly(stream: IO[bytes], count: int) -> bytes:
    """The next bytes, fewer only at the end."""
    data = stream.read(count) if count else b""
    while 0 < len(data) < count:
        more = stream.read(count - len(data))
        if not more:
            break
        data += more
    return data
