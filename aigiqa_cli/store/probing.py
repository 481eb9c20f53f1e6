"""What the file system of the root can do, tried out: in a folder of our own, which is gone afterwards.

The probe never touches anything else below the root, and gives the folder that it was made in its times back. If it is
killed, `gc` finds what it left: it is named as temporary files are, and locked while it is in use.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aigiqa_cli import folders

_PATIENCE = 20.0  # seconds for another process to answer
_SOME = 1 << 20  # bytes
# Another process: tries the lock, says what came of it, and holds it until its input ends.
_RIVAL = """\
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR)
try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    answer = "free"
except BlockingIOError:
    answer = "held"
except OSError as error:
    answer = f"error {error.strerror}"
print(answer, flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Ability:
    """One thing that was tried. `works` is None where it could not be tried; `detail` says what happened."""

    name: str
    works: bool | None
    detail: str


def probe(folder: Path) -> list[Ability]:
    """Locks, flushing, links, handles, preallocation, and how names are told apart. Raises OSError if `folder` takes no
    folder of ours."""
    with _workshop(folder) as place:
        return [Ability(name, *_tried(test, place)) for name, test in _TESTS.items()]


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    before = folder.stat()
    place = folder / f".probe.{os.urandom(6).hex()}.tmp"
    folders.make(place, 0o700)
    try:
        with folders.opened(place) as handle:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = Path(f"/proc/{os.getpid()}/fd/{handle}")
            yield held if held.is_dir() else place  # whatever becomes of the name (S17)
    finally:
        folders.drop_tree(place)
        with suppress(OSError):
            os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))


def _tried(test: Callable[[Path], tuple[bool | None, str]], place: Path) -> tuple[bool | None, str]:
    try:
        return test(place)
    except (OSError, subprocess.SubprocessError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return None, f"not tested: {error.strerror}"
        return False, str(getattr(error, "strerror", "") or error)


def _locks(place: Path) -> tuple[bool | None, str]:
    """Is a held lock refused to another process, free after release, and free after its holder was killed?"""
    path = place / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with _rival(path) as (answer, _):
            if answer != "held":
                return False, f"another process got a lock that was held ({answer or 'no answer'})"
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        with _rival(path) as (answer, process):
            if answer != "free":
                return False, f"another process did not get a lock that was free ({answer or 'no answer'})"
            process.kill()
            process.wait(_PATIENCE)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False, "the lock of a killed process stays"
    finally:
        os.close(descriptor)
    return True, "honoured between two processes, free after a kill"


@contextmanager
def _rival(path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    command = [sys.executable, "-I", "-S", "-c", _RIVAL, str(path)]
    with subprocess.Popen(
        command, env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            answers = select.select([process.stdout], [], [], _PATIENCE)[0] if process.stdout else []
            yield (answers[0].readline().decode().strip() if answers else ""), process
        finally:
            process.kill()


def _flushes(place: Path) -> tuple[bool | None, str]:
    descriptor = os.open(place / "flushed", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, b"x")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True, "files and folders; whether the disk obeys cannot be seen from here"


def _renames(place: Path) -> tuple[bool | None, str]:
    (place / "new").write_bytes(b"new")
    (place / "old").write_bytes(b"old")
    os.replace(place / "new", place / "old")
    good = (place / "old").read_bytes() == b"new" and not (place / "new").exists()
    return good, "replaces a file" if good else "does not replace a file"


def _hard_links(place: Path) -> tuple[bool | None, str]:
    (place / "one").write_bytes(b"")
    os.link(place / "one", place / "two")
    return (place / "two").stat().st_nlink == 2, "work"  # noqa: PLR2004


def _handles(place: Path) -> tuple[bool | None, str]:
    if os.open not in os.supports_dir_fd:
        return False, "this system opens nothing relative to a folder's handle"
    (place / "target").write_bytes(b"")
    (place / "link").symlink_to("target")
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.close(os.open("target", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder))
        os.close(os.open("link", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder))
    except OSError as error:
        if error.errno == errno.ELOOP:
            return True, "files are opened relative to a handle, links are not followed"
        raise
    finally:
        os.close(folder)
    return False, "a link was followed although that was forbidden"


def _preallocation(place: Path) -> tuple[bool | None, str]:
    if not hasattr(os, "posix_fallocate"):
        return False, "this system has none"
    descriptor = os.open(place / "room", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, _SOME)
        good = os.fstat(descriptor).st_size == _SOME
    finally:
        os.close(descriptor)
    return good, "room is reserved before a download" if good else "says it worked, but reserves nothing"


def _case(place: Path) -> tuple[bool | None, str]:
    (place / "Case").write_bytes(b"")
    same = (place / "cASE").exists()
    return not same, "A and a are one name" if same else "A and a are two names"


def _forms(place: Path) -> tuple[bool | None, str]:
    """Does a name come back as it was written?"""
    composed = unicodedata.normalize("NFC", "e\u0301")
    (place / composed).write_bytes(b"")
    if composed not in os.listdir(place):
        return False, "names come back in another form than they were given"
    same = (place / unicodedata.normalize("NFD", composed)).exists()
    return not same, "two forms of an accent are one name" if same else "names come back as they were given"


_TESTS: dict[str, Callable[[Path], tuple[bool | None, str]]] = {
    "locks": _locks,
    "flushing": _flushes,
    "renaming": _renames,
    "handles": _handles,
    "preallocation": _preallocation,
    "hard links": _hard_links,
    "upper and lower case": _case,
    "forms of letters": _forms,
}
