"""Text from outside never drives the terminal: control, format, surrogate and bidi characters become visible (U01)."""

from __future__ import annotations

import re
import unicodedata

_SUSPECT = re.compile(r"[^\x20-\x7e]")
_VISIBLE_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")


def safe_text(text: object) -> str:
    """One line of text in which nothing acts on a terminal."""
    return _SUSPECT.sub(_visible, str(text))


def _visible(match: re.Match[str]) -> str:
    character = match[0]
    if unicodedata.category(character) in _VISIBLE_CATEGORIES:
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character
