"""Which columns leave, and what a field of text becomes outside the index."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Literal, NoReturn

from aigiqa_cli.errors import IntegrityFault, UsageFault

Row = Mapping[str, str]
Scale = Literal["", "native", "unit"]
Plan = Sequence[tuple[str, Callable[[str], object]]]

DROPPED: dict[str, tuple[str, ...]] = {"": (), "native": ("score_",), "unit": ("mos_", "std_")}
INT64 = range(-(2**63), 2**63)


def choose(wanted: Sequence[str] = (), scale: Scale = "") -> tuple[str, ...]:
    """The columns to export, in the order asked for, else in the order of the index."""
    from aigiqa_cli.index import COLUMNS

    dropped = DROPPED[scale]
    names = [name.strip() for name in wanted]
    for place, name in enumerate(names):
        if name not in COLUMNS:
            raise UsageFault(f"the index has no column {name!r}", hint=suggestion(name, COLUMNS))
        if name in names[:place]:
            raise UsageFault(f"column {name} is named twice")
        if dropped and name.startswith(dropped):
            raise UsageFault(f"column {name} does not go with the scale {scale!r}", hint="leave out one of the two")
    return tuple(names) or tuple(name for name in COLUMNS if not (dropped and name.startswith(dropped)))


def suggestion(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = get_close_matches(name.lower(), known, n=3)
    return (f"nearest: {', '.join(near)}; " if near else "") + f"all: {', '.join(known)}"


def number(text: str) -> float | None:
    """A finite float64, None where empty; ValueError for anything else, NaN and infinity included."""
    if not text:
        return None
    value = float(text)
    # float() also takes 1_000 and the digits of other scripts, which no other reader of the index does.
    if not math.isfinite(value) or "_" in text or not text.isascii():
        raise ValueError(text)
    return value


def integer(text: str) -> int | None:
    """An integer of 64 bits, None where empty; ValueError for anything else."""
    if not text:
        return None
    value = int(text)
    if value not in INT64 or "_" in text or not text.isascii():
        raise ValueError(text)
    return value


def json_object(text: str) -> str:
    """The text of one JSON object on one line, its numbers digit for digit; `{}` where empty."""
    if not text:
        return "{}"
    if not isinstance(json.loads(text, parse_constant=_no_constant), dict):
        raise ValueError(text)  # noqa: TRY004 - what the callers of a conversion expect
    # Line ends inside valid JSON are white space between its parts, never data.
    return text.replace("\r", " ").replace("\n", " ")


_ACTIVE = ("=", "+", "-", "@", "\t", "\r")


def for_spreadsheets(rows: Iterable[Row]) -> Iterator[Row]:
    """The same rows with a `'` before every text that a spreadsheet would take for a formula (T16). Numbers stay."""
    from aigiqa_cli.index import KINDS

    texts = [column for column, kind in KINDS.items() if kind in ("text", "json")]
    for row in rows:
        yield {**row, **{column: "'" + row[column] for column in texts if row[column].startswith(_ACTIVE)}}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def plan(columns: Iterable[str], conversions: Mapping[str, Callable[[str], object]]) -> Plan:
    """Each column with the conversion of its kind (text, number, integer, json)."""
    from aigiqa_cli.index import KINDS

    return [(column, conversions[KINDS[column]]) for column in columns]


def cells(row: Row, steps: Plan) -> list[object]:
    """The converted fields of one row; IntegrityFault names the field that is not of its kind."""
    values = []
    for column, convert in steps:
        try:
            values.append(convert(row[column]))
        except ValueError as error:
            raise IntegrityFault(
                f"{column} of {row.get('image_id', '')} in the index cannot be {row[column]!r}",
                hint="aigiqa index --rebuild",
                database=row.get("database", ""),
            ) from error
    return values
