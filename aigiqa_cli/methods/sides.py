"""Which images are trained on, on which the best epoch is chosen, and which are held out. No PyTorch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.index import Row
from aigiqa_cli.measuring.folds import folds
from aigiqa_cli.measuring.lacking import LEAST
from aigiqa_cli.measuring.selection import TRAIN, demand_dimension, part_of, score_text, select
from aigiqa_cli.methods.settings import AUTHORS, Settings
from aigiqa_cli.partitions import Partition, Recipe, audit, csv_of, make
from aigiqa_cli.partitions.opened import Opened
from aigiqa_cli.states import SAMPLE
from aigiqa_cli.store import Root

VAL = "val"
RATIO = (4, 1)  # of the training part that is trained on, and that is kept back to choose the epoch
_LEAK = (
    "protocol authors: the best epoch is chosen on the very images that are reported, best SRCC and best PLCC each by "
    "itself, so both are optimistic"
)


@dataclass(frozen=True)
class Example:
    """One image to be trained on or predicted: the files, and the score where it is needed."""

    database: str
    image_id: str
    image: Path
    reference: Path | None = None
    score: float | None = None


@dataclass(frozen=True)
class Sides:
    """`choosing`: the images on which the best epoch is chosen. `about` says in JSON what each side is, `notes` what a
    person should know."""

    train: tuple[Example, ...]
    choosing: tuple[Example, ...]
    held_out: tuple[Example, ...]
    evaluated: str  # NAME:PART, for evaluate
    partial: bool  # are images of the part left out?
    about: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def sides(root: Root, here: Opened, settings: Settings) -> Sides:
    """The three sides of a training, in the order of the index.

    Raises UsageFault for a split, a dimension, references or images that are not here, before anything is trained.
    """
    name = here.id
    demand_dimension(here.rows, settings.dimension, name)
    partition, part = _partition(root, here, settings.split)
    rows, left_out = usable(here.rows, here.record.state == SAMPLE, settings.where, name)
    chosen = select(rows, settings.dimension, partition, part)
    full = len(select(here.rows, settings.dimension, partition, part).rows)
    if not chosen.train:
        raise UsageFault(
            f"nothing is left to train on in {settings.split}",
            hint=f"its parts: {', '.join(f'{p} {n:,}' for p, n in partition.counts.items())}; see --where and --split",
            phase="PLAN",
        )
    notes = [f"{left_out:,} images are not here and are left out"] if left_out else []
    if len(chosen.rows) < LEAST:
        raise UsageFault(
            f"{len(chosen.rows)} images of the part {part} are held out, and {LEAST} are needed to evaluate a method",
            hint="a larger part, --split NAME:PART, or another --where",
            phase="PLAN",
        )
    train, choosing, origin = chosen.train, chosen.rows, f"the part {part} that is reported"
    if settings.protocol == AUTHORS:
        notes.append(f"warning: {_LEAK}")
    else:
        train, choosing, origin = _validation(rows, partition, part, chosen.train, settings)
    learned = train if settings.protocol == AUTHORS else (*train, *choosing)
    audited = audit(_together({TRAIN: learned, part: chosen.rows}, partition.name), here.by_id, here.references)
    if audited.verdict.label == "leaky":
        where = ", as far as --where leaves it," if settings.where else ""
        notes.insert(0, f"warning: {partition.name}{where} is {audited.verdict.text}; what is reported is optimistic")
    if settings.method == "fr":
        every = {row["image_id"]: row for row in (*train, *choosing, *chosen.rows)}
        demand_references([image for image, row in every.items() if not row["reference_path"]], len(every), name)
    parts = {TRAIN: train, "choosing": choosing, "held out": chosen.rows}
    about = {
        "split": partition.name,
        "part": part,
        "split_sha256": partition.digest(here.order),
        "leak": audited.verdict.text,
        "choosing": origin,
        "protocol_leak": _LEAK if settings.protocol == AUTHORS else None,
        "images": {side: len(found) for side, found in parts.items()},
        "sides_sha256": sha256_bytes(csv_of([_together(parts)], here.order)),
    }
    made = [tuple(example(root, row, settings.dimension) for row in found) for found in parts.values()]
    label = settings.split if settings.split.endswith(f":{part}") else f"{settings.split}:{part}"
    return Sides(made[0], made[1], made[2], label, len(chosen.rows) < full, about, tuple(notes))


def _partition(root: Root, here: Opened, word: str) -> tuple[Partition, str]:
    """The one split that is meant, and the part of it that is reported."""
    if not word:
        known = ", ".join(sorted(here.record.splits)) or "none; make one: aigiqa split make"
        raise UsageFault("which split is trained on?", hint=f"--split NAME; splits here: {known}", phase="PLAN")
    chosen = folds(root, here.record, here.names, word)
    if chosen.family:
        several = ", ".join(one.name for one in chosen.partitions[:3])
        raise UsageFault(
            f"{word} are {len(chosen.partitions)} splits, each of which is a training of its own",
            hint=f"name one: {several}, …",
            phase="PLAN",
        )
    partition = chosen.partitions[0]
    part = part_of(partition, chosen.part)
    if part == TRAIN or TRAIN not in partition.sides:
        raise UsageFault(
            f"{word} does not leave a part to train on beside {part}",
            hint=f"parts: {', '.join(partition.sides)}",
            phase="PLAN",
        )
    return partition, part


def usable(rows: Sequence[Row], sample: bool, where: str, name: str) -> tuple[tuple[Row, ...], int]:
    """The rows that fit `where` and whose images are here; how many are left out because only a sample is here.

    Raises UsageFault if only labels are here.
    """
    if where:
        from aigiqa_cli.exports.selection import matching

        rows = tuple(dict(row) for row in matching(rows, where))
    found = tuple(row for row in rows if row["image_path"])
    missing = len(rows) - len(found)
    if missing and not sample:
        lacking = next(row for row in rows if not row["image_path"])
        if not found or "no-image" not in lacking["flags"]:
            raise UsageFault(
                f"{name} has labels only here: {lacking['image_id']} has no file",
                hint=f"aigiqa fetch {name}",
                database=name,
                phase="PLAN",
            )
    return found, missing


def demand_references(lacking: Sequence[str], count: int, name: str) -> None:
    """FR compares each image with its image prompt. Raises UsageFault if some of `count` images have none."""
    if lacking:
        i2i = len(lacking) < count
        others = "--where \"task = 'i2i'\" leaves those that have one; " if i2i else ""
        raise UsageFault(
            f"FR needs a reference of every image, and {len(lacking):,} of {name} have none ({lacking[0]}, …)",
            hint=f"{others}PR takes images with and without, NR needs none",
            database=name,
            phase="PLAN",
        )


def _validation(
    rows: Sequence[Row], partition: Partition, part: str, train: tuple[Row, ...], settings: Settings
) -> tuple[tuple[Row, ...], tuple[Row, ...], str]:
    """The training images that are left, and those on which the epoch is chosen: never images that are reported."""
    if part != VAL and VAL in partition.sides:
        return train, select(rows, settings.dimension, partition, VAL).rows, f"the part {VAL} of the split"
    made = make(train, Recipe(by="prompt", ratio=RATIO, seed=settings.seed))[0].parts
    kept = tuple(row for row in train if made.get(row["image_id"]) != "test")
    back = tuple(row for row in train if made.get(row["image_id"]) == "test")
    if not (kept and back):
        raise UsageFault(
            f"the {len(train):,} training images are too few prompts to keep some back",
            hint="a split with a part val, or --protocol authors",
            phase="PLAN",
        )
    ratio = ":".join(map(str, RATIO))
    return kept, back, f"kept back from the training part: {ratio} by prompt, seed {settings.seed}, as split make does"


def _together(parts: dict[str, tuple[Row, ...]], name: str = "sides") -> Partition:
    return Partition(name, {side: tuple(row["image_id"] for row in rows) for side, rows in parts.items()})


def example(root: Root, row: Row, dimension: str = "") -> Example:
    """The files of a row, and its score in a dimension."""
    reference = root.path / row["reference_path"] if row["reference_path"] else None
    score = float(score_text(row, dimension)) if dimension else None
    return Example(row["database"], row["image_id"], root.path / row["image_path"], reference, score)
