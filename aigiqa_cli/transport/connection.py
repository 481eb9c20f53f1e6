"""Connections that look at the address they really reached, before a byte is sent.

The gate resolves a name and the connection resolves it again; a name server may answer differently the
second time, so the peer is judged too. Connections to a proxy are the user's own choice and are not judged.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.transport.gate import is_public


class _JudgedHTTP(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _judged(super()._new_conn(), self.host)


class _JudgedHTTPS(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _judged(super()._new_conn(), self.host)


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _JudgedHTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _JudgedHTTPS


class GatedAdapter(HTTPAdapter):
    """requests' adapter; unless private hosts are allowed its direct connections judge their peer."""

    def __init__(self, *, private_allowed: bool) -> None:
        self._private_allowed = private_allowed
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        if not self._private_allowed:
            self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


def _judged(connected: socket.socket, host: str) -> socket.socket:
    peer = str(connected.getpeername()[0]).partition("%")[0]
    if is_public(ipaddress.ip_address(peer)):
        return connected
    connected.close()
    raise RefusedInput(f"the name {host} leads to a private address", fault="M07")
