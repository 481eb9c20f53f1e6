"""aigiqa import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from aigiqa_cli.cli.commands.options import Accept, Password
from aigiqa_cli.cli.desk import Answer, Desk, Outcome, command
from aigiqa_cli.cli.explaining import findings as show_findings
from aigiqa_cli.cli.terminal import Terminal, human_bytes
from aigiqa_cli.errors import Finding, UsageFault
from aigiqa_cli.installing import Options
from aigiqa_cli.steps.import_ import Imported, import_paths, sort_paths


def import_(
    desk: Desk,
    words: Annotated[
        list[str], typer.Argument(metavar="[DB] PATH...", help="A database (may be left out), then files and folders.")
    ],
    *,
    require_hashes: Annotated[
        bool, typer.Option("--require-hashes", help="Refuse what no published hash vouches for.")
    ] = False,
    password: Password = "",
    accept: Accept = "",
) -> Answer:
    """Install from what you already have: archives, label files, unpacked folders, in any mix.

    Files are read in place, never moved, changed or linked. What they are is told by hash, member names and table
    headers; file names are hints only. A label table that is not given is fetched. Of a split archive any one volume
    will do, if the others lie beside it.

    Examples:

        aigiqa import DB ~/Downloads/archive.zip

        aigiqa import DB images.zip data.csv

        aigiqa import ~/Downloads/*.zip
    """
    name, paths = _split_words(desk, words)
    if accept and name is None:
        raise UsageFault("bytes are accepted for one database", hint="aigiqa import DB PATH... --accept SHA256")
    options = Options(require_hashes=require_hashes, password=password, accept=accept)
    found = sort_paths(desk.context, paths, password) if name is None else None
    groups: dict[str, list[Any]] = dict(found.databases) if found else {name or "": list(paths)}
    skipped = found.skipped if found else []
    results: dict[str, Imported] = {}

    def work(name: str) -> dict[str, Any]:
        if found is not None and (fault := found.waiting(name)):
            raise fault
        database = desk.context.catalogue.database(name)
        results[name] = done = import_paths(desk.context, database, groups[name], options)
        return _describe(done)

    outcomes = desk.each(list(groups), work)
    return Answer(
        outcomes=outcomes,
        findings=skipped,
        partial=bool(skipped),
        show=lambda terminal: _show(terminal, results, outcomes, skipped),
    )


def _split_words(desk: Desk, words: list[str]) -> tuple[str | None, list[Path]]:
    """The first word is the database if it names one and no such path exists."""
    first = _path(words[0])
    entry = None if first.exists() else desk.context.catalogue.find(words[0])
    if entry is None and not first.exists():
        if len(words) == 1 or "/" in words[0] or "." in words[0]:
            raise UsageFault(f"there is no file or folder {words[0]}", hint="check the path", phase="PLAN")
        raise desk.context.catalogue.unknown(words[0])
    paths = [_path(word) for word in (words[1:] if entry else words)]
    if not paths:
        raise UsageFault("no file or folder is given", hint=f"aigiqa import {words[0]} PATH...", phase="PLAN")
    return (entry.id if entry else None), paths


def _path(word: str) -> Path:
    """`~/x` as the shell means it; `~$x` is the name of a lock file, and no person's home."""
    return Path(word).expanduser() if word == "~" or word.startswith("~/") else Path(word)


def _describe(done: Imported) -> dict[str, Any]:
    record = done.state.record
    return {
        "folder": done.folder,
        "state": str(done.state),
        "rows": record.rows if record else None,
        "images": record.images if record else None,
        "ignored": record.ignored if record else None,
        "unpinned": list(record.unpinned) if record else [],
        "locally_accepted": list(record.local) if record else [],
        "warnings": list(record.warnings) if record else [],
    }


def _show(terminal: Terminal, results: dict[str, Imported], outcomes: list[Outcome], skipped: list[Finding]) -> None:
    for outcome in outcomes:
        done = results.get(outcome.database)
        if done is None:
            continue
        terminal.line(done.folder)
        record = done.state.record
        if record is not None:
            size = human_bytes(record.size)
            ignored = f", {record.ignored} other files ignored" if record.ignored else ""
            text = f"{record.rows:,} rows, {record.images:,} images, {size}, state {done.state}{ignored}"
            terminal.note(f"{outcome.database} installed: {text}")
            for warning in record.warnings:
                terminal.note(f"warning: {warning}")
            if not record.images:
                terminal.note(f"the images of {outcome.database} are still missing: aigiqa fetch {outcome.database}")
    if skipped:
        count = "1 path belongs" if len(skipped) == 1 else f"{len(skipped)} paths belong"
        terminal.note(f"{count} to no database:")
        show_findings(terminal, skipped)


command_ = command(import_)
