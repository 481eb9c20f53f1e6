"""What a server holds, how it may misbehave, and what it remembers of each request."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import cached_property
from typing import Literal

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Blob:
    """One published object. `etag` "" means `"<sha256>"`, None means that the host sends none."""

    data: bytes
    etag: str | None = ""
    modified: int | None = 1_700_000_000
    type: str = "application/octet-stream"
    ranges: bool = True

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def git(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()

    @property
    def tag(self) -> str:
        return f'"{self.sha256}"' if self.etag == "" else self.etag or ""

    @property
    def date(self) -> str:
        return "" if self.modified is None else formatdate(self.modified, usegmt=True)

    @property
    def validators(self) -> Headers:
        pairs = (("ETag", self.tag), ("Last-Modified", self.date))
        return tuple((name, value) for name, value in pairs if value)


@dataclass(frozen=True)
class Fault:
    """One way in which one answer goes wrong. Offsets count bytes of the body of that answer."""

    delay: float = 0.0  # seconds before the first byte
    cut: int | None = None  # the connection ends after this many bytes ...
    how: Literal["fin", "rst"] = "fin"  # ... with a FIN or a reset
    stall: float = 0.0  # ... after this many silent seconds
    rate: int = 0  # bytes per second
    status: int = 0  # this status, with `headers`, `body` and `type`, instead of the object
    headers: Headers = ()  # sent besides (or, for names that the server sets itself, instead)
    body: bytes = b""
    type: str = "text/html; charset=utf-8"
    ignore_range: bool = False  # 200 with everything
    shift: int = 0  # a 206 that starts this many bytes off
    total: int | None = None  # a 206 that states this total
    longer: int = 0  # Content-Length is this much more than what is sent (negative: less)
    no_length: bool = False  # no Content-Length; the end of the connection ends the body
    chunked: bool = False  # chunked framing; with `cut` the last chunk never comes
    gzip: bool = False  # Content-Encoding: gzip although identity was asked for
    flip: int | None = None  # the lowest bit of this byte is wrong
    more: bytes = b""  # appended to the body (and counted in Content-Length)
    raw: bytes = b""  # these bytes are the whole answer, head included
    then: Blob | None = None  # the object is replaced by this one after the answer has begun
    always: bool = False  # not used up by one answer


class Faults:
    """Scripted faults by key. "HEAD key" is used up by HEAD alone, "key" by any method."""

    def __init__(self) -> None:
        self._queues: dict[str, list[Fault]] = defaultdict(list)
        self._lock = threading.Lock()

    def add(self, key: str, *faults: Fault) -> None:
        with self._lock:
            self._queues[key].extend(faults)

    def take(self, method: str, key: str) -> Fault | None:
        with self._lock:
            for queue in (self._queues.get(f"{method} {key}"), self._queues.get(key)):
                if queue:
                    return queue[0] if queue[0].always else queue.pop(0)
        return None

    def clear(self) -> None:
        with self._lock:
            self._queues.clear()


@dataclass
class Entry:
    """One request as the server saw it; `sent` counts body bytes handed to the socket so far."""

    method: str
    host: str
    path: str
    query: str
    range: str
    if_range: str
    auth: str
    cookie: str
    encoding: str
    agent: str
    status: int = 0
    sent: int = 0
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def start(self) -> int:
        """First byte that was asked for."""
        return int(self.range.removeprefix("bytes=").partition("-")[0] or 0) if self.range else 0
