"""Files that appear whole and stay: temp, write, fsync, rename, fsync of the folder. The order is the promise.

A failed fsync is final for that file (the kernel may have marked the lost pages clean): it is never retried.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from aigiqa_cli.names import shortened

_HERE = -100  # AT_FDCWD
_RENAME_EXCHANGE, _RENAME_SWAP = 2, 2  # <linux/fs.h>, <sys/stdio.h> of macOS
_CANNOT_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A stream whose bytes stand at `path` once the block has ended well, durably; otherwise nothing changes."""
    part = path.with_name(f".{shortened(path.name, 200)}.{secrets.token_hex(6)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(part, flags, 0o644), "wb") as stream:
            with suppress(OSError):  # a temporary file without a lock is a dead writer's, and gc removes it
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(FileNotFoundError):
            part.unlink()
        raise
    fsync_folder(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Replace the file at `path` by `data`, durably."""
    with whole_file(path) as stream:
        stream.write(data)


def exchange(first: Path, second: Path) -> bool:
    """Let two names change hands in one step, so that neither is ever absent; False where the system cannot (C03)."""
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(first), os.fsencode(second)
    if hasattr(library, "renameat2"):
        code = library.renameat2(_HERE, names[0], _HERE, names[1], _RENAME_EXCHANGE)
    elif hasattr(library, "renamex_np"):
        code = library.renamex_np(*names, _RENAME_SWAP)
    else:
        return False
    if code == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(first), None, str(second))


def flush_tree(folder: Path) -> None:
    """Make every file and name below `folder` durable: one syncfs where the system has it, else file by file."""
    if sys.platform != "linux" or not _syncfs(folder):
        flush_files(folder)


def flush_files(folder: Path) -> None:
    """The same file by file: for a few files on a disk where others write, too."""
    for parent, _, files, handle in os.fwalk(folder, topdown=False):
        for name in files:
            if stat.S_ISLNK(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode):
                continue  # a link is only a name
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=handle)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        fsync_folder(Path(parent))


def _syncfs(folder: Path) -> bool:
    """Flush the file system that holds `folder`; False where the call does not exist. A failure is raised."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "syncfs"):
        return False
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if library.syncfs(descriptor) == 0:
            return True
        code = ctypes.get_errno()
        if code == errno.ENOSYS:
            return False
        raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(descriptor)
