"""A zip that is still being downloaded: its directory is here already, its members are read as they arrive.

The directory comes from the end of the file, which was asked for first. Members are unpacked in the order of the file,
each as soon as its last byte is here. What can be judged before everything is here is judged at once; `settle` judges
the rest as for any other zip, and that the end of the file is the one that was read before.

Where the disk has no room for the whole file, `stream_once` judges every member as it passes, wanted or not: all that
`settle` would judge, each local header and every byte between. It is told (`tell`) which byte is waited for ("needs"),
and up to where nobody needs the file any more ("passed").
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial

from aigiqa_cli.archives.contract import Consume, Member, Refusal
from aigiqa_cli.archives.source import BUFFER, Opened, Piece, Source
from aigiqa_cli.archives.zip import ZipFormat, at_once
from aigiqa_cli.archives.zip_directory import Entry
from aigiqa_cli.archives.zip_parts import Extents

_POLL = 0.004  # seconds
_TOLD = 1 << 20  # bytes: so many more are behind us before it is said again


class Growing:
    """A file that grows at its end to `length` bytes, and another file with its end."""

    def __init__(self, opened: Opened) -> None:
        self.file, self.tail = opened.descriptors
        self.length, self.parent = opened.length, os.getppid()
        self.tell = opened.tell if opened.once else lambda _what, _bytes: None
        self.begin = self.length - os.fstat(self.tail).st_size  # of the end that is here

    def pread(self, count: int, at: int) -> bytes:
        """`count` bytes at `at`, once they are here; fewer only behind the end."""
        end = min(at + count, self.length)
        if at >= self.begin:
            return os.pread(self.tail, max(0, end - at), at - self.begin)
        middle = min(end, self.begin)
        self.wait(middle)
        data = os.pread(self.file, middle - at, at)
        return data + os.pread(self.tail, end - middle, 0) if end > middle else data

    def wait(self, end: int) -> None:
        """Until the file has `end` bytes. Raises Refusal where it was given up."""
        if os.fstat(self.file).st_size < end:
            self.tell("needs", end)
        while (found := os.fstat(self.file)).st_size < end:
            if not found.st_nlink:
                raise Refusal("its download was begun anew", "A17")
            if os.getppid() != self.parent:  # nobody is left who downloads it
                raise BrokenPipeError
            time.sleep(_POLL)

    def check_tail(self) -> None:
        """Once all is here: does the file end as it was said to end?"""
        self.wait(self.length)
        for at in range(self.begin, self.length, BUFFER):
            if os.pread(self.file, BUFFER, at) != os.pread(self.tail, BUFFER, at - self.begin):
                raise Refusal("it ends otherwise than it did when its download began", "A17")


class ZipArriving(ZipFormat):
    """A zip of which the directory is read at once, and each member when it has arrived. It is given neither password
    nor programs: what needs one is refused, and unpacked when the whole file is here."""

    def __init__(self, source: Source) -> None:
        self.growing = Growing(source.opened)
        super().__init__(Source(source.opened, [Piece(self.growing.length, self.growing.pread)]))
        self.extents = Extents(self.pread, self.layout.directory)
        self.layout = self.extents
        self.is_judged = False  # member by member, as they passed

    def stream_once(self, wanted: Iterable[Member], consume: Consume) -> None:
        """As `stream`, and nothing is read a second time."""
        chosen = {member.number: member for member in wanted}
        ordered = sorted(self.entries, key=lambda entry: entry.offset)
        limits = [self.extents.limits[entry.number] for entry in ordered]
        behind = Behind(limits, self.growing.begin, partial(self.growing.tell, "passed"))

        def take(at: int, entry: Entry) -> None:
            self.growing.wait(limits[at])
            if entry.number in chosen:
                self._consume_one(chosen[entry.number], consume)
            else:
                self.extents.examine(entry)
            behind.done(at)

        at_once([partial(take, at, entry) for at, entry in enumerate(ordered)])
        self.is_judged = True

    def settle(self) -> None:
        """Judge the whole file, strictly, once it is here."""
        self.growing.check_tail()
        if self.is_judged:
            return
        opened = self.opened
        ZipFormat(Source(Opened(opened.descriptors[:1], password=opened.password, tools=opened.tools))).members()

    def _consume_one(self, member: Member, consume: Consume) -> None:
        self.extents.examine(self.entries[member.number])
        super()._consume_one(member, consume)


class Behind:
    """How far a file is done with, by members of which each ends at one of `limits`; never more than `most` bytes."""

    def __init__(self, limits: list[int], most: int, passed: Callable[[int], None]) -> None:
        self.limits, self.most, self.passed = limits, most, passed
        self.lock = threading.Lock()
        self.finished: set[int] = set()
        self.first = self.told = 0  # the first member that is not finished; what was said last

    def done(self, at: int) -> None:
        """The member in place `at` of the file is finished."""
        with self.lock:
            self.finished.add(at)
            while self.first in self.finished:
                self.finished.remove(self.first)
                self.first += 1
            end = min(self.limits[self.first - 1], self.most) if self.first else 0
            if end >= self.told + _TOLD or (self.first == len(self.limits) and end > self.told):
                self.told = end
                self.passed(end)
