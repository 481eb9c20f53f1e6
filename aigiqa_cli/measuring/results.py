"""One result: of one model, in one dimension, on one selection or one group of it, with the line that pins it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aigiqa_cli import __version__, signatures
from aigiqa_cli.measuring.selection import Selection
from aigiqa_cli.measuring.values import COEFFICIENTS, FIT, Measured


@dataclass(frozen=True)
class Origin:
    """What all results of one run share: the database, and the SHA-256 and order of its index."""

    database: str
    index_sha256: str
    order: Sequence[str]


@dataclass(frozen=True)
class Group:
    """`key` is what the signature holds, `shown` what people read."""

    by: str
    key: str
    shown: str = ""

    def as_json(self) -> dict[str, str]:
        return {"by": self.by, "key": self.shown or self.key}


@dataclass(frozen=True)
class Cover:
    """Of what a result speaks: the folds that were selected, without the images that have no prediction."""

    selections: tuple[Selection, ...]
    family: str = ""  # what several folds are called together
    missing: int = 0

    @property
    def name(self) -> str:
        return self.family or (self.selections[0].partition.name if self.selections[0].partition else "")

    @property
    def part(self) -> str:
        return self.selections[0].part

    @property
    def label(self) -> str | None:
        return f"{self.name}:{self.part}" if self.name else None

    @property
    def dimension(self) -> str:
        return self.selections[0].dimension

    def digest(self, order: Sequence[str]) -> str:
        """Of the split; of a family the digest of its folds' digests."""
        found = [one.partition.digest(order) for one in self.selections if one.partition]
        return _joined(found)[: signatures.DIGITS]


def _joined(digests: Sequence[str]) -> str:
    if len(digests) < 2:  # noqa: PLR2004 - one is itself
        return "".join(digests)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


@dataclass(frozen=True)
class Result:
    """`scores` are the predictions that were used, fold by fold."""

    origin: Origin
    model: str
    cover: Cover
    measured: Measured
    scores: Sequence[Mapping[str, float]]
    group: Group | None = None
    repeats: dict[str, Any] | None = None
    leak: str | None = None
    fold: bool = field(default=False)  # one of several folds: a result of its own, listed below their mean

    @property
    def pinned(self) -> dict[str, object]:
        """The fields of the signature."""
        values = self.measured.values
        group = self.group if self.group and not self.fold else None
        digests = [signatures.predictions_digest(scores, self.origin.order) for scores in self.scores]
        return {
            "aigiqa": __version__,
            "db": self.origin.database,
            "index": self.origin.index_sha256[: signatures.DIGITS],
            "split": self.cover.name,
            "part": self.cover.part,
            "digest": self.cover.digest(self.origin.order),
            "dim": self.cover.dimension,
            "group": f"{group.by}={group.key}" if group else "",
            "n": self.measured.n,
            "missing": self.cover.missing,
            "fit": FIT,
            "agg": f"mean.{len(self.scores)}" if self.repeats else "none",
            "pred": _joined(digests)[: signatures.DIGITS],
            **{name: values[name] for name in signatures.NUMBERS},
        }

    @property
    def signature(self) -> str:
        return signatures.write(self.pinned)

    def as_json(self) -> dict[str, Any]:
        """The stable form; README says what each key means."""
        measured = self.measured
        return {
            "model": self.model,
            "dimension": self.cover.dimension,
            "split": self.cover.label,
            "group": self.group.as_json() if self.group else None,
            "n": measured.n,
            "prompts": measured.clusters,
            "missing": self.cover.missing,
            "unlabelled": sum(one.unlabelled for one in self.cover.selections),
            **{name: measured.values[name] for name in COEFFICIENTS},
            "fit": FIT,
            "ci95": measured.ci95,
            "within": measured.within,
            "floor": measured.floor,
            "ceiling": measured.ceiling,
            "main": measured.main,
            "compat": measured.compat,
            "repeats": self.repeats,
            "leak": self.leak,
            "reasons": measured.reasons,
            "signature": self.signature,
        }
