"""Fuzzing of every parser (see fuzzing.py), and what it has found so far, as ordinary tests."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import fuzz_seeds as seeds
import fuzzing
import pytest
from rigs import Rig

from aigiqa_cli import images, tables
from aigiqa_cli.archives.contract import Refusal
from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.manifest.reading import read
from aigiqa_cli.tables import Layout, mat_elements
from aigiqa_cli.transport import pages

GROUPS = {
    "archives": ("zip", "tar", "7z", "rar"),
    "images": ("png", "jpeg", "webp", "gif", "bmp", "tiff"),
    "text": ("csv", "csv-gbk", "json", "jsonl", "manifest", "record", "index", "page"),
    "binary": ("xlsx", "xlsx-sheet", "xlsx-styles", "mat"),
}


def test_every_parser_is_in_a_group() -> None:
    assert sorted(name for group in GROUPS.values() for name in group) == sorted(fuzzing.TARGETS)


@pytest.mark.parametrize("name", fuzzing.TARGETS)
def test_the_fuzzer_starts_from_files_that_are_good(name: str) -> None:
    """Every seed is read without a refusal, so that mutants reach what lies behind the first check."""
    target = fuzzing.TARGETS[name]
    for data in target.seeds():
        target.run(data)
        if target.mend is not None and name != "mat":
            assert target.mend(data) == data or name in ("tar", "7z"), "what is mended already stays as it is"


@pytest.mark.rig("fuzz", sample=200)  # runs for each parser
@pytest.mark.parametrize("group", GROUPS)
def test_no_parser_crashes_hangs_or_eats_memory(rig: Rig, group: str, tmp_path: Path) -> None:
    """Short runs are by chance: the guided engine needs longer to start than they last."""
    guided = importlib.util.find_spec("atheris") is not None and rig.length >= 5_000
    command = [sys.executable, fuzzing.__file__, *GROUPS[group], "--runs", str(rig.length), "--seed", rig.seed]
    command += [] if guided else ["--random"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout, done.stderr[-3000:]
    results = json.loads(done.stdout.splitlines()[-1])
    rig.length *= len(results)
    for found in results.values():
        rate = found["runs"] / max(found["seconds"], 0.01)
        rig.did(found["runs"], **{f"runs_by_{found['engine']}": found["runs"], "findings": len(found["failures"])})
        print(f"{rate:,.0f} runs/s")
    wrong = [f"{name}: {why}\n{data}" for name, found in results.items() for why, data in found["failures"]]
    assert not wrong, "\n\n".join(wrong)


# ---------------------------------------------------------------------------------------------------------------------
# Found, and never again
# ---------------------------------------------------------------------------------------------------------------------

TEXT = ("name", "prompt", "mos")


def refused(data: bytes, layout: Layout) -> str:
    with pytest.raises(RefusedInput) as caught:
        list(tables.rows(io.BytesIO(data), layout))
    return caught.value.fault


@pytest.mark.parametrize("control", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_M05_control_characters_that_end_lines_elsewhere(control: str) -> None:
    """`str.splitlines` takes them for line ends, so a search in each of its lines never saw them."""
    (fault,) = read(f"a: b\nc: x{control}y\n".encode()).faults
    assert (fault.line, fault.problem, fault.found) == (2, "control character", f"U+{ord(control):04X}")


def test_M05_line_ends_of_windows() -> None:
    assert read(b"a: b\r\nc: d\r\n").data == {"a": "b", "c": "d"}
    assert read(b"a: b\rc: d\r").faults


def test_T01_half_a_character_in_json() -> None:
    layout = Layout("t.jsonl", "jsonl", TEXT)
    assert refused(b'{"name": "a", "prompt": "\\ud800", "mos": 1}\n', layout) == "T01"


def test_T07_zero_byte_in_json() -> None:
    assert refused(b'{"name": "a", "prompt": "\\u0000", "mos": 1}\n', Layout("t.jsonl", "jsonl", TEXT)) == "T07"


def test_T18_long_cell_in_json() -> None:
    data = b'[{"name": "a", "prompt": "' + b"x" * (1 << 20) + b'y", "mos": 1}]'
    assert refused(data, Layout("t.json", "json", TEXT)) == "T18"


@pytest.mark.parametrize(
    "part", ["xl/worksheets/sheet1.xml", "xl/styles.xml", "xl/workbook.xml", "[Content_Types].xml"]
)
@pytest.mark.parametrize("xml", [b"", b"<", b"<a>", b"\xff\xfe", b"<a b='c'/>" * 2])
def test_T09_parts_of_a_workbook_that_are_no_xml(part: str, xml: bytes) -> None:
    assert refused(seeds.around(xml, part), Layout("t.xlsx", "xlsx", TEXT)) in ("T08", "T09")


def test_T12_formulas_and_blanks_without_end_take_no_time() -> None:
    """Two runs of blanks side by side in a pattern took the square of their length."""
    blanks = b" " * 2_000_000
    xml = seeds.sheet().replace(
        b"</sheetData>", b'<row r="4"><c r="A4"><f>1</f>' + blanks + b"<x/></c></row></sheetData>"
    )
    assert fuzzing.failure(fuzzing.Target(list, lambda data: list(workbook_uncached(data))), xml) == ""


def workbook_uncached(xml: bytes) -> list[str]:
    from aigiqa_cli.tables.workbook import _uncached

    return list(_uncached(xml))


@pytest.mark.parametrize(
    ("sheet", "places"),
    [
        (b'<c r="A1"><f>1+1</f></c>', ["A1"]),
        (b'<c r="A1" t="n"><f>1+1</f><v/></c>', ["A1"]),
        (b"<c r='B2'> <f ca=\"1\"/> <v></v> </c>", ["B2"]),
        (b"<c><f>1</f></c>", [""]),
        (b'<c r="A1"><f>1+1</f><v>2</v></c>', []),
        (b'<c r="A1"/><c r="B1"><v>2</v></c>', []),
        (b'<c r="A1"><v>1</v></c><c r="B1"><f t="shared" si="0"/><v></v></c>', ["B1"]),
    ],
)
def test_T12_formulas_without_their_value_are_found(sheet: bytes, places: list[str]) -> None:
    assert workbook_uncached(sheet) == places


def test_N06_pages_that_take_no_time() -> None:
    """Forty comments could be comments that enclose comments in 2**39 ways; open titles took the square of the page."""
    for page in (
        b"<!--a-->" * 60 + b"x",
        b"<!-- " * 100 + b"-->",
        b"<html>" + b"<title" * 10_000,
        b"<html>" + b"<title>" * 9_000,
    ):
        assert fuzzing.failure(fuzzing.TARGETS["page"], page) == ""


def test_N06_comments_before_a_page_are_seen_through() -> None:
    for page in ("<!--a--> <!-- b --><html>", "<!-- <a> - -- -> --><!DOCTYPE x>", "\n<HTML>"):
        assert pages._is_page(page, "", "zip")
    for other in ("<!--a-->text", "<!--<html>", "text <html>"):
        assert not pages._is_page(other, "", "zip")


def test_I01_decoder_that_stumbles() -> None:
    """A rational number as an offset in a TIFF: the library raised TypeError, and the worker died of it."""
    with pytest.raises(images.NotAnImage):
        images.decode(broken_tiff())


def broken_tiff() -> bytes:
    """One strip whose offset is of the kind "rational"."""
    import struct

    entries = [(256, 3, 1, 4), (257, 3, 1, 4), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 5, 1, 110),
               (277, 3, 1, 1), (278, 3, 1, 4), (279, 3, 1, 16)]  # fmt: skip
    body = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    body += b"".join(struct.pack("<HHI", *entry[:3]) + struct.pack("<I", entry[3]) for entry in entries)
    return body.ljust(110, b"\0") + struct.pack("<II", 1, 3) + bytes(64)


MOS = Layout("t.mat", "mat", ("MOSz",))


def forged(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def test_T13_sizes_that_are_not_there() -> None:
    """The library reserves what a length field says: 3 GB for the name of a variable."""
    good = seeds.matrix(packed=False)
    assert [cells for _, cells in tables.rows(io.BytesIO(good), MOS)] == [["60.25"], ["0.5"], ["7.0"]]
    bombs = {at: forged(good, at, b"\xf0\xff\xff\x7f") for at in range(128, len(good) - 4, 4)}
    for at, bomb in bombs.items():
        why = fuzzing.failure(fuzzing.TARGETS["mat"], bomb)
        assert why == "", f"{at}: {why}"
    assert refused(bombs[132], MOS) == "T13"


def test_T13_packed_bomb() -> None:
    """233 kB that unpack to half a gigabyte: a variable may hold its numbers and nothing else."""
    good = seeds.matrix(packed=False)
    (first, *_) = [bytes(v.element) for v in mat_elements.listed(good)]
    bomb = zlib.compress(first + bytes(300 << 20), 9)
    data = good[:128] + (15).to_bytes(4, "little") + len(bomb).to_bytes(4, "little") + bomb
    assert len(data) < 1 << 20
    assert refused(data, MOS) == "T13"
    assert fuzzing.failure(fuzzing.TARGETS["mat"], data) == ""


def test_T13_every_kind_of_matlab_file_that_is_good() -> None:
    import numpy as np
    from scipy.io import savemat

    for kind in ("u1", "i2", "u4", "f4", "f8", ">f8"):
        for more in ({"format": "4"}, {"format": "5"}, {"do_compression": True}):
            stream = io.BytesIO()
            values = {"other": np.eye(3), "MOSz": np.arange(5).astype(kind).reshape(-1, 1), "text": np.array(["a"])}
            savemat(stream, values, **more)
            found = [cells for _, cells in tables.rows(io.BytesIO(stream.getvalue()), MOS)]
            assert [float(cell) for (cell,) in found] == [0, 1, 2, 3, 4]


def test_T10_a_workbook_is_judged_as_a_zip() -> None:
    data = seeds.book_once()
    assert refused(b"x" + data, Layout("t.xlsx", "xlsx", TEXT)) == "T09"
    assert refused(data + b"x", Layout("t.xlsx", "xlsx", TEXT)) == "T10"
    twice = io.BytesIO(data)
    with zipfile.ZipFile(twice, "a") as book, pytest.warns(UserWarning, match="Duplicate"):
        book.writestr("xl/worksheets/sheet1.xml", seeds.sheet())
    assert refused(twice.getvalue(), Layout("t.xlsx", "xlsx", TEXT)) == "T10"


def test_T09_any_dtd_is_refused() -> None:
    for doctype in (
        '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
        "<!DOCTYPE worksheet>",
        '<!DOCTYPE x [<!ENTITY a "a">]>',
    ):
        for encoding in ("utf-8", "utf-16"):
            xml = f'<?xml version="1.0" encoding="{encoding}"?>{doctype}'.encode(encoding)
            xml += seeds.sheet().decode().encode(encoding).removeprefix(b"\xff\xfe")
            for part in ("xl/worksheets/sheet1.xml", "xl/styles.xml", "_rels/.rels"):
                assert refused(seeds.around(xml, part), Layout("t.xlsx", "xlsx", TEXT)) == "T09"


def test_A13_lzma_member_that_asks_for_a_giant_dictionary() -> None:
    """Four bytes made the library reserve 4 GB."""
    good = seeds.zipped(method=zipfile.ZIP_LZMA)
    at = 30 + len("set/a.png") + 5
    bomb = forged(good, at, b"\xff\xff\xff\xff")
    assert good[at - 3 : at - 1] == b"\x05\x00", "the length of the properties, before them"
    assert fuzzing.failure(fuzzing.TARGETS["zip"], bomb) == ""
    with pytest.raises(Refusal) as caught:
        fuzzing.consumed("zip", "ZipFormat", bomb)
    assert caught.value.fault == "A13"
