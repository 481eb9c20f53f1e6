"""Secrets end here: every sentence that leaves the network room passes `redact`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from aigiqa_cli.redaction import HIDDEN, without_known

_PATTERNS = (
    (re.compile(r"(?i)\b(authorization:\s*\w+|bearer)\s+[\w.~+/=-]{6,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"\bhf_[A-Za-z0-9]{6,}"), HIDDEN),
    (re.compile(r"(?<=://)[^/\s@]+@"), f"{HIDDEN}@"),
    (
        re.compile(
            r"(?i)\b((?:x-amz-)?(?:sig(?:nature)?|token|access_token|credential|key-pair-id|policy))=[^&\s\"')]+"
        ),
        rf"\1={HIDDEN}",
    ),
    (re.compile(r"(https?://[^\s?\"')]+)\?[^\s\"')]*"), r"\1"),  # any query may be a signature
)
# Terminal escapes, and the marks that reverse the reading direction, would let a server draw on the screen.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")


def redact(text: str, settings: Mapping[str, str]) -> str:
    """Return `text` without tokens, credentials in URLs and query strings."""
    text = without_known(text, settings)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def cleaned(text: str, length: int = 80) -> str:
    """One printable line of at most `length` characters of what a server said."""
    line = " ".join(_UNPRINTABLE.sub(" ", text).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def bare(url: str) -> str:
    """Scheme, host and path: a signed link without its signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.scheme else ""
