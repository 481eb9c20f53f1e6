"""The rows that the rules make of label tables: a few in memory, many in nameless files of the staging folder."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import eq
from pathlib import Path
from typing import Any, BinaryIO, Self, overload

from aigiqa_cli import folders
from aigiqa_cli.index import Row

FEW = 25_000  # rows that stay in memory: some 40 MB
_MARKED = 64  # every so many rows it is noted where they begin: what is read for one of them is no more than a block
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


class Room:
    """Where many rows wait: nameless files of a folder, which are gone when the block ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[BinaryIO] = []

    def file(self) -> int:
        """A handle of a new file."""
        self._files.append(folders.unnamed(self._folder))
        return self._files[-1].fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()


class LabelRows(Sequence[LabelRow]):
    """Rows in the order in which they were appended; those that are read from a file are made anew each time."""

    def __init__(self, room: Room | None = None, rows: Iterable[LabelRow] = ()) -> None:
        """`room`: where they wait if they are many; without one all stay in memory."""
        self._room = room
        self._few: list[LabelRow] = []
        self._file = -1
        self._unwritten = bytearray()
        self._count = self._length = 0  # rows and bytes in the file, with those that are not written yet
        self._marks = array("Q")
        for row in rows:
            self.append(row)

    def append(self, row: LabelRow) -> None:
        if self._file < 0 and self._room is not None and len(self._few) == FEW:
            self._file = self._room.file()
            for early in self._few:
                self._put(early)
            self._few.clear()
        if self._file < 0:
            self._few.append(row)
        else:
            self._put(row)

    def changed(self, change: Callable[[int, LabelRow], LabelRow | None]) -> LabelRows:
        """What `change` makes of each row and its number; None leaves it out."""
        made = (change(number, row) for number, row in enumerate(self))
        return LabelRows(self._room, (row for row in made if row is not None))

    def __len__(self) -> int:
        return self._count or len(self._few)

    def __iter__(self) -> Iterator[LabelRow]:
        return iter(self._few) if self._file < 0 else self._read(0)

    @overload
    def __getitem__(self, number: int) -> LabelRow: ...
    @overload
    def __getitem__(self, number: slice) -> list[LabelRow]: ...
    def __getitem__(self, number: int | slice) -> LabelRow | list[LabelRow]:
        if isinstance(number, slice):
            return [self[place] for place in range(len(self))[number]]
        if self._file < 0:
            return self._few[number]
        mark, further = divmod(range(len(self))[number], _MARKED)
        return next(islice(self._read(self._marks[mark]), further, None))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LabelRows):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # rows can be appended

    def _put(self, row: LabelRow) -> None:
        reference = row.reference and (row.reference.name, row.reference.find)
        said = (row.where, row.fields, row.image_id, row.find, row.extra, reference, row.flags)
        line = _encoded(said).encode() + b"\n"
        if self._count % _MARKED == 0:
            self._marks.append(self._length)
        self._count += 1
        self._length += len(line)
        self._unwritten += line
        if len(self._unwritten) >= folders.PIECE:
            self._write()

    def _write(self) -> None:
        folders.write(self._file, bytes(self._unwritten))
        self._unwritten = bytearray()

    def _read(self, at: int) -> Iterator[LabelRow]:
        """The rows from this byte on."""
        self._write()
        rest = b""
        while block := os.pread(self._file, _BLOCK, at):
            at += len(block)
            *lines, rest = (rest + block).split(b"\n")
            yield from map(_row, lines)


def _row(line: bytes) -> LabelRow:
    where, fields, image_id, find, extra, reference, flags = _decoded(line.decode())
    named: Any = reference and Reference(reference[0], tuple(reference[1]))
    return LabelRow(where, fields, image_id, tuple(find), extra, named, tuple(flags))
