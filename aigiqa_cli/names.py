"""Which names may become files. Shared by archives and manifests, so that there is one gate."""

from __future__ import annotations

import os
import re
import unicodedata

MAX_NAME = 255
MAX_PATH = 1024
ASIDE = 150  # bytes of a name in quarantine, which stand between an id and what makes it unique
_RESERVED = frozenset(
    {
        "con",
        "prn",
        "aux",
        "nul",
        "conin$",
        "conout$",
        *(f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³"),
    }
)
_DATABASE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]')


def unsafe_reason(name: str) -> tuple[str, str]:  # noqa: C901 - one gate, one list of reasons
    """Why `name` is not a safe relative POSIX path on every platform, and the fault ID; ("", "") if it is."""
    if not name:
        return "has no name", "A15"
    if name.startswith("/"):
        return "has an absolute path", "A02"
    if "\\" in name or re.match(r"[A-Za-z]:", name):
        return "has a backslash or a drive letter", "A03"
    if bad := _FORBIDDEN.search(name):
        return f"contains U+{ord(bad[0]):04X}", "A04"
    if len(name.encode()) > MAX_PATH:
        return f"is longer than {MAX_PATH} bytes", "S14"
    for part in name.split("/"):
        if part in {".", ".."}:
            return "leaves its folder", "A01"
        if not part:
            return "has an empty part", "A15"
        if part != part.rstrip(". ") or part.split(".")[0].rstrip(" ").lower() in _RESERVED:
            return f"has the part {part!r}, which is not a safe name on every platform", "S15"
        if len(part.encode()) > MAX_NAME:
            return f"has a part longer than {MAX_NAME} bytes", "S14"
    if unicodedata.normalize("NFC", name) != name:
        return "is not in composed Unicode form (NFC)", "S13"
    return "", ""


def safe_relative_path(name: str) -> str:
    """Return `name` if it is a relative POSIX path that is safe on every platform, else raise ValueError."""
    reason, _ = unsafe_reason(name)
    if reason:
        raise ValueError(f"the path {name!r} {reason}")
    return name


def is_database_id(word: str) -> bool:
    """Can a database be called so? Its id is also the name of a folder beside `index.csv` and `.aigiqa` (M12, X06)."""
    return bool(_DATABASE.fullmatch(word)) and word != "index.csv" and not unsafe_reason(word)[0]


def folded(name: str) -> str:
    """Equal for two names that are one file somewhere: in case, in Unicode form, or in both (S12, S13)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def shortened(name: str, room: int) -> str:
    """`name`, or its beginning and its suffix in at most `room` bytes of UTF-8 (S14)."""
    raw = os.fsencode(name)
    if len(raw) <= room:
        return name
    suffix = os.path.splitext(name)[1]
    suffix = suffix if len(os.fsencode(suffix)) <= room // 4 else ""
    kept = name[:room]
    while len(os.fsencode(kept + suffix)) > room:
        kept = kept[:-1]
    return kept + suffix
