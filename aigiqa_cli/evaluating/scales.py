"""The same predictions on four scales: what a fit before PLCC is worth, and which ones break.

Any increasing map of a model's output is the same ranking. Numbers that change with it measure the scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aigiqa_cli.evaluating.chance import Chance
from aigiqa_cli.evaluating.coefficients import plcc, srcc
from aigiqa_cli.evaluating.compat import MODES
from aigiqa_cli.evaluating.fits import isotonic, logistic
from aigiqa_cli.evaluating.samples import FitFailed, paired, standardised

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from aigiqa_cli.evaluating.samples import Floats

# What stands in the columns after SRCC and raw PLCC: a heading, and the mode and value of `compat` behind it.
THEIRS = (
    ("pyiqa 4", "pyiqa", "plcc_logistic_4params"),
    ("pyiqa 5", "pyiqa", "plcc_logistic_5params"),
    ("dbcnn", "dbcnn", "plcc"),
    ("ma-agiqa", "ma-agiqa", "plcc"),
    ("m3", "m3", "plcc"),
    ("aigciqa-a.", "aigciqa-authors", "plcc"),
)


@dataclass(frozen=True)
class Line:
    """One scale: SRCC, then PLCC raw, after our two fits, and in each column of THEIRS; None where a fit fails."""

    scale: str
    srcc: float
    raw: float
    logistic: float | None
    isotonic: float | None
    theirs: dict[str, float | None]


def simulated(mos: ArrayLike, *, rank: float, seed: int = 0) -> Floats:
    """Predictions whose SRCC with the scores is `rank`, to 1e-4: the scores and normal noise. Shape (n,).

    FitFailed where no amount of noise gets there (`rank` out of 0..1, or too few images).
    """
    (scores,) = paired(mos)
    noise = Chance(seed).normals(1, len(scores))[0]
    true = standardised(scores)
    low, high = 0.0, 1e3
    for _ in range(60):
        amount = (low + high) / 2
        reached = srcc(true + amount * noise, scores)
        if abs(reached - rank) < 1e-4:  # noqa: PLR2004 - the promise above
            predictions: Floats = scores + amount * float(scores.std()) * noise
            return predictions
        low, high = (amount, high) if reached > rank else (low, amount)
    raise FitFailed(f"no noise gives an SRCC of {rank}")


def scales() -> dict[str, Callable[[Floats], Floats]]:
    """Four increasing maps of predictions. The middle two see them standardised."""
    import numpy as np

    return {
        "linear": lambda x: x,
        "saturating sigmoid": lambda x: 1 / (1 + np.exp(-4 * standardised(x))),
        "exponential": lambda x: np.exp(2 * standardised(x)),
        "linear + 1000": lambda x: x + 1000,
    }


def table(mos: ArrayLike, *, rank: float, seed: int = 0) -> list[Line]:
    """One line for each of `scales`, of the same simulated predictions."""
    predictions = simulated(mos, rank=rank, seed=seed)
    return [_line(name, change(predictions), mos) for name, change in scales().items()]


def printed(lines: list[Line]) -> str:
    """The table as Markdown."""
    headings = ["prediction scale", "SRCC", "raw PLCC", "**logistic**", "**isotonic**", *(one[0] for one in THEIRS)]
    rows = [headings, ["---", *["---:"] * (len(headings) - 1)]]
    for line in lines:
        values = [line.srcc, line.raw, line.logistic, line.isotonic, *(line.theirs[one[0]] for one in THEIRS)]
        rows.append([line.scale, *("*fails*" if value is None else f"{value:.3f}" for value in values)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _line(name: str, x: Floats, mos: ArrayLike) -> Line:
    (y,) = paired(mos)
    found = {mode.name: mode.evaluate(x, y) for mode in MODES.values()}
    theirs = {heading: found[mode][value] for heading, mode, value in THEIRS}
    ours: dict[str, float | None] = {}
    for fit in (logistic, isotonic):
        try:
            ours[fit.__name__] = plcc(fit(x, y).fitted, y)
        except FitFailed:
            ours[fit.__name__] = None
    return Line(name, srcc(x, y), plcc(x, y), ours["logistic"], ours["isotonic"], theirs)
