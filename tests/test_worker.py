"""The archive worker's own code in this process: what it is told, what it answers, and the limits that it sets itself.

Its limits and its network would be those of the tests, so here they are only noted; `test_archives.py` looks at a real one.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import io
import json
import os
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from archive_writers import PNG, Zipped, names, zipped
from test_archives import image_bytes

from aigiqa_cli.archives import looking as looking_module
from aigiqa_cli.archives import worker
from aigiqa_cli.archives.contract import Consume, Member
from aigiqa_cli.archives.folder import DownloadedFolder
from aigiqa_cli.archives.looking import HUNG, Looking, looked_at
from aigiqa_cli.archives.source import Opened, Source

UNLIMITED = resource.RLIM_INFINITY
IMAGE = image_bytes("PNG")


class Exit(BaseException):
    """In place of the end of the process."""


class Bench:
    """Runs `worker.main` on pipes of text; what it does to its process is noted, not done."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.base, self.monkeypatch = base, monkeypatch
        self.target = base / "target"
        (self.target / "out").mkdir(parents=True)
        self.limits: list[tuple[int, tuple[int, int]]] = []
        self.ignored: list[int] = []
        monkeypatch.setattr(resource, "setrlimit", lambda kind, bounds: self.limits.append((kind, bounds)))
        monkeypatch.setattr(signal, "signal", lambda number, how: self.ignored.append(number))
        monkeypatch.setattr(worker, "without_network", lambda: True)
        monkeypatch.setattr(os, "_exit", self._end)

    def _end(self, code: int) -> None:
        raise Exit(code)

    def __call__(self, kind: str, path: Path, *lines: Any, told: Any = None) -> list[dict[str, Any]]:
        """What it answers; `lines` follow what it is told at first."""
        out = io.StringIO()
        text = [json.dumps(told or {}), *(json.dumps(line) for line in lines)]
        descriptors = [os.open(at, os.O_RDONLY) for at in (path, self.target)]
        notes = os.open(self.base / "notes", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with self.monkeypatch.context() as patched:
                patched.setattr(sys, "argv", ["worker", kind, *map(str, descriptors), str(notes), "120"])
                patched.setattr(sys, "stdin", io.StringIO("".join(line + "\n" for line in text)))
                patched.setattr(sys, "stdout", out)
                worker.main()
        finally:
            for descriptor in (*descriptors, notes):
                os.close(descriptor)
        return [json.loads(line) for line in out.getvalue().splitlines()]

    def given(self, data: bytes) -> Path:
        (self.base / "given").write_bytes(data)
        return self.base / "given"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def order(number: int, to: str = "", look: str = "") -> dict[str, Any]:
    return {"member": number, "to": to, "look": look}


def test_it_lists_then_carries_out_plan_after_plan(bench: Bench) -> None:
    path = bench.given(zipped(Zipped(b"a.png", IMAGE), Zipped(b"b.txt", PNG, 8), Zipped(b"set/c.png", IMAGE)))
    plans = ([order(0, "out/a", "header"), order(2, "out/c", "decode")], [order(1, "", "header"), order(0)])
    listed, done = bench("zip", path, *plans)[:4], bench("zip", path, [order(1)])[4:]
    assert [answer.get("name") for answer in listed] == ["a.png", "b.txt", "set/c.png", None]
    assert listed[3] == {"listed": 3}
    assert done == [{"member": 1, "bytes": len(PNG), "sha256": hashlib.sha256(PNG).hexdigest()}, {"done": 1}]
    assert [(bench.target / name).read_bytes() for name in ("out/a", "out/c")] == [IMAGE, IMAGE]


def test_what_is_looked_at_is_an_image_or_says_why_it_is_none(bench: Bench) -> None:
    path = bench.given(zipped(Zipped(b"a.png", IMAGE), Zipped(b"b.txt", b"hello"), Zipped(b"cut.png", IMAGE[:60])))
    answers = bench("zip", path, [order(0, "out/a", "header"), order(1, "", "header"), order(2, "", "decode")])
    told = {answer["member"]: answer for answer in answers if "member" in answer}
    assert (told[0]["width"], told[0]["height"], told[0]["format"]) == (40, 30, "png")
    assert all(told[number]["problem"] and told[number]["fault"].startswith("I") for number in (1, 2))
    assert looked_at_nothing(bench.base / "notes")


def looked_at_nothing(path: Path) -> bool:
    with path.open("rb") as stream:
        return looked_at(stream.fileno()) == []


def test_of_a_large_image_the_head_alone_is_kept(bench: Bench) -> None:
    """A folder is read in blocks of a MiB; an image may be followed by any number of them."""
    folder = bench.base / "folder"
    folder.mkdir()
    (folder / "a.png").write_bytes(IMAGE + bytes(6 << 20))
    answers = bench("folder", folder, [order(0, "out/a", "header")])
    assert (answers[2]["bytes"], answers[2]["width"]) == (len(IMAGE) + (6 << 20), 40)


# ---------------------------------------------------------------------------------------------------------------------
# Folders
# ---------------------------------------------------------------------------------------------------------------------


def test_S17_files_of_ours_are_linked_and_never_over_others(bench: Bench) -> None:
    folder = bench.base / "folder"
    folder.mkdir()
    (folder / "a.png").write_bytes(PNG)
    answers = bench("download", folder, [order(0, "out/a")])
    assert answers[-2]["sha256"] == hashlib.sha256(PNG).hexdigest()
    assert (bench.target / "out" / "a").samefile(folder / "a.png")
    answers = bench("download", folder, [order(0, "out/a")])
    assert answers[-1] == {"machine": os.strerror(errno.EEXIST), "errno": errno.EEXIST}


def test_S21_where_the_disk_has_no_links_files_are_copied(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_words: Any, **_more: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    folder = bench.base / "folder"
    folder.mkdir()
    (folder / "a.png").write_bytes(PNG)
    bench("download", folder, [order(0, "out/a")])
    assert (bench.target / "out" / "a").read_bytes() == PNG
    assert not (bench.target / "out" / "a").samefile(folder / "a.png")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DownloadedFolder]:
    """A folder of two files, a pipe, a broken link, a name that is none, and seventeen folders in each other."""
    base = tmp_path / "folder"
    (base / ("d/" * 17)).mkdir(parents=True)
    (base / ("d/" * 17) / "too-deep.png").write_bytes(PNG)
    (base / ("d/" * 16) / "deep.png").write_bytes(PNG)
    (base / "a.png").write_bytes(PNG)
    (base / "bad:name.png").write_bytes(PNG)
    (base / "gone.png").symlink_to("nowhere")
    os.mkfifo(base / "pipe")
    descriptor = os.open(base, os.O_RDONLY)
    yield DownloadedFolder(Source(Opened((descriptor,))))
    os.close(descriptor)


def test_A30_a_folder_is_read_as_deep_as_members_may_lie(folder: DownloadedFolder) -> None:
    assert {member.name for member in folder.members()} == {"a.png", "d/" * 16 + "deep.png"}


def test_A14_a_folder_of_too_many_files(folder: DownloadedFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aigiqa_cli.archives.folder.MAX_MEMBERS", 1)
    with pytest.raises(worker.Refusal) as caught:
        folder.members()
    assert caught.value.fault == "A14"


@pytest.mark.parametrize("now", [PNG + b"more", PNG[:-1]], ids=["grown", "shrunk"])
def test_A12_a_file_that_changes_while_it_is_read(folder: DownloadedFolder, tmp_path: Path, now: bytes) -> None:
    member = next(member for member in folder.members() if member.name == "a.png")
    (tmp_path / "folder" / "a.png").write_bytes(now)
    with pytest.raises(worker.Refusal) as caught:
        folder.stream([member], lambda _, chunks: list(chunks) and None)
    assert caught.value.fault == "A12"


# ---------------------------------------------------------------------------------------------------------------------
# How it ends
# ---------------------------------------------------------------------------------------------------------------------


def test_a_refusal_is_its_last_word(bench: Bench) -> None:
    (answer,) = bench("zip", bench.given(names(b"../x")))
    assert (answer["fault"], "'../x'" in answer["refused"]) == ("A01", True)


def test_what_a_library_warns_of_is_nobody_s_last_word(bench: Bench) -> None:
    """Of a worker that dies the last line that it wrote is told; what is wrong with an image is told otherwise."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bench("zip", bench.given(names(b"a.png")))
        warnings.warn("an image of many pixels", stacklevel=1)


def test_a_person_is_needed_for_a_password(bench: Bench) -> None:
    (answer,) = bench("zip", bench.given(zipped(Zipped(b"a.png", flags=1))))
    assert (answer["fault"], "--password" in answer["hint"]) == ("A20", True)
    assert "needs a password" in answer["needed"]


def test_S17_a_folder_that_is_missing_is_the_machine_s(bench: Bench) -> None:
    answers = bench("zip", bench.given(names(b"a.png")), [order(0, "gone/a")])
    assert answers[-1] == {"machine": os.strerror(errno.ENOENT), "errno": errno.ENOENT}


ENDS: dict[str, tuple[Exception, dict[str, Any]]] = {
    "memory": (MemoryError(), {"refused": "reading it takes too much memory", "fault": "A13"}),
    "no number": (OSError("odd"), {"machine": "odd", "errno": errno.EIO}),
    "threads": (
        RuntimeError("can't start new thread"),
        {"machine": "can't start new thread", "errno": errno.EAGAIN},
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_S09_what_its_machine_refuses_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    error, said = ENDS[end]
    monkeypatch.setattr(worker, "serve", raising(error))
    assert bench("zip", bench.given(names(b"a.png"))) == [said]


def test_S24_a_mistake_of_ours_is_not_hidden(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "serve", raising(RuntimeError("a mistake")))
    with pytest.raises(RuntimeError, match="a mistake"):
        bench("zip", bench.given(names(b"a.png")))


def test_it_ends_without_a_word_if_nobody_listens(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "serve", raising(BrokenPipeError()))
    with pytest.raises(Exit) as caught:
        bench("zip", bench.given(names(b"a.png")))
    assert caught.value.args == (1,)


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_words: Any) -> None:
        raise error

    return fail


# ---------------------------------------------------------------------------------------------------------------------
# Parts of an archive that lies elsewhere
# ---------------------------------------------------------------------------------------------------------------------


def test_what_is_not_here_is_asked_for(bench: Bench) -> None:
    """All of it is brought at the first question, in two pieces that lie the wrong way round in the local file."""
    data = zipped(Zipped(b"a.png", PNG), Zipped(b"b.png", PNG, 8))
    half = len(data) // 2
    path = bench.given(data[half:] + data[:half])
    places = [[half, len(data), 0], [0, half, len(data) - half]]
    answers = bench("zip in parts", path, places, [order(1, "out/b")], [], told={"length": len(data)})
    asked = [answer for answer in answers if "parts" in answer]
    assert asked[0]["parts"][0][1] == len(data), "the end first"
    assert (asked[-1]["members"], asked[-1]["parts"]) == ([1], [[30 + 5 + len(PNG), data.index(b"PK\x01\x02")]])
    assert (bench.target / "out" / "b").read_bytes() == PNG
    assert {"done": 1} in answers


def test_it_ends_if_nobody_brings_anything(bench: Bench) -> None:
    with pytest.raises(Exit):
        bench("zip in parts", bench.given(b""), told={"length": 1_000})


# ---------------------------------------------------------------------------------------------------------------------
# Limits, network
# ---------------------------------------------------------------------------------------------------------------------


def test_S09_limits_are_set_before_anything_is_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (UNLIMITED, UNLIMITED))
    bench("zip", bench.given(names(b"a.png")))
    found = dict(bench.limits)
    assert found[resource.RLIMIT_AS] == (2 << 30, 2 << 30)
    assert found[resource.RLIMIT_NOFILE] == (64, 64)
    assert found[resource.RLIMIT_CORE] == (0, 0)
    assert found[resource.RLIMIT_CPU] == (120, 125)
    assert found[resource.RLIMIT_FSIZE] == (len(PNG) + 1024,) * 2, "no file may be larger than the largest member"
    assert bench.ignored == [signal.SIGXFSZ]


def test_S09_who_is_limited_more_already_stays_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (7, 9))
    worker._lower(resource.RLIMIT_CPU, 120, 5)
    worker._lower(resource.RLIMIT_CPU, 5, 2)
    assert bench.limits == [(resource.RLIMIT_CPU, (7, 9)), (resource.RLIMIT_CPU, (5, 7))]


@pytest.mark.parametrize(
    ("codes", "left"), [((0,), True), ((-1, 0), True), ((-1, -1), False), (None, False)],
    ids=["root", "another user", "nobody may", "unknown to the system"],
)  # fmt: skip
def test_S09_it_leaves_the_network_where_the_kernel_lets_it(
    monkeypatch: pytest.MonkeyPatch, codes: Sequence[int] | None, left: bool
) -> None:
    asked: list[int] = []
    given = iter(codes or ())

    def unshare(flags: int) -> int:
        asked.append(flags)
        return next(given)

    library = SimpleNamespace(unshare=unshare) if codes is not None else SimpleNamespace()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    assert worker.without_network() is left
    assert asked == [0x40000000, 0x50000000][: len(codes or ())], "CLONE_NEWNET; with CLONE_NEWUSER"


# ---------------------------------------------------------------------------------------------------------------------
# Decoders that do not come back
# ---------------------------------------------------------------------------------------------------------------------


def test_I09_who_looks_too_long_is_ended_by_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second thread watches; the process that it would end is not this one."""
    killed, over = [], threading.Event()

    def kill(_pid: int, number: int) -> None:
        killed.append(number)
        over.set()

    monkeypatch.setattr(looking_module.os, "kill", kill)
    monkeypatch.setattr(looking_module, "SECONDS", 0.02)
    monkeypatch.setattr(looking_module, "_BETWEEN_CHECKS", 0.001)
    with (tmp_path / "notes").open("w+b") as notes:
        look = Looking(notes.fileno())
        with look.at(3):
            assert looked_at(notes.fileno()) == [3]
            assert over.wait(60)
        assert looked_at(notes.fileno()) == []
        with look.at(4):
            assert looked_at(notes.fileno()) == [4], "the same thread has the same place"
    assert killed == [HUNG]


def test_a_reader_that_has_more_to_judge_is_told_when(bench: Bench) -> None:
    settled = []

    class Later:
        def members(self) -> list[Member]:
            return []

        def stream(self, wanted: Any, consume: Consume) -> None:
            settled.append(list(wanted))

        def settle(self) -> None:
            settled.append("settled")

    bench.monkeypatch.setitem(worker.FORMATS, "zip", lambda _: Later())
    assert bench("zip", bench.given(b""), []) == [{"listed": 0}, {"done": 0}]
    assert settled == ["settled", []]


def test_a_reader_without_members_is_served(bench: Bench) -> None:
    class Nothing:
        def members(self) -> list[Member]:
            return []

        def stream(self, wanted: Any, consume: Consume) -> None:
            raise AssertionError("there is nothing to stream")

    bench.monkeypatch.setitem(worker.FORMATS, "zip", lambda _: Nothing())
    assert bench("zip", bench.given(b"")) == [{"listed": 0}]


@pytest.mark.parametrize("once", [True, False])
def test_a_zip_that_arrives_is_read_once_or_as_often_as_one_likes(bench: Bench, once: bool) -> None:
    data = zipped(Zipped(b"a.png", IMAGE), Zipped(b"b.txt", b"nobody's"), Zipped(b"set/c.png", IMAGE))
    tail = bench.base / "tail"
    tail.write_bytes(data[-200:])
    plan = [order(0, "out/a", "header"), order(2, "out/c")]
    source = os.open(tail, os.O_RDONLY)  # the second volume that the worker is given
    try:
        path = bench.given(data)
        kind = "zip arriving"
        with bench.monkeypatch.context() as patched:
            real = worker.Source
            patched.setattr(
                worker, "Source", lambda opened: real(replace(opened, descriptors=(*opened.descriptors, source)))
            )
            answers = bench(kind, path, {"last": plan} if once else plan, [], told={"length": len(data), "once": once})
    finally:
        os.close(source)
    assert [answer["done"] for answer in answers if "done" in answer] == [2, 0]
    assert [answer["member"] for answer in answers if "member" in answer] in ([0, 2], [2, 0])
    assert [answer["passed"] for answer in answers if "passed" in answer] == ([len(data) - 200] if once else [])
    assert [(bench.target / name).read_bytes() for name in ("out/a", "out/c")] == [IMAGE, IMAGE]
