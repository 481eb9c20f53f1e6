"""aigiqa leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aigiqa_cli.cli.commands.options import OneDatabase, words
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.evaluation import ranking
from aigiqa_cli.cli.terminal import Terminal
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.steps.leaderboard import Shown
from aigiqa_cli.steps.leaderboard import leaderboard as made

FORMATS = ("table", *ranking.WRITERS)


def leaderboard(
    desk: Desk,
    database: OneDatabase,
    *,
    add: Annotated[
        list[Path] | None, typer.Option("--add", metavar="FILE", help="Of aigiqa evaluate --json; several times.")
    ] = None,
    dimension: Annotated[str, typer.Option("--dimension", "-d", metavar="A,B", help="Only these.")] = "",
    split: Annotated[str, typer.Option("--split", "-s", metavar="NAME", help="Only results on this split.")] = "",
    method: Annotated[str, typer.Option(metavar="TEXT", help="Only methods with this in their name.")] = "",
    form: Annotated[str, typer.Option("--format", "-f", metavar="F", help=f"{', '.join(FORMATS)}.")] = "table",
) -> Answer:
    """Published results with their sources, and your own. Only what was measured alike is ranked; the rest stands
    beside it with the reason.

    Examples:

        aigiqa leaderboard DB

        aigiqa evaluate DB predictions.csv --json > mine.json && aigiqa leaderboard DB --add mine.json
    """
    if form not in FORMATS:
        raise UsageFault(f"there is no format {form!r}", hint=f"formats: {', '.join(FORMATS)}", phase="PLAN")
    if desk.options.json and form != "table":
        raise UsageFault("--json is a format of its own", hint="leave out --format or --json", phase="PLAN")
    known = desk.databases([database])[0]
    shown = Shown(words(dimension), split, method)
    board = made(desk.context, known, [path.expanduser() for path in add or ()], shown)

    def show(terminal: Terminal) -> None:
        for note in board.notes:
            terminal.note(note)
        if not (board.rankings or board.beside):
            terminal.note(f"no published result of {board.database} is known; --add FILE adds evaluations of yours")
        if form == "table":
            ranking.show(terminal, board)
        else:
            terminal.raw(ranking.WRITERS[form](board))

    return Answer(board.as_json(), show)


command_ = command(leaderboard)
