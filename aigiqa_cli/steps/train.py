"""train: one of the methods on an installed database, for one score, into a run folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigiqa_cli import __version__
from aigiqa_cli.context import Context
from aigiqa_cli.methods import memory
from aigiqa_cli.methods.libraries import demand_libraries, versions
from aigiqa_cli.methods.run_folder import RESULT, WEIGHTS, RunFolder, table
from aigiqa_cli.methods.settings import AUTHORS, TEST_BATCH, Effort, Settings, device_named
from aigiqa_cli.methods.sides import Sides, sides
from aigiqa_cli.partitions.opened import opened
from aigiqa_cli.reporting import Reporter, Silent

if TYPE_CHECKING:
    from aigiqa_cli.methods.devices import Machine
    from aigiqa_cli.methods.model import Scorer
    from aigiqa_cli.methods.training import Course

__all__ = ["Effort", "Settings", "Trained", "train"]


@dataclass(frozen=True)
class Trained:
    """A training at its end: the epoch that was kept, the course, and what is evaluated. `leads`: this process is the
    one of several that reports."""

    folder: RunFolder
    config: dict[str, Any]
    best: dict[str, Any]
    course: list[dict[str, Any]]
    dimension: str
    evaluated: str  # NAME:PART
    partial: bool
    leads: bool = True

    @property
    def leak(self) -> str | None:
        """Of the protocol; that of the split is in the evaluation."""
        found: str | None = self.config["sides"]["protocol_leak"]
        return found

    def as_json(self) -> dict[str, Any]:
        files = {"folder": self.folder.path, "checkpoint": self.folder.best, "predictions": self.folder.predictions}
        return {
            **{name: str(path) for name, path in files.items()},
            "config": self.config,
            "best": self.best,
            "epochs": len(self.course),
            **self._protocol(),
        }

    def write_result(self, evaluation: dict[str, Any]) -> None:
        """What evaluate says of the predictions, beside them."""
        self.folder.write_json(RESULT, {"best": self.best, **self._protocol(), "evaluation": evaluation})

    def _protocol(self) -> dict[str, Any]:
        return {"protocol": self.config["settings"]["protocol"], "leak": self.leak}


def train(context: Context, settings: Settings, effort: Effort, output: Path) -> Trained:
    """Train, or go on with a training, and predict the held-out images with the network of the best epoch.

    Raises, before the first epoch: UsageFault for a split, scores, references, images or a device that are not here, or
    a folder with another training; RefusedInput for weights that do not fit; MachineFault where it would not fit into
    memory; PersonNeeded for libraries that are not installed.
    """
    settings.checked()
    device_named(effort.device)
    here = opened(context.root, settings.database)
    made = sides(context.root, here, settings)
    demand_libraries()
    from aigiqa_cli.methods.devices import joined, machine

    with joined(machine(effort.device, settings.amp)) as one:
        reporter = context.reporter if one.leads else Silent()
        for note in made.notes:
            reporter.note(note)
        folder = RunFolder(output)
        with folder.held(one.rank):
            return _trained(context, settings, effort, made, one, folder, here.record.index_sha256, reporter)


def _trained(
    context: Context,
    settings: Settings,
    effort: Effort,
    made: Sides,
    one: Machine,
    folder: RunFolder,
    index: str,
    reporter: Reporter,
) -> Trained:
    from aigiqa_cli.methods import checkpoint, prediction
    from aigiqa_cli.methods.devices import footprint
    from aigiqa_cli.methods.images import Images
    from aigiqa_cli.methods.training import Course, Epoch, Job, train

    paired = settings.method != "nr"
    memory.demand(footprint(settings.network), one.free(), settings.batch, pairs=paired, half=one.half is not None)
    config: dict[str, Any] = {
        "settings": settings.as_json(),
        "index_sha256": index,
        "sides": made.about,
        "precision": one.precision,
        "processes": one.world,
        "effort": asdict(effort),
        "versions": {"aigiqa": __version__} | versions(),
    }
    folder.demand(config)  # before weights are fetched for nothing
    scorer, config[WEIGHTS] = _begun(context, settings, folder, one)
    folder.demand(config)  # by every process: one that waits for another that has ended would tell of nothing else
    done = _epochs_done(folder, config)
    one.wait()  # until all have looked
    if one.leads:
        folder.begin(config, finished=done >= effort.epochs)
    one.wait()
    workers = one.workers(effort.workers)
    images = [Images(side, settings.method, settings.network, settings.seed) for side in (made.train, made.choosing)]
    job = Job(settings, effort, scorer, images[0], images[1], one, workers, folder, config)
    train(job, reporter)
    found = checkpoint.opened(folder.best)
    found.fill(scorer)
    held_out = Images(made.held_out, settings.method, settings.network, settings.seed)
    reporter.phase("predicting", total=len(held_out), unit="images")
    scores = prediction.once(scorer, held_out, max(TEST_BATCH, settings.batch), one, workers, reporter)
    course = Course([Epoch(**epoch) for epoch in checkpoint.opened(folder.last).about["course"]])
    if one.leads:
        rows = ((example.image_id, float(score)) for example, score in zip(made.held_out, scores, strict=True))
        folder.write(folder.predictions, table(("image_id", f"{settings.method}-{settings.backbone}"), rows))
    best = _best(course, settings)
    return Trained(folder, config, best, course.as_json(), settings.dimension, made.evaluated, made.partial, one.leads)


def _epochs_done(folder: RunFolder, config: dict[str, Any]) -> int:
    """Whole epochs of this training in the folder. Raises UsageFault for checkpoints of another one, RefusedInput for
    what is none."""
    from aigiqa_cli.methods import checkpoint

    there = {path: checkpoint.opened(path).about for path in (folder.last, folder.best) if path.is_file()}
    for path, about in there.items():
        folder.demand_of_it(path, about, config)
    return len(there[folder.last]["course"]) if folder.last in there else 0


def _begun(context: Context, settings: Settings, folder: RunFolder, one: Machine) -> tuple[Scorer, dict[str, Any]]:
    """The network with its first weights, and where these came from. A run that goes on has its own."""
    from aigiqa_cli.methods import weights
    from aigiqa_cli.methods.devices import sown
    from aigiqa_cli.methods.images import drawn
    from aigiqa_cli.methods.model import Scorer

    sown(drawn(settings.seed, 0, ""), one)
    scorer = Scorer(settings.method, settings.network)
    if folder.last.is_file() and folder.config.is_file():
        there = folder.read_config()
        if there.get("settings", {}).get("weights") == settings.weights:
            return scorer, there.get("weights", {})
    return scorer, one.in_turn(lambda: weights.begin(context, scorer.feature, settings))


def _best(course: Course, settings: Settings) -> dict[str, Any]:
    """The epoch that was kept; for the authors' protocol also that of the best PLCC, which may be another one."""
    kept = course.best()
    found: dict[str, Any] = {"by": "srcc", **(asdict(kept) if kept else {"epoch": len(course.epochs)})}
    if settings.protocol == AUTHORS:
        other = course.best("plcc")
        found["best_plcc"] = asdict(other) if other else None
    return found
