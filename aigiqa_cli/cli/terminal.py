"""The two streams: stdout is the answer, stderr the rest. Boxes and colours only where a person looks at them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aigiqa_cli.cli.safe_text import safe_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Cell = object


@dataclass(frozen=True)
class Column:
    """A column of a table for people. `right` aligns numbers; `style` is a rich style; `wrap` lets long text break."""

    title: str
    right: bool = False
    style: str = ""
    wrap: bool = False


@dataclass
class Terminal:
    """What is known of the streams of this run."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    color: bool = True

    @property
    def out_is_terminal(self) -> bool:
        return sys.stdout.isatty() and not self.json

    @property
    def err_is_terminal(self) -> bool:
        return sys.stderr.isatty()

    def line(self, text: object) -> None:
        """One line of the answer."""
        sys.stdout.write(safe_text(text) + "\n")

    def raw(self, text: str) -> None:
        """Answer text that is ours or must stay as it is (BibTeX, CSV)."""
        sys.stdout.write(text)

    def envelope(self, content: dict[str, Any]) -> None:
        """The one JSON object of a run."""
        sys.stdout.write(json.dumps(content, indent=2 if sys.stdout.isatty() else None) + "\n")

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        """A table for people on a terminal; elsewhere one record a line, fields complete, tab separated."""
        if not self.out_is_terminal:
            for row in rows:
                self.record(*row)
            return
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
        for column in columns:
            table.add_column(
                column.title,
                justify="right" if column.right else "left",
                style=column.style,
                no_wrap=not column.wrap,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(_text(cell) for cell in row))
        self.console().print(table)

    def facts(self, pairs: Sequence[tuple[str, Cell]]) -> None:
        """Name and value, one a line; aligned and wrapped on a terminal."""
        if not self.out_is_terminal:
            for pair in pairs:
                self.record(*pair)
            return
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in pairs:
            grid.add_row(_text(name), _text(value))
        self.console().print(grid)

    def record(self, *cells: Cell) -> None:
        """One tab-separated record of the answer."""
        sys.stdout.write("\t".join(safe_text(cell) for cell in cells) + "\n")

    def block(self, title: str, word: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        """A titled table for people; elsewhere records that begin with `word`. Nothing for no rows."""
        if not self.out_is_terminal:
            for row in rows:
                self.record(word, *row)
        elif rows:
            self.heading(title)
            self.table(columns, rows)

    def styled(self, parts: Sequence[tuple[str, str]]) -> None:
        """A line of the answer in (text, style) parts, on a terminal."""
        from rich.text import Text

        line = Text()
        for text, style in parts:
            line.append(safe_text(text), style)
        self.console().print(line, soft_wrap=True)

    def heading(self, text: str) -> None:
        """A title between blocks; on a terminal only."""
        if self.out_is_terminal:
            self.console().print("\n", _text(text, "bold underline"), "\n", sep="")

    def note(self, text: object) -> None:
        """A hint, warning or instruction."""
        if not self.quiet:
            sys.stderr.write(safe_text(text) + "\n")

    def error(self, text: object) -> None:
        """A failure; also when quiet."""
        sys.stderr.write(safe_text(text) + "\n")

    def painted(self, parts: Sequence[tuple[str, str]]) -> None:
        """A line on stderr in (text, style) parts; plain where nobody looks."""
        if not (self.err_is_terminal and self.color):
            sys.stderr.write("".join(safe_text(text) for text, _ in parts) + "\n")
            return
        from rich.text import Text

        line = Text()
        for text, style in parts:
            line.append(safe_text(text), style)
        self.console(stderr=True).print(line, soft_wrap=True)

    def console(self, *, stderr: bool = False) -> Console:
        from rich.console import Console

        plain = not self.color or bool(os.environ.get("NO_COLOR"))
        return Console(stderr=stderr, no_color=plain or None, highlight=False, markup=False, emoji=False)


def _text(cell: Cell, style: str = "") -> Text:
    from rich.text import Text

    return cell if isinstance(cell, Text) else Text(safe_text(cell), style)


def human_bytes(count: int | None) -> str:
    """97,950,738 -> '98.0 MB' (powers of ten, as hosts and disks count)."""
    if count is None:
        return "?"
    size = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError


Show = Callable[[Terminal], None]
