"""Image headers and decoding, with an explicit list of formats and caps (I02, I03)."""

from __future__ import annotations

import io
from dataclasses import dataclass

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
MAX_PIXELS = 64_000_000
MAX_SIDE = 16_384


class NotAnImage(ValueError):
    """The bytes are not an image that this program accepts; the text says why."""


@dataclass(frozen=True)
class Header:
    """Size in pixels and the format by content (jpeg, png, webp, ...)."""

    width: int
    height: int
    format: str


def header(data: bytes) -> Header:
    """The header of an image; `data` may be its beginning. Raises NotAnImage."""
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise NotAnImage("the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            found = Header(image.width, image.height, str(image.format).lower())
    except UnidentifiedImageError:
        raise NotAnImage("not an image in an accepted format") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NotAnImage(f"unreadable image header: {error}") from None
    if found.width * found.height > MAX_PIXELS or max(found.width, found.height) > MAX_SIDE:
        raise NotAnImage(f"{found.width} x {found.height} pixels are too many")
    return found


def decode(data: bytes) -> Header:
    """Decode every pixel: a header check alone passes truncated images (I01). Raises NotAnImage."""
    from PIL import Image

    found = header(data)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotAnImage(f"cannot be decoded: {error}") from None
    return found
