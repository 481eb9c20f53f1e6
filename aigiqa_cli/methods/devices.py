"""Where it is computed: the processor or GPU, its number format, and the processes that share the work.

Several GPUs or machines are the framework's own business: `torchrun … -m aigiqa_cli train …` starts one process for
each and says by environment variables which it is (RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR,
MASTER_PORT).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed

from aigiqa_cli.errors import Fault, TemporaryFault, UsageFault
from aigiqa_cli.methods import memory
from aigiqa_cli.methods.backbones import Backbone
from aigiqa_cli.methods.memory import Footprint
from aigiqa_cli.methods.model import Feature

_PROBE = 2  # images
_MOST_WORKERS = 16
_PATIENCE = timedelta(hours=2)  # of processes that wait while another fetches weights

T = TypeVar("T")


@dataclass(frozen=True)
class Machine:
    """`half` is the number format of mixed precision, None for float32 throughout. Process `rank` of `world`; on its
    machine process `local` of `beside`."""

    device: torch.device
    half: torch.dtype | None = None
    rank: int = 0
    world: int = 1
    local: int = 0
    beside: int = 1

    @property
    def leads(self) -> bool:
        """Is this the one process that writes and reports?"""
        return self.rank == 0

    @property
    def gpu(self) -> bool:
        return bool(self.device.type == "cuda")

    @property
    def precision(self) -> str:
        """`float32`, `bfloat16` or `float16`."""
        return str(self.half or torch.float32).removeprefix("torch.")

    def workers(self, wished: int | None) -> int:
        """Processes that load images for this one: its share of the cores. A network on the processor itself needs them
        more than they do."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        share = max(1, min(_MOST_WORKERS, cores // self.beside))
        return wished if wished is not None else share if self.gpu else 0

    def mixed(self) -> AbstractContextManager[object]:
        """Mixed precision for the way forward, where it is on."""
        found: AbstractContextManager[object] = torch.autocast(
            self.device.type, self.half, enabled=self.half is not None
        )
        return found

    def moved(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a batch on the device; images on a GPU with their channels last, as its kernels want them."""
        found = {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}
        if not self.gpu:
            return found
        images = {n: t.contiguous(memory_format=torch.channels_last) for n, t in found.items() if t.dim() == 4}  # noqa: PLR2004
        return found | images

    def free(self) -> int | None:
        """Bytes that are free where it is computed; None where nobody says."""
        return int(torch.cuda.mem_get_info(self.device)[0]) if self.gpu else memory.free_here()

    def gathered(self, mine: Tensor, count: int) -> Tensor:
        """Numbers of every process in turn, `count` in all: those of image 0, of image 1, … (see `images.InTurn`)."""
        if self.world == 1:
            return mine.cpu()
        room = -(-count // self.world)
        padded = torch.zeros(room, dtype=mine.dtype, device=self.device)
        padded[: len(mine)] = mine.to(self.device)
        every = [torch.empty_like(padded) for _ in range(self.world)]
        distributed.all_gather(every, padded)
        return torch.stack(every, dim=1).flatten()[:count].cpu()

    def summed(self, *values: float) -> list[float]:
        """Each summed over the processes."""
        if self.world == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return [float(value) for value in total]

    def alike(self, tensors: Iterable[Tensor]) -> None:
        """Those of the first process become those of every process."""
        if self.world > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def in_turn(self, work: Callable[[], T]) -> T:
        """`work` by the first process, then by the first of each machine, then by the others: what one has fetched, the
        next find. A fault of one stops it when all have had their turn."""
        mine = 0 if self.leads else 1 if self.local == 0 else 2
        found: list[T] = []
        fault: Fault | None = None
        for turn in range(3 if self.world > 1 else 1):
            if turn == mine:
                try:
                    found.append(work())
                except Fault as raised:
                    fault = raised
            self.wait()
        if fault:
            raise fault
        return found[0]

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            distributed.barrier()


def machine(word: str, amp: bool | None, settings: Mapping[str, str] = os.environ) -> Machine:
    """What `--device` means here. Raises UsageFault for a GPU that is not there."""
    there = torch.cuda.is_available()
    if word == "cuda" and not there:
        raise UsageFault(
            "there is no GPU that this PyTorch can use",
            hint=f"--device cpu; or a build of torch for the GPU (this is {torch.__version__})",
            phase="PLAN",
        )
    numbers = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "1"))
    place = [int(settings.get(name, usual)) for name, usual in numbers]
    if word == "cpu" or not there:
        return Machine(torch.device("cpu"), torch.bfloat16 if amp else None, *place)
    device = torch.device("cuda", int(settings.get("LOCAL_RANK", "0")))
    half = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return Machine(device, half if amp in (True, None) else None, *place)


@contextmanager
def joined(one: Machine) -> Iterator[Machine]:
    """Together with the other processes of this run, if there are any. Raises TemporaryFault when one has ended."""
    if one.gpu:
        torch.cuda.set_device(one.device)
    if one.world == 1:
        yield one
        return
    distributed.init_process_group(
        "nccl" if one.gpu else "gloo", rank=one.rank, world_size=one.world, timeout=_PATIENCE
    )
    try:
        yield one
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        raise TemporaryFault(
            f"another process of this run has ended: {str(error).splitlines()[0]}",
            hint="see what that one says; the same command goes on",
        ) from error
    finally:
        distributed.destroy_process_group()


def alone(one: Machine) -> Machine:
    """The same without the others."""
    return replace(one, rank=0, world=1)


def sown(seed: int, one: Machine) -> None:
    """From here on the same numbers are drawn in every run; cuDNN takes only what computes the same every time."""
    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    if one.gpu:
        torch.backends.cuda.matmul.allow_tf32 = one.half is not None


def footprint(backbone: Backbone) -> Footprint:
    """What training this backbone takes: an image without content is passed through a network without memory."""
    kept: dict[int, int] = {}
    with torch.device("meta"):
        feature = Feature(backbone).train()
        images = torch.empty(_PROBE, 3, backbone.crop, backbone.crop)
    own = {parameter.untyped_storage()._cdata for parameter in feature.parameters()}  # noqa: SLF001 - its only name

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()._cdata  # noqa: SLF001
        if storage not in own:
            kept[storage] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = feature(images)
    del found
    weights = sum(parameter.numel() for parameter in feature.parameters()) * memory.FLOAT
    return Footprint(weights, sum(kept.values()) // _PROBE, images.numel() * memory.FLOAT // _PROBE)
