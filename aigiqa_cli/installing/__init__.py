"""Installing: from supplies (archives, folders, tables) to a published, recorded database."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli import folders, images, root_index
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import IntegrityFault, MachineFault, TemporaryFault, UsageFault
from aigiqa_cli.index import read_rows
from aigiqa_cli.installing.assembly import Assembly, Options
from aigiqa_cli.installing.parts import Part, unproven
from aigiqa_cli.installing.pictures import Picture, content_sha256
from aigiqa_cli.installing.provenance import Kept
from aigiqa_cli.installing.supplies import File, Supplies
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.store import (
    Record,
    Root,
    Staging,
    StoredFile,
    StoredSource,
    drop_replaced,
    machine_faults,
    read_record,
    staged,
)

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database

Shape = tuple[int, int, str, str]
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EXDEV, errno.ENOSYS)

__all__ = ["File", "Options", "Part", "Supplies", "build_aside", "install", "reusable"]


def install(
    root: Root, database: Database, manifest: bytes, supplies: Supplies, options: Options, reporter: Reporter
) -> Record:
    """Build, publish and commit one database; the caller holds its lock. Returns the committed record.

    Without containers the images of an installed version of the same asset are kept; so they are if the containers
    bring a part that is added to them.
    """
    part = options.part or Part(None, keeps=not supplies.containers)
    if options.labels_only and _has_images(root, database):
        options = replace(options, labels_only=False)  # labels alone are asked for; the images are here already
    with (
        machine_faults(f"installing {database.title}", phase="UNPACK", place=root.path),
        staged(root, database.id) as work,
    ):
        kept = _kept(root, database, work, pictures=part.keeps and not options.labels_only, anew=part.anew)
        record = Assembly(database, manifest, supplies, options, work, reporter, kept=kept).build()
        reporter.phase(f"writing {database.title} to disk", unit="")
        work.publish(record)
        drop_replaced(root, database.id)
    if database.id in root_index.rebuild(root, reporter):
        if not root.folder(database.id).exists():  # the system cannot exchange names, and locks lie
            raise TemporaryFault(
                f"another aigiqa is publishing {database.id} anew", hint="try again", fault="C06", phase="INDEX"
            )
        raise MachineFault(
            f"{database.title} was written, and its index cannot be read back",
            hint=f"aigiqa verify {database.id}",
            fault="S07",
            database=database.id,
            phase="INDEX",
        )
    return record


def build_aside(
    root: Root,
    database: Database,
    manifest: bytes,
    supplies: Supplies,
    options: Options,
    work: Staging,
    reporter: Reporter,
    renamed: frozenset[str] = frozenset(),
) -> Record:
    """Build an installed database anew in `work`, from its images and these supplies; nothing is published.

    `renamed` are images whose archives gave them other names, for an index that does not tell any more.
    """
    kept = _kept(root, database, work, pictures=not options.labels_only, renamed=renamed)
    return Assembly(database, manifest, supplies, options, work, reporter, kept=kept).build()


def _has_images(root: Root, database: Database) -> bool:
    """Are images installed that stay? Raises UsageFault where they could not stay, so that none are lost unasked."""
    record = read_record(root, database.id)
    if record is None or not record.images:
        return False
    if reusable(root, database) is None:
        raise UsageFault(
            f"{database.title} is installed with images that do not fit this manifest; labels alone would drop them",
            hint=f"aigiqa fetch {database.id}, or first: aigiqa remove {database.id}",
            database=database.id,
            phase="PLAN",
        )
    return True


def reusable(root: Root, database: Database) -> Record | None:
    """The installed version whose images, all or some, are those of this manifest, if there is one."""
    record = read_record(root, database.id)
    if record is None or not record.images or not root.folder(database.id).is_dir():
        return None
    wanted = {asset.name: asset for asset in database.assets if asset.role in ("images", "references")}
    held = [source for source in record.sources if source.role in ("images", "references")]
    return record if held and all(_still_wanted(source, wanted.get(source.asset)) for source in held) else None


def _still_wanted(source: StoredSource, asset: Asset | None) -> bool:
    """Not if a manifest that pinned these bytes pins others now."""
    if asset is None:
        return False
    pins = {*asset.accepted, *(volume.sha256 for volume in asset.volumes)}
    return source.proof not in ("sha256", "twin") or not pins or source.sha256 in pins


def _kept(
    root: Root,
    database: Database,
    work: Staging,
    *,
    pictures: bool,
    renamed: frozenset[str] = frozenset(),
    anew: frozenset[str] = frozenset(),
) -> Kept:
    """What the new version takes over from the installed one; only bytes that are still as recorded. `anew`:
    image_ids of which nothing is taken over."""
    try:
        record = read_record(root, database.id)
    except IntegrityFault:
        return Kept()
    if record is None:
        return Kept()
    folder = root.folder(database.id)
    splits = {}
    made_anew = {f"splits/{split.name}.csv" for split in database.splits if split.rule is not None}
    for file in record.files:
        path = folder / file.path
        if not file.path.startswith("splits/") or file.path in made_anew:
            continue
        if path.is_file() and sha256_file(path) == (file.sha256, file.bytes):
            splits[file.path.partition("/")[2].removesuffix(".csv")] = path.read_bytes()
    left = frozenset(f"images/{image_id}" for image_id in anew)
    linked = _linked_pictures(folder, record, work, renamed, left) if pictures and reusable(root, database) else ()
    content = content_sha256(file for file in record.files if file.path.startswith(("images/", "references/")))
    return Kept(linked, splits, record.splits, record.sources, content, unproven(record))


def _linked_pictures(
    folder: Path, record: Record, work: Staging, renamed: frozenset[str], left: frozenset[str]
) -> tuple[Picture, ...]:
    """Link the installed images into the new tree: published files never change, so two names may share one."""
    shapes = _shapes(folder, record)
    pictures = []
    for name in ("images", "references"):
        folders.make(work.tree / name, exist_ok=True)
    for file in record.files:
        if file.path.startswith(("images/", "references/")) and file.path not in left:
            _link_proven(folder / file.path, work.tree / file.path, file, record.database)
            width, height, kind, flags = shapes.get(file.path) or _shape(folder / file.path)
            other_name = "renamed" in flags or file.path in renamed
            pictures.append(Picture(file.path, file.bytes, file.sha256, width, height, kind, other_name))
    return tuple(pictures)


def _link_proven(source: Path, target: Path, file: StoredFile, database: str) -> None:
    """Give an installed file a second name once its bytes are proven; copy it where links are not to be had (S21)."""
    try:
        proven = sha256_file(source) == (file.sha256, file.bytes)
    except FileNotFoundError:
        proven = False
    if not proven:
        raise IntegrityFault(
            f"the installed image {source.name} is missing or changed",
            hint=f"aigiqa verify --repair {database}",
            fault="S10",
            database=database,
            phase="IMAGES",
        )
    try:
        folders.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        folders.copy(source, target)


def _shapes(folder: Path, record: Record) -> dict[str, Shape]:
    """Width, height, format and flags of the images, from an index that is still as recorded."""
    index = folder / "index.csv"
    if not index.is_file() or sha256_file(index)[0] != record.index_sha256:
        return {}
    return {
        row["image_path"].partition("/")[2]: (int(row["width"]), int(row["height"]), row["format"], row["flags"])
        for row in read_rows(index)
        if row["image_path"]
    }


def _shape(path: Path) -> Shape:
    header = images.header(path.read_bytes())
    return header.width, header.height, header.format, ""
