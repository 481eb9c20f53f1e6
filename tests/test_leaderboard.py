"""aigiqa leaderboard: published results with source and split; only what was measured alike is ranked."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY, Command

CORE = sorted(
    path.stem
    for path in (REPOSITORY / "manifests").glob("*.yaml")
    if "results:" in path.read_text(encoding="utf-8") and path.stem != "generators"
)
UNSTATED = ("not restated", "not readable", "not stated", "as far as is known")


def manifest(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((REPOSITORY / "manifests" / f"{name}.yaml").read_text(encoding="utf-8"))
    return content


def everything(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for ranking in data["rankings"] for row in ranking["rows"]] + data["beside"]


@pytest.mark.parametrize("name", CORE)
def test_every_published_result_is_there_once_with_its_source(run: Command, name: str) -> None:
    data = run("leaderboard", name, "--json", code=0).json()["data"]
    published = manifest(name)["results"]
    key = lambda one: (one["method"], one["dimension"], str(one.get("srcc")), one["source"], one["protocol"])  # noqa: E731
    assert sorted(map(key, everything(data))) == sorted(map(key, published))
    for entry in everything(data):
        assert entry["leak"].split(":")[0] in ("clean", "leaky", "unknown")
        assert (entry["rank"] is None) == bool(entry["reason"])
        assert entry["own"] is False
        assert entry["fit"] == "not stated"


@pytest.mark.parametrize("name", CORE)
def test_only_one_protocol_is_ranked_together(run: Command, name: str) -> None:
    data = run("leaderboard", name, "--json", code=0).json()["data"]
    for ranking in data["rankings"]:
        rows = ranking["rows"]
        assert len(rows) > 1
        assert len({(row["dimension"], row["split"], row["fit"]) for row in rows}) == 1
        if ranking["split"] is None:
            assert len({(row["protocol"], row["source"]) for row in rows}) == 1
        assert not any(word in row["protocol"] for row in rows for word in UNSTATED)
        values = [Decimal(str(row["srcc"])) for row in rows]
        assert values == sorted(values, reverse=True)
        assert [row["rank"] for row in rows] == [1 + sum(other > value for other in values) for value in values]
    for entry in data["beside"]:
        assert entry["reason"]


def test_a_protocol_that_is_not_stated_is_not_ranked(run: Command) -> None:
    data = run("leaderboard", "agiqa3k", "--json", code=0).json()["data"]
    unknown = [one for one in data["beside"] if any(word in one["protocol"] for word in UNSTATED)]
    assert len(unknown) == sum(any(w in one["protocol"] for w in UNSTATED) for one in manifest("agiqa3k")["results"])
    assert all("split is not known" in one["reason"] for one in unknown)


def test_results_on_the_official_split_are_ranked_across_sources(run: Command) -> None:
    """AIGIQA-20K: IPCE won the challenge with 0.9076 (section 8 of the report)."""
    data = run("leaderboard", "aigiqa20k", "--json", code=0).json()["data"]
    (official,) = [one for one in data["rankings"] if one["split"] == "official"]
    assert [(row["method"], row["rank"]) for row in official["rows"][:3]] == [
        ("IPCE", 1),
        ("SF-IQA", 2),
        ("M3-AGIQA", 3),
    ]
    assert official["leak"].startswith("unknown"), "nothing is installed, so nothing is measured"


def test_a_split_that_is_here_is_measured(run: Command, manifests: Callable[[str, str], Path], built_in) -> None:
    text = built_in("demo").replace(
        "\nfacts:",
        "\nresults:\n"
        "  - {method: A, dimension: quality, srcc: 0.5, protocol: the split authors, source: here}\n"
        "  - {method: B, dimension: quality, srcc: 0.7, protocol: split authors, source: there}\n"
        "  - {method: C, dimension: quality, srcc: 0.7, plcc: 0.6, protocol: split authors, source: there}\n"
        "  - {method: D, dimension: quality, plcc: 0.6, protocol: split authors, source: there}\n"
        "\nfacts:",
    )
    manifests("demo", text)
    before = run("leaderboard", "demo", "--json", code=0).json()["data"]
    assert (
        before["rankings"][0]["leak"]
        == "unknown: not measured here (published as by image: prompts may be on both sides)"
    )
    run("fetch", "demo", code=0)
    data = run("leaderboard", "demo", "--json", code=0).json()["data"]
    (ranking,) = data["rankings"]
    assert ranking["split"] == "authors"
    assert ranking["leak"].startswith("leaky: ")
    assert [(row["method"], row["rank"]) for row in ranking["rows"]] == [("B", 1), ("C", 1), ("A", 3)]
    assert [(row["method"], row["reason"]) for row in data["beside"]] == [("D", "no SRCC is stated")]


def predictions(run: Command, path: Path, shift: float) -> Path:
    with (run.root / "demo/index.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    lines = [f"{row['image_id']},{float(row['mos_quality']) + shift * (n % 5)}" for n, row in enumerate(rows)]
    path.write_text(f"image,model {shift}\n" + "\n".join(lines) + "\n")
    return path


def evaluation(run: Command, folder: Path, shift: float, *options: str) -> Path:
    path = folder / f"{shift}{''.join(options)}.json"
    table = predictions(run, folder / "p.csv", shift)
    path.write_text(run("evaluate", "demo", table, "--resamples", "0", "--json", *options, code=0).out)
    return path


def test_own_results_are_ranked_with_those_of_the_same_protocol(run: Command, tmp_path: Path) -> None:
    run("fetch", "demo", code=0)
    good, bad = (evaluation(run, tmp_path, shift, "-s", "authors") for shift in (0.1, 0.9))
    other = evaluation(run, tmp_path, 0.5)
    data = run("leaderboard", "demo", "--add", bad, "--add", good, "--add", other, "-d", "quality", "--json", code=0)
    (ranking,) = data.json()["data"]["rankings"]
    assert [(row["method"], row["rank"], row["own"]) for row in ranking["rows"]] == [
        ("model 0.1", 1, True), ("model 0.9", 2, True)
    ]  # fmt: skip
    stated = json.loads(good.read_text())["data"]["results"][0]
    first = ranking["rows"][0]
    assert (first["srcc"], first["plcc"], first["krcc"]) == (stated["srcc"], stated["plcc_logistic"], stated["krcc"])
    assert (first["source"], first["signature"]) == (good.name, stated["signature"])
    assert (first["fit"], first["leak"]) == (stated["fit"], stated["leak"])
    (beside,) = data.json()["data"]["beside"]
    assert beside["method"] == "model 0.5"
    assert "no other result here has this split" in beside["reason"]


def test_a_result_that_is_given_twice_counts_once(run: Command, tmp_path: Path) -> None:
    run("fetch", "demo", code=0)
    good, bad = (evaluation(run, tmp_path, shift, "-s", "authors", "-d", "quality") for shift in (0.1, 0.9))
    (tmp_path / "copy.json").write_bytes(good.read_bytes())
    added = ("--add", good, "--add", tmp_path / "copy.json", "--add", good, "--add", bad)
    done = run("leaderboard", "demo", *added, "--json", code=0).json()["data"]
    (ranking,) = done["rankings"]
    assert [row["source"] for row in ranking["rows"]] == [good.name, bad.name]
    assert done["beside"] == []
    said = f"model 0.1, quality: the result in copy.json is that in {good.name} and counts once"
    assert done["notes"][0] == said
    assert said in run("leaderboard", "demo", *added, code=0).err
    alone = run("leaderboard", "demo", "--add", good, "--add", good, "--json", code=0).json()["data"]
    assert (alone["rankings"], len(alone["beside"])) == ([], 1), "one result ranks nothing"


def test_own_results_with_gaps_or_other_labels_stand_beside(run: Command, tmp_path: Path) -> None:
    run("fetch", "demo", code=0)
    path = evaluation(run, tmp_path, 0.1, "-s", "authors", "-d", "quality")
    content = json.loads(path.read_text())
    content["data"]["results"][0]["missing"] = 3
    (tmp_path / "gaps.json").write_text(json.dumps(content))
    content["data"]["index_sha256"] = "0" * 64
    (tmp_path / "labels.json").write_text(json.dumps(content))
    added = ("--add", tmp_path / "gaps.json", "--add", tmp_path / "labels.json", "--add", path)
    data = run("leaderboard", "demo", *added, "--json", code=0).json()["data"]
    reasons = sorted(one["reason"] for one in data["beside"])
    assert reasons[0] == "3 images have no prediction"
    assert reasons[1].startswith("no other result")
    assert "another version" in reasons[2]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no json",
        "[]",
        '{"command": "evaluate"}',
        '{"command": "evaluate", "data": {"database": "demo", "index_sha256": "0", "results": [{"model": 1}]}}',
        '{"command": "list", "data": {"database": "demo", "index_sha256": "0", "results": []}}',
    ],
)
def test_what_is_no_evaluation_is_refused(run: Command, tmp_path: Path, content: str) -> None:
    path = tmp_path / "some.json"
    path.write_text(content)
    done = run("leaderboard", "demo", "--add", path, "--json", code=5).json()
    assert "some.json is no evaluation" in done["error"]["message"]


def test_an_evaluation_holds_no_NaN(run: Command, tmp_path: Path) -> None:
    run("fetch", "demo", code=0)
    path = evaluation(run, tmp_path, 0.1, "-s", "authors", "-d", "quality")
    stated = json.loads(path.read_text())["data"]["results"][0]["srcc"]
    path.write_text(path.read_text().replace(f'"srcc": {stated!r}', '"srcc": NaN', 1))
    assert "is no evaluation" in run("leaderboard", "demo", "--add", path, code=5).err


def test_an_evaluation_of_another_database_is_refused(run: Command, tmp_path: Path) -> None:
    run("fetch", "demo", code=0)
    path = evaluation(run, tmp_path, 0.1)
    done = run("leaderboard", "agiqa3k", "--add", path, code=5)
    assert "aigiqa leaderboard demo" in done.err
    assert "cannot be read" in run("leaderboard", "demo", "--add", tmp_path / "absent.json", code=2).err


def test_a_pipe_gets_one_record_a_result_and_csv_a_header(run: Command) -> None:
    lines = run("leaderboard", "aigiqa20k", code=0).out.splitlines()
    table = list(csv.DictReader(io.StringIO(run("leaderboard", "aigiqa20k", "--format", "csv", code=0).out)))
    published = manifest("aigiqa20k")["results"]
    assert len(lines) == len(table) == len(published)
    assert {row["method"] for row in table} == {one["method"] for one in published}
    assert [line.split("\t")[1] for line in lines] == [row["method"] for row in table]
    ranked = [row for row in table if row["rank"]]
    assert all(not row["reason"] for row in ranked)


def test_markdown_and_latex(run: Command) -> None:
    markdown = run("leaderboard", "pku-i2iqa", "-d", "quality", "--format", "markdown", code=0).out
    assert "| NR-AIGCIQA, VGG16 |" in markdown
    board = run("leaderboard", "pku-i2iqa", "-d", "quality", "--json", code=0).json()["data"]
    rows = [line.strip("| ").split(" | ") for line in markdown.splitlines() if line.startswith("| ")]
    told = sorted((row[-6], row[-2]) for row in rows if "leak" not in row and "---" not in row)
    assert told == sorted(
        (one["method"].replace("_", r"\_"), one["leak"].partition(":")[0]) for one in everything(board)
    )
    latex = run("leaderboard", "pku-i2iqa", "-d", "quality", "--format", "latex", code=0).out
    assert latex.count(r"\begin{table}") == latex.count(r"\end{table}") > 0
    done = run("leaderboard", "pku-i2iqa", "--format", "csv", "--json", code=2).json()
    assert "--json is a format" in done["error"]["message"]
    assert "no results for overall" in run("leaderboard", "agiqa3k", "-d", "overall", code=2).err


def test_a_database_without_results_says_so(run: Command) -> None:
    data = run("leaderboard", "demo", "--json", code=0).json()["data"]
    assert data == {"database": "demo", "rankings": [], "beside": [], "notes": []}


RESULTS = """
results:
  - {method: "NR-X, ResNet50", dimension: quality, srcc: 0.5, plcc: 0.4, protocol: "split authors; best epoch", source: here}
  - {method: "FR-X, ResNet50", dimension: quality, srcc: 0.7, plcc: 0.6, protocol: "split authors; best epoch", source: here}
  - {method: "NR-X, VGG16", dimension: alignment, srcc: 0.7, plcc: 0.6, protocol: "split authors; best epoch", source: here}
  - {method: Elsewhere, dimension: quality, srcc: 0.9, protocol: their own random split, source: there}
  - {method: Nowhere, dimension: quality, srcc: 0.8, protocol: their own random split, source: there}

facts:"""


def test_a_reproduced_result_stands_below_the_published_ones_of_its_split(
    run: Command, tmp_path: Path, manifests: Callable[[str, str], Path], built_in
) -> None:
    manifests("demo", built_in("demo").replace("\nfacts:", RESULTS))
    run("fetch", "demo", code=0)
    mine = evaluation(run, tmp_path, 0.4, "-s", "authors", "-d", "quality,alignment")
    stated = {one["dimension"]: one for one in json.loads(mine.read_text())["data"]["results"] if not one["group"]}
    table = run("leaderboard", "demo", "--add", mine, "--format", "csv", code=0).out
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [(row["dimension"], row["method"], row["rank"]) for row in rows] == [
        ("quality", "FR-X, ResNet50", "1"), ("quality", "NR-X, ResNet50", "2"), ("quality", "model 0.4", ""),
        ("quality", "Elsewhere", "1"), ("quality", "Nowhere", "2"),
        ("alignment", "NR-X, VGG16", ""), ("alignment", "model 0.4", ""),
    ]  # fmt: skip
    own = rows[2]
    assert (float(own["plcc"]), float(own["plcc_raw"])) == (
        stated["quality"]["plcc_logistic"], stated["quality"]["plcc"]
    )  # fmt: skip
    assert own["reason"].startswith("on the split of published results")
    assert rows[-1]["reason"] == own["reason"]
    assert run("leaderboard", "demo", "--add", mine, code=0).out.splitlines()[2].split("\t")[1] == "model 0.4"


@pytest.mark.parametrize("kind", ["printed by train", "result.json"])
@pytest.mark.parametrize("protocol", ["authors", "honest"])
def test_a_training_is_added_with_how_its_epoch_was_chosen(
    run: Command, tmp_path: Path, kind: str, protocol: str
) -> None:
    run("fetch", "demo", code=0)
    mine = evaluation(run, tmp_path, 0.4, "-s", "authors", "-d", "quality")
    found = json.loads(mine.read_text())
    if kind == "result.json":
        content = {"best": {}, "evaluation": found["data"], "protocol": protocol}
    else:
        config = {"settings": {"protocol": protocol}}
        content = found | {"command": "train", "data": {"evaluation": found["data"], "config": config}}
    mine.write_text(json.dumps(content))
    (row,) = everything(run("leaderboard", "demo", "--add", mine, "--json", code=0).json()["data"])
    assert row["method"] == "model 0.4"
    assert ("best epoch chosen on the test part" in row["note"]) is (protocol == "authors")


@pytest.mark.parametrize(
    "content", [{}, {"command": "train"}, {"command": "train", "data": {"evaluation": {}}}, {"evaluation": 1}]
)
def test_what_is_no_evaluation_of_a_training(run: Command, tmp_path: Path, content: dict[str, object]) -> None:
    run("fetch", "demo", code=0)
    path = tmp_path / "other.json"
    path.write_text(json.dumps(content))
    assert "other.json is no evaluation" in run("leaderboard", "demo", "--add", path, code=5).err


def test_what_is_shown_can_be_chosen(
    run: Command, tmp_path: Path, manifests: Callable[[str, str], Path], built_in
) -> None:
    manifests("demo", built_in("demo").replace("\nfacts:", RESULTS))
    run("fetch", "demo", code=0)
    mine = evaluation(run, tmp_path, 0.4, "-s", "authors", "-d", "quality")

    def methods(*words: object) -> list[str]:
        return [
            one["method"] for one in everything(run("leaderboard", "demo", *words, "--json", code=0).json()["data"])
        ]

    assert methods("--split", "authors", "--add", mine, "-d", "quality") == [
        "FR-X, ResNet50", "NR-X, ResNet50", "model 0.4"
    ]  # fmt: skip
    assert methods("--method", "resnet") == ["FR-X, ResNet50", "NR-X, ResNet50"]
    nothing = run("leaderboard", "demo", "--split", "author", code=2).err
    assert "demo has no results for author" in nothing
    assert "splits of its results: authors" in nothing
