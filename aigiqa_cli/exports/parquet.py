"""parquet: typed columns, written as the rows come."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from aigiqa_cli import __version__
from aigiqa_cli.exports.columns import Row, cells, integer, number, plan

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 65_536
_BATCH = 4_096  # rows that exist as Python objects at one time


def write_parquet(rows: Iterable[Row], columns: Sequence[str], stream: BinaryIO, exact: bool = False) -> int:
    """mos_*, std_* and score_* are float64, row, width, height and bytes int64 (null where empty), all others
    strings as in the index ("" where empty). `exact` adds, after all other columns, mos_D_text with the
    published text of each mos_D. The file's metadata names the version of aigiqa."""
    import pyarrow.parquet as pq

    texts = [column for column in columns if exact and column.startswith("mos_")]
    schema = _schema(columns, texts)
    sink = _Sink(stream)
    count = 0
    writer = pq.ParquetWriter(sink, schema, compression="zstd")
    try:
        for table in _tables(rows, columns, texts, schema):
            writer.write_table(table, row_group_size=ROW_GROUP)
            count += table.num_rows
    except BaseException:
        sink.abandon()
        raise
    finally:
        writer.close()
    return count


class _Sink(io.RawIOBase):
    """A stream that pyarrow can write to although it may be a pipe, which has no position.

    Once abandoned it drops what comes: pyarrow ends its file even when the rows failed half way, and the
    reader of a pipe must not take such a file for a whole one.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream: BinaryIO | None = stream
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self._stream is not None:
            self._stream.write(data)
        self._length += len(data)
        return len(data)

    def tell(self) -> int:
        return self._length

    def abandon(self) -> None:
        self._stream = None


def _schema(columns: Sequence[str], texts: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    from aigiqa_cli.index import KINDS

    types = {"number": pa.float64(), "integer": pa.int64()}
    fields = [(column, types.get(KINDS[column], pa.string())) for column in columns]
    fields += [(f"{column}_text", pa.string()) for column in texts]
    return pa.schema(fields, metadata={"aigiqa": __version__})


def _tables(rows: Iterable[Row], columns: Sequence[str], texts: Sequence[str], schema: pa.Schema) -> Iterator[pa.Table]:
    """Tables of ROW_GROUP rows. Arrow's columns are far smaller than the dicts and strings of the rows."""
    import pyarrow as pa

    steps = plan(columns, {"text": str, "number": number, "integer": integer, "json": str})
    steps = [*steps, *((column, str) for column in texts)]
    batches: list[pa.RecordBatch] = []
    remaining = iter(rows)
    while chunk := [cells(row, steps) for row in islice(remaining, _BATCH)]:
        arrays = [pa.array(values, field.type) for values, field in zip(zip(*chunk, strict=True), schema, strict=True)]
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
        if len(batches) * _BATCH == ROW_GROUP:
            yield pa.Table.from_batches(batches, schema)
            batches = []
    if batches:
        yield pa.Table.from_batches(batches, schema)
