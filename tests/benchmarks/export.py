"""Exports of 20,000 images against plain copies of the same bytes: webdataset : tar, hf-parquet : cp.

A reads every image, proves its SHA-256, writes it with its labels and gives the folder its name; B only copies. Both
read from the page cache, and both end when what they wrote is on the disk.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

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
MANIFEST = """\
schema: 1
version: 1
id: forest
title: Forest
summary: Noise in many files, for measuring time. No model made the images and no person rated them.
synthetic: true
license: {{spdx: CC0-1.0, scope: everything, source: made by a script}}
citation: {{key: forest, type: misc, title: Forest, authors: [Nobody], year: 2026}}
assets:
  - name: forest.zip
    role: images
    format: zip
  - name: forest.csv
    role: labels
    format: csv
    bytes: {bytes}
    sha256: {sha256}
labels:
  - needs: [forest.csv]
    tables: [{{file: forest.csv, columns: [name, prompt, mos]}}]
    columns: {{prompt: prompt, generator: {{const: bench-noise}}, task: {{const: t2i}}}}
    scores: {{overall: {{mos: mos, range: [0, 5]}}}}
    image: {{id: name, find: ["{{name}}"], names: '^leaf_[0-9]{{5}}\\.png$'}}
expect: {{images: {files}, rows: {files}, generators: {{bench-noise: {files}}}}}
"""


def rows(material: Material, runs: int | None) -> list[Row]:
    aigiqa = measure.program("aigiqa")
    work = material.folder / "export"
    root, aside = work / "root", work / "aside"
    work.mkdir(parents=True, exist_ok=True)
    measure.demand_space(work, 5 * FILES * 200_000)
    try:
        size = _install(aigiqa, work, root)
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


def _install(aigiqa: str, work: Path, root: Path) -> int:
    """An installed database of noise; returns the bytes of its images. They differ in their last bytes, behind the end
    of the picture."""
    from PIL import Image

    stream = io.BytesIO()
    Image.effect_noise((SIDE * 2, SIDE), 90).convert("L").save(stream, "PNG")
    picture, folder, manifests = stream.getvalue(), work / "images", work / "manifests"
    folder.mkdir()
    manifests.mkdir()
    names = [f"leaf_{number:05}.png" for number in range(FILES)]
    for name in names:
        (folder / name).write_bytes(picture + name.encode())
    lines = ["name,prompt,mos", *(f"{name},a tree,{number % 500 / 100}" for number, name in enumerate(names))]
    table = ("\n".join(lines) + "\n").encode()
    (work / "forest.csv").write_bytes(table)
    facts = {"bytes": len(table), "sha256": hashlib.sha256(table).hexdigest(), "files": FILES}
    (manifests / "forest.yaml").write_text(MANIFEST.format(**facts))
    (manifests / "generators.yaml").write_text("schema: 1\ngenerators: {bench-noise: {title: Noise}}\n")
    words = (aigiqa, "--root", str(root), "-q", "import", "forest", str(folder), str(work / "forest.csv"))
    measure.timed(Command(words, settings={"AIGIQA_MANIFESTS": str(manifests)}))
    shutil.rmtree(folder)
    return FILES * (len(picture) + len(names[0]))


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
