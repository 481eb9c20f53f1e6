"""aigiqa gc."""

from __future__ import annotations

from typing import Annotated

import typer

from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.terminal import Column, Terminal, human_bytes
from aigiqa_cli.steps.gc import collect


def gc(
    desk: Desk,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List exactly what would go; remove nothing.")] = False,
) -> Answer:
    """Free what nothing owns: unfinished downloads, leftovers of killed runs, archives of nothing installed.

    Examples:

        aigiqa gc --dry-run
    """
    found = collect(desk.context, dry_run=dry_run)
    data = [{"path": str(item.path), "kind": item.kind, "bytes": item.bytes} for item in found]

    def show(terminal: Terminal) -> None:
        columns = (Column("path", wrap=True), Column("what"), Column("size", right=True))
        if found:
            terminal.table(columns, [(item.path, item.kind, human_bytes(item.bytes)) for item in found])
        word = "would be freed" if dry_run else "freed"
        terminal.note(f"{len(found)} things, {human_bytes(sum(item.bytes for item in found))} {word}")

    return Answer(data, show)


command_ = command(gc)
