"""The index typed by Arrow itself, for exports of everything: no Python object for each of its fields.

Only what is plain is read so. At the first batch that is not - a number that only Python reads, one that is not finite,
a row that leads to what is not the database's own, a row longer than a block - the rows are taken one by one from
there, which finds the same or names the field.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from aigiqa_cli import root_index
from aigiqa_cli.store import Record, Root

if TYPE_CHECKING:
    import pyarrow as pa

    from aigiqa_cli.exports.columns import Row
    from aigiqa_cli.exports.typed import Typed

BLOCK = 1 << 20  # bytes of the index that are read at one time
AHEAD = 6  # batches: about half of what goes into one row group of Parquet


class _NotPlain(ValueError):
    """A batch that has to be read row by row."""


@dataclass(frozen=True)
class IndexRows:
    """All rows of these databases, one after the other: as text, or as typed batches."""

    root: Root
    records: Sequence[Record]

    def __iter__(self) -> Iterator[Row]:
        return root_index.rows(self.root, self.records)

    def batches(self, typed: Typed) -> Iterator[pa.RecordBatch]:
        """Record batches of `typed.schema`. Raises as the rows do."""
        for record in self.records:
            done = 0
            try:
                for batch in _ahead(_plain_batches(self.root, record, typed)):
                    yield batch
                    done += batch.num_rows
            except ValueError:  # also Arrow's own
                yield from typed.batches(islice(root_index.rows(self.root, [record]), done, None))


def _ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The next batches are read while these are written."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        coming = deque(pool.submit(next, batches, None) for _ in range(AHEAD))
        while (batch := coming.popleft().result()) is not None:
            coming.append(pool.submit(next, batches, None))
            yield batch


def _plain_batches(root: Root, record: Record, typed: Typed) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.csv

    path = root.folder(record.database) / "index.csv"
    with path.open("rb") as stream:
        if stream.readline() != root_index.HEADER:
            raise _NotPlain
    wanted = typed.schema.names
    types = {name: pa.string() for name in root_index.LEADING} | {field.name: field.type for field in typed.schema}
    with pa.csv.open_csv(
        path,
        pa.csv.ReadOptions(block_size=BLOCK, use_threads=False),
        pa.csv.ParseOptions(newlines_in_values=True),
        pa.csv.ConvertOptions(
            column_types=types, include_columns=[*types], null_values=[""], strings_can_be_null=False
        ),
    ) as reader:
        for batch in reader:
            _demand_plain(batch, record)
            yield batch.select(wanted).replace_schema_metadata(typed.schema.metadata)


def _demand_plain(batch: pa.RecordBatch, record: Record) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not {record.database}.issuperset(batch["database"].unique().to_pylist()):
        raise _NotPlain
    for name in ("image_path", "reference_path"):
        if not all(root_index.leads_home(path, record) for path in batch[name].unique().to_pylist()):
            raise _NotPlain
    numbers = (batch[field.name] for field in batch.schema if pa.types.is_floating(field.type))
    if any(pc.all(pc.is_finite(column)).as_py() is False for column in numbers):
        raise _NotPlain
