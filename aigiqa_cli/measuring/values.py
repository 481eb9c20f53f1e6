"""One model on one selection: every coefficient, or the reason why it has no value.

Names without a suffix are of the values as they are; `_logistic` and `_isotonic` are after that map onto the scale of
the scores. epsilon_rmse and outlier_ratio are after the logistic map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aigiqa_cli.measuring.selection import Selection

if TYPE_CHECKING:
    from aigiqa_cli.measuring.selection import Floats

COEFFICIENTS = (
    "srcc",
    "krcc",
    "plcc",
    "plcc_logistic",
    "plcc_isotonic",
    "rmse",
    "mae",
    "rmse_logistic",
    "mae_logistic",
    "epsilon_rmse",
    "outlier_ratio",
)
FIT = "logistic4.v1"  # the rule of `evaluating.fits.logistic`; a change of its numbers is a new version
WITHIN = ("generator", "prompt")
_FITTED = {"rmse": "rmse_logistic", "mae": "mae_logistic"}  # errors whose intervals are of the mapped predictions
LEAST = 3  # images of a group whose order says something


@dataclass
class Measured:
    """What was found of one model on one selection. A value that is None has its reason."""

    n: int
    clusters: int
    values: dict[str, float | None] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    ci95: dict[str, list[float]] | None = None
    within: dict[str, dict[str, Any]] = field(default_factory=dict)
    compat: dict[str, dict[str, float | None]] = field(default_factory=dict)
    main: dict[str, Any] | None = None
    floor: dict[str, Any] | None = None
    ceiling: dict[str, Any] | None = None

    def attempt(self, name: str, formula: Callable[[], float]) -> None:
        """The value of `formula`, or None and why it has none."""
        import numpy as np

        from aigiqa_cli.evaluating.samples import FitFailed, Undefined

        try:
            with np.errstate(over="ignore", invalid="ignore"):
                value = float(formula())
            if not np.isfinite(value):
                raise Undefined("the numbers are too large for float64")
            self.values[name] = value
        except (Undefined, FitFailed) as why:
            self.values[name] = None
            self.reasons[name] = str(why)


@dataclass(frozen=True)
class Effort:
    """What is computed beside the coefficients."""

    resamples: int = 1000
    seed: int = 0
    compat: tuple[str, ...] = ()
    main: str = ""


def measure(selection: Selection, predictions: Floats, raters: int | None, effort: Effort) -> Measured:
    """Every coefficient of predictions (n,) against the scores of the selection, in its order."""
    mos, clusters = selection.mos, selection.clusters
    measured = Measured(len(mos), len(set(clusters)))
    _raw(measured, predictions, mos)
    _fitted(measured, selection, predictions, mos, raters)
    measured.within = {by: within(selection, predictions, by) for by in WITHIN}
    _intervals(measured, predictions, mos, clusters, effort)
    if effort.main:
        measured.main = _main(measured, effort.main)
    for name in effort.compat:
        _as_they_do(measured, name, predictions, mos)
    return measured


def _raw(measured: Measured, predictions: Floats, mos: Floats) -> None:
    from aigiqa_cli.evaluating import coefficients

    for name in ("srcc", "krcc", "plcc", "rmse", "mae"):
        formula = getattr(coefficients, name)
        measured.attempt(name, lambda formula=formula: formula(predictions, mos))  # type: ignore[misc]


def _fitted(measured: Measured, selection: Selection, predictions: Floats, mos: Floats, raters: int | None) -> None:
    from aigiqa_cli.evaluating import coefficients, fits, uncertainty
    from aigiqa_cli.evaluating.samples import FitFailed, Undefined

    measured.attempt("plcc_isotonic", lambda: coefficients.plcc(fits.isotonic(predictions, mos).fitted, mos))
    after = ("plcc_logistic", "rmse_logistic", "mae_logistic", "epsilon_rmse", "outlier_ratio")
    try:
        fit = fits.logistic(predictions, mos)
    except (FitFailed, Undefined) as why:
        measured.values |= dict.fromkeys(after)
        measured.reasons |= dict.fromkeys(after, str(why))
        return
    measured.attempt("plcc_logistic", lambda: coefficients.plcc(fit.fitted, mos))
    measured.attempt("rmse_logistic", lambda: coefficients.rmse(fit.fitted, mos))
    measured.attempt("mae_logistic", lambda: coefficients.mae(fit.fitted, mos))
    std = selection.std
    if std is None or raters is None:
        lacks = "the database has no standard deviations" if std is None else "the number of raters is not known"
        measured.values |= {"epsilon_rmse": None, "outlier_ratio": None}
        measured.reasons |= {"epsilon_rmse": lacks, "outlier_ratio": lacks}
        return
    measured.attempt("epsilon_rmse", lambda: uncertainty.epsilon_rmse(fit.fitted, mos, std, raters))
    measured.attempt("outlier_ratio", lambda: uncertainty.outlier_ratio(fit.fitted, mos, std, raters))


def within(selection: Selection, predictions: Floats, by: str) -> dict[str, Any]:
    """SRCC and PLCC inside each group of equal `by`, averaged with the number of images as weight.

    Groups of fewer than LEAST images, and groups in which scores or predictions are all equal, have none and are
    counted in `left_out`.
    """
    import numpy as np

    from aigiqa_cli.evaluating.coefficients import plcc, srcc
    from aigiqa_cli.evaluating.samples import Undefined

    mos = selection.mos
    weights, ranks, lines, left_out = [], [], [], 0
    for at in places_by_group(selection, by).values():
        try:
            if len(at) < LEAST:
                raise Undefined
            found = srcc(predictions[at], mos[at]), plcc(predictions[at], mos[at])
        except Undefined:
            left_out += 1
            continue
        weights.append(len(at))
        ranks.append(found[0])
        lines.append(found[1])
    means = (float(np.average(values, weights=weights)) if weights else None for values in (ranks, lines))
    srcc_mean, plcc_mean = means
    return {"srcc": srcc_mean, "plcc": plcc_mean, "groups": len(weights), "left_out": left_out, "n": sum(weights)}


def places_by_group(selection: Selection, by: str) -> Mapping[str, list[int]]:
    """Group -> positions of its images in the selection."""
    at = {image: place for place, image in enumerate(selection.images)}
    return {key: [at[image] for image in group.images] for key, group in selection.groups(by).items()}


def _intervals(measured: Measured, predictions: Floats, mos: Floats, clusters: list[str], effort: Effort) -> None:
    from aigiqa_cli.evaluating.resampling import intervals
    from aigiqa_cli.evaluating.samples import FitFailed, Undefined

    if not effort.resamples:
        measured.reasons["ci95"] = "no resamples were asked for"
        return
    try:
        found = intervals(predictions, mos, clusters, resamples=effort.resamples, seed=effort.seed)
    except (Undefined, FitFailed) as why:
        measured.reasons["ci95"] = str(why)
        return
    if not found:
        measured.reasons["ci95"] = "no coefficient has a value in enough resamples"
        return
    measured.ci95 = {_FITTED.get(name, name): [float(low), float(high)] for name, (low, high) in found.items()}


def _main(measured: Measured, name: str) -> dict[str, Any]:
    from aigiqa_cli.evaluating.mains import main
    from aigiqa_cli.evaluating.samples import Undefined

    try:
        return {"name": name, "value": main(name, measured.values)}
    except Undefined as why:
        measured.reasons["main"] = str(why)
        return {"name": name, "value": None}


def _as_they_do(measured: Measured, mode: str, predictions: Floats, mos: Floats) -> None:
    from aigiqa_cli.evaluating.compat import MODES

    measured.compat[mode], reasons = MODES[mode].explained(predictions, mos)
    measured.reasons |= {f"compat.{mode}.{name}": why for name, why in reasons.items()}
