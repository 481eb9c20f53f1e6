"""What a folder is made of: the rows of the parts, their files, and how they are divided into shards.

The rows are gone through twice, first to count, then to write: of many, what is held is one shard of each part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aigiqa_cli.errors import TemporaryFault, UsageFault
from aigiqa_cli.exports.about import About
from aigiqa_cli.exports.columns import Row
from aigiqa_cli.exports.pouring import Installed
from aigiqa_cli.exports.wanted import Wanted

Images = Literal["copy", "link", "none"]

WHOLE = "train"  # a set without parts, as `datasets` calls it
LOOSE = "unassigned"  # rows in no part, where others are in one
ORDER = ("train", "val", "test")
SHARD_BYTES = 256_000_000  # enough shards for the workers of a loader
UNIT_BYTES = 32_000_000  # of loose files: what one thread copies before it takes the next ones
SHARD_ROWS = 5_000
KEPT_ROWS = 25_000  # some 60 MB
PATHS = ("image_path", "reference_path")  # lead nowhere outside of the root
_SIDE = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*", re.ASCII)


@dataclass(frozen=True)
class Source:
    """`rows` begins anew at every call, and gives the same. `files`: path below the root -> what is installed there."""

    rows: Callable[[], Iterator[Row]]
    wanted: Wanted
    root: Path
    files: Mapping[str, Installed]
    about: Sequence[About]
    images: Images = "copy"
    shard_bytes: int = SHARD_BYTES
    advance: Callable[[int], None] = lambda _count: None

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.wanted.columns)

    @property
    def carries(self) -> bool:
        """Do the images go along?"""
        return self.images != "none"

    def image(self, row: Row) -> Installed:
        return self.files[row["image_path"]]

    def reference(self, row: Row) -> Installed | None:
        return self.files[row["reference_path"]] if row["reference_path"] else None

    def reference_name(self, row: Row) -> str:
        """What the reference is called below `references`, as `name`; "" for none."""
        name = row["reference_path"].partition("/references/")[2]
        return name if len(self.about) == 1 or not name else f"{row['database']}/{name}"

    def weight(self, row: Row) -> int:
        """Bytes of the images of a row."""
        reference = self.reference(row)
        return (self.image(row).bytes + (reference.bytes if reference else 0)) if self.carries else 0

    def name(self, row: Row) -> str:
        """What the image is called in the export: the published name, below its database where there are several."""
        return row["image_id"] if len(self.about) == 1 else f"{row['database']}/{row['image_id']}"


class Again:
    """Rows that can be gone through several times: kept from the first time if they are few, else read anew."""

    def __init__(self, rows: Callable[[], Iterator[Row]], most: int = KEPT_ROWS) -> None:
        self._rows = rows
        self._most = most
        self._kept: list[Row] | None = None

    def __call__(self) -> Iterator[Row]:
        return iter(self._kept) if self._kept is not None else self._read()

    def _read(self) -> Iterator[Row]:
        seen: list[Row] = []
        count = 0
        for count, row in enumerate(self._rows(), 1):
            if count <= self._most:
                seen.append(row)
            elif seen:
                seen = []
            yield row
        if count <= self._most:
            self._kept = seen


@dataclass
class Side:
    """One part: `shards` has the number of rows of each."""

    rows: int = 0
    bytes: int = 0
    shards: list[int] = field(default_factory=list)
    _open: int = 0

    def add(self, weight: int, most: int) -> None:
        if not self.shards or self.shards[-1] >= SHARD_ROWS or (self._open and self._open + weight > most):
            self.shards.append(0)
            self._open = 0
        self.shards[-1] += 1
        self._open += weight
        self.rows += 1
        self.bytes += weight


@dataclass(frozen=True)
class Plan:
    """Part -> what is in it, in the order train, val, test, others."""

    sides: Mapping[str, Side]
    fallback: str
    references: bool

    def side(self, row: Row) -> str:
        return row["split"] or self.fallback

    @property
    def bytes(self) -> int:
        return sum(side.bytes for side in self.sides.values())

    @property
    def rows(self) -> int:
        return sum(side.rows for side in self.sides.values())


def plan(source: Source) -> Plan:
    """Count. Raises UsageFault for a part whose name cannot be that of a file, or if there are no rows."""
    sides: dict[str, Side] = {}
    references = False
    for row in source.rows():
        sides.setdefault(row["split"], Side()).add(source.weight(row), source.shard_bytes)
        references = references or bool(row["reference_path"])
    if not sides:
        raise UsageFault("no image is selected", hint="check --where and --split", phase="PLAN")
    fallback = WHOLE if set(sides) == {""} else LOOSE
    if "" in sides:
        sides[fallback] = sides.pop("")
    for name in sides:
        if not _SIDE.fullmatch(name) or name == "all":
            raise UsageFault(
                f"a part called {name!r} cannot be a split of a data set",
                hint="its name may have letters, digits and _",
                phase="PLAN",
            )
    names = sorted(sides, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    return Plan({name: sides[name] for name in names}, fallback, references)


@dataclass(frozen=True)
class Shard:
    """Some rows of one part, each with its number in the whole selection. `number` counts from 0, of `total`."""

    side: str
    number: int
    total: int
    rows: tuple[tuple[int, Row], ...]


def shards(source: Source, planned: Plan) -> Iterator[Shard]:
    """The rows of the plan, a shard when it is full. Raises TemporaryFault if they are not those that were counted."""
    waiting: dict[str, list[tuple[int, Row]]] = {name: [] for name in planned.sides}
    done = dict.fromkeys(planned.sides, 0)
    for number, row in enumerate(source.rows()):
        name = planned.side(row)
        sizes = planned.sides[name].shards if name in planned.sides else []
        if done.get(name, 0) >= len(sizes):
            raise changed()
        waiting[name].append((number, row))
        if len(waiting[name]) == sizes[done[name]]:
            yield Shard(name, done[name], len(sizes), tuple(waiting[name]))
            waiting[name] = []
            done[name] += 1
    if any(done[name] != len(side.shards) for name, side in planned.sides.items()):
        raise changed()


def changed() -> TemporaryFault:
    """The rows are not those that were counted."""
    return TemporaryFault("the database was changed while it was exported", hint="run it again", phase="PUBLISH")
