"""The data root: every path below it is named here and nowhere else.

<root>/index.csv                      one row per image of every installed database
<root>/<db>/                          a published database
<root>/.aigiqa/installed/<db>.json    the commit record
<root>/.aigiqa/health.json            what mirrors answered when they were asked last
<root>/.aigiqa/stat/<db>              how its files looked when they were hashed last
<root>/.aigiqa/scores/<run>           scores of a run that is not finished
<root>/.aigiqa/weights/               published weights that methods begin with
<root>/.aigiqa/{archives/sha256,partial,staging,replaced,quarantine,locks}/
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aigiqa_cli import folders
from aigiqa_cli.errors import MachineFault, UsageFault
from aigiqa_cli.machine import machine_faults
from aigiqa_cli.names import MAX_NAME
from aigiqa_cli.places import root_path

RESERVE = 512 << 20  # space that stays free on large disks ...
RESERVE_SHARE = 50  # ... and at most this share (1/50) of small ones
RESERVE_INODES = 1_000
_BLOCK = 4096
MAX_ROOT = 2_500  # bytes: the system takes 4,096, and a path below the root has up to 1,200


@dataclass(frozen=True)
class Root:
    """A data root. Making the object touches nothing; `prepare` creates the folders."""

    path: Path

    @property
    def internal(self) -> Path:
        return self.path / ".aigiqa"

    @property
    def index(self) -> Path:
        return self.path / "index.csv"

    @property
    def index_note(self) -> Path:
        """The SHA-256 of the root index as it was written last."""
        return self.internal / "index.sha256"

    @property
    def health(self) -> Path:
        """What mirrors answered when they were asked last."""
        return self.internal / "health.json"

    @property
    def stat(self) -> Path:
        """How files looked when they were hashed last."""
        return self.internal / "stat"

    @property
    def scores(self) -> Path:
        """Scores of runs that are not finished."""
        return self.internal / "scores"

    @property
    def installed(self) -> Path:
        return self.internal / "installed"

    @property
    def archives(self) -> Path:
        return self.internal / "archives" / "sha256"

    @property
    def weights(self) -> Path:
        """Published weights that methods begin with; only training and `fetch --weights` bring them."""
        return self.internal / "weights"

    @property
    def partial(self) -> Path:
        return self.internal / "partial"

    @property
    def staging(self) -> Path:
        return self.internal / "staging"

    @property
    def replaced(self) -> Path:
        return self.internal / "replaced"

    @property
    def quarantine(self) -> Path:
        return self.internal / "quarantine"

    @property
    def locks(self) -> Path:
        return self.internal / "locks"

    def folder(self, database: str) -> Path:
        """Where the database is published."""
        return self.path / database

    def record(self, database: str) -> Path:
        """Its commit record."""
        return self.installed / f"{database}.json"

    def prepare(self) -> None:
        """Create the folders of the root. Raises MachineFault, or UsageFault if there can be no folder of that name."""
        length, longest = len(os.fsencode(self.path)), max(len(os.fsencode(part)) for part in self.path.parts)
        if length > MAX_ROOT or longest > MAX_NAME:
            raise UsageFault(
                f"the root cannot be made: its path is too long ({length} bytes, at most {MAX_ROOT}; a name in it has "
                f"{longest} bytes, at most {MAX_NAME})",
                hint="choose another one with --root PATH",
                fault="S14",
                phase="PLAN",
            )
        self.refuse_links()
        try:
            with machine_faults(f"preparing the root {self.path}", phase="PLAN", place=_existing(self.path)):
                os.makedirs(self.path, exist_ok=True)
                for folder in (
                    self.internal,
                    self.installed,
                    self.stat,
                    self.archives.parent,
                ):  # others may read what is installed
                    folders.make(folder, exist_ok=True)
                for folder in (self.archives, self.partial, self.staging, self.replaced, self.quarantine, self.locks):
                    folders.make(folder, 0o700, exist_ok=True)
                for folder in (self.path, self.installed, self.partial, self.staging, self.replaced, self.locks):
                    if not os.access(folder, os.W_OK | os.X_OK):
                        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        except OSError as error:
            raise UsageFault(
                f"the root {self.path} cannot be made: {error.strerror}: {error.filename}",
                hint="choose another one with --root PATH",
                phase="PLAN",
            ) from error

    def refuse_links(self, database: str = "") -> None:
        """Nothing below the root that we write to, move or empty may lead out of it. Raises MachineFault (S17)."""
        ours = (
            self.internal,
            self.archives.parent,
            self.archives,
            self.installed,
            self.stat,
            self.weights,
            self.partial,
            self.staging,
        )
        more = (self.replaced, self.quarantine, self.locks, self.scores)
        for path in (*ours, *more, *((self.folder(database), self.record(database)) if database else ())):
            if os.path.islink(path):
                raise MachineFault(
                    f"{path} is a link: what lies below the root must not lead out of it",
                    hint="put the real folder in its place, or choose another root with --root PATH",
                    fault="S17",
                    database=database,
                    phase="PLAN",
                )

    def demand_space(self, needed: int, files: int) -> None:
        """Before the first byte: room for `needed` bytes and `files` inodes? Raises MachineFault (S04, S05)."""
        usage = shutil.disk_usage(self.path)
        needed += files * _BLOCK  # a small file takes a whole block
        reserve = min(RESERVE, usage.total // RESERVE_SHARE)
        if needed + reserve > usage.free:
            raise MachineFault(
                f"not enough space below {self.path}: {needed:,} bytes are needed and {reserve:,} stay in reserve, "
                f"{usage.free:,} are free",
                hint="free some space, or choose another root with --root PATH",
                fault="S04",
                phase="PLAN",
            )
        status = os.statvfs(self.path)
        if status.f_files and files + RESERVE_INODES > status.f_favail:
            raise MachineFault(
                f"not enough inodes below {self.path}: {files:,} files are to be made, {status.f_favail:,} are free",
                hint="remove files, or choose another root with --root PATH",
                fault="S05",
                phase="PLAN",
            )


def _existing(path: Path) -> Path:
    return next((at for at in (path, *path.parents) if at.is_dir()), path)


def find_root(chosen: str, settings: Mapping[str, str]) -> Root:
    """The root: the option, else AIGIQA_ROOT, else the platform's user data folder. If it is a link, or lies behind
    one, it is what the link leads to now (S17)."""
    return Root(Path(root_path(chosen, settings)))
