"""One way to divide the images of a database."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.index import write_rows

PARTS = ("train", "val", "test")
_WORDS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


def part_named(word: str) -> str:
    """The part that published files call by this word (`validation` is `val`); "" if it is none."""
    return _WORDS.get(word.strip().lower(), "")


def part_in(stem: str) -> tuple[str, str]:
    """The part that a file's name says it holds, and the rest of the name: `1-train` is (train, 1); ("", stem) if it
    says none, or several."""
    words = re.split(r"([^a-zA-Z]+)", stem)
    found = [place for place, word in enumerate(words) if part_named(word)]
    if len({part_named(words[place]) for place in found}) != 1:
        return "", stem
    rest = "".join(word for place, word in enumerate(words) if place not in found)
    return part_named(words[found[0]]), rest.strip("-_. ")


@dataclass(frozen=True)
class Partition:
    """`sides`: part -> image_id of its images, each once, in the order of the index. Sides of published files may share
    images; `shared` names these."""

    name: str
    sides: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, name: str, parts: Iterable[tuple[str, str]]) -> Partition:
        """From (image_id, part) in the order of the index; the sides come as train, val, test, then others."""
        sides: dict[str, dict[str, None]] = {}
        for image_id, part in parts:
            sides.setdefault(part, {})[image_id] = None
        order = [*(part for part in PARTS if part in sides), *(part for part in sides if part not in PARTS)]
        return cls(name, {part: tuple(sides[part]) for part in order})

    @classmethod
    def joined(cls, name: str, sides: Mapping[str, tuple[str, ...]]) -> Partition:
        """From sides that stood in files of their own; they come as train, val, test."""
        return cls(name, {part: sides[part] for part in PARTS if part in sides})

    @property
    def counts(self) -> dict[str, int]:
        """Part -> number of images."""
        return {part: len(images) for part, images in self.sides.items()}

    @cached_property
    def parts(self) -> dict[str, str]:
        """image_id -> part. An image on two sides stands here with the first of them."""
        found: dict[str, str] = {}
        for part, images in self.sides.items():
            for image_id in images:
                found.setdefault(image_id, part)
        return found

    @property
    def shared(self) -> tuple[str, ...]:
        """Images that are on more than one side."""
        counts = Counter(image_id for images in self.sides.values() for image_id in images)
        return tuple(image_id for image_id, count in counts.items() if count > 1)

    @property
    def pairs(self) -> Iterator[tuple[str, str]]:
        """The pairs of sides to be compared, what is trained on first: train-val, train-test, val-test."""
        names = list(self.sides)
        yield from ((a, b) for number, a in enumerate(names) for b in names[number + 1 :])

    def digest(self, order: Sequence[str]) -> str:
        """SHA-256 of `csv_of` this partition: that of `splits/<name>.csv` if it is an installed one."""
        return sha256_bytes(csv_of([self], order))


def csv_of(partitions: Sequence[Partition], order: Sequence[str]) -> bytes:
    """`image_id,split`, or for several `image_id,<name>,<name>,...`, in the order of the index: RFC 4180, UTF-8, LF.

    Images in no part of any are left out; a cell is empty where an image is in no part of that one.
    """
    names = ["split"] if len(partitions) == 1 else [partition.name for partition in partitions]
    target = io.BytesIO()
    write_rows(target, rows_of(partitions, order), ["image_id", *names])
    return target.getvalue()


def rows_of(partitions: Sequence[Partition], order: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows of `csv_of`."""
    names = ["split"] if len(partitions) == 1 else [partition.name for partition in partitions]
    for image_id in order:
        cells = [partition.parts.get(image_id, "") for partition in partitions]
        if any(cells):
            yield {"image_id": image_id} | dict(zip(names, cells, strict=True))
