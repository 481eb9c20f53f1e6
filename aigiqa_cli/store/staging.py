"""Unfinished installs, and how they become published ones.

A staging folder holds `owner.json` (held under a kernel lock while its owner lives), `tree/` (what will be
published) and, once everything in it is durable, `record.json`. Publishing is renames only:

    former <root>/<db>  ->  .aigiqa/replaced/<name>          (if there is one; its record stands beside it)
    staging/<name>/tree ->  <root>/<db>
    staging/<name>/record.json -> .aigiqa/installed/<db>.json   the commit point

Whoever finds this half done finishes it (`heal`): record.json stands only in a folder whose tree was proven and
flushed, so rolling forward is always right.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aigiqa_cli.store.durable import flush_tree, fsync_folder, write_whole
from aigiqa_cli.store.locks import owner_note, try_flock
from aigiqa_cli.store.records import Record, remove_record
from aigiqa_cli.store.root import Root

OWNER, TREE, RECORD, SCRATCH = "owner.json", "tree", "record.json", "scratch"


class Staging:
    """One unfinished install, owned by this process."""

    def __init__(self, root: Root, database: str) -> None:
        self.root = root
        self.database = database
        self.folder = root.staging / f"{database}-{secrets.token_hex(8)}"
        self.folder.mkdir(mode=0o700)
        self.tree = self.folder / TREE
        self.scratch = self.folder / SCRATCH
        self._owner = _held_note(self.folder)
        self.tree.mkdir(mode=0o755)
        self.scratch.mkdir(mode=0o700)

    def publish(self, record: Record) -> None:
        """Make the tree durable, then published, then committed. What was published before goes to `replaced`."""
        shutil.rmtree(self.scratch)  # what it held was never to be published
        flush_tree(self.folder)
        write_whole(self.folder / RECORD, record.to_bytes())
        roll_forward(self.root, self.folder, self.database)

    def close(self) -> None:
        """Drop whatever is left of it; but what is prepared to be published stays, for `heal` to finish."""
        if not (self.folder / RECORD).exists():
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._owner)


def _held_note(folder: Path) -> int:
    """The owner note, locked before it has its name: nobody can find it unlocked while its owner lives (S18)."""
    temporary = folder / f".{OWNER}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try_flock(descriptor)
    os.write(descriptor, owner_note())
    os.rename(temporary, folder / OWNER)
    return descriptor


@contextmanager
def staged(root: Root, database: str) -> Iterator[Staging]:
    """A staging folder that is gone at the end of the block, however it ends."""
    work = Staging(root, database)
    try:
        yield work
    finally:
        work.close()


def roll_forward(root: Root, folder: Path, database: str) -> None:
    """Finish a publication whose record is prepared. Safe to repeat at any point."""
    published, tree = root.folder(database), folder / TREE
    if tree.exists():
        if published.exists():
            _keep_former_record(root, folder.name, database)
            os.rename(published, root.replaced / folder.name)
            fsync_folder(root.replaced)
        os.rename(tree, published)
        fsync_folder(root.path)
    os.rename(folder / RECORD, root.record(database))
    fsync_folder(root.installed)
    shutil.rmtree(folder, ignore_errors=True)


def _keep_former_record(root: Root, name: str, database: str) -> None:
    """What the former folder owned stands beside it, so that nothing of the user's in it is ever removed."""
    if root.record(database).is_file():
        write_whole(root.replaced / f"{name}.json", root.record(database).read_bytes())


def withdraw(root: Root, database: str) -> Path:
    """Take a published database back: its folder goes to `replaced` with its record beside, then the record goes.

    Returns the former folder, which `retire` empties; a run that is killed in between is finished by the next one.
    """
    name = f"{database}-{secrets.token_hex(8)}"
    if root.folder(database).exists():
        _keep_former_record(root, name, database)
        os.rename(root.folder(database), root.replaced / name)
        fsync_folder(root.replaced)
        fsync_folder(root.path)
    remove_record(root, database)
    return root.replaced / name


def heal(root: Root, database: str) -> bool:
    """Finish a publication of `database` that a dead process left half done. Call with the database's lock held."""
    healed = False
    for folder in abandoned(root, database):
        if (folder / RECORD).exists() and _prepared_for(folder, database):
            roll_forward(root, folder, database)
            healed = True
    return healed


def abandoned(root: Root, database: str = "") -> list[Path]:
    """Staging folders whose owner is dead, of one database or of all. A missing owner note means: keep (S18)."""
    found = []
    for folder in sorted(root.staging.iterdir()) if root.staging.is_dir() else ():
        if database and folder.name.rpartition("-")[0] != database:
            continue
        try:
            descriptor = os.open(folder / OWNER, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            if try_flock(descriptor):
                found.append(folder)
        finally:
            os.close(descriptor)
    return found


def _prepared_for(folder: Path, database: str) -> bool:
    try:
        return bool(json.loads((folder / RECORD).read_bytes())["database"] == database)
    except (ValueError, KeyError, OSError):
        return False
