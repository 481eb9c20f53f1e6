"""What the byte mover is asked for, where it can get it, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from aigiqa_cli import folders
from aigiqa_cli.errors import PersonNeeded, TemporaryFault

Blocks = Iterator[bytes]
_LONGEST_SETTING = 86_400.0  # seconds
_MOST_CONNECTIONS = 16


@dataclass(frozen=True)
class Wanted:
    """What the manifest says about one file."""

    name: str
    format: str
    bytes: int | None = None
    sha256: str = ""
    accepted: tuple[str, ...] = ()
    begins: str = ""  # with these hex digits, where no more of the SHA-256 is stated
    flush: bool = True  # False where the asker brings many files to the disk at once

    @property
    def pins(self) -> frozenset[str]:
        """Every SHA-256 that proves the content; empty for an unpinned file."""
        return frozenset(pin for pin in (self.sha256, *self.accepted) if pin)

    def is_proven(self, sha256: str) -> bool | None:
        """Are these the bytes? None where nothing of their hash is stated."""
        if self.pins:
            return sha256 in self.pins
        return sha256.startswith(self.begins) if self.begins else None


@dataclass(frozen=True)
class Request:
    """What a mirror resolves to. `token` goes to exactly the host of `url` and nowhere else; `cookie` is the name of
    a cookie in which that host wants it too. `unhashed`: of this file the host does not state the hash that it states
    of others."""

    url: str
    token: str = ""
    cookie: str = ""
    bytes: int | None = None
    sha256: str = ""
    fixed: bool = False
    unhashed: bool = False
    stream: Callable[[], Blocks] | None = None


@dataclass(frozen=True)
class Source:
    """One automatic mirror made ready. `resolve` is called anew for each attempt: signed links expire."""

    kind: str
    label: str
    resolve: Callable[[], Request]


@dataclass(frozen=True)
class Leaf:
    """One file of a tree as its host lists it. `path` is that in the repository; `tag` is whatever else the host says
    of this very version; `blob` is git's SHA-1 of it, where the host states that and no SHA-256."""

    path: str
    url: str
    bytes: int | None = None
    sha256: str = ""
    tag: str = ""
    blob: str = ""


@dataclass(frozen=True)
class Listing:
    """Every file of a tree, and what its host wants to see before it gives them out. `closed` says what it means, and
    what to do, if it refuses one: a hub lists files to people to whom it does not give them."""

    leaves: tuple[Leaf, ...]
    token: str = ""
    cookie: str = ""
    fixed: bool = False
    closed: Closed | None = None

    @property
    def unhashed(self) -> int:
        """The number of files of which the host states neither hash."""
        return sum(not (leaf.sha256 or leaf.blob) for leaf in self.leaves)


@dataclass(frozen=True)
class TreeSource:
    """A folder of a hub made ready. Nothing is asked before `listing` is called."""

    kind: str
    label: str
    listing: Callable[[], Listing]


@dataclass(frozen=True)
class Received:
    """A whole file, on disk and flushed. `lock` keeps other processes off `path` until it is moved."""

    path: Path
    bytes: int
    sha256: str
    source: str
    kind: str
    url: str
    resumed_from: int
    pinned: bool
    unhashed: bool = False
    lock: object = field(default=None, repr=False, compare=False)

    def discard(self) -> None:
        """The file has done its work, or was moved: remove what is left of it."""
        folders.remove(self.path, missing_ok=True)
        folders.remove(self.path.with_suffix(".json"), missing_ok=True)


@dataclass(frozen=True)
class Limits:
    """Seconds, bytes and counts beyond which a mirror is not waited for."""

    connect: float = 10.0
    silence: float = 30.0
    drip_bytes: int = 60 * 1024
    drip_window: float = 60.0
    retry_after: float = 120.0
    tries: int = 5
    tries_before_next: int = 2
    attempts: int = 200
    unpinned_bytes: int = 64 << 30
    connections: int = 4  # at most so many for one file

    @classmethod
    def chosen(cls, settings: Mapping[str, str]) -> Limits:
        """With the seconds that the settings name; what is no sensible number counts as not set."""
        usual = cls()
        window = _seconds(settings, "AIGIQA_SLOW_SECONDS", usual.drip_window)
        return replace(
            usual,
            connect=_seconds(settings, "AIGIQA_CONNECT_SECONDS", usual.connect),
            silence=_seconds(settings, "AIGIQA_SILENCE_SECONDS", usual.silence),
            drip_window=window,
            drip_bytes=round(usual.drip_bytes * window / usual.drip_window),
            retry_after=_seconds(settings, "AIGIQA_BUSY_SECONDS", usual.retry_after),
            connections=_count(settings, "AIGIQA_CONNECTIONS", usual.connections),
        )


def _seconds(settings: Mapping[str, str], name: str, usual: float) -> float:
    try:
        value = float(settings.get(name, ""))
    except ValueError:
        return usual
    return value if 0 < value <= _LONGEST_SETTING else usual


def _count(settings: Mapping[str, str], name: str, usual: int) -> int:
    value = settings.get(name, "").strip()
    return int(value) if value.isascii() and value.isdigit() and 0 < int(value[:3]) <= _MOST_CONNECTIONS else usual


class Later(TemporaryFault):
    """A temporary fault with what is known about the time.

    `wait` is what the host asked for in seconds, None if it said nothing; `over` means that this mirror is
    not to be asked again in this run.
    """

    wait: float | None = None
    over: bool = False


class Again(TemporaryFault):
    """Nothing to wait for: the same mirror is asked once more at once, from zero or with a new link."""


class Closed(PersonNeeded):
    """`host` refuses access: a login, a permission, or terms to be accepted."""

    host: str = ""


class Page(PersonNeeded):
    """A web page came instead of the file: `mark` is its hash, `host` the one that was asked for the file, `sender` the
    one that redirects led to."""

    mark: str = ""
    host: str = ""
    sender: str = ""
