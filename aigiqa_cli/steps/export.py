"""export: the index of chosen databases in another format, with or without the images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from aigiqa_cli import exports, manifest, selecting
from aigiqa_cli.context import Context
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import IntegrityFault, UsageFault
from aigiqa_cli.exports import Format, Row, Scale, Source, Wanted
from aigiqa_cli.exports.about import About
from aigiqa_cli.exports.columns import choose, for_spreadsheets
from aigiqa_cli.exports.pouring import Installed
from aigiqa_cli.exports.samples import PATHS, Again, Images
from aigiqa_cli.exports.wanted import usable
from aigiqa_cli.index import DIMENSIONS
from aigiqa_cli.store import Record

MANIFEST = "database.yaml"


@dataclass(frozen=True)
class Selection:
    """Which rows and columns; `dimension` "" is the one that all databases have, quality before overall."""

    where: str = ""
    columns: tuple[str, ...] = ()
    split: str = ""
    scale: Scale = ""
    exact: bool = False
    spreadsheet: bool = False
    dimension: str = ""
    margin: float = 0.0
    images: Images = "copy"
    shard_bytes: int = 0


@dataclass(frozen=True)
class Exported:
    """What was written: `records` in a file (rows, pairs, conversations), rows in a folder. `left_out`: column -> rows
    that have nothing there. `parts` of a folder: part -> rows."""

    records: int
    left_out: dict[str, int] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)
    image_bytes: int = 0


def export(
    context: Context, records: Sequence[Record], selection: Selection, form: Format, target: Path | BinaryIO
) -> Exported:
    """Write the selected rows.

    Raises UsageFault for what cannot be selected or needs images that are not here, IntegrityFault for a damaged
    install, MachineFault for the disk.
    """
    _demand_images(records, form)
    wanted = _wanted(context, records, selection, form)
    left_out: Counter[str] = Counter()

    needed = form.lacks(wanted)

    def rows() -> Iterable[Row]:
        left_out.clear()
        found = selecting.rows(context.root, records, where=selection.where, split=selection.split)
        if selection.spreadsheet:
            found = for_spreadsheets(found)
        return usable(found, needed, left_out) if needed else found

    if form.fill is None:
        return Exported(exports.export(rows(), wanted, form.name, target), dict(left_out))
    if not isinstance(target, Path):
        raise UsageFault(f"{form.name} is a folder", hint="name one with -o FOLDER", phase="PLAN")
    source = Source(
        rows=Again(lambda: iter(rows())),
        wanted=wanted,
        root=context.root.path,
        files={one.path: one for record in records for one in _installed(record)},
        about=[_about(context, record) for record in records],
        images=selection.images,
        shard_bytes=selection.shard_bytes or form.shard_bytes,
        advance=context.reporter.advance,
    )
    planned = exports.plan(source)
    context.reporter.phase(f"exporting as {form.name}", total=planned.bytes)
    exports.export_folder(source, planned, form.name, target)
    parts = {name: side.rows for name, side in planned.sides.items()}
    return Exported(planned.rows, dict(left_out), parts, planned.bytes)


def _demand_images(records: Sequence[Record], form: Format) -> None:
    if form.alone and len(records) > 1:
        raise UsageFault(
            f"{form.name} holds one database, these are {len(records)}",
            hint=f"aigiqa export {records[0].database} --format {form.name}",
            phase="PLAN",
        )
    if "image_path" not in form.needs:
        return
    for record in records:
        if not record.images:
            raise UsageFault(
                f"{record.database} is here without its images, which {form.name} needs",
                hint=f"aigiqa fetch {record.database}",
                database=record.database,
                phase="PLAN",
            )


def _wanted(context: Context, records: Sequence[Record], selection: Selection, form: Format) -> Wanted:
    columns = choose(selection.columns, selection.scale)
    if form.fill is not None and not selection.columns:
        columns = tuple(column for column in columns if column not in PATHS)
    dimension = ""
    if "dimension" in form.takes:
        dimension = _dimension([_about(context, record) for record in records], selection.dimension)
    return Wanted(columns, selection.exact, dimension, selection.scale, selection.margin)


def _dimension(about: Sequence[About], word: str) -> str:
    common = [name for name in DIMENSIONS if all(name in one.scales for one in about)]
    if word in common:
        return word
    preferred = next((name for name in ("quality", "overall") if name in common), "")
    if not word and preferred:
        return preferred
    names = ", ".join(one.id for one in about)
    problem = f"{names}: there is no score {word!r}" if word else f"{names} have no score in common"
    raise UsageFault(problem, hint=f"--dimension: {', '.join(common) or 'export them one by one'}", phase="PLAN")


def _about(context: Context, record: Record) -> About:
    """The facts of the manifest that the database was built from."""
    path = context.root.folder(record.database) / MANIFEST
    try:
        found = sha256_file(path)[0]
    except FileNotFoundError:
        found = ""
    if found != record.manifest_sha256:
        raise IntegrityFault(
            f"{path} is not as it was installed",
            hint=f"aigiqa verify --repair {record.database}",
            fault="S10",
            database=record.database,
            phase="CHECK",
        )
    return About.of(manifest.load(path, of=record.database))


def _installed(record: Record) -> Iterator[Installed]:
    for file in record.files:
        if file.path.startswith(("images/", "references/")):
            path = f"{record.database}/{file.path}"
            yield Installed(path, file.bytes, file.sha256)
