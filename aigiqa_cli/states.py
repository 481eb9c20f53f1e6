"""What is here of a database, judged by record, folder and index hash; only `verify` reads the images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import IntegrityFault, MachineFault, RefusedInput, UsageFault
from aigiqa_cli.store import Record, Root, read_record

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database

ABSENT, LABELS, SAMPLE, INSTALLED, UPDATE, DAMAGED = "absent", "labels", "sample", "installed", "update", "damaged"


@dataclass(frozen=True)
class State:
    """One word, and what stands beside it."""

    word: str
    record: Record | None = None
    partial: bool = False
    unpinned: bool = False
    local: bool = False
    why: str = ""

    def __str__(self) -> str:
        notes = (
            (self.share, bool(self.share)),
            ("partial", self.partial),
            ("unpinned", self.unpinned),
            ("locally accepted", self.local),
        )
        beside = [word for word, true in notes if true]
        return f"{self.word} ({', '.join(beside)})" if beside else self.word

    @property
    def share(self) -> str:
        """Of a sample, how many of the images are here: "50 of 2,982 images"; else ""."""
        record = self.record
        return f"{record.images:,} of {record.rows:,} images" if record and record.state == SAMPLE else ""

    @property
    def present(self) -> bool:
        """Is there an index to read?"""
        return self.word in (LABELS, SAMPLE, INSTALLED, UPDATE)


def state_of(root: Root, name: str, database: Database | None = None) -> State:
    """The state of one database here. With its manifest given, a newer version is noticed."""
    try:
        record = read_record(root, name)
    except (IntegrityFault, RefusedInput, MachineFault) as fault:
        return State(DAMAGED, why=fault.message)
    if record is None:
        return State(ABSENT)
    why = _damage(root, record)
    if why:
        return State(DAMAGED, record, record.partial, bool(record.unpinned), bool(record.local), why)
    word = record.state
    if database is not None and database.version > record.manifest_version:
        word = UPDATE
    return State(word, record, record.partial, bool(record.unpinned), bool(record.local))


def present(root: Root, name: str, *, fetch: str = "") -> Record:
    """The record of a database whose index can be read; `fetch` is the hint's option for one that is absent.

    Raises UsageFault if it is not installed, IntegrityFault if it is damaged.
    """
    state = state_of(root, name)
    if state.word == ABSENT:
        hint = f"aigiqa fetch {name} {fetch}".rstrip()
        raise UsageFault(f"{name} is not installed", hint=hint, database=name, phase="PLAN")
    if not state.present or state.record is None:
        raise IntegrityFault(
            f"{name} is damaged: {state.why}", hint=f"aigiqa verify --repair {name}", fault="X03", database=name
        )
    return state.record


def _damage(root: Root, record: Record) -> str:
    folder = root.folder(record.database)
    if not folder.is_dir():
        return f"the folder {folder} is missing"
    try:
        found, _ = sha256_file(folder / "index.csv")
    except OSError:
        return "its index.csv is missing"
    return "" if found == record.index_sha256 else "its index.csv was changed"
