"""Whether an answer may follow the bytes on disk: two versions are never glued."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aigiqa_cli.transport import promises
from aigiqa_cli.transport.model import Again, Request, Source, Wanted
from aigiqa_cli.transport.parts import Note, Part
from aigiqa_cli.transport.redact import bare

if TYPE_CHECKING:
    from aigiqa_cli.transport.answer import Answer

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)\Z")


def may_follow(wanted: Wanted, source: Source, request: Request, note: Note | None) -> bool:
    """Whether to ask this mirror for the rest: a hash will judge, or a validator of the same mirror can."""
    if note is None or _sure(wanted, request, note):
        return _sure(wanted, request, note)
    return _same(source, request, note) and bool(note.validator())


def headers(wanted: Wanted, request: Request, part: Part | None) -> dict[str, str]:
    """Range, and If-Range where no hash will judge the result."""
    if part is None or not part.size:
        return {}
    asked = {"Range": f"bytes={part.size}-"}
    if part.note and not _sure(wanted, request, part.note):
        asked["If-Range"] = part.note.validator()
    return asked


def total(wanted: Wanted, source: Source, request: Request, part: Part, answer: Answer) -> int | None:
    """The total length that a 206 states or that is known; raises Again where the piece does not fit."""
    found = _RANGE.match(answer.headers.get("Content-Range", "").strip())
    if found is None or int(found[1]) != part.size or int(found[2]) < int(found[1]):
        raise Again(f"{answer.host} sends another piece than the one asked for", fault="N17")
    stated = None if found[3] == "*" else int(found[3])
    known = promises.size(wanted, request)
    differs = stated is not None and known is not None and stated != known
    if part.note and _same(source, request, part.note):
        fixed = request.fixed and _sure(wanted, request, part.note)
        differs = differs or _changed(part.note, answer, stated, fixed=fixed)
    if differs:
        raise Again(f"the file at {answer.host} has changed meanwhile", fault="N16")
    return stated if stated is not None else known


def strong(answer: Answer) -> str:
    """The ETag if it is a strong one: a weak one does not promise equal bytes."""
    etag = answer.headers.get("ETag", "").strip()
    return etag if len(etag) > 2 and etag.startswith('"') and etag.endswith('"') else ""  # noqa: PLR2004


def _sure(wanted: Wanted, request: Request, note: Note | None) -> bool:
    """Parts are kept under the pinned hash; the host's own hash must be the one that the part began with."""
    return bool(wanted.sha256 or (request.sha256 and note and note.sha256 == request.sha256))


def _same(source: Source, request: Request, note: Note) -> bool:
    return note.label == source.label and note.url == bare(request.url)


def _changed(note: Note, answer: Answer, stated: int | None, *, fixed: bool) -> bool:
    """Whether the same mirror now shows another version than the note tells of."""
    if stated is not None and note.size is not None and stated != note.size:
        return True
    if fixed:
        return False
    etag, date = strong(answer), answer.headers.get("Last-Modified", "")
    if note.etag and etag:
        return etag != note.etag
    return bool(note.last_modified and date and date != note.last_modified)
