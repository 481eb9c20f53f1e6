"""aigiqa compare: versions of one database, two databases, tables of any format; expected values by hand."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Command
from doubles import Box
from test_commands import at_terminal, serve_tiny, zip_of
from tiny import small_labels, tiny_manifest

from aigiqa_cli.describing.differences import differences
from aigiqa_cli.index import COLUMNS

Row = dict[str, str]
Put = Callable[[str, str], Path]


@pytest.fixture
def demo(run: Command, ready: Path) -> Command:
    run.root.symlink_to(ready)
    return run


def index(root: Path) -> list[Row]:
    with (root / "demo/index.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def write(path: Path, rows: list[Row]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def changed(root: Path, path: Path) -> Path:
    """The index of demo as another version might have it."""
    rows = index(root)
    rows[0] |= {"mos_quality": "3.9000", "score_quality": "0.780000"}
    rows[1]["mos_quality"] += "0"
    rows[2] |= {"prompt": "another", "prompt_id": "0123456789ab"}
    rows[3] |= {"mos_alignment": "", "score_alignment": "", "std_alignment": ""}
    rows[4]["sha256"] = "0" * 64
    rows[5]["image_id"] = "new.png"
    rows[6] |= {"generator": "glide", "extra": '{ "category": "sea", "more": 1}'}
    del rows[10:12]
    return write(path, [*rows, rows[0] | {"image_id": "extra.png", "sha256": "1" * 64}])


def told(run: Command, *words: object, code: int = 0) -> dict[str, Any]:
    data: dict[str, Any] = run("compare", *words, "--json", code=code).json()["data"]
    return data


# --- versions of one database --------------------------------------------------------------------------------------


def test_every_kind_of_change_is_found_once(demo: Command) -> None:
    before = index(demo.root)
    found = told(demo, "demo", changed(demo.root, demo.work / "other.csv"))
    assert (found["same"], found["matched_by"], found["columns"]) == (False, "image_id", list(COLUMNS))
    assert found["images"] == {
        "shared": 58,
        "renamed": [{"a": before[5]["image_id"], "b": "new.png"}],
        "removed": [before[10]["image_id"], before[11]["image_id"]],
        "added": ["extra.png"],
        "pairs": None,
    }
    quality, alignment = found["scores"]["quality"], found["scores"]["alignment"]
    assert quality["changed"] == [{"image_id": before[0]["image_id"], "a": "3.7200", "b": "3.9000"}]
    assert (quality["n"], quality["respelled"], quality["appeared"], quality["vanished"]) == (58, 1, [], [])
    assert quality["native"] == pytest.approx({"mean": 0.18 / 58, "mean_absolute": 0.18 / 58, "max_absolute": 0.18})
    assert quality["unit"]["max_absolute"] == pytest.approx(0.036)
    assert 0.99 < quality["plcc"] < 1
    assert (alignment["n"], alignment["vanished"], alignment["changed"]) == (57, [before[3]["image_id"]], [])
    assert (alignment["srcc"], alignment["plcc"], alignment["native"]["max_absolute"]) == (
        pytest.approx(1),
        pytest.approx(1),
        0,
    )
    cells = {column: [change["image_id"] for change in changes] for column, changes in found["cells"].items()}
    assert cells == {
        "prompt": [before[2]["image_id"]],
        "prompt_id": [before[2]["image_id"]],
        "generator": [before[6]["image_id"]],
        "std_alignment": [before[3]["image_id"]],
        "score_quality": [before[0]["image_id"]],
        "score_alignment": [before[3]["image_id"]],
        "extra.category": [before[6]["image_id"]],
        "extra.more": [before[6]["image_id"]],
    }
    assert found["cells"]["extra.more"] == [{"image_id": before[6]["image_id"], "a": "", "b": "1"}]
    assert [change["image_id"] for change in found["files"]["changed"]] == [before[4]["image_id"]]
    assert (found["files"]["hashed"], found["files"]["compared"]) == ({"a": 60, "b": 59}, 58)
    assert found["prompts"]["added"] == {"0123456789ab": "another"}
    assert found["generators"]["glide"] == {"a": 0, "b": 1}


def test_records_in_a_pipe_are_the_differences_of_the_json(demo: Command) -> None:
    other = changed(demo.root, demo.work / "other.csv")
    found = told(demo, "demo", other)
    records = [tuple(line.split("\t")) for line in demo("compare", "demo", other, code=0).out.splitlines()]
    assert {len(record) for record in records} == {5}
    kinds = [(record[0], record[1]) for record in records]
    assert kinds.count(("image", "removed")) == 2
    assert kinds.count(("image", "renamed")) == kinds.count(("image", "added")) == 1
    assert ("score", "quality", "atlas_normal_000.png", "3.7200", "3.9000") in records
    assert kinds.count(("score", "alignment vanished")) == 1
    assert sum(kind == "cell" for kind, _ in kinds) == sum(map(len, found["cells"].values()))
    assert kinds.count(("file", "sha256")) == kinds.count(("prompt", "added")) == 1
    assert ("generator", "images", "glide", "0", "1") in records


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet"])
def test_an_export_is_the_same_as_what_it_was_made_of(demo: Command, form: str) -> None:
    demo("export", "demo", "--format", form, "-o", f"out.{form}", code=0)
    done = demo("compare", "demo", f"out.{form}", "--exit-code", code=0)
    assert done.out == ""


def test_an_export_of_a_few_columns_is_compared_in_these(demo: Command) -> None:
    demo("export", "demo", "--columns", "mos_quality,image_id", "-o", "few.csv", code=0)
    found = told(demo, "few.csv", "demo", "--exit-code")
    assert (found["same"], found["columns"], found["generators"]) == (True, ["image_id", "mos_quality"], {})
    assert found["prompts"]["added"] == {}
    rows = list(csv.DictReader(io.StringIO((demo.work / "few.csv").read_text(), newline="")))
    rows[7]["mos_quality"] = "1"
    write(demo.work / "few.csv", rows)
    assert [one["image_id"] for one in told(demo, "few.csv", "demo")["scores"]["quality"]["changed"]] == [
        rows[7]["image_id"]
    ]


def test_exit_code_is_4_only_where_it_is_asked_for(demo: Command) -> None:
    other = changed(demo.root, demo.work / "other.csv")
    demo("compare", "demo", other, code=0)
    done = demo("compare", "demo", other, "--exit-code", "--json", code=4).json()
    assert (done["status"], done["error"]["kind"], done["data"]["same"]) == ("error", "integrity", False)


def test_an_install_below_another_root_and_its_parts(demo: Command, tmp_path: Path) -> None:
    """By its record where it has one, so that a damaged one is not taken for another version."""
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(demo.root, elsewhere)
    found = told(demo, elsewhere / "demo", "demo", "--exit-code")
    assert (found["same"], found["a"]["state"], found["a"]["manifest_version"]) == (True, "installed", 1)
    assert found["a"]["sha256"] == found["b"]["sha256"]
    found = told(demo, elsewhere / "demo/index.csv", "De-Mo", "--exit-code")
    assert (found["same"], found["a"]["state"], found["a"]["databases"]) == (True, None, ["demo"])
    assert told(demo, elsewhere, "demo")["same"], "a root has an index, too"
    with (elsewhere / "demo/index.csv").open("a") as stream:
        stream.write("\n")
    assert "damaged" in demo("compare", elsewhere / "demo", "demo", code=4).err
    assert "no such/thing" in demo("compare", "no such/thing", "demo", code=2).err
    assert "aigiqa list" in demo("compare", "qqqq", "demo", code=2).err


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("name,mos\na,1\n", "has no column image_id"),
        ("image_id,mos_quality\na.png,1\na.png,2\n", "a.png stands twice"),
        ("image_id,mos_quality\na.png\n", "wrong number of cells"),
        ("image_id,mos_quality\natlas_normal_000.png,good\n", "a score is no number"),
        ("", "is empty"),
    ],
)
def test_a_table_that_is_none_is_refused(demo: Command, text: str, needle: str) -> None:
    (demo.work / "bad.csv").write_text(text)
    done = demo("compare", "demo", "bad.csv", code=5)
    assert needle in done.err
    assert "predictions" not in done.err


# --- two databases -------------------------------------------------------------------------------------------------


def test_two_databases_share_bytes_and_prompts(run: Command, box: Box, manifests: Put) -> None:
    """Two copies of `tiny` under two ids: another scale, and one other prompt."""
    labels = small_labels()
    other = labels.replace(b"a red square", b"a green square")
    text = tiny_manifest(zip_of(), other).replace("id: tiny", "id: twin").replace("range: [0, 5]", "range: [0, 10]")
    manifests("tiny", tiny_manifest(zip_of()))
    manifests("twin", text)
    serve_tiny(box, zip_of())
    run("fetch", "tiny", code=0)
    (run.work / "data.csv").write_bytes(other)
    (run.work / "tiny.zip").write_bytes(zip_of())
    run("import", "twin", run.work / "data.csv", run.work / "tiny.zip", code=0)
    found = told(run, "tiny", "twin")
    assert (found["same"], found["matched_by"], found["cells"]) == (False, "sha256", {})
    assert found["images"]["shared"] == 12
    assert all(a == b for a, b in found["images"]["pairs"])
    quality = found["scores"]["quality"]
    assert (quality["srcc"], quality["native"]["max_absolute"]) == (pytest.approx(1), 0)
    rows = list(csv.DictReader(io.StringIO(labels.decode(), newline="")))
    scores = [float(row["mos_quality"]) for row in rows]
    assert quality["unit"]["mean"] == pytest.approx(-sum(scores) / len(scores) / 10, abs=1e-6), (
        "half of each score on 0-5"
    )
    assert found["prompts"]["images_of_shared"] == {"a": 8, "b": 8}
    assert list(found["prompts"]["removed"].values()) == ["a red square"]
    assert list(found["prompts"]["added"].values()) == ["a green square"]
    records = [line.split("\t")[:2] for line in run("compare", "tiny", "twin", code=0).out.splitlines()]
    assert records == [["image", "shared"]] * 12 + [["prompt", "shared"]] * 2
    assert "two databases, compared by bytes and prompts" in at_terminal(run, "compare", "tiny", "twin", NO_COLOR="1")


# --- at a terminal -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [60, 100])
def test_at_a_terminal_the_first_few_of_each_kind(demo: Command, columns: int) -> None:
    changed(demo.root, demo.work / "other.csv")
    seen = at_terminal(demo, "compare", "demo", "other.csv", COLUMNS=str(columns), NO_COLOR="1")
    text = re.sub(r"\x1b\[[0-9;]*m", "", seen)
    flat = " ".join(text.split())
    for needed in (
        "compared by name", "58 in both · 1 renamed · 2 only in a · 1 only in b", "1 of 58 have other bytes",
        "atlas_normal_000.png: 3.7200 → 3.9000", "alignment: 1 only in a", "glide 0 → 1", "they differ",
    ):  # fmt: skip
        assert needed in flat.replace("\u00a0", " "), needed
    assert "the same images with the same values" in at_terminal(demo, "compare", "demo", "demo")


# --- the rules, by hand --------------------------------------------------------------------------------------------


def row(name: str, **fields: str) -> Row:
    return dict.fromkeys(COLUMNS, "") | {"database": "someset", "image_id": name} | fields


def test_values_decide_not_their_spelling() -> None:
    a = [row("a", mos_quality="3.50", std_quality="1", width="512", extra='{"x":1,"y":"é"}')]
    b = [row("a", mos_quality="3.5", std_quality="1.0", width="512", extra='{"y": "\\u00e9", "x": 1}')]
    found = differences(a, b)
    assert found.same
    assert found.scores[0].respelled == 1
    assert not differences(a, [b[0] | {"extra": '{"x":1,"y":"e"}'}]).same
    assert differences(a, b).scores[0].as_json()["why"] == "1 image, at least 2 are needed"


def test_copies_of_the_same_bytes_are_paired_in_turn() -> None:
    a = [row(name, sha256="f") for name in ("a1", "a2", "a3")]
    b = [row(name, sha256="f", database="otherset") for name in ("b1", "b2")]
    found = differences(a, b)
    assert [(x["image_id"], y["image_id"]) for x, y in found.pairing.pairs] == [("a1", "b1"), ("a2", "b2")]
    assert [x["image_id"] for x in found.pairing.removed] == ["a3"]
    assert not found.same


def test_without_hashes_nothing_is_the_same_bytes() -> None:
    a, b = [row("a")], [row("a", database="otherset")]
    found = differences(a, b)
    assert (found.pairing.pairs, found.files_compared, found.hashed) == ((), 0, (0, 0))


def test_parts_of_a_database_are_compared_by_name() -> None:
    a = [row("a", database="x"), row("a", database="y")]
    b = [row("a", database="y", generator="glide")]
    found = differences(a, b)
    assert found.pairing.by == "image_id"
    assert [x["database"] for x in found.pairing.removed] == ["x"]
    assert [change.b for change in found.cells["generator"]] == ["glide"]


def test_two_sources_of_one_database_agree_as_far_as_the_report_says(
    run: Command, shared: Path, tmp_path: Path
) -> None:
    """AIGCIQA2023, section 4.1: the .mat values of the pull request and of the author's JSON agree to 5e-9."""
    data = shared / "data" / "aigciqa2023"
    common = [data / "pic-index.xlsx", data / "AIGCIQA2023_Prompts.xlsx"]
    run("import", "aigciqa2023", *common, data / "AIGIQA2023.json", code=0)
    run("import", "aigciqa2023", *common, data / "AIGCIQA2023.csv", "--root", tmp_path / "other", code=0)
    found = told(run, "aigciqa2023", tmp_path / "other" / "aigciqa2023")
    for name in ("quality", "alignment", "authenticity"):
        one = found["scores"][name]
        assert one["n"] == 2400
        assert one["native"]["max_absolute"] <= 5.001e-9
    assert set(found["cells"]) == {f"extra.raw_std_{name}" for name in ("quality", "alignment", "authenticity")}
    assert json.loads(found["cells"]["extra.raw_std_quality"][0]["b"]) == "0.885226373"
