"""One installed database, for Python users."""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigiqa_cli import bibtex, images, selecting
from aigiqa_cli.api.frames import frame
from aigiqa_cli.context import Context
from aigiqa_cli.errors import IntegrityFault, UsageFault
from aigiqa_cli.index import COLUMNS, DIMENSIONS
from aigiqa_cli.machine import machine_faults
from aigiqa_cli.partitions import load as load_split
from aigiqa_cli.states import SAMPLE, present

if TYPE_CHECKING:
    import datasets
    import pandas as pd
    from PIL.Image import Image

    from aigiqa_cli.api.tensors import Tensors
    from aigiqa_cli.store import Record

THUMBNAIL = 384  # pixels of the longer side, in a notebook


@dataclass(frozen=True)
class Picture:
    """One image of the index. `path` and `reference` are None where there is no file; `mos`, `std` and `score` (0..1)
    hold the dimensions in which the image has a number; `row` is its whole row as text."""

    image_id: str
    path: Path | None
    reference: Path | None
    prompt: str
    generator: str
    setting: str
    split: str
    mos: Mapping[str, float]
    std: Mapping[str, float]
    score: Mapping[str, float]
    row: Mapping[str, str] = field(repr=False)

    def open(self) -> Image:
        """The decoded image. Raises UsageFault if there is no file, IntegrityFault if it is no image any more."""
        return _decoded(self.path, self.row)

    def open_reference(self) -> Image:
        """The decoded reference of an image-to-image database; raises as `open` does."""
        return _decoded(self.reference, self.row)

    def _repr_png_(self) -> bytes | None:
        if self.path is None:
            return None
        picture = self.open().convert("RGB")
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        data = io.BytesIO()
        picture.save(data, "PNG")
        return data.getvalue()


class Database:
    """An installed database: its index, its images, its splits. Reading never writes."""

    def __init__(self, context: Context, record: Record) -> None:
        self._context, self._record = context, record

    @classmethod
    def opened(cls, context: Context, name: str) -> Database:
        """Raises UsageFault if it is not installed, IntegrityFault if it is damaged."""
        return cls(context, present(context.root, name))

    @property
    def id(self) -> str:
        return self._record.database

    @property
    def path(self) -> Path:
        """The folder of the database: images, references, labels, splits."""
        return self._context.root.folder(self.id)

    @property
    def state(self) -> str:
        """`installed`, `labels` (no images here) or `sample` (some are here)."""
        return self._record.state

    @cached_property
    def title(self) -> str:
        entry = self._context.catalogue.find(self.id)
        return self._context.catalogue.load(entry).title if entry else self.id

    @cached_property
    def labels(self) -> pd.DataFrame:
        """The index of this database, one row an image; the types are those of `aigiqa_cli.load`."""
        return frame(self._rows(), COLUMNS)

    @cached_property
    def dimensions(self) -> tuple[str, ...]:
        """The rated dimensions, those with at least one MOS here."""
        return tuple(d for d in DIMENSIONS if self.labels[f"mos_{d}"].notna().any())

    @property
    def splits(self) -> Splits:
        """Name -> part -> image_ids, read when asked for. Published splits come by `aigiqa fetch --splits`."""
        return Splits(self._context, self._record)

    def images(self, *, where: str = "", split: str = "") -> Iterator[Picture]:
        """The images in the order of the index; `where` and `split` as in `aigiqa_cli.load`."""
        for row in self._rows(where, split):
            yield self._picture(row)

    def to_torch(
        self,
        dimension: str = "",
        split: str = "",
        transform: Callable[[Image], Any] | None = None,
        *,
        unit: bool = False,
    ) -> Tensors:
        """A map-style `torch.utils.data.Dataset` over the images with a score, of a sample over those that are here:
        each item is a dict of `image`, `score`
        (float32 scalar), `image_id`, `prompt`, and `reference` where every image of it has one.

        `dimension`: needed where the database has several. `split`: NAME:PART, one part; nothing is all. `transform`
        takes the decoded RGB image; without one `image` is a float32 tensor, 3 x height x width, 0..1. `unit`: the
        score mapped to 0..1 instead of the published one.

        Raises UsageFault for what is not here, ImportError without torch.
        """
        try:
            from aigiqa_cli.api.tensors import Tensors
        except ImportError as error:
            raise ImportError("to_torch needs PyTorch: pip install 'aigiqa[torch]'") from error
        dimension = self._the_dimension(dimension)
        kind = "score" if unit else "mos"
        part = self.state == SAMPLE
        pictures = [one for one in self.images(split=split) if dimension in one.mos and (one.path or not part)]
        self._demand_files(pictures)
        if len(parts := sorted({one.split for one in pictures})) > 1 and split:
            raise UsageFault(
                f"which part of {split}?", hint=f"split= one of {', '.join(f'{split}:{p}' for p in parts)}"
            )
        return Tensors(pictures, [getattr(one, kind)[dimension] for one in pictures], transform)

    def to_hf(self, split: str = "") -> datasets.Dataset | datasets.DatasetDict:
        """A `datasets.Dataset` of the index with the features `image` (and `reference`), decoded when an item is read.

        `split`: NAME gives a DatasetDict with a Dataset for each part, NAME:PART that part, nothing everything.
        Without images here (a labels-only install) the features are left out.
        Raises UsageFault for what is not here, ImportError without datasets.
        """
        from aigiqa_cli.api.hub import dataset

        return dataset(self._context.root.path, frame(self._rows(split=split), COLUMNS), parted=_is_whole(split))

    def cite(self) -> str:
        """BibTeX. Raises UsageFault if its manifest is not known here."""
        return bibtex.entry(self._context.catalogue.database(self.id).citation)

    def __len__(self) -> int:
        """Number of rows of the index."""
        return self._record.rows

    def __repr__(self) -> str:
        return f"<{self.title}: {len(self):,} images, {', '.join(self.dimensions)}, {self.state}, {self.path}>"

    def _repr_html_(self) -> str:
        facts = {
            "images": f"{len(self):,}",
            "dimensions": ", ".join(self.dimensions),
            "generators": ", ".join(sorted(set(self.labels["generator"]))),
            "splits": ", ".join(self.splits) or "none",
            "state": self.state,
            "folder": str(self.path),
        }
        rows = "".join(f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in facts.items())
        return f"<table><caption><b>{html.escape(self.title)}</b></caption>{rows}</table>"

    def _rows(self, where: str = "", split: str = "") -> Iterator[Mapping[str, str]]:
        return iter(selecting.rows(self._context.root, [self._record], where=where, split=split))

    def _picture(self, row: Mapping[str, str]) -> Picture:
        root = self._context.root.path
        numbers = {
            kind: {d: float(row[f"{kind}_{d}"]) for d in DIMENSIONS if row[f"{kind}_{d}"]}
            for kind in ("mos", "std", "score")
        }
        return Picture(
            row["image_id"],
            root / row["image_path"] if row["image_path"] else None,
            root / row["reference_path"] if row["reference_path"] else None,
            row["prompt"],
            row["generator"],
            row["setting"],
            row["split"],
            **numbers,
            row=row,
        )

    def _the_dimension(self, wished: str) -> str:
        known = ", ".join(self.dimensions)
        if wished and wished not in self.dimensions:
            raise UsageFault(f"{self.id} has no scores {wished!r}", hint=f"dimensions here: {known}")
        if not wished and len(self.dimensions) != 1:
            raise UsageFault(f"which dimension of {self.id}?", hint=f"dimension= one of {known}")
        return wished or self.dimensions[0]

    def _demand_files(self, pictures: list[Picture]) -> None:
        if not pictures:
            raise UsageFault(f"no image of {self.id} is left", hint="another split or dimension")
        missing = next((one for one in pictures if one.path is None), None)
        if missing is not None:
            raise UsageFault(
                f"{self.id} has labels only here: {missing.image_id} has no file", hint=f"aigiqa fetch {self.id}"
            )


class Splits(Mapping[str, dict[str, tuple[str, ...]]]):
    """The splits that are here, by name."""

    def __init__(self, context: Context, record: Record) -> None:
        self._root, self._record = context.root, record

    def __getitem__(self, name: str) -> dict[str, tuple[str, ...]]:
        if name not in self._record.splits:
            raise KeyError(name)
        (partition,) = load_split(self._root, self._record, name)
        return dict(partition.sides)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._record.splits))

    def __len__(self) -> int:
        return len(self._record.splits)

    def __repr__(self) -> str:
        return f"<splits of {self._record.database}: {', '.join(self) or 'none'}>"


def _is_whole(split: str) -> bool:
    """Does the word mean all parts of a split?"""
    return bool(split) and ":" not in split


def _decoded(path: Path | None, row: Mapping[str, str]) -> Image:
    if path is None:
        database = row["database"]
        raise UsageFault(f"{row['image_id']} has no such file here", hint=f"aigiqa fetch {database}", database=database)
    from PIL import Image

    with machine_faults(f"reading {path}"):
        data = path.read_bytes()
    try:
        images.header(data)
        with Image.open(io.BytesIO(data), formats=images.FORMATS) as picture:
            picture.load()
            return picture
    except (images.NotAnImage, OSError, SyntaxError, ValueError) as error:
        hint = f"aigiqa verify --repair {row['database']}"
        raise IntegrityFault(f"{path} is not the image that was installed: {error}", hint=hint) from error
