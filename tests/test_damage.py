"""Where in a file the damage is (S10): never beside it, and in a PNG no more than the chunks that it touches."""

from __future__ import annotations

import io
import random
import struct
import zlib

import pytest

from aigiqa_cli.damage import damaged_range


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


NOISE = random.Random(5).randbytes(3_000)
PARTS = [
    b"\x89PNG\r\n\x1a\n",
    chunk(b"IHDR", struct.pack(">IIBBBBB", 10, 10, 8, 2, 0, 0, 0)),
    *(chunk(b"IDAT", NOISE[at : at + 1_000]) for at in range(0, 3_000, 1_000)),
    chunk(b"IEND", b""),
]
WHOLE = b"".join(PARTS)
EDGES = [sum(map(len, PARTS[:number])) for number in range(len(PARTS) + 1)]


def judged(data: bytes) -> tuple[int, int]:
    return damaged_range(io.BytesIO(data), len(data))


def flipped(*places: int) -> bytes:
    data = bytearray(WHOLE)
    for place in places:
        data[place] ^= 1
    return bytes(data)


@pytest.mark.parametrize("number", range(1, len(PARTS)))
def test_damage_in_the_data_of_a_chunk_is_in_this_chunk(number: int) -> None:
    assert judged(flipped(EDGES[number + 1] - 1)) == (EDGES[number], EDGES[number + 1])


def test_damage_in_two_chunks_is_between_them() -> None:
    assert judged(flipped(EDGES[2] + 500, EDGES[4] + 20)) == (EDGES[2], EDGES[5])


def test_where_a_length_is_damaged_nothing_after_it_has_a_known_beginning() -> None:
    data = bytearray(WHOLE)
    data[EDGES[3]] = 0x7F
    assert judged(bytes(data)) == (EDGES[3], len(WHOLE))
    data[EDGES[2] + 100] ^= 1
    assert judged(bytes(data)) == (EDGES[2], len(WHOLE))


@pytest.mark.parametrize("over", [0, 1, 12, 13, 24, 25])
def test_a_length_that_leads_over_the_end_is_damage_up_to_the_end(over: int) -> None:
    data = bytearray(WHOLE)
    struct.pack_into(">I", data, EDGES[4], len(WHOLE) - EDGES[4] - 12 + over)
    assert judged(bytes(data)) == (EDGES[4], len(WHOLE))


def test_bytes_that_no_check_sum_covers() -> None:
    assert judged(WHOLE + b"more") == (len(WHOLE), len(WHOLE) + 4)
    assert judged(flipped(EDGES[2] + 9) + b"more") == (EDGES[2], len(WHOLE) + 4)
    assert judged(WHOLE[:-5]) == (EDGES[5], len(WHOLE) - 5)


@pytest.mark.parametrize("data", [flipped(0), b"\xff\xd8\xff" + NOISE, b"", WHOLE])
def test_where_nothing_tells_it_is_the_whole_file(data: bytes) -> None:
    assert judged(data) == (0, len(data))


def test_every_single_flip_is_inside() -> None:
    for place in range(len(WHOLE)):
        begin, end = judged(flipped(place))
        assert begin <= place < end
