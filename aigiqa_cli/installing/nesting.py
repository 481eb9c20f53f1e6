"""Archives inside an archive: those that the manifest names, or all of one that holds no pictures. One level deep
(A11)."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli.archives import Archive, Member, Order, is_junk, is_volume_name
from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.installing.matching import image_names, is_image_of

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


def inner_name(path: Path) -> str:
    """What an unpacked inner archive was called."""
    return path.name.partition("-")[2]


def is_packed(name: str) -> bool:
    """Is it called like an archive?"""
    return name.lower().endswith(SUFFIXES)


def inner_members(database: Database, archive: Archive) -> list[Member]:
    """The members that are archives to be opened: those that the manifest names, else all, if there are no images of
    the database beside them. Of a hub's folder always all.

    Raises RefusedInput for the volumes of a split archive: they are joined only where they lie in a folder."""
    endings = [ending for asset in database.assets for ending in asset.nested]
    members = [member for member in archive.members if not is_junk(member.name)]
    named = [m for m in members if any(m.name == ending or m.name.endswith("/" + ending) for ending in endings)]
    if named:
        return named
    packed = [member for member in members if is_packed(member.name)]
    volumes = [member.name for member in members if is_volume_name(member.name.rpartition("/")[2])]
    if archive.kind == "download" or not (packed or volumes):
        return packed
    if any(is_image_of(database, name) for name in image_names(archive)):
        return []
    if len(volumes) > 1:
        raise _volumes_inside(archive, min(volumes), len(volumes) - 1)
    return packed


def _volumes_inside(archive: Archive, first: str, others: int) -> RefusedInput:
    where = archive.path if archive.kind == "folder" else "FOLDER"
    command = f"aigiqa import {shlex.quote(f'{where}/{first}')}"
    return RefusedInput(
        f"{archive.name} holds the volumes of a split archive ({first} and {others} more)",
        hint=command if archive.kind == "folder" else f"unpack {archive.name} into a folder first, then: {command}",
        fault="A11",
        phase="LIST",
    )
