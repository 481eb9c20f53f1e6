"""The splits that are published, audited on installs of labels alone: how much of the test part was trained on.

The numbers are those of the databases' reports (sections on splits) and of peers.md section 5. Where these say nothing
the files themselves are counted here, without the program.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from conftest import Command
from doubles import Box
from test_agiqa3k_facts import rebuilt_ipce

IPCE_VAL = [600, 598, 595, 597, 597, 593, 593, 598, 593, 594]


@pytest.fixture(scope="module")
def data(shared: Path) -> Path:
    return shared / "data"


@pytest.fixture(scope="module")
def home(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory, data: Path, built_in: Callable[[str], str]
) -> Iterator[Command]:
    """All six databases by their labels, with every published split file at hand."""
    base = tmp_path_factory.mktemp("published")
    files = data / "split-files"
    given: dict[str, list[Path]] = {
        "agiqa1k": [data / "agiqa1k/AIGC_MOS_Zscore.xlsx", data / "agiqa1k/AIGC_all.csv"],
        "aigciqa2023": [
            *(
                data / "aigciqa2023" / name
                for name in ("pic-index.xlsx", "AIGCIQA2023_Prompts.xlsx", "AIGIQA2023.json")
            ),
            *(data / "aigciqa2023/splits").glob("*.json"),
        ],
        "aigiqa20k": [data / "aigiqa20k/AIGCQA-30K-Image" / f"info_{part}.xlsx" for part in ("train", "val")],
        "pku-i2iqa": sorted((data / "pku-i2iqa/PKU-I2IQA").glob("*/*.txt")),
        "pku-aigiqa-4k": [
            data / "pku-aigiqa-4k/PKU-AIGIQA/annotation.csv",
            *sorted((data / "pku-aigiqa-4k/PKU-AIGIQA").glob("*/*.csv")),
        ],
    }
    with Box(authority) as box:
        run = Command(box, base)
        _serve_agiqa3k(box, data, built_in("agiqa3k"))
        run("fetch", "agiqa3k", "--labels-only", "--splits", code=0)
        for name, own in given.items():
            more = sorted(path for path in files.glob(f"*/{name}/*") if path.is_file())
            run("import", name, *own, *more, code=0)
        yield run


def _serve_agiqa3k(box: Box, data: Path, manifest: str) -> None:
    """Its label table, and every split file at hand under its published place: folds 4 and 5 of IPCE are one file."""
    known = yaml.safe_load(manifest)
    table = (data / "agiqa3k/data.csv").read_bytes()
    for asset in known["assets"]:
        for mirror in asset["mirrors"] if asset["name"] == "data.csv" else ():
            box.publish(mirror, table)
    for split in known["splits"]:
        for file in split.get("published", {}).get("files", ()):
            fold, part, suffix = file.get("fold", ""), file["part"], Path(file["path"]).suffix
            copy = data / f"split-files/{split['name']}/agiqa3k/{fold}-{part}{suffix}"
            if split["name"] == "ipce":
                content = rebuilt_ipce(int(fold), part)
            elif split["name"] == "ma-agiqa":
                content = (data / "agiqa3k/splits/ma-agiqa" / Path(file["path"]).name).read_bytes()
            elif copy.is_file():
                content = copy.read_bytes()
            else:
                continue
            source = split["published"]
            box.github.add(source["repo"], source["revision"], {file["path"]: content})


def audited(run: Command, *words: object, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = run("split", "audit", *words, "--json", code=code).json()["data"]
    return found


def prompts(found: dict[str, Any]) -> list[tuple[str, str, str, int, int]]:
    """(split, first side, second side, prompts on both, images of the second side touched) of every pair."""
    return [
        (pair["split"], pair["a"], pair["b"], pair["overlap"]["prompt"]["shared"], pair["overlap"]["prompt"]["rows_b"])
        for pair in found["pairs"]
    ]


# --- AGIQA-3K ----------------------------------------------------------------------------------------------------


def test_ipce_keeps_prompts_apart(home: Command) -> None:
    found = audited(home, "agiqa3k", "ipce")
    assert prompts(found) == [(f"ipce-{fold}", "train", "val", 0, 0) for fold in range(1, 11)]
    assert [split["parts"]["val"] for split in found["splits"]] == IPCE_VAL
    assert (found["label"], found["overlap"]["prompt"]["percent_b"]) == ("clean", 0.0)
    assert found["verdict"] == "clean: no image, prompt or reference is on both sides"


def test_ma_agiqa_trains_on_every_prompt_that_it_tests(home: Command) -> None:
    found = audited(home, "agiqa3k", "ma-agiqa")
    shares = {(pair["a"], pair["b"]): pair["overlap"]["prompt"]["percent_b"] for pair in found["pairs"]}
    assert shares["train", "val"] == shares["train", "test"] == 100.0
    assert 0 < shares["val", "test"] < 100
    assert found["label"] == "leaky"
    assert found["verdict"].startswith("leaky: 100 % of test images share a prompt with train (val: 100 %)")
    assert [pair["overlap"]["image"]["shared"] for pair in found["pairs"]] == [0, 0, 0]


def test_cmim_trains_on_every_prompt_that_it_tests(home: Command) -> None:
    found = audited(home, "agiqa3k", "cmim-1")
    assert prompts(found) == [("cmim-1", "train", "val", 273, 597)]
    assert found["overlap"]["prompt"]["percent_b"] == 100.0


def test_the_raw_files_say_the_same_as_the_installed_splits(home: Command, data: Path) -> None:
    """csv, json and a tab-separated list with folders, none of them declared to the command."""
    files = data / "split-files"
    cases = [
        (files / "cmim/agiqa3k/1-train.csv", files / "cmim/agiqa3k/1-val.csv", "cmim-1"),
        (files / "q-align/agiqa3k/1-train.json", files / "q-align/agiqa3k/1-test.json", "q-align-1"),
        (files / "amff-net/agiqa3k/1-train.txt", files / "amff-net/agiqa3k/1-test.txt", "amff-net-1"),
    ]
    for first, second, name in cases:
        raw, installed = audited(home, first, second), audited(home, "agiqa3k", name)
        assert raw["databases"] == ["agiqa3k"]
        for kind, overlap in installed["overlap"].items():
            numbers = ("shared", "rows_a", "rows_b", "percent_b")
            assert [raw["overlap"][kind][n] for n in numbers] == [overlap[n] for n in numbers], (name, kind)
    assert 265 <= audited(home, *cases[1][:2])["overlap"]["prompt"]["shared"] <= 274


def test_three_files_are_three_sides(home: Command, data: Path) -> None:
    folder = data / "agiqa3k/splits/ma-agiqa"
    found = audited(home, *(folder / f"{name}.csv" for name in ("train", "validation", "test")))
    assert [(pair["a"], pair["b"]) for pair in found["pairs"]] == [("train", "val"), ("train", "test"), ("val", "test")]
    assert found["overlap"]["prompt"]["percent_b"] == 100.0


def test_a_leak_is_an_error_where_it_is_asked_for(home: Command) -> None:
    done = home("split", "audit", "agiqa3k", "ma-agiqa", "--fail-on", "prompt", code=4)
    assert "prompt" in done.err
    assert "597 of 597 (100 %)" in done.err
    home("split", "audit", "agiqa3k", "ma-agiqa", "--fail-on", "image", code=0)
    home("split", "audit", "agiqa3k", "ipce", "--fail-on", "any", code=0)
    assert "aigiqa fetch agiqa3k" in home("split", "audit", "agiqa3k", "ipce", "--fail-on", "bytes", code=2).err


# --- the other databases -----------------------------------------------------------------------------------------


def counted(rows: list[tuple[str, str, str]]) -> tuple[int, int]:
    """(prompts on both sides, images of the second side touched) of (side, image, prompt), counted here."""
    sides: dict[str, dict[str, str]] = {}
    for part, image, prompt in rows:
        sides.setdefault(part, {})[image] = " ".join(prompt.lower().split())
    (_, first), (_, second) = sorted(sides.items(), key=lambda item: item[0] != "train")
    both = set(first.values()) & set(second.values())
    return len(both), sum(prompt in both for prompt in second.values())


def test_agiqa1k(home: Command, data: Path) -> None:
    """IPCE's split 0 shares 8 prompts, the others 109 to 117; in split 2 an image is on both sides of the files."""
    with (data / "agiqa1k/splits/DERIVED_ipce_splits_compact.csv").open(newline="", encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    known: dict[str, str] = {}
    for path in (data / "split-files/ipce/agiqa1k").glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as stream:
            known |= {row["Image"]: row["Prompt"] for row in csv.DictReader(stream)}
    for number, shared, touched in prompts_by_fold(audited(home, "agiqa1k", "ipce")):
        rows = [(row[f"split_{number}"], row["Image"], known[row["Image"]]) for row in table]
        if number == 2:
            twice = [row for row in rows if row[1] == "dreamStudio_8_9_1_1.jpg"]
            rows.remove(twice[1])  # of the image that is labelled twice the first row counts
        assert (shared, touched) == counted(rows)
        assert shared == 8 if number == 0 else 109 <= shared <= 117
    files = data / "split-files/ipce/agiqa1k"
    raw = audited(home, files / "2-train.csv", files / "2-val.csv")
    assert (raw["overlap"]["image"]["shared"], raw["overlap"]["image"]["rows_b"]) == (1, 1)
    assert raw["overlap"]["image"]["examples"][0]["key"] == "dreamStudio_8_9_1_1.jpg"


def prompts_by_fold(found: dict[str, Any]) -> list[tuple[int, int, int]]:
    folds = [(int(name.rpartition("-")[2]), shared, touched) for name, _, _, shared, touched in prompts(found)]
    assert [number for number, _, _ in folds] == [0, 1, 2]
    return folds


@pytest.mark.parametrize("name", ["mint-iqa", "ipce-1", "cmim-1", "amff-net-1", "tier-pscr"])
def test_aigciqa2023_is_divided_by_image(home: Command, name: str) -> None:
    """All 100 prompts (99 texts: two are the same but for case) are on both sides."""
    found = audited(home, "aigciqa2023", name)
    assert found["overlap"]["prompt"]["percent_b"] == 100.0
    assert found["label"] == "leaky"


def test_aigciqa2023_raw_files_in_three_schemes_of_names(home: Command, data: Path) -> None:
    files = data / "split-files"
    cases = [
        ([files / "ipce/aigciqa2023/1-train.csv", files / "ipce/aigciqa2023/1-val.csv"], "ipce-1", "model/image_name"),
        ([files / "amff-net/aigciqa2023/1-train.txt", files / "amff-net/aigciqa2023/1-test.txt"], "amff-net-1", "column 1"),
        ([data / f"aigciqa2023/splits/my{part}dict_llm.json" for part in ("train", "test")], "mint-iqa", "img"),
    ]  # fmt: skip
    for paths, name, column in cases:
        raw, installed = audited(home, *paths), audited(home, "aigciqa2023", name)
        assert [file["column"] for file in raw["files"]] == [column, column]
        assert [file["images"] for file in raw["files"]] == list(installed["splits"][0]["parts"].values())
        assert [each[3:] for each in prompts(raw)] == [each[3:] for each in prompts(installed)]


def test_aigiqa20k(home: Command, data: Path) -> None:
    """82 prompts are in both train and val of the release; IPCE divides its training part by image."""
    folder = data / "aigiqa20k/AIGCQA-30K-Image"
    rows = []
    for part in ("train", "val"):
        with (folder / f"info_{part}.csv").open(newline="", encoding="utf-8") as stream:
            rows += [(part, cells[0], cells[1]) for cells in csv.reader(stream)]
    found = audited(home, "aigiqa20k", "official")
    assert prompts(found) == [("official", "train", "val", *counted(rows))]
    assert found["overlap"]["prompt"]["shared"] == 82
    assert found["splits"][0]["parts"] == {"train": 14000, "val": 2000}
    raw = audited(home, folder / "info_train.csv", folder / "info_val.csv")
    assert raw["overlap"]["prompt"]["shared"] == 82
    files = data / "split-files/ipce/aigiqa20k"
    rows = []
    for part in ("val", "train"):
        with (files / f"2-{part}.csv").open(newline="", encoding="utf-8") as stream:
            rows += [(part, cells[0], cells[1]) for cells in csv.reader(stream)]
    repeated = next(row for row in rows if row[0] == "val")
    assert ("train", *repeated[1:]) in rows, "a row of train stands in place of a header"
    assert prompts(audited(home, "aigiqa20k", "ipce-2")) == [("ipce-2", "train", "val", *counted(rows[1:]))]
    assert audited(home, files / "2-train.csv", files / "2-val.csv")["overlap"]["image"]["shared"] == 1


@pytest.mark.parametrize("name", ["authors", "amff-net"])
def test_pku_i2iqa(home: Command, name: str) -> None:
    """The 200 prompts have 199 texts, and all of them are on both sides of every split."""
    found = audited(home, "pku-i2iqa", name)
    assert {(shared, touched) for *_, shared, touched in prompts(found)} == {(199, 400)}
    assert len(found["splits"]) == (1 if name == "authors" else 10)
    assert found["overlap"]["reference"]["shared"] is None, "references are known only with the images"


def test_pku_aigiqa_4k(home: Command) -> None:
    """The validation side of CMIM's fold 1 has 189 of the 199 prompts, and all of them are also trained on."""
    found = audited(home, "pku-aigiqa-4k", "cmim")
    assert prompts(found)[0] == ("cmim-1", "train", "val", 189, 480)
    assert {touched for *_, touched in prompts(found)} == {480}
    assert audited(home, "pku-aigiqa-4k", "authors")["overlap"]["prompt"]["percent_b"] == 100.0


def test_across_databases(home: Command) -> None:
    """The text-to-image prompts of the 4K database are those of its older sister."""
    found = audited(home, "pku-i2iqa", "authors", "--against", "pku-aigiqa-4k", "--against", "agiqa3k")
    assert [(pair["a"], pair["b"]) for pair in found["pairs"]] == [
        ("train", "pku-aigiqa-4k"), ("train", "agiqa3k"), ("test", "pku-aigiqa-4k"), ("test", "agiqa3k"),
    ]  # fmt: skip
    assert found["overlap"]["prompt"]["percent_b"] == 100.0
    assert found["pairs"][1]["overlap"]["prompt"]["shared"] == 0
    done = home("split", "audit", "pku-i2iqa", "authors", "--against", "pku-aigiqa-4k", "--fail-on", "prompt", code=4)
    assert "pku-aigiqa-4k" in done.err
    records = [line.split("\t") for line in done.out.splitlines()]
    assert [(cells[1], cells[2], cells[-1].partition(":")[0]) for cells in records] == [
        ("train", "pku-aigiqa-4k", "leaky"), ("test", "pku-aigiqa-4k", "leaky"),
    ]  # fmt: skip
    assert all(f"share a prompt with {cells[1]}" in cells[-1] and ";" not in cells[-1] for cells in records), "its own"
    home("split", "audit", "agiqa3k", "--against", "aigciqa2023", "--fail-on", "any", code=0)


def test_files_of_two_databases(home: Command, data: Path) -> None:
    files = data / "split-files/cmim"
    found = audited(home, files / "agiqa3k/1-train.csv", files / "aigciqa2023/1-val.csv")
    assert found["databases"] == ["agiqa3k", "aigciqa2023"]
    assert found["overlap"]["prompt"]["shared"] == found["overlap"]["image"]["shared"] == 0
    assert [each["key"] for each in found["overlap"]["generator"]["examples"]] == ["glide"]


# --- list, and splits of our own ---------------------------------------------------------------------------------


def test_the_list_measures_what_is_here(home: Command) -> None:
    splits = {
        each["name"]: each for each in home("split", "list", "agiqa3k", "--json", code=0).json()["data"]["splits"]
    }
    assert {name: each["label"] for name, each in splits.items()} == {
        "ipce": "clean", "cmim": "leaky", "amff-net": "clean", "ma-agiqa": "leaky", "q-align": "leaky",
        "q-align-zero-shot": "unknown", "deqa-score": "unknown", "tier-pscr": "leaky", "ip-iqa": "unknown",
        "clip-agiqa": "unknown", "m3-agiqa": "unknown",
    }  # fmt: skip
    assert [each["overlap"]["prompt"]["percent_b"] for each in splits["ipce"]["here"]] == [0.0] * 10
    assert splits["ma-agiqa"]["here"][0]["overlap"]["prompt"]["percent_b"] == 100.0
    assert splits["ma-agiqa"]["here"][0]["parts"] == {"train": 1789, "val": 596, "test": 597}
    assert (splits["ipce"]["fetch"], splits["cmim"]["fetch"]) == ("", "aigiqa fetch agiqa3k --splits")
    assert (splits["ip-iqa"]["kind"], splits["ip-iqa"]["fetch"]) == ("described", "")
    lines = home("split", "list", "agiqa3k", code=0).out.splitlines()
    assert {len(line.split("\t")) for line in lines} == {11}
    official = home("split", "list", "aigiqa20k", "--json", code=0).json()["data"]["splits"][0]
    assert (official["official"], official["label"]) == (True, "leaky")


@pytest.mark.parametrize("name", ["agiqa3k", "agiqa1k", "aigciqa2023", "aigiqa20k", "pku-i2iqa", "pku-aigiqa-4k"])
def test_a_split_by_prompt_can_be_made_of_every_database(home: Command, tmp_path: Path, name: str) -> None:
    target = tmp_path / "made.csv"
    done = home("split", "make", name, "--ratio", "8:1:1", "--seed", "1", "-o", target, "--json", code=0).json()["data"]
    parts = done["splits"][0]["parts"]
    assert {part: round(found["share"], 2) for part, found in parts.items()} == {"train": 0.8, "val": 0.1, "test": 0.1}
    found = audited(home, target, "--database", name)
    assert {(shared, touched) for *_, shared, touched in prompts(found)} == {(0, 0)}
    assert found["label"] == "clean"
    assert found["splits"][0]["parts"] == {part: each["images"] for part, each in parts.items()}
    beside = json.loads(target.with_suffix(".json").read_text())
    assert beside["signature"] == done["signature"]
    if name == "aigiqa20k":
        assert done["left_out"] == 2000, "the validation images have no score"
