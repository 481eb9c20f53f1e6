"""What an install is made from: containers with images, label tables, split files; and what vouches for each."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli.digests import sha256_file
from aigiqa_cli.store import StoredSource

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database


class _Hashing(threading.Thread):
    """Hashes one file beside listing and unpacking; as a daemon, so that an interrupted command need not wait."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.answer: tuple[str, int] | OSError | None = None
        self.start()

    def run(self) -> None:
        try:
            self.answer = sha256_file(self.path)
        except OSError as error:
            self.answer = error

    def result(self) -> tuple[str, int]:
        self.join()
        if isinstance(self.answer, tuple):
            return self.answer
        raise self.answer or OSError(f"{self.path} could not be hashed")


@dataclass(frozen=True)
class File:
    """A file or folder to be read in place: where it is, where its bytes came from, its hash (computed beside)."""

    path: Path
    origin: str
    known: tuple[str, int] | None = None  # (sha256, bytes) where the transport has already computed them
    published_name: str = ""  # of a download, whose path on disk is a key
    _pending: list[_Hashing] = field(default_factory=list, repr=False)

    @property
    def name(self) -> str:
        return self.published_name or self.path.name

    def start_hashing(self) -> None:
        """Begin to hash in the background."""
        if self.known is None and not self._pending and not self.path.is_dir():
            self._pending.append(_Hashing(self.path))

    @property
    def digest(self) -> tuple[str, int]:
        """(SHA-256, bytes); ("", 0) for a folder."""
        if self.known is not None:
            return self.known
        if self.path.is_dir():
            return "", 0
        self.start_hashing()
        return self._pending[0].result()


@dataclass
class Supplies:
    """Everything that one install may use. `tables` and `split_files` are keyed by asset name."""

    containers: list[File] = field(default_factory=list)
    tables: dict[str, File] = field(default_factory=dict)
    split_files: dict[str, File] = field(default_factory=dict)


def vouch(candidates: Iterable[Asset], digest: str) -> tuple[Asset | None, str]:
    """The asset that `digest` proves, and how: 'sha256' (the pin) or 'twin'; (None, "") if no published hash does."""
    for asset in candidates:
        if digest and digest in asset.accepted:
            return asset, "sha256" if digest == asset.sha256 else "twin"
    return None, ""


def stored_source(database: Database, asset: Asset, file: File) -> StoredSource:
    """How a file is remembered in the record."""
    digest, length = file.digest
    same = [other for other in database.assets if asset.name in (other.name, other.substitutes)]
    proven, proof = vouch(same, digest)
    named = proven or asset
    return StoredSource(named.name, asset.role, file.origin, file.name, length, digest, proof)
