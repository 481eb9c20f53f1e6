"""To which database the things that a person has belong: by hash, then by member names, then by table header.

Each is examined by itself first. What that leaves open is decided by the others that were given with it: parts of a
set of images by their union, a table that fits two databases by the images beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aigiqa_cli import tables
from aigiqa_cli.archives import Archive, Order
from aigiqa_cli.errors import Fault
from aigiqa_cli.installing.labelling import is_table, plain_name, tables_in
from aigiqa_cli.installing.matching import Members, image_names, is_image_of
from aigiqa_cli.installing.nesting import inner_members
from aigiqa_cli.installing.recognising import ENOUGH, Given, digest_of
from aigiqa_cli.installing.splitting import split_assets
from aigiqa_cli.installing.supplies import File, vouch
from aigiqa_cli.rules import layout

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database
    from aigiqa_cli.store import Staging

OWN = 0.9  # share of its own pictures that a part must have from the database
_WHAT = {"images": "images", "references": "reference images", "labels": "labels", "split": "a split"}


@dataclass
class Evidence:
    """What one thing by itself tells: whose it is, or else what speaks for whom."""

    given: Given
    owner: Database | None = None
    what: str = ""
    pictures: int = 0
    counts: dict[str, int] = field(default_factory=dict)  # pictures named like the images of each database
    candidates: list[Database] = field(default_factory=list)  # databases with a table of this header

    def may_be(self, database: Database) -> bool:
        return self.owner is None or self.owner.id == database.id

    def decide(self, owner: Database | None, role: str) -> None:
        self.owner, self.what = owner, _WHAT.get(role, role) if owner else ""


def examine(databases: Sequence[Database], given: Given, work: Staging, *, outside: bool = False) -> Evidence:
    """Look at one thing; archives inside an archive are unpacked into `work`, one level deep.

    `outside`: only at the images of a folder, whose other contents are looked at one by one.
    """
    evidence = Evidence(given)
    digest = digest_of(given, databases)
    for database in databases:
        splits = (asset for split in database.splits for asset in split_assets(split))
        asset, _ = vouch((*database.assets, *splits), digest)
        if asset is not None:
            evidence.decide(database, asset.role)
            return evidence
    if given.shape == "container":
        with given.file.open(work.folder) as archive:
            _examine_members(databases, evidence, archive, work, outside=outside)
    elif given.shape == "table":
        _examine_header(databases, evidence)
    return evidence


def _examine_members(
    databases: Sequence[Database], evidence: Evidence, archive: Archive, work: Staging, *, outside: bool
) -> None:
    """By the names of its images; of what holds none, by the archives or the label tables in it."""
    names = list(image_names(archive))
    evidence.pictures = len(names)
    evidence.counts = {d.id: sum(is_image_of(d, name) for name in names) for d in databases}
    evidence.decide(_most(databases, evidence.counts), "images")
    if evidence.owner is not None or outside:
        return
    bare = [database for database in databases if not evidence.counts[database.id]]
    if not any(evidence.counts.values()):
        _examine_inside(databases, evidence, archive, work)
    if evidence.owner is None:
        held = {d.id: len(tables_in(d, [archive], Members([archive]), work.scratch)) for d in bare}
        evidence.decide(max((d for d in bare if held[d.id]), key=lambda d: held[d.id], default=None), "labels")


def _examine_inside(databases: Sequence[Database], evidence: Evidence, archive: Archive, work: Staging) -> None:
    """An archive of archives is what they are."""
    number = sum(1 for _ in work.scratch.iterdir())
    wanted = [member for database in databases for member in inner_members(database, archive)]
    orders = [
        Order(member, f"{work.scratch.name}/inner-{number + at}") for at, member in enumerate(dict.fromkeys(wanted))
    ]
    for written in archive.unpack(orders):
        for database in databases:
            asset, _ = vouch(database.assets, written.sha256)
            if asset is not None:
                evidence.decide(database, asset.role)
                return
        try:
            with File(work.folder / written.to, "inside").open(work.folder) as inner:
                names = list(image_names(inner))
        except Fault:
            continue
        evidence.pictures += len(names)
        for database in databases:
            evidence.counts[database.id] += sum(is_image_of(database, name) for name in names)
    evidence.decide(_most(databases, evidence.counts), "images")


def _most(databases: Sequence[Database], counts: dict[str, int]) -> Database | None:
    """One may hold another whole: the one that explains the most names is meant, of two the smaller one."""
    likely = [database for database in databases if counts[database.id] >= ENOUGH * database.expect.images[0]]
    return max(likely, key=lambda d: (counts[d.id], -d.expect.images[0]), default=None)


def _examine_header(databases: Sequence[Database], evidence: Evidence) -> None:
    """The databases whose label table has this header, first those with a table of this very name."""
    path = evidence.given.file.path
    fitting = [
        (database, asset)
        for database in databases
        for asset in database.label_tables
        if is_table(database, asset, path, path.name)
    ]
    name = plain_name(path.name)
    named = [database for database, asset in fitting if asset.published_name == name]
    evidence.candidates = list({d.id: d for d in [*named, *(d for d, _ in fitting)]}.values())
    if len(evidence.candidates) == 1:
        evidence.decide(evidence.candidates[0], "labels")


def settle(databases: Sequence[Database], found: Iterable[Evidence]) -> None:
    """Decide by all together what each by itself left open."""
    evidence = list(found)
    _settle_parts(databases, [item for item in evidence if item.given.shape == "container"])
    pictured = {item.owner.id for item in evidence if item.owner and item.given.shape == "container"}
    for item in evidence:
        if item.owner is None and item.candidates:
            rows = {d.id for d in item.candidates if _has_its_rows(d, item.given)}
            best = max(item.candidates, key=lambda d: (d.id in rows, d.id in pictured))  # of equals the one by name
            item.decide(best, "labels")


def _settle_parts(databases: Sequence[Database], containers: list[Evidence]) -> None:
    """Containers that hold pictures of one database alone, and with the others enough of them; and its references."""
    for item in containers:
        if item.owner is not None or not item.pictures:
            continue
        own = [d for d in databases if item.counts[d.id] >= OWN * item.pictures]
        sums = {
            d.id: sum(c.counts.get(d.id, 0) for c in containers if c.owner is None or c.owner.id == d.id) for d in own
        }
        item.decide(_most(own, sums), "images")
    with_images = {item.owner.id: item.owner for item in containers if item.owner}
    for item in containers:
        if item.owner is None and item.pictures:
            named = [d for d in with_images.values() if _plain_stem(item.given) in _reference_folders(d)]
            item.decide(named[0] if named else None, "references")


def _plain_stem(given: Given) -> str:
    name = plain_name(given.file.name)
    return name if given.file.path.is_dir() else name.partition(".")[0]


def _reference_folders(database: Database) -> set[str]:
    """Folders in which the reference images are published."""
    paths = [path for source in database.labels if source.reference for path in source.reference.find]
    return {word for path in paths for word in path.split("/")[:-1] if "{" not in word}


def _has_its_rows(database: Database, given: Given) -> bool:
    """Has the table as many rows as this database expects of a label source that is this one table?"""
    for source in database.labels:
        if len(source.needs) != 1 or len(source.tables) != 1:
            continue
        shape = layout(database, source.tables[0])
        low, high = (source.partial, source.partial) if source.partial is not None else database.expect.rows
        try:
            with given.file.path.open("rb") as stream:
                if low <= sum(1 for _ in tables.rows(stream, shape)) <= high:
                    return True
        except Fault:
            continue
    return False
