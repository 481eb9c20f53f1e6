"""tar, plain or compressed with gzip, xz, bzip2 or zstd: read twice from the front, once to judge, once to stream."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Protocol, Self, cast

from aigiqa_cli.archives import member_names
from aigiqa_cli.archives.contract import MAX_MEMBERS, Chunks, Consume, Member, Refusal, check_total
from aigiqa_cli.archives.source import Source

BLOCK = 1 << 20
MAX_PADDING = 16 << 20  # zeros after the end; tar itself pads to at most a few MiB
_BROKEN = (tarfile.TarError, EOFError, OSError, lzma.LZMAError, zlib.error, ValueError, OverflowError)


class _Header(tarfile.TarInfo):
    """The library takes a broken or missing header for the end of the archive (A27); only a block of zeros is one."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not buf.strip(b"\0"):
                raise
            raise tarfile.ReadError(f"broken or missing header: {error}") from None


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
            data = self.current.decompress(packed, size)
        return data


class TarFormat:
    """A tar archive."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.broken: tuple[type[Exception], ...] = _BROKEN

    def members(self) -> list[Member]:
        files: list[Member] = []
        total = 0
        for number, entry in self._entries():
            if number >= MAX_MEMBERS:
                raise Refusal(f"more than {MAX_MEMBERS} members", "A14")
            if entry.isdir():
                member_names.judge_folder(entry.name)
                continue
            self._check(entry)
            files.append(Member(number, member_names.judge(entry.name), entry.size))
            total += entry.size
            check_total(self.source.length, total)
        member_names.refuse_twins(member.name for member in files)
        return files

    def stream(self, wanted: Iterable[Member], consume: Consume) -> None:
        by_number = {member.number: member for member in wanted}
        last = max(by_number, default=-1)
        for number, entry in self._entries():
            if number in by_number:
                consume(by_number[number], self._chunks(entry))
            if number == last:
                return

    def _check(self, entry: tarfile.TarInfo) -> None:
        if entry.issym():
            raise Refusal(f"the member {entry.name!r} is a link", "A05")
        if entry.islnk():
            raise Refusal(f"the member {entry.name!r} is a hard link", "A06")
        if not entry.isreg() or entry.issparse():
            raise Refusal(f"the member {entry.name!r} is no regular file", "A07")
        if entry.size < 0:
            raise Refusal(f"the member {entry.name!r} has a negative size", "A27")

    def _entries(self) -> Iterator[tuple[int, tarfile.TarInfo]]:
        with self.source.open() as raw:
            try:
                self.tar = tarfile.open(  # noqa: SIM115 - closing it would close nothing of ours
                    fileobj=self._opened(raw), mode="r|", bufsize=BLOCK, errorlevel=2, tarinfo=_Header
                )
                number = 0
                while (entry := self.tar.next()) is not None:
                    yield number, entry
                    self.tar.members = []  # type: ignore[attr-defined]  # the library would keep every header
                    number += 1
                if number == 0:
                    raise Refusal("the tar has no members", "A25")
                self._check_rest()
            except self.broken as error:
                raise Refusal(f"not a readable tar: {error}", "A17") from None

    def _check_rest(self) -> None:
        """Nothing but zeros follows the end (A17, A31). Reading on also checks a compressed stream to its last byte."""
        assert self.tar.fileobj is not None  # noqa: S101 - it was opened for reading
        padding = 0
        while rest := self.tar.fileobj.read(BLOCK):
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
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        self.broken = (*_BROKEN, zstd.ZstdError)
        return zstd.ZstdDecompressor

    def _chunks(self, entry: tarfile.TarInfo) -> Chunks:
        stream = self.tar.extractfile(entry)
        if stream is None:
            raise Refusal(f"the member {entry.name!r} is no regular file", "A07")
        produced = 0
        try:
            while chunk := stream.read(BLOCK):
                produced += len(chunk)
                yield chunk
        except self.broken as error:
            raise Refusal(f"the member {entry.name!r} cannot be read: {error}", "A16") from None
        if produced != entry.size:
            raise Refusal(f"the member {entry.name!r} is cut off", "A17")
