"""How many of what: everything in rows of the index that can be counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from aigiqa_cli.index import DIMENSIONS

Row = Mapping[str, str]
Counted = dict[str, int]  # most frequent first, then by name


@dataclass(frozen=True)
class Counts:
    """images: rows. files: rows whose image is here. prompts: different ones. references: different ones; None where
    their names are not known here. labelled: rows with a score, by dimension; unlabelled: rows without any.
    images_per_prompt: least, median, most. bytes: of the image files that are here."""

    images: int
    files: int
    prompts: int
    references: int | None
    images_per_prompt: tuple[int, float, int] | None
    labelled: Counted
    unlabelled: int
    tasks: Counted
    generators: Counted
    settings: Counted
    splits: Counted
    flags: Counted
    formats: Counted
    sizes: Counted
    bytes: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def counts(rows: Sequence[Row]) -> Counts:
    """A row without a setting, split or format counts in none of them."""
    prompts = Counter(row["prompt_id"] for row in rows if row["prompt_id"])
    references = {row["reference_path"] for row in rows} - {""}
    named = bool(references) or not any(row["task"] == "i2i" for row in rows)
    labelled = {name: sum(bool(row[f"mos_{name}"]) for row in rows) for name in DIMENSIONS}
    each = sorted(prompts.values())
    return Counts(
        images=len(rows),
        files=sum(bool(row["image_path"]) for row in rows),
        prompts=len(prompts),
        references=len(references) if named else None,
        images_per_prompt=(each[0], median(each), each[-1]) if each else None,
        labelled={name: count for name, count in labelled.items() if count},
        unlabelled=sum(not any(row[f"mos_{name}"] for name in DIMENSIONS) for row in rows),
        tasks=_counted(row["task"] for row in rows),
        generators=_counted(row["generator"] for row in rows),
        settings=_counted(row["setting"] for row in rows),
        splits=_counted(row["split"] for row in rows),
        flags=_counted(flag for row in rows for flag in row["flags"].split(";")),
        formats=_counted(row["format"] for row in rows),
        sizes=_counted(f"{row['width']}x{row['height']}" for row in rows if row["width"]),
        bytes=sum(int(row["bytes"]) for row in rows if row["bytes"]),
    )


def _counted(words: Iterable[str]) -> Counted:
    found = Counter(word for word in words if word)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
