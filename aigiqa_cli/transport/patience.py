"""Waiting: back-off with jitter, what a host says in Retry-After, and the one place that sleeps."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_BACKOFF = 30.0
_BASE = 0.5


def pause(seconds: float) -> None:
    """Sleep. The only sleep of the network room."""
    if seconds > 0:
        time.sleep(seconds)


def backoff(failures: int, settings: Mapping[str, str]) -> float:
    """Seconds before the next try after `failures` fruitless ones: doubling, between half and the whole of it."""
    whole = min(_base(settings) * 2.0 ** min(max(failures - 1, 0), 16), LONGEST_BACKOFF)
    return whole * random.uniform(0.5, 1.0)  # noqa: S311 - spreads clients, guards nothing


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for (number or date); None where it says nothing usable."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def clock(seconds: float) -> str:
    """When `seconds` from now will be, for a person."""
    try:
        return datetime.fromtimestamp(time.time() + seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "a time beyond any calendar"


def _base(settings: Mapping[str, str]) -> float:
    try:
        return max(0.0, float(settings.get("AIGIQA_RETRY_SECONDS", _BASE)))
    except ValueError:
        return _BASE
