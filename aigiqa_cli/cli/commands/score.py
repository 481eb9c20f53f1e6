"""aigiqa score."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer

from aigiqa_cli.cli.aside import stdout_aside
from aigiqa_cli.cli.commands.options import STDIN, complete_ids, words
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.terminal import Column, Terminal
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.scoring import MEASURES, Wanted
from aigiqa_cli.steps.score import Request, Scored
from aigiqa_cli.steps.score import score as score_images

_WHICH, _OWN = "Which images", "Metrics of your own"


def score(
    desk: Desk,
    source: Annotated[
        str,
        typer.Argument(metavar="DB|FOLDER", help="An installed database, or images.", autocompletion=complete_ids),
    ] = "",
    *,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", "-m", metavar="M", help="Built in, pyiqa:NAME, module:function; several times."),
    ] = None,
    commands: Annotated[
        list[str] | None,
        typer.Option("--command", metavar="LINE", help="A program that prints scores.", rich_help_panel=_OWN),
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The csv; - is stdout.")] = STDIN,
    name: Annotated[str, typer.Option(metavar="A,B", help="Of the columns, in order.")] = "",
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Images at a time.")] = 32,
    device: Annotated[str, typer.Option(metavar="D", help="auto, cpu or cuda: pyiqa, device= of functions.")] = "auto",
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Leave the cell of an image without a score empty.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Nothing of a run that was broken off.")] = False,
    split: Annotated[str, typer.Option(metavar="NAME[:PART]", help="Of a split.", rich_help_panel=_WHICH)] = "",
    where: Annotated[str, typer.Option(metavar="SQL", help="As in export.", rich_help_panel=_WHICH)] = "",
    timeout: Annotated[
        float, typer.Option(metavar="S", min=0, help="Seconds for a batch of a command.", rich_help_panel=_OWN)
    ] = 0.0,
    env: Annotated[
        str, typer.Option(metavar="A,B", help="Secrets that a command gets all the same.", rich_help_panel=_OWN)
    ] = "",
    listing: Annotated[bool, typer.Option("--list", help="What there is, with direction and source.")] = False,
) -> Answer:
    """Score images with any metric: predictions as csv, the form that evaluate takes.

    Built in: sharpness, blur, contrast, colorfulness, brightness, entropy, jpeg-quality, and against the reference ssim
    and psnr. Others: any metric of pyiqa, a Python function of yours, any program that reads image paths and prints
    scores. What is scored survives a kill: the same command goes on.

    A function is called with a list of paths, and with prompts=, references=, device= if it has such parameters. A
    program reads one JSON object a line ({"image_id", "path", "prompt", "reference"}), or has {} in its line for the
    paths; it prints one score a line.

    Examples:

        aigiqa score DB --metric sharpness --metric colorfulness -o scores.csv

        aigiqa score DB --metric brightness --split NAME:test | aigiqa evaluate DB - --split NAME

        aigiqa score DB --command './score.sh {}' --batch 16 -o scores.csv

        aigiqa score pictures --metric my_metric:score

        aigiqa score --list
    """
    if listing:
        return _listing()
    if not source:
        raise UsageFault("nothing to score is named", hint="aigiqa score DB --metric NAME, or --list", phase="PLAN")
    target = None if output == STDIN else Path(output).expanduser()
    wanted = Wanted(
        tuple(metric or ()), tuple(commands or ()), words(name), device, timeout, words(env), desk.context.settings
    )
    request = Request(wanted, where, split, batch, target, allow_missing, fresh)
    with stdout_aside():
        done = score_images(desk.context, source, request)
    show = functools.partial(_show, done=done)
    return Answer(done.as_json(), show, partial=any(_gaps(done)), given=done.finish)


def _show(terminal: Terminal, done: Scored) -> None:
    if done.request.target is None:
        terminal.raw(done.to_csv())
    else:
        terminal.line(done.request.target)
    for note in done.notes():
        terminal.note(note)


def _gaps(done: Scored) -> list[str]:
    return [name for one in done.measured.values() for name in one.reasons]


def _listing() -> Answer:
    about = list(MEASURES.values())

    def show(terminal: Terminal) -> None:
        columns = [Column(title, wrap=title in ("what", "range", "source")) for title in _TITLES]
        terminal.table(
            columns,
            [
                [one.name, one.what, "yes" if one.needs_reference else "no", one.better, one.range, one.source]
                for one in about
            ],
        )
        for line in _OTHERS:
            terminal.note(line)

    others = {"pyiqa": _pyiqa_names(), "function": "module:function", "command": "--command LINE"}
    return Answer({"built_in": [one.as_json() for one in about], "others": others}, show)


def _pyiqa_names() -> list[str]:
    from aigiqa_cli.scoring.pyiqa_metrics import PREFIX, names

    with stdout_aside():
        return [PREFIX + one for one in names()]


_TITLES = ("metric", "what", "reference", "better", "range", "source")
_OTHERS = (
    "pyiqa:NAME       any metric of pyiqa, where it is installed; --list --json names them",
    "module:function  a Python function of yours: list of paths -> list of numbers",
    "--command LINE   a program: paths in, one score a line out",
)

command_ = command(score)
