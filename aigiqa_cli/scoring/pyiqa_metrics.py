"""`pyiqa:NAME`: any metric of IQA-PyTorch (pyiqa) that measures single images.

Its interface, as of 0.1.16: `create_metric(name, device=…)` makes a module that knows its `metric_mode` (FR or NR) and
`lower_better`, and is called with one tensor, or two for FR: batch x 3 x height x width, RGB in 0..1. Its weights it
fetches by itself, once, to where PyTorch keeps them (TORCH_HOME).
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from aigiqa_cli.errors import TemporaryFault, UsageFault
from aigiqa_cli.images import NotAnImage
from aigiqa_cli.scoring import pixels
from aigiqa_cli.scoring.contract import HIGHER, LOWER, About, Item, Score, judged

if TYPE_CHECKING:
    from PIL.Image import Image

PREFIX = "pyiqa:"
SOURCE = "IQA-PyTorch, github.com/chaofengc/IQA-PyTorch"
OF_SETS = ("fid", "sfid", "fid_dinov2", "inception_score")  # of two sets of images, not of one image
WITH_PROMPT = ("clipscore",)  # takes the prompts as caption_list
_INSTALL = (
    "pip install pyiqa (it brings PyTorch; several GB with CUDA: install a CPU build of torch first to avoid that)"
)

Pair = tuple["Image", "Image | None"]


def names() -> list[str]:
    """The metrics of the pyiqa that is installed; none where it is not, or cannot be imported."""
    if importlib.util.find_spec("pyiqa") is None:
        return []
    with suppress(UsageFault):
        return [name for name in _library("").list_models() if name not in OF_SETS]
    return []


def opened(word: str, device: str) -> OfPyiqa:
    """The metric that `pyiqa:NAME` means, ready on `device` (auto, cpu or cuda).

    Raises UsageFault where pyiqa, the metric or the device is not here, TemporaryFault where its weights are not.
    """
    name = word.removeprefix(PREFIX)
    library = _library(word)
    if name in OF_SETS:
        raise UsageFault(
            f"{word} measures sets of images, not single ones", hint="choose a metric of images", phase="PLAN"
        )
    known = library.list_models()
    if name not in known:
        near = get_close_matches(name, known, n=3)
        hint = f"nearest: {', '.join(PREFIX + one for one in near)}" if near else "aigiqa score --list names them all"
        raise UsageFault(f"pyiqa has no metric {name!r}", hint=hint, phase="PLAN")
    place = _device(device)
    try:
        network = library.create_metric(name, device=place)
    except ImportError as error:
        raise UsageFault(
            f"{word} needs {error.name}: {error}", hint=f"pip install {error.name}", phase="PLAN"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise TemporaryFault(
            f"{word} cannot be made ready: {type(error).__name__}: {str(error).partition(chr(10))[0]}",
            hint="pyiqa fetches the weights of a metric when it is made: once with a network, or put them below "
            "$TORCH_HOME/hub/pyiqa",
            phase="PLAN",
        ) from error
    paired = network.metric_mode == "FR"
    better = LOWER if network.lower_better else HIGHER
    about = About(
        word, f"{name} of pyiqa", better, str(getattr(network, "score_range", None) or "not stated"), SOURCE, paired
    )
    return OfPyiqa(about, network, name, str(place))


def _library(word: str) -> Any:
    try:
        return importlib.import_module("pyiqa")
    except Exception as error:  # torchvision without its operators raises a RuntimeError, and so on
        missing = isinstance(error, ImportError) and error.name == "pyiqa"
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        why = "pyiqa, which is not installed" if missing else f"pyiqa, which cannot be imported: {reason}"
        raise UsageFault(f"{word} needs {why}", hint=_INSTALL, phase="PLAN") from error


def _device(word: str) -> Any:
    import torch

    there = torch.cuda.is_available()
    if word == "cuda" and not there:
        raise UsageFault("there is no CUDA device here", hint="--device cpu, or auto", phase="PLAN")
    return torch.device("cuda" if there and word != "cpu" else "cpu")


@dataclass(frozen=True)
class OfPyiqa:
    """A metric of pyiqa. Images of one size are given to it together; where it cannot take that, one by one."""

    about: About
    network: Any
    name: str
    device: str

    @cached_property
    def identity(self) -> Mapping[str, str]:
        try:
            release = version("pyiqa")
        except PackageNotFoundError:
            release = str(getattr(importlib.import_module("pyiqa"), "__version__", ""))
        return {"pyiqa": self.name, "version": release, "torch": version("torch"), "device": self.device}

    def score(self, items: Sequence[Item]) -> list[Score]:
        pairs = [self._pair(item) for item in items]
        scores: list[Score] = [pair if isinstance(pair, str) else "" for pair in pairs]
        sizes: dict[tuple[int, int], list[int]] = {}
        for at, pair in enumerate(pairs):
            if not isinstance(pair, str):
                sizes.setdefault(pair[0].size, []).append(at)
        for places in sizes.values():
            group = [pair for at in places if not isinstance(pair := pairs[at], str)]
            for at, score in zip(places, self._together([items[at] for at in places], group), strict=True):
                scores[at] = score
        return scores

    def _pair(self, item: Item) -> Pair | str:
        try:
            image = pixels.picture(item.path)
            if not self.about.needs_reference or item.reference is None:
                return image, None
            return image, pixels.as_large(pixels.picture(item.reference), image)
        except NotAnImage as error:
            return str(error)

    def _together(self, items: Sequence[Item], pairs: Sequence[Pair]) -> list[Score]:
        try:
            found = self._asked(items, pairs)
        except Exception as error:  # noqa: BLE001 - whatever a network raises
            if len(items) == 1:
                return [f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"]
            found = []
        if len(found) == len(items):
            return [judged(value) for value in found]
        if len(items) == 1:
            return [f"{len(found)} scores for one image"]
        return [score for item, pair in zip(items, pairs, strict=True) for score in self._together([item], [pair])]

    def _asked(self, items: Sequence[Item], pairs: Sequence[Pair]) -> list[float]:
        import torch

        given = [_tensor([image for image, _ in pairs], self.device)]
        if self.about.needs_reference:
            given.append(_tensor([reference for _, reference in pairs if reference is not None], self.device))
        more = {"caption_list": [item.prompt for item in items]} if self.name in WITH_PROMPT else {}
        with torch.no_grad():
            answer = self.network(*given, **more)
        answer = answer[0] if isinstance(answer, tuple) else answer
        return [float(value) for value in answer.detach().reshape(-1).double().cpu().tolist()]


def _tensor(pictures: Sequence[Image], device: str) -> Any:
    """Batch x 3 x height x width, float32 in 0..1."""
    import numpy as np
    import torch

    stacked = np.stack([pixels.rgb(picture) for picture in pictures])
    return torch.from_numpy(stacked).to(device).permute(0, 3, 1, 2).float() / 255
