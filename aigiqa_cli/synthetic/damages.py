"""What is done to a painted picture: a change of tone, and four kinds of damage in eight levels.

A step that touches all bytes works on one long integer with a byte in each eight bits, or on a table of 256
values, which is fast without any library and the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import shake_256

from aigiqa_cli.synthetic.canvas import HEIGHT, MARGIN, ROW, WIDTH, mean, sine

TONES = {  # an edit of a reference: gain in 1/256 and offset for red, green, blue
    "": ((256, 0), (256, 0), (256, 0)),
    "night": ((92, 4), (96, 12), (150, 34)),
    "sunset": ((226, 30), (170, 14), (120, 26)),
    "winter": ((120, 118), (128, 122), (132, 124)),
    "violet": ((186, 40), (120, 22), (176, 72)),
}


def crop(picture: bytes) -> bytes:
    """HEIGHT rows of WIDTH pixels of 3 bytes (red, green, blue), without the margin."""
    left, right = MARGIN * 3, (MARGIN + WIDTH) * 3
    return b"".join(row[left:right] for row in _rows(picture)[MARGIN : MARGIN + HEIGHT])


def _rows(picture: bytes) -> list[bytes]:
    return [picture[at : at + ROW] for at in range(0, len(picture), ROW)]


def toned(picture: bytes, tone: str) -> bytes:
    result = bytearray(picture)
    for channel, (gain, offset) in enumerate(TONES[tone]):
        table = bytes(min(255, value * gain // 256 + offset) for value in range(256))
        result[channel::3] = picture[channel::3].translate(table)
    return bytes(result)


def _blurred(picture: bytes, level: int) -> bytes:
    """Means with neighbours at growing distance: the box filter of a lens out of focus."""
    for reach in (1, 1, 2, 1, 2, 3, 2, 4)[:level]:
        for step in (reach * 3, reach * ROW):
            picture = mean(picture, picture[step:] + picture[-step:])
            picture = mean(picture, picture[:step] + picture[:-step])
    return picture


def _banded(picture: bytes, level: int) -> bytes:
    step = (0, 12, 20, 28, 36, 44, 54, 66, 80)[level]
    return picture.translate(bytes(min(255, value // step * step + step // 2) for value in range(256)))


def _blocked(picture: bytes, level: int) -> bytes:
    """Square blocks of one colour shine through, as after hard compression."""
    size, share = 8, (0, 5, 9, 13, 17, 21, 25, 28, 31)[level]  # share of the blocks, in 1/32
    centres = (row[size // 2 * 3 :] for row in _rows(_blurred(picture, 3))[size // 2 :: size])
    lines = (b"".join(row[at : at + 3] * size for at in range(0, len(row), size * 3)) for row in centres)
    blocks = b"".join(line * size for line in lines)
    mixed = picture
    for bit in (1, 2, 4, 8, 16):
        mixed = mean(mixed, blocks if share & bit else picture)
    return mixed


def _noisy(picture: bytes, level: int) -> bytes:
    """Grain in every channel; from level 4 rows also slip sideways, so that shapes break."""
    reach = (0, 14, 24, 34, 46, 58, 72, 92, 116)[level]
    if level >= 4:  # noqa: PLR2004 - said above
        picture = _slipped(picture, level - 2)
    grain = shake_256(picture).digest(2 * len(picture))
    grain = mean(grain[: len(picture)], grain[len(picture) :])
    room = picture.translate(bytes(value * (255 - reach) // 255 for value in range(256)))
    added = grain.translate(bytes(value * reach // 255 for value in range(256)))
    return (int.from_bytes(room) + int.from_bytes(added)).to_bytes(len(picture))


def _slipped(picture: bytes, reach: int) -> bytes:
    slipped = []
    for y, row in enumerate(_rows(picture)):
        step = sine(y * 11) * reach // 64 * 3
        slipped.append(row[step:] + row[:step])
    return b"".join(slipped)


DAMAGES: dict[str, Callable[[bytes, int], bytes]] = {
    "blur": _blurred,
    "bands": _banded,
    "blocks": _blocked,
    "noise": _noisy,
}
