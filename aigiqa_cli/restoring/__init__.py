"""Restoring what is damaged, and nothing else: recorded files get their recorded bytes back, from the nearest source.

The sources, in this order: kept archives; single files of a hub's folder; range requests into a zip at a mirror, for
just the members that are needed; the whole download. Index, splits and checksums are computed from the labels. Every
file is proven by the record's length and SHA-256 before it gets its name, whatever it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from aigiqa_cli import root_index
from aigiqa_cli.context import Context
from aigiqa_cli.errors import Fault, IntegrityFault
from aigiqa_cli.restoring import computed, downloads, tables
from aigiqa_cli.restoring.bench import Bench, Lost, Restored
from aigiqa_cli.store import heal, is_sound, locked, machine_faults, read_record, staged

__all__ = ["Bench", "Lost", "Restored", "restore"]


def restore(context: Context, name: str, problems: Mapping[str, str], password: str = "") -> Bench:
    """Restore the files of an installed database that `problems` names (path in its folder -> what is wrong with it).

    Returns what came of it; what could not be restored is in `lost`, and `fault` says why. `password` is that of
    encrypted archives.
    """
    context.root.prepare()
    doing = f"repairing {name}"
    with locked(context.root, name, context.reporter), machine_faults(doing, phase="PUBLISH", place=context.root.path):
        heal(context.root, name)
        record = read_record(context.root, name)
        if record is None:
            raise IntegrityFault(f"the record of {name} is gone", fault="X01", database=name, phase="PLAN")
        lost = {path: Lost(file, problem) for path, problem in problems.items() if (file := record.files.of(path))}
        lost = {path: one for path, one in lost.items() if not is_sound(context.root, name, one.file)}
        context.root.demand_space(2 * sum(one.file.bytes for one in lost.values()), 2 * len(lost))
        with staged(context.root, name) as work, _named(name):
            bench = Bench(context, record, work, lost, password)
            _restore(bench)
    if root_index.check(context.root):
        root_index.rebuild(context.root, context.reporter)
    return bench


def _restore(bench: Bench) -> None:
    """Labels first: they say under which names archives hold the images, and all that is computed comes from them."""
    _try(bench, computed.manifest)
    _try(bench, computed.index)
    if bench.below("labels"):
        _try(bench, tables.restore)
    if bench.below("labels"):
        downloads.restore(bench, bench.below("labels"))
    if bench.pictures:
        tables.find(bench)
        downloads.restore(bench, bench.pictures)
    if not bench.pictures:  # nothing can be computed from images that are not here
        _try(bench, computed.restore)


def _try(bench: Bench, work: Callable[[Bench], None]) -> None:
    try:
        work(bench)
    except Fault as fault:
        bench.failed("", fault)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Faults of shared rooms do not know whose they are."""
    try:
        yield
    except Fault as fault:
        fault.database = fault.database or name
        raise
