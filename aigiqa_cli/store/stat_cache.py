"""Noting how published files look when they are hashed: `<root>/.aigiqa/stat/<db>`, for `verify --quick` alone.

A note appears whole or not at all and is bound to the bytes of its record; where it is missing, damaged or of another
record, the files are read.

A file that is changed in the same tick of the file system's clock in which it was hashed keeps its times (git calls
such an entry racily clean). So the clock is read before, and files whose times are not older than that are left out of
the note: whatever is changed later gets other times than those in the note.
"""

from __future__ import annotations

import os
from pathlib import Path

from aigiqa_cli import folders
from aigiqa_cli.looks import Noted, joined, look
from aigiqa_cli.store.durable import write_whole
from aigiqa_cli.store.records import Record
from aigiqa_cli.store.root import Root


def clock(root: Root) -> int:
    """The time by the clock of the root's file system, in ns since 1970. Raises OSError if nothing can be written."""
    folders.make(root.stat, exist_ok=True)
    path = root.stat / f".clock.{os.urandom(6).hex()}.tmp"
    try:
        with folders.new_file(path) as stream:
            return os.fstat(stream.fileno()).st_mtime_ns
    finally:
        folders.remove(path, missing_ok=True)


def is_settled(status: os.stat_result, before: int) -> bool:
    """Would any later change show? `before` is what the clock said before the file was hashed."""
    return status.st_mtime_ns < before and status.st_ctime_ns < before


class Looks:
    """How files look, of many: each folder ("" is the database's own) -> `look` of every file in it."""

    def __init__(self) -> None:
        self.places: dict[str, set[str]] = {"": set()}

    def add(self, path: str, shape: str) -> None:
        place = path.rpartition("/")[0]
        if place not in self.places:
            parts = place.split("/")
            for count in range(1, len(parts) + 1):
                self.places.setdefault("/".join(parts[:count]), set())
        self.places[place].add(shape)

    def drop(self, name: str) -> None:
        """A file of the database's own folder."""
        self.places[""] = {shape for shape in self.places[""] if not shape.startswith(f"{name}/")}


def written_looks(tree: Path, record: Record, before: int) -> Looks:
    """The files of an install that is about to be published, which were hashed as they were written.

    What has a second name was taken over from the version before, and changes its times when that goes.
    """
    looks = Looks()
    for place, _, names, handle in folders.walk(tree):
        for name in sorted(names):
            path, status = joined(place, name), os.stat(name, dir_fd=handle, follow_symlinks=False)
            file = record.files.of(path)
            if file and file.bytes == status.st_size and status.st_nlink == 1 and is_settled(status, before):
                looks.add(path, look(name, status))
    return looks


def note_looks(root: Root, record: Record, record_sha256: str, looks: Looks) -> None:
    """Note files of a database in place of what was noted before. Raises OSError."""
    counts = len(record.files), record.size, record.images
    write_note(root, record.database, Noted(record_sha256, *counts, looks.places))


def write_note(root: Root, name: str, noted: Noted) -> None:
    """Raises OSError."""
    write_whole(root.stat / name, noted.to_bytes())
