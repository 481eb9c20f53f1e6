"""xlsx: one sheet, read-only, through openpyxl and defusedxml; numbers become their shortest round-trip text.

A workbook is a zip of XML, so it is judged like one before it is opened (T10), and stops at the declared columns (T11).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from aigiqa_cli.tables.layout import MAX_ROWS, Layout

MAX_PART = 64 << 20
MAX_TOTAL = 256 << 20
_HEADS = (b"[Content_Types].xml", b"_rels/", b"docProps/", b"xl/")  # how the first member of a workbook is called
_UNCACHED = re.compile(rb"<c\b([^<>]*)>\s*<f\b(?:[^<>]*/>|[^<>]*>[^<]*</f>)\s*(?:<v\s*/>|<v\b[^<>]*>\s*</v>)?\s*</c>")
_PLACE = re.compile(rb"""\br=["']([A-Z]{1,3}[0-9]{1,7})["']""")
_BROKEN = (zipfile.BadZipFile, ValueError, KeyError, OSError, EOFError, AttributeError, TypeError, IndexError)


def rows(stream: BinaryIO, layout: Layout) -> Iterator[tuple[int, Sequence[str]]]:
    """The rows of the first sheet; the line number is the sheet's own. Empty rows at the end are not rows."""
    uncached = _judge(stream, layout)
    width, places = len(layout.columns), None
    blank: list[int] = []
    for number, values in _sheet(stream, layout):
        cells = [_cell(layout, number, value) for value in values]
        if number == 1 and layout.header:
            width = layout.check_header(_stripped(cells))
            places = layout.places(cells)
            continue
        if not any(cells):
            blank.append(number)
            continue
        if blank:
            raise layout.refusal(blank[0], "an empty row stands between others", "no empty rows", fault="T07")
        if any(cells[width:]):
            raise layout.refusal(number, "wrong number of cells", str(width), str(len(_stripped(cells))), "T07")
        if uncached and any(not cell and _is_uncached(uncached, at, number) for at, cell in enumerate(cells[:width])):
            raise layout.refusal(number, "a formula without its stored value", "a value", fault="T12")
        row = [*cells[:width], *[""] * (width - len(cells))]
        yield number, [row[place] for place in places] if places else row


def header_of(stream: BinaryIO, name: str) -> tuple[str, ...]:
    """The cells of the first row, () if it is no workbook that can be read."""
    from aigiqa_cli.errors import RefusedInput

    layout = Layout(name, "xlsx", ())
    try:
        _judge(stream, layout)
        for number, values in _sheet(stream, layout):
            return tuple(_stripped([_cell(layout, number, value) for value in values]))
    except RefusedInput:
        return ()
    return ()


def looks_like_one(head: bytes) -> bool:
    """Does a zip begin as workbooks do? Their first member is one of a few; images never have such names."""
    return head[:4] == b"PK\x03\x04" and head[30:].startswith(_HEADS)


def _judge(stream: BinaryIO, layout: Layout) -> frozenset[str]:
    """Refuse bombs, macros and links to other files. Returns the cells with a formula and no stored value."""
    try:
        stream.seek(0)
        with zipfile.ZipFile(stream) as book:
            names = [info.filename for info in book.infolist()]
            sizes = [info.file_size for info in book.infolist()]
            if max(sizes, default=0) > MAX_PART or sum(sizes) > MAX_TOTAL:
                found = f"{max(sizes, default=0)} of {sum(sizes)} bytes"
                raise layout.refusal(0, "the workbook unpacks to too much", f"parts up to {MAX_PART}", found, "T10")
            for name in names:
                if name.endswith("vbaProject.bin") or "externalLinks/" in name:
                    raise layout.refusal(0, "the workbook has macros or links to other files", found=name, fault="T12")
            sheets = [name for name in names if name.startswith("xl/worksheets/") and name.endswith(".xml")]
            return frozenset(place for name in sheets for place in _uncached(book.read(name)))
    except zipfile.BadZipFile as error:
        raise layout.refusal(0, f"not a workbook: {error}", "an xlsx file", fault="T09") from None
    finally:
        stream.seek(0)


def _uncached(sheet: bytes) -> Iterator[str]:
    """The places (`G2`) of formulas without a value; "" for a cell that does not say where it is."""
    for cell in _UNCACHED.finditer(sheet) if b"<f" in sheet else ():
        place = _PLACE.search(cell[1])
        yield place[1].decode() if place else ""


def _is_uncached(uncached: frozenset[str], column: int, row: int) -> bool:
    """Is the cell of the 0-based column, in the sheet's own row, such a formula? Reading gives it as empty."""
    from openpyxl.utils import get_column_letter

    return "" in uncached or f"{get_column_letter(column + 1)}{row}" in uncached


def _sheet(stream: BinaryIO, layout: Layout) -> Iterator[tuple[int, Sequence[Any]]]:
    import warnings

    import openpyxl
    from defusedxml.common import DefusedXmlException

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # styles that openpyxl does not know are no business of ours
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()
            for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
                if number > MAX_ROWS:
                    raise layout.refusal(number, "too many rows", f"at most {MAX_ROWS}", fault="T18")
                yield number, values
            book.close()
    except DefusedXmlException as error:
        raise layout.refusal(0, f"unsafe XML: {type(error).__name__}", fault="T09") from None
    except _BROKEN as error:
        raise layout.refusal(0, f"not a readable workbook: {error}", fault="T09") from None


def _cell(layout: Layout, number: int, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        raise layout.refusal(number, "a cell is true or false", "text or a number", str(value), "T12")
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return repr(value)
    raise layout.refusal(number, "a cell is a date or an error", "text or a number", str(value), "T12")


def _stripped(cells: Sequence[str]) -> list[str]:
    """Without the empty cells at the end that some programs store."""
    kept = list(cells)
    while kept and not kept[-1]:
        kept.pop()
    return kept
