"""An index of a million rows, labels alone, as large databases of preferences have it: peaks, and the Parquet export.

A reads the installed index, proves its bytes, paths and types, and writes Parquet; B is pandas, `read_csv` and
`to_parquet`, which guesses the types and proves nothing. Every other row is the time and the peak memory of one command.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import measure
from material import Material
from measure import Command, Row

if TYPE_CHECKING:
    from aigiqa_cli.store import Record, StoredFile

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
expect: {images: 1, rows: 1, generators: {bench-noise: 1}}
"""
PANDAS = (
    "import sys, pandas; pandas.read_csv(sys.argv[1], low_memory=False).to_parquet(sys.argv[2], compression='zstd')"
)
WHERE = "mos_quality > 4.5 AND prompt LIKE '%77%'"


def rows(material: Material, runs: int | None) -> list[Row]:
    aigiqa = measure.program("aigiqa")
    work = material.folder / f"crowd-{ROWS}"
    common = (aigiqa, "--root", str(work / "root"), "-q")
    work.mkdir(parents=True, exist_ok=True)
    measure.demand_space(work, 2_000 * ROWS)
    try:
        install(work / "root", ROWS)
        out = str(work / "out")
        commands = {
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
            command = Command((*common, *words))
            found += [
                Row(f"{name}, {ROWS:,} rows", "s", value=measure.timed(command)),
                measure.memory_row(name, measure.peak_memory(command)),
            ]
        a = Command((*common, "export", "crowd", "--format", "parquet", "-o", out))
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


def install(root: Path, count: int) -> None:
    """Publish invented labels as an install of them does, without the labels' own file: this is about the index."""
    from aigiqa_cli import root_index
    from aigiqa_cli.index import COLUMNS
    from aigiqa_cli.reporting import Silent
    from aigiqa_cli.store import Root, StoredFile, staged

    place = Root(root.resolve())
    place.prepare()
    with staged(place, "crowd") as work:
        digest, size = hashlib.sha256(), 0
        with (work.tree / "index.csv").open("wb") as stream:
            for block in _blocks(count, COLUMNS):
                digest.update(block)
                size += stream.write(block)
        (work.tree / "database.yaml").write_text(MANIFEST)
        files = [
            StoredFile("database.yaml", len(MANIFEST), hashlib.sha256(MANIFEST.encode()).hexdigest()),
            StoredFile("index.csv", size, digest.hexdigest()),
        ]
        lines = "".join(f"{file.sha256}  {file.path}\n" for file in files)
        (work.tree / "checksums.sha256").write_text(lines)
        files.insert(0, StoredFile("checksums.sha256", len(lines), hashlib.sha256(lines.encode()).hexdigest()))
        work.publish(record("labels", count, 0, files))
    root_index.rebuild(place, Silent())


def record(state: str, rows: int, images: int, files: Sequence[StoredFile]) -> Record:
    """What an install of these files would leave."""
    from aigiqa_cli.store import Record, StoredFiles

    digests = {file.path: file.sha256 for file in files if "/" not in file.path}
    return Record(
        database="crowd", state=state, partial=False, manifest_version=1, manifest_sha256=digests["database.yaml"],
        aigiqa="0", installed_at="2026-07-01T00:00:00+00:00", rows=rows, images=images, references=0,
        index_sha256=digests["index.csv"], sources=(), files=StoredFiles(files), rejected=(), ignored=0, warnings=(),
        splits={},
    )  # fmt: skip


def _blocks(count: int, columns: tuple[str, ...]) -> Iterator[bytes]:
    """The index in blocks of ten thousand rows."""
    yield (",".join(columns) + "\n").encode()
    at = {name: place for place, name in enumerate(columns)}
    for start in range(0, count, 10_000):
        lines = []
        for number in range(start, min(start + 10_000, count)):
            mos = number * 7919 % 50_000
            cells = [""] * len(columns)
            cells[at["database"]], cells[at["image_id"]], cells[at["task"]] = "crowd", f"crowd_{number:08}.png", "t2i"
            cells[at["prompt"]] = f'"a photograph of fox number {number // PER_PROMPT}, in the snow, golden hour"'
            cells[at["prompt_id"]] = hashlib.sha256(str(number // PER_PROMPT).encode()).hexdigest()[:12]
            cells[at["generator"]], cells[at["row"]] = f"bench-noise-{number % 7}", str(number)
            cells[at["mos_quality"]], cells[at["score_quality"]] = f"{mos / 10_000:.4f}", f"{mos / 50_000:.6f}"
            cells[at["std_quality"]], cells[at["flags"]] = f"{number * 104_729 % 10_000 / 10_000:.4f}", "no-image"
            cells[at["extra"]] = f'"{{""votes"":""{number % 40}""}}"'
            lines.append(",".join(cells))
        yield ("\n".join(lines) + "\n").encode()
