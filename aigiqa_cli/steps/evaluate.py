"""evaluate: predictions of one or several models against the scores of an installed database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aigiqa_cli import signatures
from aigiqa_cli.context import Context
from aigiqa_cli.errors import RefusedInput, UsageFault
from aigiqa_cli.measuring.bench import Bench, Request
from aigiqa_cli.measuring.contest import Pair
from aigiqa_cli.measuring.folds import FILE, Folds, folds
from aigiqa_cli.measuring.lacking import lacking
from aigiqa_cli.measuring.results import Origin, Result
from aigiqa_cli.measuring.selection import demand_dimension, demand_grouping, part_of
from aigiqa_cli.measuring.supply import Supply, supply
from aigiqa_cli.measuring.values import Effort
from aigiqa_cli.partitions import audit
from aigiqa_cli.partitions.opened import opened

__all__ = ["Check", "Evaluation", "Request", "check", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """`results`: first one for each dimension and model on the whole selection, then folds and groups.

    `pairs` are the paired tests between models; `notes` say what was taken for what.
    """

    origin: Origin
    supply: Supply
    results: tuple[Result, ...]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]
    effort: Effort

    @property
    def fault(self) -> RefusedInput | None:
        """Why this is no result, beside what can be had: a coefficient of a whole selection has no value."""
        wholes = [one for one in self.results if one.group is None]
        return lacking(wholes, [one.name for one in self.supply.read])

    def as_json(self) -> dict[str, Any]:
        """The stable form: what README documents."""
        first = self.supply.read[0]
        return {
            "database": self.origin.database,
            "index_sha256": self.origin.index_sha256,
            "predictions": {
                "files": [one.name for one in self.supply.read],
                "image_column": first.image_column,
                "models": list(first.models),
                "ignored": list(first.ignored),
            },
            "results": [result.as_json() for result in self.results],
            "comparisons": [pair.as_json() for pair in self.pairs],
            "main": _main_rule(self.effort.main),
            "compat": {name: _mode_rules(name) for name in self.effort.compat},
            "notes": list(self.notes),
        }


def evaluate(context: Context, name: str, request: Request) -> Evaluation:
    """Evaluate predictions on the installed database `name`.

    Raises UsageFault for what is not here, RefusedInput for predictions that are not one finite number an image. A
    coefficient without a value raises nothing: see `Evaluation.fault`.
    """
    here = opened(context.root, name)
    if request.by:
        demand_grouping(here.rows, request.by, name)
    for dimension in request.dimensions:
        demand_dimension(here.rows, dimension, name)
    chosen = folds(context.root, here.record, here.names, request.split)
    read = supply(request.predictions, here.names, request.wishes, chosen.partitions, chosen.family)
    if request.compare and (len(read.models) < 2 or not request.effort.resamples):  # noqa: PLR2004
        lacks = "more than one model" if request.effort.resamples else "resamples"
        raise UsageFault(f"comparing needs {lacks}", hint="leave out --compare, or add what it needs", phase="PLAN")
    origin = Origin(name, here.record.index_sha256, tuple(here.order))
    audits = [audit(one, here.by_id, here.references) for one in chosen.partitions if chosen.named]
    bench = Bench(origin, here.rows, chosen, read, request, raters_of(context, name), audits)
    wholes: list[Result] = []
    details: list[Result] = []
    pairs: list[Pair] = []
    for dimension in bench.dimensions():
        selections = bench.selections(dimension)
        for model in read.models:
            whole, *more = bench.of_model(model, selections)
            wholes.append(whole)
            details += more
        if len(read.models) > 1 and request.compare is not False and request.effort.resamples:
            pairs += bench.pairs(selections)
    notes = (*read.notes(), *_notes(chosen, wholes), *_wrong_way(wholes))
    return Evaluation(origin, read, (*wholes, *details), tuple(pairs), notes, request.effort)


def _main_rule(name: str) -> dict[str, str] | None:
    """What a named main score is, and how sure that is."""
    if not name:
        return None
    from aigiqa_cli.evaluating.mains import MAIN

    rule = MAIN[name]
    return {"name": name, "formula": rule.formula, "source": rule.source, "known": rule.known}


def _mode_rules(name: str) -> dict[str, Any]:
    """Whose code a compatibility mode follows, what it prints, and where and why it differs from what is done here."""
    from aigiqa_cli.evaluating.compat import MODES

    mode = MODES[name]
    differs = [{"what": one.what, "why": one.why} for one in mode.differences]
    return {"source": mode.source, "prints": mode.prints, "differs": differs}


def raters_of(context: Context, name: str) -> dict[str, int]:
    """How many people rated each image, by dimension, where every label source of the manifest says the same."""
    entry = context.catalogue.find(name)
    if entry is None:
        return {}
    stated: dict[str, set[int | None]] = {}
    for source in context.catalogue.load(entry).labels:
        for dimension, score in source.scores.items():
            stated.setdefault(dimension, set()).add(score.raters)
    return {dimension: one for dimension, counts in stated.items() if len(counts) == 1 and (one := counts.pop())}


def _notes(chosen: Folds, wholes: list[Result]) -> list[str]:
    notes = []
    parts = {part_of(one, "") for one in chosen.partitions} if chosen.named and not chosen.part else {"test"}
    if parts != {"test"}:
        name = chosen.family or chosen.partitions[0].name
        notes.append(f"{name} has no part test: evaluated on {', '.join(sorted(parts))}")
    notes += [
        f"{one.model}, {one.cover.dimension}: {one.measured.n:,} images used, {one.cover.missing:,} have no prediction"
        for one in wholes
        if one.cover.missing
    ]
    left_out = {one.cover.dimension: sum(s.unlabelled for s in one.cover.selections) for one in wholes}
    return notes + [
        f"{count:,} images have no published score of {dimension} and are left out"
        for dimension, count in left_out.items()
        if count
    ]


def _wrong_way(wholes: list[Result]) -> list[str]:
    falling = [one for one in wholes if (low := (one.measured.ci95 or {}).get("srcc")) and low[1] < 0]
    return [
        f"{one.model} falls as {one.cover.dimension} rises: turn its sign to compare it with others" for one in falling
    ]


@dataclass(frozen=True)
class Check:
    """What a signature states, the result computed again, and in what they differ."""

    stated: Mapping[str, str]
    result: Result
    differences: tuple[signatures.Difference, ...]


def check(context: Context, name: str, line: str, request: Request) -> Check:
    """Compute the result of a signature again; its split, dimension and group are taken from it.

    Raises RefusedInput if the line is no signature, UsageFault if it is of another database or its split is not here,
    or if the request asks for another dimension or group.
    """
    stated = signatures.parse(line)
    if name and name != stated["db"]:
        raise UsageFault(
            f"the signature is of {stated['db']}, not of {name}",
            hint=f"aigiqa evaluate {stated['db']} --check SIGNATURE PREDICTIONS",
            phase="PLAN",
        )
    by, _, key = stated["group"].partition("=")
    for option, given, pinned in (("-d", ",".join(request.dimensions), stated["dim"]), ("--by", request.by, by)):
        if given and given != pinned:
            raise UsageFault(
                f"{option} {given} is not what the signature pins: {pinned or 'nothing'}",
                hint=f"leave out {option}: dimension and group are those of the signature",
                phase="PLAN",
            )
    wanted = replace(
        request,
        dimensions=(stated["dim"],),
        split=_split_of(stated, request.split),
        by=by,
        effort=replace(request.effort, resamples=0, compat=(), main=""),
        compare=False,
        allow_missing=request.allow_missing or stated["missing"] != "0",
    )
    done = evaluate(context, stated["db"], wanted)
    results = [one for one in done.results if not one.fold and (one.group.key if one.group else "") == key]
    if not results:
        raise UsageFault(f"the selection has no group {stated['group']}", hint=f"aigiqa evaluate … --by {by}")
    judged = [(_differences(stated, one), one) for one in results]
    found, result = min(judged, key=lambda one: len(one[0]))
    return Check(stated, result, found)


def _differences(stated: Mapping[str, str], result: Result) -> tuple[signatures.Difference, ...]:
    """Files of one split may have several names: their digest decides."""
    found = result.pinned
    same = stated["digest"] == found["digest"] and stated["split"].startswith(FILE)
    return tuple(one for one in signatures.differences(stated, found) if not (same and one.field == "split"))


def _split_of(stated: Mapping[str, str], given: str) -> str:
    split = stated["split"]
    file, sharp, one = split.removeprefix(FILE).partition("#")
    if sharp and stated["agg"] == "none" and Path(given).name == file:
        given = f"{given}#{one}"
    if given and ":" not in given and stated["part"]:
        given = f"{given}:{stated['part']}"
    if given or not split:
        return given
    if split.startswith(FILE):
        raise UsageFault(
            f"the signature is of a split file, {split.removeprefix(FILE)}",
            hint="say where it is: --split PATH",
            phase="PLAN",
        )
    return f"{split}:{stated['part']}"
