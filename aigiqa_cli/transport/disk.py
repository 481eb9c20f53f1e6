"""What this machine says about the disk, as faults with the bytes needed and free."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from aigiqa_cli.errors import MachineFault
from aigiqa_cli.machine import machine_fault


def require_space(folder: Path, needed: int) -> None:
    """Raise MachineFault before the first byte if `needed` bytes cannot fit."""
    place = next((at for at in (folder, *folder.parents) if at.exists()), folder)
    free = shutil.disk_usage(place).free
    if needed > free:
        raise MachineFault(f"not enough space in {folder}: {needed:,} bytes needed, {free:,} free", fault="S04")


@contextlib.contextmanager
def machine(folder: Path, needed: int | None) -> Iterator[None]:
    """Turn the disk's refusals into a fault that says what is needed and what is free."""
    try:
        yield
    except OSError as error:
        fault = machine_fault(error, f"writing in {folder}", phase="FETCH", needed=needed, place=folder)
        if fault is None:
            raise MachineFault(f"{folder}: {error.strerror or error}", fault="S07", phase="FETCH") from error
        raise fault from error
