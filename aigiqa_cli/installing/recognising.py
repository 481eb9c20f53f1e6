"""What a file or folder that a person has is: by hash, then by member names, then by table header. Names are hints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli import rules, tables
from aigiqa_cli.archives import detect_format, is_junk, volume_set
from aigiqa_cli.errors import RefusedInput, UsageFault
from aigiqa_cli.installing.labelling import is_table
from aigiqa_cli.installing.splitting import split_assets
from aigiqa_cli.installing.supplies import File, Supplies, vouch
from aigiqa_cli.patterns import compile_pattern

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database

HEAD = 64 << 10
ENOUGH = 0.5  # share of the expected images, or columns, whose names must be in what nobody vouches for
_PAGE = re.compile(rb"^\s*(<!doctype html|<html|<\?xml)", re.IGNORECASE)


@dataclass(frozen=True)
class Given:
    """One PATH: 'container', 'table' or 'unknown', and why it is unknown."""

    file: File
    shape: str
    why: str = ""


def look(path: Path, others: Sequence[Path] = (), password: str = "") -> Given:
    """What kind of thing a path is. A volume stands for its whole set, whose volumes lie beside it or in `others`.

    Raises UsageFault for none, RefusedInput for a web page (N06), PersonNeeded for a set with a gap (N27).
    """
    volumes = volume_set(path, others)
    file = File(path, "given by hand", volumes=volumes, password=password)
    if path.is_dir() or volumes:
        return Given(file, "container")
    if not path.is_file():
        raise UsageFault(f"there is no file or folder {path}", hint="check the path", phase="PLAN")
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if not head:
        return Given(file, "unknown", "it is empty")
    if tables.is_workbook(head):
        return Given(file, "table")
    if detect_format(head):
        return Given(file, "container")
    if _PAGE.match(head.removeprefix(b"\xef\xbb\xbf")):
        title = re.search(rb"<title[^>]*>([^<]{0,80})", head, re.IGNORECASE)
        shown = f" ({title[1].decode('utf-8', 'replace').strip()})" if title else ""
        raise RefusedInput(
            f"{path.name} is a web page{shown}, not the file: the download did not work",
            hint="open the share again, log in or enter the code, and download the file itself",
            fault="N06",
            phase="LIST",
        )
    if tables.is_matrix(head) or tables.is_text(head):
        return Given(file, "table")
    return Given(file, "unknown", "neither an archive, nor a folder, nor a table")


def sort_into(database: Database, given: Given, supplies: Supplies) -> bool:
    """Add what was given to the supplies of `database`; False if it does not belong there."""
    if given.shape == "container":
        supplies.containers.append(given.file)
        return True
    if given.shape != "table":
        return False
    digest = given.file.digest[0]
    table, _ = vouch((asset for asset in database.assets if asset.role == "labels"), digest)
    split_file, _ = vouch((asset for split in database.splits for asset in split_assets(split)), digest)
    if split_file is not None:  # many have the very header of the label table, and some are one
        supplies.split_files[split_file.name] = given.file
        if table is None:
            return True
    table = table or _by_header_alone(database, given.file.path)
    if table is not None:
        supplies.tables[table.name] = given.file
    return table is not None


def _by_header_alone(database: Database, path: Path) -> Asset | None:
    """The label table with this header. Of several the one of that name, else one whose hash nobody has published."""
    labels = (asset for asset in database.assets if asset.role == "labels")
    fitting = [asset for asset in labels if is_table(database, asset, path, path.name)]
    return min(fitting, key=lambda a: (a.published_name != path.name, bool(a.accepted)), default=None)


def header_fault(database: Database, path: Path) -> RefusedInput | None:
    """What is wrong with the header of a table that is much like one of the label tables; None if it is like none."""
    with path.open("rb") as stream:
        kind, found = tables.header_of(stream)
    declared = [table for source in database.labels for table in source.tables if table.header]
    declared = [t for t in declared if (rules.layout(database, t).format == "xlsx") == (kind == "xlsx")]
    nearest = max(declared, key=lambda table: len({*table.columns} & {*found}), default=None)
    if nearest is None or len({*nearest.columns} & {*found}) < ENOUGH * len(nearest.columns):
        return None
    try:
        replace(rules.layout(database, nearest), name=path.name).check_header(found)
    except RefusedInput as fault:
        return fault
    return None


def whose(databases: Iterable[Database], given: Given, scratch: Path) -> Database | None:
    """The database that something belongs to: by its hash, else by member names, else by its header."""
    known = list(databases)
    digest = given.file.digest[0] if given.shape != "unknown" else ""
    for database in known:
        splits = (asset for split in database.splits for asset in split_assets(split))
        if vouch((*database.assets, *splits), digest)[0] is not None:
            return database
    if given.shape == "container":
        return _by_member_names(known, given, scratch)
    if given.shape == "table":
        return _by_header(known, given)
    return None


def _by_header(databases: Sequence[Database], given: Given) -> Database | None:
    """The database whose label table has this header; where several have it, the published name decides."""
    fitting = [
        (database, asset)
        for database in databases
        for asset in database.assets_of("labels")
        if is_table(database, asset, given.file.path, given.file.path.name)
    ]
    named = [database for database, asset in fitting if asset.published_name == given.file.path.name]
    return next(iter([*named, *(database for database, _ in fitting)]), None)


def _by_member_names(databases: Sequence[Database], given: Given, scratch: Path) -> Database | None:
    with given.file.open(scratch) as archive:
        names = [member.name.rpartition("/")[2] for member in archive.members if not is_junk(member.name)]
    counts = {database.id: sum(1 for name in names if _looks_like(database, name)) for database in databases}
    likely = [database for database in databases if counts[database.id] >= ENOUGH * database.expect.images[0]]
    # One database may hold another whole: the one that explains the most names is meant, of two the smaller one.
    return max(likely, key=lambda database: (counts[database.id], -database.expect.images[0]), default=None)


def _looks_like(database: Database, name: str) -> bool:
    for source in database.labels:
        pattern = source.image.names or source.extract.get(source.image.id, "")
        if pattern and compile_pattern(pattern).search(name):
            return True
    return False
