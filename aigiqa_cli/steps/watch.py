"""fetch --watch: wait until a person's browser has put the file into a folder, and know it by its content.

Polling, because it works on network drives and under WSL, where notifications do not. A file is done when nothing
marks it as being in progress, it has been still for a while, its container opens by its end, and its content is that
of the database. Files that lay there before are named, never taken silently.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli.context import Context
from aigiqa_cli.errors import Fault, UsageFault
from aigiqa_cli.installing.recognising import Given, look, whose

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database

IN_PROGRESS = (
    ".crdownload", ".part", ".download", ".partial", ".tmp", ".aria2", ".opdownload", ".xltd", ".td",
    ".baiduyun.p.downloading", ".downloading",
)  # fmt: skip
PAUSE = 1.0  # seconds between two looks
STILL = 3.0  # seconds without a change of size or time

Stamp = tuple[int, int]  # bytes, modification time in ns


@dataclass
class Watcher:
    """Looks at one folder again and again for one database."""

    context: Context
    database: Database
    folder: Path
    password: str = ""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _older: frozenset[tuple[Path, Stamp]] = frozenset()
    _since: dict[Path, tuple[Stamp, float]] = field(default_factory=dict)
    _judged: dict[Path, frozenset[tuple[Path, Stamp]]] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def wait(self) -> list[Given]:
        """Return what arrived and belongs to the database; ends only then (or by Ctrl-C, which is always fine)."""
        if not self.folder.is_dir():
            raise UsageFault(f"{self.folder} is not a folder to watch", hint="name the browser's download folder")
        before = dict(self._files())
        self._name_older(before)
        self._older = frozenset(before.items())
        self.context.reporter.note(f"watching {self.folder}; Ctrl-C ends it, aigiqa import goes on later")
        while True:
            found = {given.file.paths: given for given in self._arrived()}  # the volumes of a set are one thing
            if found:
                return list(found.values())
            self.sleep(PAUSE)

    def _name_older(self, before: dict[Path, Stamp]) -> None:
        sizes = {asset.bytes for asset in self.database.assets if asset.bytes}
        names = {asset.published_name.rpartition("/")[2] for asset in self.database.assets}
        for path, (size, _) in before.items():
            if path.name in names or size in sizes:
                text = f"{path} lay here before; if it is the file: aigiqa import {self.database.id} {path}"
                self.context.reporter.note(text)

    def _files(self) -> Iterator[tuple[Path, Stamp]]:
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    yield Path(entry.path), (status.st_size, status.st_mtime_ns)

    def _arrived(self) -> Iterator[Given]:
        """What is whole now. A file that was not is looked at again when another one has come: volumes arrive in any
        order."""
        files = dict(self._files())
        names = {path.name for path in files}
        now = self.clock()
        for path, stamp in files.items():
            if self._since.get(path, (None, 0.0))[0] != stamp:
                self._since[path] = (stamp, now)
        still = frozenset(
            (path, stamp)
            for path, stamp in files.items()
            if now - self._since[path][1] >= STILL and not in_progress(path, names)
        )
        for path, _ in sorted(still - self._older):
            if self._judged.get(path) != still:
                self._judged[path] = still
                given = self._recognised(path)
                if given is not None:
                    yield given

    def _recognised(self, path: Path) -> Given | None:
        """What arrived, if its container is whole and its content is the database's; a cut one is not whole yet."""
        try:
            given = look(path, password=self.password)
            owner = whose([self.database], given, self.context.root.staging) if given.shape != "unknown" else None
        except Fault as fault:
            self._tell(f"{path.name}: not it, or not whole yet: {fault.message}")
            return None
        if owner is None:
            self._tell(f"{path.name}: not a file of {self.database.title}")
            return None
        self._tell(f"{path.name}: recognised")
        return given

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.context.reporter.note(text)


def in_progress(path: Path, names: set[str]) -> bool:
    """Is a program still writing it? Also true of the empty final name that some browsers keep beside their part."""
    if path.name.lower().endswith(IN_PROGRESS):
        return True
    beside = (path.name + suffix for suffix in IN_PROGRESS)
    replaced = (path.stem + suffix for suffix in IN_PROGRESS)
    return any(name in names for name in (*beside, *replaced))
