"""Workbooks and MATLAB files: what is read, and what is refused with its reason (T09-T13)."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import openpyxl
import pytest
from scipy.io import savemat

from aigiqa_cli import tables
from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.tables import Layout

BOOK = Layout("labels.xlsx", "xlsx", ("name", "mos"))
MATRIX = Layout("mosz1.mat", "mat", ("MOSz",))


def book(*rows: list[object]) -> bytes:
    workbook = openpyxl.Workbook()
    for row in rows:
        workbook.active.append(row)
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()


def matrix(**variables: object) -> bytes:
    stream = io.BytesIO()
    savemat(stream, variables)
    return stream.getvalue()


def read(data: bytes, layout: Layout) -> list[list[str]]:
    return [list(cells) for _, cells in tables.rows(io.BytesIO(data), layout)]


def refused(data: bytes, layout: Layout) -> RefusedInput:
    with pytest.raises(RefusedInput) as raised:
        read(data, layout)
    assert layout.name in raised.value.message
    return raised.value


def with_part(data: bytes, name: str, content: bytes) -> bytes:
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def replaced(data: bytes, name: str, change: tuple[bytes, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            new.writestr(info, content.replace(*change) if info.filename == name else content)
    return stream.getvalue()


def test_numbers_of_a_workbook_become_their_shortest_text() -> None:
    data = book(["name", "mos"], ["a.png", 2.793410504563652], ["b.png", 3], ["c.png", "1.50"])
    assert read(data, BOOK) == [["a.png", "2.793410504563652"], ["b.png", "3"], ["c.png", "1.50"]]


def test_T12_formula_without_its_stored_value() -> None:
    assert refused(book(["name", "mos"], ["a.png", "=1+1"]), BOOK).fault == "T12"


@pytest.mark.parametrize("part", ["xl/vbaProject.bin", "xl/externalLinks/externalLink1.xml"])
def test_T12_macros_and_links_to_other_files(part: str) -> None:
    assert refused(with_part(book(["name", "mos"], ["a.png", 1]), part, b"x"), BOOK).fault == "T12"


def test_T12_date_and_truth_are_no_scores() -> None:
    assert refused(book(["name", "mos"], ["a.png", True]), BOOK).fault == "T12"


def test_T10_workbook_that_unpacks_to_too_much() -> None:
    stream = io.BytesIO(book(["name", "mos"]))
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet2.xml", bytes(65 << 20))
    assert refused(stream.getvalue(), BOOK).fault == "T10"


def test_T09_entities_are_refused() -> None:
    data = book(["name", "mos"], ["a.png", 1])
    doctype = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet '
    assert refused(replaced(data, "xl/worksheets/sheet1.xml", (b"<worksheet ", doctype)), BOOK).fault == "T09"


def test_T08_header_of_a_workbook() -> None:
    assert refused(book(["name", "score"], ["a.png", 1]), BOOK).fault == "T08"


def test_lock_file_of_an_office_program_is_no_workbook() -> None:
    assert refused(b"\x05Anna" + bytes(160), BOOK).fault == "T09"


def test_numbers_of_a_matlab_file_become_their_shortest_text() -> None:
    assert read(matrix(MOSz=np.array([[60.1641784272688], [0.1]])), MATRIX) == [["60.1641784272688"], ["0.1"]]


def test_T13_matlab_7_3_is_another_format() -> None:
    head = b"MATLAB 7.3 MAT-file, Platform: PCWIN64".ljust(512, b" ")
    fault = refused(head + b"\x89HDF\r\n\x1a\n" + bytes(100), MATRIX)
    assert fault.fault == "T13"
    assert "7.3" in fault.message


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (matrix(other=np.ones((3, 1))), "T08"),
        (matrix(MOSz=np.ones((3, 2))), "T13"),
        (matrix(MOSz=np.array(["a", "b"])), "T13"),
        (b"not a matlab file at all" * 40, "T13"),
        (matrix(MOSz=np.ones((3, 1)))[:150], "T13"),
    ],
    ids=["missing-variable", "no-vector", "text", "foreign", "cut"],
)
def test_T13_other_matlab_files(data: bytes, fault: str) -> None:
    assert refused(data, MATRIX).fault == fault
