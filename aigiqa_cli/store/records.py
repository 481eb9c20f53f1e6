"""Commit records: one JSON file per database. Only a record makes a database installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aigiqa_cli.errors import IntegrityFault, RefusedInput
from aigiqa_cli.names import unsafe_reason
from aigiqa_cli.store.durable import fsync_folder, machine_faults
from aigiqa_cli.store.root import Root

FORMAT = 1


@dataclass(frozen=True)
class StoredFile:
    """A published file: path relative to the database's folder, length in bytes, SHA-256."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class StoredSource:
    """Where an asset's bytes came from, and what vouches for them: 'sha256', 'twin', or '' (nothing published does)."""

    asset: str
    role: str
    origin: str
    name: str
    bytes: int
    sha256: str
    proof: str


@dataclass(frozen=True)
class Record:
    """What is installed of one database. Paths are relative, so a root can be moved."""

    database: str
    state: str
    partial: bool
    manifest_version: int
    manifest_sha256: str
    aigiqa: str
    installed_at: str
    rows: int
    images: int
    references: int
    index_sha256: str
    sources: tuple[StoredSource, ...]
    files: tuple[StoredFile, ...]
    rejected: tuple[dict[str, str], ...] = ()
    ignored: int = 0
    warnings: tuple[str, ...] = ()
    splits: dict[str, str] = field(default_factory=dict)

    @property
    def unpinned(self) -> tuple[str, ...]:
        """Assets that no published hash vouches for."""
        return tuple(source.asset for source in self.sources if not source.proof)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.bytes for file in self.files)

    def to_bytes(self) -> bytes:
        content = {"record": FORMAT} | asdict(self)
        content["files"] = [[file.path, file.bytes, file.sha256] for file in self.files]
        return (json.dumps(content, ensure_ascii=False, indent=None, separators=(",", ":")) + "\n").encode()


def read_record(root: Root, database: str) -> Record | None:
    """The record of a database, None if there is none. Raises IntegrityFault for a broken one (X01)."""
    return read_record_at(root.record(database), database)


def read_record_at(path: Path, database: str) -> Record | None:
    """The record in a file, None if there is none."""
    try:
        with machine_faults(f"reading the record of {database}"):
            data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return _parse(database, json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityFault(
            f"the record of {database} is damaged: {error}",
            hint=f"install it again: aigiqa fetch --force {database}",
            fault="X01",
            database=database,
        ) from None


def _parse(database: str, content: Any) -> Record:
    if content.pop("record") > FORMAT:
        raise RefusedInput(
            f"{database} was installed by a newer aigiqa", hint="pip install --upgrade aigiqa", fault="S23"
        )
    content["files"] = tuple(StoredFile(*entry) for entry in content["files"])
    content["sources"] = tuple(StoredSource(**entry) for entry in content["sources"])
    content["rejected"] = tuple(content["rejected"])
    content["warnings"] = tuple(content["warnings"])
    record = Record(**content)
    if record.database != database or not record.files:
        raise ValueError("it lists no files, or belongs to another database")
    numbers = (record.rows, record.images, record.references, record.manifest_version)
    words = (record.state, record.manifest_sha256, record.index_sha256)
    if not all(type(number) is int for number in numbers) or not all(isinstance(word, str) for word in words):
        raise ValueError("a field has another type")
    for file in record.files:
        if type(file.bytes) is not int or not isinstance(file.path, str) or not isinstance(file.sha256, str):
            raise ValueError(f"the entry {file.path!r} has another type")
        reason, _ = unsafe_reason(file.path)
        if reason:  # X06: a forged record must not lead outside
            raise ValueError(f"the path {file.path!r} {reason}")
    return record


def installed_ids(root: Root) -> list[str]:
    """Ids that have a record, sorted."""
    try:
        with machine_faults("reading the records"):
            return sorted(path.stem for path in root.installed.iterdir() if path.suffix == ".json")
    except (FileNotFoundError, NotADirectoryError):
        return []


def read_records(root: Root) -> Iterator[Record]:
    """All records that can be read; a damaged one is left to the commands that name its database."""
    for database in installed_ids(root):
        try:
            record = read_record(root, database)
        except (IntegrityFault, RefusedInput):
            continue
        if record:
            yield record


def remove_record(root: Root, database: str) -> None:
    root.record(database).unlink(missing_ok=True)
    fsync_folder(root.installed)
