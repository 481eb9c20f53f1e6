"""Which published label tables are fetched: the first source of the labels that can be had."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from aigiqa_cli.errors import Exit, Fault, PersonNeeded
from aigiqa_cli.installing.supplies import File

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database, LabelSource


def label_tables(
    database: Database,
    get: Callable[[Asset], File],
    *,
    labels_only: bool,
    here: Iterable[str] = (),
    opened: bool = False,
    require_hashes: bool = False,
) -> dict[str, File]:
    """The tables of the first label source that can be had; `here` are those that need not be fetched.

    Tables without mirrors lie inside the image archive, unless it was `opened` and they are not `here`. Raises the
    fault of the first source if none can be had.
    """
    present = set(here)
    first: Fault | None = None
    sources = label_sources(
        database, labels_only=labels_only, here=present, opened=opened, require_hashes=require_hashes
    )
    if opened and not labels_only and not sources:
        return {}
    for source in sources:
        found: dict[str, File] = {}
        try:
            for asset in (database.asset(name) for name in source.needs):
                if asset.mirrors and asset.name not in present:
                    found[asset.name] = get(asset)
        except Fault as fault:
            if fault.exit_code not in (Exit.PERSON, Exit.INTEGRITY, Exit.TEMPORARY):
                raise
            first = first or fault
            continue
        return found
    raise first or _only_inside(database)


def label_sources(
    database: Database,
    *,
    labels_only: bool,
    here: Iterable[str] = (),
    opened: bool = False,
    require_hashes: bool = False,
) -> list[LabelSource]:
    """Label sources that may be fetched: first those of which most is `here`, then the authors' own.

    With `require_hashes` those come before all others of whose every table a hash is published.

    Other people's copies come only where labels are to be had in no other way, or where part of one is here. Beside
    images a source is left out whose tables lie inside an archive that is neither here nor among the needed.
    """
    given = set(here)
    held = given | {asset.name for asset in database.assets if asset.mirrors}
    if not (labels_only or opened):
        held |= {asset.name for asset in database.assets if asset.inside in ("", *_needed(database))}
    sources = [source for source in database.labels if held.issuperset(source.needs)]
    if not labels_only:
        sources = [s for s in sources if s.partial is None and (not s.third_party or given.intersection(s.needs))]

    def rank(source: LabelSource) -> tuple[bool, int, bool]:
        unproven = not all(database.asset(name).accepted for name in source.needs)
        return require_hashes and unproven, -len(given.intersection(source.needs)), bool(source.third_party)

    return sorted(sources, key=rank)


def _needed(database: Database) -> list[str]:
    return [asset.name for asset in database.assets_of("images", "references")]


def _only_inside(database: Database) -> PersonNeeded:
    inside = ", ".join(name for name in database.labels[0].needs if not database.asset(name).mirrors)
    return PersonNeeded(
        f"the labels of {database.title} ({inside}) are published only inside its image archive",
        hint=f"aigiqa fetch {database.id}",
        database=database.id,
        phase="PLAN",
    )
