"""aigiqa predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aigiqa_cli.cli.commands.options import STDIN, complete_ids
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.terminal import Terminal
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.exports.whole import whole_target
from aigiqa_cli.methods.settings import DEVICES, TEST_BATCH
from aigiqa_cli.steps.predict import Request
from aigiqa_cli.steps.predict import predict as predict_images


def predict(
    desk: Desk,
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="A run folder of train, or a file in one.")],
    target: Annotated[
        str, typer.Argument(metavar="DB|FOLDER", help="A database, or pictures.", autocompletion=complete_ids)
    ],
    *,
    output: Annotated[str, typer.Option("--output", "-o", metavar="PATH", help="Else, and for -, stdout.")] = "-",
    split: Annotated[
        str,
        typer.Option("--split", "-s", metavar="NAME[:PART]", help="Only the images of a split, or of a part of it."),
    ] = "",
    where: Annotated[str, typer.Option(metavar="SQL", help="Only images that fit, as in export.")] = "",
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Images of one step.")] = TEST_BATCH,
    device: Annotated[str, typer.Option(metavar="|".join(DEVICES), help="Where.")] = DEVICES[0],
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Processes that load images; else by cores.")
    ] = None,
    amp: Annotated[bool | None, typer.Option("--amp/--no-amp", help="Mixed precision; else as it was trained.")] = None,
) -> Answer:
    """Scores of images by a network that was trained here: a csv that evaluate takes.

    The images may be those of another database than the network was trained on. FR needs image prompts.

    Examples:

        aigiqa predict run DB --split NAME:test | aigiqa evaluate DB - --split NAME -d quality

        aigiqa predict run Pictures -o scores.csv
    """
    request = Request(split, where, batch, device, workers, amp)
    path = Path(target).expanduser()
    folder = path.is_dir() and target not in desk.context.catalogue.entries
    if folder and (split or where):
        raise UsageFault(f"{path} is a folder, which has no splits and no labels", hint="leave out --split and --where")
    chosen: str | Path = path if folder else desk.installed_names([target])[0]
    done = predict_images(desk.context, Path(checkpoint).expanduser(), chosen, request)
    if output != STDIN:
        with whole_target(Path(output).expanduser()) as stream:
            stream.write(done.csv())

    def show(terminal: Terminal) -> None:
        if output == STDIN:
            terminal.raw(done.csv().decode())
        else:
            terminal.line(output)
        terminal.note(f"{len(done.images):,} images, {done.dimension}, by {done.model} trained on {done.trained_on}")
        if done.left_out:
            terminal.note(f"{done.left_out:,} images are not here and are left out")

    path_told = None if output == STDIN else output
    return Answer({"path": path_told} | done.as_json(scores=path_told is None), show)


command_ = command(predict)
