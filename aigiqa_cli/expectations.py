"""What a complete set of labels has, as the manifest expects it: counts, parts, published statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from aigiqa_cli.errors import Finding, RefusedInput
from aigiqa_cli.rules import LabelRow, Labels

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database, Dimension, LabelSource, Statistics

_DIVISORS = (100, 20, 10, 5)  # by which copies of published scores are known to have been divided


def check(database: Database, source: LabelSource, labels: Labels) -> None:
    """Counts and published statistics of the label rows against the manifest. Raises RefusedInput."""
    rows = labels.rows
    if source.partial is not None:
        findings = _count_findings(database, {"rows": (len(rows), (source.partial, source.partial))})
    else:
        findings = _count_findings(database, _counts(database, rows))
        findings += _statistics_findings(database, database.expect.mos, rows)
        if source.reference and database.expect.references:
            names = {row.reference.name for row in rows if row.reference}
            findings += _count_findings(database, {"references": (len(names), database.expect.references)})
    findings += _part_findings(database, rows, complete=source.partial is None)
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


def _counts(database: Database, rows: tuple[LabelRow, ...]) -> dict[str, tuple[int, tuple[int, int]]]:
    expect = database.expect
    counts = {"rows": (len(rows), expect.rows)}
    if expect.prompts:
        counts["distinct prompts"] = (len({r.fields["prompt"] for r in rows if r.fields["prompt"]}), expect.prompts)
    generators = [row.fields["generator"] for row in rows]
    for slug in sorted({*expect.generators, *generators}):
        counts[f"rows of generator {slug}"] = (generators.count(slug), expect.generators.get(slug, (0, 0)))
    return counts


def _count_findings(database: Database, counts: dict[str, tuple[int, tuple[int, int]]]) -> list[Finding]:
    return [
        Finding(database.id, "labels", what, _between(*bounds), str(found))
        for what, (found, bounds) in counts.items()
        if not bounds[0] <= found <= bounds[1]
    ]


def _part_findings(database: Database, rows: tuple[LabelRow, ...], *, complete: bool) -> Iterator[Finding]:
    groups: dict[tuple[str, ...], dict[tuple[str, ...], list[LabelRow]]] = {}
    for part in database.expect.parts:
        names = tuple(part.of)
        if names not in groups:
            groups[names] = _grouped(rows, names)
        held = tuple(groups[names].get(tuple(part.of.values()), ()))
        if not held and not complete:
            continue
        what = f" of {' '.join(part.of.values())}"
        findings = _count_findings(database, {"rows": (len(held), part.rows)})
        findings += _statistics_findings(database, part.mos, held)
        yield from (replace(finding, problem=finding.problem + what) for finding in findings)


def _grouped(rows: Iterable[LabelRow], names: tuple[str, ...]) -> dict[tuple[str, ...], list[LabelRow]]:
    """Rows by the text of these index fields."""
    groups: dict[tuple[str, ...], list[LabelRow]] = {}
    for row in rows:
        groups.setdefault(tuple(row.fields.get(name, "") for name in names), []).append(row)
    return groups


def _statistics_findings(
    database: Database, statistics: Mapping[Dimension, Statistics], rows: tuple[LabelRow, ...]
) -> Iterator[Finding]:
    for dimension, expected in statistics.items():
        values = [Decimal(text) for row in rows if (text := row.fields[f"mos_{dimension}"])]
        if not values:
            continue
        found = {"min": min(values), "max": max(values), "mean": sum(values, Decimal()) / len(values)}
        for name, value in found.items():
            stated = getattr(expected, name)
            if value.quantize(stated) != stated:
                problem = f"{name} of mos_{dimension}{_scaled_copy(value, stated)}"
                yield Finding(database.id, "labels", problem, str(stated), str(value.quantize(stated)))


def _scaled_copy(value: Decimal, stated: Decimal) -> str:
    """What to say of a score that is the published one on another scale: such copies circulate."""
    divided = (divisor for divisor in _DIVISORS if (value * divisor).quantize(stated) == stated)
    return next((f" (published, divided by {divisor}: a copy on another scale)" for divisor in divided), "")


def _between(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"
