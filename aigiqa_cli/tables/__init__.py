"""Tables of text: one contract, `rows(stream, layout)`, one file per family of formats.

A row is (line number, cells as text). Cells are never typed here (T02); what a number is decides the rule that uses it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from aigiqa_cli.pointers import POINTER, is_pointer
from aigiqa_cli.tables import delimited, matrix, objects, workbook
from aigiqa_cli.tables.layout import MAX_CELL, MAX_ROWS, Layout

__all__ = ["READERS", "Layout", "header_of", "is_matrix", "is_text", "is_workbook", "rows"]

HEAD = 64 << 10
_HALF = re.compile(r"[\ud800-\udfff]")  # JSON can name one half of a pair; no file can hold it
NumberedRow = tuple[int, Sequence[str]]
Reader = Callable[[BinaryIO, Layout], Iterator[NumberedRow]]

READERS: dict[str, Reader] = {
    "csv": lambda stream, layout: delimited.rows(stream, layout, layout.delimiter),
    "tsv": lambda stream, layout: delimited.rows(stream, layout, "\t"),
    "txt": delimited.word_rows,
    "json": objects.rows,
    "jsonl": objects.line_rows,
    "xlsx": workbook.rows,
    "mat": matrix.rows,
}


def rows(stream: BinaryIO, layout: Layout) -> Iterator[NumberedRow]:
    """The rows of a table, checked against its layout. Raises RefusedInput with file, line, expected and found.

    Whatever the format, every cell is text that the index can hold, and there is an end to cells and rows (T18).
    """
    refuse_others(stream.read(HEAD), layout)
    stream.seek(0)
    for count, (line, cells) in enumerate(READERS[layout.format](stream, layout), 1):
        if count > MAX_ROWS:
            raise layout.refusal(line, "too many rows", f"at most {MAX_ROWS}", fault="T18")
        text = "".join(cells)
        if len(text) > MAX_CELL and max(map(len, cells)) > MAX_CELL:
            raise layout.refusal(line, "a cell is too long", f"at most {MAX_CELL} characters", fault="T18")
        if "\0" in text:
            raise layout.refusal(line, "a zero byte stands in a cell", "text", fault="T07")
        if not text.isascii() and _HALF.search(text):
            raise layout.refusal(line, "a cell holds half a character", "text", fault="T01")
        yield line, cells


def refuse_others(head: bytes, layout: Layout) -> None:
    """Raises RefusedInput for what begins like a thing that people take for a table: a pointer of Git LFS (N06), a
    MATLAB file of version 7.3 (T13)."""
    if is_pointer(head):
        hint = "git lfs pull, where it was cloned; or leave it out: aigiqa fetch --labels-only DB"
        raise layout.refusal(0, POINTER, fault="N06", hint=hint)
    matrix.refuse_version(head, layout)


def is_workbook(head: bytes) -> bool:
    """Is what begins like this an xlsx file, and no archive of images?"""
    return workbook.looks_like_one(head)


def is_text(head: bytes) -> bool:
    """May what begins like this be a CSV, TSV or JSON table?"""
    return bool(delimited.header_of(head)) or objects.looks_like_one(head)


def is_matrix(head: bytes) -> bool:
    """Is what begins like this a MATLAB file, of whatever version?"""
    return matrix.looks_like_one(head)


def header_of(stream: BinaryIO) -> tuple[str, tuple[str, ...]]:
    """What a file may be, and the cells of its first row: ("xlsx", ...), ("text", ...) for CSV and TSV, or ("", ()).

    Raises RefusedInput for what only looks like a table (see `refuse_others`).
    """
    head = stream.read(HEAD)
    refuse_others(head, Layout(Path(str(getattr(stream, "name", "table"))).name, "", ()))
    if is_workbook(head):
        cells = workbook.header_of(stream, "workbook")
        return ("xlsx" if cells else "", cells)
    cells = delimited.header_of(head)
    return ("text" if cells else "", cells)
