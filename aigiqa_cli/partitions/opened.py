"""An installed database with what splits need of it: its rows, its names, its references."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from aigiqa_cli.errors import IntegrityFault, UsageFault
from aigiqa_cli.index import Row
from aigiqa_cli.installing import root_index
from aigiqa_cli.partitions.auditing import reference_hashes
from aigiqa_cli.partitions.naming import Names
from aigiqa_cli.states import ABSENT, state_of
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
    state = state_of(root, name)
    if state.word == ABSENT:
        raise UsageFault(
            f"{name} is not installed", hint=f"aigiqa fetch {name} --labels-only", database=name, phase="PLAN"
        )
    if not state.present or state.record is None:
        raise IntegrityFault(
            f"{name} is damaged: {state.why}", hint=f"aigiqa verify --repair {name}", fault="X03", database=name
        )
    try:
        return Opened(state.record, tuple(root_index.rows(root, [state.record])))
    except ValueError as error:
        raise IntegrityFault(
            f"an index cannot be read: {error}", hint="aigiqa verify", fault="X03", database=name, phase="INDEX"
        ) from error
