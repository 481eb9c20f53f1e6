"""Files that appear whole and stay: temp, write, fsync, rename, fsync of the folder. The order is the promise.

A failed fsync is final for that file (the kernel may have marked the lost pages clean): it is never retried.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from aigiqa_cli import folders
from aigiqa_cli.names import shortened

_EXCHANGE = 2  # RENAME_EXCHANGE of <linux/fs.h>, RENAME_SWAP of <sys/stdio.h>
_CANNOT_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    with folders.opened(folder) as handle:
        os.fsync(handle)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A stream whose bytes stand at `path` once the block has ended well, durably; otherwise nothing changes."""
    part = path.with_name(f".{shortened(path.name, 200)}.{os.urandom(6).hex()}.tmp")
    try:
        with folders.new_file(part, 0o644) as stream:
            with suppress(OSError):  # a temporary file without a lock is a dead writer's, and gc removes it
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        folders.rename(part, path)
    except BaseException:
        with suppress(FileNotFoundError):
            folders.remove(part)
        raise
    fsync_folder(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Replace the file at `path` by `data`, durably."""
    with whole_file(path) as stream:
        stream.write(data)


def exchange(first: Path, second: Path) -> bool:
    """Let two names change hands in one step, so that neither is ever absent; False where the system cannot (C03)."""
    library = ctypes.CDLL(None, use_errno=True)
    call = getattr(library, "renameat2", None) or getattr(library, "renameatx_np", None)  # Linux, macOS
    if call is None:
        return False
    with folders.opened(first.parent, folders.PASSED) as here, folders.opened(second.parent, folders.PASSED) as there:
        code = call(here, os.fsencode(first.name), there, os.fsencode(second.name), _EXCHANGE)
    if code == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(first), None, str(second))


def flush_tree(folder: Path, early: int | None = None) -> None:
    """Make every file and name below `folder` durable: one syncfs where the system has it, else file by file.

    `early` is an open file of the same file system from before the writing began: a write that failed since then is
    told through it, also if the disk began with it long ago and somebody else has been told. So is one of another
    program, whose file cannot be told from ours.
    """
    if sys.platform != "linux" or not _syncfs(folder, early):
        flush_files(folder)


def flush_files(folder: Path) -> None:
    """The same file by file: for a few files on a disk where others write, too."""
    for _, _, names, handle in folders.walk(folder):
        for name in names:
            if folders.is_link(handle, name):
                continue  # a link is only a name
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=handle)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        os.fsync(handle)


def _syncfs(folder: Path, early: int | None) -> bool:
    """Flush the file system that holds `folder`; False where the call does not exist. A failure is raised."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "syncfs"):
        return False
    with folders.opened(folder) if early is None else nullcontext(early) as handle:
        if library.syncfs(handle) == 0:
            return True
        code = ctypes.get_errno()
        if code == errno.ENOSYS:
            return False
        raise OSError(code, os.strerror(code), str(folder))
