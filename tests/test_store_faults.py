"""The store where the system, another process, or a hand in the wrong place stands in its way: nothing is lost, nothing is
half done, and no error is taken for an answer."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import secrets
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_store import content, is_whole, prepared, publish, stage
from wire import Notes

from aigiqa_cli import looks, machine, owners
from aigiqa_cli.digests import BLOCK, sha256_bytes, sha256_file
from aigiqa_cli.errors import IntegrityFault, MachineFault, RefusedInput, TemporaryFault, UsageFault
from aigiqa_cli.reporting import Silent
from aigiqa_cli.store import (
    Mend,
    Record,
    Root,
    Staging,
    discard,
    drop_replaced,
    durable,
    heal,
    installed_ids,
    is_sound,
    leftovers,
    locked,
    locks,
    mend,
    read_record,
    read_records,
    retire,
    staging,
    sweeping,
    unfinished,
    withdraw,
    withdrawn,
)
from aigiqa_cli.store.staging import EXCHANGE, OWNER, RECORD, abandoned, bury, is_free, roll_forward, unborn


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = Root(tmp_path / "root")
    made.prepare()
    return made


def refuse(number: int) -> Callable[..., Any]:
    def call(*_words: Any, **_more: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return call


# ---------------------------------------------------------------------------------------------------------------------
# Which error of this machine is which fault
# ---------------------------------------------------------------------------------------------------------------------


def test_S04_S09_S11_errors_that_pass() -> None:
    assert [
        number
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ESTALE)
        if not machine.is_passing(OSError(number, ""))
    ] == []
    assert not machine.is_passing(OSError(errno.ENOENT, "no such file"))
    assert not machine.is_passing(OSError("without a number"))


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")])
def test_S09_want_of_memory_and_threads(error: Exception) -> None:
    fault = machine.machine_fault(error, "trying")
    assert (type(fault), fault.fault if fault else "") == (MachineFault, "S09")


@pytest.mark.parametrize(
    "error", [RuntimeError("other"), ValueError("no"), OSError(errno.ENOENT, "none"), OSError("?")]
)
def test_other_errors_say_nothing_of_this_machine(error: Exception) -> None:
    assert machine.machine_fault(error, "trying") is None
    with pytest.raises(type(error)), machine.machine_faults("trying"):
        raise error


@pytest.mark.parametrize(
    ("number", "fault", "said"),
    [
        (errno.EIO, "S07", "the disk reports"),
        (errno.EMFILE, "S09", "too many open files"),
        (errno.EXDEV, "S16", "nvalid"),
    ],
)
def test_S07_S09_S16_what_is_said(tmp_path: Path, number: int, fault: str, said: str) -> None:
    with pytest.raises(MachineFault) as caught, machine.machine_faults("trying", place=tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path / "a"))
    assert (caught.value.fault, said in caught.value.message, str(tmp_path / "a") in caught.value.message) == (
        fault,
        True,
        True,
    )


def test_S09_shortage_among_what_libraries_wrap() -> None:
    fault = machine.shortage([ValueError(), OSError(errno.EMFILE, "x"), MemoryError()], "asking")
    assert fault is not None
    assert (fault.fault, "too many open files" in fault.message) == ("S09", True)
    assert machine.shortage([ValueError(), OSError(errno.ENOENT, "x")], "asking") is None


@pytest.mark.parametrize(("phase", "fault"), [("PUBLISH", "S17"), ("PLAN", "")])
def test_S17_what_changes_below_the_place_was_changed_by_somebody(tmp_path: Path, phase: str, fault: str) -> None:
    """Not while a run only plans: what is missing then was never there."""
    error = FileNotFoundError(errno.ENOENT, "no such file", str(tmp_path / "a"))
    found = machine.machine_fault(error, "publishing", phase=phase, place=tmp_path)
    assert (found.fault if found else "") == fault
    assert machine.machine_fault(error, "publishing", phase=phase, place=tmp_path / "other") is None


def test_S04_S05_what_is_said_of_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", os.fsencode(tmp_path / "a"))
    said = machine.machine_fault(full, "writing", needed=1_234)
    assert said is not None
    assert "1,234 bytes needed" in said.message
    assert "bytes free" in said.message, "of the folder of the file"
    nowhere = machine.machine_fault(OSError(errno.ENOSPC, "full"), "writing", place=tmp_path / "missing" / "deep")
    assert nowhere is not None
    assert "no space is left (full)" in nowhere.message
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=7, f_frsize=512, f_files=100, f_favail=0))
    inodes = machine.machine_fault(full, "writing")
    assert inodes is not None
    assert (inodes.fault, "3,584 bytes are free" in inodes.message) == ("S05", True)
    quota = machine.machine_fault(OSError(errno.EDQUOT, "Disk quota exceeded"), "writing", place=tmp_path)
    assert quota is not None
    assert (quota.fault, "Disk quota exceeded" in quota.message) == ("S06", True), "a quota is no want of inodes"


def test_C09_a_system_without_a_boot_id_vouches_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS: then the lock alone decides."""
    monkeypatch.setattr(Path, "read_text", refuse(errno.ENOENT))
    owners.boot_id.cache_clear()
    try:
        assert owners.boot_id() == ""
        assert not owners.lives(owners.note())
        assert owners.note()["start"] == ""
    finally:
        owners.boot_id.cache_clear()


def test_digests_tell_of_every_block(tmp_path: Path) -> None:
    data = bytes(range(256)) * (BLOCK // 128)
    (tmp_path / "a").write_bytes(data)
    blocks: list[int] = []
    assert sha256_file(tmp_path / "a", blocks.append) == (sha256_bytes(data), len(data)) == sha256_file(tmp_path / "a")
    assert blocks == [BLOCK, BLOCK]


# ---------------------------------------------------------------------------------------------------------------------
# Durable files and names
# ---------------------------------------------------------------------------------------------------------------------


def library(monkeypatch: pytest.MonkeyPatch, number: int = 0, **calls: int) -> list[tuple[Any, ...]]:
    """A C library with these calls, which give these codes; returns how they were called."""
    asked: list[tuple[Any, ...]] = []

    def made(code: int) -> Callable[..., int]:
        def call(*words: Any) -> int:
            asked.append(words)
            return code

        return call

    found = SimpleNamespace(**{name: made(code) for name, code in calls.items()})
    monkeypatch.setattr(ctypes, "CDLL", lambda *_words, **_more: found)
    monkeypatch.setattr(ctypes, "get_errno", lambda: number)
    return asked


@pytest.mark.parametrize(("call", "flag"), [("renameat2", "RENAME_EXCHANGE"), ("renameatx_np", "RENAME_SWAP")])
def test_C03_names_are_exchanged_as_each_system_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, flag: str
) -> None:
    """Relative to handles of their folders (S17); 2 is the flag of both systems."""
    first, second, asked = tmp_path / "a" / "b", tmp_path / "c", []
    first.parent.mkdir()

    def exchanged(here: int, name: bytes, there: int, other: bytes, flags: int) -> int:
        asked.append((os.readlink(f"/proc/self/fd/{here}"), name, os.readlink(f"/proc/self/fd/{there}"), other, flags))
        return 0

    found = SimpleNamespace(**{call: exchanged})
    monkeypatch.setattr(ctypes, "CDLL", lambda *_words, **_more: found)
    assert durable.exchange(first, second)
    assert asked == [(str(first.parent), b"b", str(tmp_path), b"c", 2)], flag
    library(monkeypatch)
    assert not durable.exchange(first, second)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP])
def test_C03_a_file_system_that_cannot_exchange(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    library(monkeypatch, number, renameat2=-1)
    assert not durable.exchange(Path("/a"), Path("/b"))


def test_C03_an_exchange_that_fails_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        durable.exchange(tmp_path / "a", tmp_path / "b")
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "a"), str(tmp_path / "b"))


def flushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files and folders that are flushed, as they are named where they are."""
    seen: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


@pytest.mark.parametrize("how", ["another system", "no such call", "an old kernel"])
def test_S07_without_syncfs_every_file_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "another system":
        monkeypatch.setattr(durable.sys, "platform", "darwin")
    elif how == "no such call":
        library(monkeypatch)
    else:
        library(monkeypatch, errno.ENOSYS, syncfs=-1)
    tree = tmp_path / "tree"
    (tree / "deep" / "er").mkdir(parents=True)
    for path in (tree / "a", tree / "deep" / "b", tree / "deep" / "er" / "c"):
        path.write_bytes(b"x")
    seen = flushed(monkeypatch)
    durable.flush_tree(tree)
    assert sorted(seen) == sorted(map(str, [tree, *tree.rglob("*")]))
    assert seen[-1] == str(tree), "a name is durable after what it names"


@pytest.mark.parametrize("early", [None, 77])
def test_S07_a_flush_that_fails_is_never_taken_for_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, early: int | None
) -> None:
    asked = library(monkeypatch, errno.EIO, syncfs=-1)
    with pytest.raises(OSError) as caught:
        durable.flush_tree(tmp_path, early)
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(tmp_path))
    assert len(asked) == 1
    assert (asked == [(77,)]) == (early == 77)


def test_S10_a_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable.write_whole(tmp_path / "a", b"old")
    with suppress(KeyboardInterrupt), durable.whole_file(tmp_path / "a") as stream:
        stream.write(b"new")
        raise KeyboardInterrupt
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]
    monkeypatch.setattr(os, "rename", refuse(errno.EIO))
    with pytest.raises(OSError):
        durable.write_whole(tmp_path / "a", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]
    monkeypatch.setattr(os, "open", refuse(errno.EMFILE))
    with pytest.raises(OSError):
        durable.write_whole(tmp_path / "a", b"new")


def test_S21_files_are_written_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse(errno.ENOLCK))
    durable.write_whole(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


# ---------------------------------------------------------------------------------------------------------------------
# The root
# ---------------------------------------------------------------------------------------------------------------------


def test_S08_a_root_in_which_nothing_may_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Root(tmp_path / "root")
    monkeypatch.setattr(os, "access", lambda path, how: Path(path) != made.partial or how != os.W_OK | os.X_OK)
    with pytest.raises(MachineFault) as caught:
        made.prepare()
    assert (caught.value.fault, str(made.partial) in caught.value.message) == ("S08", True)


def test_S04_what_is_free_is_told_where_the_root_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "mkdir", refuse(errno.ENOSPC))
    with pytest.raises(MachineFault) as caught:
        Root(tmp_path / "deep" / "root").prepare()
    assert (caught.value.fault, "bytes free" in caught.value.message) == ("S04", True)


def test_a_root_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageFault) as caught:
        Root(tmp_path / "file" / "root").prepare()
    assert "--root" in caught.value.hint


@pytest.mark.parametrize("name", ["x" * 256, "y/" * 1_300])
def test_S14_a_root_whose_path_is_too_long(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageFault) as caught:
        Root(tmp_path / name).prepare()
    assert caught.value.fault == "S14"


def test_S14_a_root_whose_path_is_as_long_as_may_be(tmp_path: Path) -> None:
    """A name of 255 bytes, a path of 2,500."""
    names = [("x" * 255), *["y" * 200] * 12]
    base = os.path.join(tmp_path, *names)[: 2_500 - 20].rstrip("/")
    for length, fits in ((2_500, True), (2_501, False)):
        path = Path(base + "/" + "z" * (length - len(base) - 1))
        assert len(os.fsencode(path)) == length
        if fits:
            Root(path).prepare()
            assert Root(path).staging.is_dir()
        else:
            with pytest.raises(UsageFault):
                Root(path).prepare()


@pytest.mark.parametrize("below", [".aigiqa/staging", ".aigiqa/quarantine", "some", ".aigiqa/installed/some.json"])
def test_S17_no_link_below_the_root_is_followed(root: Root, tmp_path: Path, below: str) -> None:
    path = root.path / below
    if path.is_dir():
        path.rmdir()
    path.symlink_to(tmp_path)
    with pytest.raises(MachineFault) as caught:
        root.refuse_links("some")
    assert (caught.value.fault, str(path) in caught.value.message) == ("S17", True)


# ---------------------------------------------------------------------------------------------------------------------
# Locks
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_S21_without_locks_the_work_is_done_all_the_same(
    root: Root, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("fcntl.flock", refuse(number))
    told, done = Notes(), []
    with locked(root, "some", told):
        done.append(json.loads((root.locks / "some.owner").read_bytes())["pid"])
    assert done == [os.getpid()]
    error = OSError(number, os.strerror(number))
    assert told.notes == [f"this file system has no locks: {error}"]


def test_S08_a_lock_that_may_not_be_taken_is_no_missing_one(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcntl.flock", refuse(errno.EACCES))
    with pytest.raises(MachineFault) as caught, locked(root, "some", Silent()):
        pytest.fail("it was not locked")
    assert caught.value.fault == "S08"


@pytest.mark.parametrize("note", [None, b"{", b"[]", b'{"pid": 7}', b'{"pid": 7, "host": "there"}'])
def test_C05_whoever_holds_a_lock_is_named_if_known(
    root: Root, monkeypatch: pytest.MonkeyPatch, note: bytes | None
) -> None:
    monkeypatch.setenv("AIGIQA_LOCK_SECONDS", "0.01")
    descriptor = os.open(root.locks / "some.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    if note is not None:
        (root.locks / "some.owner").write_bytes(note)
    told = Notes()
    with pytest.raises(TemporaryFault) as caught, locked(root, "some", told):
        pytest.fail("it was held")
    os.close(descriptor)
    named = " (process 7 on there)" if note and b"there" in note else ""
    assert caught.value.message == f"another aigiqa works on some{named}"
    assert told.notes == [f"waiting for another aigiqa that works on some{named}"]


def test_C05_a_lock_that_becomes_free_meanwhile_is_taken(root: Root) -> None:
    descriptor = os.open(root.locks / "some.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    told = Notes()
    threading.Timer(0.3, lambda: os.close(descriptor)).start()
    with locked(root, "some", told):
        assert json.loads((root.locks / "some.owner").read_bytes())["pid"] == os.getpid()
    assert told.notes == ["waiting for another aigiqa that works on some"]


def test_S17_a_link_in_the_place_of_a_staging_folder_is_all_that_goes(root: Root, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").write_bytes(b"x")
    (root.staging / "some-1").symlink_to(tmp_path / "else")
    staging.drop(root.staging / "some-1")
    assert not os.path.lexists(root.staging / "some-1")
    assert (tmp_path / "else" / "file").read_bytes() == b"x"


def test_a_patience_that_is_no_number_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIGIQA_LOCK_SECONDS", "soon")
    assert locks._patience() == locks.PATIENCE


# ---------------------------------------------------------------------------------------------------------------------
# Records
# ---------------------------------------------------------------------------------------------------------------------


def changed(root: Root, **about: Any) -> None:
    """The record with other content and no seal, as records of the first days are."""
    told = json.loads(root.record("some").read_bytes())
    told.pop("seal")
    root.record("some").write_text(json.dumps(told | about))


def test_X01_X06_records_that_say_what_none_of_ours_says(root: Root) -> None:
    record = publish(root)
    file = [record.files[0].path, record.files[0].bytes, record.files[0].sha256]
    for about, fault in (
        ({"files": [file, file]}, "X06"),
        ({"warnings": [5]}, "X01"),
        ({"warnings": ["half a character: \ud800"]}, "X01"),
        ({"rows": True}, "X01"),
        *[({"record": form}, "X01") for form in (True, 1.0, "1", None, 0, -1)],
        ({"database": "other"}, "X06"),
        ({"files": []}, "X08"),
        ({"sources": [asdict(record.sources[0]) | {"origin": 5}]}, "X01"),
        ({"sources": [asdict(record.sources[0]) | {"bytes": "5"}]}, "X01"),
        ({"splits": {"s": 5}}, "X01"),
        ({"rejected": [{"path": 5}]}, "X01"),
    ):
        changed(root, **about)
        with pytest.raises(IntegrityFault) as caught:
            read_record(root, "some")
        assert (caught.value.fault, caught.value.database) == (fault, "some")
        root.record("some").write_bytes(b"".join(record.pieces()))


def test_U06_a_whole_character_may_be_written_as_two_halves(root: Root) -> None:
    publish(root)
    changed(root, warnings=["\U0001f600"])
    found = read_record(root, "some")
    assert found is not None
    assert found.warnings == ("\U0001f600",)


def test_S10_a_seal_that_does_not_fit(root: Root) -> None:
    publish(root)
    data = root.record("some").read_bytes()
    root.record("some").write_bytes(data.replace(b'"rows":1', b'"rows":2'))
    with pytest.raises(IntegrityFault, match="sealed"):
        read_record(root, "some")


def test_records_that_are_not_there(root: Root, tmp_path: Path) -> None:
    """No folder of records, a file in its place, and a record that is gone when it is read: a link to nowhere."""
    publish(root)
    (root.installed / "gone.json").symlink_to("nowhere")
    assert installed_ids(root) == ["gone", "some"]
    assert [record.database for record in read_records(root)] == ["some"]
    assert installed_ids(Root(tmp_path / "none")) == []
    other = Root(tmp_path / "other")
    other.internal.mkdir(parents=True)
    other.installed.write_bytes(b"")
    assert (installed_ids(other), withdrawn(other), unborn(other), abandoned(other)) == ([], [], [], [])


# ---------------------------------------------------------------------------------------------------------------------
# Staging
# ---------------------------------------------------------------------------------------------------------------------


def handles() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_S04_a_staging_folder_that_cannot_be_made_leaves_nothing(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of its parts cannot be made, and no handle stays open."""
    real, before = os.mkdir, handles()
    for part in ("tree", "scratch"):

        def mkdir(name: str, *words: Any, part: str = part, **more: Any) -> None:
            if name == part:
                raise OSError(errno.ENOSPC, "full")
            real(name, *words, **more)

        with monkeypatch.context() as patched:
            patched.setattr(os, "mkdir", mkdir)
            with pytest.raises(OSError):
                Staging(root, "some")
    for name in ("rename", "write"):
        with monkeypatch.context() as patched:
            patched.setattr(os, name, refuse(errno.EIO))
            with pytest.raises(OSError):
                Staging(root, "some")
    assert list(root.staging.iterdir()) == []
    assert handles() == before


@pytest.mark.parametrize("times", [1, 100])
def test_C04_gc_may_take_what_is_being_begun_for_unborn(
    root: Root, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """It is begun anew; who never comes to begin says so."""
    real, taken = staging._held_note, []

    def held(folder: Path) -> int:
        if len(taken) < times:
            taken.append(folder)
            bury(folder)
        return real(folder)

    monkeypatch.setattr(staging, "_held_note", held)
    if times == 1:
        work = Staging(root, "some")
        assert (work.folder != taken[0], work.tree.is_dir()) == (True, True)
        work.close()
    else:
        with pytest.raises(TemporaryFault) as caught:
            Staging(root, "some")
        assert caught.value.fault == "C04"
    assert list(root.staging.iterdir()) == []


def test_S18_what_was_never_begun_goes_and_nothing_else(root: Root) -> None:
    """An empty folder, one with an owner note that has not got its name yet, one whose note somebody holds, a file."""
    empty, half, held = (root.staging / f"some-{word}" for word in ("empty", "half", "held"))
    for folder in (empty, half, held):
        folder.mkdir()
    for folder in (half, held):
        (folder / f".{OWNER}").write_bytes(b"")
    (root.staging / "some-file").write_bytes(b"")
    descriptor = os.open(held / f".{OWNER}", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert unborn(root) == [empty, half]
    for leftover in leftovers(root):
        discard(root, leftover)
    assert sorted(path.name for path in root.staging.iterdir()) == ["some-file", "some-held"]
    bury(held)
    assert held.is_dir(), "it has come to life meanwhile"
    os.close(descriptor)


@pytest.mark.parametrize("note", [b"", b"{", b"[1]", b'"word"'])
def test_S18_an_owner_note_that_says_nothing_is_a_dead_one_s(tmp_path: Path, note: bytes) -> None:
    (tmp_path / OWNER).write_bytes(note)
    assert is_free(tmp_path / OWNER)


def test_S18_where_locks_cannot_be_asked_everybody_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / OWNER).write_bytes(b"{}")
    monkeypatch.setattr(fcntl, "flock", refuse(errno.ENOLCK))
    assert not is_free(tmp_path / OWNER)
    assert not is_free(tmp_path / "missing")


def test_S18_a_prepared_record_that_is_none_is_not_published(root: Root) -> None:
    for text in (b"{", b"[]", b"{}"):
        folder, _ = prepared(root, 1)
        (folder / RECORD).write_bytes(text)
    (folder / RECORD).unlink()
    (folder / RECORD).mkdir()
    assert len(abandoned(root)) == 3
    assert not heal(root, "some")
    assert len(abandoned(root)) == 3, "what is not understood stays"


def test_P7_what_cannot_be_tidied_up_undoes_nothing(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that stays, or has gone already: what was begun is dropped, what was committed is installed."""
    begun, gone = Staging(root, "some"), Staging(root, "some")
    for folder in (gone.tree, gone.scratch):
        folder.rmdir()
    (gone.folder / OWNER).unlink()
    gone.folder.rmdir()
    gone.close()
    folder, record = prepared(root, 1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "rmdir", refuse(errno.EBUSY))
        begun.close()
        roll_forward(root, folder, "some")
        patched.setattr(os, "write", refuse(errno.EIO))
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            Staging(root, "other")
    assert is_whole(root, record)


# --- publishing -------------------------------------------------------------------------------------------------------


def test_C06_the_record_of_another_s_files_is_never_left(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where locks lie somebody publishes another version between the exchange and the commit: the record goes back to the
    one whose files are there."""
    first = publish(root, version=1)
    folder, _ = prepared(root, 2)
    real = staging._publish_tree

    def outrun(root: Root, folder: Path, database: str) -> None:
        real(root, folder, database)
        for path, data in content("some", 1).items():
            (root.folder("some") / path).write_bytes(data)
        (root.folder("some") / "images" / "a2.png").unlink()

    monkeypatch.setattr(staging, "_publish_tree", outrun)
    with pytest.raises(TemporaryFault) as caught:
        roll_forward(root, folder, "some")
    assert caught.value.fault == "C06"
    assert is_whole(root, first)


def test_C06_files_of_no_record_are_not_vouched_for(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = prepared(root, 1)
    real = staging._publish_tree

    def outrun(root: Root, folder: Path, database: str) -> None:
        real(root, folder, database)
        (root.folder("some") / "checksums.sha256").write_bytes(b"of another version")

    monkeypatch.setattr(staging, "_publish_tree", outrun)
    with pytest.raises(TemporaryFault):
        roll_forward(root, folder, "some")


def test_C06_somebody_else_may_commit_it(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is renamed once; who comes second finds all of it done."""
    folder, record = prepared(root, 1)
    real = staging._publish_tree

    def outrun(root: Root, folder: Path, database: str) -> None:
        real(root, folder, database)
        os.rename(folder / RECORD, root.record(database))

    monkeypatch.setattr(staging, "_publish_tree", outrun)
    roll_forward(root, folder, "some")
    assert is_whole(root, record)


def test_C06_who_never_comes_to_publish_says_so(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is taken anew each time that it was free, and free each time that it was taken."""
    folder, _ = prepared(root, 1)
    monkeypatch.setattr(staging, "_took_the_name", lambda *_: False)
    with pytest.raises(TemporaryFault) as caught:
        roll_forward(root, folder, "some")
    assert caught.value.fault == "C06"
    assert (folder / "tree").is_dir(), "it is still there for the next run"


@pytest.mark.parametrize("number", [errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR])
def test_C06_a_name_that_is_taken_in_the_same_moment(root: Root, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "rename", refuse(number))
    assert not staging._took_the_name(root.path / "a", root.path / "b")


def test_S07_a_rename_that_fails_is_no_taken_name(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "rename", refuse(errno.EIO))
    with pytest.raises(OSError):
        staging._took_the_name(root.path / "a", root.path / "b")


def test_P5_a_former_folder_gets_a_name_of_its_own(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something has the name already under which it would be put away."""
    monkeypatch.setattr(staging, "exchange", lambda *_: False)
    first = publish(root, version=1)
    folder, record = prepared(root, 2)
    (root.replaced / folder.name).mkdir()
    (root.replaced / folder.name / "mine").write_text("the user's")
    roll_forward(root, folder, "some")
    assert is_whole(root, record)
    former = [path for path in root.replaced.iterdir() if path.is_dir() and path.name != folder.name]
    assert [sorted(os.listdir(path)) for path in former] == [["checksums.sha256", "images", "index.csv"]]
    assert former[0].with_name(former[0].name + ".json").read_bytes() == b"".join(first.pieces())
    assert (root.replaced / folder.name / "mine").read_text() == "the user's"


def test_S22_a_folder_without_a_record_is_put_away_without_one(root: Root) -> None:
    root.folder("some").mkdir()
    (root.folder("some") / "mine").write_text("the user's")
    publish(root, version=1)
    drop_replaced(root, "some")
    assert (root.folder("some") / "mine").read_text() == "the user's"
    assert list(root.replaced.iterdir()) == []


def test_S01_equal_versions_are_told_apart_by_the_folder_itself(root: Root) -> None:
    """Killed after the exchange of two equal versions: the former one lies where the tree was."""
    publish(root, version=1)
    folder, record = prepared(root, 1)
    inode = (folder / "tree").lstat().st_ino
    (folder / EXCHANGE).write_text(str(inode))
    assert not staging._is_former(folder, root.folder("some"))
    assert durable.exchange(folder / "tree", root.folder("some"))
    assert staging._is_former(folder, root.folder("some"))
    assert heal(root, "some")
    assert (is_whole(root, record), root.folder("some").lstat().st_ino) == (True, inode)


# --- withdrawing ------------------------------------------------------------------------------------------------------


def test_S01_a_removal_that_was_stopped_is_finished(root: Root) -> None:
    """The record has gone, the folder has not; or the folder was gone before."""
    publish(root)
    publish(root, "other")
    note = root.replaced / "some-0123456789abcdef.json"
    os.rename(root.record("some"), note)
    assert (unfinished(root), withdrawn(root, "other"), withdrawn(root, "some")) == (["some"], [], [note])
    assert heal(root, "some")
    assert not root.folder("some").exists()
    assert not heal(root, "some"), "it only has to be retired"
    assert retire(root, note.with_suffix("")) == []
    for path in sorted(root.folder("other").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    root.folder("other").rmdir()
    assert retire(root, withdraw(root, "other")) == []
    assert list(root.replaced.iterdir()) == []


# ---------------------------------------------------------------------------------------------------------------------
# Sweeping
# ---------------------------------------------------------------------------------------------------------------------


def test_S22_a_former_folder_without_a_readable_note(root: Root) -> None:
    """Nothing says which files are ours: what the new version has too is a copy, all else goes home."""
    publish(root, version=1)
    (root.folder("some") / "mine").write_text("the user's")
    work, record = stage(root, version=2)
    work.publish(record)
    work.close()
    (former,) = [path for path in root.replaced.iterdir() if path.is_dir()]
    former.with_name(former.name + ".json").write_bytes(b"{")
    (former / "copy").mkdir()
    (former / "copy" / "of").write_bytes(b"same")
    (root.folder("some") / "copy").mkdir()
    (root.folder("some") / "copy" / "of").write_bytes(b"same")
    aside = retire(root, former)
    assert sorted(path.name.partition("-")[2].partition("-")[2] for path in aside) == ["checksums.sha256", "index.csv"]
    assert (root.folder("some") / "mine").read_text() == "the user's"
    assert (root.folder("some") / "images" / "a1.png").read_bytes() == b"picture 1"
    assert list(root.replaced.iterdir()) == []


def test_S17_S22_a_link_is_the_user_s_own_wherever_it_leads(root: Root, tmp_path: Path) -> None:
    """Also to the very bytes that the record names, which are somebody else's."""
    publish(root)
    image = root.folder("some") / "images" / "a1.png"
    image.rename(tmp_path / "moved.png")
    image.symlink_to(tmp_path / "moved.png")
    (aside,) = retire(root, withdraw(root, "some"))
    assert aside.is_symlink()
    assert os.readlink(aside) == str(tmp_path / "moved.png")


def test_S22_one_file_under_both_names_is_no_copy_to_lose(root: Root) -> None:
    """A hard link to the present file: recorded, it goes; of unknown origin, it is put aside."""
    publish(root, version=1)
    former = root.replaced / "some-0123456789abcdef"
    former.mkdir()
    os.link(root.folder("some") / "index.csv", former / "index.csv")
    (aside,) = retire(root, former)
    assert aside.samefile(root.folder("some") / "index.csv")
    former.mkdir()
    os.link(root.folder("some") / "index.csv", former / "index.csv")
    (root.replaced / f"{former.name}.json").write_bytes(root.record("some").read_bytes())
    assert retire(root, former) == []
    assert (root.folder("some") / "index.csv").is_file()


def test_P5_a_folder_that_cannot_be_listed_is_not_an_empty_one(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(root, version=1)
    former = withdraw(root, "some")
    monkeypatch.setattr(os, "scandir", refuse(errno.EACCES))
    with pytest.raises(PermissionError):
        retire(root, former)
    monkeypatch.undo()
    assert (former / "index.csv").is_file()


def test_C06_what_is_in_use_or_cannot_be_asked_stays(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    part, held, note = (root.partial / name for name in ("a.1.part", "b.1.part", "b.1.json"))
    for path in (part, held, note):
        path.write_bytes(b"x")
    (root.partial / "link").symlink_to(root.path)
    descriptor = os.open(held, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert [found.path for found in leftovers(root)] == [part], "the note of a part that is held, too"
    os.close(descriptor)
    assert [found.path for found in leftovers(root)] == [part, note, held]
    monkeypatch.setattr(fcntl, "flock", refuse(errno.ENOLCK))
    assert leftovers(root) == []


def test_S22_a_former_folder_may_be_the_only_copy(root: Root) -> None:
    """Killed between the two renames of a system that cannot exchange names; then removed."""
    publish(root)
    former = root.replaced / "some-0123456789abcdef"
    os.rename(root.folder("some"), former)
    assert leftovers(root) == []
    root.record("some").unlink()
    assert [found.path for found in leftovers(root)] == [former, root.stat / "some"]


def test_S23_archives_stay_while_a_record_cannot_be_read(root: Root) -> None:
    publish(root)
    (root.archives / ("0" * 64)).write_bytes(b"kept")
    (root.archives / ("1" * 64)).write_bytes(b"of nothing")
    assert [found.path.name for found in leftovers(root)] == ["1" * 64]
    (root.installed / "broken.json").write_bytes(b"{")
    assert leftovers(root) == []


def test_what_is_swept_is_files_folders_and_links_themselves(root: Root, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "mine").write_bytes(b"")
    (root.archives / "folder").mkdir()
    (root.archives / "folder" / "file").write_bytes(b"12345")
    (root.archives / "link").symlink_to(tmp_path / "outside")
    found = leftovers(root)
    assert [(one.path.name, one.bytes) for one in found[:1]] == [("folder", 5)]
    for one in found:
        discard(root, one)
    assert list(root.archives.iterdir()) == []
    assert (tmp_path / "outside" / "mine").exists()
    discard(root, sweeping.Leftover(root.archives / "gone", "", 0))


# ---------------------------------------------------------------------------------------------------------------------
# Mending
# ---------------------------------------------------------------------------------------------------------------------


def test_S10_other_bytes_than_the_recorded_ones_mend_nothing(root: Root) -> None:
    record = publish(root)
    staged = root.staging / "wrong"
    staged.write_bytes(b"other bytes")
    with pytest.raises(IntegrityFault) as caught:
        mend(root, "some", [Mend(record.files[0], staged, {})])
    assert caught.value.fault == "S10"
    assert is_whole(root, record)
    assert list(root.quarantine.iterdir()) == []


def to_mend(root: Root, record: Record, *paths: str) -> list[Mend]:
    """Good bytes for these files."""
    mends = []
    for file in record.files:
        if file.path in paths:
            staged = root.staging / secrets.token_hex(4)
            staged.write_bytes(content("some", 1)[file.path])
            mends.append(Mend(file, staged, {}))
    return mends


def test_S10_a_file_that_is_gone_needs_no_quarantine(root: Root) -> None:
    record = publish(root)
    path = root.folder("some") / "images" / "a1.png"
    file = next(file for file in record.files if file.path == "images/a1.png")
    assert is_sound(root, "some", file)
    path.unlink()
    assert not is_sound(root, "some", file)
    assert mend(root, "some", to_mend(root, record, "images/a1.png")) == []
    assert is_whole(root, record)


def test_S17_nothing_is_mended_through_a_link(root: Root, tmp_path: Path) -> None:
    record = publish(root)
    (root.folder("some") / "images").rename(tmp_path / "elsewhere")
    (root.folder("some") / "images").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedInput) as caught:
        mend(root, "some", to_mend(root, record, "images/a1.png"))
    assert (caught.value.fault, "verify --repair some" in caught.value.hint) == ("S17", True)
    assert sorted(os.listdir(tmp_path / "elsewhere")) == ["a1.png"]


def test_S17_a_link_is_neither_mended_with_nor_lost(root: Root, tmp_path: Path) -> None:
    """One among the bytes to mend with is not published; one to nowhere, in the place of a file, is put aside."""
    record = publish(root)
    (tmp_path / "elsewhere").write_bytes(b"picture 1")
    (one,) = to_mend(root, record, "images/a1.png")
    one.staged.unlink()
    one.staged.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        mend(root, "some", [one])
    assert is_whole(root, record)
    place = root.folder("some") / "images" / "a1.png"
    place.unlink()
    place.symlink_to("nowhere")
    before = handles()
    (aside,) = mend(root, "some", to_mend(root, record, "images/a1.png"))
    assert (aside.is_symlink(), is_whole(root, record)) == (True, True)
    assert handles() == before


def test_P5_a_file_in_the_place_of_a_folder_goes_to_quarantine(root: Root) -> None:
    record = publish(root)
    (root.folder("some") / "images" / "a1.png").unlink()
    (root.folder("some") / "images").rmdir()
    (root.folder("some") / "images").write_text("the user's")
    (aside,) = mend(root, "some", to_mend(root, record, "images/a1.png"))
    assert (aside.read_text(), is_whole(root, record)) == ("the user's", True)


def test_S08_a_folder_that_may_not_be_opened_is_not_made_anew(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    record = publish(root)
    staged = root.staging / "right"
    file = next(file for file in record.files if file.path == "images/a1.png")
    staged.write_bytes(b"picture 1")
    assert is_sound(root, "some", file)
    real = os.open

    def opened(path: Any, flags: int, *words: Any, **more: Any) -> int:
        if path == "images":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *words, **more)

    monkeypatch.setattr(os, "open", opened)
    with pytest.raises(PermissionError):
        mend(root, "some", [Mend(file, staged, {})])
    assert list(root.quarantine.iterdir()) == []


def test_S10_files_are_mended_in_folders_that_are_gone(root: Root) -> None:
    """Two of one folder, which is made once; what stood in the place of one is in quarantine, with the reason."""
    record = publish(root)
    good = dict(content("some", 1))
    os.chmod(root.folder("some"), 0o750)
    (root.folder("some") / "images" / "a1.png").unlink()
    (root.folder("some") / "images").rmdir()
    (root.folder("some") / "index.csv").write_bytes(b"changed")
    mends = []
    for file in record.files:
        staged = root.staging / secrets.token_hex(4)
        staged.write_bytes(good[file.path])
        mends.append(Mend(file, staged, {"problem": "changed"}))
    aside = mend(root, "some", mends)
    assert is_whole(root, record)
    assert sorted(path.read_bytes() for path in aside) == sorted([b"changed", good["checksums.sha256"]])
    assert json.loads(aside[0].with_name(aside[0].name + ".why.json").read_bytes()) == {"problem": "changed"}
    assert stat.S_IMODE((root.folder("some") / "index.csv").stat().st_mode) == 0o640


def test_S17_a_folder_in_the_place_of_a_file_is_not_ours(tmp_path: Path) -> None:
    """It may have come there in the moment since it was listed."""
    (tmp_path / "a.png").mkdir()
    before = handles()
    folder = os.open(tmp_path, os.O_RDONLY)
    assert not sweeping._is_ours(folder, "a.png", "0" * 64, tmp_path / "b.png")
    os.close(folder)
    assert handles() == before


def test_S17_a_name_that_cannot_be_opened_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    folder = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr(sweeping.os, "open", refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        sweeping._is_ours(folder, "a.png", "0" * 64, tmp_path / "b.png")
    os.close(folder)


def test_a_database_is_installed_though_its_looks_cannot_be_noted(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "clock", refuse(errno.EACCES))
    record = publish(root, version=1)
    assert is_whole(root, record)
    noted = looks.read(root.stat / "some", sha256_bytes(root.record("some").read_bytes()))
    assert noted is not None
    assert not any(noted.looks.values()), "so that verify --quick reads every file"
