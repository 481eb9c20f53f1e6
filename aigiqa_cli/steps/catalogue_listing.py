"""list: every known database with what matters for choosing one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from aigiqa_cli.context import Context
from aigiqa_cli.errors import BY_HAND, DOWN, RefusedInput
from aigiqa_cli.manifest.catalogue import Entry
from aigiqa_cli.states import state_of
from aigiqa_cli.store import installed_ids

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database, LabelSource

_UNITS = ("b", "kb", "mb", "gb", "tb")
_SIZE = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?) (?P<unit>B|kB|KB|MB|GB|TB)")


@dataclass(frozen=True)
class Listed:
    """One line of the catalogue. `fault` is set instead of facts for a manifest that cannot be read."""

    id: str
    title: str = ""
    images: tuple[int, int] = (0, 0)
    generators: int = 0
    dimensions: tuple[str, ...] = ()
    bytes: int | None = None
    approximate_bytes: int | None = None  # where `bytes` is not known
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
        approximate_bytes=approximate_size(database),
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
    sizes = [asset.size for asset in _required(database)]
    return None if any(size is None for size in sizes) else sum(size or 0 for size in sizes)


def approximate_size(database: Database) -> int | None:
    """Bytes of a full fetch as pages round them; None if the exact number is known, or one file's not even roughly."""
    sizes = [_roughly(asset) for asset in _required(database)]
    unknown = download_size(database) is not None or any(size is None for size in sizes)
    return None if unknown else sum(size or 0 for size in sizes)


def _roughly(asset: Asset) -> int | None:
    found = _SIZE.fullmatch(asset.approximate_size)
    if asset.size is not None or found is None:
        return asset.size
    return int(Decimal(found["number"]) * 1000 ** _UNITS.index(found["unit"].lower()))


def automatic_kinds(database: Database) -> tuple[str, ...]:
    """Kinds of mirrors that need no person, for the images, but those that are down; empty means by hand."""
    images = database.assets_of("images", "references")
    usable = [m for asset in images for m in asset.every_mirror if not (m.health and m.health.state in DOWN)]
    return tuple(dict.fromkeys(mirror.kind for mirror in usable if mirror.kind not in BY_HAND))


def _required(database: Database) -> list[Asset]:
    """What a full fetch downloads: the images, and the tables of the first label source that can be had with them."""
    images = database.assets_of("images", "references")
    inside = {"", *(asset.name for asset in images)}

    def whole(source: LabelSource) -> bool:
        assets = [database.asset(name) for name in source.needs]
        return source.partial is None and all(asset.mirrors or asset.inside in inside for asset in assets)

    own = [source for source in database.labels if not source.third_party]
    chosen = next((source for source in own if whole(source)), database.labels[0])
    tables = [database.asset(name) for name in chosen.needs]
    return [*(asset for asset in tables if asset.mirrors), *images]
