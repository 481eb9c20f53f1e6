"""Verification of an installed database against coreutils on the same list."""

from __future__ import annotations

import shutil

import measure
from material import Material
from measure import Command, Row

NAME = "verify"
TARGET = 0.6
RUNS = 9


def rows(material: Material, runs: int | None) -> list[Row]:
    aigiqa, sha256sum = measure.program("aigiqa"), measure.program("sha256sum")
    root = material.folder / "installed"
    common = (aigiqa, "--root", str(root), "-q")
    measure.timed(
        Command(
            (*common, "import", "bench", str(material.archive), str(material.labels)),
            settings=material.settings,
            before=lambda: shutil.rmtree(root, ignore_errors=True),
        )
    )
    a = Command((*common, "verify", "bench"), settings=material.settings)
    b = Command((sha256sum, "-c", "--quiet", "checksums.sha256"), folder=root / "bench")
    row, peak = measure.compare(NAME, a, b, runs=runs or RUNS, target=TARGET)
    shutil.rmtree(root)
    return [row, measure.memory_row(NAME, peak)]
