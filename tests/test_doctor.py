"""`doctor`: every verdict where it is due, with a next step; and nothing is changed by looking."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import textwrap
import tomllib
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, Command
from test_commands import ESCAPES, at_terminal

from aigiqa_cli.examining.floors import HOLES, LIBRARIES
from aigiqa_cli.examining.place import file_system, judged, kind_of
from aigiqa_cli.examining.software import numbers, patches, python, tool
from aigiqa_cli.store import probing
from aigiqa_cli.store.probing import Ability, probe

Checks = dict[str, dict[str, Any]]
CANARY = "s3cret-canary-0123456789"


def test_locks_that_are_given_twice_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def rival(_: Path) -> Iterator[tuple[str, None]]:
        yield "free", None

    monkeypatch.setattr(probing, "_rival", rival)
    assert probing._locks(tmp_path) == (False, "another process got a lock that was held (free)")


def examined(run: Command, code: int = 0, **settings: str) -> Checks:
    """Every check by its name."""
    done = run("doctor", "--json", env=settings, code=code).json()
    assert done["status"] == ("error" if code else "ok")
    for check in done["data"]:
        assert set(check) == {"area", "name", "verdict", "detail", "next"}
        assert check["verdict"] in ("ok", "warning", "bad", "not tested")
        assert check["next"] or check["verdict"] in ("ok", "not tested"), f"{check['name']} leaves a person alone"
    return {check["name"]: check for check in done["data"]}


def world(folder: Path) -> dict[str, tuple[int, int, int]]:
    about = {path: path.lstat() for path in (folder, *folder.rglob("*"))}
    return {str(path): (found.st_mode, found.st_size, found.st_mtime_ns) for path, found in about.items()}


def customised(tmp_path: Path, text: str) -> dict[str, str]:
    """Settings under which the interpreter begins with this code: faults of a machine that this one has not."""
    folder = tmp_path / "custom"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(textwrap.dedent(text))
    inherited = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder), str(REPOSITORY), inherited)))}


# -- interpreter, libraries, programs -----------------------------------------------------------------------------------

# First sound releases, from the CVE records of November 2026.
RECORDS = [
    ("CVE-2024-0450", (3, 11, 7), (3, 11, 8)),
    ("CVE-2024-0450", (3, 12, 1), (3, 12, 2)),
    ("CVE-2025-4517", (3, 11, 12), (3, 11, 13)),
    ("CVE-2025-4517", (3, 12, 10), (3, 12, 11)),
    ("CVE-2025-4517", (3, 13, 3), (3, 13, 4)),
    ("CVE-2025-8194", (3, 11, 13), (3, 11, 14)),
    ("CVE-2025-8194", (3, 13, 5), (3, 13, 6)),
    ("CVE-2025-8291", (3, 12, 11), (3, 12, 12)),
    ("CVE-2025-8291", (3, 13, 9), (3, 13, 10)),
    ("CVE-2025-8291", (3, 14, 0), (3, 14, 1)),
    ("CVE-2025-13462", (3, 13, 12), (3, 13, 13)),
    ("CVE-2025-13462", (3, 14, 3), (3, 14, 4)),
    ("CVE-2025-13462", (3, 11, 99), (3, 13, 13)),
    ("CVE-2026-6100", (3, 13, 13), (3, 13, 14)),
    ("CVE-2026-82049", (3, 11, 16), (3, 11, 17)),
    ("CVE-2026-82049", (3, 12, 14), (3, 12, 15)),
    ("CVE-2026-82049", (3, 13, 15), (3, 13, 16)),
]


@pytest.mark.parametrize(("name", "before", "after"), RECORDS)
def test_D01_an_interpreter_with_a_known_hole_is_told(
    name: str, before: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    hole = next(hole for hole in HOLES if name in hole.ids)
    assert hole.is_open(before)
    assert not hole.is_open(after)
    assert patches(before).verdict == "warning"


def test_D02_old_patch_releases_are_a_warning_and_no_more() -> None:
    old = patches((3, 11, 7))
    assert old.verdict == "warning"
    assert "does not rely on them" in old.detail
    assert re.fullmatch(r"update to 3\.\d+\.\d+ or newer", old.next)
    sound = tuple(int(part) for part in old.next.split()[2].split("."))
    assert patches(sound).verdict == "ok"  # type: ignore[arg-type]
    assert patches((3, 14, 5)).verdict == "ok"
    assert patches((3, 15, 0)).verdict == "ok", "newer than all that is known here"
    assert python((3, 11, 0), "Linux").verdict == "ok"
    assert python((3, 10, 20), "Linux").verdict == "bad"


# threats-and-faults.md, section 10
FLOORS = {"gdown": "6.5", "huggingface_hub": "1.29", "requests": "2.33", "urllib3": "2.8", "pillow": "12.3",
          "py7zr": "1.1.3", "pyyaml": "6.0.2"}  # fmt: skip


def test_D01_the_package_demands_the_floors_of_the_known_holes() -> None:
    listed = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
    demanded = dict(re.match(r"([\w.-]+)>=([\d.]+)", line).groups() for line in listed)  # type: ignore[union-attr]
    for name, floor in FLOORS.items():
        assert numbers(demanded[name]) >= numbers(floor)
        assert numbers(LIBRARIES[name].oldest) >= numbers(floor)
    for name, floor in LIBRARIES.items():
        assert numbers(demanded[name]) >= numbers(floor.oldest), "one floor, told in two places"
    assert numbers("2.33") == numbers("2.33.0") < numbers("2.33.1") < numbers("2.100")


def test_D01_an_old_library_is_bad_and_the_cure_is_told(run: Command, tmp_path: Path) -> None:
    folder = tmp_path / "site" / "requests-2.31.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\n")
    path = os.pathsep.join(filter(None, (str(folder.parent), str(REPOSITORY), os.environ.get("PYTHONPATH", ""))))
    found = examined(run, 7, PYTHONPATH=path)["requests"]
    assert found["verdict"] == "bad"
    assert "CVE-2024-47081" in found["detail"]
    assert found["next"] == "pip install --upgrade 'requests>=2.33'"


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_other_programs_are_told_with_their_versions(run: Command, tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    program(folder, "7z", "echo '7-Zip [64] 16.02 : Copyright (c) 1999-2016'")
    program(folder, "bsdtar", "echo 'bsdtar 3.8.1 - libarchive 3.8.1'")
    program(folder, "unar", "exit 1")
    found = examined(run, PATH=f"{folder}:/nowhere")
    assert (found["7z"]["verdict"], found["bsdtar"]["verdict"]) == ("warning", "ok")
    assert "CVE-2025-55188" in found["7z"]["detail"]
    assert found["bsdtar"]["detail"].startswith("3.8.1")
    assert found["unar"]["verdict"] == "warning", "it does not say its version"
    assert found["unrar"]["verdict"] == "ok", "nobody needs it"
    assert tool("7z", "/usr/bin/7z", "25.01").verdict == "ok"


# -- the root -----------------------------------------------------------------------------------------------------------


def test_P12_looking_leaves_no_trace(installed: Command) -> None:
    before = world(installed.root)
    found = examined(installed)
    assert world(installed.root) == before
    assert {found[name]["verdict"] for name in ("locks", "flushing", "renaming", "handles")} == {"ok"}
    assert "two processes" in found["locks"]["detail"]


def test_P12_where_there_is_no_root_nothing_is_made_and_nothing_claimed(run: Command) -> None:
    found = examined(run)
    assert found["abilities"]["verdict"] == "not tested"
    assert not run.root.exists()


def test_C06_locks_that_lie_are_found_out(installed: Command, tmp_path: Path) -> None:
    settings = customised(tmp_path, "import fcntl\nfcntl.flock = lambda *words: None\n")
    found = examined(installed, **settings)["locks"]
    assert found["verdict"] == "warning", "no promise needs them"
    assert "held" in found["detail"]
    assert "one aigiqa at a time" in found["next"]


def test_S21_no_locks_at_all(installed: Command, tmp_path: Path) -> None:
    settings = customised(
        tmp_path,
        """
        import errno, fcntl
        def flock(*words):
            raise OSError(errno.ENOLCK, "No locks available")
        fcntl.flock = flock
        """,
    )
    assert examined(installed, **settings)["locks"]["verdict"] == "warning"


def test_S07_a_disk_that_does_not_flush_is_bad(installed: Command, tmp_path: Path) -> None:
    settings = customised(
        tmp_path,
        """
        import errno, os
        def fsync(descriptor):
            raise OSError(errno.EIO, "Input/output error")
        os.fsync = fsync
        """,
    )
    found = examined(installed, 7, **settings)["flushing"]
    assert found["verdict"] == "bad"
    assert "power cut" in found["next"]


@pytest.mark.parametrize("name", ["preallocation", "hard links", "upper and lower case", "forms of letters"])
def test_S21_what_is_only_a_comfort_is_no_fault(name: str) -> None:
    assert judged(Ability(name, works=False, detail="Operation not supported")).verdict == "ok"
    assert judged(Ability(name, works=None, detail="not tested")).verdict == "not tested"


@pytest.mark.parametrize("name", ["handles", "renaming", "flushing"])
def test_what_a_promise_needs_is_bad_where_it_is_missing(name: str) -> None:
    check = judged(Ability(name, works=False, detail="Operation not supported"))
    assert (check.verdict, bool(check.next)) == ("bad", True)


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("ext4", "ok"), ("xfs", "ok"), ("btrfs", "ok"), ("overlay", "ok"), ("nfs4", "warning"), ("cifs", "warning"),
     ("lustre", "warning"), ("fuse.sshfs", "warning"), ("tmpfs", "warning"), ("vfat", "warning"), ("", "not tested")],
)  # fmt: skip
def test_S11_the_kind_of_file_system(kind: str, verdict: str) -> None:
    assert file_system(kind).verdict == verdict


def test_the_kind_of_file_system_is_that_of_the_kernel() -> None:
    proc = Path("/proc")
    if not (proc / "self" / "mountinfo").exists():
        pytest.skip("this system has no /proc")
    assert kind_of(proc / "self") == "proc"


def test_S18_what_a_killed_probe_leaves_goes_with_gc(installed: Command) -> None:
    left = installed.root / ".aigiqa" / ".probe.0123456789ab.tmp"
    left.mkdir()
    (left / "lock").write_bytes(b"")
    found = examined(installed)["leftovers"]
    assert (found["verdict"], found["next"]) == ("warning", "aigiqa gc")
    installed("gc", code=0)
    assert not left.exists()
    assert examined(installed)["leftovers"]["verdict"] == "ok"


def test_a_probe_where_nothing_may_be_made_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        probe(tmp_path / "missing")


def test_S17_a_link_below_the_root_is_bad(installed: Command, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.move(installed.root / ".aigiqa", outside)
    (installed.root / ".aigiqa").symlink_to(outside)
    before = world(outside)
    found = examined(installed, 7)
    assert found["links"]["verdict"] == "bad"
    assert found["abilities"]["verdict"] == "not tested"
    assert world(outside) == before


def test_S14_a_root_that_is_too_deep(run: Command) -> None:
    deep = "/".join([str(run.root), *(["d" * 200] * 13)])
    assert examined(run, 7, AIGIQA_ROOT=deep)["length of its path"]["verdict"] == "bad"


def test_C08_a_root_in_which_everybody_may_write(installed: Command) -> None:
    installed.root.chmod(0o777)
    found = examined(installed)["rights"]
    assert (found["verdict"], found["next"]) == ("warning", f"chmod o-w {installed.root}")


def test_a_root_that_is_a_file(run: Command) -> None:
    run.root.write_text("not a folder")
    assert examined(run, 7)["path"]["verdict"] == "bad"


# -- settings -----------------------------------------------------------------------------------------------------------


def test_K01_secrets_are_never_shown(run: Command) -> None:
    settings = {
        "HF_TOKEN": f"hf_{CANARY}",
        "MODELSCOPE_API_TOKEN": CANARY,
        "HTTPS_PROXY": f"http://user:{CANARY}@127.0.0.1:9",
        "HF_ENDPOINT": f"http://user:{CANARY}@hub.example.org",
    }
    for words in (["doctor"], ["doctor", "--json"], ["doctor", "-v"]):
        done = run(*words, env=settings, code=0)
        assert CANARY not in done.out + done.err
        assert "set (not shown)" in done.out
    found = examined(run, **settings)
    assert found["HF_TOKEN"]["verdict"] == "ok"
    assert found["HF_ENDPOINT"]["verdict"] == "warning", "a token over plain http"


def test_K05_files_with_tokens_that_others_can_read(run: Command) -> None:
    folder = run.home / ".cache" / "huggingface"
    folder.mkdir(parents=True)
    token = folder / "token"
    token.write_text(CANARY)
    token.chmod(0o644)
    netrc = run.home / ".netrc"
    netrc.write_text(CANARY)
    netrc.chmod(0o600)
    found = examined(run)
    assert (found["secrets in token"]["verdict"], found["secrets in token"]["next"]) == (
        "warning",
        f"chmod 600 {token}",
    )
    assert found["secrets in .netrc"]["verdict"] == "ok"
    assert CANARY not in json.dumps(found)


@pytest.mark.parametrize(
    ("settings", "name", "verdict", "code"),
    [
        ({"AIGIQA_CONNECT_SECONDS": "soon"}, "AIGIQA_CONNECT_SECONDS", "warning", 0),
        ({"AIGIQA_CONNECT_SECONDS": "5"}, "AIGIQA_CONNECT_SECONDS", "ok", 0),
        ({"AIGIQA_ALLOW_PRIVATE_HOSTS": "1"}, "AIGIQA_ALLOW_PRIVATE_HOSTS", "warning", 0),
        ({"SSL_CERT_FILE": "/no/such/file.pem"}, "SSL_CERT_FILE", "bad", 7),
        ({"AIGIQA_MANIFESTS": "/no/such/folder"}, "folders", "bad", 7),
        ({"HF_TOKEN": "two words"}, "HF_TOKEN", "warning", 0),
    ],
)
def test_settings_that_cannot_be_meant(
    run: Command, settings: dict[str, str], name: str, verdict: str, code: int
) -> None:
    assert examined(run, code, **settings)[name]["verdict"] == verdict


# -- what lies in the root ----------------------------------------------------------------------------------------------


def test_S22_files_of_nobody_are_listed_and_stay(installed: Command) -> None:
    mine = (
        installed.root / "notes.txt",
        installed.root / "demo" / "images" / "mine.png",
        installed.root / "demo" / "l",
    )
    for path in mine[:2]:
        path.write_text("mine")
    mine[2].symlink_to("images")
    found = examined(installed)["foreign files"]
    assert found["verdict"] == "warning"
    assert found["detail"].startswith("3, ")
    assert {"notes.txt", "demo/images/mine.png", "demo/l"} <= set(re.split(r"[ ,]+", found["detail"]))
    assert all(os.path.lexists(path) for path in mine)


def test_damage_manifests_and_what_was_set_aside(
    installed: Command,
    manifests: Callable[[str, str], Path],
) -> None:
    assert examined(installed)["database demo"]["verdict"] == "ok"
    (installed.root / ".aigiqa" / "quarantine" / "x").write_text("put aside")
    index = installed.root / "demo" / "index.csv"
    index.write_text(index.read_text() + "\n")
    manifests("broken", "schema: 1\n")
    found = examined(installed, 7)
    assert (found["database demo"]["verdict"], found["database demo"]["next"]) == ("bad", "aigiqa verify --repair demo")
    assert found["broken"]["verdict"] == "bad"
    assert found["built in"]["verdict"] == "ok"
    assert found["set aside"]["verdict"] == "warning"


def test_an_installed_database_of_a_manifest_that_is_gone(
    installed: Command,
    manifests: Callable[[str, str], Path],
) -> None:
    record = installed.root / ".aigiqa" / "installed" / "demo.json"
    record.rename(record.with_name("other.json"))
    assert examined(installed, 7)["database other"]["verdict"] == "bad", "a record under a name that is not its own"


# -- how it looks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 120])
def test_at_a_terminal_nothing_is_wider_than_it_is(installed: Command, columns: int) -> None:
    (installed.root / "notes.txt").write_text("mine")
    seen = at_terminal(installed, "doctor", COLUMNS=str(columns))
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;[^\x1b]*\x1b\\", "", seen).replace("\r", "")
    lines = plain.splitlines()
    root = str(installed.root)
    assert max(len(line) for line in lines if root[:40] not in line and "/" not in line) <= columns
    for title in (
        "Interpreter",
        "Libraries",
        "Other programs",
        "Root",
        "Manifests",
        "Contents of the root",
        "Databases",
    ):
        assert title in lines
    assert re.search(r"^  ✓ requests +\d", plain, re.MULTILINE)
    assert re.search(r"^  ! foreign files ", plain, re.MULTILINE)
    assert re.search(r"^ +→ move them elsewhere", plain, re.MULTILINE)


def test_in_a_pipe_one_record_a_line(installed: Command) -> None:
    done = installed("doctor", code=0)
    assert {len(line.split("\t")) for line in done.out.splitlines()} == {5}
    assert not ESCAPES.search(done.out.replace("\t", ""))
    assert re.fullmatch(r"\d+ ok(, \d+ [a-z ]+)*\n", done.err)
    assert installed("doctor", "-q", code=0).err == ""


# -- what a file system can do, where it cannot -------------------------------------------------------------------------


def refuse(code: int) -> Callable[..., None]:
    def call(*_words: object, **_more: object) -> None:
        raise OSError(code, os.strerror(code))

    return call


def found_by_probe(folder: Path) -> dict[str, Ability]:
    folder.mkdir(exist_ok=True)
    found = {ability.name: ability for ability in probe(folder)}
    assert os.listdir(folder) == [], "nothing stays"
    return found


def test_every_ability_of_this_file_system(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    handles, before = os.listdir("/proc/self/fd"), (tmp_path / "folder").stat().st_mtime_ns
    found = found_by_probe(tmp_path / "folder")
    assert [name for name, ability in found.items() if ability.works is not True] == []
    assert {name: ability.detail for name, ability in found.items()} == {
        "locks": "honoured between two processes, free after a kill",
        "flushing": "files and folders; whether the disk obeys cannot be seen from here",
        "renaming": "replaces a file",
        "handles": "files are opened relative to a handle, links are not followed",
        "preallocation": "room is reserved before a download",
        "hard links": "work",
        "upper and lower case": "A and a are two names",
        "forms of letters": "names come back as they were given",
    }
    assert (os.listdir("/proc/self/fd"), (tmp_path / "folder").stat().st_mtime_ns) == (handles, before)


@pytest.mark.parametrize(
    ("name", "where", "fake"),
    [
        ("hard links", "os.link", refuse(errno.EPERM)),
        ("preallocation", "os.posix_fallocate", refuse(errno.EOPNOTSUPP)),
        ("preallocation", "os.posix_fallocate", lambda *_words: None),
        ("renaming", "os.replace", lambda *_words: None),
        ("handles", "os.O_NOFOLLOW", 0),
        ("handles", "os.supports_dir_fd", set()),
        ("flushing", "os.fsync", refuse(errno.EIO)),
        ("locks", "fcntl.flock", refuse(errno.ENOLCK)),
        ("forms of letters", "os.listdir", lambda _place: ["e\u0301"]),
    ],
    ids=["links", "no-room", "room-that-lies", "rename-that-lies", "links-followed", "handles", "fsync", "locks", "forms"],
)  # fmt: skip
def test_S21_each_missing_ability_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, where: str, fake: object
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(where, fake)
        found = {ability.name: ability for ability in probe(folder)}
    assert found[name].works is False
    assert found[name].detail
    assert list(folder.iterdir()) == []


def test_S21_a_system_without_preallocation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.posix_fallocate")
    assert found_by_probe(tmp_path / "folder")["preallocation"].works is False


def test_S12_names_that_are_not_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name leads to every file whose name differs in nothing else."""

    def folded(name: str) -> str:
        return unicodedata.normalize("NFC", name).casefold()

    def exists(path: Path) -> bool:
        return path.parent.is_dir() and folded(path.name) in map(folded, os.listdir(path.parent))

    monkeypatch.setattr(Path, "exists", exists)
    found = found_by_probe(tmp_path / "folder")
    assert (found["upper and lower case"].works, found["forms of letters"].works) == (False, False)


def test_S04_a_full_disk_is_no_missing_ability(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.posix_fallocate", refuse(errno.ENOSPC))
    found = found_by_probe(tmp_path / "folder")["preallocation"]
    assert found.works is None
    assert "No space left" in found.detail


def test_C05_a_lock_that_outlives_its_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third time that this process asks for the lock it is refused: after the kill of the one that had it."""
    real, calls = fcntl.flock, []

    def flock(descriptor: int, operation: int) -> None:
        calls.append(operation)
        if len([call for call in calls if call & fcntl.LOCK_EX]) == 3:  # the folder, the file, the file again
            raise BlockingIOError
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    found = found_by_probe(tmp_path / "folder")["locks"]
    assert (found.works, found.detail) == (False, "the lock of a killed process stays")


def test_C06_a_free_lock_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unlocking that does nothing: the other process finds the lock held."""
    real = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", lambda handle, how: None if how == fcntl.LOCK_UN else real(handle, how))
    found = found_by_probe(tmp_path / "folder")["locks"]
    assert found.works is False
    assert "was free" in found.detail


def test_an_error_that_is_nobody_s_meaning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused for another reason than being a link is not taken for protection."""
    real = os.open

    def opened(path: Any, flags: int, *words: Any, **more: Any) -> int:
        if more.get("dir_fd") is not None and path == "link":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, flags, *words, **more)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "supports_dir_fd", {opened})
    found = found_by_probe(tmp_path / "folder")["handles"]
    assert (found.works, found.detail) == (False, "Permission denied")
