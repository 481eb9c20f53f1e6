"""Archives that are unpacked while they arrive: what comes of it is what comes of the whole file, good or bad."""

from __future__ import annotations

import io
import json
import os
import random
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import invariants
import pytest
from doubles import Fault
from local import ARCHIVE, EARLY, NAME, Local, archive, local
from nursery import Ended
from test_lanes import Patient
from wire import DATA, LOOSE, PINNED, QUICK, SHA256, SIZE, Wire

from aigiqa_cli import early
from aigiqa_cli.archives import open_archive
from aigiqa_cli.archives.arriving import ArchiveArriving
from aigiqa_cli.archives.contract import Needed, Refusal
from aigiqa_cli.archives.source import Opened, Source
from aigiqa_cli.archives.zip_arriving import ZipArriving
from aigiqa_cli.context import Context
from aigiqa_cli.errors import MachineFault, PersonNeeded, RefusedInput
from aigiqa_cli.manifest.catalogue import Catalogue
from aigiqa_cli.store import Root
from aigiqa_cli.transport import parts

PLAIN = "import aigiqa_cli.early\naigiqa_cli.early.WORTH = 1 << 60\n"
PROMPTS = 60  # 240 images: much more than the end that is asked for first
SHORT = "aigiqa_cli.early.TAIL_EACH = 100\n"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path, prompts=PROMPTS) as made:
        made.nursery.prelude = EARLY + SHORT
        yield made


def fetch(here: Local, prelude: str = "", code: int | None = 0, *words: str) -> Ended:
    here.nursery.prelude = prelude or EARLY + SHORT
    return here.nursery("fetch", NAME, "--json", *words, code=code)


def ranges(here: Local) -> list[str]:
    return [entry.range for entry in here.server.log if entry.path == ARCHIVE]


def plain(here: Local, *words: str) -> tuple[Ended, dict[str, str]]:
    """What comes of it without this room, and the root is empty again."""
    ended = fetch(here, PLAIN, None, *words)
    found = invariants.published(here.root) if here.root.exists() else {}
    here.clear()
    here.server.log.clear()
    return ended, found


def publish(here: Local, data: bytes, *, pinned: bool = True) -> None:
    """Another archive, and a manifest that says so."""
    import hashlib

    text = here.manifest.read_text()
    old = hashlib.sha256(here.packed).hexdigest()
    length = f"    bytes: {len(here.packed)}\n"
    assert length in text
    text = text.replace(length, f"    bytes: {len(data)}\n")
    text = text.replace(f"    sha256: {old}\n", f"    sha256: {hashlib.sha256(data).hexdigest()}\n" if pinned else "")
    here.manifest.write_text(text)
    here.server.site.put(ARCHIVE, data)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_same_comes_of_it(here: Local) -> None:
    _, good = plain(here)
    fetch(here)
    assert invariants.published(here.root) == good
    first, second = ranges(here)
    assert (first.startswith("bytes="), second) == (True, ""), "its end, then all of it"
    assert not list((here.root / ".aigiqa" / "partial").glob("*.part"))
    here.sound(invariants.tree(here.root))


def test_members_are_written_before_the_archive_has_arrived(here: Local) -> None:
    here.server.site.faults.add(ARCHIVE, Fault(), Fault(rate=len(here.packed)))  # a second for all of it
    run = here.nursery.begin("fetch", NAME)
    seen = [0]
    while seen[-1] != 4 * PROMPTS and runs(run.pid):
        written = len(list(here.root.glob(".aigiqa/staging/*/tree/images/*")))
        (part,) = [*here.root.glob(".aigiqa/partial/*.part"), None][:1]
        try:
            arrived = part.stat().st_size if part else len(here.packed)
        except FileNotFoundError:
            continue
        if arrived < len(here.packed):
            seen.append(written)
    assert here.nursery.end(run).code == 0
    assert max(seen) > 10


@pytest.mark.parametrize("what", ["kept", "unpinned", "required", "slow", "cut", "cut twice", "resumed", "no parts"])
def test_it_comes_to_the_same_end(here: Local, what: str) -> None:
    words = {"kept": ("--keep-archives",), "required": ("--require-hashes",)}.get(what, ())
    if what == "unpinned":
        publish(here, here.packed, pinned=False)
    _, good = plain(here, *words)
    size, faults = len(here.packed), here.server.site.faults
    if what == "slow":
        faults.add(ARCHIVE, Fault(), Fault(rate=2 * size))
    elif what.startswith("cut"):
        faults.add(ARCHIVE, Fault(), *[Fault(cut=size // 3)] * (2 if "twice" in what else 1))
    elif what == "resumed":
        faults.add(ARCHIVE, Fault(), *[Fault(cut=size // 3), *[Fault(status=404)] * 9])
        assert fetch(here, code=None).code == 3
        faults.clear()
    elif what == "no parts":
        here.server.site.put(ARCHIVE, here.packed, ranges=False)
    fetch(here, "", 0, *words)
    assert invariants.published(here.root) == good
    kept = list((here.root / ".aigiqa" / "archives" / "sha256").iterdir())
    assert len(kept) == (what == "kept")
    if what == "resumed":
        assert any(found.endswith("-") for found in ranges(here)), "continued, not begun anew"
    if what == "unpinned":
        assert "unpinned" in here.nursery("fetch", NAME, "--force").err


def spoiled(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def repacked(data: bytes, change: Callable[[str, bytes], tuple[str, bytes] | None], **about: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            changed = change(name, old.read(name))
            if changed:
                new.writestr(*changed, **about)
    return stream.getvalue()


BAD: dict[str, Callable[[bytes], bytes]] = {
    "a wrong bit in a member": lambda data: spoiled(data, len(data) // 3),
    "a local header that disagrees": lambda data: spoiled(data, data.index(b"PK\x03\x04", 5000) + 14),
    "a member too many": lambda data: repacked(data, lambda n, d: (n, d)) + b"PK\x05\x06",
    "images missing": lambda data: repacked(data, lambda n, d: None if "_007." in n else (n, d)),
    "no images": lambda data: repacked(data, lambda n, d: (n, b"text" * 99)),
    "other names": lambda data: repacked(data, lambda n, d: (n.replace("_", "-"), d)),
    "a way out": lambda data: repacked(data, lambda n, d: (f"../{n}", d)),
    "bytes before the first member": lambda data: b"MZ" * 50 + data,
    "no zip": lambda data: random.Random(1).randbytes(len(data)),
}  # fmt: skip


@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_told_as_of_the_whole_file(here: Local, what: str, pinned: bool) -> None:
    publish(here, BAD[what](here.packed), pinned=pinned)
    expected, _ = plain(here)
    found = fetch(here, code=None)
    assert expected.code != 0
    assert (found.code, json.loads(found.out)) == (expected.code, json.loads(expected.out))
    assert not (here.root / NAME).exists()
    assert not list((here.root / ".aigiqa" / "staging").iterdir())


def test_N05_other_bytes_than_the_pinned_ones(here: Local) -> None:
    here.server.site.put(ARCHIVE, spoiled(here.packed, 5000))
    expected, _ = plain(here)
    found = fetch(here, code=4)
    assert json.loads(found.out) == json.loads(expected.out)
    assert not (here.root / NAME).exists()


@pytest.mark.parametrize("pinned", [True, False])
def test_N16_the_file_is_replaced_meanwhile(here: Local, pinned: bool) -> None:
    """Between the answers of its end and of the whole: the end that was read belongs to nothing."""
    if not pinned:
        publish(here, here.packed, pinned=False)
    new = archive(PROMPTS + 1, here.base / "new.zip")
    here.server.site.faults.add(ARCHIVE, Fault(then=here.server.site.put("/new.zip", new)))
    found = fetch(here, code=None)
    assert found.code == 4, found.err
    assert not (here.root / NAME).exists()


def test_an_end_that_is_not_the_file_s_is_noticed(here: Local) -> None:
    """A host that gives parts of another file than the whole one: the whole one counts."""
    _, good = plain(here)
    here.server.site.faults.add(ARCHIVE, Fault(flip=10))
    fetch(here)
    assert invariants.published(here.root) == good


def test_S04_a_full_disk_is_told_once(here: Local) -> None:
    here.nursery.prelude = EARLY + SHORT + (
        "import errno, os\n"
        "from aigiqa_cli.transport import parts\n"
        "def append(self, block):\n"
        "    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
        "parts.Part.append = append\n"
    )  # fmt: skip
    ended = here.nursery("fetch", NAME, "--json")
    (told,) = json.loads(ended.out)["data"]
    assert (ended.code, told["error"]["fault"]) == (7, "S04")


def test_S11_a_publication_that_was_begun_is_not_begun_again(here: Local) -> None:
    """All was unpacked and proven, and a passing error comes between the folder and its record: the next run goes on."""
    _, good = plain(here)
    here.clear()
    here.nursery.prelude = EARLY + SHORT + (
        "import errno, os\n"
        "from aigiqa_cli.store import staging\n"
        "reading, told = staging._bytes, []\n"
        "def stale(path):\n"
        "    if path.parent.name == 'installed' and not told:\n"
        "        told.append(path)\n"
        "        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))\n"
        "    return reading(path)\n"
        "staging._bytes = stale\n"
    )  # fmt: skip
    ended = here.nursery("fetch", NAME, "--json")
    assert ended.code == 6
    assert ended.error()["fault"] == "S11"
    invariants.check(here.root, settled=False)
    here.server.log.clear()
    fetch(here, EARLY + SHORT)
    assert invariants.published(here.root) == good
    assert not here.server.log, "nothing is moved twice"


def test_S03_an_interrupt_leaves_the_beginning(here: Local) -> None:
    import signal

    here.server.site.faults.add(ARCHIVE, Fault(), Fault(rate=len(here.packed) // 4))
    run = here.nursery.begin("fetch", NAME)
    while not [p for p in here.root.glob(".aigiqa/partial/*.part") if p.stat().st_size > len(here.packed) // 8]:
        assert runs(run.pid)
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGINT)
    assert here.nursery.end(run).code == 130
    part = max(here.root.glob(".aigiqa/partial/*.part"), key=lambda path: path.stat().st_size)
    assert here.packed.startswith(part.read_bytes())
    assert not list((here.root / ".aigiqa" / "staging").iterdir())
    here.server.site.faults.clear()
    fetch(here)


# ---------------------------------------------------------------------------------------------------------------------
# The worker


def grown(tmp_path: Path, data: bytes, tail: int) -> ArchiveArriving:
    path = tmp_path / "growing.part"
    path.write_bytes(data[: len(data) // 2])
    return ArchiveArriving(path, len(data), data[-tail:], tmp_path, "growing.zip", lambda _: None)


def test_the_directory_is_read_before_the_members_are_there(tmp_path: Path) -> None:
    data = archive_of(9)
    with grown(tmp_path, data, 70_000) as found:
        assert [member.name for member in found.members] == [f"{number}.bin" for number in range(9)]
        (tmp_path / "growing.part").write_bytes(data)
        found.settle()


@pytest.mark.parametrize("spoil", ["the end", "a local header", "what is left out"])
def test_what_only_the_whole_file_tells_is_judged_when_it_settles(tmp_path: Path, spoil: str) -> None:
    data = archive_of(9)
    at = {"the end": len(data) - 60, "a local header": 14, "what is left out": 26}[spoil]
    with grown(tmp_path, data, 70_000) as found:
        (tmp_path / "growing.part").write_bytes(spoiled(data, at))
        with pytest.raises(RefusedInput):
            found.settle()


def test_a_download_that_is_begun_anew_ends_it(tmp_path: Path) -> None:
    with grown(tmp_path, archive_of(9), 70_000) as found:
        (tmp_path / "growing.part").unlink()
        with pytest.raises(RefusedInput, match="begun anew"):
            found.settle()


def test_who_waits_for_bytes_that_never_come_is_told_so(tmp_path: Path) -> None:
    path, losses = tmp_path / "growing.part", list[Callable[[], None]]()
    data = archive_of(9)
    path.write_bytes(data[:1000])
    with ArchiveArriving(path, len(data), data[-70_000:], tmp_path, "growing.zip", losses.append) as found:
        threading.Timer(0.1, losses[0]).start()
        with pytest.raises(RefusedInput, match="ended before it was whole"):
            found.settle()


def test_a_worker_that_dies_by_itself_is_a_machine_s_fault(tmp_path: Path) -> None:
    with grown(tmp_path, archive_of(9), 70_000) as found:
        found._process.kill()
        with pytest.raises(MachineFault):
            found.settle()


def test_an_archive_that_is_here_has_nothing_to_settle(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(archive_of(2))
    with open_archive(tmp_path / "a.zip", tmp_path) as found:
        found.settle()
        assert len(found.members) == 2


def archive_of(count: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for number in range(count):
            made.writestr(f"{number}.bin", random.Random(number).randbytes(20_000))
    return stream.getvalue()


# ---------------------------------------------------------------------------------------------------------------------
# Each part by itself, in this process


@contextmanager
def growing(tmp_path: Path, data: bytes, tail: int, arrived: int) -> Iterator[tuple[ZipArriving, Path]]:
    """The reader of a zip of which the first `arrived` bytes are here, and the last `tail` ones are known."""
    path, end = tmp_path / "a.part", tmp_path / "end"
    path.write_bytes(data[:arrived])
    end.write_bytes(data[-tail:])
    with path.open("rb") as part, end.open("rb") as known:
        yield ZipArriving(Source(Opened((part.fileno(), known.fileno()), length=len(data)))), path


def test_bytes_come_from_the_part_and_from_its_end(tmp_path: Path) -> None:
    data = archive_of(9)
    with growing(tmp_path, data, 70_000, len(data)) as (reader, _):
        for at, count in ((0, 10), (len(data) - 70_010, 30), (len(data) - 20, 20), (len(data) - 5, 50), (len(data), 1)):
            assert reader.growing.pread(count, at) == data[at : at + count]


def test_what_is_in_the_end_is_read_before_anything_else_is_here(tmp_path: Path) -> None:
    data = archive_of(9)
    with growing(tmp_path, data, 70_000, 0) as (reader, path):
        path.unlink()  # who waits for it is told so
        for at in (len(data) - 70_000, len(data) - 69_999):
            assert reader.growing.pread(10, at) == data[at : at + 10]
        with pytest.raises(Refusal, match="begun anew"):
            reader.growing.pread(10, len(data) - 70_001)


def test_members_are_consumed_one_by_one_as_they_arrive(tmp_path: Path) -> None:
    data = archive_of(9)
    with growing(tmp_path, data, 70_000, 0) as (reader, path):
        members = reader.members()
        seen: dict[str, bytes] = {}

        def arrive() -> None:
            with path.open("ab") as stream:
                for at in range(0, len(data), 10_000):
                    stream.write(data[at : at + 10_000])
                    stream.flush()
                    time.sleep(0.002)

        thread = threading.Thread(target=arrive)
        thread.start()
        reader.stream(members, lambda member, chunks: seen.update({member.name: b"".join(chunks)}))
        thread.join()
        reader.settle()
    assert seen == {f"{number}.bin": random.Random(number).randbytes(20_000) for number in range(9)}


@pytest.mark.parametrize("why", ["begun anew", "nobody is left", "another end", "encrypted"])
def test_what_ends_a_reader_that_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    data = archive_of(9)
    if why == "encrypted":  # the flag of the last entry of the directory
        at = data.rindex(b"PK\x01\x02") + 8
        data = data[:at] + b"\x01" + data[at + 1 :]
    with growing(tmp_path, data, 70_000, 1000) as (reader, path):
        if why == "encrypted":
            with pytest.raises((Refusal, Needed)):
                reader.members()
            return
        if why == "begun anew":
            path.unlink()
        elif why == "nobody is left":
            monkeypatch.setattr(os, "getppid", lambda: 1)
            reader.growing.parent = 2
        else:
            path.write_bytes(data[:-30] + bytes(30))
        expected = BrokenPipeError if why == "nobody is left" else Refusal
        with pytest.raises(expected):
            reader.settle()


@pytest.fixture
def inside(wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(early, "WORTH", 0)
    root = Root(tmp_path / "root")
    root.prepare()
    return Context(root, Catalogue({}), QUICK, wire.reporter)


def test_whoever_waits_is_told_how_it_ended(inside: Context, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "threading", SimpleNamespace(Thread=threading.Thread, Condition=Patient))
    wire.server.site.faults.add("/set.zip", Fault(), Fault(delay=0.2, status=404))
    begun = early.begin(inside, PINNED, [wire.source()], 3)
    assert begun is not None
    since, found = time.monotonic(), list[object]()
    waiting = threading.Thread(target=lambda: found.append(begun.part()), daemon=True)
    waiting.start()
    with pytest.raises(PersonNeeded):
        begun.received()
    assert time.monotonic() - since < 30
    waiting.join(30)
    assert found == [None], "no byte will ever come"


def test_a_download_is_watched_from_outside(inside: Context, wire: Wire) -> None:
    begun = early.begin(inside, PINNED, [wire.source()], 3)
    assert begun is not None
    assert begun.tail == DATA[-66_900:]
    assert begun.finished() == ("http /set.zip", (SHA256, SIZE))
    assert begun.is_over
    beside = begun.beside(inside.reporter)
    beside.phase("unpacking", total=7)
    beside.advance(7)
    beside.note("a note")
    beside.detail("a detail")
    assert wire.reporter.phases[-1] == ("unpacking", 7, 0)
    assert wire.reporter.notes[-2:] == ["a note", "a detail"]
    lost: list[int] = []
    begun.on_loss(lambda: lost.append(1))
    assert lost == []


def test_beside_a_download_only_the_download_is_shown(inside: Context, wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(), Fault(rate=SIZE))
    begun = early.begin(inside, PINNED, [wire.source()], 3)
    assert begun is not None
    assert begun.part() is not None
    beside = begun.beside(inside.reporter)
    beside.phase("unpacking", total=7)
    beside.advance(7)
    begun.call_off()
    with pytest.raises(early.CalledOff):
        begun.received()
    assert "unpacking" not in [name for name, *_ in wire.reporter.phases]
    assert wire.reporter.advanced < SIZE


@pytest.mark.parametrize("why", ["no parts", "gone", "small", "here already"])
def test_what_is_not_begun_early(inside: Context, wire: Wire, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    sources = [wire.source("/nowhere.zip" if why == "gone" else "/set.zip")]
    if why == "no parts":
        wire.server.site.put("/set.zip", DATA, ranges=False)
    elif why == "small":
        monkeypatch.setattr(early, "WORTH", SIZE + 1)
    elif why == "here already":
        wire.partial = inside.root.partial
        part = parts.create(wire.partial, SHA256)
        part.append(DATA)
        part.close()
    assert early.begin(inside, PINNED, sources, 3) is None


@pytest.mark.parametrize("why", ["another length", "no file", "begun anew"])
def test_who_waits_is_told_of_a_loss(inside: Context, wire: Wire, why: str) -> None:
    wanted, faults = LOOSE, wire.server.site.faults
    if why == "another length":
        faults.add("/set.zip", Fault(then=replace(wire.server.site.blobs["/set.zip"], data=DATA[:-9])))
    elif why == "no file":
        faults.add("/set.zip", Fault(), *[Fault(status=404)] * 9)
    else:
        wanted = PINNED
        faults.add("/set.zip", Fault(), Fault(cut=SIZE // 2, flip=100), Fault())
    begun = early.begin(inside, wanted, [wire.source()], 3)
    assert begun is not None
    lost = threading.Event()
    begun.on_loss(lost.set)
    assert lost.wait(30)
    if why == "no file":
        assert begun.part() is None
        with pytest.raises(PersonNeeded):
            begun.received()
    else:
        assert begun.received().bytes in (SIZE, SIZE - 9)
    late = threading.Event()
    begun.on_loss(late.set)
    assert late.is_set(), "who asks afterwards hears it at once"


def test_S09_where_no_thread_can_be_started_the_archive_is_unpacked_when_it_is_here(here: Local) -> None:
    _, expected = plain(here)
    refuses = (
        "import threading, types\n"
        "class Refused(threading.Thread):\n"
        '    def start(self): raise RuntimeError("can\'t start new thread")\n'
        "aigiqa_cli.early.threading = types.SimpleNamespace(Thread=Refused, Condition=threading.Condition)\n"
    )
    fetch(here, EARLY + SHORT + refuses)
    assert invariants.published(here.root) == expected
