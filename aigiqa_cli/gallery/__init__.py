"""The gallery: rows of the index and their pictures in, one HTML page out that needs no server and no network.

`write` takes the rows and what the page is told beside them, and writes to a stream: the page's own files (`page/`),
the columns of the index, and with `Embedded` small copies of the pictures, a few at a time, so that memory does not
grow with them. The same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from aigiqa_cli.errors import Finding
from aigiqa_cli.gallery.columns import Columns
from aigiqa_cli.gallery.page import copies_block, data_block, parts
from aigiqa_cli.gallery.pictures import CHUNK, MIME, SIDES, Embedded, Linked, linked, small_copies
from aigiqa_cli.gallery.predicted import Model, judged
from aigiqa_cli.gallery.scales import scale_of, values
from aigiqa_cli.index import COLUMNS, DIMENSIONS

__all__ = ["SIDES", "About", "Embedded", "Linked", "Model", "Setup", "Written", "linked", "write"]

# What only the detail view shows comes last in the page, so that the first view does not wait for it.
LATER = ("row", "width", "height", "format", "bytes", "sha256", "extra")


@dataclass(frozen=True)
class About:
    """What is said of a database. `synthetic`: no person rated it; `images`: are they installed, or labels alone?"""

    id: str
    title: str = ""
    license: str = ""
    synthetic: bool = False
    images: bool = True

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "title": self.title or self.id,
            "license": self.license,
            "synthetic": self.synthetic,
            "images": self.images,
        }


@dataclass(frozen=True)
class Setup:
    """What the page is told beside the rows. `models` are of the only database, or there are none."""

    title: str
    databases: Sequence[About]
    pictures: Linked | Embedded
    models: Sequence[Model] = ()


@dataclass(frozen=True)
class Written:
    """How many images the page has; `shown` small copies in it; what of them could not be read."""

    images: int
    shown: int
    findings: tuple[Finding, ...]


def write(rows: Iterable[Mapping[str, str]], setup: Setup, target: BinaryIO) -> Written:
    """Write the page of these rows. What `rows` raises passes through; a picture that cannot be read is a finding."""
    columns = Columns(rows)
    source = setup.pictures
    references = list(dict.fromkeys(path for path in columns["reference_path"] if path))
    paths = [*columns["image_path"], *references]
    findings: list[Finding] = []
    shown = 0
    for place, text in parts(setup.title, embedded=isinstance(source, Embedded)):
        if place == "data":
            target.write(data_block("data", _data(columns, setup, references)).encode())
        elif place == "later":
            target.write(data_block("later", columns.packed(LATER)).encode())
        elif place == "copies" and isinstance(source, Embedded):
            for number, copies in enumerate(small_copies(paths, source, findings)):
                shown += sum(map(bool, copies))
                target.write(copies_block(f"copies-{number}", copies).encode())
        target.write(text.encode())
    return Written(len(columns), shown, tuple(findings))


def _data(columns: Columns, setup: Setup, references: Sequence[str]) -> dict[str, Any]:
    dimensions = [name for name in DIMENSIONS if any(columns[f"mos_{name}"]) or any(columns[f"score_{name}"])]
    scales = {name: scale_of(columns, name) for name in dimensions}
    numbers = {name: values(columns, name, scales[name]) for name in dimensions} if setup.models else {}
    return {
        "images": len(columns),
        "order": COLUMNS,
        "databases": [about.as_json() for about in setup.databases],
        "dimensions": {name: scale.as_json() for name, scale in scales.items()},
        "models": [judged(model, columns["image_id"], numbers) for model in setup.models],
        "pictures": _pictures(setup.pictures, references),
        "columns": columns.packed(name for name in COLUMNS if name not in LATER),
    }


def _pictures(source: Linked | Embedded, references: Sequence[str]) -> dict[str, Any]:
    if isinstance(source, Linked):
        return {"prefix": source.prefix}
    return {"type": MIME, "side": source.side, "chunk": CHUNK, "references": references}
