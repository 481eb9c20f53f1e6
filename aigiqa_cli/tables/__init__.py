"""Tables of text: one contract, `read(stream, layout) -> rows`, one file per family of formats.

A row is (line number, cells as text). Cells are never typed here (T02); what a number is decides the rule that uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from aigiqa_cli.tables import delimited, objects

MAX_ROWS = 10_000_000


@dataclass(frozen=True)
class Layout:
    """What a table must look like. `name` is the file for messages."""

    name: str
    format: str
    columns: tuple[str, ...]
    header: bool = True
    encoding: str = "utf-8"


NumberedRow = tuple[int, Sequence[str]]
Reader = Callable[[BinaryIO, Layout], Iterator[NumberedRow]]

READERS: dict[str, Reader] = {
    "csv": lambda stream, layout: delimited.rows(stream, layout, ","),
    "tsv": lambda stream, layout: delimited.rows(stream, layout, "\t"),
    "json": objects.rows,
}


def rows(stream: BinaryIO, layout: Layout) -> Iterator[NumberedRow]:
    """The rows of a table, checked against its layout. Raises RefusedInput with file, line, expected and found."""
    return READERS[layout.format](stream, layout)


def header_of(head: bytes) -> tuple[str, ...]:
    """The cells of the first line of something that may be a CSV or TSV table; () if it is no text."""
    return delimited.header_of(head)
