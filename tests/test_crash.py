"""Killed at random instants: whole or absent each time, and the next run finishes with the same bytes.

`--kills N` sets the number of kills, `--seed S` repeats a run; the seed is printed with a failure.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import invariants
import pytest
from conftest import Command, kill

OUTSIDE = ("home", "work", "user")


@pytest.fixture
def chance(pytestconfig: pytest.Config) -> random.Random:
    seed = pytestconfig.getoption("--seed") or str(int.from_bytes(os.urandom(4)))
    print(f"--seed {seed}")
    return random.Random(seed)


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


CASES: dict[str, tuple[Prepare, tuple[str, ...]]] = {
    "first-install": (nothing, ("fetch", "demo")),
    "reinstall": (installed, ("fetch", "demo", "--force")),
    "index": (installed, ("index", "--rebuild")),
}


@pytest.mark.parametrize("case", CASES)
def test_S01_killed_at_any_instant(
    run: Command, chance: random.Random, pytestconfig: pytest.Config, tmp_path: Path, case: str
) -> None:
    prepare, words = CASES[case]
    kills = pytestconfig.getoption("--kills")
    kills = max(1, kills // (12 if case == "index" else 2))
    user = tmp_path / "user"
    user.mkdir()
    (user / "marker").write_bytes(b"mine")
    span = duration(run, "fetch", "demo") if case == "first-install" else 0.0
    good = invariants.tree(run.root) if span else {}
    installed(run)
    span = span or duration(run, *words)
    good = good or invariants.tree(run.root)
    outside = invariants.world(*(tmp_path / name for name in OUTSIDE))
    hits = 0
    for number in range(kills):
        prepare(run)
        delay = span * chance.uniform(0.05, 1.05)
        hits += killed(run, delay, *words)
        try:
            invariants.check(run.root, settled=False)
            run("fetch", "demo", code=0)
            invariants.check(run.root, settled=True)
            assert invariants.tree(run.root) == good
        except AssertionError:
            print(f"kill {number} after {delay:.4f} s of {span:.4f} s")
            raise
        assert invariants.world(*(tmp_path / name for name in OUTSIDE)) == outside, "P1"
    print(f"{hits} of {kills} runs were killed")
    run("gc", code=0)
    invariants.check(run.root, settled=True)
    invariants.check_swept(run.root)
    assert invariants.tree(run.root) == good
    run("verify", code=0)


def test_S01_killed_while_removing(run: Command, chance: random.Random, pytestconfig: pytest.Config) -> None:
    """Gone from the first moment; what is left of it never stands in the way of a new install."""
    installed(run)
    good = invariants.tree(run.root)
    span = duration(run, "remove", "demo")
    for _ in range(max(1, pytestconfig.getoption("--kills") // 8)):
        installed(run)
        killed(run, span * chance.uniform(0.4, 1.05), "remove", "demo")
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
