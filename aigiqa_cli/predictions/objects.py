"""Predictions as JSON: a list of objects, one object a line, or one object with the names of the images as its keys.

    [{"image": "a.png", "m": 0.5}, …]     {"image": "a.png", "m": 0.5} a line
    {"a.png": 0.5, …}                     {"a.png": {"m": 0.5}, …}

Less strict than label tables, whose keys a manifest declares: a key that an object lacks is an empty cell, so that the
image is named that has no score, and NaN, text and lists stay as they are written, so that the image is named that has
them in place of a number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from aigiqa_cli.tables import Layout

NAME, SCORE = "name", "score"  # the columns of an object whose keys are names

Table = tuple[tuple[str, ...], tuple[tuple[str, Sequence[str]], ...]]


def table(data: bytes, layout: Layout, is_image: Callable[[str], bool]) -> Table:
    """Columns, and rows as (place, cells); a place is the number of the object, or of its line.

    Raises RefusedInput for what is no such JSON, and for an object with the same key twice (T15).
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise layout.refusal(line, "not in UTF-8", fault="T01") from None
    found = list(_entries(text, layout, is_image))
    columns = tuple(dict.fromkeys(key for _, entry in found for key in entry))
    rows = (
        (f"{layout.name}:{n}", [_text(entry[key]) if key in entry else "" for key in columns]) for n, entry in found
    )
    return columns, tuple(rows)


def _entries(text: str, layout: Layout, is_image: Callable[[str], bool]) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        content = _parsed(text)
    except (ValueError, RecursionError) as error:
        lines = text.split("\n") if text.lstrip()[:1] == "{" else []
        if len(lines) < 2:  # noqa: PLR2004 - then it is not one object a line either
            raise layout.refusal(0, f"not JSON: {error}", fault="T15") from None
        yield from _lines(lines, layout)
        return
    if isinstance(content, dict):
        content = _by_name(content) if _are_names(content, is_image) else [content]
    for number, entry in enumerate(content, 1):
        yield number, _object(entry, layout, number)


def _lines(lines: Sequence[str], layout: Layout) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                entry = _parsed(line)
            except (ValueError, RecursionError) as error:
                raise layout.refusal(number, f"not JSON: {error}", fault="T15") from None
            yield number, _object(entry, layout, number)


def _parsed(text: str) -> Any:
    """Numbers as they are written; ValueError also for half a character, which no file can hold."""
    found = json.loads(text, object_pairs_hook=_unique, parse_float=str, parse_int=str, parse_constant=str)
    if "\\u" in text:
        json.dumps(found, ensure_ascii=False).encode()
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"an object has the key {key!r} twice")
        found[key] = value
    return found


def _are_names(content: dict[str, Any], is_image: Callable[[str], bool]) -> bool:
    """Are its keys images? Else it is the only object of a file with one a line, which says its image in a value."""
    values = list(content.values())
    return any(map(is_image, content)) or (bool(values) and all(isinstance(value, dict) for value in values))


def _by_name(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Objects as of a list: the key beside the scores that it stands for."""
    return [{NAME: key} | (value if isinstance(value, dict) else {SCORE: value}) for key, value in content.items()]


def _object(entry: Any, layout: Layout, number: int) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise layout.refusal(number, "not an object", "an object", type(entry).__name__, "T15")
    return entry


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
