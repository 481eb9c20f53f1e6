"""What two sides of a split have in common, and whether that is a leak.

A key (a file name, a hash, a prompt) that stands on both sides is `shared`; the images that carry a shared key are
`rows`. Percent are of all images of a side. Nothing is estimated: where a key is not known it is said so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aigiqa_cli.index import Row
from aigiqa_cli.partitions import near

KINDS = ("image", "bytes", "near", "prompt", "reference", "generator")
LEAKS = KINDS[:-1]  # the same generator on both sides is what most splits want
NEEDED = ("image", "prompt")  # without these nothing is called clean
EXAMPLES = 3
LEAST = 0.1  # percent that is shown as a number
_WORDS = {
    "image": "are also in {a}",
    "bytes": "have the same bytes as an image in {a}",
    "near": "are nearly identical to an image in {a}",
    "prompt": "share a prompt with {a}",
    "reference": "share a reference with {a}",
    "generator": "share a generator with {a}",
}
_THINGS = {kind: kind for kind in KINDS} | {"bytes": "file", "near": "near-identical image"}


@dataclass(frozen=True)
class Side:
    """Images to be compared. `references`: reference_path -> SHA-256 of the file; `hashes`: image_path -> perceptual
    hash (see `near`), None where they were not asked for."""

    name: str
    rows: Sequence[Row]
    references: Mapping[str, str]
    hashes: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Overlap:
    """`shared`: distinct keys on both sides (for `near`: pairs of images). `rows_b`: images of the second side that are
    touched, `percent_b` of all its images; `known_b`: images whose key is known. None where nothing could be compared,
    and `why`. `examples`: (key, an image of the first side, an image of the second)."""

    shared: int | None
    rows_a: int | None = None
    percent_a: float | None = None
    rows_b: int | None = None
    percent_b: float | None = None
    known_a: int = 0
    known_b: int = 0
    why: str = ""
    examples: tuple[tuple[str, str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"examples": [dict(zip(("key", "a", "b"), each, strict=True)) for each in self.examples]}


@dataclass(frozen=True)
class Pair:
    """Two sides and what they share, by kind."""

    a: str
    b: str
    images_a: int
    images_b: int
    overlap: dict[str, Overlap]

    def as_json(self) -> dict[str, Any]:
        overlap = {kind: found.as_json() for kind, found in self.overlap.items()}
        return {"a": self.a, "b": self.b, "images_a": self.images_a, "images_b": self.images_b, "overlap": overlap}


def compare(a: Side, b: Side, kinds: Sequence[str] = KINDS) -> Pair:
    """Compare two sides. Images of different databases have names of their own: the same name counts as the same image,
    as where one database took over the images of another."""
    return Pair(a.name, b.name, len(a.rows), len(b.rows), {kind: _overlap(kind, a, b) for kind in kinds})


def _overlap(kind: str, a: Side, b: Side) -> Overlap:
    if kind == "near":
        return _near(a, b)
    key = _KEYS[kind]
    keys = [[key(row, side) for row in side.rows] for side in (a, b)]
    known = [_known(kind, side, own) for side, own in zip((a, b), keys, strict=True)]
    if not all(known):
        why = "no prompt is known" if kind == "prompt" else "the images are not here"
        return Overlap(None, known_a=known[0], known_b=known[1], why=why)
    both = set(keys[0]) & set(keys[1]) - {""}
    if kind == "bytes" and not both and (why := _why_unknown(a, b, known)):
        return Overlap(None, known_a=known[0], known_b=known[1], why=why)
    touched = [
        [row["image_id"] for row, its in zip(side.rows, own, strict=True) if its in both]
        for side, own in zip((a, b), keys, strict=True)
    ]
    examples = _examples(both, keys, a, b)
    return _counted(touched[0], touched[1], a, b, (known[0], known[1]), examples, len(both))


def _why_unknown(a: Side, b: Side, known: Sequence[int]) -> str:
    """Where nothing is shared as far as is known, nothing is said of images that are not here."""
    images = len(a.rows) + len(b.rows)
    return f"only {sum(known):,} of {images:,} images are here" if sum(known) < images else ""


def _known(kind: str, side: Side, keys: Sequence[str]) -> int:
    """How many images have a known key. A text-to-image row is known to have no reference; where references are known
    at all they are known of all image-to-image rows."""
    if kind != "reference":
        return sum(map(bool, keys))
    lacking = any(row["task"] == "i2i" and not key for row, key in zip(side.rows, keys, strict=True))
    return 0 if lacking else len(keys)


def _counted(
    touched_a: Sequence[str],
    touched_b: Sequence[str],
    a: Side,
    b: Side,
    known: tuple[int, int],
    examples: tuple[tuple[str, str, str], ...],
    shared: int = 0,
) -> Overlap:
    count_a, count_b = len(touched_a), len(touched_b)
    shares = (100 * count_a / len(a.rows), 100 * count_b / len(b.rows))
    return Overlap(shared, count_a, shares[0], count_b, shares[1], known[0], known[1], "", examples)


def _examples(both: set[str], keys: list[list[str]], a: Side, b: Side) -> tuple[tuple[str, str, str], ...]:
    """The first keys in the order of the second side, each with its first image on either side."""
    first = [dict(zip(reversed(own), reversed(side.rows), strict=True)) for own, side in zip(keys, (a, b), strict=True)]
    chosen = [key for key in dict.fromkeys(keys[1]) if key in both][:EXAMPLES]
    return tuple((_shown(key, first[1][key]), first[0][key]["image_id"], first[1][key]["image_id"]) for key in chosen)


def _shown(key: str, row: Row) -> str:
    return row["prompt"] if key == row["prompt_id"] else key


def _near(a: Side, b: Side) -> Overlap:
    if a.hashes is None or b.hashes is None:
        return Overlap(None, why="not asked for")
    hashes = [
        {row["image_id"]: side.hashes[row["image_path"]] for row in side.rows if row["image_path"] in side.hashes}
        for side in (a, b)
        if side.hashes is not None
    ]
    if not all(hashes):
        return Overlap(None, known_a=len(hashes[0]), known_b=len(hashes[1]), why="the images are not here")
    pairs = near.pairs(hashes[0], hashes[1])
    if not pairs and (why := _why_unknown(a, b, [len(hashes[0]), len(hashes[1])])):
        return Overlap(None, known_a=len(hashes[0]), known_b=len(hashes[1]), why=why)
    examples = tuple(
        (f"{distance} of {near.BITS} bits differ", one, other) for one, other, distance in pairs[:EXAMPLES]
    )
    touched = [list(dict.fromkeys(names)) for names in ([pair[0] for pair in pairs], [pair[1] for pair in pairs])]
    return _counted(touched[0], touched[1], a, b, (len(hashes[0]), len(hashes[1])), examples, len(pairs))


def _reference(row: Row, side: Side) -> str:
    path = row["reference_path"]
    return side.references.get(path, path)


_KEYS: dict[str, Callable[[Row, Side], str]] = {
    "image": lambda row, _: row["image_id"],
    "bytes": lambda row, _: row["sha256"],
    "prompt": lambda row, _: row["prompt_id"],
    "reference": _reference,
    "generator": lambda row, _: row["generator"],
}


@dataclass(frozen=True)
class Verdict:
    """`label`: clean, leaky or unknown; `text`: the same as a sentence."""

    label: str
    text: str


def judge(pairs: Sequence[Pair], kinds: Iterable[str] = LEAKS) -> Verdict:
    """A split leaks if any two of its sides share an image, its bytes, its prompt or its reference."""
    kinds = tuple(kinds)
    leaks = [(pair, kind) for pair in pairs for kind in kinds if kind in pair.overlap and _leaks(pair, kind)]
    if leaks:
        return Verdict("leaky", "leaky: " + "; ".join(_phrases(leaks)))
    if not pairs:
        return Verdict("unknown", "unknown: it has one side only")
    measured = [kind for kind in kinds if all(kind in p.overlap and p.overlap[kind].shared is not None for p in pairs)]
    if lacking := [kind for kind in NEEDED if kind not in measured]:
        return Verdict("unknown", f"unknown: the {_listed(lacking)} cannot be compared")
    return Verdict("clean", f"clean: no {_listed([_THINGS[kind] for kind in measured])} is on both sides")


def _leaks(pair: Pair, kind: str) -> bool:
    """Does this kind tell of a leak that `image` has not told of?"""
    rows = pair.overlap[kind].rows_b
    same = kind in ("bytes", "near") and rows == pair.overlap["image"].rows_b
    return bool(rows) and not same


def _phrases(leaks: Sequence[tuple[Pair, str]]) -> list[str]:
    """`100 % of test images share a prompt with train (val: 100 %)`: what leaks from the first side that leaks at all,
    which is train if anything leaks from it; what val and test share as well stands in the table."""
    first = leaks[0][0].a
    found: dict[str, list[Pair]] = {}
    for pair, kind in leaks:
        if pair.a == first:
            found.setdefault(kind, []).append(pair)
    phrases = []
    for kind, pairs in found.items():
        main = next((pair for pair in pairs if pair.b == "test"), pairs[0])
        others = ", ".join(f"{p.b}: {percent_in_words(p.overlap[kind])}" for p in pairs if p is not main)
        text = f"{percent_in_words(main.overlap[kind])} of {main.b} images {_WORDS[kind].format(a=first)}"
        phrases.append(text + (f" ({others})" if others else ""))
    return phrases


def percent_in_words(found: Overlap) -> str:
    """`100 %` and `0 %` are exact; what rounds to them is not shown as them."""
    if found.percent_b is None:
        return "?"
    if found.percent_b in (0, 100):
        return f"{found.percent_b:.0f} %"
    if not LEAST <= found.percent_b <= 100 - LEAST:
        return f"< {LEAST} %" if found.percent_b < LEAST else f"> {100 - LEAST} %"
    return f"{found.percent_b:.1f} %"


def _listed(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
