"""What people take for a label table or an image: MATLAB files of other versions, lock files, Git LFS pointers."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import replicas
from archive_writers import seven
from conftest import Command
from scipy.io import savemat
from test_binary_tables import BOOK, MATRIX, book, matrix, read, refused
from test_more_archives import PICTURES, by_library, chinese_manifest, chinese_table, cut, image_bytes

from aigiqa_cli import images, tables
from aigiqa_cli.tables import Layout

CSV = Layout("data.csv", "csv", ("name", "mos"))
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"1" * 64 + b"\nsize 123456\n"
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(600)
MATLAB73 = (
    b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan 1 00:00:00 2024 HDF5 schema 1.00 .".ljust(512) + HDF5
)
SCORES = np.array([[60.1641784272688], [0.1]])


def version4(**variables: object) -> bytes:
    stream = io.BytesIO()
    savemat(stream, variables, format="4")
    return stream.getvalue()


# --- readers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [MATLAB73, HDF5], ids=["matlab", "hdf5"])
def test_T13_version_7_3_is_known_and_says_what_to_do(data: bytes) -> None:
    assert tables.is_matrix(data)
    fault = refused(data, MATRIX)
    assert fault.fault == "T13"
    assert "found version 7.3 (HDF5)" in fault.message
    assert "-v7" in fault.hint
    assert "aigiqa fetch --labels-only DB" in fault.hint


def test_version_4_is_known_and_read() -> None:
    data = version4(MOSz=SCORES)
    assert tables.is_matrix(data)
    assert read(data, MATRIX) == [["60.1641784272688"], ["0.1"]]


@pytest.mark.parametrize(
    "data",
    [b"", bytes(40), b"name,mos\na.png,1\n" * 4, b"\0\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\5\0\0\0a b\xff\0", b"\x89PNG\r\n"],
)
def test_other_bytes_are_no_matrix(data: bytes) -> None:
    assert not tables.is_matrix(data)


def test_T12_formula_says_what_stores_its_value() -> None:
    fault = refused(book(["name", "mos"], ["a.png", "=1+1"]), BOOK)
    assert fault.fault == "T12"
    assert "Excel or LibreOffice" in fault.hint


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x05Anna" + bytes(160), "lock file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000), "xls"),
    ],
    ids=["lock", "ole"],
)
def test_T09_what_people_take_for_a_workbook(data: bytes, said: str) -> None:
    fault = refused(data, BOOK)
    assert fault.fault == "T09"
    assert said in fault.message
    assert fault.hint


@pytest.mark.parametrize("layout", [CSV, BOOK, MATRIX], ids=["csv", "xlsx", "mat"])
def test_pointer_is_no_table(layout: Layout) -> None:
    fault = refused(POINTER, layout)
    assert "a Git LFS pointer, not the file" in fault.message
    assert "git lfs pull" in fault.hint


def test_pointer_is_no_image() -> None:
    with pytest.raises(images.NotAnImage, match="Git LFS pointer"):
        images.header(POINTER)


# --- the whole command ------------------------------------------------------------------------------------------------


@pytest.fixture
def hanzi(run: Command, manifests: Callable[[str, str], Path]) -> dict[str, bytes]:
    manifests("hanzi", chinese_manifest())
    return {f"set/{name}": image_bytes("PNG") + name.encode() for name in PICTURES} | {"set/data.csv": chinese_table()}


def laid_out(base: Path, files: dict[str, bytes]) -> Path:
    return replicas.folder(base, list(files.items()))


def failed(run: Command, *words: object, code: int) -> dict[str, str]:
    error: dict[str, str] = run("import", *words, "--json", code=code).json()["error"]
    assert not (run.root / "hanzi").exists()
    return error


def test_pointers_instead_of_images_are_counted_once(run: Command, tmp_path: Path, hanzi: dict[str, bytes]) -> None:
    files = {name: POINTER if name.endswith(".png") else data for name, data in hanzi.items()}
    folder = laid_out(tmp_path / "cloned", files)
    done = run("import", "hanzi", folder, code=3)
    assert "9 of the images of Hanzi in cloned are Git LFS pointers, not the images" in done.err
    assert done.err.count("LFS pointer") == 1
    assert f"git lfs pull, in {folder}" in done.err
    given = tmp_path / "given.zip"
    given.write_bytes(by_library(zipfile.ZIP_STORED, files))
    error = failed(run, "hanzi", given, code=3)
    assert error["hint"] == "aigiqa fetch hanzi"


def test_pointer_instead_of_the_table(run: Command, tmp_path: Path, hanzi: dict[str, bytes]) -> None:
    folder = laid_out(tmp_path / "cloned", hanzi | {"set/data.csv": POINTER})
    error = failed(run, "hanzi", folder, code=5)
    assert "data.csv: a Git LFS pointer, not the file" in error["message"]
    assert "git lfs pull" in error["hint"]
    assert "--labels-only hanzi" in error["hint"]


@pytest.mark.parametrize(
    ("form", "data", "said"),
    [("mat", MATLAB73, "7.3"), ("xlsx", b"\x05Anna" + bytes(160), "lock file"), ("xlsx", POINTER, "pointer")],
    ids=["mat", "xlsx", "pointer"],
)
def test_table_of_another_kind_inside_a_folder(
    run: Command,
    tmp_path: Path,
    hanzi: dict[str, bytes],
    manifests: Callable[[str, str], Path],
    form: str,
    data: bytes,
    said: str,
) -> None:
    text = chinese_manifest().replace("data.csv", f"data.{form}").replace("format: csv", f"format: {form}")
    if form == "mat":
        text = text.replace("columns: [name, prompt, mos]", "columns: [MOSz]\n        header: false")
        text = text.replace("prompt: prompt, ", "").replace("image: {id: name", "image: {id: MOSz")
        text = text.replace('find: ["{name}"]', 'find: ["{MOSz}"]').replace("mos: mos", "mos: MOSz")
    manifests("hanzi", text)
    files = {name: content for name, content in hanzi.items() if name.endswith(".png")} | {f"set/data.{form}": data}
    error = failed(run, "hanzi", laid_out(tmp_path / "given", files), code=5)
    assert said in error["message"]
    assert f"data.{form}" in error["message"]
    assert error["hint"]


@pytest.mark.parametrize("words", [["hanzi"], []], ids=["named", "unnamed"])
def test_T13_version_7_3_given_as_a_path(
    run: Command, tmp_path: Path, hanzi: dict[str, bytes], words: list[str]
) -> None:
    given = tmp_path / "mosz1.mat"
    given.write_bytes(MATLAB73)
    error = failed(run, *words, given, code=5)
    assert "mosz1.mat: a MATLAB 7.3 file" in error["message"]
    if words:
        assert "-v7" in error["hint"]


def test_a_broken_table_says_what_is_next(run: Command, tmp_path: Path, hanzi: dict[str, bytes]) -> None:
    broken = chinese_table().replace(b".25", b",25", 1)
    error = failed(run, "hanzi", laid_out(tmp_path / "given", hanzi | {"set/data.csv": broken}), code=5)
    assert error["hint"] == "get the archive from another mirror: aigiqa info hanzi"


def test_a_missing_reference_is_counted_as_one(
    run: Command, tmp_path: Path, manifests: Callable[[str, str], Path]
) -> None:
    """Many rows have the same one."""
    text = chinese_manifest().replace(
        "    columns: {prompt: prompt, task: {const: t2i}",
        '    reference: {when: prompt, name: "{prompt}", find: ["{prompt}"]}\n    columns: {prompt: prompt, task: {const: i2i}',
    )
    manifests("hanzi", text)
    table = re.sub(rb",a [^,]*,", b",0.jpg,", chinese_table())
    files = {f"set/{name}": image_bytes("PNG") + name.encode() for name in PICTURES} | {"set/data.csv": table}
    error = failed(run, "hanzi", laid_out(tmp_path / "given", files), code=4)
    assert (
        "holds 9 of the 9 images and 0 of the 1 reference images of Hanzi; missing: references/0.jpg"
        in error["message"]
    )
    assert error["message"].count("0.jpg") == 1


# --- archives in archives ---------------------------------------------------------------------------------------------


def test_A11_volumes_inside_an_archive_are_unpacked_first(
    run: Command, tmp_path: Path, hanzi: dict[str, bytes]
) -> None:
    volumes = {path.name: path.read_bytes() for path in cut(tmp_path / "cut", "s.7z", seven(hanzi), 200)}
    assert len(volumes) > 2
    given = tmp_path / "outer.zip"
    given.write_bytes(by_library(zipfile.ZIP_STORED, volumes))
    error = failed(run, "hanzi", given, code=5)
    assert "outer.zip holds the volumes of a split archive (s.7z.001 and " in error["message"]
    assert error["hint"] == "unpack outer.zip into a folder first, then: aigiqa import FOLDER/s.7z.001"


def test_A11_archive_in_an_archive_in_an_archive(run: Command, tmp_path: Path, hanzi: dict[str, bytes]) -> None:
    inner = by_library(zipfile.ZIP_STORED, hanzi)
    middle = by_library(zipfile.ZIP_STORED, {"inner.zip": inner})
    table = {"data.csv": chinese_table()}
    given = tmp_path / "outer.zip"
    given.write_bytes(by_library(zipfile.ZIP_STORED, {"zoz.zip": middle} | table))
    error = run("import", "hanzi", given, "--json", code=5).json()
    assert "outer.zip/zoz.zip holds nothing of Hanzi" in error["error"]["message"]
    assert error["error"]["hint"] == "unpack outer.zip first, then: aigiqa import hanzi FOLDER/inner.zip"
    assert [finding["path"] for finding in error["findings"]] == ["outer.zip/zoz.zip"], "no file of ours"


def test_A17_what_is_missing_at_the_front_is_counted(run: Command, tmp_path: Path, hanzi: dict[str, bytes]) -> None:
    whole = by_library(zipfile.ZIP_STORED, hanzi)
    given = tmp_path / "cut.zip"
    given.write_bytes(whole[:40] + whole[740:])
    error = failed(run, "hanzi", given, code=5)
    assert "700 bytes before it are missing" in error["message"]
    assert "download it again" in error["hint"]


def test_A16_damaged_7z_is_told_in_words(run: Command, tmp_path: Path, hanzi: dict[str, bytes]) -> None:
    from py7zr import SevenZipFile

    target = io.BytesIO()
    with SevenZipFile(target, "w", filters=[{"id": 0x21, "preset": 1}]) as archive:
        for name, data in hanzi.items():
            archive.writestr(data, name)
    data = bytearray(target.getvalue())
    data[60] ^= 1
    given = tmp_path / "damaged.7z"
    given.write_bytes(data)
    error = failed(run, "hanzi", given, code=5)
    assert not re.search(r"\(\d{6,}, \d{6,}", error["message"])
    assert "download it again" in error["hint"]


def test_matrix_of_version_5_is_no_other(run: Command) -> None:
    assert tables.is_matrix(matrix(MOSz=SCORES))
