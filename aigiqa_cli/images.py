"""Image headers and decoding, with an explicit list of formats and caps (I01-I04)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aigiqa_cli.pointers import POINTER, is_pointer

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
MOVING = ("gif", "png", "webp", "tiff")  # a second image in a JPEG is a camera's preview
MAX_PIXELS = 64_000_000
MAX_SIDE = 16_384


class NotAnImage(ValueError):
    """The bytes are not an image that this program accepts; the text says why, `fault` by which rule."""

    def __init__(self, reason: str, fault: str) -> None:
        super().__init__(reason)
        self.fault = fault


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
        raise NotAnImage("the file is empty", "I07")
    if is_pointer(data):
        raise NotAnImage(POINTER, "I03")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            found = Header(image.width, image.height, str(image.format).lower())
            moving = bool(getattr(image, "is_animated", False)) and found.format in MOVING
    except UnidentifiedImageError:
        raise NotAnImage("not an image in an accepted format", "I03") from None
    except Image.DecompressionBombError:
        raise NotAnImage("the pixels are too many", "I02") from None
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - decoders raise whatever hostile bytes make them stumble over
        raise NotAnImage(f"unreadable image header: {error or type(error).__name__}", "I01") from None
    if found.width * found.height > MAX_PIXELS or max(found.width, found.height) > MAX_SIDE:
        raise NotAnImage(f"{found.width} x {found.height} pixels are too many", "I02")
    if moving:
        raise NotAnImage("it has more than one frame", "I04")
    return found


def decode(data: bytes) -> Header:
    """Decode every pixel: a header check alone passes truncated images (I01). Raises NotAnImage."""
    from PIL import Image

    found = header(data)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.load()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise NotAnImage(f"cannot be decoded: {error or type(error).__name__}", "I01") from None
    return found


def pixels(data: bytes) -> Image:
    """The decoded picture in RGB, what is transparent on white. Raises NotAnImage."""
    from PIL import Image

    header(data)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if not image.has_transparency_data:
                return image.convert("RGB")
            over = image.convert("RGBA")
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise NotAnImage(f"cannot be decoded: {error or type(error).__name__}", "I01") from None
    white = Image.new("RGBA", over.size, "white")
    return Image.alpha_composite(white, over).convert("RGB")
