"""`fetch --watch`: a download folder as browsers and share clients fill it, on a clock of our own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pku
import pytest
import replicas
from archive_writers import file5, rar5, seven
from conftest import Command
from replicas import archive, images
from test_more_archives import SECRET, needs_zip
from test_recognition import packed
from tiny import small_labels, tiny_manifest

from aigiqa_cli.context import Context
from aigiqa_cli.errors import Fault, IntegrityFault, PersonNeeded, TemporaryFault
from aigiqa_cli.installing import Options
from aigiqa_cli.installing.belonging import Evidence
from aigiqa_cli.installing.recognising import Given
from aigiqa_cli.manifest.catalogue import Catalogue
from aigiqa_cli.manifest.models import Database
from aigiqa_cli.steps import watch
from aigiqa_cli.steps.import_ import Imported, import_paths
from aigiqa_cli.steps.watch import PATIENCE, PAUSE, Watcher
from aigiqa_cli.store import Root, Staging
from aigiqa_cli.watching.stillness import STILL, Stillness, in_progress

NAMES = [line.split(",")[0] for line in small_labels().decode().splitlines()[1:]]
CODE = "0755"  # of the share in the manifest


def tiny_archive(folder: Path, name: str = "tiny.zip") -> bytes:
    return archive(folder / name, [(f"tiny/{n}", data) for n, data in images(NAMES).items()]).read_bytes()


def members(names: Sequence[str] = NAMES) -> dict[str, bytes]:
    return {f"tiny/{name}": data for name, data in images(names).items()}


class Notes:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def phase(self, *_: object, **__: object) -> None: ...
    def advance(self, amount: int = 1) -> None: ...
    def note(self, text: str) -> None:
        self.notes.append(text)

    detail = note


class Scene:
    """A folder, a clock that moves only when the watcher sleeps, and a list of things that happen meanwhile."""

    def __init__(self, base: Path) -> None:
        self.folder = base / "Downloads"
        self.folder.mkdir()
        (base / "manifests").mkdir()
        self.data = tiny_archive(base)
        (base / "manifests" / "tiny.yaml").write_text(tiny_manifest(self.data))
        catalogue = Catalogue({"AIGIQA_MANIFESTS": str(base / "manifests")})
        self.notes = Notes()
        root = Root(base / "root")
        root.prepare()
        context = Context(root, catalogue, {}, self.notes)
        self.now = 0.0
        self.script: Iterator[None] = iter(())
        self.shown: list[Fault] = []
        self.watcher = Watcher(
            context, catalogue.database("tiny"), self.folder,
            show=self.shown.append, clock=lambda: self.now, sleep=self.sleep,
        )  # fmt: skip

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 300, f"never recognised: {self.notes.notes}"
        next(self.script, None)

    def run(self, script: Iterator[None]) -> list[str]:
        """Names of what would be installed."""
        self.script = script
        return self.watcher.wait(lambda given: [one.file.path.name for one in given])

    def install(self, script: Iterator[None], **options: bool) -> Imported:
        """What is really installed."""
        self.script = script
        database, context = self.watcher.database, self.watcher.context
        return self.watcher.wait(lambda given: import_paths(context, database, given, Options(**options)))

    def told(self, *words: str) -> bool:
        """Is there one note with all of these words?"""
        return any(all(word in note for word in words) for note in self.notes.notes)

    def put(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, ns=(0, int(self.now * 1e9)))
        return path


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_whole_file_is_taken_after_it_has_been_still(scene: Scene) -> None:
    def script() -> Iterator[None]:
        scene.put("tiny.zip", scene.data)
        yield

    assert scene.run(script()) == ["tiny.zip"]
    assert scene.now >= STILL


def test_slow_copy_under_the_final_name(scene: Scene) -> None:
    def script() -> Iterator[None]:
        for share in range(1, 9):
            scene.put("tiny.zip", scene.data[: len(scene.data) * share // 8])
            yield

    assert scene.run(script()) == ["tiny.zip"]
    assert scene.now >= 8 * PAUSE + STILL


def test_pause_in_the_middle_is_not_the_end(scene: Scene) -> None:
    def script() -> Iterator[None]:
        scene.put("tiny.zip", scene.data[: len(scene.data) // 2])
        for _ in range(20):
            yield
        scene.put("tiny.zip", scene.data)
        yield

    assert scene.run(script()) == ["tiny.zip"]
    assert scene.told("tiny.zip: not it, or not whole yet")


@pytest.mark.parametrize("written", [0, 0.5])
def test_preallocated_zeros_of_the_right_size(scene: Scene, written: float) -> None:
    def script() -> Iterator[None]:
        there = scene.data[: int(len(scene.data) * written)]
        scene.put("tiny.zip", there + bytes(len(scene.data) - len(there)))
        for _ in range(10):
            yield
        scene.put("tiny.zip", scene.data)
        yield

    assert scene.run(script()) == ["tiny.zip"]
    assert scene.told("tiny.zip", "not whole yet")
    assert not scene.told("not a file of")


@pytest.mark.parametrize("name", ["tiny (1).zip", "download.bin", "文件.zip"])
def test_any_name_is_recognised_by_content(scene: Scene, name: str) -> None:
    def script() -> Iterator[None]:
        scene.put(name, scene.data)
        yield

    assert scene.run(script()) == [name]


@pytest.mark.parametrize("suffix", [".crdownload", ".part", ".baiduyun.p.downloading", ".aria2", ".xltd"])
def test_file_in_progress_waits_for_its_rename(scene: Scene, suffix: str) -> None:
    def script() -> Iterator[None]:
        path = scene.put("tiny.zip" + suffix, scene.data)
        for _ in range(10):
            yield
        assert len(scene.notes.notes) == 1, "that it watches"
        path.rename(scene.folder / "tiny.zip")
        yield

    assert scene.run(script()) == ["tiny.zip"]


def test_firefox_keeps_an_empty_final_name_beside_its_part(scene: Scene) -> None:
    def script() -> Iterator[None]:
        scene.put("tiny.zip", b"")
        part = scene.put("tiny.zip.part", scene.data[:1000])
        for _ in range(10):
            yield
        assert len(scene.notes.notes) == 1, "that it watches"
        part.write_bytes(scene.data)
        part.replace(scene.folder / "tiny.zip")
        yield

    assert scene.run(script()) == ["tiny.zip"]


def test_empty_name_without_its_part_is_not_whole_yet(scene: Scene) -> None:
    """The part may lie in another folder."""

    def script() -> Iterator[None]:
        scene.put("tiny.zip", b"")
        for _ in range(10):
            yield
        scene.put("tiny.zip", scene.data)
        yield

    assert scene.run(script()) == ["tiny.zip"]
    assert scene.told("tiny.zip: not whole yet")
    assert not scene.told("not a file of")


def test_abandoned_part_of_before_does_not_block_the_new_one(scene: Scene) -> None:
    scene.put("tiny.zip.part", scene.data[:100])

    def script() -> Iterator[None]:
        scene.put("tiny.zip", scene.data)
        yield

    assert scene.run(script()) == ["tiny.zip"]


def test_foreign_download_and_web_page_are_named_and_passed_over(scene: Scene) -> None:
    def script() -> Iterator[None]:
        scene.put("holiday.jpg", b"\xff\xd8\xff\xe0 not ours")
        scene.put("tiny.html", b"<!DOCTYPE html><html><head><title>Log in</title></head></html>")
        for _ in range(10):
            yield
        scene.put("tiny.zip", scene.data)
        yield

    assert scene.run(script()) == ["tiny.zip"]
    assert any("holiday.jpg" in note for note in scene.notes.notes)
    assert any("web page" in note and "Log in" in note for note in scene.notes.notes)


@pytest.mark.parametrize("name", ["tiny.zip", "another name.bin"])
def test_what_lay_there_before_is_named_but_not_taken(scene: Scene, name: str) -> None:
    """By its content, also where nothing is pinned and the name tells nothing."""
    older = scene.put(name, packed(members()))
    scene.put("holiday.zip", packed({"beach.png": b"no picture"}))
    scene.put("cut.zip", scene.data[:5000])

    def script() -> Iterator[None]:
        for _ in range(10):
            yield
        scene.put("new.zip", scene.data)
        yield

    assert scene.run(script()) == ["new.zip"]
    (note,) = [note for note in scene.notes.notes if "lay here before" in note]
    assert note.startswith(f"{older} lay here before: images of Tiny")
    quoted = f"'{older}'" if " " in name else str(older)
    assert note.endswith(f"aigiqa import tiny {quoted}")


def test_parts_that_lay_there_before_are_named_together(scene: Scene) -> None:
    for number, names in enumerate((NAMES[:4], NAMES[4:8], NAMES[8:])):
        scene.put(f"part{number}.zip", packed(members(names)))

    def script() -> Iterator[None]:
        for _ in range(5):
            yield
        scene.put("new.zip", scene.data)
        yield

    scene.run(script())
    paths = [str(scene.folder / f"part{number}.zip") for number in range(3)]
    assert scene.told("lay here before", f"aigiqa import tiny {' '.join(paths)}")


def test_older_file_that_changes_is_a_new_one(scene: Scene) -> None:
    """The download had begun before, or another one took its name."""
    scene.put("tiny.zip", scene.data[:5000])

    def script() -> Iterator[None]:
        yield
        scene.put("tiny.zip", scene.data)
        yield

    assert scene.run(script()) == ["tiny.zip"]


# --- folders ----------------------------------------------------------------------------------------------------


def test_unpacked_folder_counts_when_its_content_fits(scene: Scene) -> None:
    def script() -> Iterator[None]:
        for name, data in members().items():
            scene.put(name, data)
        yield

    assert scene.run(script()) == ["tiny"]


def test_folder_that_is_unpacked_slowly_is_awaited(scene: Scene) -> None:
    """Nothing but its own time would tell that it changes: what is in it does."""

    def script() -> Iterator[None]:
        scene.put("data.csv", small_labels())
        (scene.folder / "tiny" / "images").mkdir(parents=True)
        for name, data in images(NAMES).items():
            path = scene.folder / "tiny" / "images" / name
            path.write_bytes(data)
            os.utime(path, ns=(0, 0))
            os.utime(path.parent, ns=(0, 0))
            yield
            yield

    done = scene.install(script())
    assert done.state.record
    assert done.state.record.images == 12
    assert not scene.told("not enough yet"), "it was never still before"


@pytest.mark.parametrize("first", [3, 8])
def test_folder_is_looked_at_again_when_it_has_changed(scene: Scene, first: int) -> None:
    """Three images are too few to know it; eight are enough to know it, not enough to install it."""

    def script() -> Iterator[None]:
        scene.put("data.csv", small_labels())
        for count in (first, 12):
            for name, data in members(NAMES[:count]).items():
                scene.put(name, data)
            for _ in range(8):
                yield

    done = scene.install(script())
    assert done.state.record
    assert done.state.record.images == 12
    assert scene.told("too few by themselves" if first == 3 else "tiny holds 8 of the 12 images")


def test_cut_image_in_a_folder_is_awaited(scene: Scene) -> None:
    def script() -> Iterator[None]:
        scene.put("data.csv", small_labels())
        for name, data in members().items():
            scene.put(name, data)
        last = scene.put(f"tiny/{NAMES[-1]}", images(NAMES)[NAMES[-1]][:20])
        for _ in range(8):
            yield
        scene.put(f"tiny/{last.name}", images(NAMES)[last.name])
        yield

    assert scene.install(script()).state.record
    assert scene.told("not enough yet", NAMES[-1])


def test_single_images_in_the_watched_folder(scene: Scene) -> None:
    """They are one thing, which is whole when the last has come; a picture of something else is not one of them."""

    def script() -> Iterator[None]:
        scene.put("data.csv", small_labels())
        scene.put("holiday.jpg", b"\xff\xd8\xff\xe0 not ours")
        for name, data in images(NAMES).items():
            scene.put(name, data)
            yield
            yield

    done = scene.install(script())
    assert done.state.record
    assert done.state.record.images == 12
    assert not any(scene.told(f"{name}: ") for name in NAMES), "not a note for each"
    assert scene.told("holiday.jpg: not a file of Tiny")


def test_folder_of_downloads_is_what_lies_in_it(scene: Scene) -> None:
    def script() -> Iterator[None]:
        scene.put("from a share/tiny.zip.baiduyun.p.downloading", scene.data)
        scene.put("from a share/data.csv", small_labels())
        for _ in range(8):
            yield
        assert len(scene.notes.notes) == 1, "that it watches"
        (scene.folder / "from a share/tiny.zip.baiduyun.p.downloading").rename(scene.folder / "from a share/tiny.zip")
        yield

    done = scene.install(script())
    assert done.state.record
    assert done.state.record.images == 12


@pytest.mark.parametrize("folder", [0, 3])
def test_folder_is_gone_through_only_as_often_as_is_cheap(tmp_path: Path, folder: float) -> None:
    """After ten times as long as it took, in seconds; a small one at every look."""
    (tmp_path / "watched" / "large").mkdir(parents=True)
    times = iter(range(0, 10_000, max(1, int(folder))))
    looks = Stillness(tmp_path / "watched", tmp_path / "root", lambda: float(next(times)) if folder else 0.0)
    looks.stamps()
    (tmp_path / "watched" / "large" / "a.png").write_bytes(b"x")
    (seen, _) = looks.stamps()[tmp_path / "watched" / "large"]
    assert seen.files == (0 if folder else 1)


def test_what_has_not_changed_is_not_looked_at_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    known = watch.examine

    def counted(databases: Sequence[Database], given: Given, work: Staging) -> Evidence:
        looked.append(given.file.path.name)
        return known(databases, given, work)

    monkeypatch.setattr(watch, "examine", counted)

    def script() -> Iterator[None]:
        scene.put("foreign/pictures/beach.png", b"x")
        scene.put("cut.zip", scene.data[:5000])
        for number in range(20):
            scene.put("growing.zip", scene.data[: 100 * number])
            yield
        scene.put("data.csv", small_labels())
        for _ in range(8):
            yield
        scene.put("tiny.zip", scene.data)
        yield

    scene.run(script())
    assert sorted(looked) == ["cut.zip", "data.csv", "foreign", "growing.zip", "tiny.zip"]


def test_the_data_root_is_nobodys_download(scene: Scene) -> None:
    root = Root(scene.folder / "aigiqa")
    root.prepare()
    context = Context(root, scene.watcher.context.catalogue, {}, scene.notes)
    scene.watcher = Watcher(context, scene.watcher.database, scene.folder, clock=lambda: scene.now, sleep=scene.sleep)

    def script() -> Iterator[None]:
        scene.put("foreign.zip", packed({"a.txt": b"x"}))
        for _ in range(8):
            yield
        scene.put("tiny.zip", scene.data)
        yield

    assert scene.run(script()) == ["tiny.zip"]
    assert not scene.told("aigiqa: ")


# --- sets, and archives in archives -----------------------------------------------------------------------------


def arriving(scene: Scene, volumes: dict[str, bytes], order: Sequence[int]) -> Iterator[None]:
    names = list(volumes)
    for number in order:
        scene.put(names[number], volumes[names[number]])
        for _ in range(6):
            yield


def cut_up(name: str, data: bytes) -> dict[str, bytes]:
    third = len(data) // 3 + 1
    return {f"{name}.{at + 1:03}": data[third * at : third * (at + 1)] for at in range(3)}


def one_rar(files: dict[str, bytes]) -> dict[str, bytes]:
    """Each part holds some members."""
    edges = [0, 4, 8, 12]
    return {
        f"tiny.part{at + 1}.rar": rar5(*(file5(name, files[name]) for name in list(files)[a:b]), volume=at, more=at < 2)
        for at, (a, b) in enumerate(pairwise(edges))
    }


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("form", ["zip", "7z", "rar"])
def test_volumes_in_any_order_are_one_thing_once_all_are_there(scene: Scene, order: tuple[int, ...], form: str) -> None:
    files = members()
    volumes = {
        "zip": lambda: cut_up("tiny.zip", scene.data),
        "7z": lambda: cut_up("tiny.7z", seven(files)),
        "rar": lambda: one_rar(files),
    }[form]()
    scene.put("data.csv", small_labels())

    def script() -> Iterator[None]:
        scene.put("data.csv", small_labels() + b"")
        yield from arriving(scene, volumes, order)

    done = scene.install(script())
    assert done.state.record
    assert done.state.record.images == 12
    assert scene.now >= 12 * PAUSE, "not before the last one came"
    recognised = [note for note in scene.notes.notes if "recognised as images" in note]
    assert len(recognised) == 1, "once for the set"


@needs_zip
def test_zip_split_over_disks_whose_last_part_comes_first(scene: Scene, tmp_path: Path) -> None:
    source = tmp_path / "source"
    replicas.folder(source, [*members().items(), ("tiny/more.bin", os.urandom(150_000))])
    subprocess.run(["zip", "-q", "-r", "-s", "64k", "../split.zip", "tiny"], cwd=source, check=True)
    names = ["split.zip", "split.z02", "split.z01"]
    volumes = {name: (tmp_path / name).read_bytes() for name in names}

    def script() -> Iterator[None]:
        scene.put("data.csv", small_labels())
        yield from arriving(scene, volumes, (0, 1, 2))

    done = scene.install(script())
    assert done.state.record
    assert done.state.record.images == 12
    assert scene.told("not whole yet", "split.z01 is missing")


def test_last_volume_completes_those_of_before(scene: Scene) -> None:
    volumes = cut_up("tiny.zip", scene.data)
    names = list(volumes)
    for name in names[:2]:
        scene.put(name, volumes[name])

    def script() -> Iterator[None]:
        yield
        scene.put(names[2], volumes[names[2]])
        yield

    assert len(scene.run(script())) == 1
    assert scene.told("recognised", "volumes that lay here before")


def test_A11_zip_of_zips(scene: Scene) -> None:
    """As the web page of a share packs what one selects."""

    def script() -> Iterator[None]:
        outer = packed({"share/tiny.zip": scene.data, "share/data.csv": small_labels()})
        scene.put("outer.zip", outer[: len(outer) // 2])
        for _ in range(6):
            yield
        scene.put("outer.zip", outer)
        yield

    done = scene.install(script())
    assert done.state.record
    assert done.state.record.images == 12


def test_A11_zip_of_the_true_tree_of_a_database_of_which_nothing_is_pinned(
    scene: Scene, tmp_path: Path, shared: Path
) -> None:
    rows = pku.i2i_rows(shared)
    tree = {"I2IQA/I2IQA_annotation.xlsx": pku.workbook(rows)}
    tree |= {f"I2IQA/Generated_image/All/{n}": d for n, d in images(row["Generated_image"] for row in rows).items()}
    tree |= {f"I2IQA/Image_prompt/{n}": d for n, d in images(f"{number}.jpg" for number in range(200)).items()}
    catalogue = Catalogue({})
    context = Context(scene.watcher.context.root, catalogue, {}, scene.notes)
    scene.watcher = Watcher(
        context, catalogue.database("pku-i2iqa"), scene.folder, clock=lambda: scene.now, sleep=scene.sleep
    )

    def script() -> Iterator[None]:
        scene.put("outer.zip", packed({"PKU-I2IQA.zip": packed(tree)}))
        yield

    record = scene.install(script()).state.record
    assert record
    assert (record.images, record.references, record.rows) == (1600, 200, 1600)


# --- until what was asked for is there --------------------------------------------------------------------------


def test_label_tables_alone_are_kept_until_the_images_come(scene: Scene) -> None:
    def script() -> Iterator[None]:
        scene.put("data.csv", small_labels())
        for _ in range(10):
            yield
        scene.put("tiny.zip", scene.data)
        yield

    done = scene.install(script())
    assert done.state.record
    assert (done.state.record.state, done.state.record.images) == ("installed", 12)
    assert scene.told("data.csv: recognised as labels")


def test_labels_are_enough_where_labels_were_asked_for(scene: Scene) -> None:
    scene.watcher.labels = True

    def script() -> Iterator[None]:
        scene.put("data.csv", small_labels())
        yield

    done = scene.install(script(), labels_only=True)
    assert done.state.record
    assert done.state.record.state == "labels"


def test_parts_of_the_images_are_enough_together(scene: Scene) -> None:
    def script() -> Iterator[None]:
        scene.put("data.csv", small_labels())
        for number, names in enumerate((NAMES[:4], NAMES[4:8], NAMES[8:])):
            scene.put(f"part{number}.zip", packed(members(names)))
            for _ in range(6):
                yield

    done = scene.install(script())
    assert done.state.record
    assert done.state.record.images == 12


def test_what_fails_together_is_tried_alone(scene: Scene) -> None:
    """A folder in which one image is another one, and then the whole archive."""

    def script() -> Iterator[None]:
        scene.put("data.csv", small_labels())
        for name, data in members().items():
            scene.put(name, data)
        scene.put(f"tiny/{NAMES[0]}", b"no image")
        for _ in range(8):
            yield
        scene.put("again.zip", scene.data)
        yield

    done = scene.install(script())
    assert done.state.record
    assert [source.name for source in done.state.record.sources if source.role == "images"] == ["again.zip"]


def failing(*faults: Exception) -> tuple[list[list[str]], Callable[[list[Given]], str]]:
    """An install that fails in these ways, then succeeds; and what it was given each time."""
    calls: list[list[str]] = []
    left = list(faults)

    def install(given: list[Given]) -> str:
        calls.append([one.file.path.name for one in given])
        if left:
            raise left.pop(0)
        return "done"

    return calls, install


def test_what_fails_for_the_moment_is_tried_again(scene: Scene) -> None:
    """The label table comes from a host that is down: its page is shown, and a minute later it is there."""
    calls, install = failing(TemporaryFault("down"), TemporaryFault("still down"))

    def script() -> Iterator[None]:
        scene.put("tiny.zip", scene.data)
        yield

    scene.script = script()
    assert scene.watcher.wait(install) == "done"
    assert len(calls) == 3
    assert scene.now >= 2 * PATIENCE
    assert scene.told("not enough yet: down")


def test_what_nothing_can_put_right_ends_it(scene: Scene) -> None:
    def script() -> Iterator[None]:
        scene.put("tiny.zip", scene.data)
        yield

    scene.script = script()
    _, install = failing(IntegrityFault("another file than before", fault="N31"))
    with pytest.raises(IntegrityFault, match="another file"):
        scene.watcher.wait(install)


def test_file_that_goes_while_it_is_read(scene: Scene) -> None:
    def script() -> Iterator[None]:
        scene.put("tiny.zip", scene.data)
        for _ in range(8):
            yield
        scene.put("moved.zip", scene.data)
        yield

    scene.script = script()
    calls: list[list[str]] = []

    def install(given: list[Given]) -> str:
        calls.append([one.file.path.name for one in given])
        if len(calls) == 1:
            given[0].file.path.unlink()
            raise FileNotFoundError(2, "No such file or directory", str(given[0].file.path))
        return "done"

    assert scene.watcher.wait(install) == "done"
    assert calls == [["tiny.zip"], ["moved.zip"]]


# --- a person has to do more ------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [True, False])
@pytest.mark.parametrize("password", ["", CODE, "other"])
def test_A20_encrypted_archive_ends_it_with_the_next_command(scene: Scene, hidden: bool, password: str) -> None:
    scene.watcher.password = password

    def script() -> Iterator[None]:
        scene.put("data.csv", small_labels())
        scene.put("tiny.7z", seven(members(), SECRET, hidden=hidden))
        yield

    with pytest.raises(PersonNeeded) as caught:
        scene.install(script())
    assert caught.value.fault == "A20"
    assert ("extraction code of the share" in caught.value.hint) == (password == CODE)
    assert "aigiqa import tiny" in caught.value.hint
    assert "tiny.7z" in caught.value.hint
    assert caught.value.hint.endswith("--password PASSWORD")


def test_A20_the_right_password_opens_it(scene: Scene) -> None:
    scene.watcher.password = SECRET

    def script() -> Iterator[None]:
        scene.put("data.csv", small_labels())
        scene.put("tiny.7z", seven(members(), SECRET, hidden=True))
        yield

    assert scene.install(script()).state.record


# --- marks of what is in progress -------------------------------------------------------------------------------


def test_companions_mark_a_file_as_in_progress() -> None:
    assert in_progress(Path("a.zip"), {"a.zip", "a.zip.part"})
    assert in_progress(Path("a.zip.crdownload"), {"a.zip.crdownload"})
    assert not in_progress(Path("a.zip"), {"a.zip", "b.zip.part"})


def test_fetch_watch_goes_on_by_itself(
    run: Command, manifests: Callable[[str, str], Path], tmp_path: Path, authority: object
) -> None:
    """On a terminal: shares are shown, the code is copied, and the arriving file is installed."""
    data = tiny_archive(tmp_path)
    manifests("tiny", tiny_manifest(data))
    run.box.publish(
        {"kind": "github", "repo": "example/tiny", "revision": "7" * 40, "path": "data.csv"}, small_labels()
    )
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    lead, follow = pty.openpty()
    command = [sys.executable, "-m", "aigiqa_cli", "fetch", "tiny", "--mirror", "baidu", "--watch", str(downloads)]
    environment = run.environment | {"TERM": "xterm-256color"}
    environment.pop("TMUX", None)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=follow, stdin=follow, env=environment, cwd=run.work
    )
    os.close(follow)
    seen = bytearray()

    def read() -> None:
        try:
            while chunk := os.read(lead, 4096):
                seen.extend(chunk)
        except OSError:
            return

    reader = threading.Thread(target=read)
    reader.start()
    while b"watching" not in seen and process.poll() is None:
        time.sleep(0.05)
    (downloads / "tiny (1).zip").write_bytes(data)
    out, _ = process.communicate(timeout=60)
    reader.join()
    os.close(lead)
    text = seen.decode(errors="replace")
    assert process.returncode == 0, text
    assert out.decode().strip() == str(run.root / "tiny")
    assert "https://pan.baidu.com/s/1tiny?pwd=0755" in text
    assert "\x1b]8;" in text  # a clickable link
    assert "\x1b]52;c;MDc1NQ==\x07" in text  # the code 0755, for the clipboard
