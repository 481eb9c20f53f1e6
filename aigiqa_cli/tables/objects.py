"""json: a list of objects, strictly: every object has the declared keys, no key twice, no NaN."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from aigiqa_cli.errors import Finding, RefusedInput

if TYPE_CHECKING:
    from aigiqa_cli.tables import Layout

MAX_BYTES = 256 << 20


def rows(stream: BinaryIO, layout: Layout) -> Iterator[tuple[int, Sequence[str]]]:
    """One row per object; the line number is the 1-based number of the object. Numbers keep their digits."""
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _refused(layout, 0, "the file is too large", f"at most {MAX_BYTES} bytes", str(len(data)))
    try:
        text = data.decode("utf-8-sig")
        items = json.loads(text, object_pairs_hook=_unique, parse_float=str, parse_int=str, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _refused(layout, 0, f"not JSON: {error}", "a list of objects", "") from None
    if not isinstance(items, list):
        raise _refused(layout, 0, "not a list of objects", "a list", type(items).__name__)
    for number, item in enumerate(items, 1):
        if not isinstance(item, dict) or set(item) != set(layout.columns):
            found = ",".join(item) if isinstance(item, dict) else type(item).__name__
            raise _refused(layout, number, "wrong keys", ",".join(layout.columns), found)
        yield number, [_cell(layout, number, item[column]) for column in layout.columns]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("an object has the same key twice")
    return keys


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")


def _cell(layout: Layout, number: int, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise _refused(layout, number, "a cell is neither text nor a number", "text", type(value).__name__)


def _refused(layout: Layout, number: int, problem: str, expected: str, found: str) -> RefusedInput:
    where = f"{layout.name}:{number}" if number else layout.name
    detail = f" (expected {expected}, found {found})" if found else ""
    return RefusedInput(
        f"{where}: {problem}{detail}",
        fault="T15",
        phase="SCORES",
        findings=[Finding("", where, problem, expected, found)],
    )
