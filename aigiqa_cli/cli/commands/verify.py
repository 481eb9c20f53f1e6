"""aigiqa verify."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aigiqa_cli.cli.commands.options import Databases, Password
from aigiqa_cli.cli.desk import Answer, Desk, Outcome, command
from aigiqa_cli.cli.terminal import Column, Terminal, human_bytes
from aigiqa_cli.errors import Fault, Finding, UsageFault
from aigiqa_cli.steps.verify import FOREIGN, Verified, require_sound, verify_root
from aigiqa_cli.steps.verify import verify as verify_one
from aigiqa_cli.store import installed_ids

if TYPE_CHECKING:
    from aigiqa_cli.steps.repair import Repaired

MAX_TOLD = 20  # restored files that are named one by one


def verify(
    desk: Desk,
    databases: Databases = None,
    *,
    decode: Annotated[bool, typer.Option("--decode", help="Also decode every image.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Read only what looks changed since.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Restore what is damaged, and nothing else.")] = False,
    password: Password = "",
) -> Answer:
    """Read every installed file and compare it with its record: missing, truncated, changed, extra (exit 4).

    `--repair` gives damaged files their recorded bytes back: from kept archives, else by fetching just these files out
    of the zip or folder at a mirror, else by the whole download. What was there instead is kept in quarantine.

    `--quick` reads only files that do not look as they did when they were hashed last, on installing or by a former
    `--quick`: size, times and inode, as git status compares them. It does not see bits that rotted on the disk, which
    only reading finds.

    Examples:

        aigiqa verify

        aigiqa verify --quick

        aigiqa verify DB --decode

        aigiqa verify DB --repair

        aigiqa verify --json | jq '.findings[].path'
    """
    if quick and decode:
        raise UsageFault(
            "--quick leaves files unread, --decode decodes every image", hint="leave one of the two out", phase="PLAN"
        )
    names = desk.installed_names(databases or ()) or installed_ids(desk.context.root)
    if not names and not desk.context.root.index.exists():
        raise UsageFault("nothing is installed", hint="aigiqa list shows what can be fetched", phase="PLAN")
    results: dict[str, Verified] = {}
    look = partial(verify_one, desk.context, decode=decode, quick=quick)
    outcomes = [_one(desk, name, results, look, repair=repair, password=password) for name in dict.fromkeys(names)]
    root_findings = [] if databases else verify_root(desk.context, [*results.values()], quick=quick)
    if root_findings and repair:
        from aigiqa_cli import root_index

        root_index.rebuild(desk.context.root, desk.context.reporter)
        root_findings = verify_root(desk.context, [*results.values()], quick=quick)
    fault = _damage([], root_findings)
    show = partial(_show, found=list(results.values()), quick=quick)
    return Answer(outcomes=outcomes, fault=fault, strict=True, show=show)


def _one(
    desk: Desk, name: str, results: dict[str, Verified], look: Callable[[str], Verified], *, repair: bool, password: str
) -> Outcome:
    repaired: Repaired | None = None
    try:
        found = look(name)
        damage = [finding for finding in found.findings if finding.problem != FOREIGN]
        if damage and repair:
            repaired = _repair(desk, name, damage, password, images=bool(found.images))
            found = look(name)
    except Fault as fault:
        fault.database = fault.database or name
        return Outcome(name, None, fault)
    results[name] = found
    data: dict[str, Any] = {
        "files": found.files,
        "bytes": found.bytes,
        "problems": len(found.findings),
        "trusted": found.trusted,
    }
    if repair:
        from aigiqa_cli.steps.repair import Repaired

        data |= (repaired or Repaired(name)).as_json()
    fault_left = _damage([found], [])
    if repaired and repaired.fault and fault_left:
        repaired.fault.findings = (*fault_left.findings, *repaired.fault.findings)
        fault_left = repaired.fault
    return Outcome(name, data, fault_left)


def _repair(desk: Desk, name: str, damage: list[Finding], password: str, *, images: bool) -> Repaired:
    """Restore exactly what is damaged. Where the recorded bytes of labels, splits or the index are not to be had (the
    manifest has changed since), they are built anew from what is published now."""
    from aigiqa_cli.steps.repair import repair as repair_one

    repaired = repair_one(desk.context, name, damage, password)
    _tell(desk, repaired)
    if not repaired.buildable:
        return repaired
    from aigiqa_cli.steps.fetch import Request
    from aigiqa_cli.steps.fetch import fetch as fetch_one

    desk.reporter.note(f"{name}: {', '.join(repaired.left)}: built anew, from what is published now")
    splits = any(path.startswith("splits/") for path in repaired.left)
    request = Request(labels_only=not images, rebuild=True, splits=splits, password=password)
    fetch_one(desk.context, desk.context.catalogue.database(name), request)
    return replace(repaired, left=(), fault=None)


def _tell(desk: Desk, repaired: Repaired) -> None:
    """What was damaged, and how it was restored; what was fetched, and from where."""
    for file in repaired.files[:MAX_TOLD]:
        how = f"{file.how}, {file.origin}" if file.origin != file.how else file.how
        size = f", {human_bytes(file.moved)}" if file.moved else ""
        desk.reporter.note(f"{repaired.database}/{file.path}: {file.problem}; restored ({how}{size})")
    if len(repaired.files) > MAX_TOLD:
        desk.reporter.note(f"... and {len(repaired.files) - MAX_TOLD:,} more files of {repaired.database}; see --json")
    for origin, count in repaired.fetched:
        desk.reporter.note(f"{repaired.database}: {human_bytes(count)} ({count:,} bytes) fetched from {origin}")
    if repaired.quarantined:
        kept = f"{len(repaired.quarantined)} damaged file" + ("s" if len(repaired.quarantined) > 1 else "")
        desk.reporter.note(f"{repaired.database}: {kept} kept in {desk.context.root.quarantine}")


def _damage(results: list[Verified], root_findings: list[Any]) -> Fault | None:
    try:
        require_sound(results, root_findings)
    except Fault as fault:
        return fault
    return None


def _show(terminal: Terminal, found: list[Verified], *, quick: bool) -> None:
    """With `--quick` also how many files were not read."""
    columns = [
        Column("database", style="bold cyan"),
        Column("verdict"),
        Column("files", right=True),
        Column("size", right=True),
    ]
    rows = [[one.database, _verdict(one), str(one.files), human_bytes(one.bytes)] for one in found]
    if quick:
        columns.append(Column("not read", right=True))
        rows = [[*row, str(one.trusted)] for row, one in zip(rows, found, strict=True)]
    terminal.table(columns, rows)


def _verdict(found: Verified) -> str:
    count = len(found.findings)
    return f"{count} problem{'s' if count > 1 else ''}" if count else "ok"


command_ = command(verify)
