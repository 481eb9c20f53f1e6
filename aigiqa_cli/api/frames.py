"""Rows of the index as a DataFrame."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from aigiqa_cli.exports.columns import Row, cells, integer, json_object, number, plan
from aigiqa_cli.index import KINDS

if TYPE_CHECKING:
    import pandas as pd


def frame(rows: Iterable[Row], columns: Sequence[str]) -> pd.DataFrame:
    """A row for each of `rows`, with the types of the typed index: float64 for scores (NaN where there is none),
    Int64 for counts, dicts for `extra`, text for the rest ("" where there is none).

    Raises IntegrityFault for a field that is not of its kind.
    """
    import pandas as pd

    conversions: dict[str, Callable[[str], Any]] = {
        "text": str,
        "number": number,
        "integer": integer,
        "json": lambda text: json.loads(json_object(text)),
    }
    types = {"number": "float64", "integer": "Int64", "text": "str", "json": "object"}
    steps = plan(columns, conversions)
    table = list(zip(*(cells(row, steps) for row in rows), strict=True)) or [()] * len(columns)
    return pd.DataFrame(
        {name: pd.Series(list(values), dtype=types[KINDS[name]]) for name, values in zip(columns, table, strict=True)}
    )
