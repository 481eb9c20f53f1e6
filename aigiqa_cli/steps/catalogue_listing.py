"""list: every known database with what matters for choosing one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aigiqa_cli.catalogue import Entry
from aigiqa_cli.context import Context
from aigiqa_cli.errors import BY_HAND, RefusedInput
from aigiqa_cli.states import state_of
from aigiqa_cli.store import installed_ids

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database


@dataclass(frozen=True)
class Listed:
    """One line of the catalogue. `fault` is set instead of facts for a manifest that cannot be read."""

    id: str
    title: str = ""
    images: tuple[int, int] = (0, 0)
    generators: int = 0
    dimensions: tuple[str, ...] = ()
    bytes: int | None = None
    license: str = ""
    mirrors: tuple[str, ...] = ()
    state: str = ""
    synthetic: bool = False
    manifest: str = "built-in"
    fault: str = ""


def listing(context: Context) -> Iterator[Listed]:
    """All databases, by id."""
    for entry in context.catalogue.entries.values():
        try:
            yield _listed(context, entry, context.catalogue.load(entry))
        except RefusedInput as fault:
            yield Listed(entry.id, manifest=_origin(entry), fault=fault.message)
    for name in installed_ids(context.root):
        if name not in context.catalogue.entries:
            state = str(state_of(context.root, name))
            yield Listed(name, state=state, manifest="", fault="installed, but no manifest of it is known here")


def _listed(context: Context, entry: Entry, database: Database) -> Listed:
    return Listed(
        id=database.id,
        title=database.title,
        images=database.expect.images,
        generators=len(database.expect.generators),
        dimensions=tuple(database.labels[0].scores),
        bytes=download_size(database),
        license=database.license.spdx,
        mirrors=automatic_kinds(database),
        state=str(state_of(context.root, database.id, database)),
        synthetic=database.synthetic,
        manifest=_origin(entry),
    )


def _origin(entry: Entry) -> str:
    return f"{entry.path}{' (replaces the built-in one)' if entry.shadows else ''}" if entry.extra else "built-in"


def download_size(database: Database) -> int | None:
    """Bytes of a full fetch; None if one of its files has no published size."""
    sizes = [asset.bytes for asset in _required(database)]
    return None if any(size is None for size in sizes) else sum(size or 0 for size in sizes)


def automatic_kinds(database: Database) -> tuple[str, ...]:
    """Kinds of mirrors that need no person, for the images; empty means by hand."""
    images = database.assets_of("images", "references")
    kinds = [m.kind for asset in images for m in asset.mirrors if m.kind not in BY_HAND]
    return tuple(dict.fromkeys(kinds))


def _required(database: Database) -> list[Asset]:
    tables = [database.asset(name) for name in database.labels[0].needs]
    return [*(asset for asset in tables if asset.mirrors), *database.assets_of("images", "references")]
