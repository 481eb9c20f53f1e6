"""fetch --watch: wait until a person's browser has put the file into a folder, and know it by its content.

A file is done when nothing marks it as being in progress, it has been still for a while, its container opens by its
end, and its content is that of the database. What was recognised is kept until all that was asked for is there: then
everything is installed together. Files that lay there before are named, never taken silently.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from aigiqa_cli.context import Context
from aigiqa_cli.errors import (
    Fault,
    IntegrityFault,
    MachineFault,
    PersonNeeded,
    RefusedInput,
    TemporaryFault,
    UsageFault,
)
from aigiqa_cli.installing import passwords
from aigiqa_cli.installing.belonging import Evidence, examine, settle
from aigiqa_cli.installing.recognising import HEAD, Given, entries, look
from aigiqa_cli.machine import is_passing
from aigiqa_cli.store import staged
from aigiqa_cli.watching.older import import_line, is_enough, loose_pictures, offers
from aigiqa_cli.watching.stillness import Stamp, Stillness

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database

PAUSE = 1.0  # seconds between two looks
PATIENCE = 60.0  # seconds until what failed for the moment is tried again
_PERSON = ("A20", "A29")  # a password or a program is missing: no download will bring it
_MISSING = ("N27", "A26")  # volumes: the others come, or come again
# what comes later may put this right: a part of it is missing, or was cut off
_CUT = ("A10", "A12", "A16", "A17", "A18", "A19", "A23", "A25", "A26", "I01", "I03", "I07", "I10")

Done = TypeVar("Done")
Key = tuple[tuple[Path, Stamp], ...]  # of one thing: its volumes as they were when they were looked at


@dataclass
class Watcher:
    """Looks at one folder again and again for one database.

    `labels`: its labels alone are what was asked for. `show` is given every fault that names shares.
    """

    context: Context
    database: Database
    folder: Path
    password: str = field(default="", repr=False)
    labels: bool = False
    show: Callable[[Fault], None] = lambda _fault: None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _before: dict[Path, Stamp] = field(default_factory=dict)
    _seen: dict[Path, Stamp] | None = None
    _found: dict[Key, list[Evidence]] = field(default_factory=dict)
    _tried: frozenset[Key] = frozenset()
    _again: float = math.inf
    _told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._stillness = Stillness(self.folder, self.context.root.path.resolve(), self.clock)
        self.password = self.password or passwords.declared(self.database)

    def wait(self, install: Callable[[list[Given]], Done]) -> Done:
        """What `install` makes of everything that arrived and belongs to the database, as soon as that is enough.

        Ends only then, when a person has to do more than to download (exit 3), or by Ctrl-C, which is always fine.
        """
        self._before = self._begin()
        older = offers(self.context.root, self.database, sorted(self._before), self.password)
        while True:
            self._judge()
            done = self._attempt(install)
            if done is not None:
                return done
            self._offer(older)
            self.sleep(PAUSE)

    def _offer(self, older: Iterator[str]) -> None:
        """As many of the older files as fit between two looks."""
        begun = self.clock()
        for text in older:
            if text:
                self._tell(text)
            if self.clock() >= begun + PAUSE:
                return

    def _begin(self) -> dict[Path, Stamp]:
        hint = "name the browser's download folder"
        if not self.folder.is_dir():
            raise UsageFault(f"{self.folder} is not a folder to watch", hint=hint, phase="PLAN")
        try:
            before = {path: stamp for path, (stamp, _) in self._stillness.stamps().items()}
        except OSError as error:
            raise UsageFault(f"{self.folder} cannot be watched: {error.strerror}", hint=hint, phase="PLAN") from None
        self.context.root.prepare()
        self.context.reporter.note(f"watching {self.folder}; Ctrl-C ends it, aigiqa import goes on later")
        self._phase()
        return before

    def _phase(self) -> None:
        self.context.reporter.phase(f"waiting for {self.database.title}", unit="")

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.context.reporter.note(text)

    # what arrived

    def _judge(self) -> None:
        """Look at what has become still; what is gone or has changed is not what it was."""
        try:
            still = self._stillness.still(self._before)
        except OSError as error:  # a network drive may be gone for a while
            self._tell(f"{self.folder} cannot be read: {error.strerror}")
            return
        if still == self._seen:
            return
        self._seen = still
        fresh = [path for path in sorted(still) if self._before.get(path) != still[path]]
        loose = loose_pictures(self.database, fresh)
        things = [(given, given.file.paths) for given in self._looked_at(path for path in fresh if path not in loose)]
        if is_enough(self.database, loose) and not loose_pictures(self.database, self._stillness.moving):
            things.append((look(self.folder), tuple(sorted(loose))))  # single files: the folder is what they lie in
        found: dict[Key, list[Evidence]] = {}
        for given, paths in things:
            if still.keys() >= set(paths):
                key = tuple((path, still[path]) for path in paths)
                found[key] = self._found[key] if key in self._found else self._examined(given)
        self._found = found

    def _looked_at(self, paths: Iterable[Path]) -> Iterator[Given]:
        """What kind of thing each is; the volumes of a set are one."""
        taken: set[Path] = set()
        for path in paths:
            if path in taken:
                continue
            try:
                given = look(path, password=self.password)
            except UsageFault:  # gone meanwhile
                continue
            except Fault as fault:
                missing = fault.fault in _MISSING
                self._tell(f"not whole yet: {fault.message}" if missing else f"{fault.message}; {fault.hint}")
                continue
            except OSError as error:
                self._unreadable(path, error)
                continue
            taken |= set(given.file.paths)
            yield given

    def _examined(self, given: Given, *, inside: bool = False) -> list[Evidence]:
        """What the thing tells, or what lies in it if it is a folder of downloads."""
        try:
            with staged(self.context.root, "sorting") as work, passwords.explained([self.database], [given.file]):
                evidence = examine([self.database], given, work)
            within = entries(given.file.path) if evidence.owner is None and not inside else []
        except (MachineFault, TemporaryFault):
            raise
        except Fault as fault:
            if fault.fault in _PERSON:
                raise self._stopped(fault, [given]) from None
            self._tell(f"{given.file.name}: not it, or not whole yet: {fault.message}")
            return []
        except OSError as error:
            self._unreadable(given.file.path, error)
            return []
        if within:
            return [each for one in self._looked_at(within) for each in self._examined(one, inside=True)]
        self._tell(f"{given.file.name}: {self._verdict(evidence)}")
        return [evidence]

    def _verdict(self, evidence: Evidence) -> str:
        title, file = self.database.title, evidence.given.file
        if evidence.owner is not None:
            beside = any(path in self._before for path in file.paths) and file.volumes
            return f"recognised as {evidence.what} of {title}" + (", with volumes that lay here before" * bool(beside))
        if any(evidence.counts.values()):
            count = evidence.counts[self.database.id]
            return f"{count:,} pictures like those of {title}, too few by themselves"
        if evidence.given.shape == "unknown" and _is_hollow(file.path):
            return "not whole yet: there is nothing in it so far"
        return f"not a file of {title}" + (f": {evidence.given.why}" if evidence.given.why else "")

    def _unreadable(self, path: Path, error: OSError) -> None:
        """One file that cannot be read is passed over; a machine that refuses everything is not."""
        if is_passing(error):
            raise error
        if path.exists():
            self._tell(f"{path.name} cannot be read: {error.strerror}")

    # what came of it

    def _attempt(self, install: Callable[[list[Given]], Done]) -> Done | None:
        """Install if what is here may be enough, and is not what has failed before."""
        newest = [(max(s.newest for _, s in key), key, e) for key, es in self._found.items() for e in es]
        known = [(at, key, replace(evidence)) for at, key, evidence in sorted(newest, key=lambda item: -item[0])]
        settle([self.database], [evidence for _, _, evidence in known])
        owned = [(key, evidence) for _, key, evidence in known if evidence.owner is not None]
        keys = frozenset(key for key, _ in owned)
        enough = any(evidence.what == "images" or (self.labels and evidence.what == "labels") for _, evidence in owned)
        if not enough or (keys == self._tried and self.clock() < self._again):
            return None
        self._tried, self._again = keys, math.inf
        for chosen in _choices([evidence for _, evidence in owned]):
            try:
                return install(chosen)
            except Fault as fault:
                if fault.fault in _PERSON:
                    raise self._stopped(fault, chosen) from None
                if not self._may_change(fault, keys):
                    raise
                self._put_off(fault)
            except FileNotFoundError as error:
                if all(path.exists() for given in chosen for path in given.file.paths):
                    raise
                self._tell(f"gone while it was read: {error.filename}")
        self._phase()
        return None

    def _may_change(self, fault: Fault, keys: Iterable[Key]) -> bool:
        """May what is still to come put it right? It may always where something is not any more what was looked at,
        and where a folder was taken for whole while it was still being filled."""
        if isinstance(fault, TemporaryFault | PersonNeeded):
            return True
        if not isinstance(fault, IntegrityFault | RefusedInput):
            return False
        parts = [part for key in keys for part in key]
        unsteady = any(path.is_dir() or self._stillness.changed(path, stamp) for path, stamp in parts)
        return fault.fault in _CUT or unsteady

    def _put_off(self, fault: Fault) -> None:
        self._tell(f"not enough yet: {fault.message}")
        if fault.shares:
            self.show(fault)
        if isinstance(fault, TemporaryFault):
            self._again = self.clock() + PATIENCE

    def _stopped(self, fault: Fault, given: Sequence[Given]) -> Fault:
        """A person has to do more than to download: with the command that then goes on."""
        line = import_line(self.database, [one.file.path for one in given])
        line += " --password PASSWORD" if fault.fault == "A20" else ""
        fault.hint = f"{fault.hint}; then: {line}" if fault.hint else line
        fault.database = self.database.id
        return fault


def _choices(owned: Sequence[Evidence]) -> list[list[Given]]:
    """Everything together; then each container of images without the others, the newest first: one that was cut off
    must not spoil another one that is whole."""
    pictured = [evidence for evidence in owned if evidence.what == "images"]
    others = [evidence.given for evidence in owned if evidence.what != "images"]
    alone = [[evidence.given, *others] for evidence in pictured] if len(pictured) > 1 else []
    return [[evidence.given for evidence in owned], *alone]


def _is_hollow(path: Path) -> bool:
    """Is there nothing in it yet? So it is with space that was set aside, and with a name that was."""
    with path.open("rb") as stream:
        return not any(stream.read(HEAD))
