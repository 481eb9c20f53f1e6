"""Passwords of archives: from the person or the manifest, never guessed, never said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aigiqa_cli.errors import PersonNeeded
from aigiqa_cli.installing.supplies import File

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database

_FAULT = "A20"


def declared(database: Database) -> str:
    """The archive password that the manifest states, if it states one."""
    return next((asset.password for asset in database.assets if asset.password), "")


@contextmanager
def explained(databases: Iterable[Database], given: Iterable[File]) -> Iterator[None]:
    """Tell a person who took the code of a share for the password of the archive that these are two things."""
    try:
        yield
    except PersonNeeded as fault:
        codes = {mirror.code for d in databases for asset in d.assets for mirror in asset.every_mirror if mirror.code}
        if fault.fault == _FAULT and codes & {file.password for file in given}:
            fault.hint = (
                "what was given is the extraction code of the share: it opens the page of the download, not the "
                "archive, whose password is another one; ask whoever packed it"
            )
        raise
