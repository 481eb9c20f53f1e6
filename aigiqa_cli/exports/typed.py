"""The index as Arrow: typed columns, made as the rows come."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from aigiqa_cli import __version__
from aigiqa_cli.exports.columns import Plan, Row, cells, integer, number, plan
from aigiqa_cli.exports.wanted import Wanted

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 4_096  # rows that exist as Python objects at one time


class Typed:
    """mos_*, std_* and score_* are float64, row, width, height and bytes int64 (null where empty), all others strings
    as in the index ("" where empty). `exact` adds, after all other columns, mos_D_text with the published text of each
    mos_D. The schema's metadata name the version of aigiqa."""

    def __init__(self, wanted: Wanted, metadata: Mapping[str, str] | None = None) -> None:
        import pyarrow as pa

        from aigiqa_cli.index import KINDS

        texts = self._texts = [column for column in wanted.columns if wanted.exact and column.startswith("mos_")]
        types = {"number": pa.float64(), "integer": pa.int64()}
        fields = [(column, types.get(KINDS[column], pa.string())) for column in wanted.columns]
        fields += [(f"{column}_text", pa.string()) for column in texts]
        steps: Plan = plan(wanted.columns, {"text": str, "number": number, "integer": integer, "json": str})
        self._steps: Plan = [*steps, *((column, str) for column in texts)]
        self.schema = pa.schema(fields, metadata={"aigiqa": __version__, **(metadata or {})})

    def arrays(self, rows: Iterable[Row]) -> list[pa.Array]:
        """One array for each column."""
        import pyarrow as pa

        found = [cells(row, self._steps) for row in rows]
        columns: Iterable[Sequence[object]] = zip(*found, strict=True) if found else [()] * len(self.schema)
        return [pa.array(values, field.type) for values, field in zip(columns, self.schema, strict=True)]

    def batches(self, rows: Iterable[Row]) -> Iterator[pa.RecordBatch]:
        """Record batches of the schema."""
        import pyarrow as pa

        if isinstance(rows, Columnar) and not self._texts:
            yield from rows.batches(self)
            return
        remaining = iter(rows)
        while chunk := list(islice(remaining, BATCH)):
            yield pa.RecordBatch.from_arrays(self.arrays(chunk), schema=self.schema)


@runtime_checkable
class Columnar(Protocol):
    """Rows that can also be had as record batches, without a text for each field."""

    def batches(self, typed: Typed, /) -> Iterator[pa.RecordBatch]: ...


class Writable(Protocol):
    """Where bytes go."""

    def write(self, data: Any, /) -> object: ...


class Sink(io.RawIOBase):
    """A stream that pyarrow can write to although it may be a pipe, which has no position.

    Once abandoned it drops what comes: pyarrow ends its file even when the rows failed half way, and the
    reader of a pipe must not take such a file for a whole one.
    """

    def __init__(self, stream: Writable) -> None:
        super().__init__()
        self._stream: Writable | None = stream
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
