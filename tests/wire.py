"""What the transport tests share: one content, sources on doubles, and a look into the folder of parts."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from doubles import Entry, Fault, FaultServer

from aigiqa_cli.errors import Fault as Problem
from aigiqa_cli.transport import Received, Request, Session, Source, Wanted, receive
from aigiqa_cli.transport.model import Limits

DATA = b"PK\x03\x04" + random.Random(1).randbytes(400_000)
OTHER = b"PK\x03\x04" + random.Random(2).randbytes(400_000)
SIZE = len(DATA)
SHA256 = hashlib.sha256(DATA).hexdigest()
PINNED = Wanted("set.zip", "zip", SIZE, SHA256)
SIZED = Wanted("set.zip", "zip", SIZE)
LOOSE = Wanted("set.zip", "zip")
QUICK = {"AIGIQA_ALLOW_PRIVATE_HOSTS": "1", "AIGIQA_RETRY_SECONDS": "0.001"}
IMPATIENT = Limits(silence=0.2)


class Notes:
    """A reporter that remembers."""

    def __init__(self, on_advance: Callable[[int], None] | None = None) -> None:
        self.phases: list[tuple[str, int | None, int]] = []
        self.notes: list[str] = []
        self.advanced = 0
        self._on_advance = on_advance
        self._lock = threading.Lock()

    def phase(self, name: str, *, total: int | None = None, unit: str = "bytes", done: int = 0) -> None:
        self.phases.append((name, total, done))

    def advance(self, amount: int = 1) -> None:
        with self._lock:
            self.advanced += amount
        if self._on_advance:
            self._on_advance(self.advanced)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def detail(self, text: str) -> None:
        self.note(text)


class Wire:
    """`wire.receive(PINNED, wire.source("/a.zip"), ...)` against one plain server, parts below a folder."""

    def __init__(self, server: FaultServer, base: Path) -> None:
        self.server, self.reporter = server, Notes()
        self.partial = base / ".aigiqa" / "partial"
        self.partial.parent.mkdir(exist_ok=True)
        self.settings, self.limits = dict(QUICK), Limits()

    def source(self, path: str = "/set.zip", label: str = "", *, url: str = "", **request: object) -> Source:
        target = url or self.server.url(path)
        return Source("http", label or f"http {path}", lambda: replace(Request(target), **request))  # type: ignore[arg-type]

    def receive(self, wanted: Wanted, *sources: Source) -> Received:
        with Session(settings=self.settings, limits=self.limits) as session:
            return receive(wanted, sources, self.partial, session, self.reporter)

    def fails(self, wanted: Wanted, *sources: Source) -> Problem:
        """The fault that `receive` must raise."""
        try:
            got = self.receive(wanted, *sources)
        except Problem as problem:
            return problem
        raise AssertionError(f"received {got.bytes} bytes from {got.source} where a fault was due")

    @property
    def log(self) -> list[Entry]:
        return self.server.log

    def starts(self) -> list[int]:
        """Where each request for bytes began."""
        return [entry.start for entry in self.log]

    def files(self, pattern: str = "*") -> list[Path]:
        return sorted(self.partial.glob(pattern)) if self.partial.is_dir() else []

    def quarantined(self) -> list[Path]:
        return sorted((self.partial.parent / "quarantine").glob("*"))

    def bytes_kept(self) -> int:
        return sum(path.stat().st_size for path in [*self.files(), *self.quarantined()])


def same(received: Received, data: bytes = DATA) -> bool:
    """The bytes on disk, the record and the hash agree with what was published."""
    digest = hashlib.sha256(data).hexdigest()
    return (received.path.read_bytes(), received.bytes, received.sha256) == (data, len(data), digest)


def answer(*lines: str, body: bytes = b"") -> Fault:
    """A whole answer, written out: head lines that no server library would send."""
    head = "\r\n".join(("HTTP/1.1 200 OK", "Content-Type: application/zip", *lines, "", ""))
    return Fault(raw=head.encode("latin-1") + body)
