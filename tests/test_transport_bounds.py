"""What never ends, drips, sleeps or lies about its address: every transfer ends in bounded time, memory and disk."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import random
import socket
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import SplitResult

import pytest
from doubles import Box, Fault
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url
from wire import DATA, IMPATIENT, LOOSE, PINNED, SHA256, SIZE, Wire, answer, same

from aigiqa_cli.errors import Exit, RefusedInput, TemporaryFault
from aigiqa_cli.errors import Fault as Problem
from aigiqa_cli.transport import Limits, Session, Wanted, connection, receive
from aigiqa_cli.transport.gate import check, is_public
from aigiqa_cli.transport.model import Later

MEGABYTE = 1 << 20
AS_FETCHED = Wanted("set.zip", "zip", SIZE, SHA256, (SHA256,))  # what a manifest without twins asks for

Script = Callable[[], Iterator[bytes]]


class Talker:
    """A host that says what a script says, to whoever connects, until nobody listens any more."""

    def __init__(self, script: Script, pause: float = 0.0) -> None:
        self.sent = self.connections = 0
        self._script, self._pause = script, pause
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/set.zip"

    def _serve(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(OSError):
                caller, _ = self._listener.accept()
                self.connections += 1
                self._threads.append(threading.Thread(target=self._talk, args=(caller,)))
                self._threads[-1].start()

    def _talk(self, caller: socket.socket) -> None:
        caller.settimeout(10)
        with caller, contextlib.suppress(OSError):
            caller.recv(65536)
            for words in self._script():
                caller.sendall(words)
                self.sent += len(words)
                if self._closing.is_set():
                    return
                if self._pause:
                    time.sleep(self._pause)

    def close(self) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            socket.create_connection(self._listener.getsockname(), 1).close()
        for thread in self._threads:
            thread.join()
        self._listener.close()


@pytest.fixture
def talk() -> Iterator[Callable[..., Talker]]:
    made: list[Talker] = []

    def start(script: Script, pause: float = 0.0) -> Talker:
        made.append(Talker(script, pause))
        return made[-1]

    yield start
    for talker in made:
        talker.close()


def forever(begin: bytes, again: bytes) -> Script:
    def script() -> Iterator[bytes]:
        yield begin
        while True:
            yield again

    return script


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE = CHUNKED + b"%x\r\n" % SIZE + DATA + b"\r\n0\r\n"
ENDLESS = {
    "continue": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "status line": forever(b"HTTP/1.1 200 ", b"O" * 65536),
    "head": forever(HEAD, b"X-More: yes\r\n" * 50),
    "head line": forever(HEAD + b"X-Long: ", b"y" * 65536),
    "chunk size": forever(CHUNKED, b"5" * 65536),
    "chunk extension": forever(CHUNKED + b"5;", b"a=b;" * 16384),
    "empty chunks": forever(CHUNKED, b"00000000;" + b"x" * 65000 + b"\r\n"),
    "trailers": forever(CHUNKED + b"4\r\nPK\x03\x04\r\n0\r\n", b"X-More: yes\r\n" * 5000),
}
DRIPS = {
    "head": forever(HEAD + b"X-Slow: ", b"y"),
    "chunk size": forever(CHUNKED, b"0"),
    "trailers": forever(CHUNKED + b"4\r\nPK\x03\x04\r\n0\r\n", b"X: y\r\n"),
    "body": forever(HEAD + b"Content-Length: %d\r\n\r\nPK\x03\x04" % SIZE, b"x"),
}


@pytest.mark.usefixtures("bad_heads")
@pytest.mark.filterwarnings("ignore:.*unclosed:ResourceWarning")
@pytest.mark.parametrize("what", ENDLESS)
def test_N19_N20_what_never_ends_is_ended(wire: Wire, talk: Callable[..., Talker], what: str) -> None:
    host = talk(ENDLESS[what])
    tracemalloc.start()
    try:
        got = wire.receive(PINNED, wire.source(url=host.url), wire.source())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert same(got)
    assert host.sent <= 5 * host.connections * MEGABYTE + 32 * MEGABYTE, "socket buffers, and no more"
    assert peak < 16 * MEGABYTE


def test_N19_whole_file_before_endless_trailers_is_not_lost(wire: Wire, talk: Callable[..., Talker]) -> None:
    host = talk(forever(WHOLE, b"X-More: yes\r\n" * 5000))
    assert same(wire.receive(PINNED, wire.source(url=host.url)))
    assert host.connections == 1, "what is proven is not asked for again"


def test_N19_what_frames_the_bytes_may_be_longer_than_they_are(wire: Wire) -> None:
    """Unknown extensions of chunks are passed over (RFC 9112, 7.1.1), also between the bytes that are looked at first."""
    blocks = [DATA[:10], *(DATA[at : at + 100_000] for at in range(10, SIZE, 100_000))]
    chunks = b"".join(b"%x;a=%s\r\n%s\r\n" % (len(block), b"b" * 5_000, block) for block in blocks)
    whole = answer("Transfer-Encoding: chunked", body=chunks + b"0\r\n\r\n")
    wire.server.site.faults.add("/set.zip", whole, whole)
    assert same(wire.receive(PINNED, wire.source()))
    assert len(wire.log) == 1
    with Session(settings=wire.settings) as session, session.open(wire.server.url("/set.zip")) as got:
        assert (got.peek(512), got.peek(4)) == (DATA[:512], DATA[:4])
        assert b"".join(iter(got.read, b"")) == DATA


def test_N19_N20_what_has_no_end_is_told() -> None:
    """A head of a MiB, then as much framing as nobody needs."""
    wire = connection._Wire(io.BytesIO(bytes(2 * MEGABYTE)), Limits())  # type: ignore[arg-type]
    assert wire.readinto(bytearray(MEGABYTE)) == MEGABYTE
    with pytest.raises(Later, match="sends a head without end") as head:
        wire.readinto(bytearray(1))
    wire.allow(5)
    assert wire.readinto(bytearray(256 * 1024 + 5)) == 256 * 1024 + 5
    with pytest.raises(Later, match="sends framing without end") as framing:
        wire.readinto(bytearray(1))
    assert (head.value.fault, framing.value.fault) == ("N20", "N19")


def test_N12_every_window_needs_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """60 KiB in each 60 seconds are enough, the first and every other one; a byte less is not."""
    now = [0.0]
    monkeypatch.setattr(connection, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def read(*counts: int) -> None:
        now[0] = 0.0
        wire = connection._Wire(io.BytesIO(bytes(MEGABYTE)), Limits())  # type: ignore[arg-type]
        for count in counts:
            now[0] += 20
            assert wire.readinto(bytearray(count)) == count

    window = (1, 1, 60 * 1024 - 2)
    read(*window, *window)
    for short in ((1, 1, 60 * 1024 - 3), (*window, 1, 1, 60 * 1024 - 3)):
        with pytest.raises(Later) as caught:
            read(*short)
        assert caught.value.fault == "N12"


@pytest.mark.parametrize("where", DRIPS)
def test_N12_drip_is_ended_wherever_it_drips(wire: Wire, talk: Callable[..., Talker], where: str) -> None:
    wire.limits = Limits(drip_bytes=60_000, drip_window=0.3)
    host = talk(DRIPS[where], 0.005)
    problem = wire.fails(PINNED, wire.source(url=host.url))
    assert (problem.exit_code, problem.fault) == (Exit.TEMPORARY, "N12")
    assert host.connections == 1, "a host that drips is not asked again"
    assert same(wire.receive(PINNED, wire.source(url=host.url), wire.source()))


def test_N11_N12_limits_are_those_of_the_document_and_can_be_chosen() -> None:
    usual = Limits.chosen({})
    assert (usual.connect, usual.silence, usual.drip_window, usual.retry_after) == (10, 30, 60, 120)
    assert usual.drip_bytes == 60 * 1024
    chosen = {"CONNECT": "5", "SILENCE": "7.5", "SLOW": "6", "BUSY": "1"}
    limits = Limits.chosen({f"AIGIQA_{name}_SECONDS": value for name, value in chosen.items()})
    assert (limits.connect, limits.silence, limits.drip_window, limits.retry_after) == (5, 7.5, 6, 1)
    assert limits.drip_bytes == 6 * 1024
    for senseless in ("", "soon", "-1", "0", "nan", "inf", "1e99"):
        assert Limits.chosen({"AIGIQA_SILENCE_SECONDS": senseless}) == usual


def test_N25_machine_that_slept_blames_nobody(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two minutes pass between two reads: the clock jumps, the connection is still good."""
    skipped = [0.0]
    monkeypatch.setattr(connection, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + skipped[0]))
    wire.limits = Limits(drip_bytes=300_000)

    def sleep(advanced: int) -> None:
        if advanced < 300_000:
            skipped[0] = 120.0

    wire.reporter._on_advance = sleep
    assert same(wire.receive(PINNED, wire.source()))
    assert wire.starts() == [0]


def test_N25_network_away_for_minutes_keeps_the_part(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(cut=200_000), *[Fault(cut=0)] * 5)
    problem = wire.fails(PINNED, wire.source())
    assert problem.exit_code == Exit.TEMPORARY
    assert "200,000 bytes" in problem.hint
    assert [path.stat().st_size for path in wire.files("*.part")] == [200_000]
    wire.log.clear()
    assert same(wire.receive(PINNED, wire.source()))
    assert wire.starts() == [200_000]


def test_N02_short_body_of_a_pinned_file_is_a_cut_and_no_wrong_file(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(no_length=True, cut=100_000))
    assert same(wire.receive(AS_FETCHED, wire.source()))
    assert wire.starts() == [0, 100_000]
    assert wire.quarantined() == []


def test_N02_silent_about_its_length_to_the_end(wire: Wire) -> None:
    wire.server.site.faults.add(
        "/set.zip", Fault(no_length=True, cut=100_000), Fault(no_length=True, cut=0, always=True)
    )
    problem = wire.fails(AS_FETCHED, wire.source())
    assert (problem.exit_code, problem.fault) == (Exit.TEMPORARY, "N02")


def test_N04_other_length_is_refused_before_the_first_byte(wire: Wire) -> None:
    wire.server.site.put("/old.zip", DATA[:-5])
    problem = wire.fails(AS_FETCHED, wire.source("/old.zip"))
    assert (problem.exit_code, problem.fault) == (Exit.INTEGRITY, "N04")
    assert wire.bytes_kept() == 0


def test_N03_disk_use_is_bounded_by_the_length_of_the_manifest(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(more=bytes(5_000_000), no_length=True, always=True))
    kept: list[int] = []
    wire.reporter._on_advance = lambda _: kept.append(wire.bytes_kept())
    problem = wire.fails(AS_FETCHED, wire.source())
    assert (problem.exit_code, problem.fault) == (Exit.INTEGRITY, "N03")
    assert max(kept) <= SIZE + 64 * 1024


@pytest.mark.parametrize("asked", [3.0, 100.0])
def test_N13_what_a_host_asks_for_is_obeyed(wire: Wire, monkeypatch: pytest.MonkeyPatch, asked: float) -> None:
    waited: list[float] = []
    monkeypatch.setattr(sys.modules[receive.__module__], "pause", waited.append)
    wire.server.site.faults.add("/set.zip", Fault(status=429, headers=(("Retry-After", str(int(asked))),)))
    assert same(wire.receive(PINNED, wire.source()))
    assert asked in waited


# -- names and addresses -----------------------------------------------------------------------------


Entry = tuple[Any, Any, int, str, tuple[Any, ...]]


def _entry(address: str, port: int) -> Entry:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.SOCK_STREAM, 6, "", (address, port, 0, 0) if ":" in address else (address, port)


def _closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def _resolver(monkeypatch: pytest.MonkeyPatch, *answers: list[Entry]) -> list[str]:
    """From now on names resolve to these answers in turn, the last one for ever; returns the names asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, *_: object, **__: object) -> list[Entry]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("dead", [["::1"], ["127.0.0.1"], ["::1", "127.0.0.1"], ["100::1", "::1"]])
def test_N14_one_live_address_is_enough(wire: Wire, monkeypatch: pytest.MonkeyPatch, dead: list[str]) -> None:
    closed, port = _closed_port(), wire.server.server_address[1]
    _resolver(monkeypatch, [*(_entry(address, closed) for address in dead), _entry("127.0.0.1", port)])
    assert same(wire.receive(PINNED, wire.source(url="http://files.example.org/set.zip")))
    assert len(wire.log) == 1


def test_N14_name_that_cannot_be_resolved(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    _resolver(monkeypatch, [])
    problem = wire.fails(PINNED, wire.source(url="http://files.example.org/set.zip"))
    assert (problem.exit_code, problem.fault) == (Exit.TEMPORARY, "N14")
    assert "cannot be resolved" in str(problem)
    assert "offline" in problem.hint
    port = wire.server.server_address[1]
    _resolver(monkeypatch, [], [], [_entry("127.0.0.1", port)])
    assert same(wire.receive(PINNED, wire.source(url="http://files.example.org/set.zip"), wire.source()))


@pytest.mark.parametrize("later", ["127.0.0.1", "::1"])
def test_M07_name_that_flips_to_a_private_address_gets_no_byte(monkeypatch: pytest.MonkeyPatch, later: str) -> None:
    family = socket.AF_INET6 if ":" in later else socket.AF_INET
    try:
        listener = socket.create_server((later, 0), family=family)
    except OSError as error:
        pytest.skip(f"no {later} here: {error}")
    heard: list[bytes] = []

    def listen() -> None:
        listener.settimeout(20)
        with contextlib.suppress(OSError):
            caller, _ = listener.accept()
            with caller:
                caller.settimeout(5)
                heard.append(caller.recv(100))

    thread = threading.Thread(target=listen)
    thread.start()
    asked = _resolver(monkeypatch, [_entry("93.184.215.14", 443)], [_entry(later, listener.getsockname()[1])])
    try:
        with Session(settings={}) as session, pytest.raises(RefusedInput) as caught:
            session.open("https://rebind.example.org/set.zip", token="canary")
    finally:
        thread.join()
        listener.close()
    assert caught.value.fault == "M07"
    assert asked == ["rebind.example.org"] * 2
    assert heard == [b""], "connected, judged, and left without a word"


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], ["93.184.215.14", "192.168.0.9"], ["fe80::1%eth0"], ["::ffff:7f00:1"]]
)
def test_M07_no_socket_is_opened_to_a_private_address(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> None:
    _resolver(monkeypatch, [_entry(address, 443) for address in addresses])
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a socket was opened"))
    with Session(settings={}) as session, pytest.raises(RefusedInput) as caught:
        session.open("https://inner.example.org/set.zip")
    assert caught.value.fault == "M07"


def test_M07_each_host_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """That one is public says nothing of the next one."""
    asked = _resolver(monkeypatch, [_entry("93.184.215.14", 443)], [_entry("10.0.0.1", 443)])
    with Session(settings={}) as session:
        for path in ("a", "b"):
            session.gate(f"https://files.example.org/{path}")
        with pytest.raises(RefusedInput) as caught:
            session.gate("https://inner.example.org/a")
    assert (caught.value.fault, asked) == ("M07", ["files.example.org", "inner.example.org"])


_HOSTS = st.sampled_from(
    ["files.example.org", "127.1", "0x7f000001", "2130706433", "[::1]", "localhost", "a.local", "ex%61mple.org", "bücher.de",
     "files.example.org.", "1.2.3.4", "xn--bcher-kva.example", "[fe80::1%25eth0]", "[::ffff:8.8.8.8]", "exam ple.org", ""]
)  # fmt: skip
_JUNK = st.text(st.sampled_from("/\\@:#?%&=.;,~[]{}|^<>\"'`\t\r\n\x00 aZ0é\u202e"), max_size=8)


def _admitted(url: str) -> SplitResult | None:
    try:
        return check(url, private_allowed=False, proxied=True)
    except Problem as problem:
        if problem.fault not in ("M06", "M07"):
            raise
        return None


@given(
    st.sampled_from(["https", "http", "HTTPS", "file", "ftp", "data", "javascript", ""]),
    st.sampled_from(["://", ":/", ":", "//", ":///", ":\\\\"]),
    st.sampled_from(["", "user@", "user:pw@", "@", "a@b@"]),
    _HOSTS,
    st.sampled_from(["", ":443", ":80", ":0", ":99999", ":22", ":", ":443:1", ":\uff14\uff14\uff13"]),
    _JUNK,
    st.integers(0, 3).map(lambda times: "x" * 700 * times),
)
def test_M06_gate_admits_only_what_every_reader_reads_alike(
    scheme: str, colon: str, user: str, host: str, port: str, junk: str, long: str
) -> None:
    url = f"{scheme}{colon}{user}{host}{port}/{junk}{long}"
    parts = _admitted(url)
    if parts is None:
        return
    read = parse_url(url)
    assert (parts.scheme, read.scheme) == ("https", "https")
    assert (parts.hostname or "").strip("[]") == (read.host or "").strip("[]")
    assert parts.port in (None, 443)
    assert read.port in (None, 443)
    assert read.auth is None
    assert url.isascii()
    assert len(url) <= 2000
    with contextlib.suppress(ValueError):
        assert is_public(ipaddress.ip_address(parts.hostname or ""))


# -- a fast host, a slow disk; a portal; cookies -----------------------------------------------------


def test_N29_buffers_are_bounded_on_a_slow_disk(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host may be ahead of the disk by what sockets and one block hold, whatever the length of the file."""
    data = b"PK\x03\x04" + random.Random(3).randbytes(48 * MEGABYTE)
    wire.server.site.put("/large.zip", data)
    ahead: list[int] = []
    from aigiqa_cli.transport.parts import Part

    append = Part.append

    def slowly(part: Part, block: bytes) -> None:
        time.sleep(0.0002)
        append(part, block)
        ahead.append(wire.log[-1].sent - part.size)

    monkeypatch.setattr(Part, "append", slowly)
    tracemalloc.start()
    try:
        assert wire.receive(Wanted("large.zip", "zip", len(data)), wire.source("/large.zip")).bytes == len(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert max(ahead) < 16 * MEGABYTE
    assert peak < 4 * MEGABYTE, "nothing is gathered in memory"


def test_N08_one_foreign_host_that_answers_for_two_is_the_network(box: Box, wire: Wire) -> None:
    """Portals put the address that was asked for into their page, so no two pages are alike."""
    hosts = ["files.one.example", "files.two.example", "files.three.example"]
    for number, host in enumerate(hosts):
        box.web(host).faults.add(
            "/set.zip", Fault(status=302, headers=(("Location", f"https://login.hotel.example/{number}"),), always=True)
        )
        page = f"<html><head><title>Welcome, guest {number}</title></head></html>".encode()
        box.web("login.hotel.example").put(f"/{number}", page, type="text/html")
    wire.settings = box.settings()
    problem = wire.fails(PINNED, *[wire.source(url=f"https://{host}/set.zip", label=host) for host in hosts])
    assert (problem.exit_code, problem.fault) == (Exit.PERSON, "N08")
    assert [entry.host for entry in box.log if entry.path == "/set.zip"] == hosts[:2]


def test_N26_cookie_goes_to_no_other_host(box: Box, wire: Wire) -> None:
    location = ("Location", "https://other.example.org/set.zip")
    consent = Fault(status=302, headers=(location, ("Set-Cookie", "consent=canary; Path=/")), always=True)
    box.web("files.example.org").faults.add("/go", consent)
    box.web("other.example.org").put("/set.zip", DATA)
    wire.settings = box.settings()
    with Session(settings=wire.settings, limits=wire.limits) as session:
        source = wire.source(url="https://files.example.org/go")
        assert same(receive(PINNED, [source], wire.partial, session, wire.reporter))
        session.page("https://files.example.org/go")
    assert [(entry.host, entry.cookie) for entry in box.log] == [
        ("files.example.org", ""),
        ("other.example.org", ""),
        ("files.example.org", "consent=canary"),
        ("other.example.org", ""),
    ]


def test_N11_silent_proxy_is_not_waited_for(wire: Wire, talk: Callable[..., Talker]) -> None:
    """The answer to CONNECT is awaited no longer than any other."""
    host = talk(lambda: iter(time.sleep(0.4) or b"" for _ in range(3)))
    wire.settings = {"HTTPS_PROXY": host.url.rpartition("/")[0], "AIGIQA_RETRY_SECONDS": "0.001"}
    wire.limits = replace(IMPATIENT, tries=2)
    problem = wire.fails(LOOSE, wire.source(url="https://files.example.org/set.zip"))
    assert isinstance(problem, TemporaryFault)
