"""On which scale the scores of a dimension are shown, compared and filtered.

Published numbers where all rows are on one published scale; else the 0..1 scores of the index, and deviations times
the factor between the two. Which map a database has is read off its rows, which have both numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from aigiqa_cli.gallery.columns import Columns

ROUNDED = 1e-6  # scores of the index have six decimals
SAME = 1e-4  # relative difference of two factors of one scale, from that rounding


@dataclass(frozen=True)
class Scale:
    """`factors[database]` turns a published difference into one on 0..1; None where its rows do not tell."""

    published: bool
    factors: Mapping[str, float | None] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"published": self.published, "factors": dict(self.factors)}


def scale_of(columns: Columns, dimension: str) -> Scale:
    """The scale of one dimension over all rows."""
    maps: dict[str, tuple[float, float] | None] = {}
    pairs = _pairs(columns, dimension)
    for database, its in pairs.items():
        maps[database] = _line(its)
    found = [one for one in maps.values() if one is not None]
    alike = len(found) == len(maps) and all(_same(one, found[0]) for one in found)
    factors = {database: one[0] if one else None for database, one in maps.items()}
    return Scale(alike or _one_value(pairs), factors)


def values(columns: Columns, dimension: str, scale: Scale) -> list[float | None]:
    """The numbers of one dimension on the scale that is shown, None without a score."""
    texts = columns[f"{'mos' if scale.published else 'score'}_{dimension}"]
    return [finite(text) for text in texts]


def finite(text: str) -> float | None:
    """The number, None where there is none that can be shown on a scale."""
    number = float(text or "nan")
    return number if isfinite(number) else None


def _pairs(columns: Columns, dimension: str) -> dict[str, list[tuple[float, float]]]:
    """Database -> (published, 0..1) of its rows with a score."""
    found: dict[str, list[tuple[float, float]]] = {}
    triples = zip(columns["database"], columns[f"mos_{dimension}"], columns[f"score_{dimension}"], strict=True)
    for database, mos, score in triples:
        pair = finite(mos), finite(score)
        if pair[0] is not None and pair[1] is not None:
            found.setdefault(database, []).append((pair[0], pair[1]))
    return found


def _line(pairs: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Factor and constant of the straight map through all pairs; None if there is no one such map."""
    low, high = min(pairs), max(pairs)
    if low[0] == high[0]:
        return None
    factor = (high[1] - low[1]) / (high[0] - low[0])
    constant = low[1] - factor * low[0]
    straight = all(abs(factor * mos + constant - score) <= 2 * ROUNDED for mos, score in pairs)
    return (factor, constant) if straight else None


def _same(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(abs(a - b) <= SAME * max(1, abs(b)) for a, b in zip(one, other, strict=True)) and (
        abs(one[0] - other[0]) <= SAME * abs(other[0])
    )


def _one_value(pairs: Mapping[str, Sequence[tuple[float, float]]]) -> bool:
    """One database whose scores are all equal has one scale, though nobody can say which."""
    return len(pairs) == 1 and len({mos for its in pairs.values() for mos, _ in its}) == 1
