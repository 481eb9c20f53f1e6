"""score: any metric on the images of a database or a folder, as predictions that `evaluate` takes."""

from __future__ import annotations

import csv
import io
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigiqa_cli import __version__
from aigiqa_cli.context import Context
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.exports.whole import refuse_impossible, whole_target
from aigiqa_cli.scoring import About, Item, Measured, Wanted, chosen, run
from aigiqa_cli.scoring.contract import LOWER
from aigiqa_cli.scoring.gathering import demand_references, of_database, of_folder
from aigiqa_cli.scoring.running import refuse_gaps
from aigiqa_cli.selecting import name_meant
from aigiqa_cli.states import present
from aigiqa_cli.store.scores import Forgetful, Ledger, ScoreLedger

IMAGE = "image_id"


@dataclass(frozen=True)
class Request:
    """`target` None: the answer is text for stdout. `fresh`: what an earlier run kept is not used."""

    wanted: Wanted
    where: str = ""
    split: str = ""
    batch: int = 32
    target: Path | None = None
    allow_missing: bool = False
    fresh: bool = False


@dataclass(frozen=True)
class Scored:
    """One column for each metric. `finish` forgets what was kept: to be called when the answer was given."""

    source: str
    database: str
    request: Request
    items: tuple[Item, ...]
    absent: tuple[str, ...]
    about: dict[str, About]
    measured: dict[str, Measured]
    ledgers: tuple[Ledger, ...]

    @property
    def names(self) -> list[str]:
        return [item.image_id for item in self.items]

    def to_csv(self) -> str:
        """`image_id` and one column a metric; a cell without a score is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([IMAGE, *self.measured])
        writer.writerows(
            [name, *(repr(one.scores[name]) if name in one.scores else "" for one in self.measured.values())]
            for name in self.names
        )
        return text.getvalue()

    def as_json(self) -> dict[str, Any]:
        metrics = [
            {
                "column": column,
                **about.as_json(),
                "scored": len(self.measured[column].scores),
                "reused": self.measured[column].reused,
                "missing": self.measured[column].reasons,
            }
            for column, about in self.about.items()
        ]
        told: dict[str, Any] = {
            "source": self.source,
            "database": self.database or None,
            "images": len(self.items),
            "absent": len(self.absent),
            "metrics": metrics,
            "path": str(self.request.target.absolute()) if self.request.target else None,
        }
        if self.request.target is None:
            told["scores"] = [
                {IMAGE: name} | {column: one.scores.get(name) for column, one in self.measured.items()}
                for name in self.names
            ]
        return told

    def notes(self) -> list[str]:
        """What is to be known of the scores, and the next step."""
        notes = []
        for column, one in self.measured.items():
            if one.reused:
                notes.append(f"{column}: {one.reused:,} scores were there from a run that was broken off")
            if one.reasons:
                notes.append(f"{column}: {len(one.reasons):,} images have no score: {', '.join(list(one.reasons)[:3])}")
            if self.about[column].better == LOWER:
                notes.append(f"{column}: lower is better, so a good one has a negative SRCC and PLCC")
        if self.absent:
            notes.append(f"{len(self.absent):,} selected images are not here and have no score")
        if self.database:
            notes.append(f"next: {self.next_command()}")
        return notes

    def next_command(self) -> str:
        target = self.request.target
        words = ["aigiqa", "evaluate", self.database, str(target) if target else "-"]
        words += ["--split", self.request.split] if self.request.split else []
        partly = self.absent or self.request.where
        words += ["--allow-missing"] if partly or any(one.reasons for one in self.measured.values()) else []
        return ("… | " if target is None else "") + shlex.join(words)

    def finish(self) -> None:
        for ledger in self.ledgers:
            ledger.discard()  # before it is closed: who waits for its lock begins a new one
            ledger.close()


def score(context: Context, word: str, request: Request) -> Scored:
    """Score the images that `word` (a database or a folder) stands for, and write them where a target is named.

    What is scored survives a kill: the same request goes on. Raises UsageFault before the first image for what can
    never be scored, RefusedInput for a metric that fails or an image without a score.
    """
    if request.target is not None:
        refuse_impossible(request.target)
    metrics = chosen(request.wanted)
    source, database, items, absent = _gathered(context, word, request)
    for metric in metrics.values():
        if metric.about.needs_reference:
            demand_references(metric.about.name, items)
    ledgers: list[Ledger] = []
    measured: dict[str, Measured] = {}
    try:
        for column, metric in metrics.items():
            identity = {
                "aigiqa": __version__,
                "metric": dict(metric.identity),
                "source": source,
                "where": request.where,
                "split": request.split,
            }
            ledgers.append(_ledger(context, identity, fresh=request.fresh))
            measured[column] = run(metric, items, ledgers[-1], request.batch, context.reporter)
            if not request.allow_missing:
                refuse_gaps(column, measured[column])
    except BaseException:
        for ledger in ledgers:
            ledger.close()
        raise
    about = {column: metric.about for column, metric in metrics.items()}
    done = Scored(source, database, request, tuple(items), tuple(absent), about, measured, tuple(ledgers))
    if request.target is not None:
        with whole_target(request.target) as stream:
            stream.write(done.to_csv().encode())
        done.finish()
    return done


def _gathered(context: Context, word: str, request: Request) -> tuple[str, str, Sequence[Item], Sequence[str]]:
    """(source, database or "", images, names of those that are not here)."""
    folder = Path(word).expanduser()
    try:
        name = name_meant(context, word)
    except UsageFault:
        if not folder.is_dir():
            raise
        if request.where or request.split:
            raise UsageFault(
                "--where and --split choose from a database, and this is a folder", hint="leave them out", phase="PLAN"
            ) from None
        return str(folder.absolute()), "", of_folder(folder, context.reporter), ()
    record = present(context.root, name)
    items, absent = of_database(context.root, record, request.where, request.split)
    return name, name, items, absent


def _ledger(context: Context, identity: Mapping[str, object], *, fresh: bool) -> Ledger:
    """Below the root; in memory where the root is one that we may only read."""
    here = context.root.path
    if here.is_dir() and not os.access(here, os.W_OK | os.X_OK):
        context.reporter.note(f"{here} cannot be written: a run that is broken off will begin anew")
        return Forgetful()
    context.root.prepare()
    return ScoreLedger(context.root, identity, fresh=fresh)
