"""The health ledger: what each mirror answered when it was asked last. Information only.

`<root>/.aigiqa/health.json`, replaced whole. No promise depends on it: `fetch` tries mirrors that are known to be down
last and leaves none out, and a ledger that cannot be read counts as empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from aigiqa_cli.store.durable import write_whole
from aigiqa_cli.store.root import Root

ALIVE, CHANGED, GONE, CLOSED, UNREACHABLE, BY_HAND = "alive", "changed", "gone", "closed", "unreachable", "by hand"
DEAD = (CHANGED, GONE, CLOSED, UNREACHABLE)
STALE_DAYS = 30
SCHEMA = 1
LONGEST = 16 << 20  # bytes
_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Health:
    """`state` is one of those above; `bytes` is what the host promises, None where it says nothing; `at` is the moment
    as ISO 8601 in UTC, by this machine's clock."""

    database: str
    asset: str
    kind: str
    label: str
    state: str
    detail: str
    at: str
    bytes: int | None = None

    @property
    def day(self) -> str:
        return self.at[:10]


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def age_in_days(entry: Health) -> int:
    """Whole days since; negative where the clock stood later then."""
    return (datetime.now(UTC) - _moment(entry.at)).days


def is_fresh(entry: Health) -> bool:
    """Recent enough to choose by; also not from a future that the clock has left."""
    return -1 <= age_in_days(entry) <= STALE_DAYS


def read_ledger(root: Root) -> dict[str, Health]:
    """Every entry by the key of its mirror; of a ledger that is missing, damaged or newer nothing."""
    try:
        if root.health.is_symlink() or root.health.stat().st_size > LONGEST:
            return {}
        told = json.loads(root.health.read_bytes())
        if told["schema"] != SCHEMA:
            return {}
        return {key: _entry(value) for key, value in told["mirrors"].items() if _KEY.fullmatch(key)}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def write_ledger(root: Root, found: Mapping[str, Health]) -> None:
    """Add what was found, durably; what was not asked now keeps its entry. Of two writers at once the last one wins."""
    merged = read_ledger(root) | dict(found)
    mirrors = {key: asdict(merged[key]) for key in sorted(merged)}
    text = json.dumps({"schema": SCHEMA, "mirrors": mirrors}, ensure_ascii=False, indent=1)
    write_whole(root.health, text.encode() + b"\n")


def _entry(value: Any) -> Health:
    entry = Health(**value)
    texts = (entry.database, entry.asset, entry.kind, entry.label, entry.state, entry.detail, entry.at)
    if not all(isinstance(text, str) for text in texts) or not isinstance(entry.bytes, int | None):
        raise TypeError
    _moment(entry.at)
    return entry


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
