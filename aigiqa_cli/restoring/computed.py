"""What is computed anew: index, splits and checksums, by the path of every install, held against the record."""

from __future__ import annotations

from pathlib import Path

from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.installing import Options, Supplies, build_aside
from aigiqa_cli.installing.assembly import INDEX, MANIFEST
from aigiqa_cli.installing.splitting import split_assets
from aigiqa_cli.obtaining import Obtained
from aigiqa_cli.restoring.bench import Bench, Lost
from aigiqa_cli.restoring.tables import installed, other_names
from aigiqa_cli.store import staged

COMPUTED = "computed"


def manifest(bench: Bench) -> None:
    """The manifest that the database was built from, if it still is the one of the catalogue."""
    lost = bench.lost.get(MANIFEST)
    if lost is None or bench.name not in bench.context.catalogue.entries:
        return
    data = bench.context.manifest_bytes(bench.name)
    if sha256_bytes(data) == lost.file.sha256:
        bench.place([(lost, bench.write(data), 0)], COMPUTED, "the catalogue")


def restore(bench: Bench) -> None:
    """Build everything aside, from the labels and the images that are here, and take from it what is lost.

    What comes out differently (an index of an older aigiqa) stays lost: installing it anew is another thing than
    restoring it.
    """
    wanted = [lost for path, lost in bench.lost.items() if not path.startswith("labels/")]
    if not wanted:
        return
    supplies = Supplies(tables=installed(bench))
    obtained = Obtained(bench.context)
    _add_split_files(bench, obtained, supplies)
    bench.context.reporter.phase(f"computing {bench.name} anew", unit="")
    _build(bench, supplies, frozenset())
    if INDEX in bench.lost and (renamed := other_names(bench)):
        _build(bench, supplies, renamed)  # which images an archive had under other names, only the index says
    obtained.drop()


def _build(bench: Bench, supplies: Supplies, renamed: frozenset[str]) -> None:
    context = bench.context
    with staged(context.root, bench.name) as work:
        options = Options(labels_only=not bench.record.images)
        fresh = build_aside(
            context.root, bench.recorded, bench.manifest, supplies, options, work, context.reporter, renamed
        )
        found: list[tuple[Lost, Path, int]] = [
            (lost, work.tree / path, 0) for path, lost in bench.lost.items() if fresh.files.of(path) == lost.file
        ]
        bench.place(found, COMPUTED, "the labels")


def index(bench: Bench) -> None:
    """The database's rows stand in the root's index too; header and rows together are its own index."""
    lost, path = bench.lost.get(INDEX), bench.context.root.index
    if lost is None or not path.is_file():
        return
    data = path.read_bytes()
    header = data[: data.find(b"\n") + 1]
    at = data.find(f"\n{bench.name},".encode()) + 1
    own = header + data[at : at + lost.file.bytes - len(header)]
    if sha256_bytes(own) == lost.file.sha256:
        bench.place([(lost, bench.write(own), 0)], COMPUTED, "the index of the root")


def _add_split_files(bench: Bench, obtained: Obtained, supplies: Supplies) -> None:
    """The published files of splits that are lost, as far as they were there before."""
    lost = [path.partition("/")[2].removesuffix(".csv") for path in bench.lost if path.startswith("splits/")]
    before = {source.asset: source.sha256 for source in bench.record.sources if source.role == "split"}
    for split in bench.present.splits:
        if not any(split.name in (name, name.rpartition("-")[0]) for name in lost):
            continue
        for asset in split_assets(split):
            if asset.name not in before:
                continue
            file = bench.obtain(obtained, asset)
            if file is not None and file.digest[0] == before[asset.name]:
                supplies.split_files[asset.name] = file
