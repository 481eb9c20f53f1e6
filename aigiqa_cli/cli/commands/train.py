"""aigiqa train."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from aigiqa_cli.cli.commands.options import complete_ids
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.evaluation import table
from aigiqa_cli.cli.terminal import Terminal
from aigiqa_cli.methods import METHODS
from aigiqa_cli.methods.backbones import BACKBONES
from aigiqa_cli.methods.settings import DEVICES, PROTOCOLS
from aigiqa_cli.steps.evaluate import Evaluation, Request, evaluate
from aigiqa_cli.steps.train import Effort, Settings, Trained
from aigiqa_cli.steps.train import train as train_one

_COMPUTING = "How it is computed"


def train(
    desk: Desk,
    method: Annotated[str, typer.Argument(metavar="|".join(METHODS), help="No, full or partial reference.")],
    database: Annotated[str, typer.Argument(metavar="DB", help="An installed database.", autocompletion=complete_ids)],
    *,
    output: Annotated[str, typer.Option("--output", "-o", metavar="RUN", help="The run folder; an old one goes on.")],
    dimension: Annotated[
        str, typer.Option("--dimension", "-d", metavar="NAME", help="quality, alignment, … or extra.FIELD.")
    ],
    split: Annotated[str, typer.Option("--split", "-s", metavar="NAME[:PART]", help="A split, or a file with one.")],
    backbone: Annotated[str, typer.Option(metavar="NAME", help=f"{', '.join(BACKBONES)}.")] = "resnet50",
    protocol: Annotated[
        str,
        typer.Option(metavar="|".join(PROTOCOLS), help="Choose the epoch on a part kept back, or on the test part."),
    ] = PROTOCOLS[0],
    weights: Annotated[
        str,
        typer.Option(metavar="WORD|FILE", help="manifest: the authors' file; hub: timm's; none; .pth, .safetensors."),
    ] = "manifest",
    where: Annotated[str, typer.Option(metavar="SQL", help="Only images that fit, as in export.")] = "",
    epochs: Annotated[int, typer.Option(metavar="N", min=1, help="More of them go on with a run.")] = 100,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Images of one step.")] = 8,
    lr: Annotated[float, typer.Option(metavar="X", help="Learning rate of Adam.")] = 1e-4,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Of weights, order, crops and flips.")] = 1,
    crop: Annotated[
        int | None, typer.Option(metavar="PX", min=64, help="Else 224, or 299 for inceptionv4.", show_default=False)
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="|".join(DEVICES), help="Where.", rich_help_panel=_COMPUTING)
    ] = DEVICES[0],
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Processes that load images; else by cores.", rich_help_panel=_COMPUTING),
    ] = None,
    amp: Annotated[
        bool | None,
        typer.Option("--amp/--no-amp", help="Mixed precision; else on a GPU.", rich_help_panel=_COMPUTING),
    ] = None,
    compile_: Annotated[
        bool,
        typer.Option("--compile", help="By torch.compile: slow to begin, then faster.", rich_help_panel=_COMPUTING),
    ] = False,
) -> Answer:
    """Train NR-, FR- or PR-AIGCIQA on one score of a database, predict the held-out images, and evaluate that.

    As the authors' code does it, but for the choice of the epoch: honest takes the best one on a validation part (the
    split's own, else a fifth of the training part, whole prompts), authors the best one on the test part itself.

    Needs the extra methods. Killed at any point, the same command goes on after its last whole epoch.

    Examples:

        aigiqa train nr DB -d quality -s NAME --backbone resnet18 --weights none --crop 64 --epochs 1 -o run
    """
    settings = Settings(
        method, desk.installed_names([database])[0], dimension, split, backbone, protocol, weights, where, crop or 0,
        batch, lr, seed, amp,
    )  # fmt: skip
    done = train_one(desk.context, settings, Effort(epochs, device, workers, compile_), Path(output).expanduser())
    if not done.leads:
        return Answer(silent=True)
    wanted = Request(
        done.folder.predictions, (done.dimension,), done.evaluated, compare=False, allow_missing=done.partial
    )
    evaluated = evaluate(desk.context, settings.database, wanted)
    done.write_result(evaluated.as_json())
    data: dict[str, Any] = done.as_json() | {"evaluation": evaluated.as_json()}

    def show(terminal: Terminal) -> None:
        for note in evaluated.notes:
            terminal.note(note)
        for note in _kept(done):
            terminal.note(note)
        table.show(terminal, _told(done, evaluated))

    return Answer(data, show, fault=evaluated.fault)


def _kept(done: Trained) -> Iterator[str]:
    yield f"epoch {done.best['epoch']} of {len(done.course)} was kept: {done.folder.best}"
    if other := done.best.get("best_plcc"):
        yield f"protocol authors: best PLCC {other['plcc']:.4f}, in epoch {other['epoch']}, of which no network is kept"


def _told(done: Trained, evaluated: Evaluation) -> Evaluation:
    """The evaluation whose leak, also in a pipe, is that of the protocol and that of the split."""
    if not done.leak:
        return evaluated
    results = (replace(one, leak=f"leaky: {done.leak}; its split is {one.leak}") for one in evaluated.results)
    return replace(evaluated, results=tuple(results))


command_ = command(train)
