"""Scores of images by a network, each process for its share."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler

from aigiqa_cli.errors import IntegrityFault, MachineFault
from aigiqa_cli.methods.devices import Machine
from aigiqa_cli.methods.images import Images, InTurn, collated
from aigiqa_cli.methods.model import arguments
from aigiqa_cli.reporting import Reporter

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray


def loader(
    images: Images,
    sampler: Sampler[tuple[int, int]],
    batch: int,
    machine: Machine,
    workers: int,
    *,
    stays: bool = False,
) -> DataLoader[dict[str, Any]]:
    """Batches of images; `stays`: the worker processes are kept for the next epoch."""
    return DataLoader(
        images,
        batch,
        sampler=sampler,
        num_workers=workers,
        pin_memory=machine.gpu,
        persistent_workers=stays and workers > 0,
        worker_init_fn=_deaf,
        collate_fn=collated,
    )


def sound(batches: Iterable[dict[str, Tensor] | IntegrityFault]) -> Iterator[dict[str, Tensor]]:
    """Every batch. Raises IntegrityFault for an image that cannot be read, MachineFault for workers that were ended."""
    try:
        for batch in batches:
            if isinstance(batch, IntegrityFault):
                raise batch
            yield batch
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise out_of_room(error) from error


def out_of_room(error: Exception) -> MachineFault:
    """The machine, or its GPU, has no room for a batch."""
    return MachineFault(
        f"this machine ended the work: {str(error).splitlines()[0]}",
        hint="a smaller --batch, or --workers 0; the same command then goes on",
        fault="S09",
    )


def _deaf(_number: int) -> None:
    """An interrupt is for the process that leads; it ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def predicted(
    scorer: nn.Module, batches: DataLoader[dict[str, Any]], count: int, machine: Machine, reporter: Reporter
) -> NDArray[float64]:
    """The scores of `count` images in their order, (count,); BatchNorm as it was learned."""
    scorer.eval()
    found: list[Tensor] = []
    left = count
    with torch.inference_mode(), machine.mixed():
        for batch in sound(batches):
            scores = scorer(*arguments(machine.moved(batch)))
            found.append(scores.double())
            left = advanced(reporter, len(scores) * machine.world, left)
    mine = torch.cat(found) if found else torch.empty(0, dtype=torch.float64, device=machine.device)
    together: NDArray[float64] = machine.gathered(mine, count).numpy()
    return together


def advanced(reporter: Reporter, amount: int, left: int) -> int:
    """Tell that `amount` images are done, and say how many are left. Counted by one process for all, they would be more
    than there are: the others have one less, or one twice to fill their share."""
    told = min(amount, left)
    reporter.advance(told)
    return left - told


def once(
    scorer: nn.Module, images: Images, batch: int, machine: Machine, workers: int, reporter: Reporter
) -> NDArray[float64]:
    """The scores of all images, (n,)."""
    turn = InTurn(len(images), machine.rank, machine.world)
    return predicted(scorer, loader(images, turn, batch, machine, workers), len(images), machine, reporter)
