"""Small pictures made of text: a bar for a value on its scale, a row of bars for a histogram; and their table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aigiqa_cli.cli.safe_text import safe_text
from aigiqa_cli.cli.terminal import Column

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

STYLES = {"quality": "cyan", "alignment": "magenta", "authenticity": "green", "overall": "blue"}  # of each dimension
_UNBOUNDED = 100_000  # cells
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = "▁▂▃▄▅▆▇█"
_WITHOUT = str.maketrans(_EIGHTHS + _HEIGHTS[:-1], "    ===##.::--==")


def bar(share: float, width: int) -> str:
    """`width` cells, of which `share` (0..1) is filled, to an eighth of a cell."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, part = divmod(eighths, 8)
    return drawable("█" * full + (_EIGHTHS[part] if part else "")).ljust(width)


def skyline(counts: Sequence[int], width: int) -> str:
    """At most `width` cells, of which each stands for as many bins in a row as needed. A cell is blank only where
    nothing is counted."""
    together = max(1, -(-len(counts) // width))
    merged = [sum(counts[start : start + together]) for start in range(0, len(counts), together)]
    most = max(merged, default=0)
    return drawable("".join(_HEIGHTS[-(-count * len(_HEIGHTS) // most) - 1] if count else " " for count in merged))


def drawable(text: str) -> str:
    """The same in ASCII where stdout has no block characters (U05)."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return text.translate(_WITHOUT)
    return text


def number(value: float | None) -> str:
    """To be read beside others, whatever the scale: `2.734`, `49.92`; a dash where there is none."""
    return "-" if value is None else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"  # noqa: PLR2004


def styled(*parts: tuple[str, str]) -> Text:
    from rich.text import Text

    found = Text()
    for text, style in parts:
        found.append(safe_text(text), style)
    return found


def show_grid(console: Console, columns: Sequence[Column], rows: Sequence[Sequence[Text | str]]) -> None:
    """A table with a line below its titles and two blanks between its columns. Where it has no room its cells go on in
    further lines: nothing is cut."""
    from rich import box
    from rich.measure import Measurement
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    for column in columns:
        justify = "right" if column.right else "left"
        table.add_column(column.title, justify=justify, style=column.style, no_wrap=not column.wrap, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(styled((cell, "")) if isinstance(cell, str) else cell for cell in row))
    if Measurement.get(console, console.options.update_width(_UNBOUNDED), table).minimum > console.width:
        for shown in table.columns:
            shown.no_wrap = False
    console.print(table)
