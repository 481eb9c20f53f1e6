"""What this machine refuses, as faults: which error of the operating system is which fault, and what helps.

S04 no space · S05 no inodes · S06 quota or limit on file size · S07 the disk itself · S08 permission, read-only ·
S09 handles, memory, threads · S11 a network file system that went away (exit 6) · S16 two file systems in one root ·
S17 a link where there must be none · S21 something that this file system cannot do.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aigiqa_cli.errors import Fault, MachineFault, TemporaryFault

_FAULTS = {
    errno.ENOSPC: "S04",
    errno.EDQUOT: "S06",
    errno.EFBIG: "S06",
    errno.EIO: "S07",
    errno.ENODEV: "S07",
    errno.ENXIO: "S07",
    errno.EACCES: "S08",
    errno.EPERM: "S08",
    errno.EROFS: "S08",
    errno.EMFILE: "S09",
    errno.ENFILE: "S09",
    errno.ENOMEM: "S09",
    errno.EAGAIN: "S09",
    errno.ESTALE: "S11",
    errno.EINTR: "S11",  # where the interpreter does not ask again by itself; only network file systems do that
    errno.ETIMEDOUT: "S11",
    errno.EREMOTEIO: "S11",
    errno.ENAMETOOLONG: "S14",
    errno.EXDEV: "S16",
    errno.ELOOP: "S17",
    errno.EOPNOTSUPP: "S21",
    errno.ENOSYS: "S21",
    errno.ENOLCK: "S21",
}
_HINTS = {
    "S04": "free some space, or choose another root with --root; the same command then goes on",
    "S05": "remove files, or choose another root with --root; the same command then goes on",
    "S06": "ask for more quota or a higher limit (ulimit -f), or choose another root with --root",
    "S07": "check the disk (dmesg, smartctl), or choose another root with --root",
    "S08": "check who owns the root and how it is mounted, or choose another one with --root",
    "S09": "close other programs or raise the limits (ulimit -n, -v, -u); the same command then goes on",
    "S11": "the network file system may be back soon: run the same command again",
    "S14": "choose another root with --root: a shorter path, or a file system that has names of 255 bytes",
    "S16": "everything below the root must be on one file system: mount nothing below it, or choose another --root",
    "S17": "remove the link, or choose another root with --root",
    "S21": "choose a root on another file system with --root",
}
_SWAPPED = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY)  # what was just made or seen
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_PASSING = frozenset({"S04", "S06", "S09", "S11"})
_NO_THREAD = "can't start new thread"
_WHY = {
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files on this machine",
    errno.ELOOP: "a link is where a folder or file must be",
}


def is_passing(error: OSError) -> bool:
    """Does the error tell of the machine as it is now, and nothing of the file that was asked for?"""
    return _FAULTS.get(error.errno or 0) in _PASSING


def shortage(errors: Iterable[BaseException], doing: str) -> Fault | None:
    """The fault if one of these, as libraries wrap them, is want of handles or memory here."""
    scarce = [e for e in errors if isinstance(e, MemoryError) or getattr(e, "errno", 0) in _SCARCE]
    return machine_fault(scarce[0], doing) if scarce else None


def machine_fault(
    error: BaseException, doing: str, *, phase: str = "", needed: int | None = None, place: Path | None = None
) -> Fault | None:
    """The fault that an exception stands for, None if it says nothing about this machine.

    `needed` (bytes) and the bytes free at `place` are told where the disk is full.
    """
    if isinstance(error, MemoryError):
        return MachineFault(f"{doing}: out of memory", hint=_HINTS["S09"], fault="S09", phase=phase)
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return MachineFault(f"{doing}: no thread can be started", hint=_HINTS["S09"], fault="S09", phase=phase)
    if not isinstance(error, OSError):
        return None
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    if phase != "PLAN" and error.errno in _SWAPPED and place and where.startswith(f"{place}{os.sep}"):
        message = f"{doing}: something else changed {where} meanwhile ({error.strerror})"
        return TemporaryFault(message, hint="run the same command again", fault="S17", phase=phase)
    if error.errno not in _FAULTS:
        return None
    fault = _FAULTS[error.errno]
    at = f": {where}" if where else ""
    if fault in ("S04", "S06"):
        fault, why = _full(fault, error, place or (Path(where).parent if where else None), needed)
    elif fault == "S07":
        why = f"the disk reports an error ({error.strerror})"
    else:
        why = _WHY.get(error.errno) or str(error.strerror)
    kind = TemporaryFault if fault == "S11" else MachineFault
    return kind(f"{doing}: {why}{at}", hint=_HINTS[fault], fault=fault, phase=phase)


def _full(fault: str, error: OSError, place: Path | None, needed: int | None) -> tuple[str, str]:
    """No space, or no inodes although there is space; with the numbers that are known."""
    needs = f"{needed:,} bytes needed, " if needed is not None else ""
    try:
        status = os.statvfs(place) if place else None
    except OSError:
        status = None
    if status is None:
        return fault, f"no space is left ({needs}{error.strerror})"
    free = status.f_bavail * status.f_frsize
    if fault == "S04" and status.f_files and not status.f_favail:
        return "S05", f"no inodes are left, so no more files can be made ({free:,} bytes are free)"
    word = "no space is left" if fault == "S04" else f"{error.strerror}"
    return fault, f"{word} ({needs}{free:,} bytes free)"


@contextmanager
def machine_faults(
    doing: str, *, phase: str = "", needed: int | None = None, place: Path | None = None
) -> Iterator[None]:
    """Turn what this machine refuses into a MachineFault (exit 7), a stale handle into a TemporaryFault (exit 6);
    other exceptions stay what they are."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        fault = machine_fault(error, doing, phase=phase, needed=needed, place=place)
        if fault is None:
            raise
        raise fault from error
