"""What lies in a folder, and what of it nobody is writing any more. By polling, because that works on network drives
and under WSL, where notifications do not."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from aigiqa_cli.archives import is_junk

IN_PROGRESS = (
    ".crdownload", ".part", ".download", ".partial", ".tmp", ".aria2", ".opdownload", ".xltd", ".td",
    ".baiduyun.p.downloading", ".downloading",
)  # fmt: skip
STILL = 3.0  # seconds without a change
_SHARE = 10  # a folder is gone through again after at least so many times as long as that took


class Stamp(NamedTuple):
    """What changes when a file, or anything in a folder, does: how many files, their bytes together, the newest
    modification time in ns."""

    files: int
    bytes: int
    newest: int


@dataclass
class Stillness:
    """Looks at the entries of one folder again and again; `spared` (the data root) is none of them."""

    folder: Path
    spared: Path
    clock: Callable[[], float]
    moving: frozenset[Path] = frozenset()  # what was there at the last look, and is not still yet
    _since: dict[Path, tuple[Stamp, float]] = field(default_factory=dict)
    _walked: dict[Path, tuple[Stamp, bool, float]] = field(default_factory=dict)  # until when that holds

    def stamps(self) -> dict[Path, tuple[Stamp, bool]]:
        """Every file and folder, and whether something in the folder is in progress. Raises OSError for a folder that
        cannot be listed."""
        return {path: found for path, status in _entries(self.folder) if (found := self._stamp(path, status))}

    def still(self, before: dict[Path, Stamp]) -> dict[Path, Stamp]:
        """What has not changed for a while and is not in progress. What lay there `before` and has not changed since
        marks nothing as in progress: an abandoned download must not block another one."""
        found = self.stamps()
        now = self.clock()
        for path, (stamp, _) in found.items():
            if self._since.get(path, (None, 0.0))[0] != stamp:
                self._since[path] = (stamp, now)
        self._since = {path: self._since[path] for path in found}
        names = {path.name for path, (stamp, _) in found.items() if before.get(path) != stamp}
        still = {
            path: stamp
            for path, (stamp, busy) in found.items()
            if not busy and now - self._since[path][1] >= STILL and not in_progress(path, names)
        }
        self.moving = frozenset(found.keys() - still.keys())
        return still

    def changed(self, path: Path, stamp: Stamp) -> bool:
        """Is it another one now, or in progress again?"""
        try:
            status = path.stat(follow_symlinks=False)
        except OSError:
            return True
        self._walked.pop(path, None)
        return self._stamp(path, status) != (stamp, False)

    def _stamp(self, path: Path, status: os.stat_result) -> tuple[Stamp, bool] | None:
        if stat.S_ISREG(status.st_mode):
            return Stamp(1, status.st_size, status.st_mtime_ns), False
        if not stat.S_ISDIR(status.st_mode) or self.spared.is_relative_to(self.folder.resolve() / path.name):
            return None
        begun = self.clock()
        if path in self._walked and begun < self._walked[path][2]:
            return self._walked[path][:2]
        stamp, busy = _of_tree(path, status.st_mtime_ns)
        ended = self.clock()
        self._walked[path] = stamp, busy, ended + _SHARE * (ended - begun)
        return stamp, busy


def _of_tree(path: Path, newest: int) -> tuple[Stamp, bool]:
    """The stamp of a folder with all that is in it, and whether a program is still writing something there."""
    files = total = 0
    busy = False
    folders = [path]
    while folders:
        try:
            entries = dict(_entries(folders.pop()))
        except OSError:
            continue
        names = {entry.name for entry in entries}
        for entry, status in entries.items():
            newest = max(newest, status.st_mtime_ns)
            if stat.S_ISDIR(status.st_mode):
                folders.append(entry)
            else:
                files, total = files + 1, total + status.st_size
                busy = busy or in_progress(entry, names)
    return Stamp(files, total, newest), busy


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Files and folders with their status; links are nobody's download, and a file may go while it is looked at."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_junk(entry.name):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                yield Path(entry.path), status


def in_progress(path: Path, names: set[str]) -> bool:
    """Is a program still writing it? Also true of the empty final name that some browsers keep beside their part."""
    if path.name.lower().endswith(IN_PROGRESS):
        return True
    beside = (path.name + suffix for suffix in IN_PROGRESS)
    replaced = (path.stem + suffix for suffix in IN_PROGRESS)
    return any(name in names for name in (*beside, *replaced))
