"""A file in a GitHub repository at a revision."""

from __future__ import annotations

from urllib.parse import quote

from aigiqa_cli.mirrors.record import Mirror, is_commit
from aigiqa_cli.transport.model import Request
from aigiqa_cli.transport.session import Session


def resolve(mirror: Mirror, session: Session) -> Request:
    revision = mirror.revision or "HEAD"
    url = f"https://raw.githubusercontent.com/{quote(mirror.repo)}/{quote(revision)}/{quote(mirror.path)}"
    session.gate(url)
    return Request(url=url, fixed=is_commit(revision))
