"""Parts of a file at a mirror (`transport.ranges`), and of a zip that lies elsewhere (`archives.elsewhere`)."""

from __future__ import annotations

import hashlib
import io
import random
import struct
import zipfile
from collections.abc import Callable, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from doubles import Blob, Fault
from wire import DATA, LOOSE, OTHER, PINNED, SIZE, SIZED, Wire

from aigiqa_cli.archives import Order, open_archive
from aigiqa_cli.archives.elsewhere import TAIL, ArchiveElsewhere, merged
from aigiqa_cli.errors import Fault as Problem
from aigiqa_cli.errors import IntegrityFault, PersonNeeded, RefusedInput, TemporaryFault
from aigiqa_cli.transport import Request, Session, Source, Wanted
from aigiqa_cli.transport.promises import compare
from aigiqa_cli.transport.ranges import CONNECTIONS, RemoteFile, Span

# --- a file -----------------------------------------------------------------------------------------------------


class Parts:
    """A remote file, and the bytes that it brought."""

    def __init__(self, wire: Wire, wanted: Wanted, source: Source) -> None:
        self.session = Session(settings=wire.settings, limits=wire.limits)
        self.file = RemoteFile(wanted, source, self.session, wire.reporter)
        self.held: dict[int, bytes] = {}

    def fetch(self, *spans: Span) -> bytes:
        self.held.clear()
        self.file.fetch(spans, self.held.__setitem__)
        return b"".join(data for _, data in sorted(self.held.items()))


@pytest.fixture
def parts(wire: Wire) -> Callable[..., Parts]:
    return lambda wanted=PINNED, source=None: Parts(wire, wanted, source or wire.source())


def test_what_is_known_of_a_file_is_not_asked_again(parts: Callable[..., Parts], wire: Wire) -> None:
    remote = parts()
    remote.file.tail(10)
    asked = len(wire.log)
    assert remote.file.settle(remote.session) == SIZE
    assert len(wire.log) == asked


def test_N31_a_hash_that_the_host_states_and_that_begins_otherwise() -> None:
    wanted = Wanted("a.pth", "other", begins="abc")
    compare(wanted, Request("https://host/a.pth", sha256="abc" + "0" * 61))
    with pytest.raises(IntegrityFault, match="does not begin with abc") as caught:
        compare(wanted, Request("https://host/a.pth", sha256="0" * 64))
    assert caught.value.fault == "N31"


@pytest.mark.parametrize("wanted", [PINNED, SIZED, LOOSE])
def test_tail_and_spans_are_the_bytes_of_the_file(parts: Callable[..., Parts], wire: Wire, wanted: Wanted) -> None:
    remote = parts(wanted)
    assert remote.file.tail(1_000) == DATA[-1_000:]
    assert remote.file.length == SIZE
    assert remote.fetch((0, 10), (5_000, 5_001), (SIZE - 3, SIZE)) == DATA[:10] + DATA[5_000:5_001] + DATA[-3:]
    assert remote.file.moved == 1_014 == sum(entry.sent for entry in wire.log)
    first, *others = [entry.if_range for entry in wire.log]
    assert first == ""
    assert set(others) == {Blob(DATA).tag}
    assert wire.log[0].range == ("bytes=-1000" if wanted is LOOSE else f"bytes={SIZE - 1000}-{SIZE - 1}")


def test_a_file_shorter_than_its_tail_comes_whole(parts: Callable[..., Parts], wire: Wire) -> None:
    wire.server.site.put("/set.zip", b"PK\x05\x06" + bytes(18))
    remote = parts(LOOSE)
    assert remote.file.tail(TAIL) == b"PK\x05\x06" + bytes(18)
    assert remote.file.length == 22


def test_N28_many_spans_over_few_connections(parts: Callable[..., Parts], wire: Wire) -> None:
    remote = parts()
    remote.file.tail(10)
    spans = [(at, at + 100) for at in range(0, SIZE - 200, 2_000)]
    wire.server.site.faults.add("/set.zip", Fault(status=429, headers=(("Retry-After", "0"),)), Fault(cut=40))
    assert remote.fetch(*spans) == b"".join(DATA[begin:end] for begin, end in spans)
    assert len(wire.log) <= 1 + len(spans) + 2
    assert len(spans) > CONNECTIONS


def test_S24_one_failure_ends_all(parts: Callable[..., Parts], wire: Wire) -> None:
    remote = parts()
    remote.file.tail(10)
    wire.server.site.faults.add("/set.zip", *[Fault(rate=1 << 30)] * 10, Fault(status=451, always=True))
    with pytest.raises(PersonNeeded):
        remote.fetch(*[(at, at + 100) for at in range(0, SIZE - 200, 1_000)])
    assert len(wire.log) <= 12 + CONNECTIONS


ODD = {
    "the whole": (Fault(ignore_range=True), PersonNeeded, "N17"),
    "shifted": (Fault(shift=1), PersonNeeded, "N17"),
    "another total": (Fault(total=SIZE + 1), IntegrityFault, "N04"),
    "no place": (Fault(headers=(("Content-Range", "bytes"),)), PersonNeeded, "N17"),
    "backwards": (Fault(headers=(("Content-Range", f"bytes {SIZE}-{SIZE - 9}/{SIZE}"),)), PersonNeeded, "N17"),
    "416": (Fault(status=416), PersonNeeded, "N17"),
    "encoded": (Fault(gzip=True), PersonNeeded, "N18"),
    "closed": (Fault(status=403), PersonNeeded, "N07"),
    "busy": (Fault(status=503, always=True), TemporaryFault, "N13"),
    "busy for a year": (Fault(status=503, headers=(("Retry-After", "31536000"),)), TemporaryFault, "N13"),
    "weak": (Fault(headers=(("ETag", 'W/"1"'), ("Last-Modified", ""))), PersonNeeded, "N16"),
    "changed this second": (
        Fault(headers=(("ETag", ""), ("Last-Modified", formatdate(2_000_000_000, usegmt=True)))),
        PersonNeeded,
        "N16",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_N17_odd_first_answers(parts: Callable[..., Parts], wire: Wire, name: str) -> None:
    fault, kind, number = ODD[name]
    wire.server.site.faults.add("/set.zip", fault)
    with pytest.raises(kind) as raised:
        parts(SIZED).file.tail(100)
    assert raised.value.fault == number


@pytest.mark.parametrize("keep", ["etag", "date"])
def test_N16_another_version_in_between(parts: Callable[..., Parts], wire: Wire, keep: str) -> None:
    about: dict[str, Any] = {"etag": None} if keep == "date" else {"modified": None}
    wire.server.site.put("/set.zip", DATA, **about)
    remote = parts(SIZED)
    remote.file.tail(100)
    wire.server.site.put("/set.zip", OTHER, **about | ({"modified": 1_700_000_100} if keep == "date" else {}))
    with pytest.raises(TemporaryFault) as raised:
        remote.fetch((0, 100))
    assert raised.value.fault == "N16"
    assert remote.held == {}
    assert wire.log[-1].status == 200, "the condition failed, so the whole was offered"
    assert remote.file.moved == 100, "and not read"


def test_N16_condition_that_is_ignored(parts: Callable[..., Parts], wire: Wire) -> None:
    remote = parts(SIZED)
    remote.file.tail(100)
    head = f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/{SIZE}\r\nContent-Length: 10\r\n"
    for mark in ('ETag: "another"\r\n', ""):
        wire.server.site.faults.add("/set.zip", Fault(raw=(head + mark + "\r\n").encode() + OTHER[:10]))
        with pytest.raises(TemporaryFault) as raised:
            remote.fetch((0, 10))
        assert raised.value.fault == "N16"
        assert remote.held == {}


def test_address_that_never_changes_needs_no_marks(parts: Callable[..., Parts], wire: Wire) -> None:
    wire.server.site.put("/set.zip", DATA, etag=None, modified=None)
    remote = parts(PINNED, wire.source(fixed=True))
    remote.file.tail(10)
    assert remote.fetch((0, 10)) == DATA[:10]
    assert wire.log[-1].if_range == ""


def test_N03_more_than_was_asked_for_is_not_taken(parts: Callable[..., Parts], wire: Wire) -> None:
    remote = parts()
    remote.file.tail(10)
    wire.server.site.faults.add("/set.zip", Fault(more=bytes(1_000_000)))
    assert remote.fetch((0, 10)) == DATA[:10]
    assert remote.file.moved == 20


def test_N23_signed_link_that_expires_is_made_anew(wire: Wire, parts: Callable[..., Parts]) -> None:
    resolved: list[int] = []

    def resolve() -> Request:
        resolved.append(1)
        return Request(wire.server.url("/set.zip"))

    remote = parts(PINNED, Source("http", "http signed", resolve))
    remote.file.tail(10)
    wire.server.site.faults.add("/set.zip", Fault(status=403))
    assert remote.fetch((0, 10)) == DATA[:10]
    assert len(resolved) == 2


def test_N31_host_that_states_another_hash_is_not_asked(wire: Wire, parts: Callable[..., Parts]) -> None:
    with pytest.raises(IntegrityFault):
        parts(PINNED, wire.source(sha256="0" * 64)).file.tail(10)
    assert wire.log == []


def test_bytes_made_here_have_no_parts(wire: Wire, parts: Callable[..., Parts]) -> None:
    with pytest.raises(PersonNeeded):
        parts(LOOSE, wire.source(stream=lambda: iter([b""]))).file.tail(10)


# --- a zip ------------------------------------------------------------------------------------------------------

NOISE = {f"folder/{n:02}.bin": random.Random(n).randbytes(90_000) for n in range(12)}


class Shelf:
    """Brings parts of bytes in memory and remembers which."""

    def __init__(self, data: bytes) -> None:
        self.data, self.spans = data, list[Span]()

    def bring(self, spans: Sequence[Span], put: Callable[[int, bytes], None]) -> None:
        self.spans += spans
        for begin, end in spans:
            for at in range(begin, end, 7_000):  # in pieces, as they come
                put(at, self.data[at : min(end, at + 7_000)])


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, *, piped: bool = False) -> bytes:
    stream: Any = io.BytesIO()
    target = Pipe(stream) if piped else stream
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in members.items():
            with archive.open(zipfile.ZipInfo(name) if method == 0 else name, "w", force_zip64=piped) as member:
                member.write(data)
    return bytes(stream.getvalue())


class Pipe(io.RawIOBase):
    """A target that cannot seek: sizes then follow the data."""

    def __init__(self, stream: io.BytesIO) -> None:
        self.stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self.stream.write(data)


def read(data: bytes, folder: Path, *names: str) -> tuple[dict[str, bytes], Shelf]:
    """These members by parts; all of them without names."""
    shelf = Shelf(data)
    with ArchiveElsewhere(len(data), shelf.bring, folder, "set.zip") as archive:
        orders = [Order(m, f"m{m.number}") for m in archive.members if not names or m.name in names]
        found = {}
        for written in archive.unpack(orders):
            path = folder / written.to
            found[written.member.name] = path.read_bytes()
            assert hashlib.sha256(found[written.member.name]).hexdigest() == written.sha256
            path.unlink()
        assert archive.path.stat().st_size == sum(end - begin for begin, end in shelf.spans), "one behind the other"
    assert list(folder.iterdir()) == []
    return found, shelf


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("piped", [False, True])
def test_members_by_parts_are_those_of_the_whole(tmp_path: Path, method: int, piped: bool) -> None:
    data = zipped(NOISE, method, piped=piped)
    found, _ = read(data, tmp_path)
    assert found == NOISE
    one, shelf = read(data, tmp_path, "folder/05.bin")
    assert one == {"folder/05.bin": NOISE["folder/05.bin"]}
    brought = sum(end - begin for begin, end in shelf.spans)
    assert brought <= TAIL + 91_500, "the end, and one member"


def test_costs_are_told_by_member(tmp_path: Path) -> None:
    data = zipped(NOISE)
    with ArchiveElsewhere(len(data), Shelf(data).bring, tmp_path, "set.zip") as archive:
        member = archive.members[3]
        list(archive.unpack([Order(member, "m")]))
        assert set(archive.costs) == {3}
        assert 90_000 <= archive.costs[3] <= 90_200


def test_a_long_directory_is_one_request(tmp_path: Path) -> None:
    data = zipped({f"folder/{number:05}.txt": b"x" for number in range(3_000)})
    found, shelf = read(data, tmp_path, "folder/00007.txt")
    assert found == {"folder/00007.txt": b"x"}
    assert len(shelf.spans) == 3, "the end, the rest of the directory, the member"


def test_merged_spans() -> None:
    assert merged([]) == []
    assert merged([(5, 6), (0, 2)]) == [(0, 6)]
    assert merged([(1_000_020, 1_000_030), (1_000_000, 1_000_010)]) == [(1_000_000, 1_000_030)]
    assert merged([(0, 10), (3, 5), (1_000_000, 1_000_001)]) == [(0, 10), (1_000_000, 1_000_001)]
    assert merged([(0, 10), (10 + (1 << 16), 100_000)]) == [(0, 100_000)], "64 KiB cost less than a request"
    assert merged([(0, 10), (11 + (1 << 16), 100_000)]) == [(0, 10), (11 + (1 << 16), 100_000)]


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def directory(data: bytes) -> int:
    return int(struct.unpack("<I", data[-6:-2])[0])


def entries(data: bytes) -> list[int]:
    """Where the entries of the directory begin."""
    found, at = [], data.find(b"PK\x01\x02", directory(data))
    while at >= 0:
        found.append(at)
        at = data.find(b"PK\x01\x02", at + 1)
    return found


def hostile() -> dict[str, tuple[bytes, str]]:
    """Name -> archive, and the fault that is due. Offsets as in APPNOTE 4.3.7 and 4.3.12."""
    good = zipped(NOISE)
    first, second = entries(good)[:2]
    local = int(struct.unpack("<I", good[second + 42 : second + 46])[0])
    flag = zipfile.ZipInfo("folder/link")
    flag.external_attr = 0xA1FF << 16
    linked = io.BytesIO()
    with zipfile.ZipFile(linked, "w") as archive:
        archive.writestr(flag, "target")
    return {
        "local name": (patched(good, local + 30, b"F"), "A18"),
        "local method": (patched(good, local + 8, b"\x00"), "A18"),
        "local sizes": (patched(good, local + 18, b"\x01\x02\x03\x00"), "A18"),
        "local extra field over the next": (patched(good, local + 28, b"\xff\xff"), "A1"),
        "no local header": (patched(good, local, b"KP"), "A18"),
        "overlap": (patched(good, second + 42, struct.pack("<I", 20)), "A1"),
        "same data twice": (patched(good, second + 42, bytes(4)), "A1"),
        "before the first": (patched(good, first + 42, struct.pack("<I", 7)), "A17"),
        "beyond the file": (patched(good, second + 42, struct.pack("<I", len(good) + 9)), "A1"),
        "packed size": (patched(good, second + 20, struct.pack("<I", 5)), "A1"),
        "unpacked size": (patched(good, second + 24, struct.pack("<I", 89_999)), "A1"),
        "checksum": (patched(good, second + 16, bytes(4)), "A1"),
        "data": (patched(good, local + 200, bytes([good[local + 200] ^ 1])), "A1"),
        "ratio": (patched(good, second + 24, struct.pack("<I", 2_000_000_000)), "A09"),
        "method": (patched(good, second + 10, b"\x55"), "A21"),
        "encrypted": (patched(good, second + 8, bytes([good[second + 8] | 1])), "A2"),
        "count": (patched(good, len(good) - 12, b"\x63\x00\x63\x00"), "A17"),
        "cut": (good[:-1], "A17"),
        "two ends": (good + zipped({"a": b""})[-22:], "A17"),
        "trailing": (good + b"x", "A17"),
        "no zip": (bytes(200_000), "A17"),
        "leaves": (zipped({"a": b"1", "../x": b"2"}), "A01"),
        "twins": (zipped({"a": b"1", "A": b"2"}), "A15"),
        "link": (linked.getvalue(), "A05"),
    }


@pytest.mark.parametrize("name", hostile())
def test_hostile_archives_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    """By the same rules as here: what refuses the whole file refuses its parts, of the members that are wanted."""
    data, fault = hostile()[name]
    with pytest.raises(Problem) as raised:
        read(data, tmp_path)
    assert raised.value.fault.startswith(fault), raised.value.message
    path = tmp_path / "set.zip"
    path.write_bytes(data)
    with pytest.raises(Problem), open_archive(path, tmp_path) as archive:
        list(archive.unpack([Order(member, "") for member in archive.members]))


def test_A13_the_worker_is_not_given_what_lies_outside(tmp_path: Path) -> None:
    data = zipped(NOISE)
    with ArchiveElsewhere(len(data), Shelf(data).bring, tmp_path, "set.zip") as archive:
        for begin, end in ((-1, 5), (5, 5), (9, 3), (0, len(data) + 1)):
            with pytest.raises(RefusedInput):
                archive._judged(begin, end)


def test_what_brings_the_parts_may_fail(tmp_path: Path) -> None:
    def bring(_spans: Sequence[Span], _put: Callable[[int, bytes], None]) -> None:
        raise TemporaryFault("gone", fault="N14")

    with pytest.raises(TemporaryFault):
        ArchiveElsewhere(1_000_000, bring, tmp_path, "set.zip")
    assert list(tmp_path.iterdir()) == []


def test_what_the_end_holds_is_not_asked_for_again(parts: Callable[..., Parts], wire: Wire) -> None:
    remote, held = parts(), dict[int, bytes]()
    tail = remote.file.tail(1_000)
    asked = len(wire.log)
    spans = [(SIZE - 500, SIZE), (SIZE - 1_200, SIZE - 900), (10, 20)]
    remote.file.supply(tail, spans, lambda at, block: held.update({at: block}))
    assert sorted((at, len(block)) for at, block in held.items()) == [
        (10, 10), (SIZE - 1_200, 200), (SIZE - 1_000, 100), (SIZE - 500, 500),
    ]  # fmt: skip
    assert all(DATA[at : at + len(block)] == block for at, block in held.items())
    assert sum(entry.sent for entry in wire.log[asked:]) == 210
