"""The readers of archives in this very process, each with what it must read and what it must refuse.

The rigs read thousands in a child with the worker's limits; here every kind is read once where its branches are measured.
"""

from __future__ import annotations

import bz2
import ctypes
import hashlib
import os
import queue
import random
import resource
import shutil
import signal
import stat
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bad_archives
import good_archives
import pytest
from archive_reader import MEMORY, Read, read_here
from archive_writers import (
    FULL,
    FULL_LONG,
    PNG,
    RAR4,
    RAR5,
    SEVEN_ATTRIBUTES,
    TAR_END,
    UTF8,
    Packed,
    Zipped,
    block4,
    block5,
    central_header,
    descriptor,
    end_record,
    extra_field,
    file4,
    file5,
    forged,
    local_header,
    lzma_packed,
    lzma_without_mark,
    old_encrypted,
    pax,
    pax_record,
    rar4,
    rar5,
    rar5_hidden,
    seven,
    seven_of_kind,
    streamed,
    tarred,
    tarred_member,
    vint,
    wide_end,
    with_seven_header,
    zipped,
)
from test_more_archives import NAMES, rar_parts
from test_ranges import hostile
from test_rig_archives import hashes

from aigiqa_cli.archives import (
    contract,
    declared_set,
    disks,
    misfits,
    rar_blocks,
    tar_headers,
    tools,
    volume_set,
    zip_data,
    zip_directory,
)
from aigiqa_cli.archives import seven as seven_module
from aigiqa_cli.archives.contract import Member, Needed, Refusal
from aigiqa_cli.archives.seven import SevenFormat
from aigiqa_cli.archives.source import DISKS, JOINED, Opened, Piece, Source, memory
from aigiqa_cli.archives.tar import TarFormat
from aigiqa_cli.archives.zip import ZipFormat
from aigiqa_cli.archives.zip_parts import ZipInParts
from aigiqa_cli.errors import PersonNeeded

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
@pytest.mark.parametrize("large", [True, False])
def test_A13_no_large_member_is_held_as_a_whole(monkeypatch: pytest.MonkeyPatch, method: str, large: bool) -> None:
    """It comes in steps of a bounded length; a small one is read at once."""
    number, flags, body = BODIES[method]
    block = 100
    assert len(TEXT) > 10 * block
    monkeypatch.setattr(zip_data, "BLOCK", block)
    monkeypatch.setattr(zip_data, "WHOLE", len(TEXT) - 1 if large else len(TEXT))
    data, counts = zipped(Packed(b"a", TEXT, number, flags, body=body)), list[int]()

    def pread(count: int, at: int) -> bytes:
        counts.append(count)
        return data[at : at + count]

    form = ZipFormat(Source(Opened(()), [Piece(len(data), pread)]))
    members, chunks = form.members(), list[bytes]()
    counts.clear()
    form.stream(members, lambda _, given: chunks.extend(given))
    assert b"".join(chunks) == TEXT
    longest = max(map(len, chunks))
    assert (longest <= block, max(counts) <= block) == ((True, True) if large else (False, len(body) <= block))
    assert len(counts) == (-(-len(body) // block) if large else 1)


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


def test_A20_a_large_secret_is_read_in_steps(tmp_path: Path, machine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_data, "WHOLE", 0)
    monkeypatch.setattr(zip_data, "BLOCK", 100)
    body = old_encrypted(TEXT, SECRET.encode(), zlib.crc32(TEXT) >> 24)
    assert only(judged(tmp_path / "given", zipped(Packed(b"a", TEXT, 0, 1, body=body)), SECRET))


def test_A20_old_encryption_is_left_to_a_program_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We decrypt byte by byte, a megabyte a second. What this one writes stands nowhere in the archive."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "true").write_bytes(TEXT)
    said = f'if [ $# = 0 ]; then echo "7-Zip [64] 26.02"; exit 0; fi; exec /bin/cat {tmp_path / "true"}'
    script(tmp_path / "bin", "7z", said)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    data = zipped(Packed(b"a", TEXT, 0, 1, body=bytes(12 + len(TEXT))))
    assert only(judged(tmp_path / "given", data, SECRET))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert judged(tmp_path / "given", data, SECRET).fault == "A20"


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


def test_A18_a_false_end_that_comes_in_pieces() -> None:
    """Wherever a large member is cut while it is read, its own end must not stand in its data."""
    mark = b"PK\x07\x08"
    before = bytes(1_000)
    for stated, false in ((1_000, True), (1_001, False), (0, False)):
        data = before + mark + bytes(4) + stated.to_bytes(4, "little") + bytes(500)
        for step in (1, 7, 300, 1_002, 5_000):
            chunks = zip_data.without_false_end(
                Member(0, "a", len(data)), (data[at : at + step] for at in range(0, len(data), step))
            )
            if false:
                with pytest.raises(Refusal) as caught:
                    list(chunks)
                assert caught.value.fault == "A18"
            else:
                assert b"".join(chunks) == data


# ---------------------------------------------------------------------------------------------------------------------
# zip: structure
# ---------------------------------------------------------------------------------------------------------------------


def refused(tmp_path: Path, data: bytes, fault: str, reason: str = "") -> None:
    done = judged(tmp_path / "given", data)
    assert (done.verdict, done.fault) == ("refused", fault), done
    assert reason in done.reason


MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("packed", "most"),
    [(0, 1_100), (10, 11_000), (953, 953 * 1_100), (954, MIB), (10_486, 1_048_600), (MIB, 100 * MIB)],
)
def test_A09_how_well_a_member_may_be_packed(packed: int, most: int) -> None:
    """1,100 : 1 up to a MiB, which deflate reaches, else 100 : 1."""
    contract.check_ratio("a.png", packed, most)
    with pytest.raises(Refusal) as caught:
        contract.check_ratio("a.png", packed, most + 1)
    assert caught.value.fault == "A09"


@pytest.mark.parametrize(
    ("packed", "most"),
    [(1, GIB), (GIB, 20 * GIB), (12 * GIB, 240 * GIB), (13 * GIB, 256 * GIB), (256 * GIB, 256 * GIB)],
)
def test_A09_how_much_an_archive_may_hold(packed: int, most: int) -> None:
    """A GiB in any case, 20 times its own length, never more than 256 GiB."""
    contract.check_total(packed, most)
    with pytest.raises(Refusal) as caught:
        contract.check_total(packed, most + 1)
    assert caught.value.fault == "A09"


@pytest.mark.parametrize(
    ("cut", "said"), [(-15, "15 bytes are too many"), (0, ""), (20, "20 bytes before it are missing")]
)
def test_A17_how_many_bytes_are_missing_or_too_many_is_told(tmp_path: Path, cut: int, said: str) -> None:
    data = zipped(Zipped(b"a.png"), Zipped(b"b.png"))
    if said:
        refused(tmp_path, data[:4] + bytes(max(0, -cut)) + data[4 + max(0, cut) :], "A17", said)
    else:
        assert judged(tmp_path / "given", data).verdict == "good"


def test_A10_what_a_member_runs_into_is_told(tmp_path: Path) -> None:
    one, two = (Zipped(name, PNG) for name in (b"a.png", b"b.png"))
    for lying, said in (
        ((replace(one, central={"packed": len(PNG) + 1, "unpacked": len(PNG) + 1}), two), "overlaps another one"),
        ((one, replace(two, central={"packed": len(PNG) + 1, "unpacked": len(PNG) + 1})), "runs into the directory"),
    ):
        lies = [replace(member, local=member.central) for member in lying]
        refused(tmp_path, zipped(*lies), "A10", said)


def test_A17_the_end_counts_what_is_on_its_only_disk(tmp_path: Path) -> None:
    members = [local_header(member) + PNG for member in (Zipped(b"a.png"), Zipped(b"b.png"))]
    directory = central_header(Zipped(b"a.png"), 0) + central_header(Zipped(b"b.png"), len(members[0]))
    body = b"".join(members)
    for lie in ({"here": 1}, {"disk": 1}, {"start": 1}):
        end = end_record(2, len(directory), len(body), **lie)
        refused(tmp_path, body + directory + end, "A17", "disk")


@pytest.mark.parametrize("at", range(4))
def test_A17_an_entry_without_its_mark(tmp_path: Path, at: int) -> None:
    data = bytearray(zipped(Zipped(b"a.png"), Zipped(b"b.png")))
    data[data.rindex(b"PK\x01\x02") + at] ^= 1
    refused(tmp_path, bytes(data), "A17", "the directory of the zip is broken")


@pytest.mark.parametrize("over", [1, 0xFFFF])
def test_A17_an_entry_that_runs_over_the_end_of_the_directory(tmp_path: Path, over: int) -> None:
    """The length of its comment is the last one."""
    data = bytearray(zipped(Zipped(b"a.png")))
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 32, over)
    refused(tmp_path, bytes(data), "A17", "the directory of the zip is broken")


@pytest.mark.parametrize(
    ("raw", "flags", "shown"),
    [(b"a.png", 0, "'a.png'"), ("ü.png".encode(), UTF8, "'ü.png'"), (b"\x81.png", 0, "'ü.png'")],
)
def test_A18_the_member_that_is_wrong_is_named(tmp_path: Path, raw: bytes, flags: int, shown: str) -> None:
    """In UTF-8 if it says so, else in code page 437 (APPNOTE, appendix D)."""
    wrong = Zipped(raw, flags=flags, local={"method": 8})
    refused(tmp_path, zipped(wrong), "A18", f"the member {shown} has another name or method")


def test_A17_another_end_in_the_head_of_the_last_entry(tmp_path: Path) -> None:
    """Right behind the mark of the entry, where the version stands."""
    data = zipped(Zipped(b"a.png"))
    version = data.index(b"PK\x01\x02") + 4
    refused(tmp_path, data[:version] + b"PK\x05\x06" + data[version + 4 :], "A17", "parts of another one")


def test_A29_programs_are_missed_before_anything_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(zipped(Zipped(b"a.png", method=9)))
    with (tmp_path / "given").open("rb") as stream, pytest.raises(Needed) as caught:
        ZipFormat(Source(Opened((stream.fileno(),)))).members()
    assert (caught.value.fault, "Deflate64" in caught.value.reason) == ("A29", True)


def test_A17_something_before_an_empty_directory(tmp_path: Path) -> None:
    refused(tmp_path, b"PK\x03\x04 and more" + end_record(0, 0, 13), "A17", "before an empty directory")


def test_A18_encrypted_in_two_ways(tmp_path: Path) -> None:
    """The local header and the directory name two strengths of AES."""
    fields = [extra_field(0x9901, b"\x02\x00AE" + bytes([strength]) + b"\x00\x00") for strength in (1, 3)]
    refused(
        tmp_path,
        zipped(Zipped(b"a.png", method=99, flags=1, extra=fields[0], local_extra=fields[1])),
        "A18",
        "two ways",
    )


def test_A14_a_directory_beyond_all_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_directory, "_MOST_OF_A_DIRECTORY", 20)
    refused(tmp_path, zipped(Zipped(b"a.png")), "A14", "directory of")


# ---------------------------------------------------------------------------------------------------------------------
# zip over several disks
# ---------------------------------------------------------------------------------------------------------------------

MARK = b"PK\x07\x08"


def entry(member: Zipped, disk: int, offset: int, *, wide: bool = False) -> bytes:
    """Its directory entry; `wide`: all four numbers stand in the ZIP64 field, between two others."""
    if not wide:
        return central_header(replace(member, disk=disk), offset)
    size = len(member.packed())
    numbers = struct.pack("<3QI", len(member.data), size, offset, disk)
    extra = extra_field(0x5455, b"time") + extra_field(1, numbers) + extra_field(0x7875, b"owner") + b"\0"
    lies: dict[str, int | bytes] = {"packed": FULL_LONG, "unpacked": FULL_LONG, "offset": FULL_LONG}
    return central_header(replace(member, disk=FULL, extra=extra, central=lies), offset)


def disks_of(
    *disks: Sequence[Zipped], mark: bytes = MARK, wide: bool = False, at_disk: int = -1, **end: int
) -> list[bytes]:
    """A split zip with these members on each disk; the directory stands on the last one, `end` overrides its record."""
    made, directory = [], b""
    for number, members in enumerate(disks):
        data = mark if number == 0 else b""
        for member in members:
            directory += entry(member, at_disk if at_disk >= 0 else number, len(data), wide=wide)
            data += local_header(member) + member.packed()
        made.append(data)
    count, last, at = sum(map(len, disks)), len(disks) - 1, len(made[-1])
    made[-1] += directory
    if wide:
        where = {"disk": last, "start": last, "its_disk": last, "disks": last + 1}
        where |= {key: value for key, value in end.items() if key in ("its_disk", "at", "size", "offset", "count")}
        told = {"at": len(made[-1])} | where
        made[-1] += wide_end(0, count, len(directory), at, **told)
        made[-1] += end_record(FULL, FULL_LONG, FULL_LONG, disk=FULL, start=FULL)
        return made
    numbers = {"disk": last, "start": last} | end
    made[-1] += end_record(count, len(directory), at, **numbers)
    return made


def of_disks(tmp_path: Path, disks: Sequence[bytes]) -> Read:
    paths = [tmp_path / f"given-{number}" for number in range(len(disks))]
    for path, data in zip(paths, disks, strict=True):
        path.write_bytes(data)
    names = [*(f"s.z{number:02}" for number in range(1, len(disks))), "s.zip"]
    done = read_here(paths[0], "", declared_set(names, paths))
    assert done.verdict not in ("crash", "hang"), done.reason
    return done


MEMBERS = [[Zipped(b"a.png", PNG), Zipped(b"b.png", PNG, 8)], [Zipped(b"c.png", PNG * 2)], [Zipped(b"d.png", PNG * 3)]]
TRUE = hashes({"a.png": PNG, "b.png": PNG, "c.png": PNG * 2, "d.png": PNG * 3})


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("mark", [MARK, b"PK00", b""])
def test_a_zip_over_three_disks_is_one_zip(tmp_path: Path, wide: bool, mark: bytes) -> None:
    assert of_disks(tmp_path, disks_of(*MEMBERS, mark=mark, wide=wide)).members == TRUE


def test_a_split_zip_with_the_longest_comment(tmp_path: Path) -> None:
    *others, last = disks_of(*MEMBERS)
    assert of_disks(tmp_path, [*others, last[:-2] + b"\xff\xff" + bytes(0xFFFF)]).members == TRUE


def test_a_directory_on_a_disk_of_its_own(tmp_path: Path) -> None:
    assert of_disks(tmp_path, disks_of(*MEMBERS, [])).members == TRUE


@pytest.mark.parametrize("moved", [1, 2, 100])
def test_a_member_may_end_anywhere_on_the_disk_of_the_directory(tmp_path: Path, moved: int) -> None:
    first, last = disks_of(MEMBERS[0], [], offset=moved)
    made = [first[:-moved], first[-moved:] + last]
    assert of_disks(tmp_path, made).members == hashes({"a.png": PNG, "b.png": PNG})


def test_more_members_on_disks_than_sixteen_bits_count() -> None:
    crowd = [Zipped(b"%x" % number, b"") for number in range(65_536)]
    headers = [local_header(member) for member in crowd]
    first = MARK + b"".join(headers)
    places = accumulate(map(len, headers), initial=4)
    last = b"".join(entry(member, 0, at) for member, at in zip(crowd, places, strict=False))
    told = {"disk": 1, "start": 1, "its_disk": 1, "disks": 2, "at": len(last)}
    last += wide_end(0, len(crowd), len(last), 0, **told) + end_record(FULL, FULL_LONG, FULL_LONG, disk=1, start=1)
    whole = disks.joined(Source(Opened((), ("s.z01", "s.zip"), DISKS), [memory(first), memory(last)]))
    found = zip_directory.read(whole.pread, whole.length).entries
    assert [found[at].offset for at in (0, 1, -1)] == [0, 31, len(first) - 4 - len(headers[-1])]
    assert len(found) == len(crowd)


def test_places_beyond_four_gibibytes_stay_what_they_are() -> None:
    """A first disk of five GiB: what lies on the second one has a place that only a ZIP64 field can hold."""
    first, second = disks_of([], [Zipped(b"a.png", PNG)], mark=b"")
    giant = Piece(5 << 30, lambda count, at: bytes(min(count, (5 << 30) - at)))
    whole = disks.joined(Source(Opened((), ("set.z01", "set.zip"), DISKS), [giant, memory(first + second)]))
    (found,) = zip_directory.read(whole.pread, whole.length).entries
    assert (found.offset, found.packed, found.unpacked) == (5 << 30, len(PNG), len(PNG))
    assert whole.pread(4, found.offset) == b"PK\x03\x04"


def test_lengths_beyond_four_gibibytes_stay_what_they_are() -> None:
    """On a first disk of eight GiB, so that what is behind it cannot be told without its ZIP64 field either."""
    member = Zipped(b"a.png", PNG)
    numbers = struct.pack("<2Q", 7 << 30, 6 << 30)
    lies: dict[str, int | bytes] = {"packed": FULL_LONG, "unpacked": FULL_LONG}
    directory = central_header(replace(member, extra=extra_field(1, numbers), central=lies), 0)
    last = directory + end_record(1, len(directory), 0, disk=1, start=1)
    giant = Piece(8 << 30, lambda count, at: bytes(min(count, (8 << 30) - at)))
    whole = disks.joined(Source(Opened((), ("set.z01", "set.zip"), DISKS), [giant, memory(last)]))
    (found,) = zip_directory.read(whole.pread, whole.length).entries
    assert (found.offset, found.packed, found.unpacked) == (0, 6 << 30, 7 << 30)


def broken_disks() -> dict[str, tuple[list[bytes], str]]:
    good, wide = disks_of(*MEMBERS), disks_of(*MEMBERS, wide=True)
    at = good[2].index(b"PK\x01\x02")
    no_wide = [good[0], good[1], good[2].replace(struct.pack("<3I", zlib.crc32(PNG), len(PNG), len(PNG)),
               struct.pack("<3I", zlib.crc32(PNG), FULL_LONG, len(PNG)))]  # fmt: skip
    return {
        "no end": ([*good[:2], good[2][:-22] + bytes(22)], "A17"),
        "cut end": ([*good[:2], good[2][:-1]], "A17"),
        "more behind": ([*good[:2], good[2] + b"x"], "A17"),
        "directory on no disk": (disks_of(*MEMBERS, start=7), "A17"),
        "directory larger than all": (disks_of(*MEMBERS, size=1 << 30), "A17"),
        "too many members": (disks_of(*MEMBERS, wide=True, count=3_000_000), "A17"),
        "directory over the end": (disks_of(*MEMBERS, offset=at + 9), "A17"),
        "member on no disk": (disks_of(*MEMBERS, at_disk=9), "A17"),
        "broken entry": ([*good[:2], good[2][:at] + b"PK\1\3" + good[2][at + 4 :]], "A17"),
        "fewer than counted": (disks_of(*MEMBERS, here=9, count=9), "A17"),
        "more than counted": (disks_of(*MEMBERS, here=1, count=1), "A17"),
        "bytes behind the directory": ([*good[:2], good[2][:-22] + b"x" + good[2][-22:]], "A17"),
        "bytes behind the wide end": ([*wide[:2], wide[2][:-42] + b"x" + wide[2][-42:]], "A19"),
        "locator on no disk": (disks_of(*MEMBERS, wide=True, its_disk=9), "A19"),
        "locator to nothing": (disks_of(*MEMBERS, wide=True, at=3), "A19"),
        "no ZIP64 numbers": (no_wide, "A19"),
        "a disk too few": ([good[0], good[2]], "N27"),
        "a wide disk too few": ([wide[0], wide[2]], "A19"),
    }


@pytest.mark.parametrize("how", broken_disks())
def test_A17_A19_N27_broken_split_zips(tmp_path: Path, how: str) -> None:
    made, fault = broken_disks()[how]
    done = of_disks(tmp_path, made)
    assert (done.closed, done.fault) == (True, fault), done


# ---------------------------------------------------------------------------------------------------------------------
# zip in parts
# ---------------------------------------------------------------------------------------------------------------------


class Asked:
    """Brings exactly the spans that are asked for, one behind the other in a local file."""

    def __init__(self, data: bytes, path: Path) -> None:
        self.data, self.stream = data, path.open("w+b", buffering=0)
        self.opened = Opened((self.stream.fileno(),), length=len(data), ask=self, password=SECRET)

    def __call__(self, spans: Sequence[tuple[int, int]], numbers: Sequence[int]) -> list[tuple[int, int, int]]:
        found = []
        for begin, end in spans:
            found.append((begin, end, self.stream.tell()))
            self.stream.write(self.data[begin:end])
        return found

    def read(self) -> dict[str, bytes]:
        form, found = ZipInParts(Source(self.opened)), dict[str, bytes]()
        form.stream(form.members(), lambda member, chunks: found.__setitem__(member.name, b"".join(chunks)))
        return found


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Callable[[bytes], Asked]]:
    made: list[Asked] = []

    def make(data: bytes) -> Asked:
        made.append(Asked(data, tmp_path / f"parts-{len(made)}"))
        return made[-1]

    yield make
    for one in made:
        one.stream.close()


def test_a_zip_in_parts_is_the_zip(asked: Callable[[bytes], Asked]) -> None:
    """Also a folder whose deflated nothing stands behind its local header, which is read for it."""
    folder = Packed(b"set/", b"", 8, body=b"\x03\x00")
    assert asked(zipped(folder, Zipped(b"set/a.png", PNG, 8), Zipped(b"b.png", PNG))).read() == {
        "set/a.png": PNG,
        "b.png": PNG,
    }
    assert asked(zipped()).read() == {}
    data = zipped(Zipped(b"big.png", PNG * 200), Zipped(b"a.png"), comment=b"c" * 60_000)
    assert asked(data).read() == {"big.png": PNG * 200, "a.png": PNG}


@pytest.mark.parametrize("name", hostile())
def test_hostile_zips_in_parts_are_refused(asked: Callable[[bytes], Asked], name: str) -> None:
    data, fault = hostile()[name]
    with pytest.raises((Refusal, Needed)) as caught:
        asked(data).read()
    assert caught.value.fault.startswith(fault)


def test_A21_what_another_program_unpacks_is_not_read_in_parts(asked: Callable[[bytes], Asked]) -> None:
    with pytest.raises(Refusal) as caught:
        asked(zipped(Zipped(b"a.png", flags=1))).read()
    assert caught.value.fault == "A21"


def test_A10_members_that_overlap_are_refused_before_they_are_asked_for(asked: Callable[[bytes], Asked]) -> None:
    first, second = Zipped(b"a.png", bytes(300_000)), Zipped(b"b.png", bytes(300_000))
    one, two = (local_header(member) + member.packed() for member in (first, second))
    for lost in (0, 1):
        members = one[: len(one) - lost] + two
        directory = central_header(first, 0) + central_header(second, len(one) - lost)
        given = asked(members + directory + end_record(2, len(directory), len(members)))
        if not lost:
            assert len(given.read()) == 2
            continue
        with pytest.raises(Refusal) as caught:
            ZipInParts(Source(given.opened)).members()
        assert caught.value.fault == "A10"
        assert given.stream.tell() < 100_000, "no member was asked for"


def test_A17_bytes_that_no_member_explains(asked: Callable[[bytes], Asked]) -> None:
    member = Zipped(b"a.png")
    for data in (zipped(member, gap=bytes(70_000)), zipped(member, gap=bytes(7)), zipped(gap=bytes(7))):
        with pytest.raises(Refusal) as caught:
            asked(data).read()
        assert caught.value.fault == "A17"


def test_A17_nobody_brings_parts(tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(zipped(Zipped(b"a.png")))
    with (tmp_path / "given").open("rb") as stream, pytest.raises(Refusal) as caught:
        ZipInParts(Source(Opened((stream.fileno(),), length=100)))
    assert caught.value.fault == "A17"


def test_A18_a_local_header_that_wants_more_than_was_brought(asked: Callable[[bytes], Asked]) -> None:
    """Once the wanted members are here nothing more is asked for, whatever a header says of its length."""
    good = zipped(Zipped(b"a.png"), Zipped(b"b.png", bytes(200_000)))
    form = ZipInParts(Source(asked(good[:28] + b"\xff\xff" + good[30:]).opened))
    first = form.members()[0]
    with pytest.raises(Refusal) as caught:
        form.stream([first], lambda *_: pytest.fail("it was read"))
    assert caught.value.fault == "A18"


# ---------------------------------------------------------------------------------------------------------------------
# tar
# ---------------------------------------------------------------------------------------------------------------------


def test_A14_too_many_members_of_a_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_headers, "MAX_MEMBERS", 2)
    assert judged(tmp_path / "given", tarred(b"a.png")).verdict == "good"
    refused(tmp_path, tarred(b"a.png", b"b.png"), "A14")


def long_name(name: bytes) -> bytes:
    return tarred_member(b"././@LongLink", name + b"\0", kind=b"L")


TARS: dict[str, tuple[bytes, str]] = {
    "global path": (pax(pax_record(b"path", b"b.png"), b"g") + tarred(b"a.png"), "A27"),
    "global between": (pax(pax_record(b"mtime", b"1")) + pax(pax_record(b"mtime", b"1"), b"g") + tarred(b"a.png"), "A27"),
    "two extended": (pax(pax_record(b"mtime", b"1")) * 2 + tarred(b"a.png"), "A27"),
    "two long names": (long_name(b"b.png") * 2 + tarred(b"a.png"), "A27"),
    "extended at the end": (pax(pax_record(b"path", b"b.png")) + TAR_END, "A17"),
    "folder with data": (tarred_member(b"set/", PNG, kind=b"5") + TAR_END, "A27"),
    "two names": (long_name(b"b.png") + pax(pax_record(b"path", b"c.png")) + tarred(b"a.png"), "A27"),
    "extended, cut": (pax(pax_record(b"path", b"b" * 600))[:1030], "A17"),
    "path without end": (pax(pax_record(b"path", b"b.png")[:-1] + b"?") + tarred(b"a.png"), "A27"),
    "no path": (pax(pax_record(b"path", b"")) + tarred(b"a.png"), "A27"),
    "size no number": (pax(pax_record(b"size", b"seven")) + tarred(b"a.png"), "A27"),
    "sparse": (pax(pax_record(b"GNU.sparse.major", b"1")) + tarred(b"a.png"), "A07"),
}  # fmt: skip


@pytest.mark.parametrize("name", TARS)
def test_A07_A17_A27_headers_of_a_tar_that_say_two_things(tmp_path: Path, name: str) -> None:
    data, fault = TARS[name]
    (tmp_path / "given").write_bytes(tarred(b"first.png")[:-1024] + data)
    done = read_here(tmp_path / "given")
    assert (done.verdict, done.fault) == ("refused", fault), done


def test_A22_paths_of_pax_in_other_encodings(tmp_path: Path) -> None:
    """A path that is not the UTF-8 that it should be, or is declared to be none, is decoded like all others."""
    raw = "训练.png".encode("gb18030")
    for records in (pax_record(b"path", raw), pax_record(b"path", raw) + pax_record(b"hdrcharset", b"BINARY")):
        assert judged(tmp_path / "given", tarred_member(b"first.png") + pax(records) + tarred(b"q")).members == hashes(
            {"first.png": PNG, "训练.png": PNG}
        )
    alike = long_name(b"b.png") + pax(pax_record(b"path", b"b.png")) + tarred(b"a.png")
    assert list(judged(tmp_path / "given", tarred_member(b"a") + alike).members) == ["a", "b.png"]


@pytest.mark.parametrize("more", [0, 512])
def test_A31_zeros_behind_the_end_of_a_tar_are_padding_up_to_a_length(tmp_path: Path, more: int) -> None:
    """16 MiB."""
    end = bytes(512)  # one block of zeros; the second one is missing in many archives, and counts as padding
    done = judged(tmp_path / "given", tarred_member(b"a.png") + end + bytes(16 * MIB + more))
    assert (done.verdict, done.fault) == (("refused", "A17") if more else ("good", ""))


@pytest.mark.parametrize("first", [1, 511])
def test_a_compressed_tar_may_come_in_any_pieces(tmp_path: Path, first: int) -> None:
    """Programs that pack with many threads write one stream after another, of whatever length."""
    data = tarred(b"a.png", b"b.png")
    packed = bz2.compress(data[:first]) + bz2.compress(data[first:])
    assert judged(tmp_path / "given", packed).members == hashes({"a.png": PNG, "b.png": PNG})


def test_of_a_tar_nothing_may_be_wanted(tmp_path: Path) -> None:
    """It is read to its end all the same, and nothing is handed over."""
    (tmp_path / "given").write_bytes(tarred(b"a.png", b"b.png"))
    with (tmp_path / "given").open("rb") as stream:
        form = TarFormat(Source(Opened((stream.fileno(),))))
        assert len(form.members()) == 2
        form.stream([], lambda *_: pytest.fail("nothing was wanted"))


# ---------------------------------------------------------------------------------------------------------------------
# 7z
# ---------------------------------------------------------------------------------------------------------------------


def test_A14_too_many_members_of_a_7z(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aigiqa_cli.archives.seven.MAX_MEMBERS", 1)
    refused(tmp_path, seven({"a.png": PNG, "b.png": PNG}), "A14")


def test_a_large_member_of_a_7z_comes_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aigiqa_cli.archives.seven.CHUNK", 100)
    assert judged(tmp_path / "given", seven({"a.png": PNG, "b.png": b""})).members == hashes(
        {"a.png": PNG, "b.png": b""}
    )


def test_A20_a_broken_7z_is_broken_with_a_password_too(tmp_path: Path) -> None:
    """A header that is no header, not one that the password does not open."""
    broken = with_seven_header(seven({"a.png": PNG}), b"\x01\x04\x06\xff\xff")
    done = judged(tmp_path / "given", broken, SECRET)
    assert (done.verdict, done.fault) == ("refused", "A16")
    assert judged(tmp_path / "given", seven({"a.png": PNG}, SECRET, hidden=True), "other").fault == "A20"


def test_A20_a_wrong_password_shows_in_the_data(tmp_path: Path, machine: None) -> None:
    done = judged(tmp_path / "given", seven({"a.png": PNG}, SECRET), "other")
    assert (done.verdict, done.fault) == ("needed", "A20")


def test_what_py7zr_wants_of_a_stream_it_gets() -> None:
    """It demands a whole file's interface; only writing and closing mean anything here."""
    events: queue.Queue[tuple[str, object]] = queue.Queue()
    stream = seven_module._factory(events).create("set/a.png")
    assert (stream.write(PNG), stream.write(b""), stream.size()) == (len(PNG), 0, len(PNG))
    assert (stream.read(), stream.seek(7), stream.flush()) == (b"", 0, None)
    stream.close()
    assert [events.get_nowait() for _ in range(4)] == [
        ("open", "set/a.png"),
        ("data", PNG),
        ("data", b""),
        ("closed", None),
    ]


class Library:
    """A 7z library whose extraction does as it is told."""

    def __init__(self, *did: tuple[str, object]) -> None:
        self.did = did

    def extract(self, names: list[str], events: queue.Queue[tuple[str, object]]) -> None:
        for event in self.did:
            events.put(event)


@pytest.mark.parametrize(
    ("did", "encrypted", "fault"),
    [
        ((("end", None),), False, "A17"),
        ((("failed", ValueError("odd")),), False, "A16"),
        ((("failed", ValueError("odd")),), True, "A20"),
        ((("open", "a.png"), ("failed", ValueError())), False, "A16"),
        ((("open", "a.png"), ("data", PNG[:5]), ("failed", ValueError("odd"))), False, "A16"),
        ((("open", "a.png"), ("data", PNG[:5]), ("closed", None), ("end", None)), False, "A12"),
    ],
    ids=["nothing", "at once", "at once, encrypted", "before the data", "in the data", "too little"],
)
def test_A12_A16_A17_A20_what_the_library_does_not_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, did: tuple[tuple[str, object], ...], encrypted: bool, fault: str
) -> None:
    (tmp_path / "given").write_bytes(seven({"a.png": PNG}))
    with (tmp_path / "given").open("rb") as stream:
        form = SevenFormat(Source(Opened((stream.fileno(),))))
        members = form.members()
        form.encrypted = encrypted
        monkeypatch.setattr(form, "_extract", Library(*did).extract)
        with pytest.raises((Refusal, Needed)) as caught:
            form.stream(members, lambda _, chunks: list(chunks) and None)
    assert caught.value.fault == fault


def test_a_mode_without_a_kind_is_a_file(tmp_path: Path) -> None:
    """As in a zip or a rar: who writes permissions alone means a file."""
    done = judged(tmp_path / "given", seven_of_kind(0, PNG))
    assert (done.verdict, done.members) == ("good", hashes({"a.png": PNG})), done.reason


def test_A12_a_folder_that_holds_data(tmp_path: Path) -> None:
    """Its attributes say folder, and bytes belong to it all the same."""
    refused(tmp_path, seven_of_kind(stat.S_IFDIR, name="set"), "A07")
    data = seven({"set": PNG}, plain_header=True)
    at = data.index(SEVEN_ATTRIBUTES) + len(SEVEN_ATTRIBUTES)
    as_folder = struct.pack("<I", 0x10)
    refused(tmp_path, forged(data, data[at - 4 : at + 4], SEVEN_ATTRIBUTES + as_folder), "A12", "holds data")


# ---------------------------------------------------------------------------------------------------------------------
# rar
# ---------------------------------------------------------------------------------------------------------------------


def test_A14_too_many_members_of_a_rar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = rar5(file5("a.png", PNG), file5("b.png", PNG))
    monkeypatch.setattr("aigiqa_cli.archives.rar.MAX_MEMBERS", 1)
    refused(tmp_path, data, "A14")
    monkeypatch.setattr(rar_blocks, "MAX_MEMBERS", 1)
    refused(tmp_path, data, "A14", "too many blocks")
    refused(tmp_path, rar4({b"a.png": PNG, b"b.png": PNG}), "A17")


def test_A17_a_rar_whose_last_block_runs_over_its_end(tmp_path: Path) -> None:
    whole = RAR5 + block5(1, 0, vint(0)) + file5("a.png", PNG)
    refused(tmp_path, whole + block5(5, 0, vint(0), data=PNG)[:-1], "A17", "cut off")


@pytest.mark.parametrize("more", [0, 1])
def test_A17_zeros_behind_the_end_of_a_rar_are_padding_up_to_a_mebibyte(tmp_path: Path, more: int) -> None:
    done = judged(tmp_path / "given", rar5(file5("a.png", PNG)) + bytes(MIB + more))
    assert (done.verdict, done.fault) == (("refused", "A17") if more else ("good", ""))


@pytest.mark.parametrize(("version", "flags", "good"), [(20, 0x8000, True), (20, 0x9000, False), (29, 0x8000, False)])
def test_A17_only_what_is_older_than_the_end_block_may_lack_it(
    tmp_path: Path, version: int, flags: int, good: bool
) -> None:
    """rar has written it since version 3, which needs 2.9 to be unpacked, or notes times more exactly (0x1000)."""
    body = RAR4 + block4(0x73, 0, bytes(6)) + file4(b"a.png", PNG, flags=flags, version=version)
    done = judged(tmp_path / "given", body)
    assert (done.verdict, done.fault) == (("good", "") if good else ("refused", "A17"))
    assert judged(tmp_path / "given", body + block4(0x7B, 0, b"")).verdict == "good"


def test_A17_a_member_that_begins_elsewhere(tmp_path: Path) -> None:
    """The library would not list it at all, or take it for the rest of the one before."""
    done = judged(tmp_path / "given", rar5(file5("a.png", PNG, flags=8), file5("b.png", PNG)))
    assert (done.verdict, done.fault) == ("needed", "N27")
    refused(tmp_path, rar5(file5("a.png", PNG), file5("b.png", PNG, flags=8)), "A17", "does not begin where")
    refused(tmp_path, rar5(file5("a.png", PNG, flags=16), file5("b.png", PNG)), "A17", "does not begin where")


def test_N27_a_rar4_that_says_nothing_of_volumes_is_no_part_of_a_set(tmp_path: Path) -> None:
    done = judged(tmp_path / "given", RAR4 + file4(b"a.png", PNG) + block4(0x7B, 0, b""))
    assert done.fault != "N27"


def test_a_rar4_of_more_than_four_gibibytes_is_stepped_over(tmp_path: Path) -> None:
    """The high half of the packed length stands behind the low one; the end of the archive is looked for behind it."""
    head = struct.pack("<LLBLLBBHLLL", len(PNG), len(PNG), 3, zlib.crc32(PNG), 0x21 << 16, 20, 0x30, 5, 0o100644, 1, 1)
    data = RAR4 + block4(0x73, 0, bytes(6)) + block4(0x74, 0x8100, head + b"a.png") + PNG + block4(0x7B, 0, b"")
    refused(tmp_path, data, "A17", "the end of the rar is missing")


@pytest.mark.parametrize("high", [0, 1, 3])
def test_the_end_of_a_rar4_stands_behind_members_of_any_length(high: int) -> None:
    packed = (high << 32) + 77
    head = struct.pack("<LLBLLBBHLLL", 77, 0, 3, 0, 0x21 << 16, 20, 0x30, 5, 0o100644, high, 0)
    begin = RAR4 + block4(0x73, 0, bytes(6)) + block4(0x74, 0x8100, head + b"a.png")
    end, length = block4(0x7B, 0, b""), len(begin) + packed

    def pread(count: int, at: int) -> bytes:
        return begin[at : at + count] if at < length else end[at - length : at - length + count]

    found = rar_blocks.walk(Piece(length + len(end), pread))
    assert (found.number, found.more, found.known) == (0, False, True)


def test_A20_a_rar4_with_hidden_headers_needs_a_password(tmp_path: Path) -> None:
    done = judged(tmp_path / "given", RAR4 + block4(0x73, 0x80, bytes(6)) + bytes(64))
    assert (done.verdict, done.fault) == ("needed", "A20")


SALT = bytes(range(16))


def secret5(name: str, data: bytes, **more: Any) -> bytes:
    """A member that says it is encrypted; the program below writes what stands there."""
    record = vint(1) + vint(0) + vint(0) + bytes([4]) + SALT + bytes(16)
    return file5(name, data, extra=vint(len(record)) + record, **more)


@pytest.fixture
def unrar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose only program writes the bytes of the file that is returned."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script(folder, "unrar", f'if [ $# = 0 ]; then echo "UNRAR 7.00"; exit 0; fi; exec /bin/cat {tmp_path / "true"}')
    monkeypatch.setenv("PATH", str(folder))
    return tmp_path / "true"


@pytest.mark.parametrize("check", [True, False])
def test_A20_a_rar_with_hidden_headers(tmp_path: Path, unrar: Path, check: bool) -> None:
    files = {"a.png": PNG, "set/b.png": PNG * 2}
    blocks = (block5(1, 0, vint(0)), *(secret5(name, data) for name, data in files.items()), block5(5, 0, vint(0)))
    data = rar5_hidden(*blocks, password=SECRET, check=check)
    unrar.write_bytes(b"".join(files.values()))
    assert judged(tmp_path / "given", data, SECRET).members == hashes(files)
    for password, said in (("", "needs a password"), ("other", "wrong, or the archive is damaged")):
        done = judged(tmp_path / "given", data, password)
        assert (done.verdict, done.fault, said in done.reason) == ("needed", "A20", True)


def test_A20_no_wrong_password_makes_an_empty_archive(tmp_path: Path) -> None:
    """Without a check of the password headers come out as noise, which may look like the end of the list."""
    blocks = block5(1, 0, vint(0)), secret5("a.png", PNG), block5(5, 0, vint(0))
    (tmp_path / "given").write_bytes(rar5_hidden(*blocks, password=SECRET, check=False))
    assert {read_here(tmp_path / "given", f"other {number}").fault for number in range(60)} == {"A20"}


@pytest.mark.parametrize("lent", [False, True], ids=["its own cipher", "one that is lent"])
def test_A20_hidden_headers_over_two_volumes(
    tmp_path: Path, unrar: Path, monkeypatch: pytest.MonkeyPatch, lent: bool
) -> None:
    """The set is read again from its first volume once the password is given."""
    import rarfile

    if lent:
        monkeypatch.setattr(rarfile, "_have_crypto", 0)
        monkeypatch.delattr(rarfile, "AES", raising=False)
        monkeypatch.setattr(rarfile, "AES", None, raising=False)
    unrar.write_bytes(PNG)
    half = len(PNG) // 2
    main = [block5(1, 0, vint(1)), block5(1, 0, vint(3) + vint(1))]
    first = secret5("a.png", PNG[:half], flags=16, size=len(PNG), crc=zlib.crc32(PNG[:half]))
    last = secret5("a.png", PNG[half:], flags=8, size=len(PNG), crc=zlib.crc32(PNG))
    paths = [tmp_path / "s.part1.rar", tmp_path / "s.part2.rar"]
    for number, content in enumerate((first, last)):
        end = block5(5, 0, vint(1 - number))
        paths[number].write_bytes(rar5_hidden(main[number], content, end, password=SECRET))
    found = volume_set(paths[1])
    assert found is not None
    assert read_here(paths[1], SECRET, found).members == hashes({"a.png": PNG})
    assert read_here(paths[1], "other", found).fault == "A20"


def test_N27_a_set_without_its_first_volume(tmp_path: Path) -> None:
    """Two volumes that follow each other are given for the whole set."""
    paths = rar_parts(tmp_path / "given", PNG * 9, NAMES["new"])[1:]
    done = read_here(paths[0], "", declared_set(NAMES["new"][:2], paths))
    assert (done.verdict, done.fault) == ("needed", "N27")
    assert "first part is missing" in done.reason


def old_volumes(folder: Path) -> list[Path]:
    """A rar4 over two volumes, named and numbered as before version 3."""
    half = len(PNG) // 2
    volumes = []
    for number, (flags, part) in enumerate(((0x8002, PNG[:half]), (0x8001, PNG[half:]))):
        crc = zlib.crc32(part if number == 0 else PNG)
        content = file4(b"a.png", part, flags=flags, size=len(PNG), crc=crc)
        main = block4(0x73, 0x1 | (0x100 if number == 0 else 0), bytes(6))
        volumes.append(RAR4 + main + content + block4(0x7B, 1 - number, b""))
    paths = [folder / "s.rar", folder / "s.r00"]
    for path, data in zip(paths, volumes, strict=True):
        path.write_bytes(data)
    return paths


def test_what_a_volume_of_a_rar4_says_of_itself(tmp_path: Path) -> None:
    """Old ones tell the first one from the others by their names alone; one with encrypted headers tells nothing."""
    first, last = (path.read_bytes() for path in old_volumes(tmp_path))
    assert rar_blocks.walk(memory(first)) == rar_blocks.Volume(0, more=True)
    assert rar_blocks.walk(memory(last)) == rar_blocks.Volume(0, more=False)
    new = RAR4 + block4(0x73, 0x11, bytes(6)) + file4(b"a.png", PNG) + block4(0x7B, 1, b"")
    assert rar_blocks.walk(memory(new)) == rar_blocks.Volume(1, more=True)
    hidden = RAR4 + block4(0x73, 0x81, bytes(6)) + bytes(100)
    assert rar_blocks.walk(memory(hidden)) == rar_blocks.Volume(known=False)


def test_N27_what_a_volume_of_a_rar5_says_of_itself() -> None:
    for number, more in ((0, True), (1, True), (2, False)):
        volume = rar5(file5("a.png", PNG), volume=number, more=more)
        assert rar_blocks.walk(memory(volume)) == rar_blocks.Volume(number, more)


def test_old_volumes_find_each_other(tmp_path: Path) -> None:
    paths = old_volumes(tmp_path)
    found = volume_set(paths[1])
    assert found is not None
    assert (found.paths, found.names) == (tuple(paths), ("set.rar", "set.r00"))
    assert read_here(paths[1], "", found).members == hashes({"a.png": PNG})


# ---------------------------------------------------------------------------------------------------------------------
# Volumes, and where bytes are
# ---------------------------------------------------------------------------------------------------------------------


def declared(*names: str) -> tuple[str, str, tuple[str, ...]]:
    paths = [Path(f"/nowhere/{number}") for number in range(len(names))]
    found = declared_set(names, paths)
    assert found.paths == tuple(paths)
    return found.name, found.shape, found.names


def test_volumes_that_a_manifest_declares() -> None:
    assert declared("a.z01", "a.z02", "a.zip") == ("a.zip", DISKS, ("set.z01", "set.z02", "set.zip"))
    assert declared("a.zip.001", "a.zip.002") == ("a.zip", JOINED, ("set.zip.001", "set.zip.002"))
    assert declared("a.bin.001", "a.bin.002") == ("a.bin", JOINED, ("set.001", "set.002"))
    assert declared("one", "two") == ("one", JOINED, ("set.001", "set.002")), "no scheme: cut into pieces"
    assert declared("one", "a.zip") == ("one", JOINED, ("set.001", "set.002"))
    assert declared("a.zip", "b.zip") == ("a.zip", JOINED, ("set.zip.001", "set.zip.002"))


@pytest.mark.parametrize("names", [("s.part1.rar", "s.part2.rar"), ("s.rar", "s.r00")])
def test_parts_of_a_rar_that_a_manifest_declares(tmp_path: Path, names: tuple[str, str]) -> None:
    """Under which names they find each other, the first one's header says."""
    paths = old_volumes(tmp_path)
    assert declared_set(names, paths).names == ("set.rar", "set.r00")
    for path in rar_parts(tmp_path / "new", PNG * 9, ["1", "2"]):
        assert declared_set(names, [path, path]).names == ("set.part00001.rar", "set.part00002.rar")


def test_what_is_no_volume(tmp_path: Path) -> None:
    assert volume_set(tmp_path) is None
    assert volume_set(tmp_path / "missing.zip.001") is None
    (tmp_path / "a.rar").write_bytes(rar5(file5("a.png", PNG)))
    assert volume_set(tmp_path / "a.rar") is None, "a rar by itself"
    for head in (b"Rar!", RAR5 + bytes(4) + b"\3\1\0", RAR5 + bytes(4) + b"\5\2\0\1\1\1\1"):
        (tmp_path / "b.rar").write_bytes(head)
        assert volume_set(tmp_path / "b.rar") is None, "cut short, or begun with another header"


@pytest.mark.parametrize("is_volume", [True, False])
@pytest.mark.parametrize("record", [b"", b"\x02\x09x", b"\x03\x09xy"], ids=["no extra area", "even", "odd"])
def test_what_the_main_header_of_a_rar5_says_of_volumes(tmp_path: Path, is_volume: bool, record: bytes) -> None:
    """Before its own flags the length of its extra area may stand, which itself stands behind them."""
    end = block5(5, 0, vint(0))
    data = RAR5 + block5(1, 0, vint(int(is_volume)), extra=record) + file5("a.png", PNG) + end
    (tmp_path / "s.part1.rar").write_bytes(data)
    found = volume_set(tmp_path / "s.part1.rar")
    assert (found is not None) == is_volume


def test_volumes_in_capitals_find_each_other(tmp_path: Path) -> None:
    disks = disks_of(MEMBERS[0], MEMBERS[1])
    rars = [path.read_bytes() for path in old_volumes(tmp_path)]
    parts = [path.read_bytes() for path in rar_parts(tmp_path / "new", PNG * 9, ["1", "2"])]
    whole = zipped(Zipped(b"a.png"))
    for names, volumes in (
        (("S.Z01", "S.ZIP"), disks),
        (("S.RAR", "S.R00"), rars),
        (("S.PART1.RAR", "S.PART2.RAR"), parts),
        (("S.ZIP.001", "S.ZIP.002"), [whole[:50], whole[50:]]),
    ):
        folder = tmp_path / names[0].replace(".", "-")
        folder.mkdir()
        for name, data in zip(names, volumes, strict=True):
            (folder / name).write_bytes(data)
        for name in names:
            found = volume_set(folder / name)
            assert found is not None
            assert [path.name for path in found.paths] == list(names)


def test_a_directory_that_begins_on_an_earlier_disk_is_no_end(tmp_path: Path) -> None:
    """Which disk is the last one, the end says of itself."""
    first, last = disks_of(MEMBERS[0], MEMBERS[1], start=0)
    for name, data in (("s.z01", first), ("s.zip", last)):
        (tmp_path / name).write_bytes(data)
    found = volume_set(tmp_path / "s.zip")
    assert found is not None
    assert found.shape == DISKS


def test_a_zip_whose_disk_stands_in_its_zip64_end_was_not_split(tmp_path: Path) -> None:
    """0xFFFF is no number of a disk there, but says that the other end has it (APPNOTE 4.4.19)."""
    (whole,) = disks_of(MEMBERS[0], wide=True)
    (tmp_path / "s.zip").write_bytes(whole)
    assert volume_set(tmp_path / "s.zip") is None


def test_an_archive_among_numbered_ones_is_its_own(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"set.v.{number:03}").write_bytes(zipped(Zipped(b"%d.png" % number)))
    assert volume_set(tmp_path / "set.v.002") is None
    found = volume_set(tmp_path / "set.v.001")
    assert found is not None
    assert len(found.paths) == 2, "of the first one nobody can tell"


def test_N27_more_volumes_than_anybody_has(tmp_path: Path) -> None:
    for number in ("001", "1001"):
        (tmp_path / f"a.zip.{number}").write_bytes(zipped(Zipped(b"a.png")))
    with pytest.raises(PersonNeeded) as caught:
        volume_set(tmp_path / "a.zip.001")
    assert (caught.value.fault, "more than 1000 volumes" in caught.value.message) == ("N27", True)


def test_a_single_rar_is_no_set_whose_volumes_could_differ(tmp_path: Path) -> None:
    paths = rar_parts(tmp_path / "given", PNG * 9, ["s.part1.rar"])
    alone = declared_set(["s.part1.rar"], paths)
    assert misfits.verdict(alone, "s.rar", "cut off", "A17") is None
    assert misfits.verdict(replace(alone, shape=JOINED), "s.rar", "cut off", "A17") is not None


def test_a_volume_that_shrinks_gives_what_is_left(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / str(number)).write_bytes(PNG)
    with (tmp_path / "0").open("rb") as one, (tmp_path / "1").open("rb") as two:
        source = Source(Opened((one.fileno(), two.fileno())))
        os.truncate(tmp_path / "1", 5)
        assert source.pread(2 * len(PNG), 0) == PNG + PNG[:5]
        stream = source.open()
        with pytest.raises(OSError, match="before the beginning"):
            stream.seek(-1)
        assert stream.seek(-len(PNG), os.SEEK_END) == len(PNG)
        assert stream.read() == PNG[:5]


# ---------------------------------------------------------------------------------------------------------------------
# Other programs
# ---------------------------------------------------------------------------------------------------------------------


def script(folder: Path, name: str, body: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("body", ["exit 0", "sleep 60", None], ids=["says nothing", "does not end", "cannot be run"])
def test_A29_a_program_that_does_not_say_its_version_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str | None
) -> None:
    monkeypatch.setattr(tools, "IDLE_SECONDS", 0.2)
    path = script(tmp_path, "7z", body) if body else str(tmp_path)
    with pytest.raises(Needed) as caught:
        tools.require(Opened((), tools={"7z": path}), ["7z"], "it")
    assert caught.value.fault == "A29"


@pytest.mark.parametrize(
    ("name", "said", "new"),
    [
        ("unrar", "UNRAR 4.20", False),
        ("unrar", "UNRAR 5.00", True),
        ("7z", "7-Zip 15.14", False),
        ("7z", "7-Zip 16.02", True),
    ],
)
def test_A29_programs_that_are_too_old(tmp_path: Path, name: str, said: str, new: bool) -> None:
    """unrar knows both kinds of rar since version 5; 16.02 is the last p7zip, which many systems have."""
    assert tools._recent(Opened((), tools={name: script(tmp_path, name, f"echo {said}")}), name) is new


def carried(
    tmp_path: Path, body: str, *, secret: bool = False, wanted: int = 0, password: str = SECRET
) -> dict[int, bytes]:
    """Two members of which one is wanted, by a program that does as `body` says."""
    (tmp_path / "given").write_bytes(b"anything")
    items = [tools.Item(Member(number, f"{number}.png", len(PNG)), zlib.crc32(PNG)) for number in range(2)]
    found: dict[int, bytes] = {}
    (tmp_path / "true").write_bytes(PNG)
    body = body.replace("PNG", str(tmp_path / "true"))
    with (tmp_path / "given").open("rb") as stream:
        opened = Opened((stream.fileno(),), password=password, tools={"7z": script(tmp_path, "7z", body)})
        tools.stream(
            opened,
            ["7z"],
            items,
            {wanted},
            lambda m, chunks: found.__setitem__(m.number, b"".join(chunks)),
            secret=secret,
        )
    return found


def test_a_program_is_read_no_further_than_is_wanted(tmp_path: Path) -> None:
    assert carried(tmp_path, "cat PNG; sleep 60") == {0: PNG}
    assert carried(tmp_path, "cat PNG PNG", wanted=1) == {1: PNG}


def test_A20_a_program_that_writes_other_bytes_had_another_password(tmp_path: Path) -> None:
    """Whether it read it or not; more than a pipe holds is not even taken by one that ends at once."""
    for body, password in (
        ("head -c 776 /dev/zero", SECRET),
        ("read word; head -c 776 /dev/zero", SECRET),
        ("true", "x" * 200_000),
    ):
        with pytest.raises(Needed) as caught:
            carried(tmp_path, body, secret=True, password=password)
        assert caught.value.fault == "A20"


def test_S09_A16_A20_a_program_that_ends_badly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "IDLE_SECONDS", 0.5)
    with pytest.raises(Refusal) as hangs:
        carried(tmp_path, "cat PNG PNG; exec >&-; sleep 60", wanted=1)
    assert (hangs.value.fault, "does not end" in hangs.value.reason) == ("S09", True)
    with pytest.raises(Refusal) as fails:
        carried(tmp_path, "cat PNG PNG; exit 2", wanted=1)
    assert (fails.value.fault, "exit status 2" in fails.value.reason) == ("A16", True)
    with pytest.raises(Needed) as doubted:
        carried(tmp_path, "cat PNG PNG; exit 2", wanted=1, secret=True)
    assert doubted.value.fault == "A20"


def test_S09_a_rar_program_that_hangs_is_no_missing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is neither damage nor a password stays what it is, whichever programs are here."""
    (tmp_path / "bin").mkdir()
    script(tmp_path / "bin", "7z", 'if [ $# = 0 ]; then echo "7-Zip [64] 26.02"; exit 0; fi; exec /bin/sleep 60')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(tools, "IDLE_SECONDS", 0.5)
    refused(tmp_path, rar5(file5("a.png", PNG, method=3)), "S09", "has said nothing")


@pytest.mark.parametrize(("code", "tied"), [(0, True), (-1, False), (None, True)], ids=["tied", "refused", "unknown"])
def test_S09_what_a_program_is_confined_to(monkeypatch: pytest.MonkeyPatch, code: int | None, tied: bool) -> None:
    """No file may grow, and it dies with the worker, where the system can do that."""
    limits, asked = [], []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, bounds: limits.append((kind, bounds)))

    def prctl(*words: int) -> int | None:
        asked.append(words)
        return code

    library = SimpleNamespace() if code is None else SimpleNamespace(prctl=prctl)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    confine = tools._confinement()
    if tied:
        confine()
    else:
        with pytest.raises(OSError, match="tied to the life"):
            confine()
    assert limits == [(resource.RLIMIT_FSIZE, (0, 0))]
    assert asked == ([] if code is None else [(1, signal.SIGKILL)]), "PR_SET_PDEATHSIG"
