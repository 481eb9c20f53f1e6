"""One asset from whichever mirror works, and what to tell a person where none does."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from aigiqa_cli import mirrors
from aigiqa_cli.context import Context
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import DOWN, Exit, Fault, PersonNeeded, Share, UsageFault
from aigiqa_cli.installing.supplies import File
from aigiqa_cli.store import fsync_folder
from aigiqa_cli.transport.model import Received, Wanted
from aigiqa_cli.transport.receive import receive
from aigiqa_cli.transport.tree import ReceivedTree, receive_tree

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database, LabelSource, Mirror


class Obtained:
    """Files that this run downloaded. `keep` moves an archive into the store, `drop` removes what is left."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.received: list[tuple[Asset, Received | ReceivedTree]] = []

    def file(self, database: Database, asset: Asset, kind: str = "") -> File:
        """The asset's bytes, from the kept archives or a mirror. Raises a Fault that lists every share."""
        kept = self._kept(asset)
        if kept is not None:
            return kept
        if not any(mirror.kind == kind for _, mirror in _offers(database, asset)):
            kind = ""  # a label table is on GitHub alone, also where the images are asked for from another host
        hosts = automatic(asset, kind)
        if not hosts:
            raise _by_hand(database, asset, kind)
        try:
            received = self._tree(asset, hosts) if asset.is_tree else self._one(asset, hosts)
        except Fault as fault:
            fault.database = database.id
            if fault.exit_code in (Exit.PERSON, Exit.TEMPORARY, Exit.INTEGRITY):
                fault.shares = tuple(shares(database, asset))
                fault.hint = fault.hint or next((share.next for share in fault.shares), "")
            raise
        self.received.append((asset, received))
        if isinstance(received, ReceivedTree):
            return File(received.path, received.source, published_name=asset.published_name, ours=True)
        return File(received.path, received.source, (received.sha256, received.bytes), asset.published_name)

    def _one(self, asset: Asset, hosts: Sequence[Mirror]) -> Received:
        context = self.context
        sources = [mirrors.source(mirror, context.session) for mirror in hosts]
        wanted = Wanted(asset.published_name, asset.format, asset.bytes, asset.sha256, asset.accepted)
        return receive(wanted, sources, context.root.partial, context.session, context.reporter)

    def _tree(self, asset: Asset, hosts: Sequence[Mirror]) -> ReceivedTree:
        context = self.context
        sources = [mirrors.tree_source(mirror, context.session) for mirror in hosts]
        wanted = Wanted(asset.published_name, asset.format)
        return receive_tree(wanted, sources, context.root.partial, context.session, context.reporter)

    def installed_table(self, database: Database, asset: Asset) -> File | None:
        """A label table that is installed and proven need not be fetched again."""
        path = self.context.root.folder(database.id) / "labels" / asset.published_name
        if asset.role != "labels" or not path.is_file():
            return None
        found = sha256_file(path)
        return File(path, "installed before", found) if found[0] in asset.accepted else None

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
            if asset.is_archive and isinstance(received, Received):
                os.chmod(received.path, 0o444)
                os.rename(received.path, folder / received.sha256)
        fsync_folder(folder)

    def drop(self) -> None:
        """The install is committed: the downloads have done their work."""
        for _, received in self.received:
            received.discard()


def label_tables(
    database: Database,
    get: Callable[[Asset], File],
    *,
    labels_only: bool,
    here: Iterable[str] = (),
    opened: bool = False,
) -> dict[str, File]:
    """The tables of the first label source that can be had; `here` are those that need not be fetched.

    Tables without mirrors lie inside the image archive, unless it was `opened` and they are not `here`. Raises the
    fault of the first source if none can be had.
    """
    present = set(here)
    first: Fault | None = None
    sources = label_sources(database, labels_only=labels_only, here=present, opened=opened)
    if opened and not labels_only and not sources:
        return {}
    for source in sources:
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


def label_sources(
    database: Database, *, labels_only: bool, here: Iterable[str] = (), opened: bool = False
) -> list[LabelSource]:
    """Label sources that may be fetched: first those of which most is `here`, then the authors' own.

    Other people's copies come only where labels are to be had in no other way, or where part of one is here. Beside
    images a source is left out whose tables lie inside an archive that is neither here nor among the needed.
    """
    given = set(here)
    held = given | {asset.name for asset in database.assets if asset.mirrors}
    if not (labels_only or opened):
        held |= {asset.name for asset in database.assets if asset.inside in ("", *_needed(database))}
    sources = [source for source in database.labels if held.issuperset(source.needs)]
    if not labels_only:
        sources = [s for s in sources if s.partial is None and (not s.third_party or given.intersection(s.needs))]
    return sorted(sources, key=lambda source: (-len(given.intersection(source.needs)), bool(source.third_party)))


def _needed(database: Database) -> list[str]:
    return [asset.name for asset in database.assets_of("images", "references")]


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
    able = mirrors.TREES if asset.is_tree else mirrors.AUTOMATIC
    usable = [m for m in asset.mirrors if m.kind in able and (not kind or m.kind == kind)]
    return sorted(usable, key=lambda mirror: bool(mirror.health and mirror.health.state in DOWN))


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
        for offered, mirror in _offers(database, asset)
        if mirror.kind != "builtin" and (not kind or mirror.kind == kind)
    ]
    # What a browser can do better than we can comes first; pages of hubs only where there is nothing else.
    for_browsers = [offer for offer in offers if offer[1].kind in (*mirrors.MANUAL, "gdrive")]
    found = [
        mirrors.share(
            mirror,
            offered.published_name,
            offered.bytes,
            offered.sha256,
            _import_line(database, offered),
            folder=offered.is_tree,
        )
        for offered, mirror in for_browsers or offers
    ]
    return sorted(found, key=lambda share: share.state in DOWN)


def _offers(database: Database, asset: Asset) -> list[tuple[Asset, Mirror]]:
    """Every mirror of the asset and of its repacks."""
    offered = (asset, *(other for other in database.assets if other.substitutes == asset.name))
    return [(other, mirror) for other in offered for mirror in other.mirrors]


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
