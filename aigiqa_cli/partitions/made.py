"""Splits that were made: their table, their signature, and their files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aigiqa_cli import __version__
from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.exports.whole import whole_target
from aigiqa_cli.partitions.auditing import Audited
from aigiqa_cli.partitions.making import Recipe
from aigiqa_cli.partitions.partition import Partition, csv_of
from aigiqa_cli.partitions.reached import Part

KIND = "split"  # what marks a JSON file beside a table as ours
DIGEST = 12  # hex digits in a signature


@dataclass(frozen=True)
class Made:
    """What was made of one database. `reached` and `audits` are by partition; `left_out` images have no MOS."""

    database: str
    index_sha256: str
    recipe: Recipe
    partitions: tuple[Partition, ...]
    order: tuple[str, ...]
    reached: tuple[dict[str, Part], ...]
    audits: tuple[Audited, ...]
    left_out: int

    @property
    def csv(self) -> bytes:
        """All of it as one table."""
        return csv_of(self.partitions, self.order)

    def signature(self, data: bytes, split: str = "") -> str:
        """One line that pins what was made, from what and by what; `data` is the table that it stands beside, `split`
        the one of several that is in it."""
        recipe = self.recipe
        pinned = {"aigiqa": __version__, "db": self.database, "index": self.index_sha256[:DIGEST]}
        if recipe.leave_one_out:
            pinned["leave-one-out"] = recipe.leave_one_out
        else:
            size = {"folds": str(recipe.folds)} if recipe.folds else {"ratio": ":".join(map(str, recipe.ratio))}
            pinned |= {"by": recipe.by} | size | {"seed": str(recipe.seed), "repeats": str(recipe.repeats)}
        pinned |= {"split": split} if split else {}
        pinned["sha256"] = sha256_bytes(data)[:DIGEST]
        return "|".join(f"{name}:{text}" for name, text in pinned.items())

    def as_json(self, data: bytes, numbers: Sequence[int] | None = None) -> dict[str, Any]:
        """The signature of a table and what stands behind it; `numbers`: only these partitions are in it."""
        chosen = range(len(self.partitions)) if numbers is None else numbers
        alone = self.partitions[chosen[0]].name if len(chosen) < len(self.partitions) else ""
        return {
            "kind": KIND,
            "aigiqa": __version__,
            "signature": self.signature(data, alone),
            "database": self.database,
            "index_sha256": self.index_sha256,
            "recipe": asdict(self.recipe) | ({} if self.recipe.wanted else {"ratio": None}),
            "left_out": self.left_out,
            "sha256": sha256_bytes(data),
            "splits": [
                {
                    "name": self.partitions[number].name,
                    "label": self.audits[number].verdict.label,
                    "verdict": self.audits[number].verdict.text,
                    "parts": {part: found.as_json() for part, found in self.reached[number].items()},
                }
                for number in chosen
            ],
        }


def write(made: Made, target: Path) -> list[Path]:
    """Write what was made; returns the paths of the tables.

    A name that ends in `.csv`, or a file that is there, becomes one table; anything else a folder with a table for each
    split. Beside each table stands its signature, under its name with `.json`.
    """
    if target.suffix.lower() == ".csv" or target.is_file():
        tables = [(target, made.csv, tuple(range(len(made.partitions))))]
    else:
        if not target.is_dir():
            if not target.parent.is_dir():
                raise UsageFault(f"{target.parent} is no folder", hint="name a folder in an existing one", phase="PLAN")
            target.mkdir()
        tables = [
            (target / f"{partition.name}.csv", csv_of([partition], made.order), (number,))
            for number, partition in enumerate(made.partitions)
        ]
    for path, _, _ in tables:
        _refuse_to_replace(path.with_suffix(".json"))
    if target.is_dir():
        _refuse_to_mix(target, {path.with_suffix(".json").name for path, _, _ in tables})
    for path, data, numbers in tables:
        text = json.dumps(made.as_json(data, numbers), indent=2) + "\n"
        for place, content in ((path, data), (path.with_suffix(".json"), text.encode())):
            with whole_target(place) as stream:
                stream.write(content)
    return [path for path, _, _ in tables]


def _refuse_to_mix(folder: Path, written: set[str]) -> None:
    """Splits of another recipe would stay beside the new ones, and be taken for more folds of them."""
    others = [path for path in sorted(folder.glob("*.json")) if path.name not in written and _is_signature(path)]
    if others:
        raise UsageFault(
            f"{folder} holds splits that were made before: {', '.join(path.stem for path in others)}",
            hint="choose another folder with -o, or remove these first, each with its .json",
            phase="PLAN",
        )


def _is_signature(path: Path) -> bool:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("kind") == KIND


def _refuse_to_replace(path: Path) -> None:
    """The signature's place may hold a file of the user's that has nothing to do with it."""
    if path.exists() and not _is_signature(path):
        raise UsageFault(
            f"{path} is not a signature of a split and would be replaced by one",
            hint="choose another name with -o",
            phase="PLAN",
        )
