"""The scores of rows as arrays, read once; every group of rows is then a choice of places in them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from aigiqa_cli.errors import IntegrityFault
from aigiqa_cli.index import DIMENSIONS, unit_score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Row = Mapping[str, str]
Range = tuple[Decimal, Decimal]


@dataclass(frozen=True)
class Scores:
    """One dimension of n rows. Arrays are float64 (n,), NaN where a row has no value.

    mos: as published. unit: the same mapped to 0..1. std: between raters, on the scale of `mos`. raw_std: between
    raters, on another scale (that of the ratings before the MOS was made of them). range: the declared scale, if known.
    """

    mos: Floats
    unit: Floats
    std: Floats
    raw_std: Floats
    range: Range | None


def scores_of(rows: Sequence[Row], ranges: Mapping[str, Sequence[Range]]) -> dict[str, Scores]:
    """The dimensions in which at least one row has a score, in the order of the index.

    `ranges`: the scales that a manifest declares for a dimension; the one that gives the unit scores of these rows is
    taken. Raises IntegrityFault for a field that is no number.
    """
    found = {}
    for name in DIMENSIONS:
        if any(row[f"mos_{name}"] for row in rows):
            raw = [_raw_std(row, name) for row in rows]
            mos, unit, std = (_column(rows, f"{kind}_{name}") for kind in ("mos", "score", "std"))
            found[name] = Scores(mos, unit, std, _floats(raw), declared(rows, name, ranges.get(name, ())))
    return found


def declared(rows: Sequence[Row], dimension: str, ranges: Sequence[Range]) -> Range | None:
    """The one of these scales by which the first and the last labelled row have their unit scores; None if none is."""
    labelled = [row for row in rows if row[f"mos_{dimension}"]]
    for low, high in ranges:
        try:
            if labelled and all(
                unit_score(row[f"mos_{dimension}"], low, high) == row[f"score_{dimension}"]
                for row in (labelled[0], labelled[-1])
            ):
                return low, high
        except InvalidOperation:
            return None
    return None


def _column(rows: Sequence[Row], column: str) -> Floats:
    values = []
    for row in rows:
        try:
            values.append(float(row[column] or "nan"))
        except ValueError:
            raise IntegrityFault(
                f"{column} of {row['image_id']} in the index cannot be {row[column]!r}",
                hint=f"aigiqa verify --repair {row['database']}",
                database=row["database"],
            ) from None
    return _floats(values)


def _raw_std(row: Row, dimension: str) -> float:
    if f'"raw_std_{dimension}"' not in row["extra"]:
        return math.nan
    try:
        return float(json.loads(row["extra"])[f"raw_std_{dimension}"])
    except (ValueError, TypeError):
        return math.nan


def _floats(values: Sequence[float]) -> Floats:
    import numpy as np

    return np.array(values, dtype=np.float64)
