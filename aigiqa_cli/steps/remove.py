"""remove: uninstall one database. Only what our record owns and what still has the recorded bytes goes (P5)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from aigiqa_cli.context import Context
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.installing import root_index
from aigiqa_cli.store import heal, installed_ids, locked, machine_faults, read_record, retire, withdraw


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
        context.reporter.phase(f"removing {name}", unit="")
        former = withdraw(context.root, name)
        quarantined = retire(context.root, former) if former.is_dir() else []
    root_index.rebuild(context.root, context.reporter)
    left = [
        os.path.join(parent, file) for parent, _, files in os.walk(context.root.folder(name)) for file in sorted(files)
    ]
    return Removed(name, len(record.files) - len(quarantined), record.size, tuple(map(str, quarantined)), tuple(left))
