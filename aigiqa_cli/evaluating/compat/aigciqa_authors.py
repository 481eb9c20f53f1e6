"""IntMeGroup/MINT-IQA: the only evaluation code that the authors of that family of databases have published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigiqa_cli.evaluating.coefficients import krcc, plcc, rmse, srcc
from aigiqa_cli.evaluating.compat.mode import Difference, Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from aigiqa_cli.evaluating.samples import Floats


def _rules(x: Floats, y: Floats) -> dict[str, Callable[[], float]]:
    return {
        "srcc": lambda: srcc(x, y),
        "plcc": lambda: plcc(x, y),
        "krcc": lambda: krcc(x, y),
        "rmse": lambda: rmse(x, y),
    }


MODE = Mode(
    "aigciqa-authors",
    "IntMeGroup/MINT-IQA: train_stage1.py (e18b8caf4578); the paper of the database came without code",
    {
        "srcc": "Spearman's rho",
        "plcc": "Pearson's r, no fit",
        "krcc": "Kendall's tau-b",
        "rmse": "root mean square error, no fit, on the scale that is given (theirs is MOS / 100)",
    },
    (
        Difference("PLCC without a fit", "it then measures the scale as well as the order; here both are shown"),
        Difference(
            "RMSE between predictions and scores as they are",
            "only of use for a model trained on that very scale; here RMSE is taken after the logistic",
        ),
        Difference(
            "the epoch with the largest |SRCC| on the test images is reported, for each dimension by itself",
            "twenty equally good epochs gain about 0.018 SRCC by it; one file of predictions has no epochs",
        ),
        Difference(
            "with more than one validation an epoch the lists of test scores are not emptied in between",
            "predictions of several states of the model are correlated together; this mode takes each image once",
        ),
    ),
    _rules,
)
