"""What nothing owns any more, and how it goes. Only names that are recognisably ours are ever removed."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import IntegrityFault, RefusedInput
from aigiqa_cli.store.durable import fsync_folder
from aigiqa_cli.store.locks import try_flock
from aigiqa_cli.store.records import read_record_at, read_records
from aigiqa_cli.store.root import Root
from aigiqa_cli.store.staging import RECORD, abandoned

REPLACED = "replaced"
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")  # as `whole_file` names them


@dataclass(frozen=True)
class Leftover:
    """Something below `.aigiqa/` that can go: what it is and how many bytes it holds."""

    path: Path
    kind: str
    bytes: int


def leftovers(root: Root) -> list[Leftover]:
    """Everything that `gc` may remove: dead runs, unfinished downloads, former folders, archives of no record."""
    found = [Leftover(path, "staging", _size(path)) for path in abandoned(root) if not (path / RECORD).exists()]
    found += [Leftover(path, REPLACED, _size(path)) for path in _entries(root.replaced) if path.is_dir()]
    found += [Leftover(path, "partial download", _size(path)) for path in _entries(root.partial) if _unheld(path)]
    found += [Leftover(path, "temporary file", _size(path)) for path in _temporaries(root) if _unheld(path)]
    kept = {source.sha256 for record in read_records(root) for source in record.sources}
    found += [
        Leftover(path, "archive of nothing installed", _size(path))
        for path in _entries(root.archives)
        if path.name not in kept
    ]
    return found


def discard(root: Root, leftover: Leftover) -> None:
    """Remove one leftover; of a former folder only what its record owned, unchanged."""
    if leftover.kind == REPLACED:
        retire(root, leftover.path)
    elif leftover.path.is_dir() and not leftover.path.is_symlink():
        shutil.rmtree(leftover.path)
    else:
        leftover.path.unlink(missing_ok=True)


def drop_replaced(root: Root, database: str) -> None:
    """Retire the former folders of a database after its new record is committed."""
    for path in _entries(root.replaced):
        if path.is_dir() and path.name.rpartition("-")[0] == database:
            retire(root, path)


def retire(root: Root, folder: Path) -> list[Path]:
    """Remove a former folder. Files of the user move to where they were in the new one, or to quarantine, like files
    that were changed (P5, S22); returns where they are now."""
    database = folder.name.rpartition("-")[0]
    note = folder.with_name(folder.name + ".json")
    try:
        record = read_record_at(note, database)
    except (IntegrityFault, RefusedInput):
        record = None
    owned = {file.path: file.sha256 for file in record.files} if record else {}
    rescued = []
    for parent, folders, names in os.walk(folder, topdown=False):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in (*names, *links):
            path = Path(parent) / name
            relative = path.relative_to(folder).as_posix()
            if _is_ours(path, owned.get(relative, ""), root.folder(database) / relative):
                path.unlink()
            else:
                rescued.append(_rescue(root, database, path, relative, foreign=relative not in owned))
        os.rmdir(parent)
    note.unlink(missing_ok=True)
    return rescued


def _is_ours(path: Path, sha256: str, successor: Path) -> bool:
    """Recorded and unchanged; a file that the new version shares needs no reading."""
    if not sha256 or path.is_symlink():
        return False
    if successor.is_file() and successor.samefile(path):
        return True
    return sha256_file(path)[0] == sha256


def _rescue(root: Root, database: str, path: Path, relative: str, *, foreign: bool) -> Path:
    home = root.folder(database) / relative
    if foreign and root.folder(database).is_dir() and not os.path.lexists(home):
        home.parent.mkdir(parents=True, exist_ok=True)
    else:
        home = root.quarantine / f"{database}-{secrets.token_hex(4)}-{path.name}"
    os.rename(path, home)
    fsync_folder(home.parent)
    return home


def _temporaries(root: Root) -> list[Path]:
    """What writers that were killed left beside the files that they were to replace."""
    folders = (root.path, root.installed, root.replaced, root.quarantine)
    return [path for folder in folders for path in _entries(folder) if _TEMPORARY.fullmatch(path.name)]


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
