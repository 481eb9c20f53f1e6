"""What a person must download: what is said of it, and whole runs of `fetch --watch` that go on by themselves."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from archive_writers import seven
from conftest import LIMIT, Command, Done, kill
from doubles import Fault
from test_recognition import packed
from test_watch import CODE, NAMES, members
from tiny import TINY_COMMIT, TINY_HOST, TINY_REPOSITORY, small_labels, tiny_manifest
from wire import DATA, PINNED, Wire

Put = Callable[[str, str], Path]
LABELS = {"kind": "github", "repo": TINY_REPOSITORY, "revision": TINY_COMMIT, "path": "data.csv"}
SHARE = f"https://pan.baidu.com/s/1tiny?pwd={CODE}"


@dataclass
class Watching:
    """A running `fetch --watch`."""

    process: subprocess.Popen[str]
    errors: Path
    downloads: Path

    def until(self, text: str) -> None:
        """Wait until it has said so."""
        end = time.monotonic() + LIMIT
        while text not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.05)

    def said(self) -> str:
        return self.errors.read_text(encoding="utf-8")

    def end(self, code: int) -> Done:
        out, _ = self.process.communicate(timeout=LIMIT)
        return Done(self.process.returncode, out, self.said()).expect(code)


@contextmanager
def watching(run: Command, base: Path, *words: object) -> Iterator[Watching]:
    downloads = base / "downloads"
    downloads.mkdir()
    errors = base / "errors.txt"
    with errors.open("w") as stream:
        process = run.start("fetch", "tiny", "--watch", downloads, *words, stderr=stream)
    try:
        yield Watching(process, errors, downloads)
    finally:
        if process.poll() is None:
            kill(process)


@pytest.fixture
def data() -> bytes:
    return packed(members())


def manifest(data: bytes, change: Callable[[dict[str, Any]], None] = lambda _made: None) -> str:
    made = yaml.safe_load(tiny_manifest(data))
    change(made)
    return yaml.safe_dump(made, sort_keys=False)


def with_split(made: dict[str, Any]) -> None:
    files = {"train": NAMES[:9], "test": NAMES[9:]}
    listed = []
    for part, names in files.items():
        text = split_file(names)
        digest = hashlib.sha256(text).hexdigest()
        listed.append({"part": part, "path": f"{part}.csv", "bytes": len(text), "rows": len(names), "sha256": digest})
    published = {
        "kind": "github", "repo": TINY_REPOSITORY, "revision": TINY_COMMIT, "format": "csv", "columns": ["name"],
        "image": "name", "files": listed,
    }  # fmt: skip
    made["splits"] = [{"name": "paper", "published": published, "evidence": "invented"}]


def split_file(names: list[str]) -> bytes:
    return "".join(f"{name}\n" for name in ["name", *names]).encode()


def serve_split(run: Command) -> None:
    for path, names in (("train.csv", NAMES[:9]), ("test.csv", NAMES[9:])):
        run.box.publish(LABELS | {"path": path}, split_file(names))


# --- whole runs -------------------------------------------------------------------------------------------------


def test_mirrors_that_fail_for_the_moment_leave_the_shares(
    run: Command, manifests: Put, data: bytes, tmp_path: Path
) -> None:
    manifests("tiny", manifest(data))
    run.box.publish(LABELS, small_labels())
    run.box.web(TINY_HOST).faults.add("/tiny.zip", Fault(status=503, always=True))
    with watching(run, tmp_path) as fetch:
        fetch.until("watching")
        (fetch.downloads / "tiny (2).zip").write_bytes(data)
        done = fetch.end(0)
    assert done.out.strip() == str(run.root / "tiny")
    assert "tiny.zip was not delivered by http" in done.err, "why a person is needed"
    assert SHARE in done.err
    assert "Tiny, by hand, from any of these:" in done.err
    assert f"then: save it into {fetch.downloads};" in done.err
    assert "aigiqa import" not in done.err.partition("watching")[0], "one next step, not two"
    assert "state installed" in done.err


def test_split_files_are_fetched_after_what_a_person_downloads(
    run: Command, manifests: Put, data: bytes, tmp_path: Path
) -> None:
    """Also where the label table lies in the archive, and nothing is pinned."""

    def change(made: dict[str, Any]) -> None:
        with_split(made)
        for asset in made["assets"]:
            del asset["bytes"], asset["sha256"]
        made["assets"][1] |= {"inside": "tiny.zip", "mirrors": []}

    manifests("tiny", manifest(data, change))
    serve_split(run)
    with watching(run, tmp_path, "--mirror", "baidu", "--splits", "--json") as fetch:
        fetch.until("watching")
        (fetch.downloads / "tiny.zip").write_bytes(packed(members() | {"tiny/data.csv": small_labels()}))
        (item,) = fetch.end(0).json()["data"]
    result = item["result"]
    assert (result["images"], result["changed"], result["left_out"]) == (12, True, [])
    lines = (run.root / "tiny/splits/paper.csv").read_text().splitlines()
    assert sorted(lines[1:]) == sorted(f"{name},{'test' if at > 8 else 'train'}" for at, name in enumerate(NAMES))
    run("verify", "tiny", code=0)


def test_labels_by_hand_then_images_by_themselves(run: Command, manifests: Put, data: bytes, tmp_path: Path) -> None:
    """The host of the label table is down; the images need no person, and are fetched once the table is there."""
    manifests("tiny", manifest(data))
    run.box.github.faults.add(f"{TINY_REPOSITORY}/{TINY_COMMIT}/data.csv", Fault(status=503, always=True))
    run.box.web(TINY_HOST).put("/tiny.zip", data)
    with watching(run, tmp_path) as fetch:
        fetch.until("watching")
        assert f"github.com/{TINY_REPOSITORY}" in fetch.said()
        (fetch.downloads / "scores.csv").write_bytes(small_labels())
        done = fetch.end(0)
    assert "12 images" in done.err
    assert done.out.strip() == str(run.root / "tiny")


def test_label_table_that_cannot_be_had_is_awaited_too(
    run: Command, manifests: Put, data: bytes, tmp_path: Path
) -> None:
    """The archive is there, its table is on a host that is down: its page is shown, and whatever comes is taken."""
    manifests("tiny", manifest(data))
    run.box.github.faults.add(f"{TINY_REPOSITORY}/{TINY_COMMIT}/data.csv", Fault(status=503, always=True))
    with watching(run, tmp_path, "--mirror", "baidu") as fetch:
        fetch.until("watching")
        (fetch.downloads / "tiny.zip").write_bytes(data)
        fetch.until("not enough yet")
        fetch.until(f"https://github.com/{TINY_REPOSITORY}")
        (fetch.downloads / "data.csv").write_bytes(small_labels())
        done = fetch.end(0)
    assert "12 images" in done.err


@pytest.mark.parametrize("password", [[], ["--password", CODE]])
def test_A20_encrypted_archive_is_exit_3(
    run: Command, manifests: Put, data: bytes, tmp_path: Path, password: list[str]
) -> None:
    manifests("tiny", manifest(data))
    with watching(run, tmp_path, "--mirror", "baidu", *password) as fetch:
        fetch.until("watching")
        (fetch.downloads / "a b.7z").write_bytes(seven(members(), "another one", hidden=True))
        done = fetch.end(3)
    assert ("extraction code of the share" in done.err) == bool(password)
    assert f"aigiqa import tiny '{fetch.downloads}/a b.7z' --password PASSWORD" in " ".join(done.err.split())


def test_watching_a_folder_that_is_none(run: Command, manifests: Put, data: bytes, tmp_path: Path) -> None:
    manifests("tiny", manifest(data))
    done = run("fetch", "tiny", "--mirror", "baidu", "--watch", tmp_path / "nowhere", code=2)
    assert "is not a folder to watch" in done.err


# --- what is said -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("pku-i2iqa", "baidu", {("file name unknown", "FILE")}),
        ("pku-aigiqa-4k", "baidu", {("file name unknown", "FILE")}),
        ("aigciqa2023", "terabox", {("file name unknown", "FILE")}),
        ("agiqa3k", "baidu", {("AGIQA-3K.zip", "AGIQA-3K.zip"), ("file name unknown", "FILE")}),
        ("agiqa1k", "baidu", {("file.zip", "file.zip")}),
    ],
)
def test_no_file_name_is_invented(run: Command, name: str, kind: str, said: set[tuple[str, str]]) -> None:
    """The reports state no names of these files: ours for them are no names to look for."""
    error = run("fetch", name, "--mirror", kind, "--json", code=3).json()["error"]
    found = {
        (share["name"], share["next"].removeprefix(f"aigiqa import {name} ~/Downloads/")) for share in error["shares"]
    }
    assert found == said
    assert "-archive" not in error["message"] + error["hint"]


def test_note_of_a_mirror_that_failed_names_the_file(wire: Wire) -> None:
    """Or two files of one host would be told of in the same words."""
    wire.server.site.faults.add("/bad.zip", Fault(status=503, always=True))
    wire.server.site.put("/set.zip", DATA)
    wire.receive(PINNED, wire.source("/bad.zip"), wire.source())
    (note,) = [note for note in wire.reporter.notes if "trying" in note]
    assert note.startswith("set.zip: http /bad.zip: ")
    assert note.endswith("; trying http /set.zip")
