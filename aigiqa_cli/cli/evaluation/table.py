"""An evaluation for people: floor, models and ceiling in one table, so that it is seen how much of a score is no more
than knowing the generator. In a pipe one record a line, without anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from aigiqa_cli.cli.evaluation.fields import as_printed, flat, half_width, number, with_interval
from aigiqa_cli.cli.page import Page
from aigiqa_cli.cli.terminal import Column, Terminal
from aigiqa_cli.measuring.contest import Pair
from aigiqa_cli.measuring.results import Result

if TYPE_CHECKING:
    from rich.text import Text

    from aigiqa_cli.steps.evaluate import Evaluation

FLOORS = {
    "generator": "generator",
    "generator_setting": "generator, setting",
    "prompt": "prompt",
    "both": "generator, prompt",
}
CEILING = "ceiling: rater noise"
TITLES = ("", "SRCC", "KRCC", "PLCC", "PLCC\nfit", "RMSE\nfit")
MORE = {
    "mae_logistic": "MAE fit",
    "plcc_isotonic": "PLCC isotonic",
    "epsilon_rmse": "RMSE beyond rater noise",
    "outlier_ratio": "outlier ratio",
}
TERMS = {**MORE, "ci95": "intervals", "plcc_logistic": "PLCC fit", "rmse_logistic": "RMSE fit"}
GROUP_TITLES = ("n", "SRCC", "PLCC", "PLCC\nfit", "SRCC\nfloor")


def show(terminal: Terminal, done: Evaluation) -> None:
    if not terminal.out_is_terminal:
        for result in done.results:
            terminal.record(*flat(result))
        comparisons(terminal.note, done.pairs)
        return
    page = Page(terminal)
    for dimension, results in groupby(_wholes(done.results), key=lambda one: one.cover.dimension):
        of_it = list(results)
        _dimension(terminal, page, done, of_it)
        below = [one for one in done.results if one.cover.dimension == dimension and one.group]
        _below(terminal, page, below)
        pairs = [pair for pair in done.pairs if pair.dimension == dimension]
        if pairs:
            page.blank()
            comparisons(lambda text: page.text(text, 2, hang=4), pairs)
        page.blank()
        for result in of_it:
            page.text(result.signature, 2, "dim", hang=2)


def _wholes(results: Iterable[Result]) -> list[Result]:
    return [result for result in results if result.group is None]


def _dimension(terminal: Terminal, page: Page, done: Evaluation, results: Sequence[Result]) -> None:
    first = results[0]
    where = first.cover.label or "every image with a score"
    size = f"{first.measured.n:,} images of {first.measured.clusters:,} prompts"
    if first.repeats:
        size = f"mean ± standard deviation of {first.repeats['folds']} folds, {first.measured.n:,} images in all"
    page.heading(f"{done.origin.database} · {first.cover.dimension}", f"{where} · {size}")
    if first.leak:
        page.text(first.leak, 2, "yellow" if first.leak.startswith("leaky") else "dim")
    rows: list[Sequence[object]] = [*_floor_rows(first)]
    rows += [_model_row(result) for result in results]
    rows += _ceiling_rows(first)
    terminal.table([Column(title, right=place > 0, wrap=place == 0) for place, title in enumerate(TITLES)], rows)
    for result in results:
        _words(page, result, "" if len(results) == 1 else f"{result.model}: ")
    _reasons(page, results)


def _model_row(result: Result) -> Sequence[object]:
    values = result.measured.values
    cells = [number(values[name]) for name in ("krcc", "plcc", "plcc_logistic", "rmse_logistic")]
    return [_styled(result.model, "bold"), _styled(with_interval(result, "srcc"), "bold"), *cells]


def _floor_rows(result: Result) -> list[Sequence[object]]:
    floor = result.measured.floor
    found = floor["predictors"] if floor else {}
    return [
        [
            _styled(f"floor: {FLOORS.get(name, name)}", "dim"),
            *_dim(number(one["srcc"]), "", number(one["plcc"]), "", ""),
        ]
        for name, one in found.items()
        if one["srcc"] is not None
    ]


def _ceiling_rows(result: Result) -> list[Sequence[object]]:
    ceiling = result.measured.ceiling
    if not ceiling:
        return []
    cells = _dim(number(ceiling["srcc"]), "", number(ceiling["plcc"]), "", "")
    return [[_styled(CEILING, "dim"), *cells]]


def _dim(*texts: str) -> list[Text]:
    return [_styled(text, "dim") for text in texts]


def _styled(text: str, style: str) -> Text:
    from rich.text import Text

    from aigiqa_cli.cli.safe_text import safe_text

    return Text(safe_text(text), style)


def _words(page: Page, result: Result, name: str) -> None:
    """What the table has no column for."""
    measured = result.measured
    inside = [
        f"inside one {by} SRCC {number(found['srcc'])} (mean of {_count(found['groups'])})"
        for by, found in measured.within.items()
        if found["srcc"] is not None
    ]
    page.text(name + ", ".join(inside) if inside else "", 2, hang=4)
    more = [
        f"{title} {number(measured.values[key])}" for key, title in MORE.items() if measured.values[key] is not None
    ]
    page.text(name + ", ".join(more) if more else "", 2, hang=4)
    if measured.main:
        page.text(f"{name}main score {measured.main['name']}: {number(measured.main['value'])}", 2, "bold", hang=4)
    for sentence_ in as_printed(result):
        page.text(name + sentence_, 2, hang=4)
    if result.cover.missing:
        page.text(f"{name}{result.cover.missing} images have no prediction and are left out", 2, "yellow", hang=4)


def _reasons(page: Page, results: Sequence[Result]) -> None:
    """Why there is no number; once for all numbers of one reason, and where it holds for all models without them."""
    models: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for key, why in result.measured.reasons.items():
            models.setdefault((TERMS.get(key, key), why), []).append(result.model)
    told: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (term, why), those in models.items():
        told.setdefault((why, tuple(those)), []).append(term)
    for (why, owners), terms in told.items():
        text = f"no {', '.join(terms)}: {why}"
        page.text(text if len(owners) == len(results) else f"{', '.join(owners)}: {text}", 2, "dim", hang=4)


def _count(groups: float) -> str:
    return f"{groups:g}"


def _below(terminal: Terminal, page: Page, results: Sequence[Result]) -> None:
    """Folds and groups, a table for each model."""
    for (model, by), members in groupby(results, key=lambda one: (one.model, one.group.by if one.group else "")):
        page.heading(f"{model} by {by}")
        columns = [Column(by, wrap=True), *(Column(title, right=True) for title in GROUP_TITLES)]
        terminal.table(columns, [_group_row(one) for one in members])


def _group_row(result: Result) -> Sequence[object]:
    values, floor = result.measured.values, result.measured.floor or {}
    key = (result.group.shown or result.group.key) if result.group else ""
    cells = [number(values[name]) for name in ("plcc", "plcc_logistic")]
    return [key or "(none)", f"{result.measured.n:,}", with_interval(result, "srcc"), *cells, number(floor.get("srcc"))]


def comparisons(write: Callable[[str], None], pairs: Sequence[Pair]) -> None:
    """Each pair of models as a sentence."""
    for pair in pairs:
        write(sentence(pair, len({(p.first, p.second) for p in pairs})))


def sentence(pair: Pair, pairs: int = 1) -> str:
    """`A better than B: +0.012 SRCC [0.004, 0.021], p = 0.01`."""
    if pair.difference is None or pair.low is None or pair.high is None or pair.p_value is None:
        return f"{pair.first} and {pair.second} cannot be compared: {pair.reason}"
    low, high, difference = pair.low, pair.high, pair.difference
    better, worse = pair.first, pair.second
    if difference < 0:
        better, worse, difference, low, high = worse, better, -difference, -high, -low
    measure = TERMS.get(pair.measure, pair.measure.upper())
    numbers = f"{difference:+.3f} {measure} [{low:.3f}, {high:.3f}], {_p(pair.p_value)}"
    if pairs > 1 and pair.p_holm is not None:
        numbers += f" ({_p(pair.p_holm)} for {pairs} pairs)"
    if pair.decided:
        return f"{better} better than {worse}: {numbers}"
    return f"{better} not shown to be better than {worse}: {numbers}"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"  # noqa: PLR2004


__all__ = ["comparisons", "half_width", "sentence", "show"]
