"""Downloads over several connections: the same bytes in the same order, whoever brought them, and never too many."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from doubles import Entry
from doubles import Fault as Cut
from wire import Wire, same

from aigiqa_cli.errors import Fault, IntegrityFault, PersonNeeded, TemporaryFault
from aigiqa_cli.transport import Wanted, lanes
from aigiqa_cli.transport.lanes import Pieces
from aigiqa_cli.transport.model import Again, Later, Limits

RATE = 400_000  # bytes a second of each connection
DATA = b"PK\x03\x04" + random.Random(3).randbytes(799_996)
OTHER = b"PK\x03\x04" + random.Random(4).randbytes(799_996)
SHA256 = hashlib.sha256(DATA).hexdigest()
PINNED = Wanted("big.zip", "zip", len(DATA), SHA256)
LOOSE = Wanted("big.zip", "zip")
BIG = "/big.zip"


@pytest.fixture
def big(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """A host that gives every connection little, and a receiver for which small is large."""
    for name, value in (
        ("WORTH", 100_000),
        ("LISTEN", 0.1),
        ("WAIT", 0.3),
        ("GAIN", 1.1),
        ("LEFT", 0.5),
        ("SMALLEST", 20_000),
        ("LARGEST", 50_000),
    ):
        monkeypatch.setattr(lanes, name, value)
    wire.server.site.put(BIG, DATA)
    wire.server.rate = RATE
    wire.settings["AIGIQA_RETRY_SECONDS"] = "0.01"
    return wire


def pieces(wire: Wire, path: str = BIG) -> list[Entry]:
    """The requests for a piece in the middle."""
    return [entry for entry in wire.log if entry.path == path and not entry.range.endswith("-") and entry.range]


@pytest.mark.parametrize("wanted", [PINNED, LOOSE])
def test_pieces_over_several_connections_make_the_file(big: Wire, wanted: Wanted) -> None:
    got = big.receive(wanted, big.source(BIG))
    assert same(got, DATA)
    asked = pieces(big)
    assert len(asked) > 4
    assert {entry.status for entry in asked} == {206}
    assert all(entry.if_range for entry in asked), "every piece is asked for of this very version"
    starts = sorted({entry.start for entry in asked})
    assert all(20_000 <= later - start <= 50_000 for start, later in pairwise(starts)), "cut without gaps"
    assert big.reporter.advanced == len(DATA), "what came twice is counted once"
    assert got.source == "http /big.zip"


def test_a_part_that_was_begun_is_continued_by_lanes(big: Wire) -> None:
    big.server.site.faults.add(BIG, Cut(cut=30_000))
    got = big.receive(PINNED, big.source(BIG))
    assert same(got, DATA)
    assert big.starts()[:2] == [0, 30_000]
    assert len(pieces(big)) > 4


@pytest.mark.parametrize(
    "why", ["one is allowed", "no parts", "no length", "no version", "small", "soon done", "nobody gains"]
)
def test_one_connection_stays_alone(big: Wire, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    blob = big.server.site.put
    if why == "one is allowed":
        big.limits = Limits.chosen({"AIGIQA_CONNECTIONS": "1"})
    elif why == "no parts":
        blob(BIG, DATA, ranges=False)
    elif why == "no length":
        big.server.site.faults.add(BIG, Cut(chunked=True))
    elif why == "no version":
        blob(BIG, DATA, etag=None, modified=None)
    elif why == "small":
        monkeypatch.setattr(lanes, "WORTH", len(DATA) + 1)
    elif why == "soon done":
        monkeypatch.setattr(lanes, "LEFT", 60.0)
    else:
        monkeypatch.setattr(lanes, "GAIN", 60.0)
    assert same(big.receive(PINNED, big.source(BIG)), DATA)
    assert len(pieces(big)) <= (5 if why == "nobody gains" else 0), "the second one is given up"
    assert big.log[0].sent == len(DATA), "the first one brought everything"


@pytest.mark.parametrize(("delay", "many"), [(0.1, True), (1.5, False)])
def test_a_second_connection_has_time_to_begin(big: Wire, delay: float, many: bool) -> None:
    """A host may be far away; one that keeps silent brings no gain."""
    big.server.site.faults.add(BIG, Cut(rate=RATE), Cut(rate=RATE, delay=delay))
    assert same(big.receive(PINNED, big.source(BIG)), DATA)
    assert (len(pieces(big)) > 4) == many


def test_one_connection_is_listened_to_for_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four blocks of 10,000 bytes come in it; then it is decided by what they tell."""
    now, left = [0.0], [b"x" * 10_000] * 90
    monkeypatch.setattr(lanes.time, "monotonic", lambda: now[0])

    def read(_count: int) -> bytes:
        now[0] += 0.25
        return left.pop() if left else b""

    tried: list[tuple[int, float]] = []
    crew = lanes.Lanes(SimpleNamespace(), [], SimpleNamespace(), SimpleNamespace(), 900_000)  # type: ignore[arg-type]
    monkeypatch.setattr(crew, "_try", lambda at, alone: tried.append((at, alone)) or at)
    assert b"".join(crew.blocks(SimpleNamespace(read=read), 0)) == b"x" * 900_000  # type: ignore[arg-type]
    assert tried == [(40_000, 40_000.0)]


@pytest.mark.parametrize(("rate", "size"), [(100_000, 1 << 20), (2_000_000, 2_000_000), (50_000_000, 4 << 20)])
def test_the_second_connection_begins_where_the_first_will_be(
    monkeypatch: pytest.MonkeyPatch, rate: int, size: int
) -> None:
    """In 1.5 seconds for its first byte and one for the comparison; a piece is what comes in a second, 1 to 4 MiB."""
    crew = lanes.Lanes(SimpleNamespace(), [], SimpleNamespace(), SimpleNamespace(), 10**9)  # type: ignore[arg-type]
    monkeypatch.setattr(crew, "_start", lambda _: None)
    assert crew._try(1_000, float(rate)) == 1_000 + rate * 5 // 2
    assert crew.pieces is not None
    assert (crew.pieces.begin, crew.pieces.end, crew.pieces.size) == (1_000 + rate * 5 // 2, 10**9, size)


def test_never_more_connections_than_allowed(big: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    busy, most = [0], [0]
    lock, real = threading.Lock(), lanes.Lanes._piece

    def piece(*words: object) -> bytes | None:
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        try:
            return real(*words)  # type: ignore[arg-type]
        finally:
            with lock:
                busy[0] -= 1

    monkeypatch.setattr(lanes.Lanes, "_piece", piece)
    big.limits = Limits.chosen({"AIGIQA_CONNECTIONS": "3"})
    assert same(big.receive(PINNED, big.source(BIG)), DATA)
    assert 1 < most[0] <= 3


@pytest.mark.parametrize(
    ("word", "count"), [("1", 1), ("16", 16), ("", 4), ("0", 4), ("17", 4), ("many", 4), ("-3", 4), ("1000", 4)]
)
def test_how_many_connections_are_allowed(word: str, count: int) -> None:
    assert Limits.chosen({"AIGIQA_CONNECTIONS": word}).connections == count


# ---------------------------------------------------------------------------------------------------------------------
# Several mirrors


def test_mirrors_of_pinned_bytes_help_each_other(big: Wire) -> None:
    big.server.site.put("/twin.zip", DATA)
    got = big.receive(PINNED, big.source(BIG), big.source("/twin.zip"))
    assert same(got, DATA)
    assert got.source == "http /big.zip, http /twin.zip"
    assert len(pieces(big, "/twin.zip")) > 1
    assert len(pieces(big)) > 1


def test_without_a_pin_no_other_mirror_is_asked(big: Wire) -> None:
    big.server.site.put("/twin.zip", DATA)
    assert same(big.receive(LOOSE, big.source(BIG), big.source("/twin.zip")), DATA)
    assert not [entry for entry in big.log if entry.path == "/twin.zip"]


def test_a_mirror_that_fails_sheds_its_share(big: Wire) -> None:
    big.server.site.put("/twin.zip", DATA)
    fine = [Cut(rate=RATE)] * 3  # its length, and two pieces
    big.server.site.faults.add("/twin.zip", *fine, Cut(status=500, always=True))
    assert same(big.receive(PINNED, big.source(BIG), big.source("/twin.zip")), DATA)
    assert [entry.status for entry in big.log if entry.path == "/twin.zip"][-2:] == [500, 500], "then it is left alone"


def test_a_mirror_that_becomes_slow_is_not_waited_for(big: Wire) -> None:
    big.server.site.put("/twin.zip", DATA)
    big.server.site.faults.add("/twin.zip", *[Cut(rate=RATE)] * 3, Cut(rate=RATE, cut=5_000, stall=20.0, always=True))
    assert same(big.receive(PINNED, big.source(BIG), big.source("/twin.zip")), DATA)
    assert len({entry.range for entry in pieces(big)} & {entry.range for entry in pieces(big, "/twin.zip")}) >= 1


def test_a_mirror_of_another_length_is_no_mirror(big: Wire) -> None:
    big.server.site.put("/twin.zip", DATA[:-1])
    got = big.receive(PINNED, big.source(BIG), big.source("/twin.zip"))
    assert same(got, DATA)
    assert got.source == "http /big.zip"


def test_a_mirror_of_another_length_is_left_alone_where_only_the_hash_is_known(big: Wire) -> None:
    big.server.site.put("/twin.zip", DATA + b"more")
    got = big.receive(Wanted("big.zip", "zip", None, SHA256), big.source(BIG), big.source("/twin.zip"))
    assert same(got, DATA)
    assert got.source == "http /big.zip"


def test_N05_wrong_bytes_of_one_mirror_do_not_spoil_the_other_s(big: Wire) -> None:
    big.server.site.put("/twin.zip", OTHER)
    got = big.receive(PINNED, big.source(BIG), big.source("/twin.zip"))
    assert same(got, DATA)
    assert got.source == "http /big.zip", "begun anew, over one connection"
    assert big.starts().count(0) == 2
    assert any("wrong SHA-256" in note for note in big.reporter.notes)


def test_N05_wrong_bytes_of_all_are_refused(big: Wire) -> None:
    big.server.site.put(BIG, OTHER)
    assert isinstance(big.fails(PINNED, big.source(BIG)), IntegrityFault)


# ---------------------------------------------------------------------------------------------------------------------
# What goes wrong meanwhile


def test_N16_two_versions_are_never_glued(big: Wire) -> None:
    """The file is replaced while pieces are fetched: what was there belongs to the old one."""
    newer = Cut(rate=RATE, then=replace(big.server.site.blobs[BIG], data=OTHER))
    big.server.site.faults.add(BIG, *[Cut(rate=RATE)] * 4, newer)
    assert same(big.receive(LOOSE, big.source(BIG)), OTHER)


@pytest.mark.parametrize("status", [429, 503])
def test_N13_who_is_busy_is_asked_less(big: Wire, status: int) -> None:
    slow = Cut(status=status, headers=(("Retry-After", "0"),))
    big.server.site.faults.add(BIG, *[Cut(rate=RATE)] * 5, slow, slow, slow)
    assert same(big.receive(PINNED, big.source(BIG)), DATA)
    at = [entry.status for entry in big.log].index(status)
    assert len(big.log) > at + 3


def crew_of_one(said: list[Any]) -> SimpleNamespace:
    """What a lane of one mirror sees of the others; its pieces, or faults, are these."""

    def piece(*_about: object) -> bytes:
        if isinstance(now := said.pop(0), Fault):
            raise now
        return now

    return SimpleNamespace(first=SimpleNamespace(label="one", remote=None), _piece=piece, helped=set())


@pytest.mark.parametrize(("at_work", "ended"), [(2, True), (1, False)])
def test_N13_a_lane_ends_at_a_busy_mirror_unless_it_is_the_last(at_work: int, ended: bool) -> None:
    busy = Later("the host is busy", fault="N13")
    said = [busy, b"a", b"b", b"c"]
    shared = Pieces(0, 3, 1)
    for _ in range(at_work):
        shared.enter("one")
    shared.enter("two")

    crew = crew_of_one(said)
    fault = lanes.Lanes._fetch(crew, crew.first, shared, None)  # type: ignore[arg-type]
    assert fault is (busy if ended else None)
    assert len(said) == (3 if ended else 0)
    assert shared.take() == (0 if ended else None), "the piece goes to somebody else"


def test_N14_a_lane_ends_after_two_failures_in_a_row() -> None:
    """What it brings in between begins the count anew."""
    lost = TemporaryFault("the connection was lost", fault="N14")
    said: list[Fault | bytes] = [lost, b"a", lost, lost, b"b"]
    shared = Pieces(0, 3, 1)
    shared.enter("one")

    crew = crew_of_one(said)
    assert lanes.Lanes._fetch(crew, crew.first, shared, None) is lost  # type: ignore[arg-type]
    assert said == [b"b"]
    assert crew.helped == {"one"}
    assert shared.take() == 1, "the piece goes to somebody else"


@pytest.mark.parametrize(
    "fault", [Cut(cut=3_000), Cut(cut=3_000, how="rst"), Cut(ignore_range=True), Cut(shift=1), Cut(total=7)]
)
def test_N17_pieces_that_do_not_fit_are_not_used(big: Wire, fault: Cut) -> None:
    big.server.site.faults.add(BIG, *[Cut(rate=RATE)] * 4, fault, fault, fault)
    assert same(big.receive(LOOSE, big.source(BIG)), DATA)


def test_when_every_lane_has_failed_one_connection_goes_on(big: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    real, fetched = lanes.Lanes._piece, []

    def piece(*words: object) -> bytes | None:
        fetched.append(words)
        if len(fetched) > 4:
            raise PersonNeeded("the host shows its house rules", fault="N07")
        return real(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(lanes.Lanes, "_piece", piece)
    assert same(big.receive(PINNED, big.source(BIG)), DATA)
    last = big.log[-1]
    assert last.range.endswith("-")
    assert last.start > 0, "what was put in order is kept"


def test_S09_no_thread_can_be_started(big: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    daemons: list[bool] = []

    class Refused(threading.Thread):
        def start(self) -> None:
            daemons.append(self.daemon)
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(lanes, "threading", SimpleNamespace(Thread=Refused, Condition=threading.Condition))
    assert same(big.receive(PINNED, big.source(BIG)), DATA)
    assert not pieces(big)
    assert daemons == [True], "it would not have kept alive a program that is interrupted"


def test_S01_what_is_on_the_disk_is_always_the_beginning(big: Wire) -> None:
    """Stopped at whatever moment: no gap is ever behind what was put in order."""
    for stop in range(250_000, len(DATA), 150_000):

        def interrupt(done: int, stop: int = stop) -> None:
            if done >= stop:
                raise KeyboardInterrupt

        big.reporter._on_advance, big.reporter.advanced = interrupt, 0
        with pytest.raises(KeyboardInterrupt):
            big.receive(PINNED, big.source(BIG))
        (part,) = big.files("*.part")
        held = part.read_bytes()
        assert len(held) >= stop
        assert DATA.startswith(held)
        part.unlink()
        part.with_suffix(".json").unlink()


# ---------------------------------------------------------------------------------------------------------------------
# How pieces are shared out


def test_pieces_are_cut_to_the_end() -> None:
    shared = Pieces(10, 35, 10)
    assert [shared.span(number) for number in range(shared.count)] == [(10, 20), (20, 30), (30, 35)]


def test_no_more_than_a_few_pieces_are_ahead_of_their_turn() -> None:
    shared = Pieces(0, 100 * lanes.AHEAD, 1)
    assert [shared.take() for _ in range(lanes.AHEAD)] == list(range(lanes.AHEAD))
    shared.deliver(0, b"a")
    shared.enter("one")
    stream = shared.rest()
    assert next(stream) == b"a"
    assert shared.take() == lanes.AHEAD


def test_pieces_come_out_in_order_and_once() -> None:
    shared = Pieces(0, 3, 1)
    shared.enter("one")
    taken = [shared.take() for _ in range(3)]
    for number, data in ((2, b"c"), (1, b"b"), (0, b"a"), (0, b"x")):
        shared.deliver(number, data)
    assert taken == [0, 1, 2]
    assert b"".join(shared.rest()) == b"abc"
    assert shared.take() is None


def test_a_piece_that_is_given_back_goes_to_the_next() -> None:
    shared = Pieces(0, 3, 1)
    assert [shared.take(), shared.take()] == [0, 1]
    shared.give_back(0)
    assert [shared.take(), shared.take()] == [0, 2]


def test_a_late_head_is_fetched_by_a_second_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(lanes.time, "monotonic", lambda: now[0])
    shared = Pieces(0, 2, 1)
    assert [shared.take(), shared.take()] == [0, 1]
    now[0] = 100.0
    assert shared.take() == 0
    shared.give_back(0)  # one of the two fails: the other is still at it
    shared.deliver(1, b"b")
    shared.deliver(0, b"a")
    assert shared.take() is None


def test_late_is_what_takes_twice_as_long_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Usual is a second, and with each piece half of what it was and half of what this one took."""
    now = [100.0]

    class Ticking(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            now[0] += timeout or 1.0
            return True

    monkeypatch.setattr(lanes.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(lanes, "threading", SimpleNamespace(Thread=threading.Thread, Condition=Ticking))
    shared = Pieces(0, 2, 1)
    assert [shared.take(), shared.take()] == [0, 1]
    now[0] = 103.0
    shared.deliver(1, b"b")
    assert shared.take() == 0
    assert 104.0 < now[0] < 104.2


class Patient(threading.Condition):
    """Whoever waits for a time waits a minute: so it shows who is not told."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(None if timeout is None else 60.0)


def test_whoever_waits_is_told_that_no_lane_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "threading", SimpleNamespace(Thread=threading.Thread, Condition=Patient))
    shared, lost = Pieces(0, 2, 1), TemporaryFault("the connection was lost", fault="N14")
    shared.enter("one")
    threading.Timer(0.05, lambda: shared.leave("one", lost)).start()
    begun = time.monotonic()
    with pytest.raises(TemporaryFault, match="was lost"):
        next(shared.rest())
    assert time.monotonic() - begun < 30


def test_without_lanes_there_is_no_rest() -> None:
    with pytest.raises(Again, match="every connection ended"):
        next(Pieces(0, 2, 1).rest())


def test_what_two_connections_bring_is_counted_from_the_second_ones_first_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(lanes.time, "monotonic", lambda: now[0])
    shared = Pieces(0, 100, 1)
    shared.enter("one")
    now[0] = 1.0
    assert shared.gain(50, False) is None, "it has not begun yet"
    now[0] = 2.0
    shared.heard(10)
    assert shared.gain(100, False) is None, "now it has"
    now[0] = 2.5
    shared.heard(40)  # and then its pieces are here, and wait for their turn
    now[0] = 3.0
    assert shared.gain(150, False) == 50 / 1.0 + 40 / 0.5


@pytest.mark.parametrize(("lanes_left", "at_once", "later"), [(0, False, 0.1), (1, True, 0.1), (1, False, 99.0)])
def test_a_second_connection_that_brings_nothing_is_no_gain(
    monkeypatch: pytest.MonkeyPatch, lanes_left: int, at_once: bool, later: float
) -> None:
    now = [0.0]
    monkeypatch.setattr(lanes.time, "monotonic", lambda: now[0])
    shared = Pieces(0, 100, 1)
    for _ in range(lanes_left):
        shared.enter("one")
    now[0] = later
    assert shared.gain(50, at_once) == 0.0
