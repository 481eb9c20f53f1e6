"""Installs of some of the images: which ones are wanted, and what later bytes say of those that came one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aigiqa_cli.errors import Finding, IntegrityFault
from aigiqa_cli.installing.matching import targets

if TYPE_CHECKING:
    from aigiqa_cli.installing.index_rows import Index
    from aigiqa_cli.installing.pictures import Picture
    from aigiqa_cli.manifest.models import Database
    from aigiqa_cli.rules import Labels
    from aigiqa_cli.store import Record, StoredSource

IN_PARTS = ", in parts"  # how the origin of members ends that came without the rest of their archive
MAX_LISTED = 20


@dataclass(frozen=True)
class Part:
    """`images`: the image_ids that are wanted, None for all. `keeps`: what is installed stays and is not unpacked
    again, but for the images in `anew`."""

    images: frozenset[str] | None
    keeps: bool = True
    anew: frozenset[str] = frozenset()


def wanted(labels: Labels, part: Part, here: Collection[str]) -> set[str]:
    """The paths in the tree that an install of this part still needs: images, and the references that they need."""
    rows = (row for row in labels.rows if part.images is None or row.image_id in part.images)
    found = {target for target, _ in targets(rows)}
    if part.images is None:
        found |= {target for target, _ in targets(labels.unlabelled)}
    return found.difference(here)


def state(database: Database, index: Index) -> str:
    """What an install with this index is: `labels`, `sample` or `installed`."""
    if not index.pictured:
        return "labels"
    spare = max(0, database.expect.rows[0] - database.expect.images[0])  # rows that are expected to have no image
    return "installed" if len(index) - index.pictured <= spare else "sample"


def came_in_parts(source: StoredSource) -> bool:
    return source.origin.endswith(IN_PARTS)


def is_whole(record: Record) -> bool:
    """Are all images here, none of them unproven because it came without the rest?"""
    return record.state == "installed" and not any(map(came_in_parts, record.sources))


def unproven(record: Record | None) -> dict[str, str]:
    """Path -> SHA-256 of the images of an install of which some came in parts: nothing has vouched for these bytes."""
    if record is None or not any(map(came_in_parts, record.sources)):
        return {}
    return {f.path: f.sha256 for f in record.files if f.path.startswith(("images/", "references/"))}


def refuse_mixture(database: Database, source: StoredSource, former: Iterable[StoredSource]) -> None:
    """Parts of two archives are never added up, as far as their lengths tell. Raises IntegrityFault."""
    for other in former:
        if other.asset == source.asset and came_in_parts(other) and other.bytes != source.bytes:
            length = (f"{other.bytes} bytes", f"{source.bytes} bytes")
            raise IntegrityFault(
                f"{source.name} is another file than the one whose parts are here",
                hint=f"all of it, to be compared: aigiqa fetch {database.id}",
                fault="N31",
                database=database.id,
                phase="CHECK",
                findings=[Finding(database.id, source.name, "changed upstream", *length)],
            )


def compare(database: Database, former: Mapping[str, str], pictures: Mapping[str, Picture], *, proven: bool) -> str:
    """Hold what came in parts (path -> SHA-256) against the same images out of the whole archive.

    Returns what to say of other bytes that proven ones replace. Raises IntegrityFault where nothing proves either.
    """
    findings = [
        Finding(database.id, path, "changed upstream", digest, pictures[path].sha256)
        for path, digest in former.items()
        if path in pictures and pictures[path].sha256 != digest
    ]
    if not findings:
        return ""
    names = ", ".join(finding.path.rpartition("/")[2] for finding in findings[:3])
    what = f"{len(findings)} of the images that came in parts had other bytes ({names})"
    if proven:
        return f"{what}; those of the proven archive have replaced them"
    raise IntegrityFault(
        f"{what}, and no published hash decides",
        hint=f"if the new ones are right: aigiqa remove {database.id}, then install it again",
        fault="N31",
        database=database.id,
        phase="CHECK",
        findings=findings[:MAX_LISTED],
    )
