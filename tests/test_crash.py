"""Killed at random instants: whole or absent each time, and the next run finishes with the same bytes.

`--rig kill=N` sets the number of kills, `--seed S` repeats a run.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import invariants
import pytest
from conftest import Command, kill
from rigs import Rig

OUTSIDE = ("home", "work", "user")


def duration(run: Command, *words: str) -> float:
    """Seconds of one undisturbed run: the range in which kills can hit anything."""
    start = time.monotonic()
    run(*words, code=0)
    return time.monotonic() - start


def killed(run: Command, delay: float, *words: str) -> bool:
    """Start a command and kill it with its workers after `delay` seconds; False if it was faster."""
    with run.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(timeout=delay)
        except subprocess.TimeoutExpired:
            kill(process)
            return True
    return False


Prepare = Callable[[Command], None]


def nothing(run: Command) -> None:
    shutil.rmtree(run.root, ignore_errors=True)


def installed(run: Command) -> None:
    run("fetch", "demo", code=0)


CASES: dict[str, tuple[Prepare, tuple[str, ...], float]] = {
    "first-install": (nothing, ("fetch", "demo"), 0.4),
    "reinstall": (installed, ("fetch", "demo", "--force"), 0.4),
    "index": (installed, ("index", "--rebuild"), 0.1),
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.rig("kill", sample=30, share=CASES[case][2])) for case in CASES]
)
def test_S01_killed_at_any_instant(run: Command, rig: Rig, tmp_path: Path, case: str) -> None:
    prepare, words, _ = CASES[case]
    user = tmp_path / "user"
    user.mkdir()
    (user / "marker").write_bytes(b"mine")
    span = duration(run, "fetch", "demo") if case == "first-install" else 0.0
    good = invariants.tree(run.root) if span else {}
    installed(run)
    span = span or duration(run, *words)
    good = good or invariants.tree(run.root)
    outside = invariants.world(*(tmp_path / name for name in OUTSIDE))
    for number in range(rig.length):
        prepare(run)
        delay = span * rig.chance.uniform(0.05, 1.05)
        rig.did(hits=killed(run, delay, *words))
        try:
            invariants.check(run.root, settled=False)
            run("fetch", "demo", code=0)
            invariants.check(run.root, settled=True)
            assert invariants.tree(run.root) == good
        except AssertionError:
            print(f"kill {number} after {delay:.4f} s of {span:.4f} s")
            raise
        assert invariants.world(*(tmp_path / name for name in OUTSIDE)) == outside, "P1"
    run("gc", code=0)
    invariants.check(run.root, settled=True)
    invariants.check_swept(run.root)
    assert invariants.tree(run.root) == good
    run("verify", code=0)


@pytest.mark.rig("kill", sample=30, share=0.1)
def test_S01_killed_while_removing(run: Command, rig: Rig) -> None:
    """Gone from the first moment; what is left of it never stands in the way of a new install."""
    installed(run)
    good = invariants.tree(run.root)
    span = duration(run, "remove", "demo")
    for _ in range(rig.length):
        installed(run)
        rig.did(hits=killed(run, span * rig.chance.uniform(0.4, 1.05), "remove", "demo"))
        run("fetch", "demo", code=0)
        invariants.check(run.root, settled=True)
        assert invariants.tree(run.root) == good
        assert list((run.root / ".aigiqa" / "quarantine").iterdir()) == [], "nothing of the user's was there"
    run("remove", "demo", code=0)
    run("gc", code=0)
    invariants.check_swept(run.root)
    assert list(invariants.tree(run.root)) == ["index.csv"]


def test_the_checker_sees_what_is_wrong(run: Command) -> None:
    installed(run)
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
