"""A threaded HTTP/1.1 server on loopback with ranges, validators, scripted faults and a request log."""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from doubles.faults import Blob, Entry, Fault, Faults, Headers

BLOCK = 1 << 18
NOTHING = Fault()
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: close() sends RST

Host = Callable[["Exchange"], None]


class Site:
    """A host with files: path to Blob. Fault keys are paths."""

    def __init__(self) -> None:
        self.blobs: dict[str, Blob] = {}
        self.faults = Faults()

    def put(self, path: str, data: bytes, **about: Any) -> Blob:
        self.blobs[path] = Blob(data, **about)
        return self.blobs[path]

    def __call__(self, exchange: Exchange) -> None:
        path = exchange.path_only
        fault = self.faults.take(exchange.command, path)
        if path in self.blobs:
            exchange.send(self.blobs[path], fault=fault)
        elif fault:
            exchange.send(Blob(b""), fault=fault)
        else:
            exchange.page(404, b"<html><head><title>404 Not Found</title></head></html>")
        if fault and fault.then:
            self.blobs[path] = fault.then


class Exchange(BaseHTTPRequestHandler):
    """One connection; `send` and `page` answer one request of it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # as real servers do: or head and body of an answer lie 40 ms apart
    server_version = "loopback"
    server: FaultServer
    host = ""
    entry: Entry
    reset = False

    # -- what was asked ------------------------------------------------------------------------------

    @property
    def path_only(self) -> str:
        return unquote(urlsplit(self.path).path)

    @property
    def query(self) -> dict[str, str]:
        return {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}

    def asked(self, name: str) -> str:
        return self.headers.get(name) or ""

    def dispatch(self) -> None:
        self.answer(self.server.site)

    do_GET = do_HEAD = do_POST = dispatch  # noqa: N815

    def answer(self, host: Host) -> None:
        parts = urlsplit(self.path)
        self.entry = Entry(
            self.command,
            self.host,
            unquote(parts.path),
            parts.query,
            self.asked("Range"),
            self.asked("If-Range"),
            self.asked("Authorization"),
            self.asked("Cookie"),
            self.asked("Accept-Encoding"),
            self.asked("User-Agent"),
            headers=dict(self.headers.items()),
        )
        self.server.log.append(self.entry)
        try:
            host(self)
        except OSError:  # the client went away: what it took is in the log
            self.close_connection = True

    # -- answers -------------------------------------------------------------------------------------

    def page(
        self, status: int, body: bytes = b"", headers: Headers = (), kind: str = "text/html; charset=utf-8"
    ) -> None:
        self._head(status, [("Content-Type", kind), ("Content-Length", str(len(body)))], headers)
        if self.command != "HEAD" and status not in (204, 304):
            self._body(body, NOTHING)

    def send(self, blob: Blob, *, headers: Headers = (), fault: Fault | None = None) -> None:
        fault = fault or NOTHING
        self.server.pause(fault.delay)
        if fault.raw:
            self.connection.sendall(fault.raw)
            return self._end(fault)
        if fault.status:
            return self.page(fault.status, fault.body, fault.headers, fault.type)
        data = memoryview(blob.data)
        span = self._span(blob, fault)
        if span and span[0] >= len(data):
            return self.page(416, b"", (("Content-Range", f"bytes */{len(data)}"),))
        own = [("Content-Type", blob.type), *blob.validators]
        if blob.ranges:
            own.append(("Accept-Ranges", "bytes"))
        if span:
            start, stop = span[0] + fault.shift, span[1]
            total = len(data) if fault.total is None else fault.total
            own.append(("Content-Range", f"bytes {start}-{stop - 1}/{total}"))
            data = data[start:stop]
        self._stream(206 if span else 200, _spoil(data, fault), own, headers, fault)
        return None

    def _span(self, blob: Blob, fault: Fault) -> tuple[int, int] | None:
        asked, condition = self.asked("Range"), self.asked("If-Range")
        if not asked.startswith("bytes=") or "," in asked or not blob.ranges or fault.ignore_range:
            return None
        fits = not condition or (condition in (blob.tag, blob.date) and not condition.startswith("W/"))
        if not fits:
            return None
        size = len(blob.data)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        if not first:
            return max(0, size - int(last)), size
        return int(first), min(int(last) + 1, size) if last else size

    def _stream(
        self, status: int, data: memoryview, own: list[tuple[str, str]], headers: Headers, fault: Fault
    ) -> None:
        if fault.gzip:
            data = memoryview(gzip.compress(data, 1))
            own.append(("Content-Encoding", "gzip"))
        if fault.chunked:
            own.append(("Transfer-Encoding", "chunked"))
        elif not fault.no_length:
            own.append(("Content-Length", str(len(data) + fault.longer)))
        self._head(status, own, (*headers, *fault.headers))
        if self.command == "HEAD":
            return
        self._body(data[: len(data) if fault.cut is None else fault.cut], fault)
        if fault.cut is not None or fault.longer or fault.headers or fault.no_length or fault.stall:
            self.server.pause(fault.stall)
            self._end(fault)
        elif fault.chunked:
            self.connection.sendall(b"0\r\n\r\n")

    def _head(self, status: int, own: Iterable[tuple[str, str]], headers: Headers) -> None:
        named = {name.lower() for name, _ in headers}
        self.entry.status = status
        self.send_response(status)
        for name, value in [*(pair for pair in own if pair[0].lower() not in named), *headers]:
            self.send_header(name, value)
        self.end_headers()

    def _body(self, data: bytes | memoryview, fault: Fault) -> None:
        rate = fault.rate or self.server.rate
        block = max(1, min(1 << 16, rate // 40)) if rate else BLOCK
        view, begin = memoryview(data), time.monotonic()
        for offset in range(0, len(view), block):
            piece = view[offset : offset + block]
            self.entry.sent += len(piece)
            if fault.chunked:
                self.connection.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
            else:
                self.connection.sendall(piece)
            if rate:
                self.server.pause(begin + (offset + len(piece)) / rate - time.monotonic())

    def _end(self, fault: Fault) -> None:
        self.close_connection = True
        if fault.how == "rst":
            self.server.pause(0.05)  # a reset discards what the client has not read yet
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.reset = True
        elif fault.cut is not None or fault.longer > 0:
            self.connection.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        super().finish()
        self.connection.close()  # at once: the server would send a FIN ahead of a reset

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        pass


def _spoil(data: memoryview, fault: Fault) -> memoryview:
    if fault.flip is None and not fault.more:
        return data
    copy = bytearray(data) + fault.more
    if fault.flip is not None:
        copy[fault.flip] ^= 1
    return memoryview(copy)


class FaultServer(ThreadingHTTPServer):
    """`with FaultServer() as server: server.site.put("/set.zip", data); server.url("/set.zip")`."""

    daemon_threads = False  # server_close() joins them, so that no socket outlives a test
    request_queue_size = 128

    def __init__(self, handler: type[Exchange] = Exchange) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.site = Site()
        self.log: list[Entry] = []
        self.rate = 0  # bytes per second for every body without a rate of its own
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def paths(self) -> list[str]:
        """One line a request, host first: what tests compare."""
        return [f"{entry.method} {entry.host}{entry.path}" for entry in self.log]

    def pause(self, seconds: float) -> None:
        if seconds > 0:
            self._closing.wait(seconds)

    def track(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
            if self._closing.is_set():
                _shut(connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.track(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.forget(request)
        super().shutdown_request(request)

    def forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that ends badly is the subject of these tests, not an error of theirs."""

    def close(self) -> None:
        self._closing.set()
        self.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                _shut(connection)
        self.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # the plain one: a TLS socket may be busy reading
