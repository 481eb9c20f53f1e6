"""The floors of README, computed from the published label files with pandas and SciPy, and as `aigiqa evaluate` prints
them: what is reached without opening an image, and how many prompts of the test part are trained on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import trustme
from conftest import REPOSITORY, Command
from doubles import Box
from scipy import stats

Numbers = tuple[float, float] | None  # SRCC, PLCC
PREDICTORS = ("generator", "generator_setting", "both")
CASES = (
    ("agiqa3k", "ipce", "quality"), ("agiqa3k", "ipce", "alignment"), ("agiqa3k", "tier-pscr", "quality"),
    ("agiqa3k", "tier-pscr", "alignment"), ("agiqa1k", "tier-pscr", "quality"), ("aigciqa2023", "mint-iqa", "quality"),
    ("aigciqa2023", "mint-iqa", "alignment"), ("aigciqa2023", "mint-iqa", "authenticity"),
    ("pku-i2iqa", "authors", "quality"), ("pku-i2iqa", "authors", "alignment"), ("pku-aigiqa-4k", "authors", "quality"),
    ("pku-aigiqa-4k", "authors", "alignment"), ("aigiqa20k", "", "overall"),
)  # fmt: skip


def told() -> dict[tuple[str, str, str], tuple[str, dict[str, Numbers]]]:
    """(database, split, dimension) -> (prompts shared, predictor -> numbers) of the table in README."""
    section = (REPOSITORY / "README.md").read_text(encoding="utf-8").partition("### Floors")[2].partition("\n###")[0]
    found = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 6 or not re.search(r"\.\d{3} / ", line):
            continue
        name, _, split = cells[0].partition(",")
        key = (name.split()[0], split.strip().split()[0] if "training images" not in split else "", cells[1])
        numbers = [tuple(map(float, cell.split(" / "))) if "/" in cell else None for cell in cells[3:]]
        found[key] = cells[2], dict(zip(PREDICTORS, numbers, strict=True))
    return found


TOLD = told()


# --- the label files, as pandas reads them ----------------------------------------------------------------------


def frame_of(name: str, data: Path) -> pd.DataFrame:
    """image, prompt, generator, setting, and a column for each dimension, in the published order."""
    if name == "agiqa3k":
        rows = pd.read_csv(data / "agiqa3k/data.csv")
        parts = rows["name"].str.removesuffix(".jpg").str.rsplit("_", n=2, expand=True)
        rows = rows.rename(columns={"name": "image", "mos_quality": "quality", "mos_align": "alignment"})
        return rows.assign(generator=parts[0], setting=parts[1])
    if name == "agiqa1k":
        table = pd.read_excel(data / "agiqa1k/AIGC_MOS_Zscore.xlsx")
        rows = table.drop_duplicates("Image")  # of an image that is labelled twice the first row counts
        rows = rows.rename(columns={"Image": "image", "Prompt": "prompt", "MOS": "quality"})
        rows.attrs["rows"] = len(table)
        return rows.assign(generator=rows["image"].str.split("_").str[0], setting="")
    if name == "aigciqa2023":
        rows = pd.read_csv(data / "aigciqa2023/AIGCIQA2023.csv")
        columns = {"name": "image", "quality_mos": "quality", "authenticity_mos": "authenticity"}
        rows = rows.rename(columns=columns | {"correspondence_mos": "alignment"})
        models = pd.read_excel(data / "aigciqa2023/pic-index.xlsx", header=None)[0]
        return rows.assign(generator=models, setting="")
    if name == "aigiqa20k":
        table = data / "aigiqa20k/AIGCQA-30K-Image/info_train.csv"
        rows = pd.read_csv(table, header=None, names=["image", "prompt", "overall"])
        return rows.assign(generator=rows["image"].str.rsplit("_", n=1).str[0], setting="")
    table = {
        "pku-i2iqa": "pku-i2iqa/DERIVED_I2IQA_rows_in_xlsx_order.csv",
        "pku-aigiqa-4k": "pku-aigiqa-4k/PKU-AIGIQA/annotation.csv",
    }[name]
    rows = pd.read_csv(data / table, encoding="utf-8-sig")
    columns = {"Generated_image": "image", "Text_prompt": "prompt", "MOS_q": "quality", "MOS_c": "alignment"}
    rows = rows.rename(columns=columns)
    return rows.assign(generator=rows["image"].str.split("_").str[0], setting="")


def folds_of(name: str, split: str, rows: pd.DataFrame, data: Path) -> list[np.ndarray]:
    """For each fold, which rows are tested; the others are trained on."""
    if split == "tier-pscr":  # np.random.seed(1), the rows of the table shuffled, the first 80 % train
        order = np.random.RandomState(1).permutation(rows.attrs.get("rows", len(rows)))
        return [~np.isin(rows.index, order[: int(0.8 * len(order))])]
    if split == "authors":  # row number modulo 4 is 3
        return [np.arange(len(rows)) % 4 == 3]
    if split == "mint-iqa":
        test = pd.read_json(data / "aigciqa2023/splits/mytestdict_llm.json")["img"]
        return [rows["image"].isin(test).to_numpy()]
    sides = pd.read_csv(data / name / "splits/DERIVED_ipce_splits_compact.csv").set_index("name")
    return [(sides.loc[rows["image"], f"split_{n}"] == "val").to_numpy() for n in range(1, 11)]


# --- the floor, with group means ---------------------------------------------------------------------------------


def same_text(prompts: pd.Series) -> pd.Series:
    return prompts.str.normalize("NFKC").str.lower().str.split().str.join(" ")


def floors(rows: pd.DataFrame, test: np.ndarray, dimension: str) -> dict[str, Numbers]:
    """Each test image predicted by means over the training images."""
    rows = rows.assign(y=rows[dimension].astype(float), text=same_text(rows["prompt"]))
    train, tested = rows[~test], rows[test]
    mean = train["y"].mean()
    found: dict[str, Numbers] = {}
    for name, keys in (("generator", ["generator"]), ("generator_setting", ["generator", "setting"])):
        means = train.groupby(keys)["y"].mean().rename("guess")
        guess = tested.join(means, on=keys)["guess"].fillna(mean)
        found[name] = numbers(guess, tested["y"])
    left = train["y"] - train.groupby(["generator", "setting"])["y"].transform("mean")
    effect = left.groupby(train["text"]).mean()
    shared = tested["text"].isin(train["text"]).any()
    found["both"] = numbers(guess + tested["text"].map(effect).fillna(0), tested["y"]) if shared else None
    return found


def numbers(guess: pd.Series, y: pd.Series) -> Numbers:
    return float(stats.spearmanr(guess, y).statistic), float(stats.pearsonr(guess, y).statistic)


def mean_of(folds: list[dict[str, Numbers]]) -> dict[str, Numbers]:
    means: dict[str, Numbers] = {}
    for name in folds[0]:
        known = [found[name] for found in folds]
        means[name] = None if None in known else tuple(np.mean(known, axis=0).tolist())
    return means


# --- against README and the command ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(authority: trustme.CA, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """All six databases by their labels."""
    data = shared / "data"
    twenty = data / "aigiqa20k/AIGCQA-30K-Image"
    given = {
        "agiqa3k": [data / "agiqa3k/data.csv"],
        "agiqa1k": [data / "agiqa1k/AIGC_MOS_Zscore.xlsx", data / "agiqa1k/AIGC_all.csv"],
        "aigciqa2023": [
            *(data / "aigciqa2023" / n for n in ("pic-index.xlsx", "AIGCIQA2023_Prompts.xlsx", "AIGIQA2023.json")),
            *sorted((data / "aigciqa2023/splits").glob("*.json")),
        ],
        "pku-i2iqa": [data / f"pku-i2iqa/PKU-I2IQA/1/{part}.txt" for part in ("train", "test")],
        "pku-aigiqa-4k": [data / "pku-aigiqa-4k/PKU-AIGIQA/annotation.csv"],
        "aigiqa20k": [twenty / f"info_{part}.xlsx" for part in ("train", "val")],
    }
    with Box(authority) as box:
        run = Command(box, tmp_path_factory.mktemp("floors"))
        for name, paths in given.items():
            run("import", name, *paths, code=0)
        yield run


@pytest.fixture(scope="module")
def computed(home: Command, shared: Path) -> Callable[[str, str, str], tuple[str, dict[str, Numbers]]]:
    """Prompts shared, and the floors, from the label files alone."""
    data = shared / "data"

    def compute(name: str, split: str, dimension: str) -> tuple[str, dict[str, Numbers]]:
        rows = frame_of(name, data)
        if split:
            folds = folds_of(name, split, rows, data)
        else:  # those of the rule that `evaluate` states: see tests/test_split_making.py
            made = home("split", "make", name, "--by", "random", "--folds", 5, "--seed", 0, code=0).out.splitlines()
            sides = pd.DataFrame([line.split(",") for line in made[1:]], columns=made[0].split(","))
            sides = sides.set_index("image_id").loc[rows["image"]]
            folds = [(sides[f"fold-{fold}"] == "test").to_numpy() for fold in range(1, 6)]
        text = same_text(rows["prompt"])
        percent = max(100 * text[test].isin(text[~test]).mean() for test in folds)
        shown = f"{percent:.0f} %" if percent in (0, 100) else f"{percent:.1f} %"
        return shown if split else "", mean_of([floors(rows, test, dimension) for test in folds])

    return compute


def test_every_row_of_the_table_is_computed_here() -> None:
    assert set(TOLD) == set(CASES)


@pytest.mark.parametrize(("name", "split", "dimension"), CASES, ids=[" ".join(case) for case in CASES])
def test_the_floor_is_the_one_of_readme_and_of_the_command(home, computed, tmp_path, shared, name, split, dimension):
    stated, by_readme = TOLD[name, split, dimension]
    percent, expected = computed(name, split, dimension)
    assert stated == percent
    for predictor, wanted in by_readme.items():
        if wanted is not None:
            assert tuple(round(one, 3) for one in expected[predictor]) == wanted, predictor
    index = pd.read_csv(home.root / name / "index.csv", keep_default_na=False, dtype=str)
    pd.DataFrame({"image": index["image_id"], "m": np.arange(len(index)) % 97}).to_csv(tmp_path / "m.csv", index=False)
    words = ["-s", split] if split else []
    if split == "ipce":  # its published files are not at hand here, but what they say in one table
        table = pd.read_csv(shared / "data" / name / "splits/DERIVED_ipce_splits_compact.csv", dtype=str)
        folds = [f"split_{fold}" for fold in range(1, 11)]
        table[["name", *folds]].to_csv(tmp_path / "ipce.csv", index=False)
        words = ["-s", tmp_path / "ipce.csv"]
    words += ["--by", "task", "-d", dimension, "--resamples", 0, "--json"]
    data = home("evaluate", name, tmp_path / "m.csv", *words, code=0).json()["data"]
    found = data["results"][0]["floor"]["predictors"]
    for predictor, wanted in expected.items():
        if predictor in found:
            told_ = found[predictor]["srcc"], found[predictor]["plcc"]
            assert told_ == (pytest.approx(wanted, abs=1e-6) if wanted else (None, None)), predictor
        else:
            assert wanted == expected["generator"], "without settings it would be the generator once more"
