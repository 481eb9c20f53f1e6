"""csv, tsv and txt (numbers between blanks), strictly: the declared header and number of cells, one encoding."""

from __future__ import annotations

import codecs
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
            if not cells and layout.blank_lines:
                continue
            if len(cells) != width:
                expected, found = str(width), str(len(cells))
                raise layout.refusal(reader.line_num, "wrong number of cells", expected, found, "T07")
            yield reader.line_num, [cells[place] for place in places] if places else cells
    except UnicodeDecodeError as error:
        found = f"byte {error.object[error.start]:#04x}"
        line = _undecodable_line(stream, encoding)
        raise layout.refusal(line, "not in the declared encoding", layout.encoding, found, "T01") from None
    except UnicodeError as error:  # UTF-16 that does not say its byte order
        raise layout.refusal(1, f"not in the declared encoding: {error}", layout.encoding, fault="T01") from None
    except csv.Error as error:
        raise layout.refusal(reader.line_num, f"not a table: {error}", fault="T07") from None
    finally:
        text.detach()


def word_rows(stream: BinaryIO, layout: Layout) -> Iterator[tuple[int, Sequence[str]]]:
    """Rows of words with blanks between and around them, as numerical programs write lists; empty lines are none."""
    if layout.header:
        raise layout.refusal(0, "a list of numbers has no header", "header: false", fault="T08")
    number = 0
    while line := stream.readline(MAX_CELL + 1):
        number += 1
        if len(line) > MAX_CELL:
            raise layout.refusal(number, "the line is too long", f"at most {MAX_CELL} bytes", fault="T18")
        try:
            words = line.decode("ascii").split()
        except UnicodeDecodeError:
            raise layout.refusal(number, "not a list of numbers", "ASCII text", fault="T01") from None
        if words and len(words) != len(layout.columns):
            raise layout.refusal(number, "wrong number of cells", str(len(layout.columns)), str(len(words)), "T07")
        if words:
            yield number, words


def _undecodable_line(stream: BinaryIO, encoding: str) -> int:
    """Text is decoded in blocks ahead of the rows, so the line of the bad byte is counted in the bytes."""
    stream.seek(0)
    decoder, line = codecs.getincrementaldecoder(encoding)("strict"), 1
    while block := stream.read(1 << 20):
        try:
            line += decoder.decode(block).count("\n")
        except UnicodeDecodeError as error:
            return line + error.object[: error.start].count(b"\n")
    return line


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
