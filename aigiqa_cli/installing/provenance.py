"""Where what is installed came from, what vouches for it, and what has to be said where nothing does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from aigiqa_cli.errors import Finding, IntegrityFault
from aigiqa_cli.installing import parts, split_sets
from aigiqa_cli.installing.pictures import Picture, content_sha256
from aigiqa_cli.installing.supplies import File, Supplies, stored_source, vouch
from aigiqa_cli.store import StoredSource

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database


@dataclass(frozen=True)
class Kept:
    """What stays of the installed version: pictures already linked into the tree, and resolved split files."""

    pictures: tuple[Picture, ...] = ()
    splits: dict[str, bytes] = field(default_factory=dict)
    split_notes: dict[str, str] = field(default_factory=dict)
    sources: tuple[StoredSource, ...] = ()
    content: str = ""  # content hash of the installed images
    unproven: dict[str, str] = field(default_factory=dict)  # path -> SHA-256 of images that came in parts

    def sources_of(self, *roles: str) -> list[StoredSource]:
        return [source for source in self.sources if source.role in roles]


@dataclass
class Provenance:
    """The sources of one install and its warnings. `require_hashes`: refuse what no published hash vouches for."""

    database: Database
    supplies: Supplies
    require_hashes: bool
    kept: Kept
    sources: list[StoredSource] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def remember(self, asset_name: str, file: File, content: str = "") -> None:
        """Note where an asset came from and what vouches for it: its hash, a twin's, or that of its content."""
        asset = self.database.asset(asset_name)
        volumes = split_sets.sources(self.database, file)
        if volumes:
            self.sources += volumes
            return
        source = stored_source(self.database, asset, file)
        if not source.proof and content and asset.content_sha256:
            if content != asset.content_sha256:
                raise IntegrityFault(
                    f"the images in {source.name} are not the published ones",
                    fault="N30",
                    database=self.database.id,
                    phase="CHECK",
                    findings=[
                        Finding(self.database.id, source.name, "wrong content hash", asset.content_sha256, content)
                    ],
                )
            source = replace(source, proof="content")
        if parts.came_in_parts(source) and self.kept.pictures:
            parts.refuse_mixture(self.database, source, self.kept.sources_of(source.role))
        if not source.proof:
            self._compare_with_first_use(source, content)
            self._note_unpinned(source)
        self._note_local(source)
        if source not in self.sources:
            self.sources.append(source)

    def remember_images(self, pictures: Mapping[str, Picture], state: str, *, unpacked: bool) -> None:
        content = content_sha256(pictures.values()) if state == "installed" else ""
        if self.kept.pictures:
            self._remember_kept(content)
        if not unpacked:
            return
        for file in self.supplies.containers:
            self.remember(self.database.assets_of("images")[0].name, file, content)
        if not self.kept.pictures:
            proven = all(source.proof for source in self.sources if source.role == "images")
            told = parts.compare(self.database, self.kept.unproven, pictures, proven=proven)
            self.warnings += [told] if told else []

    def _remember_kept(self, content: str) -> None:
        """The kept images came from where they came from; what vouches for them now, this manifest says."""
        for former in self.kept.sources_of("images", "references"):
            asset = self.database.asset(former.asset)
            whole = bool(content) and content == asset.content_sha256
            proof = vouch([asset], former.sha256)[1] or ("content" if whole else "")
            source = replace(former, proof=proof)
            if not proof:
                self._note_unpinned(source)
            self._note_local(source)
            self.sources.append(source)

    def _compare_with_first_use(self, source: StoredSource, content: str) -> None:
        """Where nothing is pinned, what was installed first is: other bytes later are exit 4, not news (N31)."""
        if self.database.asset(source.asset).accepted:
            return
        for first in self.kept.sources_of(source.role):
            same = first.sha256 == source.sha256 or (content and content == self.kept.content)
            if first.asset == source.asset and not same and first.sha256:
                raise IntegrityFault(
                    f"{source.name} is another file than the one that was installed first, "
                    "and no published hash decides",
                    hint=f"if the new one is right: aigiqa remove {self.database.id}, then install it again",
                    fault="N31",
                    database=self.database.id,
                    phase="CHECK",
                    findings=[Finding(self.database.id, source.name, "changed upstream", first.sha256, source.sha256)],
                )

    def _note_local(self, source: StoredSource) -> None:
        if source.proof == "local":
            self._demand_published(source, "as locally accepted")
            self.warnings.append(
                f"{source.asset} is locally accepted: SHA-256 {source.sha256} was vouched for on this machine, "
                "not by whoever published the database"
            )

    def _demand_published(self, source: StoredSource, otherwise: str) -> None:
        if self.require_hashes:
            unhashed = sum(file.unhashed for file in self.supplies.containers if file.name == source.name)
            lacking = f" ({source.origin} lists no hash for {unhashed:,} of its files)" if unhashed else ""
            other = f"another mirror may have one: aigiqa info {self.database.id}; or "
            raise IntegrityFault(
                f"no published hash vouches for {source.name}{lacking}, and --require-hashes is given",
                hint=f"{other if unhashed else ''}leave --require-hashes out to install it {otherwise}",
                fault="M10",
                database=self.database.id,
                phase="CHECK",
            )

    def _note_unpinned(self, source: StoredSource) -> None:
        self._demand_published(source, "as unpinned")
        why = f"no published hash vouches for SHA-256 {source.sha256}" if source.sha256 else "it came as single files"
        if parts.came_in_parts(source):
            why = f"its members came without the rest; the whole of it proves them: aigiqa fetch {self.database.id}"
        given = f" ({source.name})" if source.name not in ("", source.asset) else ""
        self.warnings.append(f"{source.asset}{given} is unpinned: {why}")
