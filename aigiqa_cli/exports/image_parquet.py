"""hf-parquet: Parquet shards with the images inside, as `datasets` and the Hub keep them.

The schema's `huggingface` metadata tell `datasets` which columns are images; other readers see struct<bytes, path>.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigiqa_cli.exports.card import TYPES, card, features
from aigiqa_cli.exports.columns import Row
from aigiqa_cli.exports.pouring import Installed, Pouring, read_into, side_by_side
from aigiqa_cli.exports.samples import Plan, Shard, Source, shards
from aigiqa_cli.exports.typed import Sink, Typed

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_BYTES = 16_000_000  # images of one row group: what is in memory, and what a reader must load for one row
GROUP_ROWS = 100  # as `datasets` writes images


def write_image_parquet(source: Source, planned: Plan, folder: Path) -> None:
    """`data/<part>-00000-of-00012.parquet` and README.md."""
    from aigiqa_cli.store.durable import write_whole

    images = ["image", *(["reference"] if planned.references else [])] if source.carries else []
    (folder / "data").mkdir()
    typed = Typed(source.wanted, {"huggingface": _info(source, images)})
    side_by_side(shards(source, planned), lambda shard: _write(source, typed, images, shard, folder / "data"))
    files = {side: f"data/{side}-*" for side in planned.sides}
    write_whole(folder / "README.md", card(source, planned, files, features(source, images)))


def _info(source: Source, images: Sequence[str]) -> str:
    """What `datasets` writes into the schema of its own Parquet files."""
    from aigiqa_cli.index import KINDS

    described: dict[str, Any] = {name: {"_type": "Image"} for name in images}
    described |= {column: {"dtype": TYPES[KINDS[column]], "_type": "Value"} for column in source.columns}
    return json.dumps({"info": {"features": described}})


def _write(source: Source, typed: Typed, images: Sequence[str], shard: Shard, folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([*((name, picture) for name in images), *typed.schema], metadata=typed.schema.metadata)
    texts = [field.name for field in typed.schema]
    path = folder / f"{shard.side}-{shard.number:05d}-of-{shard.total:05d}.parquet"
    # What is in images is compressed, and no dictionary or statistics of them help anybody.
    packed = dict.fromkeys((f"{name}.{part}" for name in images for part in ("bytes", "path")), "none")
    packed |= dict.fromkeys(texts, "zstd")
    options = {"compression": packed, "use_dictionary": texts, "write_statistics": texts}
    with Pouring(path, flushed=True) as out, pq.ParquetWriter(Sink(out), schema, **options) as writer:
        for rows in _groups(source, shard):
            arrays = [_pictures(source, rows, name) for name in images] + typed.arrays(rows)
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            source.advance(sum(map(source.weight, rows)))


def _groups(source: Source, shard: Shard) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for _, row in shard.rows:
        weight = source.weight(row)
        if group and (len(group) == GROUP_ROWS or size + weight > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(row)
        size += weight
    yield group


def _pictures(source: Source, rows: Sequence[Row], name: str) -> pa.Array:
    """Images (or references) of these rows as struct<bytes, path>, read straight into Arrow's memory."""
    import numpy as np
    import pyarrow as pa

    files: list[Installed | None] = [source.image(row) if name == "image" else source.reference(row) for row in rows]
    offsets = np.zeros(len(files) + 1, np.int32)
    np.cumsum([file.bytes if file else 0 for file in files], out=offsets[1:])
    data = pa.allocate_buffer(int(offsets[-1]))
    room = memoryview(data).cast("B")
    for file, begin, end in zip(files, offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        if file:
            read_into(source.root, file, room[begin:end])
    content = pa.Array.from_buffers(pa.binary(), len(files), [None, pa.py_buffer(offsets), data])
    names = pa.array([Path(file.path).name if file else None for file in files], pa.string())
    missing = pa.array([file is None for file in files], pa.bool_())
    return pa.StructArray.from_arrays([content, names], ["bytes", "path"], mask=missing)
