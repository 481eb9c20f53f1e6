"""An installed database of a million small files: `verify` against `sha256sum -c` on the same list, and its peaks.

The files are of 256 bytes, so that all the time goes into finding, opening and comparing them. The pair runs once,
unless told otherwise: each side takes minutes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import measure
import million
from material import Material
from measure import Command, Row

if TYPE_CHECKING:
    from aigiqa_cli.store import Record, StoredFile

TARGET = None
RUNS = 1


def rows(material: Material, runs: int | None) -> list[Row]:
    aigiqa, sha256sum = measure.program("aigiqa"), measure.program("sha256sum")
    work, count = material.folder / f"files-{million.ROWS}", million.ROWS
    common = (aigiqa, "--root", str(work / "root"), "-q")
    work.mkdir(parents=True, exist_ok=True)
    measure.demand_space(work, 6_000 * count)
    try:
        install(work / "root", count)
        a = Command((*common, "verify", "crowd"))
        b = Command((sha256sum, "-c", "--quiet", "checksums.sha256"), folder=work / "root" / "crowd")
        row, peak = measure.compare(f"verify of {count:,} files : sha256sum", a, b, runs=runs or RUNS, target=TARGET)
        quick = Command((*common, "verify", "--quick", "crowd"))
        found = [row, measure.memory_row("verify", peak)]
        found.append(measure.memory_row("verify --quick that notes the files", measure.peak_memory(quick)))
        found.append(Row(f"verify --quick of {count:,} files", "s", value=measure.timed(quick)))
        found.append(measure.memory_row("verify --quick", measure.peak_memory(quick)))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return found


def install(root: Path, count: int) -> None:
    """Publish invented files as an install of them does."""
    from aigiqa_cli import root_index
    from aigiqa_cli.index import COLUMNS
    from aigiqa_cli.reporting import Silent
    from aigiqa_cli.store import Root, StoredFile, staged

    place = Root(root.resolve())
    place.prepare()
    at = {name: column for column, name in enumerate(COLUMNS)}
    files = []
    with staged(place, "crowd") as work:

        def write(path: str, data: bytes) -> str:
            descriptor = os.open(work.tree / path, os.O_CREAT | os.O_WRONLY)
            with open(descriptor, "wb") as stream:
                stream.write(data)
            files.append(StoredFile(path, len(data), hashlib.sha256(data).hexdigest()))
            return files[-1].sha256

        (work.tree / "images").mkdir()
        lines = [",".join(COLUMNS) + "\n"]
        for number in range(count):
            name = f"{number:08}.png"
            cells = [""] * len(COLUMNS)
            cells[at["sha256"]] = write(f"images/{name}", b"%08d" % number * 32)
            cells[at["database"]], cells[at["image_id"]], cells[at["task"]] = "crowd", name, "t2i"
            cells[at["image_path"]], cells[at["row"]] = f"crowd/images/{name}", str(number)
            lines.append(",".join(cells) + "\n")
        write("index.csv", "".join(lines).encode())
        write("database.yaml", million.manifest(count).encode())
        listed = sorted(files, key=lambda file: file.path)
        write("checksums.sha256", "".join(f"{file.sha256}  {file.path}\n" for file in listed).encode())
        work.publish(_record(count, files))
    root_index.rebuild(place, Silent())


def _record(count: int, files: Sequence[StoredFile]) -> Record:
    """What an install of these files would leave."""
    from aigiqa_cli.store import Record, StoredFiles

    digests = {file.path: file.sha256 for file in files if "/" not in file.path}
    return Record(
        database="crowd", state="installed", partial=False, manifest_version=1, manifest_sha256=digests["database.yaml"],
        aigiqa="0", installed_at="2026-07-01T00:00:00+00:00", rows=count, images=count, references=0,
        index_sha256=digests["index.csv"], sources=(), files=StoredFiles(files), rejected=(), ignored=0, warnings=(),
        splits={},
    )  # fmt: skip
