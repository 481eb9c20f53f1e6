"""What differs, for a person at a terminal: sums first, then the first few of each kind. In a pipe one record a
difference, and none where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from aigiqa_cli.cli.page import Page
from aigiqa_cli.cli.statistics.bars import STYLES, number, show_grid, styled
from aigiqa_cli.cli.terminal import Column, Terminal
from aigiqa_cli.index import COLUMNS

if TYPE_CHECKING:
    from rich.text import Text

    from aigiqa_cli.describing.differences import Change, Differences, ScoreChanges
    from aigiqa_cli.steps.compare import Comparison, Side

FEW = 5  # examples of a kind
NAMES = 10  # cells of "generators"
Record = tuple[str, str, str, str, str]


def write(terminal: Terminal, found: Differences) -> None:
    """kind, what, name, value in the first, value in the second. Of two databases what is in both."""
    for record in (*_shared(found), *_changed(found)):
        terminal.record(*record)


def _shared(found: Differences) -> Iterator[Record]:
    if found.pairing.by == "sha256":
        yield from (("image", "shared", a["image_id"], a["image_id"], b["image_id"]) for a, b in found.pairing.pairs)
        yield from (("prompt", "shared", key, text, text) for key, text in found.prompts.shared.items())


def _changed(found: Differences) -> Iterator[Record]:
    pairing, prompts = found.pairing, found.prompts
    if pairing.by == "image_id":
        yield from (("image", "renamed", a["image_id"], a["image_id"], b["image_id"]) for a, b in pairing.renamed)
        yield from (("image", "removed", row["image_id"], "", "") for row in pairing.removed)
        yield from (("image", "added", row["image_id"], "", "") for row in pairing.added)
        yield from (("prompt", "removed", key, text, "") for key, text in prompts.removed.items())
        yield from (("prompt", "added", key, "", text) for key, text in prompts.added.items())
    for one in found.scores:
        yield from _changes("score", one.dimension, one.changed)
        yield from (("score", f"{one.dimension} appeared", image, "", "") for image in one.appeared)
        yield from (("score", f"{one.dimension} vanished", image, "", "") for image in one.vanished)
    for column, changes in found.cells.items():
        yield from _changes("cell", column, changes)
    yield from _changes("file", "sha256", found.files)
    yield from (("generator", "images", name, str(a), str(b)) for name, (a, b) in found.generators.items() if a != b)


def _changes(kind: str, what: str, changes: Iterable[Change]) -> Iterator[Record]:
    yield from ((kind, what, change.image_id, change.a, change.b) for change in changes)


def show(terminal: Terminal, done: Comparison) -> None:
    page, found = Page(terminal, widest=None), done.found
    page.heading(
        "compared by name" if found.pairing.by == "image_id" else "two databases, compared by bytes and prompts"
    )
    for letter, side in (("a", done.a), ("b", done.b)):
        page.named(letter, [(side.source, "bold"), (f"   {_about(side)}", "")], room=1)
    page.blank()
    _images(page, found)
    missing = [column for column in COLUMNS if column not in found.columns]
    page.named("columns", [(f"{', '.join(found.columns)}: only these are in both" if missing else "", "")], room=NAMES)
    page.named("files", [(_files(found), "yellow" if found.files else "")], room=NAMES)
    if "prompt_id" in found.columns:
        _prompts(page, found)
    if "generator" in found.columns:
        page.named("generators", [(_generators(found), "")], room=NAMES)
    if any(one.n for one in found.scores):
        _scores(page, found.scores)
    _examples(page, found)
    verdict = ("the same images with the same values", "green") if found.same else ("they differ", "yellow")
    page.blank()
    page.text(verdict[0], 2, verdict[1])


def _about(side: Side) -> str:
    record = side.record
    told = [f"{len(side.rows):,} images"]
    told += [record.state, f"manifest version {record.manifest_version}"] if record else [", ".join(side.databases)]
    return " · ".join([*filter(None, told), f"sha256 {side.sha256[:12]}"])


def _images(page: Page, found: Differences) -> None:
    pairing = found.pairing
    counts = ((pairing.renamed, "renamed"), (pairing.removed, "only in a"), (pairing.added, "only in b"))
    told = [f"{len(rows):,} {what}" for rows, what in counts if rows]
    page.named("images", [(" · ".join([f"{len(pairing.pairs):,} in both", *told]), "")], room=NAMES)


def _files(found: Differences) -> str:
    if not found.files_compared:
        a, b = found.hashed
        return "not compared: the images are not here" + (f" ({'a' if not a else 'b'})" if a or b else "")
    if found.pairing.by == "sha256":
        return ""
    return f"{len(found.files):,} of {found.files_compared:,} have other bytes"


def _prompts(page: Page, found: Differences) -> None:
    prompts = found.prompts
    told = [f"{len(prompts.shared):,} in both"]
    told[0] += f" (of {prompts.images[0]:,} and {prompts.images[1]:,} images)" if prompts.shared else ""
    told += [
        f"{len(texts):,} {what}"
        for texts, what in ((prompts.removed, "only in a"), (prompts.added, "only in b"))
        if texts
    ]
    page.named("prompts", [(" · ".join(told), "")], room=NAMES)


def _generators(found: Differences) -> str:
    both = [name for name, counts in found.generators.items() if all(counts)]
    told = [f"{len(both):,} in both"]
    told += [f"{name}\u00a0{a:,}\u00a0→\u00a0{b:,}" for name, (a, b) in found.generators.items() if a != b]
    return " · ".join(told)


def _scores(page: Page, scores: Sequence[ScoreChanges]) -> None:
    """The differences are on the published scale of one database, on 0-1 of two."""
    titles = ("n", "changed", "mean b-a", "mean |b-a|", "max |b-a|", "on 0-1", "SRCC", "PLCC")
    rows: list[list[Text | str]] = []
    for one in scores:
        native, unit = one.native, one.unit
        sizes = [native.mean, native.mean_absolute, native.max_absolute] if native else [None] * 3
        changed = styled((f"{len(one.changed):,}", "yellow" if one.changed else ""))
        values = [*map(_apart, sizes), _apart(unit.mean_absolute if unit else None), number(one.srcc), number(one.plcc)]
        rows.append([styled((one.dimension, f"bold {STYLES[one.dimension]}")), f"{one.n:,}", changed, *values])
    columns = [Column("score"), *(Column(title.replace(" ", "\n", 1), right=True) for title in titles)]
    show_grid(page.console, columns, rows)
    for one in scores:
        told = [
            f"{count:,} {what}"
            for count, what in ((len(one.appeared), "only in b"), (len(one.vanished), "only in a"))
            if count
        ]
        told += [f"{one.respelled:,} with other digits of the same value"] if one.respelled else []
        page.text(f"{one.dimension}: {', '.join(told)}" if told else "", 2, "dim", hang=4)


def _apart(value: float | None) -> str:
    """Three digits, however small: `0.18`, `4.9e-09`."""
    return "-" if value is None else f"{value:.3g}"


def _examples(page: Page, found: Differences) -> None:
    pairing = found.pairing
    if pairing.by == "sha256":
        _few(page, "images in both", [f"{a['image_id']} is {b['image_id']}" for a, b in pairing.pairs])
        _few(page, "prompts in both", list(found.prompts.shared.values()))
        return
    _few(page, "renamed", [f"{a['image_id']} → {b['image_id']}" for a, b in pairing.renamed])
    _few(page, "images only in a", [row["image_id"] for row in pairing.removed])
    _few(page, "images only in b", [row["image_id"] for row in pairing.added])
    for one in found.scores:
        largest = sorted(one.changed, key=lambda change: -abs(float(change.b) - float(change.a)))
        _few(page, f"{one.dimension} changed most", [f"{c.image_id}: {c.a} → {c.b}" for c in largest])
    for column, changes in found.cells.items():
        _few(page, f"{column} changed", [f"{c.image_id}: {c.a or '(empty)'} → {c.b or '(empty)'}" for c in changes])
    _few(page, "other bytes", [change.image_id for change in found.files])


def _few(page: Page, title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    page.blank()
    page.parts([(title, "bold"), (f"   {len(lines):,}", "dim")], 2)
    for line in lines[:FEW]:
        page.text(line, 4, hang=6)
    if len(lines) > FEW:
        page.text(f"and {len(lines) - FEW:,} more: --json has all", 4, "dim")
