"""gc: free what nothing owns."""

from __future__ import annotations

from aigiqa_cli.context import Context
from aigiqa_cli.installing import root_index
from aigiqa_cli.store import Leftover, discard, heal, installed_ids, leftovers, locked, machine_faults


def collect(context: Context, *, dry_run: bool) -> list[Leftover]:
    """Finish half-done publications, then remove every leftover; a dry run lists exactly what would go."""
    if dry_run:
        return leftovers(context.root)
    with machine_faults("cleaning up", phase="REMOVE"):
        for name in {*installed_ids(context.root), *context.catalogue.entries}:
            if context.root.locks.is_dir():
                with locked(context.root, name, context.reporter):
                    heal(context.root, name)
        if root_index.check(context.root):
            root_index.rebuild(context.root, context.reporter)
        found = leftovers(context.root)
        for leftover in found:
            discard(context.root, leftover)
    return found
