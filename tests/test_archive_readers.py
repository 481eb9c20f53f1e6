"""The readers of archives in this very process, each with what it must read and what it must refuse.

The rigs read thousands in a child with the worker's limits; here every kind is read once where its branches are measured.
"""

from __future__ import annotations

import bz2
import hashlib
import os
import random
import resource
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import bad_archives
import good_archives
import pytest
from archive_reader import MEMORY, Read, read_here
from archive_writers import (
    PNG,
    Packed,
    Zipped,
    descriptor,
    lzma_packed,
    lzma_without_mark,
    old_encrypted,
    streamed,
    zipped,
)
from test_rig_archives import hashes

from aigiqa_cli.archives import zip_data
from aigiqa_cli.archives.contract import Refusal
from aigiqa_cli.archives.source import Opened, Source
from aigiqa_cli.archives.zip import ZipFormat

FORMATS = sorted(bad_archives.FORMATS)


@pytest.fixture
def little_memory() -> Iterator[None]:
    """As much memory as the rigs' reader has, beyond what this process has already."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def judged(path: Path, data: bytes, password: str = "") -> Read:
    path.write_bytes(data)
    done = read_here(path, password)
    assert done.verdict not in ("crash", "hang"), done.reason
    return done


@pytest.mark.parametrize("form", FORMATS)
def test_A01_A31_bad_archives_are_refused(tmp_path: Path, form: str, little_memory: None) -> None:
    for item in bad_archives.FORMATS[form]():
        done = judged(tmp_path / "given", item.make())
        assert done.closed, f"{item.name} is accepted: {list(done.members)}"
        assert done.fault in item.faults, f"{item.name}: {done.fault} {done.reason}, not {sorted(item.faults)}"


@pytest.mark.parametrize("name", [name for name in good_archives.FLAVOURS if name not in good_archives.RARELY])
def test_A22_A24_good_archives_are_read(tmp_path: Path, name: str) -> None:
    flavour = good_archives.FLAVOURS[name]
    if not shutil.which(flavour.needs or "sh"):
        pytest.skip(f"{flavour.needs} is not on this machine")
    for seed in range(4):
        chance = random.Random(seed)
        files = good_archives.some_files(chance, ascii_only=flavour.ascii_only)
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            data = flavour.write(chance, files, folder)
        except subprocess.CalledProcessError:
            continue  # names that this program cannot write in this form
        done = judged(folder / "given", data)
        assert done.verdict == "good", f"{name}: {done.fault} {done.reason}"
        assert {n: told for n, told in done.members.items() if not n.startswith("__MACOSX/")} == hashes(files)


# ---------------------------------------------------------------------------------------------------------------------
# zip: data
# ---------------------------------------------------------------------------------------------------------------------

TEXT = b"a line of no great surprise\n" * 40
BODIES = {
    "stored": (0, 0, TEXT),
    "deflate": (8, 0, Zipped(b"", TEXT, 8).packed()),
    "bzip2": (12, 0, bz2.compress(TEXT)),
    "lzma": (14, 2, lzma_packed(TEXT)),
    "lzma-sized": (14, 0, lzma_without_mark(TEXT)),
}
SECRET = "geheim 3141"


def only(done: Read, data: bytes = TEXT) -> bool:
    return done.verdict == "good" and list(done.members.values()) == [(len(data), hashlib.sha256(data).hexdigest())]


@pytest.mark.parametrize("step", [1 << 20, 5], ids=["at once", "step by step"])
@pytest.mark.parametrize("method", BODIES)
def test_every_method_of_zip_is_unpacked_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, step: int
) -> None:
    """Large members are read and unpacked in steps; the head of LZMA stands in the first one."""
    number, flags, body = BODIES[method]
    if step == 5:
        monkeypatch.setattr(zip_data, "WHOLE", 0)
        monkeypatch.setattr(zip_data, "BLOCK", 11 if number == 14 else step)
    assert only(judged(tmp_path / "given", zipped(Packed(b"a", TEXT, number, flags, body=body))))
    for wrong in (body + b"more than that", body[:-1]):
        done = judged(tmp_path / "given", zipped(Packed(b"a", TEXT, number, flags, body=wrong)))
        assert (done.verdict, done.fault in ("A12", "A16")) == ("refused", True)


@pytest.mark.parametrize("method", BODIES)
@pytest.mark.parametrize("deferred", [False, True])
def test_A20_old_encryption(tmp_path: Path, machine: None, method: str, deferred: bool) -> None:
    """The byte before the data is one of the checksum, or of the time: 0 in our headers."""
    number, flags, body = BODIES[method]
    flags |= 1 | (8 if deferred else 0)
    crc = zlib.crc32(TEXT)

    def made(body: bytes, mark: int) -> bytes:
        packed = old_encrypted(body, SECRET.encode(), mark)
        plain = Packed(b"a", TEXT, number, flags, body=packed)
        return zipped(replace(plain, descriptor=descriptor(plain) if deferred else b""))

    assert only(judged(tmp_path / "given", made(body, crc >> 24), SECRET))
    assert only(judged(tmp_path / "given", made(body, 0), SECRET)) is deferred
    for data in (made(body, 7), made(body + b"?", crc >> 24), made(body[:-3] + b"???", crc >> 24)):
        done = judged(tmp_path / "given", data, SECRET)
        assert (done.verdict, done.fault, "wrong, or the archive is damaged" in done.reason) == ("needed", "A20", True)
    assert judged(tmp_path / "given", made(body, crc >> 24), "other").fault == "A20"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without any other program."""
    monkeypatch.setenv("PATH", str(tmp_path))


def test_A20_less_than_the_head_of_a_secret(tmp_path: Path, machine: None) -> None:
    data = zipped(Packed(b"a", TEXT[:5], 0, 1, body=b"short"))
    assert judged(tmp_path / "given", data, SECRET).fault == "A20"


def test_A17_a_file_that_is_cut_off_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "given"
    path.write_bytes(zipped(Zipped(b"a.png", PNG)))
    with path.open("rb") as stream:
        form = ZipFormat(Source(Opened((stream.fileno(),))))
        members = form.members()
        os.truncate(path, 60)
        with pytest.raises(Refusal) as caught:
            form.stream(members, lambda _, chunks: list(chunks) and None)
    assert caught.value.fault == "A17"


def test_A18_what_looks_like_an_end_and_is_none(tmp_path: Path) -> None:
    """The mark of a descriptor may stand in data any number of times, unless the right length stands behind it."""
    mark = b"PK\x07\x08"
    data = mark * 5 + bytes(40) + mark + bytes(4) + (59).to_bytes(4, "little") + b"end"
    assert only(judged(tmp_path / "given", zipped(streamed(b"a", data, 0))), data)
    data = data.replace((59).to_bytes(4, "little"), (60).to_bytes(4, "little"))
    assert judged(tmp_path / "given", zipped(streamed(b"a", data, 0))).fault == "A18"
