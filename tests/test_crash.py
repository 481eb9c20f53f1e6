"""Killed at random instants: whole or absent each time, and the next run finishes with the same bytes.

`--rig kill=N` sets the number of kills, `--seed S` repeats a run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import invariants
import pytest
from conftest import LIMIT, Command
from nursery import Nursery
from rigs import Rig

OUTSIDE = ("home", "work", "user")


@pytest.fixture
def quick(run: Command, tmp_path: Path) -> Nursery:
    """The command without its imports, so that thousands of runs are to be had."""
    return Nursery(run.environment, tmp_path / "nursery")


def duration(quick: Nursery, *words: str) -> float:
    """Seconds of one undisturbed run: the range in which kills can hit anything."""
    start = time.monotonic()
    quick(*words, code=0)
    return time.monotonic() - start


Prepare = Callable[[Nursery, Path], None]


def nothing(_: Nursery, root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)


def installed(quick: Nursery, _: Path) -> None:
    quick("fetch", "demo", code=0)


CASES: dict[str, tuple[Prepare, tuple[str, ...], float]] = {
    "first-install": (nothing, ("fetch", "demo"), 0.4),
    "reinstall": (installed, ("fetch", "demo", "--force"), 0.4),
    "index": (installed, ("index", "--rebuild"), 0.1),
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.rig("kill", sample=200, share=CASES[case][2])) for case in CASES]
)
def test_S01_killed_at_any_instant(run: Command, quick: Nursery, rig: Rig, tmp_path: Path, case: str) -> None:
    prepare, words, _ = CASES[case]
    user = tmp_path / "user"
    user.mkdir()
    (user / "marker").write_bytes(b"mine")
    span = duration(quick, "fetch", "demo") if case == "first-install" else 0.0
    good = invariants.tree(run.root) if span else {}
    installed(quick, run.root)
    span = span or duration(quick, *words)
    good = good or invariants.tree(run.root)
    outside = invariants.world(*(tmp_path / name for name in OUTSIDE))
    for number in range(rig.length):
        prepare(quick, run.root)
        delay = span * rig.chance.uniform(0.02, 1.05)
        rig.did(hits=quick.cut_off(delay, *words) is None)
        try:
            invariants.check(run.root, settled=False)
            quick("fetch", "demo", code=0)
            invariants.check(run.root, settled=True)
            assert invariants.published(run.root) == good
        except AssertionError:
            print(f"kill {number} after {delay:.4f} s of {span:.4f} s")
            raise
        assert invariants.world(*(tmp_path / name for name in OUTSIDE)) == outside, "P1"
    run("gc", code=0)
    invariants.check(run.root, settled=True)
    invariants.check_swept(run.root)
    assert invariants.tree(run.root) == good
    run("verify", code=0)


@pytest.mark.rig("kill", sample=200, share=0.1)
def test_S01_killed_while_removing(run: Command, quick: Nursery, rig: Rig) -> None:
    """Gone from the first moment; what is left of it never stands in the way of a new install."""
    installed(quick, run.root)
    good = invariants.tree(run.root)
    span = duration(quick, "remove", "demo")
    for _ in range(rig.length):
        installed(quick, run.root)
        rig.did(hits=quick.cut_off(span * rig.chance.uniform(0.1, 1.05), "remove", "demo") is None)
        quick("fetch", "demo", code=0)
        invariants.check(run.root, settled=True)
        assert invariants.published(run.root) == good
        assert list((run.root / ".aigiqa" / "quarantine").iterdir()) == [], "nothing of the user's was there"
    run("remove", "demo", code=0)
    run("gc", code=0)
    invariants.check_swept(run.root)
    assert list(invariants.tree(run.root)) == ["index.csv"]


def test_the_checker_sees_what_is_wrong(run: Command) -> None:
    run("fetch", "demo", code=0)
    invariants.check(run.root, settled=True)
    index = run.root / "demo" / "index.csv"
    whole = index.read_bytes()
    for damage in (b"", whole[:-1], whole + b"x"):
        index.write_bytes(damage)
        with pytest.raises(AssertionError):
            invariants.check(run.root, settled=True)
    index.write_bytes(whole)
    (run.root / "demo" / "stray").write_bytes(b"")
    with pytest.raises(AssertionError):
        invariants.check(run.root, settled=True)
    (run.root / "demo" / "stray").unlink()
    (run.root / ".aigiqa" / "installed" / "demo.json").unlink()
    with pytest.raises(AssertionError):
        invariants.check(run.root, settled=True)


def _appended(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)


def _linked(path: Path) -> None:
    kept = path.rename(path.with_name("elsewhere"))
    path.symlink_to(kept)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a record that is cut": lambda root: os.truncate(root / ".aigiqa/installed/demo.json", 100),
    "a record of no files": lambda root: (root / ".aigiqa/installed/demo.json").write_text('{"files": []}'),
    "a file that is gone": lambda root: (root / "demo/index.csv").unlink(),
    "a file that is longer": lambda root: _appended(root / "demo/database.yaml", "#"),
    "a file behind a link": lambda root: _linked(root / "demo/database.yaml"),
    "a file of nobody": lambda root: (root / "demo/extra").write_bytes(b""),
    "a folder without a record": lambda root: (root / "other").mkdir(),
    "a row too few in the index": lambda root: os.truncate(
        root / "index.csv", (root / "index.csv").read_bytes().rstrip(b"\n").rfind(b"\n") + 1
    ),
    "a row with a path that leads outside": lambda root: _appended(
        root / "index.csv", "demo,x,demo/../../secret" + "," * 27 + "\n"
    ),
    "a quote that never ends": lambda root: _appended(root / "index.csv", '"'),
    "what everybody may write": lambda root: os.chmod(root / "demo/index.csv", 0o666),
    "an unfinished install that others may read": lambda root: os.chmod(root / ".aigiqa/staging", 0o755),
    "a leftover": lambda root: (root / ".aigiqa/staging/demo-1").mkdir(),
    "a temporary file": lambda root: (root / ".index.csv.1.tmp").write_bytes(b""),
    "a secret": lambda root: (root / ".aigiqa/quarantine/note.json").write_text("hf_canary"),
}


def test_the_checker_is_a_program_of_its_own(run: Command) -> None:
    """It shares no code with the package, and sees every kind of damage by itself."""
    program = [sys.executable, "-I", invariants.__file__, str(run.root), "--swept", "--secret", "hf_canary"]
    assert "aigiqa_cli" not in Path(invariants.__file__).read_text(encoding="utf-8")
    run("fetch", "demo", code=0)
    kept = run.root.with_name("kept")
    shutil.copytree(run.root, kept, symlinks=True)
    assert subprocess.run(program, capture_output=True, check=False, timeout=LIMIT).returncode == 0
    for name, damage in DAMAGES.items():
        damage(run.root)
        done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=LIMIT)
        assert (done.returncode, done.stdout) == (1, ""), name
        assert done.stderr.startswith("violated: "), name
        shutil.rmtree(run.root)
        shutil.copytree(kept, run.root, symlinks=True)
