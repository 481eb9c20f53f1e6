"""Some files of a hub's folder: which of those that it lists are wanted, by the rules that find images anywhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from aigiqa_cli import rules
from aigiqa_cli.archives import Member
from aigiqa_cli.installing import File, Part, nesting
from aigiqa_cli.installing.labelling import choose_source
from aigiqa_cli.installing.matching import Members, match_images
from aigiqa_cli.installing.parts import wanted
from aigiqa_cli.obtaining import Narrowed
from aigiqa_cli.subsets.remote_zip import OnlyWhole
from aigiqa_cli.transport.model import Listing

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database
    from aigiqa_cli.store import Record


@dataclass(frozen=True)
class _Listed:
    """What a hub lists, as containers show it."""

    members: tuple[Member, ...]


def narrowing(
    database: Database, tables: dict[str, File], part: Part, record: Record, *, beside: bool = False
) -> Narrowed | None:
    """What leaves of a listing the files that this part needs beside those of `record`; None where the tables do not
    tell. Raises OnlyWhole (when it is called) if they lie in archives of the folder."""
    source = choose_source(database, list(tables))
    if source is None:
        return None
    labels = rules.apply(database, source, lambda name: tables[name].path.open("rb"))
    here = {f.path for f in record.files} - {f"images/{image_id}" for image_id in part.anew} if part.keeps else set()
    needed = wanted(labels, part, here)

    def narrow(listing: Listing) -> Listing:
        members = tuple(Member(at, leaf.path, leaf.bytes or 0) for at, leaf in enumerate(listing.leaves))
        matches = match_images(Members([_Listed(members)]), chain(labels.rows, labels.unlabelled)).narrowed(needed)
        optional = {f"images/{row.image_id}" for row in labels.unlabelled}
        if set(matches.missing) - optional and any(nesting.is_packed(member.name) for member in members):
            raise OnlyWhole(
                "the folder holds archives, which are read only as a whole",
                hint=f"the whole database: aigiqa fetch {database.id}",
                fault="A11",
            )
        numbers = sorted({place.member.number for places in matches.found.values() for place in places})
        return replace(listing, leaves=tuple(listing.leaves[number] for number in numbers))

    return Narrowed(narrow, beside=beside)


def only_missing(database: Database, tables: dict[str, File], record: Record | None) -> Narrowed | None:
    """For a whole fetch of a folder of which some images are installed: all but these. None where it has to come
    whole."""
    return narrowing(database, tables, Part(None), record) if record and record.images else None
