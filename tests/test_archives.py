"""Archives: hostile, broken and odd containers, written byte by byte, because libraries refuse to write them."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import random
import signal
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from archive_reader import Read, read_here
from archive_writers import (
    PNG,
    TAR_END,
    UTF8,
    Zipped,
    central_header,
    descriptor,
    end_record,
    local_header,
    names,
    pax,
    pax_record,
    tar_header,
    tarred,
    tarred_member,
    unicode_path,
    zipped,
)  # fmt: skip
from bad_archives import TRAVERSAL, TWINS, UNUSABLE

from aigiqa_cli import archives
from aigiqa_cli.archives import Order, Unpacked, detect_format, is_junk, open_archive, volume_set
from aigiqa_cli.errors import Fault, IntegrityFault, MachineFault, PersonNeeded, RefusedInput

# ---------------------------------------------------------------------------------------------------------------------
# The world around the target
# ---------------------------------------------------------------------------------------------------------------------


MISFITS = ("A26", "N27")  # what the faults of a set mean is told beside its reader


class World:
    """A target folder among files that nobody may touch."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.outside = base / "outside"
        self.target = base / "deep" / "er" / "target"
        (self.target / "out").mkdir(parents=True)
        self.outside.mkdir()
        (self.outside / "marker").write_bytes(b"mine")
        (base / "x").write_bytes(b"mine too")
        self.archive = base / "given"
        self.before: dict[str, tuple[int, ...]] = {}
        self.told: dict[str, tuple[int, str]] = {}  # of what the worker wrote: bytes and SHA-256

    def state(self) -> dict[str, tuple[int, ...]]:
        """Everything but what is below the target: kind, mode, length, time, links."""
        found = {}
        for parent, folders, files in os.walk(self.base):
            if Path(parent) == self.target:
                folders.clear()
                continue
            for name in (*folders, *files):
                path = Path(parent, name)
                status = path.lstat()
                times = () if path == self.target else (status.st_mtime_ns,)
                found[str(path)] = (status.st_mode, status.st_size, status.st_nlink, status.st_ino, *times)
        return found

    def unpack(self, data: bytes | Path) -> dict[str, Unpacked]:
        """All members, written as an install writes them: to names of ours."""
        if isinstance(data, bytes):
            self.archive.write_bytes(data)
        path = self.archive if isinstance(data, bytes) else data
        self.before = self.state()
        with self.read_alike(path), open_archive(path, self.target) as archive:
            orders = [Order(member, f"out/{member.number}") for member in archive.members]
            done = {written.member.name: written for written in archive.unpack(orders)}
            assert len(done) == len(orders)
            self.told = {name: (written.bytes, written.sha256) for name, written in done.items()}
        for written in done.values():
            content = (self.target / written.to).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (written.bytes, written.sha256)
            assert (written.width, written.height, written.format) == (0, 0, ""), "nobody asked for a look at it"
        self.untouched()
        return done

    @contextmanager
    def read_alike(self, path: Path, password: str = "") -> Iterator[None]:
        """What becomes of an archive in the block becomes of it in this process too, where branches are measured."""
        try:
            yield
        except (RefusedInput, PersonNeeded, IntegrityFault) as fault:
            here = self._here(path, password)
            if here is not None:
                assert here.closed, f"{here.verdict}: {here.reason}"
                assert fault.fault in (here.fault, *MISFITS), f"{fault.fault}: {fault.message} / {here}"
            raise
        here = self._here(path, password)
        if here is not None:
            assert (here.verdict, here.members) == ("good", self.told), here.reason

    def _here(self, path: Path, password: str) -> Read | None:
        """None for what no reader is asked about."""
        if path.is_dir():
            return None
        try:
            return read_here(path, password, volume_set(path))
        except Fault:  # a volume is missing
            return None

    def refuses(self, data: bytes | Path, *faults: str) -> RefusedInput:
        with pytest.raises(RefusedInput) as caught:
            self.unpack(data)
        assert caught.value.fault in faults, f"{caught.value.fault}: {caught.value.message}"
        assert caught.value.message
        self.untouched()
        return caught.value

    def untouched(self) -> None:
        assert self.state() == self.before, "P1: nothing outside the target changes"
        links = [path for path in self.target.rglob("*") if path.is_symlink() or not (path.is_file() or path.is_dir())]
        assert not links, "only regular files are ever made"

    def content(self, done: dict[str, Unpacked]) -> dict[str, bytes]:
        return {name: (self.target / written.to).read_bytes() for name, written in done.items()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


# ---------------------------------------------------------------------------------------------------------------------
# Names
# ---------------------------------------------------------------------------------------------------------------------

BAD_NAMES = TRAVERSAL | UNUSABLE | {"NUL": (b"a\0b.png", "A04")}


@pytest.mark.parametrize("shape", BAD_NAMES)
def test_A01_A02_A03_A04_names_in_zip(world: World, shape: str) -> None:
    name, faults = BAD_NAMES[shape]
    world.refuses(names(b"good.png", name), *faults.split())


@pytest.mark.parametrize("shape", sorted(TRAVERSAL))
def test_A01_A02_A03_A04_names_in_tar(world: World, shape: str) -> None:
    name, faults = BAD_NAMES[shape]
    world.refuses(tarred(b"good.png", name), *faults.split())


@pytest.mark.parametrize("shape", sorted(TRAVERSAL))
def test_A27_names_in_extended_headers(world: World, shape: str) -> None:
    name, faults = TRAVERSAL[shape]
    world.refuses(pax(pax_record(b"path", name)) + tarred(b"good.png"), *faults.split())


@pytest.mark.parametrize("name", [b"../evil/", b"/evil/", b"a/../../evil/"])
def test_A01_folder_entries_are_judged_too(world: World, name: bytes) -> None:
    folder = Zipped(name, b"", mode=0o040755)
    world.refuses(zipped(Zipped(b"good.png"), folder), "A01", "A02")
    world.refuses(tarred_member(name, b"", kind=b"5") + tarred(b"good.png"), "A01", "A02")


@pytest.mark.parametrize("name", ["\u202egnp.exe", "a\u0085b.png", "a\u200f.png", "\u2066a.png"])
def test_A04_U03_characters_that_deceive(world: World, name: str) -> None:
    world.refuses(names(name.encode(), flags=UTF8), "A04")


@pytest.mark.parametrize("name", [b"\xff\xfe.png", b"\xed\xa0\x80.png", b"caf\xc3"])
def test_A04_flagged_as_utf_8_but_is_not(world: World, name: bytes) -> None:
    world.refuses(names(name, flags=UTF8), "A04", "A17", "A22")


def test_A03_backslash_beside_slash(world: World) -> None:
    world.refuses(names(b"set/a.png", b"set\\b.png"), "A03")


def test_A03_backslash_as_the_only_separator(world: World) -> None:
    assert set(world.unpack(names(b"set\\a.png", b"set\\b.png"))) == {"set/a.png", "set/b.png"}


@pytest.mark.parametrize("pair", TWINS)
def test_A15_S12_S13_twins(world: World, pair: str) -> None:
    world.refuses(names(*TWINS[pair], flags=UTF8), "A15")
    world.refuses(tarred(*TWINS[pair]), "A15")


def test_A15_leading_dot_is_stripped(world: World) -> None:
    assert set(world.unpack(names(b"./a/b.png", b"./c.png"))) == {"a/b.png", "c.png"}
    assert set(World(world.base / "2").unpack(tarred(b"./a/b.png", b"./c.png"))) == {"a/b.png", "c.png"}


CHINESE = ["训练集/图像一.png", "训练集/丝.png"]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_A22_names_without_a_flag(world: World, encoding: str) -> None:
    assert set(world.unpack(names(*(name.encode(encoding) for name in CHINESE)))) == set(CHINESE)


def test_A22_short_name_that_is_utf_8_by_chance_follows_the_others(world: World) -> None:
    chance = "帽"  # its GBK bytes are valid UTF-8 for another character
    assert chance.encode("gb18030").decode("utf-8", "ignore")
    assert set(world.unpack(names(chance.encode("gb18030"), CHINESE[0].encode("gb18030")))) == {chance, CHINESE[0]}


def test_A22_japanese_and_ibm_names(world: World) -> None:
    kana = "ｱ.png".encode("cp932")
    assert kana.decode("cp932")
    assert len(world.unpack(names(kana))) == 1
    accented = "é.png".encode("cp437")
    assert len(World(world.base / "2").unpack(names(accented))) == 1


def test_A22_unicode_path_field(world: World) -> None:
    raw, real = "图.png".encode("gb18030"), "图.png"
    extra = unicode_path(raw, real.encode())
    assert set(world.unpack(zipped(Zipped(raw, extra=extra, local_extra=extra)))) == {real}


def test_A18_unicode_path_field_of_another_name(world: World) -> None:
    world.refuses(zipped(Zipped(b"a.png", extra=unicode_path(b"a.png", b"b.png", checksum=1))), "A18")


def test_A22_unicode_path_field_only_in_the_directory(world: World) -> None:
    assert set(world.unpack(zipped(Zipped(b"a.png", extra=unicode_path(b"a.png", b"b.png"))))) == {"b.png"}


def test_A18_unicode_path_field_only_in_the_local_header(world: World) -> None:
    world.refuses(zipped(Zipped(b"a.png", local_extra=unicode_path(b"a.png", b"b.png"))), "A18")


@pytest.mark.parametrize("name", [b"\xff.png", b"../x"])
def test_A01_A22_unicode_path_field_passes_the_same_gate(world: World, name: bytes) -> None:
    extra = unicode_path(b"a.png", name)
    world.refuses(zipped(Zipped(b"a.png", extra=extra, local_extra=extra)), "A01", "A22", "A18", "A17")


# ---------------------------------------------------------------------------------------------------------------------
# Kinds of members
# ---------------------------------------------------------------------------------------------------------------------

KINDS = {"fifo": 0o010644, "character": 0o020644, "block": 0o060644, "socket": 0o140755}


@pytest.mark.parametrize("system", [3, 19, 0], ids=["unix", "macos", "dos"])
def test_A05_link_in_zip(world: World, system: int) -> None:
    link = Zipped(b"out/link", str(world.outside).encode(), mode=0o120777, system=system)
    world.refuses(zipped(link, Zipped(b"good.png")), "A05")


def test_A05_link_and_a_file_through_it(world: World) -> None:
    link = Zipped(b"dir", str(world.outside).encode(), mode=0o120777)
    world.refuses(zipped(link, Zipped(b"dir/evil")), "A05", "A15")
    tar = tar_header(b"dir", kind=b"2", link=str(world.outside).encode()) + tarred(b"dir/evil")
    world.refuses(tar, "A05", "A15")


@pytest.mark.parametrize("kind", KINDS)
def test_A07_devices_in_zip(world: World, kind: str) -> None:
    world.refuses(zipped(Zipped(b"a.png", b"", mode=KINDS[kind])), "A07")


@pytest.mark.parametrize(
    ("kind", "fault"), [(b"1", "A06"), (b"2", "A05"), (b"3", "A07"), (b"4", "A07"), (b"6", "A07"), (b"S", "A07 A17")]
)
def test_A05_A06_A07_kinds_in_tar(world: World, kind: bytes, fault: str) -> None:
    world.refuses(
        tarred_member(b"good.png") + tar_header(b"a.png", kind=kind, link=b"good.png") + TAR_END, *fault.split()
    )


def test_A06_hard_link_before_its_target(world: World) -> None:
    world.refuses(tar_header(b"a", kind=b"1", link=b"/etc/passwd") + tarred(b"good.png"), "A06")


def test_A08_modes_and_owners_are_ignored(world: World) -> None:
    done = world.unpack(zipped(Zipped(b"a.png", mode=0o106777), Zipped(b"b.png", mode=0o100000)))
    for written in done.values():
        assert (world.target / written.to).stat().st_mode & 0o7777 == 0o644
        assert (world.target / written.to).stat().st_uid == os.geteuid()


@pytest.mark.parametrize("flags", [0x1, 0x9])
def test_A20_encrypted(world: World, flags: int) -> None:
    with pytest.raises(PersonNeeded) as caught:
        world.unpack(
            zipped(Zipped(b"a.png", flags=flags, descriptor=descriptor(Zipped(b"a.png")) if flags & 8 else b""))
        )
    assert caught.value.fault == "A20"
    assert "--password" in caught.value.hint


@pytest.mark.parametrize("method", [1, 6, 10, 94, 96, 97, 99])
def test_A21_unknown_method(world: World, method: int) -> None:
    refusal = world.refuses(zipped(Zipped(b"a.png", method=method)), "A21")
    assert str(method) in refusal.message


@pytest.mark.parametrize(
    "data", [b"7z\xbc\xaf\x27\x1c" + bytes(100), b"Rar!\x1a\x07\x00" + bytes(100), b"Rar!\x1a\x07\x01\x00" + bytes(99)]
)
def test_A17_other_archives_that_are_broken_are_named(world: World, data: bytes) -> None:
    assert detect_format(data)[:2] in world.refuses(data, "A16", "A17").message


@pytest.mark.parametrize("data", [b"", b"hello", bytes(2048), PNG, b"<!DOCTYPE html><html>"])
def test_A23_no_archive_whatever_the_name(world: World, data: bytes) -> None:
    (world.base / "given.zip").write_bytes(data)
    world.refuses(world.base / "given.zip", "A23")


def test_A23_the_first_bytes_decide(world: World) -> None:
    (world.base / "set.zip").write_bytes(tarred(b"a.png"))
    assert set(world.unpack(world.base / "set.zip")) == {"a.png"}


@pytest.mark.parametrize(
    "name", ["__MACOSX/._a.png", "x/__MACOSX/a", ".DS_Store", "a/Thumbs.db", "DESKTOP.INI", "a/._b.png", "~$a.xlsx"]
)
def test_A24_junk(name: str) -> None:
    assert is_junk(name)
    assert not is_junk("a/b.png")


# ---------------------------------------------------------------------------------------------------------------------
# Structure
# ---------------------------------------------------------------------------------------------------------------------


def test_A09_ratio_bomb_in_zip(world: World) -> None:
    world.refuses(zipped(Zipped(b"a.png", bytes(2 << 20), method=8)), "A09")


def test_A09_small_members_may_be_flat(world: World) -> None:
    assert world.unpack(zipped(Zipped(b"a.bmp", bytes(1 << 20), method=8)))["a.bmp"].bytes == 1 << 20


@pytest.mark.parametrize("kind", [gzip.compress, lzma.compress, bz2.compress], ids=["gz", "xz", "bz2"])
def test_A09_ratio_bomb_in_tar(world: World, kind: Callable[[bytes], bytes]) -> None:
    claims = tar_header(b"a.png", size=(4 << 30) - 1)
    world.refuses(kind(claims + bytes(1 << 16)), "A09", "A17", "A27")


def test_A10_one_block_listed_twice(world: World) -> None:
    inner = Zipped(b"b.png")
    outer = Zipped(b"a.png", local_header(inner) + inner.packed())
    body = local_header(outer) + outer.packed()
    directory = central_header(outer, 0) + central_header(inner, len(local_header(outer)))
    world.refuses(body + directory + end_record(2, len(directory), len(body)), "A10")


def test_A10_A13_member_that_runs_into_the_directory(world: World) -> None:
    lie: dict[str, int | bytes] = {"packed": len(PNG) + 10, "unpacked": len(PNG) + 10}
    world.refuses(zipped(Zipped(b"a.png", local=lie, central=lie)), "A10")


@pytest.mark.parametrize("packed", [0x7FFFFFFF, 0xFFFFFFF0])
def test_A13_forged_lengths_allocate_nothing(world: World, packed: int) -> None:
    lie: dict[str, int | bytes] = {"packed": packed, "unpacked": packed}
    world.refuses(zipped(Zipped(b"a.png", method=8, local=lie, central=lie)), "A10", "A12", "A13", "A17")


@pytest.mark.parametrize("difference", [-1, 1, 100, -len(PNG)])
def test_A12_declared_length_is_not_the_real_one(world: World, difference: int) -> None:
    lie: dict[str, int | bytes] = {"unpacked": len(PNG) + difference}
    world.refuses(zipped(Zipped(b"a.png", method=8, local=lie, central=lie)), "A12", "A16")


def test_A12_stored_member_with_two_lengths(world: World) -> None:
    lie: dict[str, int | bytes] = {"unpacked": len(PNG) - 1}
    world.refuses(zipped(Zipped(b"a.png", local=lie, central=lie)), "A12")


def test_A12_data_after_the_end_of_the_stream(world: World) -> None:
    member = Zipped(b"a.png", method=8)
    lie: dict[str, int | bytes] = {"packed": len(member.packed()) + 4}
    world.refuses(zipped(Zipped(b"a.png", method=8, local=lie, central=lie, descriptor=b"more")), "A12")


@pytest.mark.parametrize("method", [0, 8])
def test_A16_wrong_checksum(world: World, method: int) -> None:
    lie: dict[str, int | bytes] = {"crc": 1}
    world.refuses(zipped(Zipped(b"a.png", method=method, local=lie, central=lie)), "A16")


def test_A16_every_flipped_bit_of_the_data_is_seen(world: World) -> None:
    chance = random.Random(16)
    for method in (0, 8):
        good = zipped(Zipped(b"a.png", method=method))
        start, length = 30 + len(b"a.png"), len(Zipped(b"a.png", method=method).packed())
        for _ in range(3):
            at, bit = start + chance.randrange(length), 1 << chance.randrange(8)
            bad = good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :]
            other = World(world.base / f"{method}-{at}-{bit}")
            other.refuses(bad, "A16", "A12", "A17")


def test_A17_cut_anywhere(world: World) -> None:
    good = zipped(Zipped(b"a.png"), Zipped(b"b.png", method=8), comment=b"a comment")
    for keep in (29, len(good) // 2, len(good) - 100, len(good) - 31, len(good) - 1):
        world.refuses(good[:keep], "A17")


@pytest.mark.parametrize("front", [b"\0", b"#!/bin/sh\nexit\n", b"PK\x03\x04 not really"])
def test_A17_data_before(world: World, front: bytes) -> None:
    good = names(b"a.png")
    world.refuses(b"PK\x03\x04" + bytes(40) + good, "A17", "A18")
    (world.base / "stub").write_bytes(front + good)
    world.refuses(world.base / "stub", "A17", "A18", "A23")


def test_A17_data_before_with_corrected_offsets(world: World) -> None:
    member = Zipped(b"a.png")
    hidden = local_header(Zipped(b"hidden.png")) + PNG
    body = hidden + local_header(member) + member.packed()
    directory = central_header(member, len(hidden))
    world.refuses(body + directory + end_record(1, len(directory), len(body)), "A17")


@pytest.mark.parametrize("tail", [b"\0", b"\n", b"garbage" * 1000])
def test_A17_data_after(world: World, tail: bytes) -> None:
    world.refuses(names(b"a.png") + tail, "A17")


def test_A17_two_archives_in_one_file(world: World) -> None:
    world.refuses(names(b"a.png") + names(b"b.png"), "A17")


def test_A17_two_end_records(world: World) -> None:
    good = names(b"a.png")
    world.refuses(good + good[-22:], "A17", "A18")


def test_A17_comment_that_holds_another_archive(world: World) -> None:
    """Read from the front this is one archive with a comment, from the back another one without."""
    one, two = Zipped(b"a.png"), Zipped(b"b.png")
    body = local_header(one) + PNG + local_header(two) + PNG
    first = central_header(one, 0)
    second = first + central_header(two, len(local_header(one)) + len(PNG))
    middle = len(body) + len(first) + 22
    hidden = second + end_record(2, len(second), middle)
    world.refuses(body + first + end_record(1, len(first), len(body), hidden), "A17")


def test_A17_end_record_that_counts_wrongly(world: World) -> None:
    world.refuses(zipped(Zipped(b"a.png"), Zipped(b"b.png"), count=1), "A17", "A18")


DIFFERENCES: dict[str, dict[str, int | bytes]] = {
    "name": {"name": b"b.png"},
    "longer-name": {"name": b"a.png.exe"},
    "method": {"method": 8},
    "packed": {"packed": len(PNG) - 1},
    "unpacked": {"unpacked": len(PNG) + 1},
    "checksum": {"crc": 7},
    "encrypted": {"flags": 1},
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_A18_local_header_says_something_else(world: World, difference: str) -> None:
    world.refuses(zipped(Zipped(b"a.png", local=DIFFERENCES[difference])), "A18")


def test_A18_no_local_header(world: World) -> None:
    good = names(b"a.png", b"b.png")
    second = good.index(b"PK\x03\x04", 10)
    world.refuses(good[:second] + b"XX" + good[second + 2 :], "A18")


def test_A18_offset_beyond_the_file(world: World) -> None:
    world.refuses(zipped(Zipped(b"a.png"), Zipped(b"b.png", central={"offset": 0x7FFFFFFF})), "A18", "A17", "A10")


def test_A19_zip64_end_record_for_another_directory(world: World) -> None:
    one, two = Zipped(b"a.png"), Zipped(b"b.png")
    body = local_header(one) + PNG + local_header(two) + PNG
    first = central_header(one, 0)
    second = first + central_header(two, len(local_header(one)) + len(PNG))
    wide_at = len(body) + len(first) + len(second)
    wide = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2, 2, len(second), len(body) + len(first))
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, wide_at, 1)
    end = end_record(1, len(first), len(body))
    world.refuses(body + first + second + wide + locator + end, "A19", "A17", "A18", "A10")


# ---------------------------------------------------------------------------------------------------------------------
# Good zips
# ---------------------------------------------------------------------------------------------------------------------


def by_library(method: int, files: dict[str, bytes], *, comment: bytes = b"", stream: bool = False) -> bytes:
    """Written by the standard library; `stream`: to something that cannot seek, so with data descriptors."""
    target = io.BytesIO()

    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            return target.write(bytes(memoryview(data).cast("B")))  # type: ignore[arg-type]

    with zipfile.ZipFile(Pipe() if stream else target, "w", method) as archive:  # type: ignore[arg-type]
        for name, data in files.items():
            archive.writestr(name, data)
        archive.comment = comment
    return target.getvalue()


def pictures(count: int = 12) -> dict[str, bytes]:
    chance = random.Random(count)
    sizes = [0, 1, 2, 511, 512, 513, 65_535, 65_536, 65_537, 300_000, 1 << 20, (1 << 20) + 1][:count]
    return {f"set/images/{n:03}.png": chance.randbytes(size) for n, size in enumerate(sizes)}


@pytest.mark.parametrize("method", ["STORED", "DEFLATED", "BZIP2", "LZMA"])
@pytest.mark.parametrize("stream", [False, True], ids=["seekable", "streamed"])
def test_good_zip(world: World, method: str, stream: bool) -> None:
    files = pictures(12 if method in ("STORED", "DEFLATED") else 9)
    data = by_library(getattr(zipfile, f"ZIP_{method}"), files, comment=b"thanks", stream=stream)
    assert world.content(world.unpack(data)) == files


def test_good_zip_of_flat_and_text_like_data(world: World) -> None:
    files = {f"{n}.bmp": (b"abc" * n * 97)[: n * 211] for n in range(1, 200)}
    assert world.content(world.unpack(by_library(zipfile.ZIP_DEFLATED, files))) == files


def test_good_zip_larger_than_one_step(world: World) -> None:
    files = {"large.tiff": random.Random(3).randbytes(1 << 19).hex().encode() * 33, "small.png": b"x"}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    assert world.content(world.unpack(target.getvalue())) == files


def test_good_zip_with_wide_fields(world: World) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive, archive.open("a.png", "w", force_zip64=True) as member:
        member.write(PNG)
    assert world.content(world.unpack(target.getvalue())) == {"a.png": PNG}


def test_good_zip_with_folders_and_junk(world: World) -> None:
    folders = [Zipped(name, b"", mode=0o040755) for name in (b"set/", b"set/images/", b"./")]
    members = [Zipped(b"set/images/a.png"), Zipped(b"__MACOSX/._a.png"), Zipped(b"set/.DS_Store")]
    done = world.unpack(zipped(*folders, *members))
    assert set(done) == {"set/images/a.png", "__MACOSX/._a.png", "set/.DS_Store"}
    assert [name for name in done if not is_junk(name)] == ["set/images/a.png"]


def test_empty_zip_has_no_members(world: World) -> None:
    assert world.unpack(zipped()) == {}


# ---------------------------------------------------------------------------------------------------------------------
# tar
# ---------------------------------------------------------------------------------------------------------------------

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gz": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
}


def tar_by_library(files: dict[str, bytes], form: int) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        folder = tarfile.TarInfo("set")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return target.getvalue()


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_good_tar(world: World, packer: str, form: int) -> None:
    files = pictures(9)
    if form != tarfile.USTAR_FORMAT:
        files[f"set/{'long' * 40}/图.png"] = PNG
    assert world.content(world.unpack(PACKERS[packer](tar_by_library(files, form)))) == files


def test_good_tar_with_dot_folder(world: World) -> None:
    assert set(world.unpack(tar_header(b"./", kind=b"5") + tarred(b"./a.png"))) == {"a.png"}


@pytest.mark.parametrize("packer", PACKERS)
def test_A17_A27_tar_cut_anywhere(world: World, packer: str) -> None:
    chance = random.Random(17)
    member = tarred_member(b"a.png", chance.randbytes(5000)) + tarred_member(b"b.png", chance.randbytes(5000))
    good = PACKERS[packer](member + TAR_END)
    edges = [512, 600, 6144, len(member) - 1, len(member)] if packer == "plain" else []
    for keep in (*edges, len(good) // 2, len(good) * 3 // 4, len(good) - (1023 if packer == "plain" else 1)):
        world.refuses(good[:keep], "A17", "A16", "A27")


@pytest.mark.parametrize("packer", PACKERS)
def test_A17_A31_tar_with_data_after(world: World, packer: str) -> None:
    world.refuses(PACKERS[packer](tarred(b"a.png") + tarred(b"hidden.png")), "A17", "A31")
    if packer != "plain":
        world.refuses(PACKERS[packer](tarred(b"a.png")) + b"garbage" * 100, "A17", "A31")


def test_A16_A27_broken_header_in_the_middle_is_not_the_end(world: World) -> None:
    first, second = tarred_member(b"a.png"), tarred_member(b"b.png")
    broken = second[:10] + b"\xff" + second[11:]
    world.refuses(first + broken + tarred(b"c.png"), "A16", "A17", "A27")


def test_A16_wrong_checksum_of_a_compressed_tar(world: World) -> None:
    good = gzip.compress(tarred(b"a.png"))
    world.refuses(good[:-8] + bytes([good[-8] ^ 1]) + good[-7:], "A16", "A17")


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-0000000001\0", b"99999999999\0", b"junk"])
def test_A27_impossible_sizes(world: World, size: bytes) -> None:
    world.refuses(tar_header(b"a.png", size=size) + PNG.ljust(1024, b"\0") + TAR_END, "A09", "A17", "A27")


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_A27_endless_extended_header(world: World, kind: bytes) -> None:
    world.refuses(tar_header(b"h", size=b"%011o\0" % (7 << 30), kind=kind) + bytes(1 << 16), "A09", "A13", "A17", "A27")


def test_A27_extended_header_with_a_wrong_size(world: World) -> None:
    world.refuses(pax(pax_record(b"size", b"-1")) + tarred(b"a.png"), "A17", "A27")


def test_A25_tar_without_members(world: World) -> None:
    world.refuses(gzip.compress(bytes(10240)), "A25", "A17")
    world.refuses(gzip.compress(b"this is not a tar at all" * 100), "A17")


# ---------------------------------------------------------------------------------------------------------------------
# Folders
# ---------------------------------------------------------------------------------------------------------------------


def test_folder_is_read_in_place(world: World) -> None:
    folder = world.base / "folder"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.png").write_bytes(PNG)
    (folder / "images" / "linked.png").symlink_to(world.base / "x")
    (folder / "images" / "dangling.png").symlink_to(world.base / "nothing")
    (folder / "images" / "bad:name.png").write_bytes(b"skipped: it cannot become a file everywhere")
    (folder / "elsewhere").symlink_to(world.outside)
    os.mkfifo(folder / "pipe")
    done = world.unpack(folder)
    assert world.content(done) == {"images/a.png": PNG, "images/linked.png": b"mine too"}


def test_A12_file_that_grows_while_it_is_read(world: World) -> None:
    folder = world.base / "folder"
    folder.mkdir()
    (folder / "a.png").write_bytes(PNG)
    with open_archive(folder, world.target) as archive:
        (folder / "a.png").write_bytes(PNG + b"more")
        with pytest.raises(RefusedInput) as caught:
            list(archive.unpack([Order(archive.members[0], "out/a")]))
    assert caught.value.fault == "A12"


# ---------------------------------------------------------------------------------------------------------------------
# The worker
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def given(world: World) -> Path:
    world.archive.write_bytes(by_library(zipfile.ZIP_DEFLATED, pictures()))
    return world.archive


def test_K08_no_secret_reaches_the_worker(world: World, given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canary_3141")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:canary_3141@localhost:1")
    with open_archive(given, world.target) as archive:
        environment = Path(f"/proc/{archive._process.pid}/environ").read_bytes()
    assert b"canary_3141" not in environment
    assert b"HOME=" not in environment


def test_S09_the_worker_has_no_network(world: World, given: Path) -> None:
    with open_archive(given, world.target) as archive:
        devices = Path(f"/proc/{archive._process.pid}/net/dev").read_text().splitlines()[2:]
        here = os.readlink("/proc/self/ns/net") == os.readlink(f"/proc/{archive._process.pid}/ns/net")
    if here:
        pytest.skip("not run: this kernel gives nobody a network of their own")
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]


def limits(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:25].strip(): line[26:46].strip() for line in lines}


def test_S09_the_worker_is_limited(world: World, given: Path) -> None:
    with open_archive(given, world.target) as archive:
        found = limits(archive._process.pid)
        handles = os.listdir(f"/proc/{archive._process.pid}/fd")
    assert found["Max address space"] == str(2 << 30)
    assert found["Max open files"] == "64"
    assert found["Max core file size"] == "0"
    assert int(found["Max cpu time"]) <= 600
    assert len(handles) <= 10


def test_S09_killed_worker_is_a_fault_of_the_machine(world: World, given: Path) -> None:
    with open_archive(given, world.target) as archive:
        os.kill(archive._process.pid, signal.SIGKILL)
        with pytest.raises(MachineFault) as caught:
            list(archive.unpack([Order(member, f"out/{member.number}") for member in archive.members]))
    assert caught.value.fault == "S09"
    assert given.name in caught.value.message


def test_S09_what_a_dead_worker_is_told_does_not_arrive(world: World, given: Path) -> None:
    """It died before it was asked for anything; also what was still on its way to it is no error of its own."""
    with open_archive(given, world.target) as archive:
        archive._process.kill()
        archive._process.wait()
        with pytest.raises(MachineFault) as caught:
            list(archive.unpack([Order(archive.members[0], "out/a")]))
        assert (caught.value.fault, "for want of memory" in caught.value.message) == ("S09", True)
        assert archive._process.stdin is not None
        archive._process.stdin.write("never flushed")
    assert archive._process.stdin.closed


def test_S09_worker_that_calculates_for_ever(world: World, given: Path) -> None:
    """The kernel ends it; no image is to blame."""
    with open_archive(given, world.target) as archive:
        archive._process.send_signal(signal.SIGXCPU)
        archive._process.wait()
        with pytest.raises(RefusedInput) as caught:
            list(archive.unpack([Order(archive.members[0], "out/a")]))
    assert (caught.value.fault, "took too much time" in caught.value.message) == ("S09", True)


def test_S09_worker_that_ends_without_a_word(world: World, given: Path) -> None:
    with open_archive(given, world.target) as archive:
        archive._process.send_signal(signal.SIGTERM)
        archive._process.wait()
        with pytest.raises(MachineFault, match="exit status -15"):
            list(archive.unpack([Order(archive.members[0], "out/a")]))


def test_an_archive_that_cannot_be_opened_leaves_no_worker(world: World, given: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        open_archive(given, world.base / "missing")
    assert len(os.listdir("/proc/self/fd")) == before


def test_nothing_is_wanted_of_an_archive(world: World, given: Path) -> None:
    with open_archive(given, world.target) as archive:
        assert list(archive.unpack([])) == []


def test_S04_full_disk_is_a_fault_of_the_machine(world: World, given: Path) -> None:
    (world.target / "out").rmdir()
    (world.target / "out").symlink_to("/dev")
    with open_archive(given, world.target) as archive:
        large = max(archive.members, key=lambda member: member.bytes)
        with pytest.raises(MachineFault):
            list(archive.unpack([Order(large, "out/full")]))


def test_S17_existing_names_are_never_followed_or_overwritten(world: World, given: Path) -> None:
    (world.target / "out" / "a").symlink_to(world.outside / "marker")
    with open_archive(given, world.target) as archive, pytest.raises(MachineFault):
        list(archive.unpack([Order(archive.members[1], "out/a")]))
    assert (world.outside / "marker").read_bytes() == b"mine"


def test_no_worker_outlives_its_archive(world: World, given: Path) -> None:
    with open_archive(given, world.target) as archive:
        pid = archive._process.pid
    assert not Path(f"/proc/{pid}").exists()


def test_only_wanted_members_are_written_and_each_is_hashed(world: World, given: Path) -> None:
    files = pictures()
    with open_archive(given, world.target) as archive:
        by_name = {member.name: member for member in archive.members}
        orders = [Order(by_name["set/images/004.png"], "out/4"), Order(by_name["set/images/009.png"], "")]
        done = {written.member.name: written for written in archive.unpack(orders)}
        again = list(archive.unpack([Order(by_name["set/images/001.png"], "out/1")]))
    assert {name: w.sha256 for name, w in done.items()} == {n: hashlib.sha256(files[n]).hexdigest() for n in done}
    assert sorted(path.name for path in (world.target / "out").iterdir()) == ["1", "4"]
    assert again[0].bytes == 1


def image_bytes(form: str) -> bytes:
    from PIL import Image

    target = io.BytesIO()
    Image.new("RGB", (40, 30), (1, 2, 3)).save(target, form)
    return target.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_headers_are_read_while_members_are_written(world: World, form: str) -> None:
    world.archive.write_bytes(zipped(Zipped(b"a.jpg", image_bytes(form), method=8)))
    with open_archive(world.archive, world.target) as archive:
        (done,) = archive.unpack([Order(archive.members[0], "out/a", "header")])
    assert (done.width, done.height, done.format, done.problem) == (40, 30, form.lower(), "")


def problems(world: World, files: Iterable[tuple[bytes, bytes]], look: str) -> dict[str, str]:
    world.archive.write_bytes(zipped(*(Zipped(name, data) for name, data in files)))
    with open_archive(world.archive, world.target) as archive:
        orders = [Order(member, f"out/{member.number}", look) for member in archive.members]  # type: ignore[arg-type]
        return {written.member.name: written.problem for written in archive.unpack(orders)}


def test_what_is_not_looked_at_has_no_size(world: World) -> None:
    (written,) = world.unpack(zipped(Zipped(b"a.png", PNG))).values()
    assert (written.width, written.height, written.format, written.problem, written.fault) == (0, 0, "", "", "")


def test_P8_a_worker_that_does_not_answer_is_ended(world: World) -> None:
    """Stopped, or swapped out: whoever closes the archive waits for no answer of it."""
    world.archive.write_bytes(zipped(Zipped(b"a.png", PNG)))
    with open_archive(world.archive, world.target) as archive:
        os.kill(archive._process.pid, signal.SIGSTOP)
    assert archive._process.returncode == -signal.SIGKILL


def test_I01_I02_I03_I07_what_is_no_image_is_said_so(world: World) -> None:
    giant = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 40_000, 40_000) + b"\x08\2\0\0\0"
    giant += struct.pack(">I", zlib.crc32(giant[12:29])) + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    bad = {b"empty.png": b"", b"text.png": b"hello", b"ps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n", b"giant.png": giant}
    found = problems(world, [*bad.items(), (b"good.png", image_bytes("PNG"))], "header")
    assert {name for name, problem in found.items() if problem} == {name.decode() for name in bad}


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP"])
def test_I01_only_decoding_sees_a_truncated_image(world: World, form: str) -> None:
    whole = image_bytes(form)
    assert problems(world, [(b"cut.img", whole[: len(whole) * 2 // 3])], "decode")["cut.img"]


FALTERING = {
    "crashes": ("os.abort()", "crashes on"),
    "spins": (
        "resource.setrlimit(resource.RLIMIT_CPU, (1, 9)); [None for _ in iter(int, 1)]",
        "does not come back from",
    ),
    "waits": ("looking.SECONDS = 0; time.sleep(60)", "does not come back from"),
}


@pytest.mark.parametrize("how", FALTERING)
def test_I09_image_on_which_the_decoder_dies_is_named(world: World, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    body, said = FALTERING[how]
    fake = f"""import os, resource, time; from aigiqa_cli import images; from aigiqa_cli.archives import looking
true = images.header
def header(data):
    if data[-1:] == b"!": {body}
    return true(data)
images.header = header
"""
    start = archives._START.partition("; from aigiqa_cli")
    monkeypatch.setattr(archives, "_START", f"{start[0]}\n{fake}\n{start[2].join(['from aigiqa_cli', ''])}")
    files = {f"{n}.png": image_bytes("PNG") for n in range(4)} | {"evil.png": image_bytes("PNG") + b"!"}
    world.archive.write_bytes(zipped(*(Zipped(name.encode(), data) for name, data in files.items())))
    with open_archive(world.archive, world.target) as archive:
        orders = [Order(member, f"out/{member.number}", "header") for member in archive.members]
        with pytest.raises(RefusedInput) as caught:
            list(archive.unpack(orders))
    assert (caught.value.fault, caught.value.phase) == ("I09", "IMAGES")
    assert said in caught.value.message
    assert "'evil.png'" in caught.value.message
    named = {finding.path for finding in caught.value.findings}
    assert "evil.png" in named
    assert len(named) <= 2, "two threads look at images: the other one's may be named too"
