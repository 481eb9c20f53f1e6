"""aigiqa info."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aigiqa_cli import mirrors
from aigiqa_cli.cli.commands.options import OneDatabase
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.terminal import Column, Terminal, human_bytes
from aigiqa_cli.states import State, state_of

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database, Mirror, Split


def info(desk: Desk, database: OneDatabase) -> Answer:
    """All that is known of a database: mirrors with codes and health, scales, splits, known defects, citation.

    Examples:

        aigiqa info DB

        aigiqa info DB --json | jq .data.manifest.defects
    """
    known = desk.databases([database])[0]
    state = state_of(desk.context.root, known.id, known)
    data: dict[str, Any] = {
        "manifest": known.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "state": str(state),
        "why": state.why,
    }

    def show(terminal: Terminal) -> None:
        _identity(terminal, known, state)
        _assets(terminal, known)
        _scores(terminal, known)
        _splits(terminal, known, state)
        _known_problems(terminal, known)

    return Answer(data, show)


def _identity(terminal: Terminal, known: Database, state: State) -> None:
    low, high = known.expect.images
    facts: list[tuple[str, object]] = [
        ("id", known.id),
        ("title", known.title),
        ("summary", known.summary),
        ("state here", f"{state}{f': {state.why}' if state.why else ''}"),
        ("images", str(low) if low == high else f"{low} to {high}"),
        ("generators", ", ".join(f"{name} {_range(count)}" for name, count in known.expect.generators.items())),
        ("licence", f"{known.license.spdx}: {known.license.scope} ({known.license.source})"),
        ("homepage", known.homepage or "unknown"),
        ("cite", f"{', '.join(known.citation.authors)}: {known.citation.title}, {known.citation.year}"),
    ]
    terminal.facts(facts)


def _range(bounds: tuple[int, int]) -> str:
    return str(bounds[0]) if bounds[0] == bounds[1] else f"{bounds[0]}-{bounds[1]}"


def _assets(terminal: Terminal, known: Database) -> None:
    if not terminal.out_is_terminal:
        for asset in known.assets:
            terminal.record("file", asset.name, _role(asset), asset.bytes or "", asset.sha256 or "unpinned")
            for mirror in asset.mirrors:
                terminal.record("mirror", asset.name, *_mirror(mirror))
        return
    terminal.heading("Files and mirrors")
    for asset in known.assets:
        size = human_bytes(asset.bytes) if asset.bytes is not None else asset.approximate_size or "size unknown"
        terminal.styled([(asset.name, "bold cyan"), (f"  {_role(asset)}, {size}", "")])
        proof = f"SHA-256 {asset.sha256}" if asset.sha256 else "unpinned: no published hash"
        terminal.styled([("  " + proof, "dim")])
        for mirror in asset.mirrors:
            link, code, health = _mirror(mirror)
            dead = mirror.health is not None and mirror.health.state != "ok"
            line = [(f"  {mirror.kind:<12}", "dim" if dead else "green"), (link, "dim" if dead else "")]
            line += [("  code ", "dim"), (code, "bold")] if code else []
            line += [(f"  {health}", "red")] if health else []
            terminal.styled(line)


def _role(asset: Asset) -> str:
    return f"repack of {asset.substitutes}" if asset.substitutes else asset.role


def _mirror(mirror: Mirror) -> tuple[str, str, str]:
    health = f"{mirror.health.state} {mirror.health.date or ''}".strip() if mirror.health else ""
    return mirrors.link(mirror) or mirrors.label(mirror), mirror.code, health


def _scores(terminal: Terminal, known: Database) -> None:
    rows = [
        (name, f"{score.range[0]} to {score.range[1]}", score.raters or "?", score.method or "?")
        for name, score in known.labels[0].scores.items()
    ]
    columns = (
        Column("dimension", style="bold"),
        Column("scale"),
        Column("raters", right=True),
        Column("how", wrap=True),
    )
    terminal.block("Scores (higher is better; published numbers are never altered)", "score", columns, rows)


def _splits(terminal: Terminal, known: Database, state: State) -> None:
    here = set(state.record.splits) if state.record else set()
    columns = (
        Column("name", style="bold"),
        Column("keeps together"),
        Column("how"),
        Column("here"),
        Column("note", wrap=True),
    )
    terminal.block("Splits", "split", columns, [_split_row(split, here) for split in known.splits])


def _split_row(split: Split, here: set[str]) -> tuple[str, ...]:
    if split.published is not None:
        tested = "" if split.published.tested else ", untested"
        how = f"{len(split.published.files)} published files{tested}"
    else:
        how = "rule" if split.rule is not None else "described only"
    present = any(name == split.name or name.rpartition("-")[0] == split.name for name in here)
    return split.name, split.by, how, "yes" if present else "no", split.note or split.described


def _known_problems(terminal: Terminal, known: Database) -> None:
    columns = (Column("what", wrap=True), Column("evidence", wrap=True, style="dim"))
    defects = [(defect.what, defect.evidence) for defect in known.defects]
    terminal.block("Known defects of the published database", "defect", columns, defects)
    if known.facts and terminal.out_is_terminal:
        terminal.heading("What else the sources say")
        terminal.facts(list(known.facts.items()))
    if known.results:
        terminal.note(f"{len(known.results)} published results: aigiqa info {known.id} --json")


command_ = command(info)
