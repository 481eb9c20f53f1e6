"""Who lives (C09), two users at one root (C08), and clocks that say nonsense (S20)."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import invariants
import pytest
from conftest import LIMIT, Command
from local import local
from test_local_faults import AS_NOBODY

from aigiqa_cli import owners

CLOCK = """\
import time
_real, _first = time.time, time.time()
def _faked():
    return {epoch} + _real() - _first
time.time = _faked
time.time_ns = lambda: int(_faked() * 1e9)
"""


# --- C09 --------------------------------------------------------------------------------------------------------


@pytest.fixture
def other() -> Iterator[dict[str, object]]:
    """The note of a process that lives until the test is over."""
    program = "import json, sys; from aigiqa_cli import owners; print(json.dumps(owners.note()), flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.kill()


def test_C09_a_living_process_is_known(other: dict[str, object]) -> None:
    assert owners.lives(other)


@pytest.mark.parametrize(
    "change",
    [
        {"start": "1"},  # the number was given to another process
        {"boot": "of another kernel, or of another container's host"},
        {"pid": 2**22 + 1},  # no such process
        {"start": ""},
        {"pid": "7"},
    ],
)
def test_C09_a_number_alone_says_nothing(other: dict[str, object], change: dict[str, object]) -> None:
    assert not owners.lives(other | change)


def test_C09_a_process_is_told_by_when_it_started() -> None:
    """In clock ticks since the system was started, as proc(5) has it."""
    ticks = os.sysconf("SC_CLK_TCK")
    before = int(time.clock_gettime(time.CLOCK_BOOTTIME) * ticks)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        after = time.clock_gettime(time.CLOCK_BOOTTIME) * ticks
        assert before <= int(owners._start(process.pid)) <= after


def test_C09_this_process_does_not_stand_in_its_own_way() -> None:
    assert not owners.lives(owners.note())
    assert not owners.lives({})


def test_C09_a_dead_process_is_dead() -> None:
    program = "import json; from aigiqa_cli import owners; print(json.dumps(owners.note()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=LIMIT)
    assert not owners.lives(json.loads(done.stdout))


def test_C09_a_process_that_is_only_waited_for_is_dead() -> None:
    program = "import json; from aigiqa_cli import owners; print(json.dumps(owners.note()), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        note = json.loads(process.stdout.readline())
        assert owners.lives(note)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how
        assert not owners.lives(note)


# --- C08 --------------------------------------------------------------------------------------------------------


def test_C08_another_user_may_read_and_is_refused_clearly(tmp_path: Path) -> None:
    """Whoever made the root may write; nothing in it may be written by everybody."""
    if os.geteuid():
        pytest.skip("not run: only root can be two users")
    with local(tmp_path, prompts=2) as here:
        here.nursery("fetch", "tiny", prelude="import os; os.umask(0)", code=0)
        for path in (here.root, *here.root.rglob("*")):
            mode = path.lstat().st_mode
            assert not mode & stat.S_IWOTH, f"everybody may write {path}"
            os.lchown(path, 4711, 4711)
        os.chmod(here.root, 0o755)
        whole = invariants.tree(here.root)
        for words in (("list",), ("export", "tiny"), ("path", "tiny"), ("index",)):
            here.nursery(*words, prelude=AS_NOBODY, code=0)
        for words in (("fetch", "tiny", "--force"), ("remove", "tiny"), ("index", "--rebuild")):
            refused = here.nursery(*words, "--json", prelude=AS_NOBODY, code=7)
            assert refused.error()["fault"] == "S08"
            assert str(here.root) in refused.error()["message"]
        assert invariants.tree(here.root) == whole


# --- S20 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epoch", [-86_400.0, 0.0, 4_300_000_000.0], ids=["1969", "1970", "2106"])
def test_S20_clocks_decide_nothing(run: Command, tmp_path: Path, epoch: float) -> None:
    folder = tmp_path / "clock"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(CLOCK.format(epoch=epoch))
    path = run.environment.get("PYTHONPATH", "")
    faked = {"PYTHONPATH": f"{folder}{os.pathsep}{path}" if path else str(folder)}
    run("fetch", "demo", env=faked, code=0)
    invariants.check(run.root, settled=True)
    tree = invariants.tree(run.root)
    run("verify", code=0)
    run("fetch", "demo", "--force", code=0)
    assert invariants.tree(run.root) == tree
    run("gc", env=faked, code=0)
    run("fetch", "demo", env=faked, code=0)
    run("verify", env=faked, code=0)
