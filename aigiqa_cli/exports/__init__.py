"""The index in other formats, with or without the images: rows of text in, a target that appears whole out."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from aigiqa_cli.errors import MachineFault, UsageFault
from aigiqa_cli.exports.columns import Row, Scale, suggestion
from aigiqa_cli.exports.formats import FORMATS, Format
from aigiqa_cli.exports.samples import Plan, Source, plan
from aigiqa_cli.exports.wanted import Wanted
from aigiqa_cli.exports.whole import refuse_taken, whole_folder, whole_target

__all__ = [
    "FORMATS", "Format", "Plan", "Row", "Scale", "Source", "Wanted", "export", "export_folder", "named", "plan",
    "whole_target",
]  # fmt: skip


def named(word: str) -> Format:
    """The format that is called so. Raises UsageFault if there is none."""
    if word not in FORMATS:
        raise UsageFault(f"there is no format {word!r}", hint=suggestion(word, FORMATS), phase="PLAN")
    return FORMATS[word]


def export(
    rows: Iterable[Row],
    wanted: Wanted,
    format: str,  # noqa: A002 - the option's own word
    target: Path | BinaryIO,
) -> int:
    """Write `rows` as a file and return how many records were written. A file appears whole or not at all, and
    durably; what is at `target` and is no file (a device, a pipe) is written to. A stream is left open, its OSErrors
    are its own.

    MachineFault where the file cannot be written, UsageFault where it can never be.
    """
    write = named(format).write
    if write is None:
        raise UsageFault(f"{format} is a folder", hint="name one with -o FOLDER")
    if not isinstance(target, Path):
        return write(rows, wanted, target)
    with whole_target(target) as stream:
        return write(rows, wanted, stream)


def export_folder(
    source: Source,
    planned: Plan,
    format: str,  # noqa: A002 - the option's own word
    target: Path,
) -> None:
    """Fill a new folder at `target`, which appears whole or not at all, and durably.

    UsageFault where it cannot be, IntegrityFault if an image is not what was installed, MachineFault for the disk.
    """
    fill = named(format).fill
    if fill is None:
        raise UsageFault(f"{format} is a file", hint="name one with -o FILE")
    refuse_taken(target)
    _demand_space(target.absolute().parent, 0 if source.images == "link" else planned.bytes)
    with whole_folder(target) as folder:
        fill(source, planned, folder)


def _demand_space(place: Path, needed: int) -> None:
    free = shutil.disk_usage(place).free
    if needed > free:
        raise MachineFault(
            f"not enough space in {place}: {needed:,} bytes are needed, {free:,} are free",
            hint="free some space, or choose another folder with -o",
            fault="S04",
            phase="PLAN",
        )
