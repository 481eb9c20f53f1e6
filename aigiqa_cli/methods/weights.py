"""Published ImageNet weights into a backbone: torchvision's, Cadene's and timm's names are those of timm's models.

A file is never unpickled: `.safetensors` holds nothing but tensors, and of a `.pth` PyTorch's restricted reader
(`weights_only`) takes tensors and containers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from aigiqa_cli.context import Context
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import RefusedInput, UsageFault
from aigiqa_cli.methods import published
from aigiqa_cli.methods.backbones import Backbone
from aigiqa_cli.methods.model import Feature
from aigiqa_cli.methods.settings import Settings

NONE = "none"
SAFE = ".safetensors"
_COUNTS = "num_batches_tracked"  # which files from before PyTorch 0.4.1 lack


def begin(context: Context, feature: Feature, settings: Settings) -> dict[str, Any]:
    """Fill the backbone with what `--weights` means and say in JSON what that was: `none`, `hub`, `manifest` or a file.

    Raises as `load` and `published.obtain` do.
    """
    word = settings.weights
    if word == NONE:
        return {"from": NONE}
    path = Path(word).expanduser() if word not in published.WORDS else published.obtain(context, settings.network, word)
    load(path, feature, settings.network)
    return {"from": word if word in published.WORDS else "file", "name": path.name, "sha256": sha256_file(path)[0]}


def load(path: Path, feature: Feature, backbone: Backbone) -> None:
    """Fill the backbone. Raises UsageFault if there is no file, RefusedInput for one that does not fit it."""
    _fill(feature, read(path), backbone, path.name)


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name. Raises UsageFault if there is none, RefusedInput for one that holds others."""
    if not path.is_file():
        raise UsageFault(f"there is no file {path}", hint="--weights FILE, hub, manifest or none", phase="PLAN")
    try:
        found: Any = load_file(path) if path.suffix == SAFE else torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, ValueError, RuntimeError, EOFError, KeyError) as error:
        raise _refused(path.name, f"cannot be read: {str(error).splitlines()[0]}") from error
    except Exception as error:  # of the restricted reader, which has a class of its own for what it does not take
        if type(error).__module__.split(".")[0] not in ("_pickle", "pickle"):
            raise
        raise _refused(path.name, "holds more than tensors and is not read") from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not all(isinstance(one, Tensor) for one in found.values()):
        raise _refused(path.name, "holds no tensors by name")
    return dict(found)


def _fill(feature: Feature, found: Mapping[str, Tensor], backbone: Backbone, name: str) -> None:
    wanted = feature.body.state_dict()
    given = {key: tensor for key, tensor in found.items() if not key.startswith(backbone.head)}
    missing = [key for key in wanted if key not in given and not key.endswith(_COUNTS)]
    foreign = [key for key in given if key not in wanted]
    other = [key for key in given if key in wanted and given[key].shape != wanted[key].shape]
    if missing or foreign or other:
        key = (missing or foreign or other)[0]
        what = "lacks" if missing else "has no place for" if foreign else "has another shape of"
        told = f"{what} {key}" if not foreign or missing else f"holds {key}, which {backbone.name} has no place for"
        raise _refused(name, f"does not fit {backbone.name}: it {told}")
    feature.body.load_state_dict(given, strict=False)


def _refused(name: str, problem: str) -> RefusedInput:
    return RefusedInput(
        f"{name} {problem}",
        hint="a state dict of this backbone from torchvision, timm or Cadene, as .pth or .safetensors",
        phase="PLAN",
    )
