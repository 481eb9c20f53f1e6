"""The two streams: stdout is the answer, stderr the rest. Boxes and colours only where a person looks at them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aigiqa_cli.cli.amounts import human_bytes, size_in_words
from aigiqa_cli.cli.safe_text import safe_text
from aigiqa_cli.cli.signals import answered
from aigiqa_cli.redaction import without_known

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Cell = object

_UNBOUNDED = 100_000  # cells: as wide as a table may be


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

    @property
    def clickable(self) -> bool:
        """Does a link (OSC 8) do no harm? Terminals that do not know it leave it out, but for these."""
        return os.environ.get("TERM", "") not in ("", "dumb", "linux")

    def line(self, text: object) -> None:
        """One line of the answer."""
        sys.stdout.write(safe_text(text) + "\n")

    def raw(self, text: str) -> None:
        """Answer text that is ours or must stay as it is (BibTeX, CSV)."""
        sys.stdout.write(text)

    def envelope(self, content: dict[str, Any]) -> None:
        """The one JSON object of a run."""
        told = {key: _hidden(content[key]) for key in ("findings", "error") if content.get(key)}
        text = json.dumps(content | told, indent=2 if sys.stdout.isatty() else None) + "\n"
        answered()  # or an interrupt in the middle of it would leave half an object, or two
        sys.stdout.write(text)

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        """A table for people on a terminal; elsewhere one record a line, fields complete, tab separated."""
        if not self.out_is_terminal:
            for row in rows:
                self.record(*row)
            return
        from rich import box
        from rich.measure import Measurement
        from rich.table import Table

        console = self.console()
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
        wide = console.options.update_width(_UNBOUNDED)
        if Measurement.get(console, wide, table).minimum > console.width:
            for shown in table.columns:
                shown.no_wrap = False  # or what does not fit would be cut without a sign
        console.print(table)

    def record(self, *cells: Cell) -> None:
        """One tab-separated record of the answer."""
        sys.stdout.write("\t".join(safe_text(cell) for cell in cells) + "\n")

    def note(self, text: object) -> None:
        """A hint, warning or instruction."""
        if not self.quiet:
            sys.stderr.write(_safe(text) + "\n")

    def error(self, text: object) -> None:
        """A failure; also when quiet."""
        sys.stderr.write(_safe(text) + "\n")

    def painted(self, parts: Sequence[tuple[str, str]]) -> None:
        """A line on stderr in (text, style) parts; plain where nobody looks."""
        if not (self.err_is_terminal and self.color):
            sys.stderr.write("".join(_safe(text) for text, _ in parts) + "\n")
            return
        from rich.text import Text

        line = Text()
        for text, style in parts:
            line.append(_safe(text), style)
        self.console(stderr=True).print(line, soft_wrap=True)

    def console(self, *, stderr: bool = False) -> Console:
        from rich.console import Console

        plain = not self.color or bool(os.environ.get("NO_COLOR"))
        return Console(stderr=stderr, no_color=plain or None, highlight=False, markup=False, emoji=False)


def _safe(text: object) -> str:
    """What stderr may show: nothing that acts on a terminal, and no secret, wherever the text comes from (K01)."""
    return safe_text(without_known(str(text), os.environ))


def _hidden(value: Any) -> Any:
    """The same for the parts of an envelope that tell what went wrong."""
    if isinstance(value, str):
        return without_known(value, os.environ)
    if isinstance(value, dict):
        return {key: _hidden(inner) for key, inner in value.items()}
    return [_hidden(inner) for inner in value] if isinstance(value, list) else value


def _text(cell: Cell, style: str = "") -> Text:
    from rich.text import Text

    return cell if isinstance(cell, Text) else Text(safe_text(cell), style)


Show = Callable[[Terminal], None]


__all__ = ["Column", "Show", "Terminal", "human_bytes", "size_in_words"]
