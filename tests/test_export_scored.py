"""Exports for training code: read as the code of their users reads them, and against files that it has published."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from conftest import Command

from aigiqa_cli.errors import UsageFault
from aigiqa_cli.exports import FORMATS, Wanted, export
from aigiqa_cli.exports.conversations import level
from aigiqa_cli.exports.wanted import usable
from aigiqa_cli.index import COLUMNS


def image(name: str, mos: str, prompt: str = "a red square", **more: str) -> dict[str, str]:
    row = dict.fromkeys(COLUMNS, "") | {
        "database": "someset",
        "image_id": name,
        "image_path": f"someset/images/{name}",
        "prompt": prompt,
        "prompt_id": prompt.replace(" ", "")[:12],
        "mos_quality": mos,
        "std_quality": "0.5" if mos else "",
        "score_quality": str(Decimal(mos) / 5) if mos else "",
    }
    return row | more


def written(rows: list[dict[str, str]], name: str, **more: object) -> str:
    wanted = Wanted(**({"dimension": "quality"} | more))  # type: ignore[arg-type]
    target = io.BytesIO()
    export(usable(rows, FORMATS[name].lacks(wanted), Counter()), wanted, name, target)
    return target.getvalue().decode()


ROWS = [
    image("a.png", "1.250", split="train"),
    image("b.png", "", split="train"),
    image("c.jpg", "4.75", "two, blue", split="test", reference_path="someset/references/r.png"),
    image("d.jpg", "3.0", 'a "sign"', split="val", image_path=""),
]


# --- pyiqa -----------------------------------------------------------------------------------------------------


def read_by_pyiqa(
    text: str, root: str, *, phase: str = "", split_index: str = "", full: bool = False
) -> list[list[object]]:
    """pyiqa/data/{base_iqa,general_nr,general_fr}_dataset.py, followed step by step: pyiqa itself needs torch."""
    meta_info = pd.read_csv(io.StringIO(text))
    paths_mos: list[list[object]] = []
    for row in meta_info.to_numpy():
        names = [f"{root}/{row[0]}", f"{root}/{row[1]}"] if full else [f"{root}/{row[0]}"]
        paths_mos.append([*names, float(row[2 if full else 1])])
    if split_index:
        assert split_index in [name for name in meta_info.columns.tolist() if "split" in name]
        paths_mos = [one for place, one in enumerate(paths_mos) if meta_info[split_index][place] == phase]
    return paths_mos


def test_pyiqa_reads_names_and_scores_and_the_split() -> None:
    text = written(ROWS, "pyiqa")
    assert text == (
        "img_name,mos,std,split\nsomeset/images/a.png,1.250,0.5,train\nsomeset/images/c.jpg,4.75,0.5,test\n"
    )
    assert read_by_pyiqa(text, "/r") == [["/r/someset/images/a.png", 1.25], ["/r/someset/images/c.jpg", 4.75]]
    assert read_by_pyiqa(text, "/r", phase="test", split_index="split") == [["/r/someset/images/c.jpg", 4.75]]
    assert read_by_pyiqa(written(ROWS, "pyiqa", scale="unit"), "")[0][1] == 0.25
    assert "std" in written(ROWS, "pyiqa", scale="unit").splitlines()[0]


def test_pyiqa_fr_reads_reference_and_image() -> None:
    found = read_by_pyiqa(written(ROWS, "pyiqa-fr"), "/r", full=True)
    assert found == [["/r/someset/references/r.png", "/r/someset/images/c.jpg", 4.75]]


# --- conversations ----------------------------------------------------------------------------------------------

# Q-Align, equation 1, on 0..1: level i for scores above (i-1)/5 and up to i/5.
LEVELS = [
    ("0.000000", "bad"), ("0.2", "bad"), ("0.200001", "poor"), ("0.4", "poor"), ("0.400001", "fair"), ("0.6", "fair"),
    ("0.600001", "good"), ("0.8", "good"), ("0.800001", "excellent"), ("1.000000", "excellent"), ("1.01", "excellent"),
    ("-0.01", "bad"),
]  # fmt: skip


@pytest.mark.parametrize(("score", "word"), LEVELS)
def test_five_words_at_equal_distances(score: str, word: str) -> None:
    assert level(score) == word


def test_llava_has_the_documented_shape() -> None:
    assert json.loads(written(ROWS, "llava")) == [
        {
            "id": f"someset/{name}",
            "image": f"someset/images/{name}",
            "conversations": [
                {"from": "human", "value": "<image>\nHow would you rate the quality of this image?"},
                {"from": "gpt", "value": f"The quality of the image is {word}."},
            ],
        }
        for name, word in (("a.png", "poor"), ("c.jpg", "excellent"))
    ]


def test_q_align_has_the_shape_of_its_training_files() -> None:
    """As playground/data/training_sft/train_koniq_20percent.json begins."""
    assert json.loads(written(ROWS[:1], "q-align")) == [
        {
            "id": "a.png->1.250",
            "image": "someset/images/a.png",
            "conversations": [
                {"from": "human", "value": "How would you rate the quality of this image?\n<|image|>"},
                {"from": "gpt", "value": "The quality of the image is poor."},
            ],
        }
    ]


def test_the_prompt_stands_in_the_question_where_the_answer_depends_on_it() -> None:
    row = image("a.png", "1", "{prompt} {}", mos_alignment="5", score_alignment="1")
    for name in ("llava", "q-align"):
        said = json.loads(written([row], name, dimension="alignment"))[0]["conversations"]
        assert "“{prompt} {}”" in said[0]["value"]
        assert said[1]["value"] == "The alignment of the image with the prompt is excellent."


# --- pairs --------------------------------------------------------------------------------------------------------


def preferred(text: str) -> set[tuple[str, str, str]]:
    """(better, worse, difference) of every pair."""
    found = set()
    for row in csv.DictReader(io.StringIO(text, newline="")):
        better, worse = (
            (row["image_a"], row["image_b"]) if row["preferred"] == "a" else (row["image_b"], row["image_a"])
        )
        found.add((better, worse, row["difference"].lstrip("-")))
        assert Decimal(row["difference"]) == Decimal(row["score_a"]) - Decimal(row["score_b"])
        assert row["preferred"] == ("a" if Decimal(row["score_a"]) > Decimal(row["score_b"]) else "b")
    return found


CROWD = [
    image("a", "1.0"), image("b", "1.5"), image("c", "3.0"), image("d", "3.0"), image("e", "5.0", "another prompt"),
    image("f", "2.0", reference_path="someset/references/r.png"), image("g", "1.0", "another prompt", database="other"),
    image("h", ""), image("i", "2.0", "", prompt_id=""),
]  # fmt: skip


def test_pairs_are_of_one_prompt_one_reference_and_one_database_and_never_tied() -> None:
    wanted = {("b", "a", "0.5"), ("c", "a", "2.0"), ("d", "a", "2.0"), ("c", "b", "1.5"), ("d", "b", "1.5")}
    assert preferred(written(CROWD, "pairs")) == wanted
    assert preferred(written(CROWD[::-1], "pairs")) == wanted


def test_the_margin_is_exceeded_not_reached() -> None:
    assert {one[:2] for one in preferred(written(CROWD, "pairs", margin=1.5))} == {("c", "a"), ("d", "a")}
    assert {one[:2] for one in preferred(written(CROWD, "pairs", margin=0.3, scale="unit"))} == {("c", "a"), ("d", "a")}


def test_neither_place_is_favoured_and_a_pair_is_always_the_same_way_round() -> None:
    many = [image(f"{place:03}.png", f"{place}") for place in range(60)]  # every later one is better
    text = written(many, "pairs")
    shares = Counter(row["preferred"] for row in csv.DictReader(io.StringIO(text, newline="")))
    assert shares.total() == 60 * 59 // 2
    assert 0.45 < shares["a"] / shares.total() < 0.55
    assert sorted(text.splitlines()) == sorted(written(many[::-1], "pairs").splitlines())


def test_pairs_as_jsonl_are_the_same(tmp_path: Path) -> None:
    for name in ("pairs", "pairs-jsonl"):
        (tmp_path / f"{name}.{'csv' if name == 'pairs' else 'jsonl'}").write_text(written(CROWD, name))
    columns = "image_a, image_b, path_a, score_a::DOUBLE, difference::DOUBLE, preferred, prompt"
    by_csv = duckdb.sql(f"SELECT {columns} FROM read_csv('{tmp_path}/pairs.csv')").fetchall()
    assert by_csv == duckdb.sql(f"SELECT {columns} FROM read_json('{tmp_path}/pairs-jsonl.jsonl')").fetchall()
    assert len(by_csv) == 5


# --- what published code reads ---------------------------------------------------------------------------------------


def read_by_cmim(text: str, mos_type: str) -> list[tuple[str, str, float]]:
    """ImageDataset.py of Buka-Xing/CMIM-AIGIQA, AGIQA3kDataset_pyiqa: (name, prompt, MOS)."""
    data = pd.read_csv(io.StringIO(text), sep=",", header=None).iloc[1:]
    place = {"quality": 5, "consis": 7}[mos_type]
    return [(data.iloc[n, 0], data.iloc[n, 1], float(data.iloc[n, place])) for n in range(len(data.index))]


def read_by_amff_net(text: str, *, is_aigc2013: bool) -> list[tuple[str, float, float, float, str]]:
    """ImageDataset4.py of TanSongBai/AMFF-Net: (path, quality, authenticity, alignment, prompt)."""
    found = []
    for line in [line.strip() for line in io.StringIO(text).readlines()]:
        cells = line.split("\t")
        if is_aigc2013:
            found.append((cells[0], float(cells[1]), 0.0, float(cells[2]), cells[3]))
        else:
            found.append((cells[0], float(cells[1]), float(cells[2]), float(cells[3]), cells[4]))
    return found


def test_name_prompt_mos_is_read_by_ma_agiqa_m3_agiqa_and_cmim() -> None:
    for name in ("ma-agiqa", "m3-agiqa"):
        text = written(ROWS, name)
        frame = pd.read_csv(io.StringIO(text))
        assert frame["name"].tolist() == ["a.png", "c.jpg", "d.jpg"]  # an image that is not here has a label
        assert frame["mos"].tolist() == [1.25, 4.75, 3.0]
        assert frame["prompt"].tolist() == ["a red square", "two, blue", 'a "sign"']
        by_place = pd.read_csv(io.StringIO(text), sep=",", header=None).iloc[1:]  # CMIM's AGIQA1kDataset_pyiqa
        assert float(by_place.iloc[1, 2]) == 4.75


def test_amff_net_reads_two_and_three_scores_and_any_prompt() -> None:
    both = {"mos_alignment": "2.5"}
    rows = [image("a.png", "1", "tab\there\nand  there", **both), image("b.png", "2", "", **both), image("c.png", "3")]
    assert read_by_amff_net(written(rows, "amff-net"), is_aigc2013=True) == [
        ("images/a.png", 1.0, 0.0, 2.5, "tab here and there")
    ]
    rows = [{**row, "mos_authenticity": "4.5"} for row in rows[:1]]
    text = written(rows, "amff-net")
    assert read_by_amff_net(text, is_aigc2013=False) == [("images/a.png", 1.0, 4.5, 2.5, "tab here and there")]
    with pytest.raises(UsageFault, match="one shape"):
        written([*rows, image("b.png", "2", **both)], "amff-net")


def valued(row: list[str]) -> list[object]:
    return [*row[:5], *map(float, row[5:])]


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, Path]:
    return {
        "cmim": shared / "data/split-files/cmim/agiqa3k/1-train.csv",
        "ipce": shared / "data/split-files/ipce/agiqa3k/1-val.csv",
        "ma-agiqa": shared / "data/agiqa3k/splits/ma-agiqa/train.csv",
        "amff-net": shared / "data/split-files/amff-net/agiqa3k/1-test.txt",
    }


def test_the_tables_are_those_that_the_code_bases_have_published(
    run: Command, shared: Path, published: dict[str, Path]
) -> None:
    """CMIM, IPCE and MA-AGIQA ship the nine columns, AMFF-Net its lines; the labels alone are enough to make them."""
    run("import", "agiqa3k", shared / "data" / "agiqa3k" / "data.csv", code=0)
    ours = run("export", "agiqa3k", "-f", "cmim", code=0).out
    lines = {row[0]: row for row in csv.reader(io.StringIO(ours, newline=""))}
    for name in ("cmim", "ipce", "ma-agiqa"):
        with open(published[name], newline="", encoding="utf-8") as stream:
            theirs = list(csv.reader(stream))
        assert len(theirs) > 500
        assert lines["name"] == theirs[0]
        # some of these copies write the published 0 as 0.0
        assert [valued(lines[row[0]]) for row in theirs[1:]] == [valued(row) for row in theirs[1:]]
    assert {one[0]: one[2] for one in read_by_cmim(ours, "consis")}["AttnGAN_normal_000.jpg"] == 0.40889324

    text = run("export", "agiqa3k", "-f", "amff-net", code=0).out
    by_name = {Path(one[0]).name: one[1:] for one in read_by_amff_net(text, is_aigc2013=True)}
    theirs = read_by_amff_net(published["amff-net"].read_text(), is_aigc2013=True)
    assert len(theirs) > 500
    assert [by_name[Path(one[0]).name] for one in theirs] == [one[1:] for one in theirs]
