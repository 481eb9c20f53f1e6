"""Training throughput on a GPU against the plain loop, and whether loading images ever holds it up.

The plain loop is that of the authors' code: every image decoded into memory at the start, transforms in the process that
trains, float32, nothing beside it. Ours reads the files, with worker processes, mixed precision and channels last. Each
is set as where it is really run: both let cuDNN take only what computes the same every time. Both train the same network
on the same 512 x 512 JPEG files with batches of 8; the first epoch of each warms up and is not
timed. "waiting" is the share of an epoch of ours in which the GPU waits for the next batch.
"""

from __future__ import annotations

import importlib.util
import io
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from material import Material
from measure import Missing, Row

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

IMAGES, SIDE, BATCH = 512, 512, 8
BACKBONES = ("resnet50", "vit-large")
RUNS = 3
RATIO, WAITING = 1 / 3, 0.1  # at least three times as fast; hardly ever waiting


def rows(_material: Material, runs: int | None) -> list[Row]:
    for name in ("torch", "timm", "torchvision", "safetensors"):
        if importlib.util.find_spec(name) is None:
            raise Missing(f"not run: {name} is not installed")
    import torch
    from operators import sitecustomize  # noqa: F401 - before torchvision: see there

    from aigiqa_cli.methods.devices import machine

    if not torch.cuda.is_available():
        raise Missing("not run: there is no GPU here")
    found = []
    with tempfile.TemporaryDirectory(prefix="aigiqa-methods-") as temporary:
        paths = pictures(Path(temporary), IMAGES)
        for name in BACKBONES:
            found += compare(name, paths, machine("cuda", amp=None), runs or RUNS, min(16, os.cpu_count() or 1))
    return found


def pictures(folder: Path, count: int) -> list[Path]:
    """JPEG files of smooth noise, each another one."""
    from PIL import Image

    dice, paths = random.Random(1), []
    for number in range(count):
        coarse = Image.frombytes("RGB", (64, 64), dice.randbytes(64 * 64 * 3))
        target = io.BytesIO()
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(target, "JPEG", quality=90)
        paths.append(folder / f"{number}.jpg")
        paths[-1].write_bytes(target.getvalue())
    return paths


def compare(name: str, paths: list[Path], machine: Any, runs: int, workers: int) -> list[Row]:
    """Seconds of an epoch of both, in turn, and the share of ours that is waiting."""
    plain, ours = Plain(name, paths, machine), Ours(name, paths, machine, workers)
    waited = []
    for each in (plain, ours):
        each.epoch(0)
    a, b = [], []
    for number in range(1, runs + 1):
        a.append(ours.epoch(number))
        waited.append(ours.waited / a[-1])
        b.append(plain.epoch(number))
    ratios = sorted(x / y for x, y in zip(a, b, strict=True))
    rates = f"{len(paths) / min(a):.0f} images/s, plain {len(paths) / min(b):.0f}"
    return [
        Row(f"train {name} ({rates})", a=tuple(a), b=tuple(b), value=ratios[len(ratios) // 2], target=RATIO),
        Row(f"train {name}, waiting for images", "share", tuple(waited), (), max(waited), WAITING),
    ]


class Plain:
    """As the authors train: all in memory, one process, float32."""

    def __init__(self, name: str, paths: list[Path], machine: Any) -> None:
        import torch
        from PIL import Image

        from aigiqa_cli.methods.backbones import BACKBONES
        from aigiqa_cli.methods.images import training
        from aigiqa_cli.methods.model import Scorer

        self.torch, self.machine = torch, machine
        self.transform = training(BACKBONES[name])
        self.images = [Image.open(path).convert("RGB") for path in paths]
        self.scorer = Scorer("nr", BACKBONES[name]).to(machine.device).train()
        self.adam = torch.optim.Adam(self.scorer.parameters(), lr=1e-5, weight_decay=1e-5)

    def epoch(self, number: int) -> float:
        self.torch.backends.cudnn.deterministic = True
        self.torch.backends.cudnn.benchmark = False
        self.torch.backends.cuda.matmul.allow_tf32 = False  # PyTorch's own setting, which they leave
        order = list(range(len(self.images)))
        random.Random(number).shuffle(order)
        begun = time.monotonic()
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            images = self.torch.stack([self.transform(self.images[place]) for place in chosen]).to(self.machine.device)
            targets = self.torch.tensor([place % 5.0 for place in chosen], device=self.machine.device)
            loss = self.torch.nn.functional.mse_loss(self.scorer(images), targets)
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()
            loss.item()
        return time.monotonic() - begun


class Ours:
    """As `aigiqa train` does it."""

    def __init__(self, name: str, paths: list[Path], machine: Any, workers: int) -> None:
        import torch

        from aigiqa_cli.methods import prediction, training
        from aigiqa_cli.methods.backbones import BACKBONES
        from aigiqa_cli.methods.images import Images, Order
        from aigiqa_cli.methods.model import Scorer
        from aigiqa_cli.methods.settings import Settings
        from aigiqa_cli.methods.sides import Example

        self.machine, self.training = machine, training
        examples = [Example("", path.name, path, None, place % 5.0) for place, path in enumerate(paths)]
        images = Images(examples, "nr", BACKBONES[name], 1)
        self.order = Order(images, 1)
        self.batches = prediction.loader(images, self.order, BATCH, machine, workers, stays=True)
        self.scorer = Scorer("nr", BACKBONES[name]).to(machine.device)
        if machine.gpu:
            self.scorer = self.scorer.to(memory_format=torch.channels_last)
        self.adam = training.optimiser(self.scorer, Settings("nr", "", "", "", name, lr=1e-5), machine)
        self.scaler = torch.amp.GradScaler(machine.device.type, enabled=machine.half is torch.float16)
        self.waited = 0.0

    def epoch(self, number: int) -> float:
        from aigiqa_cli.methods.devices import sown
        from aigiqa_cli.methods.images import drawn
        from aigiqa_cli.reporting import Silent

        sown(drawn(1, number + 1, ""), self.machine)
        self.order.set_epoch(number + 1)
        self.waited = 0.0
        begun = time.monotonic()
        batches = self._timed(self.batches)
        self.training._epoch(
            self.scorer, batches, self.adam, self.scaler, self.machine, Silent(), len(self.order.inner.dataset)
        )
        return time.monotonic() - begun

    def _timed(self, batches: Iterable[Any]) -> Iterator[Any]:
        remaining = iter(batches)
        while True:
            begun = time.monotonic()
            batch = next(remaining, None)
            self.waited += time.monotonic() - begun
            if batch is None:
                return
            yield batch
