"""One asset from whichever mirror works, and what to tell a person where none does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from aigiqa_cli import early, folders, mirrors
from aigiqa_cli.archives import declared_set
from aigiqa_cli.context import Context
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import Exit, Fault, IntegrityFault
from aigiqa_cli.installing.supplies import File
from aigiqa_cli.obtaining.hosts import automatic, to_be_had
from aigiqa_cli.obtaining.shares import by_hand, every_mirror, is_gone, offers, shares
from aigiqa_cli.store import fsync_folder
from aigiqa_cli.store.ledger import Health, read_ledger
from aigiqa_cli.transport.model import Listing, Received, Wanted
from aigiqa_cli.transport.receive import receive
from aigiqa_cli.transport.tree import ReceivedTree, receive_tree

if TYPE_CHECKING:
    from aigiqa_cli.early import Early
    from aigiqa_cli.manifest.models import Asset, Database, Mirror


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
        if not any(mirror.kind == kind for _, mirror in offers(database, asset)):
            kind = ""  # a label table is on GitHub alone, also where the images are asked for from another host
        if not to_be_had(asset, kind):
            raise by_hand(database, asset, kind)
        try:
            return self._obtained(asset, kind, narrowed)
        except Fault as fault:
            fault.database = database.id
            if fault.exit_code in (Exit.PERSON, Exit.TEMPORARY, Exit.INTEGRITY):
                fault.shares = tuple(shares(database, asset, tried=is_gone(fault)))
                fault.hint = fault.hint or next((share.next for share in fault.shares), every_mirror(database))
            if fault.exit_code is Exit.INTEGRITY and asset.accepted and "--accept" not in fault.hint:
                accept = f"if you know that other bytes are right: aigiqa fetch {database.id} --accept SHA256"
                fault.hint = f"{fault.hint}; {accept}" if fault.hint else accept
            raise

    def arriving(self, database: Database, asset: Asset, kind: str, *, keep: bool, once: bool) -> File | None:
        """The archive while it is still being downloaded, if it can be unpacked meanwhile. `keep`: it is kept; `once`:
        what is unpacked of it is given back to the disk."""
        size = asset.bytes or approximate_bytes(asset.approximate_size)
        plain = asset.format == "zip" and not (asset.volumes or asset.nested or asset.password)
        hosts = automatic(asset, kind, self.health)
        if not plain or size < early.WORTH or not hosts or self.kept(asset):
            return None
        sources = [mirrors.source(mirror, self.context.session) for mirror in hosts]
        flushed = replace(wanted(asset), flush=keep)
        begun = early.begin(self.context, flushed, sources, database.expect.images[1], once=once)
        if begun is None:
            return None
        self._early[asset.name] = begun
        path = begun.part()
        return File(path, "", published_name=asset.published_name, arriving=begun) if path else None

    def arrived(self, asset: Asset) -> None:
        """What was unpacked while it arrived is here."""
        self.received.append((asset, self._early.pop(asset.name).received()))

    def lost(self, fault: Fault) -> Fault | None:
        """What to say of a download whose beginning is gone, after this fault: why it ended, if it did; None where the
        whole file can still be looked at."""
        spent = [begun for begun in self._early.values() if begun.is_spent]
        return (spent[0].failure or fault) if spent else None

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
