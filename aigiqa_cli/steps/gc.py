"""gc: free what nothing owns."""

from __future__ import annotations

from aigiqa_cli import root_index
from aigiqa_cli.context import Context
from aigiqa_cli.errors import MachineFault
from aigiqa_cli.store import Leftover, discard, heal, leftovers, locked, machine_faults, unfinished


def collect(context: Context, *, dry_run: bool) -> list[Leftover]:
    """Remove every leftover and finish half-done publications; a dry run lists what can go as it is."""
    if dry_run:
        return leftovers(context.root)
    context.root.refuse_links()
    with machine_faults("cleaning up", phase="REMOVE", place=context.root.path):
        found = _discarded(context)  # first what needs no room: on a full disk the rest needs some
        for name in unfinished(context.root):
            with locked(context.root, name, context.reporter):
                heal(context.root, name)
        _refresh_index(context)
        return found + _discarded(context)


def _refresh_index(context: Context) -> None:
    """The root index is derived: where there is no room for it now, that is no reason not to clean up."""
    try:
        if root_index.check(context.root):
            root_index.rebuild(context.root, context.reporter)
    except MachineFault as fault:
        if fault.fault not in ("S04", "S05", "S06"):
            raise
        context.reporter.note(f"{fault.message}; once there is room: aigiqa index --rebuild")


def _discarded(context: Context) -> list[Leftover]:
    found = leftovers(context.root)
    for leftover in found:
        discard(context.root, leftover)
    return found
