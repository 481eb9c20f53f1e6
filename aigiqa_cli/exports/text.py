"""csv and tsv: the text of the index as it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from aigiqa_cli.exports.columns import Row
from aigiqa_cli.exports.wanted import Wanted
from aigiqa_cli.index import write_rows


def write_csv(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO) -> int:
    """RFC 4180 in UTF-8 with LF and the quotes that are needed. All columns of all rows are the root index
    byte for byte. The numbers are the published text already, so `exact` changes nothing."""
    return write_rows(stream, rows, wanted.columns)


def write_tsv(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO) -> int:
    """The same with tabs between the fields: a field with a tab, quote or line end is quoted."""
    return write_rows(stream, rows, wanted.columns, delimiter="\t")
