"""Lost files out of opened archives and folders: each is written aside, proven by its record, then put in its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from aigiqa_cli import folders
from aigiqa_cli.archives import Archive, Order, open_archive
from aigiqa_cli.installing import File, nesting, passwords
from aigiqa_cli.installing.matching import Members, Place
from aigiqa_cli.restoring.bench import Bench, Lost

SLICE = 64  # files that are unpacked before they get their names: a run that is killed loses no more

Attempt = tuple[Lost, list[Place]]  # what is lost, and the places that may hold it


@contextmanager
def opened(bench: Bench, file: File) -> Iterator[list[Archive]]:
    """The archive or folder, and the archives inside it."""
    secret = bench.password or passwords.declared(bench.present)
    with passwords.explained([bench.present], [file]), ExitStack() as stack:
        outer = stack.enter_context(file.open(bench.work.folder, secret))
        inner = nesting.unpack(bench.present, outer, bench.folder())
        yield [
            outer,
            *(stack.enter_context(open_archive(p, bench.work.folder, p.name, password=secret)) for p in inner),
        ]


def matches(archives: Sequence[Archive], wanted: Iterable[Lost]) -> list[Attempt]:
    """Where the archives hold files of the right name and length."""
    members = Members(archives)
    found = []
    for lost in wanted:
        places = [place for ending in lost.find for place in members.ending_with(ending)]
        fitting = [place for place in dict.fromkeys(places) if place.member.bytes == lost.file.bytes]
        if fitting:
            found.append((lost, fitting))
    return found


def take(
    bench: Bench,
    archives: Sequence[Archive],
    attempts: Sequence[Attempt],
    how: str,
    origin: str,
    costs: Mapping[int, int] | None = None,
) -> None:
    """Restore what the archives hold; members with other bytes are refused. `costs`: bytes fetched, by member."""
    waiting = sorted(attempts, key=lambda attempt: (attempt[1][0].container, attempt[1][0].member.number))
    while waiting:
        now, later = _slice(waiting)
        refused = _take(bench, archives, now, how, origin, {} if costs is None else costs)
        again = [(lost, places[1:]) for lost, places in refused if len(places) > 1]
        waiting = [*later, *again]


def _slice(waiting: Sequence[Attempt]) -> tuple[list[Attempt], list[Attempt]]:
    """The next files, no member twice; and the rest."""
    now: dict[Place, Attempt] = {}
    later = []
    for attempt in waiting:
        if len(now) < SLICE and attempt[1][0] not in now:
            now[attempt[1][0]] = attempt
        else:
            later.append(attempt)
    return list(now.values()), later


def _take(
    bench: Bench, archives: Sequence[Archive], now: Sequence[Attempt], how: str, origin: str, costs: Mapping[int, int]
) -> list[Attempt]:
    """Unpack one slice and put what is proven in its place; returns what had other bytes."""
    targets = {places[0]: (lost, places, bench.staged()) for lost, places in now}
    proven: list[tuple[Lost, Path, int]] = []
    refused: list[Attempt] = []
    for number, archive in enumerate(archives):
        mine = {place.member.number: place for place in targets if place.container == number}
        orders = [Order(place.member, targets[place][2]) for place in mine.values()]
        for written in archive.unpack(orders):
            lost, places, _ = targets[mine[written.member.number]]
            path = bench.work.folder / written.to
            if (written.sha256, written.bytes) == (lost.file.sha256, lost.file.bytes):
                proven.append((lost, path, costs.get(written.member.number, 0)))
            else:
                folders.remove(path)
                bench.refuse(lost, origin, written.sha256)
                refused.append((lost, places))
    bench.place(proven, how, origin)
    return refused
