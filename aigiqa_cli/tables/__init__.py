"""Tables of text: one contract, `rows(stream, layout)`, one file per family of formats.

A row is (line number, cells as text). Cells are never typed here (T02); what a number is decides the rule that uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from aigiqa_cli.tables import delimited, matrix, objects, workbook
from aigiqa_cli.tables.layout import Layout

__all__ = ["READERS", "Layout", "header_of", "rows"]

NumberedRow = tuple[int, Sequence[str]]
Reader = Callable[[BinaryIO, Layout], Iterator[NumberedRow]]

READERS: dict[str, Reader] = {
    "csv": lambda stream, layout: delimited.rows(stream, layout, ","),
    "tsv": lambda stream, layout: delimited.rows(stream, layout, "\t"),
    "json": objects.rows,
    "jsonl": objects.line_rows,
    "xlsx": workbook.rows,
    "mat": matrix.rows,
}


def rows(stream: BinaryIO, layout: Layout) -> Iterator[NumberedRow]:
    """The rows of a table, checked against its layout. Raises RefusedInput with file, line, expected and found."""
    return READERS[layout.format](stream, layout)


def header_of(head: bytes) -> tuple[str, ...]:
    """The cells of the first line of something that may be a CSV or TSV table; () if it is no text."""
    return delimited.header_of(head)
