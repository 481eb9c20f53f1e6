"""The label tables of an install: found among the supplies, kept as published, run through the rules."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli import expectations, rules, tables
from aigiqa_cli.archives import Archive, Order
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import Finding, IntegrityFault, RefusedInput
from aigiqa_cli.installing.matching import Members
from aigiqa_cli.installing.supplies import File, vouch

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database, LabelSource
    from aigiqa_cli.store import Staging


_COPY = re.compile(r" ?\([0-9]{1,3}\)(?=\.[^.]+$)")  # what browsers add to the name of a second download


def choose_source(database: Database, tables_at_hand: Sequence[str]) -> LabelSource | None:
    """The first label source whose files are all there; one with only part of the rows if there is no other."""
    for source in sorted(database.labels, key=lambda source: source.partial is not None):
        if set(source.needs) <= set(tables_at_hand):
            return source
    return None


def tables_in(
    database: Database, archives: Sequence[Archive], members: Members, scratch: Path, *, whatever: bool = False
) -> dict[str, File]:
    """Label tables that lie inside containers, under their published name and with their declared header.

    `whatever`: also those with another header, so that a person is told what is wrong with them.
    """
    found: dict[str, File] = {}
    for count, asset in enumerate(asset for asset in database.assets if asset.role == "labels"):
        for number, place in enumerate(members.ending_with(asset.published_name)):
            target = f"table-{count}-{number}{'-whatever' * whatever}"
            archive = archives[place.container]
            for written in archive.unpack([Order(place.member, f"{scratch.name}/{target}")]):
                path = scratch / target
                known = written.sha256 in asset.accepted or is_table(database, asset, path, asset.published_name)
                if known or whatever:
                    origin, name = f"{archive.name}: {place.member.name}", asset.published_name
                    found.setdefault(asset.name, File(path, origin, (written.sha256, written.bytes), name))
    return found


def is_table(database: Database, asset: Asset, path: Path, name: str) -> bool:
    """Does the file look like this label table?

    By the header that a label rule declares. A table that has none, and of which no hash is published, is known by
    its published name alone, and must begin as declared.
    """
    declared = [t for source in database.labels for t in (*source.tables, *(join.table for join in source.joins))]
    layouts = [rules.layout(database, table) for table in declared if table.file == asset.name]
    if any(_has_header(layout) for layout in layouts):
        with path.open("rb") as stream:
            kind, found = tables.header_of(stream)
        return any(
            layout.fits(found) and (layout.format == "xlsx") == (kind == "xlsx")
            for layout in layouts
            if kind and _has_header(layout)
        )
    named = _COPY.sub("", name) == asset.published_name.rpartition("/")[2]
    return named and not asset.accepted and any(_begins_as_declared(layout, path) for layout in layouts)


def _has_header(layout: tables.Layout) -> bool:
    return layout.header and layout.format in ("csv", "tsv", "xlsx")


def _begins_as_declared(layout: tables.Layout, path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return next(iter(tables.rows(stream, layout)), None) is not None
    except RefusedInput:
        return False


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
    expectations.check(database, source, labels)
    for name in source.needs:
        _check_pin(database, name, folder / database.asset(name).published_name)
    return labels


def _check_pin(database: Database, name: str, path: Path) -> None:
    asset = database.asset(name)
    digest, length = sha256_file(path)
    if not asset.accepted or asset.advisory or vouch([asset], digest)[0]:
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
