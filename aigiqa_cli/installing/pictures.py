"""The image files of an install: found in the containers, written once, hashed, looked into, judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aigiqa_cli.archives import Archive, Order, Unpacked
from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.errors import Finding, IntegrityFault, RefusedInput
from aigiqa_cli.installing.matching import IMAGES, Matches, Members, Place, match_images
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.store import StoredFile

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database
    from aigiqa_cli.rules import Labels

MAX_LISTED = 20
MAX_NAMED = 3


@dataclass(frozen=True)
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
    _copies: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def run(self, labels: Labels, table_holders: set[str]) -> None:
        """Write every picture. `table_holders` are containers that are useful because of a label table in them.

        Raises RefusedInput for a container that holds nothing of this database, IntegrityFault if pictures are
        missing, no images, or there twice with different bytes.
        """
        matches = match_images(self.members, (*labels.rows, *labels.unlabelled))
        optional = {f"{IMAGES}/{row.image_id}" for row in labels.unlabelled}
        matches.missing = [target for target in matches.missing if target not in optional]
        self._refuse_foreign(matches, table_holders)
        self._check_complete(matches)
        self.ignored = len(self.members.places) - len(matches.used) + self.members.junk
        targets = {place: target for target, places in matches.found.items() for place in places}
        plan = self._plan(matches)
        total = sum(order.member.bytes for orders in plan for order in orders)
        self.reporter.phase(f"unpacking {self.database.title}", total=total)
        for number, (archive, orders) in enumerate(zip(self.archives, plan, strict=True)):
            for written in archive.unpack(orders):
                self.reporter.advance(written.bytes)
                self._take(targets[Place(number, written.member)], written)
        self._judge()

    def _plan(self, matches: Matches) -> list[list[Order]]:
        """What each worker does: the first place of a picture is written, further ones are only hashed."""
        plan: list[list[Order]] = [[] for _ in self.archives]
        for target, places in matches.found.items():
            for number, place in enumerate(places):
                to = f"{self.tree}/{target}" if number == 0 else ""
                plan[place.container].append(Order(place.member, to, "header"))
        return plan

    def _take(self, target: str, written: Unpacked) -> None:
        self._copies[target].add(written.sha256)
        if written.problem:
            self._problems.append(Finding(self.database.id, written.member.name, written.problem, "an image", ""))
        elif written.to:
            renamed = written.member.name.rpartition("/")[2] != target.partition("/")[2]
            size = written.width, written.height
            self.pictures[target] = Picture(target, written.bytes, written.sha256, *size, written.format, renamed)

    def _judge(self) -> None:
        problems = self._problems + [
            Finding(self.database.id, target, "found twice with different bytes", "one image", f"{len(hashes)} images")
            for target, hashes in sorted(self._copies.items())
            if len(hashes) > 1
        ]
        if problems:
            raise IntegrityFault(
                f"{len(problems)} images of {self.database.title} are not what they should be: "
                f"{problems[0].path}: {problems[0].problem}",
                fault="I10",
                database=self.database.id,
                phase="IMAGES",
                findings=problems[:MAX_LISTED],
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
                hint=f"expected: {self._expected_archive()}",
                fault="A23",
                database=self.database.id,
                phase="LIST",
                findings=[Finding(self.database.id, str(archive.path), "not recognised", wanted, found)],
            )

    def _check_complete(self, matches: Matches) -> None:
        images = sum(target.startswith(IMAGES) for target in matches.found)
        low, high = self.database.expect.images
        spare = max(0, self.database.expect.rows[0] - low)  # rows that the manifest expects to have no image
        missing_images = sum(target.startswith(IMAGES) for target in matches.missing)
        if low <= images <= high and missing_images <= spare and missing_images == len(matches.missing):
            return
        more = " ..." if len(matches.missing) > MAX_NAMED else ""
        names = ", ".join(target.partition("/")[2] for target in matches.missing[:MAX_NAMED]) + more
        given = ", ".join(archive.name for archive in self.archives) or "nothing"
        expected = str(low) if low == high else f"{low} to {high}"
        raise IntegrityFault(
            f"{given} holds {images} of the {expected} images of {self.database.title}"
            + (f"; missing: {names}" if matches.missing else ""),
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
