"""One asset from whichever mirror works, and what to tell a person where none does."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from aigiqa_cli import mirrors
from aigiqa_cli.context import Context
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import Exit, Fault, PersonNeeded, Share, UsageFault
from aigiqa_cli.installing.supplies import File
from aigiqa_cli.store import fsync_folder
from aigiqa_cli.transport.model import Received, Wanted
from aigiqa_cli.transport.receive import receive

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database, LabelSource, Mirror

_DOWN = ("reported-dead", "withdrawn", "empty")


class Obtained:
    """Files that this run downloaded. `keep` moves an archive into the store, `drop` removes what is left."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.received: list[tuple[Asset, Received]] = []

    def file(self, database: Database, asset: Asset, kind: str = "") -> File:
        """The asset's bytes, from the kept archives or a mirror. Raises a Fault that lists every share."""
        kept = self._kept(asset)
        if kept is not None:
            return kept
        if not any(mirror.kind == kind for mirror in asset.mirrors):
            kind = ""  # a label table is on GitHub alone, also where the images are asked for from another host
        sources = [mirrors.source(mirror, self.context.session) for mirror in automatic(asset, kind)]
        if not sources:
            raise _by_hand(database, asset, kind)
        wanted = Wanted(asset.published_name, asset.format, asset.bytes, asset.sha256, asset.accepted)
        try:
            received = receive(wanted, sources, self.context.root.partial, self.context.session, self.context.reporter)
        except Fault as fault:
            fault.database = database.id
            if fault.exit_code in (Exit.PERSON, Exit.TEMPORARY, Exit.INTEGRITY):
                fault.shares = tuple(shares(database, asset))
                fault.hint = fault.hint or next((share.next for share in fault.shares), "")
            raise
        self.received.append((asset, received))
        return File(received.path, received.source, (received.sha256, received.bytes), asset.published_name)

    def _kept(self, asset: Asset) -> File | None:
        for digest in asset.accepted:
            path = self.context.root.archives / digest
            if path.is_file():
                found = sha256_file(path)
                if found[0] == digest:
                    return File(path, "kept archive", found, asset.published_name)
        return None

    def keep_archives(self) -> None:
        """Move the archives that were downloaded into their store, durably."""
        folder = self.context.root.archives
        for asset, received in self.received:
            if asset.is_archive:
                os.chmod(received.path, 0o444)
                os.rename(received.path, folder / received.sha256)
        fsync_folder(folder)

    def drop(self) -> None:
        """The install is committed: the downloads have done their work."""
        for _, received in self.received:
            received.discard()


def label_tables(
    database: Database, get: Callable[[Asset], File], *, labels_only: bool, here: Iterable[str] = ()
) -> dict[str, File]:
    """The tables of the first label source that can be had; `here` are those that need not be fetched.

    Tables without mirrors lie inside the image archive. Raises the fault of the first source if none can be had.
    """
    present = set(here)
    first: Fault | None = None
    for source in label_sources(database, labels_only=labels_only):
        found: dict[str, File] = {}
        try:
            for asset in (database.asset(name) for name in source.needs):
                if asset.mirrors and asset.name not in present:
                    found[asset.name] = get(asset)
        except Fault as fault:
            if fault.exit_code not in (Exit.PERSON, Exit.INTEGRITY, Exit.TEMPORARY):
                raise
            first = first or fault
            continue
        return found
    raise first or _only_inside(database)


def label_sources(database: Database, *, labels_only: bool) -> list[LabelSource]:
    """Label sources that may be fetched: other people's copies only where labels are to be had in no other way."""
    if not labels_only:
        return [source for source in database.labels if not source.third_party]
    outside = [s for s in database.labels if all(database.asset(name).mirrors for name in s.needs)]
    return sorted(outside, key=lambda source: bool(source.third_party))


def _only_inside(database: Database) -> PersonNeeded:
    inside = ", ".join(name for name in database.labels[0].needs if not database.asset(name).mirrors)
    return PersonNeeded(
        f"the labels of {database.title} ({inside}) are published only inside its image archive",
        hint=f"aigiqa fetch {database.id}",
        database=database.id,
        phase="PLAN",
    )


def automatic(asset: Asset, kind: str = "") -> list[Mirror]:
    """The mirrors that need no person, those reported dead last; only those of `kind` if it is given."""
    usable = [m for m in asset.mirrors if m.kind in mirrors.AUTOMATIC and (not kind or m.kind == kind)]
    return sorted(usable, key=lambda mirror: bool(mirror.health and mirror.health.state in _DOWN))


def check_kind(database: Database, kind: str) -> None:
    """Has any asset of the database a mirror of this kind? Raises UsageFault with the kinds that there are."""
    known = list(dict.fromkeys(mirror.kind for asset in database.assets for mirror in asset.mirrors))
    if kind and kind not in known:
        near = difflib.get_close_matches(kind, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "kinds here: " + ", ".join(known)
        raise UsageFault(f"{database.title} has no mirror of kind {kind!r}", hint=hint, phase="PLAN")


def shares(database: Database, asset: Asset, kind: str = "") -> list[Share]:
    """Every link by which a person can get the asset, repacks included, each with the next command."""
    offers = [
        (offered, mirror)
        for offered in (asset, *(other for other in database.assets if other.substitutes == asset.name))
        for mirror in offered.mirrors
        if mirror.kind != "builtin" and (not kind or mirror.kind == kind)
    ]
    # What a browser can do better than we can comes first; pages of hubs only where there is nothing else.
    for_browsers = [offer for offer in offers if offer[1].kind in (*mirrors.MANUAL, "gdrive")]
    found = [
        mirrors.share(mirror, offered.published_name, offered.bytes, offered.sha256, _import_line(database, offered))
        for offered, mirror in for_browsers or offers
    ]
    return sorted(found, key=lambda share: share.state in _DOWN)


def _import_line(database: Database, asset: Asset) -> str:
    return f"aigiqa import {database.id} ~/Downloads/{asset.published_name.rpartition('/')[2]}"


def _by_hand(database: Database, asset: Asset, kind: str) -> PersonNeeded:
    offered: Sequence[Share] = shares(database, asset, kind)
    reason = f"has no mirror of kind {kind}" if kind and not offered else "needs a person to download it"
    return PersonNeeded(
        f"{asset.published_name} of {database.title} {reason}",
        hint=offered[0].next if offered else f"aigiqa info {database.id} shows every mirror",
        fault="N22",
        database=database.id,
        phase="RESOLVE",
        shares=offered,
    )
