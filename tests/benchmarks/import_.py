"""Import of an archive against unpacking it and hashing what came out."""

from __future__ import annotations

import shutil

import measure
from material import Material
from measure import Command, Row

NAME = "import of an archive"
TARGET = 0.7
RUNS = 5
PEER = 'unzip -q "$1" -d "$2" && cd "$2" && find . -type f -print0 | xargs -0 sha256sum > ../sums'


def rows(material: Material, runs: int | None) -> list[Row]:
    """A unpacks, hashes, reads the headers, writes the index and commits durably into a fresh root."""
    aigiqa = measure.program("aigiqa")
    for name in ("unzip", "sha256sum"):
        measure.program(name)
    root, plain, aside = (material.folder / name for name in ("root", "plain", "aside"))
    measure.demand_space(material.folder, 3 * material.archive.stat().st_size)
    a = Command(
        (aigiqa, "--root", str(root), "-q", "import", "bench", str(material.archive), str(material.labels)),
        settings=material.settings,
        before=measure.fresh(root, aside),
    )
    b = Command(("sh", "-c", PEER, "sh", str(material.archive), str(plain)), before=measure.fresh(plain, aside))
    try:
        row, peak = measure.compare(NAME, a, b, runs=runs or RUNS, target=TARGET)
        _demand_complete(material)
    finally:
        for folder in (root, plain, aside):
            shutil.rmtree(folder, ignore_errors=True)
    return [row, measure.memory_row(NAME, peak)]


def _demand_complete(material: Material) -> None:
    """Both sides must have hashed every image, or the times say nothing."""
    root = material.folder / "root" / "bench"
    ours = {line[:64] for line in (root / "checksums.sha256").read_text().splitlines() if "  images/" in line}
    theirs = {line[:64] for line in (material.folder / "sums").read_text().splitlines()}
    if ours != theirs or len(ours) != material.images:
        raise measure.Failed(f"failed: {len(ours)} and {len(theirs)} hashes instead of {material.images}")
