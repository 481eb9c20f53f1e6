"""aigiqa path."""

from __future__ import annotations

from aigiqa_cli.cli.commands.options import OneDatabase
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.states import ABSENT, state_of


def path(desk: Desk, database: OneDatabase) -> Answer:
    """The folder of an installed database.

    Examples:

        cd "$(aigiqa path DB)" && sha256sum -c checksums.sha256
    """
    known = desk.databases([database])[0]
    if state_of(desk.context.root, known.id).word == ABSENT:
        raise UsageFault(f"{known.id} is not installed", hint=f"aigiqa fetch {known.id}", database=known.id)
    folder = desk.context.root.folder(known.id)
    return Answer({"path": str(folder)}, lambda terminal: terminal.line(folder))


command_ = command(path)
