"""`module:function`: a Python function of the user's, which runs in this process with all rights of the user.

It is called with a list of image paths and returns one number for each. What else it wants it says by the names of its
parameters: `prompts`, `references` (lists of the same length) and `device`.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.scoring.contract import NEITHER, About, Item, Score, failed, judged

PROMPTS, REFERENCES, DEVICE = "prompts", "references", "device"


def opened(word: str, device: str) -> OfFunction:
    """Import what `module:function` or `file.py:function` means; the current folder counts as a place of modules.

    Raises UsageFault for what is not there or cannot be called with a list of paths.
    """
    place, _, name = word.rpartition(":")
    module = _module(place, word)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            known = [one for one, value in vars(module).items() if callable(value) and not one.startswith("_")]
            hint = f"it has {', '.join(known[:10])}" if known else "name a function: module:function"
            raise UsageFault(f"{place} has no {name!r}", hint=hint, phase="PLAN")
        found = getattr(found, part)
    if not callable(found):
        raise UsageFault(f"{word} is no function", hint="name a function of a list of paths", phase="PLAN")
    takes, needs = _parameters(found, word)
    about = About(word, "a function of yours", NEITHER, "not stated", str(module.__file__ or ""), REFERENCES in needs)
    return OfFunction(about, found, takes, device, str(module.__file__ or ""))


def _module(place: str, word: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)  # at the end: a file in this folder must not stand in for a library
    try:
        return _of_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(f"{error.name}.")):
            hint = "a module on PYTHONPATH or in this folder, or file.py:function"
            raise UsageFault(f"there is no module {place!r}", hint=hint, phase="PLAN") from error
        raise _unimportable(word, error) from error
    except (Exception, SystemExit) as error:  # whatever the module does when it is imported
        raise _unimportable(word, error) from error


def _of_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ModuleNotFoundError(f"no file {path}", name=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # dataclasses and worker processes look there
    spec.loader.exec_module(module)
    return module


def _unimportable(word: str, error: BaseException) -> UsageFault:
    where = _where(error)
    return UsageFault(
        f"{word} cannot be imported: {type(error).__name__}: {error}{where}", hint="correct the module", phase="PLAN"
    )


def _where(error: BaseException) -> str:
    """Where in the user's code it happened."""
    ours = os.path.dirname(os.path.dirname(__file__))
    found = traceback.extract_tb(error.__traceback__)
    frames = [one for one in found if not one.filename.startswith((ours, "<frozen"))]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""


def _parameters(found: Callable[..., Any], word: str) -> tuple[frozenset[str], frozenset[str]]:
    """Which of ours it takes by name, and which of these it cannot do without."""
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        return frozenset(), frozenset()
    named = {
        name: one
        for name, one in signature.parameters.items()
        if name in (PROMPTS, REFERENCES, DEVICE) and one.kind is not one.POSITIONAL_ONLY
    }
    try:
        signature.bind([], **dict.fromkeys(named))
    except TypeError as error:
        raise UsageFault(
            f"{word} cannot be called with a list of paths: {error}",
            hint="def function(paths), and if it wants them: prompts=, references=, device=",
            phase="PLAN",
        ) from None
    return frozenset(named), frozenset(name for name, one in named.items() if one.default is one.empty)


@dataclass(frozen=True)
class OfFunction:
    """A function of the user's. What `identity` knows of it is the file that it stands in."""

    about: About
    function: Callable[..., Any]
    takes: frozenset[str]
    device: str
    file: str

    @cached_property
    def identity(self) -> Mapping[str, str]:
        known = {"function": self.about.name, "file": self.file, "device": self.device}
        return known | ({"sha256": sha256_file(self.file)[0]} if os.path.isfile(self.file) else {})

    def score(self, items: Sequence[Item]) -> list[Score]:
        more: dict[str, Any] = {
            PROMPTS: [item.prompt for item in items],
            REFERENCES: [str(item.reference) if item.reference else None for item in items],
            DEVICE: self.device,
        }
        try:
            answer = self.function([str(item.path) for item in items], **{name: more[name] for name in self.takes})
        except (Exception, SystemExit) as error:  # whatever a function of somebody's raises
            text = str(error).partition("\n")[0]
            raise failed(self.about.name, items, f"{type(error).__name__}: {text}{_where(error)}") from error
        if isinstance(answer, str | bytes | Mapping) or not isinstance(answer, Iterable):
            why = f"it returned a {type(answer).__name__} and not a list of {len(items)} numbers"
            raise failed(self.about.name, items, why)
        values = list(answer)
        if len(values) != len(items):
            raise failed(self.about.name, items, f"it returned {len(values)} scores for {len(items)} images")
        return [judged(value) for value in values]
