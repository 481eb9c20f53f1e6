"""predict: the scores that a trained network gives to images of a database, or of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigiqa_cli.context import Context
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.methods.libraries import demand_libraries
from aigiqa_cli.methods.run_folder import BEST, table
from aigiqa_cli.methods.settings import TEST_BATCH, device_named
from aigiqa_cli.methods.sides import Example, demand_references, example, usable
from aigiqa_cli.partitions.naming import PICTURES
from aigiqa_cli.partitions.opened import opened
from aigiqa_cli.selecting import rows as selected
from aigiqa_cli.states import SAMPLE


@dataclass(frozen=True)
class Request:
    """What is predicted and how. `split` and `where` choose among the images of a database."""

    split: str = ""
    where: str = ""
    batch: int = TEST_BATCH
    device: str = "auto"
    workers: int | None = None
    amp: bool | None = None  # as the checkpoint was trained


@dataclass(frozen=True)
class Predicted:
    """One score an image. `trained_on` is the database of the checkpoint, `precision` the number format here."""

    model: str
    dimension: str
    trained_on: str
    precision: str
    images: tuple[str, ...]
    scores: tuple[float, ...]
    left_out: int = 0

    def csv(self) -> bytes:
        """In the form that evaluate takes."""
        return table(("image_id", self.model), zip(self.images, self.scores, strict=True))

    def as_json(self, *, scores: bool = False) -> dict[str, Any]:
        """`scores`: with one object an image."""
        told: dict[str, Any] = {
            "model": self.model,
            "dimension": self.dimension,
            "trained_on": self.trained_on,
            "precision": self.precision,
            "images": len(self.images),
            "left_out": self.left_out,
        }
        if scores:
            pairs = zip(self.images, self.scores, strict=True)
            told["scores"] = [{"image_id": image, self.model: score} for image, score in pairs]
        return told


def predict(context: Context, path: Path, target: str | Path, request: Request) -> Predicted:
    """Predict the images of an installed database (its id) or those of a folder.

    Raises UsageFault for a checkpoint, images or references that are not there, RefusedInput for a file that is no
    checkpoint, IntegrityFault for an image that cannot be read.
    """
    device_named(request.device)
    examples, left_out = _chosen(context, target, request)
    demand_libraries()
    from aigiqa_cli.methods import checkpoint, prediction
    from aigiqa_cli.methods.backbones import backbone
    from aigiqa_cli.methods.devices import alone, machine
    from aigiqa_cli.methods.images import Images

    found = checkpoint.opened(path / BEST if path.is_dir() else path)
    settings = found.about["settings"]
    if settings["method"] == "fr":
        demand_references([one.image_id for one in examples if one.reference is None], len(examples), str(target))
    amp = request.amp
    if amp is None and (precision := found.about.get("precision")):
        amp = precision != "float32"  # as it was chosen and evaluated
    one = alone(machine(request.device, amp))
    scorer = found.scorer().to(one.device)
    images = Images(examples, settings["method"], backbone(settings["backbone"]).cut(settings["crop"]), 0)
    context.reporter.phase("predicting", total=len(images), unit="images")
    scores = prediction.once(scorer, images, request.batch, one, one.workers(request.workers), context.reporter)
    return Predicted(
        f"{settings['method']}-{settings['backbone']}",
        settings["dimension"],
        settings["database"],
        one.precision,
        tuple(example.image_id for example in examples),
        tuple(float(score) for score in scores),
        left_out,
    )


def _chosen(context: Context, target: str | Path, request: Request) -> tuple[list[Example], int]:
    return (_of_a_folder(target), 0) if isinstance(target, Path) else _of_a_database(context, target, request)


def _of_a_database(context: Context, name: str, request: Request) -> tuple[list[Example], int]:
    here = opened(context.root, name)
    chosen = tuple(dict(row) for row in selected(context.root, [here.record], split=request.split))
    rows, left_out = usable(chosen, here.record.state == SAMPLE, request.where, name)
    if not rows:
        raise UsageFault(f"no image of {name} is left", hint="another --split or --where", phase="PLAN")
    return [example(context.root, row) for row in rows], left_out


def _of_a_folder(folder: Path) -> list[Example]:
    """Every picture below a folder, by its path in it."""
    found: Sequence[Path] = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file()
    )
    if not found:
        raise UsageFault(f"there is no picture in {folder}", hint=f"pictures: {', '.join(PICTURES)}", phase="PLAN")
    return [Example("", path.relative_to(folder).as_posix(), path) for path in found]
