"""A plain link."""

from __future__ import annotations

from aigiqa_cli.mirrors.record import Mirror
from aigiqa_cli.transport.model import Request
from aigiqa_cli.transport.session import Session


def resolve(mirror: Mirror, session: Session) -> Request:
    session.gate(mirror.url)
    return Request(url=mirror.url)
