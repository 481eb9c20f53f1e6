"""The links that a person can open where no mirror gives a file to a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aigiqa_cli import mirrors
from aigiqa_cli.errors import DOWN, Exit, Fault, PersonNeeded, Share
from aigiqa_cli.transport.model import Closed, Page

if TYPE_CHECKING:
    from aigiqa_cli.manifest.assets import Volume
    from aigiqa_cli.manifest.models import Asset, Database, Mirror


def shares(database: Database, asset: Asset, kind: str = "", *, tried: bool = False) -> list[Share]:
    """Every link by which a person can get the asset, repacks included, each with the next command. `tried`: what is
    no better in a browser is left out."""
    open_to_people = [
        (offered, mirror)
        for offered, mirror in offers(database, asset)
        if mirror.kind != "builtin" and (not kind or mirror.kind == kind)
    ]
    # What a browser can do better than we can comes first; pages of hubs only where there is nothing else.
    for_browsers = [offer for offer in open_to_people if offer[1].kind in (*mirrors.MANUAL, "gdrive")]
    found = [
        mirrors.share(
            mirror,
            offered.published_name if _has_file_name(offered) else "file name unknown",
            offered.bytes,
            offered.sha256,
            _import_line(database, offered),
            folder=offered.is_tree,
        )
        for offered, mirror in for_browsers or (() if tried else open_to_people)
    ]
    return sorted(found, key=lambda share: share.state in DOWN)


def is_gone(fault: Fault) -> bool:
    """Is there nothing for a browser either, where this program found nothing? Pages are for people, and terms too."""
    return fault.fault in ("N06", "N07") and fault.exit_code is Exit.PERSON and not isinstance(fault, Closed | Page)


def offers(database: Database, asset: Asset) -> list[tuple[Asset | Volume, Mirror]]:
    """Every mirror of the asset, of its volumes and of its repacks."""
    whole = (asset, *(other for other in database.assets if other.substitutes == asset.name))
    return [(part, mirror) for other in whole for part in other.parts for mirror in part.mirrors]


def _import_line(database: Database, asset: Asset | Volume) -> str:
    name = asset.published_name.rpartition("/")[2] if _has_file_name(asset) else "FILE"
    if any(asset is other for other in database.assets if other.role == "weights"):  # no part of the database
        return f"aigiqa train … --weights ~/Downloads/{name}"
    return f"aigiqa import {database.id} ~/Downloads/{name}"


def _has_file_name(asset: Asset | Volume) -> bool:
    """Is its name that of a file, or of a folder of a hub? Where nobody states one, it is only ours for it."""
    named = asset.published_name != asset.name or any(mirror.repo for mirror in asset.mirrors)
    return named or "." in asset.published_name.rpartition("/")[2]


def every_mirror(database: Database) -> str:
    return f"aigiqa info {database.id} shows every mirror"


def by_hand(database: Database, asset: Asset, kind: str) -> PersonNeeded:
    offered: Sequence[Share] = shares(database, asset, kind)
    reason = f"has no mirror of kind {kind}" if kind and not offered else "needs a person to download it"
    name = asset.published_name if _has_file_name(asset) else "the archive"
    return PersonNeeded(
        f"{name} of {database.title} {reason}",
        hint=offered[0].next if offered else every_mirror(database),
        fault="N22",
        database=database.id,
        phase="RESOLVE",
        shares=offered,
    )
