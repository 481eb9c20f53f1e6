"""Which rows of the installed databases a command works on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from aigiqa_cli.context import Context
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.manifest.catalogue import fold
from aigiqa_cli.states import present
from aigiqa_cli.store import Record, Root, installed_ids

if TYPE_CHECKING:
    from aigiqa_cli.exports.columns import Row


def name_meant(context: Context, word: str) -> str:
    """The id that a word means, also of a database that is installed but whose manifest is not known here.

    Raises UsageFault with the nearest names.
    """
    if word in installed_ids(context.root):
        return word
    entry = context.catalogue.find(word)
    if entry is not None:
        return entry.id
    for name in installed_ids(context.root):
        if fold(name) == fold(word):
            return name
    raise context.catalogue.unknown(word)


def chosen(root: Root, names: Sequence[str]) -> list[Record]:
    """The records of these databases, each once; no name means all installed ones. Raises as `present` does."""
    records = [present(root, name) for name in dict.fromkeys(names or installed_ids(root))]
    if not records:
        raise UsageFault("nothing is installed", hint="aigiqa list shows what can be fetched", phase="PLAN")
    return records


def rows(root: Root, records: Sequence[Record], *, where: str = "", split: str = "") -> Iterable[Row]:
    """The rows of these databases in order, one after the other, as text.

    `split`: NAME fills the column `split` from that split and leaves out images in no part; NAME:PART keeps one part.
    `where`: an SQL boolean expression over the typed index, judged on the rows that the split leaves.
    Raises UsageFault for a split or an expression that cannot be used, IntegrityFault for an index that cannot be read.
    """
    from aigiqa_cli.columnar import IndexRows

    found: Iterable[Row] = IndexRows(root, records)
    if split:
        found = _with_split(root, records, split, found)
    if where:
        from aigiqa_cli.exports.selection import matching

        found = matching(found, where)
    return found


def _with_split(root: Root, records: Sequence[Record], word: str, found: Iterable[Row]) -> Iterator[Row]:
    from aigiqa_cli import root_index
    from aigiqa_cli.measuring.folds import folds
    from aigiqa_cli.partitions import Names

    sides: dict[tuple[str, str], str] = {}
    part = ""
    for record in records:
        divided = folds(root, record, Names(root_index.rows(root, [record])), word)
        if divided.family:
            members = ", ".join(one.name for one in divided.partitions)
            raise UsageFault(
                f"{word} are {len(divided.partitions)} splits", hint=f"name one of {members}", phase="PLAN"
            )
        part = divided.part
        sides |= {(record.database, image): side for image, side in divided.partitions[0].parts.items()}
    if part and part not in set(sides.values()):
        known = ", ".join(sorted(set(sides.values())))
        raise UsageFault(f"the split {word} has no part called {part!r}", hint=f"parts: {known}", phase="PLAN")
    return _in_part(found, sides, part)


def _in_part(found: Iterable[Row], sides: dict[tuple[str, str], str], part: str) -> Iterator[Row]:
    for row in found:
        side = sides.get((row["database"], row["image_id"]), "")
        if side and part in ("", side):
            yield {**row, "split": side}
