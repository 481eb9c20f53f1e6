"""Checkpoints: one safetensors file each, the tensors by name and beside them, as JSON, what they are of.

`best` holds the network alone, `last` also the optimiser: all that going on needs, since the draws of an epoch depend
on the seed and its number alone (see `images`). Both appear whole or not at all. Nothing in them is ever executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from aigiqa_cli.errors import RefusedInput, UsageFault
from aigiqa_cli.exports.whole import whole_path
from aigiqa_cli.methods.backbones import backbone
from aigiqa_cli.methods.model import Scorer

FORM = "aigiqa-checkpoint-1"
MODEL, OPTIMISER = "model.", "optimiser."
_MOST = 200  # letters of a list of tensors


@dataclass(frozen=True)
class Checkpoint:
    """`about`: what it is of. The tensors stay in the file until they are asked for."""

    path: Path
    about: dict[str, Any]

    def tensors(self, prefix: str) -> dict[str, Tensor]:
        with safe_open(self.path, framework="pt") as stream:
            names = [name for name in stream.keys() if name.startswith(prefix)]  # noqa: SIM118 - it is no mapping
            return {name.removeprefix(prefix): stream.get_tensor(name) for name in names}

    def scorer(self) -> Scorer:
        """The network. Raises RefusedInput if the file does not hold the one that it says."""
        settings = self.about["settings"]
        made = Scorer(settings["method"], backbone(settings["backbone"]).cut(settings["crop"]))
        self.fill(made)
        return made

    def fill(self, scorer: nn.Module) -> None:
        try:
            scorer.load_state_dict(self.tensors(MODEL))
        except RuntimeError as error:  # its first line says no more than that
            first = (str(error).splitlines()[1:] or [""])[0].strip()
            raise _refused(self.path, f"holds tensors of another network than it says: {first[:_MOST]}") from error
        except SafetensorError as error:
            raise _refused(self.path, f"cannot be read: {str(error).splitlines()[0]}") from error


def save(
    path: Path, scorer: nn.Module, about: Mapping[str, Any], optimiser: torch.optim.Optimizer | None = None
) -> None:
    """Write a checkpoint durably in the place of an older one."""
    tensors = {f"{MODEL}{name}": tensor for name, tensor in scorer.state_dict().items()}
    for number, state in (optimiser.state_dict()["state"] if optimiser else {}).items():
        tensors |= {f"{OPTIMISER}{number}.{name}": tensor for name, tensor in state.items()}
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    with whole_path(path) as part:
        save_file(plain, part, {"format": FORM, "about": json.dumps(about)})


def opened(path: Path) -> Checkpoint:
    """Raises UsageFault if there is no file, RefusedInput for one that is no checkpoint of ours."""
    if not path.is_file():
        raise UsageFault(f"there is no checkpoint {path}", hint="the folder of aigiqa train -o, or a file in it")
    try:
        with safe_open(path, framework="pt") as stream:
            told = stream.metadata() or {}
        if told.get("format") != FORM:
            raise _refused(path, "is no checkpoint of aigiqa train")
        about = json.loads(told["about"])
        if not isinstance(about, dict) or not isinstance(about.get("settings"), dict):
            raise _refused(path, "does not say what it is of")
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise _refused(path, f"cannot be read: {str(error).splitlines()[0]}") from error
    return Checkpoint(path, about)


def restore(optimiser: torch.optim.Optimizer, found: Mapping[str, Tensor]) -> None:
    """The moments of Adam as they were; `found` are the tensors of `last` without their prefix."""
    parameters = [one for group in optimiser.param_groups for one in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in found.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = _laid_out(tensor, parameters[int(number)])
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _laid_out(tensor: Tensor, parameter: Tensor) -> Tensor:
    """A moment with the strides of its parameter, which the file does not keep and Adam in one kernel demands; the
    count of steps as it is."""
    return torch.empty_like(parameter).copy_(tensor) if tensor.shape == parameter.shape else tensor


def _refused(path: Path, problem: str) -> RefusedInput:
    return RefusedInput(
        f"{path} {problem}", hint="a folder of aigiqa train -o, or best.safetensors in it", phase="PLAN"
    )
