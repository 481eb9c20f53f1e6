"""Files and folders that a person has chosen as targets: they appear whole or not at all, and durably."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from aigiqa_cli.errors import MachineFault, UsageFault
from aigiqa_cli.machine import machine_faults
from aigiqa_cli.names import shortened
from aigiqa_cli.store.durable import flush_files, flush_tree, fsync_folder

_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
_FEW = 1_000
_OF_THE_PLACE = ("S04", "S05", "S06", "S07", "S08", "S14")  # their hints are about the root


@contextmanager
def whole_target(target: Path) -> Iterator[BinaryIO]:
    """A stream to a file that a person has chosen: it appears whole or not at all, and durably.

    UsageFault where it can never be, MachineFault where it cannot be written.
    """
    refuse_impossible(target)
    try:
        with _whole(target) as stream:
            yield stream
    except OSError as error:
        raise MachineFault(f"the export to {target} failed: {error.strerror or error}") from error


def refuse_impossible(target: Path) -> None:
    """Raise UsageFault where no file can ever be."""
    if target.is_dir() or not target.parent.is_dir():
        what = "is a folder" if target.is_dir() else "is in a folder that does not exist"
        raise UsageFault(f"{target} {what}", hint="name a file in an existing folder")


@contextmanager
def whole_path(target: Path) -> Iterator[Path]:
    """A path for a library that writes files by name: what is there once the block has ended well stands at `target`,
    durably, and nothing otherwise. MachineFault where it cannot be written."""
    target = target.resolve()
    part = _beside(target)
    try:
        with machine_faults(f"writing {target} failed", phase="PUBLISH", place=target.parent):
            part.touch(exist_ok=False)
            usual = part.stat().st_mode
            yield part
            os.chmod(part, usual)  # whatever rights the library gives its files
            with open(part, "rb") as stream:
                os.fsync(stream.fileno())
            os.replace(part, target)
            fsync_folder(target.parent)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _whole(target: Path) -> Iterator[BinaryIO]:
    """A stream whose bytes are at `target` once the block has ended well, and nowhere otherwise."""
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        with open(target, "wb") as stream:
            yield stream
        return
    target = target.resolve()  # a link stays a link to the new file
    part = _beside(target)
    try:
        with open(part, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, target)
    except BaseException:
        with suppress(FileNotFoundError):
            part.unlink()
        raise
    fsync_folder(target.parent)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which stands at `target` once the block has ended well; otherwise nothing of it is left.

    A run that is killed leaves a hidden folder `.NAME.….part` beside the target, which nobody takes for finished.
    UsageFault where something is at `target` already, MachineFault where it cannot be written.
    """
    refuse_taken(target)
    target = target.parent.resolve() / target.name
    part = _beside(target)
    try:
        with machine_faults(f"the export to {target} failed", phase="PUBLISH", place=target.parent):
            part.mkdir()
            yield part
            _flush(part)
            _rename(part, target)
            fsync_folder(target.parent)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if isinstance(error, MachineFault) and error.fault in _OF_THE_PLACE:
            error.hint = "free some space or check the rights there, or choose another place with -o"
        raise


def _flush(part: Path) -> None:
    """A few shards one by one, thousands of images by flushing the file system, whoever else writes to it."""
    several = islice((name for _, _, names in os.walk(part) for name in names), _FEW)
    (flush_tree if sum(1 for _ in several) == _FEW else flush_files)(part)


def _rename(part: Path, target: Path) -> None:
    try:
        os.rename(part, target)
    except OSError as error:
        if error.errno in _TAKEN:
            raise _taken(target) from error
        raise


def refuse_taken(target: Path) -> None:
    """Raise UsageFault unless a folder can appear at `target`: nothing is there, or an empty folder."""
    if not target.absolute().parent.is_dir():
        raise UsageFault(f"{target} is in a folder that does not exist", hint="name a folder in an existing one")
    if os.path.lexists(target) and (not target.is_dir() or target.is_symlink() or any(target.iterdir())):
        raise _taken(target)


def _taken(target: Path) -> UsageFault:
    what = "is not empty" if target.is_dir() else "is no folder"
    return UsageFault(f"{target} {what}", hint="choose a new folder with -o; nothing there is replaced", phase="PLAN")


def _beside(target: Path) -> Path:
    return target.with_name(f".{shortened(target.name, 200)}.{secrets.token_hex(6)}.part")
