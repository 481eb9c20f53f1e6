"""Exports of 20,000 images against plain copies of the same bytes: webdataset : tar, hf-parquet : cp.

A reads every image, proves its SHA-256, writes it with its labels and gives the folder its name; B only copies. Both
read from the page cache, and both end when what they wrote is on the disk.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import material as material_of
import measure
from material import Material
from measure import Command, Row

TARGET = 1 / 0.7  # 0.7 of the speed
MEMORY = 500.0
RUNS = 3
FILES = 20_000
SIDE = 320  # pixels: noise of 199 kB, between a JPEG and a PNG of the databases
PEERS = {
    "webdataset": 'tar -cf "$2" -C "$1" . && sync "$2"',
    "hf-parquet": 'cp -r "$1" "$2" && sync -f "$2"',
}


def rows(material: Material, runs: int | None) -> list[Row]:
    aigiqa = measure.program("aigiqa")
    work = material.folder / "export"
    root, aside = work / "root", work / "aside"
    work.mkdir(parents=True, exist_ok=True)
    measure.demand_space(work, 5 * FILES * 200_000)
    try:
        size = material_of.forest(aigiqa, work, root, FILES, SIDE)
        images = root / "forest" / "images"
        for path in images.iterdir():
            path.read_bytes()
        common = (aigiqa, "--root", str(root), "-q", "export", "forest", "--format")
        found = []
        for form, script in PEERS.items():
            ours, theirs = work / form, work / f"{form}-plain"
            words = ("sh", "-c", script, "sh", str(images), str(theirs / "out"))
            a = Command((*common, form, "-o", str(ours)), before=measure.fresh(ours, aside))
            b = Command(words, before=_fresh_folder(theirs, aside))
            name = f"export {form}, {FILES:,} images, {size / 1e6:.0f} MB : {script.split()[0]}"
            row, peak = measure.compare(name, a, b, runs=runs or RUNS, target=TARGET)
            _demand_complete(form, ours, images)
            found += [row, measure.memory_row(f"export {form}", peak, MEMORY)]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return found


def _fresh_folder(folder: Path, aside: Path) -> Callable[[], None]:
    clear = measure.fresh(folder, aside)

    def before() -> None:
        clear()
        folder.mkdir()

    return before


def _demand_complete(form: str, folder: Path, images: Path) -> None:
    """The export must hold every image, or the times say nothing."""
    wanted = {path.stat().st_size for path in images.iterdir()}
    if form == "webdataset":
        held = []
        for path in sorted(folder.glob("*.tar")):
            with tarfile.open(path) as archive:
                held += [member.size for member in archive if member.name.endswith(".png")]
    else:
        import pyarrow.parquet as pq

        held = [
            len(image["bytes"])
            for path in sorted((folder / "data").iterdir())
            for batch in pq.ParquetFile(path).iter_batches(columns=["image"], batch_size=500)
            for image in batch["image"].to_pylist()
        ]
    if len(held) != FILES or set(held) != wanted:
        raise measure.Failed(f"failed: {form} holds {len(held)} images of {FILES}")
