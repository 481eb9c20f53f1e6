"""pairs, pairs-jsonl: which of two images of one prompt people preferred, as in a two-alternative forced choice.

A pair is two images of one database with the same prompt and the same reference whose scores differ by more than the
margin; equal scores are no preference. Pairs come in the order of the index. Which of the two is `a` is drawn from a
hash of their names, so that neither place is favoured and the same pair is always the same way round.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from typing import BinaryIO

from aigiqa_cli.exports.columns import Row, number
from aigiqa_cli.exports.wanted import Wanted
from aigiqa_cli.index import write_rows

COLUMNS = (
    "database", "prompt_id", "prompt", "dimension", "image_a", "image_b", "path_a", "path_b", "score_a", "score_b",
    "difference", "preferred",
)  # fmt: skip
_NUMBERS = ("score_a", "score_b", "difference")


def write_pairs(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO) -> int:
    """A csv with COLUMNS: names and paths (empty where the images are not here), scores on the chosen scale,
    `difference` = score_a - score_b exactly, `preferred` = a or b. Returns the number of pairs."""
    count = 0

    def counted() -> Iterator[dict[str, str]]:
        nonlocal count
        for pair in pairs(rows, wanted):
            count += 1
            yield pair

    write_rows(stream, counted(), COLUMNS)
    return count


def write_pairs_jsonl(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO) -> int:
    """The same, one object a line, its numbers as numbers."""
    count = 0
    for count, pair in enumerate(pairs(rows, wanted), 1):  # noqa: B007 - the last number is the answer
        typed = {name: number(text) if name in _NUMBERS else text for name, text in pair.items()}
        stream.write((json.dumps(typed, ensure_ascii=False) + "\n").encode())
    return count


@dataclass(frozen=True)
class _Image:
    name: str
    path: str
    score: str


def pairs(rows: Iterable[Row], wanted: Wanted) -> Iterator[dict[str, str]]:
    """The pairs as fields of text. Names, paths and scores of all rows are held at one time, nothing else."""
    groups: dict[tuple[str, str, str], list[_Image]] = {}
    prompts: dict[str, str] = {}
    for row in rows:
        key = row["database"], row["prompt_id"], row["reference_path"]
        groups.setdefault(key, []).append(_Image(row["image_id"], row["image_path"], row[wanted.score]))
        prompts.setdefault(row["prompt_id"], row["prompt"])
    margin = Decimal(str(wanted.margin))
    for (database, prompt_id, _), images in groups.items():
        for first, second in combinations(images, 2):
            difference = Decimal(first.score) - Decimal(second.score)
            if difference == 0 or abs(difference) <= margin:
                continue
            a, b = (second, first) if _swapped(database, first.name, second.name) else (first, second)
            yield {
                "database": database,
                "prompt_id": prompt_id,
                "prompt": prompts[prompt_id],
                "dimension": wanted.dimension,
                "image_a": a.name,
                "image_b": b.name,
                "path_a": a.path,
                "path_b": b.path,
                "score_a": a.score,
                "score_b": b.score,
                "difference": str(Decimal(a.score) - Decimal(b.score)),
                "preferred": "a" if Decimal(a.score) > Decimal(b.score) else "b",
            }


def _swapped(database: str, first: str, second: str) -> bool:
    """Half of all pairs; the same whichever of the two comes first in the index."""
    low, high = sorted((first, second))
    drawn = hashlib.sha256(f"{database}/{low}/{high}".encode()).digest()[0] & 1
    return bool(drawn) != (first == low)
