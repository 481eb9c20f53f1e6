"""xlsx: one sheet, read-only, through openpyxl and defusedxml; numbers become their shortest round-trip text.

A workbook is a zip of XML, so it is judged like one before it is opened (T10), and ends where Excel's sheets and the
limits of tables end, whatever size it claims (T11).
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from aigiqa_cli.archives.contract import Needed, Refusal
from aigiqa_cli.archives.source import Opened, Source, memory
from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.tables.layout import MAX_COLUMNS, Layout

MAX_BYTES = 128 << 20
MAX_PART = 64 << 20
MAX_TOTAL = 256 << 20
MAX_SHEET_ROWS = 1 << 20  # of a sheet, as the format has it
MAX_PADDING = 10_000_000  # cells that a sheet may claim beyond the columns that a table may have, all of them empty
_HEADS = (b"[Content_Types].xml", b"_rels/", b"docProps/", b"xl/")  # how the first member of a workbook is called
_UNCACHED = re.compile(  # possessive throughout: no text makes it try anything twice
    rb"<c\b([^<>]*+)>\s*+<f\b[^<>]*+(?:(?<=/)>|>[^<]*+</f>)\s*+(?:<v\b[^<>]*+(?:(?<=/)>|>\s*+</v>)\s*+)?+</c>"
)
_LONGEST_LOCK = 171  # bytes of the file that Excel keeps beside an open workbook
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_DOCTYPE = tuple("<!DOCTYPE".encode(encoding) for encoding in ("ascii", "utf-16-le", "utf-16-be"))
_PLACE = re.compile(rb"""\br=["']([A-Z]{1,3}[0-9]{1,7})["']""")


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
            hint = "open it in Excel or LibreOffice and save it, which stores the values; or import the original"
            raise layout.refusal(number, "a formula without its stored value", "a value", fault="T12", hint=hint)
        row = [*cells[:width], *[""] * (width - len(cells))]
        yield number, [row[place] for place in places] if places else row


def header_of(stream: BinaryIO, name: str) -> tuple[str, ...]:
    """The cells of the first row, () if it is no workbook that can be read."""
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
    """Refuse bombs, macros, links to other files and DTDs. Returns the cells with a formula and no stored value."""
    stream.seek(0)
    data = stream.read(MAX_BYTES + 1)
    stream.seek(0)
    if len(data) > MAX_BYTES:
        raise layout.refusal(0, "the workbook is too large", f"at most {MAX_BYTES} bytes", fault="T10")
    _judge_container(layout, data)
    uncached: set[str] = set()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            for name in book.namelist():
                if name.endswith("vbaProject.bin") or "externalLinks/" in name:
                    raise layout.refusal(0, "the workbook has macros or links to other files", found=name, fault="T12")
                part = book.read(name) if name.endswith((".xml", ".rels")) else b""
                if any(word in part for word in _DOCTYPE):
                    raise layout.refusal(0, "unsafe XML: a DTD", "no DTD", found=name, fault="T09")
                if name.startswith("xl/worksheets/"):
                    uncached |= set(_uncached(part))
    except RefusedInput:
        raise
    except Exception as error:  # noqa: BLE001 - the library is not made for hostile bytes: whatever it raises, refuse
        raise _unreadable(layout, error) from None
    return frozenset(uncached)


def _judge_container(layout: Layout, data: bytes) -> None:
    """A workbook passes the checks of zip archives, and its parts together are bounded."""
    from aigiqa_cli.archives.zip import ZipFormat

    if not data.startswith(b"PK"):
        raise _no_workbook(layout, data)
    try:
        parts = ZipFormat(Source(Opened(()), [memory(data)])).members()
    except (Refusal, Needed) as error:
        raise layout.refusal(0, f"not a sound workbook: {error} ({error.fault})", "an xlsx file", fault="T10") from None
    sizes = [part.bytes for part in parts]
    if max(sizes, default=0) > MAX_PART or sum(sizes) > MAX_TOTAL:
        found = f"{max(sizes, default=0)} of {sum(sizes)} bytes"
        raise layout.refusal(0, "the workbook unpacks to too much", f"parts up to {MAX_PART}", found, "T10")


def _no_workbook(layout: Layout, data: bytes) -> RefusedInput:
    """What people take for a workbook."""
    if len(data) <= _LONGEST_LOCK:
        hint = "give the workbook itself, whose name does not begin with ~$"
        return layout.refusal(
            0, "not a workbook, perhaps Excel's lock file of one", "an xlsx file", fault="T09", hint=hint
        )
    if data.startswith(_OLE):
        problem, hint = "an old workbook (xls), or one with a password", "save it as xlsx without a password"
        return layout.refusal(0, problem, "an xlsx file", fault="T09", hint=hint)
    return layout.refusal(0, "not a workbook", "an xlsx file", fault="T09")


def _unreadable(layout: Layout, error: Exception) -> RefusedInput:
    return layout.refusal(0, f"not a readable workbook: {error or type(error).__name__}", fault="T09")


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
    """The rows of the first sheet. Cells beyond the columns that a table may have are left out if they are empty."""
    import warnings

    import openpyxl

    padding = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # styles that openpyxl does not know are no business of ours
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()
            for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
                if number > MAX_SHEET_ROWS:
                    raise layout.refusal(number, "too many rows", f"at most {MAX_SHEET_ROWS}", fault="T11")
                padding += max(0, len(values) - MAX_COLUMNS)
                if padding > MAX_PADDING or any(value is not None for value in values[MAX_COLUMNS:]):
                    found = str(len(values))
                    raise layout.refusal(number, "too many columns", f"at most {MAX_COLUMNS}", found, "T11")
                yield number, values[:MAX_COLUMNS]
            book.close()
    except RefusedInput:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise _unreadable(layout, error) from None


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
