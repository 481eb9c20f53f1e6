"""Lets a build of torchvision be imported beside a torch that it was not built for.

Of its operators only the names are asked for, when it is imported; nothing here computes with one. CI has a torch for
the processor alone and torchvision's build for another one: its library does not load, and `import torchvision` fails
with "operator torchvision::nms does not exist". So before torchvision is imported, empty schemas of these names are
registered, unless its own library loads. Python imports this module at its start where its folder is on PYTHONPATH.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from pathlib import Path
from typing import Any

OPERATORS = (
    "nms", "qnms", "roi_align", "qroi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d", "_roi_align_backward",
    "_roi_pool_backward", "_ps_roi_align_backward", "_ps_roi_pool_backward", "_deform_conv2d_backward",
)  # fmt: skip
_kept: list[Any] = []  # a library that is collected takes its schemas with it


class _BeforeTorchvision(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "torchvision" and not _kept:
            _kept.append(self)
            self._register(importlib.machinery.PathFinder.find_spec(name))

    def _register(self, spec: importlib.machinery.ModuleSpec | None) -> None:
        try:
            import torch
        except ImportError:
            return
        try:
            for folder in (spec and spec.submodule_search_locations) or ():
                torch.ops.load_library(str(Path(folder) / "_C.so"))
        except (OSError, RuntimeError):
            library = torch.library.Library("torchvision", "FRAGMENT")
            for operator in OPERATORS:
                library.define(f"{operator}(Tensor x) -> Tensor")
            _kept.append(library)


sys.meta_path.insert(0, _BeforeTorchvision())
