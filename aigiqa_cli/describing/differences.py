"""What differs between two tables of images: images, scores, every other column, prompts, generators, files.

Values decide, not their spelling: `3.50` and `3.5` are one score, and the order of the fields of `extra` says nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aigiqa_cli.describing.description import correlated, correlated_json
from aigiqa_cli.describing.pairing import Pair, Pairing, Row, paired
from aigiqa_cli.index import COLUMNS, DIMENSIONS, KINDS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Compared by themselves, not as cells: what names a row, the scores, and the bytes.
_APART = {"database", "image_id", "sha256", *(f"mos_{name}" for name in DIMENSIONS)}


@dataclass(frozen=True)
class Change:
    """A cell of a shared image: its text in the first table and in the second."""

    image_id: str
    a: str
    b: str

    def as_json(self) -> dict[str, str]:
        return {"image_id": self.image_id, "a": self.a, "b": self.b}


@dataclass(frozen=True)
class Size:
    """Of the differences b - a over n images: their mean, the mean and the largest without sign."""

    mean: float
    mean_absolute: float
    max_absolute: float

    def as_json(self) -> dict[str, float]:
        return {"mean": self.mean, "mean_absolute": self.mean_absolute, "max_absolute": self.max_absolute}


@dataclass(frozen=True)
class ScoreChanges:
    """One dimension over the n shared images that have a score in both. `respelled` have the same value in other
    digits. native, unit: of all n, on the published scale and on 0..1."""

    dimension: str
    n: int
    changed: tuple[Change, ...]
    respelled: int
    appeared: tuple[str, ...]
    vanished: tuple[str, ...]
    native: Size | None
    unit: Size | None
    srcc: float | None
    plcc: float | None
    why: str

    @property
    def differs(self) -> bool:
        return bool(self.changed or self.appeared or self.vanished)

    def as_json(self) -> dict[str, Any]:
        return {
            **correlated_json(self.n, self.srcc, self.plcc, self.why),
            "respelled": self.respelled,
            "native": self.native.as_json() if self.native else None,
            "unit": self.unit.as_json() if self.unit else None,
            "changed": [change.as_json() for change in self.changed],
            "appeared": list(self.appeared),
            "vanished": list(self.vanished),
        }


@dataclass(frozen=True)
class Prompts:
    """By prompt_id -> text. `images`: how many images of each table have a shared prompt."""

    shared: dict[str, str]
    removed: dict[str, str]
    added: dict[str, str]
    images: tuple[int, int]

    def as_json(self) -> dict[str, Any]:
        return {
            "shared": list(self.shared),
            "images_of_shared": {"a": self.images[0], "b": self.images[1]},
            "removed": self.removed,
            "added": self.added,
        }


@dataclass(frozen=True)
class Differences:
    """`cells`: column -> changes over the shared images. `files`: changed bytes under one name; `files_compared` pairs
    have a hash in both. `hashed`: images with a hash in each table. `generators`: name -> images in each table."""

    pairing: Pairing
    scores: tuple[ScoreChanges, ...]
    cells: dict[str, tuple[Change, ...]]
    files: tuple[Change, ...]
    files_compared: int
    hashed: tuple[int, int]
    prompts: Prompts
    generators: dict[str, tuple[int, int]]
    columns: tuple[str, ...]

    @property
    def same(self) -> bool:
        """The same images, by name, and the same values in every column that both tables have."""
        found = self.pairing
        moved = found.by != "image_id" or found.renamed or found.removed or found.added
        return not (moved or self.files or self.cells or any(one.differs for one in self.scores))

    def as_json(self) -> dict[str, Any]:
        found = self.pairing
        return {
            "same": self.same,
            "matched_by": found.by,
            "columns": list(self.columns),
            "images": {
                "shared": len(found.pairs),
                "renamed": [{"a": a["image_id"], "b": b["image_id"]} for a, b in found.renamed],
                "removed": [row["image_id"] for row in found.removed],
                "added": [row["image_id"] for row in found.added],
                "pairs": [[a["image_id"], b["image_id"]] for a, b in found.pairs] if found.by == "sha256" else None,
            },
            "scores": {one.dimension: one.as_json() for one in self.scores},
            "cells": {column: [change.as_json() for change in changes] for column, changes in self.cells.items()},
            "files": {
                "hashed": {"a": self.hashed[0], "b": self.hashed[1]},
                "compared": self.files_compared,
                "changed": [change.as_json() for change in self.files],
            },
            "prompts": self.prompts.as_json(),
            "generators": {name: {"a": count[0], "b": count[1]} for name, count in self.generators.items()},
        }


def differences(a: Sequence[Row], b: Sequence[Row], columns: Iterable[str] = COLUMNS) -> Differences:
    """Of the first table against the second, over `columns`, which both have. Raises ValueError for a score that is no
    number."""
    both = tuple(column for column in COLUMNS if column in set(columns))
    pairing = paired(a, b)
    names = [name for name in DIMENSIONS if f"mos_{name}" in both]
    scores = (_scores(pairing.pairs, name, unit=f"score_{name}" in both) for name in names)
    cells: dict[str, tuple[Change, ...]] = {}
    if pairing.by == "image_id":  # of two databases every row number and path differs
        for column in both:
            cells |= _cells(pairing.pairs, column) if column not in _APART else {}
    hashed = [(x, y) for x, y in pairing.pairs if x.get("sha256") and y.get("sha256")]
    return Differences(
        pairing,
        tuple(one for one in scores if one.n or one.differs),
        cells,
        tuple(Change(x["image_id"], x["sha256"], y["sha256"]) for x, y in hashed if x["sha256"] != y["sha256"]),
        len(hashed),
        (sum(bool(x.get("sha256")) for x in a), sum(bool(y.get("sha256")) for y in b)),
        _prompts(a, b) if "prompt_id" in both else Prompts({}, {}, {}, (0, 0)),
        _generators(a, b) if "generator" in both else {},
        both,
    )


def _scores(pairs: Sequence[Pair], name: str, *, unit: bool) -> ScoreChanges:
    import numpy as np

    column = f"mos_{name}"
    changed, appeared, vanished, respelled = [], [], [], 0
    for x, y in pairs:
        one, other = x[column], y[column]
        if one and other:
            if float(one) != float(other):
                changed.append(Change(x["image_id"], one, other))
            else:
                respelled += one != other
        elif other:
            appeared.append(x["image_id"])
        elif one:
            vanished.append(x["image_id"])
    both = [(x, y) for x, y in pairs if x[column] and y[column]]
    native = [np.array([float(pair[side][column]) for pair in both]) for side in (0, 1)]
    scored = [(x, y) for x, y in both if unit and x[f"score_{name}"] and y[f"score_{name}"]]
    units = [np.array([float(pair[side][f"score_{name}"]) for pair in scored]) for side in (0, 1)]
    found = correlated(*native)
    return ScoreChanges(
        name,
        found[0],
        tuple(changed),
        respelled,
        tuple(appeared),
        tuple(vanished),
        _size(*native),
        _size(*units),
        *found[1:],
    )


def _size(a: Floats, b: Floats) -> Size | None:
    import numpy as np

    if not len(a):
        return None
    apart = b - a
    return Size(float(apart.mean()), float(np.abs(apart).mean()), float(np.abs(apart).max()))


def _cells(pairs: Sequence[Pair], column: str) -> dict[str, tuple[Change, ...]]:
    """The changes of a column; of `extra` those of each of its fields, `extra.FIELD`, as JSON."""
    found: dict[str, list[Change]] = {}
    for x, y in pairs:
        if x[column] == y[column]:
            continue
        if KINDS[column] == "json":
            one, other = _fields(x[column]), _fields(y[column])
            for field in one | other:
                if one.get(field) != other.get(field):
                    change = Change(x["image_id"], one.get(field, ""), other.get(field, ""))
                    found.setdefault(f"{column}.{field}", []).append(change)
        elif KINDS[column] == "text" or not _equal(x[column], y[column]):
            found.setdefault(column, []).append(Change(x["image_id"], x[column], y[column]))
    return {name: tuple(changes) for name, changes in found.items()}


def _fields(text: str) -> dict[str, str]:
    """Each field of a JSON object as JSON; text that is none is one field without a name."""
    try:
        return {name: json.dumps(value, ensure_ascii=False) for name, value in json.loads(text or "{}").items()}
    except (ValueError, AttributeError):
        return {"": text}


def _equal(a: str, b: str) -> bool:
    try:
        return float(a) == float(b)
    except ValueError:
        return False


def _prompts(a: Sequence[Row], b: Sequence[Row]) -> Prompts:
    first, second = (
        {row["prompt_id"]: row.get("prompt", "") for row in rows if row.get("prompt_id")} for rows in (a, b)
    )
    shared = {key: text for key, text in first.items() if key in second}
    return Prompts(
        shared,
        {key: text for key, text in first.items() if key not in second},
        {key: text for key, text in second.items() if key not in first},
        (_with(a, shared), _with(b, shared)),
    )


def _with(rows: Sequence[Row], prompts: dict[str, str]) -> int:
    return sum(row.get("prompt_id", "") in prompts for row in rows)


def _generators(a: Sequence[Row], b: Sequence[Row]) -> dict[str, tuple[int, int]]:
    first, second = (Counter(row["generator"] for row in rows if row.get("generator")) for rows in (a, b))
    return {name: (first[name], second[name]) for name in sorted(first | second)}
