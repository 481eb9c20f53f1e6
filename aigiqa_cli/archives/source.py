"""Where an archive's bytes are: in one file, or in the volumes of a split set, which are read in place, end to end."""

from __future__ import annotations

import errno
import io
import os
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from typing import BinaryIO

BUFFER = 1 << 18
JOINED, DISKS, PARTS = "joined", "disks", "parts"  # .zip.001; .z01 with .zip; .part1.rar or .r00

PRead = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Piece:
    """A run of bytes: its length, and how to read (count, offset) of it."""

    length: int
    pread: PRead


@dataclass(frozen=True)
class Opened:
    """What the worker is given: descriptors of the volumes in order, their names below the current folder if there
    are several, how they belong together, the password, and where other programs are (name -> absolute path).

    Of an archive that lies elsewhere the one descriptor is that of a file for its parts, `length` is that of the whole
    archive in bytes, and `ask` has parts of it brought (see zip_parts). Of one that is arriving `tell`, if it is read
    once, is told what is waited for and what is passed (see zip_arriving)."""

    descriptors: tuple[int, ...]
    names: tuple[str, ...] = ()
    shape: str = ""
    password: str = field(default="", repr=False)
    tools: Mapping[str, str] = field(default_factory=dict)
    length: int = 0
    ask: Callable[[Sequence[tuple[int, int]], Sequence[int]], list[tuple[int, int, int]]] | None = None
    once: bool = False
    tell: Callable[[str, int], None] = lambda _what, _bytes: None

    @property
    def path(self) -> str:
        """A path that opens the first volume (of disks the last, which holds the directory) in this process and in
        its children. Other programs find further volumes by name."""
        if not self.names:
            return f"/dev/fd/{self.descriptors[0]}"
        return self.names[-1 if self.shape == DISKS else 0]


class Source:
    """The bytes of an archive as one sequence."""

    def __init__(self, opened: Opened, pieces: Sequence[Piece] = ()) -> None:
        self.opened = opened
        self.pieces = tuple(pieces) or tuple(_file(descriptor) for descriptor in opened.descriptors)
        self.ends = list(accumulate(piece.length for piece in self.pieces))
        self.length = self.ends[-1]
        # One file is the rule, and is read without a call of ours in between.
        self.pread: PRead = self.pieces[0].pread if len(self.pieces) == 1 else self._pread

    def start(self, number: int) -> int:
        """Where a piece begins."""
        return self.ends[number] - self.pieces[number].length

    def open(self) -> BinaryIO:
        """A stream of its own over the bytes, for libraries."""
        return io.BufferedReader(_Stream(self), BUFFER)

    def _pread(self, count: int, at: int) -> bytes:
        parts: list[bytes] = []
        while count > 0 and at < self.length:
            number = bisect_right(self.ends, at)
            data = self.pieces[number].pread(min(count, self.ends[number] - at), at - self.start(number))
            if not data:
                break
            parts.append(data)
            count, at = count - len(data), at + len(data)
        return b"".join(parts)


def memory(data: bytes) -> Piece:
    """A piece that is held in memory."""
    return Piece(len(data), lambda count, at: data[at : at + count])


def part_of(piece: Piece, begin: int, end: int) -> Piece:
    """The bytes of a piece from `begin` up to `end`."""
    return Piece(end - begin, lambda count, at: piece.pread(min(count, end - begin - at), begin + at))


def _file(descriptor: int) -> Piece:
    return Piece(os.fstat(descriptor).st_size, partial(os.pread, descriptor))


class _Stream(io.RawIOBase):
    def __init__(self, source: Source) -> None:
        self.source = source
        self.at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.source.length}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, "a position before the beginning of the archive")
        self.at = base + offset
        return self.at

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]  # the only kind that arrives here
        data = self.source.pread(len(target), self.at)
        target[: len(data)] = data
        self.at += len(data)
        return len(data)
