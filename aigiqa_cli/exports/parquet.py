"""parquet: typed columns, written as the rows come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from aigiqa_cli.exports.columns import Row
from aigiqa_cli.exports.typed import BATCH, Sink, Typed
from aigiqa_cli.exports.wanted import Wanted

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 65_536


def write_parquet(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO) -> int:
    """Columns and types as `Typed` says, in row groups of ROW_GROUP rows."""
    import pyarrow.parquet as pq

    typed = Typed(wanted)
    sink = Sink(stream)
    count = 0
    writer = pq.ParquetWriter(sink, typed.schema, compression="zstd")
    try:
        for table in _tables(typed, rows):
            writer.write_table(table, row_group_size=ROW_GROUP)
            count += table.num_rows
    except BaseException:
        sink.abandon()
        raise
    finally:
        writer.close()
    return count


def _tables(typed: Typed, rows: Iterable[Row]) -> Iterator[pa.Table]:
    """Tables of ROW_GROUP rows. Arrow's columns are far smaller than the dicts and strings of the rows."""
    import pyarrow as pa

    batches: list[pa.RecordBatch] = []
    for batch in typed.batches(rows):
        batches.append(batch)
        if len(batches) * BATCH == ROW_GROUP:
            yield pa.Table.from_batches(batches, typed.schema)
            batches = []
    if batches:
        yield pa.Table.from_batches(batches, typed.schema)
