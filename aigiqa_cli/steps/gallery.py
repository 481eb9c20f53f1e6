"""gallery: chosen rows and their pictures as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from aigiqa_cli import gallery as pages
from aigiqa_cli import root_index, selecting
from aigiqa_cli.context import Context
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.exports import whole_target
from aigiqa_cli.gallery import About, Embedded, Linked, Model, Setup, Written, linked
from aigiqa_cli.measuring.supply import supply
from aigiqa_cli.partitions import Names
from aigiqa_cli.predictions import Wishes
from aigiqa_cli.store import Record


@dataclass(frozen=True)
class Request:
    """Which rows, and how the page shows them. `side`: of small copies inside the page, in pixels; None links files."""

    where: str = ""
    split: str = ""
    title: str = ""
    side: int | None = None
    predictions: Path | BinaryIO | None = None
    wishes: Wishes = field(default_factory=Wishes)


@dataclass(frozen=True)
class Made:
    """The page, and what was taken for what in the predictions."""

    written: Written
    bytes: int
    abouts: tuple[About, ...]
    notes: tuple[str, ...]


def gallery(context: Context, records: Sequence[Record], request: Request, target: Path) -> Made:
    """Write the page to `target`, whole or not at all.

    Raises UsageFault for predictions where several databases are shown, and as `selecting.rows` and `predictions` do.
    """
    models, notes = _models(context, records, request)
    abouts = tuple(_about(context, record) for record in records)
    source = _source(context, records, request, target)
    title = request.title or ", ".join(about.title or about.id for about in abouts)
    rows = selecting.rows(context.root, records, where=request.where, split=request.split)
    with whole_target(target) as stream:
        written = pages.write(rows, Setup(title, abouts, source, models), stream)
        size = stream.tell() if stream.seekable() else 0
    return Made(written, size, abouts, notes)


def _models(context: Context, records: Sequence[Record], request: Request) -> tuple[list[Model], tuple[str, ...]]:
    if request.predictions is None:
        return [], ()
    if len(records) > 1:
        raise UsageFault(
            f"predictions are of one database, and {len(records)} are shown",
            hint=f"aigiqa gallery {records[0].database} --predictions FILE",
            phase="PLAN",
        )
    read = supply(request.predictions, Names(root_index.rows(context.root, records)), request.wishes, (), "")
    return [Model(name, read.scores(0, name)) for name in read.models], tuple(read.notes())


def _about(context: Context, record: Record) -> About:
    """Title and licence by the manifest of today; of a database that is no longer in the catalogue, the id alone."""
    entry = context.catalogue.find(record.database)
    images = record.images > 0
    if entry is None:
        return About(record.database, images=images)
    known = context.catalogue.load(entry)
    return About(known.id, known.title, known.license.spdx, known.synthetic, images)


def _source(context: Context, records: Sequence[Record], request: Request, target: Path) -> Linked | Embedded:
    if request.side is None:
        return linked(target, context.root.path)
    digests = {f"{record.database}/{file.path}": file.sha256 for record in records for file in record.files}
    return Embedded(context.root.path, request.side, digests, context.reporter)
