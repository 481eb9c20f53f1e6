"""Part of a database: which of its images are wanted (`choosing`), and how just these are brought (`bringing`)."""

from __future__ import annotations

from aigiqa_cli.subsets.choosing import Selection, choose

__all__ = ["Selection", "choose"]
