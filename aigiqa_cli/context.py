"""What a step works with: the root, the catalogue, the settings and somebody to report to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from aigiqa_cli.manifest.catalogue import Catalogue
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.store import Root

if TYPE_CHECKING:
    from aigiqa_cli.transport.session import Session


@dataclass(frozen=True)
class Context:
    """The surroundings of one command, as one argument."""

    root: Root
    catalogue: Catalogue
    settings: Mapping[str, str]
    reporter: Reporter

    @cached_property
    def session(self) -> Session:
        """The one HTTP session of this command."""
        from aigiqa_cli.transport.session import Session

        return Session(settings=self.settings, scratch=self.root.partial)

    def manifest_bytes(self, database: str) -> bytes:
        """The manifest file, as it is copied into an install."""
        return self.catalogue.entries[database].path.read_bytes()
