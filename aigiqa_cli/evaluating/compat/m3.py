"""strawhatboy/M3-AGIQA: a five-parameter fit before all coefficients, also those of ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigiqa_cli.evaluating.coefficients import krcc, plcc, srcc
from aigiqa_cli.evaluating.compat.mode import Difference, Mode, fitted, five_parameters, once

if TYPE_CHECKING:
    from collections.abc import Callable

    from aigiqa_cli.evaluating.samples import Floats


def _rules(x: Floats, y: Floats) -> dict[str, Callable[[], float]]:
    @once
    def mapped() -> Floats:
        return fitted(five_parameters, x, y, (10, 0.1, y.mean(), 0.1, 0.1))

    return {
        "srcc": lambda: srcc(mapped(), y),
        "plcc": lambda: plcc(mapped(), y),
        "krcc": lambda: krcc(mapped(), y),
        "srcc_raw": lambda: srcc(x, y),
        "plcc_raw": lambda: plcc(x, y),
        "krcc_raw": lambda: krcc(x, y),
    }


MODE = Mode(
    "m3",
    "strawhatboy/M3-AGIQA: wrapper.py (2f76702d40e8), models/utils.py (cd26c814be70)",
    {
        "srcc": "Spearman's rho of the fitted predictions (--fit_scale)",
        "plcc": "Pearson's r after the 5-parameter logistic; start 10, 0.1, mean y, 0.1, 0.1 (--fit_scale)",
        "krcc": "Kendall's tau-b of the fitted predictions (--fit_scale)",
        "srcc_raw": "the same without --fit_scale, which is the default",
        "plcc_raw": "the same without --fit_scale",
        "krcc_raw": "the same without --fit_scale",
    },
    (
        Difference(
            "SRCC and KRCC are taken of the fitted predictions",
            "harmless only for a monotone curve; this one need not be, and then repairs an order that was wrong",
        ),
        Difference(
            "the centre starts at the mean MOS, the slope at 0.1",
            "off the data where the scales differ; here several starts on standardised predictions",
        ),
        Difference(
            "tensors in single precision; a fit that fails ends the run",
            "this mode computes in float64 and has no value where the fit fails",
        ),
        Difference("no RMSE", "nothing is known of the scale of the errors"),
    ),
    _rules,
)
