"""The networks: a backbone's feature, the fusion with that of the image prompt, and the regressor.

Notation: N images, d the width of the feature, D what the regressor is given: d, or 2 d for FR.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn

from aigiqa_cli.methods.backbones import Backbone


def full(generated: Tensor, reference: Tensor) -> Tensor:
    """FR: both features beside one another, the generated image's first. (N, d), (N, d) -> (N, 2 d)."""
    return torch.cat([generated, reference], dim=1)


def partial(generated: Tensor, reference: Tensor, present: Tensor) -> Tensor:
    """PR: (phi(I_g) + m phi(I_p)) / (1 + m), m = 1 where there is an image prompt, else 0.
    (N, d), (N, d), (N,) -> (N, d)."""
    mask = present.to(generated.dtype).unsqueeze(1)
    return (generated + mask * reference) / (1 + mask)


def regressor(width: int) -> nn.Sequential:
    """D -> D // 2 -> 1, without dropout or a bound."""
    return nn.Sequential(nn.Linear(width, width // 2), nn.ReLU(), nn.Linear(width // 2, 1))


class Feature(nn.Module):  # type: ignore[misc]  # torch is not there when types are checked
    """A backbone of timm up to its feature: (N, 3, h, w) -> (N, d). Its parameters are called as in published files."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.tokens = backbone.tokens
        self.body = timm.create_model(backbone.timm, pretrained=False, num_classes=0)
        for name in ("pre_logits", "norm") if self.tokens else ("pre_logits",):  # behind the feature
            if hasattr(self.body, name):
                setattr(self.body, name, nn.Identity())

    def forward(self, images: Tensor) -> Tensor:
        found = self.body.forward_features(images)
        return found[:, 0] if self.tokens else found.mean(dim=(2, 3))


class Scorer(nn.Module):  # type: ignore[misc]
    """One of METHODS on one backbone: images, for FR and PR with their image prompts, to scores (N,).

    Both images of a pair pass the backbone in one batch of 2 N, the generated ones first. An image prompt that is
    missing (PR) is a tensor of zeros and passes too: the mask keeps its feature out of the mean, but in training
    BatchNorm has seen it, so that there PR without a single image prompt is not NR to the last digit.
    """

    def __init__(self, method: str, backbone: Backbone) -> None:
        super().__init__()
        self.method = method
        self.feature = Feature(backbone)
        self.regressor = regressor(backbone.width * (2 if method == "fr" else 1))

    def forward(self, images: Tensor, references: Tensor | None = None, present: Tensor | None = None) -> Tensor:
        if self.method == "nr" or references is None or present is None:
            return self._scored(self.feature(images))
        generated, reference = self.feature(torch.cat([images, references])).chunk(2)
        fused = full(generated, reference) if self.method == "fr" else partial(generated, reference, present)
        return self._scored(fused)

    def _scored(self, features: Tensor) -> Tensor:
        """In float32 also under mixed precision: scores of 8 bits would tie, and ties change a rank correlation."""
        with torch.autocast(features.device.type, enabled=False):
            return self.regressor(features.float()).squeeze(1)


def arguments(batch: dict[str, Any]) -> tuple[Tensor, ...]:
    """What of a batch the network takes."""
    return tuple(batch[name] for name in ("image", "reference", "present") if name in batch)
