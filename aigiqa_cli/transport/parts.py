"""Unfinished downloads on disk: `KEY.RANDOM.part` and, beside it, a note of where the bytes come from.

A part in use holds an exclusive lock on its open file. Whoever wants to continue a part claims it by renaming
it to a name of his own: of two processes one rename succeeds, whether or not the lock does its work.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import stat
import threading
import weakref
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from aigiqa_cli import folders, owners
from aigiqa_cli.digests import BLOCK
from aigiqa_cli.transport.model import Source, TreeSource, Wanted

_LONGEST_NOTE = 64 * 1024
BATCH = 8 << 20  # bytes of which the disk hears at once
ONCE = "once-"  # before the name of a part that is given up while it grows


@dataclass(frozen=True)
class Note:
    """What is known of the version that a part is a piece of. `url` is without its query."""

    url: str = ""
    kind: str = ""
    label: str = ""
    etag: str = ""
    last_modified: str = ""
    size: int | None = None
    sha256: str = ""
    owner: dict[str, Any] = field(default_factory=dict, compare=False)  # who appends to the part

    def validator(self) -> str:
        """What If-Range may carry: a strong ETag, else the date; "" if there is neither."""
        return self.etag or self.last_modified


class Part:
    """One part, open and locked until it is closed or forgotten. Bytes are appended and hashed at once."""

    def __init__(self, path: Path, descriptor: int, note: Note | None = None) -> None:
        self.path = path
        self.note = note
        self.size = 0
        self._begun = 0  # how far the disk has been told to write
        self._is_read_once = False  # most of it is given up before the disk needs to write it
        self.glued = False  # True once it holds bytes of more than one answer
        self.has_hole = False
        self._digest = hashlib.sha256()
        self._descriptor = descriptor
        self._close = weakref.finalize(self, os.close, descriptor)
        self._closing = threading.Lock()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    @property
    def note_path(self) -> Path:
        return self.path.with_suffix(".json")

    def load(self) -> None:
        """Hash what is on disk, so that appending can go on."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        while block := os.read(self._descriptor, BLOCK):
            self._digest.update(block)
            self.size += len(block)

    def append(self, block: bytes) -> None:
        folders.write(self._descriptor, block)
        self._digest.update(block)
        self.size += len(block)
        if self.size - self._begun >= BATCH and not self._is_read_once:
            self.begin_flush()

    def begin_flush(self) -> None:
        """Let the disk begin with what it has not heard of yet."""
        folders.begin_flush(self._descriptor, self._begun, self.size - self._begun)
        self._begun = self.size

    def describe(self, note: Note) -> None:
        """Write the note, whole or not at all, before the bytes that it vouches for."""
        if note == self.note and not self.glued:
            return
        note = replace(note, owner=owners.note())
        temporary = self.note_path.with_suffix(".json.new")
        descriptor = folders.open_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with open(descriptor, "w", encoding="utf-8") as stream:
            json.dump(asdict(note), stream)
        folders.rename(temporary, self.note_path)
        self.note = note

    def read_once(self) -> None:
        """Take a name under which no later run looks for its beginning: there will be a hole."""
        self._is_read_once = True
        name = self.path.with_name(ONCE + self.path.name)
        folders.rename(self.path, name)
        with contextlib.suppress(FileNotFoundError):
            folders.rename(self.note_path, name.with_suffix(".json"))
        self.path = name

    def give_up(self, end: int) -> bool:
        """Nobody reads the first `end` bytes again: the disk may have them back. False where it cannot."""
        with self._closing:
            if self._close.alive:
                self.has_hole = folders.make_hole(self._descriptor, end) or self.has_hole
        return self.has_hole

    def finish(self) -> None:
        """Flush to the disk. The part stays locked, and its note stays: a later run learns from it whose bytes
        these are, should the install not come to its end."""
        os.fsync(self._descriptor)

    def is_mine(self) -> bool:
        """Whether the path still leads to the open file: where locks lie another process may have claimed it."""
        return _same(self.path, self._descriptor)

    def discard(self) -> None:
        folders.remove(self.path, missing_ok=True)
        folders.remove(self.note_path, missing_ok=True)
        self.close()

    def close(self) -> None:
        with self._closing:  # the number may be another file's at once
            self._close()


def key(wanted: Wanted, sources: Sequence[Source] | Sequence[TreeSource]) -> str:
    """What parts of the same content share, the same in every run: the pinned hash, else name and first mirror."""
    if wanted.sha256:
        return wanted.sha256.lower()
    first = sources[0].label if sources else ""
    return hashlib.sha256(f"{wanted.name}\n{first}".encode()).hexdigest()


def create(folder: Path, name: str) -> Part:
    """A new, empty part of the key `name`."""
    folders.make(folder, 0o700, exist_ok=True)
    while True:
        path = _fresh(folder, name)
        descriptor = folders.open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        if _locked(descriptor):
            return Part(path, descriptor)
        os.close(descriptor)


def claim(folder: Path, name: str) -> Part | None:
    """The largest part of the key `name` that nobody uses, now ours and hashed; None if there is none."""
    for path in _candidates(folder, name):
        part = _taken(folder, name, path)
        if part is None:
            continue
        try:
            part.load()
        except OSError as error:
            if error.errno != errno.EIO:
                part.close()
                raise
            part.discard()  # what cannot be read is of no use (S07)
            continue
        return part
    return None


def sweep(folder: Path, name: str, complete: Part | None = None) -> None:
    """Remove the parts of a key that nobody uses but the `complete` one; where locks lie it would be taken, too."""
    for path in _candidates(folder, name):
        part = _taken(folder, name, path) if complete is None or path != complete.path else None
        if part is not None:
            part.discard()


def quarantine(part: Part, folder: Path, why: dict[str, str]) -> Path:
    """Move wrong bytes aside with a note of what is wrong with them."""
    place = folder.parent / "quarantine"
    folders.make(place, 0o700, exist_ok=True)
    target = place / part.path.with_suffix(".bytes").name
    folders.rename(part.path, target)
    folders.remove(part.note_path, missing_ok=True)
    with folders.new_file(target.with_suffix(".json"), 0o600) as stream:
        stream.write(json.dumps(why, indent=1, ensure_ascii=False).encode())
    part.close()
    return target


def longest(folder: Path, name: str) -> int:
    """Bytes of the longest part of the key `name` that any run has left, or is filling."""
    return max((path.stat().st_size for path in _candidates(folder, name)), default=0)


def _fresh(folder: Path, name: str) -> Path:
    return folder / f"{name}.{secrets.token_hex(8)}.part"


def _candidates(folder: Path, name: str) -> list[Path]:
    """Non-empty regular files only: an empty one may just be coming into being."""
    found: list[tuple[int, Path]] = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.name.startswith(f"{name}.") and entry.name.endswith(".part")):
                continue
            with contextlib.suppress(FileNotFoundError):
                state = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(state.st_mode) and state.st_size:
                    found.append((state.st_size, Path(entry.path)))
    return [path for _, path in sorted(found, reverse=True)]


def _taken(folder: Path, name: str, path: Path) -> Part | None:
    try:
        descriptor = folders.open_file(path, os.O_RDWR)
    except OSError:
        return None  # gone, or another user's
    mine = _fresh(folder, name)
    note = _read_note(path.with_suffix(".json"))
    lives = note is not None and owners.lives(note.owner)  # the lock says so too, if it is not one that lies (C06)
    if lives or not (_locked(descriptor) and _renamed(path, mine, descriptor)):
        os.close(descriptor)
        return None
    with contextlib.suppress(FileNotFoundError):
        folders.rename(path.with_suffix(".json"), mine.with_suffix(".json"))
    part = Part(mine, descriptor, note)
    part.glued = True
    return part


def _locked(descriptor: int) -> bool:
    """False if somebody else holds the lock; where the disk has no locks the rename alone decides."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _renamed(path: Path, mine: Path, descriptor: int) -> bool:
    try:
        folders.rename(path, mine)
    except OSError:
        return False
    return _same(mine, descriptor)


def _same(path: Path, descriptor: int) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    here = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _read_note(path: Path) -> Note | None:
    """The note of a part; None if it is missing or not one of ours."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), encoding="utf-8") as stream:
            found = json.loads(stream.read(_LONGEST_NOTE))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    size = found.get("size")
    owner = found.get("owner")
    texts = {each.name: str(found.get(each.name) or "") for each in fields(Note) if each.type == "str"}
    return Note(size=size if isinstance(size, int) else None, owner=owner if isinstance(owner, dict) else {}, **texts)
