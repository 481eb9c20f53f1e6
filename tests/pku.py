"""Replicas of the two PKU databases: their workbooks in the documented column order, from the published values.

No copy of either workbook is public. The image-to-image rows come from the ten published split files of PKU-I2IQA put
back into row order, the text-to-image rows from a published CSV export. The names of the references are those of the
documented tree: number k is `k.jpg`.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import replicas
from replicas import Member

HEADER = ("Image_prompt", "Text_prompt", "Generated_image", "MOS_q", "MOS_a", "MOS_c", "MOS")
SCORES = HEADER[3:6]
SLUGS = {"SD": "stable-diffusion-1.5", "MJ": "midjourney", "DALLE": "dall-e-3"}
OTHER_JUNK = ("~$annotation.xlsx", "~$I2IQA_annotation.xlsx")

Rows = list[dict[str, str]]


def i2i_rows(shared: Path) -> Rows:
    """The 1,600 image-to-image rows, with the name of the reference."""
    with (shared / "data/pku-i2iqa/DERIVED_I2IQA_rows_in_xlsx_order.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [{"Image_prompt": f"{int(row['Generated_image'].split('_')[1])}.jpg"} | row for row in rows]


def t2i_rows(shared: Path) -> Rows:
    """The 2,400 text-to-image rows; `Image_prompt` is empty."""
    table = shared / "data/pku-aigiqa-4k/PKU-AIGIQA/annotation.csv"
    with table.open(newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream))


def cell(text: str) -> str:
    """A published number as the cell of a workbook holds it: 4.0 is 4."""
    return text.removesuffix(".0")


def workbook(rows: Sequence[dict[str, str]], header: Sequence[str] = HEADER) -> bytes:
    """An xlsx file as pandas writes one: one sheet, header in row 1, numbers as numbers, nothing as an empty cell."""
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Sheet1")
    sheet.append(list(header))
    for row in rows:
        numbers = [float(row[name]) for name in SCORES]
        cells = [row["Image_prompt"] or None, row["Text_prompt"], row["Generated_image"], *numbers, sum(numbers)]
        sheet.append(cells[: len(header)])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def with_sheet(book: bytes, change: Callable[[str], str]) -> bytes:
    """The workbook with another text of its sheet."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data.decode()).encode() if name == "xl/worksheets/sheet1.xml" else data)
    return target.getvalue()


def with_formulas(book: bytes, *, cached: bool) -> bytes:
    """The sum as a formula, with or without the value that Excel stores beside it."""

    def change(sheet: str) -> str:
        kept = r"<v>\2</v>" if cached else "<v/>"
        cell = r'<c r="G(\d+)"[^>]*><v>([^<]*)</v></c>'
        changed, count = re.subn(cell, rf'<c r="G\1"><f>D\1+E\1+F\1</f>{kept}</c>', sheet)
        assert count > 1000
        return changed

    return with_sheet(book, change)


def junk(folder: str) -> list[Member]:
    """What must not be taken for a file of the database."""
    lock = b"\x05owner" + bytes(160)
    return [
        *[(f"{folder}{name}", lock) for name in OTHER_JUNK],
        (f"__MACOSX/{folder}._annotation.xlsx", b"\x00\x05\x16\x07" + bytes(116)),
        (f"__MACOSX/{folder}All/._SD_000_00.jpg", b"\x00\x05\x16\x07" + bytes(116)),
        (f"{folder}.DS_Store", b"\x00\x00\x00\x01Bud1" + bytes(200)),
        (f"{folder}Pic/0.jpg", replicas.image("a figure that is called like a reference")),
        (f"{folder}Pic/teaser.jpg", replicas.image("teaser")),
        (f"{folder}SD_000_00 (1).jpg", replicas.image("a second download")),
    ]
