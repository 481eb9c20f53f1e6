"""Which column names the images and which are models; then one finite number for each image, or a fault."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aigiqa_cli.errors import Finding, UsageFault
from aigiqa_cli.index import COLUMNS
from aigiqa_cli.partitions.naming import Names
from aigiqa_cli.predictions.reading import PredictionTable

# T03: float() also takes 1_000, blanks and the digits of other scripts.
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+", re.ASCII)
POSITION = re.compile(r"|Unnamed: [0-9]+|__index_level_[0-9]+__")  # the row numbers that data frames write
COUNTER = re.compile(r"id|idx|index|no|nr|number|row", re.IGNORECASE)  # row numbers too, if the rows are counted there

MAX_LISTED = 20

Match = tuple[str, bool]  # the image, and whether the name is a published one as it stands


@dataclass(frozen=True)
class Wishes:
    """What the user says of the columns: "" and () leave it to their content."""

    image: str = ""
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Predictions:
    """`scores[model][image_id]` are finite float64; an image without a number (an empty cell) is left out.

    `places` say where each image stands; `image_column` and `ignored` what became of the columns.
    """

    name: str
    image_column: str
    scores: Mapping[str, Mapping[str, float]]
    places: Mapping[str, str]
    ignored: tuple[str, ...] = field(default=())

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self.scores)


def take(table: PredictionTable, names: Names, wishes: Wishes | None = None) -> Predictions:
    """The numbers of `table` by model and image.

    Raises RefusedInput, with every place, for an unknown image, one that stands twice, and a score that is no finite
    number; UsageFault for a wished column that is not there.
    """
    wishes, database = wishes or Wishes(), names.database
    _demand_columns(table, wishes)
    at, matches = _image_column(table, names, wishes, database)
    models, ignored = _model_columns(table, at, wishes)
    if not models:
        raise _no_scores(table, at, matches, database)
    findings: list[Finding] = []
    scores: dict[str, dict[str, float]] = {table.columns[column]: {} for column in models}
    places: dict[str, str] = {}
    for (place, cells), match in zip(table.rows, matches, strict=True):
        if match is None:
            problem = f"{cells[at]!r} is no image of {database}"
            findings.append(Finding(database, place, problem, "a published name", cells[at]))
        elif match[0] in places:
            problem = f"{match[0]} stands twice"
            findings.append(Finding(database, place, problem, f"once ({places[match[0]]})", cells[at]))
        else:
            places[match[0]] = place
            for column in models:
                name, text = table.columns[column], cells[column].strip()
                if is_finite(text):
                    scores[name][match[0]] = float(text)
                elif text:
                    findings.append(Finding(database, place, _no_number(name, match), "a finite number", text))
    if findings:
        raise table.refusal(_summary(findings), findings, fault=_fault_id(findings), hint=_hint(findings))
    return Predictions(table.name, table.columns[at], scores, places, ignored)


def _no_scores(table: PredictionTable, at: int, matches: Sequence[Match | None], database: str) -> Exception:
    """Nothing is mostly numbers. Of a single further column, which images have none."""
    others = [column for column, name in enumerate(table.columns) if column != at and name not in COLUMNS]
    findings = [
        Finding(database, place, _no_number(table.columns[others[0]], match), "a finite number", cells[others[0]])
        for (place, cells), match in zip(table.rows, matches, strict=True)
        if len(others) == 1 and not NUMBER.fullmatch(cells[others[0]].strip())
    ]
    more = f"; {findings[0].path}: {findings[0].problem}: {findings[0].found!r}" if findings else ""
    decimal_commas = bool(findings) and all(DECIMAL_COMMA.fullmatch(one.found.strip()) for one in findings)
    return table.refusal(
        f"no column holds scores (images: {table.columns[at]!r}){more}",
        findings[:MAX_LISTED],
        fault="T08",
        hint="write numbers with a decimal point: 0.5" if decimal_commas else "",
    )


def _no_number(column: str, match: Match | None) -> str:
    return f"{column}{f' of {match[0]}' if match else ''} is no finite number"


def is_finite(text: str) -> bool:
    """Is it a decimal number that float64 can hold?"""
    return bool(NUMBER.fullmatch(text)) and math.isfinite(float(text))


def _demand_columns(table: PredictionTable, wishes: Wishes) -> None:
    for wished in (*([wishes.image] if wishes.image else []), *wishes.models):
        if wished not in table.columns:
            raise UsageFault(
                f"{table.name} has no column {wished!r}", hint=f"columns: {', '.join(table.columns)}", phase="PLAN"
            )


def _image_column(
    table: PredictionTable, names: Names, wishes: Wishes, database: str
) -> tuple[int, list[Match | None]]:
    """The column whose values are images: of several the one with the most published names, then the first."""
    wished = [table.columns.index(wishes.image)] if wishes.image else range(len(table.columns))
    best: tuple[int, list[Match | None]] = (-1, [])
    most = 0
    for column in wished:
        matches = [names.find(cells[column]) for _, cells in table.rows]
        strength = sum(1 + match[1] for match in matches if match)
        if strength > most or wishes.image:
            best, most = (column, matches), strength
    if not table.rows:
        raise table.refusal("there is no row below the header", fault="T08")
    if best[0] < 0:
        raise table.refusal(
            f"no column names images of {database}; columns: {_few(table.columns)}",
            fault="T08",
            hint=f"its images are called {', '.join(list(names.order)[:2])}, …",
        )
    return best


def _few(words: Sequence[str]) -> str:
    return ", ".join(map(repr, words[:MAX_LISTED])) + (", …" if len(words) > MAX_LISTED else "")


def _model_columns(table: PredictionTable, at: int, wishes: Wishes) -> tuple[list[int], tuple[str, ...]]:
    """Columns that are mostly numbers; not what the index itself says, not the row numbers of a data frame."""
    if wishes.models:
        return [table.columns.index(name) for name in wishes.models], ()
    models, ignored = [], []
    for column, name in enumerate(table.columns):
        if column == at:
            continue
        filled = [text for _, cells in table.rows if (text := cells[column].strip())]
        numbers = sum(bool(NUMBER.fullmatch(text) or NOT_FINITE.fullmatch(text)) for text in filled)
        counts = bool(COUNTER.fullmatch(name)) and _counts(filled)
        if name in COLUMNS or POSITION.fullmatch(name) or counts or numbers * 2 <= len(filled):
            ignored.append(name)
        else:
            models.append(column)
    return models, tuple(ignored)


def _counts(texts: Sequence[str]) -> bool:
    """Are these 0, 1, 2, … or 1, 2, 3, …?"""
    return any(all(text == str(n) for n, text in enumerate(texts, first)) for first in (0, 1))


def _fault_id(findings: Sequence[Finding]) -> str:
    problem = findings[0].problem
    return "T05" if problem.endswith("twice") else "T03" if problem.endswith("number") else "T06"


def _summary(findings: Sequence[Finding]) -> str:
    first = findings[0]
    line = first.path.rpartition(":")[2]
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"line {line}: {first.problem}{more}"


def _hint(findings: Sequence[Finding]) -> str:
    if any(finding.problem.endswith("number") for finding in findings):
        return "a model that fails on an image has no score: correct it, or leave the cell empty and --allow-missing"
    return "correct the file; --image-column NAME says which column names the images"
