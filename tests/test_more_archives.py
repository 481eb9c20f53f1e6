"""7z, rar, tar.zst, split sets, encrypted members, and the other programs that unpack what Python cannot."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import stat
import struct
import subprocess
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from archive_writers import (
    PNG,
    UTF8,
    Zipped,
    file5,
    forged,
    rar4,
    rar5,
    seven,
    seven_header,
    seven_of_kind,
    tarred,
    with_seven_header,
    zipped,
    zstd,
)  # fmt: skip
from conftest import Command
from test_agiqa3k_import import snapshot
from test_archives import World, by_library, image_bytes

from aigiqa_cli.archives import Order, detect_format, open_archive, tools, volume_set
from aigiqa_cli.archives.contract import Chunks, Member, Needed, Refusal
from aigiqa_cli.archives.source import Opened
from aigiqa_cli.errors import Fault, IntegrityFault, PersonNeeded, RefusedInput

SECRET = "geheim 3141"
SEVEN = next((name for name in ("7zz", "7z") if shutil.which(name)), "")
needs_seven = pytest.mark.skipif(not SEVEN, reason="7-Zip is not on this machine (package 7zip or p7zip-full)")
needs_unar = pytest.mark.skipif(not shutil.which("unar"), reason="unar is not on this machine (package unar)")
needs_zip = pytest.mark.skipif(not shutil.which("zip"), reason="zip is not on this machine (package zip)")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


@pytest.fixture
def pictures() -> dict[str, bytes]:
    """Four that do not shrink, one that does, one that is empty."""
    chance = random.Random(5)
    files = {f"set/images/{n:03}.png": chance.randbytes(40_000 + n) for n in range(4)}
    return files | {"set/text.csv": chance.randbytes(30_000).hex().encode(), "set/empty.png": b""}


def unpack(world: World, path: Path, password: str = "", *, here: bool = True) -> dict[str, bytes]:
    """Every member of an archive at `path`, as an install unpacks it. `here`: and as it is read in this process."""
    for old in (world.target / "out").iterdir():
        old.unlink()
    world.before = world.state()
    alike = world.read_alike(path, password) if here else contextlib.nullcontext()
    with alike, open_archive(path, world.target, password=password) as archive:
        orders = [Order(member, f"out/{member.number}") for member in archive.members]
        done = {written.member.name: written for written in archive.unpack(orders)}
        assert len(done) == len(orders)
        world.told = {name: (written.bytes, written.sha256) for name, written in done.items()}
    world.untouched()
    return world.content(done)


def fault_of(world: World, path: Path, kind: type[Fault], password: str = "") -> Fault:
    with pytest.raises(kind) as caught:
        unpack(world, path, password)
    world.untouched()
    assert SECRET not in caught.value.message + caught.value.hint
    return caught.value


def written_by(program: Sequence[str], folder: Path, files: dict[str, bytes]) -> Path:
    """Run an archiver in `folder` over `files`; the folder holds nothing but its archive afterwards."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    subprocess.run([*program, "set"], cwd=folder, check=True, capture_output=True, timeout=60)
    shutil.rmtree(folder / "set")
    return folder


def by_seven(base: Path, name: str, files: dict[str, bytes], *options: str) -> Path:
    folder = base / "made"
    folder.mkdir(exist_ok=True)
    written_by([SEVEN, "a", *options, name], folder, files)
    return folder / name


@pytest.fixture
def without_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any other program; returns the one folder of its PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


# ---------------------------------------------------------------------------------------------------------------------
# 7z
# ---------------------------------------------------------------------------------------------------------------------


def test_good_7z(world: World, pictures: dict[str, bytes]) -> None:
    assert world.content(world.unpack(seven(pictures))) == pictures


def test_good_7z_without_any_program(world: World, pictures: dict[str, bytes], without_programs: Path) -> None:
    assert world.content(world.unpack(seven(pictures))) == pictures


def test_7z_only_wanted_members_are_written_and_again(world: World, pictures: dict[str, bytes]) -> None:
    world.archive.write_bytes(seven(pictures))
    with open_archive(world.archive, world.target) as archive:
        by_name = {member.name: member for member in archive.members}
        for number, name in enumerate(("set/images/002.png", "set/empty.png", "set/images/000.png")):
            (done,) = archive.unpack([Order(by_name[name], f"out/{number}")])
            assert (world.target / done.to).read_bytes() == pictures[name]


@needs_seven
@pytest.mark.parametrize("options", [("-ms=off",), ("-m0=PPMd",), ("-m0=BZip2",), ("-m0=BCJ2", "-m1=LZMA"), ("-mx=0",)])
def test_good_7z_of_7zip(world: World, tmp_path: Path, pictures: dict[str, bytes], options: tuple[str, ...]) -> None:
    assert unpack(world, by_seven(tmp_path, "a.7z", pictures, *options)) == pictures


@needs_seven
def test_A21_7z_with_a_rare_method_names_the_package(
    world: World, tmp_path: Path, pictures: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = by_seven(tmp_path, "a.7z", pictures, "-m0=BCJ2", "-m1=LZMA")
    monkeypatch.setenv("PATH", str(tmp_path))
    fault = fault_of(world, path, PersonNeeded)
    assert fault.fault == "A29"
    assert "7zip" in fault.hint


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.999])
def test_A17_7z_cut_anywhere(world: World, pictures: dict[str, bytes], keep: float) -> None:
    good = seven(pictures)
    world.refuses(good[: int(len(good) * keep)], "A17")


def test_A16_7z_with_a_flipped_byte(world: World, pictures: dict[str, bytes]) -> None:
    good = bytearray(seven(pictures))
    good[5000] ^= 1
    world.refuses(bytes(good), "A16")


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        ("../x/a.png", "A01"),
        ("/abs/a.png", "A02"),
        ("C:/xx/a.png", "A03"),
        ("ab\\..\\.png", "A01 A03"),
        ("con.a/a.png", "S15"),
    ],
)
def test_A01_A02_A03_unsafe_names_in_7z(world: World, name: str, faults: str) -> None:
    honest = "q" * len(name)
    data = seven({honest: PNG}, plain_header=True)
    world.refuses(forged(data, honest.encode("utf-16-le"), name.encode("utf-16-le")), *faults.split())


def test_A15_twins_in_7z(world: World) -> None:
    data = seven({"a.png": PNG, "b.png": PNG}, plain_header=True)
    world.refuses(forged(data, "b.png".encode("utf-16-le"), "A.png".encode("utf-16-le")), "A15")


@pytest.mark.parametrize(
    ("kind", "fault"), [(stat.S_IFLNK, "A05"), (stat.S_IFIFO, "A07"), (stat.S_IFCHR, "A07"), (stat.S_IFSOCK, "A07")]
)
def test_A05_A07_links_and_devices_in_7z(world: World, kind: int, fault: str) -> None:
    world.refuses(seven_of_kind(kind), fault)


def test_A09_7z_bomb(world: World) -> None:
    honest = seven({"a.png": bytes(1000)}, plain_header=True)
    sizes = b"\x0c\x83\xe8\x83\xe8"  # unpack sizes of both coders: 1000
    lie = b"\x0c" + b"\xf0\x00\x00\x00\x80" * 2  # 2 GiB
    world.refuses(forged(honest, sizes, lie), "A09")
    small_lie = b"\x0c" + b"\xe0\x00\x00\x80" * 2  # 8 MiB: allowed to be claimed, but not there
    world.refuses(forged(honest, sizes, small_lie), "A16", "A12")


@pytest.mark.parametrize("hidden", [False, True])
def test_A20_encrypted_7z(world: World, pictures: dict[str, bytes], hidden: bool) -> None:
    world.archive.write_bytes(seven(pictures, SECRET, hidden=hidden))
    assert unpack(world, world.archive, SECRET) == pictures
    assert "needs a password" in fault_of(world, world.archive, PersonNeeded).message
    wrong = fault_of(world, world.archive, PersonNeeded, "wrong")
    assert wrong.fault == "A20"
    assert "wrong" in wrong.message


def test_A20_encrypted_7z_without_any_program(world: World, pictures: dict[str, bytes], without_programs: Path) -> None:
    small = {name: data[:5000] for name, data in pictures.items()}
    world.archive.write_bytes(seven(small, SECRET, hidden=True))
    assert unpack(world, world.archive, SECRET) == small
    assert fault_of(world, world.archive, PersonNeeded, "wrong").fault == "A20"


def test_A28_7z_fuzz(world: World) -> None:
    """Any one byte of the header changed, checksums right: refused or unpacked, never a crash."""
    data = seven({"a.png": PNG, "b/c.png": PNG[:50]}, plain_header=True)
    chance = random.Random(28)
    for _ in range(25):
        header = bytearray(seven_header(data))
        header[chance.randrange(len(header))] = chance.randrange(256)
        for old in (world.target / "out").iterdir():
            old.unlink()
        with contextlib.suppress(RefusedInput, PersonNeeded):
            world.unpack(with_seven_header(data, bytes(header)))
        world.untouched()


# ---------------------------------------------------------------------------------------------------------------------
# rar: no library writes it
# ---------------------------------------------------------------------------------------------------------------------


def test_good_stored_rar5_without_any_program(world: World, pictures: dict[str, bytes], without_programs: Path) -> None:
    files = pictures | {"set/图/一.png": PNG}
    assert world.content(world.unpack(rar5(*(file5(name, data) for name, data in files.items())))) == files


def test_good_stored_rar4(world: World) -> None:
    done = world.unpack(rar4({b"set/a.png": PNG, "set/图像集.png".encode("gbk"): PNG[:9], b"set\\b.png": b"x"}))
    assert world.content(done) == {"set/a.png": PNG, "set/图像集.png": PNG[:9], "set/b.png": b"x"}


@needs_unar
def test_rar_members_are_found_in_what_a_program_writes(world: World, pictures: dict[str, bytes]) -> None:
    """unar writes the stored members of this archive; they are held against lengths and checksums."""
    world.archive.write_bytes(rar5(*(file5(name, data) for name, data in pictures.items())))
    items = [
        tools.Item(Member(number, name, len(data)), zlib.crc32(data))
        for number, (name, data) in enumerate(pictures.items())
    ]
    seen = carried_out(world.archive, {"unar": shutil.which("unar") or ""}, items, {1, 4, 5})
    assert seen == {n: list(pictures.values())[n] for n in (1, 4, 5)}


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        (file5("../x.png", PNG), "A01"),
        (file5("/x.png", PNG), "A02"),
        (file5("a\\..\\x.png", PNG), "A01 A03"),
        (file5("C:/x.png", PNG), "A03"),
        (file5("a\x1b.png", PNG), "A04"),
        (file5("a.png", b"", mode=0o120777, redirect=(1, "/etc/passwd")), "A05"),
        (file5("a.png", b"", redirect=(2, "..\\x")), "A05"),
        (file5("a.png", b"", redirect=(3, "..\\x")), "A05"),
        (file5("good.png", PNG) + file5("a.png", b"", redirect=(4, "good.png")), "A06"),
        (file5("good.png", PNG) + file5("a.png", b"", redirect=(5, "good.png")), "A06"),
        (file5("a.png", b"", mode=0o010644), "A07"),
        (file5("a.png", b"/etc/passwd", mode=0o120777), "A05 A07"),
        (file5("a.png", PNG) + file5("A.png", PNG), "A15"),
        (file5("a.png", PNG, crc=1), "A16"),
        (file5("a.png", PNG, size=len(PNG) + 5), "A12 A16"),
        (file5("a.png", PNG, size=5), "A12 A16"),
    ],
)
def test_hostile_rar5(world: World, files: bytes, fault: str) -> None:
    world.refuses(rar5(files), *fault.split())


def test_A05_symlink_in_rar4(world: World) -> None:
    world.refuses(rar4({b"a.png": b"/etc/passwd"}, mode=0o120777), "A05", "A07")


@pytest.mark.parametrize(
    "make",
    [lambda f: rar5(*(file5(n, d) for n, d in f.items())), lambda f: rar4({n.encode(): d for n, d in f.items()})],
)
def test_A17_rar_cut_anywhere(world: World, make: Callable[[dict[str, bytes]], bytes]) -> None:
    good = make({"a.png": PNG * 20, "b.png": PNG * 20})
    for keep in (9, 30, 60, len(good) // 2, len(good) * 3 // 4):
        done = [world.refuses(good[:keep], "A16", "A17", "A12")]
        assert done
        for old in (world.target / "out").iterdir():
            old.unlink()


def test_A29_packed_rar_without_a_program_names_the_package(world: World, without_programs: Path) -> None:
    world.archive.write_bytes(rar5(file5("a.png", PNG, method=3)))
    fault = fault_of(world, world.archive, PersonNeeded)
    assert fault.fault == "A29"
    assert "unar" in fault.hint


@needs_unar
def test_A16_rar_whose_packed_data_is_nonsense(world: World) -> None:
    world.refuses(rar5(file5("a.png", PNG, method=3)), "A16", "A12")


# ---------------------------------------------------------------------------------------------------------------------
# tar.zst
# ---------------------------------------------------------------------------------------------------------------------


def test_good_tar_zst(world: World) -> None:
    packed = zstd(tarred(b"set/a.png", b"set/b.png"))
    assert detect_format(packed) == "tar"
    assert world.content(world.unpack(packed)) == {"set/a.png": PNG, "set/b.png": PNG}


def test_A17_A31_tar_zst_cut_or_with_more_behind(world: World) -> None:
    good = zstd(tarred(b"a.png"))
    for keep in (10, len(good) // 2, len(good) - 1):
        world.refuses(good[:keep], "A16", "A17")
    world.refuses(good + b"garbage" * 9, "A17", "A31")
    world.refuses(zstd(tarred(b"a.png") + tarred(b"hidden.png")), "A17", "A31")


def test_A31_zstd_window_of_a_gigabyte(world: World) -> None:
    frame = bytearray(zstd(tarred(b"a.png") * 3, content_size_flag=0, window_log=17))
    frame[5] = (30 - 10) << 3  # the window: 1 GiB
    world.refuses(bytes(frame), "A16", "A17", "A31")


# ---------------------------------------------------------------------------------------------------------------------
# Other programs
# ---------------------------------------------------------------------------------------------------------------------


def deflated64(files: dict[str, bytes], name: Callable[[str], bytes] = str.encode) -> bytes:
    """A zip with the method of Windows Explorer's large members."""
    inflate64 = pytest.importorskip("inflate64")

    class Member64(Zipped):
        def packed(self) -> bytes:
            deflater = inflate64.Deflater()
            return bytes(deflater.deflate(self.data) + deflater.flush())

    return zipped(*(Member64(name(key), data, method=9) for key, data in files.items()))


@needs_seven
@pytest.mark.parametrize("method", ["Deflate64", "PPMd", "xz", "zstd"])
def test_zip_methods_that_python_does_not_know(
    world: World, tmp_path: Path, pictures: dict[str, bytes], method: str
) -> None:
    try:
        path = by_seven(tmp_path, "a.zip", pictures, f"-mm={method}")
    except subprocess.CalledProcessError:
        pytest.skip(f"this 7-Zip does not write {method}")
    assert unpack(world, path) == pictures


@pytest.mark.parametrize("program", ["7z", "unar"])
def test_deflate64_by_one_program_alone(
    world: World, pictures: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str
) -> None:
    where = shutil.which(program)
    if not where:
        pytest.skip(f"{program} is not on this machine")
    data = deflated64({name: data for name, data in pictures.items() if data})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / program).symlink_to(where)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert world.content(world.unpack(data)) == {name: data for name, data in pictures.items() if data}


@needs_seven
def test_names_are_ours_not_those_of_a_program(world: World) -> None:
    files = {"图片/一.png": PNG * 9, "图片/二.png": PNG * 7}
    assert world.content(world.unpack(deflated64(files, lambda name: name.encode("gbk")))) == files


@needs_seven
def test_directory_in_another_order_than_the_data(world: World) -> None:
    """Programs may go by the directory or by the data: where they differ from us, checksums stop it or all is well."""
    first, second = Zipped(b"a.png", PNG * 3), Zipped(b"b.png", PNG * 5)
    data = deflated64({"a.png": PNG * 3, "b.png": PNG * 5})
    assert first.data != second.data
    end = data.rindex(b"PK\x05\x06")
    start = data.index(b"PK\x01\x02")
    entries = [b"PK\x01\x02" + part for part in data[start:end].split(b"PK\x01\x02")[1:]]
    swapped = data[:start] + b"".join(reversed(entries)) + data[end:]
    assert world.content(world.unpack(swapped)) == {"a.png": PNG * 3, "b.png": PNG * 5}


def test_A29_missing_program_names_the_package(world: World, without_programs: Path) -> None:
    world.archive.write_bytes(deflated64({"a.png": PNG}))
    fault = fault_of(world, world.archive, PersonNeeded)
    assert (fault.fault, int(fault.exit_code)) == ("A29", 3)
    assert "7zip" in fault.hint
    assert "Deflate64" in fault.message


FAKES = {
    "lies": (r"printf 'other bytes'", "A12 A16"),
    "says nothing": ("true", "A16"),
    "says too little": ("head -c 100 /dev/zero", "A12"),
    "says too much": ("cat $DATA; echo more", "A12"),
    "fails": ("exit 2", "A16"),
    "writes outside": ("echo pwned >> $OUTSIDE/pwned; cat $DATA", "A16"),
    "never ends a member": ("cat /dev/zero", "A16 A12"),
}


def fake(folder: Path, world: World, body: str, version: str = "26.02") -> None:
    data = world.base.parent / "true-data"
    data.write_bytes(PNG)
    body = body.replace("$DATA", str(data)).replace("$OUTSIDE", str(world.outside))
    path = folder / "7z"
    path.write_text(f'#!/bin/sh\nif [ $# = 0 ]; then echo "7-Zip [64] {version}"; exit 0; fi\n{body}\n')
    path.chmod(0o755)


@pytest.mark.parametrize("what", FAKES)
def test_A29_programs_that_lie(world: World, without_programs: Path, what: str) -> None:
    body, faults = FAKES[what]
    fake(without_programs, world, body)
    (world.outside / "pwned").touch()
    world.refuses(deflated64({"a.png": PNG}), *faults.split())
    assert not (world.outside / "pwned").read_bytes(), "a program may make no file grow"


def test_A29_old_program_is_as_good_as_none(world: World, without_programs: Path) -> None:
    fake(without_programs, world, "cat $DATA", version="9.20")
    world.archive.write_bytes(deflated64({"a.png": PNG}))
    assert fault_of(world, world.archive, PersonNeeded).fault == "A29"


def carried_out(
    path: Path, programs: dict[str, str], items: Sequence[tools.Item], wanted: set[int]
) -> dict[int, bytes]:
    seen: dict[int, bytes] = {}

    def consume(member: Member, chunks: Chunks) -> None:
        seen[member.number] = b"".join(chunks)

    descriptor = os.open(path, os.O_RDONLY)
    try:
        opened = Opened((descriptor,), tools=programs)
        tools.stream(opened, tools.require(opened, list(programs), "it"), items, wanted, consume, secret=False)
    finally:
        os.close(descriptor)
    return seen


def test_A29_program_that_hangs_is_ended(world: World, without_programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "IDLE_SECONDS", 1)
    fake(without_programs, world, "exec /bin/sleep 1000")
    world.archive.write_bytes(b"anything")
    begin = time.monotonic()
    with pytest.raises(Refusal) as caught:
        carried_out(world.archive, {"7z": str(without_programs / "7z")}, [tools.Item(Member(0, "a", 5), 0)], {0})
    assert caught.value.fault == "S09"
    assert time.monotonic() - begin < 30


def test_A29_what_one_program_gives_up_another_one_finishes(world: World, without_programs: Path) -> None:
    files = [b"first", b"second", b"third"]
    items = [tools.Item(Member(n, str(n), len(data)), zlib.crc32(data)) for n, data in enumerate(files)]
    fake(without_programs, world, "printf first; exit 2")
    fake_7z = without_programs / "7z"
    (without_programs / "7zz").write_text(
        fake_7z.read_text().replace("printf first; exit 2", "printf firstsecondthird")
    )
    (without_programs / "7zz").chmod(0o755)
    world.archive.write_bytes(b"anything")
    programs = {"7z": str(fake_7z), "7zz": str(without_programs / "7zz")}
    assert carried_out(world.archive, programs, items, {0, 1, 2}) == dict(enumerate(files))
    with pytest.raises(Needed):
        tools.require(Opened((0,)), ["7z"], "it")


# ---------------------------------------------------------------------------------------------------------------------
# Encrypted zips
# ---------------------------------------------------------------------------------------------------------------------


@needs_seven
@pytest.mark.parametrize("method", ["AES256", "AES128", "ZipCrypto"])
def test_A20_encrypted_zip(world: World, tmp_path: Path, pictures: dict[str, bytes], method: str) -> None:
    path = by_seven(tmp_path, "a.zip", pictures, f"-p{SECRET}", f"-mem={method}")
    assert unpack(world, path, SECRET) == pictures
    assert "needs a password" in fault_of(world, path, PersonNeeded).message
    wrong = fault_of(world, path, PersonNeeded, "wrong")
    assert (wrong.fault, int(wrong.exit_code)) == ("A20", 3)


@needs_seven
def test_A20_old_encryption_without_any_program(
    world: World, tmp_path: Path, pictures: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {name: data[:3000] for name, data in pictures.items()}
    path = by_seven(tmp_path, "a.zip", small, f"-p{SECRET}", "-mem=ZipCrypto")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert unpack(world, path, SECRET) == small
    assert fault_of(world, path, PersonNeeded, "wrong").fault == "A20"


@needs_seven
def test_K08_password_is_in_no_argument_and_no_environment(
    world: World, tmp_path: Path, without_programs: Path, pictures: dict[str, bytes]
) -> None:
    """Nor of the worker, nor of the program that it starts, which is asked what it sees."""
    true_seven = shutil.which(SEVEN, path="/usr/local/bin:/usr/bin:/bin")
    (without_programs / SEVEN).symlink_to(str(true_seven))
    path = by_seven(tmp_path, "a.zip", pictures, f"-p{SECRET}", "-mem=AES256")
    (without_programs / SEVEN).unlink()
    seen = tmp_path / "seen"
    os.mkfifo(seen)
    spy = without_programs / "7z"
    # A program may write no regular file: it tells through a pipe.
    spy.write_text(
        f"#!/bin/sh\n[ $# = 0 ] && exec {true_seven}\ncat /proc/$PPID/cmdline /proc/$PPID/environ /proc/$$/cmdline "
        f'/proc/$$/environ > {seen}\nexec {true_seven} "$@"\n'
    )
    spy.chmod(0o755)
    reader = subprocess.Popen(["/bin/cat", str(seen)], stdout=subprocess.PIPE)
    assert unpack(world, path, SECRET, here=False) == pictures
    told = reader.communicate(timeout=30)[0]
    assert b"aigiqa_cli.archives.worker" in told
    assert SECRET.encode() not in told


# ---------------------------------------------------------------------------------------------------------------------
# Split sets
# ---------------------------------------------------------------------------------------------------------------------


def cut(folder: Path, name: str, data: bytes, size: int = 20_000) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    for number, at in enumerate(range(0, len(data), size), 1):
        paths.append(folder / f"{name}.{number:03}")
        paths[-1].write_bytes(data[at : at + size])
    return paths


@pytest.mark.parametrize("form", ["zip", "7z", "tar.zst"])
@pytest.mark.parametrize("given", [0, 2, -1])
def test_set_that_was_merely_cut(
    world: World, tmp_path: Path, pictures: dict[str, bytes], form: str, given: int
) -> None:
    makers = {
        "zip": lambda: by_library(zipfile.ZIP_DEFLATED, pictures),
        "7z": lambda: seven(pictures),
        "tar.zst": lambda: zstd(tarred(*(name.encode() for name in pictures))),
    }
    data = makers[form]()
    expected = dict.fromkeys(pictures, PNG) if form == "tar.zst" else pictures
    paths = cut(tmp_path / "given", f"My set.{form}", data, len(data) // 6)
    before = snapshot(tmp_path / "given")
    assert unpack(world, paths[given]) == expected
    assert snapshot(tmp_path / "given") == before


@needs_zip
@pytest.mark.parametrize("given", ["s.zip", "s.z01", "s.z02"])
def test_zip_split_over_disks(world: World, tmp_path: Path, pictures: dict[str, bytes], given: str) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    written_by(["zip", "-q", "-r", "-s", "64k", "s.zip"], folder, pictures)
    assert len(list(folder.iterdir())) >= 3
    assert unpack(world, folder / given) == pictures


@needs_zip
@needs_seven
def test_encrypted_zip_split_over_disks(world: World, tmp_path: Path, pictures: dict[str, bytes]) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    written_by(["zip", "-q", "-r", "-e", "-P", SECRET, "-s", "64k", "s.zip"], folder, pictures)
    assert unpack(world, folder / "s.zip", SECRET) == pictures
    assert fault_of(world, folder / "s.zip", PersonNeeded, "wrong").fault == "A20"


def rar_parts(folder: Path, data: bytes, names: Sequence[str], name: str = "set/a.png") -> list[Path]:
    """One stored member over as many volumes as there are names."""
    folder.mkdir(exist_ok=True)
    step = -(-len(data) // len(names))
    paths = []
    for number, place in enumerate(names):
        part = data[number * step : (number + 1) * step]
        last = number == len(names) - 1
        flags = (0 if number == 0 else 8) | (0 if last else 16)
        crc = zlib.crc32(data) if last else zlib.crc32(part)
        content = file5(name, part, flags=flags, size=len(data), crc=crc)
        paths.append(folder / place)
        paths[-1].write_bytes(rar5(content, volume=number, more=not last))
    return paths


NAMES = {
    "new": ["My set.part1.rar", "My set.part2.rar", "My set.part3.rar"],
    "wide": ["s.part01.rar", "s.part02.rar", "s.part03.rar"],
    "old": ["s.rar", "s.r00", "s.r01"],
}


@pytest.mark.parametrize("how", NAMES)
@pytest.mark.parametrize("given", [0, 1, 2])
def test_rar_in_parts(world: World, tmp_path: Path, how: str, given: int) -> None:
    data = random.Random(9).randbytes(10_000)
    paths = rar_parts(tmp_path / "given", data, NAMES[how])
    assert unpack(world, paths[given]) == {"set/a.png": data}


def test_volumes_may_lie_in_several_folders_if_all_are_given(world: World, tmp_path: Path) -> None:
    paths = cut(tmp_path / "given", "s.zip", by_library(zipfile.ZIP_STORED, {"a.png": PNG * 40}), 9_000)
    (tmp_path / "other").mkdir()
    moved = paths[1].rename(tmp_path / "other" / paths[1].name)
    found = volume_set(paths[0], [moved])
    assert found is not None
    assert found.paths == (paths[0], moved, *paths[2:])
    with open_archive(paths[0], world.target, volumes=found) as archive:
        assert [member.name for member in archive.members] == ["a.png"]


def test_N27_missing_volume_is_named(world: World, tmp_path: Path, pictures: dict[str, bytes]) -> None:
    data = by_library(zipfile.ZIP_STORED, pictures)
    for missing in (1, 3):
        folder = tmp_path / f"missing-{missing}"
        paths = cut(folder, "s.zip", data)
        paths[missing - 1].unlink()
        fault = fault_of(world, paths[4], PersonNeeded)
        assert (fault.fault, int(fault.exit_code)) == ("N27", 3)
        assert f"s.zip.{missing:03}" in fault.message
    paths = cut(tmp_path / "last", "s.zip", data)
    paths[-1].unlink()
    fault = fault_of(world, paths[0], PersonNeeded)
    assert fault.fault == "N27"
    assert paths[-2].name in fault.message


@needs_zip
def test_N27_missing_disk_is_named(world: World, tmp_path: Path, pictures: dict[str, bytes]) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    written_by(["zip", "-q", "-r", "-s", "64k", "s.zip"], folder, pictures)
    (folder / "s.z02").rename(tmp_path / "aside")
    for given in ("s.zip", "s.z01"):
        assert "s.z02 is missing" in fault_of(world, folder / given, PersonNeeded).message
    (tmp_path / "aside").rename(folder / "s.z02")
    (folder / "s.zip").unlink()
    assert "s.zip is missing" in fault_of(world, folder / "s.z01", PersonNeeded).message


@pytest.mark.parametrize("how", NAMES)
def test_N27_missing_part_is_named(world: World, tmp_path: Path, how: str) -> None:
    for missing in (0, 1, 2):
        folder = tmp_path / f"missing-{missing}"
        paths = rar_parts(folder, PNG * 9, NAMES[how])
        paths[missing].unlink()
        fault = fault_of(world, paths[0 if missing else 1], PersonNeeded)
        assert fault.fault == "N27"
        assert (paths[missing].name if missing < 2 else "part of the rar set") in fault.message.replace(
            "last part", "part"
        )


def test_A26_volumes_of_two_uploads(world: World, tmp_path: Path, pictures: dict[str, bytes]) -> None:
    paths = cut(tmp_path / "one", "s.zip", by_library(zipfile.ZIP_STORED, pictures))
    other = {name: bytes(reversed(data)) for name, data in pictures.items()}
    others = cut(tmp_path / "two", "s.zip", by_library(zipfile.ZIP_STORED, other))
    shutil.copy(others[2], paths[2])
    fault = fault_of(world, paths[0], IntegrityFault)
    assert (fault.fault, int(fault.exit_code)) == ("A26", 4)
    assert "two uploads" in fault.hint
    assert len(fault.findings) == len(paths)


def test_A26_parts_of_two_uploads(world: World, tmp_path: Path) -> None:
    chance = random.Random(2)
    paths = rar_parts(tmp_path / "one", chance.randbytes(9_000), NAMES["new"])
    others = rar_parts(tmp_path / "two", chance.randbytes(9_000), NAMES["new"])
    shutil.copy(others[1], paths[1])
    assert fault_of(world, paths[0], IntegrityFault).fault == "A26"


def test_names_that_only_look_like_volumes(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "set.v2.100").write_bytes(by_library(zipfile.ZIP_STORED, {"a.png": PNG}))
    (folder / "b.zip").write_bytes(by_library(zipfile.ZIP_STORED, {"b.png": PNG}))
    (folder / "b.z01").write_bytes(b"something else")
    (folder / "data.2023").write_bytes(b"name,mos\n")
    assert volume_set(folder / "set.v2.100") is None
    assert volume_set(folder / "b.zip") is None
    assert volume_set(folder / "data.2023") is None
    assert volume_set(folder / "b.z01") is None
    assert unpack(world, folder / "set.v2.100") == {"a.png": PNG}


def test_links_to_volumes_go_with_the_archive(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    paths = rar_parts(tmp_path / "given", PNG * 9, NAMES["new"])
    with open_archive(paths[0], world.target):
        assert [len(list(made.iterdir())) for made in (tmp_path / "temporary").iterdir()] == [3]
    assert not list((tmp_path / "temporary").iterdir())


# ---------------------------------------------------------------------------------------------------------------------
# The whole command, with an invented database whose images have Chinese names
# ---------------------------------------------------------------------------------------------------------------------

PICTURES = {f"{word}{n}.png": f"{word}{n}" for word in ("图像", "人物", "风景画") for n in range(3)}
CODE = "0755"


def chinese_table() -> bytes:
    lines = [f"{name},a {prompt},{n}.25" for n, (name, prompt) in enumerate(PICTURES.items())]
    return "\n".join(["name,prompt,mos", *lines, ""]).encode()


def chinese_manifest(password: str = "") -> str:
    declared = f"    password: {password}\n" if password else ""
    return f"""\
schema: 1
version: 1
id: hanzi
title: Hanzi
summary: Nine invented images with Chinese names.
license: {{spdx: CC0-1.0, scope: everything, source: invented for tests}}
citation: {{key: hanzi2026, type: misc, title: Hanzi, authors: [Nobody], year: 2026}}
assets:
  - name: hanzi.zip
    role: images
    format: zip
{declared}    mirrors:
      - {{kind: baidu, url: https://pan.baidu.com/s/1hanzi, code: "{CODE}"}}
  - name: data.csv
    role: labels
    format: csv
labels:
  - needs: [data.csv]
    tables:
      - file: data.csv
        columns: [name, prompt, mos]
    image: {{id: name, find: ["{{name}}"], names: '\\.png$'}}
    columns: {{prompt: prompt, task: {{const: t2i}}, generator: {{const: midjourney}}}}
    scores:
      quality: {{mos: mos, range: [0, 100]}}
expect: {{images: 9, rows: 9, generators: {{midjourney: 9}}}}
"""


@pytest.fixture
def hanzi(run: Command, manifests: Callable[[str, str], Path], tmp_path: Path) -> dict[str, bytes]:
    """The members of the database's archive."""
    manifests("hanzi", chinese_manifest())
    return {f"图集/{name}": image_bytes("PNG") + name.encode() for name in PICTURES} | {
        "图集/data.csv": chinese_table()
    }


def named(files: dict[str, bytes], encode: Callable[[str], bytes], **more: int) -> bytes:
    return zipped(*(Zipped(encode(name), data, **more) for name, data in files.items()))


def with_second_name(files: dict[str, bytes]) -> bytes:
    """Names in GBK and, in a field of their own, in UTF-8."""
    members = []
    for name, data in files.items():
        raw = name.encode("gbk")
        body = b"\x01" + struct.pack("<I", zlib.crc32(raw)) + name.encode()
        extra = struct.pack("<HH", 0x7075, len(body)) + body
        members.append(Zipped(raw, data, extra=extra, local_extra=extra))
    return zipped(*members)


CODINGS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "gbk": lambda files: named(files, lambda name: name.encode("gbk")),
    "utf-8": lambda files: named(files, str.encode),
    "utf-8 flagged": lambda files: named(files, str.encode, flags=UTF8),
    "0x7075": with_second_name,
    "gbk backslashes": lambda files: named(files, lambda name: name.replace("/", "\\").encode("gbk")),
    "7z": seven,
    "rar": lambda files: rar5(*(file5(name, data) for name, data in files.items())),
    "rar4 gbk": lambda files: rar4({name.encode("gbk"): data for name, data in files.items()}),
}


@pytest.mark.parametrize("coding", CODINGS)
def test_A22_chinese_names_are_imported(run: Command, tmp_path: Path, hanzi: dict[str, bytes], coding: str) -> None:
    given = tmp_path / "given"
    given.write_bytes(CODINGS[coding](hanzi))
    run("import", "hanzi", given, code=0)
    found = {path.name: path.read_bytes() for path in (run.root / "hanzi" / "images").iterdir()}
    assert found == {name.partition("/")[2]: data for name, data in hanzi.items() if name.endswith(".png")}
    run("verify", code=0)


def test_a_set_is_recognised_by_any_volume_and_taken_once(
    run: Command, tmp_path: Path, hanzi: dict[str, bytes]
) -> None:
    paths = cut(tmp_path / "given", "whatever.7z", seven(hanzi), 250)
    assert len(paths) > 2
    before = snapshot(tmp_path / "given")
    run("import", "hanzi", paths[1], code=0)
    run("remove", "hanzi", code=0)
    run("import", *reversed(paths), code=0)
    assert run("list", "--json").json()["data"]
    assert len(list((run.root / "hanzi" / "images").iterdir())) == len(PICTURES)
    run("remove", "hanzi", code=0)
    paths[1].unlink()
    for words in (["hanzi", paths[0]], [paths[0]]):
        done = run("import", *words, code=3)
        assert "whatever.7z.002 is missing" in done.err
        assert not (run.root / "hanzi").exists()
    assert {path: entry for path, entry in before.items() if path in map(str, paths[2:])}


def test_A20_password_of_an_import(
    run: Command, tmp_path: Path, hanzi: dict[str, bytes], manifests: Callable[[str, str], Path]
) -> None:
    given = tmp_path / "given.7z"
    given.write_bytes(seven(hanzi, SECRET, hidden=True))
    assert "--password" in run("import", "hanzi", given, code=3).err
    assert "extraction code" in run("import", "hanzi", given, "--password", CODE, code=3).err
    assert "extraction code" not in run("import", "hanzi", given, "--password", "other", code=3).err
    assert not (run.root / "hanzi").exists()
    done = run("import", "hanzi", given, "--password", SECRET, "--json", code=0)
    assert SECRET not in done.out + done.err
    for path in run.root.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()
    run("remove", "hanzi", code=0)
    manifests("hanzi", chinese_manifest(SECRET))
    run("import", "hanzi", given, code=0)
