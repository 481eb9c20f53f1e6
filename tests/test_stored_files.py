"""Records of many files: packed in little room, written and read piece by piece."""

from __future__ import annotations

import hashlib
import json
import random
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aigiqa_cli.errors import Fault, IntegrityFault
from aigiqa_cli.store import Record, Root, StoredFile, StoredFiles, StoredSource, read_record, records, staged
from aigiqa_cli.store.records import is_record_of, read_record_at, recorded_sha256
from aigiqa_cli.store.stored_files import Packing

TRICKY = (
    "images/a.png", "images/b],[b.png", "images/end]],x.png", "images/a], [b.png", "images/ü 狐.png", "images/files.png",
    "images/,files,[[.png", "images/𝒻.png", "index.csv",
)  # fmt: skip


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def some(*paths: str) -> StoredFiles:
    return StoredFiles(StoredFile(path, len(path), digest(path)) for path in paths)


def record_of(files: StoredFiles) -> Record:
    return Record(
        database="some", state="installed", partial=False, manifest_version=1, manifest_sha256="1" * 64, aigiqa="0",
        installed_at="2026-01-01T00:00:00+00:00", rows=1, images=1, references=0, index_sha256="2" * 64, sources=(),
        files=files, rejected=({"problem": 'a text with ,"files":[[ and "]]," in it'},), ignored=0, warnings=("w",),
        splits={"files": "5"},
    )  # fmt: skip


def written(path: Path, record: Record) -> Path:
    path.write_bytes(b"".join(record.pieces()))
    return path


# ---------------------------------------------------------------------------------------------------------------------
# Packed
# ---------------------------------------------------------------------------------------------------------------------


def test_files_come_sorted_by_path_and_are_what_they_were() -> None:
    shuffled = list(TRICKY)
    random.Random(5).shuffle(shuffled)
    files = some(*shuffled)
    assert [file.path for file in files] == sorted(TRICKY)
    assert list(files) == [StoredFile(path, len(path), digest(path)) for path in sorted(TRICKY)]
    assert files == some(*TRICKY)
    assert files != some(*TRICKY[1:])
    assert files != list(files)
    assert (files == list(files)) is False
    assert files.size == sum(map(len, TRICKY))
    assert files[-1].path == max(TRICKY)
    assert files[2:4] == list(files)[2:4]
    with pytest.raises(IndexError):
        files[len(TRICKY)]
    assert repr(files) == "<9 files>"


def test_a_file_is_found_in_whatever_order_it_is_asked_for() -> None:
    paths = [f"images/{number:03}.png" for number in range(200)]
    files = some(*paths)
    chance = random.Random(7)
    for path in [*paths, *reversed(paths), *chance.choices(paths, k=500)]:
        found = files.of(path)
        assert found is not None
        assert found.path == path
        assert files.position(path) == int(path[7:10])
    for path in ("", "images", "images/000", "images/000.png ", "images/200.png", "zzz", "images/\udcff.png"):
        assert files.of(path) is None
        assert not files.has(path)
        assert files.has("images/000.png"), "asking for what is not there spoils nothing"
    assert not StoredFiles().has("a")


def test_no_path_comes_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        some("b", "a", "b")
    packing = Packing()
    for path in ("b", "a", "b"):  # not one after the other
        packing.add(path, 1, digest(path))
    with pytest.raises(ValueError, match="twice"):
        StoredFiles(packing)


@pytest.mark.parametrize(
    ("path", "length", "sha256", "problem"),
    [
        ("a", -1, "0" * 64, "number"),
        ("a", True, "0" * 64, "number"),
        ("a", 1.0, "0" * 64, "number"),
        ("a", 1 << 63, "0" * 64, "number"),
        (7, 1, "0" * 64, "text"),
        ("a", 1, None, "text"),
        ("a", 1, "0" * 63, "hexadecimal"),
        ("a", 1, "0" * 62, "no SHA-256"),
        ("a", 1, "0" * 66, "no SHA-256"),
        ("a", 1, "A" * 64, "no SHA-256"),
        ("a", 1, "0 " * 32, "hexadecimal|no SHA-256"),
        ("a\ud800", 1, "0" * 64, "surrogates"),
    ],
)
def test_what_no_file_of_a_record_can_be(path: Any, length: Any, sha256: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Packing().add(path, length, sha256)


# ---------------------------------------------------------------------------------------------------------------------
# Written and read in pieces
# ---------------------------------------------------------------------------------------------------------------------


def test_a_record_is_one_line_of_json_with_its_seal(tmp_path: Path) -> None:
    data = written(tmp_path / "some.json", record_of(some(*TRICKY))).read_bytes()
    content = json.loads(data)
    assert content["files"] == [[path, len(path), digest(path)] for path in sorted(TRICKY)]
    assert [*content][:2] == ["record", "database"]
    assert [*content][-1] == "seal"
    before, _, behind = data.partition(b',"seal":')
    assert json.loads(b'{"seal":' + behind)["seal"] == hashlib.sha256(before + b"}").hexdigest()
    assert data.count(b"\n") == 1


@pytest.mark.parametrize("block", [1, 2, 3, 7, 16, 61, 200, 1 << 20])
@pytest.mark.parametrize("count", [1, 2, len(TRICKY)])
def test_a_record_is_the_same_wherever_a_block_of_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, count: int
) -> None:
    record = record_of(some(*TRICKY[:count]))
    path = written(tmp_path / "some.json", record)
    monkeypatch.setattr(records, "BLOCK", block)
    assert read_record_at(path, "some") == record
    assert is_record_of(path, "some")
    for file in record.files:
        assert recorded_sha256(path.read_bytes(), file.path) == file.sha256
    assert recorded_sha256(path.read_bytes(), "none") is None


def test_entries_are_written_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = record_of(some(*TRICKY))
    whole = b"".join(record.pieces())
    for at_once in (1, 2, 4, len(TRICKY)):
        monkeypatch.setattr(records, "_AT_ONCE", at_once)
        assert b"".join(record.pieces()) == whole


def test_a_record_with_other_blanks_is_read_too(tmp_path: Path) -> None:
    """One of the first days, without a seal, that somebody has laid out anew."""
    record = record_of(some(*TRICKY))
    content = json.loads(b"".join(record.pieces()))
    del content["seal"]
    content["files"].reverse()
    for indent in (None, 1):
        (tmp_path / "some.json").write_text(json.dumps(content, indent=indent))
        assert read_record_at(tmp_path / "some.json", "some") == record


FORGED: dict[str, Callable[[bytes], bytes]] = {
    "a second list behind the first": lambda data: data.replace(b'"rejected"', b'"files":[["b",1,"%s"]],"rejected"' % (b"0" * 64)),
    "a list in front of the list": lambda data: data.replace(b'"state"', b'"files":[["b",1,"%s"]],"state"' % (b"0" * 64), 1),
    "a key of both sides": lambda data: data.replace(b'"ignored":0', b'"ignored":0,"rows":2'),
    "no end of the list": lambda data: data[: data.index(b'"]],"')] + b'"]',
    "an entry of two": lambda data: data.replace(b'a.png",12,', b'a.png",'),
    "no list": lambda data: data.replace(b'"files":[[', b'"files":{[['),
}  # fmt: skip


@pytest.mark.parametrize("kind", FORGED)
def test_X01_what_is_no_record_of_ours_is_damage(tmp_path: Path, kind: str) -> None:
    data = b"".join(record_of(some(*TRICKY)).pieces())
    forged = FORGED[kind](data)
    assert forged != data
    (tmp_path / "some.json").write_bytes(forged)
    with pytest.raises(IntegrityFault, match="is damaged"):
        read_record_at(tmp_path / "some.json", "some")


def test_X06_a_file_that_is_listed_twice(tmp_path: Path) -> None:
    data = b"".join(record_of(some("a.png", "b.png")).pieces())
    (tmp_path / "some.json").write_bytes(data.replace(b'"b.png"', b'"a.png"'))
    with pytest.raises(IntegrityFault, match="twice") as caught:
        read_record_at(tmp_path / "some.json", "some")
    assert caught.value.fault == "X06"


def test_many_files_take_little_room(tmp_path: Path) -> None:
    """As objects 100,000 files take 28 MB, and their record read at once as much again and more."""
    path = tmp_path / "some.json"
    packing = Packing()
    for number in range(100_000):
        packing.add(f"images/{number:08}.png", number, f"{number:064x}")
    record = record_of(StoredFiles(packing))
    with path.open("wb") as stream:
        tracemalloc.start()
        try:
            for piece in record.pieces():
                stream.write(piece)
            writing = tracemalloc.get_traced_memory()[1]
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            stream.flush()
            assert read_record_at(path, "some") == record
            reading = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
    assert writing < 6e6
    assert reading < 25e6


def test_an_installed_record_is_read_back(tmp_path: Path) -> None:
    root = Root(tmp_path / "root")
    root.prepare()
    data = b"index\n"
    files = StoredFiles([StoredFile("index.csv", len(data), hashlib.sha256(data).hexdigest())])
    with staged(root, "some") as work:
        (work.tree / "index.csv").write_bytes(data)
        work.publish(record_of(files))
    assert read_record(root, "some") == record_of(files)


@pytest.mark.parametrize(
    "change", [('"record":1,', '"record":2,'), (digest("images/a.png"), "z" * 64), ("images/a", "")]
)
def test_a_record_that_this_version_refuses_is_still_told_apart(tmp_path: Path, change: tuple[str, str]) -> None:
    """What is half published is finished first, whichever version began it; then the record is judged."""
    data = b"".join(record_of(some(*TRICKY)).pieces()).decode()
    assert change[0] in data
    path = tmp_path / "some.json"
    path.write_text(data.replace(*change))
    with pytest.raises(Fault):
        read_record_at(path, "some")
    assert is_record_of(path, "some")
    assert not is_record_of(path, "other")
    assert recorded_sha256(path.read_bytes(), "index.csv") == digest("index.csv")


@pytest.mark.parametrize("data", [b"", b"{", b"7", b"[]", b'{"record":1,"files":[["a",1,"' + b"0" * 64 + b'"'])
def test_what_is_no_record_at_all_is_nobodys(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "some.json").write_bytes(data)
    assert not is_record_of(tmp_path / "some.json", "some")
    assert not is_record_of(tmp_path / "none.json", "some")


def test_an_asset_that_came_from_two_mirrors_is_named_once(tmp_path: Path) -> None:
    sources = tuple(StoredSource("a.zip", "images", origin, "a.zip", 5, "", "") for origin in ("one", "two"))
    assert replace(record_of(some(*TRICKY)), sources=sources).unpinned == ("a.zip",)
    local = tuple(replace(source, proof="local") for source in sources)
    assert replace(record_of(some(*TRICKY)), sources=local).local == ("a.zip",)
