"""Files that the package computes itself: nothing is asked over a network."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from aigiqa_cli import synthetic

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Mirror
    from aigiqa_cli.transport.model import Request


def resolve(mirror: Mirror) -> Request:
    """`mirror.path` names the file. The request can be streamed anew, always with the same bytes."""
    from aigiqa_cli.transport.model import Request

    synthetic.stream(mirror.path)  # refuses an unknown name here, before anything is written
    return Request(url="", fixed=True, stream=partial(synthetic.stream, mirror.path))
