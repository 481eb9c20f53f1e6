"""What a compatibility mode is, and the two curves that the modes share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aigiqa_cli.evaluating.samples import FitFailed, Undefined, paired

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from aigiqa_cli.evaluating.samples import Floats

    # Predictions and scores -> the values under their names; a value that cannot be had is raised when it is called.
    Rules = Callable[[Floats, Floats], dict[str, Callable[[], float]]]
    Curve = Callable[..., Floats]


@dataclass(frozen=True)
class Difference:
    """Where a code base differs from this package, and what speaks for the way taken here."""

    what: str
    why: str


@dataclass(frozen=True)
class Mode:
    """`prints` explains the values of `evaluate`, name by name. `source` names repository, file and commit."""

    name: str
    source: str
    prints: dict[str, str]
    differences: tuple[Difference, ...]
    rules: Rules

    def evaluate(self, predictions: ArrayLike, mos: ArrayLike) -> dict[str, float | None]:
        """The values that the code base prints; None where it would fail. ValueError as in `coefficients`."""
        return self.explained(predictions, mos)[0]

    def explained(self, predictions: ArrayLike, mos: ArrayLike) -> tuple[dict[str, float | None], dict[str, str]]:
        """The values of `evaluate`, and for each that is None the reason."""
        x, y = paired(predictions, mos, least=1)
        values: dict[str, float | None] = {}
        reasons: dict[str, str] = {}
        for name, value in self.rules(x, y).items():
            try:
                values[name] = value()
            except (FitFailed, Undefined) as reason:
                values[name], reasons[name] = None, str(reason)
        return values, reasons


def four_parameters(x: Floats, b1: float, b2: float, b3: float, b4: float) -> Floats:
    """b2 + (b1 - b2) / (1 + exp(-(x - b3) / b4)): VQEG's logistic."""
    import numpy as np

    return np.asarray(b2 + (b1 - b2) / (1 + np.exp(-(x - b3) / b4)), dtype=np.float64)


def five_parameters(x: Floats, b1: float, b2: float, b3: float, b4: float, b5: float) -> Floats:
    """b1 (1/2 - 1 / (1 + exp(b2 (x - b3)))) + b4 x + b5: a logistic on a line (Sheikh, Sabir & Bovik 2006).

    Not monotone where b1 b2 and b4 have different signs.
    """
    import numpy as np

    return np.asarray(b1 * (0.5 - 1 / (1 + np.exp(b2 * (x - b3)))) + b4 * x + b5, dtype=np.float64)


def once(fit: Callable[[], Floats]) -> Callable[[], Floats]:
    """The same fit, done at the first call: later ones get its result again, or its failure."""
    done: list[Floats | FitFailed] = []

    def kept() -> Floats:
        if not done:
            try:
                done.append(fit())
            except FitFailed as reason:
                done.append(reason)
        if isinstance(done[0], FitFailed):
            raise done[0]
        return done[0]

    return kept


def fitted(curve: Curve, x: Floats, y: Floats, start: Sequence[float], calls: int = 0) -> Floats:
    """The predictions mapped by the curve that `curve_fit` finds from `start`; 0 calls: as many as it allows itself,
    200 (parameters + 1). FitFailed where it gives up or ends at a curve that is not finite."""
    import numpy as np
    from scipy.optimize import curve_fit

    if len(x) < len(start):
        raise FitFailed(f"{len(x)} images are fewer than {len(start)} parameters")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of overflow and of a covariance that nobody asks for
        try:
            found, _ = curve_fit(curve, x, y, p0=list(start), maxfev=calls)
        except RuntimeError as reason:
            raise FitFailed(" ".join(str(reason).split())) from reason
        mapped = curve(x, *found)
    if not np.isfinite(mapped).all():
        raise FitFailed("the fit ends at a curve that is not finite: nan is printed")
    return mapped
