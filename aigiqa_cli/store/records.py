"""Commit records: one JSON file per database. Only a record makes a database installed."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

from aigiqa_cli.digests import BLOCK
from aigiqa_cli.errors import IntegrityFault, RefusedInput
from aigiqa_cli.machine import machine_faults
from aigiqa_cli.names import is_database_id, unsafe_reason
from aigiqa_cli.store.root import Root
from aigiqa_cli.store.stored_files import Packing, StoredFiles

FORMAT = 1
_SEAL = f',"seal":"{"0" * 64}"}}\n'
# A record is read and written piece by piece: one of a million files is 130 MB. No path in it can hold these bytes, as
# none has a quote.
_FILES, _BETWEEN, _END = b',"files":[[', b'"],["', b'"]],"'
_AT_ONCE = 5_000  # files


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
    files: StoredFiles
    rejected: tuple[dict[str, str], ...]
    ignored: int
    warnings: tuple[str, ...]
    splits: dict[str, str]

    @property
    def unpinned(self) -> tuple[str, ...]:
        """Assets that no published hash vouches for."""
        return tuple(dict.fromkeys(source.asset for source in self.sources if not source.proof))

    @property
    def local(self) -> tuple[str, ...]:
        """Assets that only the person at this machine vouches for."""
        return tuple(dict.fromkeys(source.asset for source in self.sources if source.proof == "local"))

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self.files.size

    def pieces(self) -> Iterator[bytes]:
        """The record as it is written, with its seal."""
        digest = hashlib.sha256()
        for piece in self._unsealed():
            digest.update(piece)
            yield piece
        digest.update(b"}")
        yield b',"seal":"%s"}\n' % digest.hexdigest().encode()

    def _unsealed(self) -> Iterator[bytes]:
        yield b'{"record":%d' % FORMAT
        for each in fields(self):
            value = getattr(self, each.name)
            yield f',"{each.name}":'.encode()
            if each.name == "files":
                yield from self._files()
            else:
                yield _json([asdict(one) for one in value] if each.name == "sources" else value)

    def _files(self) -> Iterator[bytes]:
        yield b"["
        for start in range(0, len(self.files), _AT_ONCE):
            entries = _json([[file.path, file.bytes, file.sha256] for file in self.files[start : start + _AT_ONCE]])
            yield (b"," if start else b"") + entries[1:-1]
        yield b"]"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def read_record(root: Root, database: str) -> Record | None:
    """The record of a database, None if there is none. Raises IntegrityFault for a broken one (X01)."""
    return read_record_at(root.record(database), database)


def read_record_at(path: Path, database: str) -> Record | None:
    """The record in a file, None if there is none."""
    try:
        with machine_faults(f"reading the record of {database}"), path.open("rb") as stream:
            return _parse(database, stream)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityFault(
            f"the record of {database} is damaged: {error}",
            hint=f"install it again: aigiqa fetch --force {database}",
            fault=error.fault if isinstance(error, _Forged) else "X01",
            database=database,
        ) from None


def recorded_sha256(record: bytes, path: str) -> str | None:
    """What a record says of one of its files; the rest of it is not judged, nor which version it is of. Raises
    ValueError, KeyError, TypeError or RecursionError for what is no record at all."""
    found = None
    for value in _values(io.BytesIO(record)):
        for name, _, sha256 in value.get("files", ()) if isinstance(value, dict) else value:
            found = sha256 if name == path else found
    return found


def is_record_of(path: Path, database: str) -> bool:
    """Is this file the record of the database, whatever else it says?"""
    try:
        with path.open("rb") as stream:
            values = _values(stream)
            named = next(values)["database"]
            deque(values, maxlen=0)  # the rest is read, too
        return bool(named == database)
    except (ValueError, KeyError, TypeError, OSError):
        return False


class _Forged(ValueError):
    """A record that parses and says what no record of ours says."""

    def __init__(self, problem: str, fault: str) -> None:
        super().__init__(problem)
        self.fault = fault


def _parse(database: str, stream: BinaryIO) -> Record:
    sealed = _seal(stream)
    content, files = _apart(stream, database)
    stated = content.pop("seal", sealed)  # records of the first days have none
    content["sources"] = tuple(StoredSource(**entry) for entry in content["sources"])
    content["rejected"] = tuple(content["rejected"])
    content["warnings"] = tuple(content["warnings"])
    record = Record(**content, files=files)
    if record.database != database or not is_database_id(database):
        raise _Forged("it belongs to another database", "X06")
    if not files:
        raise _Forged("it lists no files", "X08")
    _check_types(record)
    if stated != sealed:
        raise ValueError("its content is not what was sealed")
    return record


def _seal(stream: BinaryIO) -> str:
    """The SHA-256 of what stands before the seal, which ends a record: no bit of it may flip unseen (S10)."""
    left = os.fstat(stream.fileno()).st_size - len(_SEAL)
    digest = hashlib.sha256()
    while left > 0 and (block := stream.read(min(BLOCK, left))):
        digest.update(block)
        left -= len(block)
    stream.seek(0)
    digest.update(b"}")
    return digest.hexdigest()


def _apart(stream: BinaryIO, database: str) -> tuple[dict[str, Any], StoredFiles]:
    """The files of a record, and the rest of it."""
    values = _values(stream)
    content = next(values)
    form = content.pop("record")
    if type(form) is not int or form < 1:
        raise ValueError("its format is no number")
    if form > FORMAT:
        raise RefusedInput(
            f"{database} was installed by a newer aigiqa", hint="pip install --upgrade aigiqa", fault="S23"
        )
    packing = Packing()
    for path, length, sha256 in content.pop("files", ()):
        _add(packing, path, length, sha256)
    rest: dict[str, Any] = {}
    for value in values:
        if isinstance(value, dict):
            rest = value
        for path, length, sha256 in value if rest is not value else ():
            _add(packing, path, length, sha256)
    if content.keys() & rest.keys() or "files" in rest:
        raise ValueError("it says a thing twice")
    content |= rest
    _json(content)  # half a character, which we never write, cannot be written
    try:
        return content, StoredFiles(packing)
    except ValueError as error:
        raise _Forged(str(error), "X06") from None


def _values(stream: BinaryIO) -> Iterator[Any]:
    return map(json.loads, _pieces(stream))


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    """A record as several pieces of JSON: an object of what stands before the list of its files, parts of that list,
    and an object of what stands behind it. One with other blanks than ours is one piece."""
    held, within = bytearray(), False
    while block := stream.read(BLOCK):
        known = max(0, len(held) - len(_FILES))
        held += block
        if not within and (begin := held.find(_FILES, known)) >= 0:
            yield bytes(held[:begin]) + b"}"
            del held[: begin + len(_FILES) - 1]
            within, known = True, 0
        if not within:
            continue
        if (end := held.find(_END, known)) >= 0:
            yield b"[" + held[: end + 2] + b"]"
            yield b"{" + held[end + len(_END) - 1 :] + stream.read()
            return
        if (last := held.rfind(_BETWEEN)) >= 0:
            yield b"[" + held[: last + 2] + b"]"
            del held[: last + 3]
    yield b"[" + held if within else bytes(held)


def _add(packing: Packing, path: Any, length: Any, sha256: Any) -> None:
    packing.add(path, length, sha256)
    reason, _ = unsafe_reason(path)
    if reason:
        raise _Forged(f"the path {path!r} {reason}", "X06")


def _check_types(record: Record) -> None:
    numbers = [record.rows, record.images, record.references, record.manifest_version, record.ignored]
    words = [record.state, record.manifest_sha256, record.index_sha256, record.aigiqa, record.installed_at]
    for source in record.sources:
        numbers.append(source.bytes)
        words += [source.asset, source.role, source.origin, source.name, source.sha256, source.proof]
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
