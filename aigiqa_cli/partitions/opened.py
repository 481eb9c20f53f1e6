"""An installed database with what splits need of it: its rows, its names, its references."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from aigiqa_cli import root_index
from aigiqa_cli.index import Row
from aigiqa_cli.partitions.auditing import reference_hashes
from aigiqa_cli.partitions.naming import Names
from aigiqa_cli.states import present
from aigiqa_cli.store import Record, Root


@dataclass(frozen=True)
class Opened:
    """`rows` in the order of the index."""

    record: Record
    rows: tuple[Row, ...]

    @property
    def id(self) -> str:
        return self.record.database

    @cached_property
    def by_id(self) -> dict[str, Row]:
        return {row["image_id"]: row for row in self.rows}

    @cached_property
    def names(self) -> Names:
        return Names(self.rows)

    @cached_property
    def references(self) -> dict[str, str]:
        """Path of each reference -> SHA-256."""
        return reference_hashes(self.record)

    @property
    def order(self) -> list[str]:
        """Every image_id."""
        return [row["image_id"] for row in self.rows]


def opened(root: Root, name: str) -> Opened:
    """Raises UsageFault if the database is not installed (its labels are enough), IntegrityFault if it is damaged."""
    record = present(root, name, fetch="--labels-only")
    return Opened(record, tuple(root_index.rows(root, [record])))
