"""Archives inside an archive: those that the manifest names, or all of a zip of zips or of a hub's folder. One level
deep (A11)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli.archives import Archive, Member, Order, is_junk

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst", ".7z", ".rar")


def unpack(database: Database, archive: Archive, scratch: Path) -> list[Path]:
    """Write the inner archives of `archive` below `scratch`; returns where they are."""
    wanted = inner_members(database, archive)
    orders = [
        Order(member, f"{scratch.name}/{number}-{member.name.rpartition('/')[2]}")
        for number, member in enumerate(wanted)
    ]
    return sorted(scratch.parent / written.to for written in archive.unpack(orders))


def inner_members(database: Database, archive: Archive) -> list[Member]:
    """The members that are archives to be opened."""
    endings = [ending for asset in database.assets for ending in asset.nested]
    members = [member for member in archive.members if not is_junk(member.name)]
    named = [m for m in members if any(m.name == ending or m.name.endswith("/" + ending) for ending in endings)]
    if named:
        return named
    packed = [member for member in members if member.name.lower().endswith(SUFFIXES)]
    if archive.kind == "download":
        return packed
    only_archives = bool(members) and len(packed) == len(members)
    return members if only_archives and archive.kind != "folder" else []
