"""aigiqa score: which images, which metric, what is answered, what is refused."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from conftest import Command, Done, kill
from PIL import Image

SIZES = """\
import os

def sizes(paths):
    print("loading")  # to stdout, which is the answer's
    os.system("echo from a child process")
    return [os.path.getsize(path) for path in paths]

def told(paths, prompts, references=None):
    return [len(prompt) + 1000 * (reference is not None) for prompt, reference in zip(prompts, references)]
"""


def rows(done: Done) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(done.out)))


def index(run: Command) -> list[dict[str, str]]:
    with (run.root / "demo/index.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def folder_of(run: Command, *names: str) -> Path:
    folder = run.work / "pictures"
    for at, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (20, 20), 40 * at).save(folder / name)
    return folder


def script(run: Command, name: str, body: str) -> str:
    path = run.work / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return f"./{name}"


def test_scores_of_a_database_are_predictions(installed: Command) -> None:
    done = installed("score", "demo", "-m", "brightness", "-m", "contrast", "-o", "scores.csv", code=0)
    assert done.out == "scores.csv\n"
    assert "next: aigiqa evaluate demo scores.csv" in done.err
    with (installed.work / "scores.csv").open(newline="") as stream:
        found = list(csv.DictReader(stream))
    assert [row["image_id"] for row in found] == [row["image_id"] for row in index(installed)]
    assert list(found[0]) == ["image_id", "brightness", "contrast"]
    told = installed("evaluate", "demo", "scores.csv", "--resamples", "0", "--json", code=0).json()["data"]
    assert told["predictions"]["models"] == ["brightness", "contrast"]
    assert not list((installed.root / ".aigiqa/scores").iterdir()), "nothing is left to go on with"


def test_the_selection_and_the_next_command(installed: Command) -> None:
    done = installed("score", "demo", "-m", "blur", "--split", "authors:test", code=0)
    members = {row["image_id"] for row in index(installed)}
    assert 0 < len(rows(done)) < len(members)
    assert {row["image_id"] for row in rows(done)} < members
    assert "next: … | aigiqa evaluate demo - --split authors:test" in done.err
    assert "lower is better" in done.err
    where = installed("score", "demo", "-m", "contrast", "--where", "generator = 'synthetic-atlas'", "--json", code=0)
    expected = [row["image_id"] for row in index(installed) if row["generator"] == "synthetic-atlas"]
    assert [row["image_id"] for row in where.json()["data"]["scores"]] == expected


def test_full_reference_needs_references(installed: Command) -> None:
    without = [row["image_id"] for row in index(installed) if not row["reference_path"]]
    done = installed("score", "demo", "-m", "psnr", code=2)
    assert f"{len(without)} of {len(index(installed))} images do not have: {without[0]} … {without[-1]}" in done.err
    assert "reference_path <> ''" in done.err
    kept = installed("score", "demo", "-m", "psnr", "--where", "reference_path <> ''", code=0)
    assert len(rows(kept)) == len(index(installed)) - len(without)
    assert all(5 < float(row["psnr"]) < 60 for row in rows(kept))


def test_a_folder(run: Command) -> None:
    folder = folder_of(run, "b.png", "sub/a.png")
    (folder / "notes.txt").write_text("no image")
    done = run("score", folder, "-m", "brightness", code=0)
    assert [(row["image_id"], float(row["brightness"])) for row in rows(done)] == [
        ("b.png", 0), ("sub/a.png", pytest.approx(40 / 255))
    ]  # fmt: skip
    assert "choose from a database" in run("score", folder, "-m", "brightness", "--split", "x", code=2).err
    (folder / os.fsdecode(b"\xff.png")).write_bytes((folder / "b.png").read_bytes())
    assert "is not in UTF-8" in run("score", folder, "-m", "brightness", code=2).err
    (run.work / "empty").mkdir()
    assert "there is no image in empty" in run("score", "empty", "-m", "brightness", code=2).err


def test_a_function_gets_what_its_parameters_ask_for(installed: Command) -> None:
    (installed.work / "mine.py").write_text(SIZES)
    done = installed("score", "demo", "-m", "mine:sizes", "-m", "mine.py:told", "--name", "size,told", code=0)
    expected = [
        (row["image_id"], float(row["bytes"]), len(row["prompt"]) + 1000.0 * bool(row["reference_path"]))
        for row in index(installed)
    ]
    assert [(row["image_id"], float(row["size"]), float(row["told"])) for row in rows(done)] == expected
    assert "loading" in done.err
    assert "from a child process" in done.err


def test_a_program_with_json_lines_or_paths(installed: Command) -> None:
    lines = (
        "import json, sys\n"
        "for line in reversed(sys.stdin.readlines()):\n"
        "    told = json.loads(line)\n"
        "    print(json.dumps({'image_id': told['image_id'], 'score': len(told['prompt'] or '')}))\n"
    )
    (installed.work / "lines.py").write_text(lines)
    paths = script(installed, "paths.sh", 'for path in "$@"; do echo "$path $(stat -c %s "$path")"; done')
    single = script(installed, "single.sh", 'printf %s "$2" | wc -m')
    done = installed(
        "score", "demo", "--command", f"{sys.executable} lines.py", "--command", f"{paths} {{}}",
        "--command", f"{single} --prompt {{prompt}}", "--where", "row < 12", "--batch", "5", code=0,
    )  # fmt: skip
    expected = [(row["image_id"], len(row["prompt"]), int(row["bytes"])) for row in index(installed)[:12]]
    found = [(row["image_id"], float(row["lines"]), float(row["paths"])) for row in rows(done)]
    assert found == expected
    assert [float(row["single"]) for row in rows(done)] == [prompt for _, prompt, _ in expected]


def test_a_program_gets_no_secret(run: Command) -> None:
    folder = folder_of(run, "a.png")
    dump = script(run, "dump.sh", "env >> seen; echo 1")
    secrets = {
        "HF_TOKEN": "hf_canary1234567", "OPENAI_API_KEY": "sk-canary", "MY_PASSWORD": "canary pass",
        "HTTPS_PROXY": "http://user:canary9@proxy.example:1", "ALSO": "x hf_canary1234567 y", "CUDA_VISIBLE_DEVICES": "0",
    }  # fmt: skip
    run("score", folder, "--command", dump, env=secrets, code=0)
    seen = (run.work / "seen").read_text()
    assert "canary" not in seen
    assert "CUDA_VISIBLE_DEVICES=0" in seen
    run("score", folder, "--command", dump, "--env", "OPENAI_API_KEY", env=secrets, code=0)
    assert (run.work / "seen").read_text().count("canary") == 1


def test_what_a_failing_program_says_acts_on_no_terminal_and_tells_no_secret(run: Command) -> None:
    folder = folder_of(run, "a.png", "b.png")
    body = "printf 'first\\n\\033[31mred hf_canary1234567\\n' >&2; exit 3"
    done = run("score", folder, "--command", script(run, "bad.sh", body), env={"HF_TOKEN": "hf_canary1234567"}, code=5)
    assert "bad failed on a.png … b.png (2 images): it ended with exit status 3; it said: first | " in done.err
    assert "\x1b" not in done.err
    assert "canary" not in done.err
    assert "[hidden]" in done.err


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo 1", "it printed 1 lines for 2 images"),
        ("echo 1; echo two", "line 2 is no score: 'two'"),
        ("echo 1; echo nan", "has no score for b.png: nan is no finite number"),
        ("echo b.png 1; echo b.png 2", "it answered b.png twice"),
        ("echo c.png 1; echo b.png 2", "line 1 names 'c.png', which it was not asked for"),
        ("echo '{\"value\": 1}'; echo 1", "line 1 has no key score"),
        ("kill -9 $$", "it was ended by SIGKILL"),
        ("sleep 60", "no end after 0.3 s"),
    ],
)
def test_a_program_that_does_not_answer_well(run: Command, body: str, said: str) -> None:
    folder = folder_of(run, "a.png", "b.png")
    done = run("score", folder, "--command", script(run, "bad.sh", body), "--timeout", "0.3", "--json", code=5).json()
    assert said in done["error"]["message"]
    assert done["error"]["kind"] == "refused"
    assert {finding["path"] for finding in done["findings"]} <= {"a.png", "b.png"}
    assert done["findings"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-m", "brightnes"), "nearest: brightness"),
        (("-m", "nowhere:score"), "there is no module 'nowhere'"),
        (("-m", "mine:nothing"), "it has sizes, told"),
        (("-m", "broken:score"), "broken:score cannot be imported: ZeroDivisionError: division by zero"),
        (("-m", "mine:os"), "is no function"),
        (("--command", "no-such-program {}"), "there is no program 'no-such-program'"),
        (("--command", "echo 'open"), "cannot be read: No closing quotation"),
        (("-m", "contrast", "-m", "contrast"), "two columns would be called 'contrast'"),
        (("-m", "contrast", "--name", "width"), "'width' is a column of the index"),
        (("-m", "contrast", "--name", "a,b"), "2 names for 1 metrics"),
        (("-m", "contrast", "--device", "tpu"), "there is no device 'tpu'"),
        (("-m", "contrast", "-o", "nowhere/x.csv"), "in a folder that does not exist"),
        ((), "no metric is named"),
    ],
)
def test_what_can_never_be_is_refused_before_the_first_image(run: Command, words: tuple[str, ...], said: str) -> None:
    folder = folder_of(run, "a.png")
    (run.work / "mine.py").write_text(SIZES)
    (run.work / "broken.py").write_text("1 / 0\n")
    done = run("score", folder, *words, code=2)
    assert said in done.err
    assert not (run.root / ".aigiqa").exists()


def test_what_is_not_installed_or_has_no_images(run: Command) -> None:
    assert "demo is not installed" in run("score", "demo", "-m", "contrast", code=2).err
    assert "did you mean demo?" in run("score", "dmo", "-m", "contrast", code=2).err
    run("fetch", "demo", "--labels-only", code=0)
    done = run("score", "demo", "-m", "contrast", code=2)
    assert "none of the 60 selected images is here" in done.err
    assert "next: aigiqa fetch demo" in done.err


def test_a_sample_scores_what_is_here(run: Command) -> None:
    run("fetch", "demo", "--sample", "7", code=0)
    done = run("score", "demo", "-m", "contrast", code=0)
    assert len(rows(done)) == 7
    assert "53 selected images are not here" in done.err
    assert "aigiqa evaluate demo - --allow-missing" in done.err


def test_an_unreadable_image_is_named_or_left_empty(run: Command) -> None:
    folder = folder_of(run, "a.png", "b.png", "c.png")
    (folder / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    done = run("score", folder, "-m", "contrast", "--json", code=5).json()
    assert done["error"]["message"].startswith("contrast has no score for b.png: ")
    assert [finding["path"] for finding in done["findings"]] == ["b.png"]
    left = run("score", folder, "-m", "contrast", "--allow-missing", code=0)
    assert [(row["image_id"], bool(row["contrast"])) for row in rows(left)] == [
        ("a.png", True), ("b.png", False), ("c.png", True)
    ]  # fmt: skip
    assert "1 images have no score: b.png" in left.err
    assert "2 scores were there" in left.err, "what the failed run had is kept"
    assert run("score", folder, "-m", "contrast", "--allow-missing", "--json", code=0).json()["status"] == "partial"


def test_other_bytes_than_those_on_record_get_no_score(installed: Command) -> None:
    first = installed.root / index(installed)[3]["image_path"]
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    done = installed("score", "demo", "-m", "contrast", code=4)
    assert f"{first} is not as it was" in done.err
    first.unlink()
    assert f"{first} is gone" in installed("score", "demo", "-m", "contrast", code=4).err


def test_an_interrupt_ends_the_program_and_what_is_done_is_kept(run: Command) -> None:
    folder = folder_of(run, "a.png", "b.png")
    body = 'case "$1" in *b.png) echo $$ > part; mv part begun; exec sleep 600;; esac; echo 1'
    slow = script(run, "slow.sh", body)
    process = run.start("score", folder, "--command", f"{slow} {{}}", "--batch", "1", "--json")
    while not (run.work / "begun").exists():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out)["error"]["kind"] == "interrupted"
    assert not Path(f"/proc/{(run.work / 'begun').read_text().strip()}").exists()
    (ledger,) = (run.root / ".aigiqa/scores").iterdir()
    assert len(ledger.read_text().splitlines()) == 1


def test_a_second_run_of_the_same_waits_for_nobody(run: Command) -> None:
    folder = folder_of(run, "a.png")
    slow = script(run, "slow.sh", "touch begun; sleep 600; echo 1")
    process = run.start("score", folder, "--command", slow)
    while not (run.work / "begun").exists():
        assert process.poll() is None
    done = run("score", folder, "--command", slow, code=6)
    assert "another aigiqa is scoring these images" in done.err
    kill(process, signal.SIGTERM)


def test_the_listing_and_a_reader_who_has_seen_enough(installed: Command) -> None:
    told = installed("score", "--list", "--json", code=0).json()["data"]
    by_name = {one["name"]: one for one in told["built_in"]}
    assert (by_name["blur"]["better"], by_name["ssim"]["reference"]) == ("lower", True)
    lines = installed("score", "--list", code=0).out.splitlines()
    assert [line.split("\t")[0] for line in lines] == list(by_name)
    process = installed.start("score", "demo", "-m", "contrast")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
