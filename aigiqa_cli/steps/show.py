"""show: one image of an installed database, with everything that is known of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigiqa_cli import images
from aigiqa_cli.context import Context
from aigiqa_cli.describing.scores import scores_of
from aigiqa_cli.describing.standing import Standing, standing
from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.errors import Finding, IntegrityFault, UsageFault
from aigiqa_cli.exports import Row
from aigiqa_cli.exports.columns import cells, integer, number, plan
from aigiqa_cli.index import COLUMNS
from aigiqa_cli.measuring.declared import ranges
from aigiqa_cli.partitions.opened import opened

_TYPES: dict[str, Callable[[str], object]] = {
    "text": str,
    "number": number,
    "integer": integer,
    "json": lambda text: json.loads(text or "{}"),
}


@dataclass(frozen=True)
class File:
    """A picture of the image: `role` is image or reference. `data` is there if it was asked for and is as recorded;
    `problem` says what is not."""

    role: str
    path: Path
    size: int
    sha256: str
    data: bytes = b""
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        told = {"role": self.role, "path": str(self.path), "bytes": self.size, "sha256": self.sha256}
        return told | {"checked": bool(self.data or self.problem), "problem": self.problem}


@dataclass(frozen=True)
class Shown:
    """`scores`: dimension -> where the image stands. `typed`: its row with numbers, null and an object."""

    database: str
    row: Row
    typed: Mapping[str, Any]
    scores: Mapping[str, Standing]
    files: tuple[File, ...]

    def as_json(self) -> dict[str, Any]:
        """The stable form: what README documents."""
        return {
            "row": dict(self.typed),
            "scores": {name: one.as_json() for name, one in self.scores.items()},
            "files": [file.as_json() for file in self.files],
        }

    @property
    def fault(self) -> IntegrityFault | None:
        """A picture that is not what the record says is told, and the rest is shown all the same."""
        found = [Finding(self.database, str(f.path), f.problem, f.sha256) for f in self.files if f.problem]
        if not found:
            return None
        return IntegrityFault(
            f"{found[0].path}: {found[0].problem}",
            hint=f"aigiqa verify --repair {self.database}",
            fault="S10",
            database=self.database,
            phase="IMAGES",
            findings=found,
        )


def show(context: Context, name: str, word: str, *, pictures: bool = True) -> Shown:
    """The image that `word` names in any published way; with `pictures` its files are read and checked.

    Raises UsageFault for a database that is not here and an image that it does not have, IntegrityFault for damage.
    """
    here = opened(context.root, name)
    found = here.names.find(word)
    if found is None:
        near = here.names.nearest(word)
        hint = f"did you mean {' or '.join(near)}?" if near else f"names: aigiqa export {name} --columns image_id"
        raise UsageFault(f"{name} has no image {word!r}", hint=hint, database=name, phase="PLAN")
    place = here.names.order[found[0]]
    row = here.rows[place]
    scores = {key: standing(one, place) for key, one in scores_of(here.rows, ranges(context, name)).items()}
    files = []
    for role in ("image", "reference"):
        path = row[f"{role}_path"]
        if file := here.record.files.of(path.partition("/")[2]):
            sha256 = row["sha256"] if role == "image" else file.sha256
            files.append(_file(role, context.root.path / path, file.bytes, sha256, read=pictures))
    typed = dict(zip(COLUMNS, cells(row, plan(COLUMNS, _TYPES)), strict=True))
    return Shown(name, row, typed, {key: one for key, one in scores.items() if one}, tuple(files))


def _file(role: str, path: Path, size: int, sha256: str, *, read: bool) -> File:
    file = File(role, path, size, sha256)
    if not read:
        return file
    try:
        if path.is_symlink() or not path.is_file():
            return File(role, path, size, sha256, problem="missing" if not path.is_symlink() else "not a regular file")
        if path.stat().st_size != size:
            return File(role, path, size, sha256, problem="wrong length")
        data = path.read_bytes()
    except OSError as error:
        return File(role, path, size, sha256, problem=f"cannot be read: {error.strerror}")
    if sha256_bytes(data) != sha256:
        return File(role, path, size, sha256, problem="wrong checksum")
    try:
        images.decode(data)
    except images.NotAnImage as error:
        return File(role, path, size, sha256, problem=str(error))
    return File(role, path, size, sha256, data)
