"""P4 and P5 in the order of system calls: bytes are flushed before they get their name, names before the next step counts
on them, and nothing is called done before both (threats-and-faults.md, section 2)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_store import content, is_whole, prepared, publish, stage

from aigiqa_cli import folders
from aigiqa_cli.archives import Member, worker
from aigiqa_cli.archives.looking import Looking
from aigiqa_cli.store import Mend, Root, durable, heal, mend, retire, staging, withdraw
from aigiqa_cli.store.staging import roll_forward
from aigiqa_cli.transport.parts import BATCH, Part


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = Root(tmp_path / "root")
    made.prepare()
    return made


class Flushes:
    """Sees every rename and flush of this process below a root. `dirty`: folders in which names changed since their last
    flush; staging and what lies in former folders does not count, a power cut may undo it."""

    def __init__(self, root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.dirty = root, set[Path]()
        self.flushed: dict[int, int] = {}  # inode of a file -> its length when it was flushed last
        for name in ("rename", "replace", "mkdir"):
            monkeypatch.setattr(os, name, self.heard(getattr(os, name)))
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(durable, "_syncfs", self.syncfs)
        self.exchange = staging.exchange
        monkeypatch.setattr(staging, "exchange", self.exchanged)

    def heard(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(*words: Any, **handles: Any) -> None:
            at = [self.path(word, handles) for word, handles in self.named(words, handles)]
            if len(at) > 1:
                self.before(*at)
            real(*words, **handles)
            if len(at) > 1 or "dir_fd" in handles:
                self.touch(*at)

        return call

    @staticmethod
    def named(words: tuple[Any, ...], handles: dict[str, Any]) -> list[tuple[Any, int | None]]:
        if isinstance(words[-1], int):  # mkdir
            return [(words[0], handles.get("dir_fd"))]
        return [(words[0], handles.get("src_dir_fd")), (words[1], handles.get("dst_dir_fd"))]

    @staticmethod
    def path(word: Any, handle: int | None) -> Path:
        return Path(os.readlink(f"/proc/self/fd/{handle}"), word) if handle is not None else Path(word)

    def before(self, source: Path, target: Path) -> None:
        files = [path for path in source.rglob("*") if path.is_file()] if source.is_dir() else [source]
        leaves = source.is_relative_to(self.root.staging) and not target.is_relative_to(self.root.staging)
        if leaves or source.suffix == ".tmp":  # anything else was there before
            late = [path for path in files if self.flushed.get(path.stat().st_ino) != path.stat().st_size]
            assert not late, f"{late} got a name before its bytes were flushed"
        if target.parent == self.root.installed:
            assert self.root.path not in self.dirty, "the record says what may not be there"
        if target.is_relative_to(self.root.folder("some")):
            assert self.root.quarantine not in self.dirty, "what stood there may be lost"

    def touch(self, *paths: Path) -> None:
        for path in paths:
            folder, replaced = path.parent, self.root.replaced
            if not (folder.is_relative_to(self.root.staging) or replaced in folder.parents):
                self.dirty.add(folder)

    def exchanged(self, first: Path, second: Path) -> bool:
        self.before(first, second)
        done = self.exchange(first, second)
        self.touch(first, second)
        return done

    def fsync(self, descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            self.dirty.discard(path)
        else:
            self.flushed[os.fstat(descriptor).st_ino] = os.fstat(descriptor).st_size

    def syncfs(self, folder: Path, _: int | None = None) -> bool:
        """One of the ways to flush a tree; the other one goes through `fsync`."""
        found = [path.stat() for path in folder.rglob("*") if path.is_file()]
        self.flushed |= {status.st_ino: status.st_size for status in found}
        return True


@pytest.fixture
def flushes(root: Root, monkeypatch: pytest.MonkeyPatch) -> Flushes:
    return Flushes(root, monkeypatch)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_S02_a_publication_is_durable_step_by_step(
    root: Root, flushes: Flushes, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(staging, "exchange", lambda *_: False)
    for version in (1, 2):
        assert is_whole(root, publish(root, version=version))
        assert not flushes.dirty


def test_what_is_not_to_be_published_is_not_flushed(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    monkeypatch.setattr(staging, "flush_tree", lambda folder, _: flushed.extend(os.listdir(folder)))
    work, record = stage(root)
    (work.scratch / "of a member").write_bytes(b"x")
    work.publish(record)
    work.close()
    assert sorted(flushed) == ["owner.json", "tree"]


def test_S02_a_healed_publication_and_a_removal_are_durable(root: Root, flushes: Flushes) -> None:
    publish(root, version=1)
    flushes.syncfs(prepared(root, 2)[0])
    assert heal(root, "some")
    assert not flushes.dirty
    former = withdraw(root, "some")
    assert not flushes.dirty
    assert retire(root, former) == []
    publish(root, version=1)
    os.rename(root.record("some"), root.replaced / "some-0123456789abcdef.json")  # a removal that was stopped here
    flushes.dirty.clear()
    assert heal(root, "some")
    assert not flushes.dirty


def test_S02_a_record_that_is_put_back_is_durable(
    root: Root, flushes: Flushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process publishes at the same moment, where locks lie (C06)."""
    first = publish(root, version=1)
    folder, _ = prepared(root, 2)
    flushes.syncfs(folder)
    monkeypatch.setattr(staging, "_publish_tree", lambda *_: None)
    with pytest.raises(staging.TemporaryFault):
        roll_forward(root, folder, "some")
    assert root.record("some").read_bytes() == b"".join(first.pieces())
    assert not flushes.dirty


def test_P5_what_is_put_aside_or_sent_home_is_durable(root: Root, flushes: Flushes) -> None:
    publish(root, version=1)
    (root.folder("some") / "deep" / "er").mkdir(parents=True)
    (root.folder("some") / "deep" / "er" / "mine").write_text("the user's")
    (root.folder("some") / "index.csv").write_bytes(b"changed")
    former = withdraw(root, "some")
    (aside,) = retire(root, former)
    assert not flushes.dirty
    assert aside.read_bytes() == b"changed"
    assert (root.folder("some") / "deep" / "er" / "mine").read_text() == "the user's"


def test_P5_what_is_mended_is_durable_and_what_stood_there_before_it(root: Root, flushes: Flushes) -> None:
    record = publish(root)
    (root.folder("some") / "images" / "a1.png").unlink()
    (root.folder("some") / "images").rmdir()
    (root.folder("some") / "index.csv").write_bytes(b"changed")
    mends = []
    for file in record.files:
        staged = root.staging / secrets.token_hex(4)
        staged.write_bytes(content("some", 1)[file.path])
        mends.append(Mend(file, staged, {"problem": "changed"}))
    assert len(mend(root, "some", mends)) == 2
    assert is_whole(root, record)
    assert not flushes.dirty


def test_S02_a_file_that_is_replaced_is_durable(root: Root, flushes: Flushes) -> None:
    durable.write_whole(root.index, b"database\n")
    assert root.index.read_bytes() == b"database\n"
    assert not flushes.dirty


def test_where_the_system_flushes_no_tree_at_once_each_file_is(
    root: Root, flushes: Flushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_syncfs", lambda *_: False)
    folder, _ = prepared(root, 1)
    (folder / "link").symlink_to("owner.json")
    flushes.flushed.clear()
    durable.flush_tree(folder)
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {path.stat().st_ino for path in files} == set(flushes.flushed)


def test_the_disk_begins_while_a_part_still_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(folders, "begin_flush", lambda _, at, count: told.append((at, count)))
    descriptor = os.open(tmp_path / "part", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, bytes(1000))
    part = Part(tmp_path / "part", descriptor)
    part.load()
    for _ in range(40):
        part.append(bytes(1 << 20))
    part.close()
    ends = [at + count for at, count in told]
    assert [at for at, _ in told] == [0, *ends[:-1]], "no byte is left out, also of what an earlier run has brought"
    assert part.size - BATCH < ends[-1] <= part.size
    assert all(count < 2 * BATCH for _, count in told)


def test_the_disk_begins_with_each_image_that_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(worker, "begin_flush", lambda descriptor: told.append(os.fstat(descriptor).st_size))
    monkeypatch.setattr(worker, "say", lambda _: None)
    target, looks = os.open(tmp_path, os.O_RDONLY), os.open(tmp_path / "looks", os.O_RDWR | os.O_CREAT)
    large = bytes(128 << 10)
    orders = {"a": (large, "header"), "b": (large[1:], "header"), "c": (large, ""), "": (large, "header")}
    plan: dict[int, dict[str, Any]] = {
        number: {"to": to, "look": look} for number, (to, (_, look)) in enumerate(orders.items())
    }
    unpacker = worker.Unpacker(target, plan, Looking(looks))
    for number, (data, _) in enumerate(orders.values()):
        unpacker.consume(Member(number, f"{number}", len(data)), iter([data[:5], data[5:]]))
    os.close(target)
    os.close(looks)
    assert told == [128 << 10], "not with small ones, with what is looked into later, with what is only hashed"
    assert (tmp_path / "a").read_bytes() == large


def test_a_hint_to_the_disk_fails_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders.begin_flush(999_999)
    asked: list[tuple[int, ...]] = []
    call = lambda handle, at, count, how: asked.append((handle, at.value, count.value, how))  # noqa: E731
    monkeypatch.setattr(folders, "_LIBRARY", SimpleNamespace(sync_file_range=call))
    folders.begin_flush(7)
    folders.begin_flush(8, 50 << 30, 10)
    assert asked == [(7, 0, 0, 2), (8, 50 << 30, 10, 2)], "SYNC_FILE_RANGE_WRITE, which waits for no write"
    monkeypatch.setattr(folders, "_LIBRARY", SimpleNamespace())
    folders.begin_flush(7)


def test_the_disk_does_not_hear_of_a_part_that_is_given_up_while_it_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "begin_flush", lambda *_: pytest.fail("it would write what nobody reads again"))
    part = Part(tmp_path / "part", os.open(tmp_path / "part", os.O_RDWR | os.O_CREAT))
    part.read_once()
    for _ in range(20):
        part.append(bytes(1 << 20))
    part.close()


def test_S07_a_tree_is_flushed_through_what_was_open_before_its_first_byte(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux tells an open file of the errors since it was opened, once for all who were not open then."""
    asked: list[tuple[Path, int | None]] = []
    monkeypatch.setattr(durable, "_syncfs", lambda folder, early: asked.append((folder, early)) or True)
    work, record = stage(root)
    owner = os.stat(work.folder / "owner.json")
    work.publish(record)
    ((folder, early),) = asked
    assert folder == work.folder
    assert early is not None
    assert os.path.samestat(os.fstat(early), owner)
    work.close()
