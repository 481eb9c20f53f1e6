"""aigiqa doctor."""

from __future__ import annotations

from dataclasses import asdict

from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.terminal import Column, Terminal
from aigiqa_cli.errors import MachineFault
from aigiqa_cli.steps.doctor import BAD, Check, examine

_STYLES = {"ok": "green", "warning": "yellow", "bad": "bold red"}


def doctor(desk: Desk) -> Answer:
    """Check this machine: interpreter, libraries against their floors, tools, root, space, settings (exit 7 if bad).

    Examples:

        aigiqa doctor

        aigiqa doctor --json | jq '.data[] | select(.verdict != "ok")'
    """
    checks = examine(desk.context)
    bad = [check for check in checks if check.verdict == BAD]

    def show(terminal: Terminal) -> None:
        _table(terminal, checks)

    fault = None
    if bad:
        names = ", ".join(check.name for check in bad)
        fault = MachineFault(f"{len(bad)} things are not in order: {names}", phase="PLAN")
    return Answer([asdict(check) for check in checks], show, fault=fault)


def _table(terminal: Terminal, checks: list[Check]) -> None:
    from rich.text import Text

    from aigiqa_cli.cli.safe_text import safe_text

    columns = (Column("what", style="bold"), Column("verdict"), Column("found", wrap=True))
    rows = []
    for check in checks:
        verdict = Text(safe_text(check.verdict), _STYLES[check.verdict]) if terminal.out_is_terminal else check.verdict
        rows.append((check.name, verdict, check.detail))
    terminal.table(columns, rows)


command_ = command(doctor)
