"""Splits below an installed database: `splits/<name>.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.errors import IntegrityFault, UsageFault
from aigiqa_cli.partitions.partition import Partition
from aigiqa_cli.store import Record, Root


def members(name: str, here: Iterable[str]) -> list[str]:
    """What of `here` the name means: that split, or the numbered folds `<name>-1`, `<name>-2`, ... in their order."""
    here = list(here)
    if name in here:
        return [name]
    folds = [(word, word.removeprefix(f"{name}-")) for word in here if word.startswith(f"{name}-")]
    numbered = [(int(number), word) for word, number in folds if number.isascii() and number.isdigit()]
    return [word for _, word in sorted(numbered)]


def load(root: Root, record: Record, name: str) -> list[Partition]:
    """The split of this name, or its folds, as installed.

    Raises UsageFault if nothing of it is here, IntegrityFault if a file is not as recorded.
    """
    found = members(name, record.splits)
    if not found:
        here = ", ".join(sorted(record.splits)) or "none"
        raise UsageFault(
            f"{record.database} has no split called {name!r} here",
            hint=f"splits here: {here}; published ones: aigiqa fetch --splits {record.database}",
            database=record.database,
            phase="PLAN",
        )
    return [_read(root, record, member) for member in found]


def _read(root: Root, record: Record, name: str) -> Partition:
    place = f"splits/{name}.csv"
    path = root.folder(record.database) / place
    wanted = next((file.sha256 for file in record.files if file.path == place), "")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    if sha256_bytes(data) != wanted:
        raise IntegrityFault(
            f"{path} is not as it was installed",
            hint=f"aigiqa verify --repair {record.database}",
            fault="S10",
            database=record.database,
            phase="CHECK",
        )
    rows = csv.DictReader(io.StringIO(data.decode(), newline=""))
    return Partition.of(name, ((row["image_id"], row["split"]) for row in rows))
