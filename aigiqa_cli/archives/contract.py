"""The contract of archive formats: list every member, judge all before any is written, stream the wanted ones.

A format is a class with `members()` and `stream()`; it runs only inside the worker process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

MAX_MEMBERS = 2_000_000
SMALL_MEMBER = 1 << 20
RATIO_SMALL = 1_100
RATIO = 100


class Refusal(Exception):
    """The archive is unsafe, ambiguous or broken: the reason and the fault ID."""

    def __init__(self, reason: str, fault: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fault = fault


@dataclass(frozen=True)
class Member:
    """One regular file of an archive: `number` identifies it, `name` is safe, `bytes` is the declared length."""

    number: int
    name: str
    bytes: int


Chunks = Iterator[bytes]
Consume = Callable[[Member, Chunks], None]


class Format(Protocol):
    """What every archive format can do."""

    def members(self) -> list[Member]:
        """All regular files, names judged. Raises Refusal for anything unsafe or ambiguous."""

    def stream(self, wanted: Iterable[Member], consume: Consume) -> None:
        """Call `consume(member, chunks)` for each wanted member; may do so from several threads.

        Chunks end after the declared number of bytes; wrong length or checksum raises Refusal.
        """


def check_ratio(name: str, packed: int, unpacked: int) -> None:
    """Refuse a member that promises far more than it holds (A09)."""
    limit = RATIO_SMALL if unpacked <= SMALL_MEMBER else RATIO
    if unpacked > limit * max(packed, 1):
        raise Refusal(f"the member {name!r} claims {unpacked} bytes out of {packed}", "A09")
