"""Numbers in words."""

from __future__ import annotations


def human_bytes(count: int | None) -> str:
    """97,950,738 -> '98.0 MB' (powers of ten, as hosts and disks count)."""
    if count is None:
        return "?"
    size = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError


def size_in_words(count: int | None, approximate: str) -> str:
    """The exact size rounded; where only a page's rounded one is known, that: 'about 889 MB'."""
    return f"about {approximate}" if count is None and approximate else human_bytes(count)
