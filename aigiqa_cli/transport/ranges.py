"""Parts of a file that lies at a mirror, without the rest of it: HTTP ranges, all of one version.

The first answer says how long the file is and which version it is (a strong ETag, else a strong date, else an address
that never changes). Every further request asks for this version (If-Range) and every answer must be of it: two
versions are never glued. A host that answers with the whole file is cut off at once.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from aigiqa_cli.errors import Fault, PersonNeeded, TemporaryFault
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.transport import pieces, promises
from aigiqa_cli.transport.model import Again, Later, Request, Source, Wanted
from aigiqa_cli.transport.pace import Pace, Stopped
from aigiqa_cli.transport.patience import backoff, pause
from aigiqa_cli.transport.session import Session

if TYPE_CHECKING:
    from aigiqa_cli.transport.answer import Answer

CONNECTIONS = 4
_WORTH_MORE = 8  # fewer ranges than this are asked for one after the other
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)\Z")
_EXPIRED = (401, 403, 404, 410)  # what a signed link answers when its time is over

Span = tuple[int, int]  # first byte, and the one after the last
Put = Callable[[int, bytes], None]  # position in the file, bytes; may be called from several threads


@dataclass(frozen=True)
class Version:
    """What tells one version of a file from another. `length` in bytes; texts are "" where the host says nothing."""

    length: int
    etag: str
    date: str
    fixed: bool  # the address itself never leads to another version

    @property
    def validator(self) -> str:
        """What If-Range carries: nothing where the address says it all."""
        return "" if self.fixed else self.etag or self.date


class RemoteFile:
    """One version of one file at one mirror. `moved` counts the bytes of all answers so far."""

    def __init__(self, wanted: Wanted, source: Source, session: Session, reporter: Reporter) -> None:
        self.wanted, self.source = wanted, source
        self.moved = 0
        self._session, self._reporter = session, reporter
        self._lock, self._settling = threading.Lock(), threading.Lock()
        self._request: Request | None = None
        self._version: Version | None = None

    @classmethod
    def continued(
        cls, wanted: Wanted, source: Source, session: Session, reporter: Reporter, request: Request, answer: Answer
    ) -> RemoteFile:
        """The version of which `answer` gives the whole, or the end. Raises PersonNeeded where it does not say which
        version that is, or how long."""
        known = cls(wanted, source, session, reporter)
        found = _RANGE.match(answer.headers.get("Content-Range", "").strip())
        length = int(found[3]) if found and found[3] != "*" else answer.length
        if length is None or (answer.status == 206 and found is None):  # noqa: PLR2004
            raise PersonNeeded(f"{answer.host} does not say how long the file is", fault="N02")
        known._request, known._version = request, _version(answer, length, request)
        return known

    @property
    def length(self) -> int:
        """Of the file, in bytes; known after `tail`."""
        if self._version is None:
            raise ValueError("nothing is known of the file before its tail was read")
        return self._version.length

    def tail(self, count: int) -> bytes:
        """The last `count` bytes, or the whole of a shorter file; this settles length and version.

        Raises PersonNeeded from a host that does not give out parts, IntegrityFault where length or hash are not those
        that the manifest states, TemporaryFault where a retry may help.
        """
        held = bytearray()
        tries = 0
        while self._version is None:
            try:
                self._begin(count, held, self._session)
            except TemporaryFault as fault:
                tries += 1
                if self._version is None:
                    self._wait(fault, tries, self._session)
        begin = self.length - min(count, self.length)
        self._span(self._session, (begin + len(held), self.length), lambda _, block: held.extend(block))
        return bytes(held)

    def settle(self, session: Session) -> int:
        """The length in bytes, for which one byte is asked where nothing is known yet. Raises as `tail` does."""
        with self._settling:
            if self._version is None:
                self._begin(1, bytearray(), session)
        return self.length

    def stream(self, session: Session, span: Span) -> Iterator[tuple[int, bytes]]:
        """The bytes of a span with their positions, in order; whatever goes wrong is raised at once."""
        at, end = span
        while at < end:
            for block in self._blocks(session, at, end):
                yield at, block
                at += len(block)

    def fetch(self, spans: Sequence[Span], put: Put) -> None:
        """Hand the bytes of all spans to `put`, in no fixed order. Raises as `tail` does; Again where the file was
        replaced meanwhile, so that everything that came before belongs to nothing any more."""
        if len(spans) < _WORTH_MORE:
            for span in spans:
                self._span(self._session, span, put)
            return
        queue, taking = iter(spans), threading.Lock()
        pace = Pace(self._session.settings, self._session.limits)

        def following() -> Span | None:
            with taking:
                return next(queue, None)

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            futures = [pool.submit(self._work, pace, following, put) for _ in range(CONNECTIONS)]
            try:
                for future in futures:
                    future.result()
            finally:
                pace.stopped.set()

    def supply(self, tail: bytes, spans: Sequence[Span], put: Put) -> None:
        """`fetch`, but for what lies in the `tail`, which is here already."""
        begin_of_tail = self.length - len(tail)
        missing = []
        for begin, end in spans:
            if end > begin_of_tail:
                at = max(begin, begin_of_tail)
                put(at, tail[at - begin_of_tail : end - begin_of_tail])
            if begin < begin_of_tail:
                missing.append((begin, min(end, begin_of_tail)))
        self.fetch(missing, put)

    def _work(self, pace: Pace, following: Callable[[], Span | None], put: Put) -> None:
        about = self._session
        try:
            with Session(settings=about.settings, limits=about.limits, pace=pace) as session:
                while (span := following()) is not None:
                    self._span(session, span, put)
        except Stopped:
            return
        except BaseException:
            pace.stopped.set()  # here, not where it is collected: that one may be waiting for another worker
            raise

    def _begin(self, count: int, held: bytearray, session: Session) -> None:
        """The first request: the end of the file, by its position where the length is known."""
        request = self._asked()
        known = promises.size(self.wanted, request)
        asked = f"-{count}" if known is None else f"{max(0, known - count)}-{known - 1}"
        with session.open(
            request.url, headers={"Range": f"bytes={asked}"}, token=request.token, cookie=request.cookie
        ) as answer:
            begin, end, stated = self._part(answer, request)
            length = promises.agreed(self.wanted, request, answer, stated)
            if length is None or end != length or begin != length - min(count, length):
                raise _other_piece(answer)
            self._version = _version(answer, length, request)
            for block in self._body(answer, end - begin):
                held += block

    def _span(self, session: Session, span: Span, put: Put) -> None:
        """One span, over however many tries; only new bytes are progress."""
        at, end = span
        tries = 0
        while at < end:
            before = at
            try:
                for block in self._blocks(session, at, end):
                    put(at, block)
                    at += len(block)
            except TemporaryFault as fault:
                tries = 1 if at > before else tries + 1
                self._wait(fault, tries, session)

    def _blocks(self, session: Session, begin: int, end: int) -> Iterator[bytes]:
        request, version = self._asked(), self._version
        assert version is not None  # noqa: S101 - `length` was asked for before
        headers = {"Range": f"bytes={begin}-{end - 1}"}
        if version.validator:
            headers["If-Range"] = version.validator
        with session.open(request.url, headers=headers, token=request.token, cookie=request.cookie) as answer:
            self._refuse_changed(answer, version)
            first, last, stated = self._part(answer, request)
            if first != begin or last > end:
                raise _other_piece(answer)
            if stated not in (None, version.length):
                raise _changed(answer)
            yield from self._body(answer, last - first)

    def _part(self, answer: Answer, request: Request) -> tuple[int, int, int | None]:
        """(first byte, byte after the last, length of the whole) of a 206; anything else is raised."""
        from aigiqa_cli.transport.pages import encoding_fault

        if answer.status != 206:  # noqa: PLR2004
            raise self._refusal(answer, request)
        if answer.encoding:
            raise encoding_fault(answer)
        found = _RANGE.match(answer.headers.get("Content-Range", "").strip())
        if found is None or int(found[2]) < int(found[1]):
            raise _other_piece(answer)
        return int(found[1]), int(found[2]) + 1, None if found[3] == "*" else int(found[3])

    def _refusal(self, answer: Answer, request: Request) -> Fault:
        from aigiqa_cli.transport.answer import status_fault

        if answer.status == 200:  # noqa: PLR2004 - its body is not read: it is the whole file
            return PersonNeeded(f"{answer.host} gives out the file only as a whole", fault="N17")
        if answer.status == 416:  # noqa: PLR2004
            return PersonNeeded(f"{answer.host} has no such part of the file", fault="N17")
        if answer.status in _EXPIRED and self._version is not None:
            self._forget(request)
            return Again(f"the link to {answer.host} has expired", fault="N23")
        return status_fault(answer.status, answer.headers, answer.host, self._session.limits)

    def _refuse_changed(self, answer: Answer, version: Version) -> None:
        """A 200 where parts were given before means that If-Range no longer fits; a 206 must show the same marks."""
        if answer.status in (200, 416):
            raise _changed(answer)
        if answer.status != 206 or not version.validator:  # noqa: PLR2004
            return
        shown = pieces.strong(answer) if version.etag else answer.headers.get("Last-Modified", "").strip()
        if shown != version.validator:
            raise _changed(answer)

    def _body(self, answer: Answer, count: int) -> Iterator[bytes]:
        """The first `count` bytes of the answer; more are not read, fewer raise Later."""
        while count > 0:
            block = answer.read(min(count, 1 << 16))
            if not block:
                raise Later(f"{answer.host} cut the connection before the end", fault="N01")
            count -= len(block)
            with self._lock:
                self.moved += len(block)
            self._reporter.advance(len(block))
            yield block

    def _asked(self) -> Request:
        with self._lock:
            if self._request is None:
                request = self.source.resolve()
                promises.compare(self.wanted, request)
                if request.stream is not None:
                    raise PersonNeeded("bytes that are made here come only as a whole", fault="N17")
                self._request = request
            return self._request

    def _forget(self, request: Request) -> None:
        """Resolve anew at the next try, unless another worker has done so."""
        with self._lock:
            if self._request is request:
                self._request = None

    def _wait(self, fault: TemporaryFault, tries: int, session: Session) -> None:
        """Pause before the next try, or raise what leaves no hope."""
        limits = session.limits
        if isinstance(fault, _Changed) or tries >= limits.tries or (isinstance(fault, Later) and fault.over):
            raise fault
        if isinstance(fault, Again):
            return
        asked = fault.wait if isinstance(fault, Later) else None
        wait = backoff(tries, session.settings) if asked is None else asked
        self._reporter.detail(session.redact(f"{self.source.label}: {fault.message}; next try in {wait:.1f} s"))
        if session.pace:
            session.pace.wait(wait)
        else:
            pause(wait)


class _Changed(Again):
    """Another version stands there now: what was read so far belongs to nothing any more."""


def _version(answer: Answer, length: int, request: Request) -> Version:
    etag, date = pieces.strong(answer), _strong_date(answer)
    if not (etag or date or request.fixed):
        raise PersonNeeded(f"{answer.host} says nothing by which two versions of the file differ", fault="N16")
    return Version(length, etag, date, request.fixed)


def _strong_date(answer: Answer) -> str:
    """Last-Modified, if the file cannot have changed again within the same second (RFC 9110, 8.8.2.2)."""
    date = answer.headers.get("Last-Modified", "").strip()
    try:
        age = parsedate_to_datetime(answer.headers.get("Date", "")) - parsedate_to_datetime(date)
    except (TypeError, ValueError, IndexError, OverflowError):
        return ""
    return date if age.total_seconds() >= 1 else ""


def _other_piece(answer: Answer) -> PersonNeeded:
    return PersonNeeded(f"{answer.host} sends another piece than the one asked for", fault="N17")


def _changed(answer: Answer) -> _Changed:
    return _Changed(f"the file at {answer.host} has changed meanwhile", fault="N16")
