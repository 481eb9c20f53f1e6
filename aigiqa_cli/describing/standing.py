"""Where one score stands among all of its dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aigiqa_cli.describing.scores import Scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Standing:
    """`mos` as published, `unit` in 0..1, `std` between raters; `range` is the declared scale. `percentile`: share of
    the n images of the database with a lower score, those with an equal one counted half, in 0..100."""

    mos: float
    unit: float | None
    std: float | None
    range: tuple[float, float] | None
    percentile: float
    n: int

    def as_json(self) -> dict[str, Any]:
        limits = list(self.range) if self.range else None
        return {
            "mos": self.mos,
            "unit": self.unit,
            "std": self.std,
            "range": limits,
            "percentile": self.percentile,
            "n": self.n,
        }


def standing(scores: Scores, place: int) -> Standing | None:
    """Of the row at `place`; None where it has no score."""
    import numpy as np

    mos = float(scores.mos[place])
    if np.isnan(mos):
        return None
    n = int(np.isfinite(scores.mos).sum())
    below = float((scores.mos < mos).sum()) + float((scores.mos == mos).sum()) / 2
    unit, std = (None if np.isnan(one[place]) else float(one[place]) for one in (scores.unit, scores.std))
    limits = (float(scores.range[0]), float(scores.range[1])) if scores.range else None
    return Standing(mos, unit, std, limits, 100 * below / n, n)
