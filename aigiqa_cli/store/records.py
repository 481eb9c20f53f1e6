"""Commit records: one JSON file per database. Only a record makes a database installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.errors import IntegrityFault, RefusedInput
from aigiqa_cli.machine import machine_faults
from aigiqa_cli.names import is_database_id, unsafe_reason
from aigiqa_cli.store.root import Root

FORMAT = 1
_SEAL = f',"seal":"{"0" * 64}"}}\n'


@dataclass(frozen=True)
class StoredFile:
    """A published file: path relative to the database's folder, length in bytes, SHA-256."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class StoredSource:
    """Where an asset's bytes came from, and what vouches for them: 'sha256', 'twin', 'content', 'local' (the person at
    this machine), or '' (nothing published does)."""

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
    rejected: tuple[dict[str, str], ...]
    ignored: int
    warnings: tuple[str, ...]
    splits: dict[str, str]

    @property
    def unpinned(self) -> tuple[str, ...]:
        """Assets that no published hash vouches for."""
        return tuple(source.asset for source in self.sources if not source.proof)

    @property
    def local(self) -> tuple[str, ...]:
        """Assets that only the person at this machine vouches for."""
        return tuple(source.asset for source in self.sources if source.proof == "local")

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.bytes for file in self.files)

    def to_bytes(self) -> bytes:
        content = {"record": FORMAT} | asdict(self)
        content["files"] = [[file.path, file.bytes, file.sha256] for file in self.files]
        text = json.dumps(content, ensure_ascii=False, indent=None, separators=(",", ":")).encode()
        return text[:-1] + b',"seal":"%s"}\n' % sha256_bytes(text).encode()


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
        record = _parse(database, json.loads(data), _seal(data))
        if b"\\ud" in data.lower():
            record.to_bytes()  # half a character, which we never write, cannot be written
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityFault(
            f"the record of {database} is damaged: {error}",
            hint=f"install it again: aigiqa fetch --force {database}",
            fault=error.fault if isinstance(error, _Forged) else "X01",
            database=database,
        ) from None
    return record


class _Forged(ValueError):
    """A record that parses and says what no record of ours says."""

    def __init__(self, problem: str, fault: str) -> None:
        super().__init__(problem)
        self.fault = fault


def _seal(data: bytes) -> str:
    """The SHA-256 of what stands before the seal, which ends a record: no bit of it may flip unseen (S10)."""
    return sha256_bytes(data[: -len(_SEAL)] + b"}") if len(data) > len(_SEAL) else ""


def _parse(database: str, content: Any, sealed: str) -> Record:
    form = content.pop("record")
    if type(form) is not int or form < 1:
        raise ValueError("its format is no number")
    if form > FORMAT:
        raise RefusedInput(
            f"{database} was installed by a newer aigiqa", hint="pip install --upgrade aigiqa", fault="S23"
        )
    stated = content.pop("seal", sealed)  # records of the first days have none
    content["files"] = tuple(StoredFile(*entry) for entry in content["files"])
    content["sources"] = tuple(StoredSource(**entry) for entry in content["sources"])
    content["rejected"] = tuple(content["rejected"])
    content["warnings"] = tuple(content["warnings"])
    record = Record(**content)
    if record.database != database or not is_database_id(database):
        raise _Forged("it belongs to another database", "X06")
    if not record.files:
        raise _Forged("it lists no files", "X08")
    _check_types(record)
    for file in record.files:
        reason, _ = unsafe_reason(file.path)
        if reason:
            raise _Forged(f"the path {file.path!r} {reason}", "X06")
    if len({file.path for file in record.files}) != len(record.files):
        raise _Forged("it lists a file twice", "X06")
    if stated != sealed:
        raise ValueError("its content is not what was sealed")
    return record


def _check_types(record: Record) -> None:
    numbers = [record.rows, record.images, record.references, record.manifest_version, record.ignored]
    words = [record.state, record.manifest_sha256, record.index_sha256, record.aigiqa, record.installed_at]
    for source in record.sources:
        numbers.append(source.bytes)
        words += [source.asset, source.role, source.origin, source.name, source.sha256, source.proof]
    for file in record.files:
        numbers.append(file.bytes)
        words += [file.path, file.sha256]
    words += [*record.warnings, *record.splits, *record.splits.values()]
    for finding in record.rejected:
        words += [*finding, *finding.values()]
    if not all(type(number) is int and number >= 0 for number in numbers) or type(record.partial) is not bool:
        raise ValueError("a number is none")
    if not all(isinstance(word, str) for word in words):
        raise ValueError("a text is none")


def installed_ids(root: Root) -> list[str]:
    """Ids that have a record, sorted."""
    try:
        with machine_faults("reading the records"):
            return sorted(
                path.stem for path in root.installed.iterdir() if path.suffix == ".json" and is_database_id(path.stem)
            )
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
