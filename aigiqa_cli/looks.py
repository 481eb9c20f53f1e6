"""How published files looked when they were hashed last, so that `verify --quick` need not read them again.

A note about one database says of which record it is, and of every file whose bytes were found to be the recorded ones
size, times of modification and of change, and inode, as git's index has them of a working tree. This is how a note is
read and compared; `store.stat_cache` writes it. Kept free of heavy imports: nothing else is needed where nothing has
changed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator

FORMAT = "1"
INDEX = "index.csv"
LONGEST = 4 << 30  # bytes; ten million files need one GB
_SEAL = 65  # bytes: the SHA-256 of what follows, and a line end
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Noted:
    """`record` is the SHA-256 of the record that it is about; `files`, `bytes` and `images` are what that says.
    `looks`: each folder in the database ("" is itself) -> `look` of every noted file in it."""

    def __init__(self, record: str, files: int, size: int, images: int, looks: dict[str, set[str]]) -> None:
        self.record, self.files, self.bytes, self.images, self.looks = record, files, size, images, looks

    @classmethod
    def of(cls, data: bytes) -> Noted:
        """Raises ValueError for anything that we did not write just so."""
        if data[:_SEAL] != _seal(memoryview(data)[_SEAL:]):
            raise ValueError("it is not what was sealed")
        blocks = str(memoryview(data)[_SEAL:], "utf-8").split("\0")
        del data  # a million looks are 60 MB, and each copy of them as much again
        form, record, files, size, images = blocks.pop(0).split(" ")
        if form != FORMAT:
            raise ValueError("its format is another")
        looks = {}
        while blocks:
            place, *lines = blocks.pop().split("\n")
            looks[place] = set(lines)
        return cls(record, int(files), int(size), int(images), looks)

    def to_bytes(self) -> bytes:
        """Names have no line end and no NUL: no published path has."""
        head = f"{FORMAT} {self.record} {self.files} {self.bytes} {self.images}"
        blocks = ("\n".join([place, *sorted(looks)]) for place, looks in self.looks.items())
        body = "\0".join([head, *blocks]).encode()
        return _seal(body) + body


def _seal(body: bytes | memoryview) -> bytes:
    return hashlib.sha256(body).hexdigest().encode() + b"\n"


def look(name: str, status: os.stat_result) -> str:
    """One file of a folder as one text: name, bytes, modified in ns since 1970, changed in ns since then, inode.

    Texts, because a million of them are far smaller than as many tuples, and compared at once.
    """
    since = status.st_ctime_ns - status.st_mtime_ns
    return f"{name}/{status.st_size}/{status.st_mtime_ns}/{since}/{status.st_ino}"


def read(path: str | os.PathLike[str], record: str) -> Noted | None:
    """The note in a file, if it is about the record whose bytes have this SHA-256."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as stream:
            noted = Noted.of(stream.read(min(LONGEST, os.fstat(handle).st_size)))  # as much room is taken at once
    except (OSError, ValueError):
        return None
    return noted if noted.record == record else None


def is_unchanged(folder: str | os.PathLike[str], noted: Noted) -> bool:
    """Has the folder of a database every file of the record, as it was noted, and nothing else? No file is read."""
    if sum(map(len, noted.looks.values())) != noted.files:
        return False
    try:
        return all(_is_as_noted(folder, place, noted.looks) for place in noted.looks)
    except OSError:
        return False


def _is_as_noted(folder: str | os.PathLike[str], place: str, known: dict[str, set[str]]) -> bool:
    looks, same = known[place], 0
    handle = opened(folder, place)
    try:
        with os.scandir(handle) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                modified = status.st_mtime_ns  # what `look` says, without a call for each file
                since = status.st_ctime_ns - modified
                if f"{entry.name}/{status.st_size}/{modified}/{since}/{status.st_ino}" in looks:
                    same += 1
                elif not (entry.is_dir(follow_symlinks=False) and joined(place, entry.name) in known):
                    return False
    finally:
        os.close(handle)
    return same == len(looks)


def unchanged(folder: str | os.PathLike[str], noted: Noted) -> Iterator[tuple[str, str]]:
    """The noted files below a folder that still look as they did: path, look."""
    for place, looks in noted.looks.items():
        try:
            handle = opened(folder, place)
        except OSError:  # what is gone, or a link now, is not as it was
            continue
        try:
            with os.scandir(handle) as entries:
                for entry in entries:
                    shape = look(entry.name, entry.stat(follow_symlinks=False))
                    if shape in looks:
                        yield joined(place, entry.name), shape
        except OSError:  # gone meanwhile
            pass
        finally:
            os.close(handle)


def opened(folder: str | os.PathLike[str], place: str) -> int:
    """A handle of a folder in the folder of a database; a link is none. Raises OSError."""
    handle = os.open(folder, _FOLDER)
    for part in place.split("/") if place else ():
        try:
            following = os.open(part, _FOLDER, dir_fd=handle)
        finally:
            os.close(handle)
        handle = following
    return handle


def records(internal: str, wanted: Collection[str] = ()) -> dict[str, str]:
    """The records below `.aigiqa`, or the wanted ones of them, by id: SHA-256 of their bytes. Raises OSError."""
    folder, found = os.path.join(internal, "installed"), {}
    for file in sorted(os.listdir(folder)):
        name, suffix = os.path.splitext(file)
        if suffix == ".json" and (name in wanted or not wanted):
            with open(os.path.join(folder, file), "rb") as stream:
                found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def index_note(internal: str, recorded: dict[str, str]) -> tuple[str, str]:
    """Where the note about the root index stands, and of which records it must be: it is made of all of them."""
    return os.path.join(internal, "stat", INDEX), hashlib.sha256("".join(recorded.values()).encode()).hexdigest()


def is_index_unchanged(root: str | os.PathLike[str], noted: Noted | None) -> bool:
    """Is the root index as it was when it was found to be what the records say?"""
    try:
        return noted is not None and look(INDEX, os.lstat(os.path.join(root, INDEX))) in noted.looks[""]
    except (OSError, KeyError):
        return False


def joined(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name
