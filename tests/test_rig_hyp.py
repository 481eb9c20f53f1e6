"""Properties that hold for whatever text, table, manifest, record or order of events (see rigs.py for the length)."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from pyarrow import csv as arrow_csv
from rich.console import Console
from rigs import Rig
from test_manifest import SLUGS, edited
from test_store import stage
from test_tables_and_rules import manifest, scored

from aigiqa_cli import rules, tables
from aigiqa_cli.cli.safe_text import safe_text
from aigiqa_cli.cli.terminal import _text
from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.exports.columns import number
from aigiqa_cli.index import COLUMNS, read_rows, unit_score, write_rows
from aigiqa_cli.manifest import load
from aigiqa_cli.manifest.models import Database
from aigiqa_cli.store import Root, read_record
from aigiqa_cli.tables import Layout

ANY = st.text(st.characters(blacklist_categories=("Cs",)), max_size=30)
CELL = ANY.filter(lambda text: "\0" not in text)
NASTY = st.sampled_from(
    ["", " ", ",", '"', '""', '",', "\r", "\n", "\r\n", "\t", "a,b", 'a"b', "\ufeff", "=1+1", "-", "+", "@x", "NA", "null", "0001",
     "1e5", "\u2028", "\x1b[2J", "\x85", "\x0b", "\x1c", "'", "\\", "\\N", "#", "a\rb", "\n\n", "\u202egnp", "nan", "True"]
)  # fmt: skip
FIELD = st.one_of(CELL, NASTY, st.lists(NASTY, max_size=4).map("".join))


def check(rig: Rig, holds: Callable[..., None], *strategies: Any) -> None:
    """Run a property for as many examples as the rig is long, by its seed."""

    def counted(values: tuple[Any, ...]) -> None:
        holds(*values)
        rig.did()

    quiet = settings(
        max_examples=rig.length, database=None, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck)
    )
    seed(rig.chance.getrandbits(32))(quiet(given(st.tuples(*strategies))(counted)))()
    rig.length = rig.done  # shrinking, and what was drawn twice, are not counted


# ---------------------------------------------------------------------------------------------------------------------
# Text at the terminal
# ---------------------------------------------------------------------------------------------------------------------

EVERYTHING = st.text(max_size=40)  # surrogates included
ACTING = ("Cc", "Cf", "Cs", "Zl", "Zp")


@pytest.mark.rig("hyp", sample=100)
def test_U01_U03_U04_nothing_that_is_shown_acts_on_a_terminal(rig: Rig) -> None:
    def holds(text: str) -> None:
        shown = safe_text(text)
        assert not [character for character in shown if unicodedata.category(character) in ACTING]
        assert "\n" not in shown
        shown.encode("utf-8")
        assert safe_text(shown) == shown
        plain = [c for c in text if c.isascii() and c.isprintable()]
        assert [c for c in plain if c not in shown] == [], "what is harmless stays"

    check(rig, holds, EVERYTHING)


@pytest.mark.rig("hyp", sample=100)
def test_U02_markup_is_text(rig: Rig) -> None:
    pieces = st.sampled_from(
        [
            "[",
            "]",
            "[/",
            "[/x]",
            "[red]",
            "[bold",
            ":smile:",
            "\\[",
            "[link=file:///]",
            "[@click=x]",
            "{}",
            "%s",
            "\x1b[31m",
        ]
    )

    def holds(parts: list[str]) -> None:
        text = "".join(parts)
        stream = io.StringIO()
        console = Console(file=stream, width=10_000, force_terminal=True, color_system="truecolor")
        console.print(_text(text), soft_wrap=True)
        assert stream.getvalue() == safe_text(text) + "\n"

    check(rig, holds, st.lists(st.one_of(pieces, st.text(max_size=5)), max_size=8))


# ---------------------------------------------------------------------------------------------------------------------
# Tables
# ---------------------------------------------------------------------------------------------------------------------


def read(data: bytes, layout: Layout) -> list[list[str]]:
    return [list(cells) for _, cells in tables.rows(io.BytesIO(data), layout)]


@pytest.mark.rig("hyp", sample=60)
@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_T02_T07_what_a_csv_writer_wrote_is_read_cell_for_cell(rig: Rig, kind: str) -> None:
    layout = Layout(f"t.{kind}", kind, ("a", "b", "c"))

    def holds(rows: list[list[str]], end: str, mark: bytes) -> None:
        stream = io.StringIO()
        writer = csv.writer(stream, delimiter=",\t"[kind == "tsv"], lineterminator=end, quoting=csv.QUOTE_ALL)
        writer.writerows([["a", "b", "c"], *rows])
        assert read(mark + stream.getvalue().encode(), layout) == rows

    row = st.lists(FIELD, min_size=3, max_size=3)
    check(
        rig,
        holds,
        st.lists(row, max_size=5),
        st.sampled_from(["\n", "\r\n", "\r"]),
        st.sampled_from([b"", b"\xef\xbb\xbf"]),
    )


@pytest.mark.rig("hyp", sample=100)
def test_T07_T08_bytes_are_a_table_of_the_declared_width_or_refused(rig: Rig) -> None:
    layout = Layout("t.csv", "csv", ("a", "b"))

    def holds(data: bytes) -> None:
        try:
            rows = read(b"a,b\n" + data, layout)
        except RefusedInput as fault:
            assert fault.fault in ("T01", "T07", "T18")
            return
        assert all(len(row) == 2 for row in rows)

    check(
        rig,
        holds,
        st.one_of(st.binary(max_size=60), st.lists(NASTY, max_size=12).map(lambda parts: "".join(parts).encode())),
    )


@pytest.mark.rig("hyp", sample=100)
def test_T08_only_the_declared_header_passes(rig: Rig) -> None:
    declared = ("name", "prompt", "mos")
    layout = Layout("t.csv", "csv", declared)

    def holds(header: list[str]) -> None:
        if tuple(header) == declared:
            return
        stream = io.StringIO()
        csv.writer(stream).writerow(header)
        with pytest.raises(RefusedInput) as caught:
            read(stream.getvalue().encode(), layout)
        assert caught.value.fault == "T08"

    near = st.sampled_from(["name", "prompt", "mos", "Name", " name", "mos ", "", "mos.1", "std"])
    check(rig, holds, st.lists(near, min_size=1, max_size=5))


@pytest.mark.rig("hyp", sample=60)
def test_T15_json_rows_come_back_or_are_refused(rig: Rig) -> None:
    layout = Layout("t.jsonl", "jsonl", ("a", "b"))
    leaf = st.one_of(
        st.text(max_size=20), st.none(), st.integers(), st.floats(), st.booleans(), st.lists(st.integers(), max_size=2)
    )

    def holds(rows: list[list[Any]], ascii_only: bool) -> None:
        lines = [json.dumps(dict(zip("ab", row, strict=True)), ensure_ascii=ascii_only) for row in rows]
        data = "\n".join(lines).encode("utf-8", "surrogatepass")
        try:
            found = read(data, layout)
        except RefusedInput as fault:
            assert fault.fault in ("T15", "T01", "T07")
            return
        flat = [
            ["" if cell is None else cell if isinstance(cell, str) else json.dumps(cell) for cell in row]
            for row in rows
        ]
        assert found == flat

    check(rig, holds, st.lists(st.lists(leaf, min_size=2, max_size=2), max_size=4), st.booleans())


# ---------------------------------------------------------------------------------------------------------------------
# Numbers and rows
# ---------------------------------------------------------------------------------------------------------------------

DATABASE = Database.model_validate(manifest())
NUMERIC = st.one_of(
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.floats(-1, 6).map(repr),
    st.from_regex(r"[-+]?[0-9]{0,3}\.?[0-9]{0,4}([eE][-+]?[0-9]{0,4})?", fullmatch=True),
    CELL,
    NASTY,
)


def labels(*rows: list[str], **source: Any) -> rules.Labels:
    stream = io.StringIO()
    csv.writer(stream).writerows([["name", "prompt", "mos", "std"], *rows])
    database = Database.model_validate(manifest(source=source)) if source else DATABASE
    return rules.apply(database, database.labels[0], lambda _: io.BytesIO(stream.getvalue().encode()))


def acceptable(text: str) -> bool:
    """A plain decimal number from 0 to 5, by another way than a pattern."""
    mantissa, mark, exponent = text.replace("E", "e").partition("e")
    whole, point, fraction = mantissa.removeprefix("-").partition(".")
    digits = [whole, *([fraction] if point else []), *([exponent.lstrip("+-")] if mark else [])]
    if (
        not all(part and set(part) <= set("0123456789") for part in digits)
        or len(exponent) - len(exponent.lstrip("+-")) > 1
    ):
        return False
    short = len(whole) <= 40 and len(fraction) <= 40 and len(exponent.lstrip("+-")) <= 3
    return short and 0 <= Decimal(text) <= 5


@pytest.mark.rig("hyp", sample=150)
def test_T03_T04_a_score_is_a_number_in_range_kept_as_written_or_rejected(rig: Rig) -> None:
    def holds(text: str) -> None:
        found = labels(["glide_1.png", "x", text, "0"])
        assert len(found.rows) + len(found.rejected) == 1
        for row in found.rows:
            assert row.fields["mos_quality"] == text
            value = float(text)
            assert 0 <= value <= 5
            assert text.isascii()
            assert number(text) == value
            assert abs(float(row.fields["score_quality"]) - value / 5) <= 1e-6
        assert bool(found.rows) == acceptable(text)

    check(rig, holds, NUMERIC)


@pytest.mark.rig("hyp", sample=60)
def test_T03_a_declared_shift_moves_the_point_and_nothing_else(rig: Rig) -> None:
    def holds(value: Decimal) -> None:
        text = format(value, "f")
        (row,) = labels(["glide_1.png", "x", text, "0"], scores=scored(scale="100")).rows
        assert Decimal(row.fields["mos_quality"]) == Decimal(text) * 100
        digits, shifted = (word.replace(".", "").strip("0") for word in (text, row.fields["mos_quality"]))
        assert digits == shifted

    check(rig, holds, st.decimals("0", "0.05", places=6))


@pytest.mark.rig("hyp", sample=60)
def test_T03_the_unit_score_keeps_the_order(rig: Rig) -> None:
    def holds(one: Decimal, other: Decimal) -> None:
        low, high = sorted((one, other))
        scores = [Decimal(unit_score(str(value), Decimal(0), Decimal(5))) for value in (low, high)]
        assert 0 <= scores[0] <= scores[1] <= 1

    value = st.decimals("0", "5", allow_nan=False)
    check(rig, holds, value, value)


@pytest.mark.rig("hyp", sample=60)
def test_P11_rows_in_are_rows_out_plus_rows_rejected(rig: Rig) -> None:
    name = st.one_of(st.from_regex(r"(glide|sd|x)_[0-3]\.png", fullmatch=True), FIELD)

    def holds(rows: list[list[str]]) -> None:
        found = labels(*rows)
        assert len(found.rows) + len(found.rejected) == len(rows)
        assert {row.where for row in found.rows} & {finding.path for finding in found.rejected} == set()
        for row in found.rows:
            assert [row.image_id, row.fields["prompt"], row.fields["mos_quality"]] in [line[:3] for line in rows]

    row = st.tuples(name, FIELD, NUMERIC, st.sampled_from(["0", "0.5", "-1", ""])).map(list)
    check(rig, holds, st.lists(row, max_size=6))


# ---------------------------------------------------------------------------------------------------------------------
# X05: the index, with four readers that share nothing
# ---------------------------------------------------------------------------------------------------------------------


def by_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream, strict=True))


def by_pandas(path: Path) -> list[list[str]]:
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, header=None, encoding="utf-8", skip_blank_lines=False)
    return [[str(cell) for cell in row] for row in frame.to_numpy().tolist()]


def by_arrow(path: Path) -> list[list[str]]:
    names = [str(place) for place in range(len(COLUMNS))]
    table = arrow_csv.read_csv(
        path,
        read_options=arrow_csv.ReadOptions(column_names=names, use_threads=False),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
    return [list(row) for row in zip(*(table.column(name).to_pylist() for name in names), strict=True)]


def by_duckdb(path: Path) -> list[list[str]]:
    columns = {f"c{place}": "VARCHAR" for place in range(len(COLUMNS))}
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT * FROM read_csv(?, columns=?, header=false, delim=',', quote='\"', escape='\"', auto_detect=false, "
            "new_line='\\n', strict_mode=true, null_padding=false, parallel=false, max_line_size=10000000)",
            [str(path), columns],
        ).fetchall()
    return [["" if cell is None else cell for cell in row] for row in found]


READERS = {"csv": by_csv, "pandas": by_pandas, "pyarrow": by_arrow, "duckdb": by_duckdb}


@pytest.mark.rig("hyp", sample=30)
@pytest.mark.parametrize("reader", READERS)
def test_X05_whatever_stands_in_a_cell_every_reader_reads_it(rig: Rig, reader: str, tmp_path: Path) -> None:
    path = tmp_path / "index.csv"

    def holds(rows: list[dict[str, str]]) -> None:
        whole = [dict.fromkeys(COLUMNS, "") | {"database": "some"} | row for row in rows]
        with path.open("wb") as stream:
            write_rows(stream, whole)
        assert READERS[reader](path) == [list(COLUMNS), *([row[column] for column in COLUMNS] for row in whole)]
        assert list(read_rows(path)) == whole

    row = st.fixed_dictionaries({"prompt": FIELD, "setting": FIELD, "extra": FIELD, "image_id": FIELD})
    check(rig, holds, st.lists(row, min_size=1, max_size=4))


@pytest.mark.parametrize("reader", READERS)
def test_X05_a_prompt_of_a_megabyte(reader: str, tmp_path: Path) -> None:
    prompt = ('one, "two"\n' * 100_000)[: 1 << 20]
    row = dict.fromkeys(COLUMNS, "") | {"database": "some", "prompt": prompt}
    path = tmp_path / "index.csv"
    with path.open("wb") as stream:
        write_rows(stream, [row])
    csv.field_size_limit(2 << 20)
    assert READERS[reader](path)[1][COLUMNS.index("prompt")] == prompt


# ---------------------------------------------------------------------------------------------------------------------
# Manifests and records
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.rig("hyp", sample=60)
def test_M04_M16_text_in_a_manifest_stays_text(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    text = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=20)
    words = st.sampled_from(
        [
            "0755",
            "1:30",
            "yes",
            "on",
            "0x1F",
            "1_000",
            "2024-01-02",
            "=",
            "<<",
            "*a",
            "&a",
            "!x",
            "1e5",
            ".5",
            "- a",
            "{}",
        ]
    )

    def holds(title: str) -> None:
        path.write_text(edited(("title: Small", f"title: {json.dumps(title, ensure_ascii=False)}")), encoding="utf-8")
        try:
            found = load(path, generators=SLUGS).title
        except RefusedInput as fault:
            assert title in ("~", "null", "Null", "NULL") or fault.findings[0].problem.startswith(
                ("control character", "not YAML: ")
            ), title
            return
        assert found == title

    check(rig, holds, st.one_of(text, words))


@pytest.mark.rig("hyp", sample=100)
def test_M01_M05_whatever_yaml_says_is_a_manifest_or_refused_with_findings(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    leaf = st.one_of(st.text(max_size=5), st.integers(), st.floats(), st.booleans(), st.none(), st.dates())
    tree = st.recursive(
        leaf,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
        max_leaves=8,
    )
    keys = st.sampled_from(
        ["title", "license", "assets", "labels", "expect", "splits", "facts", "witnesses", "aliases", "results"]
    )
    good = yaml.safe_load(edited())

    def holds(key: str, value: Any) -> None:
        path.write_bytes(yaml.safe_dump(good | {key: value}, allow_unicode=True).encode("utf-8", "replace"))
        try:
            load(path, generators=SLUGS)
        except RefusedInput as fault:
            assert fault.findings
            assert all(finding.path.rpartition(":")[2].isdigit() for finding in fault.findings)

    check(rig, holds, keys, tree)


@pytest.mark.rig("hyp", sample=40)
def test_X01_S13_a_record_comes_back_as_it_was(rig: Rig, tmp_path: Path) -> None:
    root = Root(tmp_path / "root")
    root.prepare()
    work, record = stage(root)
    work.close()

    def holds(notes: list[str], problem: str) -> None:
        changed = replace(record, warnings=tuple(notes), rejected=({"problem": problem},), splits={"s": problem})
        root.record("some").write_bytes(b"".join(changed.pieces()))
        assert read_record(root, "some") == changed

    check(rig, holds, st.lists(ANY, max_size=3), ANY)
