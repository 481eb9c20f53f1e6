"""A zip that is unpacked while it arrives: its download goes on in a thread of its own.

Nothing is gained by guessing: the end of the file, which holds the directory, is asked for first, and only where a host
gives out parts of one certain version. Whatever goes wrong, the work is done once more when the whole file is here, so
that a person hears of it in the same words, after the same checks, as if this room were not there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli.context import Context
from aigiqa_cli.errors import Fault
from aigiqa_cli.reporting import Forwarding, Reporter, Silent
from aigiqa_cli.transport import parts
from aigiqa_cli.transport.model import Received, Source, Wanted
from aigiqa_cli.transport.ranges import RemoteFile
from aigiqa_cli.transport.receive import receive
from aigiqa_cli.transport.session import Session

if TYPE_CHECKING:
    from aigiqa_cli.archives.arriving import Reading
    from aigiqa_cli.transport.parts import Part

WORTH = 32 << 20  # bytes: a smaller archive is unpacked in no time
TAIL = 66_000  # bytes at the end of a zip in which its end record is, and room ...
TAIL_EACH = 300  # ... for so much of the directory with each member
MOST_TAIL = 16 << 20
WINDOW = 64 << 20  # bytes by which a download that is read once may be ahead of what is unpacked


class CalledOff(BaseException):
    """Nobody waits for the download any more. No error: it only ends its thread."""


class Early:
    """The download of one file, and what is known of it so far."""

    def __init__(
        self, context: Context, wanted: Wanted, sources: Sequence[Source], remote: RemoteFile, tail: bytes, once: bool
    ) -> None:
        """`once`: what was unpacked of the file is given back to the disk, where it can."""
        self.wanted, self.length, self.tail = wanted, remote.length, tail
        self.off = False
        self._context, self._sources = context, sources
        self._part: Part | None = None
        self._replaced = False
        self._received: Received | None = None
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._over = False
        self._lost: list[Callable[[], None]] = []
        self.once: Reading | None = self if once else None
        self._behind = self._needed = 0  # bytes given up; bytes that are waited for
        self._is_held_back = once

    def start(self) -> bool:
        """Begin; False where no thread can be started."""
        try:
            threading.Thread(target=self._run, daemon=True).start()
        except RuntimeError:  # the download goes its plain way, which needs none (S09)
            return False
        return True

    def part(self) -> Path | None:
        """Where the file grows, once its first byte is on its way; None if that never comes."""
        with self._changed:
            self._changed.wait_for(lambda: self._part or self._over)
            return self._part.path if self._part and not self._replaced else None

    def received(self) -> Received:
        """The whole file. Raises the fault that kept it from arriving."""
        with self._changed:
            self._is_held_back = False
            self._changed.notify_all()
            while not self._over:
                self._changed.wait(1.0)
        if self._received is None:
            raise self._failure or CalledOff
        return self._received

    def finished(self) -> tuple[str, tuple[str, int]]:
        got = self.received()
        return got.source, (got.sha256, got.bytes)

    def on_loss(self, call: Callable[[], None]) -> None:
        """Call this when the file that was begun will never be here."""
        with self._changed:
            lost = self._is_lost()
            self._lost.append(call)
        if lost:
            call()

    def beside(self, reporter: Reporter) -> Reporter:
        return Meanwhile(self, reporter)

    @property
    def is_over(self) -> bool:
        return self._over

    @property
    def failure(self) -> Fault | None:
        """What ended the download before the file was here."""
        return self._failure if isinstance(self._failure, Fault) else None

    @property
    def is_spent(self) -> bool:
        """Is the beginning of the file gone, so that nothing can be told from it any more?"""
        return bool(self._part and self._part.has_hole and not self._replaced)

    def call_off(self) -> None:
        """End the download at its next byte; what is here stays for the next run, unless its beginning is gone."""
        with self._changed:
            self.off = True
            self._changed.notify_all()

    def keep_pace(self) -> None:
        """Called by the download after each block: wait until there is room."""
        with self._changed:
            self._changed.wait_for(self._has_room)

    def _has_room(self) -> bool:
        bound = max(self._needed, self._behind + WINDOW)
        return self.off or not self._is_held_back or self._part is None or self._part.size < bound

    def needs(self, end: int) -> None:
        with self._changed:
            self._needed = max(self._needed, end)
            self._changed.notify_all()

    def passed(self, end: int) -> None:
        with self._changed:
            if self._part and not self._replaced and self._is_held_back:
                self._behind = end
                self._is_held_back = self._part.give_up(end)
                if not self._is_held_back:
                    self._context.reporter.note("this disk takes nothing back: the archive keeps its room to the end")
            self._changed.notify_all()

    def _run(self) -> None:
        context = self._context
        try:
            self._received = receive(
                self.wanted,
                self._sources,
                context.root.partial,
                context.session,
                _Watched(self, context.reporter),
                self._see,
            )
        except BaseException as error:  # noqa: BLE001 - whoever asks for the file gets it (S24)
            self._failure = error
            if self.is_spent and self._part:
                self._part.discard()
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._tell()

    def _is_lost(self) -> bool:
        got = self._received
        return self._replaced or (self._over and (got is None or got.bytes != self.length))

    def _tell(self) -> None:
        for call in self._lost if self._is_lost() else ():
            call()

    def _see(self, part: Part) -> None:
        with self._changed:
            self._replaced = self._replaced or (self._part is not None and self._part is not part)
            if self._part is None and self.once:
                part.read_once()
            self._part = self._part or part
            self._is_held_back = self._is_held_back and not self._replaced
            self._changed.notify_all()
        self._tell()


class _Watched(Forwarding):
    """Tells how the download goes on, and ends it when it was called off."""

    def __init__(self, early: Early, reporter: Reporter) -> None:
        super().__init__(reporter)
        self._early = early

    def advance(self, amount: int = 1) -> None:
        if self._early.off:
            raise CalledOff
        super().advance(amount)
        self._early.keep_pace()


class Meanwhile(Forwarding):
    """The reporter of the work beside a download: one line of progress is enough, the download's while it lasts."""

    def __init__(self, early: Early, reporter: Reporter) -> None:
        super().__init__(reporter)
        self._early = early
        self._shown = False

    def phase(self, name: str, *, total: int | None = None, unit: str = "bytes", done: int = 0) -> None:
        self._shown = self._early.is_over
        if self._shown:
            super().phase(name, total=total, unit=unit, done=done)

    def advance(self, amount: int = 1) -> None:
        if self._shown:
            super().advance(amount)


def begin(
    context: Context, wanted: Wanted, sources: Sequence[Source], members: int, *, once: bool = False
) -> Early | None:
    """Begin to download a zip of about so many members, if it can be unpacked meanwhile; None if it cannot. `once`:
    the disk gets back what is unpacked, so that there is never more of it than a window, and no later run can go on."""
    if wanted.bytes and parts.longest(context.root.partial, parts.key(wanted, sources)) >= wanted.bytes:
        return None  # all of it is here: no mirror need be asked
    limits = replace(context.session.limits, tries=1)
    try:
        with Session(settings=context.settings, limits=limits, scratch=context.root.partial) as session:
            remote = RemoteFile(wanted, sources[0], session, Silent())
            tail = remote.tail(min(TAIL + TAIL_EACH * members, MOST_TAIL))
    except Fault:
        return None  # the download itself will say why, and try what else there is
    if remote.length < WORTH:
        return None
    early = Early(context, wanted, sources, remote, tail, once)
    return early if early.start() else None
