"""`aigiqa verify --quick`: what is taken on trust, what is not, and that nothing but looks is ever trusted."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Command
from PIL import Image
from tiny import SMALL

from aigiqa_cli import looks

IMAGE = "images/atlas_edit_011.png"


@pytest.fixture
def noted(installed: Command) -> Command:
    """The synthetic database, copied, so that its inodes are new, and read once by `verify --quick`."""
    assert trusted(installed) == 0
    return installed


def quick(run: Command, *words: object, code: int = 0) -> dict[str, Any]:
    return run("verify", "--quick", *words, "--json", code=code).json()


def trusted(run: Command, *words: object, code: int = 0) -> int:
    return int(quick(run, *words, code=code)["data"][0]["result"]["trusted"])


def some_image(run: Command) -> Path:
    return sorted((run.root / "demo" / "images").iterdir())[3]


def files(run: Command) -> int:
    return sum(len(names) for _, _, names in os.walk(run.root / "demo"))


def rewritten(path: Path, data: bytes) -> None:
    """Other bytes under the same inode, with the times of modification and access as before."""
    about = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    rewritten(path, bytes(data))


def test_what_is_unchanged_is_read_once(noted: Command) -> None:
    assert trusted(noted) == files(noted) == quick(noted)["data"][0]["result"]["files"]
    assert noted("verify", "--json", code=0).json()["data"][0]["result"]["trusted"] == 0


def test_an_install_notes_what_it_hashed_while_it_wrote(run: Command) -> None:
    run("fetch", "demo", code=0)
    images = len(list((run.root / "demo" / "images").iterdir()))
    assert trusted(run) >= images  # the last files may be as young as the note
    flipped(some_image(run))
    assert [found["problem"] for found in quick(run, code=4)["findings"]] == ["wrong checksum"]


def test_bits_that_rot_change_no_time_and_only_reading_finds_them(noted: Command) -> None:
    """No file system rots on demand, and every write changes a time; so the note learns the new one."""
    image = some_image(noted)
    before = looks.look(image.name, image.stat())
    flipped(image)
    note = noted.root / ".aigiqa" / "stat" / "demo"
    text = note.read_bytes()[65:].decode()
    assert text.count(before) == 1
    body = text.replace(before, looks.look(image.name, image.stat())).encode()
    note.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    assert trusted(noted, "demo") == files(noted)
    assert [found["path"] for found in noted("verify", "demo", "--json", code=4).json()["findings"]] == [
        f"demo/images/{image.name}"
    ]


@pytest.mark.parametrize("words", [["demo"], [], ["demo", "-q"], ["demo", "--no-color", "demo"], ["--root", "ROOT"]])
def test_the_answer_at_once_is_that_of_the_command(noted: Command, words: list[str]) -> None:
    words = [str(noted.root) if word == "ROOT" else word for word in words]
    at_once = noted("verify", "--quick", *words, code=0)
    assert at_once.out == noted("verify", "--quick", "--verbose", *words, code=0).out
    assert at_once.out.splitlines() == [f"demo\tok\t{files(noted)}\t2.41 MB\t{files(noted)}"]
    assert at_once.err == ""


def test_the_answer_at_once_loads_neither_parser_nor_store(noted: Command, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom aigiqa_cli.cli.main import run\ntry:\n    run()\n"
        "except SystemExit as ended:\n    assert not ended.code\n"
        "sys.stderr.write(' '.join(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "verify", "--quick", "demo"],
        env=noted.environment, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("demo\tok\t")
    loaded = set(done.stderr.split())
    assert not loaded & {"typer", "pydantic", "rich", "yaml", "aigiqa_cli.store", "aigiqa_cli.errors"}


def another_length(root: Path) -> None:
    path = root / "demo" / IMAGE
    path.write_bytes(path.read_bytes()[:-1])


def linked_to_its_copy(root: Path) -> None:
    path = root / "demo" / IMAGE
    shutil.copy2(path, root / "copy.png")
    path.unlink()
    path.symlink_to(root / "copy.png")


def folder_linked_to_its_copy(root: Path) -> None:
    shutil.copytree(root / "demo" / "images", root / "elsewhere")
    shutil.rmtree(root / "demo" / "images")
    (root / "demo" / "images").symlink_to(root / "elsewhere")


def a_file_of_the_user(root: Path) -> None:
    (root / "demo" / "images" / "mine.txt").write_text("mine")


def a_folder_of_the_user(root: Path) -> None:
    (root / "demo" / "mine" / "more").mkdir(parents=True)
    (root / "demo" / "mine" / "more" / "notes.txt").write_text("mine")


DAMAGE: dict[str, tuple[Callable[[Path], object], int]] = {
    "other bytes with the same times": (lambda root: flipped(root / "demo" / IMAGE), 1),
    "another length": (another_length, 1),
    "missing": (lambda root: (root / "demo" / IMAGE).unlink(), 1),
    "a link to the same bytes": (linked_to_its_copy, 1),
    "the index": (lambda root: flipped(root / "demo" / "index.csv"), 1),
    "all images gone": (lambda root: shutil.rmtree(root / "demo" / "images"), 60),
    "all images behind a link": (folder_linked_to_its_copy, 60),
    "everything gone": (lambda root: shutil.rmtree(root / "demo"), 69),
    "a file of the user": (a_file_of_the_user, 0),
    "a folder of the user": (a_folder_of_the_user, 0),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_change_is_found_that_a_time_an_inode_or_a_name_tells(noted: Command, damage: str) -> None:
    make, changed = DAMAGE[damage]
    make(noted.root)
    found = quick(noted, "demo", code=4)
    assert found["findings"] == noted("verify", "demo", "--json", code=4).json()["findings"]
    assert found["data"][0]["result"]["trusted"] == 69 - changed
    assert quick(noted, "demo", code=4)["findings"] == found["findings"], "what is damaged is never noted"


def test_what_only_looks_changed_is_read_once_more(noted: Command) -> None:
    image = some_image(noted)
    os.utime(image)
    other = sorted((noted.root / "demo" / "images").iterdir())[5]
    other.chmod(0o600)  # changes no byte and no time but one
    assert trusted(noted) == files(noted) - 2
    assert trusted(noted) == files(noted)


def test_a_file_as_young_as_the_note_is_not_noted(noted: Command) -> None:
    """The racy git problem: it could be changed in the same tick. A time in the future is never older than the clock."""
    image = some_image(noted)
    tomorrow = image.stat().st_mtime_ns + 86_400 * 10**9
    os.utime(image, ns=(tomorrow, tomorrow))
    for _ in range(2):
        assert trusted(noted) == files(noted) - 1
    flipped(image)
    assert len(quick(noted, code=4)["findings"]) == 1


def test_the_root_index_is_looked_at_too(noted: Command) -> None:
    assert trusted(noted) == files(noted)
    with (noted.root / "index.csv").open("a") as stream:
        stream.write("mine\n")
    assert [found["path"] for found in quick(noted, code=4)["findings"]] == ["index.csv"]
    assert quick(noted, "demo")["findings"] == [], "it is nobody's own"


def sealed(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


NOTES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut off": lambda data: data[:-100],
    "a bit flipped": lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:],
    "of a later format": lambda data: sealed(b"2" + data[66:]),
    "of another record": lambda data: sealed(data[65:67] + b"0" * 64 + data[131:]),
    "no text": lambda _: sealed(b"\xff\xfe"),
    "no numbers": lambda data: sealed(data[65:131] + b" x y z"),
}


@pytest.mark.parametrize("damage", NOTES)
def test_a_note_that_is_not_ours_counts_for_nothing(noted: Command, damage: str) -> None:
    note = noted.root / ".aigiqa" / "stat" / "demo"
    note.write_bytes(NOTES[damage](note.read_bytes()))
    assert trusted(noted, "demo") == 0
    assert trusted(noted, "demo") == files(noted), "it is written anew"


def test_where_nothing_can_be_noted_everything_is_read(noted: Command) -> None:
    shutil.rmtree(noted.root / ".aigiqa" / "stat")
    (noted.root / ".aigiqa" / "stat").write_text("in the way")
    for _ in range(2):
        assert trusted(noted) == 0


def test_a_note_is_never_taken_from_behind_a_link(noted: Command, tmp_path: Path) -> None:
    note = noted.root / ".aigiqa" / "stat" / "demo"
    shutil.move(note, tmp_path / "note")
    note.symlink_to(tmp_path / "note")
    assert trusted(noted, "demo") == 0


def test_repair_restores_what_the_quick_look_finds(noted: Command) -> None:
    image = some_image(noted)
    sound = image.read_bytes()
    flipped(image)
    found = quick(noted, "--repair", "demo")
    assert [one["path"] for one in found["data"][0]["result"]["repaired"]] == [f"images/{image.name}"]
    assert image.read_bytes() == sound
    assert trusted(noted, "demo") >= files(noted) - 1


def test_several_databases_are_noted_one_by_one(
    noted: Command, manifests: Callable[[str, str], Path], tmp_path: Path
) -> None:
    manifests("small", SMALL)
    given = tmp_path / "given"
    given.mkdir()
    for number in (1, 2):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(given / f"a{number}.png")
    (given / "labels.csv").write_text("name,mos\na1.png,1\na2.png,2\n")
    noted("import", "small", given, code=0)
    quick(noted)  # also what was as young as its note
    lines = noted("verify", "--quick", code=0).out.splitlines()
    assert [line.split("\t")[0::2][:2] for line in lines] == [["demo", "69"], ["small", "6"]]
    assert [line.split("\t")[4] for line in lines] == ["69", "6"]
    assert noted("verify", "--quick", "small", "demo", code=0).out.splitlines() == lines[::-1]
    flipped(noted.root / "small" / "images" / "a2.png")
    found = quick(noted, code=4)
    assert [one["path"] for one in found["findings"]] == ["small/images/a2.png"]
    assert [one["result"]["trusted"] for one in found["data"]] == [69, 5]


def test_quick_and_decode_exclude_one_another(noted: Command) -> None:
    assert "--decode" in noted("verify", "--quick", "--decode", code=2).err


def test_unknown_and_absent_databases_are_told_as_ever(noted: Command) -> None:
    for word in ("nowhere", "../root/demo"):
        assert noted("verify", "--quick", word, code=2).err == noted("verify", word, code=2).err


def test_the_note_goes_with_the_database(noted: Command) -> None:
    note = noted.root / ".aigiqa" / "stat" / "demo"
    kept = note.read_bytes()
    noted("remove", "demo", code=0)
    assert not note.exists()
    note.write_bytes(kept)  # as a run that was killed leaves it
    clock = note.with_name(".clock.0123456789ab.tmp")
    clock.write_bytes(b"")
    noted("gc", code=0)
    assert not note.exists()
    assert not clock.exists()


def test_nothing_stays_open_of_folders_that_were_looked_at(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    image = tmp_path / "images" / "a.png"
    image.write_bytes(b"x")
    shape = looks.look("a.png", image.stat())
    noted = looks.Noted("0" * 64, 1, 1, 1, {"": set(), "images": {shape}, "gone": {shape}})
    before = os.listdir("/proc/self/fd")
    assert list(looks.unchanged(tmp_path, noted)) == [("images/a.png", shape)]
    assert looks.is_unchanged(tmp_path, looks.Noted("0" * 64, 1, 1, 1, {"": set(), "images": {shape}}))
    assert os.listdir("/proc/self/fd") == before


def test_a_note_is_what_was_written() -> None:
    written = looks.Noted("0" * 64, 3, 5, 1, {"": {"a b/1/2/3/4"}, "images": {"ü.png/1/-2/0/4", "x/0/0/0/0"}})
    found = looks.Noted.of(written.to_bytes())
    assert (found.record, found.files, found.bytes, found.images) == ("0" * 64, 3, 5, 1)
    assert found.looks == written.looks


def test_a_note_takes_no_more_memory_than_it_is_long(noted: Command) -> None:
    """Where less memory may be had than the longest note could need (S09), a short one is read all the same."""
    limited = f'ulimit -v 3000000; exec {shlex.quote(sys.executable)} -m aigiqa_cli "$@"'
    done = subprocess.run(
        ["bash", "-c", limited, "aigiqa", "verify", "--quick", "demo"],
        env=noted.environment, cwd=noted.work, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("damage", ["nothing there", "a bit", "other form", "of another record"])
def test_a_note_that_cannot_be_what_was_written_is_none(damage: str, tmp_path: Path, monkeypatch: Any) -> None:
    with monkeypatch.context() as patch:
        if damage == "other form":
            patch.setattr(looks, "FORMAT", "0")
        data = bytearray(looks.Noted("a" * 64, 1, 5, 1, {"": {"a/5/2/3/4"}}).to_bytes())
    if damage == "a bit":
        data[-1] ^= 1
    if damage != "nothing there":
        (tmp_path / "note").write_bytes(data)
    assert looks.read(tmp_path / "note", "b" * 64 if damage == "of another record" else "a" * 64) is None


@pytest.mark.parametrize(
    ("change", "same"),
    [("none", True), ("longer", False), ("one more", False), ("one less", False), ("none noted twice", False), ("no folder", False)],
)  # fmt: skip
def test_a_folder_is_unchanged_if_all_its_files_and_no_others_look_as_noted(
    change: str, same: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "some"
    (folder / "images").mkdir(parents=True)
    for name in ("a", "images/b"):
        (folder / name).write_bytes(b"x")
    shapes = {"": {looks.look("a", (folder / "a").stat())}, "images": {looks.look("b", (folder / "images/b").stat())}}
    noted = looks.Noted("0" * 64, 3 if change == "none noted twice" else 2, 2, 1, shapes)
    if change == "longer":
        (folder / "images" / "b").write_bytes(b"xx")
    elif change == "one more":
        (folder / "images" / "c").write_bytes(b"x")
    elif change == "one less":
        (folder / "images" / "b").unlink()
    elif change == "no folder":
        shutil.rmtree(folder)
    assert looks.is_unchanged(folder, noted) is same


def test_what_goes_while_it_is_looked_at_is_not_as_it_was(tmp_path: Path, monkeypatch: Any) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_bytes(b"x")
    shapes = {name: {looks.look("x", (tmp_path / name / "x").stat())} for name in ("a", "b")}
    real, gone = os.scandir, iter([True, False])

    def scandir(handle: int) -> Any:
        if next(gone):
            raise FileNotFoundError
        return real(handle)

    monkeypatch.setattr(os, "scandir", scandir)
    noted = looks.Noted("0" * 64, 2, 2, 2, shapes)
    assert [path for path, _ in looks.unchanged(tmp_path, noted)] == ["b/x"]


def test_the_note_about_the_root_index_is_of_all_records(tmp_path: Path) -> None:
    (tmp_path / "installed").mkdir()
    for name in ("b.json", "a.json", "a.json.tmp", "note"):
        (tmp_path / "installed" / name).write_bytes(name.encode())
    digests = {name: hashlib.sha256(f"{name}.json".encode()).hexdigest() for name in "ab"}
    assert looks.records(str(tmp_path)) == digests
    assert looks.records(str(tmp_path), {"b", "c"}) == {"b": digests["b"]}
    path, key = looks.index_note(str(tmp_path), digests)
    assert path == str(tmp_path / "stat" / "index.csv")
    assert key == hashlib.sha256((digests["a"] + digests["b"]).encode()).hexdigest()
    (tmp_path / "index.csv").write_bytes(b"x")
    shape = looks.look("index.csv", (tmp_path / "index.csv").stat())
    assert looks.is_index_unchanged(tmp_path, looks.Noted(key, 1, 1, 0, {"": {shape}}))
    assert not looks.is_index_unchanged(tmp_path, looks.Noted(key, 1, 1, 0, {"": {shape + "0"}}))
    assert not looks.is_index_unchanged(tmp_path, looks.Noted(key, 1, 1, 0, {}))
    assert not looks.is_index_unchanged(tmp_path / "nowhere", looks.Noted(key, 1, 1, 0, {"": {shape}}))
    assert not looks.is_index_unchanged(tmp_path, None)
