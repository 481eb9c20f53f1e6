"""The training itself: MSE, Adam with weight decay 1e-5, a constant learning rate, one network for one score.

After each epoch the images of `choosing` are predicted, and the epoch with the highest SRCC there is kept. Everything
that an epoch draws depends on the seed and its number, so a run that was killed goes on from its last whole epoch and
ends, on the same machine, with the same last digit as one that was not.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.evaluating.coefficients import plcc, srcc
from aigiqa_cli.evaluating.samples import Undefined
from aigiqa_cli.methods import checkpoint, prediction
from aigiqa_cli.methods.devices import Machine, sown
from aigiqa_cli.methods.images import Images, InTurn, Order, drawn
from aigiqa_cli.methods.model import Scorer, arguments
from aigiqa_cli.methods.run_folder import RunFolder
from aigiqa_cli.methods.settings import TEST_BATCH, WEIGHT_DECAY, Effort, Settings
from aigiqa_cli.reporting import Reporter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy import float64
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Epoch:
    """What came of one epoch, counted from 1: mean loss, and the coefficients on `choosing` (None: not defined)."""

    epoch: int
    loss: float
    srcc: float | None
    plcc: float | None


@dataclass
class Course:
    """All epochs so far."""

    epochs: list[Epoch] = field(default_factory=list)

    def best(self, by: str = "srcc") -> Epoch | None:
        """The first epoch with the highest coefficient."""
        found = [one for one in self.epochs if getattr(one, by) is not None]
        return max(found, key=lambda one: (getattr(one, by), -one.epoch), default=None)

    def as_json(self) -> list[dict[str, Any]]:
        return [asdict(one) for one in self.epochs]


@dataclass(frozen=True)
class Job:
    """One training. `about` is what its checkpoints say of themselves; `scorer` begins with its published weights."""

    settings: Settings
    effort: Effort
    scorer: Scorer
    train: Images
    choosing: Images
    machine: Machine
    workers: int
    folder: RunFolder
    about: dict[str, Any]


def optimiser(scorer: nn.Module, settings: Settings, machine: Machine) -> torch.optim.Adam:
    """Adam over backbone and regressor; on a GPU all of its arithmetic in one kernel."""
    return torch.optim.Adam(scorer.parameters(), lr=settings.lr, weight_decay=WEIGHT_DECAY, fused=machine.gpu)


def train(job: Job, reporter: Reporter) -> Course:
    """Train to the end, from where the run folder stands. Raises MachineFault if there is no room for a batch."""
    try:
        return _trained(job, reporter)
    except torch.OutOfMemoryError as error:
        raise prediction.out_of_room(error) from error


def _trained(job: Job, reporter: Reporter) -> Course:
    machine, settings = job.machine, job.settings
    scorer = job.scorer.to(machine.device)
    if machine.gpu:
        scorer = scorer.to(memory_format=torch.channels_last)
    adam = optimiser(scorer, settings, machine)
    scaler = torch.amp.GradScaler(machine.device.type, enabled=machine.half is torch.float16)
    course = _resumed(job, scorer, adam, scaler)
    whole: nn.Module = torch.compile(scorer) if job.effort.compile else scorer
    wrapped = DistributedDataParallel(whole) if machine.world > 1 else whole
    order = Order(job.train, settings.seed, machine.rank, machine.world)
    batches = prediction.loader(job.train, order, settings.batch, machine, job.workers, stays=True)
    turn = InTurn(len(job.choosing), machine.rank, machine.world)
    tests = prediction.loader(job.choosing, turn, max(TEST_BATCH, settings.batch), machine, job.workers)
    per_epoch = len(job.train) + len(job.choosing)
    done = len(course.epochs)
    if done < job.effort.epochs:
        name = f"training {settings.method}, {settings.backbone}"
        reporter.phase(name, total=per_epoch * job.effort.epochs, unit="images", done=per_epoch * done)
    for number in range(done + 1, job.effort.epochs + 1):
        order.set_epoch(number)
        sown(drawn(settings.seed, number, ""), machine)
        begun = time.monotonic()
        loss = _epoch(wrapped, batches, adam, scaler, machine, reporter, len(job.train))
        if not loss < float("inf"):
            raise RefusedInput(
                f"the loss of epoch {number} is no finite number: the training has come apart",
                hint=f"a lower --lr than {settings.lr:g}, or --no-amp",
            )
        machine.alike(scorer.buffers())  # what BatchNorm saw in each process; the checkpoint has the first's
        scores = prediction.predicted(whole, tests, len(job.choosing), machine, reporter)
        _keep(job, course, Epoch(number, loss, *_agreement(scores, job.choosing)), scorer, adam, scaler)
        _tell(course, job, time.monotonic() - begun, reporter)
    return course


def _epoch(
    scorer: nn.Module,
    batches: Any,
    adam: torch.optim.Adam,
    scaler: torch.amp.GradScaler,
    machine: Machine,
    reporter: Reporter,
    left: int,
) -> float:
    """One pass over the training images, of which `left` are to be told; the mean of their losses."""
    scorer.train()
    criterion = nn.MSELoss()
    total, images = torch.zeros((), dtype=torch.float64, device=machine.device), 0
    for batch in prediction.sound(batches):
        here = machine.moved(batch)
        adam.zero_grad(set_to_none=True)
        with machine.mixed():
            loss = criterion(scorer(*arguments(here)).float(), here["score"])
        scaler.scale(loss).backward()
        scaler.step(adam)
        scaler.update()
        count = len(here["score"])
        total += loss.detach().double() * count  # stays on the device: asking for it would wait for the GPU
        images += count
        left = prediction.advanced(reporter, count * machine.world, left)
    summed, counted = machine.summed(float(total), images)
    return summed / counted


def _agreement(scores: NDArray[float64], images: Images) -> tuple[float | None, float | None]:
    """SRCC and PLCC of the predictions as they are, as the authors' code takes them."""
    targets = [one.score for one in images.examples]
    found: Sequence[float | None] = []
    for coefficient in (srcc, plcc):
        try:
            found = [*found, coefficient(scores, targets)]  # type: ignore[arg-type]
        except (Undefined, ValueError):  # a constant, or not finite
            found = [*found, None]
    return found[0], found[1]


def _keep(
    job: Job, course: Course, epoch: Epoch, scorer: Scorer, adam: torch.optim.Adam, scaler: torch.amp.GradScaler
) -> None:
    """The best first: a run that is killed in between computes this epoch again, and writes the same."""
    course.epochs.append(epoch)
    if job.machine.leads:
        about = job.about | {"course": course.as_json(), "scaler": scaler.state_dict()}
        best = course.best()
        if best is epoch or best is None:
            checkpoint.save(job.folder.best, scorer, about)
        checkpoint.save(job.folder.last, scorer, about, adam)
        job.folder.write_curve(course.as_json())
    job.machine.wait()


def _resumed(job: Job, scorer: Scorer, adam: torch.optim.Adam, scaler: torch.amp.GradScaler) -> Course:
    """Take up the last whole epoch of the run folder, if there is one."""
    if not job.folder.last.is_file():
        return Course()
    found = checkpoint.opened(job.folder.last)
    found.fill(scorer)
    checkpoint.restore(adam, found.tensors(checkpoint.OPTIMISER))
    if found.about["scaler"]:
        scaler.load_state_dict(found.about["scaler"])
    course = Course([Epoch(**one) for one in found.about["course"]])
    if job.machine.leads:
        job.folder.write_curve(course.as_json())  # which may be an epoch behind
    return course


def _tell(course: Course, job: Job, seconds: float, reporter: Reporter) -> None:
    last, best = course.epochs[-1], course.best()
    rate = (len(job.train) + len(job.choosing)) / seconds
    told = f"epoch {last.epoch} of {job.effort.epochs}: loss {last.loss:.4f}, SRCC {_number(last.srcc)}"
    if best:
        told += f", best {_number(best.srcc)} in epoch {best.epoch}"
    reporter.note(f"{told}, {rate:.1f} images/s")


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4f}"
