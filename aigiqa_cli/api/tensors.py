"""Images and scores for PyTorch. Imported only by `Database.to_torch`: everything else works without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from PIL.Image import Image

    from aigiqa_cli.api.database import Picture


class Tensors(Dataset[dict[str, Any]]):  # type: ignore[misc]  # torch is not there when types are checked
    """A map-style dataset. `scores`: the target of each picture, (n,); also on the dataset as a float32 tensor."""

    def __init__(
        self, pictures: Sequence[Picture], scores: Sequence[float], transform: Callable[[Image], Any] | None = None
    ) -> None:
        self.pictures = tuple(pictures)
        self.scores = torch.tensor(scores, dtype=torch.float32)
        self.transform = transform or as_tensor
        self.paired = all(one.reference is not None for one in pictures)  # items of one dataset have the same keys

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> dict[str, Any]:
        picture = self.pictures[index]
        item = {
            "image": self.transform(picture.open().convert("RGB")),
            "score": self.scores[index],
            "image_id": picture.image_id,
            "prompt": picture.prompt,
        }
        if self.paired:
            item["reference"] = self.transform(picture.open_reference().convert("RGB"))
        return item


def as_tensor(image: Image) -> torch.Tensor:
    """An RGB image as float32, 3 x height x width, 0..1."""
    import numpy as np

    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(255)
