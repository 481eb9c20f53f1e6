"""The splits of AGIQA-3K: published files resolved onto the index, rules computed, both kept and exported."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import trustme
from conftest import Command, Done
from doubles import Box
from test_agiqa3k_facts import rebuilt_ipce
from test_agiqa3k_import import ID, house, published, read_csv, replicas, table_file, tree

PARTS = {"train": "train", "val": "val", "validation": "val", "test": "test"}
IPCE_VAL = [600, 598, 595, 597, 597, 593, 593, 598, 593, 594]  # section 6 of the report, as are all numbers below
COUNTS = {
    **{f"ipce-{fold}": {"train": 2982 - val, "val": val} for fold, val in enumerate(IPCE_VAL, 1)},
    "ma-agiqa": {"train": 1789, "val": 596, "test": 597},
    "q-align-1": {"train": 2385, "test": 597},
    "cmim-1": {"train": 2385, "val": 597},
    "amff-net-1": {"train": 2385, "test": 597},
}
RULES = {"tier-pscr", "q-align-zero-shot", "deqa-score"}


@dataclass(frozen=True)
class Original:
    """One line of the list of published split files, and the file itself where a copy is at hand."""

    project: str
    repo: str
    commit: str
    path: str
    fold: str
    part: str
    data: bytes | None

    @property
    def split(self) -> str:
        return f"{self.project}-{self.fold}" if self.fold else self.project

    @property
    def names(self) -> list[str]:
        """The image names, read without the program."""
        text = (self.data or b"").decode()
        if self.path.endswith(".json"):
            return [entry["img_path"].removeprefix("agiqa3k/") for entry in json.loads(text)]
        if self.path.endswith(".txt"):
            return [line.partition("\t")[0].removeprefix("all/") for line in text.splitlines()]
        return [row["name"] for row in csv.DictReader(io.StringIO(text, newline=""))]


def _originals(shared: Path) -> Iterator[Original]:
    with (shared / "databases/split-files.tsv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["database"] == ID]
    projects = {row["project"]: row["project"].lower() for row in rows}
    for row in rows:
        project, path = projects[row["project"]], row["path"]
        fold = "" if project == "ma-agiqa" else row["number"]
        if project == "ipce":
            data: bytes | None = rebuilt_ipce(int(fold), row["side"])
        elif project == "ma-agiqa":
            data = (shared / "data" / ID / "splits" / project / Path(path).name).read_bytes()
        else:
            copy = shared / "data/split-files" / project / ID / f"{fold}-{row['side']}{Path(path).suffix}"
            data = copy.read_bytes() if copy.is_file() else None
        yield Original(project, row["repo"], row["commit"], path, fold, PARTS[row["side"]], data)


@pytest.fixture(scope="module")
def originals(shared: Path) -> list[Original]:
    return list(_originals(shared))


@pytest.fixture(scope="module")
def home(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory, replica_zip: Path, built_in: Callable[[str], str]
) -> Iterator[Command]:
    with house(authority, tmp_path_factory.mktemp("splits"), replica_zip, built_in(ID)) as run:
        yield run


def serve(box: Box, originals: list[Original]) -> None:
    for file in originals:
        if file.data is not None:
            box.github.add(file.repo, file.commit, {file.path: file.data})


@pytest.fixture(scope="module")
def fetched(home: Command, originals: list[Original]) -> Done:
    """`fetch --splits` where every original at hand is online and every other one is gone."""
    serve(home.box, originals)
    home.box.log.clear()
    return home("fetch", ID, "--splits", "--json", code=0)


@pytest.fixture(scope="module")
def splits(home: Command, fetched: Done) -> dict[str, dict[str, str]]:
    """Split -> image -> part."""
    return {
        path.stem: {row["image_id"]: row["split"] for row in read_csv(path)}
        for path in (home.root / ID / "splits").iterdir()
    }


@pytest.fixture(scope="module")
def prompts() -> dict[str, str]:
    return {row["name"]: row["prompt"] for row in published()}


# --- published files --------------------------------------------------------------------------------------------


def test_what_is_at_hand_is_resolved_and_the_rest_reported(
    fetched: Done, splits: dict[str, dict[str, str]], originals: list[Original]
) -> None:
    assert splits.keys() == COUNTS.keys() | RULES
    assert len(originals) == 73
    missing = [file for file in originals if file.data is None]
    assert len(missing) == 44
    envelope = fetched.json()
    assert set(envelope["data"][0]["result"]["left_out"]) == {f"{file.project}/{file.path}" for file in missing}
    assert envelope["status"] == "partial"
    for name, count in Counter(file.project for file in missing).items():
        assert any(f"split {name}: {count} of" in line for line in fetched.err.splitlines()), name


def test_images_are_not_fetched_again_for_splits(home: Command, fetched: Done) -> None:
    assert not any("AGIQA-3K.zip" in entry.path or "drive" in entry.host for entry in home.box.log)
    asked = {entry.host for entry in home.box.log if entry.status == 200}
    assert asked == {"raw.githubusercontent.com"}


@pytest.mark.parametrize("name", COUNTS)
def test_each_published_split_is_the_published_one(
    splits: dict[str, dict[str, str]], originals: list[Original], name: str
) -> None:
    found = splits[name]
    assert Counter(found.values()) == COUNTS[name]
    assert list(found) == [row["name"] for row in published()], "every row of the index, in its order"
    files = [file for file in originals if file.split == name]
    assert len(files) == len(COUNTS[name])
    for file in files:
        assert {image for image, part in found.items() if part == file.part} == set(file.names)


def test_prompts_on_both_sides(splits: dict[str, dict[str, str]], prompts: dict[str, str]) -> None:
    """IPCE and AMFF-Net divide by prompt; the others have most prompts on both sides."""

    def sides(name: str) -> list[set[str]]:
        parts = sorted(set(splits[name].values()))
        return [{prompts[image] for image, side in splits[name].items() if side == part} for part in parts]

    for fold in range(1, 11):
        train, val = sides(f"ipce-{fold}")
        assert (len(train), len(val), len(train & val)) == (240, 60, 0)
    assert splits["ipce-4"] == splits["ipce-5"]
    assert not set.intersection(*sides("amff-net-1"))
    test, train = sides("q-align-1")
    assert 265 <= len(test & train) <= 274
    test, train, val = sides("ma-agiqa")
    assert test | val <= train


# --- rules ------------------------------------------------------------------------------------------------------


def test_the_shuffle_of_tier_and_pscr(splits: dict[str, dict[str, str]]) -> None:
    names = [row["name"] for row in published()]
    order = np.arange(len(names))
    np.random.seed(1)  # noqa: NPY002 - the published rule is this very generator
    np.random.shuffle(order)  # noqa: NPY002
    train = {names[number] for number in order[: int(0.8 * len(names))]}
    assert len(train) == 2385
    assert splits["tier-pscr"] == {name: "train" if name in train else "test" for name in names}


@pytest.mark.parametrize("name", ["q-align-zero-shot", "deqa-score"])
def test_the_whole_set_as_a_test(splits: dict[str, dict[str, str]], name: str) -> None:
    assert splits[name] == dict.fromkeys((row["name"] for row in published()), "test")


def test_rule_splits_need_no_fetching(run: Command, replica_online: Path, fetched: Done, home: Command) -> None:
    run("fetch", ID, "--labels-only", code=0)
    made = tree(run.root / ID / "splits")
    assert made.keys() == {f"{name}.csv" for name in RULES}
    assert made.items() <= tree(home.root / ID / "splits").items()


# --- use --------------------------------------------------------------------------------------------------------


def test_a_part_of_a_split_is_exported(home: Command, fetched: Done, originals: list[Original]) -> None:
    rows = list(csv.DictReader(io.StringIO(home("export", ID, "--split", "ma-agiqa:test", code=0).out)))
    assert len(rows) == 597
    assert {row["split"] for row in rows} == {"test"}
    (file,) = [file for file in originals if file.project == "ma-agiqa" and file.part == "test"]
    assert {row["image_id"] for row in rows} == set(file.names)
    scores = {row["name"]: row["mos_quality"] for row in published()}
    assert all(row["mos_quality"] == scores[row["image_id"]] for row in rows)


def test_a_whole_split_is_exported(home: Command, fetched: Done) -> None:
    done = home("export", ID, "--split", "ipce-3", "--columns", "image_id,split", code=0)
    assert done.out == (home.root / ID / "splits/ipce-3.csv").read_text()


@pytest.mark.parametrize(
    ("word", "named"),
    [("ma-agiqqa", "ma-agiqa"), ("ma-agiqa:vall", "val"), ("q-align-2", "q-align-1"), ("ip-iqa", "ipce-1")],
)
def test_a_split_that_is_not_here(home: Command, fetched: Done, word: str, named: str) -> None:
    done = home("export", ID, "--split", word, code=2)
    assert done.out == ""
    assert named in done.err


def test_an_installed_root_with_splits_is_sound(home: Command, fetched: Done) -> None:
    home("verify", code=0)
    listed = (home.root / ID / "checksums.sha256").read_text()
    assert all(f"  splits/{name}.csv\n" in listed for name in (*COUNTS, *RULES))


def test_info_tells_what_is_here(home: Command, fetched: Done) -> None:
    lines = [line for line in home("info", ID, code=0).out.splitlines() if "ma-agiqa" in line]
    assert any("yes" in line.split("\t") for line in lines)


# --- later ------------------------------------------------------------------------------------------------------


def test_splits_survive_a_later_install(run: Command, replica_online: Path, originals: list[Original]) -> None:
    serve(run.box, originals)
    run("fetch", ID, "--splits", code=0)
    before = tree(run.root / ID)
    assert {f"splits/{name}.csv" for name in (*COUNTS, *RULES)} <= before.keys()
    for file in originals:
        run.box.github.blobs.pop(f"{file.repo}/{file.commit}/{file.path}", None)
    run("fetch", ID, "--force", code=0)
    assert tree(run.root / ID) == before
    run("verify", code=0)


def test_a_fold_stays_when_only_others_can_be_fetched_again(
    run: Command, replica_online: Path, originals: list[Original]
) -> None:
    serve(run.box, originals)
    run("fetch", ID, "--labels-only", "--splits", code=0)
    before = tree(run.root / ID / "splits")
    for file in originals:
        if file.split == "ipce-1" or file.project == "ma-agiqa":
            del run.box.github.blobs[f"{file.repo}/{file.commit}/{file.path}"]
    run("fetch", ID, "--labels-only", "--splits", code=0)
    assert tree(run.root / ID / "splits") == before


def test_one_side_alone_makes_no_split(run: Command, replica_online: Path, originals: list[Original]) -> None:
    serve(run.box, [file for file in originals if file.project == "ma-agiqa" and file.part != "test"])
    done = run("fetch", ID, "--labels-only", "--splits", code=0)
    assert not (run.root / ID / "splits/ma-agiqa.csv").exists()
    assert "ma-agiqa" in done.err


def test_a_file_with_other_bytes_makes_no_split(run: Command, replica_online: Path, originals: list[Original]) -> None:
    serve(run.box, originals)
    (file,) = [file for file in originals if file.project == "ma-agiqa" and file.part == "test"]
    lines = (file.data or b"").splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    run.box.github.add(file.repo, file.commit, {file.path: b"".join(lines)})
    done = run("fetch", ID, "--labels-only", "--splits", code=0)
    names = {path.stem for path in (run.root / ID / "splits").iterdir()}
    assert names == (COUNTS.keys() | RULES) - {"ma-agiqa"}
    assert "split ma-agiqa: 1 of 3" in done.err


def test_split_files_that_a_person_has_are_taken(
    run: Command, replica_online: Path, originals: list[Original], splits: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    """They have the header of the label table, and only their hash tells that they are none."""
    wanted = [file for file in originals if file.split in ("ma-agiqa", "q-align-1", "ipce-4")]
    given = [table_file(tmp_path / file.project, file.data, Path(file.path).name) for file in wanted]
    run("import", ID, *given, table_file(tmp_path / "given"), code=0)
    found = {row["image_id"]: row["split"] for row in read_csv(run.root / ID / "splits/ma-agiqa.csv")}
    assert found == splits["ma-agiqa"]
    assert (run.root / ID / "splits/q-align-1.csv").is_file()
    folds = [(run.root / ID / f"splits/ipce-{fold}.csv").read_bytes() for fold in (4, 5)]
    assert folds[0] == folds[1], "published as two folds with the same bytes: one file in hand is both"
    assert (run.root / ID / "labels/data.csv").read_bytes() == replicas.true_labels()
