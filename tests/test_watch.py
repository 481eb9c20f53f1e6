"""`fetch --watch`: a download folder as browsers and share clients fill it, on a clock of our own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Command
from replicas import archive, images
from tiny import small_labels, tiny_manifest

from aigiqa_cli.catalogue import Catalogue
from aigiqa_cli.context import Context
from aigiqa_cli.steps.watch import PAUSE, STILL, Watcher, in_progress
from aigiqa_cli.store import Root


def tiny_archive(folder: Path, name: str = "tiny.zip") -> bytes:
    names = [line.split(",")[0] for line in small_labels().decode().splitlines()[1:]]
    return archive(folder / name, [(f"tiny/{n}", data) for n, data in images(names).items()]).read_bytes()


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
        self.watcher = Watcher(context, catalogue.database("tiny"), self.folder, "", lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 300, f"never recognised: {self.notes.notes}"
        next(self.script, None)

    def run(self, script: Iterator[None]) -> list[str]:
        self.script = script
        return [given.file.path.name for given in self.watcher.wait()]

    def put(self, name: str, data: bytes) -> Path:
        path = self.folder / name
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
    assert any("not whole yet" in note for note in scene.notes.notes)


def test_preallocated_zeros_of_the_right_size(scene: Scene) -> None:
    def script() -> Iterator[None]:
        scene.put("tiny.zip", bytes(len(scene.data)))
        for _ in range(10):
            yield
        scene.put("tiny.zip", scene.data)
        yield

    assert scene.run(script()) == ["tiny.zip"]


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
        assert scene.notes.notes == [n for n in scene.notes.notes if "not it" not in n]
        path.rename(scene.folder / "tiny.zip")
        yield

    assert scene.run(script()) == ["tiny.zip"]


def test_firefox_keeps_an_empty_final_name_beside_its_part(scene: Scene) -> None:
    def script() -> Iterator[None]:
        scene.put("tiny.zip", b"")
        part = scene.put("tiny.zip.part", scene.data[:1000])
        for _ in range(10):
            yield
        part.write_bytes(scene.data)
        part.replace(scene.folder / "tiny.zip")
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


def test_what_lay_there_before_is_named_but_not_taken(scene: Scene) -> None:
    scene.put("tiny.zip", scene.data)

    def script() -> Iterator[None]:
        for _ in range(10):
            yield
        scene.put("new.zip", scene.data)
        yield

    assert scene.run(script()) == ["new.zip"]
    assert any("lay here before" in note and "aigiqa import tiny" in note for note in scene.notes.notes)


def test_unpacked_folder_counts_when_its_content_fits(scene: Scene) -> None:
    def script() -> Iterator[None]:
        names = [line.split(",")[0] for line in small_labels().decode().splitlines()[1:]]
        (scene.folder / "tiny").mkdir()
        for name, data in images(names).items():
            (scene.folder / "tiny" / name).write_bytes(data)
        yield

    assert scene.run(script()) == ["tiny"]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (2, 3, 1)])
def test_volumes_in_any_order_are_one_thing_once_all_are_there(scene: Scene, order: tuple[int, ...]) -> None:
    third = len(scene.data) // 3 + 1

    def script() -> Iterator[None]:
        for number in order:
            scene.put(f"tiny.zip.{number:03}", scene.data[third * (number - 1) : third * number])
            for _ in range(6):
                yield

    assert len(scene.run(script())) == 1
    assert scene.now >= 12 * PAUSE, "not before the last one came"


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
