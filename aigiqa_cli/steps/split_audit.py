"""split audit: what the sides of a split have in common, within a database and across databases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from aigiqa_cli.context import Context
from aigiqa_cli.errors import Fault, Finding, IntegrityFault, RefusedInput, UsageFault
from aigiqa_cli.partitions import (
    Audited,
    Partition,
    Side,
    Verdict,
    audit_sides,
    judge_family,
    load,
    percent_in_words,
    worst,
)
from aigiqa_cli.partitions.auditing import across
from aigiqa_cli.partitions.given import Given, assigned, divisions, lists, named_sides
from aigiqa_cli.partitions.near import difference_hash
from aigiqa_cli.partitions.opened import Opened, opened
from aigiqa_cli.store import installed_ids

LISTS = (".csv", ".tsv", ".txt", ".json", ".jsonl")  # how files are called that a word may mean
THREADS = 2  # decoding releases the interpreter's lock


@dataclass(frozen=True)
class Question:
    """What to audit. `words`: files, or a database and a split of it or files; `against`: other databases; `near`:
    compare pictures too, where they are here."""

    words: tuple[str, ...]
    database: str = ""
    against: tuple[str, ...] = ()
    near: bool = True


@dataclass
class Audit:
    """What was found. `unknown` are rows of files that name no image; they are in no side."""

    databases: list[str] = field(default_factory=list)
    files: list[Given] = field(default_factory=list)
    splits: list[Audited] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        return judge_family(self.splits)

    @property
    def unknown(self) -> list[Finding]:
        return [finding for given in self.files for finding in given.listing.unknown]

    def as_json(self) -> dict[str, Any]:
        """`overlap` is that of the main pair (train and test, else train and val, else the first); of several folds,
        and across databases, for each kind that of the pair where most images are touched (`split`, `a`, `b`)."""
        overlaps = {
            kind: pair.overlap[kind].as_json() | {"split": name, "a": pair.a, "b": pair.b}
            for kind, (name, pair) in worst(self.splits).items()
        }
        return {
            "databases": self.databases,
            "files": [given.as_json() for given in self.files],
            "label": self.verdict.label,
            "verdict": self.verdict.text,
            "overlap": overlaps,
            "pairs": [{"split": each.name} | pair.as_json() for each in self.splits for pair in each.pairs],
            "splits": [
                {"name": s.name, "label": s.verdict.label, "verdict": s.verdict.text, "parts": s.counts}
                for s in self.splits
            ],
        }

    def fault(self, fail_on: Sequence[str]) -> Fault | None:
        """Why this is not good: names that are no images (5), leaks of a kind that is asked for (4)."""
        leaks = list(self._leaks(fail_on))
        if unknown := self.unknown:
            first = unknown[0]
            more = f" and {len(unknown) - 1} more rows" if len(unknown) > 1 else ""
            return RefusedInput(
                f"{first.path}{more}: {first.found!r} is no image of {first.database}",
                hint="the numbers are those of the other rows; is it a list of another database? --database DB",
                phase="CHECK",
                findings=(*unknown, *leaks),
            )
        if not leaks:
            return None
        kinds = ", ".join(dict.fromkeys(finding.problem.partition(":")[0] for finding in leaks))
        return IntegrityFault(
            f"the sides have in common: {kinds}",
            hint="a split that keeps prompts apart: aigiqa split make DB --by prompt",
            phase="CHECK",
            findings=leaks,
        )

    def _leaks(self, fail_on: Sequence[str]) -> Iterable[Finding]:
        for each in self.splits:
            for pair in each.pairs:
                for kind in fail_on:
                    found = pair.overlap[kind]
                    if found.rows_b:
                        count = f"{found.rows_b} of {pair.images_b} ({percent_in_words(found)})"
                        problem = f"{kind}: images of {pair.b} have it in common with {pair.a}"
                        yield Finding(", ".join(self.databases), each.name, problem, "none", count)


def refuse_unmeasured(found: Audit, fail_on: Sequence[str]) -> None:
    """What is to fail on a leak must be measured. Raises UsageFault where it could not be."""
    for each in found.splits:
        for pair in each.pairs:
            for kind in fail_on:
                if pair.overlap[kind].shared is None:
                    raise UsageFault(
                        f"--fail-on {kind} cannot be answered: {pair.overlap[kind].why}",
                        hint=" or ".join(f"aigiqa fetch {name}" for name in found.databases),
                        phase="PLAN",
                    )


def split_audit(context: Context, question: Question) -> Audit:
    """Audit. Raises UsageFault for words that mean nothing, RefusedInput for files that name no image at all."""
    against = [opened(context.root, name) for name in question.against]
    files = [given for word in question.words if (given := lists(word))]
    words = [word for word in question.words if lists(word) is None]
    if len(words) > 1 + (not files) or (words and question.words[0] != words[0]):
        _no_such_file(words[-1])
    name = question.database or (_database(context, words[0]) if words else "")
    if files:
        return _of_files(context, question, files, name, against)
    if not name:
        raise UsageFault("nothing to audit", hint="aigiqa split audit DB SPLIT, or A.csv B.csv", phase="PLAN")
    here = opened(context.root, name)
    _refuse_itself(here.id, against)
    split = words[1] if len(words) > 1 else ""
    if not split and not against:
        raise UsageFault(
            "which split?",
            hint=f"one of: {', '.join(sorted(here.record.splits)) or 'none is here'}; or --against DB",
            database=here.id,
            phase="PLAN",
        )
    partitions = load(context.root, here.record, split) if split else [Partition(here.id, {here.id: tuple(here.order)})]
    divided = [(partition, [here] * len(partition.sides)) for partition in partitions]
    return _compared(context, question, Audit(_ids([here, *against])), divided, against)


def _database(context: Context, word: str) -> str:
    entry = context.catalogue.find(word)
    if entry is None and word not in installed_ids(context.root):
        if "/" in word or Path(word).suffix in LISTS:
            _no_such_file(word)
        raise context.catalogue.unknown(word)
    return entry.id if entry else word


def _no_such_file(word: str) -> NoReturn:
    raise UsageFault(f"there is no file {word!r}", hint="aigiqa split audit DB SPLIT, or A.csv B.csv", phase="PLAN")


def _of_files(context: Context, question: Question, files: list[Path], name: str, against: list[Opened]) -> Audit:
    known = [opened(context.root, name)] if name else [opened(context.root, i) for i in installed_ids(context.root)]
    if not known:
        raise UsageFault("nothing is installed", hint="aigiqa list shows what can be fetched", phase="PLAN")
    given = assigned(files, known, context.catalogue)
    for each in given:
        _refuse_itself(each.database.id, against)
    found = Audit(_ids([*(each.database for each in given), *against]), given)
    if len(given) > 1:
        sides = named_sides(given)
        divided = [(Partition(" and ".join(sides), sides), [each.database for each in given])]
        return _compared(context, question, found, divided, against)
    single = divisions(given[0], whole=bool(against))
    divided = [(partition, [given[0].database] * len(partition.sides)) for partition in single]
    return _compared(context, question, found, divided, against)


def _ids(used: Iterable[Opened]) -> list[str]:
    return list(dict.fromkeys(each.id for each in used))


def _refuse_itself(name: str, against: list[Opened]) -> None:
    """A part of a database is in that database: a leak that says nothing."""
    if name in {each.id for each in against}:
        raise UsageFault(
            f"--against {name} compares {name} with itself",
            hint="leave it out: the sides of a split are compared with one another",
            database=name,
            phase="PLAN",
        )


def _compared(
    context: Context,
    question: Question,
    found: Audit,
    divided: Sequence[tuple[Partition, list[Opened]]],
    against: list[Opened],
) -> Audit:
    """Every partition, whose sides come each from its own database; with other databases only across."""
    sides = [
        [
            Side(part, [base.by_id[image] for image in images], base.references)
            for (part, images), base in zip(partition.sides.items(), bases, strict=True)
        ]
        for partition, bases in divided
    ]
    others = [Side(base.id, list(base.rows), base.references) for base in against]
    hashes = _hashes(context, [*others, *(side for each in sides for side in each)]) if question.near else None
    others = [replace(side, hashes=hashes) for side in others]
    for (partition, _), each in zip(divided, sides, strict=True):
        ready = [replace(side, hashes=hashes) for side in each]
        found.splits.append(across(partition.name, ready, others) if others else audit_sides(partition.name, ready))
    return found


def _hashes(context: Context, sides: Sequence[Side]) -> dict[str, int]:
    """The perceptual hash of every image that is here, by image_path."""
    paths = list(dict.fromkeys(row["image_path"] for side in sides for row in side.rows if row["image_path"]))
    if not paths:
        return {}
    context.reporter.phase("looking at images", total=len(paths), unit="images")

    def look(path: str) -> int | None:
        value = difference_hash(context.root.path / path)
        context.reporter.advance()
        return value

    with ThreadPoolExecutor(THREADS) as pool:
        values = list(pool.map(look, paths))
    return {path: value for path, value in zip(paths, values, strict=True) if value is not None}
