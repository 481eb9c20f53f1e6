"""The store: records, publication and its half-done states, locks, space, what may be removed and what never."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from conftest import IMPORT_PATH, REPOSITORY

from aigiqa_cli import root_index
from aigiqa_cli.context import Context
from aigiqa_cli.errors import IntegrityFault, MachineFault, RefusedInput, TemporaryFault, UsageFault
from aigiqa_cli.index import COLUMNS
from aigiqa_cli.manifest import load
from aigiqa_cli.manifest.catalogue import Catalogue
from aigiqa_cli.reporting import Silent
from aigiqa_cli.states import DAMAGED, state_of
from aigiqa_cli.steps.fetch import Request, fetch
from aigiqa_cli.steps.gc import collect
from aigiqa_cli.steps.remove import remove
from aigiqa_cli.steps.verify import verify, verify_root
from aigiqa_cli.store import (
    Record,
    Root,
    Staging,
    StoredFile,
    StoredFiles,
    StoredSource,
    find_root,
    heal,
    locked,
    read_record,
    read_records,
    retire,
    staging,
)
from aigiqa_cli.store import root as root_module
from aigiqa_cli.store.staging import EXCHANGE, RECORD, abandoned, roll_forward

HEADER = ",".join(COLUMNS) + "\n"
DEMO = REPOSITORY / "manifests" / "demo.yaml"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = Root(tmp_path / "root")
    made.prepare()
    return made


@pytest.fixture
def context(root: Root) -> Context:
    return Context(root, Catalogue({}), {}, Silent())


def content(database: str, version: int) -> dict[str, bytes]:
    row = f"{database},a{version}.png,{database}/images/a{version}.png" + "," * (len(COLUMNS) - 3) + "\n"
    files = {"index.csv": (HEADER + row).encode(), f"images/a{version}.png": b"picture %d" % version}
    lines = [f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in files.items()]
    return files | {"checksums.sha256": "".join(lines).encode()}


def stage(root: Root, database: str = "some", version: int = 1) -> tuple[Staging, Record]:
    """A staging folder with a finished tree, and the record that belongs to it."""
    work = Staging(root, database)
    files = []
    for path, data in content(database, version).items():
        (work.tree / path).parent.mkdir(exist_ok=True)
        (work.tree / path).write_bytes(data)
        files.append(StoredFile(path, len(data), hashlib.sha256(data).hexdigest()))
    source = StoredSource("a.zip", "images", "given by hand", "a.zip", 5, "0" * 64, "sha256" if version > 1 else "")
    record = Record(
        database=database, state="installed", partial=False, manifest_version=version, manifest_sha256="1" * 64,
        aigiqa="0", installed_at="2026-01-01T00:00:00+00:00", rows=1, images=1, references=0,
        index_sha256=files[0].sha256, sources=(source,), files=StoredFiles(files), rejected=({"database": database,
        "path": "t.csv:2", "problem": "é\n", "expected": "", "found": ""},), ignored=2, warnings=("w",), splits={"s": ""},
    )  # fmt: skip
    return work, record


def publish(root: Root, database: str = "some", version: int = 1) -> Record:
    work, record = stage(root, database, version)
    work.publish(record)
    work.close()
    return record


def is_whole(root: Root, record: Record) -> bool:
    folder = root.folder(record.database)
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return read_record(root, record.database) == record and found == content(record.database, record.manifest_version)


# ---------------------------------------------------------------------------------------------------------------------
# Records
# ---------------------------------------------------------------------------------------------------------------------


def test_record_round_trip(root: Root) -> None:
    record = publish(root)
    assert read_record(root, "some") == record
    assert record.unpinned == ("a.zip",)
    assert record.size == sum(len(data) for data in content("some", 1).values())
    assert record.rejected[0]["problem"] == "é\n"
    assert "/root/" not in root.record("some").read_text(), "S19: no absolute path is stored"


def test_no_record_is_no_install(root: Root) -> None:
    assert read_record(root, "some") is None
    assert list(read_records(root)) == []
    assert state_of(root, "some").word == "absent"
    assert state_of(Root(root.path / "nowhere"), "some").word == "absent"


FORGED = [
    "/etc/passwd",
    "../outside",
    "images/../../x",
    "a\\b",
    "C:/x",
    "",
    "a//b",
    "a\0b",
    "./a",
    "images/\u202ea.png",
]


@pytest.mark.parametrize("path", FORGED)
def test_X06_forged_path_in_a_record(root: Root, path: str) -> None:
    publish(root)
    forged = json.loads(root.record("some").read_bytes())
    forged["files"].append([path, 1, "0" * 64])
    root.record("some").write_text(json.dumps(forged))
    with pytest.raises(IntegrityFault) as caught:
        read_record(root, "some")
    assert caught.value.fault == "X06"
    assert state_of(root, "some").word == DAMAGED


BROKEN: dict[str, Callable[[dict[str, object]], object]] = {
    "another-database": lambda record: record | {"database": "other"},
    "X08-no-files": lambda record: record | {"files": []},
    "no-index": lambda record: {key: value for key, value in record.items() if key != "index_sha256"},
    "unknown-key": lambda record: record | {"surprise": 1},
    "file-of-two": lambda record: record | {"files": [["a", 1]]},
    "a-list": lambda record: [record],
    "a-number": lambda record: 7,
    "null": lambda record: None,
    "files-of-numbers": lambda record: record | {"files": [[1, "a", 2]]},
    "format-of-text": lambda record: record | {"record": "one"},
}


@pytest.mark.parametrize("kind", BROKEN)
def test_X01_X08_broken_record_is_damage_and_not_absence(root: Root, kind: str) -> None:
    publish(root)
    broken = BROKEN[kind](json.loads(root.record("some").read_bytes()))
    root.record("some").write_text(json.dumps(broken))
    with pytest.raises(IntegrityFault) as caught:
        read_record(root, "some")
    assert "some" in caught.value.hint
    assert state_of(root, "some").word == DAMAGED
    assert list(read_records(root)) == []


@pytest.mark.parametrize("keep", [0, 1, 40, -1])
def test_X01_truncated_record(root: Root, keep: int) -> None:
    publish(root)
    whole = root.record("some").read_bytes()
    root.record("some").write_bytes(whole[: keep if keep >= 0 else len(whole) // 2])
    assert state_of(root, "some").word == DAMAGED


def test_S23_record_of_a_newer_version(root: Root) -> None:
    publish(root)
    newer = json.loads(root.record("some").read_bytes()) | {"record": 99}
    root.record("some").write_text(json.dumps(newer))
    with pytest.raises(RefusedInput) as caught:
        read_record(root, "some")
    assert caught.value.fault == "S23"
    assert "upgrade" in caught.value.hint


# ---------------------------------------------------------------------------------------------------------------------
# Half-done publications
# ---------------------------------------------------------------------------------------------------------------------


def prepared(root: Root, version: int) -> tuple[Path, Record]:
    """What a process leaves that dies right after the record is prepared: nothing is published yet."""
    work, record = stage(root, version=version)
    shutil.rmtree(work.scratch)
    (work.folder / RECORD).write_bytes(b"".join(record.pieces()))
    os.close(work._owner)  # the kernel gives a dead process's lock back
    return work.folder, record


class Killed(BaseException):
    """The process is gone."""


@contextmanager
def killed_after(renames: int) -> Iterator[None]:
    """Every later rename or exchange of names kills."""
    left = [renames]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **more: Any) -> Any:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return real(*words, **more)

        return call

    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        for place, name in ((os, "rename"), (os, "replace"), (staging, "exchange")):
            patch.setattr(place, name, counted(getattr(place, name)))
        yield


@pytest.fixture(params=["names are exchanged", "the system cannot exchange names"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "names are exchanged":
        monkeypatch.setattr(staging, "exchange", lambda first, second: False)


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("former", [1, 2], ids=["another version", "the same version"])
@pytest.mark.parametrize("done", range(8))
def test_S01_every_point_of_an_upgrade_rolls_forward(root: Root, context: Context, done: int, former: int) -> None:
    publish(root, version=former)
    (root.folder("some") / "mine.txt").write_text("the user's")
    folder, record = prepared(root, version=2)
    with killed_after(done):
        roll_forward(root, folder, "some")
    heal(root, "some")
    assert is_whole(root, record)
    assert not heal(root, "some"), "there is nothing left to do"
    collect(context, dry_run=False)
    assert [*root.staging.iterdir(), *root.replaced.iterdir()] == []
    mine = root.folder("some") / "mine.txt"
    assert mine.read_text() == "the user's", "it was in the former folder"
    mine.unlink()
    assert is_whole(root, record)


def test_C03_the_database_is_never_absent_while_it_is_published_anew(root: Root) -> None:
    publish(root, version=1)
    folder, record = prepared(root, version=2)
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "replace"):
            patch.setattr(os, name, _looking(getattr(os, name), lambda: seen.append(root.folder("some").is_dir())))
        roll_forward(root, folder, "some")
    assert is_whole(root, record)
    assert len(seen) >= 8
    assert all(seen)


def _looking(real: Callable[..., None], look: Callable[[], None]) -> Callable[..., None]:
    def call(*words: Any, **more: Any) -> None:
        look()
        real(*words, **more)
        look()

    return call


@pytest.mark.parametrize("noted", ["0", "", "not a number"])
def test_S01_a_half_done_exchange_that_was_copied_elsewhere_goes_by_the_checksums(root: Root, noted: str) -> None:
    """A copied root has other inodes; what the record says tells which of the two is the new one."""
    publish(root, version=1)
    folder, record = prepared(root, version=2)
    (folder / EXCHANGE).write_text(noted)
    heal(root, "some")
    assert is_whole(root, record)


def test_C06_a_note_whose_former_folder_is_gone_is_swept(root: Root, context: Context) -> None:
    record = publish(root, version=1)
    alone = root.replaced / "some-0123456789abcdef.json"
    alone.write_bytes(b"".join(record.pieces()))
    living, _ = stage(root)
    (root.replaced / f"{living.folder.name}.json").write_bytes(b"".join(record.pieces()))
    collect(context, dry_run=False)
    assert [path.stem for path in root.replaced.iterdir()] == [living.folder.name], "its folder may come in a moment"
    living.close()


@pytest.mark.usefixtures("system")
def test_S01_what_is_published_is_what_the_record_says(root: Root) -> None:
    publish(root, version=1)
    folder, record = prepared(root, version=2)
    roll_forward(root, folder, "some")
    assert is_whole(root, record)
    assert not (folder / RECORD).exists()
    assert not heal(root, "some"), "there is nothing left to do"


@pytest.mark.parametrize("done", range(3))
def test_S01_every_point_of_a_first_install_rolls_forward(root: Root, done: int) -> None:
    folder, record = prepared(root, version=1)
    with killed_after(done):
        roll_forward(root, folder, "some")
    heal(root, "some")
    assert is_whole(root, record)
    assert not list(root.staging.iterdir())


def test_S01_interrupted_healing_is_healed(root: Root) -> None:
    publish(root, version=1)
    _, record = prepared(root, version=2)
    for done in (0, 1, 2, 1, 0):
        with killed_after(done):
            heal(root, "some")
    heal(root, "some")
    assert is_whole(root, record)


def test_S01_the_next_command_finishes_and_the_index_follows(root: Root, context: Context) -> None:
    publish(root, version=1)
    _, record = prepared(root, version=2)
    collect(context, dry_run=False)
    assert is_whole(root, record)
    assert verify_root(context) == []


def test_S18_living_staging_is_left_alone(root: Root, context: Context) -> None:
    work, _ = stage(root)
    (work.folder / RECORD).write_bytes(b"{}")
    assert abandoned(root) == []
    assert not heal(root, "some")
    assert collect(context, dry_run=True) == []
    collect(context, dry_run=False)
    assert work.tree.is_dir()
    work.close()


def test_S18_dead_staging_goes_and_what_has_no_owner_note_stays(root: Root, context: Context) -> None:
    dead, _ = stage(root)
    os.close(dead._owner)
    strange = root.staging / "some-0123456789abcdef"
    strange.mkdir()
    (strange / "keep").write_bytes(b"whose?")
    listed = collect(context, dry_run=True)
    assert [item.path for item in listed] == [dead.folder]
    assert collect(context, dry_run=False) == listed
    assert not dead.folder.exists()
    assert (strange / "keep").exists()


@pytest.mark.parametrize("place", range(1, 9))
def test_S18_killed_while_staging_goes_leaves_what_gc_finds(
    root: Root, context: Context, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """Whatever order the folder is listed in: the owner note goes last, or gc would keep the rest for ever."""
    dead, _ = stage(root)
    for name in ("a", "exchanged", "z"):
        (dead.folder / name).write_bytes(b"x")
    os.close(dead._owner)

    class Killed(BaseException):
        pass

    done = []

    def then_killed(call: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: Any, **options: Any) -> None:
            call(*arguments, **options)
            done.append(arguments)
            if len(done) == place:
                raise Killed

        return counted

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", then_killed(os.unlink))
        patched.setattr(os, "rmdir", then_killed(os.rmdir))
        with suppress(Killed):
            heal(root, "some")
    assert len(done) == place or not dead.folder.exists()
    collect(context, dry_run=False)
    assert not list(root.staging.iterdir())


def test_S17_a_link_in_place_of_a_staging_folder_is_removed_alone(root: Root, context: Context, tmp_path: Path) -> None:
    dead, _ = stage(root)
    os.close(dead._owner)
    elsewhere = tmp_path / "elsewhere"
    os.rename(dead.folder, elsewhere)
    dead.folder.symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    collect(context, dry_run=False)
    assert sorted(elsewhere.rglob("*")) == before


def test_S18_the_next_run_drops_what_a_dead_one_had_begun(root: Root) -> None:
    dead, _ = stage(root)
    os.close(dead._owner)
    living, _ = stage(root)
    unborn = root.staging / "some-0123456789abcdef"
    unborn.mkdir()
    other = root.staging / "other-0123456789abcdef"
    other.mkdir()
    assert not heal(root, "some")
    assert set(root.staging.iterdir()) == {living.folder, other}
    living.close()


def test_S18_record_prepared_for_another_database_is_not_published(root: Root) -> None:
    folder, record = prepared(root, version=1)
    forged = json.loads(b"".join(record.pieces())) | {"database": "other"}
    (folder / RECORD).write_text(json.dumps(forged))
    assert not heal(root, "some")
    assert not root.folder("some").exists()


def test_S18_temporary_files_of_dead_writers_go(root: Root, context: Context) -> None:
    places = [root.path / ".index.csv.0123456789ab.tmp", root.installed / ".some.json.0123456789ab.tmp"]
    for place in places:
        place.write_bytes(b"half")
    (root.path / ".index.csv.mine.tmp").write_bytes(b"not ours")
    collect(context, dry_run=False)
    assert not any(place.exists() for place in places)
    assert (root.path / ".index.csv.mine.tmp").exists()


def test_failed_install_leaves_nothing(root: Root) -> None:
    publish(root, version=1)
    before = sorted(str(path) for path in root.path.rglob("*"))
    work, _ = stage(root, version=2)
    work.close()
    assert sorted(str(path) for path in root.path.rglob("*")) == before


# ---------------------------------------------------------------------------------------------------------------------
# P5: nothing of the user is lost
# ---------------------------------------------------------------------------------------------------------------------


def everything(root: Root) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.path.rglob("*") if path.is_file()}


def test_S22_folder_of_the_user_under_our_name_is_never_lost(root: Root, context: Context) -> None:
    root.folder("demo").mkdir()
    (root.folder("demo") / "thesis.tex").write_bytes(b"years of work")
    fetch(context, context.catalogue.database("demo"), Request())
    collect(context, dry_run=False)
    assert everything(root).get("thesis.tex") == b"years of work"


def test_S22_foreign_and_changed_files_survive_a_new_version(root: Root, context: Context) -> None:
    demo = context.catalogue.database("demo")
    fetch(context, demo, Request())
    folder = root.folder("demo")
    picture = next(iter(sorted((folder / "images").iterdir())))
    (folder / "notes.txt").write_bytes(b"mine")
    (folder / "images" / "sub" / "er").mkdir(parents=True)
    (folder / "images" / "sub" / "er" / "mask.png").write_bytes(b"mine too")
    picture.write_bytes(b"edited by me")
    fetch(context, demo, Request(force=True))
    collect(context, dry_run=False)
    found = everything(root)
    assert found["notes.txt"] == b"mine"
    assert found["mask.png"] == b"mine too"
    assert b"edited by me" in {path.read_bytes() for path in root.quarantine.rglob("*") if path.is_file()}
    left = {finding.path: finding.problem for finding in verify(context, "demo").findings}
    assert set(left) == {"demo/notes.txt", "demo/images/sub/er/mask.png"}
    assert set(left.values()) == {"not ours"}


def test_S17_S22_linked_folder_survives_a_new_version(root: Root, context: Context, tmp_path: Path) -> None:
    demo = context.catalogue.database("demo")
    fetch(context, demo, Request())
    images, moved = root.folder("demo") / "images", tmp_path / "larger-disk"
    images.rename(moved)
    images.symlink_to(moved)
    before = sorted(moved.iterdir())
    fetch(context, demo, Request(force=True))
    collect(context, dry_run=False)
    assert sorted(moved.iterdir()) == before
    assert images.is_dir()
    assert not images.is_symlink()


def test_S22_remove_keeps_foreign_files_and_sets_changed_ones_aside(root: Root, context: Context) -> None:
    fetch(context, context.catalogue.database("demo"), Request())
    folder = root.folder("demo")
    (folder / "notes.txt").write_bytes(b"mine")
    picture = min((folder / "images").iterdir())
    picture.write_bytes(b"edited")
    removed = remove(context, "demo")
    assert removed.left == (str(folder / "notes.txt"),)
    assert [Path(path).parent for path in removed.quarantined] == [root.quarantine]
    assert removed.quarantined[0].endswith(f"-{picture.name}")
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / "notes.txt"]
    assert [path.read_bytes() for path in root.quarantine.iterdir()] == [b"edited"]
    assert state_of(root, "demo").word == "absent"
    assert root.index.read_text() == HEADER


def test_X06_S17_remove_never_follows_a_link_out_of_the_root(root: Root, context: Context, tmp_path: Path) -> None:
    fetch(context, context.catalogue.database("demo"), Request())
    images = root.folder("demo") / "images"
    moved = tmp_path / "larger-disk"
    images.rename(moved)
    images.symlink_to(moved)
    before = sorted(moved.iterdir())
    remove(context, "demo")
    assert sorted(moved.iterdir()) == before, "P1: nothing outside the root is removed"


def test_remove_of_what_is_not_here(context: Context) -> None:
    with pytest.raises(UsageFault):
        remove(context, "demo")


# ---------------------------------------------------------------------------------------------------------------------
# Locks
# ---------------------------------------------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from aigiqa_cli.reporting import Silent
from aigiqa_cli.store import Root, locked
with locked(Root(Path(sys.argv[1])), "some", Silent()):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(root: Root) -> subprocess.Popen[str]:
    environment = dict(os.environ) | {"PYTHONPATH": IMPORT_PATH}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


class Notes(Silent):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def test_C04_busy_database_is_temporary_and_names_the_holder(
    root: Root, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIGIQA_LOCK_SECONDS", "0.2")
    notes = Notes()
    with pytest.raises(TemporaryFault) as caught, locked(root, "some", notes):
        raise AssertionError
    assert str(holder.pid) in caught.value.message
    assert str(holder.pid) in notes.texts[0]
    with locked(root, "other", notes):
        pass


def test_C05_lock_of_a_dead_holder_is_free(root: Root, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with locked(root, "some", Silent()):
        pass


# ---------------------------------------------------------------------------------------------------------------------
# Root, space, index, states
# ---------------------------------------------------------------------------------------------------------------------


def test_root_is_found_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert find_root("/a", {"AIGIQA_ROOT": "/b"}).path == Path("/a")
    assert find_root("", {"AIGIQA_ROOT": "/b"}).path == Path("/b")
    assert find_root("", {}).path == tmp_path / "data" / "aigiqa"
    assert find_root("~/x", {}).path == Path.home() / "x"
    assert not (tmp_path / "data").exists(), "P12: naming a root makes nothing"


@pytest.mark.parametrize(
    ("needed", "free", "total", "good"),
    [
        (10**9, 10**9 + (512 << 20), 10**13, True),
        (10**9, 10**9 + (512 << 20) - 1, 10**13, False),
        (10**6, 10**6 + 10**8 // 50, 10**8, True),
        (10**6, 10**6 + 10**8 // 50 - 1, 10**8, False),
    ],
)
def test_S04_space_is_demanded_before_the_first_byte(
    root: Root, monkeypatch: pytest.MonkeyPatch, needed: int, free: int, total: int, good: bool
) -> None:
    monkeypatch.setattr(root_module.shutil, "disk_usage", lambda _path: SimpleNamespace(total=total, free=free))
    if good:
        root.demand_space(needed, 0)
        return
    with pytest.raises(MachineFault) as caught:
        root.demand_space(needed, 0)
    assert caught.value.fault == "S04"
    assert f"{needed:,}" in caught.value.message
    assert f"{free:,}" in caught.value.message


def test_S05_inodes_are_demanded_too(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    space = SimpleNamespace(total=10**13, free=10**13)
    monkeypatch.setattr(root_module.shutil, "disk_usage", lambda _path: space)
    monkeypatch.setattr(root_module.os, "statvfs", lambda _path: SimpleNamespace(f_files=10**6, f_favail=3000))
    root.demand_space(0, 2000)
    with pytest.raises(MachineFault) as caught:
        root.demand_space(0, 2001)
    assert caught.value.fault == "S05"


def test_S08_root_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageFault):
        Root(tmp_path / "file").prepare()
    for path in (tmp_path / "file" / "below", Path("/proc/nowhere"), tmp_path / ("n" * 300), Path("/dev/null")):
        with pytest.raises((MachineFault, UsageFault)):
            Root(path).prepare()


def test_root_index_is_the_union_in_order_of_ids(root: Root) -> None:
    publish(root, "two", 1)
    publish(root, "one", 1)
    assert root_index.rebuild(root, Silent()) == []
    lines = root.index.read_text().splitlines()
    assert lines[0] + "\n" == HEADER
    assert [line.split(",")[0] for line in lines[1:]] == ["one", "two"]
    assert root_index.check(root) == []


def test_X03_edited_index_is_damage_and_its_rows_stay_out(root: Root) -> None:
    publish(root, "one", 1)
    publish(root, "two", 1)
    (root.folder("one") / "index.csv").write_text(HEADER)
    assert root_index.rebuild(root, Silent()) == ["one"]
    assert [line.split(",")[0] for line in root.index.read_text().splitlines()[1:]] == ["two"]
    assert state_of(root, "one").word == DAMAGED
    assert "index.csv" in state_of(root, "one").why


BAD_INDEXES: dict[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "a header alone": HEADER.encode(),
    "no header": b"x" * 5_000_000,
    "longer than what is held in memory": content("two", 1)["index.csv"] + b"two,more\n" * 500_000,
    "leading astray": content("two", 1)["index.csv"].replace(b"two/images", b"one/images"),
}


@pytest.mark.parametrize("damage", BAD_INDEXES)
def test_X02_X03_a_bad_index_between_good_ones_leaves_no_trace_in_the_root_index(root: Root, damage: str) -> None:
    for name in ("one", "two", "xyz"):
        publish(root, name, 1)
    path, data = root.folder("two") / "index.csv", BAD_INDEXES[damage]
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)
    if damage == "leading astray":  # and the record says that it is so
        record = read_record(root, "two")
        assert record
        forged = replace(record, index_sha256=hashlib.sha256(data or b"").hexdigest())
        root.record("two").write_bytes(b"".join(forged.pieces()))
    assert root_index.rebuild(root, Silent()) == ["two"]
    good = HEADER.encode() + b"".join(content(name, 1)["index.csv"][len(HEADER) :] for name in ("one", "xyz"))
    assert root.index.read_bytes() == good
    assert root.index_note.read_text().split()[0] == hashlib.sha256(good).hexdigest()
    assert root_index.check(root) == []


@pytest.mark.parametrize("damage", ["missing", "edited", "cut"])
def test_X03_X07_root_index_is_checked_and_rebuilt(root: Root, context: Context, damage: str) -> None:
    publish(root, "one", 1)
    root_index.rebuild(root, Silent())
    good = root.index.read_bytes()
    root.index.unlink() if damage == "missing" else root.index.write_bytes(
        good + b"x" if damage == "edited" else good[:9]
    )
    assert len(verify_root(context)) == 1
    root_index.rebuild(root, Silent())
    assert root.index.read_bytes() == good


@pytest.mark.parametrize("damage", ["missing", "stale"])
def test_P7_fetch_of_what_is_here_heals_the_root_index(root: Root, context: Context, damage: str) -> None:
    """Killed after the record was written and before the root index was: the next run has nothing else to do."""
    demo = context.catalogue.database("demo")
    fetch(context, demo, Request())
    good = root.index.read_bytes()
    root.index.unlink() if damage == "missing" else root.index.write_text(HEADER)
    assert not fetch(context, demo, Request()).changed
    assert root.index.read_bytes() == good


def test_states(root: Root, tmp_path: Path) -> None:
    record = publish(root)
    assert str(state_of(root, "some")) == "installed (unpinned)"
    publish(root, version=2)
    assert str(state_of(root, "some")) == "installed"
    shutil.rmtree(root.folder("some"))
    state = state_of(root, "some")
    assert (state.word, state.present, state.record is not None) == (DAMAGED, False, True)
    root.record("some").unlink()
    assert state_of(root, "some").word == "absent"
    manifest = tmp_path / "demo.yaml"
    manifest.write_text(DEMO.read_text().replace("version: 1\n", "version: 3\n", 1))
    newer = load(manifest)
    publish(root, "demo", version=2)
    assert state_of(root, "demo", newer).word == "update"
    assert record.manifest_version == 1
    assert yaml.safe_load(manifest.read_text())["version"] == 3


def test_S19_moved_root_still_verifies(root: Root, context: Context, tmp_path: Path) -> None:
    fetch(context, context.catalogue.database("demo"), Request())
    moved = Root(tmp_path / "another place")
    os.rename(root.path, moved.path)
    there = Context(moved, context.catalogue, {}, Silent())
    assert verify(there, "demo").findings == ()
    assert verify_root(there) == []
    assert state_of(moved, "demo").word == "installed"
    command = ["sha256sum", "--quiet", "--check", "checksums.sha256"]
    assert subprocess.run(command, cwd=moved.folder("demo"), check=False).returncode == 0


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped-byte": (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\0"), "wrong checksum"),
    "truncated": (lambda path: os.truncate(path, 10), "wrong length"),
    "missing": (lambda path: path.unlink(), "missing"),
    "link": (
        lambda path: (path.rename(path.parent.parent.parent / "away"), path.symlink_to("../../away")),
        "not a regular",
    ),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "not a regular file"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_S10_verify_finds_damage(root: Root, context: Context, damage: str) -> None:
    publish(root)
    target = root.folder("some") / "images" / "a1.png"
    times = target.stat()
    how, problem = DAMAGES[damage]
    how(target)
    if target.is_file() and not target.is_symlink():
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    (root.folder("some") / "extra").write_bytes(b"")
    found = {finding.path: finding.problem for finding in verify(context, "some").findings}
    assert set(found) == {"some/images/a1.png", "some/extra"}
    assert found["some/images/a1.png"].startswith(problem)


def test_S17_a_link_in_place_of_a_former_folder_is_set_aside(root: Root, tmp_path: Path) -> None:
    """Exchanged for the published folder just before it was renamed: what lies behind it is nobody's of ours."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "index.csv").write_bytes(b"mine")
    former = root.replaced / "some-0123456789abcdef"
    former.symlink_to(theirs)
    (aside,) = retire(root, former)
    assert aside.is_symlink()
    assert aside.parent == root.quarantine
    assert not former.is_symlink()
    assert (theirs / "index.csv").read_bytes() == b"mine"


def test_S11_a_publication_is_prepared_until_it_is_healed(root: Root) -> None:
    prepared(root, 1)
    assert staging.is_prepared(root, "some")
    assert not staging.is_prepared(root, "som")
    assert not staging.is_prepared(root, "some-other")
    heal(root, "some")
    assert not staging.is_prepared(root, "some")
