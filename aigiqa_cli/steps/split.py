"""split: which splits there are, what they leak, and new ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aigiqa_cli.context import Context
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.index import Row
from aigiqa_cli.partitions import Audited, Partition, Recipe, Verdict, audit, judge_family, load, make, members
from aigiqa_cli.partitions.made import Made
from aigiqa_cli.partitions.making import groups, labelled
from aigiqa_cli.partitions.opened import Opened, opened
from aigiqa_cli.partitions.reached import reached
from aigiqa_cli.states import state_of

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database, Split


@dataclass(frozen=True)
class Listed:
    """A split of the manifest. `kind`: rule, published or described; `folds`: how many are published; `audits`: what is
    here of it, measured; `fetch`: the command that brings what is not here."""

    name: str
    by: str
    official: bool
    kind: str
    folds: int
    note: str
    audits: tuple[Audited, ...]
    verdict: Verdict
    fetch: str

    def as_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("name", "by", "official", "kind", "folds", "note", "fetch")}
        measured = [each.as_json() for each in self.audits]
        return told | {"label": self.verdict.label, "verdict": self.verdict.text, "here": measured}


def listing(context: Context, database: Database) -> list[Listed]:
    """Every split of the manifest; those that are here are measured."""
    here = opened(context.root, database.id) if state_of(context.root, database.id).present else None
    return [_listed(context, database, split, here) for split in database.splits]


def _listed(context: Context, database: Database, split: Split, here: Opened | None) -> Listed:
    kind = "rule" if split.rule else "published" if split.published else "described"
    folds = len({file.fold for file in split.published.files}) if split.published else 1
    found: list[Audited] = []
    if here and members(split.name, here.record.splits):
        partitions = load(context.root, here.record, split.name)
        found = [audit(partition, here.by_id, here.references) for partition in partitions]
    command = f"aigiqa fetch {database.id}{'' if here else ' --labels-only'}{' --splits' if split.published else ''}"
    lacking = kind != "described" and len(found) < folds
    verdict = judge_family(found) if found else _unmeasured(split, kind)
    note = split.note or split.described
    return Listed(
        split.name, split.by, split.official, kind, folds, note, tuple(found), verdict, command if lacking else ""
    )


def _unmeasured(split: Split, kind: str) -> Verdict:
    said = f" (published as by {split.by})" if split.by != "unknown" else ""
    why = "only described, neither rule nor file is public" if kind == "described" else "not here"
    return Verdict("unknown", f"unknown: {why}{said}")


def show(context: Context, name: str, word: str) -> tuple[list[Partition], list[str]]:
    """The split, or the folds, that `word` means, and every image of the database in order."""
    here = opened(context.root, name)
    return load(context.root, here.record, word), here.order


def make_split(context: Context, name: str, recipe: Recipe) -> Made:
    """Make splits of an installed database. Raises UsageFault where the recipe cannot be followed."""
    here = opened(context.root, name)
    rows = labelled(here.rows)
    _refuse(here, rows, recipe)
    found = groups(rows, recipe.by)
    wanted = 1 if recipe.leave_one_out else recipe.folds or len(recipe.parts)
    if len(found) < wanted:
        raise UsageFault(
            f"{name} has {len(found)} groups by {recipe.by}, too few for {wanted} parts",
            hint="fewer parts, such as --ratio 1:1, or another --by",
            database=name,
            phase="PLAN",
        )
    partitions = tuple(make(rows, recipe))
    group_of = {image: group.key for group in found for image in group.images}
    return Made(
        here.id,
        here.record.index_sha256,
        recipe,
        partitions,
        tuple(here.order),
        tuple(reached(partition, here.by_id, group_of, recipe.wanted) for partition in partitions),
        tuple(audit(partition, here.by_id, here.references) for partition in partitions),
        len(here.rows) - len(rows),
    )


def _refuse(here: Opened, rows: Sequence[Row], recipe: Recipe) -> None:
    """What cannot be grouped as asked is not grouped in another way in silence."""
    problem, hint = "", "another --by"
    needs = recipe.leave_one_out or recipe.by
    if not rows:
        problem, hint = f"no image of {here.id} has a score", "labels with scores: aigiqa info " + here.id
    elif needs == "reference" and not any(row["task"] == "i2i" for row in rows):
        problem = f"{here.id} has no reference images"
    elif needs == "reference" and not all(row["reference_path"] for row in rows if row["task"] == "i2i"):
        problem, hint = "the references are known only where the images are", f"aigiqa fetch {here.id}"
    elif needs == "prompt" and not any(row["prompt_id"] for row in rows):
        problem = f"no prompt of {here.id} is known"
    if problem:
        raise UsageFault(problem, hint=hint, database=here.id, phase="PLAN")
