"""Secrets end here: every sentence that leaves the network room passes `redact`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

_TOKENS = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HUGGINGFACE_HUB_TOKEN",
    "MODELSCOPE_API_TOKEN",
    "GITHUB_TOKEN",
    "GH_TOKEN",
)
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_SHORTEST = 4  # a shorter value would blank ordinary words
_HIDDEN = "[hidden]"
_PATTERNS = (
    (re.compile(r"(?i)\b(authorization:\s*\w+|bearer)\s+[\w.~+/=-]{6,}"), rf"\1 {_HIDDEN}"),
    (re.compile(r"\bhf_[A-Za-z0-9]{6,}"), _HIDDEN),
    (re.compile(r"(?<=://)[^/\s@]+@"), f"{_HIDDEN}@"),
    (
        re.compile(
            r"(?i)\b((?:x-amz-)?(?:sig(?:nature)?|token|access_token|credential|key-pair-id|policy))=[^&\s\"')]+"
        ),
        rf"\1={_HIDDEN}",
    ),
    (re.compile(r"(https?://[^\s?\"')]+)\?[^\s\"')]*"), r"\1"),  # any query may be a signature
)
# Terminal escapes, and the marks that reverse the reading direction, would let a server draw on the screen.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")


def redact(text: str, settings: Mapping[str, str]) -> str:
    """Return `text` without tokens, credentials in URLs and query strings."""
    for secret in sorted(_secrets(settings), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
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


def _secrets(settings: Mapping[str, str]) -> set[str]:
    found = {settings.get(name, "").strip() for name in _TOKENS}
    for name in _PROXIES:
        for proxy in (settings.get(name, ""), settings.get(name.lower(), "")):
            user_info = proxy.rpartition("@")[0].rpartition("//")[2]
            password = user_info.partition(":")[2]
            found |= {user_info, password, unquote(password)}
    return {secret for secret in found if len(secret) >= _SHORTEST}
