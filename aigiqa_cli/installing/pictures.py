"""The image files of an install: found in the containers, written once, hashed, looked into, judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from aigiqa_cli.archives import Archive, Order, Unpacked
from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.errors import Finding, IntegrityFault, PersonNeeded, RefusedInput
from aigiqa_cli.installing.matching import IMAGES, Matches, Members, Place, match_images
from aigiqa_cli.installing.nesting import SUFFIXES
from aigiqa_cli.pointers import POINTER
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.store import StoredFile

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database
    from aigiqa_cli.rules import Labels

MAX_LISTED = 20
MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class Picture:
    """One published image file; `path` is relative to the database's folder, width and height are pixels."""

    path: str
    bytes: int
    sha256: str
    width: int
    height: int
    format: str
    renamed: bool = False


def content_sha256(pictures: Iterable[Picture | StoredFile]) -> str:
    """A hash over published names and bytes, whatever archive they came in (N30)."""
    lines = sorted(f"{picture.path}  {picture.bytes}  {picture.sha256}\n" for picture in pictures)
    return sha256_bytes("".join(lines).encode())


@dataclass
class Unpacking:
    """Takes the pictures of label rows out of open containers into `tree` (a folder below the workers' target)."""

    database: Database
    archives: Sequence[Archive]
    members: Members
    tree: str
    reporter: Reporter
    pictures: dict[str, Picture] = field(default_factory=dict)
    ignored: int = 0
    _problems: list[Finding] = field(default_factory=list)
    _fault: str = ""  # of the first problem
    _pointers: Counter[Archive] = field(default_factory=Counter)
    _copies: dict[str, set[str]] = field(default_factory=dict)  # the hashes of what lies in several places

    def run(self, labels: Labels, table_holders: set[str], only: Collection[str] | None = None) -> None:
        """Write every picture, or `only` those with these paths in the tree. `table_holders` are containers that are
        useful because of a label table in them.

        Raises RefusedInput for a container that holds nothing of this database, IntegrityFault if pictures are
        missing, no images, or there twice with different bytes.
        """
        matches = match_images(self.members, chain(labels.rows, labels.unlabelled))
        optional = {f"{IMAGES}/{row.image_id}" for row in labels.unlabelled}
        matches.missing = [target for target in matches.missing if target not in optional]
        self._refuse_foreign(matches, table_holders)
        if only is None:
            self._refuse_part_of_labels(labels)
            self._check_complete(matches)
        self.ignored = len(self.members.places) - len(matches.used) + self.members.junk
        if only is not None:
            matches = matches.narrowed(only)
            self._check_part(matches, only)
        targets = {place: target for target, places in matches.found.items() for place in places}
        self._copies = {target: set() for target, places in matches.found.items() if len(places) > 1}
        plan = self._plan(matches)
        total = sum(order.member.bytes for orders in plan for order in orders)
        self.reporter.phase(f"unpacking {self.database.title}", total=total)
        for number, (archive, orders) in enumerate(zip(self.archives, plan, strict=True)):
            for written in archive.unpack(orders, last=True):
                self.reporter.advance(written.bytes)
                self._take(archive, targets[Place(number, written.member)], written)
        self._judge()

    def _plan(self, matches: Matches) -> list[list[Order]]:
        """What each worker does: the first place of a picture is written, further ones are only hashed."""
        plan: list[list[Order]] = [[] for _ in self.archives]
        for target, places in matches.found.items():
            for number, place in enumerate(places):
                to = f"{self.tree}/{target}" if number == 0 else ""
                plan[place.container].append(Order(place.member, to, "header"))
        return plan

    def _take(self, archive: Archive, target: str, written: Unpacked) -> None:
        if target in self._copies:
            self._copies[target].add(written.sha256)
        if written.problem == POINTER:
            self._pointers[archive] += 1
        elif written.problem:
            self._problems.append(Finding(self.database.id, written.member.name, written.problem, "an image", ""))
            self._fault = self._fault or written.fault
        elif written.to:
            renamed = written.member.name.rpartition("/")[2] != target.partition("/")[2]
            size = written.width, written.height
            self.pictures[target] = Picture(target, written.bytes, written.sha256, *size, written.format, renamed)

    def _judge(self) -> None:
        if self._pointers:
            raise self._pointed()
        problems = sorted(self._problems, key=lambda found: found.path) + [  # two threads find them in any order
            Finding(self.database.id, target, "found twice with different bytes", "one image", f"{len(hashes)} images")
            for target, hashes in sorted(self._copies.items())
            if len(hashes) > 1
        ]
        if problems:
            raise IntegrityFault(
                f"{len(problems)} images of {self.database.title} are not what they should be: "
                f"{problems[0].path}: {problems[0].problem}",
                fault=self._fault or "I10",
                database=self.database.id,
                phase="IMAGES",
                findings=problems[:MAX_LISTED],
            )

    def _pointed(self) -> PersonNeeded:
        """Git LFS was not there when somebody cloned, or packed, the files."""
        archive, count = self._pointers.most_common(1)[0]
        fetch = f"aigiqa fetch {self.database.id}"
        return PersonNeeded(
            f"{count:,} of the images of {self.database.title} in {archive.name} are Git LFS pointers, not the images",
            hint=f"git lfs pull, in {archive.path}; or: {fetch}" if archive.kind == "folder" else fetch,
            fault="N06",
            database=self.database.id,
            phase="IMAGES",
        )

    def _refuse_foreign(self, matches: Matches, table_holders: set[str]) -> None:
        """Something that was given and holds nothing of this database is a mistake, not junk."""
        useful = {place.container for place in matches.used}
        for number, archive in enumerate(self.archives):
            if number in useful or archive.name in table_holders:
                continue
            found = ", ".join(member.name for member in archive.members[:MAX_NAMED]) or "nothing"
            wanted = next(iter([*matches.found, *matches.missing])).partition("/")[2]
            raise RefusedInput(
                f"{archive.name} holds nothing of {self.database.title}: expected names such as {wanted}, "
                f"found {found}",
                hint=self._how_to_open(archive) or f"expected: {self._expected_archive()}",
                fault="A23",
                database=self.database.id,
                phase="LIST",
                findings=[Finding(self.database.id, _shown(archive), "not recognised", wanted, found)],
            )

    def _how_to_open(self, archive: Archive) -> str:
        """What a person can do with archives that lie too deep, or ""."""
        packed = [member.name for member in archive.members if member.name.lower().endswith(SUFFIXES)]
        if not packed:
            return ""
        return (
            f"unpack {archive.name.partition('/')[0]} first, then: aigiqa import {self.database.id} FOLDER/{packed[0]}"
        )

    def _refuse_part_of_labels(self, labels: Labels) -> None:
        """Images beside labels of some of them are no broken archive: the rest of the labels is what is missing."""
        low, rows = self.database.expect.rows[0], len(labels.rows)
        if rows >= low:
            return
        needs = ", ".join(self.database.asset(name).published_name for name in self.database.labels[0].needs)
        raise PersonNeeded(
            f"the label tables that were given are of {rows:,} of the {low:,} rows of {self.database.title}",
            hint=f"give the whole ones beside the images: {needs}",
            fault="A25",
            database=self.database.id,
            phase="SCORES",
        )

    def _check_complete(self, matches: Matches) -> None:
        images = sum(target.startswith(IMAGES) for target in matches.found)
        low, high = self.database.expect.images
        spare = max(0, self.database.expect.rows[0] - low)  # rows that the manifest expects to have no image
        missing_images = [target for target in matches.missing if target.startswith(IMAGES)]
        if low <= images <= high and len(missing_images) <= spare and missing_images == matches.missing:
            return
        expected = str(low) if low == high else f"{low} to {high}"
        holds = [f"{images} of the {expected} images"]
        references, missing = len(matches.found) - images, len(matches.missing) - len(missing_images)
        if missing:
            holds.append(f"{references} of the {references + missing} reference images")
        names = [target.partition("/")[2] if target.startswith(IMAGES) else target for target in matches.missing]
        more = " ..." if len(names) > MAX_NAMED else ""
        given = ", ".join(archive.name for archive in self.archives) or "nothing"
        raise IntegrityFault(
            f"{given} holds {' and '.join(holds)} of {self.database.title}"
            + (f"; missing: {', '.join(names[:MAX_NAMED])}{more}" if names else ""),
            hint=f"expected: {self._expected_archive()}",
            fault="A25",
            database=self.database.id,
            phase="IMAGES",
            findings=[
                Finding(
                    self.database.id, t, "missing", "an image" if t.startswith(IMAGES) else "a reference image", "none"
                )
                for t in matches.missing[:MAX_LISTED]
            ],
        )

    def _check_part(self, matches: Matches, only: Collection[str]) -> None:
        spare = max(0, self.database.expect.rows[0] - self.database.expect.images[0])
        images = [target for target in matches.missing if target.startswith(IMAGES)]
        if len(images) <= spare and images == matches.missing:
            return
        names = ", ".join(target.partition("/")[2] for target in matches.missing[:MAX_NAMED])
        more = " ..." if len(matches.missing) > MAX_NAMED else ""
        raise IntegrityFault(
            f"{', '.join(archive.name for archive in self.archives)} lacks {len(matches.missing):,} of the "
            f"{len(only):,} files of {self.database.title} that are wanted: {names}{more}",
            hint=f"expected: {self._expected_archive()}",
            fault="A25",
            database=self.database.id,
            phase="IMAGES",
            findings=[
                Finding(self.database.id, t, "missing", "an image", "none") for t in matches.missing[:MAX_LISTED]
            ],
        )

    def _expected_archive(self) -> str:
        asset = self.database.assets_of("images")[0]
        size = f", {asset.bytes:,} bytes" if asset.bytes else ""
        return f"{asset.published_name}{size}" + (f", SHA-256 {asset.sha256}" if asset.sha256 else "")


def _shown(archive: Archive) -> str:
    """Where a person finds the archive: one that was unpacked, or downloaded, lies under another name for a while."""
    return str(archive.path) if archive.name == archive.path.name else archive.name
