"""Locks are a courtesy that saves work; no promise depends on one (C06)."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aigiqa_cli import folders, owners
from aigiqa_cli.errors import TemporaryFault
from aigiqa_cli.machine import machine_faults
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.store.root import Root

PATIENCE = 3600.0  # seconds to wait for another aigiqa; AIGIQA_LOCK_SECONDS changes it
ROOT_INDEX = "index.csv"
_POLL = 0.1  # seconds
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def locked(root: Root, name: str, reporter: Reporter) -> Iterator[None]:
    """Hold the lock of one database (or of the root index). A kernel lock: it is free when its holder is dead (C05)."""
    root.refuse_links("" if name == ROOT_INDEX else name)
    path = root.locks / f"{name}.lock"
    with machine_faults(f"locking {name}", phase="PLAN", place=root.path):
        descriptor = folders.open_file(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with machine_faults(f"locking {name}", phase="PLAN", place=root.path):
            taken = _taken(descriptor, reporter)
        if not taken:
            reporter.note(f"waiting for another aigiqa that works on {name}{_holder(path)}")
            _wait(descriptor, name, path)
        with suppress(OSError):
            _note_owner(path.with_suffix(".owner"))
        yield
    finally:
        os.close(descriptor)  # which frees the lock


def _taken(descriptor: int, reporter: Reporter) -> bool:
    """Take the lock at once; where the file system has none, go on without (S11, S21)."""
    try:
        return try_flock(descriptor)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        reporter.detail(f"this file system has no locks: {error}")
        return True


def _wait(descriptor: int, name: str, path: Path) -> None:
    """Take the lock once it is free. Raises TemporaryFault when the patience is over."""
    end = time.monotonic() + _patience()
    while not try_flock(descriptor):
        if time.monotonic() > end:
            raise TemporaryFault(
                f"another aigiqa works on {name}{_holder(path)}", hint="try again later", fault="C05", phase="PLAN"
            )
        time.sleep(_POLL)


def _note_owner(path: Path) -> None:
    descriptor = folders.open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    with open(descriptor, "wb") as stream:
        stream.write(owner_note())


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
