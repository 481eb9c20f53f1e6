"""One asset from whichever mirror works, and what to tell a person where none does."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from aigiqa_cli import early, folders, mirrors
from aigiqa_cli.archives import declared_set
from aigiqa_cli.context import Context
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import DOWN, Exit, Fault, IntegrityFault, PersonNeeded, Share, UsageFault
from aigiqa_cli.installing.supplies import File
from aigiqa_cli.store import fsync_folder
from aigiqa_cli.store.ledger import DEAD, Health, is_fresh, read_ledger
from aigiqa_cli.transport.model import Closed, Listing, Page, Received, Wanted
from aigiqa_cli.transport.receive import receive
from aigiqa_cli.transport.tree import ReceivedTree, receive_tree

if TYPE_CHECKING:
    from aigiqa_cli.early import Early
    from aigiqa_cli.manifest.assets import Volume
    from aigiqa_cli.manifest.models import Asset, Database, LabelSource, Mirror


_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9}


@dataclass(frozen=True)
class Narrowed:
    """Some files of a hub's folder: what is left of its listing. `beside`: an unfinished download of the whole folder
    is left alone."""

    choose: Callable[[Listing], Listing]
    beside: bool = False


class Obtained:
    """Files that this run downloaded. `keep` moves an archive into the store, `drop` removes what is left."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.received: list[tuple[Asset, Received | ReceivedTree]] = []
        self._early: dict[str, Early] = {}  # by the name of the asset

    @cached_property
    def health(self) -> dict[str, Health]:
        """The health ledger, as it was when the first mirror was chosen."""
        return read_ledger(self.context.root)

    def file(self, database: Database, asset: Asset, kind: str = "", narrowed: Narrowed | None = None) -> File:
        """The asset's bytes, from the kept archives or a mirror; of a folder those files that `narrowed` leaves.
        Raises a Fault that lists every share."""
        kept = self.kept(asset)
        if kept is not None:
            return kept
        if not any(mirror.kind == kind for _, mirror in _offers(database, asset)):
            kind = ""  # a label table is on GitHub alone, also where the images are asked for from another host
        if not to_be_had(asset, kind):
            raise _by_hand(database, asset, kind)
        try:
            return self._obtained(asset, kind, narrowed)
        except Fault as fault:
            fault.database = database.id
            if fault.exit_code in (Exit.PERSON, Exit.TEMPORARY, Exit.INTEGRITY):
                fault.shares = tuple(shares(database, asset, tried=_is_gone(fault)))
                fault.hint = fault.hint or next((share.next for share in fault.shares), _every_mirror(database))
            if fault.exit_code is Exit.INTEGRITY and asset.accepted and "--accept" not in fault.hint:
                accept = f"if you know that other bytes are right: aigiqa fetch {database.id} --accept SHA256"
                fault.hint = f"{fault.hint}; {accept}" if fault.hint else accept
            raise

    def arriving(self, database: Database, asset: Asset, kind: str, *, keep: bool) -> File | None:
        """The archive while it is still being downloaded, if it can be unpacked meanwhile. `keep`: it is kept."""
        size = asset.bytes or approximate_bytes(asset.approximate_size)
        plain = asset.format == "zip" and not (asset.volumes or asset.nested or asset.password)
        hosts = automatic(asset, kind, self.health)
        if not plain or size < early.WORTH or not hosts or self.kept(asset):
            return None
        sources = [mirrors.source(mirror, self.context.session) for mirror in hosts]
        begun = early.begin(self.context, replace(wanted(asset), flush=keep), sources, database.expect.images[1])
        if begun is None:
            return None
        self._early[asset.name] = begun
        path = begun.part()
        return File(path, "", published_name=asset.published_name, arriving=begun) if path else None

    def arrived(self, asset: Asset) -> None:
        """What was unpacked while it arrived is here."""
        self.received.append((asset, self._early.pop(asset.name).received()))

    def call_off(self) -> None:
        """End the downloads that nobody waits for any more."""
        for begun in self._early.values():
            begun.call_off()

    def _obtained(self, asset: Asset, kind: str, narrowed: Narrowed | None) -> File:
        if asset.volumes:
            return self._volumes(asset, kind)
        hosts = automatic(asset, kind, self.health)
        if asset.is_tree:
            tree = self._tree(asset, hosts, narrowed)
            self.received.append((asset, tree))
            return File(tree.path, tree.source, published_name=asset.published_name, ours=True, unhashed=tree.unhashed)
        one = self._one(asset, hosts)
        self.received.append((asset, one))
        known = one.sha256, one.bytes
        return File(one.path, one.source, known, asset.published_name, unhashed=int(one.unhashed))

    def _one(self, asset: Asset, hosts: Sequence[Mirror]) -> Received:
        begun = self._early.pop(asset.name, None)
        try:
            return begun.received() if begun else self._receive(wanted(asset), hosts)
        except IntegrityFault:
            if not (asset.content_sha256 and (asset.bytes or asset.accepted)):
                raise
        # Generated archives change their bytes while their content stays; the content decides after unpacking (N30).
        self.context.reporter.note(f"{asset.published_name}: no mirror has the pinned bytes; its content will decide")
        return self._receive(Wanted(asset.published_name, asset.format), hosts)

    def _volumes(self, asset: Asset, kind: str) -> File:
        """Every part by itself, each held to its own length and hash (N27)."""
        got: list[Received] = []
        for number, volume in enumerate(asset.volumes):
            form = "other" if number else asset.format  # only the first begins as the archive does
            wanted = Wanted(volume.name, form, volume.bytes, volume.sha256)
            got.append(self._receive(wanted, automatic(volume, kind, self.health)))
            self.received.append((asset, got[-1]))
        names = [volume.name for volume in asset.volumes]
        together = declared_set(names, [part.path for part in got])
        origin = ", ".join(dict.fromkeys(part.source for part in got))
        return File(together.paths[0], origin, published_name=asset.published_name, volumes=together)

    def _receive(self, wanted: Wanted, hosts: Sequence[Mirror]) -> Received:
        context = self.context
        sources = [mirrors.source(mirror, context.session) for mirror in hosts]
        return receive(wanted, sources, context.root.partial, context.session, context.reporter)

    def _tree(self, asset: Asset, hosts: Sequence[Mirror], narrowed: Narrowed | None) -> ReceivedTree:
        context = self.context
        sources = [mirrors.tree_source(mirror, context.session) for mirror in hosts]
        wanted = Wanted(f"{asset.published_name}{', in part' if narrowed and narrowed.beside else ''}", asset.format)
        choose = narrowed.choose if narrowed else None
        return receive_tree(wanted, sources, context.root.partial, context.session, context.reporter, choose=choose)

    def installed_table(self, database: Database, asset: Asset) -> File | None:
        """A label table that is installed and proven need not be fetched again."""
        path = self.context.root.folder(database.id) / "labels" / asset.published_name
        if asset.role != "labels" or not path.is_file():
            return None
        try:
            found = sha256_file(path)
        except FileNotFoundError:  # it went in this very moment
            return None
        return File(path, "installed before", found) if found[0] in asset.accepted else None

    def kept(self, asset: Asset) -> File | None:
        """The asset out of the kept archives, proven; None if it is not there."""
        if asset.volumes:
            kept = [self._kept_bytes(volume.sha256) for volume in asset.volumes]
            paths = [file.path for file in kept if file is not None]
            if len(paths) < len(kept):
                return None
            together = declared_set([volume.name for volume in asset.volumes], paths)
            return File(paths[0], "kept archive", published_name=asset.published_name, volumes=together)
        found = (self._kept_bytes(digest, asset.published_name) for digest in asset.accepted)
        return next((file for file in found if file is not None), None)

    def _kept_bytes(self, digest: str, name: str = "") -> File | None:
        path = self.context.root.archives / digest
        if not path.is_file():
            return None
        found = sha256_file(path)
        return File(path, "kept archive", found, name) if found[0] == digest else None

    def keep_archives(self) -> None:
        """Move the archives that were downloaded into their store, durably."""
        folder = self.context.root.archives
        for asset, received in self.received:
            if asset.is_archive and isinstance(received, Received):
                folders.set_mode(received.path, 0o444)
                folders.rename(received.path, folder / received.sha256)
        fsync_folder(folder)

    def drop(self) -> None:
        """The install is committed: the downloads have done their work."""
        for _, received in self.received:
            received.discard()


def wanted(asset: Asset) -> Wanted:
    length = None if asset.local else asset.bytes  # what was accepted here may have any length
    return Wanted(asset.published_name, asset.format, length, asset.sha256, asset.accepted, asset.sha256_begins)


def approximate_bytes(size: str) -> int:
    """Bytes of a size such as "2.86 GB"; 0 for anything else."""
    number, _, unit = size.partition(" ")
    try:
        return int(float(number) * _UNITS.get(unit, 0))
    except ValueError:
        return 0


def label_tables(
    database: Database,
    get: Callable[[Asset], File],
    *,
    labels_only: bool,
    here: Iterable[str] = (),
    opened: bool = False,
    require_hashes: bool = False,
) -> dict[str, File]:
    """The tables of the first label source that can be had; `here` are those that need not be fetched.

    Tables without mirrors lie inside the image archive, unless it was `opened` and they are not `here`. Raises the
    fault of the first source if none can be had.
    """
    present = set(here)
    first: Fault | None = None
    sources = label_sources(
        database, labels_only=labels_only, here=present, opened=opened, require_hashes=require_hashes
    )
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
    database: Database,
    *,
    labels_only: bool,
    here: Iterable[str] = (),
    opened: bool = False,
    require_hashes: bool = False,
) -> list[LabelSource]:
    """Label sources that may be fetched: first those of which most is `here`, then the authors' own.

    With `require_hashes` those come before all others of whose every table a hash is published.

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

    def rank(source: LabelSource) -> tuple[bool, int, bool]:
        unproven = not all(database.asset(name).accepted for name in source.needs)
        return require_hashes and unproven, -len(given.intersection(source.needs)), bool(source.third_party)

    return sorted(sources, key=rank)


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


def automatic(asset: Asset | Volume, kind: str = "", known: Mapping[str, Health] | None = None) -> list[Mirror]:
    """The mirrors that need no person, best first; only those of `kind` if it is given. None is ever left out.

    `known` is the health ledger: who was asked lately and did not answer as promised comes last; what a manifest
    reports dead comes before these, unless it has answered lately.
    """
    able = mirrors.TREES if asset.is_tree else mirrors.AUTOMATIC
    usable = [m for m in asset.mirrors if m.kind in able and (not kind or m.kind == kind)]
    return sorted(usable, key=lambda mirror: _rank(mirror, known or {}))


def _rank(mirror: Mirror, known: Mapping[str, Health]) -> int:
    found = known.get(mirrors.key(mirror))
    if found is not None and is_fresh(found):
        return 2 if found.state in DEAD else 0
    return int(bool(mirror.health and mirror.health.state in DOWN))


def to_be_had(asset: Asset, kind: str = "") -> bool:
    """Can the asset, or every one of its volumes, be fetched without a person?"""
    return all(automatic(part, kind) for part in asset.volumes or (asset,))


def check_kind(database: Database, kind: str) -> None:
    """Has any asset of the database a mirror of this kind? Raises UsageFault with the kinds that there are."""
    known = list(dict.fromkeys(mirror.kind for asset in database.assets for mirror in asset.every_mirror))
    if kind and kind not in known:
        near = difflib.get_close_matches(kind, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "kinds here: " + ", ".join(known)
        raise UsageFault(f"{database.title} has no mirror of kind {kind!r}", hint=hint, phase="PLAN")


def _is_gone(fault: Fault) -> bool:
    """Is there nothing for a browser either, where this program found nothing? Pages are for people, and terms too."""
    return fault.fault in ("N06", "N07") and fault.exit_code is Exit.PERSON and not isinstance(fault, Closed | Page)


def shares(database: Database, asset: Asset, kind: str = "", *, tried: bool = False) -> list[Share]:
    """Every link by which a person can get the asset, repacks included, each with the next command. `tried`: what is
    no better in a browser is left out."""
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
            offered.published_name if _has_file_name(offered) else "file name unknown",
            offered.bytes,
            offered.sha256,
            _import_line(database, offered),
            folder=offered.is_tree,
        )
        for offered, mirror in for_browsers or (() if tried else offers)
    ]
    return sorted(found, key=lambda share: share.state in DOWN)


def _offers(database: Database, asset: Asset) -> list[tuple[Asset | Volume, Mirror]]:
    """Every mirror of the asset, of its volumes and of its repacks."""
    whole = (asset, *(other for other in database.assets if other.substitutes == asset.name))
    return [(part, mirror) for other in whole for part in other.parts for mirror in part.mirrors]


def _import_line(database: Database, asset: Asset | Volume) -> str:
    name = asset.published_name.rpartition("/")[2] if _has_file_name(asset) else "FILE"
    return f"aigiqa import {database.id} ~/Downloads/{name}"


def _has_file_name(asset: Asset | Volume) -> bool:
    """Is its name that of a file, or of a folder of a hub? Where nobody states one, it is only ours for it."""
    named = asset.published_name != asset.name or any(mirror.repo for mirror in asset.mirrors)
    return named or "." in asset.published_name.rpartition("/")[2]


def _every_mirror(database: Database) -> str:
    return f"aigiqa info {database.id} shows every mirror"


def _by_hand(database: Database, asset: Asset, kind: str) -> PersonNeeded:
    offered: Sequence[Share] = shares(database, asset, kind)
    reason = f"has no mirror of kind {kind}" if kind and not offered else "needs a person to download it"
    name = asset.published_name if _has_file_name(asset) else "the archive"
    return PersonNeeded(
        f"{name} of {database.title} {reason}",
        hint=offered[0].next if offered else _every_mirror(database),
        fault="N22",
        database=database.id,
        phase="RESOLVE",
        shares=offered,
    )
