"""Painting for the synthetic database, with whole numbers only.

A canvas has twice the size of the finished picture and a margin; halving it smooths the edges of what was
painted. Coordinates are pixels of the finished picture, colours are hexadecimal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import shake_256
from math import isqrt

WIDTH, HEIGHT = 128, 96
MARGIN = 8  # room around the picture, so that blur and shifted rows never meet an edge
ROW = (WIDTH + 2 * MARGIN) * 3  # bytes of a row of a halved picture
_WIDE, _TALL = 2 * (WIDTH + 2 * MARGIN), 2 * (HEIGHT + 2 * MARGIN)
_EVEN = int.from_bytes(b"\xfe" * (_WIDE * _TALL * 3))  # every byte without its lowest bit

Canvas = bytearray
Roll = Callable[[int], int]  # the number of sides to what was thrown, from 0
Span = Callable[[int], tuple[int, int]]


def blank() -> Canvas:
    return Canvas(_WIDE * _TALL * 3)


def dice(seed: str) -> Roll:
    thrown: Iterator[int] = iter(shake_256(seed.encode()).digest(512))
    return lambda sides: next(thrown) % sides


def fill(canvas: Canvas, y0: int, y1: int, span: Span, top: str, bottom: str) -> None:
    """Fill the rows y0..y1 of the double-size canvas, each over its span, from colour `top` to `bottom`."""
    first, last = bytes.fromhex(top), bytes.fromhex(bottom)
    for y in range(max(y0, 0), min(y1, _TALL)):
        left, right = span(y)
        left, right = max(left, 0), min(right, _WIDE)
        if left < right:
            shade = bytes(a + (b - a) * (y - y0) // (y1 - y0) for a, b in zip(first, last, strict=True))
            canvas[(y * _WIDE + left) * 3 : (y * _WIDE + right) * 3] = shade * (right - left)


def box(canvas: Canvas, x: int, y: int, width: int, height: int, top: str, bottom: str = "") -> None:
    left, y0 = 2 * (x + MARGIN), 2 * (y + MARGIN)
    fill(canvas, y0, y0 + 2 * height, lambda _: (left, left + 2 * width), top, bottom or top)


def band(canvas: Canvas, y0: int, y1: int, top: str, bottom: str) -> None:
    """The whole width; a band that ends at the picture's edge goes on through the margin."""
    start, end = (0 if y0 <= 0 else 2 * (y0 + MARGIN)), (_TALL if y1 >= HEIGHT else 2 * (y1 + MARGIN))
    fill(canvas, start, end, lambda _: (0, _WIDE), top, bottom)


def oval(canvas: Canvas, x: int, y: int, rx: int, ry: int, top: str, bottom: str) -> None:
    cx, cy, a, b = 2 * (x + MARGIN), 2 * (y + MARGIN), 2 * rx, 2 * ry

    def span(row: int) -> tuple[int, int]:
        half = a * isqrt((b * b - (row - cy) * (row - cy)) * 4096) // (64 * b)
        return cx - half, cx + half

    fill(canvas, cy - b, cy + b, span, top, bottom)


def cone(canvas: Canvas, x: int, y: int, half: int, height: int, top: str, bottom: str) -> None:
    """A triangle with its tip at (x, y)."""
    cx, cy = 2 * (x + MARGIN), 2 * (y + MARGIN)

    def span(row: int) -> tuple[int, int]:
        reach = (row - cy) * half // height
        return cx - reach, cx + reach + 1

    fill(canvas, cy, cy + 2 * height, span, top, bottom)


def blend(one: str, other: str, part: int, whole: int) -> str:
    pairs = zip(bytes.fromhex(one), bytes.fromhex(other), strict=True)
    return bytes(a + (b - a) * part // whole for a, b in pairs).hex()


def sine(angle: int) -> int:
    """A sine of two parabolas: a turn is 256, the result runs from -64 to 64."""
    rest = angle % 128
    height = rest * (128 - rest) // 64
    return height if angle % 256 < 128 else -height  # noqa: PLR2004 - half a turn


def cloud(canvas: Canvas, x: int, y: int, size: int) -> None:
    for dx, dy, part in ((-9, 2, 6), (9, 2, 6), (-3, -1, 8), (4, -2, 7)):
        oval(
            canvas,
            x + dx * size // 8,
            y + dy * size // 8,
            part * size // 6,
            part * size // 12,
            "ffffff",
            "e3eef6",
        )


def stars(canvas: Canvas, roll: Roll, count: int, depth: int) -> None:
    for _ in range(count):
        x, y, shade = roll(WIDTH), roll(depth), ("ffffff", "b9c4e8", "8591c4")[roll(3)]
        box(canvas, x, y, 1, 1, shade)


def chequers(canvas: Canvas, horizon: int, shift: int) -> None:
    """A chequered floor in perspective."""
    start = 2 * (horizon + MARGIN)
    for depth in range(8, _TALL - start):
        tile = max(2, depth * 2 // 5)
        fog = min(depth, 64)
        dark, light = (bytes.fromhex(blend("e9e6df", shade, fog, 64)) for shade in ("2c3140", "f6f3ec"))
        if (4000 // depth + shift) // 16 % 2:
            dark, light = light, dark
        row = (dark * tile + light * tile) * (_WIDE // tile // 2 + 2)
        skip = (2 * tile - _WIDE // 2 % (2 * tile)) % (2 * tile) * 3
        at = (start + depth) * _WIDE * 3
        canvas[at : at + _WIDE * 3] = row[skip : skip + _WIDE * 3]


def mean(one: bytes, other: bytes) -> bytes:
    """The mean of two pictures, byte for byte, rounded down."""
    a, b = int.from_bytes(one), int.from_bytes(other)
    return ((a & b) + (((a ^ b) & _EVEN) >> 1)).to_bytes(len(one))


def halved(canvas: Canvas) -> bytes:
    size = _WIDE * 3
    rows = [canvas[at : at + size] for at in range(0, len(canvas), size)]
    tall = mean(b"".join(rows[::2]), b"".join(rows[1::2]))
    left, right = bytearray(len(tall) // 2), bytearray(len(tall) // 2)
    for channel in range(3):
        left[channel::3] = tall[channel::6]
        right[channel::3] = tall[channel + 3 :: 6]
    return mean(bytes(left), bytes(right))
