"""Statuses, waiting, silence, certificates; and the one verdict when every mirror fails."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from doubles import Box, Fault
from wire import DATA, IMPATIENT, OTHER, PINNED, Wire, same

from aigiqa_cli.errors import Exit, TemporaryFault
from aigiqa_cli.transport.model import Limits


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, 3),
        (403, 3),
        (451, 3),
        (404, 3),
        (410, 3),
        (408, 6),
        (425, 6),
        (429, 6),
        (500, 6),
        (502, 6),
        (503, 6),
        (504, 6),
    ],
)
def test_N07_status_decides_the_exit(wire: Wire, status: int, code: int) -> None:
    body = b"PK\x03\x04" + b"not the file" * 100
    wire.server.site.faults.add("/set.zip", Fault(status=status, body=body, always=True))
    assert wire.fails(PINNED, wire.source()).exit_code == code
    assert wire.bytes_kept() == 0, "the body of an error is never stored"
    assert len(wire.log) == (1 if code == 3 else 5)


@pytest.mark.parametrize("status", [401, 403, 404, 410, 451, 500, 503])
def test_N07_next_mirror_serves(wire: Wire, status: int) -> None:
    wire.server.site.faults.add("/bad.zip", Fault(status=status, always=True))
    assert same(wire.receive(PINNED, wire.source("/bad.zip"), wire.source()))
    assert [entry.path for entry in wire.log].count("/bad.zip") <= 2


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "-5",
        "soon",
        "",
        "Fri, 01 Jan 1999 00:00:00 GMT",
        "0.5",
        format_datetime(datetime.now(UTC) - timedelta(days=1)),
    ],
    ids=["zero", "negative", "word", "empty", "long-past", "fraction", "yesterday"],
)
@pytest.mark.parametrize("status", [429, 503])
def test_N13_retry_after_short_or_senseless(wire: Wire, value: str, status: int) -> None:
    wire.server.site.faults.add("/set.zip", Fault(status=status, headers=(("Retry-After", value),)))
    assert same(wire.receive(PINNED, wire.source()))
    assert len(wire.log) == 2


@pytest.mark.parametrize("value", ["3600", "9" * 40, "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_N13_retry_after_too_long_says_when(wire: Wire, value: str) -> None:
    wire.server.site.faults.add("/set.zip", Fault(status=429, headers=(("Retry-After", value),), always=True))
    problem = wire.fails(PINNED, wire.source())
    assert isinstance(problem, TemporaryFault)
    assert len(wire.log) == 1, "a host that asks for an hour is not asked again"
    assert "come back" in str(problem) + problem.hint


def test_N13_other_mirrors_meanwhile(wire: Wire) -> None:
    wire.server.site.faults.add("/busy.zip", Fault(status=503, headers=(("Retry-After", "3600"),), always=True))
    assert same(wire.receive(PINNED, wire.source("/busy.zip"), wire.source()))


def test_N14_connection_refused(wire: Wire) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}/set.zip"
        assert wire.fails(PINNED, wire.source(url=dead)).exit_code == Exit.TEMPORARY
        assert same(wire.receive(PINNED, wire.source(url=dead), wire.source()))


def test_N14_tls_cut(box: Box, wire: Wire) -> None:
    site = box.web("files.example.org")
    site.put("/set.zip", DATA)
    site.faults.add("/set.zip", Fault(cut=100_000), Fault(cut=100_000, how="rst"))
    wire.settings = box.settings() | {"AIGIQA_RETRY_SECONDS": "0.001"}
    assert same(wire.receive(PINNED, wire.source(url="https://files.example.org/set.zip")))
    assert [entry.start for entry in box.log] == [0, 100_000, 200_000]


def test_N15_certificate_of_an_unknown_authority(box: Box, wire: Wire) -> None:
    box.web("files.example.org").put("/set.zip", DATA)
    wire.settings = {name: value for name, value in box.settings().items() if "PROXY" in name.upper()}
    problem = wire.fails(PINNED, wire.source(url="https://files.example.org/set.zip"))
    assert "certificate" in str(problem)
    assert "clock" not in problem.hint
    assert problem.exit_code == Exit.PERSON
    assert box.log == []


@pytest.mark.parametrize(
    ("name", "days", "word"), [("files.example.org", -1, "clock"), ("portal.example.net", 300, "certificate")]
)
def test_N15_expired_certificate_or_wrong_name(box: Box, wire: Wire, name: str, days: int, word: str) -> None:
    box.web("files.example.org").put("/set.zip", DATA)
    box.certify("files.example.org", name, datetime.now(UTC) + timedelta(days=days))
    wire.settings = box.settings()
    problem = wire.fails(PINNED, wire.source(url="https://files.example.org/set.zip"))
    assert problem.exit_code == Exit.PERSON
    assert word in str(problem) + problem.hint
    assert box.log == [], "nothing is asked over an unverified connection"


@pytest.mark.parametrize(("statuses", "code"), [((503, 503), 6), ((404, 503), 3), ((404, 404), 3), ((403, 500), 3)])
def test_N22_all_mirrors_fail(wire: Wire, statuses: tuple[int, int], code: int) -> None:
    for path, status in zip(("/a.zip", "/b.zip"), statuses, strict=True):
        wire.server.site.faults.add(path, Fault(status=status, always=True))
    problem = wire.fails(PINNED, wire.source("/a.zip", "mirror A"), wire.source("/b.zip", "mirror B"))
    assert problem.exit_code == code
    told = str(problem) + str([finding.as_json() for finding in problem.findings])
    for word in ("mirror A", "mirror B", *map(str, statuses)):
        assert word in told


def test_N22_wrong_bytes_outweigh_other_failures(wire: Wire) -> None:
    wire.server.site.put("/bad.zip", OTHER)
    wire.server.site.faults.add("/down.zip", Fault(status=503, always=True))
    assert (
        wire.fails(PINNED, wire.source("/bad.zip"), wire.source("/down.zip"), wire.source("/none.zip")).exit_code
        == Exit.INTEGRITY
    )


def test_N11_silence_in_the_middle(wire: Wire) -> None:
    wire.limits = IMPATIENT
    wire.server.site.faults.add("/set.zip", Fault(cut=100_000, stall=20))
    assert same(wire.receive(PINNED, wire.source()))
    assert wire.starts() == [0, 100_000]


def test_N11_silence_before_the_first_byte(wire: Wire) -> None:
    wire.limits = IMPATIENT
    wire.server.site.faults.add("/set.zip", Fault(delay=20))
    assert same(wire.receive(PINNED, wire.source()))


def test_N12_drip_feed_is_given_up(wire: Wire) -> None:
    wire.limits = Limits(drip_bytes=60_000, drip_window=0.2)
    wire.server.site.put("/drip.zip", DATA)
    wire.server.site.faults.add("/drip.zip", Fault(rate=1000, always=True))
    got = wire.receive(PINNED, wire.source("/drip.zip"), wire.source())
    assert same(got)
    assert got.source == "http /set.zip"
