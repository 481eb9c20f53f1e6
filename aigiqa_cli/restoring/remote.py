"""Single files from mirrors, without the rest: out of a zip by ranges, or out of a hub's folder one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from aigiqa_cli import mirrors
from aigiqa_cli.archives.elsewhere import TAIL, ArchiveElsewhere
from aigiqa_cli.errors import Fault, PersonNeeded
from aigiqa_cli.installing import nesting
from aigiqa_cli.obtaining.hosts import automatic
from aigiqa_cli.restoring.bench import Bench, Lost
from aigiqa_cli.restoring.members import matches, take
from aigiqa_cli.store.ledger import read_ledger
from aigiqa_cli.transport.model import Again, Leaf, Listing, Request, Source, TreeSource, Wanted
from aigiqa_cli.transport.ranges import RemoteFile
from aigiqa_cli.transport.receive import receive
from aigiqa_cli.transport.tree import listed, receive_tree

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset

RANGES, SINGLE = "range requests", "single file"
_WORTH_WHOLE = 2  # from half of an archive on, the whole of it in one request is the better way
_ONE_BY_ONE = 8
_ROUNDS = 2  # a file that is replaced while it is read is begun anew once


class OnlyWhole(PersonNeeded):
    """Parts of this archive are of no use, from whatever mirror."""


def restore(bench: Bench, asset: Asset, wanted: Sequence[Lost]) -> None:
    """Try every automatic mirror of the asset until nothing of `wanted` is lost."""
    for mirror in automatic(asset, known=read_ledger(bench.context.root)):
        left = bench.still(wanted)
        if not left:
            return
        if asset.is_tree:
            tree = mirrors.tree_source(mirror, bench.context.session)
            _attempt(bench, tree.label, partial(_from_tree, bench, asset, tree, left))
        elif mirror.kind == "builtin" or not _in_reach(asset, left):
            return
        else:
            source = mirrors.source(mirror, bench.context.session)
            about = Wanted(asset.published_name, asset.format, asset.bytes, asset.sha256, asset.accepted)
            if isinstance(_attempt(bench, source.label, partial(from_zip, bench, about, source, left)), OnlyWhole):
                return


def _in_reach(asset: Asset, wanted: Sequence[Lost]) -> bool:
    """May parts of the archive help? Not of other kinds than zip, nor where nearly all of it is needed."""
    if asset.format not in ("zip", "other") or asset.nested or asset.password:
        return False
    return not asset.bytes or not _mostly(wanted, asset.bytes)


def _mostly(wanted: Sequence[Lost], length: int) -> bool:
    return len(wanted) > 1 and _WORTH_WHOLE * sum(lost.file.bytes for lost in wanted) > length


def from_zip(bench: Bench, about: Wanted, source: Source, wanted: Sequence[Lost]) -> None:
    """Members of a zip at one mirror. Raises what the mirror refuses; what it does not hold stays lost."""
    for last in range(1, _ROUNDS + 1):
        remote = RemoteFile(about, source, bench.context.session, bench.context.reporter)
        bench.context.reporter.phase(f"parts of {about.name} from {source.label}")
        try:
            _in_parts(bench, about, remote, bench.still(wanted))
        except Again as fault:
            if last == _ROUNDS:
                raise
            bench.context.reporter.note(f"{source.label}: {fault.message}; it is read anew")
        else:
            return
        finally:
            bench.fetched(source.label, remote.moved)


def _in_parts(bench: Bench, about: Wanted, remote: RemoteFile, wanted: Sequence[Lost]) -> None:
    tail = remote.tail(TAIL)
    with ArchiveElsewhere(remote.length, partial(remote.supply, tail), bench.work.folder, about.name) as archive:
        if nesting.inner_members(bench.present, archive):
            raise OnlyWhole(f"{about.name} holds archives, which are read only as a whole", fault="A11")
        found = matches([archive], wanted)
        if _mostly([lost for lost, _ in found], remote.length):
            raise OnlyWhole(f"most of {about.name} is needed, so it is fetched as a whole", fault="S10")
        take(bench, [archive], found, RANGES, remote.source.label, archive.costs)


def _from_tree(bench: Bench, asset: Asset, tree: TreeSource, wanted: Sequence[Lost]) -> None:
    """Files of a hub's folder by their names; then members of the zips in it."""
    listing = listed(tree, bench.context.session)
    chosen = _chosen(listing, wanted)
    if len(chosen) > _ONE_BY_ONE:
        _attempt(bench, tree.label, partial(_many, bench, asset, tree, listing, chosen))
    for lost, leaf in chosen:
        if lost.file.path in bench.lost:
            _attempt(bench, tree.label, partial(_one, bench, tree, listing, lost, leaf))
    for leaf in listing.leaves:
        left = bench.still(wanted)
        if left and leaf.path.lower().endswith(".zip"):
            source = Source(tree.kind, tree.label, partial(_request, listing, leaf))
            about = Wanted(leaf.path, "zip", leaf.bytes, leaf.sha256)
            _attempt(bench, tree.label, partial(from_zip, bench, about, source, left))


def _chosen(listing: Listing, wanted: Sequence[Lost]) -> list[tuple[Lost, Leaf]]:
    """For each lost file the leaf of its name that may have its bytes; it is held against the record's hash."""
    by_name: dict[str, list[Leaf]] = defaultdict(list)
    for leaf in listing.leaves:
        by_name[leaf.path.rpartition("/")[2]].append(leaf)
    chosen = []
    for lost in wanted:
        for ending in lost.find:
            leaves = [
                leaf
                for leaf in by_name[ending.rpartition("/")[2]]
                if f"/{leaf.path}".endswith(f"/{ending}")
                and leaf.bytes in (None, lost.file.bytes)
                and leaf.sha256 in ("", lost.file.sha256)
            ]
            if leaves:
                chosen.append((lost, leaves[0]))
                break
    return chosen


def _request(listing: Listing, leaf: Leaf) -> Request:
    return Request(leaf.url, listing.token, listing.cookie, leaf.bytes, leaf.sha256, listing.fixed)


def _one(bench: Bench, tree: TreeSource, listing: Listing, lost: Lost, leaf: Leaf) -> None:
    context = bench.context
    about = Wanted(leaf.path, "", lost.file.bytes, lost.file.sha256)
    source = Source(tree.kind, tree.label, partial(_request, listing, leaf))
    received = receive(about, [source], context.root.partial, context.session, context.reporter)
    moved = received.bytes - received.resumed_from
    bench.fetched(tree.label, moved)
    bench.place([(lost, received.path, moved)], SINGLE, tree.label)
    received.discard()


def _many(bench: Bench, asset: Asset, tree: TreeSource, listing: Listing, chosen: Sequence[tuple[Lost, Leaf]]) -> None:
    """All at once, over a few connections, as a folder is fetched."""
    context = bench.context
    leaves = {
        leaf.path: replace(leaf, bytes=lost.file.bytes, sha256=lost.file.sha256, blob="") for lost, leaf in chosen
    }
    narrowed = TreeSource(tree.kind, tree.label, lambda: replace(listing, leaves=tuple(leaves.values())))
    about = Wanted(f"{asset.published_name} of {bench.name}, repaired", asset.format)
    received = receive_tree(about, [narrowed], context.root.partial, context.session, context.reporter)
    bench.fetched(tree.label, received.bytes)
    by_leaf = {leaf.path: lost for lost, leaf in chosen}  # one leaf may be that of two files; the other comes by itself
    bench.place([(lost, received.path / path, lost.file.bytes) for path, lost in by_leaf.items()], SINGLE, tree.label)
    received.discard()


def _attempt(bench: Bench, origin: str, work: Callable[[], None]) -> Fault | None:
    """Do the work; returns why it failed."""
    try:
        work()
    except Fault as fault:
        bench.failed(origin, fault)
        return fault
    return None
