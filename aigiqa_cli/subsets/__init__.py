"""Part of a database: which of its images are wanted (`choosing`), and how just these are brought (`bringing`)."""

from __future__ import annotations

from aigiqa_cli.subsets.bringing import Order, bring
from aigiqa_cli.subsets.choosing import Selection, choose
from aigiqa_cli.subsets.tree import only_missing

__all__ = ["Order", "Selection", "bring", "choose", "only_missing"]
