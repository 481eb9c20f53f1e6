"""Statistics for other programs: one tab-separated record for each dimension of the whole and of each group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigiqa_cli.cli.terminal import Terminal

if TYPE_CHECKING:
    from aigiqa_cli.describing.description import Description
    from aigiqa_cli.steps.stats import Statistics

MOMENTS = ("n", "mean", "std", "min", "q1", "median", "q3", "max", "skewness")
FIELDS = ("database", "by", "key", "dimension", "images", *MOMENTS, "rater_std", "low", "high")


def write(terminal: Terminal, found: Statistics) -> None:
    """FIELDS, numbers digit for digit, nothing where there is no value; `by` and `key` are empty for the whole."""
    _write(terminal, found.database, "", "", found.whole)
    for group in found.groups:
        _write(terminal, found.database, ",".join(group.key), ",".join(group.key.values()), group.description)


def _write(terminal: Terminal, database: str, by: str, key: str, described: Description) -> None:
    for name, one in described.dimensions.items():
        moments = one.mos.as_json()
        numbers = [moments[field] for field in MOMENTS]
        numbers += [one.rater_std.mean if one.rater_std else None, *(one.range or (None, None))]
        cells = ("" if value is None else repr(value) for value in numbers)
        terminal.record(database, by, key, name, described.images, *cells)
