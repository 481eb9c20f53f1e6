"""Import of an archive against unpacking it and hashing what came out."""

from __future__ import annotations

import shutil

import measure
from material import Material
from measure import Command, Row

RUNS = 5
_SUMS = 'cd "$2" && find . -type f -print0 | xargs -0 sha256sum > ../sums'
PEERS = {  # name: (what is run, target)
    "import : unzip, sha256sum": (f'unzip -q "$1" -d "$2" && {_SUMS}', 0.40),
    "import : bsdtar, sha256sum": (f'mkdir "$2" && bsdtar -xf "$1" -C "$2" && {_SUMS}', 0.75),
}


def rows(material: Material, runs: int | None) -> list[Row]:
    """A unpacks, hashes, reads the headers, writes the index and commits durably into a fresh root."""
    for name in ("unzip", "bsdtar", "sha256sum"):
        measure.program(name)
    measure.demand_space(material.folder, 3 * material.archive.stat().st_size)
    found, peaks = [], []
    for name, (script, target) in PEERS.items():
        row, peak = _compared(material, name, script, target, runs or RUNS)
        found.append(row)
        peaks.append(peak)
    return [*found, measure.memory_row("import", max(peaks))]


def _compared(material: Material, name: str, script: str, target: float, runs: int) -> tuple[Row, float]:
    root, plain, aside = (material.folder / part for part in ("root", "plain", "aside"))
    aigiqa = measure.program("aigiqa")
    a = Command(
        (aigiqa, "--root", str(root), "-q", "import", "bench", str(material.archive), str(material.labels)),
        settings=material.settings,
        before=measure.fresh(root, aside),
    )
    b = Command(("sh", "-c", script, "sh", str(material.archive), str(plain)), before=measure.fresh(plain, aside))
    try:
        row, peak = measure.compare(name, a, b, runs=runs, target=target)
        _demand_complete(material)
    finally:
        for folder in (root, plain, aside):
            shutil.rmtree(folder, ignore_errors=True)
    return row, peak


def _demand_complete(material: Material) -> None:
    """Both sides must have hashed every image, or the times say nothing."""
    root = material.folder / "root" / "bench"
    ours = {line[:64] for line in (root / "checksums.sha256").read_text().splitlines() if "  images/" in line}
    theirs = {line[:64] for line in (material.folder / "sums").read_text().splitlines()}
    if ours != theirs or len(ours) != material.images:
        raise measure.Failed(f"failed: {len(ours)} and {len(theirs)} hashes instead of {material.images}")
