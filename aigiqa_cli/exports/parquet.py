"""parquet: typed columns, written as the rows come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from aigiqa_cli.exports.columns import Row
from aigiqa_cli.exports.typed import Sink, Typed
from aigiqa_cli.exports.wanted import Wanted

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 65_536
_DISTINCT = ("image_id", "image_path", "reference_path", "prompt", "prompt_id", "sha256")


def write_parquet(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO) -> int:
    """Columns and types as `Typed` says, in row groups of ROW_GROUP rows."""
    import pyarrow.parquet as pq

    from aigiqa_cli.index import KINDS

    typed = Typed(wanted)
    sink = Sink(stream)
    count = 0
    # A dictionary of what hardly repeats itself takes longer and is larger than the values, compressed, alone.
    words = [name for name in wanted.columns if KINDS[name] == "text" and name not in _DISTINCT]
    writer = pq.ParquetWriter(sink, typed.schema, compression="zstd", use_dictionary=words)
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
    """Tables of ROW_GROUP rows, however many the batches have. Arrow's columns are far smaller than rows of text."""
    import pyarrow as pa

    pending = pa.Table.from_batches([], typed.schema)
    for batch in typed.batches(rows):
        pending = pa.concat_tables([pending, pa.Table.from_batches([batch], typed.schema)])
        while pending.num_rows >= ROW_GROUP:
            yield pending.slice(0, ROW_GROUP)
            pending = pending.slice(ROW_GROUP)
    if pending.num_rows:
        yield pending
