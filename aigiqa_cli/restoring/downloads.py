"""Where lost members of archives come from: what is kept here, then parts of what lies at mirrors, then all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import Fault
from aigiqa_cli.installing import File
from aigiqa_cli.installing.matching import REFERENCES
from aigiqa_cli.obtaining import Obtained
from aigiqa_cli.restoring import remote
from aigiqa_cli.restoring.bench import Bench, Lost
from aigiqa_cli.restoring.members import matches, opened, take

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset

KEPT, WHOLE = "kept archive", "whole download"


def restore(bench: Bench, wanted: Sequence[Lost]) -> None:
    """Restore what can be, source by source, the nearest first."""
    for file in _kept(bench):
        if bench.still(wanted):
            _from_file(bench, file, KEPT, bench.still(wanted))
    own = _assets(bench, bench.still(wanted))
    names = {asset.name for asset in own}
    repacks = [asset for asset in bench.present.assets if asset.substitutes in names]
    for asset in (*own, *repacks):
        if bench.still(wanted):
            remote.restore(bench, asset, bench.still(wanted))
    for asset in (*own, *(repack for repack in repacks if repack.sha256 and repack.is_archive)):
        if bench.still(wanted):
            _whole(bench, asset, bench.still(wanted))


def _kept(bench: Bench) -> Iterator[File]:
    """Archives of this database that were kept, if they are what their names say."""
    pins = [source.sha256 for source in bench.record.sources]
    pins += [pin for asset in bench.present.assets if asset.is_archive for pin in asset.accepted]
    for pin in dict.fromkeys(filter(None, pins)):
        path = bench.context.root.archives / pin
        if not path.is_file():
            continue
        found = sha256_file(path)
        if found[0] == pin:
            yield File(path, KEPT, found, path.name)
        else:
            bench.context.reporter.note(f"the kept archive {path} is damaged, so it is not used")


def _assets(bench: Bench, wanted: Sequence[Lost]) -> list[Asset]:
    """The published archives and folders; those of reference images first where only such are lost."""
    references = all(lost.file.path.startswith(f"{REFERENCES}/") for lost in wanted)
    assets = bench.present.assets_of("images", "references")
    return sorted(assets, key=lambda asset: asset.role != "references") if references else list(assets)


def _from_file(bench: Bench, file: File, how: str, wanted: Sequence[Lost]) -> None:
    try:
        with opened(bench, file) as archives:
            take(bench, archives, matches(archives, wanted), how, file.origin)
    except Fault as fault:
        bench.failed(file.origin, fault)


def _whole(bench: Bench, asset: Asset, wanted: Sequence[Lost]) -> None:
    """Fetch the whole of it; it stays in `partial` if something is lost still (P5), and a later run begins there."""
    obtained = Obtained(bench.context)
    try:
        file = obtained.file(bench.present, asset)
    except Fault as fault:
        bench.failed("", fault)
        return
    bench.fetched(file.origin, sum(received.bytes for _, received in obtained.received))
    _from_file(bench, file, WHOLE, wanted)
    if not bench.still(wanted):
        obtained.drop()
