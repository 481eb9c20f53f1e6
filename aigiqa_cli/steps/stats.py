"""stats: an installed database in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aigiqa_cli import selecting
from aigiqa_cli.context import Context
from aigiqa_cli.describing.counts import Counts, counts
from aigiqa_cli.describing.description import Description, describe
from aigiqa_cli.describing.scores import Scores, scores_of
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.exports import Row
from aigiqa_cli.measuring.declared import ranges
from aigiqa_cli.measuring.selection import key_of


@dataclass(frozen=True)
class Group:
    """The images of equal `key`: what is grouped by -> value. `places` are those of its rows in the selection."""

    key: Mapping[str, str]
    shown: str
    places: Any
    description: Description

    def as_json(self) -> dict[str, Any]:
        return {"key": dict(self.key), **self.description.as_json()}


@dataclass(frozen=True)
class Statistics:
    """One database, or what `where` and `split` leave of it. `groups` in the order of their keys."""

    database: str
    index_sha256: str
    where: str
    split: str
    by: tuple[str, ...]
    counts: Counts
    whole: Description
    groups: tuple[Group, ...]
    scores: Mapping[str, Scores]

    def as_json(self) -> dict[str, Any]:
        """The stable form: what README documents."""
        told = self.whole.as_json()
        return {
            "index_sha256": self.index_sha256,
            "where": self.where,
            "split": self.split,
            "counts": self.counts.as_json(),
            "dimensions": told["dimensions"],
            "correlations": told["correlations"],
            "by": list(self.by),
            "groups": [group.as_json() for group in self.groups],
        }


def stats(context: Context, name: str, *, where: str = "", split: str = "", by: Sequence[str] = ()) -> Statistics:
    """Everything that can be counted and averaged in the rows that `where` and `split` leave.

    Raises as `selecting.chosen` and `selecting.rows` do, and UsageFault where no row is left.
    """
    import numpy as np

    (record,) = selecting.chosen(context.root, [name])
    rows = list(selecting.rows(context.root, [record], where=where, split=split))
    if not rows:
        raise UsageFault(f"no image of {name} is left", hint="another --where or --split", database=name, phase="PLAN")
    scores = scores_of(rows, ranges(context, name))
    whole = describe(scores, np.arange(len(rows)))
    groups = _groups(rows, scores, by) if by else ()
    return Statistics(name, record.index_sha256, where, split, tuple(by), counts(rows), whole, groups, scores)


def _groups(rows: Sequence[Row], scores: Mapping[str, Scores], by: Sequence[str]) -> tuple[Group, ...]:
    import numpy as np

    found: dict[tuple[str, ...], list[int]] = {}
    for place, row in enumerate(rows):
        found.setdefault(tuple(key_of(row, word) for word in by), []).append(place)
    groups = []
    for key, members in sorted(found.items()):
        places = np.array(members, dtype=np.intp)
        first = rows[members[0]]
        shown = ", ".join(
            first["prompt"] if word == "prompt" else part for word, part in zip(by, key, strict=True) if part
        )
        groups.append(Group(dict(zip(by, key, strict=True)), shown, places, describe(scores, places)))
    return tuple(groups)
