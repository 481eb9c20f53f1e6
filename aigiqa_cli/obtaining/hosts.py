"""Which mirrors of an asset are asked, and in which order."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aigiqa_cli import mirrors
from aigiqa_cli.errors import DOWN, UsageFault
from aigiqa_cli.store.ledger import DEAD, Health, is_fresh

if TYPE_CHECKING:
    from aigiqa_cli.manifest.assets import Volume
    from aigiqa_cli.manifest.models import Asset, Database, Mirror


def automatic(asset: Asset | Volume, kind: str = "", known: Mapping[str, Health] | None = None) -> list[Mirror]:
    """The mirrors that need no person, best first; only those of `kind` if it is given. None is ever left out.

    `known` is the health ledger: who was asked lately and did not answer as promised comes last; what a manifest
    reports dead comes before these, unless it has answered lately.
    """
    able = mirrors.TREES if asset.is_tree else mirrors.AUTOMATIC
    usable = [m for m in asset.mirrors if m.kind in able and (not kind or m.kind == kind)]
    return sorted(usable, key=lambda mirror: _rank(mirror, known or {}))


def _rank(mirror: Mirror, known: Mapping[str, Health]) -> int:
    found = known.get(mirrors.key(mirror))
    if found is not None and is_fresh(found):
        return 2 if found.state in DEAD else 0
    return int(bool(mirror.health and mirror.health.state in DOWN))


def to_be_had(asset: Asset, kind: str = "") -> bool:
    """Can the asset, or every one of its volumes, be fetched without a person?"""
    return all(automatic(part, kind) for part in asset.volumes or (asset,))


def check_kind(database: Database, kind: str) -> None:
    """Has any asset of the database a mirror of this kind? Raises UsageFault with the kinds that there are."""
    known = list(dict.fromkeys(mirror.kind for asset in database.assets for mirror in asset.every_mirror))
    if kind and kind not in known:
        near = difflib.get_close_matches(kind, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "kinds here: " + ", ".join(known)
        raise UsageFault(f"{database.title} has no mirror of kind {kind!r}", hint=hint, phase="PLAN")
