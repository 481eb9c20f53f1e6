"""The audit of whole splits, and of the folds of one: every pair of sides, and one verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aigiqa_cli.index import Row
from aigiqa_cli.partitions.overlap import KINDS, LEAKS, Pair, Side, Verdict, compare, judge
from aigiqa_cli.partitions.partition import Partition
from aigiqa_cli.store import Record

WITHOUT_PIXELS = tuple(kind for kind in KINDS if kind != "near")
TEST = ("test", "val")  # the side whose overlap is told first


@dataclass(frozen=True)
class Audited:
    """One split or fold. `main` is the pair that stands for it: train and test, else train and val, else the first.
    `across`: its sides are compared with other databases, and no pair stands for the others."""

    name: str
    counts: dict[str, int]
    pairs: tuple[Pair, ...]
    verdict: Verdict
    across: bool = False

    @property
    def main(self) -> Pair | None:
        found = (pair for side in TEST for pair in self.pairs if (pair.a, pair.b) == ("train", side))
        return next(found, self.pairs[0] if self.pairs else None)

    @property
    def percent(self) -> float:
        """The largest share of a side that is touched in a way that leaks."""
        return max(
            (pair.overlap[k].percent_b or 0 for pair in self.pairs for k in LEAKS if k in pair.overlap), default=0
        )

    def as_json(self) -> dict[str, Any]:
        main = self.main
        return {
            "name": self.name,
            "label": self.verdict.label,
            "verdict": self.verdict.text,
            "parts": self.counts,
            "overlap": {kind: found.as_json() for kind, found in main.overlap.items()} if main else None,
            "pairs": [pair.as_json() for pair in self.pairs],
        }


def reference_hashes(record: Record) -> dict[str, str]:
    """Path of each installed reference, as the index writes it -> SHA-256."""
    prefix = "references/"
    return {f"{record.database}/{file.path}": file.sha256 for file in record.files if file.path.startswith(prefix)}


def audit_sides(name: str, sides: Sequence[Side], kinds: Sequence[str] = KINDS) -> Audited:
    """Every pair of these sides, the earlier one first. Sides without an image are left out."""
    sides = [side for side in sides if side.rows]
    pairs = tuple(compare(a, b, kinds) for number, a in enumerate(sides) for b in sides[number + 1 :])
    return Audited(name, {side.name: len(side.rows) for side in sides}, pairs, judge(pairs))


def audit(
    partition: Partition,
    rows: Mapping[str, Row],
    references: Mapping[str, str],
    kinds: Sequence[str] = WITHOUT_PIXELS,
    hashes: Mapping[str, int] | None = None,
) -> Audited:
    """The sides of one split against one another. `rows` are by image_id; see `Side` for the rest."""
    return audit_sides(partition.name, sides_of(partition, rows, references, hashes), kinds)


def sides_of(
    partition: Partition, rows: Mapping[str, Row], references: Mapping[str, str], hashes: Mapping[str, int] | None
) -> list[Side]:
    """The sides of a split with their rows."""
    return [
        Side(part, [rows[image] for image in images], references, hashes) for part, images in partition.sides.items()
    ]


def worst(audits: Sequence[Audited]) -> dict[str, tuple[str, Pair]]:
    """Of the pairs that stand for these splits, for each kind the one in which most images are touched: kind ->
    (split, pair)."""
    found: dict[str, tuple[str, Pair]] = {}
    for each in audits:
        for pair in each.pairs if each.across else filter(None, [each.main]):
            for kind, overlap in pair.overlap.items():
                if kind not in found or (overlap.percent_b or 0) > (found[kind][1].overlap[kind].percent_b or 0):
                    found[kind] = each.name, pair
    return found


def judge_family(audits: Sequence[Audited]) -> Verdict:
    """One verdict for the folds of a split: leaky if any of them is, clean only if all are."""
    if not audits:
        return Verdict("unknown", "unknown: it is not here")
    if len(audits) == 1:
        return audits[0].verdict
    leaky = [each for each in audits if each.verdict.label == "leaky"]
    if leaky:
        most = max(leaky, key=lambda each: each.percent)
        count = f"all {len(audits)}" if len(leaky) == len(audits) else f"{len(leaky)} of {len(audits)}"
        return Verdict("leaky", f"leaky: {count} folds; in {most.name} {most.verdict.text.removeprefix('leaky: ')}")
    odd = next((each for each in audits if each.verdict.label != "clean"), audits[0])
    return odd.verdict


def across(name: str, sides: Sequence[Side], others: Sequence[Side], kinds: Sequence[str] = KINDS) -> Audited:
    """Each side against each of the others (whole databases), never with its own kind."""
    counts = {side.name: len(side.rows) for side in (*sides, *others)}
    pairs = tuple(compare(a, b, kinds) for a in sides for b in others if a.rows and b.rows)
    return Audited(name, counts, pairs, judge(pairs), across=True)
