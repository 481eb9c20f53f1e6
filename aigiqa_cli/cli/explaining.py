"""A fault in words: what happened, to what, every finding, every share, and the exact next step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aigiqa_cli.cli.terminal import Terminal, human_bytes
from aigiqa_cli.errors import DOWN, Exit, Fault, Finding, Share

MAX_FINDINGS = 20


def explain(terminal: Terminal, fault: Fault) -> None:
    """Write a fault to stderr."""
    where = f"{fault.database}: " if fault.database and fault.database not in fault.message else ""
    label = f" [{fault.fault}]" if fault.fault and terminal.verbose else ""
    terminal.painted([("error: ", "bold red"), (where + fault.message + label, "")])
    findings(terminal, fault.findings)
    shares(terminal, fault.shares)
    if fault.hint in {share.next for share in fault.shares}:
        return
    if fault.hint and fault.exit_code is not Exit.BUG:
        terminal.painted([("next: ", "bold green"), (fault.hint, "")])
    elif fault.hint:
        terminal.painted([(fault.hint, "")])


def findings(terminal: Terminal, found: Sequence[Finding]) -> None:
    """One line a finding; a long list is cut with its count (--json has them all)."""
    for finding in found[:MAX_FINDINGS]:
        terminal.painted([("  " + finding.path, "bold"), (": " + _detail(finding), "")])
    if len(found) > MAX_FINDINGS:
        terminal.painted([(f"  ... and {len(found) - MAX_FINDINGS} more (all of them with --json)", "dim")])


def _detail(finding: Finding) -> str:
    parts = [finding.problem]
    if finding.expected:
        parts.append(f"expected {finding.expected}")
    if finding.found:
        parts.append(f"found {finding.found}")
    if finding.bytes:
        parts.append(f"within bytes {finding.bytes}")
    return "; ".join(parts)


def awaited(terminal: Terminal, fault: Fault, title: str, folder: Path) -> None:
    """Why a person has to download something, and from where: it need only be saved into the watched folder."""
    terminal.painted([(fault.message, "yellow")])
    findings(terminal, fault.findings)
    shares(terminal, fault.shares, title, folder)


def shares(terminal: Terminal, offered: Sequence[Share], title: str = "", folder: Path | None = None) -> None:
    """Every link a person can open, with its code, the file's name, size and hash, and what to do then.

    Files of different names need different commands, so each share then shows its own; in a watched `folder` the
    file goes by itself.
    """
    if not offered:
        return
    commands = [] if folder else list(dict.fromkeys(share.next for share in offered if share.next))
    terminal.painted([("", "")])
    terminal.painted([(f"{title}, by hand, from any of these:".removeprefix(", "), "bold")])
    for share in offered:
        _share(terminal, share, share.next if len(commands) > 1 else "")
    if len(commands) == 1:
        terminal.painted([("then: ", "bold green"), (commands[0], "bold")])
    if folder:
        what = "; it is known by its content and installed by itself"
        terminal.painted([("then: ", "bold green"), (f"save it into {folder}", "bold"), (what, "")])


def _share(terminal: Terminal, share: Share, command: str) -> None:
    dead = share.state in DOWN
    state = f"  ({share.state})" if share.state and share.state != "ok" else ""
    terminal.painted(
        [
            (f"  {share.kind:<12}", "dim" if dead else "cyan"),
            (share.url, f"{'dim ' if dead else ''}link {share.url}" if share.url else ""),
            (state, "red"),
        ]
    )
    if share.code:
        terminal.painted([("              extraction code: ", "dim"), (share.code, "bold")])
    size = human_bytes(share.bytes) if share.bytes else ""
    details = [share.name, size, share.sha256 and f"SHA-256 {share.sha256}"]
    terminal.painted([("              " + ", ".join(part for part in details if part), "dim")])
    if share.note:
        terminal.painted([("              " + share.note, "dim")])
    if command:
        terminal.painted([("              then: ", "green"), (command, "bold")])
