"""hf: images in folders by part, as `datasets` calls an imagefolder.

The columns stand in one `metadata.parquet` a part: of csv and jsonl `datasets` guesses the types anew for each part,
and a prompt "NA" would be none. `file_name` becomes the feature `image`, `reference_file_name` the feature `reference`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigiqa_cli.exports.card import card, features
from aigiqa_cli.exports.pouring import Installed, Pouring, reading, side_by_side
from aigiqa_cli.exports.samples import Plan, Shard, Source, shards
from aigiqa_cli.exports.typed import Typed
from aigiqa_cli.folders import PIECE

if TYPE_CHECKING:
    import pyarrow.parquet as pq

Copy = tuple[Installed, Path]


def write_imagefolder(source: Source, planned: Plan, folder: Path) -> None:
    """`<part>/<name>`, `<part>/references/<name>`, `<part>/metadata.parquet` and README.md."""
    from aigiqa_cli.store.durable import write_whole

    images = ["image", *(["reference"] if planned.references else [])]
    files = {side: f"{side}/**" for side in planned.sides}
    for side in planned.sides:
        (folder / side).mkdir()
    with ExitStack() as stack:
        side_by_side(_units(source, planned, folder, stack), lambda copies: carry(source, copies))
    write_whole(folder / "README.md", card(source, planned, files, features(source, images)))


def _units(source: Source, planned: Plan, folder: Path, stack: ExitStack) -> Iterator[list[Copy]]:
    """What is to be copied. The metadata are written on the way, by the one thread that asks for the units."""
    import pyarrow as pa

    typed = Typed(source.wanted)
    names = [pa.field("file_name", pa.string())]
    names += [pa.field("reference_file_name", pa.string())] if planned.references else []
    schema = pa.schema([*names, *typed.schema], metadata=typed.schema.metadata)
    writers: dict[str, Any] = {}
    seen: set[tuple[str, str]] = set()
    for shard in shards(source, planned):
        if shard.side not in writers:
            writers[shard.side] = stack.enter_context(_writer(folder / shard.side / "metadata.parquet", schema))
        places, copies = _places(source, shard, folder / shard.side, seen)
        columns = [pa.array([name for name, _ in places], pa.string())]
        columns += [pa.array([name for _, name in places], pa.string())] if planned.references else []
        arrays = [*columns, *typed.arrays(row for _, row in shard.rows)]
        writers[shard.side].write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
        yield copies


def _writer(path: Path, schema: Any) -> pq.ParquetWriter:
    import pyarrow.parquet as pq

    return pq.ParquetWriter(path, schema, compression="zstd")


def _places(
    source: Source, shard: Shard, folder: Path, seen: set[tuple[str, str]]
) -> tuple[list[tuple[str, str | None]], list[Copy]]:
    """File names of image and reference of each row, and the copies that make them; each reference once a part."""
    places: list[tuple[str, str | None]] = []
    copies: list[Copy] = []
    for _, row in shard.rows:
        name, reference = source.name(row), source.reference(row)
        copies.append((source.image(row), folder / name))
        beside = None
        if reference:
            beside = f"references/{source.reference_name(row)}"
            if (shard.side, beside) not in seen:
                seen.add((shard.side, beside))
                copies.append((reference, folder / beside))
        places.append((name, beside))
    return places, copies


def carry(source: Source, copies: list[Copy]) -> None:
    """Copy or link installed files, each of which is read and proven. Raises IntegrityFault for a damaged one."""
    buffer = bytearray(PIECE)
    for file, target in copies:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.images == "link":
            with reading(source.root, file) as stream:
                while stream.into(memoryview(buffer)):
                    pass
            os.symlink((source.root / file.path).absolute(), target)
        else:
            with Pouring(target, buffer) as out:
                out.pour(source.root, file)
        source.advance(file.bytes)
