"""The rows of the index: what the labels say of an image, and what its file is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from aigiqa_cli.index import FLAGS, Row, compact_json
from aigiqa_cli.installing import matching
from aigiqa_cli.installing.pictures import Picture
from aigiqa_cli.rules import LabelRow, Labels

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database

_EXTENSIONS = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp", "bmp": "bmp", "tif": "tiff", "tiff": "tiff"}


def index_rows(database: Database, labels: Labels, pictures: Mapping[str, Picture]) -> list[Row]:
    """Each label row with its picture, by path, if there is one; then the pictures without a label row.

    The columns that nothing is known of are left out.
    """
    rows: list[Row] = []
    first: set[str] = set()
    found = [u for u in labels.unlabelled if f"{matching.IMAGES}/{u.image_id}" in pictures]
    for label in (*labels.rows, *found):
        picture = pictures.get(f"{matching.IMAGES}/{label.image_id}")
        flags = [*label.flags, *_flags(label.image_id, picture, first)]
        rows.append(
            label.fields
            | {
                "database": database.id,
                "image_id": label.image_id,
                "flags": ";".join(flag for flag in FLAGS if flag in flags),
                "extra": compact_json(label.extra),
            }
            | (_picture_fields(database, label, picture) if picture else {})
        )
    return rows


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


def witnessed(database: Database, rows: Sequence[Row]) -> Iterator[str]:
    """A warning for each image that is known in public and is another one here."""
    hashes = {row["image_id"]: row.get("sha256", "") for row in rows}
    for witness in database.witnesses:
        found = hashes.get(witness.image, "")
        if found and found != witness.sha256:
            yield (f"{witness.image} is not the publicly known image: expected SHA-256 {witness.sha256}, found {found}")
