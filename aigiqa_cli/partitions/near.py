"""Near-identical images: the same picture re-encoded, resized or slightly recoloured.

A difference hash after N. Krawetz ("Kind of Like That", 2013): the picture in grey, shrunk, and one bit for each pair
of neighbours that says which is brighter. Rows alone (64 bits) take smooth pictures for one another, so columns give
another 64. Two pictures are near if at most `NEAR` of the `BITS` differ: of 24 generated pictures, copies at JPEG
quality 30, at a third of the size or with another gamma differed in at most 5 bits, different pictures in 44 or more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from aigiqa_cli.images import FORMATS, MAX_PIXELS

SIDE = 8
BITS = 2 * SIDE * SIDE
NEAR = 7
_BAND = BITS // (NEAR + 1)  # with so many bands at least one is equal in any two that differ in NEAR bits


def difference_hash(path: Path) -> int | None:
    """The hash of an image file; None if it cannot be read as an image."""
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            image.draft("L", (16 * SIDE, 16 * SIDE))  # a JPEG is decoded no larger than needed
            grey = image.convert("L")
            rows = grey.resize((SIDE + 1, SIDE), Image.Resampling.BOX).tobytes()
            columns = grey.resize((SIDE, SIDE + 1), Image.Resampling.BOX).tobytes()
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - decoders raise whatever makes them stumble; `verify --decode` tells of it
        return None
    value = 0
    for y in range(SIDE):
        for x in range(SIDE):
            at = y * (SIDE + 1) + x
            value = value << 1 | (rows[at] < rows[at + 1])
    for y in range(SIDE):
        for x in range(SIDE):
            at = y * SIDE + x
            value = value << 1 | (columns[at] < columns[at + SIDE])
    return value


def pairs(a: Mapping[str, int], b: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """(image of a, image of b, bits that differ) for all near ones, in the order of `b`, the nearest first."""
    bands = [defaultdict[int, list[tuple[str, int]]](list) for _ in range(0, BITS, _BAND)]
    mask = (1 << _BAND) - 1
    for name, value in a.items():
        for number, band in enumerate(bands):
            band[value >> number * _BAND & mask].append((name, value))
    found = []
    for name, value in b.items():
        distances: dict[str, int] = {}
        for number, band in enumerate(bands):
            for other, its in band.get(value >> number * _BAND & mask, ()):
                if other not in distances and (distance := (value ^ its).bit_count()) <= NEAR:
                    distances[other] = distance
        found += [(other, name, distance) for other, distance in sorted(distances.items(), key=lambda i: (i[1], i[0]))]
    return found
