"""From a database, selections and predictions to results and comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from aigiqa_cli.index import Row
from aigiqa_cli.measuring.contest import Pair, contest
from aigiqa_cli.measuring.floors import Bounds, bounds_of
from aigiqa_cli.measuring.folds import Folds
from aigiqa_cli.measuring.repeats import together
from aigiqa_cli.measuring.results import Cover, Group, Origin, Result
from aigiqa_cli.measuring.selection import Selection, dimensions_of, part_of, select, shown_key
from aigiqa_cli.measuring.supply import Supply
from aigiqa_cli.measuring.values import Effort, Measured, measure
from aigiqa_cli.partitions import Audited, Partition, judge_family
from aigiqa_cli.predictions import Wishes

if TYPE_CHECKING:
    from aigiqa_cli.measuring.selection import Floats


@dataclass(frozen=True)
class Request:
    """What is to be evaluated. `predictions` is an open pipe, or a path in which `{fold}` is the number of a fold."""

    predictions: Path | BinaryIO
    dimensions: tuple[str, ...] = ()
    split: str = ""
    by: str = ""
    wishes: Wishes = field(default_factory=Wishes)
    effort: Effort = field(default_factory=Effort)
    compare: bool | None = None  # None: where there are several models
    allow_missing: bool = False


@dataclass(frozen=True)
class Bench:
    """`rows` are those of the index; `raters` says how many rated each image in a dimension, where that is known."""

    origin: Origin
    rows: Sequence[Row]
    folds: Folds
    supply: Supply
    request: Request
    raters: Mapping[str, int]
    audits: Sequence[Audited] = ()  # of the folds, in their order
    _bounds: dict[tuple[str, int, tuple[str, ...]], Bounds] = field(default_factory=dict)  # the same for all models

    def dimensions(self) -> Sequence[str]:
        """The wished ones, else those in which the selected images have scores."""
        if self.request.dimensions:
            return self.request.dimensions
        inside: set[str] = set()
        for one in self.folds.partitions:
            inside.update(one.sides[part_of(one, self.folds.part)] if one.sides else ())
        rows = [row for row in self.rows if not self.folds.named or row["image_id"] in inside]
        return dimensions_of(rows) or dimensions_of(self.rows)[:1]  # of which `select` then says that it is missing

    def selections(self, dimension: str) -> list[Selection]:
        """One for each fold."""
        if not self.folds.named:
            return [select(self.rows, dimension)]
        folds = self.folds
        return [select(self.rows, dimension, one, part_of(one, folds.part)) for one in folds.partitions]

    def of_model(self, model: str, selections: Sequence[Selection]) -> Iterator[Result]:
        """The whole first, then each of several folds, then the groups."""
        allowed = self.request.allow_missing
        used = [self.supply.used(n, model, one, allow_missing=allowed) for n, one in enumerate(selections)]
        missing = [len(full.rows) - len(kept.rows) for full, kept in zip(selections, used, strict=True)]
        cover = Cover(tuple(used), self.folds.family, sum(missing))
        each = {fold: self._measured(fold, model, selection) for fold, selection in enumerate(used)}
        yield self._result(model, cover, each)
        if len(each) > 1:
            for fold, selection in enumerate(used):
                name = self.folds.partitions[fold].name
                alone = Cover((selection,), missing=missing[fold])
                yield replace(self._result(model, alone, {fold: each[fold]}, Group("fold", name)), fold=True)
        whole = {group.key: found for group, found in self._groups(selections)}
        for group, members in self._groups(used):
            full = sum(len(one.rows) for one in whole[group.key].values())
            lacking = full - sum(len(one.rows) for one in members.values())
            kept = Cover(tuple(members.values()), self.folds.family, lacking)
            found = {fold: self._measured(fold, model, selection) for fold, selection in members.items()}
            yield self._result(model, kept, found, group)

    def _groups(self, used: Sequence[Selection]) -> Iterator[tuple[Group, dict[int, Selection]]]:
        by = self.request.by
        found: dict[str, dict[int, Selection]] = {}
        for fold, selection in enumerate(used):
            for key, group in selection.groups(by).items() if by else ():
                found.setdefault(key, {})[fold] = group
        for key, members in sorted(found.items()):
            yield Group(by, key, shown_key(by, key, next(iter(members.values())))), members

    def _result(self, model: str, cover: Cover, each: Mapping[int, Measured], group: Group | None = None) -> Result:
        folds = dict(zip(each, cover.selections, strict=True))
        scores = [self._scores(fold, model, selection) for fold, selection in folds.items()]
        audits = [self.audits[fold] for fold in each] if self.audits else []
        leak = judge_family(audits).text if audits else None
        if len(self.folds.partitions) == 1 or (group and group.by == "fold"):
            return Result(self.origin, model, cover, next(iter(each.values())), scores, group, leak=leak)
        mean, spread = together({self.folds.partitions[fold].name: one for fold, one in each.items()})
        return Result(self.origin, model, cover, mean, scores, group, spread, leak=leak)

    def _measured(self, fold: int, model: str, selection: Selection) -> Measured:
        scores = self._scores(fold, model, selection)
        raters = self.raters.get(selection.dimension)
        measured = measure(selection, _array(selection, scores), raters, self.request.effort)
        key = (selection.dimension, fold, tuple(selection.images))
        if key not in self._bounds:
            self._bounds[key] = bounds_of(selection, raters)
        bounds = self._bounds[key]
        measured.floor, measured.ceiling = bounds.floor, bounds.ceiling
        measured.reasons |= bounds.reasons
        return measured

    def _scores(self, fold: int, model: str, selection: Selection) -> dict[str, float]:
        scores = self.supply.scores(fold, model)
        return {image: scores[image] for image in selection.images}

    def pairs(self, selections: Sequence[Selection]) -> Iterator[Pair]:
        """Paired tests on the images that all models have: fold by fold, or of one table on the images of all folds."""
        models, effort = self.supply.models, self.request.effort
        for fold, selection in enumerate([self._united(selections)] if self.supply.shared else selections):
            scores = {model: self.supply.scores(fold, model) for model in models}
            kept = selection.only(set.intersection(*(set(one) for one in scores.values())))
            arrays = {model: _array(kept, one) for model, one in scores.items()}
            yield from contest(kept, arrays, resamples=effort.resamples, seed=effort.seed)

    def _united(self, selections: Sequence[Selection]) -> Selection:
        if len(selections) == 1:
            return selections[0]
        wanted = {image for selection in selections for image in selection.images}
        rows = tuple(row for row in self.rows if row["image_id"] in wanted)
        return replace(selections[0], rows=rows, train=(), partition=Partition(self.folds.family, {}))


def _array(selection: Selection, scores: Mapping[str, float]) -> Floats:
    import numpy as np

    return np.array([scores[image] for image in selection.images], dtype=np.float64)
