"""An asset, or other people's copy of it where a published hash vouches for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigiqa_cli.errors import Exit, Fault
from aigiqa_cli.installing.supplies import File
from aigiqa_cli.obtaining import Obtained
from aigiqa_cli.obtaining.hosts import to_be_had

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database


def asset_or_repack(
    obtained: Obtained, database: Database, asset: Asset, *, mirror: str, require_hashes: bool, force: bool
) -> File:
    """The asset; if every mirror of it is gone or wrong, or hashes are required and it has none, a repack that a
    published hash vouches for."""
    installed = obtained.installed_table(database, asset)
    if installed is not None and not force:
        return installed
    if require_hashes and not asset.accepted and not mirror:
        file = _from_repack(obtained, database, asset, "has no published hash")
        if file is not None:
            return file
    try:
        return obtained.file(database, asset, mirror)
    except Fault as fault:
        if fault.exit_code not in (Exit.PERSON, Exit.INTEGRITY) or mirror:
            raise
        file = _from_repack(obtained, database, asset, "is not to be had")
        if file is None:
            raise
        return file


def _from_repack(obtained: Obtained, database: Database, asset: Asset, why: str) -> File | None:
    for repack in _repacks(database, asset):
        try:
            obtained.context.reporter.note(f"{asset.published_name} {why}; trying {repack.name}")
            return obtained.file(database, repack)
        except Fault as second:
            obtained.context.reporter.note(second.message)
    return None


def _repacks(database: Database, asset: Asset) -> list[Asset]:
    return [
        other
        for other in database.assets
        if other.substitutes == asset.name and to_be_had(other) and _may_stand_in(asset, other)
    ]


def _may_stand_in(asset: Asset, repack: Asset) -> bool:
    """An archive by its published hash. For a folder of single files there is none: it stands in only where the
    content hash judges what came out of it, or for another folder, which nothing more vouches for."""
    if repack.is_tree:
        return bool(asset.is_tree or asset.content_sha256)
    return bool((repack.sha256 or repack.volumes) and repack.is_archive)
