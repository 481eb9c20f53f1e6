"""What does not match its record is moved to quarantine before a repair, never overwritten (P5)."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence

from aigiqa_cli.context import Context
from aigiqa_cli.errors import Finding
from aigiqa_cli.store import fsync_folder, locked, machine_faults, write_whole


def set_aside(context: Context, database: str, findings: Sequence[Finding]) -> list[str]:
    """Move every file that `findings` names into quarantine, with a note why; returns where they are now."""
    moved = []
    folder = context.root.folder(database)
    with locked(context.root, database, context.reporter), machine_faults(f"repairing {database}", phase="REMOVE"):
        for finding in findings:
            path = folder / finding.path.removeprefix(f"{database}/")
            if not os.path.lexists(path):
                continue
            target = context.root.quarantine / f"{database}-{secrets.token_hex(4)}-{path.name}"
            note = json.dumps(finding.as_json(), ensure_ascii=False).encode()
            write_whole(target.with_name(target.name + ".why.json"), note)
            os.rename(path, target)
            moved.append(str(target))
        fsync_folder(context.root.quarantine)
    return moved
