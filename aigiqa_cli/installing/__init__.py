"""Installing: from supplies (archives, folders, tables) to a published, recorded database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli.errors import IntegrityFault, RefusedInput
from aigiqa_cli.index import read_rows
from aigiqa_cli.installing import root_index
from aigiqa_cli.installing.assembly import Assembly, Kept, Options
from aigiqa_cli.installing.pictures import Picture
from aigiqa_cli.installing.supplies import File, Supplies
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.store import Record, Root, Staging, StoredSource, drop_replaced, machine_faults, read_record, staging

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database

__all__ = ["File", "Options", "Supplies", "install", "reusable", "root_index"]


def install(
    root: Root, database: Database, manifest: bytes, supplies: Supplies, options: Options, reporter: Reporter
) -> Record:
    """Build, publish and commit one database; the caller holds its lock. Returns the committed record.

    Without containers the images of an installed version of the same asset are kept.
    """
    with machine_faults(f"installing {database.title}", phase="UNPACK"), staging(root, database.id) as work:
        kept = _kept(root, database, work, images=not supplies.containers and not options.labels_only)
        record = Assembly(database, manifest, supplies, options, work, reporter, kept=kept).build()
        reporter.phase(f"writing {database.title} to disk", unit="")
        work.publish(record)
        drop_replaced(root, database.id)
    root_index.rebuild(root, reporter)
    return record


def reusable(root: Root, database: Database) -> Record | None:
    """The installed version whose images are those of this manifest, if there is one."""
    record = read_record(root, database.id)
    if record is None or record.state != "installed":
        return None
    wanted = {asset.name: asset for asset in database.assets if asset.role in ("images", "references")}
    held = [source for source in record.sources if source.role in ("images", "references")]
    return record if held and all(_still_wanted(source, wanted.get(source.asset)) for source in held) else None


def _still_wanted(source: StoredSource, asset: Asset | None) -> bool:
    """Not if a manifest that pinned these bytes pins others now."""
    if asset is None:
        return False
    return source.proof not in ("sha256", "twin") or not asset.accepted or source.sha256 in asset.accepted


def _kept(root: Root, database: Database, work: Staging, *, images: bool) -> Kept:
    """What the new version takes over from the installed one."""
    try:
        record = read_record(root, database.id)
    except (IntegrityFault, RefusedInput):
        return Kept()
    if record is None:
        return Kept()
    folder = root.folder(database.id)
    splits = {
        file.path.partition("/")[2].removesuffix(".csv"): (folder / file.path).read_bytes()
        for file in record.files
        if file.path.startswith("splits/") and (folder / file.path).is_file()
    }
    pictures = _linked_pictures(folder, record, work) if images and reusable(root, database) else ()
    return Kept(pictures, splits, record.splits, record.sources)


def _linked_pictures(folder: Path, record: Record, work: Staging) -> tuple[Picture, ...]:
    """Link the installed images into the new tree: published files never change, so two names may share one."""
    shapes = {
        row["image_path"].partition("/")[2]: (row["width"], row["height"], row["format"], row["flags"])
        for row in read_rows(folder / "index.csv")
    }
    pictures = []
    for name in ("images", "references"):
        (work.tree / name).mkdir(exist_ok=True)
    for file in record.files:
        if file.path.startswith(("images/", "references/")):
            os.link(folder / file.path, work.tree / file.path, follow_symlinks=False)
            width, height, kind, flags = shapes.get(file.path, ("0", "0", "", ""))
            pictures.append(
                Picture(file.path, file.bytes, file.sha256, int(width), int(height), kind, "renamed" in flags)
            )
    return tuple(pictures)
