"""The predictions of a run: one table for all folds, or one for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aigiqa_cli import predictions
from aigiqa_cli.errors import Finding, MachineFault, RefusedInput, UsageFault
from aigiqa_cli.measuring.folds import FILE
from aigiqa_cli.measuring.selection import Selection
from aigiqa_cli.partitions import Names, Partition
from aigiqa_cli.predictions import Predictions, Wishes

FOLD = "{fold}"  # in a path: the number of the fold
SHOWN = 3


@dataclass(frozen=True)
class Supply:
    """`read` has one entry, or one a fold; all have the same models."""

    database: str
    read: tuple[Predictions, ...]

    @property
    def models(self) -> tuple[str, ...]:
        return self.read[0].models

    @property
    def shared(self) -> bool:
        """Is it one table for all folds?"""
        return len(self.read) == 1

    def of_fold(self, fold: int) -> Predictions:
        return self.read[0 if self.shared else fold]

    def scores(self, fold: int, model: str) -> Mapping[str, float]:
        return self.of_fold(fold).scores[model]

    def used(self, fold: int, model: str, selection: Selection, *, allow_missing: bool) -> Selection:
        """The selection, without the images that the model has no score of where that is allowed.

        Raises RefusedInput with the name and place of each such image.
        """
        scores = self.scores(fold, model)
        missing = [image for image in selection.images if image not in scores]
        if not missing or (allow_missing and len(missing) < len(selection.rows)):
            return selection.only(scores) if missing else selection
        raise self._refusal(fold, model, selection, missing)

    def _refusal(self, fold: int, model: str, selection: Selection, missing: Sequence[str]) -> RefusedInput:
        source = self.of_fold(fold)
        where = selection.label or self.database
        findings = [
            Finding(
                self.database,
                source.places.get(image, source.name),
                f"{image} has no score of {model}",
                "one number for each image of the selection",
                "an empty cell" if image in source.places else "no row",
            )
            for image in missing
        ]
        named = ", ".join(missing[:SHOWN]) + (", …" if len(missing) > SHOWN else "")
        return RefusedInput(
            f"{source.name}: {len(missing):,} of the {len(selection.rows):,} images of {where} have no score of "
            f"{model}: {named}",
            hint="add them, or evaluate the others alone with --allow-missing",
            database=self.database,
            phase="PREDICTIONS",
            findings=findings,
        )

    def notes(self) -> list[str]:
        """Which columns were taken for what."""
        said = []
        for one in self.read:
            text = f"{one.name}: images by {one.image_column!r}, scores by {_listed(one.models)}"
            said.append(text + (f"; not used: {_listed(one.ignored)}" if one.ignored else ""))
        return said


def supply(
    source: Path | BinaryIO, names: Names, wishes: Wishes, partitions: Sequence[Partition], family: str
) -> Supply:
    """Read the predictions. Raises RefusedInput for what is not one finite number for one known image, UsageFault for a
    file that is not there."""
    if not isinstance(source, Path):
        return Supply(names.database, (_taken(source, "stdin", names, wishes),))
    if FOLD not in str(source):
        return Supply(names.database, (_opened(source, names, wishes),))
    if not family:
        raise UsageFault(f"{FOLD} stands for the folds of a family", hint="name the family: --split NAME", phase="PLAN")
    paths = [Path(str(source).replace(FOLD, word)) for word in fold_words(partitions)]
    read = tuple(_opened(path, names, wishes) for path in paths)
    odd = next((one for one in read if one.models != read[0].models), None)
    if odd:
        raise RefusedInput(
            f"{odd.name} has the models {_listed(odd.models)}, {read[0].name} has {_listed(read[0].models)}",
            hint="give the columns of all folds the same names",
            fault="T08",
            phase="PREDICTIONS",
        )
    return Supply(names.database, read)


def fold_words(partitions: Sequence[Partition]) -> list[str]:
    """What stands for each fold: its number, `name-3` and `file:a.csv#repeat-3` -> `3`; where that does not tell them
    apart, its name: `file:a.csv#repeat-1-fold-2` -> `repeat-1-fold-2`, `file:some-model.csv` -> `some-model`."""
    names = [_plainly(partition.name) for partition in partitions]
    numbers = [name[len(name.rstrip("0123456789")) :] for name in names]
    dashed = all(name.removesuffix(number).endswith("-") for name, number in zip(names, numbers, strict=True))
    return numbers if dashed and all(numbers) and len(set(numbers)) == len(numbers) else names


def _plainly(name: str) -> str:
    if "#" in name:
        return name.rpartition("#")[2]
    return Path(name.removeprefix(FILE)).stem if name.startswith(FILE) else name


def _opened(path: Path, names: Names, wishes: Wishes) -> Predictions:
    try:
        with path.open("rb") as stream:
            return _taken(stream, path.name, names, wishes)
    except OSError as error:
        kind = UsageFault if isinstance(error, FileNotFoundError | IsADirectoryError) else MachineFault
        raise kind(
            f"{path} cannot be read: {error.strerror}", hint="check its name and rights", phase="PLAN"
        ) from error


def _taken(stream: BinaryIO, name: str, names: Names, wishes: Wishes) -> Predictions:
    def is_image(text: str) -> bool:
        """A bare number in the first line may name an image, and is more often the name of a column."""
        return names.find(text) is not None and not text.strip().isdigit()

    return predictions.take(predictions.read(stream, name, is_image), names, wishes)


def _listed(words: Sequence[str]) -> str:
    return ", ".join(map(repr, words))
