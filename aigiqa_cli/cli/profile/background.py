"""Traps, what is here, and what else the sources say."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from aigiqa_cli.cli.page import Page
from aigiqa_cli.cli.profile.portrait import TAGS, Portrait
from aigiqa_cli.cli.terminal import human_bytes
from aigiqa_cli.store import Record

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database, Result

MAX_LISTED = 20


def show(page: Page, portrait: Portrait, *, everything: bool) -> None:
    known = portrait.known
    _traps(page, known, everything=everything)
    if portrait.record:
        _here(page, portrait.record, portrait.folder, everything=everything)
    if everything:
        _sources(page, known)
        _facts(page, known)
        _results(page, known)
    _footer(page, known, everything=everything)


def _traps(page: Page, known: Database, *, everything: bool) -> None:
    if not known.defects:
        return
    page.heading("Traps", "known defects of the published database; none of them is damage")
    for defect in known.defects:
        line = [("- ", "yellow"), (defect.what, "")]
        line += [(f" ({defect.affects})", "")] if everything and defect.affects else []
        page.parts([*line, (f"  {defect.evidence}", "dim")], 2, 4)


def _here(page: Page, record: Record, folder: str, *, everything: bool) -> None:
    page.heading("Here")
    page.named("folder", [(folder, "")])
    page.named("installed", [(f"{record.installed_at} by aigiqa {record.aigiqa}", "")])
    counts = [f"{record.rows:,} rows", f"{record.images:,} images"]
    counts += [f"{record.references:,} references"] if record.references else []
    page.named("holds", [(f"{', '.join(counts)}, {human_bytes(record.size)}", "")])
    shown = [source for source in record.sources if everything or source.role != "split"]
    for number, source in enumerate(shown):
        vouched = f"proven by {source.proof}" if source.proof else "unpinned"
        page.named("" if number else "from", [(source.name, "bold"), (f"  {source.origin}, {vouched}", "")])
    if record.splits:
        page.named("splits", [(", ".join(record.splits), "")])
    if record.ignored:
        page.named("left aside", [(f"files that are no part of the database: {record.ignored:,}", "")])
    for warning in record.warnings:
        page.named("warning", [(warning, "yellow")], style="yellow")
    _rejected(page, record, everything=everything)


def _rejected(page: Page, record: Record, *, everything: bool) -> None:
    """Rows of the published tables that are not in the index, each with its reason."""
    rejected = record.rejected
    if not rejected:
        return
    page.named("rejected", [(f"published rows that the index leaves out: {len(rejected):,}", "")])
    listed = rejected if everything else rejected[:MAX_LISTED]
    for finding in listed:
        page.parts([(finding["path"], "bold"), (f": {_reason(finding)}", "")], 4, 6)
    if len(listed) < len(rejected):
        page.text(f"... and {len(rejected) - len(listed):,} more: aigiqa info {record.database} --all", 4, "dim")


def _reason(finding: dict[str, str]) -> str:
    """Why, and what was expected and found where that is known."""
    said = [finding["problem"]]
    said += [f"{word} {finding[word]}" for word in ("expected", "found") if finding.get(word)]
    return "; ".join(said)


def _sources(page: Page, known: Database) -> None:
    page.heading("Where labels come from", "the first of which every file is at hand")
    for source in known.labels:
        page.parts([("- ", "dim"), (", ".join(source.needs), "bold")], 2, 4)
        partial = f"{source.partial:,} of the rows" if source.partial else ""
        lacks = f"lacks {source.lacks}" if source.lacks else ""
        for text in (source.third_party, partial, lacks):
            page.text(text, 4)
        page.text(source.evidence, 4, "dim")
    for witness in known.witnesses:
        page.parts([("known image ", "dim"), (witness.image, "bold")], 2, 4)
        page.text(f"SHA-256 {witness.sha256}", 4, "dim")
        page.text(witness.source, 4, "dim")


def _facts(page: Page, known: Database) -> None:
    facts = {name: text for name, text in known.facts.items() if name != TAGS}
    if not facts:
        return
    page.heading("What else the sources say")
    for name, text in facts.items():
        page.parts([(f"{name}: ", "bold"), (text, "")], 2, 4)


def _results(page: Page, known: Database) -> None:
    """Published correlations, those of one source and protocol together."""
    if not known.results:
        return
    page.heading("Published results", "SRCC and PLCC as their sources give them")
    for (source, protocol), group in groupby(known.results, key=lambda result: (result.source, result.protocol)):
        page.blank()
        page.parts([(source, "bold"), (f"  {protocol}", "dim")], 2, 2)
        page.columns([_result(result) for result in group], ("", "dim", "", "", "dim"), right=(2, 3), indent=4)


def _result(result: Result) -> list[str]:
    numbers = ["" if number is None else str(number) for number in (result.srcc, result.plcc)]
    return [result.method, result.dimension, *numbers, result.note]


def _footer(page: Page, known: Database, *, everything: bool) -> None:
    """The legend of the letters in brackets, and what was not shown."""
    if TAGS in known.facts:
        page.blank()
        page.parts([("Evidence: ", "dim"), (known.facts[TAGS], "dim")], 0, 2)
    page.blank()
    if everything:
        page.text(
            f"The rules by which tables become rows: aigiqa info {known.id} --json, data.manifest.labels", style="dim"
        )
        return
    more = [f"{len(known.results)} published results"] if known.results else []
    more += [f"{len(known.facts)} more facts"] if known.facts else []
    more += ["every copy", "all evidence"]
    page.parts([("More: ", "dim"), (f"aigiqa info {known.id} --all", "green"), (f"  {', '.join(more)}", "dim")], 0, 2)
