"""Packed and encrypted rar: a right password is never called wrong, and the program that is missing is named."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from archive_writers import PNG, file5, rar5, vint
from test_archives import World
from test_more_archives import fault_of, needs_unar, unpack

from aigiqa_cli.archives import rar_secrets, tools
from aigiqa_cli.errors import PersonNeeded, RefusedInput

SECRET = "geheim 2718"
ROUNDS = 4  # as a power of two


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder of the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(machine: Path, name: str, says: str = "") -> None:
    """A program that gives its version, and of every archive what it `says`."""
    version = {"7z": "7-Zip [64] 26.02", "bsdtar": "bsdtar 3.6.2", "unar": "v1.10.7", "unrar": "UNRAR 7.00"}[name]
    asks = " ".join(tools.PROGRAMS[name].version)
    path = machine / name
    path.write_text(f'#!/bin/sh\nif [ "$*" = "{asks}" ]; then echo \'{version}\'; exit 0; fi\n{says}\nexit 1\n')
    path.chmod(0o755)


def check_of(password: str, salt: bytes) -> bytes:
    """The check of a password as the published description of the format defines it."""
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, (1 << ROUNDS) + 32)
    folded = bytes(key[n] ^ key[n + 8] ^ key[n + 16] ^ key[n + 24] for n in range(8))
    return folded + hashlib.sha256(folded).digest()[:4]


def encrypted(*, check: bool = True) -> bytes:
    """A rar whose member claims to be encrypted with SECRET; its data are nonsense to every program."""
    salt = bytes(range(16))
    body = vint(1) + vint(0) + vint(int(check)) + bytes([ROUNDS]) + salt + bytes(16)
    body += check_of(SECRET, salt) if check else b""
    return rar5(file5("a.png", PNG, extra=vint(len(body)) + body))


def test_check_of_a_password() -> None:
    salt = bytes(range(16))
    check = check_of(SECRET, salt)
    assert rar_secrets.opens(SECRET, 1, ROUNDS, salt, check) is True
    assert rar_secrets.opens("other", 1, ROUNDS, salt, check) is False
    assert rar_secrets.opens("other", 0, ROUNDS, salt, check) is None, "the record says that it has none"
    assert rar_secrets.opens("other", 1, ROUNDS, salt, check[:-1] + b"?") is None, "it is damaged itself"
    assert rar_secrets.opens("other", 1, 25, salt, check) is None, "it would take too long"


@pytest.mark.parametrize("name", ["7z", "bsdtar"])
@pytest.mark.parametrize("check", [True, False], ids=["told", "untold"])
def test_A29_right_password_and_a_program_that_cannot(world: World, machine: Path, name: str, check: bool) -> None:
    program(machine, name)
    world.archive.write_bytes(encrypted(check=check))
    fault = fault_of(world, world.archive, PersonNeeded, SECRET)
    assert (fault.fault, int(fault.exit_code)) == ("A29", 3)
    assert f"{name} cannot unpack this rar" in fault.message
    assert "unar" in fault.hint
    assert "password" not in fault.message


@pytest.mark.parametrize("name", ["7z", "bsdtar"])
@pytest.mark.parametrize("says", ["", "echo other bytes"], ids=["nothing", "other bytes"])
def test_A29_packed_rar_and_a_program_that_cannot(world: World, machine: Path, name: str, says: str) -> None:
    program(machine, name, says)
    world.archive.write_bytes(rar5(file5("a.png", PNG, method=3)))
    fault = fault_of(world, world.archive, PersonNeeded)
    assert (fault.fault, int(fault.exit_code)) == ("A29", 3)
    assert "unar" in fault.hint


@pytest.mark.parametrize("archive", [encrypted(), rar5(file5("a.png", PNG, method=3))], ids=["encrypted", "packed"])
def test_A29_advice_names_no_program_that_unpacks_some_rar_only(world: World, machine: Path, archive: bytes) -> None:
    world.archive.write_bytes(archive)
    hint = fault_of(world, world.archive, PersonNeeded, SECRET).hint
    assert "unar" in hint
    assert "7zip" not in hint
    assert "libarchive" not in hint


def test_A20_wrong_password_is_known_without_any_program(world: World, machine: Path) -> None:
    world.archive.write_bytes(encrypted())
    assert fault_of(world, world.archive, PersonNeeded, "other").fault == "A20"


def test_A29_right_password_and_unar_cannot(world: World, machine: Path) -> None:
    program(machine, "unar")
    program(machine, "7z")
    world.archive.write_bytes(encrypted())
    fault = fault_of(world, world.archive, PersonNeeded, SECRET)
    assert (fault.fault, int(fault.exit_code)) == ("A29", 3)
    assert "the password is right, but unar cannot unpack this rar" in fault.message
    assert "unrar" in fault.hint


def test_A29_what_unar_cannot_unrar_is_asked_for(world: World, machine: Path, tmp_path: Path) -> None:
    (tmp_path / "true").write_bytes(PNG)
    program(machine, "unar")
    program(machine, "unrar", f"/bin/cat {tmp_path / 'true'}; exit 0")
    world.archive.write_bytes(encrypted())
    assert unpack(world, world.archive, SECRET) == {"a.png": PNG}


def test_A20_untold_password_and_a_program_that_can(world: World, machine: Path) -> None:
    program(machine, "unar")
    world.archive.write_bytes(encrypted(check=False))
    assert fault_of(world, world.archive, PersonNeeded, SECRET).fault == "A20"


@needs_unar
def test_A16_damage_is_damage(world: World, machine: Path) -> None:
    """Where a program that knows every method fails, the archive is refused, with what helps."""
    (machine / "unar").symlink_to(str(shutil.which("unar", path="/usr/local/bin:/usr/bin:/bin")))
    world.archive.write_bytes(rar5(file5("a.png", PNG, method=3)))
    assert "download it again" in fault_of(world, world.archive, RefusedInput).hint
