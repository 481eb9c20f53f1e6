"""The contract of archive formats: list every member, judge all before any is written, stream the wanted ones.

A format is a class with `members()` and `stream()`; it runs only inside the worker process.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

MAX_MEMBERS = 2_000_000
SMALL_MEMBER = 1 << 20
RATIO_SMALL = 1_100
RATIO = 100
RATIO_OF_ALL = 20
ALWAYS_ALLOWED = 1 << 30  # bytes that any archive may hold, however well they are packed
NEVER_ALLOWED = 256 << 30


class Refusal(Exception):
    """The archive is unsafe, ambiguous or broken: the reason and the fault ID."""

    def __init__(self, reason: str, fault: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fault = fault


class Needed(Exception):
    """Only a person can go on: a password, a tool or a volume is missing. The reason, the fault ID, the next step."""

    def __init__(self, reason: str, fault: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fault = fault
        self.hint = hint


@dataclass(frozen=True, slots=True)
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


def check_total(packed: int, unpacked: int) -> None:
    """Refuse an archive whose members together promise far more than it holds (A09)."""
    if unpacked > min(max(ALWAYS_ALLOWED, RATIO_OF_ALL * packed), NEVER_ALLOWED):
        raise Refusal(f"the members claim {unpacked} bytes out of {packed}", "A09")


def checked(member: Member, chunks: Chunks, crc: int | None) -> Chunks:
    """The same chunks; Refusal at the end if their length or CRC-32 is not the declared one."""
    produced, checksum = 0, 0
    for chunk in chunks:
        produced += len(chunk)
        if produced > member.bytes:
            raise Refusal(f"the member {member.name!r} is longer than declared", "A12")
        if crc is not None:
            checksum = zlib.crc32(chunk, checksum)
        yield chunk
    if produced != member.bytes:
        raise Refusal(f"the member {member.name!r} has {produced} bytes instead of {member.bytes}", "A12")
    if crc is not None and checksum != crc:
        raise Refusal(f"the member {member.name!r} has a wrong checksum", "A16")


def password_missing(what: str) -> Needed:
    """The fault of an encrypted archive without a password. `what` names the archive or a member."""
    return Needed(f"{what} is encrypted and needs a password", "A20", "give it with --password; it is never guessed")


def password_wrong(what: str) -> Needed:
    """The fault of an encrypted archive that a password does not open: formats cannot tell that from damage."""
    return Needed(
        f"the password does not open {what}: it is wrong, or the archive is damaged",
        "A20",
        "ask whoever packed the archive for its password",
    )
