"""What nothing owns any more, and how it goes. Only names that are recognisably ours are ever removed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from aigiqa_cli.store.locks import try_flock
from aigiqa_cli.store.records import read_records
from aigiqa_cli.store.root import Root
from aigiqa_cli.store.staging import RECORD, abandoned


@dataclass(frozen=True)
class Leftover:
    """Something below `.aigiqa/` that can go: what it is and how many bytes it holds."""

    path: Path
    kind: str
    bytes: int


def leftovers(root: Root) -> list[Leftover]:
    """Everything that `gc` may remove: dead runs, unfinished downloads, former folders, archives of no record."""
    found = [Leftover(path, "staging", _size(path)) for path in abandoned(root) if not (path / RECORD).exists()]
    found += [Leftover(path, "replaced", _size(path)) for path in _entries(root.replaced)]
    found += [Leftover(path, "partial download", _size(path)) for path in _entries(root.partial) if _unheld(path)]
    kept = {source.sha256 for record in read_records(root) for source in record.sources}
    found += [
        Leftover(path, "archive of nothing installed", _size(path))
        for path in _entries(root.archives)
        if path.name not in kept
    ]
    return found


def discard(leftover: Leftover) -> None:
    """Remove one leftover."""
    if leftover.path.is_dir() and not leftover.path.is_symlink():
        shutil.rmtree(leftover.path)
    else:
        leftover.path.unlink(missing_ok=True)


def drop_replaced(root: Root, database: str) -> None:
    """Remove the former folders of a database after its new record is committed."""
    for path in _entries(root.replaced):
        if path.name.rpartition("-")[0] == database:
            shutil.rmtree(path, ignore_errors=True)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _unheld(path: Path) -> bool:
    """Nobody downloads into it right now: parts in use are locked, and so is the part of a note."""
    part = path.with_suffix(".part")
    try:
        descriptor = os.open(part if part.exists() else path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return try_flock(descriptor)
    finally:
        os.close(descriptor)


def _size(path: Path) -> int:
    if not path.is_dir():
        return path.lstat().st_size
    return sum((Path(parent) / name).lstat().st_size for parent, _, names in os.walk(path) for name in names)
