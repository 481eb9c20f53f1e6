"""The one byte mover: whole files, short and long ones, wrong bytes. Names carry the IDs of the fault list."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any, Literal

import pytest
from doubles import Blob, Fault
from wire import DATA, LOOSE, OTHER, PINNED, SHA256, SIZE, SIZED, Wire, answer, same

from aigiqa_cli.errors import Exit, IntegrityFault
from aigiqa_cli.transport import Request, Source, Wanted


@pytest.mark.parametrize("wanted", [PINNED, SIZED, LOOSE])
def test_whole_file_in_one_request(wire: Wire, wanted: Wanted) -> None:
    got = wire.receive(wanted, wire.source())
    assert same(got)
    assert (got.pinned, got.resumed_from, got.source, got.kind) == (wanted is PINNED, 0, "http /set.zip", "http")
    assert len(wire.log) == 1
    assert wire.files() == [got.path.with_suffix(".json"), got.path], "the file and where it came from, nothing else"
    assert (got.path.stat().st_mode & 0o777, wire.partial.stat().st_mode & 0o777) == (0o600, 0o700)
    assert wire.reporter.advanced == SIZE
    assert wire.reporter.notes == []


@pytest.mark.parametrize("flush", [True, False])
def test_S02_a_file_is_flushed_before_it_is_handed_over(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, flush: bool
) -> None:
    """Unless whoever asks flushes many files at once."""
    flushed: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    got = wire.receive(replace(PINNED, flush=flush), wire.source())
    assert flushed == ([str(got.path)] if flush else [])


def test_complete_part_needs_no_network(wire: Wire) -> None:
    first = wire.receive(PINNED, wire.source())
    del first
    wire.log.clear()
    assert same(wire.receive(PINNED, wire.source()))
    assert wire.log == []


def test_hash_stated_by_the_host_proves_the_bytes(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(flip=1000, always=True))
    stated = wire.source(sha256=SHA256, bytes=SIZE)
    assert wire.fails(LOOSE, stated).exit_code == Exit.INTEGRITY


def test_twin_is_the_same_content(wire: Wire) -> None:
    wire.server.site.put("/twin.zip", OTHER[:-1])
    twin = Blob(OTHER[:-1]).sha256
    got = wire.receive(Wanted("set.zip", "zip", SIZE, SHA256, (twin,)), wire.source("/twin.zip"))
    assert same(got, OTHER[:-1])
    assert got.pinned


def test_stream_made_on_this_machine(wire: Wire) -> None:
    blocks = [DATA[:1000], DATA[1000:]]
    own = Source("builtin", "builtin demo", lambda: Request("", stream=lambda: iter(blocks)))
    assert same(wire.receive(PINNED, own))
    assert wire.log == []


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("cut", [1, SIZE // 3, SIZE - 1])
def test_N01_cut_is_resumed(wire: Wire, cut: int, how: Literal["fin", "rst"]) -> None:
    wire.server.site.faults.add("/set.zip", Fault(cut=cut, how=how))
    assert same(wire.receive(PINNED, wire.source()))
    assert wire.starts() == [0, cut]


def test_N01_cut_before_the_first_byte(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(cut=0))
    assert same(wire.receive(PINNED, wire.source()))
    assert [entry.range for entry in wire.log] == ["", ""]


def test_N01_unpinned_resume_sends_the_strong_etag(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(cut=100_000))
    assert same(wire.receive(LOOSE, wire.source()))
    assert [entry.if_range for entry in wire.log] == ["", f'"{SHA256}"']
    assert wire.starts() == [0, 100_000]


def test_N01_date_serves_where_there_is_no_strong_etag(wire: Wire) -> None:
    blob = wire.server.site.put("/set.zip", DATA, etag='W/"weak"')
    wire.server.site.faults.add("/set.zip", Fault(cut=100_000))
    assert same(wire.receive(LOOSE, wire.source()))
    assert wire.log[-1].if_range == blob.date
    assert wire.starts() == [0, 100_000]


def test_N01_without_validator_it_starts_over(wire: Wire) -> None:
    wire.server.site.put("/set.zip", DATA, etag=None, modified=None)
    wire.server.site.faults.add("/set.zip", Fault(cut=100_000))
    assert same(wire.receive(LOOSE, wire.source()))
    assert wire.starts() == [0, 0]


def test_N01_every_answer_cut_makes_progress(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(cut=50_000, always=True))
    assert same(wire.receive(PINNED, wire.source())), "the count of tries starts anew with new bytes"
    assert wire.starts() == list(range(0, SIZE, 50_000))


def test_N01_no_progress_ends_after_five_tries(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(cut=0, always=True))
    assert wire.fails(PINNED, wire.source()).exit_code == Exit.TEMPORARY
    assert len(wire.log) == 5


def test_N02_short_body_without_length(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(no_length=True, cut=100_000))
    assert same(wire.receive(PINNED, wire.source()))
    assert wire.starts() == [0, 100_000]


def test_N02_size_alone_decides_where_no_length_is_given(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(no_length=True))
    assert same(wire.receive(SIZED, wire.source()))


def test_N02_neither_length_nor_hash_is_not_usable(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(no_length=True, always=True))
    assert wire.fails(LOOSE, wire.source()).exit_code in (Exit.PERSON, Exit.TEMPORARY)
    assert wire.bytes_kept() == 0


@pytest.mark.parametrize("endless", [Fault(more=bytes(5_000_000)), Fault(more=bytes(5_000_000), no_length=True)])
def test_N03_longer_than_promised(wire: Wire, endless: Fault) -> None:
    wire.server.site.put("/good.zip", DATA)
    wire.server.site.faults.add("/set.zip", endless)
    kept: list[int] = []
    wire.reporter._on_advance = lambda _: kept.append(wire.bytes_kept())
    assert same(wire.receive(PINNED, wire.source(), wire.source("/good.zip")))
    assert max(kept) <= SIZE + 64 * 1024


@pytest.mark.parametrize("chunked", [Fault(chunked=True), Fault(chunked=True, cut=100_000)])
def test_N04_chunked_answer_has_no_length(wire: Wire, chunked: Fault) -> None:
    wire.server.site.faults.add("/set.zip", chunked)
    assert same(wire.receive(PINNED, wire.source()))


@pytest.mark.usefixtures("bad_heads")
@pytest.mark.filterwarnings("ignore:.*unclosed:ResourceWarning")
@pytest.mark.parametrize("value", ["-5", "abc", "9" * 30, "10, 20", "", "+5", "1e3"])
@pytest.mark.parametrize("wanted", [PINNED, LOOSE])
def test_N04_senseless_content_length(wire: Wire, value: str, wanted: Wanted) -> None:
    fault = answer(f"Content-Length: {value}", "Connection: close", body=DATA[:1000])
    wire.server.site.faults.add("/bad.zip", *[fault] * 5)
    assert same(wire.receive(wanted, wire.source("/bad.zip"), wire.source()))


@pytest.mark.usefixtures("bad_heads")
@pytest.mark.filterwarnings("ignore:.*unclosed:ResourceWarning")
def test_N04_two_lengths(wire: Wire) -> None:
    fault = answer("Content-Length: 1000", f"Content-Length: {SIZE}", "Connection: close", body=DATA[:1000])
    wire.server.site.faults.add("/bad.zip", *[fault] * 5)
    assert same(wire.receive(PINNED, wire.source("/bad.zip"), wire.source()))


def test_N04_other_length_than_the_manifest_says(wire: Wire) -> None:
    wire.server.site.put("/old.zip", DATA[:-5])
    got = wire.receive(PINNED, wire.source("/old.zip"), wire.source())
    assert same(got)
    assert got.source == "http /set.zip"


def test_N04_a_twin_may_be_longer_within_reason(wire: Wire) -> None:
    """Twice as long is no twin, and the host that states another length than the manifest is not even asked."""
    wire.server.site.put("/other.zip", DATA * 2 + b"x")
    with_twin = Wanted("set.zip", "zip", SIZE, SHA256, (Blob(OTHER).sha256,))
    assert wire.fails(with_twin, wire.source("/other.zip")).fault == "N04"
    assert wire.bytes_kept() == 0
    wire.log.clear()
    for stated in (SIZE - 1, SIZE + 1):
        assert wire.fails(PINNED, wire.source(bytes=stated)).fault == "N04"
    assert wire.log == []


def test_N05_wrong_bytes_go_to_quarantine_and_the_next_mirror_serves(wire: Wire) -> None:
    wire.server.site.put("/bad.zip", OTHER)
    got = wire.receive(PINNED, wire.source("/bad.zip"), wire.source())
    assert same(got)
    assert got.source == "http /set.zip"
    wrong = [path for path in wire.quarantined() if path.suffix != ".json"]
    assert [path.read_bytes() for path in wrong] == [OTHER]
    note = json.loads(next(path for path in wire.quarantined() if path.suffix == ".json").read_text())
    assert "http /bad.zip" in note.values()
    assert Blob(OTHER).sha256 in note.values()


def test_N05_one_flipped_bit_is_exit_4(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(flip=SIZE // 2, always=True))
    problem = wire.fails(PINNED, wire.source())
    assert isinstance(problem, IntegrityFault)
    assert SHA256[:12] in str(problem) + str([finding.as_json() for finding in problem.findings])
    assert len(wire.log) <= 2, "never retried until it matches"
    assert wire.files() == []


def test_N05_splice_is_blamed_on_the_splice_first(wire: Wire) -> None:
    """A part whose beginning was spoiled: one fresh start at the same mirror heals it."""
    wire.server.site.faults.add("/set.zip", Fault(flip=10, cut=200_000))
    got = wire.receive(PINNED, wire.source())
    assert same(got)
    assert wire.starts() == [0, 200_000, 0]


@pytest.mark.parametrize(
    ("stated", "shown"),
    [
        ({"sha256": "b" * 64, "accepted": ("a" * 64,)}, "b" * 64),
        ({"accepted": ("a" * 64,)}, "a" * 64),
        ({"begins": "0123abcd"}, "0123abcd…"),
    ],
)
def test_N05_which_hash_was_expected_is_told(wire: Wire, stated: dict[str, Any], shown: str) -> None:
    fault = wire.fails(Wanted("set.zip", "zip", SIZE, **stated), wire.source())
    assert isinstance(fault, IntegrityFault)
    assert f"wrong bytes: SHA-256 {SHA256}, expected {shown}" in str(
        [fault.message, *(f.as_json() for f in fault.findings)]
    )


def test_N05_a_splice_that_is_wrong_again_is_wrong(wire: Wire) -> None:
    """There is one second chance, however often the connection breaks meanwhile."""
    wire.server.site.put("/set.zip", OTHER)
    wire.server.site.faults.add("/set.zip", *[Fault(cut=200_000), Fault()] * 9)
    assert wire.fails(PINNED, wire.source()).exit_code == Exit.INTEGRITY
    assert wire.starts() == [0, 200_000, 0, 200_000]


def test_N31_replaced_for_good_shows_both_hashes(wire: Wire) -> None:
    for path in ("/a.zip", "/b.zip"):
        wire.server.site.put(path, OTHER)
    problem = wire.fails(PINNED, wire.source("/a.zip"), wire.source("/b.zip"))
    assert problem.exit_code == Exit.INTEGRITY
    told = str(problem) + str([finding.as_json() for finding in problem.findings])
    assert SHA256 in told
    assert Blob(OTHER).sha256 in told


def test_N21_one_bad_mirror_among_three(wire: Wire) -> None:
    wire.server.site.put("/old.zip", OTHER)
    wire.server.site.faults.add("/blocked.zip", Fault(status=503, always=True))
    sources = [wire.source("/old.zip"), wire.source("/blocked.zip"), wire.source()]
    assert wire.receive(PINNED, *sources).source == "http /set.zip"
