"""The libraries of the extra `methods`. Nothing else of aigiqa needs them."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version

from aigiqa_cli.errors import PersonNeeded

NEEDED = ("torch", "torchvision", "timm", "safetensors")
_INSTALL = "pip install 'aigiqa[methods]'"


def demand_libraries() -> None:
    """Raises PersonNeeded for a library that is not installed, or that does not fit the others."""
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise PersonNeeded(
                f"the methods need {name}, which cannot be imported here: {error}", hint=_INSTALL, phase="PLAN"
            ) from error
        except RuntimeError as error:  # "operator torchvision::nms does not exist": built for another torch
            raise PersonNeeded(
                f"{name} does not fit the torch that is installed: {error}",
                hint=f"versions of one release of each: {_INSTALL}",
                phase="PLAN",
            ) from error


def versions() -> dict[str, str]:
    """Library -> version, of those that the numbers depend on."""
    found = {}
    for name in (*NEEDED, "pillow", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found
