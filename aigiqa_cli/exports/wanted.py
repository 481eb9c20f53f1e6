"""What of the rows goes into an export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from aigiqa_cli.exports.columns import Row, Scale


@dataclass(frozen=True)
class Wanted:
    """`columns` for the formats that write columns of the index, `exact` for those with types. `dimension`, `scale`
    and `margin` are for the formats that are about one score: `margin` is on that scale, `unit` is 0..1, every other
    one the published."""

    columns: Sequence[str] = ()
    exact: bool = False
    dimension: str = ""
    scale: Scale = ""
    margin: float = 0.0

    @property
    def score(self) -> str:
        """The column of the one score."""
        return f"{'score' if self.scale == 'unit' else 'mos'}_{self.dimension}"

    @property
    def deviation(self) -> str:
        """The column of its standard deviation; "" where it is on another scale."""
        return "" if self.scale == "unit" else f"std_{self.dimension}"


def usable(rows: Iterable[Row], needed: Iterable[str], left_out: Counter[str]) -> Iterator[Row]:
    """The rows that have all of the `needed` columns. `left_out` counts the others by the column that they lack."""
    needed = tuple(needed)
    for row in rows:
        lacking = next((column for column in needed if not row[column]), "")
        if lacking:
            left_out[lacking] += 1
        else:
            yield row
