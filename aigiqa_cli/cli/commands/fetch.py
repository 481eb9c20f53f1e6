"""aigiqa fetch."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aigiqa_cli.cli import clipboard, explaining
from aigiqa_cli.cli.commands.options import STDIN, Accept, Password, complete_ids
from aigiqa_cli.cli.desk import Answer, Desk, Outcome, command
from aigiqa_cli.cli.terminal import Column, Terminal, human_bytes, size_in_words
from aigiqa_cli.errors import Fault, UsageFault
from aigiqa_cli.installing import Options
from aigiqa_cli.steps.fetch import Fetched, Request
from aigiqa_cli.steps.fetch import fetch as fetch_one
from aigiqa_cli.subsets import Selection

if TYPE_CHECKING:
    from aigiqa_cli.installing.recognising import Given
    from aigiqa_cli.manifest.models import Database

_PART = "Part of a database"
_LONGEST_LIST = 64 << 20  # bytes of names

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="DB...", help="Databases (ids: aigiqa list -q).", autocompletion=complete_ids),
]


def fetch(
    desk: Desk,
    databases: Words = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="Every database of the catalogue.")] = False,
    labels_only: Annotated[bool, typer.Option("--labels-only", help="Only labels and prompts, no images.")] = False,
    splits: Annotated[bool, typer.Option("--splits", help="Also the published split files.")] = False,
    weights: Annotated[bool, typer.Option("--weights", help="Also the weights that its methods begin with.")] = False,
    mirror: Annotated[str, typer.Option(metavar="KIND", help="Only mirrors of this kind.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be downloaded; touch nothing.")] = False,
    keep_archives: Annotated[bool, typer.Option("--keep-archives", help="Keep archives after the install.")] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="Give back the room of what is unpacked while an archive arrives.")
    ] = False,
    require_hashes: Annotated[
        bool, typer.Option("--require-hashes", help="Refuse what no published hash vouches for.")
    ] = False,
    watch: Annotated[
        str, typer.Option(metavar="DIR", help="Where only a person can download: wait for the file in this folder.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Install again even if all is here.")] = False,
    sample: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="So many images, drawn by --seed.", rich_help_panel=_PART)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="S", help="Of --sample; 0. The same draws the same.", rich_help_panel=_PART)
    ] = None,
    where: Annotated[
        str, typer.Option(metavar="SQL", help="Images whose labels fit, as in export.", rich_help_panel=_PART)
    ] = "",
    images: Annotated[
        str, typer.Option(metavar="FILE", help="Images named there, one a line; - is stdin.", rich_help_panel=_PART)
    ] = "",
    password: Password = "",
    accept: Accept = "",
) -> Answer:
    """Everything: download, verify, unpack, normalise, index. Prints the installed folder.

    Run again after an interruption, it goes on where it stopped; if all is here, it does nothing. Where only links
    are left that a person must open, it shows each with its code and the exact next command (exit 3).

    --sample, --where and --images, alone or together, bring all labels and just these images, added to those that are
    here; a plain fetch brings the rest. What comes in parts of an archive is unpinned until the whole of it is here.

    --stream is for disks without room for a zip beside its images: the two never take more than the images and some
    64 MB. An interrupted download then begins anew, and damage is told without a second look at the whole file.

    Examples:

        aigiqa fetch DB

        aigiqa fetch DB --labels-only

        aigiqa fetch DB --sample 50 --where "mos_quality > 2"

        aigiqa export DB --columns image_id | tail -5 | aigiqa fetch DB --images -

        aigiqa fetch DB --mirror baidu --watch ~/Downloads

        cd "$(aigiqa fetch DB)"
    """
    words = list(databases or ())
    if all_ == bool(words):
        raise UsageFault("name databases, or say --all", hint="ids: aigiqa list -q", phase="PLAN")
    chosen = list(desk.context.catalogue.entries) if all_ else [database.id for database in desk.databases(words)]
    if accept and len(chosen) != 1:
        raise UsageFault("bytes are accepted for one database at a time", hint="name it", phase="PLAN")
    if seed is not None and sample is None:
        raise UsageFault("--seed goes with --sample", hint="say how many: --sample N", phase="PLAN")
    if stream and keep_archives:
        raise UsageFault("--stream leaves no archive to keep", hint="leave one of the two out", phase="PLAN")
    selection = Selection(_names(images, len(chosen)), where, sample, seed or 0)
    if selection and labels_only:
        raise UsageFault("--labels-only brings no images, so none can be chosen", hint="leave it out", phase="PLAN")
    request = Request(
        labels_only,
        splits,
        mirror,
        dry_run,
        keep_archives,
        require_hashes,
        force,
        password,
        accept,
        selection,
        stream,
        weights,
    )
    results: dict[str, Fetched] = {}

    def work(name: str) -> dict[str, Any]:
        database = desk.context.catalogue.database(name)
        folder = Path(watch).expanduser() if watch else None
        results[name] = fetched = _fetched(desk, database, request, folder)
        return describe(fetched)

    outcomes = desk.each(chosen, work)
    partial = any(fetched.left_out for fetched in results.values())
    return Answer(outcomes=outcomes, partial=partial, show=lambda terminal: _show(terminal, results, outcomes))


def _names(word: str, databases: int) -> tuple[str, ...] | None:
    """The names in a file, or on stdin: one a line, empty lines left out; None without a file."""
    if not word:
        return None
    if databases > 1:
        raise UsageFault("--images names images of one database", hint="name one database", phase="PLAN")
    try:
        if word == STDIN:
            data = sys.stdin.buffer.read(_LONGEST_LIST + 1) if sys.stdin else b""
        else:
            with Path(word).expanduser().open("rb") as stream:
                data = stream.read(_LONGEST_LIST + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UsageFault(f"{word} cannot be read: {error.strerror}", hint="check the path", phase="PLAN") from error
    except UnicodeDecodeError as error:
        raise UsageFault(f"{word} is no UTF-8 text", hint="one name of an image a line", phase="PLAN") from error
    names = tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not names or len(data) > _LONGEST_LIST:
        problem = "names no image" if not names else f"is longer than {_LONGEST_LIST:,} bytes"
        raise UsageFault(f"{word} {problem}", hint="one name of an image a line", phase="PLAN")
    return names


def _fetched(desk: Desk, database: Database, request: Request, folder: Path | None) -> Fetched:
    """Fetch; what a person has to download for it is awaited in `folder`, if there is one, and then fetch goes on."""
    awaited: set[bool] = set()
    while True:
        try:
            fetched = fetch_one(desk.context, database, request)
        except Fault as fault:
            pictures = _asks_for_images(database, fault)
            if folder is None or not fault.shares or pictures in awaited:
                raise
            _watch(desk, database, request, fault, folder, labels=request.labels_only or not pictures)
            awaited.add(pictures)
            request = replace(request, force=False)  # what was asked for is installed anew already
        else:
            return replace(fetched, changed=True) if awaited else fetched


def _asks_for_images(database: Database, fault: Fault) -> bool:
    """Or for labels, whose images can be had without a person."""
    from aigiqa_cli.obtaining.shares import shares

    urls = {share.url for asset in database.assets_of("images", "references") for share in shares(database, asset)}
    return any(share.url in urls for share in fault.shares)


def _watch(desk: Desk, database: Database, request: Request, fault: Fault, folder: Path, *, labels: bool) -> None:
    """Show the shares, copy the first code, wait until enough has been downloaded, and install it."""
    from aigiqa_cli.installing import accepting
    from aigiqa_cli.steps.import_ import Imported, import_paths
    from aigiqa_cli.steps.watch import Watcher

    options = Options(request.labels_only, request.require_hashes, request.password)

    def show(needed: Fault) -> None:
        desk.reporter.close()  # a live display would swallow what is for the terminal itself
        explaining.awaited(desk.terminal, needed, database.title, folder)
        code = next((share.code for share in needed.shares if share.code), "")
        if code and clipboard.copy(code):
            desk.terminal.note(f"the extraction code {code} was copied")

    def install(given: list[Given]) -> Imported:
        return import_paths(desk.context, database, given, options)

    show(fault)
    known = accepting.with_accepted(desk.context.root, database)
    Watcher(desk.context, known, folder, request.password, labels, show).wait(install)


def describe(fetched: Fetched) -> dict[str, Any]:
    """What a fetch says of one database in JSON."""
    record = fetched.record
    return {
        "folder": fetched.folder,
        "index": str(Path(fetched.folder) / "index.csv") if record else None,
        "state": str(fetched.state),
        "changed": fetched.changed,
        "rows": record.rows if record else None,
        "images": record.images if record else None,
        "chosen": fetched.chosen,
        "unpinned": list(record.unpinned) if record else [],
        "locally_accepted": list(record.local) if record else [],
        "warnings": list(record.warnings) if record else [],
        "left_out": list(fetched.left_out),
        "weights": list(fetched.weights),
        "plan": list(fetched.plan),
    }


def _show(terminal: Terminal, results: dict[str, Fetched], outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        fetched = results.get(outcome.database)
        if fetched is None:
            continue
        if fetched.plan:
            _show_plan(terminal, fetched)
            continue
        show_installed(terminal, outcome.database, fetched)


def show_installed(terminal: Terminal, name: str, fetched: Fetched) -> None:
    """The folder on stdout; what a person may want to know on stderr."""
    terminal.line(fetched.folder)
    for path in fetched.weights:
        terminal.note(f"weights: {path}")
    record = fetched.record
    if record is None:
        return
    word = "installed" if fetched.changed else "already here"
    size = human_bytes(record.size)
    terminal.note(f"{name} {word}: {record.rows:,} rows, {record.images:,} images, {size}, state {fetched.state}")
    for warning in record.warnings:
        terminal.note(f"warning: {warning}")
    if record.rejected:
        terminal.note(f"{len(record.rejected)} rows were rejected; see: aigiqa info {name}")


def _show_plan(terminal: Terminal, fetched: Fetched) -> None:
    columns = (Column("file", style="bold"), Column("role"), Column("size", right=True), Column("from", wrap=True))
    rows = [
        (
            item["asset"],
            item["role"],
            size_in_words(item["bytes"], item["approximate_size"]),
            ", ".join(item["mirrors"]) or "by hand: " + " ".join(item["by_hand"]),
        )
        for item in fetched.plan
    ]
    terminal.table(columns, rows)


command_ = command(fetch)
