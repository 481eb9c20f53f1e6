"""Score what is not scored yet, batch by batch; each batch is kept before the next begins."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import Finding, IntegrityFault, RefusedInput
from aigiqa_cli.reporting import Reporter
from aigiqa_cli.scoring.contract import MAX_LISTED, Item, Metric, Score, Streaming, failed, span
from aigiqa_cli.store.scores import Ledger

KEEP_SECONDS = 1.0


@dataclass
class Measured:
    """`scores[image_id]`; `reasons` why an image has none; `reused` scores of a run that was broken off."""

    scores: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    reused: int = 0


def run(metric: Metric, items: Sequence[Item], kept: Ledger, batch: int, reporter: Reporter) -> Measured:
    """The scores of all items. What a batch has is kept even where one of its images has no score.

    Raises RefusedInput where a batch fails or the first has no score at all, IntegrityFault for an image that is not as
    it was installed.
    """
    done = Measured({item.image_id: kept.scores[item.key] for item in items if item.key in kept.scores})
    done.reused = len(done.scores)
    open_items = [item for item in items if item.image_id not in done.scores]
    reporter.phase(f"scoring with {metric.about.name}", total=len(items), unit="images", done=done.reused)
    for group in _groups(open_items, batch):
        _demand_unchanged(group)
        scores = _scored(metric, group, kept)
        found = {item.key: score for item, score in zip(group, scores, strict=True) if not isinstance(score, str)}
        kept.add({key: score for key, score in found.items() if key not in kept.scores})
        if not (found or done.scores) and len(group) > 1:  # it will not be better with the other images
            raise failed(metric.about.name, group, next(score for score in scores if isinstance(score, str)))
        for item, score in zip(group, scores, strict=True):
            if isinstance(score, str):
                done.reasons[item.image_id] = score
            else:
                done.scores[item.image_id] = score
        reporter.advance(len(group))
    return done


def refuse_gaps(metric: str, done: Measured) -> None:
    """Raise RefusedInput, naming the images, unless every image has a score."""
    if not done.reasons:
        return
    names = list(done.reasons)
    first = done.reasons[names[0]]
    findings = [Finding("", name, why, "a finite number", "") for name, why in list(done.reasons.items())[:MAX_LISTED]]
    raise RefusedInput(
        f"{metric} has no score for {span(names)}: {first}",
        hint="--allow-missing leaves the cells of such images empty; what is scored is kept for the next run",
        phase="SCORE",
        findings=findings,
    )


def _scored(metric: Metric, group: Sequence[Item], kept: Ledger) -> list[Score]:
    """The scores of a batch; what is certain before its end is kept within a second, or when the batch breaks off."""
    if not isinstance(metric, Streaming):
        return metric.score(group)
    certain: dict[str, float] = {}
    last = time.monotonic()

    def keep(item: Item, score: float) -> None:
        nonlocal last
        certain[item.key] = score
        if time.monotonic() - last >= KEEP_SECONDS:
            flush()
            last = time.monotonic()

    def flush() -> None:
        kept.add(certain)
        certain.clear()

    try:
        return metric.stream(group, keep)
    finally:
        flush()


def _groups(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _demand_unchanged(items: Sequence[Item]) -> None:
    """A score belongs to the bytes that are on record; other bytes get none."""
    for item in items:
        for path, expected in ((item.path, item.sha256), (item.reference, item.reference_sha256)):
            if path is None or not expected:
                continue
            try:
                found = sha256_file(path)[0]
            except FileNotFoundError:
                found = ""
            if found != expected:
                raise IntegrityFault(
                    f"{path} is {'not as it was' if found else 'gone'}",
                    hint="aigiqa verify --repair, or run the same command again for a folder of yours",
                    fault="S10",
                    phase="SCORE",
                    findings=[Finding("", str(path), "changed" if found else "missing", expected, found)],
                )
