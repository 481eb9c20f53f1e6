"""csv and tsv, strictly: the declared header, the declared number of cells in every row, one encoding."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

from aigiqa_cli.errors import Finding, RefusedInput

if TYPE_CHECKING:
    from aigiqa_cli.tables import Layout

MAX_CELL = 1 << 20
MAX_LISTED = 20


def rows(stream: BinaryIO, layout: Layout, delimiter: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Rows of a delimited table; CR, LF and CRLF line ends are all accepted."""
    csv.field_size_limit(MAX_CELL)
    encoding = "utf-8-sig" if layout.encoding == "utf-8" else layout.encoding
    text = io.TextIOWrapper(stream, encoding=encoding, errors="strict", newline="")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        if layout.header:
            _check_header(tuple(next(reader, ())), layout)
        for cells in reader:
            if len(cells) != len(layout.columns):
                raise _refused(
                    layout, reader.line_num, "wrong number of cells", str(len(layout.columns)), str(len(cells)), "T07"
                )
            yield reader.line_num, cells
    except UnicodeDecodeError as error:
        found = f"byte {error.object[error.start]:#04x}"
        raise _refused(
            layout, reader.line_num + 1, "not in the declared encoding", layout.encoding, found, "T01"
        ) from None
    except csv.Error as error:
        raise _refused(layout, reader.line_num, f"not a table: {error}", "", "", "T07") from None
    finally:
        text.detach()


def header_of(head: bytes) -> tuple[str, ...]:
    try:
        line = head.decode("utf-8-sig").splitlines()[:1]
    except UnicodeDecodeError as error:
        line = head[: error.start].decode("utf-8-sig", "replace").splitlines()[:1]
    if not line or "\0" in line[0]:
        return ()
    delimiter = "\t" if "\t" in line[0] else ","
    try:
        return tuple(next(csv.reader(line, delimiter=delimiter, strict=True), ()))
    except csv.Error:
        return ()


def _check_header(found: tuple[str, ...], layout: Layout) -> None:
    if found == layout.columns:
        return
    missing = [name for name in layout.columns if name not in found]
    foreign = [name for name in found if name not in layout.columns]
    parts = []
    if missing:
        parts.append(f"missing column {', '.join(missing)}")
    if foreign:
        parts.append(f"unexpected column {', '.join(foreign)}")
    if len(set(found)) != len(found):
        parts.append("a column stands twice")
    problem = "; ".join(parts) or "the columns stand in another order"
    raise _refused(layout, 1, problem, ",".join(layout.columns), ",".join(found), "T08")


def _refused(layout: Layout, line: int, problem: str, expected: str, found: str, fault: str) -> RefusedInput:
    where = f"{layout.name}:{line}"
    detail = f" (expected {expected}, found {found})" if expected else ""
    return RefusedInput(
        f"{where}: {problem}{detail}",
        fault=fault,
        phase="SCORES",
        findings=[Finding("", where, problem, expected, found)],
    )
