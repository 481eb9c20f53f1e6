"""A set of images described: each dimension of its scores, and how the dimensions go together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from aigiqa_cli.describing.scores import Scores
from aigiqa_cli.describing.summary import Histogram, Summary, histogram, summary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]


@dataclass(frozen=True)
class Dimension:
    """One dimension. `rater_std` is on the scale of the MOS, `raw_rater_std` on that of the single ratings."""

    mos: Summary
    unit: Summary | None
    range: tuple[float, float] | None
    rater_std: Summary | None
    raw_rater_std: Summary | None
    histogram: Histogram

    def as_json(self) -> dict[str, Any]:
        """`unit` without n and skewness, which are those of the MOS."""
        unit = self.unit.as_json() if self.unit else None
        return self.mos.as_json() | {
            "range": list(self.range) if self.range else None,
            "unit": {name: unit[name] for name in unit if name not in ("n", "skewness")} if unit else None,
            "rater_std": self.rater_std.as_json() if self.rater_std else None,
            "raw_rater_std": self.raw_rater_std.as_json() if self.raw_rater_std else None,
            "histogram": self.histogram.as_json(),
        }


@dataclass(frozen=True)
class Correlation:
    """Between two dimensions over the n images that have both. None with the reason `why` where there is none."""

    a: str
    b: str
    n: int
    srcc: float | None
    plcc: float | None
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"a": self.a, "b": self.b, **correlated_json(self.n, self.srcc, self.plcc, self.why)}


@dataclass(frozen=True)
class Description:
    """`images` counts all, with scores or without."""

    images: int
    dimensions: Mapping[str, Dimension]
    correlations: tuple[Correlation, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "images": self.images,
            "dimensions": {name: one.as_json() for name, one in self.dimensions.items()},
            "correlations": [one.as_json() for one in self.correlations],
        }


def describe(scores: Mapping[str, Scores], places: Places) -> Description:
    """The rows at `places` (m,) of the scores; a dimension in which none of them has a score is left out."""
    dimensions = {name: found for name, one in scores.items() if (found := _dimension(one, places))}
    pairs = [
        Correlation(a, b, *correlated(scores[a].mos[places], scores[b].mos[places]))
        for a, b in combinations(dimensions, 2)
    ]
    return Description(len(places), dimensions, tuple(pairs))


def _dimension(scores: Scores, places: Places) -> Dimension | None:
    mos = summary(_known(scores.mos[places]))
    if mos is None:
        return None
    limits = (float(scores.range[0]), float(scores.range[1])) if scores.range else None
    return Dimension(
        mos,
        summary(_known(scores.unit[places])),
        limits,
        summary(_known(scores.std[places])),
        summary(_known(scores.raw_std[places])),
        histogram(_known(scores.mos[places]), *(limits or (mos.min, mos.max))),
    )


def _known(values: Floats) -> Floats:
    import numpy as np

    return values[np.isfinite(values)]


def correlated(x: Floats, y: Floats) -> tuple[int, float | None, float | None, str]:
    """n, SRCC and PLCC over the places where both have a value, and why there is none."""
    import numpy as np

    from aigiqa_cli.evaluating import Undefined
    from aigiqa_cli.evaluating.coefficients import plcc, srcc

    both = np.isfinite(x) & np.isfinite(y)
    n = int(both.sum())
    try:
        return n, srcc(x[both], y[both]), plcc(x[both], y[both]), ""
    except Undefined as why:
        return n, None, None, str(why).replace("predictions", "scores")


def correlated_json(n: int, srcc: float | None, plcc: float | None, why: str) -> dict[str, Any]:
    return {"n": n, "srcc": srcc, "plcc": plcc, "why": why}
