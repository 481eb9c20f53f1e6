"""What is made, moved or removed below the root happens where it seems to: no link on the way is followed (S17).

Paths are absolute, and the root's own is resolved once, so that none of them has a link in it. The folder of the last
name is opened step by step from the top, and the system call works relative to that handle. Whoever exchanges a folder
for a link, at whatever moment, meets a refusal (ELOOP), or the work is done in the folder that was there before.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import stat
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

# For aligned writes of 64 KiB and more Linux looks for large folios, and on a machine whose memory is in use that takes
# several times as long as all the rest.
PIECE = 48 << 10

WORTH_BEGINNING = 128 << 10  # bytes of a file; the disk takes many smaller ones better all at once

PASSED = getattr(os, "O_PATH", os.O_RDONLY)  # enough to work in a folder, also in one that may not be listed
_STEP = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC
_NAMELESS = getattr(os, "O_TMPFILE", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_KEEP_SIZE, _PUNCH_HOLE = 1, 2  # <linux/falloc.h>
_BEGIN_WRITING = 2  # SYNC_FILE_RANGE_WRITE of <fcntl.h>
_OPENAT2, _RESOLVE_NO_SYMLINKS = 437, 4  # <asm/unistd.h> of every architecture, <linux/openat2.h>
_LIBRARY = ctypes.CDLL(None)


def handle(folder: Path, flags: int = os.O_RDONLY) -> int:
    """A handle of a folder, which the caller closes; with `PASSED` it cannot be listed or flushed."""
    found = _at_once(folder, flags) if sys.platform == "linux" else -1
    if found >= 0:
        return found
    return _descended(os.open(folder.anchor, PASSED), folder.parts[1:], flags, folder.anchor)


def _at_once(folder: Path, flags: int) -> int:
    """All steps in one system call, which Linux has since 5.6; negative where it fails, for whatever reason."""
    how = struct.pack("QQQ", flags | _STEP, 0, _RESOLVE_NO_SYMLINKS)
    return int(_LIBRARY.syscall(_OPENAT2, -1, os.fsencode(folder), how, len(how)))


@contextmanager
def opened(folder: Path, flags: int = os.O_RDONLY) -> Iterator[int]:
    """`handle` for the length of a block."""
    found = handle(folder, flags)
    try:
        yield found
    finally:
        os.close(found)


def below(folder: int, path: str, flags: int = PASSED) -> int:
    """A handle of the folder `path` below an open one; the caller closes it."""
    return _descended(os.dup(folder), path.split("/") if path else [], flags, "")


def _descended(here: int, names: Sequence[str], flags: int, base: str) -> int:
    """Follow the names; the handle that was given is closed."""
    for number, name in enumerate([*names] or ["."], 1):
        try:
            following = os.open(name, (flags if number >= len(names) else PASSED) | _STEP, dir_fd=here)
        except OSError as error:
            code = errno.ELOOP if error.errno == errno.ENOTDIR and is_link(here, name) else error.errno or errno.EIO
            raise OSError(code, os.strerror(code), os.path.join(base, *names[:number])) from error
        finally:
            os.close(here)
        here = following
    return here


def is_link(folder: int, name: str) -> bool:
    """Is that name in the open folder a symbolic link?"""
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


@contextmanager
def _at(path: Path) -> Iterator[tuple[int, str]]:
    """The folder of `path`, and the last name."""
    with opened(path.parent, PASSED) as folder, named_in(path.parent):
        yield folder, path.name


@contextmanager
def named_in(folder: Path) -> Iterator[None]:
    """An OSError of this block, whose path is relative to a handle of `folder`, names the whole path."""
    try:
        yield
    except OSError as error:
        if isinstance(error.filename, str):
            error.filename = str(folder / error.filename)
        raise


def open_file(path: Path, flags: int, mode: int = 0o600) -> int:
    """As os.open; a link is refused."""
    with _at(path) as (folder, name):
        return os.open(name, flags | _FILE, mode, dir_fd=folder)


def new_file(path: Path, mode: int = 0o666) -> BinaryIO:
    """A stream into a file that was not there before."""
    return open(open_file(path, _NEW, mode), "wb")


def unnamed(folder: Path) -> BinaryIO:
    """A file of this folder without a name, to be written and read; it is gone when it is closed."""
    with opened(folder) as handle, named_in(folder):
        return open(_unnamed(handle), "w+b")


def _unnamed(folder: int) -> int:
    if _NAMELESS:
        with suppress(OSError):  # not every file system has them
            return os.open(".", _NAMELESS | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=folder)
    name = f".{secrets.token_hex(8)}.tmp"
    found = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FILE, 0o600, dir_fd=folder)
    os.unlink(name, dir_fd=folder)
    return found


def make(path: Path, mode: int = 0o777, *, exist_ok: bool = False) -> None:
    """Make a folder. `exist_ok`: nothing happens if it is there; a link to one is none."""
    with _at(path) as (folder, name):
        try:
            os.mkdir(name, mode, dir_fd=folder)
        except FileExistsError:
            if not exist_ok or not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise


def make_below(start: Path, folder: Path) -> None:
    """Make what is missing of the folders from `start` down to `folder`."""
    for name in (*reversed(folder.parents), folder):
        if name.is_relative_to(start) and name != start:
            make(name, exist_ok=True)


def rename(source: Path, target: Path) -> None:
    """As os.rename: what has the name `target` is replaced."""
    with opened(source.parent, PASSED) as here, opened(target.parent, PASSED) as there, named_in(source.parent):
        os.rename(source.name, target.name, src_dir_fd=here, dst_dir_fd=there)


def link(source: Path, target: Path) -> None:
    """Give a file a second name."""
    with opened(source.parent, PASSED) as here, opened(target.parent, PASSED) as there, named_in(target.parent):
        os.link(source.name, target.name, src_dir_fd=here, dst_dir_fd=there, follow_symlinks=False)


def copy(source: Path, target: Path) -> None:
    """Copy a file to a name that is free."""
    with open(source, "rb") as stream, new_file(target) as copied:
        shutil.copyfileobj(stream, copied, PIECE)


def write(descriptor: int, data: bytes | memoryview, at: int | None = None) -> None:
    """Write all of `data` to an open file: where it stands, or from the byte `at` on."""
    view = memoryview(data)
    while view:
        count = os.write(descriptor, view[:PIECE]) if at is None else os.pwrite(descriptor, view[:PIECE], at)
        view, at = view[count:], None if at is None else at + count


def begin_flush(descriptor: int, at: int = 0, count: int = 0) -> None:
    """Let the disk begin with these bytes of a file (`count` 0: all from `at` on) while there is other work to do.

    A hint: it seldom waits, promises nothing, and nothing happens where the system does not know it.
    """
    call = getattr(_LIBRARY, "sync_file_range", None)
    if call is not None:
        call(descriptor, ctypes.c_longlong(at), ctypes.c_longlong(count), _BEGIN_WRITING)


def set_mode(path: Path, mode: int) -> None:
    """As os.chmod; a link is refused."""
    handle = open_file(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.fchmod(handle, mode)
    finally:
        os.close(handle)


def make_hole(descriptor: int, end: int) -> bool:
    """Let the disk take back the first `end` bytes of an open file; its length stays, and they read as zeros. False
    where the system or the file system cannot."""
    if sys.platform != "linux":
        return False
    begin, length = ctypes.c_int64(0), ctypes.c_int64(end)
    return bool(_LIBRARY.fallocate(descriptor, _KEEP_SIZE | _PUNCH_HOLE, begin, length) == 0)


def remove(path: Path, *, missing_ok: bool = False) -> None:
    """Remove a file, or a link itself."""
    try:
        with _at(path) as (folder, name):
            os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        if not missing_ok:
            raise


def remove_folder(path: Path) -> None:
    """Remove an empty folder."""
    with _at(path) as (folder, name):
        os.rmdir(name, dir_fd=folder)


def remove_tree(path: Path) -> None:
    """Remove a folder and all that is in it; links in it are removed, not followed."""
    with _at(path) as (folder, name):
        try:
            shutil.rmtree(name, dir_fd=folder)
        except OSError as error:
            if error.errno is not None:
                raise
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from error  # its own refusal has no number


def drop_tree(path: Path) -> None:
    """As much of `remove_tree` as can be done; whatever goes wrong is left to gc."""
    with suppress(OSError), _at(path) as (folder, name):
        shutil.rmtree(name, ignore_errors=True, dir_fd=folder)


def walk(path: Path) -> Iterator[tuple[str, list[str], list[str], int]]:
    """Bottom-up: the path below `path` ("" is itself), real folders, all other names, and a handle of each folder.

    A folder that cannot be listed raises its OSError, which names `path`: it is not an empty one.
    """

    def unlisted(error: OSError) -> None:
        error.filename = path.name  # what it has is the last name alone, of a folder somewhere below
        raise error

    with _at(path) as (above, top):
        for place, folders, names, here in os.fwalk(top, topdown=False, onerror=unlisted, dir_fd=above):
            links = [name for name in folders if is_link(here, name)]
            yield place[len(top) + 1 :], [name for name in folders if name not in links], [*names, *links], here
