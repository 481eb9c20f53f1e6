"""Making splits: the rule done a second time from its words alone, and what every made split must be."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from fractions import Fraction
from typing import Any

import pytest
from conftest import IMPORT_PATH, REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st

from aigiqa_cli.partitions import Recipe, csv_of, make
from aigiqa_cli.partitions.making import BY, groups, labelled

Row = dict[str, str]
RATIOS = ((8, 1, 1), (4, 1), (1, 1), (7, 1, 2), (99, 1))
FIELDS = ("prompt_id", "generator", "reference_path", "setting", "sha256", "score_quality", "score_alignment")


def row(number: int, **fields: str) -> Row:
    found = {"image_id": f"image-{number:04}.png", "task": "t2i"} | dict.fromkeys(FIELDS, "") | fields
    for dimension in ("quality", "alignment", "authenticity", "overall"):
        score = found.setdefault(f"score_{dimension}", "")
        found[f"mos_{dimension}"] = f"{5 * float(score):.4f}" if score else ""
    return found


def world(images: int, prompts: int, seed: int = 0) -> list[Row]:
    """Images of few prompts and four generators whose scores depend on the generator; some without a second score."""
    chance = random.Random(seed)
    return [
        row(
            number,
            prompt_id=f"p{chance.randrange(prompts)}",
            generator=(generator := chance.choice("abcd")),
            setting=chance.choice(["", "lowstep"]),
            score_quality=f"{min(0.999999, ('abcd'.index(generator) + chance.random()) / 4.2):.6f}",
            score_alignment=f"{chance.random():.6f}" if number % 7 else "",
        )
        for number in range(images)
    ]


# --- the rule, from its words ------------------------------------------------------------------------------------


def by_hand(
    rows: list[Row], by: str, ratio: tuple[int, ...], seed: int, repeat: int, *, again: bool = False
) -> dict[str, int]:
    """image_id -> number of the part, after the six steps in the docstring of `partitions.making`."""
    rows = [r for r in rows if any(text for name, text in r.items() if name.startswith("mos_"))]
    field = {"prompt": "prompt_id", "generator": "generator", "reference": "reference_path"}.get(by, "")
    key = {r["image_id"]: f"{by}={r[field]}" if field and r[field] else f"image={r['image_id']}" for r in rows}
    blocks = [{r["image_id"]} for r in rows]
    for same in (key, {r["image_id"]: r["sha256"] for r in rows if r["sha256"]}):
        for value in set(same.values()):
            members = {image for image, its in same.items() if its == value}
            touching = [block for block in blocks if block & members]
            blocks = [block for block in blocks if not block & members] + [set().union(*touching)]
    names = {min(key[image] for image in block): block for block in blocks}
    digest = {name: hashlib.sha256(f"{seed}/{repeat}/{name}".encode()).hexdigest() for name in names}

    strata: dict[str, list[Any]] = {r["image_id"]: ["all", (r["generator"], r["setting"])] for r in rows}
    for dimension in ("quality", "alignment", "authenticity", "overall"):
        scored = sorted((Fraction(r[s]), r["image_id"]) for r in rows if r[s := f"score_{dimension}"])
        for rank, (_, image) in enumerate(scored):
            strata[image].append((dimension, 5 * rank // len(scored)))
    whole = Counter(h for held in strata.values() for h in held)
    share = [Fraction(weight, sum(ratio)) for weight in ratio]
    room = [len(rows) * part for part in share]
    held: list[Counter[Any]] = [Counter() for _ in ratio]
    sides: dict[str, int] = {}
    for name in sorted(names, key=digest.__getitem__):
        block = names[name]
        brings = Counter(h for image in block for h in strata[image])

        def fullness(part: int, brings: Counter[Any] = brings) -> Fraction:
            return sum((Fraction(n * held[part][h], whole[h]) for h, n in brings.items()), Fraction()) / share[part]

        least = [
            len(block) if held[p] else Fraction(-1) if again else Fraction(len(block), 2) for p in range(len(ratio))
        ]
        fitting = [part for part in range(len(ratio)) if room[part] >= least[part]]
        if fitting:
            part = min(fitting, key=lambda p: (fullness(p), -room[p], p))
        else:
            part = min(range(len(ratio)), key=lambda p: (-room[p], p))
        room[part] -= len(block)
        held[part] += brings
        sides |= dict.fromkeys(block, part)
    if len(set(sides.values())) < len(ratio) and not again:
        return by_hand(rows, by, ratio, seed, repeat, again=True)
    return sides


def table(rows: list[Row], sides: dict[str, int], parts: tuple[str, ...]) -> bytes:
    lines = [
        "image_id,split",
        *(f"{r['image_id']},{parts[sides[r['image_id']]]}" for r in rows if r["image_id"] in sides),
    ]
    return "".join(f"{line}\n" for line in lines).encode()


GOLDEN = {  # SHA-256 of the csv, computed by `by_hand`
    ("prompt", (8, 1, 1), 1): "f1683ff27cbe02bdef6cb14869d228219b45c675ec36110b55bfd17293b9752a",
    ("random", (4, 1), 7): "c4beff2c03e4ecf2a6a51d9dbf7412e9ac9596caa75ca722b7b5c2871a25818c",
    ("generator", (8, 1, 1), 3): "a7625180e2d9f368ea868681400f6f140f2b2daee12c9504a2442783d6f9806c",
}


@pytest.mark.parametrize(("by", "ratio", "seed"), GOLDEN)
def test_the_same_bytes_as_by_hand_and_as_ever(by: str, ratio: tuple[int, ...], seed: int) -> None:
    rows = world(400, 60)
    parts = ("train", "val", "test") if len(ratio) == 3 else ("train", "test")
    expected = table(rows, by_hand(rows, by, ratio, seed, 1), parts)
    assert hashlib.sha256(expected).hexdigest() == GOLDEN[by, ratio, seed]
    made = make(rows, Recipe(by, ratio, seed))
    assert csv_of(made, [r["image_id"] for r in rows]) == expected


def test_repeats_are_those_by_hand() -> None:
    rows = world(150, 30, seed=5)
    made = make(rows, Recipe("prompt", (7, 1, 2), 4, repeats=3))
    assert [partition.name for partition in made] == ["repeat-1", "repeat-2", "repeat-3"]
    for repeat, partition in enumerate(made, 1):
        sides = by_hand(rows, "prompt", (7, 1, 2), 4, repeat)
        assert partition.parts == {image: ("train", "val", "test")[part] for image, part in sides.items()}


def test_real_labels_as_by_hand(shared: Any) -> None:
    """AGIQA-3K from its table, without the program: prompts, generators and scores are those of the columns."""
    with (shared / "data/agiqa3k/data.csv").open(newline="", encoding="utf-8") as stream:
        published = list(csv.DictReader(stream))
    rows = [
        row(
            0,
            image_id=each["name"],
            prompt_id=each["prompt"],
            generator=each["name"].split("_")[0],
            setting=each["name"].split("_")[1],
            score_quality=f"{float(each['mos_quality']) / 5:.6f}",
            score_alignment=f"{float(each['mos_align']) / 5:.6f}",
        )
        for each in published
    ]
    (made,) = make(rows, Recipe("prompt", (8, 1, 1), 1))
    sides = by_hand(rows, "prompt", (8, 1, 1), 1, 1)
    assert made.parts == {image: ("train", "val", "test")[part] for image, part in sides.items()}
    assert len(made.parts) == 2982


def others() -> list[str]:
    """Interpreters besides this one: those of AIGIQA_PYTHONS (path-separated), else python3.11 and later on PATH."""
    named = os.environ.get("AIGIQA_PYTHONS", "")
    if named:
        return named.split(os.pathsep)
    words = (f"python3.{minor}" for minor in range(11, 20) if minor != sys.version_info.minor)
    return [path for word in words if (path := shutil.which(word))]


ELSEWHERE = """
import hashlib, json, sys
from aigiqa_cli.partitions import Recipe, csv_of, make
rows, recipes = json.load(sys.stdin)
for by, ratio, seed in recipes:
    made = make(rows, Recipe(by, tuple(ratio), seed))
    print(hashlib.sha256(csv_of(made, [row["image_id"] for row in rows])).hexdigest())
"""


def digests(python: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the package makes of the recipes of GOLDEN in another process."""
    return subprocess.run(
        [python, "-c", ELSEWHERE], input=json.dumps([world(400, 60), list(GOLDEN)]), capture_output=True, text=True,
        env=dict(os.environ) | environment, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_no_hash_seed_matters(hash_seed: str) -> None:
    done = digests(sys.executable, PYTHONHASHSEED=hash_seed, PYTHONPATH=IMPORT_PATH)
    assert done.stdout.split() == list(GOLDEN.values()), done.stderr


@pytest.mark.parametrize("python", others() or [""])
def test_no_version_of_python_matters(python: str) -> None:
    if not python:
        pytest.skip("no other interpreter is on PATH (name some in AIGIQA_PYTHONS)")
    done = digests(python, PYTHONPATH=str(REPOSITORY))
    if "ModuleNotFoundError" in done.stderr or "command not found" in done.stderr:
        pytest.skip(f"{python} cannot import the package: {done.stderr.strip().splitlines()[-1]}")
    assert done.stdout.split() == list(GOLDEN.values()), done.stderr


# --- what every made split must be -------------------------------------------------------------------------------

few = st.integers(0, 5).map(str)
scores = st.one_of(st.just(""), st.integers(0, 1_000_000).map(lambda n: f"{n / 1_000_000:.6f}"))
rows_of_any_kind = st.lists(
    st.tuples(
        st.one_of(st.just(""), few), few, st.sampled_from(["", "x"]), st.one_of(st.just(""), few), scores, scores
    ),
    min_size=1,
    max_size=40,
).map(
    lambda drawn: [
        row(n, prompt_id=p, generator=g, setting=s, sha256=h, score_quality=q, score_alignment=a, reference_path=p)
        for n, (p, g, s, h, q, a) in enumerate(drawn)
    ]
)


@settings(max_examples=150, deadline=None)
@given(rows_of_any_kind, st.sampled_from(sorted(BY)), st.sampled_from(RATIOS), st.integers(0, 10**9), st.randoms())
def test_every_split_is_a_partition_that_keeps_groups_together(
    rows: list[Row], by: str, ratio: tuple[int, ...], seed: int, chance: random.Random
) -> None:
    kept = labelled(rows)
    recipe = Recipe(by, ratio, seed)
    (made,) = make(rows, recipe)
    listed = [image for images in made.sides.values() for image in images]
    assert sorted(listed) == sorted(r["image_id"] for r in kept), "every image with a score, each once"
    part = made.parts
    for field in (BY[by], "sha256"):
        sides = defaultdict(set)
        for each in kept:
            if field and each[field]:
                sides[each[field]].add(part[each["image_id"]])
        assert all(len(found) == 1 for found in sides.values()), field
    largest = max((len(group.images) for group in groups(kept, by)), default=0)
    share = [Fraction(len(kept) * weight, sum(ratio)) for weight in ratio]
    away = [abs(len(made.sides.get(name, ())) - its) for name, its in zip(recipe.parts, share, strict=True)]
    count = len(groups(kept, by))
    assert all(made.sides.get(name) for name in recipe.parts) or count < len(ratio), "no part is empty without need"
    assert max(away) <= largest or largest > 2 * min(share)
    assert max(away) <= (len(ratio) - 1) * largest
    chance.shuffle(rows)
    assert make(rows, recipe)[0].parts == part, "the order of the rows does not matter"


@settings(max_examples=60, deadline=None)
@given(rows_of_any_kind, st.integers(2, 5), st.integers(0, 1000))
def test_folds_test_every_image_once(rows: list[Row], folds: int, seed: int) -> None:
    made = make(rows, Recipe("prompt", seed=seed, folds=folds))
    assert [partition.name for partition in made] == [f"fold-{number}" for number in range(1, folds + 1)]
    tested = Counter(image for partition in made for image in partition.sides.get("test", ()))
    images = {r["image_id"] for r in labelled(rows)}
    assert tested == Counter(images)
    for partition in made:
        assert set(partition.parts) == images
        sides = [{r["prompt_id"] for r in rows if partition.parts.get(r["image_id"]) == s} for s in ("train", "test")]
        assert not (sides[0] & sides[1]) - {""}


def test_leave_one_generator_out() -> None:
    rows = world(60, 10)
    twin = row(60, generator="b", prompt_id="p1", score_quality="0.5", sha256="same")
    rows += [twin, row(61, generator="a", prompt_id="p2", score_quality="0.5", sha256="same")]
    made = {partition.name: partition for partition in make(rows, Recipe(leave_one_out="generator"))}
    assert sorted(made) == ["a", "b", "c", "d"]
    for generator, partition in made.items():
        assert set(partition.sides["test"]) == {r["image_id"] for r in rows if r["generator"] == generator}
        others = {r["image_id"] for r in rows if r["generator"] != generator}
        twins = {"a": "image-0060.png", "b": "image-0061.png"}.get(generator)
        assert set(partition.sides["train"]) == others - {twins}, "the bytes of a test image are not trained on"


def test_other_seeds_and_repeats_are_other_splits() -> None:
    rows = world(400, 60)
    found = {csv_of(make(rows, Recipe(seed=seed)), [r["image_id"] for r in rows]) for seed in range(20)}
    assert len(found) == 20
    ten, three = (make(rows, Recipe(seed=9, repeats=n)) for n in (10, 3))
    assert len({tuple(sorted(partition.parts.items())) for partition in ten}) == 10
    assert [p.sides for p in three] == [p.sides for p in ten[:3]], "more repeats leave the first ones as they are"


def test_generators_and_scores_are_spread() -> None:
    """Against a plain shuffle of the same groups: means and generators of the parts are much nearer to one another."""
    rows = world(1200, 240, seed=2)
    mos = {r["image_id"]: float(r["mos_quality"]) for r in rows}
    generator = {r["image_id"]: r["generator"] for r in rows}

    def spread(sides: list[set[str]]) -> tuple[float, float]:
        """Largest difference of the means, and of the shares of a generator, between two parts."""
        means = [sum(mos[i] for i in side) / len(side) for side in sides]
        shares = [[sum(generator[i] == g for i in side) / len(side) for side in sides] for g in "abcd"]
        return max(means) - min(means), max(max(share) - min(share) for share in shares)

    made = [spread([set(s) for s in p.sides.values()]) for p in make(rows, Recipe(seed=0, repeats=20))]
    prompts = sorted({r["prompt_id"] for r in rows})
    plain = []
    for seed in range(20):
        order = random.Random(seed).sample(prompts, len(prompts))
        cut = (int(0.8 * len(order)), int(0.9 * len(order)))
        blocks = [set(order[: cut[0]]), set(order[cut[0] : cut[1]]), set(order[cut[1] :])]
        plain.append(spread([{r["image_id"] for r in rows if r["prompt_id"] in block} for block in blocks]))
    for measure in (0, 1):
        assert sum(each[measure] for each in made) < sum(each[measure] for each in plain) / 2


def test_the_table_is_plain_csv() -> None:
    rows = [row(n, image_id=f'a "{n}", b.png', prompt_id=str(n), score_quality="0.5") for n in range(4)]
    data = csv_of(make(rows, Recipe(ratio=(1, 1))), [r["image_id"] for r in rows])
    assert data.endswith(b"\n")
    assert b"\r" not in data
    read = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    assert read[0] == ["image_id", "split"]
    assert [cells[0] for cells in read[1:]] == [r["image_id"] for r in rows]
