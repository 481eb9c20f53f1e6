"""wangpuyi/MA-AGIQA: a four-parameter fit with the width in absolute value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigiqa_cli.evaluating.coefficients import krcc, plcc, rmse, srcc
from aigiqa_cli.evaluating.compat.mode import Difference, Mode, fitted, four_parameters, once

if TYPE_CHECKING:
    from collections.abc import Callable

    from aigiqa_cli.evaluating.samples import Floats

CALLS = 100_000  # theirs are 100,000,000: hours for a fit that does not end


def _absolute(x: Floats, b1: float, b2: float, b3: float, b4: float) -> Floats:
    return four_parameters(x, b1, b2, b3, abs(b4))


def _rules(x: Floats, y: Floats) -> dict[str, Callable[[], float]]:
    @once
    def mapped() -> Floats:
        return fitted(_absolute, x, y, (y.max(), y.min(), x.mean(), 0.5), CALLS)

    return {
        "srcc": lambda: srcc(x, y),
        "plcc": lambda: plcc(mapped(), y),
        "krcc": lambda: krcc(x, y),
        "rmse": lambda: rmse(mapped(), y),
    }


MODE = Mode(
    "ma-agiqa",
    "wangpuyi/MA-AGIQA: performance.py (d0d7069bf985), test.py (eb0f6f496a9a)",
    {
        "srcc": "Spearman's rho of the raw predictions",
        "plcc": "Pearson's r after the 4-parameter logistic with |width|; start max y, min y, mean x, 0.5",
        "krcc": "Kendall's tau-b of the raw predictions",
        "rmse": "root mean square error after the same",
    },
    (
        Difference(
            "the width starts at 0.5, whatever the scale of the predictions",
            "on a scale of 0-100 the curve starts as a step, on 0-1 almost as a line; here they are standardised first",
        ),
        Difference(
            "the absolute value keeps the width above 0, not the upper end above the lower: the curve may fall",
            "a wrong order gets a positive PLCC, and nothing says so; here the direction is stated",
        ),
        Difference(
            "up to 100,000,000 calls of the curve (100,000 in this mode, then there is no value)",
            "a search that does not end is hidden; here the correlation is searched in two bounded dimensions",
        ),
        Difference(
            "the last incomplete batch of 8 images is dropped from the test part, which is shuffled",
            "n and the images depend on the batch size; this mode takes all images",
        ),
    ),
    _rules,
)
