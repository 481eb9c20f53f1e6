"""THE one byte mover: resume, retry, limits, and a hash while streaming. Mirrors resolve; this fetches."""

from __future__ import annotations

from aigiqa_cli.transport.model import Later, Limits, Received, Request, Source, Wanted
from aigiqa_cli.transport.patience import pause
from aigiqa_cli.transport.receive import receive
from aigiqa_cli.transport.redact import redact
from aigiqa_cli.transport.session import Session, WebPage

__all__ = [
    "Later",
    "Limits",
    "Received",
    "Request",
    "Session",
    "Source",
    "Wanted",
    "WebPage",
    "pause",
    "receive",
    "redact",
]
