"""Images as arrays: luma, colour, and pairs of one size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigiqa_cli import images

if TYPE_CHECKING:
    from PIL.Image import Image

Array = Any  # numpy's, which is imported late


def picture(path: Path) -> Image:
    """The image in RGB; what is transparent stands on white. Raises NotAnImage, OSError."""
    return images.pixels(path.read_bytes())


def rgb(picture_: Image) -> Array:
    """Height x width x 3, uint8."""
    import numpy as np

    return np.asarray(picture_)


def luma(picture_: Image) -> Array:
    """Height x width, float64, 0..255: (299 R + 587 G + 114 B) / 1000 rounded to whole numbers (ITU-R BT.601)."""
    import numpy as np

    return np.asarray(picture_.convert("L"), dtype=np.float64)


def as_large(reference: Image, image: Image) -> Image:
    """The reference with the width and height of the image, by Pillow's bicubic filter, which averages when it makes
    smaller; as it is where it has them."""
    from PIL.Image import Resampling

    return reference if reference.size == image.size else reference.resize(image.size, Resampling.BICUBIC)
