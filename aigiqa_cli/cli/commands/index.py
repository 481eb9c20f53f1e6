"""aigiqa index."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated

import typer

from aigiqa_cli import root_index
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.errors import IntegrityFault, UsageFault


def index(
    desk: Desk,
    *,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Write it anew from the installed databases.")] = False,
    cat: Annotated[bool, typer.Option("--cat", help="Print its content instead of its path.")] = False,
) -> Answer:
    """The path of the index CSV over all installed databases.

    Examples:

        duckdb -c "SELECT generator, avg(mos_quality) FROM '$(aigiqa index)' GROUP BY 1"

        aigiqa index --cat | head -3
    """
    path = desk.context.root.index
    if rebuild:
        desk.context.root.prepare()
        damaged = root_index.rebuild(desk.context.root, desk.context.reporter)
        if damaged:
            names = " ".join(damaged)
            raise IntegrityFault(
                f"the rows of {', '.join(damaged)} are left out: their own index was changed on disk",
                hint=f"aigiqa verify --repair {names}",
                fault="X03",
                phase="INDEX",
            )
    if not path.is_file():
        raise UsageFault(f"there is no index at {path}", hint="install something first: aigiqa fetch DB", phase="PLAN")
    if cat:
        if desk.options.json:
            raise UsageFault("--cat prints CSV, not JSON", hint="leave out --cat or --json", phase="PLAN")
        sys.stdout.flush()
        with path.open("rb") as stream:
            shutil.copyfileobj(stream, sys.stdout.buffer)
        return Answer()
    return Answer({"path": str(path)}, lambda terminal: terminal.line(path))


command_ = command(index)
