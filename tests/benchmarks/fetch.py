"""Fetch of an archive from nginx on loopback against what people chain by hand.

A downloads, proves, unpacks, hashes, reads every header, writes the index and commits durably; B downloads, checks the
published hash, unpacks and, over the unbounded line, hashes what came out; it flushes nothing. Over the bounded line
the host gives 50 MB/s to each connection, and B asks over four. With --stream A gives back to the disk what it has
unpacked, while B needs room for both.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import measure
import serving
from material import Material
from measure import Command, Row

FREE, BOUND = "fetch : curl, sha256sum, unzip, sha256sum", "fetch at 50 MB/s a connection : aria2c, sha256sum, unzip"
STREAM = "fetch --stream : curl, sha256sum, unzip, sha256sum"
FREE_TARGET, BOUND_TARGET = 0.45, 0.90
RUNS = 3
_SUM = 'echo "$2  $3" | sha256sum -c --status && unzip -q "$3" -d "$4"'
CURL = f'cd "$4" && curl -sf -o "$3" "$1" && {_SUM} && find . -name "*.png" -o -name "*.jpg" | tr "\\n" "\\0" | xargs -0 sha256sum > sums'
ARIA = f'cd "$4" && aria2c -q -x4 -s4 -k1M -o "$3" "$1" && {_SUM}'


def rows(material: Material, runs: int | None) -> list[Row]:
    for name in ("curl", "aria2c", "sha256sum", "unzip"):
        measure.program(name)
    measure.demand_space(material.folder, 6 * material.archive.stat().st_size)
    found = []
    with serving.served(material.folder, material.folder / "nginx") as server:
        for name, place, script, target, words in (
            (FREE, "", CURL, FREE_TARGET, ()),
            (STREAM, "", CURL, FREE_TARGET, ("--stream",)),
            (BOUND, "bound/", ARIA, BOUND_TARGET, ()),
        ):
            row, peak = _compared(material, f"{server.base}{place}", name, script, target, runs, words)
            found += [row, measure.memory_row(name, peak)]
    return found


def _compared(
    material: Material,
    base: str,
    name: str,
    script: str,
    target: float,
    runs: int | None,
    more: tuple[str, ...],
) -> tuple[Row, float]:
    aigiqa = measure.program("aigiqa")
    work = material.folder / "fetch"
    manifests, root, plain, aside = (work / part for part in ("manifests", "root", "plain", "aside"))
    shutil.rmtree(work, ignore_errors=True)
    sha256 = _describe(material, manifests, base)
    settings = {"AIGIQA_MANIFESTS": str(manifests), "AIGIQA_ALLOW_PRIVATE_HOSTS": "1"}
    a = Command(
        (aigiqa, "--root", str(root), "-q", "fetch", "bench", *more), None, settings, measure.fresh(root, aside)
    )
    words = ("sh", "-c", script, "sh", f"{base}bench.zip", sha256, "bench.zip", str(plain))
    clear = measure.fresh(plain, aside)

    def before() -> None:
        clear()
        plain.mkdir()

    b = Command(words, before=before)
    try:
        row, peak = measure.compare(name, a, b, runs=runs or RUNS, target=target)
        _demand_complete(root, plain, material)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return replace(row, name=name), peak


def _describe(material: Material, manifests: Path, base: str) -> str:
    """The manifest of the material with mirrors; returns the archive's SHA-256."""
    manifests.mkdir(parents=True)
    text = (material.folder / "manifests" / "bench.yaml").read_text()
    for name in (material.archive.name, material.labels.name):
        entry = f"  - name: {name}\n"
        text = text.replace(entry, f'{entry}    mirrors: [{{kind: http, url: "{base}{name}"}}]\n')
    (manifests / "bench.yaml").write_text(text)
    shutil.copy(material.folder / "manifests" / "generators.yaml", manifests)
    found = re.search(r"sha256: ([0-9a-f]{64})", text)
    if found is None:
        raise measure.Failed("failed: the manifest of the material states no hash")
    return found[1]


def _demand_complete(root: Path, plain: Path, material: Material) -> None:
    """Both sides must hold every image, or the times say nothing."""
    ours = {path.name for path in (root / "bench" / "images").iterdir()}
    theirs = {path.name for path in (plain / "bench" / "images").iterdir()}
    if ours != theirs or len(ours) != material.images:
        raise measure.Failed(f"failed: {len(ours)} and {len(theirs)} files instead of {material.images}")
