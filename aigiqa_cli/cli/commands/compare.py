"""aigiqa compare."""

from __future__ import annotations

from typing import Annotated

import typer

from aigiqa_cli.cli.commands.options import complete_ids
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.statistics import comparison
from aigiqa_cli.cli.terminal import Terminal
from aigiqa_cli.errors import IntegrityFault
from aigiqa_cli.steps.compare import compare as compared

_METAVAR = "DB|FOLDER|FILE"


def compare(
    desk: Desk,
    a: Annotated[
        str, typer.Argument(metavar=_METAVAR, help="The first, such as the older.", autocompletion=complete_ids)
    ],
    b: Annotated[str, typer.Argument(metavar=_METAVAR, help="The second.", autocompletion=complete_ids)],
    *,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 4 if they differ, as diff does with 1.")] = False,
) -> Answer:
    """What differs between two databases, or between two versions of one: images, scores, prompts, generators, files.

    Each side is an installed database, the folder of one (also below another root), or a table: an index.csv, or what
    aigiqa export wrote as csv, tsv or parquet. A word with a / in it, or that ends like a table, is a path. Versions of
    one database are compared by name, two databases by the bytes of their images and by their prompts. Values decide,
    not how they are spelled. In a pipe one record a difference: kind, what, name, value of the first, of the second.

    Examples:

        aigiqa compare DB /other/root/DB

        aigiqa compare before.csv DB --exit-code

        aigiqa compare DB OTHER --json | jq '.data.prompts.shared | length'
    """
    done = compared(desk.context, a, b, lambda word: desk.installed_names([word])[0])

    def show(terminal: Terminal) -> None:
        if terminal.out_is_terminal:
            comparison.show(terminal, done)
        else:
            comparison.write(terminal, done.found)

    fault = None
    if exit_code and not done.found.same:
        fault = IntegrityFault(
            f"{a} and {b} differ", hint=f"aigiqa compare {a} {b} --json has everything", phase="CHECK"
        )
    return Answer(done.as_json(), show, fault=fault)


command_ = command(compare)
