"""Volumes that do not belong together: which one it is, and what to do (A26, N27)."""

from __future__ import annotations

import random
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from archive_writers import file5, rar4, rar5, seven
from test_archives import World, by_library
from test_more_archives import NAMES, cut, fault_of, rar_parts, unpack

from aigiqa_cli.archives import is_volume_name
from aigiqa_cli.errors import IntegrityFault, PersonNeeded, RefusedInput

SIZE = 20_000


def files(seed: int, count: int = 5) -> dict[str, bytes]:
    chance = random.Random(seed)
    return {f"set/{n:03}.png": chance.randbytes(19_000 + n) for n in range(count)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


FORMS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "7z": seven,
    "zip": lambda content: by_library(zipfile.ZIP_STORED, content),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("number", "keep"), [(0, 900), (2, 0), (2, 7_000), (3, SIZE - 1)])
def test_A26_volume_of_another_size_is_named(world: World, tmp_path: Path, form: str, number: int, keep: int) -> None:
    """Only the last one may be shorter."""
    paths = cut(tmp_path / "given", f"s.{form}", FORMS[form](files(1)), SIZE)
    paths[number].write_bytes(paths[number].read_bytes()[:keep])
    fault = fault_of(world, paths[-1], IntegrityFault)
    assert (fault.fault, int(fault.exit_code)) == ("A26", 4)
    assert f"{paths[number].name} has {keep:,} bytes, the others {SIZE:,}" in fault.message
    assert "two uploads" in fault.hint
    assert [finding.problem for finding in fault.findings].count("of another size than the others") == 1
    assert fault.findings[number].expected == f"{SIZE} bytes"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", [0, 2])
def test_A26_volume_of_another_upload(world: World, tmp_path: Path, form: str, number: int) -> None:
    """Also the first, which tells where the end would be: a set whose last volume is shorter than the others has one."""
    paths = cut(tmp_path / "one", f"s.{form}", FORMS[form](files(1)), SIZE)
    others = cut(tmp_path / "two", f"s.{form}", FORMS[form](files(2, 12)), SIZE)
    shutil.copy(others[number], paths[number])
    fault = fault_of(world, paths[0], IntegrityFault)
    assert fault.fault == "A26"
    assert "two uploads" in fault.hint


def test_A26_volume_of_a_set_that_was_cut_larger(world: World, tmp_path: Path) -> None:
    paths = cut(tmp_path / "one", "s.7z", seven(files(1)), SIZE)
    others = cut(tmp_path / "two", "s.7z", seven(files(1)), 2 * SIZE)
    shutil.copy(others[1], paths[1])
    assert f"{paths[1].name} has {2 * SIZE:,} bytes" in fault_of(world, paths[0], IntegrityFault).message


def test_N27_volume_after_the_last_one(world: World, tmp_path: Path) -> None:
    """All are as long as the others: what is missing follows."""
    paths = cut(tmp_path / "given", "s.7z", seven(files(1)), SIZE)
    paths.pop().unlink()
    fault = fault_of(world, paths[0], PersonNeeded)
    assert fault.fault == "N27"
    assert f"a volume after {paths[-1].name} is missing" in fault.message


# --- rar: every volume says what it holds -----------------------------------------------------------------------------


def two_members(folder: Path, name: str, *, step: int = 3_000, seed: int = 4) -> list[Path]:
    """A member that ends in the third of four volumes, and one that begins there."""
    chance = random.Random(seed)
    data = {f"set/{name}-{n}.png": chance.randbytes(2 * step) for n in range(2)}
    (first, one), (second, two) = data.items()
    half = step // 2

    def part(member: str, whole: bytes, begin: int, end: int) -> bytes:
        flags = (8 if begin else 0) | (16 if end < len(whole) else 0)
        piece = whole[begin:end]
        return file5(member, piece, flags=flags, size=len(whole), crc=zlib.crc32(piece if flags & 16 else whole))

    volumes = [
        part(first, one, 0, step),
        part(first, one, step, len(one) - half),
        part(first, one, len(one) - half, len(one)) + part(second, two, 0, half),
        part(second, two, half, len(two)),
    ]
    folder.mkdir(exist_ok=True)
    paths = []
    for number, content in enumerate(volumes):
        paths.append(folder / f"s.part{number + 1}.rar")
        paths[-1].write_bytes(rar5(content, volume=number, more=number < len(volumes) - 1))
    return paths


def test_parts_with_several_members_are_good(world: World, tmp_path: Path) -> None:
    assert sorted(unpack(world, two_members(tmp_path / "given", "a")[2])) == ["set/a-0.png", "set/a-1.png"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_A26_part_with_other_members(world: World, tmp_path: Path, number: int) -> None:
    paths = two_members(tmp_path / "one", "a")
    shutil.copy(two_members(tmp_path / "two", "b")[number], paths[number])
    fault = fault_of(world, paths[0], IntegrityFault)
    assert (fault.fault, int(fault.exit_code)) == ("A26", 4)
    assert f"{paths[number].name} does not go on where {paths[number - 1].name} ends" in fault.message


@pytest.mark.parametrize("number", [1, 2, 3])
def test_A26_part_of_the_same_members_cut_at_another_size(world: World, tmp_path: Path, number: int) -> None:
    paths = two_members(tmp_path / "one", "a")
    shutil.copy(two_members(tmp_path / "two", "a", step=4_000)[number], paths[number])
    fault = fault_of(world, paths[0], IntegrityFault)
    assert fault.fault == "A26"
    assert "two uploads" in fault.hint


def test_A26_member_that_begins_twice(world: World, tmp_path: Path) -> None:
    """Where no member goes over the border, the name alone tells."""
    paths = [tmp_path / f"s.part{n}.rar" for n in (1, 2)]
    for number, path in enumerate(paths):
        path.write_bytes(rar5(file5("a.png", bytes([number]) * 99), volume=number, more=not number))
    fault = fault_of(world, paths[0], IntegrityFault)
    assert fault.fault == "A26"
    assert f"begins in {paths[0].name} and again in {paths[1].name}" in fault.message


def test_A15_names_that_differ_in_case_are_no_sign_of_two_uploads(world: World, tmp_path: Path) -> None:
    paths = [tmp_path / f"s.part{n}.rar" for n in (1, 2)]
    for number, path in enumerate(paths):
        path.write_bytes(rar5(file5("aA"[number] + ".png", b"x" * 99), volume=number, more=not number))
    assert fault_of(world, paths[0], RefusedInput).fault == "A15"


def test_A26_part_that_is_another_one_renamed(world: World, tmp_path: Path) -> None:
    paths = two_members(tmp_path / "given", "a")
    shutil.copy(paths[3], paths[2])
    assert f"{paths[2].name} calls itself volume 4" in fault_of(world, paths[0], IntegrityFault).message


@pytest.mark.parametrize("how", NAMES)
@pytest.mark.parametrize("left", [b"", b"no rar at all" * 300, None], ids=["empty", "foreign", "cut"])
def test_A26_part_that_is_not_whole(world: World, tmp_path: Path, how: str, left: bytes | None) -> None:
    paths = rar_parts(tmp_path / "given", random.Random(3).randbytes(9_000), NAMES[how])
    paths[1].write_bytes(paths[1].read_bytes()[:1_500] if left is None else left)
    fault = fault_of(world, paths[0], IntegrityFault)
    assert fault.fault == "A26"
    assert paths[1].name in fault.message


@pytest.mark.parametrize("how", NAMES)
def test_part_that_is_filled_up_with_zeros(world: World, tmp_path: Path, how: str) -> None:
    """As the usual program does, so that all are of one size."""
    data = random.Random(9).randbytes(10_000)
    paths = rar_parts(tmp_path / "given", data, NAMES[how])
    for path in paths[:-1]:
        path.write_bytes(path.read_bytes() + bytes(9))
    assert unpack(world, paths[0]) == {"set/a.png": data}
    paths[0].write_bytes(paths[0].read_bytes() + b"something else")
    assert fault_of(world, paths[0], IntegrityFault).fault == "A26"


def test_rar_of_before_version_3_has_no_end(world: World) -> None:
    whole = rar4({b"a.png": b"one" * 50, b"b.png": b"two" * 50})
    assert world.content(world.unpack(whole[:-7])) == {"a.png": b"one" * 50, "b.png": b"two" * 50}
    world.refuses(whole[:-8], "A16", "A17")


@pytest.mark.parametrize(
    ("name", "volume"),
    [
        ("s.part2.rar", True),
        ("s.r07", True),
        ("s.z01", True),
        ("s.7z.003", True),
        ("s.tar.gz.001", True),
        ("s.rar", False),
        ("s.zip", False),
        ("image.001", False),
        ("DALLE_001.png", False),
    ],
)
def test_names_of_volumes(name: str, volume: bool) -> None:
    assert is_volume_name(name) is volume
