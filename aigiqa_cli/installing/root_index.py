"""The root index: all rows of all installed databases, derived, so that it can always be rebuilt."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator

from aigiqa_cli.digests import sha256_bytes, sha256_file
from aigiqa_cli.errors import Finding
from aigiqa_cli.index import COLUMNS, Row, read_rows
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.store import (
    ROOT_INDEX,
    Record,
    Root,
    fsync_folder,
    locked,
    machine_faults,
    read_records,
    whole_file,
    write_whole,
)

HEADER = (",".join(COLUMNS) + "\n").encode()


def rebuild(root: Root, reporter: Reporter) -> list[str]:
    """Write `<root>/index.csv` anew, until the records read before and after are the same (C10).

    Returns the ids whose own index is not as recorded; their rows are left out, and `verify` tells why. A file in its
    place that is not the one written last is somebody's: it moves to quarantine first (P5, X03).
    """
    with locked(root, ROOT_INDEX, reporter), machine_faults("writing the root index", phase="INDEX"):
        _set_foreign_aside(root, reporter)
        while True:
            before = list(read_records(root))
            damaged = []
            digest = hashlib.sha256(HEADER)
            with whole_file(root.index) as stream:
                stream.write(HEADER)
                for record in before:
                    body = _body(root, record)
                    if body is None:
                        damaged.append(record.database)
                        continue
                    digest.update(body)
                    stream.write(body)
                write_whole(root.index_note, " ".join([digest.hexdigest(), *_last_written(root)[:1]]).encode())
            if before == list(read_records(root)):
                break
    if damaged:
        names = ", ".join(damaged)
        reporter.note(f"not in the root index, because changed on disk: {names}; see aigiqa verify {names}")
    return damaged


def _set_foreign_aside(root: Root, reporter: Reporter) -> None:
    try:
        found = sha256_file(root.index)[0]
    except FileNotFoundError:
        return
    if found in _last_written(root) or found == expected_sha256(root, list(read_records(root))):
        return
    aside = root.quarantine / f"{secrets.token_hex(4)}-{root.index.name}"
    os.rename(root.index, aside)
    fsync_folder(root.quarantine)
    reporter.note(f"{root.index} was not as aigiqa left it; it is kept as {aside}")


def _last_written(root: Root) -> list[str]:
    """Hashes of the last two root indexes of ours: a run that was killed has noted one that it did not yet write."""
    try:
        return root.index_note.read_text(encoding="ascii", errors="replace").split()
    except FileNotFoundError:
        return []


def expected_sha256(root: Root, records: list[Record]) -> str:
    """The hash that the root index must have."""
    digest = hashlib.sha256(HEADER)
    for record in records:
        digest.update(_body(root, record) or b"")
    return digest.hexdigest()


def check(root: Root) -> list[Finding]:
    """Is the root index what the databases' own indexes say?"""
    records = list(read_records(root))
    try:
        found = sha256_file(root.index)[0]
    except FileNotFoundError:
        found = "missing"
    expected = expected_sha256(root, records)
    if found == expected or (found == "missing" and not records):
        return []
    return [Finding("", root.index.name, "the root index is not what the records say", expected, found)]


def rows(root: Root, records: list[Record]) -> Iterator[Row]:
    """Rows of these databases, from their own indexes."""
    for record in records:
        yield from read_rows(root.folder(record.database) / "index.csv")


def _body(root: Root, record: Record) -> bytes | None:
    """The rows of one database's index, None if the file is not the recorded one."""
    try:
        data = (root.folder(record.database) / "index.csv").read_bytes()
    except OSError:
        return None
    if sha256_bytes(data) != record.index_sha256 or not data.startswith(HEADER):
        return None
    return data[len(HEADER) :]
