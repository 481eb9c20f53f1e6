"""From supplies to a published database: labels, images, index, splits, checksums, record, in staging, then renamed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

from aigiqa_cli import __version__, folders, rules
from aigiqa_cli.archives import Archive, open_archive
from aigiqa_cli.digests import sha256_bytes, sha256_file
from aigiqa_cli.errors import PersonNeeded
from aigiqa_cli.installing import labelling, matching, nesting, parts, passwords, split_sets, splitting
from aigiqa_cli.installing.index_rows import Index, index_rows, witnessed
from aigiqa_cli.installing.pictures import Picture, Unpacking
from aigiqa_cli.installing.provenance import Kept, Provenance
from aigiqa_cli.installing.supplies import Supplies, vouch
from aigiqa_cli.label_rows import Room
from aigiqa_cli.reporting import Counting, Reporter
from aigiqa_cli.store import CHECKSUMS, Record, Staging, StoredFile, StoredFiles, StoredSource

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database, Split

INDEX, MANIFEST = "index.csv", "database.yaml"


@dataclass(frozen=True)
class Options:
    """How to install. `require_hashes`: refuse what no published hash vouches for."""

    labels_only: bool = False
    require_hashes: bool = False
    password: str = field(default="", repr=False)  # of archives, as the person gave it
    accept: str = ""  # SHA-256 that the person vouches for, from now on
    part: parts.Part | None = None  # some of the images, added to what is here


@dataclass
class Assembly:
    """One install under construction in a staging folder."""

    database: Database
    manifest: bytes
    supplies: Supplies
    options: Options
    work: Staging
    reporter: Reporter
    pictures: dict[str, Picture] = field(default_factory=dict)
    files: list[StoredFile] = field(default_factory=list)
    split_notes: dict[str, str] = field(default_factory=dict)
    ignored: int = 0
    holders: set[str] = field(default_factory=set)  # containers that are useful without holding images themselves
    kept: Kept = field(default_factory=Kept)

    def __post_init__(self) -> None:
        self.origins = Provenance(self.database, self.supplies, self.options.require_hashes, self.kept)

    def build(self) -> Record:
        """Make the whole tree and its record; nothing is published yet."""
        with Room(self.work.scratch) as room:
            return self._build(room)

    def _build(self, room: Room) -> Record:
        given = (*self.supplies.containers, *self.supplies.table_holders)
        with passwords.explained([self.database], given), ExitStack() as stack:
            archives = self._open(stack)
            members = matching.Members(archives)
            labels = self._labels(archives, members, room)
            self.pictures = {picture.path: picture for picture in self.kept.pictures}
            unpacks = not self.options.labels_only and bool(self.options.part or not self.pictures)
            if unpacks:
                self._images(archives, members, labels)
        written = Counting(self.reporter, f"writing the index of {self.database.title}", len(labels.rows))
        index = Index(self.work.tree / INDEX, index_rows(self.database, labels, self.pictures), written.one)
        written.end()
        self.origins.warnings += witnessed(self.database, index)
        self.origins.remember_images(self.pictures, parts.state(self.database, index), unpacked=unpacks)
        self._splits(index)
        return self._finish(labels, index)

    def _open(self, stack: ExitStack) -> list[Archive]:
        for folder in (matching.IMAGES, matching.REFERENCES):
            folders.make(self.work.tree / folder, exist_ok=True)
        archives = []
        for file in (*self.supplies.containers, *self.supplies.table_holders):
            file.start_hashing()
            split_sets.check(self.database, file)
            secret = file.password or passwords.declared(self.database)
            outer = stack.enter_context(file.open(self.work.folder, secret))
            inner = nesting.unpack(self.database, outer, self.work.scratch)
            named = [(path, f"{outer.name}/{nesting.inner_name(path)}") for path in inner]
            opened = (open_archive(path, self.work.folder, name, password=secret) for path, name in named)
            archives += [outer, *(stack.enter_context(archive) for archive in opened)]
            if inner or file in self.supplies.table_holders:
                self.holders.add(outer.name)
        return archives

    def _labels(self, archives: list[Archive], members: matching.Members, room: Room) -> rules.Labels:
        inside = (
            labelling.tables_in(self.database, archives, members, self.work.scratch) if not self.options.part else {}
        )
        files = inside | self.supplies.tables
        source = labelling.choose_source(self.database, list(files))
        if source is None:
            files = labelling.tables_in(self.database, archives, members, self.work.scratch, whatever=True) | files
            source = labelling.choose_source(self.database, list(files))
        if source is None:
            raise missing_tables(self.database, list(files), self.supplies)
        labels = labelling.read_labels(self.database, source, files, self.work, room, self.reporter)
        if source.third_party:
            share = f", with {len(labels.rows)} of {self.database.expect.rows[0]} rows" if source.partial else ""
            self.origins.warnings.append(f"the labels are other people's copy{share}: {source.third_party}")
        if source.lacks:
            self.origins.warnings.append(f"the labels come without {source.lacks}")
        for name in sorted(set(self.supplies.tables) - set(source.needs)):
            used = ", ".join(source.needs)
            self.origins.warnings.append(f"{self.supplies.tables[name].name} is not used: the labels come from {used}")
        for name in source.needs:
            asset = self.database.asset(name)
            self.origins.remember(name, files[name])
            self._store_file(f"labels/{asset.published_name}")
        return labels

    def _images(self, archives: list[Archive], members: matching.Members, labels: rules.Labels) -> None:
        unpacking = Unpacking(self.database, archives, members, self.work.tree.name, self.reporter)
        self.holders |= {source.origin.partition(": ")[0] for source in self.origins.sources if ": " in source.origin}
        part = self.options.part
        unpacking.run(labels, self.holders, parts.wanted(labels, part, self.pictures) if part else None)
        for archive in archives:
            archive.settle()
        self.pictures |= unpacking.pictures
        self.ignored = unpacking.ignored

    def _splits(self, index: Index) -> None:
        for split in self.database.splits:
            if split.rule is not None:
                self._write_split(split.name, splitting.by_rule(split.rule, index))
            elif split.published is not None:
                self._published_split(split, index)

    def _published_split(self, split: Split, index: Index) -> None:
        resolved = set()
        for fold in splitting.from_files(split, index, self._open_split_file):
            self._write_split(fold.name, splitting.in_order(fold.parts, index), "; ".join(fold.notes))
            resolved.add(fold.name)
        fresh = set()
        for asset in splitting.split_assets(split):
            file = self.supplies.split_files.get(asset.name)
            if file is not None:
                digest, length = file.digest
                _, proof = vouch([asset], digest)
                self.origins.sources.append(
                    StoredSource(asset.name, "split", file.origin, asset.published_name, length, digest, proof)
                )
                fresh.add(asset.name)
        self._note_unused(split, resolved, fresh)
        self._keep_folds(split, resolved, fresh)

    def _note_unused(self, split: Split, resolved: set[str], fresh: set[str]) -> None:
        """A fold of which only some of the files were given cannot be resolved, and is not lost in silence."""
        folds: dict[int | None, list[str]] = {}
        for file in split.published.files if split.published else ():
            folds.setdefault(file.fold, []).append(splitting.asset_name(split, file))
        for fold, names in folds.items():
            name = split.name if fold is None else f"{split.name}-{fold}"
            given = fresh.intersection(names)
            if given and name not in resolved:
                files = [", ".join(n.partition("/")[2] for n in sorted(side)) for side in (given, set(names) - given)]
                self.origins.warnings.append(f"{files[0]} alone is no split: {files[1]} of {split.name} was not given")

    def _keep_folds(self, split: Split, resolved: set[str], fresh: set[str]) -> None:
        """What was resolved before, and is not now, stays; the index has the same images."""
        for name, data in self.kept.splits.items():
            if name not in resolved and split.name in (name, name.rpartition("-")[0]):
                self._write(f"splits/{name}.csv", data)
                self.split_notes[name] = self.kept.split_notes.get(name, "")
        before = [s for s in self.kept.sources_of("split") if s.asset.startswith(split.name + "/")]
        self.origins.sources += [source for source in before if source.asset not in fresh]

    def _open_split_file(self, name: str) -> BinaryIO | None:
        file = self.supplies.split_files.get(name)
        return file.path.open("rb") if file else None

    def _write_split(self, name: str, pairs: splitting.Pairs, notes: str = "") -> None:
        path = f"splits/{name}.csv"
        folders.make(self.work.tree / "splits", exist_ok=True)
        with folders.new_file(self.work.tree / path) as stream:
            splitting.write(stream, pairs)
        self._store_file(path)
        self.split_notes[name] = notes

    def _finish(self, labels: rules.Labels, index: Index) -> Record:
        self.files += [StoredFile(p.path, p.bytes, p.sha256) for p in self.pictures.values()]
        for folder in (matching.IMAGES, matching.REFERENCES):
            if not any(path.startswith(folder) for path in self.pictures):
                folders.remove_folder(self.work.tree / folder)
        index_sha256 = self._store_file(INDEX)
        lines = sorted(f"{file.sha256}  {file.path}\n" for file in self.files)
        self._write(CHECKSUMS, "".join(sorted(lines, key=lambda line: line[66:])).encode())
        self._write(MANIFEST, self.manifest)
        images = sum(path.startswith(matching.IMAGES) for path in self.pictures)
        partial = len(index) < self.database.expect.rows[0]
        return Record(
            database=self.database.id,
            state=parts.state(self.database, index),
            partial=partial,
            manifest_version=self.database.version,
            manifest_sha256=sha256_bytes(self.manifest),
            aigiqa=__version__,
            installed_at=datetime.now(UTC).isoformat(timespec="seconds"),
            rows=len(index),
            images=images,
            references=len(self.pictures) - images,
            index_sha256=index_sha256,
            sources=tuple(self.origins.sources),
            files=StoredFiles(self.files),
            rejected=tuple(finding.as_json() for finding in (*labels.rejected, *labels.declared)),
            ignored=self.ignored,
            warnings=tuple(dict.fromkeys(self.origins.warnings)),
            splits=self.split_notes,
        )

    def _write(self, path: str, data: bytes) -> None:
        target = self.work.tree / path
        folders.make(target.parent, exist_ok=True)
        with folders.new_file(target) as stream:
            stream.write(data)
        self.files.append(StoredFile(path, len(data), sha256_bytes(data)))

    def _store_file(self, path: str) -> str:
        digest, length = sha256_file(self.work.tree / path)
        self.files.append(StoredFile(path, length, digest))
        return digest


def missing_tables(database: Database, tables: Sequence[str], supplies: Supplies) -> PersonNeeded:
    """The fault for an install without its label table. What no mirror has by itself a person has to give along."""
    needed = [database.asset(name) for name in database.labels[0].needs if name not in tables]
    names = [asset.published_name.rpartition("/")[2] for asset in needed]
    given = [shlex.quote(str(file.path)) for file in (*supplies.containers, *supplies.table_holders)]
    by_hand = " ".join(["aigiqa import", database.id, *given, *(f"~/Downloads/{name}" for name in names)])
    to_be_had = all(asset.mirrors for asset in needed)
    return PersonNeeded(
        f"the label table {', '.join(names)} of {database.title} is missing",
        hint=f"aigiqa fetch --labels-only {database.id}" if to_be_had else by_hand,
        database=database.id,
        phase="SCORES",
    )
