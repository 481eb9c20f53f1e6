"""What an install is made from: containers with images, label tables, split files; and what vouches for each."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from aigiqa_cli.archives import Archive, VolumeSet, open_archive
from aigiqa_cli.archives.arriving import ArchiveArriving, Reading
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.store import StoredSource

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database

BLOCK = 1 << 20


class _Hashing(threading.Thread):
    """Hashes one file, or the volumes of a set end to end, beside listing and unpacking; as a daemon, so that an
    interrupted command need not wait."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__(daemon=True)
        self.paths = paths
        self.answer: tuple[str, int] | Exception | None = None
        self.each: tuple[tuple[str, int], ...] = ()  # (SHA-256, bytes) of every single volume
        self.start()

    def run(self) -> None:
        try:
            if len(self.paths) == 1:
                self.answer = sha256_file(self.paths[0])
            else:
                self.each, self.answer = _sha256_of_all(self.paths)
        except Exception as error:  # noqa: BLE001 - whoever asks for the result gets it (S24)
            self.answer = error

    def result(self) -> tuple[str, int]:
        self.join()
        if isinstance(self.answer, tuple):
            return self.answer
        raise self.answer or OSError(f"{self.paths[0]} could not be hashed")


class Arriving(Protocol):
    """A zip that is still being downloaded. Its file only grows at its end, and will have `length` bytes; `tail` are
    the last of them."""

    length: int
    tail: bytes

    @property
    def once(self) -> Reading | None:
        """Told how far it is read, where that is done once."""

    def finished(self) -> tuple[str, tuple[str, int]]:
        """Where it came from, and (SHA-256, bytes), once it is here. Raises what kept it from that."""

    def on_loss(self, call: Callable[[], None]) -> None:
        """Call this, from whatever thread, when the file will never be here."""

    def beside(self, reporter: Reporter) -> Reporter:
        """For work that goes on beside the download."""


@dataclass(frozen=True)
class File:
    """A file or folder to be read in place: where it is, where its bytes came from, its hash (computed beside)."""

    path: Path
    origin: str
    known: tuple[str, int] | None = None  # (sha256, bytes) where the transport has already computed them
    published_name: str = ""  # of a download, whose path on disk is a key
    volumes: VolumeSet | None = None  # of a split archive; `path` is then one of them
    password: str = field(default="", repr=False)  # of the archive, as the person gave it
    ours: bool = False  # a folder that was downloaded file by file: nobody else has a use for it
    unhashed: int = 0  # downloaded files of which the mirror stated no hash
    arriving: Arriving | None = None
    _pending: list[_Hashing] = field(default_factory=list, repr=False)

    @property
    def name(self) -> str:
        return self.published_name or (
            self.volumes.name if self.volumes else self.path.name or self.path.resolve().name
        )

    @property
    def paths(self) -> tuple[Path, ...]:
        return self.volumes.paths if self.volumes else (self.path,)

    def open(self, target: Path, password: str = "") -> Archive:
        """Open the archive or folder; `password` is that of the manifest, for want of one that was given."""
        if self.arriving:
            coming = self.arriving
            return ArchiveArriving(
                self.path, coming.length, coming.tail, target, self.name, coming.on_loss, coming.once
            )
        given = self.password or password
        return open_archive(self.path, target, self.name, password=given, volumes=self.volumes, ours=self.ours)

    def start_hashing(self) -> None:
        """Begin to hash in the background."""
        if self.known is None and not (self._pending or self.arriving or self.path.is_dir()):
            self._pending.append(_Hashing(self.paths))

    @property
    def digest(self) -> tuple[str, int]:
        """(SHA-256, bytes); ("", 0) for a folder."""
        if self.known is not None:
            return self.known
        if self.arriving:
            return self.arriving.finished()[1]
        if self.path.is_dir():
            return "", 0
        self.start_hashing()
        return self._pending[0].result()

    @property
    def digests(self) -> tuple[tuple[str, int], ...]:
        """(SHA-256, bytes) of every single volume."""
        if not self.volumes or len(self.volumes.paths) == 1:
            return (self.digest,)
        self.start_hashing()
        self._pending[0].result()
        return self._pending[0].each


def _sha256_of_all(paths: Sequence[Path]) -> tuple[tuple[tuple[str, int], ...], tuple[str, int]]:
    """(SHA-256, bytes) of each volume, and of all end to end: of those that were merely cut, that is the hash of the
    whole archive."""
    whole, each = hashlib.sha256(), []
    for path in paths:
        digest, length = hashlib.sha256(), 0
        with path.open("rb") as stream:
            while chunk := stream.read(BLOCK):
                whole.update(chunk)
                digest.update(chunk)
                length += len(chunk)
        each.append((digest.hexdigest(), length))
    return tuple(each), (whole.hexdigest(), sum(length for _, length in each))


@dataclass
class Supplies:
    """Everything that one install may use. `tables` and `split_files` are keyed by asset name; `table_holders` are
    containers of label tables without images."""

    containers: list[File] = field(default_factory=list)
    table_holders: list[File] = field(default_factory=list)
    tables: dict[str, File] = field(default_factory=dict)
    split_files: dict[str, File] = field(default_factory=dict)


def vouch(candidates: Iterable[Asset], digest: str) -> tuple[Asset | None, str]:
    """The asset that `digest` proves, and how: 'sha256' (the pin) or 'twin'; (None, "") if no published hash does."""
    for asset in candidates:
        if digest and digest in asset.accepted:
            return asset, "sha256" if digest == asset.sha256 else "local" if digest in asset.local else "twin"
        if digest and any(digest == volume.sha256 for volume in asset.volumes):
            return asset, "sha256"  # a part of it
    return None, ""


def stored_source(database: Database, asset: Asset, file: File) -> StoredSource:
    """How a file is remembered in the record."""
    digest, length = file.digest
    same = [other for other in database.assets if asset.name in (other.name, other.substitutes)]
    proven, proof = vouch(same, digest)
    named = proven or asset
    origin = file.arriving.finished()[0] if file.arriving else file.origin
    return StoredSource(named.name, asset.role, origin, file.name, length, digest, proof)
