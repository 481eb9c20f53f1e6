"""What a complete set of labels has, as the manifest expects it: counts, parts, published statistics."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from aigiqa_cli import label_rows
from aigiqa_cli.errors import Finding, RefusedInput
from aigiqa_cli.label_rows import LabelRow
from aigiqa_cli.rules import Labels

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database, Dimension, LabelSource, Statistics

_DIVISORS = (100, 20, 10, 5)  # by which copies of published scores are known to have been divided


@dataclass
class _Scores:
    """What is counted of one score."""

    count: int = 0
    low: Decimal = Decimal("Infinity")
    high: Decimal = Decimal("-Infinity")
    total: Decimal = Decimal()

    def add(self, text: str) -> None:
        if text:
            value = Decimal(text)
            self.count += 1
            self.low, self.high, self.total = min(self.low, value), max(self.high, value), self.total + value


class _Tally:
    """What is counted of some rows, and of those of their scores of which something is expected."""

    def __init__(self, expected: Mapping[Dimension, Statistics]) -> None:
        self.expected = expected
        self.rows = 0
        self._scores = {dimension: _Scores() for dimension in expected}

    def add(self, row: LabelRow) -> None:
        self.rows += 1
        for dimension, scores in self._scores.items():
            scores.add(row.fields.get(f"mos_{dimension}", ""))

    def findings(self, database: Database) -> Iterator[Finding]:
        """Where the scores are not those that are expected."""
        for dimension, scores in self._scores.items():
            if not scores.count:
                continue
            found = {"min": scores.low, "max": scores.high, "mean": scores.total / scores.count}
            for name, value in found.items():
                stated = getattr(self.expected[dimension], name)
                if value.quantize(stated) != stated:
                    problem = f"{name} of mos_{dimension}{_scaled_copy(value, stated)}"
                    yield Finding(database.id, "labels", problem, str(stated), str(value.quantize(stated)))


class _Distinct:
    """How many different texts there are. Many are known by hashes of 64 bits: that two of ten million share one is
    no more likely than one in a hundred thousand."""

    def __init__(self) -> None:
        self._few: set[str] = set()
        self._hashes = array("q")

    def add(self, text: str) -> None:
        if len(self._few) < label_rows.FEW:
            self._few.add(text)
        elif text not in self._few:
            self._hashes.append(hash(text))

    def __len__(self) -> int:
        if not self._hashes:
            return len(self._few)
        import numpy as np

        return len(self._few) + len(np.unique(np.asarray(self._hashes)))


class _Counted:
    """All that the expectations of a database are held against, of rows that are looked at once."""

    def __init__(self, database: Database, rows: Iterable[LabelRow]) -> None:
        expect = database.expect
        self.whole = _Tally(expect.mos)
        self.parts = [_Tally(part.mos) for part in expect.parts]
        self.generators: Counter[str] = Counter()
        self.prompts, self.references = _Distinct(), _Distinct()
        wanted: dict[tuple[str, ...], dict[tuple[str, ...], list[_Tally]]] = {}
        for part, tally in zip(expect.parts, self.parts, strict=True):
            wanted.setdefault(tuple(part.of), {}).setdefault(tuple(part.of.values()), []).append(tally)
        for row in rows:
            self.whole.add(row)
            self.generators[row.fields["generator"]] += 1
            if expect.prompts and row.fields["prompt"]:
                self.prompts.add(row.fields["prompt"])
            if expect.references and row.reference:
                self.references.add(row.reference.name)
            for names, tallies in wanted.items():
                for tally in tallies.get(tuple(row.fields.get(name, "") for name in names), ()):
                    tally.add(row)


def check(database: Database, source: LabelSource, labels: Labels) -> None:
    """Counts and published statistics of the label rows against the manifest. Raises RefusedInput."""
    found = _Counted(database, labels.rows)
    if source.partial is not None:
        findings = _count_findings(database, {"rows": (found.whole.rows, (source.partial, source.partial))})
    else:
        findings = _count_findings(database, _counts(database, found))
        findings += found.whole.findings(database)
        if source.reference and database.expect.references:
            findings += _count_findings(database, {"references": (len(found.references), database.expect.references)})
    findings += _part_findings(database, found, complete=source.partial is None)
    if findings:
        where = ", ".join(database.asset(name).published_name for name in source.needs)
        findings = [replace(finding, path=where) for finding in findings]
        listed = "; ".join(f"{f.problem}: expected {f.expected}, found {f.found}" for f in findings[:3])
        raise RefusedInput(
            f"{where}: the labels of {database.title} are not the published ones: {listed}",
            fault="T06",
            database=database.id,
            phase="SCORES",
            findings=findings,
        )


def _counts(database: Database, found: _Counted) -> dict[str, tuple[int, tuple[int, int]]]:
    expect = database.expect
    counts = {"rows": (found.whole.rows, expect.rows)}
    if expect.prompts:
        counts["distinct prompts"] = (len(found.prompts), expect.prompts)
    for slug in sorted({*expect.generators, *found.generators}):
        counts[f"rows of generator {slug}"] = (found.generators[slug], expect.generators.get(slug, (0, 0)))
    return counts


def _count_findings(database: Database, counts: dict[str, tuple[int, tuple[int, int]]]) -> list[Finding]:
    return [
        Finding(database.id, "labels", what, _between(*bounds), str(found))
        for what, (found, bounds) in counts.items()
        if not bounds[0] <= found <= bounds[1]
    ]


def _part_findings(database: Database, found: _Counted, *, complete: bool) -> Iterator[Finding]:
    for part, tally in zip(database.expect.parts, found.parts, strict=True):
        if not tally.rows and not complete:
            continue
        what = f" of {' '.join(part.of.values())}"
        findings = _count_findings(database, {"rows": (tally.rows, part.rows)})
        findings += tally.findings(database)
        yield from (replace(finding, problem=finding.problem + what) for finding in findings)


def _scaled_copy(value: Decimal, stated: Decimal) -> str:
    """What to say of a score that is the published one on another scale: such copies circulate."""
    divided = (divisor for divisor in _DIVISORS if (value * divisor).quantize(stated) == stated)
    return next((f" (published, divided by {divisor}: a copy on another scale)" for divisor in divided), "")


def _between(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"
