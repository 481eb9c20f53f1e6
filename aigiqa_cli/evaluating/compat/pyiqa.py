"""chaofengc/IQA-PyTorch ("pyiqa"): the benchmark, and the curve fit that it offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigiqa_cli.evaluating.coefficients import krcc, plcc, rmse, srcc
from aigiqa_cli.evaluating.compat.mode import Difference, Mode, fitted, five_parameters, four_parameters, once

if TYPE_CHECKING:
    from collections.abc import Callable

    from aigiqa_cli.evaluating.samples import Floats

_EPS = 1e-8


def _rules(x: Floats, y: Floats) -> dict[str, Callable[[], float]]:
    import numpy as np

    @once
    def four() -> Floats:
        return fitted(four_parameters, x, y, (y.max(), y.min(), x.mean(), float(np.std(x)) / 4))

    @once
    def five() -> Floats:
        return fitted(five_parameters, x, y, (10, 0, y.mean(), 0.1, 0.1))

    def error(mapped: Floats) -> float:
        return float(np.sqrt(rmse(mapped, y) ** 2 + _EPS))

    return {
        "plcc": lambda: abs(plcc(x, y)),
        "srcc": lambda: abs(srcc(x, y)),
        "krcc": lambda: abs(krcc(x, y)),
        "rmse": lambda: error(x),
        "plcc_logistic_4params": lambda: plcc(four(), y),
        "rmse_logistic_4params": lambda: error(four()),
        "plcc_logistic_5params": lambda: plcc(five(), y),
        "rmse_logistic_5params": lambda: error(five()),
    }


MODE = Mode(
    "pyiqa",
    "chaofengc/IQA-PyTorch: pyiqa/metrics/correlation_coefficient.py (4e697fa94f91), benchmark_results.py",
    {
        "plcc": "absolute value of Pearson's r, no fit: what the benchmark tables hold",
        "srcc": "absolute value of Spearman's rho",
        "krcc": "absolute value of Kendall's tau-b",
        "rmse": "sqrt(mean((x - y)^2) + 1e-8), no fit",
        "plcc_logistic_4params": "calculate_plcc, fit_scale='logistic_4params'; start max y, min y, mean x, sd x / 4",
        "rmse_logistic_4params": "calculate_rmse with the same",
        "plcc_logistic_5params": "calculate_plcc, fit_scale='logistic_5params'; start 10, 0, mean y, 0.1, 0.1",
        "rmse_logistic_5params": "calculate_rmse with the same",
    },
    (
        Difference("abs() of every coefficient", "a metric that points the wrong way looks as good as the right one"),
        Difference(
            "images with a NaN score or an error are left out", "n changes and is not told; here it is an error"
        ),
        Difference("PLCC of the benchmark is taken without a fit", "it then measures the scale as well as the order"),
        Difference(
            "the fits run on the predictions as they are, from one start, at most 200 (parameters + 1) calls",
            "shift or scale of the predictions decides whether they succeed; here they are standardised first",
        ),
        Difference(
            "the centre of the 5-parameter curve starts at the mean MOS",
            "the cited source starts at the mean prediction; where the scales differ the curve starts off the data",
        ),
        Difference("1e-8 under the root of RMSE", "2e-9 at an RMSE of 2, and 1e-4 in place of 0"),
    ),
    _rules,
)
