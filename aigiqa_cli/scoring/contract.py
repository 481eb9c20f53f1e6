"""What a metric is given and what it answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Protocol, runtime_checkable

from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.errors import Finding, RefusedInput

HIGHER, LOWER, NEITHER = "higher", "lower", "-"
Score = float | str  # a finite number, or why there is none

MAX_LISTED = 20


@dataclass(frozen=True)
class Item:
    """One image to be scored. `prompt` and `reference` are "" and None where there are none; hashes are SHA-256."""

    image_id: str
    path: Path
    sha256: str
    prompt: str = ""
    reference: Path | None = None
    reference_sha256: str = ""

    @property
    def key(self) -> str:
        """Equal for two items that no metric can tell apart: what a kept score is found by."""
        parts = (self.image_id, self.sha256, self.prompt, self.reference_sha256)
        return sha256_bytes("\0".join(parts).encode(errors="surrogatepass"))


@dataclass(frozen=True)
class About:
    """What is known of a metric. `better`: which values are of better images; `range` and `source` in words."""

    name: str
    what: str
    better: str
    range: str
    source: str
    needs_reference: bool = False
    needs: str = ""  # the extra that it comes with

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "what": self.what,
            "reference": self.needs_reference,
            "better": self.better,
            "range": self.range,
            "source": self.source,
            "needs": self.needs or None,
        }


class Metric(Protocol):
    """`identity` is everything that is known to change its scores: scores of two identities never mix."""

    @property
    def about(self) -> About: ...

    @property
    def identity(self) -> Mapping[str, str]: ...

    def score(self, items: Sequence[Item]) -> list[Score]:
        """One score for each item, in order. Raises RefusedInput where the whole batch has none."""


@runtime_checkable
class Streaming(Metric, Protocol):
    """A metric whose scores can be certain before their batch is done."""

    def stream(self, items: Sequence[Item], keep: Callable[[Item, float], None]) -> list[Score]:
        """As `score`; `keep` hears of each score as soon as nothing that follows can change it."""


def judged(value: object) -> Score:
    """What a function or program answered for one image."""
    if isinstance(value, str | bytes) or value is None:
        return f"{value!r} is no number"
    try:
        number = float(value) if isinstance(value, Real) else float(value.__float__())  # type: ignore[attr-defined]
    except (AttributeError, TypeError, ValueError, RuntimeError, OverflowError):
        return f"a {type(value).__name__} is no number"
    return number if math.isfinite(number) else f"{number} is no finite number"


def failed(metric: str, items: Sequence[Item], why: str, hint: str = "") -> RefusedInput:
    """No score for these images at all."""
    names = [item.image_id for item in items]
    return RefusedInput(
        f"{metric} failed on {span(names)}: {why}",
        hint=hint or "correct the metric; the same command goes on with what is not scored yet",
        phase="SCORE",
        findings=[Finding("", name, "no score", "a score", "") for name in names[:MAX_LISTED]],
    )


def span(names: Sequence[str]) -> str:
    """`a.png`, or `a.png … z.png (32 images)`."""
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]} ({len(names):,} images)"
