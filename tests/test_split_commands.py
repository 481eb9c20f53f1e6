"""aigiqa split as its users meet it: streams, files, envelopes, exit codes, faults; on the synthetic database."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import pty
import re
import select
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import LIMIT, Command
from doubles import Box
from test_commands import picture, serve_tiny
from tiny import MODELS, PROMPTS, tiny_manifest

KINDS = ["image", "bytes", "near", "prompt", "reference", "generator"]
COUNTS = {
    "shared",
    "rows_a",
    "percent_a",
    "rows_b",
    "percent_b",
    "known_a",
    "known_b",
    "why",
    "examples",
    "split",
    "a",
    "b",
}


def index(run: Command, name: str = "demo") -> list[dict[str, str]]:
    with (run.root / name / "index.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def data(run: Command, *words: object, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = run("split", *words, "--json", code=code).json()["data"]
    return found


# --- help and options --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], ["list"], ["show"], ["make"], ["audit"]])
def test_help(run: Command, words: list[str]) -> None:
    text = " ".join(run("split", *words, "--help", code=0, env={"COLUMNS": "200"}).out.split())
    for part in (f"aigiqa split {' '.join(words)}".strip(), "Examples:", "Exit codes:", "--root", "--json", "--quiet"):
        assert part in text


@pytest.mark.parametrize(
    "words",
    [
        ["split", "show", "demo", "authors", "--json"],
        ["split", "--json", "show", "demo", "authors"],
        ["--json", "split", "show", "demo", "authors"],
    ],
)
def test_global_options_stand_anywhere(installed: Command, words: list[str]) -> None:
    found = installed(*words, code=0).json()
    assert (found["command"], found["status"], found["error"]) == ("split", "ok", None)
    assert len(found["data"]["rows"]) == 60


@pytest.mark.parametrize(
    "words",
    [
        ["list"], ["list", "nosuch"], ["show", "demo"], ["make"], ["audit"], ["surplus"], ["make", "demo", "--by", "colour"],
        ["make", "demo", "--ratio", "8"], ["make", "demo", "--ratio", "8:0:2"], ["make", "demo", "--ratio", "1:2:3:4"],
        ["make", "demo", "--ratio", "-1:2"], ["make", "demo", "--folds", "1"], ["make", "demo", "--seed", "-1"],
        ["make", "demo", "--folds", "5", "--ratio", "8:2"], ["make", "demo", "--leave-one-out", "prompt"],
        ["make", "demo", "--leave-one-out", "generator", "--repeats", "2"],
        ["make", "demo", "--leave-one-out", "generator", "--by", "prompt"],
        ["make", "demo", "--leave-one-out", "generator", "--seed", "0"], ["audit", "demo", "authors", "--fail-on", "x"],
        ["make", "demo", "--repeats", "100", "--folds", "50"],
    ],
)  # fmt: skip
def test_wrong_usage(installed: Command, words: list[str]) -> None:
    found = installed("--json", "split", *words, code=2).json()
    assert (found["command"], found["status"], found["error"]["exit_code"]) == ("split", "error", 2)
    assert found["error"]["hint"]


# --- list and show -----------------------------------------------------------------------------------------------


def test_list_of_what_is_not_installed(run: Command) -> None:
    splits = {each["name"]: each for each in data(run, "list", "agiqa3k")["splits"]}
    assert {each["label"] for each in splits.values()} == {"unknown"}
    assert splits["ipce"]["verdict"] == "unknown: not here (published as by prompt)"
    assert splits["ipce"]["fetch"] == "aigiqa fetch agiqa3k --labels-only --splits"
    assert splits["tier-pscr"]["fetch"] == "aigiqa fetch agiqa3k --labels-only"
    assert not run.root.exists(), "reading makes nothing"


def test_list_measures_the_authors_split(installed: Command) -> None:
    """Counted here: 45 and 15 images, the prompts of the text-to-image ones on both sides."""
    rows = {row["image_id"]: row for row in index(installed)}
    parts = {row["image_id"]: row["split"] for row in table((installed.root / "demo/splits/authors.csv").read_text())}
    sides = [{rows[i]["prompt_id"] for i, part in parts.items() if part == side} for side in ("train", "test")]
    touched = sum(rows[i]["prompt_id"] in sides[0] for i, part in parts.items() if part == "test")
    (found,) = data(installed, "list", "demo")["splits"]
    assert (found["name"], found["official"], found["kind"], found["label"]) == ("authors", True, "rule", "leaky")
    overlap = found["here"][0]["overlap"]["prompt"]
    assert (overlap["shared"], overlap["rows_b"]) == (len(sides[0] & sides[1]), touched)
    assert overlap["percent_b"] == pytest.approx(100 * touched / 15)
    (line,) = installed("split", "list", "demo", code=0).out.splitlines()
    assert line.split("\t")[:6] == ["authors", "leaky", "image", "rule", "1/1", "train 45, test 15"]


def test_show(installed: Command) -> None:
    whole = (installed.root / "demo/splits/authors.csv").read_text()
    assert installed("split", "show", "demo", "authors", code=0).out == whole
    names = installed("split", "show", "demo", "authors", "--part", "test", code=0).out.splitlines()
    assert names == [row["image_id"] for row in table(whole) if row["split"] == "test"]
    assert data(installed, "show", "demo", "authors", "--part", "training")["images"] == [
        row["image_id"] for row in table(whole) if row["split"] == "train"
    ]
    assert data(installed, "show", "demo", "authors")["rows"] == table(whole)
    assert "train, test" in installed("split", "show", "demo", "authors", "--part", "val", code=2).err
    assert "authors" in installed("split", "show", "demo", "other", code=2).err
    assert "aigiqa fetch agiqa3k" in installed("split", "show", "agiqa3k", "ipce", code=2).err


def test_a_split_that_was_changed_is_not_used(installed: Command) -> None:
    path = installed.root / "demo/splits/authors.csv"
    path.write_text(path.read_text().replace("test", "train", 1))
    for words in (["show", "demo", "authors"], ["audit", "demo", "authors"], ["list", "demo"]):
        assert "aigiqa verify --repair demo" in installed("split", *words, code=4).err


# --- make --------------------------------------------------------------------------------------------------------


def test_make_writes_csv_to_stdout_and_the_rest_to_stderr(installed: Command) -> None:
    done = installed("split", "make", "demo", "--ratio", "4:1", "--seed", "5", code=0)
    rows = table(done.out)
    assert list(rows[0]) == ["image_id", "split"]
    assert [row["image_id"] for row in rows] == [row["image_id"] for row in index(installed)]
    prompt = {row["image_id"]: row["prompt_id"] for row in index(installed)}
    sides = [{prompt[row["image_id"]] for row in rows if row["split"] == side} for side in ("train", "test")]
    assert not sides[0] & sides[1]
    assert "48 images (80.0 % of 80.0 % wanted)" in done.err
    assert "clean: no image, file, prompt or reference is on both sides" in done.err
    digest = hashlib.sha256(done.out.encode()).hexdigest()[:12]
    stated = re.search(r"signature: (\S+)", done.err)
    assert stated
    version = data(installed, "make", "demo")["aigiqa"]
    fields = [f"aigiqa:{version}", "db:demo", "by:prompt", "ratio:4:1", "seed:5", "repeats:1", f"sha256:{digest}"]
    assert [field for field in stated[1].split("|") if not field.startswith("index:")] == fields
    assert installed("split", "make", "demo", "--ratio", "80:20", "--seed", "5", "-q", code=0).out == done.out
    assert installed("split", "make", "demo", "--ratio", "0.8:0.2", "--seed", "5", "-q", code=0).err == ""
    assert installed("split", "make", "demo", "--ratio", "4:1", "--seed", "6", "-q", code=0).out != done.out


def test_repeats_in_one_table_and_in_a_folder_are_the_same(installed: Command) -> None:
    words = ["split", "make", "demo", "--ratio", "4:1", "--seed", "5", "--repeats", "3"]
    whole = installed(*words, code=0).out
    assert list(table(whole)[0]) == ["image_id", "repeat-1", "repeat-2", "repeat-3"]
    done = installed(*words, "-o", "one.csv", code=0)
    assert done.out == "one.csv\n"
    assert (installed.work / "one.csv").read_text() == whole
    done = installed(*words, "-o", "many", code=0)
    assert done.out.splitlines() == [f"many/repeat-{number}.csv" for number in (1, 2, 3)]
    names = {path.name for path in (installed.work / "many").iterdir()}
    assert names == {f"repeat-{number}.{kind}" for number in (1, 2, 3) for kind in ("csv", "json")}
    for number in (1, 2, 3):
        path = installed.work / "many" / f"repeat-{number}.csv"
        assert [row["split"] for row in table(path.read_text())] == [row[f"repeat-{number}"] for row in table(whole)]
        beside = json.loads(path.with_suffix(".json").read_text())
        assert beside["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert f"|split:repeat-{number}|" in beside["signature"]
        assert [each["name"] for each in beside["splits"]] == [f"repeat-{number}"]
    found = data(installed, "make", "demo", "--ratio", "4:1", "--seed", "5", "--repeats", "3")
    assert found["rows"] == table(whole)
    assert [each["label"] for each in found["splits"]] == ["clean"] * 3


def test_folds_and_leaving_out_a_generator(installed: Command) -> None:
    rows = table(installed("split", "make", "demo", "--folds", "3", code=0).out)
    assert all(sorted(list(row.values())[1:]) == ["test", "train", "train"] for row in rows)
    done = installed("split", "make", "demo", "--leave-one-out", "generator", code=0)
    generator = {row["image_id"]: row["generator"] for row in index(installed)}
    for row in table(done.out):
        tested = [name for name, part in row.items() if part == "test"]
        assert tested == [generator[row["image_id"]]]
    assert "leaky" in done.err, "every prompt of the generator that is left out is trained on"


def test_what_cannot_be_made(installed: Command) -> None:
    assert (
        "4 groups by generator" in installed("split", "make", "demo", "--by", "generator", "--folds", "9", code=2).err
    )
    assert "aigiqa fetch agiqa3k --labels-only" in installed("split", "make", "agiqa3k", code=2).err
    assert "existing" in installed("split", "make", "demo", "-o", "no/such/folder/x", code=2).err


def test_nothing_of_the_users_is_replaced_by_a_signature(installed: Command) -> None:
    (installed.work / "notes.json").write_text('{"mine": 1}')
    assert "notes.json" in installed("split", "make", "demo", "-o", "notes.csv", code=2).err
    assert not (installed.work / "notes.csv").exists()
    assert (installed.work / "notes.json").read_text() == '{"mine": 1}'
    for _ in range(2):  # one of ours is replaced
        installed("split", "make", "demo", "--ratio", "4:1", "-o", "again.csv", code=0)


def test_references_stay_together(installed: Command) -> None:
    done = installed("split", "make", "demo", "--by", "reference", "--ratio", "4:1", "--seed", "2", code=0)
    rows = {row["image_id"]: row for row in index(installed)}
    sides: dict[str, set[str]] = {}
    for row in table(done.out):
        sides.setdefault(rows[row["image_id"]]["reference_path"], set()).add(row["split"])
    assert all(len(parts) == 1 for path, parts in sides.items() if path)


# --- audit -------------------------------------------------------------------------------------------------------


def test_the_envelope_of_an_audit(installed: Command) -> None:
    found = data(installed, "audit", "demo", "authors")
    assert set(found) == {"databases", "files", "label", "verdict", "overlap", "pairs", "splits"}
    assert list(found["overlap"]) == KINDS
    assert all(set(overlap) == COUNTS for overlap in found["overlap"].values())
    assert (found["databases"], found["label"]) == (["demo"], "leaky")
    (pair,) = found["pairs"]
    assert (pair["split"], pair["a"], pair["b"], pair["images_a"], pair["images_b"]) == (
        "authors", "train", "test", 45, 15,
    )  # fmt: skip
    assert found["overlap"]["bytes"]["shared"] == 0
    assert found["overlap"]["near"]["known_b"] == 15
    assert found["overlap"]["generator"]["percent_b"] == 100.0
    without = data(installed, "audit", "demo", "authors", "--no-near")
    assert without["overlap"]["near"]["why"] == "not asked for"


def test_two_lists_and_one_table_say_the_same(installed: Command) -> None:
    parts: dict[str, list[str]] = {"train": [], "test": []}
    for row in table((installed.root / "demo/splits/authors.csv").read_text()):
        parts[row["split"]].append(row["image_id"])
    (installed.work / "a.txt").write_text("".join(f"some/folder/{name}\n" for name in parts["train"]))
    (installed.work / "b.json").write_text(json.dumps([{"img": name.removesuffix(".png")} for name in parts["test"]]))
    shutil.copy(installed.root / "demo/splits/authors.csv", installed.work / "both.csv")
    expected = data(installed, "audit", "demo", "authors")["pairs"][0]["overlap"]
    for words in (["a.txt", "b.json"], ["both.csv"], ["both.csv:train", "both.csv:test"], ["demo", "a.txt", "b.json"]):
        found = data(installed, "audit", *words)["pairs"][0]["overlap"]
        assert {k: v["rows_b"] for k, v in found.items()} == {k: v["rows_b"] for k, v in expected.items()}, words
    whole = data(installed, "audit", "a.txt", "a.txt")
    assert whole["overlap"]["image"]["percent_b"] == 100.0
    done = installed("split", "audit", "a.txt", "b.json", code=0).out.split("\t")
    assert done[:4] == ["a and b", "a", "b", "0"]


def test_names_that_are_no_images_are_told_with_their_lines(installed: Command) -> None:
    names = [row["image_id"] for row in index(installed)]
    (installed.work / "a.txt").write_text("".join(f"{name}\n" for name in names[:20]))
    (installed.work / "b.csv").write_text(
        "image,score\n" + f"{names[30]},1\nnobody.png,2\n{names[31]},3\nnothing.png,4\n"
    )
    done = installed("split", "audit", "a.txt", "b.csv", "--json", code=5).json()
    assert done["status"] == "error"
    assert [(finding["path"], finding["found"]) for finding in done["findings"]] == [
        ("b.csv:3", "nobody.png"), ("b.csv:5", "nothing.png"),
    ]  # fmt: skip
    assert done["data"]["pairs"][0]["images_b"] == 2, "the others are compared"
    assert "b.csv:3" in installed("split", "audit", "a.txt", "b.csv", code=5).err


def test_fail_on(installed: Command) -> None:
    done = installed("split", "audit", "demo", "authors", "--fail-on", "image,prompt", "--json", code=4).json()
    assert (done["status"], done["error"]["kind"]) == ("error", "integrity")
    assert [finding["problem"].partition(":")[0] for finding in done["findings"]] == ["prompt"]
    assert done["data"]["label"] == "leaky", "the numbers are there all the same"
    installed("split", "audit", "demo", "authors", "--fail-on", "image,bytes,reference", code=0)
    installed("split", "make", "demo", "--ratio", "4:1", "--seed", "5", "-o", "good.csv", code=0)
    installed("split", "audit", "good.csv", "--fail-on", "image,bytes,prompt,reference", code=0)
    installed("split", "audit", "demo", "authors", "--fail-on", "any", code=4)


def test_what_cannot_be_audited(installed: Command) -> None:
    names = [row["image_id"] for row in index(installed)]
    (installed.work / "a.txt").write_text("\n".join(names))
    (installed.work / "empty.txt").write_text("\n")
    (installed.work / "foreign.csv").write_text("name\nAttnGAN_normal_000.jpg\nAttnGAN_normal_001.jpg\n")
    for words, code, told in (
        (["a.txt"], 2, "one side alone"),
        (["a.txt", "missing.csv"], 2, "missing.csv"),
        (["missing.csv", "a.txt"], 2, "missing.csv"),
        (["demo"], 2, "authors"),
        (["demo", "nosuch"], 2, "authors"),
        (["nosuch", "authors"], 2, "nosuch"),
        (["agiqa3k", "ipce"], 2, "aigiqa fetch agiqa3k --labels-only"),
        (["a.txt:val", "a.txt"], 2, "no part"),
        (["a.txt", "foreign.csv"], 5, "aigiqa fetch agiqa3k --labels-only"),
        (["demo", "authors", "--against", "agiqa3k"], 2, "agiqa3k"),
        (["demo", "authors", "--against", "demo"], 2, "compares demo with itself"),
        (["a.txt", "--against", "demo"], 2, "compares demo with itself"),
        (["empty.txt", "a.txt", "--database", "demo"], 5, "a list of images, one a line"),
    ):
        assert told in installed("split", "audit", *words, code=code).err, words


def test_copies_are_found_by_bytes_and_by_sight(run: Command, box: Box, manifests: Callable[[str, str], Path]) -> None:
    """Twelve pictures, of which two are the same file and one is another at lower quality; prompts keep them apart."""
    from test_split_partitions import picture as drawn

    names = [f"{model}_{number:03}.jpg" for model in MODELS for number in range(len(PROMPTS))]
    pictures = {}
    for number, name in enumerate(names):
        target = io.BytesIO()
        drawn({4: 0}.get(number, number)).save(target, "JPEG", quality=40 if number == 4 else 90)
        pictures[name] = target.getvalue()
    pictures[names[5]] = pictures[names[0]]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in pictures.items():
            archive.writestr(zipfile.ZipInfo(f"tiny/{name}"), content)
    assert picture(1), "the archive of the other tests has pictures of one pixel"
    serve_tiny(box, packed.getvalue())
    manifests("tiny", tiny_manifest(packed.getvalue()))
    run("fetch", "tiny", code=0)
    (run.work / "train.txt").write_text("\n".join(name for name in names if name.endswith("_000.jpg")))
    (run.work / "test.txt").write_text("\n".join(name for name in names if not name.endswith("_000.jpg")))
    found = data(run, "audit", "train.txt", "test.txt")
    overlap = found["overlap"]
    assert [overlap[kind]["rows_b"] for kind in KINDS] == [0, 1, 2, 0, 0, 8]
    assert overlap["bytes"]["examples"][0]["b"] == names[5]
    assert {each["b"] for each in overlap["near"]["examples"]} == {names[4], names[5]}
    assert found["verdict"] == (
        "leaky: 12.5 % of test images have the same bytes as an image in train; "
        "25.0 % of test images are nearly identical to an image in train"
    )
    run("split", "audit", "train.txt", "test.txt", "--fail-on", "near", code=4)
    run("split", "audit", "train.txt", "test.txt", "--fail-on", "prompt", code=0)
    rows = {row["image_id"]: row["split"] for row in table(run("split", "make", "tiny", "--ratio", "1:1", code=0).out)}
    assert rows[names[0]] == rows[names[5]], "images of the same bytes stay on one side"


# --- people ------------------------------------------------------------------------------------------------------

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\]8;[^\x1b]*\x1b\\")


def seen(run: Command, *words: str) -> list[str]:
    """The lines that a person sees at a terminal of 80 columns."""
    master, slave = pty.openpty()
    settings = {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "40"}
    found = b""
    with run.start(*words, env=settings, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    block = os.read(master, 65_536)
                except OSError:
                    break
                found += block
            elif process.poll() is not None:
                break
        process.wait(timeout=LIMIT)
    os.close(master)
    lines = ESCAPES.sub("", found.decode()).replace("\r\n", "\n").split("\n")
    return [line.rpartition("\r")[2].rstrip() for line in lines]


def test_an_audit_in_words_at_80_columns(installed: Command) -> None:
    lines = seen(installed, "split", "audit", "demo", "authors", "--no-near")
    assert max(map(len, lines)) <= 80
    assert any(re.fullmatch(r"\s+train - test\s+0 %\s+0 %\s+-\s+73\.3 %\s+0 %\s+100 %", line) for line in lines)
    text = " ".join(" ".join(lines).split())
    assert "leaky: 73.3 % of test images share a prompt with train" in text
    assert "- not compared: not asked for" in text


def test_a_list_at_80_columns(installed: Command) -> None:
    for database in ("demo", "agiqa3k", "aigciqa2023"):
        lines = seen(installed, "split", "list", database)
        assert max(map(len, lines)) <= 80
    assert any("aigiqa fetch aigciqa2023 --labels-only --splits" in line for line in lines)


def test_splits_of_two_recipes_are_not_mixed_in_a_folder(installed: Command, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    installed("split", "make", "demo", "--repeats", 3, "-o", folder, code=0)
    before = sorted(path.name for path in folder.iterdir())
    assert "repeat-3" in installed("split", "make", "demo", "--repeats", 2, "-o", folder, code=2).err
    assert sorted(path.name for path in folder.iterdir()) == before
    installed("split", "make", "demo", "--repeats", 3, "--seed", 5, "-o", folder, code=0)


def test_one_part_of_many_splits_is_not_guessed(installed: Command, tmp_path: Path) -> None:
    made = tmp_path / "made.csv"
    installed("split", "make", "demo", "--repeats", 2, "-o", made, code=0)
    assert "2 splits with a part" in installed("split", "audit", f"{made}:train", f"{made}:test", code=2).err
    assert installed("split", "show", "DEMO", "authors", "--json", code=0).json()["data"]["database"] == "demo"
