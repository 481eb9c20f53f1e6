"""What a fetch would download, from where, and how large it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aigiqa_cli import mirrors
from aigiqa_cli.obtaining.hosts import automatic
from aigiqa_cli.obtaining.shares import shares
from aigiqa_cli.store.ledger import read_ledger

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database
    from aigiqa_cli.store import Root


def planned(
    root: Root, database: Database, needed: Sequence[Asset], kind: str, images: int | None
) -> list[dict[str, Any]]:
    """One row an asset. `kind`: only mirrors of it; `images`: as many as a selection would bring, None for all."""
    known = read_ledger(root)
    return [
        {
            "asset": asset.name,
            "role": asset.role,
            **_size(database, asset, images),
            "sha256": asset.sha256 or None,
            "mirrors": [mirrors.label(mirror) for part in asset.parts for mirror in automatic(part, kind, known)],
            "by_hand": [share.url for share in shares(database, asset) if share.kind in mirrors.MANUAL],
        }
        for asset in needed
    ]


def _size(database: Database, asset: Asset, images: int | None) -> dict[str, Any]:
    if images is None or asset.role not in ("images", "references"):
        return {"bytes": asset.size, "approximate_size": asset.approximate_size if asset.size is None else ""}
    return {"bytes": None, "approximate_size": f"{images:,} of {database.expect.images[1]:,} images"}
