"""The images that are to be scored: rows of an installed database, or the files of a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from aigiqa_cli import selecting
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.partitions.auditing import reference_hashes
from aigiqa_cli.partitions.naming import looks_like_a_picture
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.scoring.contract import MAX_LISTED, Item, span
from aigiqa_cli.store import Record, Root


def of_database(root: Root, record: Record, where: str, split: str) -> tuple[list[Item], list[str]]:
    """The selected images that are here, in the order of the index, and the names of those that are not.

    Raises UsageFault where none is here or nothing is selected.
    """
    hashes = reference_hashes(record)
    items: list[Item] = []
    absent: list[str] = []
    for row in selecting.rows(root, [record], where=where, split=split):
        if not row["image_path"]:
            absent.append(row["image_id"])
            continue
        reference = row["reference_path"]
        items.append(
            Item(
                row["image_id"],
                root.path / row["image_path"],
                row["sha256"],
                row["prompt"],
                root.path / reference if reference else None,
                hashes.get(reference, "") if reference else "",
            )
        )
    if items:
        return items, absent
    if not absent:
        raise UsageFault("no image is selected", hint="widen --where or --split", phase="PLAN")
    raise UsageFault(
        f"{record.database}: none of the {len(absent):,} selected images is here",
        hint=f"aigiqa fetch {record.database}",
        database=record.database,
        phase="PLAN",
    )


def of_folder(folder: Path, reporter: Reporter) -> list[Item]:
    """Every file below it that is called like an image, by its path there. Raises UsageFault where there is none."""
    names = sorted(
        (Path(place) / name).relative_to(folder).as_posix()
        for place, _, found in os.walk(folder)
        for name in found
        if looks_like_a_picture(name) and not name.startswith(".")
    )
    names = [name for name in names if (folder / name).is_file()]
    if not names:
        raise UsageFault(f"there is no image in {folder}", hint="png, jpg, webp, bmp, tif or gif", phase="PLAN")
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            hint = "rename it: no csv can name it"
            raise UsageFault(f"the name {name!r} in {folder} is not in UTF-8", hint=hint, phase="PLAN") from None
    reporter.phase("hashing", total=len(names), unit="images")
    items = []
    for name in names:
        items.append(Item(name, (folder / name).absolute(), sha256_file(folder / name)[0]))
        reporter.advance()
    return items


def demand_references(metric: str, items: Sequence[Item]) -> None:
    """Raise UsageFault, saying how many and which, unless every image has its reference."""
    lacking = [item.image_id for item in items if item.reference is None]
    if not lacking:
        return
    some = len(lacking) < len(items)
    hint = "--where \"reference_path <> ''\" keeps the others" if some else "choose a metric without reference"
    listed = ", ".join(lacking[:3]) if len(lacking) <= MAX_LISTED else span(lacking)
    raise UsageFault(
        f"{metric} compares with a reference, which {len(lacking):,} of {len(items):,} images do not have: {listed}",
        hint=hint,
        phase="PLAN",
    )
