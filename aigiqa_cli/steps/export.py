"""export: the index of chosen databases in another format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aigiqa_cli import exports, selecting
from aigiqa_cli.context import Context
from aigiqa_cli.exports import Row, Scale
from aigiqa_cli.exports.columns import choose, for_spreadsheets
from aigiqa_cli.store import Record


@dataclass(frozen=True)
class Selection:
    """Which rows and columns."""

    where: str = ""
    columns: tuple[str, ...] = ()
    split: str = ""
    scale: Scale = ""
    exact: bool = False
    spreadsheet: bool = False


def export(
    context: Context, records: Sequence[Record], selection: Selection, form: str, target: Path | BinaryIO
) -> int:
    """Write the selected rows; returns how many they were."""
    kept: Iterable[Row] = selecting.rows(context.root, records, where=selection.where, split=selection.split)
    if selection.spreadsheet:
        kept = for_spreadsheets(kept)
    return exports.export(kept, choose(selection.columns, selection.scale), form, target, exact=selection.exact)
