"""compare: two databases, or two versions of one: installed here, installed elsewhere, or as a table."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigiqa_cli import root_index
from aigiqa_cli.context import Context
from aigiqa_cli.describing.differences import Differences, differences
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import Finding, MachineFault, RefusedInput, UsageFault
from aigiqa_cli.exports import Row
from aigiqa_cli.index import COLUMNS
from aigiqa_cli.predictions.reading import read
from aigiqa_cli.states import present
from aigiqa_cli.store import Record, Root

TABLES = (".csv", ".tsv", ".parquet")
HINT = "an index or an export of one, as csv, tsv or parquet"
KEY = "image_id"


@dataclass(frozen=True)
class Side:
    """One of the two. `record` of an installed database, None of a table."""

    source: str
    rows: tuple[Row, ...]
    columns: tuple[str, ...]
    record: Record | None = None
    sha256: str = ""

    @property
    def databases(self) -> list[str]:
        return list(dict.fromkeys(row["database"] for row in self.rows if row.get("database")))

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "databases": self.databases,
            "images": len(self.rows),
            "sha256": self.sha256,
            "state": self.record.state if self.record else None,
            "manifest_version": self.record.manifest_version if self.record else None,
            "aigiqa": self.record.aigiqa if self.record else None,
        }


@dataclass(frozen=True)
class Comparison:
    a: Side
    b: Side
    found: Differences

    def as_json(self) -> dict[str, Any]:
        """The stable form: what README documents."""
        return {"a": self.a.as_json(), "b": self.b.as_json(), **self.found.as_json()}


def compare(context: Context, a: str, b: str, name_of: Callable[[str], str]) -> Comparison:
    """`a`, `b`: the name of a database, the folder of an installed one (also below another root), or a table. What has
    a separator in it or ends like a table is a path. `name_of`: word -> id.

    Raises UsageFault for what is not there, IntegrityFault for a damaged database, RefusedInput for a bad table.
    """
    one, other = (_side(context, word, name_of) for word in (a, b))
    columns = [column for column in COLUMNS if column in one.columns and column in other.columns]
    try:
        return Comparison(one, other, differences(one.rows, other.rows, columns))
    except ValueError as error:
        raise RefusedInput(f"a score is no number: {error}", hint=HINT, fault="T02", phase="SCORES") from None


def _side(context: Context, word: str, name_of: Callable[[str], str]) -> Side:
    path = Path(word).expanduser()
    if os.sep not in word and path.suffix.lower() not in TABLES:
        return _installed(context.root, name_of(word), word)
    if path.is_dir():
        path = path.absolute()
        root = Root(path.parent)
        return (
            _installed(root, path.name, word) if root.record(path.name).is_file() else _table(path / "index.csv", word)
        )
    return _table(path, word)


def _installed(root: Root, name: str, source: str) -> Side:
    record = present(root, name, fetch="--labels-only")
    return Side(source, tuple(root_index.rows(root, [record])), COLUMNS, record, record.index_sha256)


def _table(path: Path, source: str) -> Side:
    try:
        with open(path, "rb") as stream:
            table = read(stream, path.name, lambda _: False)
        digest = sha256_file(path)[0]
    except FileNotFoundError:
        raise UsageFault(
            f"there is no {path}", hint="a database, its folder, or a table of one", phase="PLAN"
        ) from None
    except OSError as error:
        raise MachineFault(f"{path} cannot be read: {error.strerror}", hint="check its name and rights") from error
    except RefusedInput as refusal:  # which speaks of predictions
        refusal.phase, refusal.hint = "PLAN", HINT
        raise
    columns = tuple(column for column in table.columns if column in COLUMNS)
    if KEY not in columns:
        raise table.refusal(f"has no column {KEY}", fault="T08", hint=HINT)
    places = [table.columns.index(column) for column in columns]
    rows = tuple(dict(zip(columns, (cells[place] for place in places), strict=True)) for _, cells in table.rows)
    _refuse_twice(path.name, [line for line, _ in table.rows], rows)
    return Side(source, rows, columns, None, digest)


def _refuse_twice(name: str, lines: Sequence[str], rows: Sequence[Row]) -> None:
    seen: set[tuple[str, str]] = set()
    for line, row in zip(lines, rows, strict=True):
        key = row.get("database", ""), row[KEY]
        if key in seen:
            raise RefusedInput(
                f"{name}: {row[KEY]} stands twice",
                hint=HINT,
                fault="T05",
                phase="PLAN",
                findings=[Finding(key[0], line, "an image stands twice", "once", row[KEY])],
            )
        seen.add(key)
