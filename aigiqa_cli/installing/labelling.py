"""The label tables of an install: found among the supplies, kept as published, run through the rules."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli import expectations, folders, rules, tables
from aigiqa_cli.archives import Archive, Order
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import Finding, IntegrityFault, RefusedInput
from aigiqa_cli.installing.matching import Members
from aigiqa_cli.installing.supplies import File, vouch
from aigiqa_cli.label_rows import Room
from aigiqa_cli.reporting import Counting, Reporter

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database, LabelSource
    from aigiqa_cli.store import Record, Staging


GIVEN = "given by hand"  # the origin of a file that a person named
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
    numbers = itertools.count(sum(1 for _ in scratch.iterdir()))
    for asset in database.label_tables:
        for place in members.ending_with(asset.published_name):
            target = f"table-{next(numbers)}"
            archive = archives[place.container]
            for written in archive.unpack([Order(place.member, f"{scratch.name}/{target}")]):
                path = scratch / target
                known = written.sha256 in asset.accepted or _is_one(database, asset, path)
                if known or whatever:
                    origin, name = f"{archive.name}: {place.member.name}", asset.published_name
                    found.setdefault(asset.name, File(path, origin, (written.sha256, written.bytes), name))
    return found


def _is_one(database: Database, asset: Asset, path: Path) -> bool:
    try:
        return is_table(database, asset, path, asset.published_name)
    except RefusedInput:  # another label source may do without it; if none can, it is refused with its reason
        return False


def is_table(database: Database, asset: Asset, path: Path, name: str) -> bool:
    """Does the file look like this label table? Raises RefusedInput for what only looks like a table."""
    return likeness(database, asset, path, name) > 0


def likeness(database: Database, asset: Asset, path: Path, name: str) -> int:
    """How much a file is like this label table: 3 by the very header that a label rule declares, 2 by a header with
    further columns, 1 by its name, 0 not at all.

    The name decides alone only for a table that has no header, and of which no hash is published; it must also begin
    as declared.
    """
    declared = [t for source in database.labels for t in (*source.tables, *(join.table for join in source.joins))]
    layouts = [rules.layout(database, table) for table in declared if table.file == asset.name]
    with_header = [layout for layout in layouts if _has_header(layout)]
    if with_header:
        with path.open("rb") as stream:
            kind, found = tables.header_of(stream)
        fitting = [
            layout
            for layout in with_header
            if kind and layout.fits(found) and (layout.format == "xlsx") == (kind == "xlsx")
        ]
        return max((2 if layout.others else 3 for layout in fitting), default=0)
    named = plain_name(name) == asset.published_name.rpartition("/")[2]
    return int(named and not asset.accepted and any(_begins_as_declared(layout, path) for layout in layouts))


def plain_name(name: str) -> str:
    """A file name without what browsers add to that of a second download."""
    return _COPY.sub("", name)


def _has_header(layout: tables.Layout) -> bool:
    return layout.header and layout.format in ("csv", "tsv", "xlsx")


def _begins_as_declared(layout: tables.Layout, path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return next(iter(tables.rows(stream, layout)), None) is not None
    except RefusedInput:
        return False


def installed_tables(folder: Path, database: Database, record: Record) -> dict[str, File]:
    """The label tables in the folder of an installed version, by asset name: those that still are as recorded."""
    files = {}
    for asset in database.label_tables:
        for source in record.sources:
            path = folder / "labels" / asset.published_name
            if source.role == "labels" and source.asset == asset.name and path.is_file():
                found = sha256_file(path)
                if found == (source.sha256, source.bytes):
                    files[asset.name] = File(path, source.origin, found, asset.published_name)
    return files


def read_labels(
    database: Database, source: LabelSource, files: dict[str, File], work: Staging, room: Room, reporter: Reporter
) -> rules.Labels:
    """Keep the tables as published in `labels/`, run the rules, check what the manifest expects.

    A table that breaks a rule is refused with row and column (exit 5); one that follows every rule but is not the
    published one byte for byte, its line ends apart, fails its checksum (exit 4).
    """
    folder = work.tree / "labels"
    folders.make(folder)
    for name in source.needs:
        folders.copy(files[name].path, folder / database.asset(name).published_name)
    counting = Counting(reporter, f"reading the labels of {database.title}")
    try:
        labels = rules.apply(
            database,
            source,
            lambda name: (folder / database.asset(name).published_name).open("rb"),
            room,
            counting.one,
        )
        counting.end()
        rules.refuse_undeclared(labels, database)
        expectations.check(database, source, labels)
    except RefusedInput as fault:
        fault.database = fault.database or database.id
        fault.hint = fault.hint.replace(" DB", f" {database.id}") or _next(database, source, files)
        raise
    for name in source.needs:
        _check_pin(database, name, folder / database.asset(name).published_name)
    return labels


def _next(database: Database, source: LabelSource, files: dict[str, File]) -> str:
    """What a person can do whose tables are not as they were published."""
    given = [name for name in source.needs if files[name].origin == GIVEN]
    if given and all(database.asset(name).mirrors for name in given):
        return f"leave it out, and the published one is fetched: aigiqa fetch --labels-only {database.id}"
    if any(": " in files[name].origin for name in source.needs):
        return f"get the archive from another mirror: aigiqa info {database.id}"
    return f"get the published one: aigiqa info {database.id}"


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
