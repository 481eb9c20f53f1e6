"""The workbench of one repair: what is lost, what has been restored, from where, and what went wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli import folders
from aigiqa_cli.context import Context
from aigiqa_cli.digests import sha256_bytes, sha256_file
from aigiqa_cli.errors import Fault, Finding, IntegrityFault, MachineFault, UsageFault
from aigiqa_cli.installing.assembly import MANIFEST
from aigiqa_cli.installing.matching import IMAGES, REFERENCES
from aigiqa_cli.manifest import load
from aigiqa_cli.store import Mend, Record, Staging, StoredFile, mend

if TYPE_CHECKING:
    from aigiqa_cli.installing import File
    from aigiqa_cli.manifest.models import Asset, Database
    from aigiqa_cli.obtaining import Obtained

MAX_NAMED = 3
MAX_LISTED = 50


@dataclass(frozen=True)
class Lost:
    """A recorded file without its recorded bytes; `find` are the path endings under which archives hold it."""

    file: StoredFile
    problem: str
    find: tuple[str, ...] = ()


@dataclass(frozen=True)
class Restored:
    """A file that has its bytes again: how, from where, and how many bytes were fetched for it alone."""

    path: str
    problem: str
    how: str
    origin: str
    moved: int


@dataclass
class Bench:
    """One repair. `lost` shrinks as files are restored; `moved` counts all bytes that were fetched, directories of
    archives and whole downloads included; `from_whom` the same by source."""

    context: Context
    record: Record
    work: Staging
    lost: dict[str, Lost]
    password: str = field(default="", repr=False)
    restored: list[Restored] = field(default_factory=list)
    quarantined: list[Path] = field(default_factory=list)
    failures: list[tuple[str, Fault]] = field(default_factory=list)
    refused: list[Finding] = field(default_factory=list)
    from_whom: dict[str, int] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def name(self) -> str:
        return self.record.database

    @property
    def moved(self) -> int:
        return sum(self.from_whom.values())

    @property
    def pictures(self) -> list[Lost]:
        return [*self.below(IMAGES), *self.below(REFERENCES)]

    def below(self, folder: str) -> list[Lost]:
        """What is lost of one folder."""
        return [lost for path, lost in self.lost.items() if path.startswith(f"{folder}/")]

    def still(self, wanted: Iterable[Lost]) -> list[Lost]:
        """Those of `wanted` that are lost still."""
        return [self.lost[lost.file.path] for lost in wanted if lost.file.path in self.lost]

    @cached_property
    def recorded(self) -> Database:
        """The manifest that the database was built from, if it is to be had; else the present one."""
        installed = self.context.root.folder(self.name) / MANIFEST
        if MANIFEST not in self.lost and sha256_file(installed)[0] == self.record.manifest_sha256:
            return load(installed, of=self.name)
        return self.present

    @cached_property
    def present(self) -> Database:
        """The manifest of today, whose mirrors are tried; the installed one where the catalogue has none any more."""
        try:
            return self.context.catalogue.database(self.name)
        except UsageFault:
            if MANIFEST in self.lost:
                raise
            return self.recorded

    @property
    def manifest(self) -> bytes:
        """The text of `recorded`."""
        installed = self.context.root.folder(self.name) / MANIFEST
        if MANIFEST not in self.lost:
            data = installed.read_bytes()
            if sha256_bytes(data) == self.record.manifest_sha256:
                return data
        return self.context.manifest_bytes(self.name)

    def folder(self) -> Path:
        """A new folder in staging, into which archives can be unpacked."""
        path = self.work.folder / f"opened-{next(self._numbers)}"
        folders.make(path, 0o700)
        return path

    def staged(self) -> str:
        """A name below the staging folder that nothing has yet."""
        return f"{self.work.scratch.name}/{next(self._numbers)}"

    def write(self, data: bytes) -> Path:
        """Bytes that were made here, in staging."""
        path = self.work.folder / self.staged()
        with folders.new_file(path) as stream:
            stream.write(data)
        return path

    def place(self, found: Iterable[tuple[Lost, Path, int]], how: str, origin: str) -> None:
        """Put proven bytes in their place: (what is lost, where its bytes lie, how many were fetched for it)."""
        chosen = list(found)
        mends = [
            Mend(
                lost.file,
                path,
                {
                    "database": self.name,
                    "path": lost.file.path,
                    "problem": lost.problem,
                    "expected_sha256": lost.file.sha256,
                    "expected_bytes": str(lost.file.bytes),
                },
            )
            for lost, path, _ in chosen
        ]
        for aside in mend(self.context.root, self.name, mends):
            self.quarantined.append(aside)
            self.context.reporter.detail(f"kept in quarantine: {aside}")
        for lost, _, moved in chosen:
            del self.lost[lost.file.path]
            self.restored.append(Restored(lost.file.path, lost.problem, how, origin, moved))

    def obtain(self, obtained: Obtained, asset: Asset) -> File | None:
        """A published file from its own mirrors; None if none of them helps."""
        try:
            file = obtained.file(self.present, asset)
        except Fault as fault:
            self.failed("", fault)
            return None
        self.fetched(file.origin, file.digest[1])
        return file

    def fetched(self, origin: str, count: int) -> None:
        """Count bytes that came from somewhere."""
        if count:
            self.from_whom[origin] = self.from_whom.get(origin, 0) + count

    def failed(self, origin: str, fault: Fault) -> None:
        """A source that did not help; others may. What is this machine's own is raised."""
        if isinstance(fault, MachineFault) or fault.fault == "S11":
            raise fault
        self.failures.append((origin, fault))
        about = f"{origin}: " if origin else ""
        self.context.reporter.detail(self.context.session.redact(f"{about}{fault.message}"))

    def refuse(self, lost: Lost, origin: str, sha256: str) -> None:
        """Other bytes than the recorded ones: they are never taken."""
        self.refused.append(Finding(self.name, lost.file.path, f"other bytes at {origin}", lost.file.sha256, sha256))

    def look_for(self, find: dict[str, tuple[str, ...]]) -> None:
        """Set the path endings of what is lost."""
        for path, endings in find.items():
            if path in self.lost:
                self.lost[path] = replace(self.lost[path], find=endings)

    @property
    def fault(self) -> Fault | None:
        """Why something is lost still: the fault of the source that came nearest; None if nothing is."""
        if not self.lost:
            return None
        names = ", ".join(list(self.lost)[:MAX_NAMED]) + (" ..." if len(self.lost) > MAX_NAMED else "")
        files = f"{len(self.lost)} file{'s' if len(self.lost) > 1 else ''} of {self.name}"
        telling = [fault for _, fault in self.failures if fault.shares] or [fault for _, fault in self.failures]
        if self.refused or not telling:
            return IntegrityFault(
                f"no source has the recorded bytes of {files}: {names}",
                hint=f"to install the published version anew: aigiqa fetch --force {self.name}",
                fault="S10",
                database=self.name,
                phase="CHECK",
                shares=telling[0].shares if telling else (),
                findings=self.refused[:MAX_LISTED],
            )
        fault = telling[0]
        fault.message = f"{files} could not be restored ({names}): {fault.message}"
        fault.args = (fault.message,)
        fault.database = self.name
        return fault
