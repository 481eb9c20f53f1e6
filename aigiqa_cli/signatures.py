"""The signature of a result: one line that pins what it was computed from and how, so that it can be computed again.

`aigiqa:0.1|db:NAME|index:…|split:NAME|part:test|digest:…|dim:quality|group:|n:600|fit:logistic4.v1|agg:none|…`: keys in
a fixed order, values percent-encoded where they hold `|` or a blank. After sacrebleu's (Post 2018, A Call for
Clarity in Reporting BLEU Scores), with two additions: `pred`, the digest of the predictions that were used, and the
coefficients themselves, so that a check needs nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from aigiqa_cli.errors import RefusedInput

FIELDS = (
    "aigiqa",  # the tool's version
    "db",
    "index",  # first 12 hex digits of the SHA-256 of the database's index.csv
    "split",  # a name of the database, file:NAME for a file of the user's, or empty: every image with a score
    "part",
    "digest",  # of the split: of its `image_id,split` csv in the order of the index, as it is installed
    "dim",
    "group",  # COLUMN=VALUE, or empty
    "n",
    "missing",  # images of the selection without a prediction
    "fit",  # the map before PLCC, with the version of its rule
    "agg",  # none, or mean.K: the mean over K folds
    "pred",  # of the predictions that were used
    "srcc",
    "plcc",
    "plcc_logistic",
)
NUMBERS = ("srcc", "plcc", "plcc_logistic")
DIGITS = 12  # hex digits of a digest: 48 bits tell versions apart; they are no proof against a forger
PLACES = 4
_HALF = 0.5 * 10**-PLACES + 1e-6  # a value may lie on the edge of two roundings, and then differ by the last bit
_PLAIN = "/,=+@:#"


@dataclass(frozen=True)
class Difference:
    """A field in which two signatures differ."""

    field: str
    stated: str
    found: str


def write(values: Mapping[str, object]) -> str:
    """The line. Every field of FIELDS must be there; numbers may be None (undefined)."""
    return "|".join(f"{name}:{quote(_text(values[name]), safe=_PLAIN)}" for name in FIELDS)


def _text(value: object) -> str:
    if value is None:
        return "none"
    return f"{value:.{PLACES}f}" if isinstance(value, float) else str(value)


def parse(line: str) -> dict[str, str]:
    """The fields of a signature. Raises RefusedInput if the line is none."""
    found = [part.partition(":") for part in line.strip().split("|")]
    names = tuple(name for name, _, _ in found)
    if names != FIELDS:
        missing = [name for name in FIELDS if name not in names]
        what = f"it has no {', '.join(missing)}" if missing else "its fields stand in another order"
        raise RefusedInput(
            f"this is no signature of aigiqa: {what}",
            hint="quote the whole line, as evaluate printed it: --check 'aigiqa:…|…'",
            phase="PLAN",
        )
    return {name: unquote(text) for name, _, text in found}


def differences(stated: Mapping[str, str], found: Mapping[str, object]) -> list[Difference]:
    """What differs between a signature and the same result computed again; numbers agree to their stated digits."""
    return [
        Difference(name, stated[name], _text(found[name]))
        for name in FIELDS
        if not (_agree(stated[name], found[name]) if name in NUMBERS else stated[name] == _text(found[name]))
    ]


def _agree(stated: str, found: object) -> bool:
    try:
        return (isinstance(found, float) and abs(float(stated) - found) <= _HALF) or stated == _text(found)
    except ValueError:
        return False


def predictions_digest(scores: Mapping[str, float], order: Iterable[str]) -> str:
    """Of the predictions that were used, in index order, as the shortest text that reads back the same."""
    found = hashlib.sha256()
    for name in order:
        if name in scores:
            found.update(f"{name},{scores[name]!r}\n".encode())
    return found.hexdigest()[:DIGITS]
