"""Measure aigiqa against what people use otherwise: pairs in turn, medians of the ratios within one run.

    python tests/benchmarks/run.py [--only NAME] [--runs N] [--json PATH] [--megabytes 1000] [--work FOLDER] [--strict]

It reports and ends with 0, also where a target is missed; with --strict a missed or not run row ends with 1, and a
command that fails always does. The tree, the million rows and files and the peers (what they do after a kill, see
peers.py) take long and run only by name. With --work the data stays for the next run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import bootstrap
import export
import fetch
import gallery
import import_
import material
import measure
import methods
import million
import million_files
import part
import peers
import quick
import startup
import tree
import verify
from material import Material
from measure import Row

BENCHMARKS: dict[str, Callable[[Material, int | None], list[Row]]] = {
    "import": import_.rows,
    "fetch": fetch.rows,
    "part": part.rows,
    "verify": verify.rows,
    "quick": quick.rows,
    "startup": startup.rows,
    "bootstrap": bootstrap.rows,
    "export": export.rows,
    "gallery": gallery.rows,
    "methods": methods.rows,
    "million": million.rows,
    "million-files": million_files.rows,
    "tree": tree.rows,
    "peers": peers.rows,
}
NEED_ARCHIVE = {"import", "verify", "fetch", "part"}
ONLY_BY_NAME = {"tree", "peers", "million", "million-files"}
VERSIONS = {"unzip": ("unzip", "-v"), "sha256sum": ("sha256sum", "--version"), "hf": ("hf", "--version")}


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    facts = {
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "python": sys.version.split()[0],
    }
    for name, (command, option) in VERSIONS.items():
        try:
            words = (measure.program(command), option)
        except measure.Missing:
            facts[name] = "missing"
            continue
        said = subprocess.run(words, env=measure.environment(), capture_output=True, text=True, check=False).stdout
        facts[name] = (said.strip().splitlines() or ["?"])[0]
    return facts


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def measured(name: str, data: Material, runs: int | None) -> list[Row]:
    """The rows of one benchmark; what could not be run says so."""
    try:
        return BENCHMARKS[name](data, runs)
    except (measure.Missing, measure.Failed) as reason:
        return [Row(name, problem=str(reason))]


def as_json(facts: dict[str, str], rows: list[Row]) -> str:
    found = [
        {
            "row": row.name,
            "unit": row.unit,
            "value": row.value,
            "target": row.target,
            "verdict": row.verdict,
            "a_seconds": row.a,
            "b_seconds": row.b,
            "ratios": row.ratios,
        }
        for row in rows
    ]
    return json.dumps({"machine": facts, "rows": found}, indent=2) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="this one (may be given several times)")
    parser.add_argument("--runs", type=int, help="pairs (default: as each benchmark needs)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--megabytes", type=int, default=1000, help="size of the archive")
    parser.add_argument("--files", type=int, default=tree.FILES, help="files of the tree")
    parser.add_argument("--side", type=int, default=tree.SIDE, help="their pixels (365: 20,000 files are 8 GB)")
    parser.add_argument("--rows", type=int, default=million.ROWS, help="rows of `million`, files of `million-files`")
    parser.add_argument("--work", type=Path, help="folder that keeps the data (default: a temporary one)")
    parser.add_argument("--strict", action="store_true", help="end with 1 if a target is missed or a row is not run")
    chosen = parser.parse_args()
    tree.FILES, tree.SIDE, million.ROWS = chosen.files, chosen.side, chosen.rows
    names = chosen.only or [name for name in BENCHMARKS if name not in ONLY_BY_NAME]
    facts = machine()
    print(" · ".join(f"{name} {value}" for name, value in facts.items()), flush=True)
    with tempfile.TemporaryDirectory(prefix="aigiqa-bench-") as temporary:
        work = (chosen.work or Path(temporary)).resolve()
        data = material.make(work, chosen.megabytes) if NEED_ARCHIVE & set(names) else Material(work, 0)
        rows = [row for name in names for row in measured(name, data, chosen.runs)]
    print(measure.describe(rows))
    if chosen.json:
        chosen.json.write_text(as_json(facts, rows))
    failed = any(row.problem.startswith("failed") for row in rows)
    return int(failed or (chosen.strict and any(row.missed for row in rows)))


if __name__ == "__main__":
    sys.exit(main())
