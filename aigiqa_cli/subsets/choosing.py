"""Which images of an installed database are wanted, judged by its index: labels are enough."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aigiqa_cli import root_index
from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.store import Record, Root

MAX_NAMED = 3
_OF_FILES = frozenset({"image_path", "reference_path", "width", "height", "format", "bytes", "sha256"})


@dataclass(frozen=True)
class Selection:
    """`images`: published names, None for all; of those the rows that `where` is true of; of those `sample` many, None
    for all, drawn by `seed`."""

    images: tuple[str, ...] | None = None
    where: str = ""
    sample: int | None = None
    seed: int = 0

    def __bool__(self) -> bool:
        return self.images is not None or bool(self.where) or self.sample is not None


def choose(root: Root, record: Record, selection: Selection) -> list[str]:
    """The image_ids that are wanted, in the order of the index.

    A sample is made of the images with the lowest SHA-256 of "SEED", a line end and image_id: the same on every
    machine, and part of every larger sample by the same seed. Raises UsageFault for names that are not known, for an
    expression that cannot be used or asks what only the files tell, and where nothing is left.
    """
    from aigiqa_cli.exports.selection import matching  # with all of SQLite, which a plain fetch need not wait for

    rows: Iterator[Mapping[str, str]] = root_index.rows(root, [record])
    if selection.images is not None:
        named = _named(root, record, selection.images)
        rows = (row for row in rows if row["image_id"] in named)
    if selection.where:
        _refuse_what_files_tell(record.database, selection.where)
        rows = matching(rows, selection.where)
    found = [row["image_id"] for row in rows]
    if selection.sample is not None:
        drawn = set(heapq.nsmallest(selection.sample, found, key=lambda image_id: _draw(selection.seed, image_id)))
        found = [image_id for image_id in found if image_id in drawn]
    if not found:
        raise UsageFault(
            f"no image of {record.database} is chosen",
            hint=f"its labels are here: aigiqa export {record.database} | head",
            database=record.database,
            phase="PLAN",
        )
    return found


def _draw(seed: int, image_id: str) -> str:
    return sha256_bytes(f"{seed}\n{image_id}".encode())


def _named(root: Root, record: Record, words: Sequence[str]) -> set[str]:
    from aigiqa_cli.partitions.naming import Names

    database, names = record.database, Names(root_index.rows(root, [record]))
    found = {word: names.find(word) for word in words}
    unknown = [word for word, image in found.items() if image is None]
    if unknown:
        near = names.nearest(unknown[0])
        more = " ..." if len(unknown) > MAX_NAMED else ""
        raise UsageFault(
            f"{database} has no image {', '.join(map(repr, unknown[:MAX_NAMED]))}{more}",
            hint=f"did you mean {' or '.join(near)}?"
            if near
            else f"names: aigiqa export {database} --columns image_id",
            database=database,
            phase="PLAN",
        )
    return {image[0] for image in found.values() if image}


def _refuse_what_files_tell(database: str, where: str) -> None:
    """Of images that are not here yet these columns are empty: the answer would depend on what is here already."""
    from aigiqa_cli.exports.selection import columns_read

    asked = sorted(_OF_FILES.intersection(columns_read(where)))
    if asked:
        raise UsageFault(
            f"{', '.join(asked)} is known only of images that are here, so nothing can be fetched by it",
            hint=f"choose by labels; what is here: aigiqa export {database} --where ...",
            database=database,
            phase="PLAN",
        )
