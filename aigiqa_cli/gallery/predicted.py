"""How far the predictions of a model are from the scores, image by image.

Predictions are on a scale of their own. They are moved onto that of the scores by the logistic of `evaluate`, fitted
to the images of the page; where there is no fit, by mean and standard deviation. The page says which of the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aigiqa_cli.evaluating.samples import Floats

LOGISTIC, Z, NONE = "logistic", "z", "none"
DIGITS = 6  # of a moved prediction: more says nothing, and the last ones are the machine's


@dataclass(frozen=True)
class Model:
    """`scores[image_id]` are finite numbers; an image without one has no prediction."""

    name: str
    scores: Mapping[str, float]


def judged(model: Model, images: Sequence[str], values: Mapping[str, Sequence[float | None]]) -> dict[str, Any]:
    """The predictions of the images in order, as they are and, by dimension, on the scale of its values.

    `values[dimension]` are the scores of the images, None without one. Each dimension has `map` ("logistic", "z",
    "none"), `why` not the logistic, `n` images that both have a number, and `moved`: one number or None an image.
    """
    raw = [model.scores.get(image) for image in images]
    by = {dimension: _moved(raw, scores) for dimension, scores in values.items()}
    return {"name": model.name, "raw": raw, "missing": raw.count(None), "by": by}


def _moved(raw: Sequence[float | None], scores: Sequence[float | None]) -> dict[str, Any]:
    import numpy as np

    there = [place for place, value in enumerate(raw) if value is not None]
    both = [place for place in there if scores[place] is not None]
    x = np.array([raw[place] for place in there], dtype=np.float64)
    among = np.array([scores[place] is not None for place in there], dtype=bool)
    y = np.array([scores[place] for place in both], dtype=np.float64)
    kind, why, moved = _onto(x, among, y)
    found: list[float | None] = [None] * len(raw)
    for place, value in zip(there, moved, strict=False):
        found[place] = float(f"{value:.{DIGITS}g}")
    return {"map": kind, "why": why, "n": len(both), "moved": found}


def _onto(x: Floats, among: Floats, y: Floats) -> tuple[str, str, Floats]:
    """All predictions x on the scale of y, the scores of those `among` them."""
    import numpy as np

    from aigiqa_cli.evaluating.fits import logistic
    from aigiqa_cli.evaluating.samples import FitFailed, Undefined

    try:
        return LOGISTIC, "", logistic(x[among], y)(x)
    except (FitFailed, Undefined) as reason:
        why = str(reason)
    if len(y) < 2 or np.ptp(x[among]) == 0:  # noqa: PLR2004 - nothing to measure a spread by
        return NONE, why, x[:0]
    with np.errstate(over="ignore", invalid="ignore"):
        moved = (x - x[among].mean()) / x[among].std() * y.std() + y.mean()
    return (Z, why, moved) if np.isfinite(moved).all() else (NONE, why, x[:0])
