"""Label tables: restored from their own mirrors; and what they say about the names of the images."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from aigiqa_cli import rules
from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.installing import File
from aigiqa_cli.installing.labelling import choose_source, installed_tables
from aigiqa_cli.installing.matching import IMAGES, REFERENCES
from aigiqa_cli.obtaining import Obtained
from aigiqa_cli.restoring.bench import Bench

LABELS: Final = "labels"


def restore(bench: Bench) -> None:
    """Fetch the tables that have mirrors of their own. Others lie inside the archives of the images."""
    obtained = Obtained(bench.context)
    names = {asset.name for asset in bench.present.label_tables}
    for source in [source for source in bench.record.sources if source.role == LABELS and source.asset in names]:
        asset = bench.present.asset(source.asset)
        path = f"{LABELS}/{asset.published_name}"
        lost = bench.lost.get(path)
        if lost is None:
            continue
        bench.look_for({path: (asset.published_name,)})
        if not asset.mirrors:
            continue
        file = bench.obtain(obtained, asset)
        if file is None:
            continue
        digest, length = file.digest
        if digest == lost.file.sha256:
            bench.place([(lost, file.path, length)], "label table", file.origin)
        else:
            bench.refuse(lost, file.origin, digest)
    obtained.drop()


def installed(bench: Bench) -> dict[str, File]:
    """The label tables of the installed version, by asset name; they are as recorded."""
    return installed_tables(bench.context.root.folder(bench.name), bench.recorded, bench.record)


def find(bench: Bench) -> None:
    """Say of each lost image under which names archives hold it: by the label rules, else by its own name."""
    bench.look_for({lost.file.path: (lost.file.path.rpartition("/")[2],) for lost in bench.pictures})
    bench.look_for(dict(_endings(bench)))


def other_names(bench: Bench) -> frozenset[str]:
    """The images and references whose first name in archives is another than the one that they have here."""
    return frozenset(path for path, find in _endings(bench) if find[0].rpartition("/")[2] != path.rpartition("/")[2])


def _endings(bench: Bench) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Path in the folder of the database -> endings of its path in archives, as the installed labels say."""
    files = installed(bench)
    source = choose_source(bench.recorded, list(files))
    if source is None:
        return
    try:
        labels = rules.apply(bench.recorded, source, lambda name: files[name].path.open("rb"))
    except RefusedInput as fault:
        bench.context.reporter.detail(f"the labels do not tell where images lie: {fault.message}")
        return
    for row in chain(labels.rows, labels.unlabelled):
        yield f"{IMAGES}/{row.image_id}", row.find
        if row.reference:
            yield f"{REFERENCES}/{row.reference.name}", row.reference.find
