"""What a training is made of: all that its numbers depend on, and what may change when it goes on. No PyTorch here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aigiqa_cli.errors import UsageFault
from aigiqa_cli.methods import METHODS
from aigiqa_cli.methods.backbones import Backbone, backbone

HONEST, AUTHORS = "honest", "authors"
PROTOCOLS = (HONEST, AUTHORS)
DEVICES = ("auto", "cpu", "cuda")
WEIGHT_DECAY = 1e-5
TEST_BATCH = 20


@dataclass(frozen=True)
class Effort:
    """How it is computed; a run may go on with another one."""

    epochs: int = 100
    device: str = "auto"
    workers: int | None = None
    compile: bool = False


@dataclass(frozen=True)
class Settings:
    """What is trained. The defaults are those of the authors' code. `amp` None: where there is a GPU."""

    method: str
    database: str
    dimension: str
    split: str
    backbone: str = "resnet50"
    protocol: str = HONEST
    weights: str = "manifest"
    where: str = ""
    crop: int = 0
    batch: int = 8
    lr: float = 1e-4
    seed: int = 1
    amp: bool | None = None

    def checked(self) -> Settings:
        """Itself. Raises UsageFault for words that mean nothing."""
        for word, known, what in ((self.method, METHODS, "method"), (self.protocol, PROTOCOLS, "protocol")):
            if word not in known:
                raise UsageFault(f"there is no {what} {word!r}", hint=f"there are {', '.join(known)}", phase="PLAN")
        if not 0 < self.lr < float("inf"):
            raise UsageFault(f"a learning rate of {self.lr:g} learns nothing", hint="--lr 1e-4", phase="PLAN")
        if not self.dimension:
            raise UsageFault("which score is learned?", hint="--dimension quality, …: one model for each", phase="PLAN")
        self.network  # noqa: B018 - raises for a backbone that there is not
        return self

    @property
    def network(self) -> Backbone:
        return backbone(self.backbone).cut(self.crop)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def device_named(word: str) -> str:
    if word not in DEVICES:
        raise UsageFault(f"there is no device {word!r}", hint=f"devices: {', '.join(DEVICES)}", phase="PLAN")
    return word
