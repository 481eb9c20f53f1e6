"""zwx8981/DBCNN: the five-parameter fit that much later code goes back to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigiqa_cli.evaluating.coefficients import krcc, plcc, rmse, srcc
from aigiqa_cli.evaluating.compat.mode import Difference, Mode, fitted, five_parameters, once

if TYPE_CHECKING:
    from collections.abc import Callable

    from aigiqa_cli.evaluating.samples import Floats


def _rules(x: Floats, y: Floats) -> dict[str, Callable[[], float]]:
    @once
    def mapped() -> Floats:
        return fitted(five_parameters, x, y, (10, 0, x.mean(), 0.1, 0.1))

    return {
        "srcc": lambda: srcc(x, y),
        "krcc": lambda: krcc(x, y),
        "plcc": lambda: plcc(mapped(), y),
        "rmse": lambda: rmse(mapped(), y),
        "plcc_raw": lambda: plcc(x, y),
    }


MODE = Mode(
    "dbcnn",
    "zwx8981/DBCNN: dbcnn/tools/verify_performance.m (7988cc4e7cb8); zwx8981/DBCNN-PyTorch: DBCNN.py (20d180afa628)",
    {
        "srcc": "Spearman's rho of the raw predictions",
        "krcc": "Kendall's tau-b of the raw predictions",
        "plcc": "Pearson's r after the 5-parameter logistic; start 10, 0, mean x, 0.1, 0.1",
        "rmse": "root mean square error after the same",
        "plcc_raw": "Pearson's r without a fit, which is what the PyTorch port prints",
    },
    (
        Difference(
            "the curve is a logistic on a line",
            "it can rise and fall, so PLCC after it may be high where the order is wrong; here the curve is monotone",
        ),
        Difference(
            "the slope of the logistic starts at 0, where its centre has no influence",
            "whether it leaves the line then depends on the scale; here several starts on standardised predictions",
        ),
        Difference(
            "MATLAB's nlinfit, which ends after 100 rounds with a warning and uses what it has",
            "a fit that did not end is no fit; this mode uses MINPACK and has no value then",
        ),
        Difference("the port to PyTorch takes PLCC without the fit", "two numbers under one name; see plcc_raw"),
    ),
    _rules,
)
