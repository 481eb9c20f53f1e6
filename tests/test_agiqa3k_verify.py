"""`aigiqa verify`: what it finds, what it repairs, and that reading never writes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from conftest import LIMIT, Command
from doubles.faults import Blob
from test_agiqa3k_import import ID, house, read_csv, replicas, snapshot, tree, untouched

IMAGE = "images/glide_normal_101.jpg"
FIRST_SCORE, OTHER_SCORE = b",0.965602553,0.223270101,", b",4.965602553,0.223270101,"


@pytest.fixture(scope="module")
def home(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory, replica_zip: Path, built_in: Callable[[str], str]
) -> Iterator[Command]:
    with house(authority, tmp_path_factory.mktemp("verify"), replica_zip, built_in(ID)) as run:
        yield run


class Copy:
    """A copy of the installed root that a test may damage. Its files are links: change one with `put` alone."""

    def __init__(self, home: Command, root: Path) -> None:
        self.home, self.root, self.folder = home, root, root / ID
        home.box.log.clear()

    def run(self, *words: object, code: int) -> Any:
        return self.home("--root", self.root, *words, code=code)

    def findings(self, *words: object) -> dict[str, str]:
        """Path -> problem, after a `verify` that must fail."""
        envelope = self.run("verify", *words, "--json", code=4).json()
        assert (envelope["status"], envelope["error"]["exit_code"]) == ("error", 4)
        return {finding["path"]: finding["problem"] for finding in envelope["findings"]}

    def quarantined(self) -> list[bytes]:
        """The bytes of every file in quarantine, notes apart."""
        folder = self.root / ".aigiqa/quarantine"
        return [path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".why.json")]


@pytest.fixture
def copy(home: Command, tmp_path: Path) -> Copy:
    root = tmp_path / "root"
    subprocess.run(["cp", "-al", home.root, root], check=True)
    return Copy(home, root)


def put(path: Path, data: bytes) -> None:
    """Other bytes at `path`, and at no other name of the same file."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def flip(path: Path) -> bytes:
    """Change one bit in the middle; length and times stay. Returns the damaged bytes."""
    about = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    put(path, data)
    path.chmod(about.st_mode)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (about.st_size, about.st_mtime_ns)
    return bytes(data)


def sha256sum(folder: Path) -> subprocess.CompletedProcess[str]:
    words = ["sha256sum", "--check", "--strict", "--quiet", "checksums.sha256"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


# --- what is found ----------------------------------------------------------------------------------------------


def test_a_sound_root_is_sound(home: Command) -> None:
    done = home("verify", code=0)
    assert done.out.split("\t")[:2] == [ID, "ok"]
    envelope = home("verify", ID, "--json", code=0).json()
    assert (envelope["status"], envelope["findings"], envelope["error"]) == ("ok", [], None)
    files = len(tree(home.root / ID))
    assert envelope["data"][0]["result"]["files"] == files
    assert envelope["data"][0]["result"]["bytes"] == sum(map(len, tree(home.root / ID).values()))


@pytest.mark.parametrize(
    "name", [IMAGE, "labels/data.csv", "splits/tier-pscr.csv", "checksums.sha256", "database.yaml"]
)
def test_a_flipped_bit_is_found(copy: Copy, name: str) -> None:
    flip(copy.folder / name)
    assert copy.findings() == {f"{ID}/{name}": "wrong checksum"}
    assert f"{ID}/{name}" in copy.run("verify", ID, code=4).err


def test_every_kind_of_damage_is_found_at_once(copy: Copy) -> None:
    images = copy.folder / "images"
    (images / "DALLE2_normal_000.jpg").unlink()
    put(images / "xl2.2_normal_299.jpg", (images / "xl2.2_normal_299.jpg").read_bytes()[:-1])
    flip(images / "midjourney_normal_000.jpg")
    (images / "sd1.5_normal_000.jpg").unlink()
    (images / "sd1.5_normal_000.jpg").symlink_to("sd1.5_normal_001.jpg")
    (images / "AttnGAN_normal_000 (1).jpg").write_bytes(b"mine")
    (copy.folder / "notes").mkdir()
    (copy.folder / "notes/diary.txt").write_text("not ours")
    found = copy.findings()
    assert found == {
        f"{ID}/images/DALLE2_normal_000.jpg": "missing",
        f"{ID}/images/xl2.2_normal_299.jpg": "wrong length",
        f"{ID}/images/midjourney_normal_000.jpg": "wrong checksum",
        f"{ID}/images/sd1.5_normal_000.jpg": "not a regular file",
        f"{ID}/images/AttnGAN_normal_000 (1).jpg": "not ours",
        f"{ID}/notes/diary.txt": "not ours",
    }
    text = copy.run("verify", code=4)
    assert text.out.split("\t")[:2] == [ID, "6 problems"]
    assert all(path in text.err for path in found)
    assert f"aigiqa verify --repair {ID}" in text.err


def test_an_edited_index_is_found(copy: Copy) -> None:
    index = copy.folder / "index.csv"
    data = index.read_bytes()
    assert data.count(FIRST_SCORE) == 1
    put(index, data.replace(FIRST_SCORE, OTHER_SCORE))
    assert copy.findings(ID) == {f"{ID}/index.csv": "wrong checksum"}
    listed = copy.run("list", "--json", code=0).json()["data"]
    assert [entry["state"] for entry in listed if entry["id"] == ID] == ["damaged"]
    copy.run("export", ID, code=4)


def test_an_edited_root_index_is_found(copy: Copy) -> None:
    index = copy.root / "index.csv"
    put(index, index.read_bytes().replace(FIRST_SCORE, OTHER_SCORE))
    assert list(copy.findings()) == ["index.csv"]
    assert "index.csv" in copy.run("verify", code=4).err
    copy.run("index", "--rebuild", code=0)
    assert index.read_bytes() == (copy.home.root / "index.csv").read_bytes()
    copy.run("verify", code=0)


def test_a_missing_root_index_is_found(copy: Copy) -> None:
    (copy.root / "index.csv").unlink()
    assert list(copy.findings()) == ["index.csv"]


def test_a_missing_folder_is_found(copy: Copy) -> None:
    shutil.rmtree(copy.folder)
    found = copy.findings(ID)
    assert len(found) == len(untouched(copy.home.root / ID))
    assert set(found.values()) == {"missing"}


@pytest.mark.parametrize("damage", ["half", "empty", "not json", "another id", "leads outside"])
def test_a_damaged_record_is_found(copy: Copy, damage: str) -> None:
    record = copy.root / f".aigiqa/installed/{ID}.json"
    data = record.read_bytes()
    changed = {
        "half": data[: len(data) // 2],
        "empty": b"",
        "not json": b"{]",
        "another id": data.replace(b'"database":"agiqa3k"', b'"database":"demo"'),
        "leads outside": data.replace(b'"images/glide_normal_101.jpg"', b'"../../glide_normal_101.jpg"'),
    }[damage]
    assert changed != data
    put(record, changed)
    envelope = copy.run("verify", "--json", code=4).json()
    assert envelope["error"]["database"] == ID
    assert "record" in envelope["error"]["message"]


def test_a_truncated_image_with_a_truncated_record_needs_decoding(copy: Copy) -> None:
    """Record, checksums and file agree; only the decoder sees that this is no whole image."""
    record, path = copy.root / f".aigiqa/installed/{ID}.json", copy.folder / IMAGE
    whole = path.read_bytes()
    cut = whole[: len(whole) - 150]
    put(path, cut)
    before = f'["{IMAGE}",{len(whole)},"{hashlib.sha256(whole).hexdigest()}"]'
    after = f'["{IMAGE}",{len(cut)},"{hashlib.sha256(cut).hexdigest()}"]'
    text = record.read_text()
    assert before in text
    body = text.replace(before, after).rpartition(',"seal":')[0]
    seal = hashlib.sha256((body + "}").encode()).hexdigest()
    put(record, f'{body},"seal":"{seal}"}}\n'.encode())
    copy.run("verify", ID, code=0)
    assert list(copy.findings(ID, "--decode")) == [f"{ID}/{IMAGE}"]


def test_sound_images_decode(home: Command) -> None:
    home("verify", "--decode", code=0)


def test_coreutils_agree(copy: Copy) -> None:
    assert sha256sum(copy.folder).returncode == 0
    flip(copy.folder / IMAGE)
    done = sha256sum(copy.folder)
    assert done.returncode == 1
    assert done.stdout == f"{IMAGE}: FAILED\n"


# --- repair -----------------------------------------------------------------------------------------------------


def damage(copy: Copy) -> list[bytes]:
    """One of each; returns the bytes that must lie in quarantine afterwards."""
    images = copy.folder / "images"
    flipped = flip(copy.folder / IMAGE)
    (images / "DALLE2_normal_000.jpg").unlink()
    short = images / "xl2.2_normal_299.jpg"
    put(short, short.read_bytes()[:-1])
    table = flip(copy.folder / "labels/data.csv")
    index = copy.folder / "index.csv"
    put(index, index.read_bytes().replace(FIRST_SCORE, OTHER_SCORE))
    put(copy.root / "index.csv", b"gone wrong")
    return [flipped, short.read_bytes(), table, index.read_bytes(), b"gone wrong"]


def test_repair_restores_from_a_mirror(copy: Copy) -> None:
    put_aside = damage(copy)
    copy.run("verify", "--repair", code=0)
    assert tree(copy.folder) == untouched(copy.home.root / ID)
    assert (copy.root / "index.csv").read_bytes() == (copy.home.root / "index.csv").read_bytes()
    assert sorted(copy.quarantined()) == sorted(put_aside)
    assert any(entry.path.endswith("/AGIQA-3K.zip") for entry in copy.home.box.log)
    copy.run("verify", "--decode", code=0)


def test_repair_restores_from_a_kept_archive(copy: Copy, replica_zip: Path) -> None:
    copy.run("fetch", ID, "--force", "--keep-archives", code=0)
    copy.home.box.log.clear()
    put_aside = damage(copy)
    copy.run("verify", ID, "--repair", code=0)
    assert tree(copy.folder) == untouched(copy.home.root / ID)
    assert sorted(copy.quarantined()) == sorted(put_aside)
    assert [entry.path for entry in copy.home.box.log if "AGIQA-3K.zip" in entry.path] == []


def test_S22_repair_leaves_what_is_not_ours(copy: Copy) -> None:
    extra = copy.folder / "images" / "extra.jpg"
    extra.write_bytes(b"mine")
    done = copy.run("verify", ID, "--repair", code=4)
    assert extra.read_bytes() == b"mine"
    assert "move elsewhere what is not ours" in done.err
    assert copy.home.box.paths() == [], "nothing of ours is missing, so nothing is fetched"


def test_repair_of_what_is_sound_does_nothing(copy: Copy) -> None:
    before = snapshot(copy.root)
    copy.run("verify", "--repair", code=0)
    assert snapshot(copy.root) == before
    assert copy.home.box.paths() == []


def test_repair_that_cannot_be_done_says_why(copy: Copy, replica_zip: Path) -> None:
    box, path = copy.home.box, copy.folder / IMAGE
    flipped = flip(path)
    hub, drive = dict(box.hub.repositories), dict(box.drive.items)
    box.hub.repositories.clear()
    box.drive.items.clear()
    try:
        done = copy.run("verify", ID, "--repair", "--json", code=3).json()
        assert done["error"]["shares"]
    finally:
        box.hub.repositories.update(hub)
        box.drive.items.update(drive)
    assert flipped in [*copy.quarantined(), path.read_bytes() if path.exists() else b""], "nothing is thrown away"
    assert len(read_csv(copy.folder / "index.csv")) == 2982


def test_repair_never_takes_other_bytes(copy: Copy, replica_zip: Path) -> None:
    """A mirror that carries another version now: the pin refuses it, and what is sound stays."""
    box = copy.home.box
    flip(copy.folder / IMAGE)
    kept = {name: dict(repository.blobs) for name, repository in box.hub.repositories.items()}
    for repository in box.hub.repositories.values():
        repository.blobs = {path: Blob(blob.data + b"\0") for path, blob in repository.blobs.items()}
    drive = dict(box.drive.items)
    box.drive.items.clear()
    try:
        copy.run("verify", ID, "--repair", code=4)
    finally:
        for name, blobs in kept.items():
            box.hub.repositories[name].blobs = blobs
        box.drive.items.update(drive)
    for row in replicas.names(replicas.true_labels()):
        if row != Path(IMAGE).name:
            assert (copy.folder / "images" / row).is_file()


# --- reading ----------------------------------------------------------------------------------------------------


READERS = [
    "verify", f"verify --decode {ID}", "list", f"info {ID}", f"export {ID} --format csv",
    "export --format parquet -o - --where mos_quality>4", "index", f"path {ID}", f"cite {ID}", "doctor",
    "gc --dry-run", f"fetch {ID} --dry-run", f"fetch {ID} --dry-run --force --splits",
]  # fmt: skip


def test_reading_never_writes(home: Command, tmp_path: Path) -> None:
    """The superuser writes through any mode, so the listing and its times are compared as well."""
    folders = [home.root, *(path for path in home.root.rglob("*") if path.is_dir())]
    modes = {path: path.stat().st_mode for path in folders}
    for path in folders:
        path.chmod(0o555)
    before = snapshot(home.root)
    try:
        for words in READERS:
            with (tmp_path / "out").open("wb") as out, home.start(*words.split(), stdout=out) as process:
                _, err = process.communicate(timeout=LIMIT)
            assert process.returncode == 0, (words, err)
            assert (tmp_path / "out").stat().st_size or words.startswith("gc"), f"{words}: there is nothing to free"
            assert listing(home.root) == {path: about[:3] for path, about in before.items()}, words
        assert snapshot(home.root) == before
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def listing(folder: Path) -> dict[str, tuple[int, int, int]]:
    about = {path: path.lstat() for path in (folder, *folder.rglob("*"))}
    return {str(path): (found.st_mode, found.st_size, found.st_mtime_ns) for path, found in about.items()}


def test_reading_a_damaged_root_never_writes(copy: Copy) -> None:
    damage(copy)
    before = snapshot(copy.root)
    copy.run("verify", code=4)
    copy.run("list", code=0)
    copy.run("doctor", code=7)
    assert snapshot(copy.root) == before
