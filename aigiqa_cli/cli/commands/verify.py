"""aigiqa verify."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aigiqa_cli.cli.commands.options import Databases
from aigiqa_cli.cli.desk import Answer, Desk, Outcome, command
from aigiqa_cli.cli.terminal import Column, Terminal, human_bytes
from aigiqa_cli.errors import Fault, UsageFault
from aigiqa_cli.installing import root_index
from aigiqa_cli.steps.verify import FOREIGN, Verified, require_sound, verify_root
from aigiqa_cli.steps.verify import verify as verify_one
from aigiqa_cli.store import installed_ids


def verify(
    desk: Desk,
    databases: Databases = None,
    *,
    decode: Annotated[bool, typer.Option("--decode", help="Also decode every image.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Restore what is damaged.")] = False,
) -> Answer:
    """Read every installed file and compare it with its record: missing, truncated, changed, extra (exit 4).

    Examples:

        aigiqa verify

        aigiqa verify DB --decode

        aigiqa verify --json | jq '.findings[].path'
    """
    names = desk.installed_names(databases or ()) or installed_ids(desk.context.root)
    if not names and not desk.context.root.index.exists():
        raise UsageFault("nothing is installed", hint="aigiqa list shows what can be fetched", phase="PLAN")
    results: dict[str, Verified] = {}
    outcomes = [_one(desk, name, results, decode=decode, repair=repair) for name in dict.fromkeys(names)]
    root_findings = [] if databases else verify_root(desk.context)
    if root_findings and repair:
        root_index.rebuild(desk.context.root, desk.context.reporter)
        root_findings = verify_root(desk.context)
    fault = _damage([], root_findings)
    return Answer(outcomes=outcomes, fault=fault, strict=True, show=lambda terminal: _show(terminal, results, outcomes))


def _one(desk: Desk, name: str, results: dict[str, Verified], *, decode: bool, repair: bool) -> Outcome:
    try:
        found = verify_one(desk.context, name, decode=decode)
        if found.findings and repair:
            _repair(desk, name, found)
            found = verify_one(desk.context, name, decode=decode)
    except Fault as fault:
        fault.database = fault.database or name
        return Outcome(name, None, fault)
    results[name] = found
    data: dict[str, Any] = {"files": found.files, "bytes": found.bytes, "problems": len(found.findings)}
    return Outcome(name, data, _damage([found], []))


def _repair(desk: Desk, name: str, found: Verified) -> None:
    """Set aside what does not match, then restore it: what can be computed again is, images are fetched.

    What is not ours is left where it is.
    """
    from aigiqa_cli.steps.fetch import Request
    from aigiqa_cli.steps.fetch import fetch as fetch_one
    from aigiqa_cli.steps.set_aside import set_aside

    damage = [finding for finding in found.findings if finding.problem != FOREIGN]
    if not damage:
        return
    for path in set_aside(desk.context, name, damage):
        desk.context.reporter.note(f"kept in quarantine: {path}")
    folders = {finding.path.split("/")[1] for finding in damage}
    pictures = bool(folders & {"images", "references"})
    request = Request(labels_only=not found.images, force=pictures, rebuild=True, splits="splits" in folders)
    fetch_one(desk.context, desk.context.catalogue.database(name), request)


def _damage(results: list[Verified], root_findings: list[Any]) -> Fault | None:
    try:
        require_sound(results, root_findings)
    except Fault as fault:
        return fault
    return None


def _show(terminal: Terminal, results: dict[str, Verified], outcomes: list[Outcome]) -> None:
    columns = (
        Column("database", style="bold cyan"),
        Column("verdict"),
        Column("files", right=True),
        Column("size", right=True),
    )
    found = [results[outcome.database] for outcome in outcomes if outcome.database in results]
    terminal.table(columns, [(r.database, _verdict(r), str(r.files), human_bytes(r.bytes)) for r in found])


def _verdict(found: Verified) -> str:
    count = len(found.findings)
    return f"{count} problem{'s' if count > 1 else ''}" if count else "ok"


command_ = command(verify)
