"""The data root: every path below it is named here and nowhere else.

<root>/index.csv                      one row per image of every installed database
<root>/<db>/                          a published database
<root>/.aigiqa/installed/<db>.json    the commit record
<root>/.aigiqa/{archives/sha256,partial,staging,replaced,quarantine,locks}/
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aigiqa_cli.errors import MachineFault, UsageFault
from aigiqa_cli.store.durable import machine_faults

VARIABLE = "AIGIQA_ROOT"
RESERVE = 512 << 20  # space that stays free on large disks ...
RESERVE_SHARE = 50  # ... and at most this share (1/50) of small ones
RESERVE_INODES = 1_000


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
    def installed(self) -> Path:
        return self.internal / "installed"

    @property
    def archives(self) -> Path:
        return self.internal / "archives" / "sha256"

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
        try:
            with machine_faults(f"preparing the root {self.path}", phase="PLAN"):
                self.installed.mkdir(parents=True, exist_ok=True)  # others may read what is installed
                for folder in (self.archives, self.partial, self.staging, self.replaced, self.quarantine, self.locks):
                    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise UsageFault(
                f"the root {self.path} cannot be made: {error.strerror}: {error.filename}",
                hint="choose another one with --root PATH",
                phase="PLAN",
            ) from error

    def demand_space(self, needed: int, files: int) -> None:
        """Before the first byte: room for `needed` bytes and `files` inodes? Raises MachineFault (S04, S05)."""
        usage = shutil.disk_usage(self.path)
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


def find_root(chosen: str, settings: Mapping[str, str]) -> Root:
    """The root: the option, else AIGIQA_ROOT, else the platform's user data folder."""
    word = chosen or settings.get(VARIABLE, "")
    if not word:
        from platformdirs import user_data_dir

        word = user_data_dir("aigiqa", appauthor=False)
    return Root(Path(word).expanduser().absolute())
