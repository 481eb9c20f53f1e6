"""Reading predictions: every format and naming scheme means the same numbers; what is not plain is refused by line."""

from __future__ import annotations

import csv
import io
import json
import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigiqa_cli.errors import RefusedInput, UsageFault
from aigiqa_cli.index import COLUMNS
from aigiqa_cli.partitions import Names
from aigiqa_cli.predictions import Wishes, read, take

ALIASES = {"cat_001.png": ("Glide/001-1.png", "Glide001-1.png"), "0.png": ("Lafite/000-0.png",)}
IMAGES = ("sd1.5_normal_007.jpg", "cat_001.png", "0.png", "1.png", "2.png")


def row(image: str) -> dict[str, str]:
    extra = json.dumps({"aliases": ALIASES[image]}) if image in ALIASES else ""
    return dict.fromkeys(COLUMNS, "") | {"database": "someset", "image_id": image, "extra": extra}


NAMES = Names([row(image) for image in IMAGES])
SCORES = {image: 0.5 + number for number, image in enumerate(IMAGES)}


def is_image(text: str) -> bool:
    return NAMES.find(text) is not None and not text.strip().isdigit()


def taken(data: bytes | str, wishes: Wishes | None = None):
    data = data.encode() if isinstance(data, str) else data
    return take(read(io.BytesIO(data), "p.csv", is_image), NAMES, wishes)


def csv_of(rows, delimiter=","):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


LINES = [("image", "m"), *((image, str(score)) for image, score in SCORES.items())]
OBJECTS = [{"m": score, "image": image} for image, score in SCORES.items()]


def parquet(frame: pd.DataFrame, **more) -> bytes:
    target = io.BytesIO()
    frame.to_parquet(target, **more)
    return target.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        csv_of(LINES),
        csv_of(LINES).replace("\r\n", "\n"),
        "\ufeff" + csv_of(LINES),
        csv_of(LINES, "\t"),
        csv_of(LINES, ";"),
        '"image";"m"\n' + "".join(f'"{image}";{score}\n' for image, score in SCORES.items()),
        csv_of(LINES) + "\r\n\r\n",
        csv_of([(b, a) for a, b in LINES]),
        json.dumps(OBJECTS),
        "".join(json.dumps(one) + "\n" for one in OBJECTS),
        "".join(json.dumps(one) + "\r\n\r\n" for one in OBJECTS),
        json.dumps(OBJECTS, indent=2),
        parquet(pd.DataFrame(OBJECTS)),
        parquet(pd.DataFrame(OBJECTS).set_index("image")),
        parquet(pd.DataFrame(OBJECTS).astype({"image": "category"})),
        pd.DataFrame(OBJECTS).to_csv(),  # with the numbers of the rows as a column without a name
    ],
    ids=[
        "csv",
        "lf",
        "bom",
        "tsv",
        "semicolons",
        "R",
        "blank lines",
        "swapped",
        "json",
        "jsonl",
        "jsonl with blank lines",
        "indented",
        "parquet",
        "index",
        "category",
        "pandas",
    ],
)
def test_every_format_says_the_same(data):
    found = taken(data)
    assert found.image_column == "image"
    assert found.models == ("m",)
    assert found.scores["m"] == SCORES


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    ("content", "column"),
    [(SCORES, "score"), ({image: {"m": score} for image, score in SCORES.items()}, "m")],
    ids=["scores", "objects"],
)
def test_an_object_whose_keys_are_the_images(content, column, indent):
    found = taken(json.dumps(content, indent=indent))
    assert (found.image_column, found.models) == ("name", (column,))
    assert found.scores[column] == SCORES


def test_a_line_alone_is_an_object_with_its_image():
    assert taken('{"image": "0.png", "m": 1.5}\n').scores == {"m": {"0.png": 1.5}}
    assert taken('{"0.png": 1.5}').scores == {"score": {"0.png": 1.5}}


@pytest.mark.parametrize("value", ["NaN", "-Infinity", '"failed"', "[1]", "true", "1e999"])
@pytest.mark.parametrize(
    ("form", "place"),
    [
        ('[{{"image": "0.png", "m": 1}}, {{"image": "1.png", "m": 2}}, {{"image": "2.png", "m": {}}}]', "p.csv:3"),
        ('{{"image": "0.png", "m": 1}}\n{{"image": "1.png", "m": 2}}\n\n{{"image": "2.png", "m": {}}}\n', "p.csv:4"),
        ('{{"0.png": 1, "1.png": 2, "2.png": {}}}', "p.csv:3"),
    ],
    ids=["json", "jsonl", "names"],
)
def test_what_is_no_number_in_json_names_its_image(form, place, value):
    with pytest.raises(RefusedInput, match=r"2\.png is no finite number") as caught:
        taken(form.format(value))
    (finding,) = caught.value.findings
    assert finding.path == place
    assert finding.found in (value, value.strip('"'), '["1"]')


def test_a_key_that_an_object_lacks_is_a_missing_score():
    """As a model that failed on an image writes it."""
    found = taken('{"image": "0.png", "m": 1}\n{"image": "1.png", "error": "out of memory"}\n')
    assert (found.scores, found.ignored) == ({"m": {"0.png": 1.0}}, ("error",))
    assert found.places["1.png"] == "p.csv:2"


def test_a_score_that_is_no_number_names_its_image_where_it_is_the_only_one():
    with pytest.raises(RefusedInput, match=r"p\.csv:2: m of 0\.png is no finite number: '0,5'") as caught:
        taken("image;m\n0.png;0,5\n1.png;0,25\n")
    assert "decimal point" in caught.value.hint


@pytest.mark.parametrize("delimiter", [",", "\t", " ", ";"])
def test_without_a_header_columns_are_numbered(delimiter):
    found = taken("".join(f"{image}{delimiter}{score}\n" for image, score in SCORES.items()))
    assert (found.image_column, found.models) == ("column 1", ("column 2",))
    assert found.scores["column 2"] == SCORES


@pytest.mark.parametrize(
    "scheme",
    [
        lambda image: f"all/{image}",
        lambda image: f"./x/y/{image}",
        lambda image: f"C:\\data\\{image}",
        lambda image: image.rpartition(".")[0],
        lambda image: f"agi-cgi/{image.rpartition('.')[0]}",
        lambda image: image.rpartition(".")[0] + ".webp",
        lambda image: ALIASES.get(image, (image,))[0],
        lambda image: "all/" + ALIASES.get(image, (image,))[-1],
        lambda image: ALIASES.get(image, (image,))[0].removesuffix(".png"),
    ],
)
def test_every_published_name_means_its_image(scheme):
    assert taken(csv_of([("name", "m"), *((scheme(i), s) for i, s in SCORES.items())])).scores["m"] == SCORES


def test_bare_numbers_are_images_only_where_nothing_names_them_better():
    """Where images are called 0.png, 1.png, ..., a column of row numbers names images too; so may scores."""
    lines = [("nr", "file", "level"), *((n, i, n % 3) for n, i in enumerate(IMAGES))]
    found = taken(csv_of(lines))
    assert found.image_column == "file"
    assert found.scores["level"] == {image: float(n % 3) for n, image in enumerate(IMAGES)}
    assert taken(csv_of([("0", "1"), ("0", "3.5"), ("1", "4.5")])).scores["1"] == {"0.png": 3.5, "1.png": 4.5}


def test_several_models_and_what_is_no_model():
    lines = [("", "image", "a", "b", "mos_quality", "prompt"), *((n, i, n, -n, 3, "x") for n, i in enumerate(IMAGES))]
    found = taken(csv_of(lines))
    assert found.models == ("a", "b")
    assert found.ignored == ("", "mos_quality", "prompt"), "row numbers, the index's own columns, text"
    assert taken(csv_of(lines), Wishes(models=("mos_quality",))).models == ("mos_quality",)


@pytest.mark.parametrize("name", ["id", "Index", "no"])
@pytest.mark.parametrize("first", [0, 1])
def test_numbers_of_rows_are_no_model(name, first):
    counted = [(name, "image", "m"), *((n, i, s) for n, (i, s) in enumerate(SCORES.items(), first))]
    found = taken(csv_of(counted))
    assert (found.models, found.ignored) == (("m",), (name,))
    assert taken(csv_of([("image", "m"), *((i, n) for n, i in enumerate(IMAGES))])).models == ("m",)
    assert taken(csv_of([(name, "image"), *((n * n, i) for n, i in enumerate(IMAGES))])).models == (name,)


def test_the_image_column_can_be_said():
    lines = [("first", "second", "m"), ("0.png", "1.png", 1), ("2.png", "0.png", 2)]
    assert taken(csv_of(lines)).image_column == "first"
    assert taken(csv_of(lines), Wishes("second")).scores["m"] == {"1.png": 1.0, "0.png": 2.0}
    for wishes in (Wishes("third"), Wishes(models=("third",))):
        with pytest.raises(UsageFault, match="third") as caught:
            taken(csv_of(lines), wishes)
        assert "first, second, m" in caught.value.hint


@pytest.mark.parametrize(
    ("lines", "place", "problem", "found", "fault"),
    [
        ([("image", "m"), ("0.png", 1), ("9.png", 2)], "p.csv:3", "'9.png' is no image of someset", "9.png", "T06"),
        ([("image", "m"), ("0.png", 1), ("x/0.png", 2)], "p.csv:3", "0.png stands twice", "x/0.png", "T05"),
        ([("image", "m"), ("0.png", 1), ("1.png", "nan")], "p.csv:3", "m of 1.png is no finite number", "nan", "T03"),
        ([("image", "m"), ("0.png", 1), ("1.png", "-inf")], "p.csv:3", "m of 1.png is no finite number", "-inf", "T03"),
        ([("image", "m"), ("0.png", 1), ("1.png", "1e999")], "p.csv:3", "m of 1.png is no finite number", "1e999", "T03"),
        ([("image", "m"), *((f"{n}.png", 1) for n in range(2)), ("2.png", "1_0")], "p.csv:4", "m of 2.png is no finite number", "1_0", "T03"),
        ([("image", "m"), *((f"{n}.png", 1) for n in range(2)), ("2.png", "error")], "p.csv:4", "m of 2.png is no finite number", "error", "T03"),
    ],
)  # fmt: skip
def test_what_is_not_one_number_for_one_image_is_refused_with_its_line(lines, place, problem, found, fault):
    with pytest.raises(RefusedInput) as caught:
        taken(csv_of(lines))
    (finding,) = caught.value.findings
    assert (finding.database, finding.path, finding.problem, finding.found) == ("someset", place, problem, found)
    assert caught.value.fault == fault
    assert problem in caught.value.message
    assert caught.value.hint


def test_all_faults_are_reported_at_once():
    with pytest.raises(RefusedInput) as caught:
        taken(csv_of([("image", "m"), ("0.png", 1), ("0.png", 1), ("7.png", 1), ("1.png", "nan"), ("2.png", 1)]))
    assert [finding.path for finding in caught.value.findings] == ["p.csv:3", "p.csv:4", "p.csv:5"]


def test_an_empty_cell_is_a_missing_score_and_no_fault_yet():
    found = taken(csv_of([("image", "m", "k"), ("0.png", "", 1), ("1.png", 2, 3)]))
    assert found.scores == {"m": {"1.png": 2.0}, "k": {"0.png": 1.0, "1.png": 3.0}}
    assert found.places == {"0.png": "p.csv:2", "1.png": "p.csv:3"}
    parquet_null = taken(parquet(pd.DataFrame({"image": ["0.png", "1.png", "2.png"], "m": [1.0, None, 2.0]})))
    assert "1.png" not in parquet_null.scores["m"]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ("", "T08"),
        ("\n \n", "T08"),
        ("image,m\n", "T08"),
        ("image,prompt\n0.png,text\n", "T08"),
        ("name,m\nunknown.png,1\nother.png,2\n", "T08"),
        ("image,m,m\n0.png,1,2\n", "T08"),
        ("image,m\n0.png,1,2\n", "T07"),
        (b"\x00\x01", "T07"),
        ("image,m\n0.png,1\n".encode("utf-16"), "T01"),
        ("\nimage,m\n0.png,1\n", "T08"),
        (b"PAR1 and nothing more", "T07"),
        ('{"0.png": 1, "0.png": 2}', "T15"),
        ('["0.png", "1.png"]', "T15"),
        ('[{"image": "0.png", "m": 1}', "T15"),
        ('{"image": "0.png", "m": 1}\n{"image": "1.png", "m": }\n', "T15"),
        ('[{"image": "0.png", "m": "\\ud800"}]', "T15"),
        (b'{"image": "0.png", "m": 1}\n{"image": "\xff.png", "m": 1}\n', "T01"),
        ("[" * 100_000, "T15"),
        (b"image,m\n0.png,1\n\xff.png,2\n", "T01"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12\n", "N06"),
    ],
)
def test_what_is_no_table_of_predictions_is_refused(data, fault):
    with pytest.raises(RefusedInput) as caught:
        taken(data)
    assert caught.value.fault == fault
    assert caught.value.phase == "PREDICTIONS"
    assert caught.value.hint


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(values=st.lists(finite, min_size=5, max_size=5), order=st.permutations(IMAGES))
def test_numbers_come_through_exactly_whatever_the_order(values, order):
    wanted = dict(zip(order, values, strict=True))
    lines = [("image", "m"), *((image, repr(value)) for image, value in wanted.items())]
    objects = "".join(json.dumps({"image": image, "m": value}) + "\n" for image, value in wanted.items())
    for data in (csv_of(lines), objects, parquet(pd.DataFrame(wanted.items(), columns=["image", "m"]))):
        found = taken(data).scores["m"]
        assert found == wanted
        assert all(math.copysign(1, found[image]) == math.copysign(1, wanted[image]) for image in wanted)
