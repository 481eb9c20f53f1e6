"""The file or pipe as text: header, and rows with their places. The format is told by the first bytes.

Cells stay text (T02): `0.10` is not yet a number. A header is what names no image; without one, columns get numbers.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from aigiqa_cli import tables
from aigiqa_cli.errors import Finding, RefusedInput

MAX_BYTES = 1 << 30
PARQUET = b"PAR1"
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
    try:
        tables.refuse_others(data[: tables.HEAD], tables.Layout(name, "", ()))
        if start in (b"{", b"["):
            return _objects(data, name, "jsonl" if start == b"{" else "json")
        return _delimited(data, name, is_image)
    except RefusedInput as refusal:  # which speaks of a label table
        refusal.phase, refusal.hint = "PREDICTIONS", HINT
        raise


def _refusal(name: str, problem: str, fault: str) -> RefusedInput:
    return RefusedInput(f"{name} {problem}", hint=HINT, fault=fault, phase="PREDICTIONS")


def _delimited(data: bytes, name: str, is_image: Callable[[str], bool]) -> PredictionTable:
    kind, cells = tables.header_of(io.BytesIO(data))
    if kind != "text" or not cells:
        raise _refusal(name, f"is not {FORMATS}", "T07")
    words = cells[0].split() if len(cells) == 1 else []
    if len(words) > 1 and is_image(words[0]):  # `name 0.5`, as programs print it
        layout = tables.Layout(name, "txt", _numbered(words), header=False)
        return _table(data, layout)
    form = "tsv" if b"\t" in data.split(b"\n", 1)[0] else "csv"
    if any(is_image(cell) for cell in cells):
        return _table(data, tables.Layout(name, form, _numbered(cells), header=False))
    if len(set(cells)) != len(cells):
        twice = sorted({cell for cell in cells if cells.count(cell) > 1})
        raise RefusedInput(
            f"{name}:1: the column {', '.join(map(repr, twice))} stands twice",
            hint="give each column its own name",
            fault="T08",
            phase="PREDICTIONS",
            findings=[Finding("", f"{name}:1", "a column stands twice", "", word) for word in twice],
        )
    return _table(data, tables.Layout(name, form, cells))


def _numbered(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"column {number}" for number, _ in enumerate(cells, 1))


def _objects(data: bytes, name: str, form: str) -> PredictionTable:
    return _table(data, tables.Layout(name, form, tuple(_first_object(data, form))))


def _first_object(data: bytes, form: str) -> dict[str, Any]:
    """The first object, whose keys every other one must have; {} where it cannot be read: the reader then says why."""
    try:
        text = data.decode("utf-8-sig").lstrip()
        if form == "jsonl":
            found = json.loads(text.split("\n", 1)[0])
        else:
            found, _ = json.JSONDecoder().raw_decode(text[1:].lstrip())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


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
