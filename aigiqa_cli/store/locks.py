"""Locks are a courtesy that saves work; no promise depends on one (C06)."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli import owners
from aigiqa_cli.errors import TemporaryFault
from aigiqa_cli.machine import machine_faults
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.store.root import Root

if TYPE_CHECKING:
    from filelock import BaseFileLock

PATIENCE = 3600.0  # seconds to wait for another aigiqa; AIGIQA_LOCK_SECONDS changes it
ROOT_INDEX = "index.csv"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def locked(root: Root, name: str, reporter: Reporter) -> Iterator[None]:
    """Hold the lock of one database (or of the root index). A kernel lock: it is free when its holder is dead (C05)."""
    from filelock import FileLock, Timeout

    root.refuse_links("" if name == ROOT_INDEX else name)
    path = root.locks / f"{name}.lock"
    lock = FileLock(path)
    try:
        with machine_faults(f"locking {name}", phase="PLAN", place=root.path):
            _acquire(lock, reporter)
    except Timeout:
        reporter.note(f"waiting for another aigiqa that works on {name}{_holder(path)}")
        try:
            lock.acquire(timeout=_patience(), poll_interval=0.1)
        except Timeout:
            raise TemporaryFault(
                f"another aigiqa works on {name}{_holder(path)}", hint="try again later", fault="C05", phase="PLAN"
            ) from None
    try:
        with suppress(OSError):
            path.with_suffix(".owner").write_bytes(owner_note())
        yield
    finally:
        lock.release()


def _acquire(lock: BaseFileLock, reporter: Reporter) -> None:
    """Take the lock at once; where the file system has none, go on without (S11, S21). Raises Timeout."""
    try:
        lock.acquire(timeout=0)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise
        reporter.detail(f"this file system has no locks: {error}")


def _patience() -> float:
    try:
        return float(os.environ.get("AIGIQA_LOCK_SECONDS", PATIENCE))
    except ValueError:
        return PATIENCE


def owner_note() -> bytes:
    """Who works here."""
    return json.dumps(owners.note()).encode()


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.with_suffix(".owner").read_bytes())
        return f" (process {note['pid']} on {note['host']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def try_flock(descriptor: int) -> bool:
    """Take an exclusive lock on an open file without waiting; False if somebody holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
