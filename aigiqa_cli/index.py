"""The index: one row per image, one fixed header for every database.

RFC 4180, UTF-8, LF. Published numbers stand as they were published; the linear 0..1 scores stand beside them.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, BinaryIO

Row = dict[str, str]

DIMENSIONS = ("quality", "alignment", "authenticity", "overall")
COLUMNS: tuple[str, ...] = (
    "database",
    "image_id",
    "image_path",
    "reference_path",
    "task",
    "prompt",
    "prompt_id",
    "generator",
    "setting",
    "split",
    "row",
    *(f"{kind}_{dimension}" for dimension in DIMENSIONS for kind in ("mos", "std")),
    *(f"score_{dimension}" for dimension in DIMENSIONS),
    "width",
    "height",
    "format",
    "bytes",
    "sha256",
    "flags",
    "extra",
)
KINDS: dict[str, str] = {
    column: "number"
    if column.startswith(("mos_", "std_", "score_"))
    else "integer"
    if column in {"row", "width", "height", "bytes"}
    else "json"
    if column == "extra"
    else "text"
    for column in COLUMNS
}
FLAGS = ("duplicate-label", "no-label", "no-image", "duplicate-image", "renamed", "other-format")
MAX_CELL = 1 << 20

_SIX_PLACES = Decimal("0.000001")


def prompt_id(prompt: str) -> str:
    """First 12 hex digits of SHA-256 of the prompt in NFKC, lower case, white space folded; "" for no prompt."""
    folded = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", prompt).lower()).strip()
    return hashlib.sha256(folded.encode()).hexdigest()[:12] if folded else ""


def unit_score(mos: str, low: Decimal, high: Decimal) -> str:
    """The MOS text mapped linearly from low..high to 0..1, six decimals; exact decimal arithmetic."""
    return str(((Decimal(mos) - low) / (high - low)).quantize(_SIX_PLACES, rounding=ROUND_HALF_EVEN))


def compact_json(value: Mapping[str, Any]) -> str:
    """One line, keys in the order given, no blanks; "" for nothing."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else ""


class _Lines:
    """Takes the rows of `csv.writer`, which end in CR LF, and writes them with LF.

    With LF as its own terminator `csv.writer` (before Python 3.13) leaves a field with a lone CR unquoted,
    and every reader then sees two records.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, record: str) -> None:
        self._stream.write((record[:-2] + "\n").encode())


def write_rows(
    stream: BinaryIO, rows: Iterable[Mapping[str, str]], columns: Sequence[str] = COLUMNS, *, delimiter: str = ","
) -> int:
    """Write header and rows in the one dialect of the index; returns the number of rows."""
    output, count = csv.writer(_Lines(stream), delimiter=delimiter, lineterminator="\r\n"), 0
    output.writerow(columns)
    for row in rows:
        output.writerow([row.get(column, "") for column in columns])
        count += 1
    return count


def read_rows(path: Any) -> Iterator[Row]:
    """The rows of an index CSV as text. Raises ValueError if the header or a row is not that of an index."""
    for cells in read_cells(path):
        yield dict(zip(COLUMNS, cells, strict=True))


def read_cells(path: Any) -> Iterator[list[str]]:
    """The same rows as lists in the order of COLUMNS, for whoever needs few of them."""
    csv.field_size_limit(MAX_CELL)
    with open(path, encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            header = next(reader, [])
            if tuple(header) != COLUMNS:
                raise ValueError(f"{path}: the header is not that of an index")
            for cells in reader:
                if len(cells) != len(COLUMNS):
                    raise ValueError(f"{path}:{reader.line_num}: {len(cells)} cells instead of {len(COLUMNS)}")
                yield cells
        except csv.Error as error:
            raise ValueError(f"{path}:{reader.line_num}: {error}") from None
