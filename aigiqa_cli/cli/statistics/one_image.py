"""One image for a person at a terminal: its scores on their scales, its prompt, and all else that is known of it. In a
pipe one record a field.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from aigiqa_cli.cli.page import Page
from aigiqa_cli.cli.statistics.bars import STYLES, bar, number
from aigiqa_cli.cli.terminal import Terminal, human_bytes

if TYPE_CHECKING:
    from aigiqa_cli.describing.standing import Standing
    from aigiqa_cli.steps.show import Shown

BAR = 24  # cells
NAMES = 12  # cells of "authenticity"
WIDE = 90  # cells from which on a score's place among all has room beside it


def write(terminal: Terminal, found: Shown) -> None:
    """column, value as it stands in the index; then where the files are."""
    for column, text in found.row.items():
        if text:
            terminal.record(column, text)
    for file in found.files:
        terminal.record(f"{file.role}_file", file.path)


def show(terminal: Terminal, found: Shown) -> None:
    page, row = Page(terminal, widest=None), found.row
    about = [row["generator"], row["setting"], row["task"] if row["task"] == "i2i" else "", row["split"]]
    page.heading(row["image_id"], " · ".join(filter(None, [found.database, *about])))
    page.named("prompt", [(row["prompt"], "")], room=NAMES)
    for name, one in found.scores.items():
        _score(page, name, one)
    if not found.scores:
        page.text("no score", 2, "yellow")
    for file in found.files:
        size = f"{row['width']}x{row['height']} {row['format']} · " if file.role == "image" else ""
        state = f"  {file.problem}" if file.problem else ""
        page.named(file.role, [(str(file.path), ""), (state, "bold red")], room=NAMES)
        page.text(f"{size}{human_bytes(file.size)} · sha256 {file.sha256}", 2 + NAMES + 1, "dim")
    if not found.files:
        page.named("image", [("only the labels are here", "dim")], room=NAMES)
    page.named("flags", [(row["flags"].replace(";", ", "), "yellow")], room=NAMES)
    for name, text in _extra(found):
        page.named(name, [(text, "")], room=NAMES)
    page.named("row", [(row["row"], "")], room=NAMES)


def _score(page: Page, name: str, one: Standing) -> None:
    low, high = one.range or (one.mos, one.mos)
    share = (one.mos - low) / (high - low) if high > low else one.unit or 0.0
    scale = f" of {low:g}-{high:g}" if one.range else ""
    std = f"  raters ±{number(one.std)}" if one.std is not None else ""
    parts = [(f"{number(one.mos)}{scale:<9}  ", "bold"), (bar(share, BAR), STYLES[name]), (std, "")]
    above = f"above {one.percentile:.0f} % of {one.n:,}"
    page.named(name, [*parts, (f"  {above}" if page.width >= WIDE else "", "dim")], room=NAMES)
    if page.width < WIDE:
        page.text(above, 2 + NAMES + 1, "dim")


def _extra(found: Shown) -> Iterator[tuple[str, str]]:
    """The fields of `extra`, lists as words."""
    for name, value in found.typed["extra"].items():
        if isinstance(value, list):
            yield name, ", ".join(map(str, value))
        elif value not in ("", None):
            yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
