"""A tree of thousands of files from a hub on loopback against `hf download` of the same tree.

A lists, fetches, proves, unpacks, reads every header, writes the index and commits durably; B only downloads. The hub
is the double of the tests: both sides pay for its answers alike, and it, not the network, sets the upper limit.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import sys
from pathlib import Path

import measure
from material import Material
from measure import Command, Row

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

NAME = "fetch of a tree : hf download"
TARGET = 0.8
RUNS = 3
FILES = 20_000
SIDE = 80  # pixels: noise of 19 kB, and of 390 kB with 365
_BYTES = 19_100  # of a file of 80 pixels
REPO, FOLDER = "bench/forest", "images"
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
  - name: images
    role: images
    format: tree
    mirrors: [{{kind: huggingface, repo: {repo}, revision: "{commit}", path: {folder}}}]
  - name: forest.csv
    role: labels
    format: csv
    bytes: {bytes}
    sha256: {sha256}
    mirrors: [{{kind: huggingface, repo: {repo}, revision: "{commit}", path: forest.csv}}]
labels:
  - needs: [forest.csv]
    tables: [{{file: forest.csv, columns: [name, prompt, mos]}}]
    columns: {{prompt: prompt, generator: {{const: bench-noise}}, task: {{const: t2i}}}}
    scores: {{overall: {{mos: mos, range: [0, 5]}}}}
    image: {{id: name, find: ["{{name}}"], names: '^leaf_[0-9]{{5}}\\.png$'}}
expect: {{images: {files}, rows: {files}, generators: {{bench-noise: {files}}}}}
"""


def rows(material: Material, runs: int | None) -> list[Row]:
    try:
        from doubles import Box
    except ImportError as error:
        raise measure.Missing(f"not run: the double of the hub needs {error.name}") from error
    aigiqa, hf = measure.program("aigiqa"), measure.program("hf")
    measure.demand_memory(int(1.5 * FILES * _BYTES * (SIDE / 80) ** 2))  # the hub holds all files
    files = _forest(FILES)
    work = material.folder / "tree"
    manifests, root, plain, aside, home = (work / name for name in ("manifests", "root", "plain", "aside", "home"))
    work.mkdir(parents=True, exist_ok=True)
    measure.demand_space(work, 6 * sum(map(len, files.values())))
    with Box() as box:
        commit = box.hub.add(REPO, files).commit
        _describe(manifests, files, commit)
        settings = box.environment(home) | {"AIGIQA_MANIFESTS": str(manifests)}
        a = Command((aigiqa, "--root", str(root), "-q", "fetch", "forest"), None, settings, measure.fresh(root, aside))
        words = (hf, "download", REPO, "--repo-type", "dataset", "--revision", commit, "--local-dir", str(plain))
        b = Command(words, None, settings, measure.fresh(plain, aside))
        try:
            row, peak = measure.compare(NAME, a, b, runs=runs or RUNS, target=TARGET)
            _demand_complete(root, plain)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return [row, measure.memory_row(NAME, peak)]


def _forest(count: int) -> dict[str, bytes]:
    """PNGs that differ in their last bytes, behind the end of the picture, and their labels."""
    from PIL import Image

    stream = io.BytesIO()
    Image.effect_noise((SIDE, SIDE * 3), 90).convert("L").save(stream, "PNG")
    picture = stream.getvalue()
    names = [f"leaf_{number:05}.png" for number in range(count)]
    lines = ["name,prompt,mos", *(f"{name},a tree,{number % 500 / 100}" for number, name in enumerate(names))]
    images = {f"{FOLDER}/{name}": picture + name.encode() for name in names}
    return images | {"forest.csv": ("\n".join(lines) + "\n").encode()}


def _describe(manifests: Path, files: dict[str, bytes], commit: str) -> None:
    table = files["forest.csv"]
    facts = {"bytes": len(table), "sha256": hashlib.sha256(table).hexdigest(), "files": len(files) - 1}
    manifests.mkdir(parents=True)
    text = MANIFEST.format(repo=REPO, folder=FOLDER, commit=commit, **facts)
    (manifests / "forest.yaml").write_text(text)
    (manifests / "generators.yaml").write_text("schema: 1\ngenerators: {bench-noise: {title: Noise}}\n")


def _demand_complete(root: Path, plain: Path) -> None:
    """Both sides must hold every file, or the times say nothing."""
    ours = {path.name for path in (root / "forest" / "images").iterdir()}
    theirs = {path.name for path in (plain / FOLDER).iterdir()}
    if ours != theirs or len(ours) != FILES:
        raise measure.Failed(f"failed: {len(ours)} and {len(theirs)} files instead of {FILES}")
