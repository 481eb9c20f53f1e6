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
    name = desk.installed_names([database])[0]
    if state_of(desk.context.root, name).word == ABSENT:
        raise UsageFault(f"{name} is not installed", hint=f"aigiqa fetch {name}", database=name)
    folder = desk.context.root.folder(name)
    return Answer({"path": str(folder)}, lambda terminal: terminal.line(folder))


command_ = command(path)
