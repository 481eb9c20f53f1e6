"""Text for a person at a terminal: wrapped at blanks and indented. Nothing is ever cut, and no word is broken: a link,
a hash or a name that is longer than the line stands whole on a line of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from aigiqa_cli.cli.safe_text import safe_text

if TYPE_CHECKING:
    from rich.text import Text

    from aigiqa_cli.cli.terminal import Terminal

WIDEST = 100  # cells; longer lines are hard to read, however wide the terminal is
NARROWEST = 30

Parts = Sequence[tuple[str, str]]  # (text, rich style)


class Page:
    """Writes lines of the answer. Indents are in cells, counted from the left edge."""

    def __init__(self, terminal: Terminal, widest: int | None = WIDEST) -> None:
        self.console = terminal.console()
        self.clickable = terminal.clickable
        self.width = max(NARROWEST, min(self.console.width, widest or self.console.width))

    def blank(self) -> None:
        self.console.print()

    def heading(self, title: str, aside: str = "") -> None:
        """A title, and in pale what is to be known of all below it."""
        self.blank()
        self.parts([(title, "bold underline"), *([("  " + aside, "dim")] if aside else [])], hang=2)

    def text(self, text: object, indent: int = 0, style: str = "", hang: int | None = None) -> None:
        """A paragraph; `hang` is the indent of its second line and of those after it."""
        self.parts([(str(text), style)], indent, hang)

    def parts(self, parts: Parts, indent: int = 0, hang: int | None = None) -> None:
        """A paragraph of several styles."""
        hang = indent if hang is None else hang
        whole = styled(parts)
        if not whole.plain.strip():
            return
        lines = whole.divide(breaks(whole.plain, self.width - indent, self.width - hang))
        for number, line in enumerate(lines):
            line.rstrip()
            line.pad_left(hang if number else indent)
            self.console.print(line, soft_wrap=True)

    def named(self, name: str, parts: Parts, indent: int = 2, room: int = 12, style: str = "dim") -> None:
        """A name, and beside it what is said of it, if anything; `room` is what the longest name takes."""
        if any(text.strip() for text, _ in parts):
            self.parts([(f"{name:<{room}} ", style), *parts], indent, indent + room + 1)

    def link(self, address: str, indent: int, style: str = "", name: str = "") -> None:
        """An address, clickable where the terminal can; no line break of ours is in it. It stands alone on its line, or
        beside its name where both have room.
        """
        from rich.cells import cell_len
        from rich.style import Style
        from rich.text import Text

        shown = safe_text(address)
        if name and indent + cell_len(name) + cell_len(shown) > self.width:
            self.text(name, indent, "dim")
            name, indent = "", indent + 2
        target = Style(link=shown) if self.clickable else Style()
        line = Text(" " * indent).append(name, "dim").append(shown, Style.parse(style or "none") + target)
        self.console.print(line, soft_wrap=True)

    def columns(
        self, rows: Sequence[Sequence[str]], styles: Sequence[str], right: Sequence[int] = (), indent: int = 2
    ) -> None:
        """Rows with aligned cells, without columns that are empty; `right` are those of numbers. What does not fit goes
        on in the next line, beside the first column.
        """
        used = [number for number, column in enumerate(zip(*rows, strict=True)) if any(column)]
        rows = [[row[number] for number in used] for row in rows]
        styles, right = [styles[number] for number in used], [used.index(number) for number in right if number in used]
        widths = column_widths(rows)
        for row in rows:
            parts = [
                (aligned(cell, width if number + 1 < len(row) else 0, right=number in right) + "  ", style)
                for number, (cell, width, style) in enumerate(zip(row, widths, styles, strict=True))
            ]
            self.parts(parts, indent, indent + widths[0] + 2)


def styled(parts: Parts) -> Text:
    """One line in which nothing acts on a terminal."""
    from rich.text import Text

    line = Text()
    for text, style in parts:
        line.append(safe_text(text), style)
    return line


def breaks(text: str, first: int, rest: int) -> list[int]:
    """Offsets at which the text goes on in a new line, so that its lines fit into `first` and then `rest` cells."""
    return list(_breaks(text, first, rest))


def _breaks(text: str, room: int, rest: int) -> Iterator[int]:
    from rich.cells import cell_len

    used = 0
    for word in re.finditer(r"\s*\S+\s*", text):
        if used and used + cell_len(word[0].rstrip()) > room:
            yield word.start()
            used, room = 0, rest
        used += cell_len(word[0])


def column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Cells that the longest entry of each column takes."""
    from rich.cells import cell_len

    return [max(cell_len(safe_text(cell)) for cell in column) for column in zip(*rows, strict=True)]


def aligned(text: str, width: int, *, right: bool = False) -> str:
    """The text in `width` cells, or more if it needs more."""
    from rich.cells import cell_len

    gap = " " * (width - cell_len(safe_text(text)))
    return gap + text if right else text + gap
