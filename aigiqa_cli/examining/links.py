"""Is a mirror what its manifest promises? Asked without downloading: its hub, HEAD, or the first byte alone.

Hosts are asked in parallel, a few at once, and each of them by one connection at a modest pace. Every question goes
through the one session: the same gate, redirects, limits and secrets as a download.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aigiqa_cli import mirrors
from aigiqa_cli.context import Context
from aigiqa_cli.errors import DOWN, Fault, IntegrityFault, TemporaryFault
from aigiqa_cli.installing.splitting import split_assets
from aigiqa_cli.store.ledger import ALIVE, BY_HAND, CHANGED, CLOSED, GONE, UNREACHABLE
from aigiqa_cli.transport import promises
from aigiqa_cli.transport.model import Closed, Limits, Listing, Page, Request, Wanted
from aigiqa_cli.transport.pace import Pace, Stopped
from aigiqa_cli.transport.redact import cleaned
from aigiqa_cli.transport.session import Session

if TYPE_CHECKING:
    from aigiqa_cli.manifest.assets import Volume
    from aigiqa_cli.manifest.models import Asset, Database, Mirror
    from aigiqa_cli.transport.answer import Answer

AT_ONCE = 4  # hosts
RATE = 4.0  # questions a second to one host, to begin with
TRIES = 2
DOWN_AFTER = 3  # mirrors of one host in a row that could not be reached: the others are not tried
_TOTAL = re.compile(r"bytes 0-0/(\d{1,18})\Z")
_LONGEST = 300  # characters of a detail


@dataclass(frozen=True)
class Link:
    """One mirror of one file, as a manifest names it. `hosted` says who is asked, "" where nobody is."""

    database: Database
    asset: Asset
    part: Asset | Volume
    mirror: Mirror

    @property
    def automatic(self) -> bool:
        return self.mirror.kind in (mirrors.TREES if self.asset.is_tree else mirrors.AUTOMATIC)

    @property
    def hosted(self) -> str:
        kind = self.mirror.kind
        return (urlsplit(self.mirror.url).hostname or "") if kind == "http" else "" if kind == "builtin" else kind

    @property
    def given_up(self) -> bool:
        """Does the manifest itself say that it is down? Then nobody promises an answer."""
        return self.mirror.health is not None and self.mirror.health.state in DOWN

    @property
    def wanted(self) -> Wanted:
        local = getattr(self.part, "local", ())
        length = None if local else self.part.bytes
        form = "other" if self.part is not self.asset else self.asset.format
        sha256 = self.part.sha256
        return Wanted(self.part.published_name, form, length, sha256, self.part.accepted)


@dataclass(frozen=True)
class Found:
    """What came of asking one mirror. `proof` is what was compared: 'hash', 'length', or '' (it only answers)."""

    link: Link
    state: str
    detail: str
    bytes: int | None = None
    proof: str = ""


def links(databases: Sequence[Database]) -> Iterator[Link]:
    """Every mirror of every file, published split files included, in the order of the manifests."""
    for database in databases:
        of_splits = (asset for split in database.splits for asset in split_assets(split))
        for asset in (*database.assets, *of_splits):
            for part in asset.parts:
                for mirror in part.mirrors:
                    yield Link(database, asset, part, mirror)


def ask_all(context: Context, asked: Sequence[Link], advance: Callable[[], None]) -> list[Found]:
    """The answers, in the same order."""
    groups: dict[str, list[int]] = {}
    for number, link in enumerate(asked):
        groups.setdefault(link.hosted if link.automatic else "", []).append(number)
    settings = dict(context.settings)  # as it is now: hubs' libraries are lent another environment meanwhile
    limits = Limits.chosen(settings)
    paces = {host: _pace(settings, limits) for host in groups}
    answers: dict[int, Found] = {}

    def work(host: str) -> None:
        scratch = context.root.partial
        with Session(settings=settings, limits=limits, scratch=scratch, pace=paces[host]) as session:
            lost = 0
            for number in groups[host]:
                found = _given_up(asked[number]) if lost >= DOWN_AFTER else ask(asked[number], session)
                lost = lost + 1 if host and found.state == UNREACHABLE else 0
                answers[number] = found
                advance()

    with ThreadPoolExecutor(AT_ONCE, "links") as crew:
        try:
            for _ in crew.map(work, groups):
                pass
        except BaseException:
            for pace in paces.values():
                pace.stopped.set()
            crew.shutdown(wait=False, cancel_futures=True)
            raise
    return [answers[number] for number in range(len(asked))]


def _pace(settings: Mapping[str, str], limits: Limits) -> Pace:
    pace = Pace(settings, limits)
    pace.rate = RATE
    return pace


def _given_up(link: Link) -> Found:
    return Found(link, UNREACHABLE, f"not asked: {DOWN_AFTER} others of this host did not answer")


def ask(link: Link, session: Session) -> Found:
    """One mirror; never raises what a mirror may cause. Raises Stopped when the work is called off."""
    if not link.automatic:
        return Found(link, BY_HAND, "only a person can check: open the link in a browser")
    for remaining in reversed(range(TRIES)):
        try:
            found = _tree(link, session) if link.asset.is_tree else _file(link, session)
        except Stopped:
            raise
        except Fault as fault:
            if remaining and isinstance(fault, TemporaryFault) and not getattr(fault, "over", False):
                continue
            return Found(link, _state(fault), cleaned(session.redact(fault.message), _LONGEST))
        return replace(found, detail=cleaned(session.redact(found.detail), _LONGEST))
    raise AssertionError


def _state(fault: Fault) -> str:
    if isinstance(fault, IntegrityFault):
        return CHANGED
    if isinstance(fault, TemporaryFault):
        return UNREACHABLE
    gone = fault.fault == "N07" and not isinstance(fault, Closed | Page) and "gone" in fault.message
    return GONE if gone else CLOSED


def _tree(link: Link, session: Session) -> Found:
    """A folder of a hub: its listing says all."""
    listing = mirrors.tree_source(link.mirror, session).listing()
    sizes = [leaf.bytes for leaf in listing.leaves]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    promised = link.part.bytes
    if promised is not None and total is not None and total != promised:
        raise IntegrityFault(f"the host lists another folder: {total:,} bytes, expected {promised:,}", fault="N04")
    _give_out(listing, session)
    proof = "length" if promised is not None and total is not None else ""
    return _said(link, f"lists {len(sizes):,} files", total, proof)


def _give_out(listing: Listing, session: Session) -> None:
    """Hubs list to everybody what they may give out to some only: ask for the first byte of the first file."""
    from aigiqa_cli.transport.answer import status_fault

    leaf = listing.leaves[0]
    headers = {"Range": "bytes=0-0"}
    with session.open(leaf.url, headers=headers, token=listing.token, cookie=listing.cookie) as answer:
        if answer.status in (401, 403) and listing.closed:
            raise listing.closed
        if answer.status not in (200, 206, 416):
            raise status_fault(answer.status, answer.headers, answer.host, session.limits)


def _file(link: Link, session: Session) -> Found:
    wanted = link.wanted
    request = mirrors.source(link.mirror, session).resolve()
    promises.compare(wanted, request)
    if request.stream is not None:
        return Found(link, ALIVE, "made on this machine")
    if request.sha256:
        proof = "hash" if request.sha256 in wanted.pins else ""
        return _said(link, "the hub names the promised SHA-256" if proof else "the hub names it", request.bytes, proof)
    if request.bytes is not None:
        return _compared(link, wanted, request.bytes)
    return _asked(link, wanted, request, session)


def _asked(link: Link, wanted: Wanted, request: Request, session: Session) -> Found:
    """HEAD; where that does not settle it, the first byte decides: hosts refuse HEAD, or answer it otherwise."""
    with session.open(request.url, token=request.token, cookie=request.cookie, method="HEAD") as answer:
        length = None if answer.encoding else answer.length
        page = answer.content_type in ("text/html", "application/xhtml+xml")
        if answer.status == 200 and not page and length is not None and length == wanted.bytes:  # noqa: PLR2004
            return _compared(link, wanted, length)
    headers = {"Range": "bytes=0-0"}
    with session.open(request.url, headers=headers, token=request.token, cookie=request.cookie) as answer:
        return _compared(link, wanted, _total(answer, wanted, session))


def _total(answer: Answer, wanted: Wanted, session: Session) -> int | None:
    """The length of the whole that the answer to a question for its first byte states."""
    from aigiqa_cli.transport.answer import plain_number, status_fault
    from aigiqa_cli.transport.pages import encoding_fault, judge, page_instead

    if answer.status == 416:  # noqa: PLR2004 - not even one byte
        return 0
    if answer.status not in (200, 206):
        fault = status_fault(answer.status, answer.headers, answer.host, session.limits)
        raise fault if isinstance(fault, TemporaryFault) else page_instead(answer) or fault
    if answer.status == 206:  # noqa: PLR2004
        if answer.encoding:
            raise encoding_fault(answer)
        found = _TOTAL.match(answer.headers.get("Content-Range", "").strip())
        return int(found[1]) if found else None
    judge(answer, wanted.name, wanted.format)  # the range was ignored: look at the head, and read no further
    return plain_number(answer.headers.get("Content-Length"))


def _compared(link: Link, wanted: Wanted, length: int | None) -> Found:
    promises.compare(wanted, Request("", bytes=length))
    if length is None:
        return _said(link, "answers, without stating a length", None, "")
    if wanted.bytes is None:
        return _said(link, f"answers with {length:,} bytes; no length is published", length, "")
    if length != wanted.bytes:
        return _said(link, f"answers with {length:,} bytes, which another published copy may have", length, "")
    return _said(link, f"has the promised {length:,} bytes", length, "length")


def _said(link: Link, detail: str, length: int | None, proof: str) -> Found:
    return Found(link, ALIVE, detail, length, proof)
