"""What `info` shows of one database: for a person at a terminal in sections, elsewhere as records."""

from __future__ import annotations

from aigiqa_cli.cli.page import Page
from aigiqa_cli.cli.profile import background, copies, identity, records, splits
from aigiqa_cli.cli.profile.portrait import Portrait
from aigiqa_cli.cli.terminal import Terminal

__all__ = ["Portrait", "show"]


def show(terminal: Terminal, portrait: Portrait, *, everything: bool) -> None:
    """On a terminal first what a researcher asks first; without one every record there is, in the same order."""
    if not terminal.out_is_terminal:
        records.write(terminal, portrait)
        return
    page = Page(terminal)
    identity.show(page, portrait, everything=everything)
    copies.show(page, portrait, everything=everything)
    splits.show(page, portrait, everything=everything)
    background.show(page, portrait, everything=everything)
