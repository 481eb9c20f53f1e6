"""aigiqa list."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aigiqa_cli.cli import catalogue_table
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.terminal import Terminal, human_bytes, size_in_words
from aigiqa_cli.steps.catalogue_listing import Listed, listing


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
        if terminal.out_is_terminal:
            catalogue_table.show(terminal, [_row(item, people=True) for item in found])
        else:
            for item in found:
                terminal.record(*_row(item))
        for item in found:
            if item.fault:
                see = f"; see: aigiqa lint {item.manifest.split(' (')[0]}" if item.manifest else ""
                terminal.note(f"{item.id}: {item.fault}{see}")
            elif item.manifest != "built-in":
                terminal.note(f"{item.id} comes from {item.manifest}")

    return Answer([_as_json(item) for item in found], show, partial=any(item.fault for item in found))


def _row(item: Listed, *, people: bool = False) -> tuple[str, ...]:
    """The eight fields of one database: whole numbers are grouped for people only."""
    if item.fault:
        return item.id, "?", "?", "?", "?", "?", "?", item.state or "broken manifest"
    counts = [f"{count:,}" if people else str(count) for count in dict.fromkeys(item.images)]
    return (
        item.id,
        "-".join(counts),
        str(item.generators),
        ", ".join(item.dimensions),
        size_in_words(item.bytes, _roughly(item)),
        item.license,
        ", ".join(item.mirrors) or "by hand",
        item.state + (", synthetic" if item.synthetic else ""),
    )


def _as_json(item: Listed) -> dict[str, Any]:
    """`bytes` is exact or null; `approximate_size` is what a page says of it then."""
    names = {"approximate_bytes": "approximate_size"}
    return {names.get(name, name): value for name, value in asdict(item).items()} | {"approximate_size": _roughly(item)}


def _roughly(item: Listed) -> str:
    return "" if item.approximate_bytes is None else human_bytes(item.approximate_bytes)


command_ = command(list_)
