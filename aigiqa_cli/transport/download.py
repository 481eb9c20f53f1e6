"""One try at one mirror: continue what is there if that is safe, else begin anew; never glue two versions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli import folders
from aigiqa_cli.errors import IntegrityFault, PersonNeeded, TemporaryFault
from aigiqa_cli.reporting import Reporter, Silent
from aigiqa_cli.transport import disk, parts, pieces, promises
from aigiqa_cli.transport.lanes import Lanes, Mirror, is_much
from aigiqa_cli.transport.model import Again, Later, Received, Request, Source, Wanted
from aigiqa_cli.transport.pace import Pace
from aigiqa_cli.transport.parts import Note, Part
from aigiqa_cli.transport.ranges import RemoteFile
from aigiqa_cli.transport.redact import bare
from aigiqa_cli.transport.session import Session

if TYPE_CHECKING:
    from aigiqa_cli.transport.answer import Answer

_UNSATISFIED = re.compile(r"bytes \*/(\d{1,18})\Z")


@dataclass
class Visit:
    """What is remembered of one mirror during one run."""

    source: Source
    fruitless: int = 0
    attempts: int = 0
    renewed: bool = False  # a signed link was renewed after a 403 once
    restarted: bool = False  # a wrong hash of glued bytes was given a second chance once
    ready_at: float = 0.0


class Transfer:
    """The download of one file over however many tries and mirrors it takes."""

    def __init__(
        self,
        wanted: Wanted,
        key: str,
        folder: Path,
        session: Session,
        reporter: Reporter,
        mirrors: Sequence[Source] = (),
        watch: Callable[[Part], None] | None = None,
    ) -> None:
        """`mirrors`: all that have the file, if it may come over several connections. `watch`: see `receive`."""
        self.wanted = wanted
        self.mirrors = mirrors
        self.watch = watch
        self.key = key
        self.folder = folder
        self.session = session
        self.reporter = reporter
        self.part: Part | None = None
        self.resumed_from = 0
        self.furthest = 0
        self._shown = ("", 0)
        self._helped: set[str] = set()  # mirrors that delivered pieces of the part

    @property
    def offset(self) -> int:
        return self.part.size if self.part else 0

    @property
    def _held(self) -> Part:
        assert self.part is not None  # noqa: S101 - `begin` has claimed it, or `_describe` has made it
        return self.part

    def begin(self) -> Received | None:
        """Take up what an earlier run left; what is already whole and proven needs no mirror."""
        with disk.machine(self.folder, self.wanted.bytes):
            parts.sweep(self.folder, parts.ONCE + self.key)  # what a killed run had given up the beginning of
            self.part = parts.claim(self.folder, self.key)
            if self.part is None:
                return None
            if self.wanted.is_proven(self.part.sha256):
                note = self.part.note or Note()
                self.resumed_from = self.part.size
                return self._accept(note.label, note.kind, note.url)
        if self._too_long():
            self.drop()
        self.furthest = self.resumed_from = self.offset
        return None

    def attempt(self, visit: Visit) -> Received:
        """One request and all that it brings. Raises a Fault; after a TemporaryFault the part is kept."""
        request = visit.source.resolve()
        promises.compare(self.wanted, request)
        if request.stream is not None:
            return self._local(visit.source, request)
        if self.part and not pieces.may_follow(self.wanted, visit.source, request, self.part.note):
            self.drop()
        known = promises.size(self.wanted, request)
        if self.offset and self.offset == known and promises.certain(self.wanted, request):
            return self._prove(visit, request)
        headers = pieces.headers(self.wanted, request, self.part)
        with self.session.open(request.url, headers=headers, token=request.token, cookie=request.cookie) as answer:
            size = self._settle(answer, visit, request)
            if size is not None and self.offset == size and answer.status == 416:  # noqa: PLR2004
                return self._prove(visit, request)
            self._stream(answer, visit.source, request, size)
        return self._prove(visit, request)

    def drop(self) -> None:
        """Forget the bytes on disk: they are of no use."""
        if self.part:
            self.part.discard()
        self.part = None
        self.resumed_from = 0
        self._shown = ("", 0)
        self._helped = set()

    def close(self) -> None:
        if self.part:
            self.part.close()

    def note(self, text: str) -> None:
        self.reporter.note(self.session.redact(text))

    def detail(self, text: str) -> None:
        self.reporter.detail(self.session.redact(text))

    def _ceiling(self, size: int | None) -> int:
        return promises.ceiling(self.wanted, size, self.session.limits)

    def _too_long(self) -> bool:
        return self.offset > self._ceiling(None)

    def _settle(self, answer: Answer, visit: Visit, request: Request) -> int | None:
        """Bring part and answer into step; return the total length, None where only a hash will decide."""
        from aigiqa_cli.transport.answer import plain_number
        from aigiqa_cli.transport.pages import encoding_fault, judge

        if answer.status == 416 and self.offset:  # noqa: PLR2004
            return self._unsatisfied(answer)
        if answer.status not in (200, 206):
            raise self._status(answer, visit)
        if answer.status == 206:  # noqa: PLR2004
            total = self._continued(answer, visit.source, request)
            if answer.encoding:
                raise encoding_fault(answer)
        else:
            judge(answer, self.wanted.name, self.wanted.format)
            total = plain_number(answer.headers.get("Content-Length"))
            if self.offset:
                self.drop()
        size = promises.agreed(self.wanted, request, answer, total)
        self._open_part(answer, visit.source, request, size)
        return size

    def _status(self, answer: Answer, visit: Visit) -> Exception:
        from aigiqa_cli.transport.answer import PORTAL, portal_fault, status_fault
        from aigiqa_cli.transport.pages import page_instead

        if answer.status == 403 and self.offset and not visit.renewed:  # noqa: PLR2004
            visit.renewed = True
            return Again(f"the link to {answer.host} has expired", fault="N23")
        fault = status_fault(answer.status, answer.headers, answer.host, self.session.limits)
        if answer.status == PORTAL:  # the network says so itself, whatever its page looks like
            return portal_fault(answer)
        return fault if isinstance(fault, TemporaryFault) else page_instead(answer) or fault

    def _unsatisfied(self, answer: Answer) -> int:
        found = _UNSATISFIED.match(answer.headers.get("Content-Range", "").strip())
        if found and int(found[1]) == self.offset:
            return self.offset
        self.drop()
        raise Again(f"{answer.host} has no more to give after what is here", fault="N17")

    def _continued(self, answer: Answer, source: Source, request: Request) -> int | None:
        """The total length that a 206 states; an answer that does not fit the part makes us begin anew."""
        if not (self.part and self.offset):
            raise PersonNeeded(f"{answer.host} sends a piece although the whole was asked for", fault="N17")
        try:
            return pieces.total(self.wanted, source, request, self.part, answer)
        except Again:
            self.drop()
            raise

    def _open_part(self, answer: Answer, source: Source, request: Request, size: int | None) -> None:
        note = Note(
            url=bare(request.url),
            kind=source.kind,
            label=source.label,
            etag=pieces.strong(answer),
            last_modified=answer.headers.get("Last-Modified", ""),
            size=size,
            sha256=promises.certain(self.wanted, request),
        )
        self._describe(note, size)

    def _describe(self, note: Note, size: int | None) -> None:
        """The part, made where there is none, with a note of whose bytes it takes from now on."""
        disk.require_space(self.folder, (size or 0) - self.offset)
        with disk.machine(self.folder, size):
            if self.part is None:
                self.part = parts.create(self.folder, self.key)
            if self.offset:
                self.part.glued = True
            self.part.describe(note)
        if self.watch:
            self.watch(self.part)

    def _stream(self, answer: Answer, source: Source, request: Request, size: int | None) -> None:
        self._show(source, size)
        lanes = self._lanes(answer, source, request, size)
        if lanes is None:
            self._write(_blocks(answer), size, answer.host)
        else:
            self._stream_in_lanes(lanes, answer, size)
        if size is not None and self.offset < size:
            silent = answer.length is None and not answer.chunked  # about its length: its end looks like a cut
            fault = "N02" if silent else "N01"
            raise Later(f"{answer.host} ended after {self.offset:,} of {size:,} bytes", fault=fault)

    def _stream_in_lanes(self, lanes: Lanes, answer: Answer, size: int | None) -> None:
        try:
            with lanes:
                self._write(lanes.blocks(answer, self.offset), size, answer.host)
        finally:
            if lanes.helped:
                self._held.glued = True
                self._helped |= lanes.helped
                self.mirrors = ()  # once: what is left after a failure comes over one connection

    def _lanes(self, answer: Answer, source: Source, request: Request, size: int | None) -> Lanes | None:
        """What may fetch the rest over several connections, if anything may."""
        parts_given = answer.status == 206 or answer.headers.get("Accept-Ranges", "").strip().lower() == "bytes"  # noqa: PLR2004
        alone = self.session.limits.connections < 2 or not self.mirrors  # noqa: PLR2004
        if alone or not parts_given or answer.encoding or size is None or not is_much(size - self.offset):
            return None
        try:
            known = RemoteFile.continued(self.wanted, source, self.session, Silent(), request, answer)
        except PersonNeeded:
            return None
        others = [other for other in self.mirrors if other.label != source.label] if self.wanted.sha256 else []
        remotes = [known, *(RemoteFile(self.wanted, other, self.session, Silent()) for other in others)]
        first, *more = [Mirror(one, Pace(self.session.settings, self.session.limits)) for one in remotes]
        return Lanes(first, more, self.session, self.reporter, size)

    def _write(self, blocks: Iterator[bytes], size: int | None, host: str) -> None:
        ceiling = self._ceiling(size)
        for block in blocks:
            if self.offset + len(block) > ceiling:
                self.drop()
                raise IntegrityFault(f"{host} sends more than the {ceiling:,} bytes allowed", fault="N03")
            with disk.machine(self.folder, size):
                self._held.append(block)
            self.reporter.advance(len(block))

    def _local(self, source: Source, request: Request) -> Received:
        """Bytes made on this machine: from the beginning, held to the same length and hash."""
        self.drop()
        self._describe(Note(kind=source.kind, label=source.label, size=request.bytes), request.bytes)
        self._show(source, request.bytes)
        self._write(request.stream() if request.stream else iter(()), request.bytes, source.label)
        if request.bytes not in (None, self.offset):
            raise IntegrityFault(f"{self.offset:,} bytes were made, expected {request.bytes:,}", fault="N01")
        return self._prove(Visit(source, restarted=True), request)

    def _show(self, source: Source, size: int | None) -> None:
        label, before = self._shown
        if label != source.label or self.offset < before:
            self.reporter.phase(f"{self.wanted.name} from {source.label}", total=size, done=self.offset)
        self._shown = (source.label, self.offset)

    def _prove(self, visit: Visit, request: Request) -> Received:
        """Length and hash decide; wrong bytes are put aside, glued ones only after a second chance."""
        part = self._held
        accepted = self.wanted.pins or frozenset(filter(None, [request.sha256]))
        if (not accepted or part.sha256 in accepted) and self.wanted.is_proven(part.sha256) is not False:
            unhashed = request.unhashed and not accepted
            if unhashed:
                note = f"{visit.source.label} lists no hash of {self.wanted.name}: only its length was checked"
                self.reporter.note(note)
            labels = ", ".join([visit.source.label, *sorted(self._helped - {visit.source.label})])
            return self._accept(labels, visit.source.kind, bare(request.url), unhashed=unhashed)
        if part.glued and not visit.restarted:
            visit.restarted = True
            self.drop()
            raise Again("the joined pieces have a wrong SHA-256, the file is fetched anew", fault="N05")
        raise self._blame(part, visit.source, accepted)

    def _blame(self, part: Part, source: Source, accepted: frozenset[str]) -> IntegrityFault:
        expected = self.wanted.sha256 or min(accepted, default=f"{self.wanted.begins}…")
        why = {
            "file": self.wanted.name,
            "mirror": source.label,
            "expected_sha256": expected,
            "sha256": part.sha256,
            "bytes": str(part.size),
        }
        with disk.machine(self.folder, None):
            if part.has_hole:
                part.discard()
            else:
                parts.quarantine(part, self.folder, why)
        self.part = None
        return IntegrityFault(f"wrong bytes: SHA-256 {part.sha256}, expected {expected}", fault="N05")

    def _accept(self, label: str, kind: str, url: str, *, unhashed: bool = False) -> Received:
        part = self._held
        with disk.machine(self.folder, None):
            if self.wanted.flush:
                part.finish()
            elif part.size >= folders.WORTH_BEGINNING:
                part.begin_flush()  # whoever flushes all files at once finds that much less to do
            parts.sweep(self.folder, self.key, part)
        if not part.is_mine():
            self.part = None
            raise Later("another process took over the download", fault="C07")
        digest = part.sha256
        return Received(
            path=part.path,
            bytes=part.size,
            sha256=digest,
            source=label,
            kind=kind,
            url=url,
            resumed_from=self.resumed_from,
            pinned=digest in self.wanted.pins,
            unhashed=unhashed,
            lock=part,
        )


def _blocks(answer: Answer) -> Iterator[bytes]:
    while block := answer.read():
        yield block
