"""Below which score a model has learnt nothing of the image, and above which score the raters do not reach.

The floor predicts from what is known without the picture: who made it and what was asked for. The ceiling is what a
model would reach that knew the true quality of every image, because the published scores are means of few raters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aigiqa_cli.evaluating.chance import Chance
from aigiqa_cli.evaluating.coefficients import plcc, srcc
from aigiqa_cli.evaluating.samples import Undefined, paired, varied

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from aigiqa_cli.evaluating.samples import Floats

DRAWS = 200  # simulated tables of scores; the ceiling of SRCC varies with the seed by less than 0.0005


@dataclass(frozen=True, eq=False)
class Groups:
    """The images of one part of a split: scores of shape (n,), and for each image what is known without seeing it."""

    mos: ArrayLike
    generator: Sequence[str]
    setting: Sequence[str]
    prompt: Sequence[str]

    def labels(self, name: str) -> list[object]:
        """What groups the images under `name`, one of FLOORS."""
        if name == "generator":
            return list(self.generator)
        if name == "prompt":
            return list(self.prompt)
        return list(zip(self.generator, self.setting, strict=True))


@dataclass(frozen=True)
class Floor:
    """How well the means of the training part predict. `unseen` test images are of a group that has no mean there
    and get the mean of all; srcc and plcc are None where they are undefined, `reason` says why."""

    name: str
    srcc: float | None
    plcc: float | None
    groups: int
    unseen: int
    reason: str = ""


FLOORS = ("generator", "generator+setting", "prompt", "both")


def floor(train: Groups, test: Groups) -> dict[str, Floor]:
    """The test scores predicted by means over groups of the training part, for each of FLOORS.

    `both` adds to the mean of generator and setting the mean, over the prompt's training images, of what that leaves
    over. Where no prompt of the test part is in the training part, `prompt` and `both` have no value.

    Few groups mean few distinct predictions, so SRCC is that of tied ranks; this is what SciPy prints for them, and
    no penalty is taken off: a model that knows only the generator gets exactly this. The same object as both parts
    gives the means of the test images themselves: fair for generators, of which each has hundreds of images, but the
    mean of a prompt would contain the answer, so `prompt` and `both` have no value then.

    ValueError where the labels do not have the length of the scores.
    """
    return {name: _floor(name, train, test) for name in FLOORS}


def _floor(name: str, train: Groups, test: Groups) -> Floor:
    import numpy as np

    (known,), (scores,) = paired(train.mos, least=1), paired(test.mos, least=1)
    mean = float(known.mean())
    first = "generator+setting" if name == "both" else name
    means = _means(known, train.labels(first))
    predicted = np.array([means.get(label, mean) for label in _checked(test, first)])
    unseen = sum(label not in means for label in test.labels(first))
    if name in ("prompt", "both"):
        if train is test:
            return Floor(name, None, None, len(means), unseen, "the mean of a prompt would contain the image itself")
        shared = set(train.prompt) & set(test.prompt)
        unseen = sum(label not in shared for label in test.prompt)
        if not shared:
            return Floor(name, None, None, len(means), unseen, "no prompt of the test part is in the training part")
    if name == "both":
        left = known - np.array([means[label] for label in train.labels(first)])
        effects = _means(left, train.labels("prompt"))
        predicted += np.array([effects.get(label, 0.0) for label in test.prompt])
        means = {**means, **effects}
    try:
        return Floor(name, srcc(predicted, scores), plcc(predicted, scores), len(means), unseen)
    except Undefined as reason:
        return Floor(name, None, None, len(means), unseen, str(reason))


def _checked(part: Groups, name: str) -> list[object]:
    import numpy as np

    labels = part.labels(name)
    if len(labels) != np.size(part.mos) or len(part.prompt) != np.size(part.mos):
        raise ValueError(f"expected {np.size(part.mos)} labels, found {len(labels)} and {len(part.prompt)}")
    return labels


def _means(values: Floats, labels: Sequence[object]) -> Mapping[object, float]:
    sums: dict[object, tuple[float, int]] = {}
    for value, label in zip(values.tolist(), labels, strict=True):
        total, count = sums.get(label, (0.0, 0))
        sums[label] = (total + value, count + 1)
    return {label: total / count for label, (total, count) in sums.items()}


@dataclass(frozen=True)
class Ceiling:
    """What a model would reach that knew the mean of all possible raters. `reliability` is the share of the variance
    of the scores that is not rater noise."""

    srcc: float
    plcc: float
    reliability: float


def ceiling(mos: ArrayLike, std: ArrayLike | None, raters: ArrayLike | None, *, seed: int = 0) -> Ceiling | None:
    """None where the deviations or the number of raters are not known for every image, or there are fewer than two.

        reliability = 1 - mean(std^2 / raters) / var(mos),   PLCC <= sqrt(reliability)

    the attenuation of a correlation by error in one variable (Spearman 1904, "The proof and measurement of association
    between two things"). `std` (n,) is the sample deviation over the raters of an image on the scale of `mos`.

    SRCC has no such formula. Its ceiling is simulated: true scores are the published ones drawn towards their mean,
    mean + sqrt(reliability) (mos - mean), which have the variance that true scores must have; each simulated table
    adds normal noise of variance std^2 / raters to them; the value is the mean SRCC of the two over 200 tables.

    Assumes that the raters of an image err independently. Where all raters saw all images, their different use of
    the scale is in `std` without disturbing the order, and the true ceiling is higher.
    ValueError for NaN or different lengths, Undefined for constant scores.
    """
    import numpy as np

    if std is None or raters is None or np.size(std) == 0:
        return None
    known = np.asarray(std, dtype=np.float64)
    count = np.broadcast_to(np.asarray(raters, dtype=np.float64), known.shape)
    if not (np.isfinite(known).all() and np.isfinite(count).all()) or (count <= 1).any():
        return None
    y, known, count = paired(mos, known, count)
    noise = known**2 / count
    reliability = float(1 - noise.mean() / varied(y, "scores").var(ddof=1))
    if reliability <= 0:
        return Ceiling(0.0, 0.0, 0.0)
    truth = y.mean() + np.sqrt(reliability) * (y - y.mean())
    chance = Chance(seed)
    found = [srcc(truth, truth + np.sqrt(noise) * chance.normals(1, len(y))[0]) for _ in range(DRAWS)]
    return Ceiling(float(np.mean(found)), float(np.sqrt(reliability)), reliability)
