"""A zip that lies elsewhere: its directory and the wanted members are brought here, the rest never is.

The rules are those of every zip. What the directory alone tells is judged before anything else is asked for (names,
sizes, overlaps, methods); what only a local header tells, of the members that are wanted, once they are here. Members
that another program would have to unpack are refused: such a program needs the whole file.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from aigiqa_cli.archives.contract import Consume, Member, Refusal
from aigiqa_cli.archives.source import Opened, Piece, Source
from aigiqa_cli.archives.zip import ZipFormat
from aigiqa_cli.archives.zip_directory import Entry
from aigiqa_cli.archives.zip_layout import ENCRYPTED, Layout

_LOCAL_SIZE = 30
_MOST_BEHIND = 0xFFFF + 24  # the extra field of a local header, and a data descriptor

Span = tuple[int, int]
Ask = Callable[[Sequence[Span], Sequence[int]], list[tuple[int, int, int]]]


class Supplied:
    """The bytes that have been brought so far. They stand in one local file, in the order in which they came."""

    def __init__(self, opened: Opened, ask: Ask) -> None:
        self.descriptor, self.length, self.ask = opened.descriptors[0], opened.length, ask
        self.held: list[tuple[int, int, int]] = []  # (begin, end, place in the local file), sorted
        self.complete = False  # whether what is not here now is not to be asked for

    def bring(self, spans: Sequence[Span], numbers: Sequence[int] = ()) -> None:
        """Have the spans brought; `numbers` are the members that they belong to, one each."""
        self.held = sorted([*self.held, *self.ask(spans, numbers)])

    def pread(self, count: int, at: int) -> bytes:
        """`count` bytes at `at`; fewer where no more is here and none is to be asked for."""
        end, parts = min(at + count, self.length), []
        while at < end:
            data = self._here(end - at, at)
            if not data:
                if self.complete:
                    break
                self.bring([(at, self._next(at, end))])
                continue
            parts.append(data)
            at += len(data)
        return b"".join(parts)

    def _here(self, count: int, at: int) -> bytes:
        number = bisect_right(self.held, (at, self.length, 0)) - 1
        if number < 0 or self.held[number][1] <= at:
            return b""
        begin, end, place = self.held[number]
        return os.pread(self.descriptor, min(count, end - at), place + at - begin)

    def _next(self, at: int, end: int) -> int:
        """Where the next bytes that are here begin, at most `end`."""
        number = bisect_right(self.held, (at, self.length, 0))
        return min(end, self.held[number][0]) if number < len(self.held) else end


class ZipInParts(ZipFormat):
    """A zip of which the directory is read at once, and of the members those that are wanted."""

    def __init__(self, source: Source) -> None:
        opened = source.opened
        if opened.ask is None:
            raise Refusal("nobody brings the parts of this archive", "A17")
        self.supplied = Supplied(opened, opened.ask)
        super().__init__(Source(opened, [Piece(opened.length, self.supplied.pread)]))
        self.extents = Extents(self.pread, self.layout.directory)
        self.layout = self.extents

    def members(self) -> list[Member]:
        found = super().members()
        if self.foreign or any(entry.flags & ENCRYPTED for entry in self.entries):
            raise Refusal("its members can be unpacked only where the whole archive is", "A21")
        return found

    def stream(self, wanted: Iterable[Member], consume: Consume) -> None:
        chosen = list(wanted)
        numbers = [member.number for member in chosen]
        spans = [(self.entries[number].offset, self.extents.limits[number]) for number in numbers]
        self.supplied.complete = False
        self.supplied.bring(spans, numbers)
        self.supplied.complete = True
        for number in numbers:
            self.extents.examine(self.entries[number])
        super().stream(chosen, consume)


class Extents(Layout):
    """Where members begin and end, as far as the directory tells."""

    limits: dict[int, int]  # number of a member -> where the next one, or the directory, begins

    def check(self) -> None:
        """Judge what can be judged without the local headers."""
        begin = self.directory.begin
        ordered = sorted(self.directory.entries, key=lambda entry: entry.offset)
        first = ordered[0].offset if ordered else begin
        if first:
            raise Refusal(f"{first} bytes stand before the first member", "A17")
        self.limits = {}
        for entry, following in pairwise((*ordered, None)):
            assert entry is not None  # noqa: S101 - only the last one is
            limit = begin if following is None else following.offset
            behind = limit - entry.offset - _LOCAL_SIZE - len(entry.raw) - entry.packed
            if behind < 0:
                raise Refusal(f"the member {entry.raw!r} overlaps another one, or the directory", "A10")
            if behind > _MOST_BEHIND:
                raise Refusal(f"nothing explains {behind} bytes behind the member {entry.raw!r}", "A17")
            self.limits[entry.number] = limit

    def examine(self, entry: Entry) -> None:
        """Hold a member that is here against the directory, as every member of a whole zip is."""
        limit = self.limits[entry.number]
        self._check_extent(entry, limit, last=limit == self.directory.begin)
