"""An evaluation as csv, Markdown or LaTeX: the text is the whole answer, ready for a file or a paper."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from aigiqa_cli.cli.evaluation.fields import as_printed, fields_of, flat, number, with_interval
from aigiqa_cli.cli.evaluation.table import CEILING, FLOORS
from aigiqa_cli.measuring.results import Result

if TYPE_CHECKING:
    from aigiqa_cli.steps.evaluate import Evaluation

TITLES = ("model", "n", "SRCC", "KRCC", "PLCC", "PLCC (fit)", "RMSE (fit)")
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\u00a0": "~", "±": r"$\pm$",
}  # fmt: skip


def to_csv(done: Evaluation) -> str:
    """One row a result, under the names of `fields_of`, every digit; RFC 4180 with LF."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(fields_of(done.results))
    writer.writerows(flat(result) for result in done.results)
    return text.getvalue()


def to_markdown(done: Evaluation) -> str:
    """One table for each dimension, and below it what other code prints, and the signatures."""
    lines: list[str] = []
    for caption, rows, others, signatures in _tables(done):
        lines += [f"**{markdown(caption)}**", "", bar(TITLES), bar(["---", *["---:"] * (len(TITLES) - 1)])]
        lines += [bar([markdown(cell) for cell in row]) for row in rows]
        lines += [
            "",
            *(f"{markdown(other)}  " for other in others),
            *(f"`{signature}`  " for signature in signatures),
            "",
        ]
    return "\n".join(lines)


def bar(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def markdown(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\|*_`<>[]" else letter for letter in text).replace("\n", " ")


def to_latex(done: Evaluation) -> str:
    """The same for LaTeX with the package booktabs; signatures as comments."""
    lines: list[str] = []
    for caption, rows, others, signatures in _tables(done):
        lines += [
            r"\begin{table}",
            f"\\caption{{{latex(caption)}}}",
            f"\\begin{{tabular}}{{l{'r' * (len(TITLES) - 1)}}}",
        ]
        lines += [r"\toprule", " & ".join(TITLES) + r" \\", r"\midrule"]
        lines += [" & ".join(latex(cell) for cell in row) + r" \\" for row in rows]
        lines += [r"\bottomrule", r"\end{tabular}", *(f"\\par {latex(other)}" for other in others)]
        lines += [*(f"% {signature}" for signature in signatures), r"\end{table}", ""]
    return "\n".join(lines)


def latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text).replace("\n", " ")


def _tables(done: Evaluation) -> Iterator[tuple[str, list[Sequence[str]], list[str], list[str]]]:
    """(caption, rows, what other code prints, signatures) for each dimension: floor, models, ceiling, then folds and
    groups. The caption says whether the split leaks."""
    wholes = [result for result in done.results if result.group is None]
    for dimension, members in groupby(wholes, key=lambda one: one.cover.dimension):
        of_it = list(members)
        below = [one for one in done.results if one.group and one.cover.dimension == dimension]
        first = of_it[0]
        caption = f"{done.origin.database}, {dimension}, {first.cover.label or 'every image with a score'}"
        caption += f" ({first.leak})" if first.leak else ""
        rows = [*_bounds(first), *(_row(one.model, one) for one in of_it), *_ceiling(first)]
        rows += [_row(f"{one.model}, {one.group.shown or one.group.key}", one) for one in below if one.group]
        others = [f"{one.model} {printed}" for one in of_it for printed in as_printed(one)]
        yield caption, rows, others, [one.signature for one in of_it]


def _row(name: str, result: Result) -> Sequence[str]:
    values = result.measured.values
    cells = [number(values[key]) for key in ("krcc", "plcc", "plcc_logistic", "rmse_logistic")]
    return [name, str(result.measured.n), with_interval(result, "srcc"), *cells]


def _bounds(result: Result) -> Iterator[Sequence[str]]:
    floor = result.measured.floor
    for name, one in (floor["predictors"] if floor else {}).items():
        if one["srcc"] is not None:
            yield [f"floor: {FLOORS.get(name, name)}", "", number(one["srcc"]), "", number(one["plcc"]), "", ""]


def _ceiling(result: Result) -> Iterator[Sequence[str]]:
    ceiling = result.measured.ceiling
    if ceiling:
        yield [CEILING, "", number(ceiling["srcc"]), "", number(ceiling["plcc"]), "", ""]


WRITERS: dict[str, Callable[[Evaluation], str]] = {"csv": to_csv, "markdown": to_markdown, "latex": to_latex}
