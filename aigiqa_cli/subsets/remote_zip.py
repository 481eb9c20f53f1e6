"""A zip at a mirror as a container of an install: its directory is read there, and of its members what is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli.archives import Archive, detect_format
from aigiqa_cli.archives.elsewhere import TAIL, ArchiveElsewhere
from aigiqa_cli.errors import PersonNeeded
from aigiqa_cli.installing import File, nesting
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.transport.disk import require_space
from aigiqa_cli.transport.ranges import RemoteFile, Span

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database

_HEAD = 512  # bytes by which the kind of an archive is known


class OnlyWhole(PersonNeeded):
    """Parts of this archive are not to be had, from whatever mirror."""


@dataclass(frozen=True, kw_only=True)
class RemoteZip(File):
    """One version of a zip at one mirror. Nobody can hash what is read of it, so it has a length and no digest."""

    remote: RemoteFile
    database: Database
    reporter: Reporter

    def open(self, target: Path, password: str = "") -> Archive:  # noqa: ARG002 - what is encrypted comes whole
        """Raises OnlyWhole for what is no zip and for archives inside it, else as `RemoteFile` and archives do."""
        remote, database, reporter = self.remote, self.database, self.reporter
        reporter.phase(f"directory of {self.name} from {remote.source.label}")
        tail = remote.tail(TAIL)
        if remote.wanted.format != "zip":
            self._demand_zip(remote)

        def bring(spans: Sequence[Span], put: Callable[[int, bytes], None]) -> None:
            needed = sum(end - begin for begin, end in spans)
            require_space(target, 2 * needed)  # as they come, and unpacked
            reporter.phase(f"parts of {self.name} from {remote.source.label}", total=needed)
            remote.supply(tail, spans, put)
            reporter.phase(f"unpacking {database.title}")

        archive = ArchiveElsewhere(remote.length, bring, target, self.name)
        if nesting.inner_members(database, archive):
            archive.close()
            raise OnlyWhole(f"{self.name} holds archives, which are read only as a whole", fault="A11")
        return archive

    def start_hashing(self) -> None:
        """There is nothing to hash."""

    @property
    def digest(self) -> tuple[str, int]:
        return "", self.remote.length

    def _demand_zip(self, remote: RemoteFile) -> None:
        head = bytearray()
        remote.fetch([(0, min(_HEAD, remote.length))], lambda _, data: head.extend(data))
        kind = detect_format(bytes(head))
        if kind != "zip":
            raise OnlyWhole(
                f"{self.name} is {f'a {kind} archive' if kind else 'no zip'}, which is read only as a whole"
            )
