"""The rows that the rules make of label tables: a few in memory, many in a nameless file of the staging folder."""

from __future__ import annotations

import json
import os
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import eq
from pathlib import Path
from typing import Any, BinaryIO, overload

from aigiqa_cli import folders
from aigiqa_cli.index import Row

FEW = 25_000  # rows that stay in memory: some 30 MB
_MARKED = 64
_BLOCK = 1 << 16
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_decoded = json.JSONDecoder().decode


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference image of an image-to-image row."""

    name: str
    find: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label row after the rules. `fields` are index columns; `find` are path endings of its image."""

    where: str
    fields: Row
    image_id: str
    find: tuple[str, ...]
    extra: dict[str, object] = field(default_factory=dict)
    reference: Reference | None = None
    flags: tuple[str, ...] = ()


class LabelRows(Sequence[LabelRow]):
    """Rows in the order in which they were appended; those that are read from a file are made anew each time."""

    def __init__(self, folder: Path | None = None, rows: Iterable[LabelRow] = ()) -> None:
        """`folder`: where a file may be made if they are many; without one all stay in memory."""
        self._folder = folder
        self._few: list[LabelRow] = []
        self._file: BinaryIO | None = None
        self._count = self._length = 0  # rows and bytes in the file
        self._marks = array("Q")  # where each so-manieth of its rows begins
        for row in rows:
            self.append(row)

    def append(self, row: LabelRow) -> None:
        if self._file is None and self._folder is not None and len(self._few) == FEW:
            self._file = folders.unnamed(self._folder)
            weakref.finalize(self, self._file.close)
            for early in self._few:
                self._write(self._file, early)
            self._few.clear()
        if self._file is None:
            self._few.append(row)
        else:
            self._write(self._file, row)

    def changed(self, change: Callable[[int, LabelRow], LabelRow | None]) -> LabelRows:
        """What `change` makes of each row and its number; None leaves it out."""
        made = (change(number, row) for number, row in enumerate(self))
        return LabelRows(self._folder, (row for row in made if row is not None))

    def __len__(self) -> int:
        return self._count or len(self._few)

    def __iter__(self) -> Iterator[LabelRow]:
        return iter(self._few) if self._file is None else self._read(self._file, 0)

    @overload
    def __getitem__(self, number: int) -> LabelRow: ...
    @overload
    def __getitem__(self, number: slice) -> list[LabelRow]: ...
    def __getitem__(self, number: int | slice) -> LabelRow | list[LabelRow]:
        if isinstance(number, slice):
            return [self[place] for place in range(len(self))[number]]
        if self._file is None:
            return self._few[number]
        mark, further = divmod(range(len(self))[number], _MARKED)
        return next(islice(self._read(self._file, self._marks[mark]), further, None))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LabelRows):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # rows can be appended

    def _write(self, file: BinaryIO, row: LabelRow) -> None:
        reference = row.reference and (row.reference.name, row.reference.find)
        said = (row.where, row.fields, row.image_id, row.find, row.extra, reference, row.flags)
        line = _encoded(said).encode() + b"\n"
        if self._count % _MARKED == 0:
            self._marks.append(self._length)
        self._count += 1
        self._length += file.write(line)

    def _read(self, file: BinaryIO, at: int) -> Iterator[LabelRow]:
        """The rows from this byte on."""
        file.flush()
        rest = b""
        while block := os.pread(file.fileno(), _BLOCK, at):
            at += len(block)
            *lines, rest = (rest + block).split(b"\n")
            yield from map(_row, lines)


def _row(line: bytes) -> LabelRow:
    where, fields, image_id, find, extra, reference, flags = _decoded(line.decode())
    named: Any = reference and Reference(reference[0], tuple(reference[1]))
    return LabelRow(where, fields, image_id, tuple(find), extra, named, tuple(flags))
