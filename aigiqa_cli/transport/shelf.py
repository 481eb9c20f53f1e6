"""A tree on disk while it arrives: `KEY.RANDOM.tree/` with `files/` (whole and proven), `parts/` and a journal.

The journal has one line for each finished file: its SHA-256, and whose listing it belongs to. It is written after the
file has got its name, so a run that was killed in between trusts only a hash that the host states. Nothing is flushed
file by file: a later run reads every file again, and an install flushes all of them at its end.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigiqa_cli import folders, owners
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.transport.model import Leaf, Received

ENDING = ".tree"
_FILES, _PARTS, _JOURNAL, _OWNER = "files", "parts", "journal.jsonl", "owner.json"


@dataclass(frozen=True)
class Proof:
    """What the journal says of one finished file."""

    sha256: str
    origin: str
    tag: str


class Shelf:
    """One such folder, ours until it is closed: its lock keeps other processes, and gc, off it."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self.files, self.parts = folder / _FILES, folder / _PARTS
        for place in (self.files, self.parts):
            folders.make(place, 0o700, exist_ok=True)
        self._descriptor = descriptor
        with open(folders.open_file(folder / _OWNER, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), "wb") as stream:
            stream.write(json.dumps(owners.note()).encode())
        self._proofs = _read_journal(folder / _JOURNAL)
        self._journal = folders.open_file(folder / _JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._mode = stat.S_IMODE(os.fstat(self._journal).st_mode)  # what new files get here, for everybody's eyes
        if self._proofs:
            os.write(self._journal, b"\n")  # a line that was cut stays alone
        self._made: set[str] = {""}
        self._lock = threading.Lock()

    def holds(self, leaf: Leaf, origin: str) -> bool:
        """Is this very file here, whole and proven? Bytes that are another version go."""
        path = self.files / leaf.path
        try:
            found = os.lstat(path)
        except OSError:
            return False
        if stat.S_ISREG(found.st_mode) and leaf.bytes in (None, found.st_size):
            expected = leaf.sha256 or self._remembered(leaf, origin)
            if expected and sha256_file(path)[0] == expected:
                return True
        if stat.S_ISDIR(found.st_mode):
            folders.remove_tree(path)
        else:
            folders.remove(path)
        return False

    def keep_only(self, paths: set[str]) -> None:
        """Remove finished files that the listing does not have: they belong to another version of the tree."""
        for place, inner, names, handle in folders.walk(self.files):
            for name in names:
                if (f"{place}/{name}" if place else name) not in paths:
                    os.unlink(name, dir_fd=handle)
            for name in inner:
                if not os.listdir(self.files / place / name):
                    os.rmdir(name, dir_fd=handle)

    def place(self, received: Received, leaf: Leaf, origin: str) -> None:
        """Give a received file its name, then note it."""
        parent = leaf.path.rpartition("/")[0]
        with self._lock:
            if parent not in self._made:
                folders.make_below(self.files, self.files / parent)
                self._made.add(parent)
        folders.set_mode(received.path, self._mode)
        folders.rename(received.path, self.files / leaf.path)
        folders.remove(received.path.with_suffix(".json"), missing_ok=True)
        line = json.dumps([leaf.path, received.sha256, origin, leaf.tag])
        os.write(self._journal, line.encode() + b"\n")  # O_APPEND: one write is one line

    def discard(self) -> None:
        folders.drop_tree(self.folder)
        self.close()

    def close(self) -> None:
        for descriptor in (self._journal, self._descriptor):
            if descriptor >= 0:
                os.close(descriptor)
        self._journal = self._descriptor = -1

    def _remembered(self, leaf: Leaf, origin: str) -> str:
        """The hash that we found ourselves, if the host still shows the version that it was found on."""
        proof = self._proofs.get(leaf.path)
        fits = proof is not None and (proof.origin, proof.tag) == (origin, leaf.tag)
        return proof.sha256 if proof and fits else ""


def claim(partial: Path, key: str) -> Shelf:
    """The folder of the tree `key` that nobody uses, the largest first; a new one if there is none."""
    folders.make(partial, 0o700, exist_ok=True)
    for path in _candidates(partial, key):
        descriptor = None if owners.lives(_owner(path)) else _locked(path)
        if descriptor is not None:
            return Shelf(path, descriptor)
    while True:
        path = partial / f"{key}.{secrets.token_hex(8)}{ENDING}"
        folders.make(path, 0o700)
        descriptor = _locked(path)
        if descriptor is not None:
            return Shelf(path, descriptor)


def _candidates(partial: Path, key: str) -> list[Path]:
    found = [path for path in partial.iterdir() if path.name.startswith(f"{key}.") and path.suffix == ENDING]
    return sorted(found, key=_progress, reverse=True)


def _progress(path: Path) -> int:
    try:
        return os.lstat(path / _JOURNAL).st_size
    except OSError:
        return -1


def _owner(path: Path) -> dict[str, Any]:
    """Who had the folder last: where locks lie, whether that process still lives decides (C06)."""
    try:
        found = json.loads((path / _OWNER).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _locked(path: Path) -> int | None:
    """An open descriptor of the folder with its lock; None if it is somebody else's, or gone."""
    try:
        descriptor = folders.handle(path)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        return descriptor  # no locks on this disk: renames keep the files whole
    if not path.is_dir():
        os.close(descriptor)
        return None
    return descriptor


def _read_journal(path: Path) -> dict[str, Proof]:
    """What was noted; a line that was cut by a kill is the last one and says nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return {}
    with open(descriptor, encoding="utf-8", errors="replace") as stream:
        return {path: Proof(*words) for path, *words in _entries(stream)}


def _entries(lines: Iterator[str]) -> Iterator[list[str]]:
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, list) and len(entry) == 4 and all(isinstance(word, str) for word in entry):  # noqa: PLR2004
            yield entry
