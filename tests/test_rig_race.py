"""Many processes at one root (C01-C06, C10): exactly one result, nothing lost, nothing of the living removed.

The rig `lock0` runs the same with locks that always succeed: they save work, and no promise may rest on them.
"""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import invariants
import pytest
from conftest import LIMIT, Command, kill
from nursery import Nursery
from rigs import Rig
from tiny import small_labels, tiny_manifest

LYING = """\
import fcntl
fcntl.flock = lambda *words: None
fcntl.lockf = lambda *words: None
"""
FINE = (0, 6)
FULL = 30  # rounds from which a run counts as a long one
Words = tuple[object, ...]


@pytest.fixture
def good(run: Command) -> dict[str, str]:
    """The tree of a run that nobody disturbed; the root is empty again."""
    run("fetch", "demo", code=0)
    tree = invariants.tree(run.root)
    run("remove", "demo", code=0)
    return tree


@pytest.fixture
def lying(run: Command, tmp_path: Path) -> Command:
    """Every process of the command meets a file system whose locks always succeed (S11, C06)."""
    folder = tmp_path / "lies"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(LYING)
    path = run.environment.get("PYTHONPATH", "")
    run.environment["PYTHONPATH"] = f"{folder}{os.pathsep}{path}" if path else str(folder)
    return run


def together(run: Command, jobs: Sequence[Words], delay: Callable[[], float] = lambda: 0.0) -> list[tuple[int, str]]:
    """Start all of them at nearly the same time; exit code and stderr of each."""
    running = []
    for words in jobs:
        running.append(run.start(*words, stdout=subprocess.DEVNULL))
        time.sleep(delay())
    ended = []
    for process in running:
        with process:
            _, errors = process.communicate(timeout=LIMIT)
            ended.append((process.returncode, errors))
    return ended


def demand_fine(ended: Sequence[tuple[int, str]], allowed: Sequence[int] = FINE) -> None:
    bad = [(code, errors[-1500:]) for code, errors in ended if code not in allowed]
    assert not bad, bad[0]


def demand_one_commit(run: Command, good: dict[str, str]) -> None:
    run("fetch", "demo", code=0)
    invariants.check(run.root, settled=True)
    assert invariants.tree(run.root) == good
    run("gc", code=0)
    invariants.check_swept(run.root)


def install_together(run: Command, rig: Rig, good: dict[str, str], base: Path) -> None:
    """Rounds of processes that all install one database: 8 of them in short runs, 32 in long ones."""
    processes = 8 if rig.length < FULL else 32
    quick = Nursery(run.environment, base)
    for _ in range(rig.length):
        pauses = [rig.chance.choice((0.0, rig.chance.uniform(0, 0.05))) for _ in range(processes)]
        ended = [(one.code, one.err) for one in quick.together([("fetch", "demo")] * processes, pauses)]
        demand_fine(ended)
        assert any(code == 0 for code, _ in ended), "nobody finished"
        quick("fetch", "demo", code=0)
        invariants.check(run.root, settled=True)
        assert invariants.tree(run.root) == good
        quick("gc", code=0)
        invariants.check_swept(run.root)
        quick("remove", "demo", code=0)
        rig.did(processes=processes)


@pytest.mark.rig("race", sample=20)
def test_C01_many_processes_install_one_database(run: Command, rig: Rig, good: dict[str, str], tmp_path: Path) -> None:
    install_together(run, rig, good, tmp_path / "nursery")


@pytest.mark.rig("lock0", sample=5)  # for a release there are more; each round of theirs takes twice as long
def test_C06_locks_that_lie_cost_work_and_no_promise(
    lying: Command, rig: Rig, good: dict[str, str], tmp_path: Path
) -> None:
    install_together(lying, rig, good, tmp_path / "nursery")


def test_C06_the_lie_is_told(lying: Command) -> None:
    """The patch reaches the command: a lock that is held by another process is given all the same."""
    program = "import fcntl, os; d = os.open('x', os.O_CREAT | os.O_RDWR); print(fcntl.flock(d, fcntl.LOCK_EX))"
    done = subprocess.run(
        ["flock", "x", "python3", "-c", program], cwd=lying.work, env=lying.environment, capture_output=True, text=True,
        timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.stdout == "None\n", done.stderr


def test_C02_many_databases_at_once_lose_no_record(run: Command, manifests: Callable[[str, str], Path]) -> None:
    names = [f"tiny{number}" for number in range(8)]
    table = run.work / "data.csv"
    table.write_bytes(small_labels())
    for name in names:
        manifests(name, tiny_manifest(b"", pinned=False).replace("id: tiny\n", f"id: {name}\n"))
    demand_fine(together(run, [("import", name, table) for name in names]), (0,))
    invariants.check(run.root, settled=True)
    with (run.root / "index.csv").open(encoding="utf-8", newline="") as stream:
        assert {row["database"] for row in csv.DictReader(stream)} == set(names)


@pytest.mark.parametrize("disturb", [("fetch", "demo", "--force"), ("index", "--rebuild")])
def test_C03_readers_see_whole_files(run: Command, disturb: Words) -> None:
    """The root index is never absent and never half, whatever is being published."""
    run("fetch", "demo", code=0)
    whole = (run.root / "index.csv").read_bytes()
    stop, wrong, looks = threading.Event(), [], [0]

    def read() -> None:
        while not stop.is_set():
            looks[0] += 1
            if (run.root / "index.csv").read_bytes() != whole:
                wrong.append(looks[0])

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(3):
            run(*disturb, code=0)
    finally:
        stop.set()
        reader.join()
    assert not wrong
    assert looks[0] > 3


def test_C04_nothing_living_is_removed(run: Command, rig_free_chance: Callable[[], float]) -> None:
    """verify, gc, remove and index beside installs: they wait or give way, and the root is sound in the end."""
    run("fetch", "demo", code=0)
    good = invariants.tree(run.root)
    jobs: list[Words] = [
        ("fetch", "demo", "--force"), ("gc",), ("verify",), ("index", "--rebuild"), ("fetch", "demo", "--force"), ("gc",),
    ]  # fmt: skip
    ended = together(run, jobs, rig_free_chance)
    demand_fine(ended, (*FINE, 4))  # verify may read a file while it is replaced
    demand_fine([end for end, words in zip(ended, jobs, strict=True) if words[0] != "verify"])
    demand_one_commit(run, good)


@pytest.fixture
def rig_free_chance() -> Callable[[], float]:
    steps = iter([0.3, 0.0, 0.1, 0.0, 0.2, 0.0])
    return lambda: next(steps)


def test_C05_a_stopped_holder_is_waited_for_and_a_dead_one_is_not(run: Command) -> None:
    with run.start("fetch", "demo", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as holder:
        deadline = time.monotonic() + LIMIT
        staging = run.root / ".aigiqa" / "staging"
        while not (staging.is_dir() and any(staging.iterdir())):
            assert time.monotonic() < deadline
            assert holder.poll() is None, "it was quicker than this test"
        os.killpg(holder.pid, signal.SIGSTOP)
        with run.start("fetch", "demo") as second:
            with pytest.raises(subprocess.TimeoutExpired):
                second.wait(timeout=2)
            kill(holder)
            out, errors = second.communicate(timeout=LIMIT)
    assert second.returncode == 0, errors
    assert out.strip().endswith("demo")
    invariants.check(run.root, settled=True)


def test_C10_index_rebuilds_that_race_leave_all_records(run: Command, manifests: Callable[[str, str], Path]) -> None:
    table = run.work / "data.csv"
    table.write_bytes(small_labels())
    names = [f"tiny{number}" for number in range(4)]
    for name in names:
        manifests(name, tiny_manifest(b"", pinned=False).replace("id: tiny\n", f"id: {name}\n"))
    jobs: list[Words] = [("index", "--rebuild")] * 8
    jobs[2:2] = [("import", name, table) for name in names]
    demand_fine(together(run, jobs), (0,))
    invariants.check(run.root, settled=True)
    assert run("index", "--rebuild", code=0)
    with (run.root / "index.csv").open(encoding="utf-8", newline="") as stream:
        assert {row["database"] for row in csv.DictReader(stream)} == set(names)
