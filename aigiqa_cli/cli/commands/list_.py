"""aigiqa list."""

from __future__ import annotations

from dataclasses import asdict

from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.terminal import Column, Terminal, human_bytes
from aigiqa_cli.steps.catalogue_listing import Listed, listing

COLUMNS = (
    Column("id", style="bold cyan"),
    Column("images", right=True),
    Column("generators", right=True),
    Column("dimensions", wrap=True),
    Column("size", right=True),
    Column("licence"),
    Column("mirrors", wrap=True),
    Column("state here"),
)


def list_(desk: Desk) -> Answer:
    """The catalogue: every database, and what is here of it.

    Without a terminal: one database a line, tab separated. With -q: ids only.

    Examples:

        aigiqa list

        aigiqa list -q | xargs -n1 aigiqa info
    """
    found = list(listing(desk.context))

    def show(terminal: Terminal) -> None:
        if terminal.quiet:
            for item in found:
                terminal.line(item.id)
            return
        terminal.table(COLUMNS, [_row(item) for item in found])
        for item in found:
            if item.fault:
                see = f"; see: aigiqa lint {item.manifest.split(' (')[0]}" if item.manifest else ""
                terminal.note(f"{item.id}: {item.fault}{see}")
            elif item.manifest != "built-in":
                terminal.note(f"{item.id} comes from {item.manifest}")

    return Answer([asdict(item) for item in found], show, partial=any(item.fault for item in found))


def _row(item: Listed) -> tuple[str, ...]:
    if item.fault:
        return item.id, "?", "?", "?", "?", "?", "?", item.state or "broken manifest"
    low, high = item.images
    return (
        item.id,
        f"{low}" if low == high else f"{low}-{high}",
        str(item.generators),
        ", ".join(item.dimensions),
        human_bytes(item.bytes),
        item.license,
        ", ".join(item.mirrors) or "by hand",
        item.state + (", synthetic" if item.synthetic else ""),
    )


command_ = command(list_)
