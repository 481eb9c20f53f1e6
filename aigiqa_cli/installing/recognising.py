"""What kind of thing a file or folder is that a person has, and what of a database it is. Names are hints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli import pointers, rules, tables
from aigiqa_cli.archives import Archive, detect_format, is_junk, is_volume_name, volume_set
from aigiqa_cli.errors import Finding, PersonNeeded, RefusedInput, UsageFault
from aigiqa_cli.installing.labelling import likeness, plain_name
from aigiqa_cli.installing.matching import image_names, is_image_of
from aigiqa_cli.installing.nesting import SUFFIXES, inner_members
from aigiqa_cli.installing.splitting import split_assets
from aigiqa_cli.installing.supplies import File, Supplies, vouch

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database

HEAD = 64 << 10
ENOUGH = 0.5  # share of the expected images, or columns, whose names must be in what nobody vouches for
_PAGE = re.compile(rb"^\s*(<!doctype html|<html|<\?xml)", re.IGNORECASE)


@dataclass(frozen=True)
class Given:
    """One PATH: 'container', 'table', 'junk' or 'unknown', and why it is one of the last two."""

    file: File
    shape: str
    why: str = ""


def look(path: Path, others: Sequence[Path] = (), password: str = "") -> Given:
    """What kind of thing a path is. A volume stands for its whole set, whose volumes lie beside it or in `others`.

    Raises UsageFault for none, RefusedInput for a web page (N06), PersonNeeded for a set with a gap (N27) and for what
    only points to the file (a Git LFS pointer).
    """
    if is_junk(path.name) and path.exists():
        why = (
            "the lock file of an open workbook" if path.name.startswith("~$") else "left behind by the operating system"
        )
        return Given(File(path, "given by hand"), "junk", why)
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
    if pointers.is_pointer(head):
        raise _pointer_fault(path, head)
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


def _pointer_fault(path: Path, head: bytes) -> PersonNeeded:
    """Git LFS was not there when the repository was cloned."""
    facts = dict(line.partition(" ")[::2] for line in head.decode("utf-8", "replace").splitlines()[:8])
    size = f" of {int(facts['size']):,} bytes" if facts.get("size", "").isdecimal() else ""
    return PersonNeeded(
        f"{path.name} is a Git LFS pointer: it stands for a file{size}, and is not the file",
        hint=f"git lfs pull, in {path.resolve().parent}; or download the file itself",
        fault="N06",
        phase="LIST",
        findings=[Finding("", str(path), "a Git LFS pointer", "the file", facts.get("oid", ""))],
    )


def sort_into(database: Database, given: Given, supplies: Supplies) -> bool:
    """Add what was given to the supplies of `database`; False if it does not belong there.

    Raises RefusedInput where two different files may be the same label table: which one is meant is not guessed.
    """
    if given.shape == "container":
        supplies.containers.append(given.file)
        return True
    digest = digest_of(given, (database,))
    table, _ = vouch(database.label_tables, digest)
    published = [asset for split in database.splits for asset in split_assets(split)]
    split_files = [asset.name for asset in published if vouch([asset], digest)[0]]
    if split_files:  # many have the very header of the label table, and some are one; two folds may be one file
        supplies.split_files |= dict.fromkeys(split_files, given.file)
        if table is None:
            return True
    if given.shape == "table":
        table = table or _by_header_alone(database, given.file.path)
    if table is not None:
        _demand_one(database, table, supplies.tables.get(table.name), given.file)
        supplies.tables[table.name] = given.file
    return table is not None


def digest_of(given: Given, databases: Iterable[Database]) -> str:
    """The SHA-256, but "" of what is neither a container nor a table and as long as nothing that is published."""
    if given.shape != "unknown":
        return given.file.digest[0]
    lengths = {
        asset.bytes
        for database in databases
        for asset in (*database.assets, *(asset for split in database.splits for asset in split_assets(split)))
    }
    return given.file.digest[0] if given.file.path.stat().st_size in lengths else ""


def _demand_one(database: Database, table: Asset, first: File | None, second: File) -> None:
    if first is None or first.digest == second.digest:
        return
    raise RefusedInput(
        f"{first.path.name} and {second.path.name} are two different files that may both be "
        f"{table.published_name} of {database.title}",
        hint="give the right one of them; if both are published files, rename them to their published names",
        fault="T05",
        database=database.id,
        phase="LIST",
        findings=[
            Finding(database.id, str(file.path), f"taken for {table.published_name}", "one file", file.digest[0])
            for file in (first, second)
        ],
    )


def _by_header_alone(database: Database, path: Path) -> Asset | None:
    """The label table with this header. Of several the one of that name, else one with no other columns, else one whose
    hash nobody has published."""
    name = plain_name(path.name)
    alike = {a.name: likeness(database, a, path, path.name) for a in database.label_tables}
    fitting = [asset for asset in database.assets if alike.get(asset.name)]
    return min(fitting, key=lambda a: (a.published_name != name, -alike[a.name], bool(a.accepted)), default=None)


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


def holds_pictures(database: Database, archive: Archive) -> bool:
    """Does a container hold anything that may be an image of the database, or archives that may?"""
    return any(is_image_of(database, name) for name in image_names(archive)) or bool(inner_members(database, archive))


def entries(path: Path) -> list[Path]:
    """What lies in a folder of downloads, if that is what it is: a folder with an archive in it."""
    if not path.is_dir():
        return []
    found = sorted(entry for entry in path.iterdir() if not is_junk(entry.name))
    return found if any(_is_archive(entry) for entry in found) else []


def _is_archive(path: Path) -> bool:
    """By content; or by its name, which is enough to look at it by itself (a page, a pointer, a volume)."""
    if not path.is_file():
        return False
    if is_volume_name(path.name) or path.name.lower().endswith(SUFFIXES):
        return True
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    return bool(detect_format(head)) and not tables.is_workbook(head)
