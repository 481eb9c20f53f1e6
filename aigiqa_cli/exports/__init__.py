"""The index in other formats: rows of text in, a target that appears whole out.

A format is one function: it takes rows, columns, a binary stream and `exact`, and returns the number of rows.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aigiqa_cli.errors import MachineFault, UsageFault
from aigiqa_cli.exports.columns import Row, Scale, suggestion
from aigiqa_cli.exports.jsonl import write_jsonl
from aigiqa_cli.exports.parquet import write_parquet
from aigiqa_cli.exports.text import write_csv, write_tsv
from aigiqa_cli.names import shortened

__all__ = ["FORMATS", "Format", "Row", "Scale", "export", "whole_target"]


@dataclass(frozen=True)
class Format:
    name: str
    suffix: str
    binary: bool
    to_stdout_by_default: bool
    write: Callable[[Iterable[Row], Sequence[str], BinaryIO, bool], int]


FORMATS: dict[str, Format] = {
    "csv": Format("csv", ".csv", binary=False, to_stdout_by_default=True, write=write_csv),
    "tsv": Format("tsv", ".tsv", binary=False, to_stdout_by_default=True, write=write_tsv),
    "jsonl": Format("jsonl", ".jsonl", binary=False, to_stdout_by_default=True, write=write_jsonl),
    "parquet": Format("parquet", ".parquet", binary=True, to_stdout_by_default=False, write=write_parquet),
}


def export(
    rows: Iterable[Row],
    columns: Sequence[str],
    format: str,  # noqa: A002 - the option's own word
    target: Path | BinaryIO,
    *,
    exact: bool = False,
) -> int:
    """Write `rows` and return how many they were. A file appears whole or not at all, and durably; what is at
    `target` and is no file (a device, a pipe) is written to. A stream is left open, its OSErrors are its own.

    MachineFault where the file cannot be written, UsageFault where it can never be.
    """
    if format not in FORMATS:
        raise UsageFault(f"there is no format {format!r}", hint=suggestion(format, FORMATS))
    write = FORMATS[format].write
    if not isinstance(target, Path):
        return write(rows, columns, target, exact)
    with whole_target(target) as stream:
        return write(rows, columns, stream, exact)


@contextmanager
def whole_target(target: Path) -> Iterator[BinaryIO]:
    """A stream to a file that a person has chosen: it appears whole or not at all, and durably.

    UsageFault where it can never be, MachineFault where it cannot be written.
    """
    if target.is_dir() or not target.parent.is_dir():
        what = "is a folder" if target.is_dir() else "is in a folder that does not exist"
        raise UsageFault(f"{target} {what}", hint="name a file in an existing folder")
    try:
        with _whole(target) as stream:
            yield stream
    except OSError as error:
        raise MachineFault(f"the export to {target} failed: {error.strerror or error}") from error


@contextmanager
def _whole(target: Path) -> Iterator[BinaryIO]:
    """A stream whose bytes are at `target` once the block has ended well, and nowhere otherwise."""
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        with open(target, "wb") as stream:
            yield stream
        return
    target = target.resolve()  # a link stays a link to the new file
    part = target.with_name(f".{shortened(target.name, 200)}.{secrets.token_hex(6)}.part")
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
    _fsync_folder(target.parent)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
