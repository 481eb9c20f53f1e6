"""The transport where hosts, proxies, this machine or another process do the unusual: each has its fault, and no byte is
taken for another."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import ipaddress
import json
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from doubles import Fault
from wire import DATA, LOOSE, OTHER, PINNED, QUICK, SHA256, SIZE, SIZED, Notes, Wire, same

from aigiqa_cli import folders
from aigiqa_cli.errors import Exit, IntegrityFault, MachineFault, PersonNeeded, RefusedInput, TemporaryFault
from aigiqa_cli.errors import Fault as Problem
from aigiqa_cli.transport import (
    Limits,
    Session,
    Source,
    Wanted,
    connection,
    disk,
    gate,
    pages,
    parts,
    patience,
    shelf,
    tree,
)
from aigiqa_cli.transport.answer import status_fault, trouble
from aigiqa_cli.transport.model import Later, Leaf, Listing, Received, TreeSource
from aigiqa_cli.transport.pace import Pace
from aigiqa_cli.transport.parts import Note
from aigiqa_cli.transport.ranges import RemoteFile
from aigiqa_cli.transport.tree import ReceivedTree, receive_tree


def refuse(number: int) -> Callable[..., Any]:
    def call(*_words: Any, **_more: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return call


# ---------------------------------------------------------------------------------------------------------------------
# Statuses, errors of the libraries
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "fault"),
    [
        (407, PersonNeeded, "N24"), (418, PersonNeeded, "N07"), (404, PersonNeeded, "N07"), (403, PersonNeeded, "N07"),
        (511, PersonNeeded, "N08"), (429, TemporaryFault, "N13"), (503, TemporaryFault, "N13"), (500, TemporaryFault, "N07"),
    ],
)  # fmt: skip
def test_N07_N13_N24_what_a_status_means(status: int, kind: type[Problem], fault: str) -> None:
    found = status_fault(status, {}, "example.org", Limits())
    assert (type(found).__mro__.count(kind), found.fault) == (1, fault)


@pytest.mark.parametrize(("seconds", "over"), [("120", False), ("121", True)])
def test_N13_when_to_come_back_is_said_where_nobody_waits_for_it(seconds: str, over: bool) -> None:
    found = status_fault(429, {"Retry-After": seconds}, "example.org", Limits(retry_after=120.0))
    assert isinstance(found, Later)
    assert (found.over, found.wait, "come back" in found.message) == (over, float(seconds), over)


def test_S09_N24_errors_that_are_of_this_machine_or_its_settings() -> None:
    here = trouble(requests.ConnectionError(OSError(errno.EMFILE, "Too many open files")), "example.org")
    assert (type(here), here.fault) == (MachineFault, "S09")
    proxy = trouble(requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support."), "example.org")
    assert (proxy.fault, "the proxy setting cannot be used" in proxy.message) == ("N24", True)


@pytest.mark.parametrize(
    ("reason", "clock"),
    [("certificate has expired", True), ("certificate is not yet valid", True), ("self-signed certificate", False)],
)
def test_N15_the_clock_is_named_where_the_date_is_the_reason(reason: str, clock: bool) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = reason
    found = trouble(requests.exceptions.SSLError(error), "example.org")
    assert (found.fault, reason in found.message, "clock" in found.hint) == ("N15", True, clock)


def test_errors_without_end_are_looked_into_so_far() -> None:
    """Libraries wrap errors in errors; a chain of any length is judged by its first dozen."""
    error: Exception = socket.gaierror("deep down")
    for number in range(20):
        error = ValueError(number, error)
    assert trouble(error, "example.org").fault == "N14"
    assert "cannot be resolved" not in trouble(error, "example.org").message
    near = requests.ConnectionError(ValueError(1, socket.gaierror("near")))
    assert "example.org cannot be resolved" in trouble(near, "example.org").message
    loop, other = ValueError("one"), ValueError("other")
    loop.__cause__, other.__cause__ = other, loop
    assert "failed (other)" in trouble(loop, "example.org").message


# ---------------------------------------------------------------------------------------------------------------------
# The session
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(settings=QUICK) as made:
        yield made


def test_N09_a_short_body_of_a_redirect_leaves_the_connection_of_use(wire: Wire, session: Session) -> None:
    moved = (("Location", "/set.zip"),)
    wire.server.site.faults.add("/old", Fault(status=302, headers=moved, body=b"it has moved"))
    url = wire.server.url("/old")
    with session.open(url) as got:
        assert got.read(10) == DATA[:10]
    pools = session._connected().get_adapter(url).poolmanager.pools
    assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118 - it is no dictionary


def test_N09_a_body_of_a_redirect_that_is_cut_is_no_matter(wire: Wire, session: Session) -> None:
    head = "HTTP/1.1 302 Found\r\nLocation: /set.zip\r\nContent-Length: 50\r\n\r\n"
    wire.server.site.faults.add("/old", Fault(raw=head.encode() + b"short", cut=0))
    with session.open(wire.server.url("/old")) as got:
        assert got.read(10) == DATA[:10]


def test_N18_N03_pages_that_are_none(wire: Wire, session: Session) -> None:
    wire.server.site.put("/page", b"<html>hello</html>", type="text/html")
    wire.server.site.faults.add("/page", Fault(gzip=True))
    with pytest.raises(PersonNeeded) as wrapped:
        session.page(wire.server.url("/page"))
    assert wrapped.value.fault == "N18"
    assert session.page(wire.server.url("/page")).text == "<html>hello</html>"
    wire.server.site.put("/page", b"<html>" + bytes(2 << 20), type="text/html")
    with pytest.raises(PersonNeeded) as endless:
        session.page(wire.server.url("/page"))
    assert endless.value.fault == "N03"


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"])
def test_N24_certificates_that_are_not_there(tmp_path: Path, wire: Wire, name: str) -> None:
    with Session(settings=QUICK | {name: str(tmp_path / "none.pem")}) as session, pytest.raises(MachineFault) as caught:
        session.open(wire.server.url("/set.zip"))
    assert (caught.value.fault, name in caught.value.message, wire.log) == ("N24", True, [])
    (tmp_path / "some.pem").write_bytes(b"")
    assert Session(settings={name: str(tmp_path / "some.pem")}).certificates() == str(tmp_path / "some.pem")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org:port/a",
        "https://example.org:99999/a",
        "http://[::1/a",
        "https://[x]/a",
        "https://",
        "mailto:a",
    ],
)
@pytest.mark.parametrize("settings", [{}, QUICK, {"HTTPS_PROXY": "localhost:3128", "HTTP_PROXY": "localhost:3128"}])
def test_M06_addresses_that_are_none(settings: dict[str, str], url: str) -> None:
    """Refused before anything else reads them: also where private hosts are allowed, and behind a proxy."""
    with Session(settings=settings) as session, pytest.raises(RefusedInput) as caught:
        session.open(url)
    assert caught.value.fault == "M06"


def test_N09_a_location_in_any_encoding(wire: Wire, session: Session) -> None:
    """UTF-8 as most servers write it, else Latin-1 as the protocol says."""
    for name, raw in (("/é", "/é".encode()), ("/è", "/è".encode("latin-1"))):
        wire.server.site.put(name, b"here")
        head = b"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: " + raw + b"\r\n\r\n"
        wire.server.site.faults.add("/old", Fault(raw=head))
        assert session.page(wire.server.url("/old")).text == "here"


@pytest.mark.parametrize(
    ("exceptions", "url", "proxied"),
    [
        ("*", "https://example.org/", False),
        ("example.org", "https://example.org/", False),
        ("example.org", "https://www.example.org/", False),
        (".example.org", "https://www.example.org/", False),
        ("*.example.org", "https://www.example.org/", False),
        ("example.org", "https://notexample.org/", True),
        ("example.org:8443", "https://example.org:8443/", False),
        ("example.org:8443", "https://example.org/", True),
        (":8443", "https://example.org:8443/", True),
        ("10.0.0.0/8 ,other", "https://10.1.2.3/", False),
        ("10.1.2.3:8443", "https://10.1.2.3:8443/", False),
        ("10.1.2.3:8443", "https://10.1.2.3/", True),
        ("10.1.2.4", "https://10.1.2.3/", True),
        ("[::1]", "https://[::1]/", False),
        ("nonsense/33", "https://10.1.2.3/", True),
        ("", "https://example.org/", True),
    ],
)
def test_N24_what_no_proxy_names(exceptions: str, url: str, proxied: bool) -> None:
    session = Session(settings={"HTTPS_PROXY": "localhost:3128", "NO_PROXY": exceptions})
    assert session.proxy(url) == ("http://localhost:3128" if proxied else "")


def test_N24_proxies_of_another_kind_are_asked_too(wire: Wire) -> None:
    """One that speaks SOCKS: its connections are not ours to watch, and an error of it is an error of the connection."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    settings = QUICK | {"HTTP_PROXY": f"socks5://127.0.0.1:{port}"}
    with Session(settings=settings) as session, pytest.raises(Later) as caught:
        session.open("http://example.org/set.zip")
    assert caught.value.fault == "N14"


# ---------------------------------------------------------------------------------------------------------------------
# The gate, and who is really reached
# ---------------------------------------------------------------------------------------------------------------------


def test_M07_addresses_as_they_may_be_spelled() -> None:
    assert gate.as_address("example.org") is None
    assert gate.as_address("8.8.8.8") == ipaddress.ip_address("8.8.8.8")
    assert gate.as_address("0x7f.1") == gate.as_address("2130706433") == ipaddress.ip_address("127.0.0.1")
    assert gate.as_address("1.2.3.4.5") == gate.as_address("a.999") == ipaddress.ip_address("0.0.0.0")
    for word in ("64:ff9b::7f00:1", "::ffff:10.0.0.1", "2002:0a00:0001::", "fe80::1", "224.0.0.1", "240.0.0.1"):
        assert not gate.is_public(ipaddress.ip_address(word)), word
    for word in ("64:ff9b::808:808", "::ffff:8.8.8.8", "2001:4860:4860::8888", "8.8.8.8"):
        assert gate.is_public(ipaddress.ip_address(word)), word


@pytest.mark.parametrize("url", ["https://8.8.8.8/a", "https://[2001:4860:4860::8888]/a"])
def test_M06_public_addresses_are_admitted_as_they_are(url: str) -> None:
    assert gate.check(url, private_allowed=False, proxied=False).geturl() == url


def test_M07_who_is_reached_is_judged_again() -> None:
    class Connected:
        def __init__(self, peer: str) -> None:
            self.peer, self.closed = peer, False

        def getpeername(self) -> tuple[str, int]:
            return self.peer, 443

        def close(self) -> None:
            self.closed = True

    public: Any = Connected("2001:4860:4860::8888%eth0")
    assert connection._judged(public, "example.org") is public
    private: Any = Connected("10.0.0.1")
    with pytest.raises(RefusedInput):
        connection._judged(private, "example.org")
    assert (private.closed, public.closed) == (True, False)


def test_N12_a_slow_host_that_does_not_drip_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Window after window it sends enough; in the window in which it does not, it drips."""
    clock = iter([0.0, 25.0, 50.0, 75.0, 100.0, 125.0, 150.0])
    monkeypatch.setattr(connection.time, "monotonic", lambda: next(clock))
    below = io.BytesIO(bytes(4 * 60 * 1024))
    wire = connection._Wire(below, Limits())  # type: ignore[arg-type]
    for size in (60 * 1024, 60 * 1024, 60 * 1024, 2, 1):
        assert wire.readinto(bytearray(size)) == size
    with pytest.raises(Later) as caught:
        wire.readinto(bytearray(1))
    assert (caught.value.fault, caught.value.over) == ("N12", True)


# ---------------------------------------------------------------------------------------------------------------------
# Waiting
# ---------------------------------------------------------------------------------------------------------------------


def test_N13_dates_in_retry_after() -> None:
    assert patience.retry_after("Wed, 21 Oct 2015 07:28:00") == 0.0, "a date without a zone is UTC"
    assert patience.retry_after("Wed, 21 Oct 2015 07:28:00 -0000") == 0.0
    assert patience.retry_after("Fri, 01 Jan 2100 00:00:00 GMT") > 1e9  # type: ignore[operator]
    assert patience.retry_after("soon") is None
    assert "calendar" in patience.clock(1e30)


def test_a_base_of_waiting_that_is_no_number_counts_as_not_set() -> None:
    assert 0.25 <= patience.backoff(1, {"AIGIQA_RETRY_SECONDS": "soon"}) <= 0.5
    assert patience.backoff(9, {"AIGIQA_RETRY_SECONDS": "-1"}) == 0.0
    patience.pause(-1.0)


def test_N28_a_complaint_halves_the_rate_that_was_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred requests in a second were too many: fifty then, and slowly more with each answer."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = Pace({"AIGIQA_RETRY_SECONDS": "0"}, Limits())
    monkeypatch.setattr(pace, "wait", lambda seconds: now.__setitem__(0, now[0] + max(0.0, seconds)))
    for _ in range(100):
        pace.take()
        now[0] += 0.01
    pace.heard(now[0], 429, None)
    assert (pace.rate, pace.complaints) == (pytest.approx(50), 1)
    turns = [pace.take() for _ in range(3)]
    assert [late - early for early, late in pairwise(turns)] == pytest.approx([0.02, 0.02])
    pace.heard(turns[-1], 200, None)
    assert (pace.rate, pace.complaints) == (pytest.approx(51), 0)


def test_N28_a_turn_is_waited_for() -> None:
    pace = Pace({"AIGIQA_RETRY_SECONDS": "0.2"}, Limits())
    pace.rate = 20.0
    begun = pace.take()
    assert pace.take() - begun >= 0.05, "one in a twentieth of a second"
    heard = time.monotonic()
    pace.heard(heard, 429, None)
    assert pace.take() - heard >= 0.1, "at least half of what is set"


def test_N28_every_answer_is_told_to_the_pace(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    pace, heard = Pace(QUICK, Limits()), list[tuple[int, str | None]]()
    monkeypatch.setattr(pace, "heard", lambda _begun, status, after: heard.append((status, after)))
    wire.server.site.faults.add("/set.zip", Fault(status=429, headers=(("Retry-After", "7"),)))
    with Session(settings=QUICK, pace=pace) as session:
        for _ in range(2):
            session.open(wire.server.url("/set.zip")).close()
    assert heard == [(429, "7"), (200, None)]


def test_N28_who_waits_for_a_turn_hears_complaints_too(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host complained to another worker meanwhile: its wait holds for this one as well."""
    pace, waited = Pace(session.settings, session.limits), list[float]()

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 1:
            pace.heard(time.monotonic(), 429, "0.05")
        patience.pause(seconds)

    monkeypatch.setattr(pace, "wait", wait)
    pace.take()
    assert len(waited) > 1
    assert 0 < waited[1] <= 0.05


# ---------------------------------------------------------------------------------------------------------------------
# Pages
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "fault"),
    [
        (b' {"error": "quota exceeded"}', "application/json", "N06"),
        ("<html><title>Sign in</title>".encode("utf-16-le"), "text/html", "N06"),
        ("<html><title>Sign in</title>".encode("utf-16-be"), "text/html", "N06"),
        ("\ufeff<html><title>Sign in</title>".encode("utf-16-be"), "text/html", "N06"),
        (b"\x1f\x8bno gzip at all", "application/zip", "N06"),
        (b"plain words", "application/json", "N06"),
    ],
)
def test_N06_what_is_no_zip(wire: Wire, body: bytes, kind: str, fault: str) -> None:
    wire.server.site.put("/page", body, type=kind)
    assert wire.fails(LOOSE, wire.source("/page")).fault == fault


def test_json_that_is_wanted_is_no_page(wire: Wire) -> None:
    wire.server.site.put("/a.json", b'{"a": 1}', type="application/json")
    for form in ("json", "jsonl"):
        assert same(wire.receive(Wanted(f"a.{form}", form), wire.source("/a.json")), b'{"a": 1}')


def test_N06_tars_with_and_without_their_mark(wire: Wire) -> None:
    from archive_writers import tar_header

    old = tar_header(b"a.png", magic=bytes(8)) + bytes(1024)
    wrong = b"b" + old[1:]
    for name, data in (("old", old), ("ustar", tar_header(b"a.png")), ("short", b"a" * 100)):
        wire.server.site.put(f"/{name}", data, type="application/x-tar")
        assert same(wire.receive(Wanted(f"{name}.tar", "tar"), wire.source(f"/{name}")), data)
    for name, data in (("wrong", wrong), ("words", b"words " * 200)):
        wire.server.site.put(f"/{name}", data, type="application/x-tar")
        assert wire.fails(Wanted(f"{name}.tar", "tar"), wire.source(f"/{name}")).fault == "N06"


@pytest.mark.parametrize(
    ("kind", "body", "fault"),
    [
        ("text/plain", b"<html><title>Sign in</title>", "N07"),
        ("text/html", b"<html>nothing that is known", "N07"),
        ("text/html", b"<html><title>Sign in</title>", "N06"),
    ],
)
def test_N06_N07_the_page_of_an_error(wire: Wire, kind: str, body: bytes, fault: str) -> None:
    """A page that is known says more than the status."""
    wire.server.site.faults.add("/set.zip", Fault(status=403, body=body, type=kind))
    assert wire.fails(LOOSE, wire.source()).fault == fault


def test_N06_a_kind_that_nobody_knows_is_not_judged(wire: Wire) -> None:
    wire.server.site.put("/a.bin", b"anything", type="application/octet-stream")
    assert same(wire.receive(Wanted("a.bin", "bin"), wire.source("/a.bin")), b"anything")
    assert pages._fits(b"", "zip"), "nothing at all: length or hash decide"


# ---------------------------------------------------------------------------------------------------------------------
# One file
# ---------------------------------------------------------------------------------------------------------------------


def put_part(wire: Wire, wanted: Wanted, source: Source, data: bytes, note: Note | None = None) -> Path:
    """What an earlier run left of a file, and whose bytes it says they are."""
    wire.partial.mkdir(parents=True, exist_ok=True)
    path = wire.partial / f"{parts.key(wanted, [source])}.0123456789abcdef.part"
    path.write_bytes(data)
    if note:
        told = {
            "url": note.url,
            "kind": note.kind,
            "label": note.label,
            "etag": note.etag,
            "size": note.size,
            "sha256": note.sha256,
        }
        path.with_suffix(".json").write_text(json.dumps(told))
    return path


@pytest.mark.parametrize("wanted", [SIZED, PINNED])
def test_N03_a_part_that_is_longer_than_the_file_is_of_no_use(wire: Wire, wanted: Wanted) -> None:
    put_part(wire, wanted, wire.source(), DATA + b"more")
    assert same(wire.receive(wanted, wire.source()))
    assert wire.starts() == [0]


def test_N01_a_part_that_lacks_one_byte_gets_it(wire: Wire) -> None:
    put_part(wire, PINNED, wire.source(), DATA[:-1])
    assert same(wire.receive(PINNED, wire.source()))
    assert wire.starts() == [SIZE - 1]
    assert wire.reporter.notes == ["set.zip: 400,003 bytes are here from an earlier run"]


@pytest.mark.parametrize("wanted", [PINNED, replace(PINNED, bytes=None)])
def test_P7_a_whole_part_that_is_proven_costs_no_request(wire: Wire, wanted: Wanted) -> None:
    put_part(wire, wanted, wire.source(), DATA, Note(label="who gave it", kind="http"))
    got = wire.receive(wanted, wire.source())
    assert same(got)
    assert (got.pinned, got.unhashed, got.source, wire.log) == (True, False, "who gave it", [])


def test_P7_a_whole_part_whose_hash_the_host_states_costs_no_request(wire: Wire) -> None:
    source = wire.source(bytes=SIZE, sha256=SHA256)
    note = Note(wire.server.url("/set.zip"), "http", source.label, size=SIZE, sha256=SHA256)
    put_part(wire, LOOSE, source, DATA, note)
    assert same(wire.receive(LOOSE, source))
    assert wire.log == []


def test_N17_a_whole_part_of_unknown_length_is_told_by_the_host(wire: Wire) -> None:
    """The host has no more to give than what is here, and says how long it is."""
    source = wire.source()
    note = Note(wire.server.url("/set.zip"), "http", source.label, etag=f'"{SHA256}"')
    put_part(wire, LOOSE, source, DATA, note)
    assert same(wire.receive(LOOSE, source))
    assert [(entry.status, entry.sent) for entry in wire.log] == [(416, 0)]


def test_N17_more_than_the_host_has_is_another_version(wire: Wire) -> None:
    source = wire.source()
    put_part(
        wire, LOOSE, source, DATA + b"x", Note(wire.server.url("/set.zip"), "http", source.label, etag=f'"{SHA256}"')
    )
    assert same(wire.receive(LOOSE, source))
    assert wire.starts() == [SIZE + 1, 0]


def test_N17_a_piece_where_the_whole_was_asked_for(wire: Wire) -> None:
    span = ("Content-Range", f"bytes 0-9/{SIZE}")
    wire.server.site.faults.add("/set.zip", Fault(status=206, headers=(span,), body=DATA[:10], type="application/zip"))
    fault = wire.fails(LOOSE, wire.source())
    assert (fault.fault, fault.exit_code) == ("N17", Exit.PERSON)


def test_N18_a_piece_in_an_encoding(wire: Wire) -> None:
    put_part(wire, PINNED, wire.source(), DATA[:1_000])
    span = (("Content-Range", f"bytes 1000-{SIZE - 1}/{SIZE}"), ("Content-Encoding", "br"))
    wire.server.site.faults.add("/set.zip", Fault(status=206, headers=span, body=DATA[1_000:], type="application/zip"))
    assert wire.fails(PINNED, wire.source()).fault == "N18"


@pytest.mark.parametrize("times", [1, 2])
def test_N23_a_link_that_expired_is_made_anew_once(wire: Wire, times: int) -> None:
    put_part(wire, PINNED, wire.source(), DATA[:1_000])
    wire.server.site.faults.add("/set.zip", *[Fault(status=403)] * times)
    if times == 1:
        assert same(wire.receive(PINNED, wire.source()))
        assert wire.starts() == [1_000, 1_000]
        assert any("has expired" in note for note in wire.reporter.notes)
    else:
        assert wire.fails(PINNED, wire.source()).fault == "N07"


def test_N01_bytes_made_here_that_are_too_few(wire: Wire) -> None:
    fault = wire.fails(LOOSE, wire.source(stream=lambda: iter([DATA[:10]]), bytes=SIZE))
    assert (type(fault), "10 bytes were made" in str(fault)) == (IntegrityFault, True)


def test_a_file_of_which_the_host_states_no_hash_is_told_of(wire: Wire) -> None:
    got = wire.receive(LOOSE, wire.source(unhashed=True))
    assert (same(got), got.unhashed) == (True, True)
    assert any("only its length was checked" in note for note in wire.reporter.notes)


def test_C07_a_part_that_another_process_took_is_not_handed_out(wire: Wire) -> None:
    """Where locks lie it may be renamed under our hands; what it becomes is for the other one to say."""

    def take(_advanced: int) -> None:
        for path in wire.files("*.part"):
            path.rename(path.with_name("theirs"))

    wire.reporter = Notes(take)
    fault = wire.fails(LOOSE, wire.source())
    assert (fault.fault, fault.exit_code) == ("C07", Exit.TEMPORARY)


def test_what_has_done_its_work_leaves_nothing(wire: Wire) -> None:
    got = wire.receive(PINNED, wire.source())
    assert len(wire.files()) == 2
    got.discard()
    got.discard()
    assert wire.files() == []


def test_N04_the_host_contradicts_its_own_listing(wire: Wire) -> None:
    assert wire.fails(LOOSE, wire.source(bytes=SIZE + 1)).fault == "N04"


def test_N16_the_version_between_two_tries_changes_again_and_again(wire: Wire) -> None:
    """Each try finds another one; that is no progress, and ends."""
    put_part(wire, PINNED, wire.source(), DATA[:1_000])
    span = ("Content-Range", f"bytes 999-{SIZE - 1}/{SIZE}")
    other = Fault(status=206, headers=(span,), body=b"x", type="application/zip")
    cut = Fault(cut=500)
    wire.server.site.faults.add("/set.zip", *[other, cut] * 6)
    fault = wire.fails(PINNED, wire.source())
    assert fault.exit_code == Exit.TEMPORARY
    assert len(wire.log) < 12


def test_N22_no_mirror_at_all(wire: Wire) -> None:
    fault = wire.fails(LOOSE)
    assert (fault.fault, fault.phase) == ("N22", "FETCH")


@pytest.mark.parametrize(("number", "fault", "kept"), [(errno.EIO, "S07", False), (errno.ENOSPC, "S04", True)])
def test_S04_S07_a_disk_that_fails_stops_at_once(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, number: int, fault: str, kept: bool
) -> None:
    """No other mirror would help; after an error of the disk itself nobody knows what it holds."""
    put_part(wire, PINNED, wire.source(), DATA[:1_000])
    monkeypatch.setattr(parts.Part, "append", refuse(number))
    found = wire.fails(PINNED, wire.source(), wire.source("/set.zip", "another"))
    assert (found.fault, found.exit_code) == (fault, Exit.MACHINE)
    assert len(wire.log) == 1
    assert bool(wire.files("*.part")) is kept


def test_S11_a_network_file_system_that_went_away_is_nobody_else_s(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts.Part, "append", refuse(errno.ESTALE))
    found = wire.fails(PINNED, wire.source(), wire.source("/set.zip", "another"))
    assert (found.fault, found.exit_code, len(wire.log)) == ("S11", Exit.TEMPORARY, 1)


def test_S04_S07_what_the_disk_says(tmp_path: Path) -> None:
    for number, fault in ((errno.ENOSPC, "S04"), (errno.EBADF, "S07")):
        with pytest.raises(MachineFault) as caught, disk.machine(tmp_path, 1_234):
            raise OSError(number, os.strerror(number))
        assert caught.value.fault == fault
    with pytest.raises(MachineFault) as full:
        disk.require_space(tmp_path / "not" / "yet", 1 << 60)
    assert full.value.fault == "S04"


# ---------------------------------------------------------------------------------------------------------------------
# Parts on disk
# ---------------------------------------------------------------------------------------------------------------------


def test_C07_a_name_that_somebody_locks_first_is_left_to_him(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, True])
    monkeypatch.setattr(parts, "_locked", lambda _: next(answers))
    part = parts.create(tmp_path / "partial", "key")
    assert len(list((tmp_path / "partial").iterdir())) == 2
    assert part.is_mine()
    handles = os.listdir("/proc/self/fd")
    part.discard()
    assert len(os.listdir("/proc/self/fd")) == len(handles) - 1
    assert len(list((tmp_path / "partial").iterdir())) == 1


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_S07_S11_a_part_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """What the disk has lost is of no use; what is only away for now stays."""
    path = tmp_path / "key.1.part"
    path.write_bytes(DATA)
    (tmp_path / "key.2.part").write_bytes(DATA[:5])
    real, calls = os.read, []

    def read(descriptor: int, count: int) -> bytes:
        calls.append(descriptor)
        if len(calls) == 1:
            raise OSError(number, os.strerror(number))
        return real(descriptor, count)

    monkeypatch.setattr(os, "read", read)
    if number == errno.EIO:
        part = parts.claim(tmp_path, "key")
        assert part is not None
        assert (part.size, len(list(tmp_path.iterdir()))) == (5, 1)
        part.close()
    else:
        with pytest.raises(OSError):
            parts.claim(tmp_path, "key")
        assert len(list(tmp_path.iterdir())) == 2


def test_C06_C07_without_locks_the_rename_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.1.part"
    path.write_bytes(DATA)
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", refuse(errno.ENOENT))
        assert parts.claim(tmp_path, "key") is None, "somebody else was quicker"
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", refuse(errno.ENOLCK))
        part = parts.claim(tmp_path, "key")
    assert part is not None
    assert (part.size, part.is_mine()) == (SIZE, True)
    part.path.unlink()
    assert not part.is_mine()
    part.path.write_bytes(DATA)
    assert not part.is_mine(), "another file has the name now"
    part.close()
    assert parts.claim(tmp_path / "none", "key") is None
    assert parts._taken(tmp_path, "key", tmp_path / "key.gone.part") is None


def test_N05_wrong_bytes_without_a_note_are_put_aside_too(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    part = parts.create(tmp_path / "root" / "partial", "key")
    part.append(b"wrong")
    aside = parts.quarantine(part, part.path.parent, {"file": "图.zip"})
    note = aside.with_suffix(".json").read_text("utf-8")
    assert (aside.read_bytes(), json.loads(note)) == (b"wrong", {"file": "图.zip"})
    assert "图.zip" in note, "a person reads it"
    modes = [path.stat().st_mode & 0o777 for path in (aside.parent, aside, aside.with_suffix(".json"))]
    assert modes == [0o700, 0o600, 0o600], "K09"


@pytest.mark.parametrize("locks", [True, False])
def test_C06_what_is_complete_outlives_its_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool) -> None:
    """What other runs began of the same file goes; this one stays, also where a lock keeps nobody away."""
    whole, other = (parts.create(tmp_path, "key") for _ in range(2))
    for part in (whole, other):
        part.append(b"bytes")
    other.close()
    if not locks:
        monkeypatch.setattr(fcntl, "flock", refuse(errno.ENOLCK))
    parts.sweep(tmp_path, "key", whole)
    assert list(tmp_path.iterdir()) == [whole.path]
    whole.close()
    parts.sweep(tmp_path, "another")
    assert list(tmp_path.iterdir()) == [whole.path]
    parts.sweep(tmp_path, "key")
    assert list(tmp_path.iterdir()) == []


def test_C06_who_lives_is_not_robbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aigiqa_cli.owners.lives", lambda note: bool(note.get("pid")))
    (tmp_path / "key.1.part").write_bytes(DATA)
    (tmp_path / "key.1.json").write_text('{"owner": {"pid": 1}}')
    assert parts.claim(tmp_path, "key") is None
    (tmp_path / "key.1.json").write_text('{"owner": 7, "size": "many", "label": null}')
    part = parts.claim(tmp_path, "key")
    assert part is not None
    assert part.note == Note()
    part.close()


# ---------------------------------------------------------------------------------------------------------------------
# Parts of a file at a mirror
# ---------------------------------------------------------------------------------------------------------------------


def remote(wire: Wire, session: Session, wanted: Wanted = PINNED) -> RemoteFile:
    return RemoteFile(wanted, wire.source(), session, wire.reporter)


def test_nothing_is_known_of_a_file_that_was_not_asked_for(wire: Wire, session: Session) -> None:
    with pytest.raises(ValueError, match="nothing is known"):
        _ = remote(wire, session).length


def test_N16_one_byte_tells_length_and_version(wire: Wire, session: Session) -> None:
    file = remote(wire, session)
    assert (file.settle(session), file.length) == (SIZE, SIZE)
    assert [entry.range for entry in wire.log] == [f"bytes={SIZE - 1}-{SIZE - 1}"]
    file.settle(session)
    assert len(wire.log) == 1, "it is known"


def test_N01_a_part_that_ends_early_without_a_word(wire: Wire, session: Session) -> None:
    file = remote(wire, session)
    wire.server.site.faults.add("/set.zip", Fault(no_length=True, cut=40))
    assert file.tail(100) == DATA[-100:]
    assert [entry.range for entry in wire.log] == [f"bytes={SIZE - 100}-{SIZE - 1}", f"bytes={SIZE - 60}-{SIZE - 1}"]


@pytest.mark.parametrize(("cut", "requests"), [(0, 5), (30, 4)])
def test_N14_only_new_bytes_are_progress(wire: Wire, session: Session, cut: int, requests: int) -> None:
    """Five tries without any, and as many as it takes while each brings some."""
    file, held = remote(wire, session), bytearray()
    file.tail(10)
    wire.log.clear()
    wire.server.site.faults.add("/set.zip", Fault(cut=cut, always=True))
    fetched = partial(file.fetch, [(0, 120)], lambda _, block: held.extend(block))
    if cut:
        fetched()
        assert bytes(held) == DATA[:120]
    else:
        with pytest.raises(TemporaryFault):
            fetched()
    assert len(wire.log) == requests


def test_N14_tries_are_counted_from_the_last_new_byte(wire: Wire, session: Session) -> None:
    """Five in a row, of which the first one brought some."""
    file = remote(wire, session)
    file.tail(10)
    wire.log.clear()
    wire.server.site.faults.add("/set.zip", Fault(cut=0), Fault(cut=30), Fault(cut=0, always=True))
    with pytest.raises(TemporaryFault):
        file.fetch([(0, 120)], lambda *_: None)
    assert [entry.start for entry in wire.log] == [0, 0, 30, 30, 30, 30]


def test_N23_of_two_workers_one_makes_the_link_anew(wire: Wire, session: Session) -> None:
    file = remote(wire, session)
    first = file._asked()
    file._forget(first)
    second = file._asked()
    file._forget(first)
    assert file._asked() is second, "what was made anew meanwhile stays"


def test_S24_workers_that_are_called_off_say_nothing(wire: Wire, session: Session) -> None:
    """The fault of one is the answer; the others stop where they are."""
    file = remote(wire, session)
    file.tail(10)
    pace = Pace(session.settings, session.limits)
    pace.stopped.set()
    spans = iter([(0, 10)])
    file._work(pace, lambda: next(spans, None), lambda *_: pytest.fail("nothing is brought"))
    assert len(wire.log) == 1


@pytest.mark.parametrize(
    ("fault", "problem"), [(Fault(shift=3), "N17"), (Fault(total=7), "N16"), (Fault(ignore_range=True), "N16")]
)
def test_N16_N17_a_span_that_is_not_the_one(wire: Wire, session: Session, fault: Fault, problem: str) -> None:
    file = remote(wire, session)
    file.tail(10)
    wire.server.site.faults.add("/set.zip", fault)
    with pytest.raises(Problem) as caught:
        file.fetch([(100, 200)], lambda *_: pytest.fail("nothing fits"))
    assert caught.value.fault == problem


# ---------------------------------------------------------------------------------------------------------------------
# The shelf of a tree
# ---------------------------------------------------------------------------------------------------------------------


def placed(held: shelf.Shelf, leaf: Leaf, data: bytes, origin: str = "host") -> None:
    path = held.parts / "some.part"
    path.write_bytes(data)
    path.with_suffix(".json").write_text("{}")
    digest = hashlib.sha256(data).hexdigest()
    held.place(Received(path, len(data), digest, "host", "http", "", 0, pinned=True), leaf, origin)
    assert list(held.parts.iterdir()) == []


def test_what_is_on_a_shelf_is_proven_or_goes(tmp_path: Path) -> None:
    held = shelf.claim(tmp_path, "key")
    leaf = Leaf("set/a.png", "", 5, hashlib.sha256(b"first").hexdigest())
    unhashed = Leaf("set/b.png", "", 6, tag="v1")
    assert not held.holds(leaf, "host")
    placed(held, leaf, b"first")
    placed(held, unhashed, b"second")
    held.close()
    held.close()
    held = shelf.claim(tmp_path, "key")
    assert held.holds(leaf, "another host"), "its hash is stated"
    assert held.holds(unhashed, "host")
    assert not held.holds(Leaf("set/b.png", "", 6, tag="v2"), "host"), "another version"
    assert not (held.files / "set" / "b.png").exists()
    assert not held.holds(Leaf("set/a.png", "", 6, leaf.sha256), "host"), "another length"
    (held.files / "set" / "a.png").mkdir()
    (held.files / "set" / "a.png" / "inside").write_bytes(b"")
    assert not held.holds(leaf, "host"), "a folder in its place goes too"
    assert list((held.files / "set").iterdir()) == []
    placed(held, leaf, b"other")
    assert not held.holds(leaf, "host"), "other bytes"
    held.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_the_listing_does_not_have_goes(tmp_path: Path) -> None:
    held = shelf.claim(tmp_path, "key")
    for path in ("a/keep.png", "a/old.png", "b/old.png"):
        placed(held, Leaf(path, ""), b"x")
    (held.files / "link").symlink_to(tmp_path)
    held.keep_only({"a/keep.png"})
    assert sorted(str(path.relative_to(held.files)) for path in held.files.rglob("*")) == ["a", "a/keep.png"]
    held.close()


@pytest.mark.parametrize("owner", [b"", b"{", b"[]", b"{}"])
def test_the_fullest_shelf_that_is_free_is_taken(tmp_path: Path, owner: bytes) -> None:
    """One without a journal is the emptiest; one in use is left alone."""
    for number, lines in enumerate((3, 2, 0)):
        folder = tmp_path / f"key.{number}.tree"
        folder.mkdir()
        (folder / "owner.json").write_bytes(owner)
        if lines:
            line = json.dumps(["a.png", "0" * 64, "host", ""]) + "\n"
            (folder / "journal.jsonl").write_text(line * lines + 'not json\n["too", "short"]\n[1, 2, 3, 4]\n')
    descriptor = os.open(tmp_path / "key.0.tree", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    handles = os.listdir("/proc/self/fd")
    held = shelf.claim(tmp_path, "key")
    assert held.folder.name == "key.1.tree"
    assert held._remembered(Leaf("a.png", ""), "host") == "0" * 64
    held.close()
    assert os.listdir("/proc/self/fd") == handles
    os.close(descriptor)


def test_K09_a_shelf_is_its_owner_s_alone(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    held = shelf.claim(tmp_path / "root" / "partial", "key")
    folders = (held.folder.parent, held.folder, held.files, held.parts)
    assert [path.stat().st_mode & 0o777 for path in folders] == [0o700] * 4
    held.discard()


def test_S21_C06_shelves_where_locks_are_missing_or_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key.0.tree").symlink_to("nowhere")
    held = shelf.claim(tmp_path, "key")
    assert held.folder.is_dir()
    held.close()
    monkeypatch.setattr(fcntl, "flock", refuse(errno.ENOLCK))
    again = shelf.claim(tmp_path, "key")
    assert again.folder == held.folder
    again.close()
    monkeypatch.setattr("aigiqa_cli.owners.lives", bool)
    other = shelf.claim(tmp_path, "key")
    assert other.folder != held.folder, "its owner lives, whatever its lock says"
    other.close()


def test_C07_a_shelf_that_goes_in_the_moment_it_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody removes it between opening and locking; then another one is made."""
    real, taken = fcntl.flock, []

    def flock(descriptor: int, how: int) -> None:
        real(descriptor, how)
        if not taken:
            taken.append(os.readlink(f"/proc/self/fd/{descriptor}"))
            os.rmdir(taken[0])

    monkeypatch.setattr(fcntl, "flock", flock)
    held = shelf.claim(tmp_path, "key")
    assert (held.folder.is_dir(), str(held.folder) != taken[0]) == (True, True)
    held.close()


# ---------------------------------------------------------------------------------------------------------------------
# Trees
# ---------------------------------------------------------------------------------------------------------------------


class Trees:
    """Trees of a few files on a plain server."""

    def __init__(self, wire: Wire) -> None:
        self.wire, self.limits = wire, Limits()

    def leaf(self, path: str, data: bytes, **about: Any) -> Leaf:
        self.wire.server.site.put(f"/{path}", data, type="application/octet-stream")
        known = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} | about
        return Leaf(path, self.wire.server.url(f"/{path}"), **known)

    def source(self, *leaves: Leaf, label: str = "host", faults: Iterator[Problem] | None = None) -> TreeSource:
        def listing() -> Listing:
            for fault in faults or ():
                raise fault
            return Listing(leaves)

        return TreeSource("http", label, listing)

    def receive(self, *sources: TreeSource, connections: int = 2) -> ReceivedTree:
        with Session(settings=self.wire.settings, limits=self.limits) as session:
            wanted = Wanted("images", "tree")
            return receive_tree(
                wanted, sources, self.wire.partial, session, self.wire.reporter, connections=connections
            )

    def fails(self, *sources: TreeSource, connections: int = 2) -> Problem:
        with pytest.raises(Problem) as caught:
            self.receive(*sources, connections=connections)
        return caught.value


@pytest.fixture
def trees(wire: Wire) -> Trees:
    return Trees(wire)


def test_a_tree_of_a_plain_host(trees: Trees) -> None:
    leaves = [trees.leaf("a.png", b"one"), trees.leaf("b/c.png", b"two")]
    got = trees.receive(trees.source(*leaves))
    assert (got.files, got.bytes, (got.path / "b" / "c.png").read_bytes()) == (2, 6, b"two")
    got.discard()
    empty = trees.receive(trees.source())
    assert (empty.files, list(empty.path.iterdir())) == (0, [])
    empty.discard()


def test_of_how_many_files_no_hash_is_listed_is_said(trees: Trees) -> None:
    """Git's own hash is one, too."""
    blob = hashlib.sha1(b"blob 3\0two").hexdigest()
    leaves = [
        trees.leaf("a.png", b"one"),
        trees.leaf("b.png", b"two", sha256="", blob=blob),
        trees.leaf("c.png", b"three", sha256=""),
    ]
    got = trees.receive(trees.source(*leaves))
    assert got.unhashed == 1
    assert "host lists no hashes for 1 files: only lengths are checked" in trees.wire.reporter.notes
    got.discard()


def test_files_of_a_tree_are_not_flushed_one_by_one(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever publishes them flushes them all at once; one by one a disk takes minutes for a hundred thousand."""
    flushed: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    leaves = [trees.leaf(f"{number}.png", b"data") for number in range(3)]
    trees.receive(trees.source(*leaves)).discard()
    assert [path for path in flushed if not os.path.isdir(path)] == []


def test_the_disk_begins_with_the_larger_files_of_a_tree(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(folders, "begin_flush", lambda _, at, count: told.append((at, count)))
    leaves = [trees.leaf("a.png", bytes(128 << 10)), trees.leaf("b.png", bytes((128 << 10) - 1))]
    trees.receive(trees.source(*leaves)).discard()
    assert told == [(0, 128 << 10)]


def test_N22_no_host_at_all(trees: Trees) -> None:
    assert trees.fails().fault == "N22"


@pytest.mark.parametrize("times", [1, 9])
def test_N13_a_listing_is_asked_for_again(trees: Trees, times: int) -> None:
    leaf = trees.leaf("a.png", b"one")
    busy = Later("busy", fault="N13")
    busy.wait = 0.0
    faults: Iterator[Problem] = iter([busy, TemporaryFault("gone for now", fault="N14")][:times] * times)
    if times == 1:
        trees.receive(trees.source(leaf, faults=faults)).discard()
    else:
        assert trees.fails(trees.source(leaf, faults=faults)).exit_code == Exit.TEMPORARY
        assert len(list(faults)) == 2 * 9 - Limits().tries


def test_N13_a_host_that_asks_for_too_long_is_asked_no_more(trees: Trees) -> None:
    over = Later("come back tomorrow", fault="N13")
    over.over = True
    faults: Iterator[Problem] = iter([over, over])
    assert trees.fails(trees.source(faults=faults)).fault == "N13"
    assert len(list(faults)) == 1


def test_A14_a_tree_of_too_many_files(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aigiqa_cli.transport.tree.MOST_FILES", 1)
    leaves = [Leaf("a.png", ""), Leaf("b.png", "")]
    assert trees.fails(trees.source(*leaves)).fault == "A14"


@pytest.mark.parametrize("pair", [("a.png", "A.png"), ("a", "a/b.png")])
def test_A15_two_files_that_are_one(trees: Trees, pair: tuple[str, str]) -> None:
    assert trees.fails(trees.source(*(Leaf(path, "") for path in pair))).fault == "A15"


@pytest.mark.parametrize(("free", "fits"), [(5, False), (6, True)])
def test_S04_a_tree_for_which_there_is_no_room_is_not_begun(
    trees: Trees, monkeypatch: pytest.MonkeyPatch, free: int, fits: bool
) -> None:
    """For each file by itself there would be."""
    leaves = [trees.leaf("a.png", b"one"), trees.leaf("b.png", b"two")]
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    if fits:
        trees.receive(trees.source(*leaves)).discard()
    else:
        assert trees.fails(trees.source(*leaves)).fault == "S04"
        assert trees.wire.log == []


def test_S04_no_other_host_helps_a_full_disk(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    leaf = trees.leaf("a.png", b"one")
    monkeypatch.setattr(parts.Part, "append", refuse(errno.ENOSPC))
    fault = trees.fails(trees.source(leaf), trees.source(leaf, label="another"))
    assert (fault.fault, "a.png was not delivered" in fault.message) == ("S04", True)


@pytest.mark.parametrize("first", ["busy", "wrong"])
def test_N22_of_several_hosts_the_gravest_fault_gives_the_advice(trees: Trees, first: str) -> None:
    trees.limits = Limits(tries=1)
    busy = trees.leaf("a.zip", DATA)
    trees.wire.server.site.faults.add("/a.zip", Fault(status=500, always=True))
    trees.wire.server.site.put("/wrong.zip", OTHER)
    wrong = replace(busy, url=trees.wire.server.url("/wrong.zip"))
    sources = [trees.source(busy, label="busy"), trees.source(wrong, label="wrong")]
    fault = trees.fails(*sorted(sources, key=lambda source: source.label != first))
    assert isinstance(fault, IntegrityFault)
    assert (fault.fault, fault.hint) == ("N22", "the host delivers other bytes than it lists; nothing was installed")


def test_N01_a_file_that_is_cut_is_continued_and_counted_once(trees: Trees) -> None:
    """What came twice is no progress, and whoever watches is told of each byte once."""
    leaf = trees.leaf("a.zip", DATA)
    trees.wire.server.site.faults.add("/a.zip", Fault(cut=100_000), Fault(cut=200_000, ignore_range=True))
    trees.receive(trees.source(leaf), connections=1).discard()
    assert trees.wire.reporter.advanced == SIZE
    assert any("it is tried again" in note for note in trees.wire.reporter.notes)


def test_N05_pieces_that_do_not_fit_are_fetched_anew(trees: Trees) -> None:
    """The first one was of another version: its hash gives the whole away, and the file is asked for once more at once."""
    leaf = trees.leaf("a.zip", DATA)
    trees.wire.server.site.faults.add("/a.zip", Fault(cut=1_000, flip=10))
    trees.receive(trees.source(leaf), connections=1).discard()
    assert [entry.start for entry in trees.wire.log] == [0, 1_000, 0]


def test_N07_a_host_that_gives_nothing_is_left_alone(trees: Trees) -> None:
    """After a few fruitless tries, however many files are still wanted."""
    trees.limits = Limits(tries=3)
    leaves = [trees.leaf(f"{number}.png", b"data") for number in range(50)]
    for leaf in leaves:
        trees.wire.server.site.faults.add(f"/{leaf.path}", Fault(status=500, always=True))
    assert trees.fails(trees.source(*leaves), connections=1).exit_code == Exit.TEMPORARY
    assert len(trees.wire.log) <= 4


def test_N01_a_file_that_takes_too_many_tries_is_given_up(trees: Trees) -> None:
    trees.limits = Limits(attempts=2)
    leaf = trees.leaf("a.zip", DATA)
    trees.wire.server.site.faults.add("/a.zip", *[Fault(cut=10, always=True)])
    assert trees.fails(trees.source(leaf), connections=1).fault == "N01"
    assert len(trees.wire.log) == 2


def test_N17_pieces_that_never_fit_are_asked_for_so_often(trees: Trees) -> None:
    trees.limits = Limits(attempts=4, tries=50)
    leaf = trees.leaf("a.zip", DATA)
    trees.wire.server.site.faults.add("/a.zip", *[Fault(cut=10), Fault(shift=1)] * 5)
    assert trees.fails(trees.source(leaf), connections=1).fault == "N17"
    assert [entry.start for entry in trees.wire.log] == [0, 10, 0, 10]


@pytest.mark.parametrize(("answers", "asked"), [(("bad",) * 9, 3), (("bad", "bad", "cut", "bad", "bad"), 6)])
def test_N14_a_file_of_a_tree_is_tried_as_often_as_any(trees: Trees, answers: tuple[str, ...], asked: int) -> None:
    """Given up after so many tries without new bytes, which begin to count anew with each that brought some."""
    trees.limits = Limits(tries=3)
    leaves = [trees.leaf("a.zip", DATA), trees.leaf("b.png", b"data")]
    kinds = {"bad": Fault(status=500), "cut": Fault(cut=1_000)}
    trees.wire.server.site.faults.add("/a.zip", *(kinds[word] for word in answers))
    if asked == 3:
        assert trees.fails(trees.source(*leaves)).exit_code == Exit.TEMPORARY
    else:
        trees.receive(trees.source(*leaves)).discard()
    assert sum(entry.path == "/a.zip" for entry in trees.wire.log) == asked


def test_what_one_file_says_is_a_detail_of_the_tree(session: Session) -> None:
    told: list[str] = []
    reporter: Any = SimpleNamespace(detail=told.append, advance=lambda count: told.append(f"+{count}"))
    tally = tree._Tally(reporter, Pace(session.settings, session.limits))
    tally.note("of note")
    tally.detail("of less")
    tally.advance(5)
    tally.phase("anew", done=2)
    tally.advance(2)
    tally.advance(2)
    assert told == ["of note", "of less", "+5", "+1"], "what comes twice is counted once"
