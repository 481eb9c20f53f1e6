"""Which of several models is better on the same images: paired tests, corrected for how many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from aigiqa_cli.measuring.selection import Selection

if TYPE_CHECKING:
    from aigiqa_cli.measuring.selection import Floats

MEASURES = ("srcc", "plcc_logistic")
ALPHA = 0.05


@dataclass(frozen=True)
class Pair:
    """`first` minus `second` in `measure`, its 95 % interval and p-value; `p_holm` allows for all pairs together."""

    dimension: str
    split: str | None
    measure: str
    n: int
    first: str
    second: str
    difference: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_holm: float | None = None
    reason: str = ""

    @property
    def decided(self) -> bool:
        """Does the test, allowing for the number of pairs, call the two different?"""
        return self.p_holm is not None and self.p_holm < ALPHA

    def as_json(self) -> dict[str, Any]:
        names = ("dimension", "split", "measure", "n", "first", "second", "difference", "low", "high", "p_value")
        return {name: getattr(self, name) for name in names} | {
            "p_holm": self.p_holm,
            "decided": self.decided,
            "reason": self.reason,
        }


def contest(
    selection: Selection, models: Mapping[str, Floats], *, resamples: int, seed: int, measures: Sequence[str] = MEASURES
) -> list[Pair]:
    """Every pair of models on the images of the selection; the models' predictions stand in its order."""
    pairs = []
    for measure in measures:
        tested = [
            _test(selection, measure, first, second, models, resamples, seed)
            for first, second in combinations(models, 2)
        ]
        pairs += _corrected(tested)
    return pairs


def _test(
    selection: Selection,
    measure: str,
    first: str,
    second: str,
    models: Mapping[str, Floats],
    resamples: int,
    seed: int,
) -> Pair:
    from aigiqa_cli.evaluating.comparing import compare
    from aigiqa_cli.evaluating.samples import FitFailed, Undefined

    mos = selection.mos
    pair = Pair(selection.dimension, selection.label, measure, len(mos), first, second, None)
    try:
        found = compare(
            models[first], models[second], mos, selection.clusters, measure=measure, resamples=resamples, seed=seed
        )
    except (Undefined, FitFailed) as why:
        return replace(pair, reason=str(why))
    return replace(
        pair, difference=float(found.difference), low=float(found.low), high=float(found.high),
        p_value=float(found.p_value),
    )  # fmt: skip


def _corrected(pairs: Sequence[Pair]) -> list[Pair]:
    """Holm's step-down correction: the k-th smallest of m p-values times m - k + 1, never below the one before.

    Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6 (1979).
    """
    known = sorted((pair.p_value, at) for at, pair in enumerate(pairs) if pair.p_value is not None)
    corrected = list(pairs)
    least = 0.0
    for rank, (p_value, at) in enumerate(known):
        least = max(least, min(1.0, p_value * (len(known) - rank)))
        corrected[at] = replace(pairs[at], p_holm=least)
    return corrected
