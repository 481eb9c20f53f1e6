"""remove: uninstall one database. Only what our record owns and what still has the recorded bytes goes (P5)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from aigiqa_cli import root_index
from aigiqa_cli.context import Context
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.store import heal, installed_ids, locked, machine_faults, read_record, retire, withdraw, withdrawn
from aigiqa_cli.store.records import read_record_at


@dataclass(frozen=True)
class Removed:
    """What went, what was changed and lies in quarantine now, and what was never ours and stays."""

    database: str
    files: int
    bytes: int
    quarantined: tuple[str, ...]
    left: tuple[str, ...]


def remove(context: Context, name: str) -> Removed:
    """Remove one installed database, or finish a removal that was stopped."""
    root = context.root
    if name not in installed_ids(root) and not withdrawn(root, name):
        raise UsageFault(f"{name} is not installed", hint="what is installed: aigiqa list", database=name)
    with locked(root, name, context.reporter), machine_faults(f"removing {name}", phase="REMOVE", place=root.path):
        heal(root, name)
        record = read_record(root, name)
        former, note = None, next(iter(withdrawn(root, name)), None)
        if record is None and note is not None:
            former, record = note.with_suffix(""), read_record_at(note, name)
        if record is None:
            raise UsageFault(f"{name} is not installed", hint="what is installed: aigiqa list", database=name)
        context.reporter.phase(f"removing {name}", unit="")
        former = former or withdraw(root, name)
        quarantined = retire(root, former)
    root_index.rebuild(root, context.reporter)
    left = [
        os.path.join(parent, file) for parent, _, files in os.walk(context.root.folder(name)) for file in sorted(files)
    ]
    return Removed(name, len(record.files) - len(quarantined), record.size, tuple(map(str, quarantined)), tuple(left))
