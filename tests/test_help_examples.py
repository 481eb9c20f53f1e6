"""Every example of every `--help` is run as it stands, in a shell, on the synthetic database.

Only the words that a reader replaces are replaced: DB, NAME, FAMILY, OTHER, the name of a column's value, a signature.
"""

from __future__ import annotations

import ast
import csv
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import IMPORT_PATH, LIMIT, REPOSITORY
from tiny import SMALL

COMMANDS = REPOSITORY / "aigiqa_cli" / "cli" / "commands"
WORDS = {
    "DB": "demo", "NAME": "authors", "FAMILY": "family", "OTHER": "other", "IMAGE_ID": "atlas_normal_000.png",
}  # fmt: skip
WAITS = {  # for somebody, or for somebody else's server
    "aigiqa fetch DB --mirror baidu --watch ~/Downloads": "waits for a person's download; test_watch.py does that",
}
LEARNS = ("aigiqa train", "aigiqa predict")  # which need the extra methods
METHODS = all(importlib.util.find_spec(name) for name in ("torch", "timm", "torchvision", "safetensors"))
OPERATORS = Path(__file__).parent / "operators"  # so that torchvision can be imported: see there
CODES = {  # what else than 0 is the right answer
    "aigiqa split audit train.csv test.csv --fail-on prompt": 4,  # these two lists share prompts
    "aigiqa split audit train.csv test.csv --fail-on prompt,image": 4,
    "aigiqa lint --pin DB > DB.yaml": 2,  # whose every asset is pinned already, and that is said
}


def examples() -> Iterator[tuple[str, str]]:
    """(module, example) of every help text: lines that stand alone below `Examples:`."""
    for module in sorted(COMMANDS.glob("*.py")):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "Examples:" in node.value:
                for line in node.value.partition("Examples:")[2].splitlines():
                    if line.strip():
                        yield module.stem, line.strip()


EXAMPLES = sorted(set(examples()))


def test_every_command_has_some() -> None:
    silent = {"__init__", "options"}
    assert {module for module, _ in EXAMPLES} == {path.stem for path in COMMANDS.glob("*.py")} - silent
    assert {*WAITS, *CODES} <= {example for _, example in EXAMPLES}, "an exception for an example that is gone"


@pytest.fixture(scope="session")
def workshop(ready: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples speak of: programs on PATH, downloads, predictions, lists of a split, a manifest of one's own."""
    base = tmp_path_factory.mktemp("workshop")
    (base / "bin").mkdir()
    programs = {
        "aigiqa": f'exec "{sys.executable}" -m aigiqa_cli "$@"',
        "duckdb": f'exec "{sys.executable}" -c "import duckdb, sys; print(duckdb.sql(sys.argv[2]))" "$@"',
        "my-model": "cat predictions.csv",
    }
    for name, body in programs.items():
        (base / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (base / "bin" / name).chmod(0o755)
    work = base / "work"
    (work / "Downloads").mkdir(parents=True)
    shell(base, ready, "aigiqa fetch demo --root kept --keep-archives")
    archives = sorted((work / "kept/.aigiqa/archives/sha256").iterdir(), key=lambda path: path.stat().st_size)
    for name in ("images.zip", "Downloads/archive.zip"):
        shutil.copy(archives[-1], work / name)
    shutil.copy(work / "kept/demo/labels/synthetic.csv", work / "data.csv")
    shutil.copy(work / "kept/demo/labels/synthetic.csv", work / "Downloads/synthetic.csv")
    with (ready / "demo/index.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    lines = [f"{row['image_id']},{place % 7 + place / 60}" for place, row in enumerate(rows)]
    (work / "predictions.csv").write_text("\n".join(["image,score", *lines]) + "\n")
    for fold in (1, 2):
        shutil.copy(work / "predictions.csv", work / f"fold-{fold}.csv")
    by_prompt = sorted(rows, key=lambda row: row["prompt_id"])
    for name, part in (("train.csv", by_prompt[:41]), ("test.csv", by_prompt[41:])):
        (work / name).write_text("image\n" + "\n".join(row["image_id"] for row in part) + "\n")
    (work / "my-database.yaml").write_text(SMALL.replace("id: small", "id: my-database"))
    shutil.copytree(ready / "demo/images", work / "pictures")
    (work / "my_metric.py").write_text(
        "import os\n\n\ndef score(paths):\n    return [os.path.getsize(p) for p in paths]\n"
    )
    (work / "score.sh").write_text('#!/bin/sh\nfor path in "$@"; do stat -c %s "$path"; done\n')
    (work / "score.sh").chmod(0o755)
    shell(base, ready, "aigiqa split make demo --by prompt --ratio 8:2 --repeats 2 --seed 3 -o family")
    shell(base, ready, "aigiqa export demo -o before.csv")
    evaluated = shell(base, ready, "aigiqa evaluate demo predictions.csv -d quality --json")
    if METHODS:
        learn = next(example for _, example in EXAMPLES if example.startswith("aigiqa train"))
        shell(base, ready, learn.replace("DB", WORDS["DB"]).replace("NAME", WORDS["NAME"]))
        shutil.copytree(ready / "demo/images", work / "Pictures")
    (base / "signature").write_text(json.loads(evaluated.stdout)["data"]["results"][0]["signature"])
    return base


def shell(base: Path, root: Path, line: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{base / 'bin'}:{os.environ['PATH']}", "HOME": str(base / "work"), "AIGIQA_ROOT": str(root), "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    if (base / "manifests").is_dir():
        environment["AIGIQA_MANIFESTS"] = str(base / "manifests")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(OPERATORS), IMPORT_PATH]))
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", line],
        cwd=base / "work", env=environment, capture_output=True, text=True, timeout=LIMIT, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    # A reader that has seen enough (`| head`) ends the writer by a signal: quiet, and no failure.
    assert done.returncode == code or ("| head" in line and done.returncode == 141), (line, done.stdout, done.stderr)
    return done


def another_database(base: Path, root: Path) -> None:
    """The synthetic one under another name."""
    (base / "manifests").mkdir()
    manifest = (REPOSITORY / "manifests/demo.yaml").read_text(encoding="utf-8")
    manifest = manifest.replace("\nid: demo\naliases: [synthetic]", "\nid: other")
    (base / "manifests/other.yaml").write_text(manifest, encoding="utf-8")
    shell(base, root, "aigiqa fetch other")


@pytest.mark.parametrize("example", sorted({line for _, line in EXAMPLES}))
def test_the_example_works(example: str, ready: Path, workshop: Path, tmp_path: Path) -> None:
    if example in WAITS:
        pytest.skip(WAITS[example])
    if example.startswith(LEARNS) and not METHODS:
        pytest.skip("the extra methods is not installed")
    if "jq " in example and not shutil.which("jq"):
        pytest.skip("jq is not installed")
    base = tmp_path / "base"
    shutil.copytree(workshop, base, symlinks=True)
    root = tmp_path / "root"
    shutil.copytree(ready, root)
    if "OTHER" in example:
        another_database(base, root)
    line = example.replace("aigiqa:…|…", (base / "signature").read_text())
    line = (
        line.replace("DB.yaml", "pinned.yaml").replace("--mirror", "--mirror ").replace("midjourney", "synthetic-atlas")
    )
    line = line.replace("/other/root/DB", "kept/demo")
    for word, value in WORDS.items():
        line = re.sub(rf"(?<![\w./]){word}(?![\w.])", value, line)
    done = shell(base, root, line, CODES.get(example, 0))
    nothing_to_say = ">" in line or "jq" in line or " compare " in line
    assert done.stdout or done.stderr or nothing_to_say
    assert "Traceback" not in done.stderr
