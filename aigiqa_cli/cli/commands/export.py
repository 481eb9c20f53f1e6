"""aigiqa export."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from aigiqa_cli.cli.commands.options import Databases
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.terminal import Terminal, human_bytes
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.exports import FORMATS, Format, named
from aigiqa_cli.index import DIMENSIONS
from aigiqa_cli.selecting import chosen
from aigiqa_cli.steps.export import Exported, Selection
from aigiqa_cli.steps.export import export as export_rows

_ROWS, _SCORES, _FOLDERS = "Which rows and columns", "Formats about one score", "Folders"
_SIZE = re.compile(r"(\d{1,12})\s*([kMGT]?)B?", re.ASCII)
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def export(
    desk: Desk,
    databases: Databases = None,
    *,
    form: Annotated[str, typer.Option("--format", "-f", metavar="F", help="One of those above.")] = "csv",
    output: Annotated[str, typer.Option("--output", "-o", metavar="PATH", help="File or folder; - is stdout.")] = "",
    where: Annotated[
        str, typer.Option(metavar="SQL", help="A condition over the columns of the index.", rich_help_panel=_ROWS)
    ] = "",
    columns: Annotated[
        str, typer.Option(metavar="A,B", help="Only these columns, in this order.", rich_help_panel=_ROWS)
    ] = "",
    split: Annotated[
        str,
        typer.Option(
            metavar="NAME[:PART]", help="Rows of a split; its parts become those of the export.", rich_help_panel=_ROWS
        ),
    ] = "",
    scale: Annotated[
        str,
        typer.Option(metavar="native|unit", help="Published scores, or the 0..1 ones.", rich_help_panel=_ROWS),
    ] = "",
    exact: Annotated[
        bool, typer.Option("--exact", help="Typed tables: also the published score text.", rich_help_panel=_ROWS)
    ] = False,
    spreadsheet: Annotated[
        bool,
        typer.Option("--spreadsheet", help="csv, tsv: a ' before what looks like a formula.", rich_help_panel=_ROWS),
    ] = False,
    dimension: Annotated[
        str,
        typer.Option(
            metavar="D", help=f"{', '.join(DIMENSIONS)}; default quality, else overall.", rich_help_panel=_SCORES
        ),
    ] = "",
    margin: Annotated[
        float,
        typer.Option(metavar="X", min=0, help="pairs: only if the scores differ by more.", rich_help_panel=_SCORES),
    ] = 0.0,
    images: Annotated[
        str,
        typer.Option(metavar="copy|link|none", help="The images: whole, as links, or not.", rich_help_panel=_FOLDERS),
    ] = "",
    shard_size: Annotated[
        str, typer.Option("--shard-size", metavar="N", help="Of the images in one; 256MB.", rich_help_panel=_FOLDERS)
    ] = "",
) -> Answer:
    """The index in another format, also with the images. No DB: all installed databases.

    Tables: csv, tsv, jsonl (to stdout); parquet, feather, arrow (an IPC stream).

    For training code: pyiqa, pyiqa-fr, llava, q-align, pairs, pairs-jsonl, and what CMIM, MA-AGIQA, M3-AGIQA and
    AMFF-Net read: cmim, ma-agiqa, m3-agiqa, amff-net (to stdout; image paths are below the data root).

    Folders with the images, each proven on its way: hf and hf-parquet (datasets.load_dataset), webdataset (tar shards),
    croissant. They need -o FOLDER, which appears whole or not at all.

    Examples:

        aigiqa export DB --format csv | head -2

        aigiqa export --format parquet -o all.parquet

        aigiqa export DB --where "mos_quality > 4 AND width >= 64" --columns image_path,mos_quality

        aigiqa export DB --format hf --split authors -o data

        aigiqa export DB --format webdataset --shard-size 1GB -o shards

        aigiqa export DB --format pairs --dimension alignment --margin 0.5 -o pairs.csv
    """
    chosen_form = named(form)
    _refuse_foreign(
        chosen_form,
        {
            "columns": columns, "scale": scale, "exact": exact, "spreadsheet": spreadsheet, "dimension": dimension,
            "margin": margin, "images": images, "shard-size": shard_size,
        },
    )  # fmt: skip
    if scale not in ("", "native", "unit"):
        raise UsageFault(f"there is no scale {scale!r}", hint="scales: native, unit", phase="PLAN")
    if images not in ("", *chosen_form.images):
        hint = f"--images for {form}: {', '.join(chosen_form.images)}"
        raise UsageFault(f"{form} cannot have its images as {images!r}", hint=hint, phase="PLAN")
    target = _target(desk, chosen_form, output)
    names = tuple(word.strip() for word in columns.split(",")) if columns else ()
    selection = Selection(
        where, names, split, scale, exact, spreadsheet, dimension, margin, images or "copy", _bytes(shard_size)  # type: ignore[arg-type]
    )  # fmt: skip
    if spreadsheet:
        desk.terminal.note(
            "for looking at in a spreadsheet, not for reading back: text that begins with = + - @ has a '"
        )
    records = chosen(desk.context.root, desk.installed_names(databases or ()))
    ids = [record.database for record in records]
    if target is None:
        sys.stdout.flush()
        done = export_rows(desk.context, records, selection, chosen_form, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return Answer(None, lambda terminal: _tell_left_out(terminal, done))
    done = export_rows(desk.context, records, selection, chosen_form, target)
    data = {"path": str(target.absolute()), "rows": done.records, "databases": ids, "left_out": done.left_out}
    if chosen_form.fill is not None:
        data |= {"parts": done.parts, "image_bytes": done.image_bytes}

    def show(terminal: Terminal) -> None:
        terminal.line(target)
        parts = "" if len(done.parts) < 2 else f" ({', '.join(f'{n} {c:,}' for n, c in done.parts.items())})"  # noqa: PLR2004
        size = f", {human_bytes(done.image_bytes)} of images" if done.image_bytes else ""
        what = "pairs" if "margin" in chosen_form.takes else "rows"
        terminal.note(f"{done.records:,} {what} of {', '.join(ids)}{parts}{size}")
        _tell_left_out(terminal, done)

    return Answer(data, show)


def _target(desk: Desk, form: Format, output: str) -> Path | None:
    """Where it goes; None is stdout."""
    if form.fill is not None and output in ("", "-"):
        raise UsageFault(f"{form.name} is a folder", hint="name a new one with -o FOLDER", phase="PLAN")
    to_stdout = output == "-" or (not output and form.to_stdout_by_default)
    if to_stdout and desk.options.json:
        raise UsageFault("an export to stdout cannot be JSON as well", hint="name a file with -o PATH", phase="PLAN")
    if to_stdout and form.binary and sys.stdout.isatty():
        hint = "redirect it, or name a file with -o"
        raise UsageFault(f"{form.name} would garble the terminal", hint=hint, phase="PLAN")
    if to_stdout:
        return None
    return Path(output).expanduser() if output else Path(f"aigiqa{form.suffix}")


def _refuse_foreign(form: Format, given: dict[str, object]) -> None:
    """An option that means nothing to a format is a mistake, not something to pass over."""
    for option, value in given.items():
        if value and option not in form.takes:
            others = ", ".join(name for name, other in FORMATS.items() if option in other.takes)
            raise UsageFault(f"--{option} means nothing to {form.name}", hint=f"it is for {others}", phase="PLAN")


def _bytes(text: str) -> int:
    """`500MB` -> 500,000,000; 0 where nothing is said."""
    if not text:
        return 0
    found = _SIZE.fullmatch(text)
    if not found or not int(found[1]):
        raise UsageFault(f"{text!r} is no size", hint="such as 500MB or 1GB", phase="PLAN")
    return int(found[1]) * _UNITS[found[2]]


def _tell_left_out(terminal: Terminal, done: Exported) -> None:
    for column, count in done.left_out.items():
        terminal.note(f"left out: {count:,} rows without {column}")


command_ = command(export)
