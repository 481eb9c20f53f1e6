"""A folder of a hub: one listing, a few connections, resume file by file, one rate for all (N28)."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aigiqa_cli.errors import Fault, Finding, IntegrityFault, MachineFault, PersonNeeded, RefusedInput, TemporaryFault
from aigiqa_cli.names import folded, unsafe_reason
from aigiqa_cli.reporting import Forwarding, Reporter
from aigiqa_cli.transport import disk, parts, shelf
from aigiqa_cli.transport.download import Transfer, Visit
from aigiqa_cli.transport.model import (
    Again,
    Closed,
    Later,
    Leaf,
    Listing,
    Received,
    Request,
    Source,
    TreeSource,
    Wanted,
)
from aigiqa_cli.transport.pace import Pace, Stopped
from aigiqa_cli.transport.patience import backoff, pause
from aigiqa_cli.transport.receive import gravest
from aigiqa_cli.transport.redact import cleaned
from aigiqa_cli.transport.session import Session
from aigiqa_cli.transport.shelf import Shelf

CONNECTIONS = 4
MOST_FILES = 2_000_000
_ARCHIVES = ("zip", "tar", "7z", "rar")  # other endings may lie about the format of an image, and often do
_PACED = "N13"  # too many requests
_COMPLAINTS = 8  # in a row, each with its pause, before the host is given up


@dataclass(frozen=True)
class ReceivedTree:
    """A whole tree on disk: every file below `path` under its path in the repository. The shelf is locked until it is
    discarded."""

    path: Path
    files: int
    bytes: int
    source: str
    kind: str
    shelf: Shelf
    unhashed: int = 0  # files of which the host stated no hash: their lengths alone were checked

    def discard(self) -> None:
        """The tree has done its work."""
        self.shelf.discard()


def receive_tree(
    wanted: Wanted,
    sources: Sequence[TreeSource],
    folder: Path,
    session: Session,
    reporter: Reporter,
    *,
    connections: int = CONNECTIONS,
    choose: Callable[[Listing], Listing] | None = None,
) -> ReceivedTree:
    """All files of the tree `wanted`, each as far proven as its host states length and hash. Of a listing that has
    been judged `choose` may leave some files.

    Files that an earlier run finished are not asked for again. Raises as `receive` does; RefusedInput for a listing
    with names that cannot become files. What has arrived stays for the next run.
    """
    held = shelf.claim(folder, parts.key(wanted, sources))
    failures: list[tuple[TreeSource, Fault]] = []
    try:
        for source in sources:
            if failures:
                reporter.note(session.redact(f"{wanted.name}: {failures[-1][1].message}; trying {source.label}"))
            try:
                return _from(source, wanted, held, session, reporter, connections, choose)
            except MachineFault:
                raise
            except Fault as fault:
                failures.append((source, fault))
        raise _verdict(wanted, failures, session)
    except BaseException:
        held.close()
        raise


def _from(
    source: TreeSource,
    wanted: Wanted,
    held: Shelf,
    session: Session,
    reporter: Reporter,
    connections: int,
    choose: Callable[[Listing], Listing] | None,
) -> ReceivedTree:
    """The whole tree from one host."""
    reporter.phase(f"listing {wanted.name} at {source.label}", unit="")
    listing = listed(source, session)
    listing = choose(listing) if choose else listing
    with disk.machine(held.folder, None):
        held.keep_only({leaf.path for leaf in listing.leaves})
        missing = [leaf for leaf in listing.leaves if not held.holds(leaf, source.label)]
    total, needed = (sum(leaf.bytes or 0 for leaf in leaves) for leaves in (listing.leaves, missing))
    disk.require_space(held.folder, needed)
    count = len(listing.leaves)
    if len(missing) < count:
        reporter.note(f"{wanted.name}: {count - len(missing):,} of {count:,} files are here from an earlier run")
    if listing.unhashed:
        reporter.note(f"{source.label} lists no hashes for {listing.unhashed:,} files: only lengths are checked")
    reporter.phase(f"{wanted.name} ({count:,} files) from {source.label}", total=total, done=total - needed)
    _Crew(listing, source, held, session, reporter).run(missing, connections)
    return ReceivedTree(held.files, count, total, source.label, source.kind, held, listing.unhashed)


def listed(source: TreeSource, session: Session) -> Listing:
    """What the host lists, every name judged. Raises RefusedInput for one that cannot become a file."""
    listing = _listing(source, session)
    _refuse_unsafe(listing, source)
    return listing


def _listing(source: TreeSource, session: Session) -> Listing:
    failures = 0
    while True:
        try:
            return source.listing()
        except TemporaryFault as fault:
            failures += 1
            over = isinstance(fault, Later) and fault.over
            if over or failures >= session.limits.tries:
                raise
            asked = fault.wait if isinstance(fault, Later) else None
            pause(backoff(failures, session.settings) if asked is None else asked)


def _refuse_unsafe(listing: Listing, source: TreeSource) -> None:
    """Judge every name before any becomes a path; two that one file system takes for one are refused too."""
    if len(listing.leaves) > MOST_FILES:
        raise RefusedInput(f"{source.label} lists more than {MOST_FILES:,} files", fault="A14", phase="LIST")
    seen: set[str] = set()
    folders = {folded(parent) for leaf in listing.leaves for parent in _parents(leaf.path)}
    for leaf in listing.leaves:
        reason, fault = unsafe_reason(leaf.path)
        key = folded(leaf.path)
        if not reason and key in seen:
            reason, fault = "is there twice, or differs from another name only in case", "A15"
        if not reason and key in folders:
            reason, fault = "is a file and a folder", "A15"
        if reason:
            raise RefusedInput(
                f"{source.label} lists {cleaned(leaf.path)!r}, which {reason}", fault=fault, phase="LIST"
            )
        seen.add(key)


def _parents(path: str) -> list[str]:
    words = path.split("/")[:-1]
    return ["/".join(words[: depth + 1]) for depth in range(len(words))]


class _Tally(Forwarding):
    """What one file reports: its bytes go into the sum once, however often they come."""

    def __init__(self, reporter: Reporter, pace: Pace) -> None:
        super().__init__(reporter)
        self._pace = pace
        self._at = self._furthest = 0

    def phase(self, name: str, *, total: int | None = None, unit: str = "bytes", done: int = 0) -> None:  # noqa: ARG002 - the protocol's
        self._at = done

    def advance(self, amount: int = 1) -> None:
        self._pace.wait(0)
        self._at += amount
        if self._at > self._furthest:
            super().advance(self._at - self._furthest)
            self._furthest = self._at

    def note(self, text: str) -> None:
        self.detail(text)  # of one file among thousands


@dataclass
class _Item:
    """One file on its way, over however many tries."""

    leaf: Leaf
    transfer: Transfer
    visit: Visit
    ready_at: float = 0.0


class _Crew:
    """The workers of one tree: a session each, one pace, one queue."""

    def __init__(self, listing: Listing, source: TreeSource, held: Shelf, session: Session, reporter: Reporter) -> None:
        self.listing = listing
        self.source = source
        self.held = held
        self.session = session
        self.reporter = reporter
        self.pace = Pace(session.settings, session.limits)
        self.finished = 0
        self._fresh: Iterator[Leaf] = iter(())
        self._again: deque[_Item] = deque()
        self._barren = 0  # failures since the last finished file

    def run(self, leaves: Sequence[Leaf], connections: int) -> None:
        """Fetch all of them. The first fault that no retry helps ends the work of every worker."""
        self._fresh = iter(leaves)
        workers = min(connections, len(leaves))
        if not workers:
            return
        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(self._work, workers) for _ in range(workers)]
            try:
                for future in futures:
                    future.result()
            finally:
                self.pace.stopped.set()

    def _item(self, leaf: Leaf) -> _Item:
        ending = leaf.path.rpartition(".")[2].lower()
        kind = ending if ending in _ARCHIVES else ""
        wanted = Wanted(leaf.path, kind, leaf.bytes, leaf.sha256, flush=False)
        request = Request(
            leaf.url, self.listing.token, self.listing.cookie, leaf.bytes, leaf.sha256, self.listing.fixed
        )
        place = Source(self.source.kind, self.source.label, lambda: request)
        tally = _Tally(self.reporter, self.pace)
        transfer = Transfer(wanted, parts.key(wanted, [place]), self.held.parts, self.session, tally)
        return _Item(leaf, transfer, Visit(place))

    def _work(self, workers: int) -> None:
        try:
            with Session(settings=self.session.settings, limits=self.session.limits, pace=self.pace) as session:
                while (item := self._next()) is not None:
                    self.pace.wait(item.ready_at - time.monotonic())
                    self._one(item, session, workers)
        except Stopped:
            return
        except BaseException:
            self.pace.stopped.set()  # here, not where it is collected: that one may be waiting for another worker
            raise

    def _next(self) -> _Item | None:
        """A file that may be tried again goes first: it holds its part open."""
        due = self._again[0].ready_at <= time.monotonic() if self._again else False
        leaf = None if due else next(self._fresh, None)
        if leaf is not None:
            return self._item(leaf)
        try:
            return self._again.popleft()
        except IndexError:  # there is none, or another worker was quicker
            return None

    def _one(self, item: _Item, session: Session, workers: int) -> None:
        """One try at one file; what a retry may help goes to the end of the queue."""
        item.transfer.session = session
        try:
            received = self._received(item)
            with disk.machine(self.held.folder, item.leaf.bytes):
                self.held.place(received, item.leaf, self.source.label)
        except TemporaryFault as fault:
            if not self._worth_another_try(item, fault, workers):
                self._name(fault, item)
                raise
            self._again.append(item)
        except Fault as fault:
            self._name(fault, item)
            raise
        else:
            item.transfer.close()
            self.finished += 1
            self._barren = 0

    def _received(self, item: _Item) -> Received:
        transfer, visit = item.transfer, item.visit
        visit.attempts += 1
        try:
            received = (None if transfer.part else transfer.begin()) or transfer.attempt(visit)
            if item.leaf.blob and not item.leaf.sha256:
                _check_blob(received, item.leaf)
        except TemporaryFault:
            raise
        except BaseException:
            transfer.close()
            raise
        return received

    def _worth_another_try(self, item: _Item, fault: TemporaryFault, workers: int) -> bool:
        """Count the failure and say when to try again; False where the host is better left alone."""
        transfer, visit, limits = item.transfer, item.visit, self.session.limits
        if isinstance(fault, Later) and (fault.over or visit.attempts >= limits.attempts):
            return False
        if fault.fault == _PACED:  # the pace holds everybody back, not this file alone
            return self.pace.complaints < _COMPLAINTS
        if transfer.offset > transfer.furthest:
            transfer.furthest, visit.fruitless = transfer.offset, 0
        else:
            visit.fruitless += 1
            self._barren += 1
        if self._barren >= limits.tries * workers:
            return False
        if isinstance(fault, Again):
            return visit.attempts < limits.attempts
        item.ready_at = time.monotonic() + backoff(visit.fruitless, self.session.settings)
        self.reporter.detail(self.session.redact(f"{item.leaf.path}: {fault.message}; it is tried again"))
        return visit.fruitless < limits.tries

    def _name(self, fault: Fault, item: _Item) -> None:
        """Say in the fault of one file which one it is, and what is the good of another run."""
        own = isinstance(fault, Closed) and fault.host == urlsplit(item.leaf.url).hostname
        if own and self.listing.closed:  # of a content network it means that a link has expired
            fault.message, fault.hint = self.listing.closed.message, self.listing.closed.hint
        whole = f"{item.leaf.path} was not delivered by {self.source.label}: {fault.message}"
        fault.message = self.session.redact(whole)
        fault.args = (fault.message,)
        fault.phase, fault.mirror = "FETCH", self.source.label
        if isinstance(fault, TemporaryFault):
            fault.hint = f"run the same command again; the {self.finished:,} files that arrived are kept"
        elif isinstance(fault, IntegrityFault):
            fault.hint = "the host delivers other bytes than it lists; nothing was installed"


def _check_blob(received: Received, leaf: Leaf) -> None:
    """Small files have no SHA-256 in a hub's listing, but git's own hash, which the commit vouches for."""
    digest = hashlib.sha1(b"blob %d\0" % received.bytes, usedforsecurity=False)
    digest.update(received.path.read_bytes())
    if digest.hexdigest() == leaf.blob:
        return
    received.discard()
    raise IntegrityFault(f"wrong bytes: git hash {digest.hexdigest()}, expected {leaf.blob}", fault="N05")


def _verdict(wanted: Wanted, failures: Sequence[tuple[TreeSource, Fault]], session: Session) -> Fault:
    """One fault for all hosts; that of a single one is its own."""
    if not failures:
        return PersonNeeded(f"{wanted.name}: there is no automatic mirror", fault="N22", phase="FETCH")
    if len(failures) == 1:
        return failures[0][1]
    kind = gravest([fault for _, fault in failures])
    reasons = [(source.label, session.redact(fault.message)) for source, fault in failures]
    return kind(
        f"{wanted.name} was not delivered by any of its {len(failures)} mirrors",
        hint=next((fault.hint for _, fault in failures if isinstance(fault, kind) and fault.hint), ""),
        fault="N22",
        phase="FETCH",
        findings=[Finding("", label, reason) for label, reason in reasons],
    )
