"""Several folds of one family as one result: the mean, and beside it the median and the standard deviation."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from aigiqa_cli.measuring.floors import topped
from aigiqa_cli.measuring.values import COEFFICIENTS, Measured


def together(folds: Mapping[str, Measured]) -> tuple[Measured, dict[str, Any]]:
    """The mean over the folds as a measurement of its own, and (mean, median, sample standard deviation) of each.

    A coefficient that is undefined in one fold has no mean: leaving the fold out would be another protocol. There is
    no interval: the folds share images, so that they are no independent draws.
    """
    every = list(folds.values())
    mean = Measured(sum(one.n for one in every), sum(one.clusters for one in every))
    spread: dict[str, Any] = {"folds": len(every), "mean": {}, "median": {}, "std": {}}
    for name in COEFFICIENTS:
        values = [one.values[name] for one in every]
        known = [value for value in values if value is not None]
        whole = len(known) == len(values)
        mean.values[name] = statistics.fmean(known) if whole else None
        spread["mean"][name] = mean.values[name]
        spread["median"][name] = statistics.median(known) if whole else None
        spread["std"][name] = statistics.stdev(known) if whole and len(known) > 1 else None
        if not whole:
            fold, why = next((n, m.reasons.get(name, "")) for n, m in folds.items() if m.values[name] is None)
            mean.reasons[name] = f"in {fold}: {why}"
    mean.reasons["ci95"] = "the folds share images: see the standard deviation over folds"
    mean.within = mean_of([one.within for one in every])
    mean.compat = mean_of([one.compat for one in every])
    mean.main = mean_of([one.main for one in every])
    mean.floor = topped(mean_of([one.floor for one in every]))  # of the means, not the mean of each fold's best
    mean.ceiling = mean_of([one.ceiling for one in every])
    for fold, one in folds.items():
        for name in one.reasons:
            if name == "main" or name.startswith("compat."):
                mean.reasons.setdefault(name, f"in {fold}: {one.reasons[name]}")
    for name in ("floor", "ceiling"):
        reasons = [one.reasons[name] for one in every if name in one.reasons]
        mean.reasons |= {name: reasons[0]} if reasons else {}
    return mean, spread


def mean_of(records: Sequence[Any]) -> Any:
    """The mean of numbers at each place of records of one shape; None where one has none, else what all agree in."""
    if all(isinstance(record, Mapping) for record in records):
        return {name: mean_of([record.get(name) for record in records]) for name in records[0]}
    if all(isinstance(record, float) for record in records):
        return statistics.fmean(records)
    if all(isinstance(record, int) and not isinstance(record, bool) for record in records):
        return records[0] if len(set(records)) == 1 else statistics.fmean(records)
    return records[0] if all(record == records[0] for record in records) else None
