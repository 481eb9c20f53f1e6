"""From label tables to index fields, by the declared rules of a manifest.

Fixed order: tables, extract, joins, columns, recode, scores, image. Nothing is guessed and nothing is lost:
rows in = rows out + rows rejected, and every rejected row carries its reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, BinaryIO

from aigiqa_cli import tables
from aigiqa_cli.errors import Finding, IntegrityFault, RefusedInput
from aigiqa_cli.index import Row, prompt_id, unit_score
from aigiqa_cli.manifest.scalars import compile_pattern, safe_relative_path

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database, Join, LabelSource, Score, Table

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
TASKS = ("t2i", "i2i")
MAX_LISTED = 50

Cells = dict[str, str]
Opener = Callable[[str], BinaryIO]


@dataclass(frozen=True)
class Reference:
    """The reference image of an image-to-image row."""

    name: str
    find: tuple[str, ...]


@dataclass(frozen=True)
class LabelRow:
    """One label row after the rules. `fields` are index columns; `find` are path endings of its image."""

    where: str
    fields: Row
    image_id: str
    find: tuple[str, ...]
    extra: dict[str, object] = field(default_factory=dict)
    reference: Reference | None = None


@dataclass(frozen=True)
class Labels:
    """What one label source says: the rows that passed and those that did not."""

    rows: tuple[LabelRow, ...]
    rejected: tuple[Finding, ...]


class _Rejected(ValueError):
    """A row that breaks a rule: column, what was expected, what was found."""

    def __init__(self, problem: str, expected: str, found: str) -> None:
        super().__init__(problem)
        self.finding = (problem, expected, found)


def apply(database: Database, source: LabelSource, open_table: Opener) -> Labels:
    """Run the rules of `source`; `open_table` gives the bytes of an asset by name.

    Raises RefusedInput for a table that is not the declared one; single bad rows are returned as rejected.
    """
    joined = [_JoinedTable(database, join, open_table) for join in source.joins]
    rows: list[LabelRow] = []
    rejected: list[Finding] = []
    seen: dict[str, str] = {}
    for number, (where, cells) in enumerate(_stacked(database, source, open_table)):
        try:
            row = _label_row(source, joined, number, where, cells)
            if first := seen.get(row.image_id):
                raise _Rejected("the same image is labelled twice", "each name once", f"{row.image_id}, also {first}")
            seen[row.image_id] = where
            rows.append(row)
        except _Rejected as error:
            problem, expected, found = error.finding
            rejected.append(Finding(database.id, where, problem, expected, found))
    return Labels(tuple(rows), tuple(rejected))


def refuse_undeclared(labels: Labels, database: Database) -> None:
    """No row of a published table may be lost silently: undeclared rejections refuse the table."""
    if not labels.rejected:
        return
    first = labels.rejected[0]
    more = f" (and {len(labels.rejected) - 1} more rows)" if len(labels.rejected) > 1 else ""
    raise RefusedInput(
        f"{first.path}: {first.problem}: expected {first.expected}, found {first.found}{more}",
        fault="T04",
        database=database.id,
        phase="SCORES",
        findings=labels.rejected[:MAX_LISTED],
        hint="the label table is not the published one; fetch it: aigiqa fetch --labels-only " + database.id,
    )


def check_expectation(database: Database, labels: Labels) -> None:
    """Counts and published statistics of the label rows against the manifest. Raises RefusedInput."""
    expect, rows = database.expect, labels.rows
    counts = {"rows": (len(rows), expect.rows)}
    if expect.prompts:
        counts["distinct prompts"] = (len({r.fields["prompt"] for r in rows if r.fields["prompt"]}), expect.prompts)
    generators = [row.fields["generator"] for row in rows]
    for slug in sorted({*expect.generators, *generators}):
        counts[f"rows of generator {slug}"] = (generators.count(slug), expect.generators.get(slug, (0, 0)))
    findings = [
        Finding(database.id, "labels", what, _between(*bounds), str(found))
        for what, (found, bounds) in counts.items()
        if not bounds[0] <= found <= bounds[1]
    ]
    findings += _statistics_findings(database, rows)
    if findings:
        listed = "; ".join(f"{f.problem}: expected {f.expected}, found {f.found}" for f in findings[:3])
        raise RefusedInput(
            f"the labels of {database.title} are not the published ones: {listed}",
            fault="T06",
            database=database.id,
            phase="SCORES",
            findings=findings,
        )


def _statistics_findings(database: Database, rows: tuple[LabelRow, ...]) -> Iterator[Finding]:
    for dimension, expected in database.expect.mos.items():
        values = [Decimal(text) for row in rows if (text := row.fields[f"mos_{dimension}"])]
        if not values:
            continue
        found = {"min": min(values), "max": max(values), "mean": sum(values, Decimal()) / len(values)}
        for name, value in found.items():
            stated = getattr(expected, name)
            if value.quantize(stated) != stated:
                yield Finding(
                    database.id, "labels", f"{name} of mos_{dimension}", str(stated), str(value.quantize(stated))
                )


def _between(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def layout(database: Database, table: Table) -> tables.Layout:
    """What the table file must look like."""
    kind = table.format or database.asset(table.file).format
    name = database.asset(table.file).published_name
    return tables.Layout(name, kind, table.columns, table.header, table.encoding)


def _stacked(database: Database, source: LabelSource, open_table: Opener) -> Iterator[tuple[str, Cells]]:
    patterns = {column: compile_pattern(pattern) for column, pattern in source.extract.items()}
    for table in source.tables:
        shape = layout(database, table)
        with open_table(table.file) as stream:
            for line, cells in tables.rows(stream, shape):
                record = dict(zip(table.columns, cells, strict=True))
                for column, pattern in patterns.items():
                    if match := pattern.search(record.get(column, "")):
                        record |= {name: text or "" for name, text in match.groupdict().items()}
                yield f"{shape.name}:{line}", record


class _JoinedTable:
    """A further table in memory, found by key or by row number."""

    def __init__(self, database: Database, join: Join, open_table: Opener) -> None:
        self.join = join
        with open_table(join.table.file) as stream:
            shape = layout(database, join.table)
            self.records = [
                dict(zip(join.table.columns, cells, strict=True)) for _, cells in tables.rows(stream, shape)
            ]
        self.by_key: dict[str, Cells] = {}
        for record in self.records if join.on else ():
            if self.by_key.setdefault(record[join.on[1]], record) is not record:  # type: ignore[index]
                raise IntegrityFault(f"{shape.name}: the key {record[join.on[1]]!r} stands twice")  # type: ignore[index]

    def cells(self, number: int, record: Mapping[str, str]) -> Cells:
        if self.join.on is None:
            if number >= len(self.records):
                raise _Rejected(f"{self.join.table.file} has no row {number}", str(number + 1), str(len(self.records)))
            return self.records[number]
        key = record[self.join.on[0]]
        if key not in self.by_key:
            raise _Rejected(f"{self.join.table.file} has no row for it", f"a row {key}", "none")
        return self.by_key[key]


def _label_row(source: LabelSource, joined: list[_JoinedTable], number: int, where: str, record: Cells) -> LabelRow:
    for table in joined:
        record = record | table.cells(number, record)
    for column, pattern in source.extract.items():
        if not set(compile_pattern(pattern).groupindex) <= record.keys():
            raise _Rejected(f"column {column} does not follow the declared pattern", pattern, record.get(column, ""))
    fields = _plain_fields(source, record)
    extra: dict[str, object] = {column: record[column] for column in source.extra}
    for dimension, score in source.scores.items():
        fields |= _score_fields(dimension, score, record, extra)
    fields["row"] = str(number)
    image_id = _file_name(source.image.id, record[source.image.id])
    find = tuple(_fill(template, record) for template in source.image.find)
    if source.image.aliases:
        extra["aliases"] = [_fill(template, record) for template in source.image.aliases]
    return LabelRow(where, fields, image_id, find, extra, _reference(source, record))


def _plain_fields(source: LabelSource, record: Cells) -> Row:
    fields: Row = {}
    for target, origin in source.columns.items():
        value = origin.const or record[origin.column]
        names = source.recode.get(target)
        if names is not None:
            if value not in names:
                raise _Rejected(f"unknown {target}", "one of " + ", ".join(names), value)
            value = names[value]
        fields[target] = value
    if fields.get("task", "t2i") not in TASKS:
        raise _Rejected("unknown task", "t2i or i2i", fields["task"])
    fields["prompt_id"] = prompt_id(fields.get("prompt", ""))
    fields.setdefault("prompt", "")
    fields.setdefault("generator", "")
    return fields


def _score_fields(dimension: str, score: Score, record: Cells, extra: dict[str, object]) -> Row:
    low, high = score.range
    mos = _number(score.mos, record[score.mos], score)
    fields = {f"mos_{dimension}": mos, f"score_{dimension}": ""}
    if mos:
        if not low <= Decimal(mos) <= high:
            raise _Rejected(f"column {score.mos} is out of range", f"{low} to {high}", mos)
        fields[f"score_{dimension}"] = unit_score(mos, low, high)
    if score.std:
        fields[f"std_{dimension}"] = _deviation(score.std, record[score.std], score)
    if score.raw_std:
        extra[f"raw_std_{dimension}"] = _deviation(score.raw_std, record[score.raw_std], score)
    return fields


def _deviation(column: str, text: str, score: Score) -> str:
    value = _number(column, text, score)
    if value and Decimal(value) < 0:
        raise _Rejected(f"column {column} is negative", "0 or more", value)
    return value


def _number(column: str, text: str, score: Score) -> str:
    if not text and score.optional:
        return ""
    if not NUMBER.fullmatch(text):
        raise _Rejected(f"column {column} is not a number", "a decimal number", repr(text))
    if score.scale:
        return format(Decimal(text).scaleb(len(score.scale) - 1), "f")
    return text


def _fill(template: str, record: Cells) -> str:
    return re.sub(r"\{(\w+)\}", lambda place: record[place[1]], template)


def _file_name(column: str, name: str) -> str:
    """Names become files below our root, so they pass the same gate as archive names."""
    try:
        if "/" in safe_relative_path(name):
            raise ValueError("expected a bare file name")
    except ValueError as error:
        raise _Rejected(f"column {column} is not a usable file name", str(error), name) from None
    return name


def _reference(source: LabelSource, record: Cells) -> Reference | None:
    rule = source.reference
    if rule is None or not record[rule.when]:
        return None
    name = _file_name(rule.when, _fill(rule.name, record))
    return Reference(name, tuple(_fill(template, record) for template in rule.find))
