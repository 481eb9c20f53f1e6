"""What can be reached without looking at an image, and what the noise of the raters allows, on the images of a
selection.

The floor is learnt from the part `train` of the split. Where there is none (the whole database, a split that only
tests), five folds by image stand in: each is predicted from the other four, and the coefficients are means over the
folds. Leaving out one image at a time would not do: the mean of the others falls as the image's own score rises, so
that inside a group the order comes out reversed.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aigiqa_cli.index import Row
from aigiqa_cli.measuring.selection import Selection, scores
from aigiqa_cli.partitions import Recipe, make

if TYPE_CHECKING:
    from aigiqa_cli.evaluating.bounds import Groups

FOLDS = 5
Found = dict[str, dict[str, Any]]  # predictor -> {"srcc", "plcc", "unseen", "reason"}


@dataclass(frozen=True)
class Bounds:
    """Floor and ceiling of one selection, the same for all models; `reasons` say why one is not there."""

    floor: dict[str, Any]
    ceiling: dict[str, Any] | None
    reasons: dict[str, str]


def bounds_of(selection: Selection, raters: int | None) -> Bounds:
    """See `floor_of`; the ceiling needs a standard deviation of every image and the number of raters."""
    floor = floor_of(selection)
    reasons = {} if floor["by"] else {"floor": "no group to learn a mean from, or all means are equal"}
    ceiling, why = _ceiling(selection, raters)
    return Bounds(floor, ceiling, reasons | ({"ceiling": why} if why else {}))


def floor_of(selection: Selection) -> dict[str, Any]:
    """`predictors`: SRCC and PLCC of predicting each image by the mean of its generator, of its generator and setting,
    of its prompt, and of both; `srcc`, `plcc`: the highest, `by` and `by_plcc` whose; `from`: what the means are of.
    """
    if selection.train:
        found = _floor(selection.train, selection.rows, selection.dimension)
        source = "the part train"
    else:
        found, folds = _crossed(selection)
        source = f"{folds} folds by image of the selection itself"
    return topped({"predictors": found, "from": source})


def topped(floor: dict[str, Any]) -> dict[str, Any]:
    """The floor with the highest SRCC and PLCC that any predictor reaches, `by` and `by_plcc` which; None where none
    has one."""
    found = floor["predictors"]
    best = {}
    for key in ("srcc", "plcc"):
        known = {name: one[key] for name, one in found.items() if one[key] is not None}
        best[key] = max(known, key=lambda name: known[name], default=None)
    top = {key: found[name][key] if name else None for key, name in best.items()}
    return {**top, "by": best["srcc"], "by_plcc": best["plcc"], "predictors": found, "from": floor["from"]}


def _crossed(selection: Selection) -> tuple[Found, int]:
    """The mean over folds of what is learnt from the other folds; a predictor without a value in a fold has none."""
    each = [_floor(train, test, selection.dimension) for train, test in _folds(selection.rows)]
    found: Found = {}
    for name in each[0] if each else ():
        found[name] = {key: _mean([one[name][key] for one in each]) for key in ("srcc", "plcc")}
        found[name]["unseen"] = sum(one[name]["unseen"] for one in each)
        found[name]["reason"] = next((why for one in each if (why := one[name]["reason"])), None)
    return found, len(each)


def _folds(rows: Sequence[Row]) -> Iterator[tuple[list[Row], list[Row]]]:
    """(the others, the fold), by the rule of `aigiqa split make --by random --folds 5 --seed 0`."""
    if len(rows) < 2 * FOLDS:
        return
    for partition in make(rows, Recipe(by="random", seed=0, folds=FOLDS)):
        inside = set(partition.sides["test"])
        yield [r for r in rows if r["image_id"] not in inside], [r for r in rows if r["image_id"] in inside]


def _mean(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return statistics.fmean(known) if known and len(known) == len(numbers) else None


def _floor(train: Sequence[Row], test: Sequence[Row], dimension: str) -> Found:
    from aigiqa_cli.evaluating.bounds import floor

    found = floor(_groups(train, dimension), _groups(test, dimension))
    settings = any(row["setting"] for row in (*train, *test))
    return {
        name.replace("+", "_"): {"srcc": one.srcc, "plcc": one.plcc, "unseen": one.unseen, "reason": one.reason or None}
        for name, one in found.items()
        if settings or name != "generator+setting"  # it would be that of the generator once more
    }


def _groups(rows: Sequence[Row], dimension: str) -> Groups:
    from aigiqa_cli.evaluating.bounds import Groups

    return Groups(
        mos=scores(rows, dimension),
        generator=[row["generator"] for row in rows],
        setting=[row["setting"] for row in rows],
        prompt=[row["prompt_id"] or row["image_id"] for row in rows],
    )


def _ceiling(selection: Selection, raters: int | None) -> tuple[dict[str, Any] | None, str]:
    """The ceiling, or why there is none."""
    from aigiqa_cli.evaluating.bounds import ceiling
    from aigiqa_cli.evaluating.samples import Undefined

    std = selection.std
    if std is None or raters is None:
        lacks = "has no standard deviations" if std is None else "does not say how many raters there were"
        return None, f"the database {lacks}"
    try:
        found = ceiling(selection.mos, std, raters)
    except Undefined as why:
        return None, str(why)
    if found is None:
        return None, "the noise of the raters is not known"
    return {"srcc": found.srcc, "plcc": found.plcc, "reliability": found.reliability, "raters": raters}, ""
