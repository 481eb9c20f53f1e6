"""aigiqa info."""

from __future__ import annotations

from typing import Annotated

import typer

from aigiqa_cli.cli.commands.options import OneDatabase
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.profile import Portrait, show
from aigiqa_cli.cli.terminal import human_bytes
from aigiqa_cli.states import state_of
from aigiqa_cli.steps.catalogue_listing import approximate_size, automatic_kinds, download_size
from aigiqa_cli.store.ledger import read_ledger


def info(
    desk: Desk,
    database: OneDatabase,
    *,
    all_: Annotated[
        bool, typer.Option("--all", help="Also every fact, copy, published result and piece of evidence.")
    ] = False,
) -> Answer:
    """All that is known of a database: scales, licence, citation, mirrors with codes and health, splits, known defects.

    What is here of it is shown too, with rejected rows and warnings. Without a terminal, and with --json, nothing is
    left out.

    Examples:

        aigiqa info DB

        aigiqa info DB --json | jq .data.manifest.defects
    """
    known = desk.databases([database])[0]
    root = desk.context.root
    rough = approximate_size(known)
    portrait = Portrait(
        known,
        state_of(root, known.id, known),
        str(root.folder(known.id)),
        download_size(known),
        human_bytes(rough) if rough else "",
        automatic_kinds(known),
        read_ledger(root),
    )
    return Answer(portrait.as_json(), lambda terminal: show(terminal, portrait, everything=all_))


command_ = command(info)
