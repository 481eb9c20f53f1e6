"""The ten scenes of the synthetic database. Each takes the two shades of its prompt's colour word."""

from __future__ import annotations

from collections.abc import Callable

from aigiqa_cli.synthetic.canvas import (
    HEIGHT,
    WIDTH,
    Canvas,
    Roll,
    band,
    blank,
    blend,
    box,
    chequers,
    cloud,
    cone,
    dice,
    halved,
    oval,
    sine,
    stars,
)

ACCENTS = {  # a colour word of a prompt: its light and its dark shade
    "red": ("ff8d72", "bf2431"),
    "orange": ("ffc06b", "dd6412"),
    "golden": ("fbdc8c", "cf8a2e"),
    "yellow": ("fff0a0", "edb92e"),
    "green": ("a6d86b", "2f7d43"),
    "teal": ("7fd6c6", "13706f"),
    "blue": ("86bdf5", "2350a8"),
    "violet": ("c6a0f0", "5d36a3"),
}


def paint(scene: str, accent: str, seed: str) -> bytes:
    """The scene with its margin, undamaged; `seed` moves the things in it."""
    canvas = blank()
    SCENES[scene](canvas, *ACCENTS[accent], dice(seed))
    return halved(canvas)


def _hills(canvas: Canvas, light: str, dark: str, roll: Roll) -> None:
    band(canvas, 0, 70, "5fa9e6", "e4f3f7")
    cloud(canvas, 20 + roll(40), 14 + roll(10), 7)
    cloud(canvas, 80 + roll(36), 22 + roll(10), 5)
    oval(canvas, 20 + roll(20), 84, 60, 34, "a9c8d8", "8db4c4")
    oval(canvas, 92 + roll(20), 86, 52, 30, "9bbfcd", "84adb9")
    for x, y, part in ((104 + roll(16), 100, 1), (14 + roll(16), 104, 2), (76 + roll(12), 116, 3)):
        oval(canvas, x, y, 74, 40, blend(light, dark, part - 1, 4), blend(light, dark, part + 1, 4))
    for _ in range(7):
        x, y = roll(WIDTH), 84 + roll(9)
        box(canvas, x, y, 1, 4, "5b4632", "4a3826")
        oval(canvas, x, y - 3, 3, 4, blend(light, dark, 2, 3), dark)


def _sea(canvas: Canvas, light: str, dark: str, roll: Roll) -> None:
    horizon, x, y = 58, 44 + roll(40), 40 + roll(8)
    band(canvas, 0, 36, "2a2659", "b0527e")
    band(canvas, 36, horizon, "b0527e", "ffc48a")
    for reach, part in ((22, 1), (19, 2)):
        oval(canvas, x, y, reach, reach, blend("97497c", light, part, 5), blend("ffc48a", light, part, 4))
    oval(canvas, x, y, 16, 16, light, dark)
    band(canvas, horizon, HEIGHT, "a8567f", "1f2050")
    for step in range(17):
        depth = 1 + step * 2 + step * step // 16
        reach = 4 + step // 2 + roll(7)
        box(canvas, x - reach + roll(5) - 2, horizon + depth, 2 * reach, 1, blend(light, "3a2c62", step, 22))
    for _ in range(26):
        glint = blend("a8567f", "1f2050", 1 + roll(2), 4)
        box(canvas, roll(WIDTH) - 6, horizon + 3 + roll(34), 5 + roll(9), 1, glint)


def _moon(canvas: Canvas, light: str, dark: str, roll: Roll) -> None:
    band(canvas, 0, HEIGHT, "0b1030", "5a66a8")
    stars(canvas, roll, 60, 60)
    x, y = 30 + roll(66), 20 + roll(8)
    for reach, part in ((19, 1), (16, 2)):
        oval(canvas, x, y, reach, reach, blend("151b41", light, part, 9), blend("232c5d", light, part, 9))
    oval(canvas, x, y, 12, 12, light, blend(light, dark, 1, 2))
    for dx, dy, size in ((-4, -2, 3), (4, 3, 2), (2, -6, 1)):
        oval(canvas, x + dx, y + dy, size, size, blend(light, dark, 1, 2), blend(light, dark, 1, 3))
    for at, tip, half in ((14, 46, 44), (96, 44, 46), (54, 56, 48), (120, 62, 44)):
        top, peak = tip + roll(8), at + roll(10)
        cone(canvas, peak, top, half, 112 - top, "323c78", "141a40")
        cone(canvas, peak, top, half * 14 // (112 - top), 14, "f4f6ff", "8f9ccb")
    oval(canvas, 64, 112, 110, 24, "10163a", "0a0e28")


def _dunes(canvas: Canvas, light: str, dark: str, roll: Roll) -> None:
    band(canvas, 0, 62, "6fb0d2", "fdeccd")
    x = 24 + roll(80)
    oval(canvas, x, 22, 13, 13, "d5dfd8", "e6e2cf")
    oval(canvas, x, 22, 9, 9, "fffdf0", "fff3c9")
    band(canvas, 62, HEIGHT, blend("fdeccd", light, 2, 3), dark)
    for step in range(5):
        at, crest, reach = (step * 67 + 20 + roll(36)) % 150 - 10, 50 + step * 9, 58 + roll(20)
        oval(canvas, at, crest + 34, reach, 34, blend("fff4d6", light, 1 + step, 5), blend(light, dark, 3, 5))
        lee = blend(light, dark, 2 + step, 6)
        oval(canvas, at + reach // 3, crest + 38, reach * 5 // 6, 33, lee, blend(lee, light, 1, 2))
    for _ in range(9):
        y = 78 + roll(16)
        box(canvas, roll(WIDTH), y, 5 + roll(10), 1, blend(light, dark, 3, 5))


def _ball(canvas: Canvas, light: str, dark: str, roll: Roll) -> None:
    horizon = 46
    band(canvas, 0, horizon + 4, "c9d6df", "f7f4ec")
    chequers(canvas, horizon, roll(64))
    x, y, size = 46 + roll(36), 56, 22 + roll(5)
    oval(canvas, x + 7, y + size - 1, size, 5, "5a5a60", "3c3c44")
    for step in range(12):
        reach = size - step * size // 13
        shift = (size - reach) * 2 // 5
        shade = blend(dark, light, step, 11)
        oval(canvas, x - shift, y - shift, reach, reach, shade, blend(shade, dark, 1, 3))
    oval(canvas, x - 8, y - 10, 3, 2, "ffffff", "ffffff")


def _firs(canvas: Canvas, light: str, dark: str, roll: Roll) -> None:
    mist = "e6edea"
    band(canvas, 0, HEIGHT, "b4cbd8", mist)
    oval(canvas, 30 + roll(70), 20, 9, 9, "fdfaf0", "fbf3dc")
    for depth in range(4):
        ground = 58 + depth * 12
        deep, pale = (
            blend(mist, dark, 2 + depth * 2, 8),
            blend(mist, blend(dark, light, 1, 3), 1 + depth * 2, 8),
        )
        shade = blend(deep, "10261c", depth, 5)
        for step in range(10 - depth):
            x = step * (16 + depth * 4) - 8 + roll(12)
            _fir(canvas, x, ground - 20 - depth * 6 - roll(10), 5 + depth * 2, ground + 8, (shade, pale))
        band(canvas, ground + 5, HEIGHT, pale, blend(pale, mist, 2, 3))


def _fir(canvas: Canvas, x: int, tip: int, half: int, ground: int, colours: tuple[str, str]) -> None:
    height = ground - tip
    for part in range(3):
        top = tip + part * height // 4
        cone(canvas, x, top, half * (part + 2) // 4, height // 2, *colours)


def _skyline(canvas: Canvas, light: str, dark: str, roll: Roll) -> None:
    band(canvas, 0, 90, "1f2a5c", "f39a7b")
    stars(canvas, roll, 18, 24)
    for x in range(-6, WIDTH, 11):
        height = 26 + roll(22)
        box(canvas, x, 90 - height, 9 + roll(5), height, "6b5584", "8a6488")
    x = -4
    while x < WIDTH:
        width, height = 13 + roll(9), 20 + roll(46)
        _tower(canvas, (x, width, height), (light, dark), roll)
        x += width + 1 + roll(3)
    band(canvas, 90, HEIGHT, "1b1a3a", "0e0d22")
    for _ in range(16):
        box(canvas, roll(WIDTH), 91 + roll(5), 3 + roll(4), 1, blend(dark, "1b1a3a", 1, 2), "1b1a3a")


def _tower(canvas: Canvas, place: tuple[int, int, int], colours: tuple[str, str], roll: Roll) -> None:
    x, width, height = place
    box(canvas, x, 90 - height, width, height, "2c2a55", "1c1b3d")
    for top in range(93 - height, 87, 5):
        lit = roll(256)
        for step, left in enumerate(range(x + 2, x + width - 2, 4)):
            if lit >> step & 1:
                box(canvas, left, top, 2, 3, *colours)


def _aurora(canvas: Canvas, light: str, dark: str, roll: Roll) -> None:
    night = "0a1433"
    band(canvas, 0, HEIGHT, night, "17305a")
    stars(canvas, roll, 70, 66)
    for base, drop, part in ((34, 34, 4), (54, 18, 5)):
        phase = roll(256)
        for x in range(-8, WIDTH + 8, 2):
            foot = base + sine(phase + x * 3) // 8 + sine(phase + x * 7) // 20
            glow = blend(night, blend(dark, light, 3 + sine(phase + x * 5) // 32, 5), part, 5)
            box(canvas, x, foot - drop, 2, drop, night, glow)
            box(canvas, x, foot, 2, 5, glow, "13274f")
    for x, y, part in ((20 + roll(20), 112, 0), (100 + roll(20), 110, 1), (64, 122, 2)):
        oval(canvas, x, y, 70, 36, blend("c9dcf0", dark, 1 + part, 9), blend("7f9cc4", dark, 1, 5))
    for _ in range(8):
        x, y = roll(WIDTH), 72 + roll(14)
        _fir(canvas, x, y - 9, 5, y + 5, ("10213a", "1b3550"))


def _balloons(canvas: Canvas, light: str, dark: str, roll: Roll) -> None:
    band(canvas, 0, HEIGHT, "5a9fd8", "fdeccf")
    cloud(canvas, 12 + roll(30), 40 + roll(10), 6)
    cloud(canvas, 86 + roll(30), 16 + roll(8), 7)
    oval(canvas, 26, 108, 80, 30, "9fb98a", "6d9468")
    oval(canvas, 108, 112, 70, 30, "86a978", "5b855c")
    for x, y, size in (
        (18 + roll(12), 22 + roll(8), 12),
        (56 + roll(14), 32 + roll(8), 18),
        (102 + roll(10), 52, 9),
    ):
        box(canvas, x - size // 6, y + size * 7 // 4, max(3, size // 3), size // 4, "8a5a34", "5d3a20")
        _cone_down(canvas, x, y + size * 2 // 3, size * 3 // 4, size, dark)
        for stripe in range(4):
            reach = size * (4 - stripe) // 4
            shade = ("fff6e6", light)[stripe % 2 == 0]
            oval(canvas, x, y, reach, size, shade, (dark if stripe % 2 == 0 else "e9c9a6"))


def _cone_down(canvas: Canvas, x: int, y: int, half: int, height: int, shade: str) -> None:
    for step in range(height):
        reach = half - half * 3 * step // (4 * height)
        box(canvas, x - reach, y + step, 2 * reach, 1, shade)


def _cafe(canvas: Canvas, light: str, dark: str, roll: Roll) -> None:
    band(canvas, 0, 84, "a9cfe6", "f4efe2")
    x = 18 + roll(18)
    box(canvas, x - 40, 26 + roll(8), 38, 60, "d9b79a", "c49c80")
    box(canvas, x + 78, 20 + roll(12), 60, 66, "cfc3b4", "b5a796")
    box(canvas, x, 12, 76, 72, "f7e3c6", "e9c9a0")
    box(canvas, x - 2, 9, 80, 5, "a4573f", "7f3e2d")
    for left in (8, 31, 54):
        box(canvas, x + left, 20, 14, 16, "5d7388", "9db8c9")
        box(canvas, x + left - 2, 37, 18, 2, "b98a63", "8f6542")
    box(canvas, x + 6, 54, 38, 24, "ffe9ae", "f5b961")
    box(canvas, x + 52, 52, 16, 32, "6d4630", "4f3122")
    for step in range(10):
        stripe = (light, dark) if step % 2 == 0 else ("fffaf0", "e8dccb")
        box(canvas, x - 2 + step * 8, 42, 8, 9, *stripe)
        oval(canvas, x + 2 + step * 8, 51, 4, 3, stripe[1], stripe[1])
    band(canvas, 84, HEIGHT, "b9b2aa", "8d867f")
    for at in (x - 8, x + 22 + roll(10)):
        oval(canvas, at, 80, 7, 2, "fffdf6", "d8cfc2")
        box(canvas, at - 1, 81, 2, 9, "6b6259", "4d463f")


SCENES: dict[str, Callable[[Canvas, str, str, Roll], None]] = {
    "hills": _hills,
    "sea": _sea,
    "moon": _moon,
    "dunes": _dunes,
    "ball": _ball,
    "firs": _firs,
    "skyline": _skyline,
    "aurora": _aurora,
    "balloons": _balloons,
    "cafe": _cafe,
}
