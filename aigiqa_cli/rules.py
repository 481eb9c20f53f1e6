"""From label tables to index fields, by the declared rules of a manifest.

Fixed order: tables, extract, joins, columns, recode, scores, image. Nothing is guessed and nothing is lost:
rows in = rows out + rows rejected, and every rejected row carries its reason.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from aigiqa_cli import label_rows, tables
from aigiqa_cli.errors import Finding, RefusedInput
from aigiqa_cli.index import Row, prompt_id, unit_score
from aigiqa_cli.label_rows import LabelRow, LabelRows, Reference, Room
from aigiqa_cli.names import folded, safe_relative_path
from aigiqa_cli.patterns import compile_pattern

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import (
        Database,
        Join,
        LabelSource,
        Repeats,
        Score,
        Table,
    )

# A bounded length: `1e-999999999` is a number too, and a gigabyte of digits once its point is moved.
NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
TASKS = ("t2i", "i2i")
MAX_LISTED = 50
MAX_REJECTED = 10_000  # rows that are told one by one
SAME = 1e-12  # relative: two copies of one published number

Cells = dict[str, str]
Opener = Callable[[str], BinaryIO]


@dataclass(frozen=True)
class Labels:
    """What one label source says: the rows that passed and those that did not."""

    rows: Sequence[LabelRow]
    rejected: tuple[Finding, ...]
    declared: tuple[Finding, ...] = ()  # rows that are no rows of their own, as the manifest says
    unlabelled: tuple[LabelRow, ...] = ()  # images without a label row, indexed where the containers have them
    untold: int = 0  # rejected rows beyond those that are told one by one


class _Rejected(ValueError):
    """A row that breaks a rule: column, what was expected, what was found."""

    def __init__(self, problem: str, expected: str, found: str, column: str = "") -> None:
        super().__init__(problem)
        self.finding = (problem, expected, found)
        self.column = column


@dataclass
class _Judged:
    """What is said of single rows, in their order: names that stand twice are looked for when all else is told."""

    told: list[tuple[int, bool, Finding]] = field(default_factory=list)
    untold: int = 0

    def add(self, place: int, finding: Finding, *, passed: bool = False) -> None:
        """`place`: how many rows before it have passed; `passed`: so has this one, as far as it tells by itself."""
        if len(self.told) < MAX_REJECTED:
            self.told.append((place, passed, finding))
        else:
            self.untold += 1

    @property
    def findings(self) -> Iterator[Finding]:
        return (finding for *_, finding in sorted(self.told, key=lambda told: told[:2]))


def apply(
    database: Database,
    source: LabelSource,
    open_table: Opener,
    room: Room | None = None,
    heard: Callable[[], None] = lambda: None,
) -> Labels:
    """Run the rules of `source`; `open_table` gives the bytes of an asset by name. `room`: where rows wait if
    they are many; without one they stay in memory. `heard` is called for each row of the tables.

    Raises RefusedInput for a table that is not the declared one; single bad rows are returned as rejected.
    """
    joined = [_JoinedTable(database, join, open_table) for join in source.joins]
    rows, keys = LabelRows(room), array("q")
    rejected = _Judged()
    wanted = {folded(name) for name in source.image.unlabelled}
    labelled: set[str] = set()  # those of them that have a row
    for number, (where, cells) in enumerate(_stacked(database, source, open_table)):
        heard()
        try:
            row = _label_row(source, joined, number, where, cells)
        except _Rejected as error:
            place = next((p for table in joined if (p := table.place(error.column, number, cells))), where)
            rejected.add(len(rows), Finding(database.id, place, *error.finding))
            continue
        rows.append(row)
        key = folded(row.image_id)  # on some file systems names that differ in case are one file (T05, S12)
        keys.append(hash(key))
        if key in wanted:
            labelled.add(key)
    rows, declared = _each_once(database, source, rows, keys, rejected)
    alone = [name for name in source.image.unlabelled if folded(name) not in labelled]
    unlabelled = tuple(_unlabelled_row(source, joined, name) for name in alone)
    refused = list(rejected.findings)
    for table in joined:
        for finding in table.unused_findings(database.id):
            known = finding.found in table.join.unused
            (declared if known else refused).append(replace(finding, problem="declared: " * known + finding.problem))
    return Labels(_shifted_where_small(source, rows), tuple(refused), tuple(declared), unlabelled, rejected.untold)


def _each_once(
    database: Database, source: LabelSource, rows: LabelRows, keys: array[int], rejected: _Judged
) -> tuple[LabelRows, list[Finding]]:
    """The rows, each image once, and what is to be said of declared duplicates; others are rejected. `keys` are
    hashes of their names."""
    places, untold = _standing_twice(keys)
    rejected.untold += untold
    firsts: dict[str, tuple[int, str, str]] = {}
    merged: dict[int, LabelRow | None] = {}
    declared: list[Finding] = []
    for place, row in enumerate(rows if places else ()):
        if place not in places:
            continue
        at, image_id, where = firsts.setdefault(folded(row.image_id), (place, row.image_id, row.where))
        if at == place:
            continue
        merged[place] = None
        if image_id == row.image_id in source.image.duplicates and len(declared) < MAX_REJECTED:
            merged[at] = _with_other(merged.get(at) or rows[at], row)
            declared.append(Finding(database.id, row.where, "declared duplicate", where, row.image_id))
        else:
            twice = ("the same image is labelled twice", "each name once", f"{row.image_id}, also {where}")
            rejected.add(place, Finding(database.id, row.where, *twice), passed=True)
    return (rows.changed(merged.get) if merged else rows), declared  # what is not in `merged` stays as it is


def _standing_twice(keys: array[int]) -> tuple[set[int], int]:
    """Where the keys stand that are there more than once; of a table that has so many of them that it cannot be meant
    only the first, and how many others there are."""
    if len(keys) <= label_rows.FEW:
        count = Counter(keys)
        return {place for place, key in enumerate(keys) if count[key] > 1}, 0
    import numpy as np

    found = np.asarray(keys)
    ordered = np.sort(found)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(twice):
        return set(), 0
    places = _among(found, twice)
    order = np.argsort(found[places], kind="stable")
    again = found[places][order][1:] == found[places][order][:-1]
    later = np.sort(places[order[1:][again]])
    told = later[: MAX_REJECTED + 1]
    first = _among(found[: told[-1] + 1], np.unique(found[told]))
    return set(first.tolist()), len(later) - len(told)


def _among(keys: Any, wanted: Any) -> Any:
    """Where keys stand that are among the wanted ones, which are sorted."""
    import numpy as np

    at = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
    return np.flatnonzero(wanted[at] == keys)


def _shifted_where_small(source: LabelSource, rows: LabelRows) -> LabelRows:
    """The rows with the declared shift of those scores that need it only in one of the forms that circulate."""
    for dimension, score in source.scores.items():
        if score.scale_up_to is None:
            continue
        largest = max((Decimal(text) for row in rows if (text := row.fields[f"mos_{dimension}"])), default=None)
        if largest is not None and largest <= score.scale_up_to:
            rows = rows.changed(partial(_shifted_row, dimension, score))
    return rows


def _shifted_row(dimension: str, score: Score, _: int, row: LabelRow) -> LabelRow:
    mos = row.fields[f"mos_{dimension}"]
    if not mos:
        return row
    moved = _shifted(mos, score)
    low, high = score.range
    return replace(
        row,
        fields=row.fields | {f"mos_{dimension}": moved, f"score_{dimension}": unit_score(moved, low, high)},
    )


def _with_other(first: LabelRow, second: LabelRow) -> LabelRow:
    """The first of two label rows of one image, flagged, with the second's scores beside it."""
    other = {name: text for name, text in second.fields.items() if name.startswith("mos_") and text}
    value = next(iter(other.values())) if len(other) == 1 else other
    return replace(first, extra=first.extra | {"mos_other": value}, flags=(*first.flags, "duplicate-label"))


def _unlabelled_row(source: LabelSource, joined: list[_JoinedTable], name: str) -> LabelRow:
    """An image without a label row: what its name says, and what other tables say of it by name; no score."""
    record = dict.fromkeys(re.findall(r"\{(\w+)\}", source.image.id_template), name)
    for column, pattern in source.extract.items():
        if match := compile_pattern(pattern).search(record.get(column, "")):
            record |= {group: text or "" for group, text in match.groupdict().items()}
    for table in joined:
        record |= table.known_cells(record)
    fields: Row = {"row": "", "prompt": "", "prompt_id": "", "generator": ""}
    for target, origin in source.columns.items():
        value = origin.const or record.get(origin.column, "")
        fields[target] = source.recode.get(target, {}).get(value, value)
    extra: dict[str, object] = {key: record[column] for key, column in source.extra.items() if record.get(column)}
    return LabelRow("", fields, name, (name,), extra, None, ("no-label",))


def refuse_undeclared(labels: Labels, database: Database) -> None:
    """No row of a published table may be lost silently: undeclared rejections refuse the table."""
    if not labels.rejected:
        return
    first = labels.rejected[0]
    count = len(labels.rejected) + labels.untold
    more = f" (and {count - 1} more rows)" if count > 1 else ""
    raise RefusedInput(
        f"{first.path}: {first.problem}: expected {first.expected}, found {first.found}{more}",
        fault="T04",
        database=database.id,
        phase="SCORES",
        findings=labels.rejected[:MAX_LISTED],
        hint="the label table is not the published one; fetch it: aigiqa fetch --labels-only " + database.id,
    )


def layout(database: Database, table: Table) -> tables.Layout:
    """What the table file must look like."""
    kind = table.format or database.asset(table.file).format
    name = database.asset(table.file).published_name
    return tables.Layout(name, kind, table.columns, table.header, table.encoding, table.may_lack, table.others)


def _stacked(database: Database, source: LabelSource, open_table: Opener) -> Iterator[tuple[str, Cells]]:
    patterns = {column: compile_pattern(pattern) for column, pattern in source.extract.items()}
    rows = (row for table in source.tables for row in _records(database, table, open_table))
    number = source.first_row
    for where, record in _ordered(source, patterns, rows) if source.order else rows:
        record["row"] = str(number)
        _extract(patterns, record)
        yield where, record
        number += 1


def _extract(patterns: Mapping[str, Any], record: Cells) -> None:
    """Add the named groups of each pattern that fits its column."""
    for column, pattern in patterns.items():
        if match := pattern.search(record.get(column, "")):
            record |= {name: text or "" for name, text in match.groupdict().items()}


def _ordered(
    source: LabelSource, patterns: Mapping[str, Any], rows: Iterable[tuple[str, Cells]]
) -> list[tuple[str, Cells]]:
    """All rows, in the declared order; those that fit no pattern are rejected later, wherever they stand."""
    listed = list(rows)
    for _, record in listed:
        _extract(patterns, record)

    def place(row: tuple[str, Cells]) -> list[tuple[int, str]]:
        texts = [(key.values, row[1].get(key.column, "")) for key in source.order]
        return [(values.index(text) if text in values else len(values), text) for values, text in texts]

    return sorted(listed, key=place)


def _records(database: Database, table: Table, open_table: Opener) -> Iterator[tuple[str, Cells]]:
    """The rows of one table as records; declared repeats of a key are one record."""
    shape = layout(database, table)
    seen: dict[str, Cells] = {}
    with open_table(table.file) as stream:
        for line, cells in tables.rows(stream, shape):
            record = dict(zip(table.names, cells, strict=not table.may_lack)) | table.constants
            if table.repeats is None or _is_first(shape, line, table.repeats, record, seen):
                yield f"{shape.name}:{line}", record


def _is_first(shape: tables.Layout, line: int, repeats: Repeats, record: Cells, seen: dict[str, Cells]) -> bool:
    """Is this the first row of its key? A later one must say the same."""
    core = {name: text for name, text in record.items() if name not in repeats.ignore}
    first = seen.setdefault(record[repeats.key], core)
    if first is core:
        return True
    for name, text in core.items():
        if text != first[name]:
            problem = f"rows of {repeats.key} {record[repeats.key]} differ in {name}"
            raise shape.refusal(line, problem, first[name], text, "T05")
    return False


class _JoinedTable:
    """A further table in memory, found by key or by row number."""

    def __init__(self, database: Database, join: Join, open_table: Opener) -> None:
        self.join = join
        self.by_key: dict[str, Cells] = {}
        self.places: dict[str, str] = {}  # key -> file and line
        self.used: set[str] = set()
        for number, (where, record) in enumerate(_records(database, join.table, open_table)):
            key = self._key((record | {"row": str(number)})[join.on[1]] if join.on else str(number))
            self.places.setdefault(key, where)
            if self.by_key.setdefault(key, record) is not record:
                raise RefusedInput(f"{where}: the key {key!r} stands twice", fault="T05", phase="SCORES")

    def cells(self, number: int, record: Mapping[str, str]) -> Cells:
        key = self._key(record[self.join.on[0]]) if self.join.on else str(number)
        partner = self.by_key.get(key)
        if partner is None and not self.join.optional:
            raise _Rejected(f"{self.join.table.file} has no row for it", f"a row {key}", "none")
        self.used.add(key)
        added = {name: (partner or {}).get(name, "") for name in self.join.added}
        return added | {name: self._one_value(name, record, partner or {}) for name in self.join.fills}

    def place(self, column: str, number: int, record: Mapping[str, str]) -> str:
        """File and line of what this table says in `column` of a row; "" if it says nothing there."""
        if column not in self.join.added:
            return ""
        key = record.get(self.join.on[0], "") if self.join.on else str(number)
        return self.places.get(self._key(key), "")

    def _one_value(self, column: str, record: Mapping[str, str], partner: Mapping[str, str]) -> str:
        own, other = record.get(column, ""), partner.get(column, "")
        if own and other and not _agree(own, other):
            raise _Rejected(f"{self.join.table.file} says something else in {column}", own, other)
        return own or other

    def known_cells(self, record: Mapping[str, str]) -> Cells:
        """The cells for a row that only its name describes: nothing where the key is not known or has no partner."""
        key = self._key(record.get(self.join.on[0], "")) if self.join.on else ""
        if key not in self.by_key:
            return {}
        self.used.add(key)
        return {name: self.by_key[key].get(name, "") for name in self.join.added}

    def unused_findings(self, database: str) -> Iterator[Finding]:
        """Rows that belong to nothing are lost rows, unless the manifest names them."""
        for key in self.by_key:
            if key not in self.used:
                yield Finding(database, self.join.table.file, "a row belongs to no image", "a known key", key)

    def _key(self, text: str) -> str:
        return str(int(text)) if self.join.integer and text.isascii() and text.isdigit() else text


def _label_row(source: LabelSource, joined: list[_JoinedTable], number: int, where: str, record: Cells) -> LabelRow:
    for table in joined:
        record = record | table.cells(number, record)
    for column, pattern in source.extract.items():
        if not set(compile_pattern(pattern).groupindex) <= record.keys():
            raise _Rejected(f"column {column} does not follow the declared pattern", pattern, record.get(column, ""))
    fields = _plain_fields(source, record)
    lacking = {name for table in source.tables for name in table.may_lack if name not in record}
    extra: dict[str, object] = {
        name: record.get(column, "") for name, column in source.extra.items() if column not in lacking
    }
    for name, columns in source.sums.items():
        if name not in extra:
            extra[name] = _sum(columns, record)
    for dimension, score in source.scores.items():
        fields |= _score_fields(dimension, score, record, extra)
    fields["row"] = record["row"]
    image_id = _file_name(source.image.id, fill(source.image.id_template, record))
    find = tuple(fill(template, record) for template in source.image.find)
    if source.image.aliases:
        extra["aliases"] = [fill(template, record) for template in source.image.aliases]
    return LabelRow(where, fields, image_id, find, extra, _reference(source, record, fields.get("task", "")))


def _plain_fields(source: LabelSource, record: Cells) -> Row:
    fields: Row = {}
    for target, origin in source.columns.items():
        value = origin.const or record.get(origin.column, "")
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
    mos = _number(score.mos, record.get(score.mos, ""), score)
    fields = {f"mos_{dimension}": mos, f"score_{dimension}": ""}
    if mos:
        if not low <= Decimal(mos) <= high:
            raise _Rejected(f"column {score.mos} is out of range", f"{low} to {high}", mos, score.mos)
        fields[f"score_{dimension}"] = unit_score(mos, low, high)
    if score.std:
        fields[f"std_{dimension}"] = _deviation(score.std, record.get(score.std, ""), score)
    if score.raw_std:
        extra[f"raw_std_{dimension}"] = _deviation(score.raw_std, record.get(score.raw_std, ""), score, shift=False)
    return fields


def _deviation(column: str, text: str, score: Score, *, shift: bool = True) -> str:
    value = _number(column, text, score, shift=shift)
    if value and Decimal(value) < 0:
        raise _Rejected(f"column {column} is negative", "0 or more", value, column)
    return value


def _number(column: str, text: str, score: Score, *, shift: bool = True) -> str:
    if not text and score.optional:
        return ""
    if not NUMBER.fullmatch(text):
        raise _Rejected(f"column {column} is not a number", "a decimal number", repr(text), column)
    return _shifted(text, score) if score.scale and shift and score.scale_up_to is None else text


def _sum(columns: Iterable[str], record: Cells) -> str:
    """The exact sum of published numbers, without zeros at its end."""
    for column in columns:
        if not NUMBER.fullmatch(record.get(column, "")):
            raise _Rejected(
                f"column {column} is not a number", "a decimal number", repr(record.get(column, "")), column
            )
    return format(sum((Decimal(record[column]) for column in columns), Decimal()).normalize(), "f")


def _shifted(text: str, score: Score) -> str:
    return format(Decimal(text).scaleb(len(score.scale) - 1), "f")


def fill(template: str, record: Mapping[str, str]) -> str:
    """`template` with its {column} places filled."""
    return re.sub(r"\{(\w+)\}", lambda place: record[place[1]], template)


def _agree(one: str, other: str) -> bool:
    """Equal texts, or numbers that differ by no more than a copy through binary numbers explains."""
    if one == other or not (NUMBER.fullmatch(one) and NUMBER.fullmatch(other)):
        return one == other
    return math.isclose(float(one), float(other), rel_tol=SAME)


def _file_name(column: str, name: str) -> str:
    """Names become files below our root, so they pass the same gate as archive names."""
    try:
        if "/" in safe_relative_path(name):
            raise ValueError("expected a bare file name")
    except ValueError as error:
        raise _Rejected(f"column {column} is not a usable file name", str(error), name) from None
    return name


def _reference(source: LabelSource, record: Cells, task: str) -> Reference | None:
    rule = source.reference
    if rule is None:
        return None
    if not record[rule.when]:
        if task == TASKS[1]:
            raise _Rejected(f"column {rule.when} is empty", "the reference of an image-to-image row", "nothing")
        return None
    name = _file_name(rule.when, fill(rule.name, record))
    return Reference(name, tuple(fill(template, record) for template in rule.find))
