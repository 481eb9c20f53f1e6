"""The index: what the labels say of an image, and what its file is; written once, read as often as it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli import folders, label_rows
from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.index import COLUMNS, FLAGS, MAX_CELL, Row, compact_json, read_rows, write_rows
from aigiqa_cli.installing import matching
from aigiqa_cli.installing.pictures import Picture
from aigiqa_cli.label_rows import LabelRow
from aigiqa_cli.rules import Labels

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database

_EXTENSIONS = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp", "bmp": "bmp", "tif": "tiff", "tiff": "tiff"}


class Index(Iterable[Row]):
    """An index in a staging folder. A few rows stay in memory, many are read from the file each time."""

    def __init__(self, path: Path, rows: Iterable[Row], heard: Callable[[], None]) -> None:
        """Write the rows; `heard` is called for each."""
        self.pictured = 0  # rows with an image
        self._path, self._heard = path, heard
        self._count = 0
        self._few: list[Row] = []
        with folders.new_file(path) as stream:
            write_rows(stream, map(self._seen, rows))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Row]:
        return iter(self._few) if self._count <= label_rows.FEW else read_rows(self._path)

    def _seen(self, row: Row) -> Row:
        self._heard()
        self._count += 1
        self.pictured += bool(row["image_path"])
        if self._count <= label_rows.FEW:
            self._few.append(row)
        else:
            self._few.clear()
        return row


def index_rows(database: Database, labels: Labels, pictures: Mapping[str, Picture]) -> Iterator[Row]:
    """Each label row with its picture, by path, if there is one; then the pictures without a label row.

    What nothing is known of is empty.
    """
    empty: Row = dict.fromkeys(COLUMNS, "")
    first: set[str] = set()
    found = (u for u in labels.unlabelled if f"{matching.IMAGES}/{u.image_id}" in pictures)
    for label in chain(labels.rows, found):
        picture = pictures.get(f"{matching.IMAGES}/{label.image_id}")
        extra = compact_json(label.extra)
        if len(extra) > MAX_CELL:
            raise RefusedInput(
                f"{label.where}: its further columns are too long for one cell of the index "
                f"(expected at most {MAX_CELL:,} characters, found {len(extra):,})",
                fault="T18",
                database=database.id,
                phase="INDEX",
            )
        flags = [*label.flags, *_flags(label.image_id, picture, first)]
        yield (
            empty
            | label.fields
            | {
                "database": database.id,
                "image_id": label.image_id,
                "flags": ";".join(flag for flag in FLAGS if flag in flags),
                "extra": extra,
            }
            | (_picture_fields(database, label, picture) if picture else {})
        )


def _picture_fields(database: Database, label: LabelRow, picture: Picture) -> Row:
    reference = f"{matching.REFERENCES}/{label.reference.name}" if label.reference else ""
    return {
        "image_path": f"{database.id}/{picture.path}",
        "reference_path": f"{database.id}/{reference}" if reference else "",
        "width": str(picture.width),
        "height": str(picture.height),
        "format": picture.format,
        "bytes": str(picture.bytes),
        "sha256": picture.sha256,
    }


def _flags(image_id: str, picture: Picture | None, seen: set[str]) -> list[str]:
    if picture is None:
        return ["no-image"]
    flags = []
    if picture.sha256 in seen:
        flags.append("duplicate-image")
    seen.add(picture.sha256)
    if picture.renamed:
        flags.append("renamed")
    if _EXTENSIONS.get(image_id.rpartition(".")[2].lower(), picture.format) != picture.format:
        flags.append("other-format")
    return flags


def witnessed(database: Database, rows: Iterable[Row]) -> Iterator[str]:
    """A warning for each image that is known in public and is another one here."""
    known = {witness.image for witness in database.witnesses}
    hashes = {row["image_id"]: row["sha256"] for row in rows if row["image_id"] in known} if known else {}
    for witness in database.witnesses:
        found = hashes.get(witness.image, "")
        if found and found != witness.sha256:
            yield (f"{witness.image} is not the publicly known image: expected SHA-256 {witness.sha256}, found {found}")
