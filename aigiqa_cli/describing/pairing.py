"""Which image of one table is which of another: by name where both are of one database, else by bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Row = Mapping[str, str]
Pair = tuple[Row, Row]


@dataclass(frozen=True)
class Pairing:
    """`pairs` in the order of the first table; `renamed` are those of them that have other names and the same bytes.
    `removed` are only in the first table, `added` only in the second. `by`: image_id or sha256."""

    by: str
    pairs: tuple[Pair, ...]
    renamed: tuple[Pair, ...]
    removed: tuple[Row, ...]
    added: tuple[Row, ...]


def paired(a: Sequence[Row], b: Sequence[Row]) -> Pairing:
    """Tables that have a database in common are of one: two versions of it, or parts."""
    databases = [{row.get("database", "") for row in rows} - {""} for rows in (a, b)]
    if databases[0] and databases[1] and not databases[0] & databases[1]:
        return _by_bytes(a, b)
    return _by_name(a, b, "database" if databases[0] and databases[1] else "")


def _by_name(a: Sequence[Row], b: Sequence[Row], database: str) -> Pairing:
    def key(row: Row) -> tuple[str, str]:
        return row.get(database, ""), row["image_id"]

    others = {key(row): row for row in b}
    pairs = [(row, others.pop(key(row))) if key(row) in others else (row, None) for row in a]
    gone = [row for row, other in pairs if other is None]
    renamed = _same_bytes(gone, list(others.values()))
    moved = {id(row) for pair in renamed for row in pair}
    again = {id(row): other for row, other in renamed}
    return Pairing(
        "image_id",
        tuple((row, found) for row, other in pairs if (found := other if other is not None else again.get(id(row)))),
        tuple(renamed),
        tuple(row for row in gone if id(row) not in moved),
        tuple(row for row in others.values() if id(row) not in moved),
    )


def _by_bytes(a: Sequence[Row], b: Sequence[Row]) -> Pairing:
    pairs = _same_bytes(a, b)
    shared = {id(row) for pair in pairs for row in pair}
    return Pairing(
        "sha256",
        tuple(pairs),
        (),
        tuple(row for row in a if id(row) not in shared),
        tuple(row for row in b if id(row) not in shared),
    )


def _same_bytes(a: Sequence[Row], b: Sequence[Row]) -> list[Pair]:
    """Images of equal bytes; of several copies on one side the first ones in turn."""
    waiting: dict[str, list[Row]] = {}
    for row in reversed(b):
        if row.get("sha256"):
            waiting.setdefault(row["sha256"], []).append(row)
    return [(row, waiting[digest].pop()) for row in a if (digest := row.get("sha256", "")) and waiting.get(digest)]
