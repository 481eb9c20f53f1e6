"""The label tables of an install: found among the supplies, kept as published, run through the rules."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli import rules, tables
from aigiqa_cli.archives import Archive, Order
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import Finding, IntegrityFault
from aigiqa_cli.installing.matching import Members
from aigiqa_cli.installing.supplies import File, vouch

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database, LabelSource
    from aigiqa_cli.store import Staging

HEAD = 64 << 10


def choose_source(database: Database, tables_at_hand: Sequence[str]) -> LabelSource | None:
    """The first label source whose files are all there."""
    for source in database.labels:
        if set(source.needs) <= set(tables_at_hand):
            return source
    return None


def tables_in(database: Database, archives: Sequence[Archive], members: Members, scratch: Path) -> dict[str, File]:
    """Label tables that lie inside containers, under their published name and with their declared header."""
    found: dict[str, File] = {}
    for asset in (asset for asset in database.assets if asset.role == "labels"):
        for number, place in enumerate(members.ending_with(asset.published_name)):
            target = f"table-{asset.published_name}-{number}"
            archive = archives[place.container]
            for written in archive.unpack([Order(place.member, f"{scratch.name}/{target}")]):
                path = scratch / target
                if has_declared_header(database, asset.name, path) or written.sha256 in asset.accepted:
                    origin = f"{archive.name}: {place.member.name}"
                    found.setdefault(asset.name, File(path, origin, (written.sha256, written.bytes)))
    return found


def has_declared_header(database: Database, asset_name: str, path: Path) -> bool:
    """Does the file begin with the header that a label rule declares for this asset?"""
    with path.open("rb") as stream:
        header = tables.header_of(stream.read(HEAD))
    return any(
        table.file == asset_name and table.header and table.columns == header
        for source in database.labels
        for table in (*source.tables, *(join.table for join in source.joins))
    )


def label_rows(database: Database, source: LabelSource, files: dict[str, File], work: Staging) -> rules.Labels:
    """Keep the tables as published in `labels/`, run the rules, check what the manifest expects.

    A table that breaks a rule is refused with row and column (exit 5); one that follows every rule but is not the
    published one byte for byte, its line ends apart, fails its checksum (exit 4).
    """
    folder = work.tree / "labels"
    folder.mkdir()
    for name in source.needs:
        shutil.copyfile(files[name].path, folder / database.asset(name).published_name)
    labels = rules.apply(database, source, lambda name: (folder / database.asset(name).published_name).open("rb"))
    rules.refuse_undeclared(labels, database)
    rules.check_expectation(database, source, labels)
    for name in source.needs:
        _check_pin(database, name, folder / database.asset(name).published_name)
    return labels


def _check_pin(database: Database, name: str, path: Path) -> None:
    asset = database.asset(name)
    digest, length = sha256_file(path)
    if not asset.accepted or vouch([asset], digest)[0]:
        return
    raise IntegrityFault(
        f"{asset.published_name} is not the published file: expected SHA-256 {asset.sha256}, found {digest}",
        hint=f"leave it out, and the published one is fetched: aigiqa fetch --labels-only {database.id}",
        fault="N05",
        database=database.id,
        phase="CHECK",
        findings=[
            Finding(database.id, asset.published_name, "wrong checksum", asset.sha256, digest),
            Finding(database.id, asset.published_name, "length", str(asset.bytes or "unknown"), str(length)),
        ],
    )
