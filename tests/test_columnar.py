"""Exports of everything are typed by Arrow: what it reads is what is read row by row, and what it cannot read, too."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aigiqa_cli import columnar
from aigiqa_cli.columnar import IndexRows
from aigiqa_cli.errors import IntegrityFault
from aigiqa_cli.exports.columns import choose
from aigiqa_cli.exports.parquet import ROW_GROUP, write_parquet
from aigiqa_cli.exports.typed import BATCH, Typed
from aigiqa_cli.exports.wanted import Wanted
from aigiqa_cli.index import COLUMNS, Row, write_rows
from aigiqa_cli.store import Record, Root, StoredFile, StoredFiles, staged


def publish(root: Root, database: str, rows: list[Row]) -> Record:
    """Install an index; its images are in the record alone."""
    stream = io.BytesIO()
    write_rows(stream, [{"database": database, "task": "t2i"} | row for row in rows])
    sha256 = hashlib.sha256(stream.getvalue()).hexdigest()
    files = (StoredFile("images/a.png", 1, "0" * 64), StoredFile("index.csv", len(stream.getvalue()), sha256))
    record = Record(
        database=database, state="installed", partial=False, manifest_version=1, manifest_sha256="1" * 64, aigiqa="0",
        installed_at="2026-01-01T00:00:00+00:00", rows=len(rows), images=1, references=0, index_sha256=sha256,
        sources=(), files=StoredFiles(files), rejected=(), ignored=0, warnings=(), splits={},
    )  # fmt: skip
    with staged(root, database) as work:
        (work.tree / "index.csv").write_bytes(stream.getvalue())
        work.publish(record)
    return record


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = Root(tmp_path / "root")
    made.prepare()
    return made


def both(root: Root, *records: Record, columns: tuple[str, ...] = ()) -> tuple[pa.Table, pa.Table]:
    """The table that Arrow reads, and the one that is made of the rows one by one."""
    typed = Typed(Wanted(choose(columns)))
    index = IndexRows(root, records)
    return tuple(pa.Table.from_batches(typed.batches(rows), typed.schema) for rows in (index, iter(index)))  # type: ignore[return-value]


ROWS: list[Row] = [
    {"image_id": "a.png", "image_path": "some/images/a.png", "prompt": 'a "red", fox\nin the snow\r, twice\t', "row": "0"},
    {"image_id": "ü.png", "prompt": "", "mos_quality": "3.50", "std_quality": "0", "extra": '{"a":"b, \\"c\\""}'},
    {"image_id": "c.png", "prompt": " blanks ", "mos_quality": "-1e-3", "score_quality": "0.100000", "bytes": "12"},
    {"image_id": "d.png", "prompt": "null", "generator": "NA", "flags": "no-image", "row": "9223372036854775807"},
    {"image_id": "0017", "prompt": "\u2028", "mos_overall": "4.9406564584124654e-324", "width": "007"},
    {"image_id": "f.png", "mos_quality": "0.1", "std_quality": "123456789.123456789", "mos_alignment": ".5"},
]  # fmt: skip


def test_arrow_reads_what_the_rows_say(root: Root) -> None:
    record = publish(root, "some", ROWS)
    read, made = both(root, record)
    assert read == made
    assert read.num_rows == len(ROWS)
    assert read["prompt"].to_pylist() == [row.get("prompt", "") for row in ROWS]
    assert read["mos_quality"].to_pylist() == [None, 3.5, -0.001, None, None, 0.1]
    assert read["row"].to_pylist() == [0, None, None, 2**63 - 1, None, None]


def test_chosen_columns_in_the_order_asked_for(root: Root) -> None:
    record = publish(root, "some", ROWS)
    read, made = both(root, record, columns=("mos_quality", "image_id"))
    assert read == made
    assert read.schema.names == ["mos_quality", "image_id"]


def test_several_databases_and_an_empty_one(root: Root) -> None:
    records = [publish(root, "none", []), publish(root, "some", ROWS), publish(root, "zzz", [{"image_id": "a"}])]
    read, made = both(root, *records)
    assert read == made
    assert read["database"].to_pylist() == ["some"] * len(ROWS) + ["zzz"]


@pytest.mark.parametrize("text", ["+3.5", " 3.5 ", "1E5", "3.5e+0"])
def test_a_number_that_is_written_otherwise_is_read_all_the_same(root: Root, text: str) -> None:
    record = publish(root, "some", [*ROWS, {"image_id": "x.png", "mos_quality": text}, *ROWS[1:]])
    read, made = both(root, record)
    assert read == made
    assert read["mos_quality"].to_pylist()[len(ROWS)] == float(text)


BAD = {
    "no number": {"mos_quality": "good"},
    "not finite": {"mos_quality": "nan"},
    "infinite": {"std_overall": "-inf"},
    "too large a number": {"mos_quality": "1e999"},
    "with an underscore": {"mos_quality": "1_0"},
    "not whole": {"row": "1.5"},
    "more than 64 bits": {"bytes": str(2**63)},
    "of another database": {"database": "other"},
    "astray": {"image_path": "other/images/a.png"},
    "a reference astray": {"reference_path": "../etc/passwd"},
}


@pytest.mark.parametrize("fault", BAD)
def test_what_no_row_may_say_is_refused_with_the_same_words(root: Root, fault: str) -> None:
    record = publish(root, "some", [*ROWS, {"image_id": "x.png"} | BAD[fault]])
    typed = Typed(Wanted(choose()))
    said = []
    for rows in (IndexRows(root, [record]), iter(IndexRows(root, [record]))):
        with pytest.raises(IntegrityFault) as caught:
            list(typed.batches(rows))
        said.append((caught.value.message, caught.value.hint, caught.value.fault, caught.value.database))
    assert said[0] == said[1]


def test_a_fault_late_in_a_long_index_comes_after_what_is_good(root: Root) -> None:
    """And what was read before it is not read again."""
    rows = [{"image_id": f"{number:06}.png", "prompt": "x" * 100, "row": str(number)} for number in range(40_000)]
    rows[35_000] |= {"row": "+35000"}  # which Arrow does not take for an integer
    record = publish(root, "some", rows)
    assert (root.folder("some") / "index.csv").stat().st_size > 4 * columnar.BLOCK
    read, made = both(root, record)
    assert read == made
    assert read["row"].to_pylist() == list(range(40_000))
    sizes = [batch.num_rows for batch in Typed(Wanted(COLUMNS)).batches(IndexRows(root, [record]))]
    assert sizes[0] > BATCH, "Arrow's own, a block each"
    assert set(sizes[-2:-1]) == {BATCH}, "made of rows"


def test_a_row_that_is_longer_than_a_block(root: Root) -> None:
    long = {"image_id": "long.png", "prompt": "y" * 1_000_000, "extra": '{"z":"%s"}' % ("z" * 1_000_000)}
    record = publish(root, "some", [*ROWS, long, *ROWS])
    read, made = both(root, record)
    assert read == made
    assert read["prompt"].to_pylist()[len(ROWS)] == long["prompt"]


def test_row_groups_are_full_whatever_the_blocks(root: Root) -> None:
    rows = [{"image_id": f"{number}", "row": str(number)} for number in range(ROW_GROUP + 10)]
    records = [publish(root, "one", rows), publish(root, "two", rows)]
    target = io.BytesIO()
    assert write_parquet(IndexRows(root, records), Wanted(COLUMNS), target) == 2 * len(rows)
    file = pq.ParquetFile(target)
    groups = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
    assert groups == [ROW_GROUP, ROW_GROUP, 20]
    assert file.read(["row"])["row"].to_pylist() == [*range(len(rows)), *range(len(rows))]
    again = io.BytesIO()
    write_parquet(IndexRows(root, records), Wanted(COLUMNS), again)
    assert again.getvalue() == target.getvalue()


def test_rows_in_between_are_read_as_rows(root: Root) -> None:
    """`exact` needs the text of the numbers, which Arrow does not keep."""
    record = publish(root, "some", ROWS)
    typed = Typed(Wanted(("mos_quality",), exact=True))
    table = pa.Table.from_batches(typed.batches(IndexRows(root, [record])), typed.schema)
    assert table["mos_quality_text"].to_pylist() == [row.get("mos_quality", "") for row in ROWS]
