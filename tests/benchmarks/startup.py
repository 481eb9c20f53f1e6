"""The time until a command answers, against the command of another dataset tool."""

from __future__ import annotations

import measure
from material import Material
from measure import Command, Row

PAIRS = (("list", "--help", 0.45), ("--version", "--version", 0.6))
RUNS = 21


def rows(material: Material, runs: int | None) -> list[Row]:
    """`list` of the built-in catalogue with nothing installed; an update check of the peer is switched off."""
    aigiqa, hf = measure.program("aigiqa"), measure.program("hf")
    settings = {"AIGIQA_ROOT": str(material.folder / "nothing")}
    return [
        measure.compare(
            f"aigiqa {ours} : hf {theirs}",
            Command((aigiqa, ours), settings=settings),
            Command((hf, theirs)),
            runs=runs or RUNS,
            target=target,
        )[0]
        for ours, theirs, target in PAIRS
    ]
