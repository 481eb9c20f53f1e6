"""The statistics of databases for a person at a terminal: what is counted, each dimension of the scores with its
histogram, the groups from the best to the worst, and how the dimensions go together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from aigiqa_cli.cli.page import Page, column_widths
from aigiqa_cli.cli.statistics.bars import STYLES, bar, number, show_grid, skyline, styled
from aigiqa_cli.cli.terminal import Column, Terminal, human_bytes

if TYPE_CHECKING:
    from rich.text import Text

    from aigiqa_cli.describing.counts import Counts
    from aigiqa_cli.describing.description import Description, Dimension
    from aigiqa_cli.steps.stats import Group, Statistics

WIDE = 110  # cells from which on n, quartiles and whole histograms have room
NARROW = 78  # cells below which the moments of a dimension are a few short lines
NAMES = 13  # cells of "without score"
LEAST_BAR, MOST_BAR = 6, 24  # cells
MEAN, SPREAD = 6, 7  # cells of "3.626 ", of "±0.422 "


def show(terminal: Terminal, found: Sequence[Statistics]) -> None:
    page = Page(terminal, widest=None)
    for one in found:
        _counts(page, one)
        _dimensions(page, one.whole)
        _correlations(page, one.whole)
        if one.groups:
            _groups(page, one)
    if len(found) > 1:
        _side_by_side(page, found)


def _counts(page: Page, found: Statistics) -> None:
    counts = found.counts
    left = [f"--split {found.split}"] if found.split else []
    left += [f"--where {found.where}"] if found.where else []
    page.heading(found.database, " · ".join([f"{counts.images:,} images", *left]))
    for name, text, style in (
        ("prompts", _prompts(counts), ""),
        ("references", _references(counts), ""),
        ("generators", _listed(counts.generators), ""),
        ("settings", _listed(counts.settings), ""),
        ("tasks", _listed(counts.tasks) if len(counts.tasks) > 1 else "", ""),
        ("splits", _listed(counts.splits), ""),
        ("scores", _listed(counts.labelled), ""),
        ("without score", f"{counts.unlabelled:,}" if counts.unlabelled else "", "yellow"),
        ("files", _files(counts), "" if counts.files else "dim"),
        ("pixels", _listed(counts.sizes, most=8), ""),
        ("flags", _listed({name: n for name, n in counts.flags.items() if name != "no-image"}), "yellow"),
    ):
        page.named(name, [(text, style)], room=NAMES)


def _prompts(counts: Counts) -> str:
    if counts.images_per_prompt is None:
        return ""
    least, middle, most = counts.images_per_prompt
    each = f"{least}" if least == most else f"{least} to {most} (median {middle:g})"
    return f"{counts.prompts:,}, each with {each} images"


def _references(counts: Counts) -> str:
    if counts.references is None:
        return "not known where only labels are"
    return f"{counts.references:,}" if counts.references else ""


def _files(counts: Counts) -> str:
    if not counts.files:
        return "none: only the labels are here"
    some = f"{counts.files:,} of {counts.images:,} · " if counts.files < counts.images else ""
    return f"{some}{human_bytes(counts.bytes)} · {_listed(counts.formats)}"


def _listed(counted: Mapping[str, int], most: int = 40) -> str:
    """`midjourney 592 · glide 300`; the blank inside does not break."""
    shown = [f"{name}\u00a0{count:,}" for name, count in counted.items()]
    more = [f"{len(shown) - most} more"] if len(shown) > most else []
    return " · ".join(shown[:most] + more)


def _dimensions(page: Page, whole: Description) -> None:
    if not whole.dimensions:
        page.text("no image has a score", 2, "yellow")
        return
    wide = page.width >= WIDE
    if page.width < NARROW:
        _cards(page, whole)
        return
    fields = ["n"] if wide else []
    fields += ["mean", "std", "min", *(["25 %"] if wide else []), "median", *(["75 %"] if wide else []), "max", "skew"]
    fields += ["rater std"] if any(one.rater_std for one in whole.dimensions.values()) else []
    columns = [Column("score"), *(Column(title.replace(" std", "\nstd"), right=True) for title in fields)]
    columns += [Column("scale", right=True)] if wide else []
    rows = []
    for name, one in whole.dimensions.items():
        cells: list[Text | str] = [styled((name, f"bold {STYLES[name]}")), *(_field(one, title) for title in fields)]
        cells += [_scale(one)] if wide else []
        rows.append([*cells, styled((skyline(one.histogram.counts, 20 if wide else 10), STYLES[name]))])
    show_grid(page.console, [*columns, Column("distribution" if wide else "")], rows)
    raw = {name: one.raw_rater_std for name, one in whole.dimensions.items() if one.raw_rater_std}
    if raw:
        told = " · ".join(f"{name}\u00a0{found.mean:.3f}" for name, found in raw.items())
        page.text(f"std between raters on the scale of their ratings: {told}", 2, "dim", hang=4)


def _cards(page: Page, whole: Description) -> None:
    for name, one in whole.dimensions.items():
        page.blank()
        page.parts([(name, f"bold {STYLES[name]}"), ("  " + skyline(one.histogram.counts, 10), STYLES[name])], 2, 4)
        titles = ("mean", "std", "min", "median", "max", "skew", *(("rater std",) if one.rater_std else ()))
        page.text(" · ".join(f"{title}\u00a0{_field(one, title)}" for title in titles), 4)
    page.blank()


def _field(one: Dimension, title: str) -> str:
    mos = one.mos
    if title == "n":
        return f"{mos.n:,}"
    values = {"25 %": mos.q1, "75 %": mos.q3, "skew": mos.skewness}
    values["rater std"] = one.rater_std.mean if one.rater_std else None
    return number(values[title] if title in values else getattr(mos, title))


def _scale(one: Dimension) -> str:
    return "-".join(f"{limit:g}" for limit in one.range) if one.range else "?"


def _correlations(page: Page, whole: Description) -> None:
    rows = [
        [
            f"{one.a} - {one.b}",
            *([f"SRCC {number(one.srcc)}", f"PLCC {number(one.plcc)}"] if not one.why else ["", one.why]),
        ]
        for one in whole.correlations
    ]
    if rows:
        page.columns(rows, ["dim", "", ""])


def _groups(page: Page, found: Statistics) -> None:
    """From the highest mean of the first dimension to the lowest; those without a score come last."""
    names = list(found.whole.dimensions)
    groups = sorted(found.groups, key=lambda group: -_mean(group, names[0]) if names else 0)
    keys = [group.shown or "(none)" for group in groups]
    title = ", ".join(found.by)
    key_room = min(column_widths([[title], *([key] for key in keys)])[0], page.width * 2 // 5)
    each = (page.width - 2 - key_room - 8 - 2 * len(names)) // max(1, len(names))
    spread = each >= MEAN + SPREAD + LEAST_BAR * 2
    room = each - MEAN - (SPREAD if spread else 0)
    width = min(MOST_BAR, room) if room >= LEAST_BAR else 0
    columns = [Column(title, wrap=True), Column("images", right=True), *(Column(name) for name in names)]
    rows: list[list[Text | str]] = []
    for key, group in zip(keys, groups, strict=True):
        cells = (_group_cell(found, group, name, width, spread=spread) for name in names)
        rows.append([key, f"{group.description.images:,}", *cells])
    show_grid(page.console, columns, rows)


def _mean(group: Group, name: str) -> float:
    one = group.description.dimensions.get(name)
    return one.mos.mean if one else float("-inf")


def _group_cell(found: Statistics, group: Group, name: str, width: int, *, spread: bool) -> Text:
    one = group.description.dimensions.get(name)
    if one is None:
        return styled(("-", "dim"))
    whole = found.whole.dimensions[name]
    low, high = whole.range or (whole.mos.min, whole.mos.max)
    share = (one.mos.mean - low) / (high - low) if high > low else 1.0
    parts = [(f"{number(one.mos.mean):<{MEAN}}", "")]
    parts += [(f"±{number(one.mos.std):<{SPREAD - 1}}", "dim")] if spread else []
    return styled(*parts, (bar(share, width), STYLES[name]))


def _side_by_side(page: Page, found: Sequence[Statistics]) -> None:
    page.heading("side by side", "scores mapped from each declared scale to 0-1")
    columns = [Column("database"), Column("score"), Column("n", right=True), Column("mean"), Column("std", right=True)]
    rows: list[list[Text | str]] = []
    for one in found:
        for name, dimension in one.whole.dimensions.items():
            unit = dimension.unit
            if unit is None:
                continue
            mean = styled((f"{unit.mean:.3f} ", ""), (bar(unit.mean, 12), STYLES[name]))
            cells: list[Text | str] = [
                f"{unit.n:,}",
                mean,
                number(unit.std),
                styled((skyline(dimension.histogram.counts, 20), STYLES[name])),
            ]
            rows.append([styled((one.database, "bold")), styled((name, STYLES[name])), *cells])
    show_grid(page.console, [*columns, Column("distribution")], rows)
