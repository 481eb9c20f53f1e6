"""`fetch --stream`: what is unpacked of a zip is given back to the disk while the rest still arrives."""

from __future__ import annotations

import ctypes
import io
import os
import random
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import invariants
import pytest
import replicas
from doubles import Fault
from local import ARCHIVE, EARLY, NAME, Local, local
from nursery import Ended
from test_early import growing, plain, publish
from tiny import MODELS
from wire import DATA, PINNED, QUICK, SHA256, SIZE, Wire

from aigiqa_cli import early, folders
from aigiqa_cli.archives import Order
from aigiqa_cli.archives.arriving import ArchiveArriving
from aigiqa_cli.archives.contract import Refusal
from aigiqa_cli.archives.zip_arriving import Behind
from aigiqa_cli.context import Context
from aigiqa_cli.errors import IntegrityFault
from aigiqa_cli.manifest.catalogue import Catalogue
from aigiqa_cli.store import Root
from aigiqa_cli.transport import parts

PROMPTS, PADDING = 30, 100_000  # 120 images, 12 MB
WINDOW = 1 << 20
# What the directory takes while it grows is looked at after every block that arrives.
STREAM = f"""{EARLY}
import os
import aigiqa_cli.transport.parts as parts
aigiqa_cli.early.WINDOW = {WINDOW}
aigiqa_cli.early.TAIL_EACH, aigiqa_cli.early.TAIL = 200, 70_000
most, real = [0], parts.Part.append
def append(self, block):
    real(self, block)
    most.append(os.fstat(self._descriptor).st_blocks * 512)
    with open("most", "w") as stream:
        stream.write(str(max(most)))
parts.Part.append = append
"""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path, prompts=PROMPTS) as made:
        offer(made, archive())
        yield made


def offer(here: Local, data: bytes) -> None:
    publish(here, data)
    here.packed = data


def archive() -> bytes:
    """The images with noise behind their end, in the order of their numbers, and files of nobody between them."""
    names = [f"{model}_{number:03}.jpg" for number in range(PROMPTS) for model in MODELS]
    stream, chance = io.BytesIO(), random.Random(8)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for number, (name, data) in enumerate(replicas.images(names).items()):
            packed.writestr(f"AGIQA-3K/{name}", data + chance.randbytes(PADDING))
            if number % 10 == 3:
                packed.writestr(f"notes/{number}.txt", b"nobody's " * number)
    return stream.getvalue()


def fetch(here: Local, *words: str, code: int | None = 0, prelude: str = STREAM) -> Ended:
    here.nursery.prelude = prelude
    return here.nursery("fetch", NAME, "--json", "--stream", *words, code=code)


def left(here: Local) -> list[str]:
    """What is left of the archive; tables are kept for the next run."""
    return [path.name for path in (here.root / ".aigiqa" / "partial").glob("*") if path.stat().st_size > 100_000]


def can_give_back(folder: Path) -> bool:
    """Asked of the system itself: FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE are 1 and 2."""
    with (folder / "probe").open("w+b") as stream:
        stream.write(bytes(1 << 20))
        stream.flush()
        begin, length = ctypes.c_int64(0), ctypes.c_int64(1 << 19)
        return bool(ctypes.CDLL(None).fallocate(stream.fileno(), 1 | 2, begin, length) == 0)


def test_archive_and_images_never_have_room_at_one_time(here: Local) -> None:
    if not can_give_back(here.base):
        pytest.skip("this disk takes nothing back")
    _, good = plain(here)
    fetch(here)
    assert invariants.published(here.root) == good
    size, most = len(here.packed), int((here.nursery.work / "most").read_text())
    assert size > 10 * WINDOW
    assert most < 3 * WINDOW, "the window, what is told late, and two members that are waited for"
    assert left(here) == []
    invariants.check(here.root, settled=True)


def test_N05_other_bytes_than_the_pinned_ones(here: Local) -> None:
    data = bytearray(here.packed)
    data[10] ^= 1  # the time of the first member in its local header: every reader takes the archive for good
    here.server.site.put(ARCHIVE, bytes(data))
    error = fetch(here, code=4).error()
    assert error["fault"] == "N05"
    assert not (here.root / NAME).exists()
    assert left(here) == []
    assert list((here.root / ".aigiqa" / "quarantine").glob("*")) == []


def test_A18_a_member_that_nobody_wants_is_judged_as_well(here: Local) -> None:
    data = bytearray(here.packed)
    data[data.index(b"notes/63.txt")] ^= 1  # its name in the local header only
    offer(here, bytes(data))
    error = fetch(here, code=5).error()
    assert (error["fault"], "another name" in error["message"]) == ("A18", True)
    assert "--stream" in error["hint"] or "another mirror" in error["hint"]
    assert not (here.root / NAME).exists()


def test_S01_what_a_killed_run_left_is_swept_and_not_taken_up(here: Local) -> None:
    _, good = plain(here)
    here.nursery.prelude = STREAM
    here.server.site.faults.add(ARCHIVE, Fault(), Fault(rate=4_000_000))
    assert here.nursery.cut_off(1.5, "fetch", NAME, "--stream") is None
    assert not (here.root / NAME).exists()
    assert [name.startswith(parts.ONCE) for name in left(here)] == [True]
    here.server.site.faults.clear()
    here.server.log.clear()
    fetch(here)
    assert invariants.published(here.root) == good
    assert left(here) == []
    (whole,) = [entry.range for entry in here.server.log if entry.path == ARCHIVE][1:]
    assert whole == "", "from the beginning"


def test_a_connection_that_breaks_is_continued(here: Local) -> None:
    _, good = plain(here)
    here.server.site.faults.add(ARCHIVE, Fault(), Fault(cut=4_000_000), Fault(cut=3_000_000))
    fetch(here)
    assert invariants.published(here.root) == good


def test_what_an_earlier_run_brought_is_used(here: Local) -> None:
    _, good = plain(here)
    here.server.site.faults.add(ARCHIVE, Fault(), *[Fault(cut=4_000_000), *[Fault(status=404)] * 9])
    here.nursery.prelude = EARLY
    assert here.nursery("fetch", NAME, code=None).code == 3
    here.server.site.faults.clear()
    here.server.log.clear()
    fetch(here)
    assert invariants.published(here.root) == good
    assert any(entry.range.startswith("bytes=4") and entry.range.endswith("-") for entry in here.server.log)


def test_where_a_host_gives_out_no_parts_it_is_said(here: Local) -> None:
    _, good = plain(here)
    here.server.site.put(ARCHIVE, here.packed, ranges=False)
    assert "not unpacked while it arrives" in fetch(here).err
    assert invariants.published(here.root) == good


def test_where_the_disk_takes_nothing_back_it_is_said(here: Local) -> None:
    _, good = plain(here)
    ended = fetch(here, prelude=STREAM + "import aigiqa_cli.folders as f\nf.make_hole = lambda *_: False\n")
    assert "takes nothing back" in ended.err
    assert invariants.published(here.root) == good


def test_there_is_no_archive_to_keep(here: Local) -> None:
    error = fetch(here, "--keep-archives", code=2).error()
    assert "--stream leaves no archive" in error["message"]


def test_room_is_demanded_for_the_images_only(here: Local) -> None:
    """A disk with room for the images and not for the archive, too."""
    size = len(here.packed)
    prelude = STREAM + (
        "import aigiqa_cli.store.root as r\n"
        "def demand(self, count, files):\n"
        "    with open('told', 'a') as stream: stream.write(f'{count}\\n')\n"
        "r.Root.demand_space = demand\n"
    )
    fetch(here, prelude=prelude)
    here.clear()
    here.nursery("fetch", NAME, code=0)
    streamed, whole = map(int, (here.nursery.work / "told").read_text().split())
    assert streamed == WINDOW + int(1.25 * size)
    assert whole == size + int(1.25 * size)


# ---------------------------------------------------------------------------------------------------------------------
# Each part by itself


def test_members_that_end_out_of_order_hold_back_what_is_told() -> None:
    told: list[int] = []
    mega = 1 << 20
    behind = Behind([mega, 2 * mega, 3 * mega, 4 * mega], 4 * mega - 7, told.append)
    for at in (1, 2):
        behind.done(at)
    assert told == []
    behind.done(0)
    assert told == [3 * mega]
    behind.done(3)
    assert told == [3 * mega, 4 * mega - 7], "never into the end, which was read before"


def test_the_end_is_told_however_little_it_is() -> None:
    told: list[int] = []
    behind = Behind([10, 20], 15, told.append)
    behind.done(0)
    behind.done(1)
    assert told == [15]


@pytest.mark.parametrize("spoil", [None, "a local header", "what is left out", "the end"])
def test_read_once_it_is_judged_as_a_whole_is(tmp_path: Path, spoil: str | None) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for number in range(9):
            made.writestr(f"{number}.bin", random.Random(number).randbytes(20_000))
    data = bytearray(stream.getvalue())
    if spoil:
        data[{"a local header": 14, "what is left out": data.index(b"3.bin"), "the end": len(data) - 60}[spoil]] ^= 1
    with growing(tmp_path, stream.getvalue(), 70_000, 0) as (reader, path):
        members = [member for member in reader.members() if member.name != "3.bin"]
        path.write_bytes(data)
        seen: list[str] = []

        def judge() -> None:
            reader.stream_once(members, lambda member, chunks: seen.append((b"".join(chunks), member.name)[1]))
            reader.settle()

        if spoil:
            with pytest.raises(Refusal):
                judge()
        else:
            judge()
            assert sorted(seen) == [member.name for member in members]


def test_a_hole_takes_no_room_and_reads_as_zeros(tmp_path: Path) -> None:
    if not can_give_back(tmp_path):
        pytest.skip("this disk takes nothing back")
    path = tmp_path / "file"
    path.write_bytes(b"x" * (1 << 20))
    with path.open("r+b") as stream:
        os.fsync(stream.fileno())
        assert folders.make_hole(stream.fileno(), 1 << 19)
        assert os.fstat(stream.fileno()).st_blocks * 512 <= (1 << 19) + 8192
    assert path.read_bytes() == bytes(1 << 19) + b"x" * (1 << 19)
    with path.open("rb") as stream:  # not open for writing
        assert not folders.make_hole(stream.fileno(), 4096)


# ---------------------------------------------------------------------------------------------------------------------
# The download and the worker in this process


@pytest.fixture
def inside(wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(early, "WORTH", 0)
    monkeypatch.setattr(early, "WINDOW", 10_000)
    root = Root(tmp_path / "root")
    root.prepare()
    return Context(root, Catalogue({}), QUICK, wire.reporter)


def begun_once(inside: Context, wire: Wire) -> early.Early:
    begun = early.begin(inside, PINNED, [wire.source()], 3, once=True)
    assert begun is not None
    assert begun.once is begun
    assert begun.part() is not None
    return begun


def arrived(begun: early.Early, at_least: int) -> int:
    """Bytes that are here once the download waits, or is over."""
    path, before = begun.part(), -1
    assert path is not None
    while not begun.is_over and (path.stat().st_size < at_least or path.stat().st_size != before):
        before = path.stat().st_size
        time.sleep(0.05)
    return path.stat().st_size


def test_the_download_waits_for_whoever_reads(inside: Context, wire: Wire) -> None:
    begun = begun_once(inside, wire)
    block = 1 << 20  # at most this much comes in one piece
    held = arrived(begun, 10_000)
    assert 10_000 <= held <= 10_000 + block
    assert held < SIZE, "it waits"
    begun.needs(held + 1)
    assert arrived(begun, held + 1) > held
    begun.passed(SIZE // 2)
    begun.passed(SIZE)
    assert begun.received().sha256 == SHA256
    assert begun.received().path.name.startswith(parts.ONCE)
    assert begun.is_spent or not can_give_back(inside.root.path)


def test_the_download_is_never_further_ahead_than_the_window(inside: Context, wire: Wire) -> None:
    """Not by a byte: the connection breaks right there, and nothing more is asked for."""
    wire.server.site.faults.add("/set.zip", Fault(), Fault(cut=10_000))
    begun = begun_once(inside, wire)
    assert arrived(begun, 10_000) == 10_000
    begun.needs(10_001)
    assert begun.received().sha256 == SHA256


def test_a_download_that_is_called_off_leaves_no_beginning(inside: Context, wire: Wire) -> None:
    if not can_give_back(inside.root.path):
        pytest.skip("this disk takes nothing back")
    wire.server.site.faults.add("/set.zip", Fault(), Fault(rate=SIZE))
    begun = begun_once(inside, wire)
    arrived(begun, 10_000)
    begun.passed(4096)
    assert begun.is_spent
    begun.call_off()
    with pytest.raises(early.CalledOff):
        begun.received()
    assert begun.failure is None
    assert not list(inside.root.partial.glob("*.part"))


def test_where_nothing_is_taken_back_nobody_waits(inside: Context, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "make_hole", lambda *_: False)
    begun = begun_once(inside, wire)
    arrived(begun, 10_000)
    begun.passed(4096)
    assert begun.finished() == ("http /set.zip", (SHA256, SIZE))
    assert any("takes nothing back" in note for note in wire.reporter.notes)
    assert not begun.is_spent


def test_of_wrong_bytes_with_a_hole_nothing_is_kept(inside: Context, wire: Wire) -> None:
    """What is left of them tells nobody anything: there is no room for them in quarantine."""
    if not can_give_back(inside.root.path):
        pytest.skip("this disk takes nothing back")
    begun = early.begin(inside, replace(PINNED, sha256="1" * 64), [wire.source()], 3, once=True)
    assert begun is not None
    assert begun.part() is not None
    arrived(begun, 10_000)
    begun.passed(4096)
    begun.needs(SIZE)
    with pytest.raises(IntegrityFault):
        begun.received()
    assert not list(inside.root.partial.iterdir())
    assert not list(inside.root.quarantine.glob("*"))


def test_what_is_not_read_once_keeps_its_beginning(inside: Context, wire: Wire) -> None:
    begun = early.begin(inside, PINNED, [wire.source()], 3)
    assert begun is not None
    begun.passed(SIZE)
    assert begun.received().path.read_bytes() == DATA
    assert not begun.is_spent


def test_S09_where_no_thread_can_be_started_nothing_is_begun(
    inside: Context, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(early, "threading", SimpleNamespace(Thread=Refused, Condition=threading.Condition))
    assert early.begin(inside, PINNED, [wire.source()], 3) is None


def test_no_hole_is_made_in_what_is_closed(tmp_path: Path) -> None:
    """Its number may be another file's by then."""
    part = parts.create(tmp_path, "a" * 64)
    part.append(b"x" * 8192)
    part.close()
    other = tmp_path / "other"
    other.write_bytes(b"y" * 8192)
    with other.open("r+b"):
        assert not part.give_up(4096)
    assert other.read_bytes() == b"y" * 8192


def test_other_systems_make_no_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders.sys, "platform", "darwin")
    with (tmp_path / "file").open("w+b") as stream:
        assert not folders.make_hole(stream.fileno(), 4096)


def test_who_reads_once_is_told_what_is_needed_and_what_is_passed(tmp_path: Path) -> None:
    data, told = archive(), list[tuple[str, int]]()
    path = tmp_path / "growing.part"
    path.write_bytes(data[:1000])

    class Told:
        def needs(self, end: int) -> None:
            told.append(("needs", end))
            path.write_bytes(data[: max(end, path.stat().st_size)])

        def passed(self, end: int) -> None:
            told.append(("passed", end))

    tail = data[-94_000:]
    with ArchiveArriving(path, len(data), tail, tmp_path, "growing.zip", lambda _: None, Told()) as found:
        chosen = [member for member in found.members if member.name.endswith(".jpg")]
        assert len(list(found.unpack([Order(member, "") for member in chosen], last=True))) == len(chosen)
        path.write_bytes(data)
        found.settle()
    passed = [end for what, end in told if what == "passed"]
    assert passed == sorted(passed)
    assert passed[-1] == len(data) - len(tail)
    assert len(passed) > 5
    assert max(end for what, end in told if what == "needs") <= len(data)
