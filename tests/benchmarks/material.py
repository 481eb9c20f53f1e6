"""The data: an invented database `bench` of noise images in a deflated zip, made once below a folder."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import measure

BYTES_EACH = 417_000  # 2,400 images are 1 GB
JPEG_EVERY = 4  # the other three of four are PNG
SEED = 20_260_701
MANIFEST = """\
schema: 1
version: 1
id: bench
title: Bench
summary: Noise in many files, for measuring time. No model made the images and no person rated them.
synthetic: true
license: {{spdx: CC0-1.0, scope: everything, source: made by a script}}
citation: {{key: bench, type: misc, title: Bench, authors: [Nobody], year: 2026}}
assets:
  - name: bench.zip
    role: images
    format: zip
    bytes: {zip_bytes}
    sha256: {zip_sha256}
  - name: bench.csv
    role: labels
    format: csv
    bytes: {csv_bytes}
    sha256: {csv_sha256}
labels:
  - needs: [bench.csv]
    tables: [{{file: bench.csv, columns: [name, prompt, mos]}}]
    columns: {{prompt: prompt, generator: {{const: bench-noise}}, task: {{const: t2i}}}}
    scores: {{overall: {{mos: mos, range: [0, 5]}}}}
    image: {{id: name, find: ["{{name}}"], names: '^bench_[0-9]{{5}}\\.(png|jpg)$'}}
expect: {{images: {images}, rows: {images}, generators: {{bench-noise: {images}}}}}
"""
FOREST = """\
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
VOCABULARY = "schema: 1\ngenerators: {bench-noise: {title: Noise}}\n"


@dataclass(frozen=True)
class Material:
    """Where the made files lie."""

    folder: Path
    images: int

    @property
    def archive(self) -> Path:
        return self.folder / "bench.zip"

    @property
    def labels(self) -> Path:
        return self.folder / "bench.csv"

    @property
    def settings(self) -> dict[str, str]:
        return {"AIGIQA_MANIFESTS": str(self.folder / "manifests")}


def make(work: Path, megabytes: int) -> Material:
    """The material of this size below `work`: found there, or made."""
    images = max(1, megabytes * 1_000_000 // BYTES_EACH)
    material = Material(work / f"bench-{megabytes}", images)
    manifest = material.folder / "manifests" / "bench.yaml"
    if manifest.is_file():  # written last
        return material
    manifest.parent.mkdir(parents=True, exist_ok=True)
    _write_labels(material)
    _write_archive(material)
    (manifest.parent / "generators.yaml").write_text(VOCABULARY)
    part = manifest.with_suffix(".part")
    part.write_text(_manifest(material))
    os.replace(part, manifest)
    return material


def name_of(number: int) -> str:
    return f"bench_{number:05}.{'jpg' if number % JPEG_EVERY == 0 else 'png'}"


def image(number: int) -> bytes:
    """Noise of too few levels to be stored and too many to be packed: the length comes from entropy coding, as in
    photographs, and a second packing gains nothing."""
    import numpy as np
    from PIL import Image

    is_jpeg = name_of(number).endswith("jpg")
    side, levels = (480, 256) if is_jpeg else (416, 96)
    noise = np.random.default_rng(SEED + number).integers(0, levels, (side, side, 3), dtype=np.uint8)
    stream = io.BytesIO()
    if is_jpeg:
        Image.fromarray(noise).save(stream, "JPEG", quality=88)
    else:
        Image.fromarray(noise).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _images(count: int) -> Iterator[bytes]:
    with ProcessPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        yield from pool.map(image, range(count), chunksize=8)


def _write_labels(material: Material) -> None:
    with material.labels.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["name", "prompt", "mos"])
        for number in range(material.images):
            table.writerow([name_of(number), f"noise number {number}, without a subject", f"{number % 500 / 100:.2f}"])


def _write_archive(material: Material) -> None:
    with zipfile.ZipFile(material.archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for number, data in enumerate(_images(material.images)):
            archive.writestr(f"bench/images/{name_of(number)}", data)


def _manifest(material: Material) -> str:
    facts = {}
    for key, path in (("zip", material.archive), ("csv", material.labels)):
        with path.open("rb") as stream:
            facts[f"{key}_sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
        facts[f"{key}_bytes"] = path.stat().st_size
    return MANIFEST.format(images=material.images, **facts)


def forest(aigiqa: str, work: Path, root: Path, files: int, side: int) -> int:
    """An installed database of noise: this many PNGs of side * 2 by side pixels; returns the bytes of its images. They
    differ in their last bytes, behind the end of the picture."""
    from PIL import Image

    stream = io.BytesIO()
    Image.effect_noise((side * 2, side), 90).convert("L").save(stream, "PNG")
    picture, folder, manifests = stream.getvalue(), work / "images", work / "manifests"
    folder.mkdir()
    manifests.mkdir()
    names = [f"leaf_{number:05}.png" for number in range(files)]
    for name in names:
        (folder / name).write_bytes(picture + name.encode())
    lines = ["name,prompt,mos", *(f"{name},a tree,{number % 500 / 100}" for number, name in enumerate(names))]
    table = ("\n".join(lines) + "\n").encode()
    (work / "forest.csv").write_bytes(table)
    facts = {"bytes": len(table), "sha256": hashlib.sha256(table).hexdigest(), "files": files}
    (manifests / "forest.yaml").write_text(FOREST.format(**facts))
    (manifests / "generators.yaml").write_text(VOCABULARY)
    words = (aigiqa, "--root", str(root), "-q", "import", "forest", str(folder), str(work / "forest.csv"))
    measure.timed(measure.Command(words, settings={"AIGIQA_MANIFESTS": str(manifests)}))
    shutil.rmtree(folder)
    return files * (len(picture) + len(names[0]))
