"""Verification of unchanged files against what git does for them: `verify --quick` : `git status`, on the same tree.

Both have everything in the page cache and an index that is up to date. git looks at its files on several threads.
"""

from __future__ import annotations

import shutil

import material as material_of
import measure
from material import Material
from measure import Command, Row

NAME = "verify --quick of 20,000 files : git status"
TARGET = 3.0
RUNS = 21
FILES = 20_000
SIDE = 16  # pixels: no byte of an image is read
GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@localhost")


def rows(material: Material, runs: int | None) -> list[Row]:
    aigiqa, git = measure.program("aigiqa"), measure.program("git")
    work = material.folder / "quick"
    root = work / "root"
    tree = root / "forest"
    work.mkdir(parents=True, exist_ok=True)
    try:
        material_of.forest(aigiqa, work, root, FILES, SIDE)
        repository = ("--git-dir", str(work / "repository"), "--work-tree", str(tree))
        for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "all")):
            measure.timed(Command((*GIT, *repository, *words), folder=tree))
        a = Command((aigiqa, "--root", str(root), "-q", "verify", "--quick", "forest"))
        b = Command((git, *repository, "status", "--porcelain"), folder=tree)
        row, peak = measure.compare(NAME, a, b, runs=runs or RUNS, target=TARGET)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return [row, measure.memory_row("verify --quick", peak)]
