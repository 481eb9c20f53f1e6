"""json (a list of objects) and jsonl (one object a line), strictly: the declared keys, no key twice, no NaN."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from aigiqa_cli.tables.layout import MAX_CELL, Layout

MAX_BYTES = 256 << 20


def rows(stream: BinaryIO, layout: Layout) -> Iterator[tuple[int, Sequence[str]]]:
    """One row per object; the line number is the 1-based number of the object. Numbers keep their digits."""
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise layout.refusal(0, "the file is too large", f"at most {MAX_BYTES} bytes", str(len(data)), "T15")
    items = _parse(layout, 0, data)
    if not isinstance(items, list):
        raise layout.refusal(0, "not a list of objects", "a list", type(items).__name__, "T15")
    for number, item in enumerate(items, 1):
        yield number, _cells(layout, number, item)


def line_rows(stream: BinaryIO, layout: Layout) -> Iterator[tuple[int, Sequence[str]]]:
    """One row per line."""
    number = 0
    while line := stream.readline(MAX_CELL + 1):
        number += 1
        if len(line) > MAX_CELL:
            raise layout.refusal(number, "the line is too long", f"at most {MAX_CELL} bytes", fault="T18")
        if line.strip():
            yield number, _cells(layout, number, _parse(layout, number, line))


def looks_like_one(head: bytes) -> bool:
    """May what begins like this be JSON? A long line of it is no line of a delimited table."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{") and b"\0" not in head


def _parse(layout: Layout, number: int, data: bytes) -> Any:
    try:
        return json.loads(
            data.decode("utf-8-sig"),
            object_pairs_hook=_unique,
            parse_float=str,
            parse_int=str,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError) as error:
        raise layout.refusal(number, f"not JSON: {error}", fault="T15") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("an object has the same key twice")
    return keys


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")


def _cells(layout: Layout, number: int, item: Any) -> list[str]:
    if not isinstance(item, dict) or set(item) != set(layout.columns):
        found = ",".join(item) if isinstance(item, dict) else type(item).__name__
        raise layout.refusal(number, "wrong keys", ",".join(layout.columns), found, "T15")
    return [_cell(layout, number, item[column]) for column in layout.columns]


def _cell(layout: Layout, number: int, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise layout.refusal(number, "a cell is neither text nor a number", "text", type(value).__name__, "T15")
