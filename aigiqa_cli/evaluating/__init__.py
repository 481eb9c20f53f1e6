"""The numbers: arrays in, results out. Nothing here knows a database, a file or a screen.

What cannot be computed is never a number: `Undefined` where a formula has no value, `FitFailed` where a curve was not
found, ValueError for input that no caller should send (NaN, other lengths).
"""

from __future__ import annotations

from aigiqa_cli.evaluating.samples import FitFailed, Undefined

__all__ = ["FitFailed", "Undefined"]
