"""aigiqa remove."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aigiqa_cli.cli.commands.options import NeededDatabases
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.terminal import Terminal, human_bytes
from aigiqa_cli.steps.remove import Removed
from aigiqa_cli.steps.remove import remove as remove_one


def remove(desk: Desk, databases: NeededDatabases) -> Answer:
    """Uninstall databases. Files that were changed go to quarantine; files that are not ours stay.

    Examples:

        aigiqa remove DB
    """
    results: list[Removed] = []

    def work(name: str) -> dict[str, Any]:
        results.append(remove_one(desk.context, name))
        return asdict(results[-1])

    outcomes = desk.each(desk.installed_names(databases), work)

    def show(terminal: Terminal) -> None:
        for removed in results:
            terminal.line(removed.database)
            terminal.note(f"{removed.database} removed: {removed.files:,} files, {human_bytes(removed.bytes)}")
            if removed.quarantined:
                terminal.note(f"{len(removed.quarantined)} changed files are kept in {desk.context.root.quarantine}")
            for path in removed.left:
                terminal.note(f"not ours, left where it is: {path}")

    return Answer(outcomes=outcomes, show=show)


command_ = command(remove)
