"""Which member of which container is the image of which label row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from aigiqa_cli.archives import Archive, Member, is_junk
from aigiqa_cli.patterns import compile_pattern

if TYPE_CHECKING:
    from aigiqa_cli.label_rows import LabelRow
    from aigiqa_cli.manifest.models import Database

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
IMAGES, REFERENCES = "images", "references"


class Container(Protocol):
    """What has members: an open archive, a folder, the listing of one."""

    @property
    def members(self) -> tuple[Member, ...]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """A member of the n-th open container."""

    container: int
    member: Member


@dataclass
class Matches:
    """Target path below the tree -> the places that hold it (more than one: must be the same bytes)."""

    found: dict[str, list[Place]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    used: set[Place] = field(default_factory=set)

    def narrowed(self, only: Collection[str]) -> Matches:
        """Of these targets alone; what is used for others is used still."""
        found = {target: places for target, places in self.found.items() if target in only}
        return Matches(found, [target for target in self.missing if target in only], self.used)


class Members:
    """All members of all containers, found by the end of their path."""

    def __init__(self, containers: Iterable[Container]) -> None:
        self.places: list[Place] = []
        self.junk = 0
        self._by_name: dict[str, list[Place]] = defaultdict(list)
        for number, archive in enumerate(containers):
            for member in archive.members:
                if is_junk(member.name):
                    self.junk += 1
                    continue
                place = Place(number, member)
                self.places.append(place)
                self._by_name[member.name.rpartition("/")[2]].append(place)

    def ending_with(self, path: str) -> list[Place]:
        """Members whose path is `path` or ends with `/path`, in any folder."""
        name = path.rpartition("/")[2]
        return [
            place
            for place in self._by_name.get(name, ())
            if place.member.name == path or place.member.name.endswith("/" + path)
        ]

    def first(self, patterns: Iterable[str]) -> list[Place]:
        """The members of the first pattern that finds any."""
        for pattern in patterns:
            if places := self.ending_with(pattern):
                return places
        return []


def match_images(members: Members, rows: Iterable[LabelRow]) -> Matches:
    """Find the image, and the reference image, of every label row."""
    matches, missing = Matches(), dict[str, None]()  # many rows may have the same reference image
    for target, patterns in targets(rows):
        if target in matches.found:
            continue
        places = members.first(patterns)
        if places:
            matches.found[target] = places
            matches.used.update(places)
            missing.pop(target, None)
        else:
            missing[target] = None
    matches.missing = list(missing)
    return matches


def targets(rows: Iterable[LabelRow]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Paths in the tree of images and their references, each with the endings under which containers hold it."""
    for row in rows:
        yield f"{IMAGES}/{row.image_id}", row.find
        if row.reference:
            yield f"{REFERENCES}/{row.reference.name}", row.reference.find


def image_names(archive: Archive) -> Iterator[str]:
    """The names of the members that are called like pictures, without their folders."""
    for member in archive.members:
        if member.name.lower().endswith(PICTURES) and not is_junk(member.name):
            yield member.name.rpartition("/")[2]


def is_image_of(database: Database, name: str) -> bool:
    """Is this picture called like an image of the database, as far as its manifest says how they are called?"""
    patterns = [source.image.names or source.extract.get(source.image.id, "") for source in database.labels]
    return not any(patterns) or any(compile_pattern(pattern).search(name) for pattern in patterns if pattern)
