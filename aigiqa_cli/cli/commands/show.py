"""aigiqa show."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from aigiqa_cli.cli.commands.options import OneDatabase
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.statistics import one_image
from aigiqa_cli.cli.terminal import Terminal
from aigiqa_cli.steps.show import Shown
from aigiqa_cli.steps.show import show as shown


def show(
    desk: Desk,
    database: OneDatabase,
    image: Annotated[str, typer.Argument(metavar="IMAGE_ID", help="Any published name, with or without folder.")],
    *,
    picture: Annotated[bool, typer.Option("--picture/--no-picture", help="At a terminal, also the picture.")] = True,
) -> Answer:
    """One image: its scores on their scales, its prompt, all fields of the index, and at a terminal the picture itself.

    The picture is shown by the kitty graphics protocol, as iTerm2's inline image, as sixel, or in coloured half blocks,
    whatever the terminal says it can; of image-to-image the reference stands beside it. Its bytes are compared with the
    record first (exit 4 if they are other ones). In a pipe one field a line: name, value.

    Examples:

        aigiqa show DB IMAGE_ID

        aigiqa show DB IMAGE_ID --no-picture

        aigiqa show DB IMAGE_ID --json | jq .data.row.prompt
    """
    found = shown(desk.context, desk.installed_names([database])[0], image, pictures=picture)

    def tell(terminal: Terminal) -> None:
        if not terminal.out_is_terminal:
            one_image.write(terminal, found)
            return
        if picture:
            _draw(terminal, found)
        one_image.show(terminal, found)

    return Answer(found.as_json(), tell, fault=found.fault)


def _draw(terminal: Terminal, found: Shown) -> None:
    """The reference first, as it came first."""
    pictures = [file.data for file in reversed(found.files) if file.data]
    if not pictures:
        return
    from aigiqa_cli import images
    from aigiqa_cli.cli.pictures import drawing
    from aigiqa_cli.cli.pictures.screen import screen

    drawing.draw(terminal, [images.pixels(data) for data in pictures], screen(sys.stdout.fileno(), os.environ))


command_ = command(show)
