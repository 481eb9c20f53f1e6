"""export: the index of chosen databases in another format."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aigiqa_cli import exports
from aigiqa_cli.context import Context
from aigiqa_cli.errors import IntegrityFault, UsageFault
from aigiqa_cli.exports import Row, Scale
from aigiqa_cli.exports.columns import for_spreadsheets
from aigiqa_cli.installing import root_index
from aigiqa_cli.states import ABSENT, state_of
from aigiqa_cli.store import Record, installed_ids


@dataclass(frozen=True)
class Selection:
    """Which rows and columns."""

    where: str = ""
    columns: tuple[str, ...] = ()
    split: str = ""
    scale: Scale = ""
    exact: bool = False
    spreadsheet: bool = False


def chosen(context: Context, names: Sequence[str]) -> list[Record]:
    """The records of these databases; no name means all installed ones."""
    names = names or installed_ids(context.root)
    records = []
    for name in dict.fromkeys(names):
        state = state_of(context.root, name)
        if state.word == ABSENT:
            raise UsageFault(f"{name} is not installed", hint=f"aigiqa fetch {name}", database=name, phase="PLAN")
        if not state.present or state.record is None:
            raise IntegrityFault(
                f"{name} is damaged: {state.why}", hint=f"aigiqa verify --repair {name}", fault="X03", database=name
            )
        records.append(state.record)
    if not records:
        raise UsageFault("nothing is installed", hint="aigiqa list shows what can be fetched", phase="PLAN")
    return records


def export(
    context: Context, records: Sequence[Record], selection: Selection, form: str, target: Path | BinaryIO
) -> int:
    """Write the selected rows; returns how many they were."""
    rows: Iterator[Row] = root_index.rows(context.root, list(records))
    if selection.split:
        rows = _with_split(context, records, selection.split, rows)
    kept, columns = exports.select(rows, where=selection.where, columns=selection.columns, scale=selection.scale)
    if selection.spreadsheet:
        kept = for_spreadsheets(kept)
    try:
        return exports.export(kept, columns, form, target, exact=selection.exact)
    except ValueError as error:
        raise IntegrityFault(
            f"an index cannot be read: {error}", hint="aigiqa verify", fault="X03", phase="INDEX"
        ) from error


def _with_split(context: Context, records: Sequence[Record], word: str, rows: Iterator[Row]) -> Iterator[Row]:
    """`NAME` fills the column `split` from that split and drops images in no part; `NAME:PART` keeps one part."""
    name, _, part = word.partition(":")
    parts: dict[tuple[str, str], str] = {}
    for record in records:
        path = context.root.folder(record.database) / "splits" / f"{name}.csv"
        if not path.is_file():
            here = sorted(record.splits) or ["none"]
            raise UsageFault(
                f"{record.database} has no split called {name!r} here",
                hint=f"splits here: {', '.join(here)}; published ones: aigiqa fetch --splits {record.database}",
                database=record.database,
            )
        with path.open(encoding="utf-8", newline="") as stream:
            parts |= {(record.database, row["image_id"]): row["split"] for row in csv.DictReader(stream)}
    if part and part not in set(parts.values()):
        known = ", ".join(sorted(set(parts.values())))
        raise UsageFault(f"the split {name} has no part called {part!r}", hint=f"parts: {known}")
    return _in_part(rows, parts, part)


def _in_part(rows: Iterator[Row], parts: dict[tuple[str, str], str], part: str) -> Iterator[Row]:
    for row in rows:
        side = parts.get((row["database"], row["image_id"]), "")
        if side and part in ("", side):
            yield {**row, "split": side}
