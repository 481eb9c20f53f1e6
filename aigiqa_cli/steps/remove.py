"""remove: uninstall one database. Only what our record owns and what still has the recorded bytes goes (P5)."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from aigiqa_cli.context import Context
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.installing import root_index
from aigiqa_cli.store import (
    Record,
    StoredFile,
    fsync_folder,
    heal,
    installed_ids,
    locked,
    machine_faults,
    read_record,
    remove_record,
)


@dataclass(frozen=True)
class Removed:
    """What went, what was changed and lies in quarantine now, and what was never ours and stays."""

    database: str
    files: int
    bytes: int
    quarantined: tuple[str, ...]
    left: tuple[str, ...]


def remove(context: Context, name: str) -> Removed:
    """Remove one installed database."""
    if name not in installed_ids(context.root):
        raise UsageFault(f"{name} is not installed", hint="what is installed: aigiqa list", database=name)
    with locked(context.root, name, context.reporter), machine_faults(f"removing {name}", phase="REMOVE"):
        heal(context.root, name)
        record = read_record(context.root, name)
        if record is None:
            raise UsageFault(f"{name} is not installed", hint="what is installed: aigiqa list", database=name)
        remove_record(context.root, name)
        context.reporter.phase(f"removing {name}", total=len(record.files), unit="files")
        quarantined = [file.path for file in record.files if not _discard(context, record, file)]
        left = _drop_empty_folders(context.root.folder(name))
    root_index.rebuild(context.root, context.reporter)
    return Removed(name, len(record.files) - len(quarantined), record.size, tuple(quarantined), tuple(left))


def _discard(context: Context, record: Record, file: StoredFile) -> bool:
    """Remove one file if its bytes are the recorded ones, else move it to quarantine (False)."""
    context.reporter.advance(1)
    folder = context.root.folder(record.database)
    path = folder / file.path
    if path.is_symlink() or not path.is_file() or path.parent.resolve() != folder.resolve() / Path(file.path).parent:
        return True  # not ours: a link that the user put there, or what lies behind one (S17)
    if sha256_file(path)[0] == file.sha256:
        path.unlink()
        return True
    target = context.root.quarantine / f"{record.database}-{secrets.token_hex(4)}-{path.name}"
    os.rename(path, target)
    fsync_folder(context.root.quarantine)
    return False


def _drop_empty_folders(folder: Path) -> list[str]:
    """Remove folders that are empty now; returns what is left, because it was never ours."""
    left = []
    for parent, folders, names in os.walk(folder, topdown=False):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        left += [os.path.join(parent, name) for name in (*names, *links)]
        if not os.listdir(parent):
            os.rmdir(parent)
    return sorted(left)
