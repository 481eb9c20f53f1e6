"""What is promised about a file: by the manifest, by the host before the request, and by the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigiqa_cli.errors import IntegrityFault, PersonNeeded
from aigiqa_cli.transport.model import Limits, Request, Wanted

if TYPE_CHECKING:
    from aigiqa_cli.transport.answer import Answer

_TWIN_FACTOR = 2  # a twin may be longer than the file whose length the manifest states, within reason


def certain(wanted: Wanted, request: Request) -> str:
    """The SHA-256 that the result will be held against, "" if nobody states one."""
    return wanted.sha256 or request.sha256


def size(wanted: Wanted, request: Request) -> int | None:
    """The length known before the answer."""
    if _has_twins(wanted):  # they have lengths of their own
        return request.bytes
    return wanted.bytes if wanted.bytes is not None else request.bytes


def ceiling(wanted: Wanted, known: int | None, limits: Limits) -> int:
    """More bytes than this are never written."""
    if known is not None:
        return known
    if wanted.bytes is not None:
        return wanted.bytes * (_TWIN_FACTOR if _has_twins(wanted) else 1)
    return limits.unpinned_bytes


def compare(wanted: Wanted, request: Request) -> None:
    """Refuse before the first byte what the host itself says is another file."""
    if wanted.pins and request.sha256 and request.sha256 not in wanted.pins:
        raise IntegrityFault(
            f"the host offers another file: SHA-256 {request.sha256}, expected {wanted.sha256}", fault="N31"
        )
    if request.sha256 and wanted.is_proven(request.sha256) is False:
        raise IntegrityFault(
            f"the host offers another file: SHA-256 {request.sha256}, which does not begin with {wanted.begins}",
            fault="N31",
        )
    if request.bytes is not None:
        _compare_size(wanted, request.bytes)


def agreed(wanted: Wanted, request: Request, answer: Answer, total: int | None) -> int | None:
    """The total length that all agree on; None where only a hash will decide."""
    known = size(wanted, request)
    if total is None:
        if known is None and not certain(wanted, request):
            raise PersonNeeded(
                f"{answer.host} states no length and nobody states a hash: the end cannot be recognised",
                fault="N02",
            )
        return known
    _compare_size(wanted, total)
    if known is not None and total != known:
        raise IntegrityFault(f"{answer.host} offers another file: {total:,} bytes, expected {known:,}", fault="N04")
    return total


def _has_twins(wanted: Wanted) -> bool:
    """Are there other bytes than the pinned ones that prove the content as well?"""
    return any(pin != wanted.sha256 for pin in wanted.accepted)


def _compare_size(wanted: Wanted, offered: int) -> None:
    expected = wanted.bytes
    if expected is None or offered == expected:
        return
    if _has_twins(wanted) and offered <= expected * _TWIN_FACTOR:
        return
    raise IntegrityFault(f"the host offers another file: {offered:,} bytes, expected {expected:,}", fault="N04")
