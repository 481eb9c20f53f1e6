"""Scores outlive a kill: nothing is scored twice but the batch that was being scored, and nothing is mixed."""

from __future__ import annotations

import csv
import errno
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import invariants
import pytest
from conftest import Command, kill
from PIL import Image
from test_local_faults import AS_NOBODY

from aigiqa_cli.errors import MachineFault, TemporaryFault
from aigiqa_cli.store import Root, scores
from aigiqa_cli.store.scores import ScoreLedger

IMAGES, BATCH, KILLS = 1_000, 20, 5

FUNCTION = """\
import os, time

def score(paths):
    answers = []
    for path in paths:
        with open("calls", "a") as log:
            log.write(os.path.basename(path) + "\\n")
        time.sleep(0.0005)
        answers.append(int(os.path.basename(path)[:4]) / 7)
    return answers
"""
PROGRAM = """\
for path in "$@"; do
  name=${path##*/}; name=${name%.png}
  echo "$name.png" >> calls
  echo "$path 0.$name"
done
"""


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("thousand")
    for number in range(IMAGES):
        Image.new("L", (1, 1), number % 256).save(folder / f"{number:04}.png")
    return folder


@pytest.mark.parametrize("kind", ["function", "program"])
def test_a_run_that_is_killed_goes_on_and_scores_nothing_twice(run: Command, thousand: Path, kind: str) -> None:
    (run.work / "mine.py").write_text(FUNCTION)
    (run.work / "mine.sh").write_text(PROGRAM)
    own = ["-m", "mine:score"] if kind == "function" else ["--command", "sh mine.sh {}"]
    words = ("score", thousand, *own, "--name", "own", "--batch", BATCH, "-o", "scores.csv")
    calls = run.work / "calls"
    chance = random.Random(7)
    goals = sorted(chance.sample(range(30, IMAGES - 50), KILLS))
    killed = 0
    for goal in goals:
        process = run.start(*words)
        while (calls.read_bytes().count(b"\n") if calls.exists() else 0) < goal:
            assert process.poll() is None, process.communicate()
        kill(process)
        killed += 1
        assert not (run.work / "scores.csv").exists()
    last = run(*words, code=0)
    assert "scores were there from a run that was broken off" in last.err

    counts = Counter(calls.read_text().split())
    names = [f"{number:04}.png" for number in range(IMAGES)]
    assert sorted(counts) == names
    again = [name for name, times in counts.items() if times > 1]
    assert sum(counts.values()) - IMAGES <= BATCH * killed
    assert len({int(name[:4]) // BATCH for name in again}) <= killed, "only whole batches are begun again"
    with (run.work / "scores.csv").open(newline="") as stream:
        found = [(row["image_id"], float(row["own"])) for row in csv.DictReader(stream)]
    value = (lambda name: int(name[:4]) / 7) if kind == "function" else (lambda name: float(f"0.{name[:4]}"))
    assert found == [(name, value(name)) for name in names]
    assert not list((run.root / ".aigiqa/scores").iterdir())


def test_one_program_for_all_images_loses_a_second_at_most(run: Command, thousand: Path) -> None:
    """It is started once, names each image in its answer, and is killed: what it had answered is kept."""
    body = (
        "import json, os, sys, time\n"
        "open('number', 'w').write(str(os.getpid()))\n"
        "with open('calls', 'a') as log:\n"
        "    for line in sys.stdin:\n"
        "        name = json.loads(line)['image_id']\n"
        "        print(name, int(name[:4]) / 7, sep='\\t', flush=True)\n"
        "        print(name, file=log, flush=True)\n"
        "        time.sleep(0.005)\n"
    )
    (run.work / "mine.py").write_text(body)
    line = f"{sys.executable} mine.py"
    words = ("score", thousand, "--command", line, "--name", "own", "--batch", IMAGES, "-o", "scores.csv")
    calls = run.work / "calls"
    process = run.start(*words)
    while not calls.exists() or calls.read_bytes().count(b"\n") < 500:
        assert process.poll() is None, process.communicate()
    kill(process)
    while Path(
        f"/proc/{(run.work / 'number').read_text()}"
    ).exists():  # it meets its closed output with its next answer
        time.sleep(0.01)
    (ledger,) = (run.root / ".aigiqa/scores").iterdir()
    kept = len(ledger.read_text().splitlines())
    assert kept > 0
    before = calls.read_bytes().count(b"\n")
    run(*words, code=0)
    counts = Counter(calls.read_text().split())
    assert len(counts) == IMAGES
    assert sum(counts.values()) - before == IMAGES - kept
    with (run.work / "scores.csv").open(newline="") as stream:
        found = {row["image_id"]: float(row["own"]) for row in csv.DictReader(stream)}
    assert found == {f"{number:04}.png": number / 7 for number in range(IMAGES)}


def broken_off(run: Command, folder: Path) -> Path:
    """A run of which four of five scores are kept; its ledger."""
    folder.mkdir()
    for number in range(5):
        Image.new("L", (4, 4), number).save(folder / f"{number}.png")
    body = "import os\ndef score(paths):\n    assert not paths[0].endswith(os.environ['STOP'])\n    open('log', 'a').write(paths[0][-5:] + ' ')\n    return [1.5]\n"
    (run.work / "mine.py").write_text(body)
    run("score", folder, "-m", "mine:score", "--batch", "1", env={"STOP": "4.png"}, code=5)
    (run.work / "log").unlink()
    (ledger,) = (run.root / ".aigiqa/scores").iterdir()
    return ledger


def again(run: Command, folder: Path, *words: object) -> str:
    """What is scored when the run goes on."""
    run("score", folder, "-m", "mine:score", "--batch", "1", *words, env={"STOP": "none"}, code=0)
    log = run.work / "log"
    return log.read_text().strip() if log.exists() else ""


def test_only_what_is_not_kept_is_scored(run: Command) -> None:
    broken_off(run, run.work / "five")
    assert again(run, run.work / "five") == "4.png"


def test_fresh_begins_anew(run: Command) -> None:
    broken_off(run, run.work / "five")
    assert again(run, run.work / "five", "--fresh") == "0.png 1.png 2.png 3.png 4.png"


def test_a_torn_line_counts_as_never_written(run: Command) -> None:
    ledger = broken_off(run, run.work / "five")
    ledger.write_bytes(ledger.read_bytes()[:-5])
    assert again(run, run.work / "five") == "3.png 4.png"


def test_a_damaged_line_counts_as_never_written(run: Command) -> None:
    ledger = broken_off(run, run.work / "five")
    ledger.write_bytes(ledger.read_bytes().replace(b" 1.5 ", b" 2.5 ", 1) + b"\0" * 100)
    assert again(run, run.work / "five") == "0.png 4.png"


def test_another_content_another_function_another_metric_do_not_mix(run: Command) -> None:
    folder = run.work / "five"
    broken_off(run, folder)
    Image.new("L", (4, 4), 200).save(folder / "2.png")
    assert again(run, folder) == "2.png 4.png"
    (run.work / "log").unlink()
    broken_off(run, run.work / "other")
    with (run.work / "mine.py").open("a") as module:
        module.write("# another version\n")
    assert again(run, run.work / "other") == "0.png 1.png 2.png 3.png 4.png"


def test_gc_frees_what_was_given_up(run: Command) -> None:
    ledger = broken_off(run, run.work / "five")
    told = run("gc", "--dry-run", "--json", code=0).out
    assert ledger.name in told
    assert "scores of a run broken off" in told
    run("gc", code=0)
    assert not ledger.exists()


def test_a_reader_who_has_gone_leaves_the_scores(run: Command) -> None:
    folder = run.work / "five"
    broken_off(run, folder)
    command = f"{sys.executable} -m aigiqa_cli score {folder} -m mine:score --batch 1"
    process = run.start("score", folder, "-m", "mine:score", "--batch", "1", env={"STOP": "none"})
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 0, command
    assert process.stderr is not None
    process.stderr.close()
    (run.work / "log").unlink()
    assert again(run, folder) == "", "all five are kept, for nobody has seen them"


def test_a_root_that_may_only_be_read_is_scored_and_left_alone(installed: Command) -> None:
    prelude = AS_NOBODY if os.geteuid() == 0 else ""
    before = invariants.tree(installed.root)
    folders = [Path(place) for place, _, _ in os.walk(installed.root)]
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"{prelude}\nfrom aigiqa_cli.cli.main import run\nrun()", "score", "demo", "-m", "contrast"],
            cwd=installed.work, env=installed.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 61), done.stderr
    assert "a run that is broken off will begin anew" in done.stderr
    assert invariants.tree(installed.root) == before
    assert not (installed.root / ".aigiqa/scores").exists()


def ledger(root: Path, **identity: str) -> ScoreLedger:
    made = Root(root)
    made.prepare()
    return ScoreLedger(made, identity)


def test_a_ledger_gives_back_every_bit(tmp_path: Path) -> None:
    values = {f"{n:064x}": value for n, value in enumerate((0.1, 1 / 3, -2.5e-300, 1e308, 5e-324, 0.0, -0.0))}
    first = ledger(tmp_path, metric="a")
    first.add(values)
    first.close()
    second = ledger(tmp_path, metric="a")
    assert {key: value.hex() for key, value in second.scores.items()} == {k: v.hex() for k, v in values.items()}
    second.close()
    other = ledger(tmp_path, metric="b")
    assert other.scores == {}
    other.close()


def test_P5_a_ledger_is_found_after_a_power_cut_before_anything_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is flushed when it is opened; then what is added outlives one as well."""
    flushed, real = list[str](), os.fsync

    def fsync(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    kept = ledger(tmp_path, metric="a")
    assert str(kept.path.parent) in flushed
    flushed.clear()
    kept.add({"0" * 64: 1.0})
    assert flushed == [str(kept.path)]
    kept.close()


def test_one_run_at_a_time(tmp_path: Path) -> None:
    first = ledger(tmp_path, metric="a")
    with pytest.raises(TemporaryFault):
        ledger(tmp_path, metric="a")
    first.discard()
    second = ledger(tmp_path, metric="a")  # a new file: that of the first run is gone
    second.add({"0" * 64: 1.0})
    assert second.path.exists()
    first.close()
    second.close()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EACCES])
def test_scores_are_kept_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    before = len(os.listdir("/dev/fd"))
    monkeypatch.setattr("fcntl.flock", refuse)
    if number == errno.EACCES:  # a lock that may not be taken is no missing one
        with pytest.raises(MachineFault):
            ledger(tmp_path, metric="a")
    else:
        first = ledger(tmp_path, metric="a")
        first.add({})
        first.add({"0" * 64: 0.5})
        first.close()
        first.close()
        second = ledger(tmp_path, metric="a")
        assert second.scores == {"0" * 64: 0.5}
        second.close()
    assert len(os.listdir("/dev/fd")) == before


def test_a_ledger_that_its_last_holder_removed_meanwhile_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    def take(descriptor: int) -> bool:
        if not taken:  # between opening and locking
            (path,) = (tmp_path / ".aigiqa/scores").iterdir()
            path.unlink()
        taken.append(descriptor)
        return True

    monkeypatch.setattr(scores, "try_flock", take)
    made = ledger(tmp_path, metric="a")
    assert len(taken) == 2
    made.add({"0" * 64: 0.5})
    assert made.path.exists()
    made.close()


def test_a_ledger_that_cannot_be_read_leaves_no_handle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    before = len(os.listdir("/dev/fd"))
    monkeypatch.setattr(scores, "fsync_folder", refuse)
    with pytest.raises(MachineFault):
        ledger(tmp_path, metric="a")
    assert len(os.listdir("/dev/fd")) == before


def test_what_is_torn_or_has_another_check_sum_counts_as_never_written(tmp_path: Path) -> None:
    first = ledger(tmp_path, metric="a")
    first.add({f"{number:064x}": number / 7 for number in range(3)})
    first.close()
    good, wrong, third = first.path.read_bytes().splitlines(keepends=True)
    first.path.write_bytes(good + wrong.replace(b"0.14", b"0.15") + third[:-1])
    second = ledger(tmp_path, metric="a")
    assert second.scores == {"0" * 64: 0.0}
    second.add({"f" * 64: 1.0})
    second.close()
    third_time = ledger(tmp_path, metric="a")
    assert third_time.scores == {"0" * 64: 0.0, "f" * 64: 1.0}
    third_time.close()


def test_an_answer_in_json_that_reached_nobody_leaves_the_scores(run: Command) -> None:
    folder = run.work / "five"
    broken_off(run, folder)
    with open("/dev/full", "w") as full:
        process = run.start(
            "score", folder, "-m", "mine:score", "--batch", "1", "--json", env={"STOP": "none"}, stdout=full
        )
        assert process.wait(timeout=60) == 7
    assert process.stderr is not None
    process.stderr.close()
    (run.work / "log").unlink()
    assert again(run, folder) == "", "all five are kept, for nobody has seen them"
    assert not list((run.root / ".aigiqa" / "scores").iterdir()), "and now they have been"
