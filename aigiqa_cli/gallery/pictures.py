"""Where the page finds its pictures: in files beside it, or in itself as small copies."""

from __future__ import annotations

import base64
import io
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from aigiqa_cli import images
from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.errors import Finding
from aigiqa_cli.reporting import Reporter, Silent

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MIME = "image/webp"
QUALITY = 82
CHUNK = 64  # small copies that are made, held and written together
THREADS = 2
SIDES = range(32, 1025)
LARGEST_PROFILE = 4_000  # bytes: what a colour profile may add to each copy; larger ones are for printing


@dataclass(frozen=True)
class Linked:
    """`prefix` leads from the page to the data root, as the beginning of a URL."""

    prefix: str


@dataclass(frozen=True)
class Embedded:
    """Copies with at most `side` pixels a side, of files below `root` that have these SHA-256."""

    root: Path
    side: int
    digests: Mapping[str, str]
    reporter: Reporter = field(default_factory=Silent)


def linked(page: Path, root: Path) -> Linked:
    """The way from the page's folder to the data root.

    Of two ways through links on the disk the one is taken that stays below the page's folder, as both may then be
    moved together; else the one by the names that the person has used, which is also the browser's.
    """
    plain = os.path.relpath(os.path.abspath(root), os.path.dirname(os.path.abspath(page)))
    real = os.path.relpath(os.path.realpath(root), os.path.realpath(os.path.dirname(os.path.abspath(page))))
    way = plain if real.split(os.sep)[0] == os.pardir else real
    return Linked("" if way == os.curdir else quote(os.fsencode(way)) + "/")


def small_copies(paths: Sequence[str], source: Embedded, findings: list[Finding]) -> Iterator[list[str]]:
    """Copies as base64, CHUNK by CHUNK, in order; "" for an empty path, and for what cannot be read or shown, which is
    added to `findings`."""

    def copy(path: str) -> str | Finding:
        return _copy(path, source) if path else ""

    source.reporter.phase("small copies", total=len(paths), unit="images")
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(paths), CHUNK):
            made = list(pool.map(copy, paths[start : start + CHUNK]))
            findings += [one for one in made if isinstance(one, Finding)]
            yield ["" if isinstance(one, Finding) else one for one in made]
            source.reporter.advance(len(made))


def _copy(path: str, source: Embedded) -> str | Finding:
    database, file = path.split("/", 1)[0], source.root / path
    try:
        if not stat.S_ISREG(file.lstat().st_mode):
            return Finding(database, path, "not a regular file", "a file", "something else")
        data = file.read_bytes()
        if (found := sha256_bytes(data)) != source.digests.get(path):
            return Finding(database, path, "wrong checksum", source.digests.get(path, ""), found)
        return base64.b64encode(small(data, source.side)).decode()
    except FileNotFoundError:
        return Finding(database, path, "missing", "an image", "nothing")
    except images.NotAnImage as reason:
        return Finding(database, path, str(reason), "an image that decodes", "")
    except OSError as error:
        return Finding(database, path, f"cannot be read: {error.strerror}", "a readable file", "")


def small(data: bytes, side: int) -> bytes:
    """A WebP of an image with at most `side` pixels a side, upright, with its colour profile. Raises NotAnImage."""
    from PIL import Image, ImageOps

    images.header(data)  # formats, frames and pixels are judged there
    target = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data), formats=images.FORMATS) as image:
            profile = image.info.get("icc_profile", b"") if image.mode in ("RGB", "RGBA") else b""
            image.draft("RGB", (2 * side, 2 * side))  # a JPEG is decoded no larger than needed
            upright = ImageOps.exif_transpose(_eight_bits(image))
            plain = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
            plain.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
            kept = profile if len(profile) <= LARGEST_PROFILE else b""
            plain.save(target, "WEBP", quality=QUALITY, method=2, icc_profile=kept)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - decoders raise whatever hostile bytes make them stumble over
        raise images.NotAnImage(f"cannot be decoded: {error or type(error).__name__}", "I01") from None
    return target.getvalue()


def _eight_bits(image: Picture) -> Picture:
    """16 bits of grey are scaled: Pillow's own conversion would cut off what is above 255."""
    if not image.mode.startswith("I"):
        return image
    return image.convert("I").point(lambda level: level / 257).convert("L")
