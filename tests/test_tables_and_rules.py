"""Label tables, the rules that make index fields of them, and splits on the index."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from aigiqa_cli import expectations, rules, tables
from aigiqa_cli.errors import IntegrityFault, RefusedInput
from aigiqa_cli.index import prompt_id
from aigiqa_cli.installing import splitting
from aigiqa_cli.manifest.models import Database

COLUMNS = ("name", "prompt", "mos")
LAYOUT = tables.Layout("t.csv", "csv", COLUMNS)


def read(data: bytes, layout: tables.Layout = LAYOUT) -> list[tuple[int, list[str]]]:
    return [(line, list(cells)) for line, cells in tables.rows(io.BytesIO(data), layout)]


def cells(data: bytes, layout: tables.Layout = LAYOUT) -> list[list[str]]:
    return [row for _, row in read(data, layout)]


def refused(data: bytes, fault: str, layout: tables.Layout = LAYOUT) -> RefusedInput:
    with pytest.raises(RefusedInput) as caught:
        read(data, layout)
    assert caught.value.fault == fault
    assert caught.value.message.startswith("t.")
    assert caught.value.findings
    return caught.value


# ---------------------------------------------------------------------------------------------------------------------
# csv, tsv, json
# ---------------------------------------------------------------------------------------------------------------------

GOOD = b'name,prompt,mos\na.png,"one, ""two""",3.50\nb.png,,0001\n'
ROWS = [["a.png", 'one, "two"', "3.50"], ["b.png", "", "0001"]]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
def test_T01_line_ends_and_byte_order_mark(end: bytes, last: bool, mark: bytes) -> None:
    data = (GOOD if last else GOOD.removesuffix(b"\n")).replace(b"\n", end)
    assert cells(mark + data) == ROWS


def test_tsv_and_no_header() -> None:
    layout = tables.Layout("t.tsv", "tsv", COLUMNS, header=False)
    assert cells(b"a.png\tone, two\t1\n", layout) == [["a.png", "one, two", "1"]]


def test_line_breaks_inside_a_quoted_cell_and_the_line_numbers() -> None:
    assert read(b'name,prompt,mos\na,"x\ny\r\nz",1\nb,,2\n') == [(4, ["a", "x\ny\r\nz", "1"]), (5, ["b", "", "2"])]


@pytest.mark.parametrize(
    "word", ["0001", "1e5", "NA", "null", "None", "N/A", "nan", "TRUE", " 1 ", "2024-01-02", "=1+1"]
)
def test_T02_T16_cells_are_text(word: str) -> None:
    assert cells(f"name,prompt,mos\na,{word},{word}\n".encode()) == [["a", word, word]]


CHINESE = "一只红色的猫"


def test_T01_the_encoding_is_declared() -> None:
    table = f"name,prompt,mos\na,{CHINESE},1\n"
    for encoding in ("gb18030", "utf-16"):
        layout = tables.Layout("t.csv", "csv", COLUMNS, encoding=encoding)
        assert cells(table.encode(encoding), layout) == [["a", CHINESE, "1"]]


@pytest.mark.parametrize("data", [CHINESE.encode("gb18030"), b"\xff\xfe", b"caf\xe9", b"\xc3", b"ok\x80"])
def test_T01_other_encodings_are_refused_with_line_and_byte(data: bytes) -> None:
    fault = refused(b"name,prompt,mos\na,ok,1\nb," + data + b",1\n", "T01")
    assert fault.message.startswith("t.csv:3:")
    assert "utf-8" in fault.message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_T01_wide_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(RefusedInput):
        read(GOOD.decode().encode(encoding))


@pytest.mark.parametrize(
    ("row", "line"),
    [(b"c,x,1,surplus", 4), (b"c,x", 4), (b"c", 4), (b"", 4), (b'c,"open,1', 4), (b'c,"a"b,1', 4), (b"c,a\0b,1", 4)],
)
def test_T07_rows_that_are_not_rows(row: bytes, line: int) -> None:
    fault = refused(GOOD + row + b"\n", "T07")
    assert f"t.csv:{line}" in fault.message


def test_T07_T18_open_quote_and_giant_cells_end() -> None:
    refused(GOOD + b'c,"' + b"x" * (2 << 20) + b"\n", "T07")


HEADERS = {
    "missing": (b"name,prompt", "missing column mos"),
    "renamed": (b"name,prompt,MOS", "unexpected column MOS"),
    "surplus": (b"name,prompt,mos,std", "unexpected column std"),
    "twice": (b"name,mos,mos", "stands twice"),
    "padded": (b"name, prompt,mos", "unexpected column  prompt"),
    "order": (b"prompt,name,mos", "another order"),
    "none": (b"a.png,one,3.5", "missing column name"),
    "numbered": (b",name,prompt,mos", "unexpected column"),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_T08_headers(kind: str) -> None:
    header, said = HEADERS[kind]
    assert said in refused(header + b"\na.png,x,1\n", "T08").message


def test_T08_empty_file() -> None:
    refused(b"", "T08")


JSON = tables.Layout("t.json", "json", COLUMNS)


def test_json_numbers_keep_their_digits() -> None:
    data = b'[{"mos": 3.50, "name": "a", "prompt": null}, {"name": "b", "prompt": "", "mos": 12345678901234567890}]'
    assert read(data, JSON) == [(1, ["a", "", "3.50"]), (2, ["b", "", "12345678901234567890"])]


BROKEN_JSON = {
    "twice": b'[{"name": "a", "name": "b", "prompt": "", "mos": 1}]',
    "nan": b'[{"name": "a", "prompt": "", "mos": NaN}]',
    "infinity": b'[{"name": "a", "prompt": "", "mos": -Infinity}]',
    "missing": b'[{"name": "a", "prompt": ""}]',
    "surplus": b'[{"name": "a", "prompt": "", "mos": 1, "std": 2}]',
    "nested": b'[{"name": "a", "prompt": [], "mos": 1}]',
    "flag": b'[{"name": "a", "prompt": true, "mos": 1}]',
    "object": b'{"name": "a", "prompt": "", "mos": 1}',
    "text": b'"hello"',
    "cut": b'[{"name": "a"',
    "empty": b"",
    "deep": b"[" * 100_000,
    "encoding": '[{"name": "é"}]'.encode("latin-1"),
    "after": b"[] []",
}


@pytest.mark.parametrize("kind", BROKEN_JSON)
def test_T15_json(kind: str) -> None:
    refused(BROKEN_JSON[kind], "T15", JSON)


def test_T15_jsonl_names_the_line() -> None:
    layout = tables.Layout("t.jsonl", "jsonl", COLUMNS)
    good = b'{"name": "a", "prompt": "x", "mos": 1.0}\n'
    assert read(good + b"\n" + good, layout) == [(1, ["a", "x", "1.0"]), (3, ["a", "x", "1.0"])]
    assert "t.jsonl:2" in refused(good + b"{\n", "T15", layout).message


# ---------------------------------------------------------------------------------------------------------------------
# Rules
# ---------------------------------------------------------------------------------------------------------------------

Tables = dict[str, bytes]


def manifest(**changes: Any) -> dict[str, Any]:
    """A database of one table; every scalar is text, as the reader of manifests gives it."""
    source: dict[str, Any] = {
        "needs": ["t.csv"],
        "tables": [{"file": "t.csv", "columns": ["name", "prompt", "mos", "std"]}],
        "extract": {"name": r"^(?P<model>[a-z]+)_(?P<number>\d+)\.png$"},
        "columns": {"prompt": "prompt", "generator": "model", "task": {"const": "t2i"}},
        "recode": {"generator": {"glide": "glide", "sd": "stable-diffusion"}},
        "scores": {"quality": {"mos": "mos", "std": "std", "range": ["0", "5"]}},
        "image": {"id": "name", "find": ["{model}/{number}.png", "{name}"]},
    }
    assets = [{"name": name, "role": "labels", "format": "csv"} for name in ("t.csv", "u.csv")]
    assets.append({"name": "i.zip", "role": "images", "format": "zip"})
    whole = {
        "schema": "1", "version": "1", "id": "some", "title": "Some", "summary": "Some.",
        "license": {"spdx": "CC0-1.0", "scope": "all", "source": "test"},
        "citation": {"key": "k", "type": "misc", "title": "T", "authors": ["A"], "year": "2026"},
        "assets": assets, "labels": [source | changes.pop("source", {})],
        "expect": {"images": "2", "rows": "2", "generators": {"glide": "1", "stable-diffusion": "1"}},
    }  # fmt: skip
    return whole | changes


def table(*rows: str, header: str = "name,prompt,mos,std") -> bytes:
    return ("\n".join((header, *rows)) + "\n").encode()


PLAIN = table("glide_1.png,A  Cat,3.50,0.5", "sd_2.png,a cat,0005,1e-1")


def apply(data: bytes | Tables = PLAIN, **source: Any) -> rules.Labels:
    database = Database.model_validate(manifest(source=source))
    files = data if isinstance(data, dict) else {"t.csv": data}
    return rules.apply(database, database.labels[0], lambda name: io.BytesIO(files[name]))


def test_rules_in_order() -> None:
    first, second = apply().rows
    assert first.image_id == "glide_1.png"
    assert first.find == ("glide/1.png", "glide_1.png")
    assert first.fields["prompt"] == "A  Cat"
    assert first.fields["prompt_id"] == hashlib.sha256(b"a cat").hexdigest()[:12] == second.fields["prompt_id"]
    assert (first.fields["generator"], second.fields["generator"]) == ("glide", "stable-diffusion")
    assert (first.fields["mos_quality"], first.fields["std_quality"]) == ("3.50", "0.5"), "the published text"
    assert (first.fields["score_quality"], second.fields["score_quality"]) == ("0.700000", "1.000000")
    assert (second.fields["mos_quality"], second.fields["std_quality"]) == ("0005", "1e-1")
    assert [row.fields["row"] for row in (first, second)] == ["0", "1"]
    assert first.fields["task"] == "t2i"


def test_prompt_ids() -> None:
    assert prompt_id("  A\tred\u3000cat\n") == prompt_id("a red cat") == prompt_id("\uff21 red cat")
    assert prompt_id("a red cat.") != prompt_id("a red cat")
    assert prompt_id("") == prompt_id(" \n") == ""


REJECTED = {
    "pattern": ("Glide_1.png,x,1,0", "does not follow"),
    "recode": ("dalle_1.png,x,1,0", "unknown generator"),
    "T04-too-high": ("glide_3.png,x,5.01,0", "out of range"),
    "T04-too-low": ("glide_3.png,x,-0.01,0", "out of range"),
    "T04-giant": ("glide_3.png,x,1e999,0", "out of range"),
    "T04-std": ("glide_3.png,x,1,-0.1", "negative"),
    "T05-twice": ("glide_1.png,x,1,0", "labelled twice"),
    **{
        f"T03-{number}": (f'glide_3.png,x,"{word}",0', "not a number")
        for number, word in enumerate(
            [
                "",
                "nan",
                "inf",
                "-",
                "1_0",
                "\uff13.5",
                "3,5",
                "0x1",
                " 1",
                "1 ",
                "+1",
                ".5",
                "5.",
                "1e",
                "NA",
                "1\u00a0",
            ]
        )
    },
}


@pytest.mark.parametrize("kind", REJECTED)
def test_T03_T04_T05_rows_are_rejected_with_their_reason(kind: str) -> None:
    row, said = REJECTED[kind]
    labels = apply(PLAIN + row.encode() + b"\n")
    assert len(labels.rows) == 2
    (finding,) = labels.rejected
    assert (finding.database, finding.path) == ("some", "t.csv:4")
    assert said in finding.problem
    with pytest.raises(RefusedInput) as caught:
        rules.refuse_undeclared(labels, Database.model_validate(manifest()))
    assert caught.value.fault == "T04"
    assert "t.csv:4" in caught.value.message


def test_P11_rows_in_are_rows_out_plus_rows_rejected() -> None:
    labels = apply(PLAIN + "".join(row + "\n" for row, _ in REJECTED.values()).encode())
    assert len(labels.rows) + len(labels.rejected) == 2 + len(REJECTED)
    assert [finding.path for finding in labels.rejected] == [f"t.csv:{n}" for n in range(4, 4 + len(REJECTED))]


@pytest.mark.parametrize("name", ["GLIDE_1.png", "glide_1.PNG"])
def test_T05_names_that_differ_in_case_alone(name: str) -> None:
    pattern = r"(?i)^(?P<model>[a-z]+)_(?P<number>\d+)\.png$"
    recode = {"generator": {"glide": "glide", "GLIDE": "glide", "sd": "stable-diffusion"}}
    labels = apply(PLAIN + f"{name},x,1,0\n".encode(), extract={"name": pattern}, recode=recode)
    assert len(labels.rows) == 2
    assert "labelled twice" in labels.rejected[0].problem


@pytest.mark.parametrize("name", ["../x", "a/b.png", "/x", "a\\b", "con.png", "C:x"])
def test_M09_names_in_tables_pass_the_gate(name: str) -> None:
    labels = apply(
        table(f"{name},x,1,0"),
        extract={},
        columns={"prompt": "prompt"},
        recode={},
        image={"id": "name", "find": ["{name}"]},
    )
    assert not labels.rows
    assert "not a usable file name" in labels.rejected[0].problem


def scored(**score: Any) -> dict[str, Any]:
    return {"quality": {"mos": "mos", "range": ["0", "5"]} | score}


def test_a_declared_shift_moves_the_point_in_the_text() -> None:
    labels = apply(table("glide_1.png,x,0.0350,0.5", "sd_2.png,x,.05,1"), scores=scored(std="std", scale="100"))
    assert [row.fields["mos_quality"] for row in labels.rows] == ["3.50"]
    assert labels.rows[0].fields["std_quality"] == "50"
    assert len(labels.rejected) == 1
    exact = apply(table("glide_1.png,x,0.047,0"), scores=scored(scale="100")).rows[0].fields
    assert (exact["mos_quality"], exact["score_quality"]) == ("4.7", "0.940000"), "no binary rounding"


def test_a_deviation_on_another_scale_is_no_deviation() -> None:
    row = apply(scores=scored(raw_std="std")).rows[0]
    assert "std_quality" not in row.fields
    assert row.extra == {"raw_std_quality": "0.5"}


def test_an_optional_score_may_be_missing() -> None:
    labels = apply(table("glide_1.png,x,,", "sd_2.png,x,2,"), scores=scored(std="std", optional="true"))
    assert [row.fields["mos_quality"] for row in labels.rows] == ["", "2"]
    assert [row.fields["score_quality"] for row in labels.rows] == ["", "0.400000"]
    assert labels.rejected == ()


@pytest.mark.parametrize(
    ("one", "other", "total"), [("0.1", "0.2", "0.3"), ("2.50", "7.5", "10"), ("1e-1", "-0.1", "0")]
)
def test_a_sum_of_columns_is_exact_and_gives_way_to_a_published_one(one: str, other: str, total: str) -> None:
    data = table(f"glide_1.png,x,{one},{other}")
    scores = {"quality": {"mos": "mos", "range": ["-10", "10"]}}
    assert apply(data, scores=scores, sums={"all": ["mos", "std"]}).rows[0].extra == {"all": total}
    given = apply(data, scores=scores, sums={"all": ["mos", "std"]}, extra={"all": "std"}).rows[0]
    assert given.extra == {"all": other}


def test_a_sum_needs_numbers_and_columns() -> None:
    labels = apply(table("glide_1.png,x,1,", "sd_2.png,x,1,2"), sums={"all": ["mos", "std"]})
    assert [row.extra["all"] for row in labels.rows] == ["3"]
    assert [(one.problem, one.found) for one in labels.rejected] == [("column std is not a number", "''")]
    for sums in ({"all": ["mos"]}, {"all": ["mos", "absent"]}):
        with pytest.raises(ValidationError):
            apply(sums=sums)


def test_aliases_and_extra() -> None:
    row = apply(image={"id": "name", "find": ["{name}"], "aliases": ["{model}/{number}-1.png"]}, extra=["number"]).rows[
        0
    ]
    assert row.extra == {"number": "1", "aliases": ["glide/1-1.png"]}


def test_references() -> None:
    rule = {"when": "std", "name": "ref_{std}.png", "find": ["references/ref_{std}.png"]}
    scores = {"quality": {"mos": "mos", "range": ["0", "5"]}}
    first, second = apply(table("glide_1.png,x,1,7", "sd_2.png,x,1,"), reference=rule, scores=scores).rows
    assert first.reference == rules.Reference("ref_7.png", ("references/ref_7.png",))
    assert second.reference is None


def joined(on: list[str] | None, *rows: str, **more: Any) -> rules.Labels:
    join = {"table": {"file": "u.csv", "columns": ["key", "score"]}} | ({"on": on} if on else {}) | more
    files = {"t.csv": PLAIN, "u.csv": table(*rows, header="key,score")}
    scores = {"quality": {"mos": "score", "range": ["0", "5"]}}
    return apply(files, needs=["t.csv", "u.csv"], joins=[join], scores=scores)


def test_join_by_key() -> None:
    labels = joined(["name", "key"], "sd_2.png,2", "glide_1.png,1")
    assert [row.fields["mos_quality"] for row in labels.rows] == ["1", "2"]
    assert labels.rejected == ()


def test_join_by_key_without_a_partner() -> None:
    labels = joined(["name", "key"], "glide_1.png,1")
    assert [row.image_id for row in labels.rows] == ["glide_1.png"]
    assert "no row" in labels.rejected[0].problem


def test_T05_join_by_key_that_stands_twice() -> None:
    with pytest.raises((RefusedInput, IntegrityFault), match="stands twice"):
        joined(["name", "key"], "glide_1.png,1", "glide_1.png,2", "sd_2.png,3")


def test_T06_join_by_row_needs_equal_counts() -> None:
    assert [row.fields["mos_quality"] for row in joined(None, "x,1", "y,2").rows] == ["1", "2"]
    assert len(joined(None, "x,1").rejected) == 1
    assert len(joined(None, "x,1", "y,2", "z,3").rejected) == 1, "a row of the joined table may not be lost either"


def test_stacked_tables_count_through() -> None:
    columns = ["name", "prompt", "mos", "std"]
    files = {"t.csv": PLAIN, "u.csv": table("glide_7.png,x,1,0")}
    both = [{"file": name, "columns": columns} for name in ("t.csv", "u.csv")]
    rows = apply(files, needs=["t.csv", "u.csv"], tables=both).rows
    assert [(row.fields["row"], row.where) for row in rows] == [("0", "t.csv:2"), ("1", "t.csv:3"), ("2", "u.csv:2")]


WRONG = {
    "rows": (table("glide_1.png,x,1,0"), "rows: expected 2, found 1"),
    "generator": (table("glide_1.png,x,1,0", "glide_2.png,x,1,0"), "generator"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_A25_T06_counts_are_checked(kind: str) -> None:
    data, said = WRONG[kind]
    database = Database.model_validate(manifest())
    with pytest.raises(RefusedInput, match=said):
        expectations.check(database, database.labels[0], apply(data))
    expectations.check(database, database.labels[0], apply())


@pytest.mark.parametrize(
    ("mean", "good"), [("4.25", True), ("4.250", True), ("4", True), ("4.26", False), ("4.1", False)]
)
def test_T06_published_statistics_are_checked_to_their_digits(mean: str, good: bool) -> None:
    expect = manifest()["expect"] | {"mos": {"quality": {"min": "3.5", "max": "5", "mean": mean}}}
    database = Database.model_validate(manifest(expect=expect))
    if good:
        expectations.check(database, database.labels[0], apply())
        return
    with pytest.raises(RefusedInput, match="mean of mos_quality"):
        expectations.check(database, database.labels[0], apply())


# ---------------------------------------------------------------------------------------------------------------------
# Splits
# ---------------------------------------------------------------------------------------------------------------------


def index(count: int = 10) -> list[dict[str, str]]:
    """`count` rows, even ones t2i and odd ones i2i, each with an alias."""
    return [
        {
            "image_id": f"{n}.png",
            "row": str(n),
            "task": ("t2i", "i2i")[n % 2],
            "generator": ("glide", "sd")[n % 2],
            "extra": json.dumps({"aliases": [f"folder/{n}.png"]}),
        }
        for n in range(count)
    ]


def split(**way: Any) -> Any:
    whole = {"name": "authors", "evidence": "test"} | way
    return Database.model_validate(manifest(splits=[whole])).splits[0]


def test_rule_every_fourth_within_a_task() -> None:
    pairs = list(splitting.by_rule(split(rule={"within": "task", "every": "4", "test": ["3"]}).rule, index()))
    assert [name for name, part in pairs if part == "test"] == ["6.png", "7.png"]
    assert len(pairs) == 10


def test_rule_everything_leaves_out_rows_without_labels() -> None:
    rows = index(3)
    rows[1]["row"] = ""
    pairs = splitting.by_rule(split(rule={"everything": "test"}).rule, rows)
    assert list(pairs) == [("0.png", "test"), ("2.png", "test")]


def test_rule_shuffle_is_numpys_legacy_one() -> None:
    import numpy as np

    np.random.seed(7)  # noqa: NPY002 - the very generator that published code uses
    order = list(range(10))
    np.random.shuffle(order)  # noqa: NPY002
    pairs = list(splitting.by_rule(split(rule={"shuffle": {"seed": "7", "train": "0.8"}}).rule, index()))
    assert {name for name, part in pairs if part == "train"} == {f"{n}.png" for n in order[:8]}
    assert len(pairs) == 10


def published(files: dict[str, bytes], match: str = "", **about: Any) -> list[splitting.Resolved]:
    listed = [{"part": name.split(".")[0].split("-")[0], "path": name} | about.get(name, {}) for name in files]
    way = {
        "kind": "github",
        "repo": "a/b",
        "revision": "c",
        "format": "csv",
        "columns": ["path", "mos"],
        "image": "path",
    }
    one = split(published=way | ({"match": match} if match else {}) | {"files": listed})
    opener: Callable[[str], io.BytesIO] = lambda name: io.BytesIO(files[name.removeprefix("authors/")])  # noqa: E731
    return list(splitting.from_files(one, index(), opener))


def lines(*numbers: int, form: str = "{}.png,1") -> bytes:
    return table(*(form.format(n) for n in numbers), header="path,mos")


def test_published_split() -> None:
    (resolved,) = published({"train.csv": lines(*range(8)), "test.csv": lines(8, 9)})
    assert (resolved.name, resolved.notes) == ("authors", ())
    written = io.BytesIO()
    splitting.write(written, splitting.in_order(resolved.parts, index()))
    assert written.getvalue().decode().splitlines() == [
        "image_id,split",
        *(f"{n}.png,{'train' if n < 8 else 'test'}" for n in range(10)),
    ]


def test_published_split_with_repeats_and_images_left_out() -> None:
    (resolved,) = published({"train.csv": lines(0, 1, 1, 1), "test.csv": lines(8)})
    assert resolved.notes == ("2 rows are repeated", "7 images are in no part")


def test_published_split_by_alias_and_pattern() -> None:
    (by_alias,) = published({"test.csv": lines(3, 4, form="folder/{}.png,1")})
    assert set(by_alias.parts) == {"3.png", "4.png"}
    (by_match,) = published({"test.csv": lines(3, form="/data/x/{}.png,1")}, match=r"(?P<name>[^/]+)$")
    assert set(by_match.parts) == {"3.png"}


def test_published_folds() -> None:
    folds = {"train-0.csv": {"fold": "0"}, "test-0.csv": {"fold": "0"}, "test-1.csv": {"fold": "1"}}
    files = {"train-0.csv": lines(0), "test-0.csv": lines(1), "test-1.csv": lines(0)}
    assert [one.name for one in published(files, **folds)] == ["authors-0", "authors-1"]


BAD_SPLITS = {
    "two-sides": ({"train.csv": lines(1, 2), "test.csv": lines(2)}, "two sides", {}),
    "unknown-name": ({"test.csv": lines(1, 77)}, "names no image", {}),
    "wrong-count": ({"test.csv": lines(1, 2)}, "wrong number of rows", {"test.csv": {"rows": "3"}}),
}


@pytest.mark.parametrize("kind", BAD_SPLITS)
def test_published_split_that_does_not_fit(kind: str) -> None:
    files, said, about = BAD_SPLITS[kind]
    with pytest.raises(IntegrityFault, match=said) as caught:
        published(files, **about)
    assert caught.value.findings
