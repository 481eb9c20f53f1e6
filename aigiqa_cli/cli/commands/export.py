"""aigiqa export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from aigiqa_cli.cli.commands.options import Databases
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.terminal import Terminal
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.exports import FORMATS
from aigiqa_cli.selecting import chosen
from aigiqa_cli.steps.export import Selection
from aigiqa_cli.steps.export import export as export_rows


def export(
    desk: Desk,
    databases: Databases = None,
    *,
    form: Annotated[str, typer.Option("--format", "-f", metavar="F", help="csv, tsv, jsonl or parquet.")] = "csv",
    output: Annotated[str, typer.Option("--output", "-o", metavar="PATH", help="A file; - is stdout.")] = "",
    where: Annotated[str, typer.Option(metavar="SQL", help="A condition over the columns of the index.")] = "",
    columns: Annotated[str, typer.Option(metavar="A,B", help="Only these columns, in this order.")] = "",
    split: Annotated[str, typer.Option(metavar="NAME[:PART]", help="Rows of a split; fills the column split.")] = "",
    scale: Annotated[str, typer.Option(metavar="native|unit", help="Published scores, or the 0..1 ones.")] = "",
    exact: Annotated[bool, typer.Option("--exact", help="Parquet: also the published score text.")] = False,
    spreadsheet: Annotated[
        bool, typer.Option("--spreadsheet", help="csv, tsv: a ' before text that looks like a formula.")
    ] = False,
) -> Answer:
    """The index in another format. No DB: all installed databases.

    csv, tsv and jsonl go to stdout; parquet goes to ./aigiqa.parquet, or to stdout with -o -.

    Examples:

        aigiqa export DB --format csv | head -2

        aigiqa export --format parquet -o all.parquet

        aigiqa export DB --where "generator = 'midjourney' AND mos_quality > 4" --columns image_path,mos_quality
    """
    if form not in FORMATS:
        raise UsageFault(f"there is no format {form!r}", hint=f"formats: {', '.join(FORMATS)}", phase="PLAN")
    if scale not in ("", "native", "unit"):
        raise UsageFault(f"there is no scale {scale!r}", hint="scales: native, unit", phase="PLAN")
    if spreadsheet and form not in ("csv", "tsv"):
        raise UsageFault(
            "--spreadsheet is for csv and tsv", hint="leave it out: other formats have types", phase="PLAN"
        )
    to_stdout = output == "-" or (not output and FORMATS[form].to_stdout_by_default)
    if to_stdout and desk.options.json:
        raise UsageFault("an export to stdout cannot be JSON as well", hint="name a file with -o PATH", phase="PLAN")
    if to_stdout and FORMATS[form].binary and sys.stdout.isatty():
        raise UsageFault(f"{form} would garble the terminal", hint="redirect it, or name a file with -o", phase="PLAN")
    names = tuple(word.strip() for word in columns.split(",")) if columns else ()
    selection = Selection(where, names, split, scale, exact, spreadsheet)  # type: ignore[arg-type]
    if spreadsheet:
        desk.terminal.note(
            "for looking at in a spreadsheet, not for reading back: text that begins with = + - @ has a '"
        )
    records = chosen(desk.context.root, desk.installed_names(databases or ()))
    if to_stdout:
        sys.stdout.flush()
        export_rows(desk.context, records, selection, form, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return Answer()
    target = Path(output).expanduser() if output else Path(f"aigiqa{FORMATS[form].suffix}")
    count = export_rows(desk.context, records, selection, form, target)
    data = {"path": str(target.absolute()), "rows": count, "databases": [record.database for record in records]}

    def show(terminal: Terminal) -> None:
        terminal.line(target)
        terminal.note(f"{count:,} rows of {', '.join(record.database for record in records)}")

    return Answer(data, show)


command_ = command(export)
