"""What a result on a whole selection must have and has not: a coefficient without a value is an error, never a number.

Values that nobody can know (the ceiling, the floor, epsilon-RMSE and the outlier ratio where the noise of the raters is
not published) are absent and no error. Neither is a group without a value: its reason stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aigiqa_cli.errors import Finding, RefusedInput
from aigiqa_cli.measuring.results import Result
from aigiqa_cli.measuring.values import COEFFICIENTS

NOISE = ("epsilon_rmse", "outlier_ratio")  # without the raters' noise they are unknown; else they follow the fit
LEAST = 5  # images: four parameters of the fit go through any four


def lacking(wholes: Sequence[Result], files: Sequence[str]) -> RefusedInput | None:
    """The fault of an evaluation whose models lack coefficients on a whole selection; None if all are there.

    One finding for each model, dimension and reason; `files` are those of the predictions.
    """
    found = [(one, names, why) for one in wholes for names, why in _lacks(one)]
    if not found:
        return None
    problems = [f"{one.model}, {one.cover.dimension}: no {', '.join(names)}: {why}" for one, names, why in found]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    first = found[0][0]
    return RefusedInput(
        problems[0] + more,
        hint=_advice(first, [one.model for one in wholes]),
        database=first.origin.database,
        phase="CHECK",
        findings=[
            Finding(one.origin.database, ", ".join(files), problem, "a number", "none")
            for (one, _, _), problem in zip(found, problems, strict=True)
        ],
    )


def _lacks(result: Result) -> Iterator[tuple[list[str], str]]:
    """(coefficients, why they have no value), those of one reason together."""
    values, reasons = result.measured.values, result.measured.reasons
    by_reason: dict[str, list[str]] = {}
    for name in COEFFICIENTS:
        if values[name] is None and name not in NOISE:
            by_reason.setdefault(reasons[name], []).append(name)
    yield from ((names, why) for why, names in by_reason.items())


def _advice(result: Result, models: Sequence[str]) -> str:
    others = [model for model in dict.fromkeys(models) if model != result.model]
    without = f"; --model {','.join(others)} leaves it out" if others else ""
    if any(len(selection.rows) < LEAST for selection in result.cover.selections):
        return f"at least {LEAST} images: a larger part, --split NAME:PART, or another --dimension"
    if any(len(set(selection.mos.tolist())) == 1 for selection in result.cover.selections):
        return "images with different scores: another --dimension, or --split NAME:PART"
    if any(len(set(scores.values())) == 1 for scores in result.scores):
        return f"one number for every image orders nothing: correct the predictions of {result.model}{without}"
    return f"look at the predictions of {result.model}: their size, and whether they order the images at all{without}"
