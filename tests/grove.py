"""Grove: an invented image-to-image database in a zip on two hosts, of which parts are fetched and repaired."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

COUNT, REFERENCES = 24, 2
FIRST, SECOND = "files.example.org", "mirror.example.org"
TAIL = 22 + 0xFFFF  # a reader of any zip has to look at this much of its end (APPNOTE 4.3.16: the longest comment)
HEADERS = 4_096  # local header, extra fields, data descriptor: far less than this
Put = Callable[[str, str], Path]


def picture(seed: str) -> bytes:
    """A PNG of about 80 kB that does not compress; other bytes for every seed."""
    stream = io.BytesIO()
    Image.frombytes("RGB", (160, 160), random.Random(seed).randbytes(160 * 160 * 3)).save(stream, "PNG")
    return stream.getvalue()


def pictures() -> dict[str, bytes]:
    """What the archive holds. The images have other names in the index (`tree_000.png`)."""
    images = {f"grove/pictures/{number:03}.png": picture(f"image {number}") for number in range(COUNT)}
    return images | {f"grove/origins/r{number}.png": picture(f"reference {number}") for number in range(REFERENCES)}


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, *, comment: bytes = b"") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.comment = comment
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


def archived(data: bytes, *, pinned: bool = True, kind: str = "zip", more: str = "", name: str = "grove.zip") -> str:
    """The archive as an asset of a manifest, on both hosts."""
    pin = f"    bytes: {len(data)}\n    sha256: {hashlib.sha256(data).hexdigest()}\n" if pinned else ""
    return f"""\
  - name: {name}
    role: images
    format: {kind}
{pin}{more}    mirrors:
      - {{kind: http, url: https://{FIRST}/{name}}}
      - {{kind: http, url: https://{SECOND}/{name}}}
"""
