"""Connections that look at the address they really reached, and watch what comes over the wire.

The gate resolves a name and the connection resolves it again; a name server may answer differently the
second time, so the peer is judged too. Connections to a proxy are the user's own choice and are not judged.

A time limit on single reads bounds neither a host that sends one byte a second nor one whose head, framing or trailers
never end: the libraries read on. So pace and amount are watched below them, head included.
"""

from __future__ import annotations

import functools
import http.client
import io
import ipaddress
import socket
import time
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.transport.gate import is_public
from aigiqa_cli.transport.model import Later, Limits

LONGEST_HEAD = 1 << 20
LONGEST_FRAMING = 256 * 1024  # beside the bytes that one read asks for: sizes of chunks, trailers


class GatedAdapter(HTTPAdapter):
    """requests' adapter with watched connections; unless private hosts are allowed the direct ones judge their peer."""

    def __init__(self, *, private_allowed: bool, limits: Limits) -> None:
        self._direct = _pools(limits, judged=not private_allowed)
        self._proxied = _pools(limits, judged=False)
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._direct

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._proxied
        return manager


def _pools(limits: Limits, *, judged: bool) -> dict[str, type[HTTPConnectionPool]]:
    """Pools of watched connections, by scheme."""
    respond = functools.partial(_Response, limits)

    class Plain(HTTPConnection):
        response_class = respond  # type: ignore[assignment]  # what http.client calls for each answer

        def _new_conn(self) -> socket.socket:
            return _judged(super()._new_conn(), self.host) if judged else super()._new_conn()

    class Secure(HTTPSConnection):
        response_class = respond  # type: ignore[assignment]

        def _new_conn(self) -> socket.socket:
            return _judged(super()._new_conn(), self.host) if judged else super()._new_conn()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _judged(connected: socket.socket, host: str) -> socket.socket:
    peer = str(connected.getpeername()[0]).partition("%")[0]
    if is_public(ipaddress.ip_address(peer)):
        return connected
    connected.close()
    raise RefusedInput(f"the name {host} leads to a private address", fault="M07")


class _Wire(io.RawIOBase):
    """The bytes of one answer as they arrive. Raises Later for a host that drips (N12) or never comes to the point."""

    def __init__(self, below: io.RawIOBase, limits: Limits) -> None:
        self._below = below
        self._limits = limits
        self._left, self._fault = LONGEST_HEAD, "N20"
        self._count = 0
        self._last = time.monotonic()
        self._window = (self._last, 0)

    def allow(self, count: int) -> None:
        """From now on this many bytes, and what frames them."""
        self._left, self._fault = count + LONGEST_FRAMING, "N19"

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int | None:
        count = self._below.readinto(target)
        if count:
            self._left -= count
            self._watch(count)
            if self._left < 0:
                what = "a head" if self._fault == "N20" else "framing"
                raise Later(f"the host sends {what} without end", fault=self._fault)
        return count

    def close(self) -> None:
        self._below.close()
        super().close()

    def _watch(self, count: int) -> None:
        now, before = time.monotonic(), self._last
        self._count, self._last = self._count + count, now
        since, counted = self._window
        if now - before > self._limits.silence:
            # No wait for the host lasts so long: this machine slept, or wrote to a slow disk, and nobody dripped (N25).
            self._window = (now, self._count)
        elif now - since >= self._limits.drip_window:
            if self._count - counted < self._limits.drip_bytes:
                fault = Later("the host sends less than 1 KiB a second", fault="N12")
                fault.over = True
                raise fault
            self._window = (now, self._count)


class _Response(http.client.HTTPResponse):
    """An answer whose every byte passes the watch. `read1` alone reads it; any other way meets the limit of heads."""

    def __init__(self, limits: Limits, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._wire = _Wire(self.fp.detach(), limits)
        self.fp = io.BufferedReader(self._wire)

    def read1(self, n: int = -1) -> bytes:
        self._wire.allow(max(n, 0))
        return super().read1(n)
