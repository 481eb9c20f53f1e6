"""arrow and feather: the typed columns as Arrow's own streams and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, BinaryIO

from aigiqa_cli.exports.columns import Row
from aigiqa_cli.exports.typed import Sink, Typed
from aigiqa_cli.exports.wanted import Wanted

if TYPE_CHECKING:
    import pyarrow as pa


def write_arrow(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO) -> int:
    """An IPC stream: what `pyarrow.ipc.open_stream` reads, from a pipe too."""
    import pyarrow as pa

    return _write(rows, wanted, stream, pa.ipc.new_stream)


def write_feather(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO) -> int:
    """An IPC file, which is Feather version 2: `pandas.read_feather`, `pyarrow.ipc.open_file`. Not compressed, so that
    it can be mapped into memory."""
    import pyarrow as pa

    return _write(rows, wanted, stream, pa.ipc.new_file)


def _write(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO, begin: Callable[[Sink, pa.Schema], object]) -> int:
    typed = Typed(wanted)
    sink = Sink(stream)
    count = 0
    writer: pa.RecordBatchWriter = begin(sink, typed.schema)
    try:
        for batch in typed.batches(rows):
            writer.write_batch(batch)
            count += batch.num_rows
    except BaseException:
        sink.abandon()
        raise
    finally:
        writer.close()
    return count
