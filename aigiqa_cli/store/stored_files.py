"""The published files of one database, as its record lists them, in little room.

As objects they take some 280 bytes each, packed 48 and their path: all paths end to end, sorted, and beside them where
each ends, its length and its hash.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

_HASH = 32  # bytes of a SHA-256


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A published file: path relative to the database's folder, length in bytes, SHA-256."""

    path: str
    bytes: int
    sha256: str


@dataclass
class Packing:
    """Files as they come, one after the other."""

    paths: bytearray = field(default_factory=bytearray)
    ends: array[int] = field(default_factory=lambda: array("Q"))
    sizes: array[int] = field(default_factory=lambda: array("Q"))
    hashes: bytearray = field(default_factory=bytearray)
    is_sorted: bool = True
    is_twice: bool = False  # of two that follow each other: of a sorted list all

    def add(self, path: str, length: int, sha256: str) -> None:
        """Raises ValueError for what cannot be a path, a length or a SHA-256."""
        if type(length) is not int or not 0 <= length < 1 << 63:
            raise ValueError("a number is none")
        if not (isinstance(path, str) and isinstance(sha256, str)):
            raise ValueError("a text is none")  # noqa: TRY004 - what is read is damaged, not wrongly called
        digest = bytes.fromhex(sha256)
        if digest.hex() != sha256 or len(digest) != _HASH:
            raise ValueError(f"{sha256[:80]!r} is no SHA-256")
        name = path.encode()
        if self.sizes and name <= (last := self.path(len(self.sizes) - 1)):
            self.is_sorted = False
            self.is_twice = self.is_twice or name == last
        self.paths += name
        self.ends.append(len(self.paths))
        self.sizes.append(length)
        self.hashes += digest

    def path(self, number: int) -> bytes:
        return bytes(self.paths[self.ends[number - 1] if number else 0 : self.ends[number]])

    def file(self, number: int) -> StoredFile:
        digest = self.hashes[number * _HASH : (number + 1) * _HASH].hex()
        return StoredFile(self.path(number).decode(), self.sizes[number], digest)


class StoredFiles(Sequence[StoredFile]):
    """Sorted by path, each path once."""

    def __init__(self, files: Iterable[StoredFile] | Packing = ()) -> None:
        """Files in whatever order. Raises ValueError for a path that comes twice, or what is no SHA-256."""
        packed = files if isinstance(files, Packing) else _sorted(files)
        if not packed.is_sorted:
            packed = _sorted(map(packed.file, range(len(packed.sizes))))
        if packed.is_twice:
            raise ValueError("it lists a file twice")
        self.packed = packed
        self._next: dict[str, int] = {}  # most are looked up in order: what follows the last one of its folder

    def __len__(self) -> int:
        return len(self.packed.sizes)

    @overload
    def __getitem__(self, place: int) -> StoredFile: ...
    @overload
    def __getitem__(self, place: slice) -> list[StoredFile]: ...
    def __getitem__(self, place: int | slice) -> StoredFile | list[StoredFile]:
        if isinstance(place, slice):
            return [self.packed.file(number) for number in range(len(self))[place]]
        return self.packed.file(range(len(self))[place])

    def __iter__(self) -> Iterator[StoredFile]:
        return map(self.packed.file, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StoredFiles):
            return NotImplemented
        return self.packed == other.packed

    __hash__ = None  # type: ignore[assignment]  # a record, which holds it, has no hash either

    def __repr__(self) -> str:
        return f"<{len(self)} files>"

    @property
    def size(self) -> int:
        """Bytes of all together."""
        return sum(self.packed.sizes)

    def position(self, path: str) -> int | None:
        """The number of the file of this path, in order of the paths; None if there is none."""
        wanted = path.encode("utf-8", "surrogatepass")  # a name on disk may be no text; none here is like it
        folder = path.rpartition("/")[0]
        following = self._next.get(folder, len(self))
        if following < len(self) and self.packed.path(following) == wanted:
            found = following
        else:
            found = bisect_left(range(len(self)), wanted, key=self.packed.path)
            if found == len(self) or self.packed.path(found) != wanted:
                return None
        self._next[folder] = found + 1
        return found

    def of(self, path: str) -> StoredFile | None:
        """The file of this path, if there is one."""
        found = self.position(path)
        return None if found is None else self.packed.file(found)

    def has(self, path: str) -> bool:
        return self.position(path) is not None


def _sorted(files: Iterable[StoredFile]) -> Packing:
    packing = Packing()
    for file in sorted(files, key=lambda file: file.path):
        packing.add(file.path, file.bytes, file.sha256)
    return packing
