"""Going on from a part: other versions, odd answers to a range, broken framing, other mirrors, other processes."""

from __future__ import annotations

import threading
import zlib
from pathlib import Path

import pytest
from doubles import Blob, Fault
from wire import DATA, LOOSE, OTHER, PINNED, SHA256, SIZE, SIZED, Wire, answer, same

from aigiqa_cli.errors import Exit, IntegrityFault, MachineFault, PersonNeeded
from aigiqa_cli.transport import Limits, Wanted


def _interrupted(wire: Wire, wanted: Wanted, at: int = 200_000) -> None:
    """A first run that ends with `at` bytes in a part, and a log that starts anew."""
    wire.server.site.faults.add("/set.zip", Fault(cut=at), Fault(status=503, always=True))
    assert wire.fails(wanted, wire.source()).exit_code == Exit.TEMPORARY
    assert [path.stat().st_size for path in wire.files("*.part")] == [at]
    wire.server.site.faults.clear()
    wire.log.clear()


@pytest.mark.parametrize("wanted", [PINNED, SIZED, LOOSE])
def test_next_run_fetches_only_the_rest(wire: Wire, wanted: Wanted) -> None:
    _interrupted(wire, wanted)
    got = wire.receive(wanted, wire.source())
    assert same(got)
    assert got.resumed_from == 200_000
    assert wire.starts() == [200_000]
    assert wire.files() == [got.path.with_suffix(".json"), got.path]
    assert wire.reporter.phases[-1][2] == 200_000


def test_N16_replaced_between_two_runs(wire: Wire) -> None:
    _interrupted(wire, SIZED)
    wire.server.site.put("/set.zip", OTHER)
    assert same(wire.receive(SIZED, wire.source()), OTHER)
    assert wire.log[0].if_range == f'"{SHA256}"'


def test_N16_replaced_between_two_runs_by_another_size(wire: Wire) -> None:
    _interrupted(wire, LOOSE)
    wire.server.site.put("/set.zip", OTHER[:300_000])
    assert same(wire.receive(LOOSE, wire.source()), OTHER[:300_000])


def test_N16_replaced_in_the_middle_of_a_run(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(cut=200_000, then=Blob(OTHER)))
    assert same(wire.receive(SIZED, wire.source()), OTHER)


def test_N16_server_that_ignores_if_range_is_found_out(wire: Wire) -> None:
    """The new version answers 206 although the condition does not hold: its ETag gives it away."""
    _interrupted(wire, SIZED)
    wire.server.site.put("/set.zip", OTHER)
    span = ("Content-Range", f"bytes 200000-{SIZE - 1}/{SIZE}")
    wire.server.site.faults.add(
        "/set.zip", Fault(status=206, headers=(span, ("ETag", '"new"')), body=OTHER[200_000:], type="application/zip")
    )
    assert same(wire.receive(SIZED, wire.source()), OTHER)


def test_N16_pinned_part_of_an_old_version_heals(wire: Wire) -> None:
    """The part holds bytes of a version that the pin does not name: found by the hash, then fetched whole."""
    wire.server.site.put("/set.zip", OTHER)
    _interrupted(wire, PINNED)
    wire.server.site.put("/set.zip", DATA)
    assert same(wire.receive(PINNED, wire.source()))


def test_N16_what_was_published_anew_is_fetched_anew(wire: Wire) -> None:
    """Also where the hash would judge the result: two versions are never glued."""
    _interrupted(wire, PINNED)
    wire.server.site.put("/set.zip", DATA, etag='"new"')
    assert same(wire.receive(PINNED, wire.source()))
    assert wire.starts() == [200_000, 0]


@pytest.mark.parametrize(
    "answer",
    [
        Fault(ignore_range=True),
        Fault(shift=3),
        Fault(shift=-3),
        Fault(total=7),
        Fault(total=SIZE + 1),
        Fault(status=416, headers=(("Content-Range", f"bytes */{SIZE}"),)),
        Fault(status=416),
        Fault(
            status=206,
            type="multipart/byteranges; boundary=x",
            body=b"--x\r\nContent-Range: bytes 0-3/9\r\n\r\nPK\x03\x04\r\n--x--",
        ),
        Fault(status=206, body=DATA[200_000:], type="application/zip"),
    ],
    ids=["200", "later", "earlier", "total-small", "total-large", "416", "416-bare", "multipart", "206-bare"],
)
@pytest.mark.parametrize("wanted", [PINNED, LOOSE])
def test_N17_odd_answers_to_a_range(wire: Wire, wanted: Wanted, answer: Fault) -> None:
    _interrupted(wire, wanted)
    wire.server.site.faults.add("/set.zip", answer)
    assert same(wire.receive(wanted, wire.source()))


def test_N17_416_for_a_part_that_is_whole(wire: Wire) -> None:
    """Killed between the last byte and the end: nothing is fetched twice where the hash is known."""
    _interrupted(wire, PINNED, SIZE - 1)
    part = wire.files("*.part")[0]
    part.write_bytes(DATA)
    assert same(wire.receive(PINNED, wire.source()))
    assert sum(entry.sent for entry in wire.log) == 0


def test_N18_encoding_is_refused(wire: Wire) -> None:
    wire.server.site.put("/wrapped.zip", DATA)
    wire.server.site.faults.add("/wrapped.zip", Fault(gzip=True, always=True))
    assert wire.receive(PINNED, wire.source("/wrapped.zip"), wire.source()).source == "http /set.zip"
    assert {entry.encoding for entry in wire.log} == {"identity"}
    assert wire.fails(LOOSE, wire.source("/wrapped.zip")).exit_code == Exit.PERSON
    page = zlib.compress(b"<html><title>Sign in</title></html>")
    wire.server.site.faults.add(
        "/set.zip", answer("Content-Encoding: deflate", f"Content-Length: {len(page)}", body=page)
    )
    assert wire.fails(LOOSE, wire.source()).fault == "N18", "no library unpacks what the network wraps"


def test_N01_chunks_that_end_too_early_are_a_cut(wire: Wire) -> None:
    """They say where they end, so nobody was silent about it (N02)."""
    short = answer("Transfer-Encoding: chunked", "Connection: close", body=b"4\r\nPK\x03\x04\r\n0\r\n\r\n")
    wire.server.site.faults.add("/set.zip", *[short] * 5)
    wire.server.site.faults.add("/set.zip", Fault(status=503, always=True))
    wire.limits = Limits(tries=1)
    assert wire.fails(Wanted("set.zip", "zip", SIZE, SHA256, (SHA256,)), wire.source()).fault == "N01"


@pytest.mark.parametrize(
    "body", [b"zz\r\nnot a chunk", b"5" * 200_000, b"-5\r\nabc", b"ffffffffffffffff\r\nabc", b"3\r\nabcdef\r\n"]
)
def test_N19_broken_chunks(wire: Wire, body: bytes) -> None:
    broken = answer("Transfer-Encoding: chunked", "Connection: close", body=body)
    wire.server.site.faults.add("/bad.zip", *[broken] * 5)
    assert same(wire.receive(PINNED, wire.source("/bad.zip"), wire.source()))


@pytest.mark.usefixtures("bad_heads")
@pytest.mark.filterwarnings("ignore:.*unclosed:ResourceWarning")
@pytest.mark.parametrize("lines", [[f"X-{number}: y" for number in range(10_000)], ["X-Long: " + "y" * 1_000_000]])
def test_N20_header_bomb(wire: Wire, lines: list[str]) -> None:
    wire.server.site.faults.add("/bad.zip", *[answer(*lines, body=DATA)] * 9)
    assert wire.fails(PINNED, wire.source("/bad.zip")).fault == "N20"
    assert same(wire.receive(PINNED, wire.source("/bad.zip"), wire.source()))


@pytest.mark.parametrize("name", ["../../evil.zip", "/etc/evil.zip", "C:\\evil.zip", "evil\x00.zip", "a/b/c.zip"])
def test_N20_file_name_of_the_server_is_never_a_path(wire: Wire, name: str, tmp_path: Path) -> None:
    header = ("Content-Disposition", f'attachment; filename="{name}"')
    wire.server.site.faults.add("/set.zip", Fault(headers=(header,)))
    got = wire.receive(PINNED, wire.source())
    assert same(got)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {got.path, got.path.with_suffix(".json")}


def test_second_mirror_continues_the_part_of_the_first(wire: Wire) -> None:
    wire.server.site.put("/other.zip", DATA, etag='"another host"', modified=5)
    wire.server.site.faults.add("/set.zip", Fault(cut=160_000), Fault(status=503, always=True))
    got = wire.receive(PINNED, wire.source(), wire.source("/other.zip"))
    assert same(got)
    assert [(entry.path, entry.start) for entry in wire.log][-1] == ("/other.zip", 160_000)
    assert wire.log[-1].if_range == ""
    assert any("/other.zip" in note or "/set.zip" in note for note in wire.reporter.notes), "a failover is told"


def test_second_mirror_without_a_hash_starts_over(wire: Wire) -> None:
    wire.server.site.put("/other.zip", OTHER)
    wire.server.site.faults.add("/set.zip", Fault(cut=160_000), Fault(status=404, always=True))
    got = wire.receive(SIZED, wire.source(), wire.source("/other.zip"))
    assert same(got, OTHER)
    assert wire.log[-1].range == ""


def test_first_mirror_is_asked_again_in_a_second_round(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", *[Fault(status=503)] * 2)
    assert same(wire.receive(PINNED, wire.source(), wire.source("/none.zip")))


@pytest.mark.parametrize("count", [2, 8])
def test_C07_one_part_has_one_heir(wire: Wire, count: int) -> None:
    _interrupted(wire, PINNED)
    start, ended = threading.Barrier(count), []

    def one() -> None:
        start.wait()
        ended.append(same(wire.receive(PINNED, wire.source())))

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [True] * count
    assert wire.starts().count(200_000) <= 1


def test_part_that_is_a_link_is_not_followed(wire: Wire, tmp_path: Path) -> None:
    outside = tmp_path / "precious"
    outside.write_bytes(DATA[:1000])
    wire.partial.mkdir(parents=True)
    (wire.partial / f"{SHA256}.{'0' * 16}.part").symlink_to(outside)
    assert same(wire.receive(PINNED, wire.source()))
    assert outside.read_bytes() == DATA[:1000]


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b"null", b'{"size": "x"}', b"\xff\xfe", b'{"etag": 5}'])
def test_broken_note_is_no_obstacle(wire: Wire, note: bytes) -> None:
    _interrupted(wire, LOOSE)
    wire.files("*.json")[0].write_bytes(note)
    assert same(wire.receive(LOOSE, wire.source()))


def test_S04_no_space_is_told_before_the_first_byte(wire: Wire) -> None:
    huge = Wanted("set.zip", "zip", 1 << 60, SHA256)
    wire.server.site.faults.add("/set.zip", Fault(longer=(1 << 60) - SIZE, always=True))
    problem = wire.fails(huge, wire.source())
    assert isinstance(problem, MachineFault)
    assert "free" in str(problem)
    assert wire.bytes_kept() == 0


def test_person_and_gone_differ_from_wrong_bytes(wire: Wire) -> None:
    problem = wire.fails(PINNED, wire.source("/none.zip"))
    assert isinstance(problem, PersonNeeded)
    assert not isinstance(problem, IntegrityFault)
