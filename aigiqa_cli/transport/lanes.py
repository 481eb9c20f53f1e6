"""One file over several connections, where that is faster; the bytes come out in order, as over one.

One connection is listened to first. If it leaves much to do, a second one fetches a piece further on, and both together
must bring clearly more than the first alone, or the second is given up: then the line is full, not the connection, and
nobody is asked for more. Otherwise pieces are shared out among a few lanes, of which other mirrors of the same pinned
bytes get some. Who is quick takes more pieces; the piece that all wait for is fetched a second time by whoever has
nothing to do. Pieces wait in memory for their turn, a few of them at most, so that the part on disk only ever grows at
its end: whatever stops the run, what is there is the beginning of the file.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from aigiqa_cli.errors import Fault, TemporaryFault
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.transport.model import Again, Later
from aigiqa_cli.transport.pace import Pace, Stopped
from aigiqa_cli.transport.ranges import RemoteFile
from aigiqa_cli.transport.session import Session

if TYPE_CHECKING:
    from aigiqa_cli.transport.answer import Answer

LISTEN = 1.0  # seconds with one connection, and again with two, before it is decided
WORTH = 16 << 20  # bytes: less comes over one connection
WAIT = 1.5  # seconds until the second connection brings its first byte: some hosts are far away
LEFT = 6.0  # seconds of work that must be left to be worth it
GAIN = 1.25  # what two connections must bring of what one did
SMALLEST, LARGEST = 1 << 20, 4 << 20  # bytes of a piece: about what a lane brings in a second
AHEAD = 8  # pieces that may wait for their turn, or be on their way
_BLOCK = 1 << 16
_TRIES = 2  # failures in a row after which a lane is given up
_LATE = 2.0  # times as long as usual: then somebody else may fetch the piece, too


def is_much(left: int) -> bool:
    """Are so many bytes worth a look at the rate?"""
    return left >= WORTH


@dataclass(frozen=True)
class Mirror:
    """Where lanes lead to: one version of the file at one mirror; all its lanes keep one pace."""

    remote: RemoteFile
    pace: Pace

    @property
    def label(self) -> str:
        return self.remote.source.label


class Pieces:
    """The rest of a file, from `begin` to `end`, in pieces of `size` bytes that are shared out and put in order."""

    def __init__(self, begin: int, end: int, size: int) -> None:
        self.begin, self.end, self.size = begin, end, size
        self.count = -(-(end - begin) // size)
        self.given = 0  # pieces that were taken out, in order
        self.moved = 0  # bytes that lanes have brought
        self.lanes: Counter[str] = Counter()  # at work, by the label of their mirror
        self.fault: Fault | None = None  # the last one that ended a lane
        self._changed = threading.Condition()
        self._ready: dict[int, bytes | bytearray] = {}
        self._fresh = iter(range(self.count))
        self._next = next(self._fresh, None)
        self._returned: list[int] = []
        self._begun: dict[int, list[float]] = {}  # pieces on their way: when each try began
        self._usual = LISTEN
        self._over = False
        self._made = self._heard = time.monotonic()
        self._compared: tuple[float, int, int] | None = None

    def span(self, number: int) -> tuple[int, int]:
        begin = self.begin + number * self.size
        return begin, min(begin + self.size, self.end)

    def take(self) -> int | None:
        """A piece to be fetched; None when there is nothing to do any more. Waits for its turn."""
        with self._changed:
            while not self._over and self.given + len(self._ready) < self.count:
                number = self._choice()
                if number is not None:
                    self._begun.setdefault(number, []).append(time.monotonic())
                    return number
                self._changed.wait(0.1)
            return None

    def _choice(self) -> int | None:
        if self._returned:
            return self._returned.pop(0)
        if self._next is not None and self._next < self.given + AHEAD:
            number, self._next = self._next, next(self._fresh, None)
            return number
        head = self._begun.get(self.given, [])
        late = len(head) == 1 and time.monotonic() - head[0] > _LATE * self._usual
        return self.given if late else None

    def is_wanted(self, number: int) -> bool:
        return not self._over and number >= self.given and number not in self._ready

    def deliver(self, number: int, data: bytes | bytearray) -> None:
        with self._changed:
            begun = self._begun.pop(number, [])
            if begun:
                self._usual = (self._usual + time.monotonic() - begun[-1]) / 2
            if self.is_wanted(number):
                self._ready[number] = data
            self._changed.notify_all()

    def give_back(self, number: int) -> None:
        with self._changed:
            begun = self._begun.get(number, [])
            if begun:
                begun.pop()
            if not begun and self.is_wanted(number):
                self._begun.pop(number, None)
                self._returned = sorted([*self._returned, number])
            self._changed.notify_all()

    def heard(self, count: int) -> None:
        with self._changed:
            self.moved += count
            self._heard = time.monotonic()

    def gain(self, beside: int, at_once: bool) -> float | None:
        """Bytes a second of the first connection, which has brought `beside` bytes meanwhile, and of these lanes, since
        their first byte; None while it is too early to tell."""
        now = time.monotonic()
        if not self.moved:
            return 0.0 if at_once or not self.lanes.total() or now - self._made > WAIT else None
        if self._compared is None:
            self._compared = now, beside, self.moved
            return 0.0 if at_once else None
        since, was, had = self._compared
        if now - since < LISTEN and not at_once:
            return None
        # A lane that is quick has nothing more to do after a moment: its pieces are not asked for yet.
        own = (self.moved - had) / max(self._heard - since, 1e-3)
        return (beside - was) / max(now - since, 1e-3) + own

    def enter(self, mirror: str) -> None:
        with self._changed:
            self.lanes[mirror] += 1

    def leave(self, mirror: str, fault: Fault | None) -> None:
        with self._changed:
            self.lanes[mirror] -= 1
            self.fault = fault or self.fault
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _why(self) -> TemporaryFault:
        """Why no lane is left. What else than time helps, one connection will find out."""
        if isinstance(self.fault, TemporaryFault):
            return self.fault
        if self.fault is not None:
            return Again(self.fault.message, fault=self.fault.fault)
        return Again("every connection ended before the end of the file", fault="N01")

    def rest(self) -> Iterator[bytes]:
        """All pieces in order. Raises TemporaryFault where no lane is left."""
        while self.given < self.count:
            with self._changed:
                while self.given not in self._ready:
                    if not self.lanes.total():
                        raise self._why()
                    self._changed.wait(1.0)
                data = self._ready.pop(self.given)
                self.given += 1
                self._changed.notify_all()
            for at in range(0, len(data), _BLOCK):
                yield bytes(data[at : at + _BLOCK])


class Lanes:
    """The download of one file from where its first answer stands. Use as a context manager."""

    def __init__(self, first: Mirror, others: Sequence[Mirror], session: Session, reporter: Reporter, end: int) -> None:
        self.first, self.others = first, list(others)
        self.session, self.reporter, self.end = session, reporter, end
        self.pieces: Pieces | None = None
        self.helped: set[str] = set()  # labels of the mirrors that delivered pieces

    def blocks(self, answer: Answer, at: int) -> Iterator[bytes]:
        """What follows from `at` to the end, in order: from the answer, and from lanes once they are worth it."""
        begun, came, stop = time.monotonic(), 0, self.end
        alone, trying = 0.0, False  # bytes a second of one connection; whether a second one is tried
        while block := answer.read(min(_BLOCK, stop - at)) if at < stop else b"":
            yield block
            at, came = at + len(block), came + len(block)
            spent = time.monotonic() - begun
            if spent < LISTEN and at < stop and not trying:
                continue
            if not alone:
                alone = came / spent
                if self.end - at < LEFT * alone:
                    break
                stop, trying = self._try(at, alone), True
                begun, came = time.monotonic(), 0
            elif trying and self.pieces:
                gained = self.pieces.gain(came, at >= stop)
                if gained is None:
                    continue
                trying = False
                if gained < GAIN * alone:
                    self.pieces.stop()
                    self.pieces, stop = None, self.end
                else:
                    self._widen(alone)
        if self.pieces and at >= stop:
            answer.close()
            self._start(self.first)
            yield from self.pieces.rest()
            return
        while block := answer.read(_BLOCK):
            yield block

    def _try(self, at: int, alone: float) -> int:
        """One lane more, which begins where the first connection will be when it is decided."""
        begin = at + int((WAIT + LISTEN) * alone)
        size = min(max(int(alone * LISTEN), SMALLEST), LARGEST)
        self.pieces = Pieces(begin, self.end, size)
        self._start(self.others[0] if self.others else self.first)
        return begin

    def _widen(self, alone: float) -> None:
        """As many lanes as may be; the first connection becomes one of them when it comes to the first piece."""
        mirrors = [*self.others[1:], *[self.first] * self.session.limits.connections]
        for mirror in mirrors[: self.session.limits.connections - 2]:
            self._start(mirror)
        rate = f"{alone / 1e6:,.1f} MB/s over one connection"
        self.reporter.detail(f"{self.first.label}: {rate}; more are used")

    def _start(self, mirror: Mirror) -> None:
        assert self.pieces is not None  # noqa: S101 - made before the first lane
        self.pieces.enter(mirror.label)
        thread = threading.Thread(target=self._work, args=(mirror, self.pieces), daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no thread can be started: what there is must do (S09)
            self.pieces.leave(mirror.label, Again(str(error), fault="S09"))

    def _work(self, mirror: Mirror, pieces: Pieces) -> None:
        fault: Fault | None = None
        try:
            limits = replace(self.session.limits, tries=1)
            about = self.session.settings
            with suppress(Stopped), Session(settings=about, limits=limits, pace=mirror.pace) as session:
                fault = self._fetch(mirror, pieces, session)
        except Fault as error:
            fault = error
        finally:
            if fault:
                self.reporter.detail(self.session.redact(f"{mirror.label}: {fault.message}"))
            pieces.leave(mirror.label, fault)

    def _fetch(self, mirror: Mirror, pieces: Pieces, session: Session) -> Fault | None:
        """Piece after piece; returns why the lane is given up, None if nothing is left to do."""
        remote = mirror.remote
        if mirror is not self.first and remote.settle(session) != self.end:
            return Later(f"{mirror.label} has a file of another length", fault="N04")
        failures = 0
        while (number := pieces.take()) is not None:
            try:
                data = self._piece(remote, pieces, number, session)
            except TemporaryFault as fault:
                pieces.give_back(number)
                failures += 1
                busy = isinstance(fault, Later) and fault.fault == "N13"
                if failures >= _TRIES or (busy and pieces.lanes[mirror.label] > 1):  # who is busy is asked less
                    return fault
            except BaseException:
                pieces.give_back(number)
                raise
            else:
                failures = 0
                if data is not None:
                    self.helped.add(mirror.label)
                    pieces.deliver(number, data)
        return None

    def _piece(self, remote: RemoteFile, pieces: Pieces, number: int, session: Session) -> bytearray | None:
        """The bytes of one piece; None if somebody else was quicker."""
        begin, end = pieces.span(number)
        held = bytearray(end - begin)
        for at, block in remote.stream(session, (begin, end)):
            held[at - begin : at - begin + len(block)] = block
            pieces.heard(len(block))
            if not pieces.is_wanted(number):
                return None
        return held

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        if self.pieces:
            self.pieces.stop()
        for mirror in (self.first, *self.others):
            mirror.pace.stopped.set()
