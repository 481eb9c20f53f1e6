"""The secrets that the settings hold, and texts without them. Knows no network, so that every output can ask it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

HIDDEN = "[hidden]"
TOKENS = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HUGGINGFACE_HUB_TOKEN",
    "MODELSCOPE_API_TOKEN",
    "GITHUB_TOKEN",
    "GH_TOKEN",
)
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_SHORTEST = 4  # a shorter value would blank ordinary words


def without_known(text: str, settings: Mapping[str, str]) -> str:
    """Return `text` without the very secrets that the settings hold."""
    for secret in sorted(secrets(settings), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def secrets(settings: Mapping[str, str]) -> set[str]:
    """Tokens, and what stands before the @ of a proxy."""
    found = {settings.get(name, "").strip() for name in TOKENS}
    for name in PROXIES:
        for proxy in (settings.get(name, ""), settings.get(name.lower(), "")):
            user_info = proxy.rpartition("@")[0].rpartition("//")[2]
            password = user_info.partition(":")[2]
            found |= {user_info, password, unquote(password)}
    return {secret for secret in found if len(secret) >= _SHORTEST}
