"""The root index: all rows of all installed databases, derived, so that it can always be rebuilt."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterator, Sequence
from typing import BinaryIO

from aigiqa_cli import folders
from aigiqa_cli.digests import BLOCK, sha256_file
from aigiqa_cli.errors import Finding, IntegrityFault
from aigiqa_cli.index import COLUMNS, Row, read_cells, read_rows
from aigiqa_cli.machine import is_passing
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.store import (
    ROOT_INDEX,
    Record,
    Root,
    fsync_folder,
    installed_ids,
    locked,
    machine_faults,
    read_records,
    whole_file,
    write_whole,
)

LEADS_ASTRAY = "a row leads to what is not its own"
HEADER = (",".join(COLUMNS) + "\n").encode()
LEADING = {column: COLUMNS.index(column) for column in ("database", "image_path", "reference_path")}


def rebuild(root: Root, reporter: Reporter) -> list[str]:
    """Write `<root>/index.csv` anew, until the records read before and after are the same (C10).

    Returns the ids whose own index is not as recorded; their rows are left out, and `verify` tells why. A file in its
    place that is not the one written last is somebody's: it moves to quarantine first (P5, X03).
    """
    with locked(root, ROOT_INDEX, reporter), machine_faults("writing the root index", phase="INDEX", place=root.path):
        _set_foreign_aside(root, reporter)
        while True:
            before = list(read_records(root))
            damaged = sorted(set(installed_ids(root)) - {record.database for record in before})
            with whole_file(root.index) as stream:
                sha256, left_out = _joined(root, before, stream)
                write_whole(root.index_note, " ".join([sha256, *_last_written(root)[:1]]).encode())
            damaged += left_out
            if before == list(read_records(root)):
                break
    if damaged:
        names = ", ".join(damaged)
        reporter.note(
            f"not in the root index, because they cannot be read or were changed: {names}; see aigiqa verify {names}"
        )
    return damaged


def _set_foreign_aside(root: Root, reporter: Reporter) -> None:
    try:
        found = sha256_file(root.index)[0]
    except FileNotFoundError:
        return
    if found in _last_written(root) or found == _joined(root, list(read_records(root)))[0]:
        return
    aside = root.quarantine / f"{secrets.token_hex(4)}-{root.index.name}"
    folders.rename(root.index, aside)
    fsync_folder(root.quarantine)
    reporter.note(f"{root.index} was not as aigiqa left it; it is kept as {aside}")


def _last_written(root: Root) -> list[str]:
    """Hashes of the last two root indexes of ours: a run that was killed has noted one that it did not yet write."""
    try:
        return root.index_note.read_text(encoding="ascii", errors="replace").split()
    except FileNotFoundError:
        return []


def check(root: Root, proven: Collection[str] = ()) -> list[Finding]:
    """Is the root index what the databases' own indexes say? `proven`: those in which nothing was `astray` just now."""
    records = list(read_records(root))
    try:
        found = sha256_file(root.index)[0]
    except FileNotFoundError:
        found = "missing"
    expected, _ = _joined(root, records, proven=proven)
    if found == expected or (found == "missing" and not records):
        return []
    return [Finding("", root.index.name, "the root index is not what the records say", expected, found)]


def rows(root: Root, records: Sequence[Record]) -> Iterator[Row]:
    """Rows of these databases, from their own indexes. Raises IntegrityFault for one that cannot be read."""
    for record in records:
        for row in _read(root, record):
            if stray := _stray(row, record):
                raise IntegrityFault(
                    f"a row of the index of {record.database} leads to what is not its own: {stray!r}",
                    hint=f"aigiqa verify --repair {record.database}",
                    fault="X02",
                    database=record.database,
                    phase="INDEX",
                )
            yield row


def _read(root: Root, record: Record) -> Iterator[Row]:
    try:
        yield from read_rows(root.folder(record.database) / "index.csv")
    except ValueError as error:
        raise IntegrityFault(
            f"an index cannot be read: {error}",
            hint=f"aigiqa verify --repair {record.database}",
            fault="X03",
            database=record.database,
            phase="INDEX",
        ) from error


def astray(root: Root, record: Record) -> Finding | None:
    """The first row of a database's index whose paths are not those of its record (X02)."""
    path = root.folder(record.database) / "index.csv"
    try:
        for cells in read_cells(path):
            row = {column: cells[place] for column, place in LEADING.items()}
            if stray := _stray(row, record):
                return Finding(record.database, f"{record.database}/index.csv", LEADS_ASTRAY, "its own files", stray)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and is_passing(error):
            raise
        return Finding(record.database, f"{record.database}/index.csv", f"cannot be read: {error}", "an index")
    return None


def _stray(row: Row, record: Record) -> str:
    """What in a row is not the database's own; "" if all is."""
    if row["database"] != record.database:
        return row["database"] or "a row of no database"
    return next((row[column] for column in ("image_path", "reference_path") if not leads_home(row[column], record)), "")


def leads_home(path: str, record: Record) -> bool:
    """May a row of the database lead there?"""
    return not path or (path.startswith(f"{record.database}/") and record.files.has(path.partition("/")[2]))


def _joined(
    root: Root, records: Sequence[Record], stream: BinaryIO | None = None, proven: Collection[str] = ()
) -> tuple[str, list[str]]:
    """Write the rows of all indexes under one header, block by block; returns the SHA-256 of that, and the databases
    that are left out because their index is not the recorded one. Without a stream only the hash is made."""
    digest, left_out = hashlib.sha256(HEADER), []
    if stream:
        stream.write(HEADER)
    for record in records:
        before, begin, own = digest.copy(), stream.tell() if stream else 0, hashlib.sha256(HEADER)
        for block in _blocks(root, record):
            own.update(block)
            digest.update(block)
            if stream:
                stream.write(block)
        sound = own.hexdigest() == record.index_sha256
        if sound and (record.database in proven or not astray(root, record)):
            continue
        left_out.append(record.database)
        digest = before
        if stream:
            stream.seek(begin)
            stream.truncate()
    return digest.hexdigest(), left_out


def _blocks(root: Root, record: Record) -> Iterator[bytes]:
    """The rows of an index; of a file that cannot be read, or does not begin as an index does, what no index has."""
    try:
        with (root.folder(record.database) / "index.csv").open("rb") as source:
            if source.read(len(HEADER)) != HEADER:
                yield b"\0"
            while block := source.read(BLOCK):
                yield block
    except OSError as error:
        if is_passing(error):
            raise
        yield b"\0"
