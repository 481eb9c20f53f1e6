"""Fifty images out of a zip at nginx on loopback against the whole fetch: bytes that the server sends.

Both bring the labels, prove or hash, read every header that they need, write the index and commit durably. What is
compared is not time but what goes over the line, as the server counts it; it is the same in every run.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import measure
from material import Material
from measure import Command, Row
from serving import Server, served

IMAGES = 50
NAME = f"sample of {IMAGES} images : full fetch, bytes moved"
TARGET = 0.05


def rows(material: Material, _runs: int | None) -> list[Row]:
    """The share of the bytes; and the peak memory of the sample."""
    aigiqa = measure.program("aigiqa")
    work = material.folder / "part"
    shutil.rmtree(work, ignore_errors=True)
    measure.demand_space(material.folder, 3 * material.archive.stat().st_size)
    manifests = work / "manifests"
    manifests.mkdir(parents=True)
    try:
        with served(material.folder, work / "nginx") as server:
            _describe(material, manifests, server)
            settings = {"AIGIQA_MANIFESTS": str(manifests), "AIGIQA_ALLOW_PRIVATE_HOSTS": "1"}
            words = (aigiqa, "--root", str(work / "root"), "-q", "fetch", "bench")
            peak = measure.peak_memory(Command((*words, "--sample", str(IMAGES)), None, settings))
            sample = server.moved()
            _demand(work / "root", IMAGES)
            clear = measure.fresh(work / "root", work / "aside")
            measure.timed(Command(words, None, settings, clear))
            whole = server.moved() - sample
            _demand(work / "root", material.images)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return [Row(NAME, value=sample / whole, target=TARGET), measure.memory_row(NAME, peak)]


def _describe(material: Material, manifests: Path, server: Server) -> None:
    """The manifest of the material with mirrors."""
    text = (material.folder / "manifests" / "bench.yaml").read_text()
    for path in (material.archive, material.labels):
        entry = f"  - name: {path.name}\n"
        text = text.replace(entry, f'{entry}    mirrors: [{{kind: http, url: "{server.base}{path.name}"}}]\n')
    (manifests / "bench.yaml").write_text(text)
    shutil.copy(material.folder / "manifests" / "generators.yaml", manifests)


def _demand(root: Path, images: int) -> None:
    found = len(list((root / "bench" / "images").iterdir()))
    if found != images:
        raise measure.Failed(f"failed: {found} images instead of {images}")
