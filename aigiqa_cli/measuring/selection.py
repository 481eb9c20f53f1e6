"""Which images are evaluated on which scores: a dimension, a part of a split, and what may be trained on beside it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aigiqa_cli.errors import UsageFault
from aigiqa_cli.index import DIMENSIONS, Row
from aigiqa_cli.partitions.partition import Partition

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

EXTRA = "extra."
TRAIN = "train"
HELD_OUT = ("test", "val")  # what a split holds out, the one that is asked for first
GROUPINGS = ("generator", "setting", "prompt", "task", "split", "reference")
_COLUMN = {"prompt": "prompt_id", "reference": "reference_path"}


@dataclass(frozen=True)
class Selection:
    """The images of one part with a score in one dimension, in index order; `train` those of the part to train on.

    Without a split the selection is the whole database and nothing is set aside for training.
    """

    dimension: str
    rows: tuple[Row, ...]
    train: tuple[Row, ...] = ()
    partition: Partition | None = None
    part: str = ""
    blank: tuple[Row, ...] = ()  # images of the part without a score

    @property
    def unlabelled(self) -> int:
        return len(self.blank)

    @property
    def label(self) -> str | None:
        """`NAME:part`; None for the whole database."""
        return f"{self.partition.name}:{self.part}" if self.partition else None

    @property
    def images(self) -> list[str]:
        return [row["image_id"] for row in self.rows]

    @property
    def mos(self) -> Floats:
        return scores(self.rows, self.dimension)

    @property
    def std(self) -> Floats | None:
        """Standard deviations between raters on the scale of the MOS, (n,); None unless every image has one."""
        import numpy as np

        texts = [row.get(f"std_{self.dimension}", "") for row in self.rows]
        return np.array([float(text) for text in texts]) if texts and all(texts) else None

    @property
    def clusters(self) -> list[str]:
        """What is drawn together in a bootstrap: the images of one prompt; an image without one is by itself."""
        return [row["prompt_id"] or row["image_id"] for row in self.rows]

    def only(self, keep: Iterable[str]) -> Selection:
        """The same without the images that are not in `keep`; what may be trained on stays."""
        wanted = set(keep)
        return replace(self, rows=tuple(row for row in self.rows if row["image_id"] in wanted))

    def groups(self, by: str) -> dict[str, Selection]:
        """The selection in groups of equal `by`, by key; a prompt is called by its text."""
        found, blank = _by_key(self.rows, by), _by_key(self.blank, by)
        return {
            key: replace(self, rows=tuple(rows), blank=tuple(blank.get(key, ()))) for key, rows in sorted(found.items())
        }


def _by_key(rows: Sequence[Row], by: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(key_of(row, by), []).append(row)
    return found


def key_of(row: Mapping[str, str], by: str) -> str:
    """The group of a row by one of GROUPINGS, or by the field FIELD of `extra`; "" where it has none."""
    return _extra_text(row, by) if by.startswith(EXTRA) else row[_COLUMN.get(by, by)]


def _extra_text(row: Mapping[str, str], word: str) -> str:
    value: Any = json.loads(row["extra"] or "{}").get(word.removeprefix(EXTRA), "")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def demand_word(word: str) -> None:
    """Raises UsageFault unless this names something that images of some database can be grouped by."""
    if word not in GROUPINGS and not (word.startswith(EXTRA) and word != EXTRA):
        raise UsageFault(
            f"there are no groups by {word!r}", hint=f"groups: {', '.join(GROUPINGS)}, extra.FIELD", phase="PLAN"
        )


def demand_grouping(rows: Sequence[Row], word: str, database: str) -> None:
    """Raises UsageFault unless images can be grouped by this, and some image has it."""
    demand_word(word)
    if not any(_by_key(rows, word)):
        known = [name for name in GROUPINGS if any(_by_key(rows, name))]
        fields = {EXTRA + name for row in rows for name in json.loads(row["extra"] or "{}")}
        raise UsageFault(
            f"no image of {database} has {word}",
            hint=f"groups here: {', '.join([*known, *sorted(fields)])}",
            phase="PLAN",
        )


def shown_key(by: str, key: str, selection: Selection) -> str:
    """How a group is called for people: by the text of its prompt, by its key otherwise."""
    return selection.rows[0]["prompt"] if by == "prompt" and key else key


def score_text(row: Row, dimension: str) -> str:
    """The published score of an image in a dimension, or in the field FIELD of `extra`; "" where it has none."""
    if not dimension.startswith(EXTRA):
        return row[f"mos_{dimension}"]
    value: Any = json.loads(row["extra"] or "{}").get(dimension.removeprefix(EXTRA), "")
    return str(value) if isinstance(value, str | int | float) and _is_number(str(value)) else ""


def scores(rows: Sequence[Row], dimension: str) -> Floats:
    """The scores of labelled rows, float64 (n,)."""
    import numpy as np

    return np.array([float(score_text(row, dimension)) for row in rows], dtype=np.float64)


def _is_number(text: str) -> bool:
    try:
        return text.isascii() and "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False


def dimensions_of(rows: Sequence[Row]) -> list[str]:
    """The dimensions in which at least one image has a score."""
    return [name for name in DIMENSIONS if any(row[f"mos_{name}"] for row in rows)]


def demand_dimension(rows: Sequence[Row], word: str, database: str) -> None:
    """Raises UsageFault unless some image has a number there."""
    if (word.startswith(EXTRA) or word in DIMENSIONS) and any(score_text(row, word) for row in rows):
        return
    known = [*dimensions_of(rows), *(EXTRA + name for name in _extra_numbers(rows))]
    raise UsageFault(f"{database} has no scores {word!r}", hint=f"dimensions here: {', '.join(known)}", phase="PLAN")


def _extra_numbers(rows: Sequence[Row]) -> list[str]:
    """Fields of `extra` that hold numbers in most rows that have them."""
    filled: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    for row in rows:
        for name, value in json.loads(row["extra"] or "{}").items():
            filled[name] += value not in ("", None)
            numbers[name] += isinstance(value, str | int | float) and _is_number(str(value))
    return sorted(name for name, count in numbers.items() if count * 2 > filled[name])


def select(rows: Sequence[Row], dimension: str, partition: Partition | None = None, part: str = "") -> Selection:
    """The labelled images of `part` (of all without a partition), in the order of `rows`.

    Raises UsageFault if the part has no image with a score.
    """
    wanted = None if partition is None else set(partition.sides.get(part, ()))
    trained = set() if partition is None or part == TRAIN else set(partition.sides.get(TRAIN, ()))
    chosen = [row for row in rows if wanted is None or row["image_id"] in wanted]
    labelled = tuple(row for row in chosen if score_text(row, dimension))
    train = tuple(row for row in rows if row["image_id"] in trained and score_text(row, dimension))
    blank = tuple(row for row in chosen if not score_text(row, dimension))
    selection = Selection(dimension, labelled, train, partition, part, blank)
    if not labelled:
        where = f"the part {part} of {partition.name}" if partition else "this database"
        raise UsageFault(
            f"no image of {where} has a published score of {dimension} here",
            hint="other parts: --split NAME:PART; other scores: --dimension NAME",
            phase="PLAN",
        )
    return selection


def part_of(partition: Partition, wished: str) -> str:
    """The part that is evaluated: the wished one, else the held-out one, else the only one. UsageFault otherwise."""
    present = list(partition.sides)
    if wished:
        if wished not in present:
            raise UsageFault(
                f"the split {partition.name} has no part called {wished!r}", hint=f"parts: {', '.join(present)}"
            )
        return wished
    held_out = [part for part in HELD_OUT if part in present]
    if held_out:
        return held_out[0]
    if len(present) == 1:
        return present[0]
    raise UsageFault(
        f"which part of {partition.name} is evaluated?",
        hint=f"--split {partition.name}:PART with one of {', '.join(present)}",
        phase="PLAN",
    )
