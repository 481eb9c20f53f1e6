"""Images on their way to the network: what is cut out of them, and when it is the same again.

The draws for an image depend on the seed, the epoch and its name, and on nothing else: not on the number of workers,
the order of the epoch, the process that trains it, or an interruption.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler, Sampler, default_collate
from torchvision import transforms

from aigiqa_cli.errors import IntegrityFault
from aigiqa_cli.methods.backbones import Backbone
from aigiqa_cli.methods.sides import Example

if TYPE_CHECKING:
    from PIL.Image import Image

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, for every backbone
UNTRAINED = -1  # the epoch of images that are only predicted


def training(backbone: Backbone) -> transforms.Compose:
    """Resize of the short side, random crop, random flip; float32 (3, crop, crop), normalised."""
    cut = [
        transforms.Resize(backbone.resize),
        transforms.RandomCrop(backbone.crop),
        transforms.RandomHorizontalFlip(),
    ]
    return transforms.Compose([*cut, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])


def testing(backbone: Backbone) -> transforms.Compose:
    """The same with the crop in the middle and no flip."""
    cut = [transforms.Resize(backbone.resize), transforms.CenterCrop(backbone.crop)]
    return transforms.Compose([*cut, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])


def drawn(seed: int, epoch: int, name: str) -> int:
    """The seed of one image in one epoch: the first 8 bytes of a SHA-256, without the sign."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{epoch}/{name}".encode()).digest()[:8], "big") >> 1


class Images(Dataset[dict[str, Any]]):  # type: ignore[misc]  # torch is not there when types are checked
    """`images[epoch, number]`: the tensor of an image and its score; for FR and PR `reference`, zeros where
    there is none, and `present`, 1 where there is one. Crops and flips of the two are drawn independently."""

    def __init__(self, examples: Sequence[Example], method: str, backbone: Backbone, seed: int) -> None:
        self.examples = tuple(examples)
        self.paired = method != "nr"
        self.seed, self.crop = seed, backbone.crop
        self.training, self.testing = training(backbone), testing(backbone)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any] | IntegrityFault:
        """An image that cannot be read is its fault, for whoever asks for the batch: see `collated`."""
        try:
            return self._item(*key)
        except IntegrityFault as fault:
            return fault

    def _item(self, epoch: int, number: int) -> dict[str, Any]:
        one = self.examples[number]
        item = {"image": self._tensor(one, one.image, epoch, "")}
        if one.score is not None:
            item["score"] = torch.tensor(one.score, dtype=torch.float32)
        if self.paired:
            there = one.reference is not None
            item["present"] = torch.tensor(float(there))
            item["reference"] = (
                self._tensor(one, one.reference, epoch, "/reference")
                if one.reference is not None
                else torch.zeros(3, self.crop, self.crop)
            )
        return item

    def _tensor(self, one: Example, path: Path, epoch: int, what: str) -> Tensor:
        picture = opened(path, one)
        if epoch == UNTRAINED:
            return self.testing(picture)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(drawn(self.seed, epoch, one.image_id + what))
            return self.training(picture)


def opened(path: Path, one: Example) -> Image:
    """The decoded image, RGB. Raises IntegrityFault for what is none, or is gone."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        hint = f"aigiqa verify --repair {one.database}" if one.database else "leave it out of the folder"
        raise IntegrityFault(
            f"{path} is no image that can be read: {error}", hint=hint, fault="X03", database=one.database
        ) from error


def collated(items: Sequence[dict[str, Any] | IntegrityFault]) -> dict[str, Any] | IntegrityFault:
    """A batch, or what is wrong with it: raised in a worker, a fault would come out as text without its parts."""
    wrong = next((item for item in items if isinstance(item, IntegrityFault)), None)
    return wrong or default_collate(list(items))


class Order(Sampler[tuple[int, int]]):  # type: ignore[misc]
    """Keys of `Images` in the order of an epoch, as PyTorch's DistributedSampler deals them to `world` processes."""

    def __init__(self, images: Images, seed: int, rank: int = 0, world: int = 1) -> None:
        self.inner = DistributedSampler(images, num_replicas=world, rank=rank, shuffle=True, seed=seed)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        self.inner.set_epoch(epoch)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((self.epoch, number) for number in self.inner)

    def __len__(self) -> int:
        return len(self.inner)


class InTurn(Sampler[tuple[int, int]]):  # type: ignore[misc]
    """Every `world`-th image from the `rank`-th on, to be predicted."""

    def __init__(self, count: int, rank: int = 0, world: int = 1) -> None:
        self.numbers = range(rank, count, world)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((UNTRAINED, number) for number in self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)
