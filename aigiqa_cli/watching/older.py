"""What lay in a watched folder before, and belongs to the database: named with the command that takes it, never taken
unasked."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli.errors import Fault
from aigiqa_cli.installing.belonging import Evidence, examine, settle
from aigiqa_cli.installing.matching import PICTURES, is_image_of
from aigiqa_cli.installing.recognising import ENOUGH, look
from aigiqa_cli.installing.splitting import split_assets
from aigiqa_cli.store import Root, staged

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database


def offers(root: Root, database: Database, paths: Collection[Path], password: str) -> Iterator[str]:
    """For each path what to tell of it, "" for nothing; one at a time, as a new download must not wait for them."""
    lengths = _lengths(database)
    found: list[Evidence] = []
    taken = loose_pictures(database, paths)
    if is_enough(database, taken):
        yield _offer(database, min(taken).parent, what="images")
    for path in paths:
        evidence = None if path in taken else _evidence(root, database, path, lengths, password)
        if evidence is None:
            yield ""
            continue
        taken |= set(evidence.given.file.paths)
        found.append(evidence)
        yield _offer(database, path, what=evidence.what) if evidence.owner else ""
    told = {id(evidence) for evidence in found if evidence.owner}
    settle([database], found)  # parts of a set, which only together are one
    together = [evidence.given.file.path for evidence in found if evidence.owner and id(evidence) not in told]
    yield _offer(database, *together, what="images") if together else ""


def import_line(database: Database, paths: Iterable[Path]) -> str:
    """The exact command that installs from these paths."""
    return " ".join(["aigiqa import", database.id, *(shlex.quote(str(path)) for path in paths)])


def _evidence(root: Root, database: Database, path: Path, lengths: set[int], password: str) -> Evidence | None:
    """By member names and headers; hashed only where a length is a published one, as there may be much of it."""
    try:
        given = look(path, password=password)
        sizes = [part.stat().st_size for part in given.file.paths]
        if not lengths.intersection([sum(sizes), *sizes]):
            given = replace(given, file=replace(given.file, known=("", sum(sizes))))
            if given.shape == "unknown":
                return None
        with staged(root, "sorting") as work:
            return examine([database], given, work)
    except (Fault, OSError):  # nobody has asked for it
        return None


def _offer(database: Database, *paths: Path, what: str) -> str:
    names = ", ".join(map(str, paths))
    held = f"{what} of {database.title}"
    return f"{names} lay here before: {held}, not taken unasked; to use what is there: {import_line(database, paths)}"


def loose_pictures(database: Database, paths: Iterable[Path]) -> set[Path]:
    """Single files that are called like images of the database."""
    return {path for path in paths if path.name.lower().endswith(PICTURES) and is_image_of(database, path.name)}


def is_enough(database: Database, pictures: Collection[Path]) -> bool:
    """As many as an archive needs to be taken for one of the database."""
    return len(pictures) >= max(1, ENOUGH * database.expect.images[0])


def _lengths(database: Database) -> set[int]:
    """The published lengths of its files, and of their volumes."""
    splits = [asset for split in database.splits for asset in split_assets(split)]
    parts = [part for asset in (*database.assets, *splits) for part in asset.parts]
    return {part.bytes for part in parts if part.bytes is not None}
