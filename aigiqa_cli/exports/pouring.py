"""Installed files, read once: what is copied is hashed on its way, and must be what was installed.

Everything goes through one small buffer, which stays in the processor's cache.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from aigiqa_cli import folders
from aigiqa_cli.errors import Finding, IntegrityFault
from aigiqa_cli.folders import PIECE

Unit = TypeVar("Unit")

THREADS = 2


@dataclass(frozen=True)
class Installed:
    """A file as its record says it is; `path` is below the root."""

    path: str
    bytes: int
    sha256: str


class Reading:
    """The bytes of one installed file, in order."""

    def __init__(self, root: Path, file: Installed) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._length = 0
        try:
            self._descriptor = os.open(root / file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                raise damaged(file, "missing", f"{file.bytes} bytes", "nothing") from error
            if error.errno == errno.ELOOP:
                raise damaged(file, "not a regular file", "a file", "a link") from error
            raise
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != file.bytes:
            self.close()
            raise damaged(file, "wrong length", f"{file.bytes} bytes", f"{status.st_size} bytes")

    def into(self, room: memoryview) -> int:
        """Fill `room` from its start; returns the number of bytes, 0 at the end of the file."""
        count = os.readv(self._descriptor, [room])
        self._digest.update(room[:count])
        self._length += count
        return count

    def finish(self) -> None:
        """Raise IntegrityFault unless it was what was installed, all of it."""
        if (found := self._digest.hexdigest()) != self._file.sha256 or self._length != self._file.bytes:
            raise damaged(self._file, "wrong checksum", self._file.sha256, found)

    def close(self) -> None:
        os.close(self._descriptor)


def read_into(root: Path, file: Installed, room: memoryview) -> None:
    """Put a whole installed file into `room`, which is as long as it. Raises IntegrityFault if it is damaged."""
    with reading(root, file) as source:
        done = 0
        while done < file.bytes and (count := source.into(room[done : done + PIECE])):
            done += count


@contextmanager
def reading(root: Path, file: Installed) -> Iterator[Reading]:
    """An installed file to read to its end. Raises IntegrityFault if it is not what was installed."""
    source = Reading(root, file)
    try:
        yield source
        source.finish()
    finally:
        source.close()


class Pouring:
    """A file that is written through one buffer, and `flushed` to the disk at its end while other threads go on."""

    def __init__(self, path: Path, buffer: bytearray | None = None, *, flushed: bool = False) -> None:
        self._flushed = flushed
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        self._room = memoryview(buffer or bytearray(PIECE))
        self._filled = 0
        self.length = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._flush()
                if self._flushed:
                    os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes that are in memory."""
        self.length += len(data)
        done = 0
        while done < len(data):
            count = min(len(data) - done, len(self._room) - self._filled)
            self._room[self._filled : self._filled + count] = data[done : done + count]
            done += count
            self._advance(count)

    def pour(self, root: Path, file: Installed) -> None:
        """Append an installed file. Raises IntegrityFault if it is damaged."""
        with reading(root, file) as source:
            remaining = file.bytes
            while remaining:
                count = source.into(self._room[self._filled : self._filled + remaining])
                if not count:
                    break
                remaining -= count
                self._advance(count)
        self.length += file.bytes

    def _advance(self, count: int) -> None:
        self._filled += count
        if self._filled == len(self._room):
            self._flush()

    def _flush(self) -> None:
        folders.write(self._descriptor, self._room[: self._filled])
        self._filled = 0


def damaged(file: Installed, problem: str, expected: str, found: str) -> IntegrityFault:
    database = file.path.partition("/")[0]
    return IntegrityFault(
        f"{file.path} is not what was installed: {problem}",
        hint=f"aigiqa verify --repair {database}",
        fault="S10",
        database=database,
        phase="CHECK",
        findings=[Finding(database, file.path, problem, expected, found)],
    )


def side_by_side(units: Iterator[Unit], work: Callable[[Unit], None]) -> None:
    """Do the work of all units in a few threads. A unit is taken when a thread is free for it. The first exception of
    any of them is raised, when the others have ended."""
    running: set[Future[None]] = set()
    with ThreadPoolExecutor(THREADS) as pool:
        for unit in units:
            running.add(pool.submit(work, unit))
            if len(running) >= THREADS:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for one in done:
                    one.result()
        for one in running:
            one.result()
