"""The statistics as a figure, a block for each database: histograms of the scores, one dimension against another, the
spread between raters over the score, and a violin with quartiles for each group. The same input gives the same bytes.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from aigiqa_cli.cli.statistics.bars import number
from aigiqa_cli.errors import PersonNeeded, UsageFault
from aigiqa_cli.exports import whole_target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

    from aigiqa_cli.describing.scores import Scores
    from aigiqa_cli.steps.stats import Group, Statistics

    Panel = Callable[[Axes, Statistics], None]

SUFFIXES = (".png", ".svg", ".pdf")
MOST_GROUPS = 40  # more violins cannot be told apart
COLOURS = {"quality": "#0072b2", "alignment": "#d55e00", "authenticity": "#009e73", "overall": "#7a5195"}
_GROUP_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8a900", "#555555")  # Okabe & Ito
_WIDTH, _TOP, _BELOW = 12.0, 3.6, 3.6  # inches
_MANY = 3_000  # points from which on a vector file holds them as pixels
_LEAST_VIOLIN = 5  # images; fewer are points
_LEAST_MEDIANS = 30
_LETTERS = 140  # that fit side by side below the violins
_LONGEST = 32  # letters of a group's name
_SETTINGS: Any = {
    "svg.hashsalt": "aigiqa", "font.size": 9, "axes.titlesize": 10, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25, "axes.axisbelow": True, "legend.frameon": False,
    "text.parse_math": False, "figure.dpi": 120, "savefig.dpi": 160,
}  # fmt: skip
# What would differ from run to run, or from version to version of the library.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def demand(word: str) -> Path:
    """Where the figure goes. UsageFault for a name of another kind, PersonNeeded where matplotlib is not installed."""
    target = Path(word).expanduser()
    if target.suffix.lower() not in SUFFIXES:
        raise UsageFault(f"no figure is made as {target.name!r}", hint=f"a name in {', '.join(SUFFIXES)}", phase="PLAN")
    if importlib.util.find_spec("matplotlib") is None:
        raise PersonNeeded(
            "a figure needs matplotlib, which is not installed", hint="pip install 'aigiqa[plot]'", phase="PLAN"
        )
    return target


def plot(found: Sequence[Statistics], target: Path) -> None:
    """Draw the databases one below the other. Raises as `whole_target`."""
    with _quiet(), whole_target(target) as stream:
        _draw(found, stream, target.suffix.lower().lstrip("."))


@contextmanager
def _quiet() -> Iterator[None]:
    """matplotlib without a trace on this machine: its caches go where they are deleted, its settings are ours, and
    what its fonts lack is a box in the figure and no message."""
    chosen = os.environ.get("MPLCONFIGDIR")
    with tempfile.TemporaryDirectory(prefix="aigiqa-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.environ["MPLCONFIGDIR"] = chosen or folder
        try:
            yield
        finally:
            if chosen is None:
                del os.environ["MPLCONFIGDIR"]


def _draw(found: Sequence[Statistics], stream: BinaryIO, form: str) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        heights = [_TOP + (_BELOW if one.groups and one.whole.dimensions else 0) for one in found]
        figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
        blocks = figure.subfigures(len(found), 1, squeeze=False, height_ratios=heights)
        for block, one in zip(blocks[:, 0], found, strict=True):
            _block(block, one)
        figure.savefig(stream, format=form, metadata=_METADATA[form])


def _block(block: SubFigure, found: Statistics) -> None:
    left = [f"{found.counts.images:,} images", *([f"--split {found.split}"] if found.split else [])]
    left += [f"--where {found.where}"] if found.where else []
    block.suptitle(f"{found.database}   {' · '.join(left)}", fontweight="bold", x=0.01, ha="left")
    panels = _panels(found)
    shown = _in_order(found)
    grid = block.add_gridspec(2 if shown else 1, max(1, len(panels)))
    for place, panel in enumerate(panels):
        panel(block.add_subplot(grid[0, place]), found)
    if shown:
        _violins(block.add_subplot(grid[1, :]), found, shown)


def _panels(found: Statistics) -> list[Panel]:
    whole = found.whole
    if not whole.dimensions:
        return [_nothing]
    panels: list[Panel] = [_histograms]
    panels += [_against] if whole.correlations else []
    return panels + ([_spread] if any(one.rater_std for one in whole.dimensions.values()) else [])


def _in_order(found: Statistics) -> list[Group]:
    """The groups as the table has them; none where they are too many."""
    names = list(found.whole.dimensions)
    if not names or len(found.groups) > MOST_GROUPS:
        return []
    labelled = [group for group in found.groups if names[0] in group.description.dimensions]
    return sorted(labelled, key=lambda group: -group.description.dimensions[names[0]].mos.mean)


def _name(group: Group) -> str:
    shown = group.shown or "(none)"
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def _nothing(axes: Axes, _found: Statistics) -> None:
    axes.axis("off")
    axes.text(0.5, 0.5, "no image has a score", ha="center", va="center", color="#555555")


def _histograms(axes: Axes, found: Statistics) -> None:
    for name, one in found.whole.dimensions.items():
        edges, counts = one.histogram.edges, one.histogram.counts
        axes.stairs(counts, edges, fill=True, alpha=0.25, color=COLOURS[name])
        axes.stairs(counts, edges, color=COLOURS[name], linewidth=1.2, label=f"{name}, mean {number(one.mos.mean)}")
    axes.set(title="scores", xlabel="MOS", ylabel="images")
    axes.legend(fontsize=8)


def _against(axes: Axes, found: Statistics) -> None:
    """The first two dimensions, a colour for each group where there are colours enough."""
    pair = found.whole.correlations[0]
    x, y = found.scores[pair.a].mos, found.scores[pair.b].mos
    few = 0 < len(found.groups) <= len(_GROUP_COLOURS)
    if few:
        for group, colour in zip(found.groups, _GROUP_COLOURS, strict=False):
            _points(axes, x[group.places], y[group.places], colour, _name(group))
        handles: Any = axes.legend(fontsize=7, handletextpad=0.1, borderpad=0.1, labelspacing=0.25).legend_handles
        for handle in handles:
            handle.set(sizes=[30])
    else:
        _points(axes, x, y, _GROUP_COLOURS[0], "")
    told = "" if pair.srcc is None else f"   SRCC {pair.srcc:.3f}, PLCC {pair.plcc:.3f}"
    axes.set(title=f"{pair.a} and {pair.b}{told}", xlabel=f"MOS {pair.a}", ylabel=f"MOS {pair.b}")


def _spread(axes: Axes, found: Statistics) -> None:
    """Raters disagree least at the ends of a scale: the arc that ratings make, with its running median."""
    for name, scores in found.scores.items():
        if found.whole.dimensions[name].rater_std:
            _points(axes, scores.mos, scores.std, COLOURS[name], "", alpha=0.18)
    for name, scores in found.scores.items():
        if found.whole.dimensions[name].rater_std:
            axes.plot(*_medians(scores), color=COLOURS[name], linewidth=2, label=f"{name}, median")
    axes.set(title="disagreement of raters", xlabel="MOS", ylabel="std between raters")
    axes.legend(fontsize=8)


def _medians(scores: Scores) -> tuple[list[float], list[float]]:
    """Of the std, in up to twelve parts of the images with equally many; nothing where there are too few images."""
    import numpy as np

    known = np.isfinite(scores.mos) & np.isfinite(scores.std)
    order = np.argsort(scores.mos[known], kind="stable")
    parts = np.array_split(order, min(12, len(order) // 10)) if len(order) >= _LEAST_MEDIANS else []
    x, y = scores.mos[known], scores.std[known]
    return [float(np.median(x[part])) for part in parts], [float(np.median(y[part])) for part in parts]


def _points(axes: Axes, x: Any, y: Any, colour: str, label: str, alpha: float = 0.5) -> None:
    axes.scatter(
        x,
        y,
        s=min(20, max(5, 3_000 // max(1, len(x)))),
        color=colour,
        alpha=alpha,
        linewidths=0,
        label=label,
        rasterized=len(x) > _MANY,
    )


def _violins(axes: Axes, found: Statistics, groups: Sequence[Group]) -> None:
    import numpy as np

    names = list(found.whole.dimensions)
    width = 0.8 / len(names)
    for nth, name in enumerate(names):
        mos = found.scores[name].mos
        for place, group in enumerate(groups):
            values = mos[group.places]
            values = values[np.isfinite(values)]
            at = place + (nth - (len(names) - 1) / 2) * width
            if len(values) < _LEAST_VIOLIN or values.min() == values.max():
                _points(axes, np.full(len(values), at), values, COLOURS[name], "", alpha=1)
                continue
            violin: Any = axes.violinplot(values, [at], widths=width * 0.95, showextrema=False)
            for shape in violin["bodies"]:
                shape.set(facecolor=COLOURS[name], alpha=0.45, edgecolor="none")
            q1, median, q3 = np.quantile(values, (0.25, 0.5, 0.75))
            axes.vlines(at, q1, q3, color=COLOURS[name], linewidth=3)
            axes.scatter([at], [median], s=10, color="white", zorder=3, linewidths=0)
        axes.scatter([], [], color=COLOURS[name], label=name)
    shown = [_name(group) for group in groups]
    axes.set_xticks(range(len(groups)), shown)
    if max(map(len, shown)) * len(groups) > _LETTERS:
        axes.tick_params(axis="x", rotation=30)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.grid(visible=False, axis="x")
    axes.set(title=f"by {', '.join(found.by)}: violin, quartiles, median", ylabel="MOS", xlim=(-0.6, len(groups) - 0.4))
    if len(names) > 1:
        axes.legend(fontsize=8, ncols=len(names), loc="lower left")


__all__ = ["SUFFIXES", "demand", "plot"]
