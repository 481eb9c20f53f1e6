"""A picture as terminals read it: kitty's graphics protocol, iTerm2's inline images, sixel, coloured half blocks."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from aigiqa_cli.cli.pictures.screen import ITERM2, KITTY, SIXEL, Screen
from aigiqa_cli.cli.terminal import Terminal

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import Console
    from rich.segment import Segment

MOST_COLUMNS, MOST_ROWS = 80, 24
LARGEST = 2.0  # times its own size in pixels
_GAP = 8  # pixels between two pictures
_CHUNK = 4096  # bytes of one escape sequence, by kitty's protocol
_COLOURS = 255  # of sixel; the registers that terminals have
_RUN = re.compile(r"(.)\1{3,}")


def draw(terminal: Terminal, pictures: Sequence[Image], screen: Screen) -> bool:
    """Show RGB pictures side by side. False where there is no way to."""
    console = terminal.console()
    whole = beside(pictures)
    if screen.way in (KITTY, ITERM2, SIXEL):
        columns, rows, fitted = fit(whole, console.width, console.height, screen.cell)
        console.file.flush()
        if screen.way == ITERM2:
            terminal.raw(iterm2(fitted, columns, rows) + "\n")
        else:
            terminal.raw((kitty if screen.way == KITTY else sixel)(fitted) + "\n")
        return True
    if console.color_system is None or console.no_color or not console.encoding.startswith("utf"):
        return False
    _blocks(console, whole)
    return True


def beside(pictures: Sequence[Image]) -> Image:
    """Side by side, as high as the first, on white."""
    from PIL import Image

    height = pictures[0].height
    scaled = [one.resize((max(1, round(one.width * height / one.height)), height)) for one in pictures]
    whole = Image.new("RGB", (sum(one.width for one in scaled) + _GAP * (len(scaled) - 1), height), "white")
    left = 0
    for one in scaled:
        whole.paste(one, (left, 0))
        left += one.width + _GAP
    return whole


def fit(picture: Image, columns: int, rows: int, cell: tuple[int, int]) -> tuple[int, int, Image]:
    """The columns and rows that it takes, and the picture in the pixels of these."""
    from PIL import Image

    width, height = min(columns, MOST_COLUMNS) * cell[0], max(4, min(rows - 2, MOST_ROWS)) * cell[1]
    scale = min(width / picture.width, height / picture.height, LARGEST)
    size = max(1, int(picture.width * scale)), max(1, int(picture.height * scale))
    return -(-size[0] // cell[0]), -(-size[1] // cell[1]), picture.resize(size, Image.Resampling.HAMMING)


def _png(picture: Image) -> bytes:
    target = io.BytesIO()
    picture.save(target, "PNG")
    return target.getvalue()


def kitty(picture: Image) -> str:
    """https://sw.kovidgoyal.net/kitty/graphics-protocol/: transmit and show a PNG, in chunks, without an answer."""
    data = base64.b64encode(_png(picture)).decode()
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    keys = ["a=T,f=100,q=2,", *[""] * (len(chunks) - 1)]
    return "".join(
        f"\x1b_G{key}m={int(number < len(chunks))};{chunk}\x1b\\"
        for number, (key, chunk) in enumerate(zip(keys, chunks, strict=True), 1)
    )


def iterm2(picture: Image, columns: int, rows: int) -> str:
    """https://iterm2.com/documentation-images.html"""
    data = _png(picture)
    keys = f"inline=1;size={len(data)};width={columns};height={rows};preserveAspectRatio=1"
    return f"\x1b]1337;File={keys}:{base64.b64encode(data).decode()}\x07"


def sixel(picture: Image) -> str:
    """https://vt100.net/docs/vt3xx-gp/chapter14.html: bands of six rows, in each a line of bits for every colour."""
    import numpy as np
    from PIL import Image

    indexed = picture.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT)
    palette, pixels = indexed.getpalette() or [], np.asarray(indexed)
    parts = [f'\x1bP0;1;0q"1;1;{picture.width};{picture.height}']
    for colour in np.unique(pixels).tolist():
        red, green, blue = (round(value * 100 / 255) for value in palette[colour * 3 : colour * 3 + 3])
        parts.append(f"#{colour};2;{red};{green};{blue}")
    for top in range(0, picture.height, 6):
        band = pixels[top : top + 6]
        weights = 1 << np.arange(len(band))[:, None]
        lines = []
        for colour in np.unique(band).tolist():
            bits = ((band == colour) * weights).sum(axis=0) + 63
            text = bits.astype(np.uint8).tobytes().decode("ascii")
            lines.append(f"#{colour}" + _RUN.sub(lambda run: f"!{len(run[0])}{run[1]}", text))
        parts.append("$".join(lines) + "-")
    return "".join(parts) + "\x1b\\"


def _blocks(console: Console, picture: Image) -> None:
    from rich.segment import Segments

    console.print(Segments(list(half_blocks(picture, console.width, console.height))), end="")


def half_blocks(picture: Image, columns: int, rows: int) -> Iterator[Segment]:
    """Two pixels in a cell: the upper half block in one colour on another."""
    from PIL import Image
    from rich.color import Color
    from rich.segment import Segment
    from rich.style import Style

    width, height = min(columns, MOST_COLUMNS), 2 * max(4, min(rows - 2, MOST_ROWS))
    scale = min(width / picture.width, height / picture.height)
    size = max(1, int(picture.width * scale)), max(2, int(picture.height * scale) // 2 * 2)
    pixels = picture.resize(size, Image.Resampling.HAMMING)
    data, line = pixels.tobytes(), size[0] * 3
    for top in range(0, size[1], 2):
        for left in range(0, line, 3):
            upper, lower = (data[at * line + left : at * line + left + 3] for at in (top, top + 1))
            yield Segment("▀", Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))
        yield Segment.line()
