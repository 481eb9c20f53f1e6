"""aigiqa stats: the figures of the reports, the conventions of pandas, streams, figures. Published labels where given."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import trustme
from conftest import Command
from doubles import Box
from hypothesis import given, settings
from hypothesis import strategies as st
from test_commands import at_terminal

from aigiqa_cli.cli.statistics.bars import bar, skyline
from aigiqa_cli.cli.statistics.plot import plot
from aigiqa_cli.context import Context
from aigiqa_cli.describing.counts import counts
from aigiqa_cli.describing.scores import scores_of
from aigiqa_cli.describing.summary import BINS, histogram, summary
from aigiqa_cli.errors import IntegrityFault
from aigiqa_cli.index import COLUMNS
from aigiqa_cli.manifest.catalogue import Catalogue
from aigiqa_cli.reporting import Silent
from aigiqa_cli.steps.stats import Statistics, stats
from aigiqa_cli.store import Root

TABLES = {
    "agiqa3k": ["data.csv"],
    "agiqa1k": ["AIGC_MOS_Zscore.xlsx"],
    "aigciqa2023": ["pic-index.xlsx", "AIGCIQA2023_Prompts.xlsx", "AIGCIQA2023.csv"],
    "pku-i2iqa": ["."],
    "pku-aigiqa-4k": ["."],
    "aigiqa20k": ["."],
}
FIELDS = ("mean", "std", "min", "max")
RECORD = ("database", "by", "key", "dimension", "images", "n", "mean", "std", "min", "q1", "median", "q3", "max", "skewness", "rater_std", "low", "high")  # fmt: skip


@pytest.fixture(scope="module")
def home(authority: trustme.CA, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """The labels of all core databases."""
    with Box(authority) as box:
        run = Command(box, tmp_path_factory.mktemp("stats"))
        for name, files in TABLES.items():
            run("import", name, *(shared / "data" / name / file for file in files), code=0)
        yield run


@pytest.fixture(scope="module")
def told(home: Command) -> dict[str, dict[str, Any]]:
    """Database -> its result, of one run over all, by generator and setting."""
    data = home("stats", "--by", "generator,setting", "--json", code=0).json()["data"]
    return {one["database"]: one["result"] for one in data}


@pytest.fixture
def demo(run: Command, ready: Path) -> Command:
    run.root.symlink_to(ready)
    return run


def close(found: float, published: float, places: int = 6) -> bool:
    return abs(found - published) <= 0.51 * 10**-places


def pair(result: dict[str, Any], a: str, b: str) -> dict[str, Any]:
    (found,) = (one for one in result["correlations"] if {one["a"], one["b"]} == {a, b})
    return found


def group(result: dict[str, Any], generator: str, setting: str = "") -> dict[str, Any]:
    (found,) = (one for one in result["groups"] if one["key"] == {"generator": generator, "setting": setting})
    return found


# --- the reports ---------------------------------------------------------------------------------------------------


def test_agiqa3k_equals_its_report(told: dict[str, dict[str, Any]]) -> None:
    """Sections 1, 4, 5 and 9."""
    result = told["agiqa3k"]
    counted = result["counts"]
    assert (counted["images"], counted["prompts"], counted["references"]) == (2982, 300, 0)
    assert counted["generators"] == {
        "stable-diffusion-1.5": 1200, "midjourney": 592, "attngan": 300, "glide": 300, "stable-diffusion-xl-2.2": 300, "dall-e-2": 290,
    }  # fmt: skip
    assert counted["settings"] == {"normal": 1786, "lowstep": 596, "highcorr": 300, "lowcorr": 300}
    assert (counted["labelled"], counted["unlabelled"]) == ({"quality": 2982, "alignment": 2982}, 0)
    assert counted["images_per_prompt"] == [7, 10, 10], "number 238 lacks two of midjourney and one of DALLE2"
    rows = {
        ("quality", ""): (0.000000, 4.488741, 2.500417, 0.997908, 2.734387),
        ("quality", "rater_std"): (0.108312, 1.452293, 0.599657, 0.213276, 0.579197),
        ("alignment", ""): (0.021462, 4.286204, 2.500000, 0.998993, 2.798535),
        ("alignment", "rater_std"): (0.108741, 1.933532, 0.741069, 0.271152, 0.706402),
    }
    for (dimension, of), published in rows.items():
        found = result["dimensions"][dimension][of] if of else result["dimensions"][dimension]
        fields = ("min", "max", "mean", "std", "median")
        assert all(close(found[field], value) for field, value in zip(fields, published, strict=True))
        assert found["n"] == 2982
    correlation = pair(result, "quality", "alignment")
    assert close(correlation["plcc"], 0.8141, 4)
    assert close(correlation["srcc"], 0.7419, 4)
    assert result["dimensions"]["quality"]["range"] == [0, 5]


PREFIXES = {
    ("attngan", "normal"): (300, 0.986, 0.719),
    ("dall-e-2", "normal"): (290, 2.624, 2.865),
    ("glide", "normal"): (300, 1.092, 1.229),
    ("midjourney", "lowstep"): (296, 2.387, 2.815),
    ("midjourney", "normal"): (296, 3.626, 3.310),
    ("stable-diffusion-1.5", "highcorr"): (300, 2.740, 2.749),
    ("stable-diffusion-1.5", "lowcorr"): (300, 2.683, 2.673),
    ("stable-diffusion-1.5", "lowstep"): (300, 2.758, 2.778),
    ("stable-diffusion-1.5", "normal"): (300, 2.827, 2.819),
    ("stable-diffusion-xl-2.2", "normal"): (300, 3.298, 3.070),
}


def test_agiqa3k_equals_its_report_by_generator_and_setting(told: dict[str, dict[str, Any]]) -> None:
    result = told["agiqa3k"]
    assert result["by"] == ["generator", "setting"]
    assert [tuple(one["key"].values()) for one in result["groups"]] == sorted(PREFIXES)
    for key, (images, quality, alignment) in PREFIXES.items():
        found = group(result, *key)
        assert found["images"] == images
        assert close(found["dimensions"]["quality"]["mean"], quality, 3)
        assert close(found["dimensions"]["alignment"]["mean"], alignment, 3)


def test_agiqa1k_equals_its_report_without_the_second_label_of_one_image(told: dict[str, dict[str, Any]]) -> None:
    """Section 4.1 counts 1,080 rows; the image that is labelled twice is one of the index, with its first score."""
    result = told["agiqa1k"]
    found = result["dimensions"]["quality"]
    assert found["n"] == 1079
    assert close(found["mean"], (1080 * 2.500893 - 2.084115711537598) / 1079)
    assert (found["min"], found["max"]) == (0, 5)
    deepai = group(result, "stable-diffusion-2.0")["dimensions"]["quality"]
    published = (2.9321, 0.5506, 1.0793, 5.0)
    assert all(close(deepai[field], value, 4) for field, value in zip(FIELDS, published, strict=True))
    assert deepai["n"] == 720
    assert close(group(result, "stable-inpainting-1.0")["dimensions"]["quality"]["max"], 3.4125, 4)
    assert result["counts"]["flags"]["duplicate-label"] == 1


def test_aigciqa2023_equals_its_report(told: dict[str, dict[str, Any]]) -> None:
    """Section 4.1. The deviations are on the scale of the ratings, not on 0-100."""
    result = told["aigciqa2023"]
    rows = {
        "quality": ((49.922704, 9.316361, 26.627285, 72.110398), (1.063918, 0.215959, 0.392953, 1.669384)),
        "authenticity": ((49.766913, 8.058066, 28.417939, 73.719142), (1.103281, 0.213333, 0.427793, 1.669384)),
        "alignment": ((49.867873, 8.293609, 27.692581, 72.393066), (1.119692, 0.203523, 0.485071, 1.762176)),
    }
    for dimension, (mos, raw) in rows.items():
        found = result["dimensions"][dimension]
        assert all(close(found[field], value) for field, value in zip(FIELDS, mos, strict=True))
        deviations = found["raw_rater_std"]
        assert all(close(deviations[field], value) for field, value in zip(FIELDS, raw, strict=True))
        assert found["rater_std"] is None
        assert found["range"] == [0, 100]
        assert close(found["unit"]["mean"], mos[0] / 100)
    for a, b, plcc, srcc in (
        ("quality", "authenticity", 0.8614, 0.8623),
        ("quality", "alignment", 0.7074, 0.7011),
        ("authenticity", "alignment", 0.7637, 0.7548),
    ):
        found = pair(result, a, b)
        assert close(found["plcc"], plcc, 4)
        assert close(found["srcc"], srcc, 4)
    means = {
        "controlnet": (56.02, 53.02, 52.31), "dall-e": (57.48, 55.87, 55.69), "glide": (40.67, 45.52, 44.95),
        "lafite": (41.12, 42.17, 44.52), "stable-diffusion": (54.21, 52.71, 51.87), "unidiffuser": (50.02, 49.31, 49.86),
    }  # fmt: skip
    for generator, published in means.items():
        found = group(result, generator)["dimensions"]
        names = ("quality", "authenticity", "alignment")
        assert all(close(found[name]["mean"], value, 2) for name, value in zip(names, published, strict=True))


def test_pku_i2iqa_equals_its_report(told: dict[str, dict[str, Any]]) -> None:
    result = told["pku-i2iqa"]
    rows = {
        "quality": (3.127252, 0.553821, 0.6988, 4.6180),
        "authenticity": (2.687676, 0.710478, 0.4411, 4.8100),
        "alignment": (3.563941, 0.649602, 0.6760, 4.9844),
    }
    for dimension, published in rows.items():
        found = result["dimensions"][dimension]
        assert all(close(found[field], value) for field, value in zip(FIELDS, published, strict=True))
    by_generator = {
        "stable-diffusion-1.5": (2.979465, 0.565415, 2.671900, 0.737177, 3.552885, 0.596204),
        "midjourney": (3.275039, 0.500388, 2.703452, 0.682835, 3.574996, 0.699134),
    }
    for generator, published in by_generator.items():
        dimensions = group(result, generator)["dimensions"]
        found = [dimensions[name][field] for name in rows for field in ("mean", "std")]
        assert all(close(one, value) for one, value in zip(found, published, strict=True))
    for a, b, plcc in (
        ("quality", "authenticity", 0.837),
        ("quality", "alignment", 0.604),
        ("authenticity", "alignment", 0.526),
    ):
        assert close(pair(result, a, b)["plcc"], plcc, 3)
    assert (result["counts"]["prompts"], result["counts"]["references"]) == (199, None), "no names of references here"


def test_pku_aigiqa_4k_equals_its_report(told: dict[str, dict[str, Any]]) -> None:
    result = told["pku-aigiqa-4k"]
    rows = {
        "quality": (3.138038, 0.611280, 0.9713, 2.7200, 3.28710, 3.611250, 4.1730),
        "authenticity": (2.782868, 0.664373, 0.5643, 2.3175, 2.84000, 3.310350, 4.1775),
        "alignment": (3.641112, 0.524932, 1.2367, 3.3400, 3.84930, 4.025700, 4.4000),
    }
    for dimension, published in rows.items():
        found = result["dimensions"][dimension]
        fields = ("mean", "std", "min", "q1", "median", "q3", "max")
        assert all(close(found[field], value) for field, value in zip(fields, published, strict=True))
    for a, b, srcc in (
        ("quality", "authenticity", 0.872),
        ("quality", "alignment", 0.777),
        ("authenticity", "alignment", 0.661),
    ):
        assert close(pair(result, a, b)["srcc"], srcc, 3)


def test_aigiqa20k_equals_its_report(told: dict[str, dict[str, Any]]) -> None:
    result = told["aigiqa20k"]
    found = result["dimensions"]["overall"]
    published = (3.863854, 0.710338, 3.555858, 4.023369, 4.367305, 0.122290, 4.981356)
    fields = ("mean", "std", "q1", "median", "q3", "min", "max")
    assert all(close(found[field], value) for field, value in zip(fields, published, strict=True))
    bins = [sum(found["histogram"]["counts"][start : start + 4]) for start in range(0, 20, 4)]
    assert bins == [42, 384, 1_014, 5_340, 7_220]
    assert found["histogram"]["edges"][::4] == [0, 1, 2, 3, 4, 5]
    assert found["skewness"] < -1, "strongly left-skewed"
    assert (result["counts"]["splits"], result["counts"]["unlabelled"]) == ({"train": 14_000, "val": 2_000}, 2_000)
    for generator, mean, std in (("dall-e-3", 4.499114, 0.247792), ("lcm-stable-diffusion-xl", 2.438979, 0.977627)):
        one = group(result, generator)["dimensions"]["overall"]
        assert close(one["mean"], mean)
        assert close(one["std"], std)


def test_every_column_of_moments_is_what_pandas_says(home: Command, told: dict[str, dict[str, Any]]) -> None:
    frame = pd.read_csv(home.root / "agiqa3k" / "index.csv", keep_default_na=False)
    for (generator, setting), rows in frame.groupby(["generator", "setting"]):
        found = group(told["agiqa3k"], str(generator), str(setting))["dimensions"]["quality"]
        described = rows["mos_quality"].describe()
        names = {"mean": "mean", "std": "std", "min": "min", "q1": "25%", "median": "50%", "q3": "75%", "max": "max"}
        assert all(found[ours] == pytest.approx(described[theirs], rel=1e-12) for ours, theirs in names.items())
        assert found["skewness"] == pytest.approx(rows["mos_quality"].skew(), rel=1e-9)
        assert found["unit"]["q3"] == pytest.approx(rows["score_quality"].quantile(0.75), rel=1e-12)
        assert sum(found["histogram"]["counts"]) == len(rows)


# --- which images, which groups ------------------------------------------------------------------------------------


def test_where_and_split_leave_what_export_leaves(demo: Command) -> None:
    words = ["--split", "authors:test", "--where", "generator = 'synthetic-atlas'"]
    exported = demo("export", "demo", *words, "--columns", "mos_quality", code=0).out.splitlines()[1:]
    (one,) = demo("stats", "demo", *words, "--by", "", "--json", code=0).json()["data"]
    result = one["result"]
    assert (result["where"], result["split"], result["by"], result["groups"]) == (words[3], words[1], [], [])
    assert result["counts"]["images"] == len(exported)
    assert result["dimensions"]["quality"]["mean"] == pytest.approx(np.mean([float(text) for text in exported]))
    assert result["counts"]["splits"] == {"test": len(exported)}


@pytest.mark.parametrize("by", ["split", "task", "prompt", "extra.category"])
def test_groups_are_all_images_once(demo: Command, by: str) -> None:
    (one,) = demo("stats", "demo", "--split", "authors", "--by", by, "--json", code=0).json()["data"]
    groups = one["result"]["groups"]
    assert sum(found["images"] for found in groups) == one["result"]["counts"]["images"] == 60
    assert {"split": 2, "task": 2, "prompt": 14}.get(by, len(groups)) == len(groups) > 1


def test_what_cannot_be_done_is_said(demo: Command) -> None:
    assert "generator, setting" in demo("stats", "--by", "colour", code=2).err
    assert "no image of demo is left" in demo("stats", "demo", "--where", "mos_quality > 99", code=2).err
    done = demo("stats", "--where", "colour = 1", "--json", code=2).json()
    assert (done["data"], "no such column: colour" in done["error"]["message"]) == (None, True), "once, not for each"
    assert "aigiqa fetch agiqa3k" in demo("stats", "agiqa3k", code=2).err
    assert "authors" in demo("stats", "demo", "--split", "nosuch", code=2).err


def test_reading_only(demo: Command) -> None:
    before = sorted(demo.home.rglob("*")), sorted(demo.work.iterdir())
    demo("stats", code=0)
    assert (sorted(demo.home.rglob("*")), sorted(demo.work.iterdir())) == before


# --- streams -------------------------------------------------------------------------------------------------------


def test_records_in_a_pipe_are_the_numbers_of_the_json(demo: Command) -> None:
    lines = [dict(zip(RECORD, line.split("\t"), strict=True)) for line in demo("stats", code=0).out.splitlines()]
    (one,) = demo("stats", "--json", code=0).json()["data"]
    result = one["result"]
    assert [(line["by"], line["key"], line["dimension"]) for line in lines[:3]] == [
        ("", "", "quality"), ("", "", "alignment"), ("generator", "synthetic-atlas", "quality"),
    ]  # fmt: skip
    wholes = {"": result["dimensions"]} | {found["key"]["generator"]: found["dimensions"] for found in result["groups"]}
    assert len(lines) == 2 * len(wholes)
    for line in lines:
        found = wholes[line["key"]][line["dimension"]]
        assert [line[name] for name in RECORD[5:14]] == [repr(found[name]) for name in RECORD[5:14]]
        assert float(line["rater_std"]) == found["rater_std"]["mean"]
        assert (float(line["low"]), float(line["high"])) == (0, 5)


@pytest.mark.parametrize("columns", [40, 80, 140])
def test_at_a_terminal_nothing_is_cut(demo: Command, columns: int) -> None:
    seen = at_terminal(demo, "stats", COLUMNS=str(columns), NO_COLOR="1")
    text = re.sub(r"\x1b\[[0-9;]*m", "", seen).replace("\r", "")
    assert "…" not in text
    assert columns < 80 or max(map(len, text.splitlines())) <= columns
    flat = "".join(text.split())
    for needed in ("demo60images", "synthetic-atlas15", "quality60", "128x9660", "SRCC0.719", "3.337", "▁"):
        assert needed in flat, needed


def test_U05_bars_at_a_terminal_of_another_encoding(demo: Command) -> None:
    seen = at_terminal(demo, "stats", "--by", "", NO_COLOR="1", PYTHONIOENCODING="ascii", COLUMNS="120")
    assert "\\u258" not in seen
    assert re.search(r"0-5\b.* [.:=#-]+[.:=# -]+", seen)


def test_at_a_terminal_several_databases_stand_side_by_side(home: Command) -> None:
    seen = at_terminal(home, "stats", "agiqa3k", "aigciqa2023", COLUMNS="140", NO_COLOR="1")
    side = re.sub(r"\x1b\[[0-9;]*m", "", seen).partition("side by side")[2]
    assert re.search(r"agiqa3k +quality +2,982 +0\.500 ██████ ", side)
    assert re.search(
        r"aigciqa2023 +authenticity +2,400 +0\.498 █████▉|aigciqa2023 +authenticity +2,400 +0\.498 ██████", side
    )
    assert "std between raters on the scale of their ratings: quality\u00a01.064" in seen


# --- figures -------------------------------------------------------------------------------------------------------


def test_a_figure_has_the_same_bytes_in_each_process_and_leaves_no_trace(demo: Command) -> None:
    home = sorted(demo.home.rglob("*"))
    assert "figure: first.svg" in demo("stats", "demo", "--plot", "first.svg", code=0).err
    (one,) = demo("stats", "demo", "--plot", "second.svg", "--json", code=0).json()["data"]
    assert one["result"]["plot"] == str(demo.work / "second.svg")
    assert sorted(path.name for path in demo.work.iterdir()) == ["first.svg", "second.svg"]
    assert (demo.work / "first.svg").read_bytes() == (demo.work / "second.svg").read_bytes()
    assert sorted(demo.home.rglob("*")) == home


def described(run: Command, **more: Any) -> Statistics:
    context = Context(Root(run.root), Catalogue({}), {}, Silent())
    return stats(context, "demo", **more)


@pytest.mark.parametrize(("form", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_figure_has_no_date_and_the_same_bytes_twice(demo: Command, tmp_path: Path, form: str, start: bytes) -> None:
    found = [
        described(demo, by=["generator"]),
        described(demo, where="mos_quality > 99 OR prompt LIKE '%snow%'", by=["prompt"]),
    ]
    for name in ("first", "second"):
        plot(found, tmp_path / f"{name}.{form}")
    data = (tmp_path / f"first.{form}").read_bytes()
    assert data == (tmp_path / f"second.{form}").read_bytes()
    assert data.startswith(start)
    assert not re.search(rb"CreationDate|dc:date|20\d\d-\d\d-\d\dT|[Mm]atplotlib v", data)
    if form == "svg":
        assert b"usetex" not in data
        texts = re.findall(rb"<!-- (.*?) -->", data)
        assert {b"demo   60 images", b"synthetic-atlas", b"quality and alignment   SRCC 0.719, PLCC 0.409"} <= set(
            texts
        )


def test_a_figure_of_what_has_no_score_or_few_images(demo: Command) -> None:
    from PIL import Image

    demo(
        "stats",
        "demo",
        "--by",
        "prompt",
        "--where",
        "prompt LIKE '%$%' OR mos_quality > 4.5",
        "--plot",
        "few.png",
        code=0,
    )
    Image.open(demo.work / "few.png").verify()


def test_a_figure_is_asked_for_before_anything_is_computed(demo: Command) -> None:
    done = demo("stats", "nosuch", "--plot", "scores.jpg", code=2)
    assert ".png, .svg, .pdf" in done.err
    assert "folder that does not exist" in demo("stats", "--plot", "no/scores.png", code=2).err
    assert not list(demo.work.iterdir())


def test_without_matplotlib_the_line_that_installs_it_is_told(demo: Command, tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util as u\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'matplotlib' else found(name, *a)\n"
        "from aigiqa_cli.cli.main import run\n"
        "run()\n"
    )
    command = [sys.executable, "-c", code, "stats", "demo", "--plot", "x.png", "--json"]
    done = subprocess.run(command, env=demo.environment, cwd=demo.work, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    error = json.loads(done.stdout)["error"]
    assert (error["kind"], error["hint"]) == ("person", "pip install 'aigiqa[plot]'")
    assert not list(demo.work.iterdir())


# --- the numbers ---------------------------------------------------------------------------------------------------

numbers = st.lists(st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3)), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(numbers)
def test_summary_is_that_of_pandas(values: list[float]) -> None:
    found, series = summary(np.array(values)), pd.Series(values)
    assert found is not None
    assert (found.n, found.min, found.max) == (len(values), min(values), max(values))
    assert found.min <= found.q1 <= found.median <= found.q3 <= found.max
    assert found.mean == pytest.approx(series.mean(), rel=1e-9, abs=1e-9)
    assert [found.q1, found.median, found.q3] == pytest.approx(list(series.quantile([0.25, 0.5, 0.75])), abs=1e-9)
    if len(values) > 1:
        assert found.std == pytest.approx(series.std(), rel=1e-9, abs=1e-9)
    else:
        assert found.std is None
    if len(values) > 2 and max(values) - min(values) > 1:
        assert found.skewness == pytest.approx(series.skew(), rel=1e-6, abs=1e-6)
    if len(set(values)) == 1 or len(values) < 3:
        assert found.skewness is None


def test_summary_of_nothing_is_none() -> None:
    assert summary(np.array([])) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=50))
def test_histogram_is_that_of_numpy(values: list[float]) -> None:
    found = histogram(np.array(values), 0, 5)
    theirs, edges = np.histogram(values, bins=BINS, range=(0, 5))
    assert list(found.counts) == list(theirs)
    assert list(found.edges) == list(edges)


def test_histogram_loses_no_value() -> None:
    assert histogram(np.array([-1.0, 0.0, 5.0, 9.0]), 0, 5).counts[:: BINS - 1] == (2, 2)
    assert histogram(np.array([3.0, 3.0]), 3, 3).counts[0] == 2


def row(**fields: str) -> dict[str, str]:
    return dict.fromkeys(COLUMNS, "") | {"database": "someset", "image_id": "a.png"} | fields


def test_counts_by_hand() -> None:
    rows = [
        row(task="t2i", prompt_id="p", generator="glide", flags="renamed;duplicate-image", mos_quality="1", image_path="x", width="4", height="2", bytes="10", format="png"),
        row(task="i2i", prompt_id="p", generator="glide", setting="normal", reference_path="r", flags="renamed"),
        row(task="i2i", prompt_id="q", generator="attngan", reference_path="r", mos_overall="2"),
        row(task="t2i"),
    ]  # fmt: skip
    found = counts(rows)
    assert (found.images, found.files, found.prompts, found.references, found.unlabelled, found.bytes) == (
        4,
        1,
        2,
        1,
        2,
        10,
    )
    assert found.images_per_prompt == (1, 1.5, 2)
    assert list(found.generators.items()) == [("glide", 2), ("attngan", 1)]
    assert found.flags == {"renamed": 2, "duplicate-image": 1}
    assert (found.sizes, found.formats, found.settings) == ({"4x2": 1}, {"png": 1}, {"normal": 1})
    assert found.labelled == {"quality": 1, "overall": 1}
    assert counts([row(task="i2i")]).references is None


def test_the_scale_is_the_declared_one_that_gives_the_unit_scores() -> None:
    from decimal import Decimal

    rows = [row(mos_quality="3", score_quality="0.500000"), row(mos_quality="5", score_quality="1.000000")]
    declared = {"quality": [(Decimal(0), Decimal(5)), (Decimal(1), Decimal(5))]}
    assert scores_of(rows, declared)["quality"].range == (1, 5)
    assert scores_of(rows, {})["quality"].range is None
    with pytest.raises(IntegrityFault, match=r"mos_quality of a\.png"):
        scores_of([row(mos_quality="three")], declared)


def test_bars() -> None:
    assert bar(0.5, 10) == "█████     "
    assert bar(0.55, 10) == "█████▌    "
    assert (bar(-1, 4), bar(0, 4), bar(1, 4), bar(9, 4)) == ("    ", "    ", "████", "████")
    assert skyline([0, 1, 50, 100], 4) == " ▁▄█"
    assert skyline([1] * 20, 10) == "██████████"
    assert len(skyline(list(range(20)), 7)) <= 7
    assert skyline([], 5) == ""
