"""Bad score tables, each with the fault that must be named (T01-T19): one list, all of it in every run."""

from __future__ import annotations

import io
import json
import resource
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fuzz_seeds as seeds
import openpyxl
import pytest
from rigs import Rig
from test_binary_tables import book, matrix, with_part
from test_tables_and_rules import PLAIN, manifest, table

from aigiqa_cli import expectations, rules, tables
from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.manifest.models import Database
from aigiqa_cli.tables import Layout

COLUMNS = ("name", "prompt", "mos")
HEAD = b"name,prompt,mos\n"
GOOD = HEAD + b'a.png,"one, ""two""",3.50\nb.png,,0001\n'
MEMORY = 512 << 20


@dataclass(frozen=True)
class Bad:
    """`data` in the format `kind` must be refused with `fault`."""

    name: str
    kind: str
    data: Callable[[], bytes]
    fault: str
    columns: tuple[str, ...] = COLUMNS
    more: dict[str, Any] = field(default_factory=dict)


def _text() -> Iterator[Bad]:
    bodies: dict[str, tuple[bytes, str]] = {
        "utf-16": (GOOD.decode().encode("utf-16"), "T01 T07 T08"),
        "utf-16-le": (GOOD.decode().encode("utf-16-le"), "T01 T07 T08"),
        "utf-32": (GOOD.decode().encode("utf-32"), "T01 T07 T08"),
        "gbk-prompt": (HEAD + "a,红猫,1\n".encode("gbk"), "T01"),
        "latin-1": (HEAD + b"a,caf\xe9,1\n", "T01"),
        "cp1252-quotes": (HEAD + b"a,\x93x\x94,1\n", "T01"),
        "mixed-encodings": (HEAD + "a,é,1\n".encode() + "b,é,1\n".encode("latin-1"), "T01"),
        "overlong": (HEAD + b"a,\xc0\xaf,1\n", "T01"),
        "surrogate-bytes": (HEAD + b"a,\xed\xa0\x80,1\n", "T01"),
        "cut-character": (HEAD + b"a,x,\xe7\xba", "T01"),
        "late-byte": (HEAD + b"a,x,1\n" * 20_000 + b"b,\xff,1\n", "T01"),
        "header-missing": (b"a.png,x,1\n", "T08"),
        "header-case": (b"Name,prompt,mos\na,x,1\n", "T08"),
        "header-blank-before": (b" name,prompt,mos\na,x,1\n", "T08"),
        "header-blank-after": (b"name ,prompt,mos\na,x,1\n", "T08"),
        "header-twice": (b"name,prompt,mos,mos\na,x,1,1\n", "T08"),
        "header-renamed": (b"name,prompt,score\na,x,1\n", "T08"),
        "header-order": (b"name,mos,prompt\na,1,x\n", "T08"),
        "header-surplus": (b"name,prompt,mos,\na,x,1,\n", "T08"),
        "header-index-column": (b",name,prompt,mos\n0,a,x,1\n", "T08"),
        "header-semicolons": (GOOD.replace(b",", b";"), "T08"),
        "header-tabs": (GOOD.replace(b",", b"\t"), "T08 T07"),
        "header-twice-marked": (b"\xef\xbb\xbf\xef\xbb\xbf" + GOOD, "T08"),
        "header-look-alike": ("n\u0430me,prompt,mos\na,x,1\n".encode(), "T08"),
        "header-zero-width": ("name\u200b,prompt,mos\na,x,1\n".encode(), "T08"),
        "header-only-blank": (b"\n" + GOOD, "T08"),
        "empty": (b"", "T08"),
        "page": (b"<!DOCTYPE html><html></html>\n", "T08"),
        "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "T08 N06"),
        "surplus-cell": (HEAD + b"a,x,1,2\n", "T07"),
        "surplus-empty-cell": (HEAD + b"a,x,1,\n", "T07"),
        "short-row": (HEAD + b"a,x\n", "T07"),
        "one-cell": (HEAD + b"a\n", "T07"),
        "empty-row": (HEAD + b"a,x,1\n\nb,x,1\n", "T07"),
        "empty-rows-at-end": (HEAD + b"a,x,1\n\n\n", "T07"),
        "blank-row": (HEAD + b"   \n", "T07"),
        "comment-row": (HEAD + b"# note\n", "T07"),
        "open-quote": (HEAD + b'a,"x,1\n', "T07"),
        "text-after-quote": (HEAD + b'a,"x"y,1\n', "T07"),
        "quote-then-blank": (HEAD + b'a,"x" ,1\n', "T07"),
        "zero-byte": (HEAD + b"a,x\0y,1\n", "T07"),
        "zero-bytes-at-end": (HEAD + b"a,x,1\n" + bytes(512), "T07"),
        "semicolon-row": (HEAD + b"a;x;1\n", "T07"),
        "open-quote-giant": (HEAD + b'a,"' + b"x" * (3 << 20), "T07"),
        "giant-cell": (HEAD + b"a," + b"x" * ((1 << 20) + 1) + b",1\n", "T07 T18"),
        "giant-quoted-cell": (HEAD + b'a,"' + b"x\n" * (1 << 20) + b'",1\n', "T07 T18"),
        "control-z": (HEAD + b"a,x,1\n\x1a", "T07"),
        "unquoted-line-end": (HEAD + b"a,x\ny,1\n", "T07"),
        "lone-cr-in-row": (HEAD + b"a,x\ry,1\n", "T07"),
    }
    for name, (data, fault) in bodies.items():
        yield Bad(name, "csv", lambda data=data: data, fault)  # type: ignore[misc]
        if name.startswith(("surplus", "short", "open-quote", "header-r", "zero")):
            yield Bad(f"tsv-{name}", "tsv", lambda data=data: data.replace(b",", b"\t"), fault)  # type: ignore[misc]
    yield Bad("declared-gbk", "csv", lambda: GOOD + "c,é,1\n".encode("latin-1"), "T01", more={"encoding": "gb18030"})
    yield Bad("declared-ascii", "csv", lambda: GOOD + "c,é,1\n".encode(), "T01", more={"encoding": "ascii"})
    yield Bad("declared-utf-16", "csv", lambda: GOOD, "T01 T08", more={"encoding": "utf-16"})
    yield Bad("no-header-too-wide", "csv", lambda: b"a,x,1,2\n", "T07", more={"header": False})
    yield Bad("no-header-zero", "csv", lambda: b"a,\0,1\n", "T07", more={"header": False})


def _objects() -> Iterator[Bad]:
    row = '{"name": "a", "prompt": "x", "mos": 1}'
    items = {
        "key-twice": row.replace('"name": "a"', '"name": "a", "name": "b"'),
        "key-twice-equal": row.replace('"name": "a"', '"name": "a", "name": "a"'),
        "nan": row.replace("1}", "NaN}"),
        "infinity": row.replace("1}", "Infinity}"),
        "minus-infinity": row.replace("1}", "-Infinity}"),
        "missing-key": '{"name": "a", "prompt": "x"}',
        "surplus-key": row.replace("1}", '1, "std": 2}'),
        "misspelt-key": row.replace("mos", "MOS"),
        "empty-key": row.replace('"mos"', '""'),
        "list-cell": row.replace('"x"', '["x"]'),
        "object-cell": row.replace('"x"', "{}"),
        "true-cell": row.replace("1}", "true}"),
        "deep-cell": row.replace('"x"', "[" * 50_000 + "]" * 50_000),
        "comment": row.replace('"x"', '"x" /* y */'),
        "single-quotes": row.replace('"', "'"),
        "trailing-comma": row.replace("1}", "1,}"),
        "leading-zero": row.replace("1}", "01}"),
        "plus": row.replace("1}", "+1}"),
        "hexadecimal": row.replace("1}", "0x1}"),
        "bare-point": row.replace("1}", ".5}"),
        "control-in-text": row.replace('"x"', '"x\ty"').replace("\\t", "\t"),
        "not-an-object": '["a", "x", 1]',
        "text": '"a"',
        "number": "1",
        "cut": row[:-3],
        "after": row + " x",
        "half-character": row.replace('"x"', '"\\ud83d"'),
        "zero-character": row.replace('"x"', '"\\u0000"'),
    }
    codes = {"half-character": "T01", "zero-character": "T07"}
    for name, text in items.items():
        fault = codes.get(name, "T15")
        yield Bad(f"jsonl-{name}", "jsonl", lambda text=text: f"{row}\n{text}\n".encode(), fault)  # type: ignore[misc]
        yield Bad(f"json-{name}", "json", lambda text=text: f"[{row}, {text}]".encode(), fault)  # type: ignore[misc]
    yield Bad("json-object", "json", row.encode, "T15")
    yield Bad("json-two", "json", lambda: b"[] []", "T15")
    yield Bad("json-empty", "json", lambda: b"", "T15")
    yield Bad("json-deep", "json", lambda: b"[" * 200_000, "T15")
    yield Bad("json-utf-16", "json", lambda: f"[{row}]".encode("utf-16"), "T15")
    yield Bad("json-latin-1", "json", lambda: f"[{row}]".replace("x", "é").encode("latin-1"), "T15")
    yield Bad("json-long-cell", "json", lambda: f"[{row}]".replace("x", "x" * (2 << 20)).encode(), "T18")
    yield Bad("json-giant-number", "json", lambda: f"[{row}]".replace("1}", "1" * (2 << 20) + "}").encode(), "T18")
    yield Bad("jsonl-long-line", "jsonl", lambda: row.replace("x", "x" * (2 << 20)).encode(), "T18")


def _books() -> Iterator[Bad]:
    def rows(*listed: list[object]) -> Callable[[], bytes]:
        return lambda: book(["name", "prompt", "mos"], *listed)

    def sheet(*change: bytes) -> Callable[[], bytes]:
        return lambda: seeds.around(seeds.sheet().replace(*change))

    last = b"</sheetData>"
    wide = b'<row r="%d"><c r="A%d" t="n"><v>1</v></c><c r="XFD%d"/></row>'
    yield from (
        Bad(name, "xlsx", data, fault)
        for name, data, fault in (
            ("xlsx-formula", rows(["a", "x", "=1+1"]), "T12"),
            ("xlsx-formula-in-text", rows(["a", '="x"', 1]), "T12"),
            ("xlsx-truth", rows(["a", "x", True]), "T12"),
            ("xlsx-date", rows(["a", "x", __import__("datetime").date(2024, 1, 2)]), "T12"),
            ("xlsx-time", rows(["a", "x", __import__("datetime").time(1, 2)]), "T12"),
            ("xlsx-surplus", rows(["a", "x", 1, 2]), "T07"),
            ("xlsx-gap", rows([None, None, None], ["a", "x", 1]), "T07"),
            ("xlsx-header-twice", lambda: book(["name", "prompt", "mos", "mos"], ["a", "x", 1, 1]), "T08"),
            ("xlsx-header-renamed", lambda: book(["name", "prompt", "score"], ["a", "x", 1]), "T08"),
            ("xlsx-header-lower", lambda: book([None], ["name", "prompt", "mos"]), "T08"),
            ("xlsx-macro", lambda: with_part(seeds.book(), "xl/vbaProject.bin", b"x"), "T12"),
            ("xlsx-link", lambda: with_part(seeds.book(), "xl/externalLinks/externalLink1.xml", b"<a/>"), "T12"),
            ("xlsx-dtd", lambda: with_part(seeds.book(), "xl/x.xml", b"<!DOCTYPE a><a/>"), "T09"),
            ("xlsx-entity", sheet(b"<worksheet ", b'<!DOCTYPE x [<!ENTITY a "aa">]><worksheet '), "T09"),
            (
                "xlsx-external-entity",
                sheet(b"<worksheet ", b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><worksheet '),
                "T09",
            ),
            ("xlsx-cut-xml", lambda: seeds.around(seeds.sheet()[:300]), "T09 T08"),
            ("xlsx-no-xml", lambda: seeds.around(b"hello"), "T09"),
            ("xlsx-cut", lambda: seeds.book()[:-40], "T10"),
            ("xlsx-behind", lambda: seeds.book() + b"x", "T10"),
            ("xlsx-bomb", _bomb, "T10"),
            ("xlsx-traversal", lambda: with_part(seeds.book(), "../x.xml", b"<a/>"), "T10"),
            ("xlsx-lock-file", lambda: b"\x05Anna" + bytes(160), "T09"),
            ("xlsx-old-excel", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096), "T09"),
            ("xlsx-page", lambda: b"<html><table></table></html>", "T09"),
            ("xlsx-empty", lambda: b"", "T09"),
            ("xlsx-csv", lambda: GOOD, "T09"),
            ("xlsx-images", seeds.zipped, "T09"),
            (
                "xlsx-far-row",
                sheet(last, b'<row r="99999999999"><c r="A99999999999"><v>1</v></c></row>' + last),
                "T09 T11 T07",
            ),
            ("xlsx-far-column", sheet(last, b'<row r="4"><c r="XFD4"><v>1</v></c></row>' + last), "T11"),
            ("xlsx-column-beyond", sheet(last, b'<row r="4"><c r="ZZZZ4"><v>1</v></c></row>' + last), "T09 T11"),
            ("xlsx-wide-rows", sheet(last, b"".join(wide % (n, n, n) for n in range(4, 4000)) + last), "T11"),
            ("xlsx-cell-without-number", sheet(b"<v>3.5</v>", b"<v>abc</v>"), "T09"),
            ("xlsx-missing-string", sheet(b"<v>3.5</v>", b'<v>3.5</v></c><c r="D2" t="s"><v>9999</v>'), "T09"),
        )
    )


def _bomb() -> bytes:
    stream = io.BytesIO(seeds.book())
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet2.xml", bytes(65 << 20))
    return stream.getvalue()


def _matrices() -> Iterator[Bad]:
    import numpy as np

    numbers = np.array([[1.0], [2.0]])
    good = seeds.matrix(packed=False)
    cells = np.empty((2, 1), dtype=object)
    cells[:] = [["a"], [numbers]]
    faults: dict[str, tuple[Callable[[], bytes], str]] = {
        "missing": (lambda: matrix(other=numbers), "T08"),
        "empty-file": (lambda: b"", "T13 T08"),
        "text-variable": (lambda: matrix(MOSz=np.array(["ab"])), "T13"),
        "cells": (lambda: matrix(MOSz=cells), "T13"),
        "structure": (lambda: matrix(MOSz={"a": 1}), "T13"),
        "complex": (lambda: matrix(MOSz=numbers + 1j), "T13"),
        "logical": (lambda: matrix(MOSz=np.array([[True], [False]])), ""),
        "matrix": (lambda: matrix(MOSz=np.ones((2, 2))), "T13"),
        "cube": (lambda: matrix(MOSz=np.ones((2, 2, 2))), "T13"),
        "cut": (lambda: good[:180], "T13"),
        "cut-in-head": (lambda: good[:100], "T13"),
        "behind": (lambda: good + b"xxxxxxxx", "T13"),
        "version-7.3": (lambda: b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n", "T13"),
        "hdf5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(600), "T13"),
        "size-lie": (lambda: good[:132] + b"\xff\xff\xff\x7f" + good[136:], "T13"),
        "dimension-lie": (
            lambda: good.replace(b"\x03\x00\x00\x00\x01\x00\x00\x00", b"\xff\xff\xff\x7f\x01\x00\x00\x00"),
            "T13",
        ),
        "pickle": (lambda: b"\x80\x04\x95cos\nsystem\n(S'x'\ntR.", "T13"),
        "npy": (lambda: b"\x93NUMPY\x01\x00v\x00" + bytes(200), "T13"),
        "page": (lambda: b"<html>" + bytes(300), "T13"),
        "version-4-cut": (lambda: seeds.matrix4()[:-4], "T13"),
        "version-4-lie": (lambda: seeds.matrix4()[:4] + b"\xff\xff\xff\x7f" + seeds.matrix4()[8:], "T13"),
    }
    for name, (data, fault) in faults.items():
        if fault:
            yield Bad(f"mat-{name}", "mat", data, fault, ("MOSz",))
    different = {"a": numbers, "b": np.ones((3, 1))}
    yield Bad("mat-lengths", "mat", lambda: matrix(**different), "T07", ("a", "b"))


TABLES = {bad.name: bad for made in (_text, _objects, _books, _matrices) for bad in made()}


def test_there_are_enough() -> None:
    assert len(TABLES) >= 120


@pytest.mark.rig("bad-tables", sample=10_000, share=0.25)  # all of them: there are fewer
@pytest.mark.parametrize("quarter", range(4))
def test_T01_T18_bad_tables_are_refused(rig: Rig, quarter: int) -> None:
    chosen = list(TABLES.values())[quarter::4]
    rig.length = min(rig.length, len(chosen))
    wrong = []
    for bad in chosen[: rig.length]:
        data = bad.data()
        layout = Layout(f"t.{bad.kind}", bad.kind, bad.columns, **bad.more)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = _fault(data, layout)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        if found not in bad.fault.split() or grown > MEMORY >> 10:
            wrong.append(f"{bad.name}: expected {bad.fault}, found {found or 'a table'} ({grown >> 10} MB)")
        rig.did()
    assert not wrong, "\n".join(wrong)


def _fault(data: bytes, layout: Layout) -> str:
    try:
        for _ in tables.rows(io.BytesIO(data), layout):
            pass
    except RefusedInput as fault:
        assert fault.message.startswith(layout.name), "the file is named"
        assert fault.findings[0].path.startswith(layout.name)
        assert int(fault.exit_code) == 5
        return fault.fault
    return ""


# ---------------------------------------------------------------------------------------------------------------------
# Tables that are tables, and say what cannot be
# ---------------------------------------------------------------------------------------------------------------------

ROWS = {
    "T03": ["", "nan", "NaN", "inf", "-inf", "-", "--1", "1_0", "３.5", "3,5", "3.5.1", "0x1p3", "1e", "e5", ".5", "5.",
            "+1", " 1", "1 ", "1\u00a0", "\u22121", "1/2", "½", "五", "٣", "NA", "null", "None", "#N/A", "TRUE", "1e9999",
            "1" * 41, "0." + "1" * 41, "1e-999999999", "1.5f", "1d3", "$1", "1%", "3.5*", "'1"],
    "T04": ["5.0001", "-0.0001", "6", "1e3", "1e999", "99999999999999999999", "-1", "500"],
}  # fmt: skip
NAMES = ["../a_1.png", "/a_1.png", "a/b_1.png", "a\\b_1.png", "con.png", "a_1.png.", "a_1.png ", "", ".", "..", "a:b.png",
         "a_\u202e1.png", "a\x1b_1.png", "a" * 256, "cafe\u0301.png"]  # fmt: skip


@pytest.mark.rig("bad-tables", sample=10_000)
def test_T03_T04_T05_M09_bad_rows_are_rejected_and_listed(rig: Rig) -> None:
    plain = {"extract": {}, "columns": {"prompt": "prompt"}, "recode": {}, "image": {"id": "name", "find": ["{name}"]}}
    database = Database.model_validate(manifest(source=plain))
    cases = [(f'c_{n}.png,x,"{word}",0', word) for n, word in enumerate(ROWS["T03"] + ROWS["T04"])]
    cases += [(f'c_{n}.png,x,1,"{word}"', word) for n, word in enumerate([*ROWS["T03"], "-1", "-0.5"])]
    cases += [(f'"{name}",x,1,0', name) for name in NAMES]
    twins = ["glide_1.png", "GLIDE_1.png", "glide_1.PNG", "Sd_2.png"]
    cases += [(f"{name},x,1,0", name) for name in twins]
    rig.length = min(rig.length, len(cases))
    for row, word in cases[: rig.length]:
        data = {"t.csv": PLAIN + row.encode() + b"\n"}
        labels = rules.apply(database, database.labels[0], lambda name, data=data: io.BytesIO(data[name]))  # type: ignore[misc]
        assert len(labels.rows) == 2, word
        (finding,) = labels.rejected
        assert finding.path == "t.csv:4"
        with pytest.raises(RefusedInput) as caught:
            rules.refuse_undeclared(labels, database)
        assert caught.value.fault == "T04"
        assert int(caught.value.exit_code) == 5
        rig.did(rejected_rows=1)


def test_T06_rows_in_another_order_are_seen_where_a_checksum_says_so() -> None:
    """An order rule with the right count and the wrong order: the published statistics of a part tell."""
    rows = [f"glide_{n}.png,p{n},{n % 5},0" for n in range(1, 11)]
    expect = {"images": "10", "rows": "10", "generators": {"glide": "10"}}
    part = {"of": {"generator": "glide"}, "rows": "10", "mos": {"quality": {"min": "0", "max": "4", "mean": "2.0"}}}
    database = Database.model_validate(manifest(expect=expect | {"parts": [part]}))
    apply = lambda data: rules.apply(database, database.labels[0], lambda _: io.BytesIO(data))  # noqa: E731
    expectations.check(database, database.labels[0], apply(table(*rows)))
    with pytest.raises(RefusedInput) as caught:
        expectations.check(database, database.labels[0], apply(table(*rows[:9], "glide_10.png,p,1,0")))
    assert caught.value.fault == "T06"


def test_T18_many_rows_are_streamed(tmp_path: Path) -> None:
    """Twenty megabytes of rows in the memory of a few."""
    path = tmp_path / "t.csv"
    path.write_bytes(HEAD + b"a.png,some prompt that is as long as prompts are,1.5\n" * 400_000)
    tracemalloc.start()
    with path.open("rb") as stream:
        count = sum(1 for _ in tables.rows(stream, Layout("t.csv", "csv", COLUMNS)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 400_000
    assert peak < 8 << 20


def test_T11_a_sheet_that_claims_all_its_cells() -> None:
    """4.8 kB that claim 1,048,576 x 16,384 cells are read as what they hold."""
    claim = seeds.sheet().replace(b'<dimension ref="A1:C3"', b'<dimension ref="A1:XFD1048576"')
    assert claim != seeds.sheet()
    tracemalloc.start()
    found = [cells for _, cells in tables.rows(io.BytesIO(seeds.around(claim)), Layout("t.xlsx", "xlsx", COLUMNS))]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [["a.png", "one, two", "3.5"], ["b.png", "", "0001"]]
    assert peak < 64 << 20


def test_T11_empty_cells_far_right_and_below_are_no_table() -> None:
    """Formatting without content, as people leave it, is no reason to refuse."""
    far = b'<row r="4"><c r="XFD4"/></row><row r="1048576"><c r="A1048576"/></row></sheetData>'
    data = seeds.around(seeds.sheet().replace(b"</sheetData>", far))
    assert len(list(tables.rows(io.BytesIO(data), Layout("t.xlsx", "xlsx", COLUMNS)))) == 2


def test_T12_hidden_rows_count_and_merged_cells_are_empty() -> None:
    workbook = openpyxl.Workbook()
    for row in (["name", "prompt", "mos"], ["a", "x", 1], ["b", "y", 2], ["c", "z", 3]):
        workbook.active.append(row)
    workbook.active.row_dimensions[3].hidden = True
    workbook.active.merge_cells("B3:B4")
    stream = io.BytesIO()
    workbook.save(stream)
    found = [list(cells) for _, cells in tables.rows(stream, Layout("t.xlsx", "xlsx", COLUMNS))]
    assert found == [["a", "x", "1"], ["b", "y", "2"], ["c", "", "3"]]


def test_T15_numbers_keep_their_digits_however_many() -> None:
    digits = "0." + "123456789" * 20
    data = json.dumps([{"name": "a", "prompt": "x", "mos": 0}]).replace("0}", digits + "}").encode()
    assert [cells for _, cells in tables.rows(io.BytesIO(data), Layout("t.json", "json", COLUMNS))] == [
        ["a", "x", digits]
    ]
