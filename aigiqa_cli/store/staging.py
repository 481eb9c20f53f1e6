"""Unfinished installs, and how they become published ones.

A staging folder holds `owner.json` (held under a kernel lock while its owner lives), `tree/` (what will be
published) and, once everything in it is durable, `record.json`. Publishing is renames only:

    staging/<name>/tree <-> <root>/<db>                         one step, so that the database is never absent (C03)
    staging/<name>/tree ->  .aigiqa/replaced/<name>             the former version; its record stands beside it
    staging/<name>/record.json -> .aigiqa/installed/<db>.json   the commit point

Where there is no former version, or the system cannot exchange names, the former goes first and the tree follows.
Whoever finds this half done finishes it (`heal`): record.json stands only in a folder whose tree was proven and
flushed, so rolling forward is always right.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from aigiqa_cli import folders, owners
from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.errors import TemporaryFault
from aigiqa_cli.store.durable import exchange, flush_tree, fsync_folder, whole_file, write_whole
from aigiqa_cli.store.locks import owner_note, try_flock
from aigiqa_cli.store.records import Record, is_record_of, recorded_sha256
from aigiqa_cli.store.root import Root
from aigiqa_cli.store.stat_cache import Looks, clock, note_looks, written_looks

OWNER, TREE, RECORD, SCRATCH = "owner.json", "tree", "record.json", "scratch"
EXCHANGE = "exchanged"  # which folder the tree is (its inode), noted before it and the former version change hands
CHECKSUMS = "checksums.sha256"
_UNBORN = f".{OWNER}"
_TRIES = 100
_LONGEST_NOTE = 4096


class Staging:
    """One unfinished install, owned by this process."""

    def __init__(self, root: Root, database: str) -> None:
        self.root = root
        self.database = database
        self.folder, self._owner = _begun(root, database)
        self.tree = self.folder / TREE
        self.scratch = self.folder / SCRATCH
        try:
            folders.make(self.tree, 0o755)
            folders.make(self.scratch, 0o700)
        except BaseException:
            self.close()
            raise

    def publish(self, record: Record) -> None:
        """Make the tree durable, then published, then committed. What was published before goes to `replaced`."""
        folders.remove_tree(self.scratch)  # what it held was never to be published
        flush_tree(self.folder, self._owner)
        looks = self._looks(record)
        digest = hashlib.sha256()
        with whole_file(self.folder / RECORD) as stream:
            for piece in record.pieces():
                digest.update(piece)
                stream.write(piece)
        roll_forward(self.root, self.folder, self.database)
        with suppress(OSError):  # the database is installed; only `verify --quick` would have had less to read
            note_looks(self.root, record, digest.hexdigest(), looks)

    def _looks(self, record: Record) -> Looks:
        """How the files look while nobody else can reach them."""
        try:
            return written_looks(self.tree, record, clock(self.root))
        except OSError:
            return Looks()

    def close(self) -> None:
        """Drop whatever is left of it; but what is prepared to be published stays, for `heal` to finish."""
        if not (self.folder / RECORD).exists():
            _drop_if_possible(self.folder)
        os.close(self._owner)


def _begun(root: Root, database: str) -> tuple[Path, int]:
    """A new staging folder and its owner note, open and locked. What `gc` takes for unborn and removes in the very
    moment between folder and note is begun anew."""
    for _ in range(_TRIES):
        folder = root.staging / f"{database}-{os.urandom(8).hex()}"
        folders.make(folder, 0o700)
        try:
            return folder, _held_note(folder)
        except FileNotFoundError:
            continue
        except BaseException:
            _drop_if_possible(folder)
            raise
    raise TemporaryFault(f"another aigiqa keeps removing what is begun in {root.staging}", fault="C04", phase="PLAN")


def _held_note(folder: Path) -> int:
    """The owner note, locked before it has its name: nobody can find it unlocked while its owner lives (S18)."""
    descriptor = folders.open_file(folder / _UNBORN, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with suppress(OSError):  # where there are no locks nobody takes us for dead either
            try_flock(descriptor)
        os.write(descriptor, owner_note())
        folders.rename(folder / _UNBORN, folder / OWNER)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def unborn(root: Root) -> list[Path]:
    """Staging folders whose maker died before it had written its owner note: nothing else can be in them."""
    return [folder for folder in _folders(root) if _is_unborn(folder)]


def _is_unborn(folder: Path) -> bool:
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return not names or (names == [_UNBORN] and is_free(folder / _UNBORN))


def bury(folder: Path) -> None:
    """Remove an unborn folder; nothing happens if it has come to life meanwhile."""
    with suppress(OSError):
        if is_free(folder / _UNBORN):
            folders.remove(folder / _UNBORN)
    with suppress(OSError):
        folders.remove_folder(folder)


def is_free(path: Path) -> bool:
    """Does nobody hold the lock of this owner note, and does its writer not live? False also where it cannot be
    asked. The lock alone would do if every file system told the truth about locks (C06)."""
    try:
        descriptor = folders.open_file(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return try_flock(descriptor) and not owners.lives(_note(descriptor))
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _note(descriptor: int) -> dict[str, Any]:
    try:
        found = json.loads(os.read(descriptor, _LONGEST_NOTE))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def drop(folder: Path) -> None:
    """Remove a staging folder, its owner note last: of what has no note nobody knows that it may go (S18)."""
    if folder.is_symlink():  # exchanged for the folder: nothing behind it is ours (S17)
        folders.remove(folder)
        return
    with folders.opened(folder) as handle, folders.named_in(folder):
        for entry in list(os.scandir(handle)):
            if entry.is_dir(follow_symlinks=False):
                folders.remove_tree(folder / entry.name)
            elif entry.name != OWNER:
                os.unlink(entry.name, dir_fd=handle)
        with suppress(FileNotFoundError):
            os.unlink(OWNER, dir_fd=handle)
    folders.remove_folder(folder)


def _drop_if_possible(folder: Path) -> None:
    with suppress(OSError):  # what stays is still whole enough for `gc` to find it
        drop(folder)


@contextmanager
def staged(root: Root, database: str) -> Iterator[Staging]:
    """A staging folder that is gone at the end of the block, however it ends."""
    work = Staging(root, database)
    try:
        yield work
    finally:
        work.close()


def roll_forward(root: Root, folder: Path, database: str) -> None:
    """Finish a publication whose record is prepared. Safe to repeat at any point.

    Where locks lie another process may publish the same database at the same moment (C06). Then one of the two is
    published and recorded, and it is never the record of the one with the files of the other: TemporaryFault.
    """
    _publish_tree(root, folder, database)
    former = _bytes(root.record(database))
    with suppress(FileNotFoundError):  # somebody else has finished it
        folders.rename(folder / RECORD, root.record(database))
    fsync_folder(root.installed)
    _drop_if_possible(folder)
    if not _is_recorded(root, database, _bytes(root.record(database))):
        if former is not None and _is_recorded(root, database, former):
            write_whole(root.record(database), former)
        raise TemporaryFault(
            f"another aigiqa published {database} at the same moment", hint="try again", fault="C06", phase="PUBLISH"
        )


def _publish_tree(root: Root, folder: Path, database: str) -> None:
    published, tree = root.folder(database), folder / TREE
    for _ in range(_TRIES):
        if not os.path.lexists(tree):
            return
        with suppress(FileNotFoundError):  # where locks lie another process may do the same at the same time (C06)
            if _is_former(folder, published):
                _shelve(root, tree, folder.name, database)
                return
            if not os.path.lexists(published):
                if _took_the_name(tree, published):
                    fsync_folder(root.path)
                    return
            elif _exchanged(folder, published):
                fsync_folder(root.path)
                fsync_folder(folder)
            else:
                _shelve(root, published, folder.name, database)
    raise TemporaryFault(f"other processes keep publishing {database}", fault="C06", phase="PUBLISH")


def _took_the_name(tree: Path, published: Path) -> bool:
    try:
        folders.rename(tree, published)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        return False  # another process published it meanwhile
    return True


def _exchanged(folder: Path, published: Path) -> bool:
    """Exchange tree and former version. Which of the two is the tree is noted first, for whoever finds it half done."""
    tree = folder / TREE
    if not (folder / EXCHANGE).exists():
        write_whole(folder / EXCHANGE, str(tree.lstat().st_ino).encode())
    return exchange(tree, published)


def _is_former(folder: Path, published: Path) -> bool:
    """Does the former version lie where the tree was? The list of checksums tells; of equal ones, the folder itself."""
    noted, record = _bytes(folder / EXCHANGE), _bytes(folder / RECORD)
    if noted is None or record is None:
        return False
    here, there = _holds(folder / TREE, record), _holds(published, record)
    return there if here != there else str((folder / TREE).lstat().st_ino).encode() != noted


def _shelve(root: Root, former: Path, name: str, database: str) -> None:
    """Put a former version away, its record beside it: nothing of the user's in it is ever removed."""
    if os.path.lexists(root.replaced / name):
        name = f"{database}-{os.urandom(8).hex()}"
    if root.record(database).is_file():
        write_whole(root.replaced / f"{name}.json", root.record(database).read_bytes())
    folders.rename(former, root.replaced / name)
    fsync_folder(root.replaced)


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_recorded(root: Root, database: str, record: bytes | None) -> bool:
    """Are the published files those of this record?"""
    return record is not None and _holds(root.folder(database), record)


def _holds(folder: Path, record: bytes) -> bool:
    """Are the files in the folder those of this record? Its list of checksums stands for all of them."""
    found = _bytes(folder / CHECKSUMS)
    return recorded_sha256(record, CHECKSUMS) == (None if found is None else sha256_bytes(found))


def withdraw(root: Root, database: str) -> Path:
    """Take a published database back: its record goes to `replaced`, which is the point of no return, then its folder.

    Returns the former folder, which `retire` empties; a run that is killed in between is finished by the next one.
    """
    note = root.replaced / f"{database}-{os.urandom(8).hex()}.json"
    folders.rename(root.record(database), note)
    fsync_folder(root.installed)
    fsync_folder(root.replaced)
    with suppress(OSError):  # gc finds it
        folders.remove(root.stat / database, missing_ok=True)
    return _follow(root, note, database)


def _follow(root: Root, note: Path, database: str) -> Path:
    """The folder goes where its record has gone."""
    former = note.with_suffix("")
    if root.folder(database).exists():
        folders.rename(root.folder(database), former)
        fsync_folder(root.replaced)
        fsync_folder(root.path)
    else:
        folders.make(former)  # there is nothing left to retire but the note
    return former


def withdrawn(root: Root, database: str = "") -> list[Path]:
    """Notes of databases (or of one) that were taken back, and whose folder has not been retired yet."""
    try:
        notes = sorted(path for path in root.replaced.iterdir() if path.suffix == ".json")
    except (FileNotFoundError, NotADirectoryError):
        return []
    named = [(path, path.stem.rpartition("-")[0]) for path in notes]
    return [path for path, name in named if database in ("", name) and not root.record(name).exists()]


def heal(root: Root, database: str) -> bool:
    """Finish a publication of `database` that a dead process left half done, and drop what it had only begun (S18).
    Call with the database's lock held."""
    healed = False
    for folder in abandoned(root, database):
        if not (folder / RECORD).exists():
            _drop_if_possible(folder)
        elif is_record_of(folder / RECORD, database):
            roll_forward(root, folder, database)
            healed = True
    for folder in unborn(root):
        if folder.name.rpartition("-")[0] == database:
            bury(folder)
    for note in withdrawn(root, database):
        if not note.with_suffix("").exists():
            _follow(root, note, database)
            healed = True
    return healed


def unfinished(root: Root) -> list[str]:
    """Databases whose publication or removal a dead process left half done."""
    prepared = {folder.name.rpartition("-")[0] for folder in abandoned(root) if (folder / RECORD).exists()}
    halfway = {note.stem.rpartition("-")[0] for note in withdrawn(root) if not note.with_suffix("").exists()}
    return sorted(prepared | halfway)


def is_prepared(root: Root, database: str) -> bool:
    """Has a publication begun that did not end? Whoever comes next finishes it."""
    return any((f / RECORD).exists() for f in _folders(root) if f.name.rpartition("-")[0] == database)


def abandoned(root: Root, database: str = "") -> list[Path]:
    """Staging folders whose owner is dead, of one database or of all. A missing owner note means: keep (S18)."""
    wanted = [folder for folder in _folders(root) if database in ("", folder.name.rpartition("-")[0])]
    return [folder for folder in wanted if is_free(folder / OWNER)]


def _folders(root: Root) -> list[Path]:
    try:
        return sorted(root.staging.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
