"""Making splits: group-disjoint, stratified, and the same on every machine.

The rule, in full, so that anybody can do the same (all arithmetic is exact):

1. The images are those with at least one MOS, in the order of the index.
2. Each image has a key: `prompt=<prompt_id>`, `generator=<slug>`, `reference=<path>`, or `image=<image_id>` where that
   field is empty and for `random`. Images with a common key, or with the same bytes (sha256), are one group. The key of
   a group is the smallest of its images' keys.
3. Groups come in the order of the SHA-256 (hex) of `<seed>/<repeat>/<key>` in UTF-8; repeats count from 1.
4. Each image belongs to strata: all images; its generator and setting; and for each dimension with a MOS its fifth by
   rank: floor(5 * rank / n) of the n images that have the score, ordered by score and then by image_id.
5. Each group goes to the part that is emptiest in what the group brings: least sum over its strata h of
   a_h * c_h / n_h, divided by the part's share of the ratio, where a_h images of the group, c_h images of the part and
   n_h images in all are in h. Only parts count whose remaining room (share of all images less those it has) takes the
   whole group, or half of it while the part is empty; if there is none, the part with most room takes it. Ties: most
   room, then the first part.
6. If that leaves a part empty, step 5 is done again, with every empty part counting whatever its room.

So with two or three parts, and with folds, no part is further from its share than the largest group has images, unless
step 6 was needed: a few groups that are much larger than a part's share.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from aigiqa_cli.index import DIMENSIONS, Row
from aigiqa_cli.partitions.partition import PARTS, Partition

BY = {"prompt": "prompt_id", "generator": "generator", "reference": "reference_path", "random": ""}
FIFTHS = 5

Stratum = tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """What to make. `ratio`: whole numbers for train and test, or train, val and test. `folds` > 0: so many folds, each
    the test part once. `leave_one_out`: each generator the test part once; nothing else counts then."""

    by: str = "prompt"
    ratio: tuple[int, ...] = (8, 1, 1)
    seed: int = 0
    repeats: int = 1
    folds: int = 0
    leave_one_out: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        three = len(self.ratio) == len(PARTS) and not (self.folds or self.leave_one_out)
        return PARTS if three else (PARTS[0], PARTS[-1])

    @property
    def wanted(self) -> dict[str, float]:
        """Part -> its share by the ratio; empty where no ratio is asked for."""
        if self.folds or self.leave_one_out:
            return {}
        return {part: weight / sum(self.ratio) for part, weight in zip(self.parts, self.ratio, strict=True)}


@dataclass(frozen=True)
class Group:
    """Images that stay together, and how many of them are in each stratum."""

    key: str
    images: tuple[str, ...]
    strata: Mapping[Stratum, int]


def make(rows: Sequence[Row], recipe: Recipe) -> list[Partition]:
    """The partitions of a recipe over the rows of one index, in its order. Images without a MOS are in no part."""
    rows = labelled(rows)
    if recipe.leave_one_out:
        return list(_left_out(rows, recipe.leave_one_out))
    found = groups(rows, recipe.by)
    weights = (1,) * recipe.folds if recipe.folds else recipe.ratio
    made = []
    for repeat in range(1, recipe.repeats + 1):
        sides = assign(in_order(found, recipe.seed, repeat), weights)
        name = f"repeat-{repeat}" if recipe.repeats > 1 else ""
        if not recipe.folds:
            part_of = {image: recipe.parts[side] for image, side in sides.items()}
            made.append(Partition.of(name or "split", _parts(rows, part_of)))
            continue
        for fold in range(recipe.folds):
            part_of = {image: "test" if side == fold else "train" for image, side in sides.items()}
            made.append(Partition.of("-".join(filter(None, (name, f"fold-{fold + 1}"))), _parts(rows, part_of)))
    return made


def labelled(rows: Sequence[Row]) -> list[Row]:
    """The rows with a MOS in any dimension."""
    return [row for row in rows if any(row[f"mos_{dimension}"] for dimension in DIMENSIONS)]


def groups(rows: Sequence[Row], by: str) -> list[Group]:
    """The images that must stay together, in the order of the index by their first image."""
    roots: dict[str, str] = {}

    def root(key: str) -> str:
        while (above := roots.setdefault(key, key)) != key:
            roots[key] = roots[above]
            key = above
        return key

    keys = [_key(row, by) for row in rows]
    for row, key in zip(rows, keys, strict=True):
        for other in (f"image={row['image_id']}", f"bytes={row['sha256']}" if row["sha256"] else key):
            roots[root(other)] = root(key)
    members: dict[str, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        members[root(key)].append(place)
    belongs = _strata(rows)
    return [
        Group(
            min(keys[place] for place in places),
            tuple(rows[place]["image_id"] for place in places),
            Counter(stratum for place in places for stratum in belongs[place]),
        )
        for places in members.values()
    ]


def _key(row: Row, by: str) -> str:
    value = row[BY[by]] if BY[by] else ""
    return f"{by}={value}" if value else f"image={row['image_id']}"


def _strata(rows: Sequence[Row]) -> list[list[Stratum]]:
    found: list[list[Stratum]] = [[("all",), ("generator", row["generator"], row["setting"])] for row in rows]
    for dimension in DIMENSIONS:
        field = f"score_{dimension}"
        ranked = sorted(
            (int(row[field].replace(".", "")), row["image_id"], place) for place, row in enumerate(rows) if row[field]
        )
        for rank, (_, _, place) in enumerate(ranked):
            found[place].append((field, str(FIFTHS * rank // len(ranked))))
    return found


def in_order(found: Sequence[Group], seed: int, repeat: int) -> list[Group]:
    """Shuffled: by SHA-256 of seed, repeat and key, which no machine and no version of Python changes."""
    return sorted(found, key=lambda group: sha256(f"{seed}/{repeat}/{group.key}".encode()).hexdigest())


def assign(ordered: Sequence[Group], weights: Sequence[int]) -> dict[str, int]:
    """image_id -> number of its part (steps 5 and 6 of the rule)."""
    sides = _dealt(ordered, weights, fill_empty=False)
    return sides if len(set(sides.values())) == len(weights) else _dealt(ordered, weights, fill_empty=True)


def _dealt(ordered: Sequence[Group], weights: Sequence[int], *, fill_empty: bool) -> dict[str, int]:
    totals: Counter[Stratum] = Counter()
    for group in ordered:
        totals.update(group.strata)
    common = math.lcm(*totals.values()) if totals else 1
    scale = {stratum: common // count for stratum, count in totals.items()}
    level = math.lcm(*weights)
    count, whole = sum(len(group.images) for group in ordered), sum(weights)
    room = [count * weight for weight in weights]  # times `whole`, so that it stays a whole number
    filled: list[Counter[Stratum]] = [Counter() for _ in weights]
    sides: dict[str, int] = {}
    for group in ordered:
        need = whole * len(group.images)
        fitting = [
            part
            for part, left in enumerate(room)
            if left >= need or (not filled[part] and (fill_empty or 2 * left >= need))
        ]
        load = {
            part: sum(held * scale[h] * filled[part][h] for h, held in group.strata.items()) * level // weights[part]
            for part in fitting
        }
        if fitting:
            part = min(fitting, key=lambda p: (load[p], -room[p], p))
        else:
            part = max(range(len(weights)), key=lambda p: (room[p], -p))
        room[part] -= need
        filled[part].update(group.strata)
        sides |= dict.fromkeys(group.images, part)
    return sides


def _parts(rows: Sequence[Row], part_of: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((row["image_id"], part_of[row["image_id"]]) for row in rows if row["image_id"] in part_of)


def _left_out(rows: Sequence[Row], field: str) -> Iterator[Partition]:
    """Each value of the field once as the test part. What has the bytes of a test image is in neither part."""
    for value in sorted({row[field] for row in rows} - {""}):
        held = {row["sha256"] for row in rows if row[field] == value} - {""}
        parts = (
            (row["image_id"], "test" if row[field] == value else "" if row["sha256"] in held else "train")
            for row in rows
        )
        yield Partition.of(value, ((image, part) for image, part in parts if part))
