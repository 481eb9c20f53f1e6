"""Files that a person gives: which database they are of, which sides they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigiqa_cli.errors import RefusedInput, UsageFault
from aigiqa_cli.installing.matching import is_image_of
from aigiqa_cli.machine import machine_faults
from aigiqa_cli.manifest.catalogue import Catalogue
from aigiqa_cli.partitions.cells import HINT, sheets
from aigiqa_cli.partitions.naming import looks_like_a_picture
from aigiqa_cli.partitions.opened import Opened
from aigiqa_cli.partitions.partition import Partition, part_in, part_named
from aigiqa_cli.partitions.reading import Listing, hits, read_listing


@dataclass(frozen=True)
class Given:
    """A file, of which `part` is meant ("" for all of it), and what it says of its database."""

    path: Path
    part: str
    database: Opened
    listing: Listing

    @property
    def images(self) -> tuple[str, ...]:
        if not self.part:
            return tuple(self.listing.images)
        found = [partition for partition in self.listing.partitions if self.part in partition.sides]
        if len(found) > 1:
            raise UsageFault(
                f"{self.path} has {len(found)} splits with a part {self.part!r}",
                hint=f"all of them at once: aigiqa split audit {self.path}; or give a file with one of them",
                phase="PLAN",
            )
        if found:
            return found[0].sides[self.part]
        parts = sorted({part for partition in self.listing.partitions for part in partition.sides}) or ["none"]
        raise UsageFault(f"{self.path} has no part {self.part!r}", hint=f"parts: {', '.join(parts)}", phase="PLAN")

    def as_json(self) -> dict[str, Any]:
        return {
            "file": str(self.path),
            "part": self.part,
            "database": self.database.id,
            "column": self.listing.column,
            "images": len(self.images),
            "repeated": self.listing.repeated,
            "unknown": len(self.listing.unknown),
        }


def lists(word: str) -> Path | None:
    """The file that a word means: `FILE`, or `FILE:PART`; None if there is none."""
    for name in (word, word.rpartition(":")[0]):
        if name and Path(name).expanduser().is_file():
            return Path(word).expanduser()
    return None


def assigned(files: Sequence[Path], known: Sequence[Opened], catalogue: Catalogue) -> list[Given]:
    """Each file with the database whose images it names.

    Raises RefusedInput for a file that names no image of any, UsageFault for one whose names are those of several.
    """
    read = [_read(path) for path in files]
    candidates = [_candidates(path, data, known, catalogue) for path, _, data in read]
    chosen = {found[0].id for found in candidates if len(found) == 1}
    given = []
    for (path, part, data), found in zip(read, candidates, strict=True):
        agreed = [base for base in found if base.id in chosen] if len(found) > 1 else found
        if len(agreed) != 1:
            names = [base.id for base in found]
            raise UsageFault(
                f"the images of {path} are in {' and '.join(names)}",
                hint=f"say which is meant: {' or '.join(f'--database {name}' for name in names)}",
                phase="PLAN",
            )
        given.append(Given(path, part, agreed[0], read_listing(str(path), data, agreed[0].names)))
    return given


def _read(path: Path) -> tuple[Path, str, bytes]:
    part = ""
    if not path.is_file():
        whole, _, part = str(path).rpartition(":")
        path, part = Path(whole), part_named(part) or part
    with machine_faults(f"reading {path}"):
        return path, part, path.read_bytes()


def _candidates(path: Path, data: bytes, known: Sequence[Opened], catalogue: Catalogue) -> list[Opened]:
    """The databases of which it names most images."""
    counts = [(hits(str(path), data, base.names), base) for base in known]
    most = max(count for count, _ in counts)
    if most[0]:
        return [base for count, base in counts if count == most]
    hint = HINT if len(known) == 1 else "--database DB says which is meant; aigiqa list shows what there is"
    if likely := _likely(path, data, catalogue, {base.id for base in known}):
        hint = f"its names look like those of {likely}: aigiqa fetch {likely} --labels-only"
    names = ", ".join(base.id for base in known)
    raise RefusedInput(f"{path} names no image of {names}", hint=hint, phase="CHECK")


def _likely(path: Path, data: bytes, catalogue: Catalogue, known: set[str]) -> str:
    """The database that is not here and whose images are called like those of the file; "" if several may be."""
    sheet = next(sheets(str(path), data))
    cells = [
        cell.strip().rpartition("/")[2] for _, row in sheet.rows[:20] for cell in row if looks_like_a_picture(cell)
    ]
    found = [
        database.id
        for database in catalogue.databases()
        if cells
        and database.id not in known
        and not database.synthetic
        and all(is_image_of(database, c) for c in cells)
    ]
    return found[0] if len(found) == 1 else ""


def named_sides(given: Sequence[Given]) -> dict[str, tuple[str, ...]]:
    """Side -> its images. A side is called train, val or test if the names of all files say so, else as its file."""
    words = [each.part or part_in(each.path.stem)[0] for each in given]
    names = words if all(words) and len(set(words)) == len(words) else [each.path.stem for each in given]
    if len(set(names)) < len(names):
        names = [f"{each.path}{':' + each.part if each.part else ''}" for each in given]
    if len(set(names)) < len(names):
        names = [f"{name} ({number})" for number, name in enumerate(names, 1)]
    return {name: each.images for name, each in zip(names, given, strict=True)}


def divisions(given: Given, *, whole: bool) -> list[Partition]:
    """What one file alone divides, by its columns of parts; `whole`: a list without any is one side."""
    stem = given.path.stem
    found = [partition for partition in given.listing.partitions if len(partition.sides) > 1 or whole]
    if found and not given.part:
        return [
            Partition(stem if len(found) == 1 else f"{stem}#{partition.name}", partition.sides) for partition in found
        ]
    if whole:
        return [Partition(stem, {given.part or stem: given.images})]
    raise UsageFault(
        f"{given.path} is one side alone",
        hint="name the other side's file too, or another database: --against DB",
        phase="PLAN",
    )
