"""aigiqa evaluate on the synthetic database: numbers as SciPy has them, every way in, every way out, every refusal."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import trustme
from conftest import Command
from doubles import Box
from scipy import stats
from test_listing import flat, seen

from aigiqa_cli import __version__
from aigiqa_cli.evaluating.coefficients import rmse
from aigiqa_cli.evaluating.fits import isotonic, logistic
from aigiqa_cli.index import COLUMNS
from aigiqa_cli.measuring.lacking import lacking
from aigiqa_cli.measuring.results import Cover, Origin, Result
from aigiqa_cli.measuring.selection import Selection
from aigiqa_cli.measuring.values import Effort, measure

DB = "demo"
SPLIT = "authors"
RESULT = (
    "model", "dimension", "split", "group", "n", "prompts", "missing", "unlabelled", "srcc", "krcc", "plcc",
    "plcc_logistic", "plcc_isotonic", "rmse", "mae", "rmse_logistic", "mae_logistic", "epsilon_rmse", "outlier_ratio",
    "fit", "ci95", "within", "floor", "ceiling", "main", "compat", "repeats", "leak", "reasons", "signature",
)  # fmt: skip

Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def home(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """The synthetic database, installed; these tests only read it."""
    with Box(authority) as box:
        run = Command(box, tmp_path_factory.mktemp("evaluate"))
        run("fetch", DB, code=0)
        yield run


@pytest.fixture(scope="module")
def rows(home: Command) -> Rows:
    with (home.root / DB / "index.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def sides(home: Command) -> dict[str, str]:
    with (home.root / DB / "splits" / f"{SPLIT}.csv").open(encoding="utf-8", newline="") as stream:
        return {row["image_id"]: row["split"] for row in csv.DictReader(stream)}


@pytest.fixture(scope="module")
def scores(rows: Rows) -> dict[str, dict[str, float]]:
    """Two models that know the score of quality, with noise; one points the wrong way."""
    draw = np.random.default_rng(7)
    mos = np.array([float(row["mos_quality"]) for row in rows])
    near, far = mos + draw.normal(0, 0.3, len(mos)), -20 * (mos + draw.normal(0, 0.8, len(mos))) + 3
    images = [row["image_id"] for row in rows]
    return {
        "near": dict(zip(images, near.tolist(), strict=True)),
        "far away": dict(zip(images, far.tolist(), strict=True)),
    }


def written(path: Path, scores: dict[str, dict[str, float]], leave: tuple[str, ...] = ()) -> Path:
    """A csv with these models as columns, without the images to `leave` out."""
    with path.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["image", *scores])
        for image in next(iter(scores.values())):
            if image not in leave:
                out.writerow([image, *(repr(of_model[image]) for of_model in scores.values())])
    return path


@pytest.fixture(scope="module")
def table(home: Command, scores: dict[str, dict[str, float]]) -> Path:
    return written(home.work / "both.csv", scores)


@pytest.fixture(scope="module")
def evaluated(home: Command, table: Path) -> dict[str, Any]:
    """The envelope of the test part, with groups."""
    return home("evaluate", DB, table, "--split", SPLIT, "--by", "generator", "--json", code=0).json()


def arrays(rows: Rows, keep: Callable[[dict[str, str]], bool], of_model: dict[str, float], dimension: str = "quality"):
    kept = [row for row in rows if keep(row)]
    return (
        np.array([of_model[row["image_id"]] for row in kept]),
        np.array([float(row[f"mos_{dimension}"]) for row in kept]),
        kept,
    )


def results(data: dict[str, Any], **wanted: Any) -> list[dict[str, Any]]:
    return [one for one in data["results"] if all(one[key] == value for key, value in wanted.items())]


# --- the numbers ------------------------------------------------------------------------------------------------


def test_the_shape_is_the_documented_one(evaluated: dict[str, Any]) -> None:
    data = evaluated["data"]
    assert (evaluated["command"], evaluated["status"], evaluated["error"]) == ("evaluate", "ok", None)
    assert list(data) == [
        "database", "index_sha256", "predictions", "results", "comparisons", "main", "compat", "notes"
    ]  # fmt: skip
    assert all(tuple(one) == RESULT for one in data["results"])
    wholes = [(one["dimension"], one["model"]) for one in data["results"] if one["group"] is None]
    assert wholes == [(d, m) for d in ("quality", "alignment") for m in ("near", "far away")]
    assert [one["group"] for one in data["results"][:4]] == [None] * 4, "wholes first, then groups"
    assert data["predictions"]["models"] == ["near", "far away"]


@pytest.mark.parametrize("model", ["near", "far away"])
@pytest.mark.parametrize("dimension", ["quality", "alignment"])
def test_raw_coefficients_are_those_of_scipy(evaluated, rows, sides, scores, model, dimension) -> None:
    (found,) = results(evaluated["data"], model=model, dimension=dimension, group=None)
    x, y, _ = arrays(rows, lambda row: sides[row["image_id"]] == "test", scores[model], dimension)
    assert (found["n"], found["split"]) == (len(x), f"{SPLIT}:test")
    expected = {
        "srcc": stats.spearmanr(x, y).statistic,
        "krcc": stats.kendalltau(x, y).statistic,
        "plcc": stats.pearsonr(x, y).statistic,
        "rmse": np.sqrt(np.mean((x - y) ** 2)),
        "mae": np.mean(np.abs(x - y)),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12, rel=1e-12), name


def test_fitted_coefficients_are_after_the_map(evaluated, rows, sides, scores) -> None:
    (found,) = results(evaluated["data"], model="far away", dimension="quality", group=None)
    x, y, _ = arrays(rows, lambda row: sides[row["image_id"]] == "test", scores["far away"])
    curve, steps = logistic(x, y).fitted, isotonic(x, y).fitted
    assert found["plcc"] < 0 < found["plcc_logistic"], "the map turns a model that points the wrong way"
    assert found["plcc_logistic"] == pytest.approx(stats.pearsonr(curve, y).statistic, abs=1e-12)
    assert found["plcc_isotonic"] == pytest.approx(stats.pearsonr(steps, y).statistic, abs=1e-12)
    assert found["rmse_logistic"] == pytest.approx(rmse(curve, y), abs=1e-12)
    assert found["rmse_logistic"] < found["rmse"], "the raw one is of two scales"
    assert found["fit"] == "logistic4.v1"


def test_groups_follow_and_are_measured_on_their_own_images(evaluated, rows, sides, scores) -> None:
    data = evaluated["data"]
    generators = sorted({row["generator"] for row in rows})
    found = [one for one in results(data, model="near", dimension="quality") if one["group"]]
    assert [one["group"] for one in found] == [{"by": "generator", "key": key} for key in generators]
    for one in found:
        key = one["group"]["key"]
        x, y, _ = arrays(
            rows, lambda row, key=key: sides[row["image_id"]] == "test" and row["generator"] == key, scores["near"]
        )
        assert one["n"] == len(x)
        assert one["srcc"] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert sum(one["n"] for one in found) == results(data, model="near", dimension="quality", group=None)[0]["n"]


def test_within_is_the_mean_over_groups_by_their_images(home, table, rows, scores) -> None:
    found = home("evaluate", DB, table, "-d", "quality", "--resamples", "0", "--json", code=0).json()["data"][
        "results"
    ][0]
    frame = pd.DataFrame(rows).assign(x=[scores["near"][row["image_id"]] for row in rows])
    frame["y"] = frame["mos_quality"].astype(float)
    for by, column in (("generator", "generator"), ("prompt", "prompt_id")):
        each = [(len(g), stats.spearmanr(g.x, g.y).statistic) for _, g in frame.groupby(column) if len(g) >= 3]
        expected = sum(n * value for n, value in each) / sum(n for n, _ in each)
        assert found["within"][by]["srcc"] == pytest.approx(expected, abs=1e-12)
        assert found["within"][by]["groups"] == len(each)
        assert found["within"][by]["left_out"] == frame[column].nunique() - len(each)


def test_the_floor_is_the_mean_of_the_generator_in_training(evaluated, rows, sides) -> None:
    found = results(evaluated["data"], model="near", dimension="quality", group=None)[0]["floor"]
    frame = pd.DataFrame(rows)
    frame["y"] = frame["mos_quality"].astype(float)
    frame["part"] = [sides[image] for image in frame["image_id"]]
    means = frame[frame["part"] == "train"].groupby("generator")["y"].mean()
    test = frame[frame["part"] == "test"]
    guess = test["generator"].map(means)
    generator = found["predictors"]["generator"]
    assert generator["srcc"] == pytest.approx(stats.spearmanr(guess, test["y"]).statistic, abs=1e-12)
    assert generator["plcc"] == pytest.approx(stats.pearsonr(guess, test["y"]).statistic, abs=1e-12)
    assert found["from"] == "the part train"
    assert found["srcc"] == found["predictors"][found["by"]]["srcc"]
    assert found["srcc"] == max(one["srcc"] for one in found["predictors"].values() if one["srcc"] is not None)


def test_what_has_no_value_is_null_with_its_reason(evaluated) -> None:
    found = evaluated["data"]["results"][0]
    assert (found["epsilon_rmse"], found["outlier_ratio"], found["ceiling"]) == (None, None, None)
    assert "raters" in found["reasons"]["epsilon_rmse"]
    assert "raters" in found["reasons"]["ceiling"]
    for one in evaluated["data"]["results"]:
        lacking = {name for name in RESULT if one[name] is None} & {"srcc", "plcc_logistic", "ci95", "ceiling"}
        assert lacking <= set(one["reasons"])


def test_a_coefficient_that_cannot_be_had_is_an_error_beside_what_can(home, rows, scores, tmp_path) -> None:
    models = {"near": scores["near"], "same": {row["image_id"]: 0.5 for row in rows}}
    table = written(tmp_path / "constant.csv", models)
    done = home("evaluate", DB, table, "-d", "quality", "--by", "generator", "--json", code=5).json()
    assert (done["status"], done["error"]["kind"]) == ("error", "refused")
    near, found = results(done["data"], group=None)
    assert all(near[name] is not None for name in ("srcc", "krcc", "plcc", "plcc_logistic", "ci95"))
    assert [found[name] for name in ("srcc", "krcc", "plcc", "plcc_logistic", "ci95")] == [None] * 5
    assert found["rmse"] is not None
    assert all(found["reasons"][name] for name in ("srcc", "krcc", "plcc", "plcc_logistic"))
    (finding,) = done["findings"]
    problem = "same, quality: no srcc, krcc, plcc, plcc_logistic, plcc_isotonic, rmse_logistic, mae_logistic"
    assert finding["problem"] == f"{problem}: all predictions are equal", "groups without a value are no error"
    assert finding["problem"] == done["error"]["message"]
    assert finding["path"] == "constant.csv"
    assert "--model near" in done["error"]["hint"]
    told = home("evaluate", DB, table, "-d", "quality", "--resamples", 0, code=5)
    assert problem in told.err
    assert told.out.count("\n") == 2, "one record each, as always"


def test_too_few_images_are_an_error_of_the_selection(home, rows, table, tmp_path) -> None:
    (tmp_path / "four.txt").write_text("".join(f"{row['image_id']}\n" for row in rows[:4]))
    words = ("-d", "quality", "--resamples", 0, "--model", "near")
    done = home("evaluate", DB, table, "--split", tmp_path / "four.txt", *words, code=5)
    assert "no plcc_logistic, rmse_logistic, mae_logistic: 4 images, at least 5 are needed" in done.err
    assert "at least 5 images" in done.err
    (tmp_path / "one.txt").write_text(f"{rows[0]['image_id']}\n")
    done = home("evaluate", DB, table, "--split", tmp_path / "one.txt", *words, code=5)
    assert "no srcc, krcc, plcc, plcc_isotonic: 1 image, at least 2 are needed" in done.err
    assert "at least 5 images" in done.err


def test_equal_scores_are_an_error_that_asks_for_other_images() -> None:
    blank = dict.fromkeys(COLUMNS, "") | {"mos_quality": "3", "score_quality": "0.6"}
    rows = tuple(blank | {"image_id": f"{n}.png", "prompt_id": f"p{n}"} for n in range(8))
    selection = Selection("quality", rows)
    measured = measure(selection, np.arange(8.0), None, Effort(resamples=0))
    used = {row["image_id"]: float(n) for n, row in enumerate(rows)}
    result = Result(Origin("some", "0" * 64, list(used)), "m", Cover((selection,)), measured, [used])
    fault = lacking([result], ["p.csv"])
    assert fault
    assert fault.message.startswith("m, quality: no srcc, krcc, plcc, ")
    assert fault.message.endswith(": all scores are equal")
    assert "different scores" in fault.hint
    assert fault.exit_code == 5


def test_a_fold_without_a_value_is_named(home, rows, scores, family, tmp_path) -> None:
    """Predictions that are all equal on the images of one fold: there is no mean over the folds."""
    same = {row["image_id"] for n, row in enumerate(rows) if n % 11 == 3 or n % 3 == 0}
    flat_ = {image: 1.0 if image in same else value for image, value in scores["near"].items()}
    path = written(tmp_path / "flat.csv", {"flat": flat_})
    words = ("-d", "quality", "--compat", "pyiqa", "--main", "vquala", "--resamples", 0, "--json")
    done = home("evaluate", DB, path, "-s", family, *words, code=5).json()
    assert "in file:fold-4.csv: all predictions are equal" in done["error"]["message"]
    whole = done["data"]["results"][0]
    assert (whole["compat"]["pyiqa"]["srcc"], whole["main"]["value"]) == (None, None)
    assert whole["reasons"]["compat.pyiqa.srcc"] == "in file:fold-4.csv: all predictions are equal"
    assert whole["reasons"]["main"] == "in file:fold-4.csv: vquala needs srcc, plcc"
    assert len(results(done["data"], model="flat")) == 12


@pytest.mark.parametrize("size", [1e308, 1e-300, 5e-324])
def test_numbers_at_the_edge_of_float64_give_numbers_or_reasons(home, rows, tmp_path, size) -> None:
    far = {"far": {row["image_id"]: float(row["mos_quality"]) / 5 * (-1) ** n * size for n, row in enumerate(rows)}}
    done = home("evaluate", DB, written(tmp_path / "far.csv", far), "-d", "quality", "--json")
    assert "Warning" not in done.err
    assert not re.search(r"\b(NaN|Infinity)\b", done.out), "that is no JSON"
    found = done.json()["data"]["results"][0]
    x, y, _ = arrays(rows, lambda _: True, far["far"])
    assert found["srcc"] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert all(
        found[name] is not None or found["reasons"][name] for name in RESULT if name.startswith(("rmse", "plcc"))
    )
    lacks = any(found[name] is None for name in ("plcc", "plcc_logistic", "rmse", "rmse_logistic"))
    assert done.code == (5 if lacks else 0)


def test_intervals_hold_the_value_and_follow_the_seed(home, table) -> None:
    options = ("evaluate", DB, table, "-d", "quality", "--json", "--resamples", "200", "--seed")
    first, again, other = (home(*options, seed, code=0).json()["data"]["results"][0] for seed in (1, 1, 2))
    assert first["ci95"] == again["ci95"] != other["ci95"]
    for name in ("srcc", "plcc"):
        low, high = first["ci95"][name]
        assert -1 <= low <= first[name] <= high <= 1


def test_named_main_scores(home, table) -> None:
    data = home("evaluate", DB, table, "--main", "ntire2024", "--json", code=0).json()["data"]
    found = data["results"][0]
    assert found["main"]["name"] == "ntire2024"
    assert found["main"]["value"] == pytest.approx((found["srcc"] + found["plcc"]) / 2, abs=1e-12)
    assert (data["main"]["name"], data["main"]["formula"]) == ("ntire2024", "(SRCC + PLCC) / 2")


def test_compatibility_modes_stand_beside_ours(home, table) -> None:
    data = home("evaluate", DB, table, "--compat", "all", "-d", "quality", "--json", code=0).json()["data"]
    assert {"pyiqa", "dbcnn", "ma-agiqa", "m3", "aigciqa-authors"} <= set(data["results"][0]["compat"])
    assert list(data["compat"]) == list(data["results"][0]["compat"])
    for mode, rules in data["compat"].items():
        assert rules["source"]
        assert all(one["what"] and one["why"] for one in rules["differs"])
        printed = data["results"][0]["compat"][mode]
        assert set(printed) == set(rules["prints"])
        lacking = {f"compat.{mode}.{name}" for name, value in printed.items() if value is None}
        assert lacking <= set(data["results"][0]["reasons"])
    one = home("evaluate", DB, table, "--compat", "pyiqa", "-d", "quality", "--json", code=0).json()["data"]
    assert one["results"][0]["compat"] == {"pyiqa": data["results"][0]["compat"]["pyiqa"]}
    assert one["results"][0]["compat"]["pyiqa"]["srcc"] == pytest.approx(abs(one["results"][0]["srcc"]), abs=1e-9)


def test_compatibility_modes_stand_in_every_form(home, table) -> None:
    words = ("evaluate", DB, table, "-d", "quality", "--compat", "pyiqa,m3", "--resamples", 0)
    compat = home(*words, "--json", code=0).json()["data"]["results"][0]["compat"]
    names = [(mode, name) for mode, printed in compat.items() for name in printed]
    texts = ["" if compat[mode][name] is None else repr(compat[mode][name]) for mode, name in names]
    header, first, _ = csv.reader(io.StringIO(home(*words, "--format", "csv", code=0).out))
    assert header[-len(names) :] == [f"compat.{mode}.{name}" for mode, name in names]
    assert first[-len(names) :] == texts
    assert home(*words, code=0).out.splitlines()[0].split("\t")[-len(names) :] == texts
    for form in ("markdown", "latex"):
        text = home(*words, "--format", form, code=0).out.replace("\\_", "_")
        for model in ("near", "far away"):
            assert f"{model} as pyiqa prints it: plcc 0." in text
            assert f"{model} as m3 prints it: srcc " in text


def test_the_split_is_judged(evaluated, rows, sides) -> None:
    prompts = {part: {r["prompt_id"] for r in rows if sides[r["image_id"]] == part} for part in ("train", "test")}
    test = [row for row in rows if sides[row["image_id"]] == "test"]
    percent = 100 * sum(row["prompt_id"] in prompts["train"] for row in test) / len(test)
    leak = evaluated["data"]["results"][0]["leak"]
    assert leak.startswith(f"leaky: {percent:.1f} % of test images share a prompt with train")


# --- comparing --------------------------------------------------------------------------------------------------


def test_two_models_are_compared_by_themselves(evaluated) -> None:
    data = evaluated["data"]
    assert [(p["dimension"], p["measure"]) for p in data["comparisons"]] == [
        (d, m) for d in ("quality", "alignment") for m in ("srcc", "plcc_logistic")
    ]
    first = data["comparisons"][0]
    srcc = [one["srcc"] for one in results(data, dimension="quality", group=None)]
    assert (first["first"], first["second"]) == ("near", "far away")
    assert first["difference"] == pytest.approx(srcc[0] - srcc[1], abs=1e-12)
    assert first["low"] <= first["difference"] <= first["high"]
    assert first["p_holm"] == first["p_value"], "there is one pair"
    assert first["decided"] is (first["p_holm"] < 0.05)


def test_what_is_named_twice_is_computed_once(home, table) -> None:
    words = ("--resamples", 0, "--json")
    once = home("evaluate", DB, table, "-d", "quality", "--compat", "m3", "--model", "near", *words, code=0).json()
    twice = home(
        "evaluate", DB, table, "-d", "quality,quality", "--compat", "m3, m3", "--model", "near,near", *words, code=0
    ).json()
    assert once["data"] == twice["data"]
    assert len(once["data"]["results"]) == 1


def test_several_pairs_are_corrected_after_holm(home, rows, scores, tmp_path) -> None:
    three = {
        **scores,
        "also near": {image: value + 0.01 * (n % 2) for n, (image, value) in enumerate(scores["near"].items())},
    }
    table = written(tmp_path / "three.csv", three)
    pairs = home("evaluate", DB, table, "-d", "quality", "--json", code=0).json()["data"]["comparisons"]
    found = sorted((pair for pair in pairs if pair["measure"] == "srcc"), key=lambda pair: pair["p_value"])
    assert len(found) == 3
    least = 0.0
    for rank, pair in enumerate(found):
        least = max(least, min(1.0, pair["p_value"] * (3 - rank)))
        assert pair["p_holm"] == pytest.approx(least)


def test_comparing_can_be_left_out_or_demanded(home, table, scores, tmp_path) -> None:
    assert home("evaluate", DB, table, "--no-compare", "--json", code=0).json()["data"]["comparisons"] == []
    single = written(tmp_path / "single.csv", {"near": scores["near"]})
    assert home("evaluate", DB, single, "--json", code=0).json()["data"]["comparisons"] == []
    assert "more than one model" in home("evaluate", DB, single, "--compare", code=2).err
    assert "resamples" in home("evaluate", DB, table, "--compare", "--resamples", "0", code=2).err


# --- what is selected -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "part"), [(SPLIT, "test"), (f"{SPLIT}:test", "test"), (f"{SPLIT}:train", "train")])
def test_parts_of_a_split(home, table, sides, word, part) -> None:
    found = home("evaluate", DB, table, "-s", word, "--resamples", "0", "--json", code=0).json()["data"]["results"][0]
    assert (found["split"], found["n"]) == (f"{SPLIT}:{part}", sum(side == part for side in sides.values()))


def test_without_a_split_it_is_the_whole_database(home, table, rows) -> None:
    found = home("evaluate", DB, table, "--resamples", "0", "--json", code=0).json()["data"]["results"][0]
    assert (found["split"], found["n"], found["leak"]) == (None, len(rows), None)
    assert "folds" in found["floor"]["from"]


def test_a_split_file_is_the_split_that_it_is_a_copy_of(home, table, sides, tmp_path) -> None:
    """Whatever its format and order, and however it names the images: the digest is that of the installed split."""
    installed = home("evaluate", DB, table, "-s", SPLIT, "-d", "quality", "--json", code=0).json()["data"]["results"][0]
    lines = [f"all/{image},{part}\n" for image, part in reversed(sides.items())]
    (tmp_path / "mine.csv").write_text("name,set\n" + "".join(lines))
    found = home("evaluate", DB, table, "-s", tmp_path / "mine.csv", "-d", "quality", "--json", code=0).json()["data"]
    one = found["results"][0]
    assert one["split"] == "file:mine.csv:test"
    named = {"split", "signature", "leak"}
    assert {key: one[key] for key in RESULT if key not in named} == {
        key: installed[key] for key in RESULT if key not in named
    }
    assert field(one["signature"], "digest") == field(installed["signature"], "digest")


def test_a_list_of_images_is_a_part_test(home, table, rows, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("".join(f"{row['image_id']}\n" for row in rows[:20]))
    found = home("evaluate", DB, table, "-s", tmp_path / "names.txt", "--json", code=0).json()["data"]["results"][0]
    assert (found["split"], found["n"]) == ("file:names.txt:test", 20)


@pytest.fixture(scope="module")
def family(home: Command, rows: Rows) -> Path:
    """A folder with eleven folds, so that 2 comes before 10."""
    folder = home.work / "folds"
    folder.mkdir()
    for fold in range(1, 12):
        lines = [
            f"{row['image_id']},{'test' if n % 11 == fold - 1 or n % 3 == 0 else 'train'}" for n, row in enumerate(rows)
        ]
        (folder / f"fold-{fold}.csv").write_text("image_id,split\n" + "\n".join(lines) + "\n")
    return folder


def test_a_family_is_its_mean_and_each_fold(home, table, family, rows, scores) -> None:
    data = home("evaluate", DB, table, "-s", family, "-d", "quality", "--model", "near", "--json", code=0).json()[
        "data"
    ]
    whole, *folds = data["results"]
    assert [one["group"] for one in folds] == [{"by": "fold", "key": f"file:fold-{n}.csv"} for n in range(1, 12)]
    values = []
    for fold, one in enumerate(folds):
        kept = [row for n, row in enumerate(rows) if n % 11 == fold or n % 3 == 0]
        x, y, _ = arrays(kept, lambda _: True, scores["near"])
        values.append(stats.spearmanr(x, y).statistic)
        assert one["srcc"] == pytest.approx(values[-1], abs=1e-12)
        assert one["repeats"] is None
    assert whole["group"] is None
    assert whole["split"] == "file:folds:test"
    assert whole["srcc"] == pytest.approx(np.mean(values), abs=1e-12)
    assert whole["repeats"]["folds"] == 11
    assert whole["repeats"]["mean"]["srcc"] == whole["srcc"]
    assert whole["repeats"]["median"]["srcc"] == pytest.approx(np.median(values), abs=1e-12)
    assert whole["repeats"]["std"]["srcc"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert whole["floor"]["srcc"] == pytest.approx(
        np.mean([one["floor"]["predictors"][whole["floor"]["by"]]["srcc"] for one in folds])
    )
    assert whole["ci95"] is None
    assert whole["reasons"]["ci95"]
    assert field(whole["signature"], "agg") == "mean.11"


def test_every_fold_may_have_predictions_of_its_own(home, table, family, scores, tmp_path) -> None:
    for fold in range(1, 12):
        shifted = {"near": {image: value + fold for image, value in scores["near"].items()}}
        written(tmp_path / f"run-{fold}.csv", shifted)
    options = ("-s", family, "-d", "quality", "--model", "near", "--resamples", "0", "--json")
    own = home("evaluate", DB, tmp_path / "run-{fold}.csv", *options, code=0).json()["data"]
    one = home("evaluate", DB, table, *options, code=0).json()["data"]
    assert own["predictions"]["files"] == [f"run-{fold}.csv" for fold in range(1, 12)]
    assert own["results"][0]["srcc"] == pytest.approx(one["results"][0]["srcc"], abs=1e-12)
    assert own["results"][3]["mae"] != one["results"][3]["mae"]
    (tmp_path / "run-7.csv").unlink()
    assert "run-7.csv" in home("evaluate", DB, tmp_path / "run-{fold}.csv", *options[:-1], code=2).err
    assert "--split" in home("evaluate", DB, tmp_path / "run-{fold}.csv", code=2).err


def test_dimensions_and_fields_of_extra(home, table, tmp_path) -> None:
    (only,) = home("evaluate", DB, table, "-d", "alignment", "--model", "near", "--json", code=0).json()["data"][
        "results"
    ]
    assert only["dimension"] == "alignment"
    done = home("evaluate", DB, table, "-d", "authenticity", code=2)
    assert "quality, alignment" in done.err
    assert "extra.category" not in done.err, "text is no score"
    grouped = home(
        "evaluate", DB, table, "--by", "extra.category", "-d", "quality", "--resamples", "0", "--json", code=0
    ).json()["data"]
    assert {"by": "extra.category", "key": "landscape"} in [one["group"] for one in grouped["results"]]
    assert "generator, setting" in home("evaluate", DB, table, "--by", "colour", code=2).err
    done = home("evaluate", DB, table, "--by", "extra.colour", code=2)
    assert "no image of demo has extra.colour" in done.err
    assert "groups here: generator, setting, prompt, task, reference, extra.category" in done.err


# --- ways in ----------------------------------------------------------------------------------------------------


def test_a_pipe_gives_the_same_as_the_file(home, table, evaluated) -> None:
    done = home("evaluate", DB, "-", "--split", SPLIT, "--by", "generator", "--json", stdin=table.read_text(), code=0)
    data = done.json()["data"]
    assert data["predictions"]["files"] == ["stdin"]
    assert data["results"] == evaluated["data"]["results"]
    assert data["comparisons"] == evaluated["data"]["comparisons"]


@pytest.mark.parametrize("form", ["tsv", "jsonl", "json", "parquet"])
def test_every_format_gives_the_same(home, table, tmp_path, form) -> None:
    frame = pd.read_csv(table)
    path = tmp_path / f"p.{form}"
    if form == "tsv":
        frame.to_csv(path, sep="\t", index=False)
    elif form == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=form == "jsonl", double_precision=15)
    options = ("--resamples", "0", "--json")
    assert home("evaluate", DB, path, *options, code=0).json()["data"]["results"][0]["srcc"] == pytest.approx(
        home("evaluate", DB, table, *options, code=0).json()["data"]["results"][0]["srcc"], abs=1e-12
    )


def test_which_columns_were_taken_is_said(home, table) -> None:
    done = home("evaluate", DB, table, "--resamples", "0", code=0)
    assert "both.csv: images by 'image', scores by 'near', 'far away'" in done.err


# --- refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda lines: [*lines, "nowhere.png,1,2"], "'nowhere.png' is no image of demo"),
        (lambda lines: [*lines, lines[5]], "stands twice"),
        (lambda lines: [*lines[:-1], lines[-1].partition(",")[0] + ",nan,1"], "is no finite number"),
        (lambda lines: [*lines[:-1], lines[-1].partition(",")[0] + ",1,Infinity"], "is no finite number"),
    ],
)
def test_bad_rows_are_refused_by_name_and_line(home, table, tmp_path, change, problem) -> None:
    lines = change(table.read_text().splitlines())
    path = tmp_path / "bad.csv"
    path.write_text("\n".join(lines) + "\n")
    done = home("evaluate", DB, path, "--json", code=5).json()
    assert done["data"] is None
    assert done["error"]["kind"] == "refused"
    assert done["error"]["hint"]
    assert [finding["path"] for finding in done["findings"]] == [f"bad.csv:{len(lines)}"]
    assert problem in done["findings"][0]["problem"]
    told = home("evaluate", DB, path, "--allow-missing", code=5)
    assert f"bad.csv:{len(lines)}" in told.err
    assert told.out == ""


def test_missing_images_are_refused_by_name_unless_allowed(home, rows, sides, scores, tmp_path) -> None:
    test = [row["image_id"] for row in rows if sides[row["image_id"]] == "test"]
    path = written(tmp_path / "part.csv", scores, leave=tuple(test[:3]))
    done = home("evaluate", DB, path, "-s", SPLIT, "--json", code=5).json()
    assert [f["problem"] for f in done["findings"]] == [f"{image} has no score of near" for image in test[:3]]
    assert "--allow-missing" in done["error"]["hint"]
    data = home("evaluate", DB, path, "-s", SPLIT, "--allow-missing", "--json", code=0).json()["data"]
    found = data["results"][0]
    assert (found["n"], found["missing"]) == (len(test) - 3, 3)
    assert any(f"{len(test) - 3} images used, 3 have no prediction" in note for note in data["notes"])
    assert home("evaluate", DB, path, "-s", f"{SPLIT}:train", code=0), "nothing of this part is missing"


def test_an_empty_cell_is_a_missing_score_with_its_line(home, table, tmp_path) -> None:
    lines = table.read_text().splitlines()
    image = lines[4].partition(",")[0]
    lines[4] = f"{image},,1.5"
    path = tmp_path / "gap.csv"
    path.write_text("\n".join(lines) + "\n")
    (finding,) = home("evaluate", DB, path, "--json", code=5).json()["findings"]
    assert (finding["path"], finding["found"]) == ("gap.csv:5", "an empty cell")
    data = home("evaluate", DB, path, "--allow-missing", "-d", "quality", "--json", code=0).json()["data"]
    assert [(one["model"], one["n"], one["missing"]) for one in data["results"]] == [
        ("near", 59, 1),
        ("far away", 60, 0),
    ]
    assert data["comparisons"][0]["n"] == 59, "models are compared on the images that both have"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((DB,), 2, "no predictions are given"),
        (("nothing", "p.csv"), 2, "no database is called"),
        (("agiqa3k", "p.csv"), 2, "aigiqa fetch agiqa3k --labels-only"),
        ((DB, "absent.csv"), 2, "absent.csv cannot be read"),
        ((DB, "."), 2, "cannot be read"),
        ((DB, "{table}", "--split", "unheard"), 2, "splits here: authors"),
        ((DB, "{table}", "--split", f"{SPLIT}:val"), 2, "parts: train, test"),
        ((DB, "{table}", "--format", "word"), 2, "formats: table"),
        ((DB, "{table}", "--format", "csv", "--json"), 2, "--json is a format"),
        ((DB, "{table}", "--main", "mean"), 2, "ntire2024"),
        ((DB, "{table}", "--compat", "theirs"), 2, "modes: "),
        ((DB, "{table}", "--model", "third"), 2, "columns: image, near, far away"),
        ((DB, "{table}", "--check", "nonsense"), 5, "no signature"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_next_step(home, table, words, code, said) -> None:
    done = home("evaluate", *(str(word).replace("{table}", str(table)) for word in words), code=code)
    assert said in (done.out if "--json" in words else done.err)
    assert not done.out or "--json" in words


def test_a_split_file_of_another_database_is_refused_by_line(home, table, rows, tmp_path) -> None:
    path = tmp_path / "foreign.csv"
    path.write_text(f"name,split\n{rows[0]['image_id']},test\nforeign.jpg,test\n")
    done = home("evaluate", DB, table, "-s", path, "--json", code=5).json()
    assert done["findings"][0]["path"] == "foreign.csv:3"


# --- ways out ---------------------------------------------------------------------------------------------------


def test_a_pipe_gets_one_record_a_result(home, table, evaluated) -> None:
    done = home("evaluate", DB, table, "--split", SPLIT, "--by", "generator", code=0)
    lines = [line.split("\t") for line in done.out.splitlines()]
    found = evaluated["data"]["results"]
    assert len(lines) == len(found)
    assert [line[0] for line in lines] == [one["model"] for one in found]
    assert [line[6] for line in lines] == ["" if one["srcc"] is None else repr(one["srcc"]) for one in found]
    assert [line[-1] for line in lines] == [one["signature"] for one in found]
    assert "better than" in done.err


def test_csv_has_every_digit_under_a_header(home, table, evaluated) -> None:
    done = home("evaluate", DB, table, "--split", SPLIT, "--by", "generator", "--format", "csv", code=0)
    found = list(csv.DictReader(io.StringIO(done.out)))
    assert len(found) == len(evaluated["data"]["results"])
    for cells, one in zip(found, evaluated["data"]["results"], strict=True):
        for name in ("srcc", "krcc", "plcc", "plcc_logistic", "rmse", "mae"):
            assert cells[name] == ("" if one[name] is None else repr(one[name]))
        assert cells["signature"] == one["signature"]
        assert cells["key"] == (one["group"]["key"] if one["group"] else "")


def test_markdown_and_latex_show_floor_and_models_and_pin_them(home, table) -> None:
    markdown = home("evaluate", DB, table, "-s", SPLIT, "-d", "quality", "--format", "markdown", code=0).out
    latex = home("evaluate", DB, table, "-s", SPLIT, "-d", "quality", "--format", "latex", code=0).out
    for text in (markdown, latex):
        words = ("leaky: ", "floor: generator", "near", "far away", f"aigiqa:{__version__}")
        at = [text.index(word) for word in words]
        assert at == sorted(at)
    rows_ = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({line.count(" | ") for line in rows_}) == 1
    assert latex.count(r"\begin{table}") == latex.count(r"\end{table}") == 1
    assert all(line.rstrip().endswith(r"\\") for line in latex.splitlines() if " & " in line)
    assert r"$\pm$" in latex


@pytest.mark.parametrize("width", [80, 120])
def test_a_person_sees_floor_models_and_words(home, table, width) -> None:
    lines = seen(home, "evaluate", DB, table, "-s", SPLIT, "-d", "quality", "--by", "generator", width=width)
    signed = [line for line in lines if line.strip().startswith("aigiqa:")]
    assert len(signed) == 2, "a signature stands on one line, however long, so that it can be copied"
    assert max(len(line) for line in lines if line not in signed and "images by" not in line) <= width
    text = flat("\n".join(lines)).partition("'far away' ")[2]  # after the note on the columns
    told = (
        "demo · quality authors:test · 15 images of 11 prompts", "leaky: ", "SRCC KRCC PLCC", "floor: generator",
        "near", "far away", "inside one generator SRCC", "MAE", "no ceiling: ", "near by generator", "better than",
        "aigiqa:",
    )  # fmt: skip
    at = [text.index(word) for word in told]
    assert at == sorted(at), told
    assert "no RMSE beyond rater noise, outlier ratio: the number of raters is not known" in text, (
        "one reason, one line"
    )
    for model in ("near", "far away"):
        (row,) = [line for line in lines if re.match(rf" ?{model} +-?[01]\.", line)]
        assert " ±" in row.replace("\u00a0", " "), "an interval stands beside its value"
    assert all(any(key in line for line in lines) for key in ("synthetic-atlas", "synthetic-delta")), "names are whole"


def test_folds_are_shown_with_mean_and_deviation(home, table, family) -> None:
    lines = seen(home, "evaluate", DB, table, "-s", family, "-d", "quality", "--model", "near", "--resamples", "0")
    text = flat("\n".join(lines))
    assert "mean ± standard deviation of 11 folds" in text
    assert sum(line.strip().startswith("file:fold-") for line in lines) == 11


# --- signatures -------------------------------------------------------------------------------------------------


def field(signature: str, name: str) -> str:
    return dict(part.split(":", 1) for part in signature.split("|"))[name]


def test_a_signature_pins_database_split_predictions_and_rules(home, evaluated) -> None:
    one = evaluated["data"]["results"][0]
    record = json.loads((home.root / ".aigiqa/installed" / f"{DB}.json").read_text())
    split = next(entry for entry in record["files"] if entry[0] == f"splits/{SPLIT}.csv")
    expected = {
        "aigiqa": __version__, "db": DB, "index": record["index_sha256"][:12], "split": SPLIT, "part": "test",
        "digest": split[2][:12], "dim": "quality", "group": "", "n": str(one["n"]), "missing": "0",
        "fit": "logistic4.v1", "agg": "none", "srcc": f"{one['srcc']:.4f}", "plcc": f"{one['plcc']:.4f}",
    }  # fmt: skip
    assert {name: field(one["signature"], name) for name in expected} == expected
    assert "\n" not in one["signature"]
    assert len({one["signature"] for one in evaluated["data"]["results"]}) == len(evaluated["data"]["results"])


def test_check_says_same(home, table, evaluated) -> None:
    whole = evaluated["data"]["results"][0]["signature"]
    second = evaluated["data"]["results"][1]["signature"]
    group = results(evaluated["data"], model="near", dimension="quality")[1]["signature"]
    for signature in (whole, second, group):
        done = home("evaluate", DB, "--check", signature, table, code=0)
        assert done.out == f"same: {signature}\n"
    data = home("evaluate", "--check", whole, table, "--json", code=0).json()["data"]
    assert (data["same"], data["differences"]) == (True, [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-d", "alignment"), "the signature pins: quality"),
        (("-d", "quality,alignment"), "the signature pins: quality"),
        (("--by", "generator"), "the signature pins: nothing"),
        (("--format", "csv"), "--check does not go with --format"),
        (("--main", "ntire2024", "--compat", "all"), "--check does not go with --main, --compat"),
    ],
)
def test_what_contradicts_a_signature_is_wrong_usage(home, table, evaluated, words, said) -> None:
    signature = evaluated["data"]["results"][0]["signature"]
    done = home("evaluate", "--check", signature, table, *words, code=2)
    assert said in done.err
    assert "leave" in done.err
    home("evaluate", "--check", signature, table, "-d", "quality", code=0)


def test_check_of_folds(home, table, family) -> None:
    data = home("evaluate", DB, table, "-s", family, "-d", "quality", "--resamples", "0", "--json", code=0).json()[
        "data"
    ]
    whole, one_fold = data["results"][0]["signature"], data["results"][2]["signature"]
    assert home("evaluate", DB, "--check", whole, table, "-s", family, code=0).out.startswith("same")
    assert "--split PATH" in home("evaluate", DB, "--check", whole, table, code=2).err
    assert home("evaluate", "--check", one_fold, table, "-s", family / "fold-1.csv", code=0).out.startswith("same")


@pytest.mark.parametrize("name", ["aigiqa", "index", "digest", "n", "fit", "pred", "srcc"])
def test_check_says_what_differs(home, table, evaluated, name) -> None:
    signature = evaluated["data"]["results"][0]["signature"]
    stated = {"srcc": "0.1234", "n": "16"}.get(name, "0" * 12)
    wrong = signature.replace(f"{name}:{field(signature, name)}", f"{name}:{stated}")
    done = home("evaluate", DB, "--check", wrong, table, "--json", code=4).json()
    assert (done["status"], done["data"]["same"]) == ("error", False)
    assert done["data"]["differences"] == [{"field": name, "stated": stated, "found": field(signature, name)}]
    assert done["findings"] == [
        {"database": DB, "path": name, "problem": "differs", "expected": stated, "found": field(signature, name)}
    ]


def test_check_tells_other_predictions(home, evaluated, rows, scores, tmp_path) -> None:
    signature = evaluated["data"]["results"][0]["signature"]
    changed = {"near": {image: value + 0.5 * (n % 2) for n, (image, value) in enumerate(scores["near"].items())}}
    path = written(tmp_path / "changed.csv", changed)
    done = home("evaluate", DB, "--check", signature, path, code=4)
    assert "other predictions" in done.err
    assert done.out.startswith("found: aigiqa:")
    home("evaluate", "agiqa3k", "--check", signature, path, code=2)


# --- splits in files, and what a signature says of them ---------------------------------------------------------


@pytest.fixture(scope="module")
def lists(home: Command, rows: Rows) -> Path:
    """Two folds as lists of names, train and test of each in a file of its own."""
    folder = home.work / "lists"
    folder.mkdir()
    images = [row["image_id"] for row in rows]
    for fold in (1, 2):
        for name, kept in (("test", images[fold::3]), ("train", [i for i in images if i not in images[fold::3]])):
            (folder / f"{fold}-{name}.csv").write_text("image_id\n" + "\n".join(kept) + "\n")
    return folder


def test_lists_of_a_folder_are_sides_and_not_folds(home: Command, table: Path, lists: Path, rows: Rows) -> None:
    words = ("--dimension", "quality", "--resamples", 0, "--model", "near", "--json")
    data = home("evaluate", DB, table, "--split", lists, *words, code=0).json()["data"]
    folds = results(data, dimension="quality")[1:]
    assert [one["n"] for one in folds] == [len(rows[1::3]), len(rows[2::3])], "the test lists alone"
    assert [one["split"] for one in folds] == ["file:lists#1:test", "file:lists#2:test"]
    assert all(one["floor"]["from"] == "the part train" for one in folds)
    alone = home("evaluate", DB, table, "--split", lists / "1-train.csv", *words, code=0).json()["data"]
    assert alone["results"][0]["split"] == "file:1-train.csv:train"


def test_two_lists_of_one_side_are_not_mixed(home: Command, table: Path, lists: Path, tmp_path: Path) -> None:
    for name in ("test", "testing"):
        (tmp_path / f"{name}.csv").write_bytes((lists / "1-test.csv").read_bytes())
    assert "two lists of the part test" in home("evaluate", DB, table, "--split", tmp_path, code=2).err


def test_the_digest_of_a_split_decides_and_not_its_file(home: Command, table: Path, tmp_path: Path) -> None:
    made, folder = tmp_path / "made.csv", tmp_path / "made"
    for target in (made, folder):
        home("split", "make", DB, "--repeats", 3, "--seed", 4, "-o", target, code=0)
    words = ("--dimension", "quality", "--resamples", 0, "--model", "near")
    done = home("evaluate", DB, table, "--split", f"{made}#repeat-2", *words, "--json", code=0).json()["data"]
    signature = done["results"][0]["signature"]
    for split in (made, f"{made}#repeat-2", folder / "repeat-2.csv"):
        home("evaluate", "--check", signature, table, "--split", split, "--model", "near", code=0)
    other = home("evaluate", "--check", signature, table, "--split", folder / "repeat-1.csv", "--model", "near", code=4)
    assert "another split" in other.err
    assert "splits: repeat-1, repeat-2, repeat-3" in home("evaluate", DB, table, "--split", f"{made}#x", code=2).err


def test_files_of_folds_are_told_apart(home: Command, table: Path, tmp_path: Path) -> None:
    """Two repeats of two folds: `2` would be two of them."""
    made = tmp_path / "made.csv"
    home("split", "make", DB, "--repeats", 2, "--folds", 2, "-o", made, code=0)
    names = [f"repeat-{repeat}-fold-{fold}" for repeat in (1, 2) for fold in (1, 2)]
    for name in names:
        (tmp_path / f"of-{name}.csv").write_bytes(table.read_bytes())
    done = home(
        "evaluate", DB, f"{tmp_path}/of-{{fold}}.csv", "--split", made, "--resamples", 0, "--json", code=0
    ).json()
    assert done["data"]["predictions"]["files"] == [f"of-{name}.csv" for name in names]


def test_groups_count_their_own_images(home: Command, rows: Rows, scores: Any, tmp_path: Path) -> None:
    """The images without a prediction are those of the group, and its signature can be checked."""
    first = rows[0]["generator"]
    left = tuple(row["image_id"] for row in rows if row["generator"] == first)[:3]
    path = written(tmp_path / "some.csv", {"near": scores["near"]}, left)
    words = ("--allow-missing", "--by", "generator", "--dimension", "quality", "--resamples", 0)
    data = home("evaluate", DB, path, *words, "--json", code=0).json()["data"]
    counts = {one["group"]["key"]: one["missing"] for one in results(data, dimension="quality") if one["group"]}
    assert counts == {row["generator"]: 3 * (row["generator"] == first) for row in rows}
    group = next(one for one in data["results"] if one["group"] and one["group"]["key"] == first)
    home("evaluate", "--check", group["signature"], path, code=0)


def test_one_resample_gives_no_test_and_no_NaN(home: Command, table: Path) -> None:
    done = home("evaluate", DB, table, "--dimension", "quality", "--resamples", 1, "--json", code=0)
    assert "NaN" not in done.out
    assert {one["p_value"] for one in done.json()["data"]["comparisons"]} == {None}


def test_the_floor_names_the_best_of_each_coefficient(evaluated: dict[str, Any]) -> None:
    floor = evaluated["data"]["results"][0]["floor"]
    for key, by in (("srcc", "by"), ("plcc", "by_plcc")):
        known = {name: one[key] for name, one in floor["predictors"].items() if one[key] is not None}
        assert floor[key] == max(known.values()) == known[floor[by]]


def test_rows_that_are_no_numbers_are_named(home: Command, rows: Rows, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    lines = [f"{row['image_id']},{'error' if at % 3 else at}" for at, row in enumerate(rows)]
    path.write_text("image,score\n" + "\n".join(lines) + "\n")
    problem = f"bad.csv:3: score of {rows[1]['image_id']} is no finite number: 'error'"
    assert problem in home("evaluate", DB, path, code=5).err
