"""Which image a name means: published work writes them with folders, with other separators, without the extension."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")


class Names:
    """Every name by which the images of one database are known.

    A name is looked up as it is, then without its folders from the left (`agi-cgi/x.jpg`, `Image\\allimg\\0.png`); only
    then without regard to extension and case, where that names one image alone. Aliases (`Controlnet/000-1.png`) are
    those of the index.
    """

    def __init__(self, rows: Iterable[Mapping[str, str]]) -> None:
        self.database = ""
        self.order: dict[str, int] = {}  # image_id -> place in the index
        self._exact: dict[str, str] = {}
        aliases: list[tuple[str, str]] = []
        for row in rows:
            image_id, self.database = row["image_id"], row["database"]
            self.order[image_id] = len(self.order)
            if '"aliases"' in row["extra"]:
                aliases += [(alias, image_id) for alias in json.loads(row["extra"]).get("aliases", ())]
        self._exact = {image_id: image_id for image_id in self.order}
        for alias, image_id in aliases:
            self._exact.setdefault(alias, image_id)
        self._loose: dict[str, str] = {}
        for name, image_id in self._exact.items():
            if self._loose.setdefault(_loosely(name), image_id) != image_id:
                self._loose[_loosely(name)] = ""

    def find(self, text: str) -> tuple[str, bool] | None:
        """(image_id, is it a published name as it stands?), or None for what names no image here."""
        name = text.strip().replace("\\", "/")
        if not name:
            return None
        for tail in _tails(name):
            if tail in self._exact:
                return self._exact[tail], True
        for tail in _tails(name):
            if found := self._loose.get(_loosely(tail)):
                return found, False
        return None

    def nearest(self, text: str) -> list[str]:
        """The published names that look most like this, up to three."""
        name = text.strip().replace("\\", "/")
        return get_close_matches(name, self._exact, n=3, cutoff=0.5)

    def sorted(self, images: Iterable[str]) -> list[str]:
        """The images in the order of the index."""
        return sorted(images, key=self.order.__getitem__)


def looks_like_a_picture(text: str) -> bool:
    """Is it called like an image file?"""
    return text.strip().lower().endswith(PICTURES)


def _tails(name: str) -> Iterator[str]:
    """The name, then without its first folder, its first two, ..."""
    while name:
        yield name
        _, _, name = name.partition("/")


def _loosely(name: str) -> str:
    """Without a picture's extension (`sd1.5_normal_000` has none to lose) and in one case."""
    folded = name.casefold()
    extension = next((end for end in PICTURES if folded.endswith(end)), "")
    return folded.removesuffix(extension)
