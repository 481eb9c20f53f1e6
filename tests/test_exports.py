"""Exports that are one file: the contract of all of them, and the index in csv, tsv, jsonl, parquet, arrow and feather,
read back by other people's readers."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import threading
from decimal import Decimal
from itertools import islice

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigiqa_cli import __version__, exports
from aigiqa_cli.errors import IntegrityFault, MachineFault, UsageFault
from aigiqa_cli.exports import FORMATS, Wanted, selection
from aigiqa_cli.exports import export as export_wanted
from aigiqa_cli.exports.columns import choose
from aigiqa_cli.index import COLUMNS, KINDS, read_rows, write_rows

FILES = [name for name, form in FORMATS.items() if form.write]
TABLES = ["csv", "tsv", "jsonl", "parquet", "arrow", "feather"]
NUMBERS = [column for column, kind in KINDS.items() if kind == "number"]
INTEGERS = [column for column, kind in KINDS.items() if kind == "integer"]
TEXTS = [column for column, kind in KINDS.items() if kind == "text"]


def image(place: int, **fields: str) -> dict[str, str]:
    row = dict.fromkeys(COLUMNS, "")
    row |= {
        "database": "someset",
        "image_id": f"img_{place:05d}.png",
        "image_path": f"someset/images/img_{place:05d}.png",
        "task": "t2i",
        "prompt": f'a "red", round\nthing number {place}',
        "generator": ("glide", "dall-e-2", "midjourney")[place % 3],
        "row": str(place),
        "mos_quality": f"{place % 5}.{place % 100:02d}0",
        "std_quality": "0.10",
        "score_quality": f"{place % 5 / 5:.6f}",
        "width": "512",
        "height": "512",
        "format": "png",
        "bytes": str(10_000 + place),
        "extra": '{"style":"anime","raw":2.50}' if place % 2 else "",
    }
    return row | fields


@pytest.fixture
def rows():
    return [
        image(0),
        image(1, mos_alignment="3.1400000000000000001", prompt="tab\there, und ümläut 画像 \u2028 end"),
        image(2, row="", mos_quality="", std_quality="", score_quality="", flags="no-label", prompt=""),
        image(3, prompt="  blanks kept  ", generator="NA", setting="null"),
        image(4, prompt="line one\r\nline two", bytes="9007199254740993"),
    ]


def rated(place: int) -> dict[str, str]:
    """A row that every format can hold."""
    return image(
        place,
        reference_path="someset/references/r.png",
        prompt_id="0" * 12,
        mos_alignment=f"{place % 7}.5",
        score_alignment="0.5",
    )


def export(rows, columns, name, target, *, exact=False) -> int:
    return export_wanted(rows, Wanted(columns, exact, "quality"), name, target)


def written(rows, name, *, columns=COLUMNS, exact=False) -> bytes:
    target = io.BytesIO()
    assert export(rows, columns, name, target, exact=exact) == len(rows)
    assert not target.closed
    return target.getvalue()


def opened(content: bytes, name: str) -> pa.Table:
    """Read back by PyArrow."""
    if name == "parquet":
        return pq.read_table(io.BytesIO(content))
    return (pa.ipc.open_stream if name == "arrow" else pa.ipc.open_file)(content).read_all()


def select(rows, *, where="", columns=(), scale=""):
    return selection.matching(rows, where) if where else iter(rows), choose(columns, scale)


def kept(rows, where: str) -> list[str]:
    return [row["image_id"] for row in select(rows, where=where)[0]]


# --- the contract that every format keeps -----------------------------------------------------------------


def test_formats_are_registered_by_their_own_names():
    assert [form.name for form in FORMATS.values()] == list(FORMATS)
    assert all(bool(form.write) is not bool(form.fill) for form in FORMATS.values())
    assert {name for name, form in FORMATS.items() if form.binary} == {"parquet", "arrow", "feather"}
    assert all(FORMATS[name].suffix == f".{name}" for name in TABLES)


@pytest.mark.parametrize("name", FILES)
def test_file_and_stream_get_the_same_bytes(name, tmp_path):
    rows = [rated(place) for place in range(5)]
    target = tmp_path / f"out.{name}"
    count = export(iter(rows), COLUMNS, name, target)
    assert count == (10 if name.startswith("pairs") else 5)
    stream = io.BytesIO()
    assert export(rows, COLUMNS, name, stream) == count
    assert target.read_bytes() == stream.getvalue()
    assert os.listdir(tmp_path) == [target.name]


@pytest.mark.parametrize("name", FILES)
def test_a_new_file_has_the_permissions_of_any_new_file(name, tmp_path):
    export([rated(0)], COLUMNS, name, tmp_path / "out")
    (tmp_path / "plain").touch()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("before", [None, b"the former export"])
@pytest.mark.parametrize("failure", [RuntimeError("half way"), KeyboardInterrupt()])
def test_failing_rows_leave_the_folder_as_it_was(name, before, failure, tmp_path):
    target = tmp_path / "out"
    if before:
        target.write_bytes(before)

    def failing():
        for place in range({"parquet": 70_000, "arrow": 5_000, "feather": 5_000}.get(name, 50)):
            yield rated(place)
        raise failure

    with pytest.raises(type(failure)):
        export(failing(), COLUMNS, name, target)
    assert os.listdir(tmp_path) == (["out"] if before else [])
    assert not before or target.read_bytes() == before


def test_no_rows_still_make_a_valid_file():
    assert written([], "csv").decode() == ",".join(COLUMNS) + "\n"
    assert written([], "tsv").decode() == "\t".join(COLUMNS) + "\n"
    assert written([], "jsonl") == b""
    for name in ("parquet", "arrow", "feather"):
        table = opened(written([], name), name)
        assert (table.num_rows, table.column_names) == (0, list(COLUMNS))
    assert json.loads(written([], "llava")) == json.loads(written([], "q-align")) == []


@pytest.mark.parametrize("name", TABLES)
def test_only_the_chosen_columns_in_the_chosen_order(name, rows):
    content = written(rows, name, columns=("prompt", "mos_quality", "database"))
    if FORMATS[name].binary:
        names = opened(content, name).column_names
    elif name == "jsonl":
        names = list(json.loads(content.splitlines()[0]))
    else:
        names = content.decode().splitlines()[0].split("," if name == "csv" else "\t")
    assert names == ["prompt", "mos_quality", "database"]


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_gets_the_same_bytes(name):
    rows = [rated(0)]
    reader, writer = os.pipe()
    chunks = []

    def drain():
        with os.fdopen(reader, "rb") as stream:
            chunks.append(stream.read())

    thread = threading.Thread(target=drain)
    thread.start()
    with os.fdopen(writer, "wb") as stream:
        export(rows, COLUMNS, name, stream)
    thread.join()
    expected = io.BytesIO()
    export(rows, COLUMNS, name, expected)
    assert chunks == [expected.getvalue()]


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("pairs")])  # these hold all rows first
def test_a_reader_that_goes_away_is_a_broken_pipe(name):
    reader, writer = os.pipe()
    os.close(reader)
    endless = (rated(place) for place in range(10**9))
    stream = os.fdopen(writer, "wb")
    with pytest.raises(BrokenPipeError):
        export(endless, COLUMNS, name, stream)
    stream.raw.close()


def test_half_a_parquet_in_a_pipe_does_not_look_whole():
    def failing():
        yield from (image(place) for place in range(70_000))
        raise RuntimeError("half way")

    target = io.BytesIO()
    with pytest.raises(RuntimeError, match="half way"):
        export(failing(), COLUMNS, "parquet", target)
    assert target.getvalue().startswith(b"PAR1")
    assert not target.getvalue().endswith(b"PAR1")


def test_unknown_format_is_a_usage_fault_with_the_nearest():
    with pytest.raises(UsageFault) as caught:
        export([], COLUMNS, "parket", io.BytesIO())
    assert caught.value.hint.startswith("nearest: parquet")


def test_a_link_stays_a_link_to_the_new_file(rows, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "link.csv").symlink_to("deep/real.csv")
    (tmp_path / "deep" / "real.csv").write_text("old")
    export(rows, COLUMNS, "csv", tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "deep" / "real.csv").read_bytes() == written(rows, "csv")


def test_a_pipe_with_a_name_is_written_to_and_not_replaced(rows, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    chunks = []
    thread = threading.Thread(target=lambda: chunks.append(fifo.read_bytes()))
    thread.start()
    export(rows, COLUMNS, "parquet", fifo)
    thread.join()
    assert chunks == [written(rows, "parquet")]
    assert fifo.is_fifo()


@pytest.mark.parametrize("place", ["", "missing/out.csv"])
def test_a_target_that_can_never_be_a_file_is_a_usage_fault(place, tmp_path):
    with pytest.raises(UsageFault, match="folder"):
        export([], COLUMNS, "csv", tmp_path / place)


def test_a_full_device_is_a_fault_of_the_machine(rows, tmp_path):
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    with pytest.raises(MachineFault, match="No space left"):
        export(rows, COLUMNS, "csv", full)
    assert os.stat("/dev/full").st_rdev == os.makedev(1, 7)


# --- text ---------------------------------------------------------------------------------------------------


def test_a_full_csv_is_the_index_byte_for_byte(rows, tmp_path):
    path = tmp_path / "index.csv"
    with open(path, "wb") as stream:
        write_rows(stream, rows)
    chosen_rows, columns = select(read_rows(path))
    target = io.BytesIO()
    export(chosen_rows, columns, "csv", target)
    assert target.getvalue() == path.read_bytes()


def test_csv_module_pandas_and_duckdb_agree_on_the_csv(rows, tmp_path):
    path = tmp_path / "out.csv"
    export(rows, COLUMNS, "csv", path)
    with open(path, encoding="utf-8", newline="") as stream:
        by_csv = list(csv.DictReader(stream))
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    table = duckdb.sql(f"SELECT * FROM read_csv('{path}', all_varchar=true, header=true)").df()
    assert by_csv == rows
    assert frame.to_dict("records") == rows
    assert table.fillna("").to_dict("records") == rows


def test_tsv_reads_back(rows):
    content = written(rows, "tsv").decode()
    assert list(csv.DictReader(io.StringIO(content, newline=""), delimiter="\t")) == rows
    assert pd.read_csv(io.StringIO(content), sep="\t", dtype=str, keep_default_na=False).to_dict("records") == rows


def test_only_the_needed_quotes():
    odd = [image(0, prompt='say "hi"', setting="a,b"), image(1, prompt="one\rtwo", setting="x\ty")]
    assert written(odd, "csv", columns=("prompt", "setting", "split")) == (
        b'prompt,setting,split\n"say ""hi""","a,b",\n"one\rtwo",x\ty,\n'
    )
    assert written(odd, "tsv", columns=("prompt", "setting", "split")) == (
        b'prompt\tsetting\tsplit\n"say ""hi"""\ta,b\t\n"one\rtwo"\t"x\ty"\t\n'
    )


def test_a_single_empty_field_is_no_empty_line():
    content = written([image(0, prompt=""), image(1, prompt="x")], "csv", columns=("prompt",))
    assert pd.read_csv(io.BytesIO(content), keep_default_na=False)["prompt"].tolist() == ["", "x"]


PROMPTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=("Cs",)) | st.sampled_from(',"\n\r\t; \ufeff')
)


@settings(max_examples=60, deadline=None)
@given(st.lists(PROMPTS, min_size=1, max_size=8))
def test_any_prompt_survives_every_format(prompts):
    rows = [image(place, prompt=prompt) for place, prompt in enumerate(prompts)]
    text = written(rows, "csv").decode()
    assert [row["prompt"] for row in csv.DictReader(io.StringIO(text, newline=""))] == prompts
    text = written(rows, "tsv").decode()
    assert [row["prompt"] for row in csv.DictReader(io.StringIO(text, newline=""), delimiter="\t")] == prompts
    lines = written(rows, "jsonl").split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line)["prompt"] for line in lines] == prompts
    assert pq.read_table(io.BytesIO(written(rows, "parquet")))["prompt"].to_pylist() == prompts
    assert [row["prompt"] for row in select(rows, where="length(prompt) >= 0")[0]] == prompts


# --- jsonl --------------------------------------------------------------------------------------------------


def test_jsonl_has_numbers_digit_for_digit_null_and_objects(rows):
    lines = written(rows, "jsonl").decode().removesuffix("\n").split("\n")
    parsed = [json.loads(line, parse_float=str) for line in lines]
    assert parsed[0]["mos_quality"] == "0.000"
    assert parsed[1]["mos_alignment"] == "3.1400000000000000001"
    assert parsed[1]["extra"] == {"style": "anime", "raw": "2.50"}
    assert parsed[0]["extra"] == {}
    assert parsed[4]["bytes"] == 9007199254740993
    assert parsed[2]["row"] is None
    assert parsed[2]["mos_quality"] is None
    assert parsed[2]["prompt"] == ""
    for row, line in zip(rows, parsed, strict=True):
        assert list(line) == list(COLUMNS)
        assert {column: line[column] for column in TEXTS} == {column: row[column] for column in TEXTS}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("3.50", "3.50"),
        ("-0.0", "-0.0"),
        ("1e-3", "1e-3"),
        (".5", "0.5"),
        ("+3.5", "3.5"),
        ("5.", "5.0"),
        ("007", "7.0"),
    ],
)
def test_number_text_that_json_does_not_know_is_converted(text, shown):
    assert (
        written([image(0, mos_quality=text)], "jsonl", columns=("mos_quality",))
        == f'{{"mos_quality":{shown}}}\n'.encode()
    )


def test_an_extra_over_several_lines_stays_one_line():
    content = written([image(0, extra='{\n "a": 1.10,\r\n "b": "x\\ny"}')], "jsonl", columns=("extra",))
    assert content.count(b"\n") == 1
    assert json.loads(content, parse_float=str) == {"extra": {"a": "1.10", "b": "x\ny"}}


@pytest.mark.parametrize("name", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("column", "text"),
    [("mos_quality", word) for word in ("nan", "inf", "1e999", "n/a", "1_000", "٣", "3,5")]
    + [("bytes", word) for word in ("1.5", "9223372036854775808", "1_000", "٣")],
)
def test_a_field_that_is_not_of_its_kind_is_named(name, column, text):
    with pytest.raises(IntegrityFault) as caught:
        export([image(7, **{column: text})], COLUMNS, name, io.BytesIO())
    assert column in caught.value.message
    assert "img_00007.png" in caught.value.message
    assert text in caught.value.message
    assert caught.value.database == "someset"


@pytest.mark.parametrize("text", ["[1]", "{", '{"a": NaN}', "null"])
def test_an_extra_that_is_no_object_is_named(text):
    with pytest.raises(IntegrityFault, match=r"extra of img_00007\.png"):
        export([image(7, extra=text)], COLUMNS, "jsonl", io.BytesIO())


# --- parquet ------------------------------------------------------------------------------------------------


def test_parquet_is_typed_for_pyarrow_pandas_and_duckdb(rows, tmp_path):
    path = tmp_path / "out.parquet"
    export(rows, COLUMNS, "parquet", path)
    table = pq.read_table(path)
    assert table.column_names == list(COLUMNS)
    assert {str(table.schema.field(name).type) for name in NUMBERS} == {"double"}
    assert {str(table.schema.field(name).type) for name in INTEGERS} == {"int64"}
    assert {str(table.schema.field(name).type) for name in (*TEXTS, "extra")} == {"string"}
    assert table.schema.metadata[b"aigiqa"] == __version__.encode()
    for column in COLUMNS:
        cast = float if column in NUMBERS else int if column in INTEGERS else str
        empty = "" if cast is str else None
        expected = [cast(row[column]) if row[column] else empty for row in rows]
        assert table[column].to_pylist() == expected

    frame = pd.read_parquet(path)
    assert frame["mos_quality"].dtype == "float64"
    assert frame["prompt"].tolist() == [row["prompt"] for row in rows]
    assert frame["mos_quality"].isna().tolist() == [False, False, True, False, False]

    answer = duckdb.sql(f"SELECT typeof(mos_quality), typeof(bytes), typeof(prompt), max(bytes) OVER () FROM '{path}'")
    assert answer.fetchall()[0] == ("DOUBLE", "BIGINT", "VARCHAR", 9007199254740993)
    assert duckdb.sql(f"SELECT prompt FROM '{path}'").fetchall() == [(row["prompt"],) for row in rows]


@pytest.mark.parametrize("exact", [False, True])
def test_arrow_and_feather_hold_the_table_of_parquet(exact, rows, tmp_path):
    expected = opened(written(rows, "parquet", exact=exact), "parquet")
    for name in ("arrow", "feather"):
        found = opened(written(rows, name, exact=exact), name)
        assert found.equals(expected)
        assert found.schema.metadata[b"aigiqa"] == __version__.encode()
    path = tmp_path / "out.feather"
    path.write_bytes(written(rows, "feather", exact=exact))
    frame = pd.read_feather(path)
    assert frame["prompt"].tolist() == [row["prompt"] for row in rows]
    assert frame["mos_quality"].isna().tolist() == [False, False, True, False, False]


def test_exact_adds_the_published_text_after_all_columns(rows):
    table = pq.read_table(io.BytesIO(written(rows, "parquet", exact=True)))
    texts = [f"mos_{word}_text" for word in ("quality", "alignment", "authenticity", "overall")]
    assert table.column_names == [*COLUMNS, *texts]
    assert table["mos_alignment_text"].to_pylist() == ["", "3.1400000000000000001", "", "", ""]
    assert table["mos_quality_text"].to_pylist() == [row["mos_quality"] for row in rows]


def test_exact_follows_the_chosen_columns(rows):
    table = pq.read_table(io.BytesIO(written(rows, "parquet", columns=("mos_overall", "prompt"), exact=True)))
    assert table.column_names == ["mos_overall", "prompt", "mos_overall_text"]


def test_row_groups_have_64k_rows():
    many = [image(place) for place in range(65_536 + 5_000)]
    metadata = pq.read_metadata(io.BytesIO(written(many, "parquet", columns=("image_id", "row"))))
    assert [metadata.row_group(place).num_rows for place in range(metadata.num_row_groups)] == [65_536, 5_000]


# --- columns and scale --------------------------------------------------------------------------------------


def test_all_columns_unless_told(rows):
    chosen, columns = select(rows)
    assert columns == COLUMNS
    assert list(chosen) == rows


def test_scale_leaves_out_the_other_scale(rows):
    native = select(rows, scale="native")[1]
    unit = select(rows, scale="unit")[1]
    assert native == tuple(name for name in COLUMNS if not name.startswith("score_"))
    assert unit == tuple(name for name in COLUMNS if not name.startswith(("mos_", "std_")))


def test_unknown_column_names_the_nearest(rows):
    with pytest.raises(UsageFault) as caught:
        select(rows, columns=["image_id", "mos_qualty"])
    assert "mos_qualty" in caught.value.message
    assert caught.value.hint.startswith("nearest: mos_quality")


def test_chosen_columns_are_taken_as_written_with_blanks_off(rows):
    assert select(rows, columns=[" row", "prompt "])[1] == ("row", "prompt")


@pytest.mark.parametrize(
    ("columns", "scale"),
    [(["row", "row"], ""), ([""], ""), (["score_quality"], "native"), (["std_overall"], "unit")],
)
def test_columns_that_contradict_are_refused(rows, columns, scale):
    with pytest.raises(UsageFault):
        select(rows, columns=columns, scale=scale)


# --- where --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "places"),
    [
        ("1", [0, 1, 2, 3, 4]),
        ("0", []),
        ("NULL", []),
        ("row >= 3", [3, 4]),
        ("mos_quality IS NULL", [2]),
        ("mos_quality < 2.5", [0, 1]),
        ("NOT mos_quality < 2.5", [3, 4]),
        ("mos_quality = 1.01", [1]),
        ("bytes = 9007199254740993", [4]),
        ("generator IN ('glide', 'dall-e-2') AND row IS NOT NULL", [0, 1, 4]),
        ('generator = "glide"', [0]),
        ("prompt LIKE '%ümläut%'", [1]),
        ("prompt GLOB '  *'", [3]),
        ("prompt = ''", [2]),
        ("flags = 'no-label' OR length(prompt) < 5", [2]),
        ("json_extract(extra, '$.style') = 'anime'", [1, 3]),
        ("extra ->> 'raw' > 2", [1, 3]),
        ("images.row % 2 = 0 -- even ones", [0, 4]),
        ("row /* the published one */ = 1", [1]),
        ("CASE WHEN row > 2 THEN 1 END", [3, 4]),
        ("round(score_quality, 1) BETWEEN 0.2 AND 0.6", [1, 3]),
        ("DATABASE = 'someset' AND Row = 0", [0]),
        ("prompt_id || ';)' = ';)' AND row = 3", [3]),
    ],
)
def test_where_keeps_the_rows_that_are_true_in_order(rows, where, places):
    assert kept(rows, where) == [rows[place]["image_id"] for place in places]


def test_where_returns_the_rows_themselves(rows):
    chosen, columns = select(rows, where="row = 1", columns=["prompt"])
    assert columns == ("prompt",)
    assert [id(row) for row in chosen] == [id(rows[1])]


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_can_be_named_as_it_is(rows, column):
    assert len(kept(rows, f"{column} IS NULL OR {column} IS NOT NULL")) == len(rows)


def test_where_holds_over_many_batches_and_reads_only_one_ahead():
    taken = []

    def endless():
        for place in range(10**9):
            taken.append(place)
            yield image(place)

    chosen, _ = select(endless(), where="row % 9999 = 0")
    assert [row["row"] for row in islice(chosen, 4)] == ["0", "9999", "19998", "29997"]
    assert len(taken) <= 3 * selection.BATCH
    chosen.close()


INJECTIONS = [
    "1; DROP TABLE images",
    "1); DROP TABLE images; --",
    "1) IS NOT TRUE; DELETE FROM images; --",
    "1) OR (1",
    "1 THEN 0 WHEN 1",
    "1 THEN 0 ELSE 1 END --",
    "1) --",
    "1 /*",
    "*/ 1 /*",
    "1 UNION SELECT 1",
    "1) UNION SELECT 1 --",
    "SELECT 1",
    "(SELECT 1)",
    "EXISTS (SELECT 1)",
    "EXISTS (SELECT * FROM sqlite_master)",
    "(SELECT count(*) FROM images) > 0",
    "image_id IN (SELECT image_id FROM images)",
    "1 IN (SELECT rowid FROM images)",
    "1 IN (SELECT rootpage FROM sqlite_master)",
    "1 IN (VALUES (1))",
    "1 IN images",
    "1 IN sqlite_master",
    "1 IN json_each('[1]')",
    "'x' IN pragma_compile_options",
    "(WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n) SELECT max(x) FROM n)",
    "rowid = 1",
    "place = 1",
    "_rowid_ = 1",
    "main.sqlite_master.name = 'x'",
    "sqlite_master.name = 'x'",
    "load_extension('/tmp/x.so')",
    "readfile('/etc/passwd') IS NOT NULL",
    "writefile('/tmp/x', 'x')",
    "fts3_tokenizer('simple')",
    "sqlite_version() > ''",
    "random() > 0",
    "randomblob(1000000000)",
    "zeroblob(1000000000)",
    "printf('%.*c', 1000000000, 'x')",
    "datetime('now') > ''",
    "CURRENT_TIMESTAMP > ''",
    "last_insert_rowid() = 1",
    "total_changes() = 1",
    "prompt REGEXP 'x'",
    "prompt MATCH 'x'",
    "count(*) > 1",
    "sum(row) > 1",
    "max(row) > 1",
    "row_number() OVER () = 1",
    "ATTACH DATABASE '/tmp/x' AS x",
    "PRAGMA user_version",
    "RAISE(ABORT, 'x')",
    "row = ?",
    "row = :row",
    "1, 1",
    "1 ORDER BY 1",
    "1 LIMIT 1",
    "1 RETURNING *",
    "1) RETURNING (1",
    "row = ",
    "  ",
    "1 \0",
    "prompt = '\udcff'",
    "nosuch = 1",
    "nosuch.row = 1",
    "1 " + "OR 1 " * 2000,
    "'" + "x" * 2_000_000 + "' = ''",
]


@pytest.mark.parametrize("where", INJECTIONS, ids=lambda where: repr(where[:40]))
def test_what_is_not_one_plain_expression_is_refused_before_a_row_is_read(where):
    def untouched():
        pytest.fail("a row was read")
        yield image(0)

    with pytest.raises(UsageFault) as caught:
        select(untouched(), where=where)
    assert repr(where[:20])[1:-1] in caught.value.message
    assert "image_id" in caught.value.hint
    assert len(caught.value.message) < 1000


def test_refusals_say_what_was_refused(rows):
    for where, what in [
        ("EXISTS (SELECT 1)", "a sub-select is not allowed"),
        ("random() > 0", "the function random is not allowed"),
        ("mos_qualty > 1", "no such column: mos_qualty"),
        ("row = = 1", "syntax error"),
    ]:
        with pytest.raises(UsageFault, match=what):
            select(rows, where=where)


def test_a_misspelt_column_in_where_gets_the_nearest(rows):
    with pytest.raises(UsageFault) as caught:
        select(rows, where="mos_qualty > 1")
    assert caught.value.hint.startswith("columns: nearest: mos_quality")


@pytest.mark.parametrize(
    "where",
    [
        "json_extract(prompt, '$.a') = 1",
        "abs(-9223372036854775807 - row) > 0",
        "length(" + "replace(" * 9 + "hex(prompt)" + ", '6', hex(prompt))" * 9 + ") > 0",
    ],
)
def test_an_expression_that_fails_on_a_value_is_a_usage_fault(rows, where):
    with pytest.raises(UsageFault, match="cannot be used"):
        kept(rows, where)


def test_an_expression_that_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr(selection, "SECONDS", -1.0)
    many = [image(place) for place in range(5_000)]
    with pytest.raises(UsageFault, match="interrupted"):
        kept(many, " + ".join(["length(prompt)"] * 50))


def test_a_number_that_is_none_is_named_by_where_too():
    with pytest.raises(IntegrityFault, match=r"mos_quality of img_00001\.png"):
        kept([image(0), image(1, mos_quality="high")], "mos_quality > 1")


def test_columns_that_where_does_not_read_are_not_judged():
    assert kept([image(0, mos_quality="high")], "row = 0") == ["img_00000.png"]


# --- the whole way --------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(st.decimals(0, 100, places=4), min_size=1, max_size=20), st.decimals(0, 100, places=2))
def test_where_compares_as_numbers_and_not_as_text(values, limit):
    rows = [image(place, mos_quality=str(value)) for place, value in enumerate(values)]
    expected = [row["image_id"] for row in rows if Decimal(row["mos_quality"]) >= limit]
    assert kept(rows, f"mos_quality >= {limit}") == expected


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = (
        "import sys, aigiqa_cli.exports; print(*sorted({'pyarrow', 'pandas', 'sqlite3', 'numpy'} & set(sys.modules)))"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # coverage uses sqlite3
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=plain)
    assert done.stdout.strip() == ""


def test_public_names():
    assert set(exports.__all__) == {
        "FORMATS", "Format", "Plan", "Row", "Scale", "Source", "Wanted", "export", "export_folder", "named", "plan",
        "whole_target",
    }  # fmt: skip


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|'/c calc'!A0"]


@pytest.mark.parametrize("text", FORMULAS)
def test_T16_formulas_are_data_everywhere_but_in_an_export_for_spreadsheets(text: str) -> None:
    from aigiqa_cli.exports.columns import for_spreadsheets
    from aigiqa_cli.index import COLUMNS

    row = dict.fromkeys(COLUMNS, "") | {"prompt": text, "mos_quality": "-0.5", "image_id": "a.png"}
    (shown,) = for_spreadsheets([row])
    assert shown == row | {"prompt": "'" + text}
    plain = io.BytesIO()
    export([row], ["prompt"], "csv", plain)
    assert list(csv.reader(io.StringIO(plain.getvalue().decode(), newline="")))[1] == [text]
