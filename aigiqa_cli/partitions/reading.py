"""Any file that lists images, read against the names of one database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from aigiqa_cli.errors import Finding
from aigiqa_cli.partitions.cells import Sheet, refusal, sheets
from aigiqa_cli.partitions.naming import Names, looks_like_a_picture
from aigiqa_cli.partitions.partition import Partition, part_named

SAMPLE = 200  # rows by which the column that names the images is found


@dataclass(frozen=True)
class Listing:
    """The images that a file names. `images`: image_id -> line of its first row, in the order of the file. `repeated`
    rows name an image once more. `partitions` come from its columns of parts, if it has any. `unknown` rows name no
    image of the database."""

    name: str
    column: str
    images: dict[str, int]
    repeated: int
    partitions: tuple[Partition, ...]
    unknown: tuple[Finding, ...]


@dataclass(frozen=True)
class _Column:
    """Which cells name the image: one, or a folder and a file in two (`Lafite`, `042-2.png`)."""

    places: tuple[int, ...]

    def text(self, cells: Sequence[str]) -> str:
        return "/".join(cells[place].strip() for place in self.places) if len(cells) > self.places[-1] else ""


def read_listing(name: str, data: bytes, names: Names) -> Listing:
    """Read a csv, tsv, txt, json or jsonl file; header, delimiter and the column with the names are found by what names
    images of the database. Raises RefusedInput if nothing does.
    """
    found = max((_best(sheet, names) for sheet in sheets(name, data)), key=lambda choice: choice[0], default=None)
    if found is None or not found[0][0]:
        raise refusal(name, 0, f"names no image of {names.database}", "a column with names of images")
    _, sheet, column = found
    return _listing(sheet, column, names)


def hits(name: str, data: bytes, names: Names) -> tuple[int, int]:
    """How many rows of a sample name an image of the database, and how many of these by a published name."""
    return max((_best(sheet, names)[0] for sheet in sheets(name, data)), default=(0, 0))


def _best(sheet: Sheet, names: Names) -> tuple[tuple[int, int], Sheet, _Column]:
    """The column that names most images, exactly if possible; ((images, exact ones), sheet, column)."""
    step = max(1, len(sheet.rows) // SAMPLE)
    sample = [cells for _, cells in sheet.rows[::step]]
    width = max((len(cells) for cells in sample), default=0)
    single = [_Column((place,)) for place in range(width)]
    best = max(((_score(sample, c, names), -c.places[0], c) for c in single), default=None, key=lambda b: b[:2])
    if best is None or not best[0][0]:
        double = [_Column(pair) for pair in pairwise(range(width))]
        best = max(((_score(sample, c, names), -c.places[0], c) for c in double), default=best, key=lambda b: b[:2])
    return (best[0], sheet, best[2]) if best else ((0, 0), sheet, _Column((0,)))


def _score(sample: Sequence[Sequence[str]], column: _Column, names: Names) -> tuple[int, int]:
    found = [hit for cells in sample if (hit := names.find(column.text(cells)))]
    return len(found), sum(exact for _, exact in found)


def _listing(sheet: Sheet, column: _Column, names: Names) -> Listing:
    header, rows = sheet.header, list(sheet.rows)
    if not header and rows:
        text = column.text(rows[0][1])
        if names.find(text) is None and not looks_like_a_picture(text):
            header = tuple(rows.pop(0)[1])
    images: dict[str, int] = {}
    listed: list[tuple[str, Sequence[str]]] = []
    unknown: list[Finding] = []
    for line, cells in rows:
        text = column.text(cells)
        hit = names.find(text)
        if hit is None:
            unknown.append(
                Finding(names.database, f"{sheet.name}:{line}", "names no image of the database", "an image", text)
            )
            continue
        images.setdefault(hit[0], line)
        listed.append((hit[0], cells))
    title = "/".join(header[p] if p < len(header) else f"column {p + 1}" for p in column.places)
    partitions = tuple(_partitions(header, listed, column, names))
    return Listing(sheet.name, title, images, len(listed) - len(images), partitions, tuple(unknown))


def _partitions(
    header: Sequence[str], listed: Sequence[tuple[str, Sequence[str]]], column: _Column, names: Names
) -> Iterator[Partition]:
    """Columns whose every cell is train, val, test or one of their other words, and that have at least one."""
    width = max((len(cells) for _, cells in listed), default=0)
    ordered = sorted(listed, key=lambda row: names.order[row[0]])
    for place in range(width):
        if place in column.places:
            continue
        words = {cells[place].strip() for _, cells in listed if len(cells) > place} - {""}
        if words and all(part_named(word) for word in words):
            name = header[place] if place < len(header) else f"column {place + 1}"
            parts = ((image, part_named(cells[place])) for image, cells in ordered if len(cells) > place)
            yield Partition.of(name, ((image, part) for image, part in parts if part))
