"""aigiqa gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aigiqa_cli.cli.commands.options import Databases, predictions_from, words
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.terminal import Terminal, human_bytes
from aigiqa_cli.errors import Fault, IntegrityFault, UsageFault
from aigiqa_cli.gallery import SIDES, Written
from aigiqa_cli.predictions import Wishes
from aigiqa_cli.selecting import chosen
from aigiqa_cli.steps.gallery import Request
from aigiqa_cli.steps.gallery import gallery as make

SIDE = 256


def gallery(
    desk: Desk,
    databases: Databases = None,
    *,
    output: Annotated[str, typer.Option("--output", "-o", metavar="PATH", help="The page.")] = "gallery.html",
    where: Annotated[str, typer.Option(metavar="SQL", help="A condition over the columns of the index.")] = "",
    split: Annotated[str, typer.Option(metavar="NAME[:PART]", help="Rows of a split; fills the column split.")] = "",
    title: Annotated[str, typer.Option(metavar="TEXT", help="Of the page; else the databases.")] = "",
    embed: Annotated[bool, typer.Option("--embed", help="Small copies of the images inside the page.")] = False,
    size: Annotated[int | None, typer.Option(metavar="PX", help=f"Longest side of these copies; else {SIDE}.")] = None,
    predictions: Annotated[
        str, typer.Option(metavar="FILE", help="Of one or several models, as evaluate reads them; - is stdin.")
    ] = "",
    image_column: Annotated[str, typer.Option(metavar="NAME", help="The column that names the images.")] = "",
    model: Annotated[str, typer.Option(metavar="A,B", help="Only these columns of predictions.")] = "",
) -> Answer:
    """Look at it: one HTML page to filter, sort and compare images by prompt and generator. No DB: all installed ones.

    The page needs no server and no network. It links the images where they are, so it stays where it is, seen from
    them; with --embed it carries small copies and can go anywhere.

    Examples:

        aigiqa gallery DB -o gallery.html

        aigiqa gallery DB --embed --size 384 --where "generator = 'midjourney'" -o midjourney.html

        aigiqa gallery DB --predictions predictions.csv --split NAME:test
    """
    if size is not None and not embed:
        raise UsageFault("--size is of the copies in the page", hint="add --embed", phase="PLAN")
    if size is not None and size not in SIDES:
        raise UsageFault(f"{size} pixels are no size", hint=f"{SIDES[0]} to {SIDES[-1]}", phase="PLAN")
    if output in ("", "-"):
        raise UsageFault("a gallery is a file", hint="name it with -o PATH", phase="PLAN")
    if not predictions and (image_column or model):
        raise UsageFault("there are no predictions", hint="name them with --predictions FILE", phase="PLAN")
    target = Path(output).expanduser()
    request = Request(
        where,
        split,
        title,
        (size or SIDE) if embed else None,
        predictions_from(predictions) if predictions else None,
        Wishes(image_column, words(model)),
    )
    records = chosen(desk.context.root, desk.installed_names(databases or ()))
    made = make(desk.context, records, request, target)
    data = {
        "path": str(target.absolute()),
        "images": made.written.images,
        "bytes": made.bytes,
        "embedded": made.written.shown if embed else None,
        "databases": [record.database for record in records],
    }

    def show(terminal: Terminal) -> None:
        terminal.line(target)
        for note in made.notes:
            terminal.note(note)
        for about in made.abouts:
            if not about.images:
                terminal.note(f"{about.id}: labels only, so no images: aigiqa fetch {about.id}")
        count = f"{made.written.images:,} images" if made.written.images else "no images: nothing was selected"
        terminal.note(f"{count}, {human_bytes(made.bytes)}; open it in a browser")

    return Answer(data, show, fault=_damage(made.written))


def _damage(written: Written) -> Fault | None:
    """The page is whole; but images that it should show are not what they should be."""
    if not written.findings:
        return None
    damaged = sorted({finding.database for finding in written.findings})
    count = len(written.findings)
    return IntegrityFault(
        f"{count:,} image{'s' if count > 1 else ''} cannot be shown: {written.findings[0].path}"
        + (", …" if count > 1 else ""),
        hint=f"aigiqa verify --repair {' '.join(damaged)}",
        fault="S10",
        phase="CHECK",
        findings=written.findings,
    )


command_ = command(gallery)
