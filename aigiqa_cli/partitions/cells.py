"""A file of any kind that lists images, as rows of cells: csv, tsv, lists of words, json, jsonl.

Unlike label tables, whose layout a manifest declares, these files come from anybody: what they may be is tried in turn,
and `reading` takes what names most images.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aigiqa_cli.errors import Finding, RefusedInput

MAX_BYTES = 256 << 20
MAX_CELL = 1 << 20
HINT = "a split is a list of images, one a line, or a csv, tsv, json or jsonl file with a column of them"


@dataclass(frozen=True)
class Sheet:
    """Rows as (line, cells). `header` names the cells where the format does (JSON keys); in tables of text the first
    row may turn out to be one. For JSON `line` counts the entries of the list."""

    name: str
    rows: Sequence[tuple[int, Sequence[str]]]
    header: tuple[str, ...] = ()


def sheets(name: str, data: bytes) -> Iterator[Sheet]:
    """Every way to read the file that its bytes allow, the likeliest first. Raises RefusedInput if there is none."""
    if len(data) > MAX_BYTES:
        raise refusal(name, 0, "the file is too large", f"at most {MAX_BYTES} bytes", str(len(data)))
    if b"\0" in data[:4096]:
        raise refusal(name, 0, "not text", "csv, tsv, txt, json or jsonl")
    text = data.decode("utf-8-sig", "replace")  # names of images are ASCII, whatever the prompts beside them are in
    if text.lstrip()[:1] in ("{", "["):
        yield _objects(name, text)
        return
    first = text.partition("\n")[0]
    for delimiter in [d for d in "\t,;" if d in first] or [","]:
        if sheet := _delimited(name, text, delimiter):
            yield sheet
    yield Sheet(name, [(n, line.split()) for n, line in enumerate(text.splitlines(), 1) if line.strip()])


def refusal(name: str, line: int, problem: str, expected: str = "", found: str = "") -> RefusedInput:
    """A fault that names file and line (0: the whole file)."""
    where = f"{name}:{line}" if line else name
    detail = f" (expected {expected}{f', found {found}' if found else ''})" if expected else ""
    finding = Finding("", where, problem, expected, found)
    return RefusedInput(f"{where}: {problem}{detail}", hint=HINT, phase="CHECK", findings=[finding])


def _delimited(name: str, text: str, delimiter: str) -> Sheet | None:
    """The rows between delimiters. Where quotes are not those of a csv file (prompts in raw lists), they are text."""
    csv.field_size_limit(MAX_CELL)
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
        try:
            return Sheet(name, [(reader.line_num, cells) for cells in reader if any(cells)])
        except csv.Error:
            continue
    return None


def _objects(name: str, text: str) -> Sheet:
    """A list of objects or of names; an object of such lists by part; an object by name; or one object a line."""
    try:
        content = json.loads(text, parse_float=str, parse_int=str)
        entries = list(enumerate(_entries(content), 1))
    except (ValueError, RecursionError) as error:
        entries = _lines(name, text, error)
    header = tuple(dict.fromkeys(key for _, entry in entries for key in entry))
    return Sheet(name, [(n, [entry.get(key, "") for key in header]) for n, entry in entries], header)


def _lines(name: str, text: str, error: Exception) -> list[tuple[int, dict[str, str]]]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                found.append((number, _entry(json.loads(line, parse_float=str, parse_int=str))))
            except (ValueError, RecursionError):
                raise refusal(name, number, f"not JSON: {error}") from None
    return found


def _entries(content: Any) -> Iterator[dict[str, str]]:
    if isinstance(content, dict) and content and all(isinstance(value, list) for value in content.values()):
        for part, listed in content.items():
            yield from ({"split": part} | _entry(item) for item in listed)
    elif isinstance(content, dict) and not any(isinstance(value, str | list) for value in content.values()):
        yield from ({"name": name} | _entry(value) for name, value in content.items())
    elif isinstance(content, dict) and all(isinstance(value, str | None) for value in content.values()):
        yield from ({"name": name, "value": value or ""} for name, value in content.items())
    else:
        yield from (_entry(item) for item in (content if isinstance(content, list) else [content]))


def _entry(item: Any) -> dict[str, str]:
    """The cells of one entry; nested values name no image."""
    if isinstance(item, dict):
        return {str(key): _cell(value) for key, value in item.items() if not isinstance(value, dict | list)}
    return {"name": _cell(item)} if not isinstance(item, list) else {}


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
