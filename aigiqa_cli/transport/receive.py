"""From mirror to mirror until one delivers: two tries before the next, a second round, one verdict at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from aigiqa_cli.errors import Fault, Finding, IntegrityFault, MachineFault, PersonNeeded, TemporaryFault
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.transport import parts
from aigiqa_cli.transport.download import Transfer, Visit
from aigiqa_cli.transport.model import Again, Later, Page, Received, Source, Wanted
from aigiqa_cli.transport.parts import Part
from aigiqa_cli.transport.patience import backoff, pause
from aigiqa_cli.transport.session import Session

_NOT_WORTH_LEAVING = 2.0  # seconds that a busy host may ask for before another mirror is tried meanwhile


def receive(
    wanted: Wanted,
    sources: Sequence[Source],
    folder: Path,
    session: Session,
    reporter: Reporter,
    watch: Callable[[Part], None] | None = None,
) -> Received:
    """The file `wanted`, whole, proven as far as anybody vouches for it, and flushed to the disk.

    Raises MachineFault as soon as this machine refuses; otherwise, when no mirror delivered, one fault that
    names each mirror with its reason: IntegrityFault if one delivered wrong bytes, else PersonNeeded if one
    needs a person or is gone for good, else TemporaryFault.

    `watch` is told of each part before its first new byte: one that is begun anew is another one.
    """
    wanted = _lowered(wanted)
    transfer = Transfer(wanted, parts.key(wanted, sources), folder, session, reporter, sources, watch)
    try:
        return transfer.begin() or _tour(transfer, [Visit(source) for source in sources])
    except MachineFault as fault:
        if fault.fault == "S07":
            transfer.drop()  # after a failed write or flush nobody knows what the disk holds
        transfer.close()
        raise
    except BaseException:
        transfer.close()  # the bytes stay for the next run, whatever stopped this one
        raise


def _tour(transfer: Transfer, visits: list[Visit]) -> Received:
    if transfer.offset and visits:
        transfer.note(f"{transfer.wanted.name}: {transfer.offset:,} bytes are here from an earlier run")
    failures: dict[int, Fault] = {}
    limits = transfer.session.limits
    for second in (False, True):
        for at, visit in enumerate(visits):
            if second and not _worth_returning(failures.get(at), visit, transfer):
                continue
            others = not second and at + 1 < len(visits)
            try:
                return _call(transfer, visit, limits.tries_before_next if others else limits.tries, others)
            except Fault as fault:
                if _here(fault):
                    raise
                failures[at] = fault
                _look_for_portal(failures.values())
                if others:
                    told = f"{transfer.wanted.name}: {visit.source.label}: {fault.message}"
                    transfer.note(f"{told}; trying {visits[at + 1].source.label}")
    raise _verdict(transfer, [(visits[at].source, failures[at]) for at in sorted(failures)])


def _call(transfer: Transfer, visit: Visit, tries: int, others: bool) -> Received:
    """Try one mirror until `tries` tries in a row brought nothing new."""
    pause(visit.ready_at - time.monotonic())
    while True:
        visit.attempts += 1
        try:
            return transfer.attempt(visit)
        except Again as fault:
            if not _goes_on(transfer, visit, tries):
                raise
            transfer.note(f"{visit.source.label}: {fault.message}")
        except TemporaryFault as fault:
            if _here(fault):
                raise
            goes_on = _goes_on(transfer, visit, tries)
            wait = _wait(transfer, visit, fault, others)
            if wait is None or not goes_on:
                raise
            transfer.detail(f"{visit.source.label}: {fault.message}; next try in {wait:.1f} s")
            pause(wait)


def _here(fault: Fault) -> bool:
    """Not the mirror's but this machine's: another one would not help."""
    return isinstance(fault, MachineFault) or fault.fault == "S11"


def _goes_on(transfer: Transfer, visit: Visit, tries: int) -> bool:
    """Count what a failed try was worth. Only bytes beyond all that was ever here are progress."""
    if transfer.offset > transfer.furthest:
        transfer.furthest = transfer.offset
        visit.fruitless = 0
    else:
        visit.fruitless += 1
    return visit.fruitless < tries and visit.attempts < transfer.session.limits.attempts


def _wait(transfer: Transfer, visit: Visit, fault: TemporaryFault, others: bool) -> float | None:
    """Seconds until this mirror may be tried again; None if it is better left alone."""
    if isinstance(fault, Later) and fault.over:
        visit.attempts = transfer.session.limits.attempts
        return None
    asked = fault.wait if isinstance(fault, Later) else None
    if asked is None:
        return backoff(visit.fruitless, transfer.session.settings)
    visit.ready_at = time.monotonic() + asked
    return None if others and asked > _NOT_WORTH_LEAVING else asked


def _worth_returning(fault: Fault | None, visit: Visit, transfer: Transfer) -> bool:
    limits = transfer.session.limits
    return isinstance(fault, TemporaryFault) and visit.fruitless < limits.tries and visit.attempts < limits.attempts


def _look_for_portal(failures: Iterable[Fault]) -> None:
    """The same page for two hosts, or one foreign host that answers for both, is the network's own: no other mirror
    would fare better."""
    pages = [fault for fault in failures if isinstance(fault, Page)]
    same_page = _shared((page.mark, page.host) for page in pages)
    same_sender = _shared((page.sender, page.host) for page in pages if page.sender != page.host)
    if same_page or same_sender:
        raise PersonNeeded(
            "this network asks for a login: it answers for the hosts with a page of its own",
            hint="open any web page in a browser, log in to the network, then run the same command again",
            fault="N08",
            phase="FETCH",
        )


def _shared(pairs: Iterable[tuple[str, str]]) -> bool:
    """Does one first word stand with two different second ones?"""
    known = set(pairs)
    return len(known) > len({first for first, _ in known})


def _verdict(transfer: Transfer, failures: list[tuple[Source, Fault]]) -> Fault:
    """One fault for all mirrors: the gravest kind decides, each mirror is named with its reason."""
    name = transfer.wanted.name
    if not failures:
        return PersonNeeded(f"{name}: there is no automatic mirror", fault="N22", phase="FETCH")
    kind = gravest([fault for _, fault in failures])
    deciding = [fault for _, fault in failures if gravest([fault]) is kind]
    ids = {fault.fault for fault in deciding}
    redact = transfer.session.redact
    reasons = [(source.label, redact(fault.message)) for source, fault in failures]
    if len(reasons) == 1:
        message = f"{name} was not delivered by {reasons[0][0]}: {reasons[0][1]}"
    else:
        message = f"{name} was not delivered by any of its {len(reasons)} mirrors"
    return kind(
        message,
        hint=redact(next((fault.hint for fault in deciding if fault.hint), _hint(kind, transfer, reasons))),
        fault=ids.pop() if len(ids) == 1 else "N22",
        phase="FETCH",
        mirror=failures[0][0].label if len(failures) == 1 else "",
        findings=[Finding("", label, reason) for label, reason in reasons] if len(reasons) > 1 else [],
    )


def gravest(faults: Sequence[Fault]) -> type[IntegrityFault | PersonNeeded | TemporaryFault]:
    if any(isinstance(fault, IntegrityFault) for fault in faults):
        return IntegrityFault
    if any(not isinstance(fault, TemporaryFault) for fault in faults):
        return PersonNeeded
    return TemporaryFault


def _hint(kind: type[Fault], transfer: Transfer, reasons: Sequence[tuple[str, str]]) -> str:
    if kind is TemporaryFault and all("cannot be resolved" in reason for _, reason in reasons):
        return "this machine seems to be offline: no host name can be resolved"
    if kind is TemporaryFault:
        kept = f"; the {transfer.offset:,} bytes that arrived are kept" if transfer.offset else ""
        return f"run the same command again{kept}"
    if kind is IntegrityFault:
        return "the mirrors may carry a newer file than the manifest describes; nothing was installed"
    return ""


def _lowered(wanted: Wanted) -> Wanted:
    accepted = tuple(pin.lower() for pin in wanted.accepted)
    return replace(
        wanted,
        format=wanted.format.lower(),
        sha256=wanted.sha256.lower(),
        accepted=accepted,
        begins=wanted.begins.lower(),
    )
