"""csv and tsv, strictly: the declared header, the declared number of cells in every row, one encoding."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from aigiqa_cli.tables.layout import MAX_CELL, Layout


def rows(stream: BinaryIO, layout: Layout, delimiter: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Rows of a delimited table; CR, LF and CRLF line ends are all accepted."""
    csv.field_size_limit(MAX_CELL)
    encoding = "utf-8-sig" if layout.encoding == "utf-8" else layout.encoding
    text = io.TextIOWrapper(stream, encoding=encoding, errors="strict", newline="")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        header = next(reader, []) if layout.header else list(layout.columns)
        width = layout.check_header(header) if layout.header else len(layout.columns)
        places = layout.places(header)
        for cells in reader:
            if len(cells) != width:
                expected, found = str(width), str(len(cells))
                raise layout.refusal(reader.line_num, "wrong number of cells", expected, found, "T07")
            if "\0" in "".join(cells):
                raise layout.refusal(reader.line_num, "a zero byte stands in a cell", "text", fault="T07")
            yield reader.line_num, [cells[place] for place in places] if places else cells
    except UnicodeDecodeError as error:
        found = f"byte {error.object[error.start]:#04x}"
        line = _undecodable_line(stream, encoding)
        raise layout.refusal(line, "not in the declared encoding", layout.encoding, found, "T01") from None
    except csv.Error as error:
        raise layout.refusal(reader.line_num, f"not a table: {error}", fault="T07") from None
    finally:
        text.detach()


def _undecodable_line(stream: BinaryIO, encoding: str) -> int:
    """Text is decoded in blocks ahead of the rows, so the line of the bad byte is counted in the bytes."""
    stream.seek(0)
    data = stream.read()
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        return data.count(b"\n", 0, error.start) + 1
    return 0


def header_of(head: bytes) -> tuple[str, ...]:
    """The cells of the first line of something that may be a delimited table; () if it is no text."""
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
