"""The environment that a client library sees while it is asked: our settings, not those that it would look for."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from aigiqa_cli.transport.session import Session

_PROXIES = ("https_proxy", "http_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_one_at_a_time = threading.Lock()


def proxies(session: Session) -> dict[str, str | None]:
    """The proxy variables as the session has them; None for one that must not be there."""
    return {name: session.settings.get(name) for name in _PROXIES}


@contextmanager
def lent(wanted: Mapping[str, str | None]) -> Iterator[None]:
    """Set these variables of the process for the block, and put back what was there before."""
    with _one_at_a_time:
        before = {name: os.environ.get(name) for name in wanted}
        _put(wanted)
        try:
            yield
        finally:
            _put(before)


def _put(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
