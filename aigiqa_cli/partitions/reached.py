"""How well a made split keeps to its ratio and its strata."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aigiqa_cli.index import DIMENSIONS, Row
from aigiqa_cli.partitions.partition import Partition


@dataclass(frozen=True)
class Part:
    """`share` of all images in the split (0..1), `wanted` by the ratio (None where none was asked for); `means` of the
    published MOS by dimension; `generator_off`: by how much the share of a generator differs most from that in the
    whole split (0..1)."""

    images: int
    share: float
    wanted: float | None
    groups: int
    means: dict[str, float]
    generator_off: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def reached(
    partition: Partition, rows: Mapping[str, Row], group_of: Mapping[str, str], wanted: Mapping[str, float]
) -> dict[str, Part]:
    """Part -> what it came to. `rows` and `group_of` are by image_id."""
    everything = [rows[image] for images in partition.sides.values() for image in images]
    overall = Counter(row["generator"] for row in everything)
    found = {}
    for part, images in partition.sides.items():
        held = [rows[image] for image in images]
        generators = Counter(row["generator"] for row in held)
        off = max((abs(generators[g] / len(held) - n / len(everything)) for g, n in overall.items()), default=0.0)
        found[part] = Part(
            len(held),
            len(held) / len(everything),
            wanted.get(part),
            len({group_of.get(image, image) for image in images}),
            {d: mean for d in DIMENSIONS if (mean := _mean(held, f"mos_{d}")) is not None},
            off,
        )
    return found


def _mean(rows: Sequence[Row], field: str) -> float | None:
    values = [float(row[field]) for row in rows if row[field]]
    return math.fsum(values) / len(values) if values else None
