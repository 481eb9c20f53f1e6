"""aigiqa doctor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from aigiqa_cli.cli.commands.options import complete_ids
from aigiqa_cli.cli.desk import Answer, Desk, Outcome, command
from aigiqa_cli.cli.terminal import Terminal
from aigiqa_cli.errors import MachineFault, UsageFault

if TYPE_CHECKING:
    from aigiqa_cli.examining import Check
    from aigiqa_cli.steps.links import Checked

_LOOKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "bad": ("✗", "bold red"), "not tested": ("·", "dim")}
_STATES = {"alive": "ok", "by hand": "not tested", "unreachable": "warning"}


def doctor(
    desk: Desk,
    databases: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DB]...", help="With --links: only these databases (else all).", autocompletion=complete_ids
        ),
    ] = None,
    *,
    links: Annotated[
        bool, typer.Option("--links", help="Ask every mirror for its state, without downloading.")
    ] = False,
) -> Answer:
    """Check this machine: interpreter, libraries and programs against versions with known holes, root, file system,
    locks, space, settings, manifests, what is installed and what is left over.

    Nothing is changed. Exit 0 if nothing is bad (warnings are told), 7 if something is.

    With --links every mirror is asked whether it still has what the manifest promises: by its hub, by HEAD, or for
    its first byte; nothing is downloaded. Shares for people are listed as such. The answers are kept in
    .aigiqa/health.json below the root: fetch tries mirrors that did not answer well last (for 30 days), and info
    shows them. Exit 0 if all answer as promised, 3 if one is gone or closed, 4 if one offers other bytes, 6 if one
    could not be reached; the highest counts. A mirror that its manifest reports dead promises nothing.

    Examples:

        aigiqa doctor

        aigiqa doctor --links DB

        aigiqa doctor --json | jq '.data[] | select(.verdict != "ok")'
    """
    if links:
        return _links(desk, databases or [])
    if databases:
        raise UsageFault(
            "doctor looks at the whole machine; databases are for --links",
            hint=f"aigiqa doctor --links {' '.join(databases)}",
            phase="PLAN",
        )
    from aigiqa_cli.examining import BAD
    from aigiqa_cli.steps.doctor import examine

    checks = examine(desk.context)
    bad = [check for check in checks if check.verdict == BAD]
    fault = None
    if bad:
        names = ", ".join(check.name for check in bad)
        hint = next((check.next for check in bad if check.next), "")
        fault = MachineFault(f"{len(bad)} things are not in order: {names}", hint=hint, phase="PLAN")
    return Answer([asdict(check) for check in checks], lambda terminal: _show(terminal, checks), fault=fault)


def _show(terminal: Terminal, checks: Sequence[Check]) -> None:
    """On a terminal grouped, with the next step below what needs one; elsewhere one record a line."""
    if terminal.out_is_terminal:
        _report(terminal, checks)
    else:
        for check in checks:
            terminal.record(check.name, check.verdict, check.detail, check.next, check.area)
    counts = {word: sum(check.verdict == word for check in checks) for word in _LOOKS}
    counted = [
        f"{count} {word}{'s' if word == 'warning' and count > 1 else ''}" for word, count in counts.items() if count
    ]
    terminal.note(", ".join(counted))


def _report(terminal: Terminal, checks: Sequence[Check]) -> None:
    from aigiqa_cli.cli.page import Page

    page = Page(terminal)
    room = max(len(check.name) for check in checks) + 1
    for area in dict.fromkeys(check.area for check in checks):
        page.heading(area[:1].upper() + area[1:])
        for check in (check for check in checks if check.area == area):
            mark, style = _LOOKS[check.verdict]
            quiet = "" if check.verdict in ("ok", "not tested") else style
            page.parts([(f"{mark} ", style), (f"{check.name:<{room}} ", "bold"), (check.detail, quiet)], 2, room + 5)
            if check.next:
                page.parts([("→ ", "green"), (check.next, "green")], room + 5, room + 7)
    page.blank()


def _links(desk: Desk, words: Sequence[str]) -> Answer:
    from aigiqa_cli.steps.links import check_links

    known = desk.databases(words) if words else list(desk.context.catalogue.databases())
    found = check_links(desk.context, known)
    outcomes = [Outcome(checked.database, checked.as_json(), checked.fault) for checked in found]
    return Answer(show=lambda terminal: _show_links(terminal, found), outcomes=outcomes)


def _show_links(terminal: Terminal, found: Sequence[Checked]) -> None:
    if not terminal.out_is_terminal:
        for checked in found:
            for link in checked.as_json():
                fields = ("asset", "kind", "state", "detail", "url", "code")
                terminal.record(checked.database, *(link[field] for field in fields))
        return
    from aigiqa_cli.cli.page import Page

    page = Page(terminal)
    for checked in found:
        page.heading(checked.database)
        asset = ""
        told = checked.as_json()
        fine = [link for link in told if link["role"] == "split" and link["state"] == "alive"]
        for link in (link for link in told if link not in fine):
            if link["asset"] != asset:
                asset = link["asset"]
                page.parts([(asset, "bold")], 2, 4)
            mark, style = _LOOKS[_STATES.get(link["state"], "bad")]
            line = [(f"{mark} ", style), (f"{link['state']:<11} ", style), (link["mirror"], "cyan")]
            page.parts(line, 4, 18)
            page.text(link["detail"], 18, "dim")
        if fine:
            page.parts([("✓ ", "green"), (f"{len(fine)} files of published splits: alive", "")], 2, 4)
    page.blank()


command_ = command(doctor)
