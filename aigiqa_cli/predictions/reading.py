"""The file or pipe as text: header, and rows with their places. The format is told by the first bytes.

Cells stay text (T02): `0.10` is not yet a number. A header is what names no image; without one, columns get numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from aigiqa_cli import tables
from aigiqa_cli.errors import Finding, RefusedInput
from aigiqa_cli.predictions import objects

MAX_BYTES = 256 << 20
PARQUET = b"PAR1"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
DELIMITERS = "\t,;"  # in this order; `;` where spreadsheets write a decimal comma
FORMATS = "csv, tsv, json, jsonl or parquet"
HINT = f"predictions are {FORMATS}: one row an image, with its name and one number a model"


@dataclass(frozen=True)
class PredictionTable:
    """`rows` are (place for messages, cells); the columns of a table without a header are called `column 1`, …"""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, Sequence[str]], ...]
    header: bool = True

    def refusal(self, problem: str, findings: Sequence[Finding] = (), *, fault: str = "", hint: str = "") -> Exception:
        return RefusedInput(
            f"{self.name}: {problem}", hint=hint or HINT, fault=fault, phase="PREDICTIONS", findings=findings
        )


def read(stream: BinaryIO, name: str, is_image: Callable[[str], bool]) -> PredictionTable:
    """Read predictions from an open file or pipe, called `name` in messages; `is_image` knows the database's names.

    Raises RefusedInput, with file:line, for what is no table in one of the formats.
    """
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _refusal(name, f"is larger than {MAX_BYTES:,} bytes", "T18")
    if not data.strip():
        raise _refusal(name, "is empty", "T08")
    if data.startswith(PARQUET):
        return _parquet(data, name)
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    layout = tables.Layout(name, "", ())
    try:
        tables.refuse_others(data[: tables.HEAD], layout)
        if start in (b"{", b"["):
            return PredictionTable(name, *objects.table(data, layout, is_image))
        return _delimited(data, name, is_image)
    except RefusedInput as refusal:  # which speaks of a label table
        refusal.phase, refusal.hint = "PREDICTIONS", HINT
        raise


def _refusal(name: str, problem: str, fault: str) -> RefusedInput:
    return RefusedInput(f"{name} {problem}", hint=HINT, fault=fault, phase="PREDICTIONS")


def _delimited(data: bytes, name: str, is_image: Callable[[str], bool]) -> PredictionTable:
    lines = data[: tables.HEAD].decode("utf-8-sig", "replace").splitlines()
    if data.startswith(UTF_16):
        raise _refusal(name, "is in UTF-16: save it as UTF-8", "T01")
    if tables.is_workbook(data) or "\0" in lines[0]:
        raise _refusal(name, f"is not {FORMATS}", "T07")
    if not lines[0].strip():
        raise _refusal(name, "begins with an empty line", "T08")
    delimiter, cells = _first_row(lines[0], is_image)
    layout = tables.Layout(name, "tsv" if delimiter == "\t" else "csv", cells, delimiter=delimiter, blank_lines=True)
    words = cells[0].split() if len(cells) == 1 else []
    if len(words) > 1 and is_image(words[0]):  # `name 0.5`, as programs print it
        return _table(data, replace(layout, format="txt", columns=_numbered(words), header=False))
    if any(is_image(cell) for cell in cells):
        return _table(data, replace(layout, columns=_numbered(cells), header=False))
    if len(set(cells)) != len(cells):
        twice = sorted({cell for cell in cells if cells.count(cell) > 1})
        raise RefusedInput(
            f"{name}:1: the column {', '.join(map(repr, twice))} stands twice",
            hint="give each column its own name",
            fault="T08",
            phase="PREDICTIONS",
            findings=[Finding("", f"{name}:1", "a column stands twice", "", word) for word in twice],
        )
    return _table(data, layout)


def _first_row(line: str, is_image: Callable[[str], bool]) -> tuple[str, tuple[str, ...]]:
    """The delimiter, and the cells of the first line: that between which an image stands, else what is in the line."""
    found = {delimiter: _cells(line, delimiter) for delimiter in DELIMITERS if delimiter in line}
    naming = (delimiter for delimiter, cells in found.items() if any(map(is_image, cells)))
    delimiter = next(naming, next(iter(found), ","))
    return delimiter, found.get(delimiter, _cells(line, delimiter))


def _cells(line: str, delimiter: str) -> tuple[str, ...]:
    try:
        return tuple(next(csv.reader([line], delimiter=delimiter, strict=True), ()))
    except csv.Error:  # a quoted cell that goes on in the next line: the reader tells of it
        return tuple(line.split(delimiter))


def _numbered(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"column {number}" for number, _ in enumerate(cells, 1))


def _table(data: bytes, layout: tables.Layout) -> PredictionTable:
    rows = tuple((f"{layout.name}:{line}", cells) for line, cells in tables.rows(io.BytesIO(data), layout))
    return PredictionTable(layout.name, layout.columns, rows, layout.header)


def _parquet(data: bytes, name: str) -> PredictionTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _refusal(name, f"cannot be read as parquet: {str(error).splitlines()[0]}", "T07") from None
    if len(set(table.column_names)) != len(table.column_names):
        raise _refusal(name, "has two columns of one name", "T08")
    kept = [field.name for field in table.schema if _is_plain(field.type)]
    columns = [_texts(table.column(column)) for column in kept]
    rows = tuple((f"{name}:{number}", cells) for number, cells in enumerate(zip(*columns, strict=True), 1))
    return PredictionTable(name, tuple(kept), rows)


def _is_plain(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    tests = (types.is_string, types.is_large_string, types.is_integer, types.is_floating, types.is_decimal)
    return any(test(kind) for test in tests)


def _texts(column: Any) -> Iterator[str]:
    """Numbers as their shortest text that reads back the same; what is missing as empty text."""
    for value in column.to_pylist():
        yield "" if value is None else repr(value) if isinstance(value, float) else str(value)
