"""A receiving process is killed or interrupted; the next run goes on from what it left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import LIMIT, REPOSITORY
from wire import LOOSE, OTHER, PINNED, QUICK, SIZE, Wire, same

from aigiqa_cli.transport import Wanted

CHILD = """
import sys
from pathlib import Path
from aigiqa_cli.reporting import Silent
from aigiqa_cli.transport import Request, Session, Source, Wanted, receive
url, folder, size, sha256 = sys.argv[1:]
with Session() as session:
    source = Source("http", "http /set.zip", lambda: Request(url))
    receive(Wanted("set.zip", "zip", int(size) or None, sha256), [source], Path(folder), session, Silent())
"""


@pytest.fixture
def wire(wire: Wire) -> Wire:
    wire.server.rate = 400_000
    return wire


def _stopped(wire: Wire, wanted: Wanted, number: signal.Signals) -> int:
    """Bytes on disk after a child process was signalled at 35 percent."""
    words = [wire.server.url("/set.zip"), str(wire.partial), str(wanted.bytes or 0), wanted.sha256]
    environment = dict(os.environ) | QUICK | {"PYTHONPATH": str(REPOSITORY)}
    child = subprocess.Popen([sys.executable, "-c", CHILD, *words], env=environment, stderr=subprocess.DEVNULL)
    while child.poll() is None and sum(path.stat().st_size for path in wire.files("*.part")) < SIZE * 0.35:
        time.sleep(0.005)
    assert child.poll() is None, "it ended before it could be stopped"
    child.send_signal(number)
    child.wait(timeout=LIMIT)
    wire.server.rate = 0
    wire.log.clear()
    return sum(path.stat().st_size for path in wire.files("*.part"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("wanted", [PINNED, LOOSE])
def test_next_run_asks_for_the_rest_once(wire: Wire, wanted: Wanted, number: signal.Signals) -> None:
    left = _stopped(wire, wanted, number)
    assert left >= SIZE * 0.35
    got = wire.receive(wanted, wire.source())
    assert same(got)
    assert got.resumed_from == left
    assert wire.starts() == [left]
    assert wire.files() == [got.path.with_suffix(".json"), got.path], "no extra files"


def test_killed_twice(wire: Wire) -> None:
    first = _stopped(wire, PINNED, signal.SIGKILL)
    wire.server.rate = 400_000
    part = wire.files("*.part")[0]
    os.truncate(part, first // 2)
    second = _stopped(wire, PINNED, signal.SIGKILL)
    assert same(wire.receive(PINNED, wire.source()))
    assert wire.starts() == [second]


def test_N16_replaced_while_nobody_ran(wire: Wire) -> None:
    _stopped(wire, LOOSE, signal.SIGKILL)
    wire.server.site.put("/set.zip", OTHER)
    got = wire.receive(LOOSE, wire.source())
    assert same(got, OTHER), "never old bytes followed by new ones"
    assert wire.log[0].if_range
