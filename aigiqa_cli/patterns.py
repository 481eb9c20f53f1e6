"""Patterns of manifests, matched with RE2: linear time whatever the pattern is (M08)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Any:
    """Compile with RE2: matching takes linear time whatever the pattern is (M08)."""
    import re2

    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)
