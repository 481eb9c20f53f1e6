"""aigiqa evaluate on the published labels, as a `--labels-only` install has them: floors, folds, names, dimensions."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import trustme
import yaml
from conftest import Command
from doubles import Box
from scipy import stats
from test_agiqa3k_facts import rebuilt_ipce

ID = "agiqa3k"
AIGCIQA2023 = (
    "pic-index.xlsx",
    "AIGCIQA2023_Prompts.xlsx",
    "AIGIQA2023.json",
    "splits/mytraindict_llm.json",
    "splits/mytestdict_llm.json",
)
FOLDS = range(1, 11)


@pytest.fixture(scope="module")
def home(
    authority: trustme.CA, shared: Path, tmp_path_factory: pytest.TempPathFactory, built_in: Callable[[str], str]
) -> Iterator[Command]:
    """Labels alone, of AGIQA-3K with the ten published folds of IPCE."""
    data = shared / "data"
    known = yaml.safe_load(built_in(ID))
    with Box(authority) as box:
        run = Command(box, tmp_path_factory.mktemp("published"))
        for asset in known["assets"]:
            for mirror in asset["mirrors"] if asset["name"] == "data.csv" else ():
                box.publish(mirror, (data / ID / "data.csv").read_bytes())
        source = next(split["published"] for split in known["splits"] if split["name"] == "ipce")
        for file in source["files"]:
            content = rebuilt_ipce(int(file["fold"]), file["part"])
            box.github.add(source["repo"], source["revision"], {file["path"]: content})
        run("fetch", ID, "--labels-only", "--splits", code=0)
        run("import", "aigciqa2023", *((data / "aigciqa2023" / name) for name in AIGCIQA2023), code=0)
        run("import", "pku-aigiqa-4k", data / "pku-aigiqa-4k", code=0)
        folds = data / "pku-i2iqa/PKU-I2IQA"
        run("import", "pku-i2iqa", folds / "1/train.txt", folds / "1/test.txt", code=0)
        run("import", "aigiqa20k", data / "aigiqa20k", code=0)
        assert not list(run.root.glob("*/images"))
        yield run


@pytest.fixture(scope="module")
def frame(home: Command) -> pd.DataFrame:
    found = pd.read_csv(home.root / ID / "index.csv", keep_default_na=False, dtype=str)
    for column in ("mos_quality", "mos_alignment", "std_quality"):
        found[column] = found[column].astype(float)
    return found


@pytest.fixture(scope="module")
def folds(home: Command) -> dict[int, dict[str, str]]:
    found = {}
    for fold in FOLDS:
        with (home.root / ID / "splits" / f"ipce-{fold}.csv").open(newline="") as stream:
            found[fold] = {row["image_id"]: row["split"] for row in csv.DictReader(stream)}
    return found


@pytest.fixture(scope="module")
def table(home: Command, frame: pd.DataFrame) -> Path:
    """One model that knows quality with noise, under names without folder."""
    draw = np.random.default_rng(3)
    path = home.work / "model.csv"
    noise = draw.normal(0, 0.6, len(frame))
    pd.DataFrame({"image": frame["image_id"], "model": frame["mos_quality"] + noise}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def over_folds(home: Command, table: Path) -> list[dict[str, Any]]:
    done = home("evaluate", ID, table, "--split", "ipce", "-d", "quality,alignment", "--json", code=0)
    return done.json()["data"]["results"]


def test_the_floor_of_ipce_is_the_published_one(over_folds) -> None:
    """The numbers of the issue: 0.721 and 0.804 by generator and setting, 0.626 and 0.754 by the generator alone."""
    found = over_folds[0]["floor"]["predictors"]
    assert [round(found["generator_setting"][name], 3) for name in ("srcc", "plcc")] == [0.721, 0.804]
    assert [round(found["generator"][name], 3) for name in ("srcc", "plcc")] == [0.626, 0.754]
    assert over_folds[0]["floor"]["by"] in found


def test_a_family_of_the_database_is_all_its_folds(over_folds, frame, folds, table) -> None:
    whole, alignment, *rest = over_folds
    assert (whole["split"], whole["dimension"], alignment["dimension"]) == ("ipce:val", "quality", "alignment")
    by_fold = [one for one in rest if one["dimension"] == "quality"]
    assert [one["group"]["key"] for one in by_fold] == [f"ipce-{fold}" for fold in FOLDS]
    model = pd.read_csv(table).set_index("image")["model"]
    values = []
    for fold, one in zip(FOLDS, by_fold, strict=True):
        kept = frame[[folds[fold][image] == "val" for image in frame["image_id"]]]
        values.append(stats.spearmanr(model[kept["image_id"]], kept["mos_quality"]).statistic)
        assert (one["split"], one["n"]) == (f"ipce-{fold}:val", len(kept))
        assert one["srcc"] == pytest.approx(values[-1], abs=1e-12)
        assert one["leak"].startswith("clean")
        assert one["ci95"]["srcc"][0] < one["srcc"] < one["ci95"]["srcc"][1]
    assert whole["srcc"] == pytest.approx(np.mean(values), abs=1e-12)
    assert whole["repeats"]["median"]["srcc"] == pytest.approx(np.median(values), abs=1e-12)


def test_a_fold_alone_is_the_same_result(home, table, over_folds) -> None:
    alone = home("evaluate", ID, table, "-s", "ipce-3", "-d", "quality", "--json", code=0).json()["data"]["results"][0]
    (fold,) = [
        one for one in over_folds if one["group"] and one["group"]["key"] == "ipce-3" and one["dimension"] == "quality"
    ]
    assert {**fold, "group": None} == alone
    home("evaluate", "--check", fold["signature"], table, code=0)
    home("evaluate", "--check", over_folds[0]["signature"], table, code=0)


def test_noise_of_raters_sets_a_ceiling(over_folds) -> None:
    """21 raters: at least the attenuation formula must hold, sqrt of the reliability (Spearman 1904)."""
    one = over_folds[2]
    assert one["ceiling"]["raters"] == 21
    assert one["srcc"] < one["ceiling"]["srcc"] < 1
    assert 0 < one["epsilon_rmse"] < one["rmse_logistic"]
    assert 0 < one["outlier_ratio"] < 1


def test_ceiling_of_the_whole_database(home, table, frame) -> None:
    found = home("evaluate", ID, table, "-d", "quality", "--json", code=0).json()["data"]["results"][0]
    noise = np.mean(frame["std_quality"] ** 2 / 21)
    for ddof in (0, 1):
        reliability = 1 - noise / np.var(frame["mos_quality"], ddof=ddof)
        assert found["ceiling"]["plcc"] == pytest.approx(np.sqrt(reliability), abs=1e-4)


def test_clusters_are_prompts(home, table, frame) -> None:
    found = home("evaluate", ID, table, "-d", "quality", "--json", code=0).json()["data"]["results"][0]
    assert found["prompts"] == frame["prompt_id"].nunique() == 300


def test_prompts_as_groups(home, table, frame) -> None:
    done = home("evaluate", ID, table, "-s", "ipce-1", "--by", "prompt", "-d", "quality", "--resamples", "0", "--json")
    groups = done.json()["data"]["results"][1:]
    assert len(groups) == 60
    texts = set(frame["prompt"])
    assert all(one["group"]["by"] == "prompt" and one["group"]["key"] in texts for one in groups)
    assert sum(one["n"] for one in groups) == 600


@pytest.mark.parametrize(
    "scheme",
    [
        lambda name: f"AGIQA-3K/{name}",
        lambda name: name.removesuffix(".jpg"),
        lambda name: f"all/{name}",
        lambda name: f"agi-cgi/{name}",
    ],
)
def test_names_as_published_work_writes_them(home, table, scheme, tmp_path) -> None:
    given = pd.read_csv(table)
    given["image"] = [scheme(name) for name in given["image"]]
    given.to_csv(tmp_path / "named.csv", index=False)
    options = ("-d", "quality", "--resamples", "0", "--json")
    named = home("evaluate", ID, tmp_path / "named.csv", *options, code=0).json()["data"]["results"]
    assert named == home("evaluate", ID, table, *options, code=0).json()["data"]["results"]


@pytest.mark.parametrize("part", ["val", "test"])
def test_published_split_files_are_read_as_they_are(home, table, shared, part) -> None:
    """A list of names without train: the floor is then learnt from folds of the list itself, and says so."""
    file = shared / "data" / ID / "splits/ma-agiqa" / {"val": "validation.csv", "test": "test.csv"}[part]
    found = home("evaluate", ID, table, "-s", file, "-d", "quality", "--json", code=0).json()["data"]["results"][0]
    with file.open(newline="") as stream:
        assert found["n"] == len({row["name"] for row in csv.DictReader(stream)})
    assert found["split"] == f"file:{file.name}:{part}", "the name of the list says which part it is"
    assert "folds" in found["floor"]["from"]


def test_images_called_by_numbers(home, tmp_path) -> None:
    """AIGCIQA2023 calls its images 0.png to 2399.png: the row numbers of a data frame name images too."""
    rows = pd.read_csv(home.root / "aigciqa2023/index.csv", keep_default_na=False, dtype=str)
    shuffled = rows.sample(frac=1, random_state=1)
    given = pd.DataFrame({"file": shuffled["image_id"], "m": shuffled["mos_quality"].astype(float) * 2})
    given.reset_index(drop=True).to_csv(tmp_path / "p.csv")
    done = home("evaluate", "aigciqa2023", tmp_path / "p.csv", "-d", "quality", "--resamples", "0", "--json", code=0)
    data = done.json()["data"]
    assert data["predictions"]["image_column"] == "file"
    assert data["results"][0]["srcc"] == pytest.approx(1)
    assert data["results"][0]["epsilon_rmse"] is None, "its deviations are not on the scale of the scores"


@pytest.mark.parametrize(("name", "images"), [("pku-aigiqa-4k", 2400), ("pku-i2iqa", 1600)])
def test_the_sum_of_three_scores_is_a_dimension(home, tmp_path, name, images) -> None:
    """PKU reports the sum of quality, authenticity and alignment, 0 to 15; also where a copy of the labels lacks it."""
    rows = pd.read_csv(home.root / name / "index.csv", keep_default_na=False, dtype=str)
    total = rows[["mos_quality", "mos_authenticity", "mos_alignment"]].astype(float).sum(axis=1)
    draw = np.random.default_rng(5)
    guess = total + draw.normal(0, 2, len(total))
    pd.DataFrame({"image": rows["image_id"], "m": guess}).to_csv(tmp_path / "p.csv", index=False)
    done = home("evaluate", name, tmp_path / "p.csv", "-d", "extra.final_score", "--json", code=0)
    (found,) = done.json()["data"]["results"]
    assert (found["dimension"], found["n"]) == ("extra.final_score", images)
    assert found["srcc"] == pytest.approx(stats.spearmanr(guess, total).statistic, abs=1e-5)
    assert found["plcc"] == pytest.approx(stats.pearsonr(guess, total).statistic, abs=1e-12)
    assert found["ceiling"] is None


def test_scores_that_nobody_published_are_no_scores(home, tmp_path) -> None:
    """AIGIQA-20K without the scores of its validation images."""
    rows = pd.read_csv(home.root / "aigiqa20k/index.csv", keep_default_na=False, dtype=str)
    rated = rows[rows["mos_overall"] != ""]
    pd.DataFrame({"image": rated["image_id"], "m": rated["mos_overall"]}).to_csv(tmp_path / "p.csv", index=False)
    options = ("--resamples", "0", "--json")
    found = home("evaluate", "aigiqa20k", tmp_path / "p.csv", *options, code=0).json()["data"]["results"][0]
    assert (found["n"], found["unlabelled"]) == (len(rated), len(rows) - len(rated))
    assert found["dimension"] == "overall"
    assert len(rated) == 14_000
    done = home("evaluate", "aigiqa20k", tmp_path / "p.csv", "-s", "official", code=2)
    assert "no image of the part val of official has a published score of overall here" in done.err
