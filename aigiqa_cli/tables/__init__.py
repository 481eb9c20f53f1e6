"""Tables of text: one contract, `rows(stream, layout)`, one file per family of formats.

A row is (line number, cells as text). Cells are never typed here (T02); what a number is decides the rule that uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from aigiqa_cli.tables import delimited, matrix, objects, workbook
from aigiqa_cli.tables.layout import Layout

__all__ = ["READERS", "Layout", "header_of", "is_matrix", "is_text", "is_workbook", "rows"]

HEAD = 64 << 10
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


def is_workbook(head: bytes) -> bool:
    """Is what begins like this an xlsx file, and no archive of images?"""
    return workbook.looks_like_one(head)


def is_text(head: bytes) -> bool:
    """May what begins like this be a CSV or TSV table?"""
    return bool(delimited.header_of(head))


def is_matrix(head: bytes) -> bool:
    """Is what begins like this a MATLAB file, of whatever version?"""
    return head.startswith(b"MATLAB ")


def header_of(stream: BinaryIO) -> tuple[str, tuple[str, ...]]:
    """What a file may be, and the cells of its first row: ("xlsx", ...), ("text", ...) for CSV and TSV, or ("", ())."""
    head = stream.read(HEAD)
    if is_workbook(head):
        cells = workbook.header_of(stream, "workbook")
        return ("xlsx" if cells else "", cells)
    cells = delimited.header_of(head)
    return ("text" if cells else "", cells)
