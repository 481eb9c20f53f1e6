"""jsonl: one JSON object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

from aigiqa_cli.exports.columns import Row, cells, integer, json_object, number, plan
from aigiqa_cli.exports.wanted import Wanted

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_quoted = json.JSONEncoder(ensure_ascii=False).encode


def write_jsonl(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO) -> int:
    """One object a line, as `objects` makes them."""
    line = objects(wanted.columns)
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007 - the last number is the answer
        stream.write((line(row) + "\n").encode())
    return count


def objects(columns: Sequence[str]) -> Callable[[Row], str]:
    """What makes the JSON object of a row. Fields by the kind of their column, in the order of `columns`:

    text     a string, "" where empty
    number   a JSON number with the digits of the index (`3.50` stays `3.50`), null where empty;
             a form that JSON does not know (`+3.5`, `.5`) as the same value in one that it knows
    integer  an integer, null where empty
    extra    an object, {} where empty
    """
    conversions = {"text": _quoted, "number": _number, "integer": _integer, "json": json_object}
    steps, keys = plan(columns, conversions), [_quoted(column) + ":" for column in columns]

    def line(row: Row) -> str:
        return "{" + ",".join([f"{key}{value}" for key, value in zip(keys, cells(row, steps), strict=True)]) + "}"

    return line


def _number(text: str) -> str:
    value = number(text)
    if value is None:
        return "null"
    return text if _NUMBER.fullmatch(text) else repr(value)


def _integer(text: str) -> str:
    value = integer(text)
    return "null" if value is None else str(value)
