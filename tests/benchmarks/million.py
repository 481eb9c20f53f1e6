"""A label table of a million rows, as large databases of preferences have it: what becomes of it, and the peaks.

The index is built by `import`, as users do it. For the export to Parquet A reads the installed index, proves its bytes,
paths and types, and writes Parquet; B is pandas, `read_csv` and `to_parquet`, which guesses the types and proves
nothing. Every other row is the time and the peak memory of one run of a command, the first one.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import measure
from material import VOCABULARY, Material
from measure import Command, Row

ROWS = 1_000_000
MOST_OF_PANDAS = 2_000_000  # rows; it needs one GB for each million
TARGET = 0.6
RUNS = 9
PER_PROMPT = 4
MANIFEST = """\
schema: 1
version: 1
id: crowd
title: Crowd
summary: Invented labels in great number, for measuring time. No model made the images and no person rated them.
synthetic: true
license: {spdx: CC0-1.0, scope: everything, source: made by a script}
citation: {key: crowd, type: misc, title: Crowd, authors: [Nobody], year: 2026}
assets:
  - {name: crowd.zip, role: images, format: zip}
  - {name: crowd.csv, role: labels, format: csv}
labels:
  - needs: [crowd.csv]
    tables: [{file: crowd.csv, columns: [name, prompt, mos, std, votes]}]
    columns: {prompt: prompt, generator: {const: bench-noise}, task: {const: t2i}}
    extra: [votes]
    scores: {quality: {mos: mos, std: std, range: [0, 5]}}
    image: {id: name, find: ["{name}"], names: '^crowd_[0-9]{8}\\.png$'}
expect: {images: COUNT, rows: COUNT, generators: {bench-noise: COUNT}}
"""
PANDAS = (
    "import sys, pandas; pandas.read_csv(sys.argv[1], low_memory=False).to_parquet(sys.argv[2], compression='zstd')"
)
WHERE = "mos_quality > 4.5 AND prompt LIKE '%77%'"


def rows(material: Material, runs: int | None) -> list[Row]:
    aigiqa = measure.program("aigiqa")
    work = material.folder / f"crowd-{ROWS}"
    common = (aigiqa, "--root", str(work / "root"), "-q")
    manifests, table = work / "manifests", work / "crowd.csv"
    manifests.mkdir(parents=True, exist_ok=True)
    measure.demand_space(work, 2_000 * ROWS)
    try:
        (manifests / "crowd.yaml").write_text(manifest(ROWS))
        (manifests / "generators.yaml").write_text(VOCABULARY)
        _write_table(table, ROWS)
        settings = {"AIGIQA_MANIFESTS": str(manifests)}
        out = str(work / "out")
        commands: dict[str, tuple[str, ...]] = {
            "import": ("import", "crowd", str(table)),
            "index --rebuild": ("index", "--rebuild"),
            "verify": ("verify",),
            "verify --quick": ("verify", "--quick"),
            "export --where": ("export", "crowd", "--where", WHERE, "-o", out),
            **{
                f"export {form}": ("export", "crowd", "--format", form, "-o", out) for form in ("csv", "jsonl", "arrow")
            },
        }
        found = []
        for name, words in commands.items():
            seconds, peak = measure.watched(Command((*common, *words), settings=settings))
            found += [Row(f"{name}, {ROWS:,} rows", "s", value=seconds), measure.memory_row(name, peak)]
        a = Command((*common, "export", "crowd", "--format", "parquet", "-o", out), settings=settings)
        b = Command((sys.executable, "-c", PANDAS, str(work / "root" / "crowd" / "index.csv"), str(work / "plain")))
        name = f"export parquet, {ROWS:,} rows : pandas"
        if ROWS > MOST_OF_PANDAS:
            found.append(measure.memory_row(name.partition(" :")[0], measure.peak_memory(a)))
        else:
            row, peak = measure.compare(name, a, b, runs=runs or RUNS, target=TARGET)
            found += [row, measure.memory_row("export parquet", peak)]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return found


def manifest(count: int) -> str:
    """That of a database of so many rows."""
    return MANIFEST.replace("COUNT", str(count))


def _write_table(path: Path, count: int) -> None:
    with path.open("w", newline="") as stream:
        stream.write("name,prompt,mos,std,votes\n")
        for number in range(count):
            prompt = f"a photograph of fox number {number // PER_PROMPT}, in the snow, golden hour"
            mos, std = number * 7919 % 50_000 / 10_000, number * 104_729 % 10_000 / 10_000
            stream.write(f'crowd_{number:08}.png,"{prompt}",{mos:.4f},{std:.4f},{number % 40}\n')
