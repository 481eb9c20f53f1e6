"""What this machine says about the disk, as faults with the bytes needed and free."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from aigiqa_cli.errors import MachineFault

_HERE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG)


def require_space(folder: Path, needed: int) -> None:
    """Raise MachineFault before the first byte if `needed` bytes cannot fit."""
    place = next((at for at in (folder, *folder.parents) if at.exists()), folder)
    free = shutil.disk_usage(place).free
    if needed > free:
        raise MachineFault(f"not enough space in {folder}: {needed:,} bytes needed, {free:,} free", fault="S04")


@contextlib.contextmanager
def machine(folder: Path, needed: int | None) -> Iterator[None]:
    """Turn the disk's refusals into a MachineFault that says what is needed and what is free."""
    try:
        yield
    except OSError as error:
        if error.errno not in _HERE:
            raise MachineFault(f"{folder}: {error.strerror or error}", fault="S07") from error
        free = _free(folder)
        wants = f"{needed:,} bytes needed, " if needed is not None else ""
        raise MachineFault(
            f"cannot write in {folder} ({error.strerror}): {wants}{free:,} bytes free",
            hint="free some space or choose another folder with --root; what has arrived is kept",
            fault="S04",
        ) from error


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
