"""What nothing owns any more, and how it goes. Only names that are recognisably ours are ever removed."""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from aigiqa_cli import folders
from aigiqa_cli.digests import sha256_file, sha256_stream
from aigiqa_cli.errors import IntegrityFault, RefusedInput
from aigiqa_cli.names import ASIDE, is_database_id, shortened
from aigiqa_cli.store.durable import fsync_folder
from aigiqa_cli.store.locks import try_flock
from aigiqa_cli.store.records import installed_ids, read_record_at, read_records
from aigiqa_cli.store.root import Root
from aigiqa_cli.store.staging import RECORD, abandoned, bury, drop, unborn
from aigiqa_cli.store.stored_files import StoredFiles

STAGING, REPLACED, UNBORN = "staging", "replaced", "staging that was never begun"
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")  # as `whole_file` names them


@dataclass(frozen=True)
class Leftover:
    """Something below `.aigiqa/` that can go: what it is and how many bytes it holds."""

    path: Path
    kind: str
    bytes: int


def leftovers(root: Root) -> list[Leftover]:
    """Everything that `gc` may remove: dead runs, unfinished downloads, former folders, archives of no record."""
    found = [Leftover(path, STAGING, _size(path)) for path in abandoned(root) if not (path / RECORD).exists()]
    found += [Leftover(path, UNBORN, _size(path)) for path in unborn(root)]
    found += [Leftover(path, REPLACED, _size(path)) for path in _entries(root.replaced) if _superseded(root, path)]
    found += [Leftover(path, "note of a former folder", _size(path)) for path in _lone_notes(root)]
    found += [Leftover(path, "partial download", _size(path)) for path in _entries(root.partial) if _unheld(path)]
    found += [
        Leftover(path, "scores of a run broken off", _size(path)) for path in _entries(root.scores) if _unheld(path)
    ]
    found += [Leftover(path, "temporary file", _size(path)) for path in _temporaries(root) if _unheld(path)]
    noted = installed_ids(root)
    found += [
        Leftover(path, "note of nothing installed", _size(path))
        for path in _entries(root.stat)
        if path.name not in noted and is_database_id(path.name)
    ]
    records = list(read_records(root))
    kept = {source.sha256 for record in records for source in record.sources}
    if len(records) == len(installed_ids(root)):  # what a record that cannot be read keeps, nobody knows (S23)
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
    elif leftover.kind == UNBORN:
        bury(leftover.path)
    elif leftover.kind == STAGING:
        drop(leftover.path)
    elif leftover.path.is_dir() and not leftover.path.is_symlink():
        folders.remove_tree(leftover.path)
    else:
        folders.remove(leftover.path, missing_ok=True)


def drop_replaced(root: Root, database: str) -> None:
    """Retire the former folders of a database after its new record is committed."""
    for path in _entries(root.replaced):
        if path.is_dir() and path.name.rpartition("-")[0] == database:
            retire(root, path)


def _superseded(root: Root, folder: Path) -> bool:
    """A former folder whose database is published anew, or was removed; else it may be the only copy there is."""
    database = folder.name.rpartition("-")[0]
    return folder.is_dir() and (root.folder(database).is_dir() or not root.record(database).exists())


def _lone_notes(root: Root) -> list[Path]:
    """Notes of former folders that are gone. One whose staging folder stands may be about to get its folder."""
    notes = [path for path in _entries(root.replaced) if path.suffix == ".json" and not path.with_suffix("").exists()]
    return [path for path in notes if _is_replaced(root, path.stem) and not (root.staging / path.stem).exists()]


def _is_replaced(root: Root, name: str) -> bool:
    """Else its note is the only record there is: of a database that is being removed."""
    return root.record(name.rpartition("-")[0]).exists()


def retire(root: Root, folder: Path) -> list[Path]:
    """Remove a former folder. Files of the user move back to where they were, files that were changed to quarantine
    (P5, S22); returns those that are in quarantine now."""
    database = folder.name.rpartition("-")[0]
    note = folder.with_name(folder.name + ".json")
    try:
        record = read_record_at(note, database)
    except (IntegrityFault, RefusedInput):
        record = None
    owned = record.files if record else StoredFiles()
    if folder.is_symlink():  # exchanged for the folder just before it was renamed: nothing behind it is ours (S17)
        folders.remove(note, missing_ok=True)
        return [_set_aside(root, database, folder)]
    changed = []
    for place, emptied, names, handle in folders.walk(folder):
        with folders.named_in(folder / place):
            for name in names:
                relative = f"{place}/{name}" if place else name
                file = owned.of(relative)
                if _is_ours(handle, name, file.sha256 if file else "", root.folder(database) / relative):
                    os.unlink(name, dir_fd=handle)
                elif file or not _sent_home(root, database, folder / relative, relative):
                    changed.append(_set_aside(root, database, folder / relative))
            for name in emptied:
                os.rmdir(name, dir_fd=handle)
    folders.remove(note, missing_ok=True)  # before the folder: no note is ever alone
    folders.remove_folder(folder)
    return changed


def _is_ours(folder: int, name: str, sha256: str, successor: Path) -> bool:
    """Recorded and unchanged, or what an interrupted `remove` left: the same bytes as in the new version."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket
            return False
        raise
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):  # a folder in its place, say: Python makes no stream of that
            return False
        if successor.is_file() and os.path.samestat(successor.stat(), about):
            return bool(sha256)
        with open(descriptor, "rb", buffering=0, closefd=False) as stream:
            found = sha256_stream(stream)[0]
    finally:
        os.close(descriptor)
    return found == sha256 or (not sha256 and _is_copy(successor, found))


def _is_copy(successor: Path, sha256: str) -> bool:
    return successor.is_file() and not successor.is_symlink() and sha256_file(successor)[0] == sha256


def _sent_home(root: Root, database: str, path: Path, relative: str) -> bool:
    """Move a file that is not ours to the database's present folder, unless something has its name there."""
    home = root.folder(database) / relative
    if os.path.lexists(home):
        return False
    folders.make_below(root.path, home.parent)
    folders.rename(path, home)
    for folder in home.parents:  # the folders that were made for it, too
        if folder.is_relative_to(root.path):
            fsync_folder(folder)
    return True


def _set_aside(root: Root, database: str, path: Path) -> Path:
    aside = root.quarantine / f"{database}-{os.urandom(4).hex()}-{shortened(path.name, ASIDE)}"
    folders.rename(path, aside)
    fsync_folder(root.quarantine)
    return aside


def _temporaries(root: Root) -> list[Path]:
    """What writers that were killed left beside the files that they were to replace."""
    folders = (root.path, root.internal, root.installed, root.stat, root.replaced, root.quarantine)
    return [path for folder in folders for path in _entries(folder) if _TEMPORARY.fullmatch(path.name)]


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _unheld(path: Path) -> bool:
    """Nobody downloads into it right now: parts in use are locked, and so is the part of a note."""
    part = path.with_suffix(".part")
    try:
        descriptor = folders.open_file(part if part.exists() else path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return try_flock(descriptor)
    except OSError:  # no locks here: what nobody can vouch for stays
        return False
    finally:
        os.close(descriptor)


def _size(path: Path) -> int:
    if not path.is_dir():
        return path.lstat().st_size
    return sum((Path(parent) / name).lstat().st_size for parent, _, names in os.walk(path) for name in names)
