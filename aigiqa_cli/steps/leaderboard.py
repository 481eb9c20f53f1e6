"""leaderboard: published results of a database, and one's own; what was measured alike is ranked together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigiqa_cli.context import Context
from aigiqa_cli.errors import RefusedInput, UsageFault
from aigiqa_cli.measuring.folds import FILE
from aigiqa_cli.measuring.stored import read_evaluation
from aigiqa_cli.partitions import audit, judge_family, load, members
from aigiqa_cli.partitions.opened import Opened, opened
from aigiqa_cli.states import state_of

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database
    from aigiqa_cli.manifest.models import Result as Published

UNSTATED = "not stated"
NOTE_OF_AUTHORS = "PLCC after the fit; best epoch chosen on the test part"
ALONE = "no other result here was measured in this way"
ALONE_OWN = "no other result here has this split, selection and fit; published ones do not state their fit"
BESIDE = "on the split of published results, which do not state their fit: beside them, not ranked with them"
# What sources say where they do not say how a number was made; the manifests quote them in these words.
_UNKNOWN = re.compile(r"\bnot (?:re)?stated\b|\bnot readable\b|\bas far as is known\b|\bnot (?:given|known)\b")


@dataclass(frozen=True)
class Protocol:
    """What must be equal for two numbers to be comparable. `words` say what no split name says; `source` stands in for
    them where only one source knows what it did. `fit` is the map before PLCC."""

    dimension: str
    split: str
    words: str
    source: str
    fit: str

    @property
    def known(self) -> bool:
        return bool(self.split) or bool(self.words and not _UNKNOWN.search(self.words))


@dataclass(frozen=True)
class Entry:
    """One result: published, or of an evaluation file (`own`). `rank` among those of its protocol, or `reason` why it
    has none. `leak`: clean, leaky or unknown, and why."""

    method: str
    protocol: Protocol
    srcc: float | None
    plcc: float | None
    krcc: float | None = None
    note: str = ""
    said: str = ""  # the protocol in the source's words
    source: str = ""
    leak: str = ""
    own: bool = False
    signature: str = ""
    n: int | None = None
    plcc_raw: float | None = None  # of own ones: before the fit
    rank: int | None = None
    reason: str = ""

    @property
    def split_name(self) -> str:
        """The split without the digest that tells files of one name apart."""
        return self.protocol.split.rpartition(" ")[0] if self.own else self.protocol.split

    @property
    def place(self) -> tuple[str, str]:
        """Dimension and name of the split without its part; "" where that is not known, or is a file of the user's."""
        name = self.split_name
        return self.protocol.dimension, "" if name.startswith(FILE) else name.partition(":")[0]

    def as_json(self) -> dict[str, Any]:
        names = (
            "method",
            "srcc",
            "plcc",
            "plcc_raw",
            "krcc",
            "rank",
            "n",
            "own",
            "source",
            "signature",
            "note",
            "leak",
            "reason",
        )
        told = {name: getattr(self, name) for name in names}
        protocol = {"dimension": self.protocol.dimension, "split": self.protocol.split or None}
        return told | protocol | {"protocol": self.said, "fit": self.protocol.fit}


@dataclass(frozen=True)
class Shown:
    """Which results are wanted: of these dimensions, on this split, with this in the name of the method; none: all."""

    dimensions: tuple[str, ...] = ()
    split: str = ""
    method: str = ""

    def of(self, entries: Sequence[Entry], database: str) -> list[Entry]:
        """Raises UsageFault for a wish that no result fulfils."""
        kept = [
            entry
            for entry in entries
            if (not self.dimensions or entry.protocol.dimension in self.dimensions)
            and self.split in ("", entry.place[1], entry.split_name)
            and self.method.casefold() in entry.method.casefold()
        ]
        if kept or not entries:
            return kept
        splits = ", ".join(dict.fromkeys(entry.place[1] for entry in entries if entry.place[1])) or "none is known"
        wishes = [*self.dimensions, *filter(None, (self.split, self.method))]
        raise UsageFault(
            f"{database} has no results for {', '.join(wishes)}", hint=f"splits of its results: {splits}", phase="PLAN"
        )


@dataclass(frozen=True)
class Leaderboard:
    """`rankings`: entries of one protocol, best first; `beside`: those that cannot be ranked, each with its reason;
    `notes`: what was given twice."""

    database: str
    rankings: tuple[tuple[Protocol, tuple[Entry, ...]], ...]
    beside: tuple[Entry, ...]
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        rankings = [
            {
                "dimension": protocol.dimension,
                "split": protocol.split or None,
                "protocol": entries[0].said,
                "fit": protocol.fit,
                "leak": entries[0].leak,
                "rows": [entry.as_json() for entry in entries],
            }
            for protocol, entries in self.rankings
        ]
        beside = [entry.as_json() for entry in self.beside]
        return {"database": self.database, "rankings": rankings, "beside": beside, "notes": list(self.notes)}


def leaderboard(
    context: Context, database: Database, added: Sequence[Path] = (), shown: Shown | None = None
) -> Leaderboard:
    """Published results and those of evaluation files. Only entries of one protocol (dimension, split, fit) are ranked.

    Raises RefusedInput for a file that is no evaluation of this database, UsageFault where `shown` leaves nothing.
    """
    here = opened(context.root, database.id) if state_of(context.root, database.id).present else None
    entries = [_published(context, database, result, here) for result in database.results]
    own, notes = _once([entry for path in added for entry in _own(path, database.id, here)])
    entries += own
    if shown:
        entries = shown.of(entries, database.id)
    return Leaderboard(database.id, *_ranked(entries), notes)


def _published(context: Context, database: Database, result: Published, here: Opened | None) -> Entry:
    split = _split_in(result.protocol, [one.name for one in database.splits])
    further = bool(re.search(r"[,;]", result.protocol))
    alone = "" if split and not further else result.protocol
    source = "" if split and not further else result.source
    return Entry(
        result.method,
        Protocol(result.dimension, split, alone, source, UNSTATED),
        None if result.srcc is None else float(result.srcc),
        None if result.plcc is None else float(result.plcc),
        note=result.note,
        said=result.protocol or UNSTATED,
        source=result.source,
        leak=_leak(context, database, split, result.protocol, here),
    )


def _split_in(text: str, names: Iterable[str]) -> str:
    """The split of the manifest that a protocol names."""
    return next((name for name in names if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)), "")


def _leak(context: Context, database: Database, split: str, said: str, here: Opened | None) -> str:
    """Measured where the split is here; else what its source says it keeps apart."""
    if not split:
        return "unknown: the split is not known"
    if here and members(split, here.record.splits):
        partitions = load(context.root, here.record, split)
        if re.search(r"\btest\b", said) and not all("test" in one.sides for one in partitions):
            return "unknown: the part test is not here"
        return judge_family([audit(one, here.by_id, here.references) for one in partitions]).text
    by = next(one.by for one in database.splits if one.name == split)
    words = {"prompt": "published as by prompt", "image": "published as by image: prompts may be on both sides"}
    return f"unknown: not measured here ({words.get(by, 'what it keeps apart is not known')})"


def _own(path: Path, database: str, here: Opened | None) -> list[Entry]:
    """The results on whole selections in an evaluation file."""
    data = read_evaluation(path)
    if data["database"] != database:
        raise RefusedInput(
            f"{path.name} is an evaluation on {data['database']}, not on {database}",
            hint=f"aigiqa leaderboard {data['database']} --add {path}",
            database=database,
            phase="PLAN",
        )
    other = here is not None and data["index_sha256"] != here.record.index_sha256
    entries = []
    for result in data["results"]:
        if result["group"] is not None:
            continue
        split = _split_key(result)
        said = f"{result['split'] or 'every image with a score'}, n = {result['n']:,}"
        words = f"{said}, index {data['index_sha256'][:12]}"
        protocol = Protocol(result["dimension"], split, words, "", result["fit"])
        reason = "the labels are of another version of the database than the one here" if other else ""
        reason = reason or (f"{result['missing']:,} images have no prediction" if result["missing"] else "")
        entries.append(
            Entry(
                result["model"],
                protocol,
                result["srcc"],
                result["plcc_logistic"],
                result["krcc"],
                NOTE_OF_AUTHORS if data.get("protocol") == "authors" else "PLCC after the fit",
                said,
                path.name,
                result["leak"] or "",
                own=True,
                signature=result["signature"],
                n=result["n"],
                plcc_raw=result.get("plcc"),
                reason=reason,
            )
        )
    return entries


def _once(entries: Sequence[Entry]) -> tuple[list[Entry], tuple[str, ...]]:
    """The same result of the same model counts once: a rank must not come from a file that was given twice."""
    kept: dict[Entry, Entry] = {}
    notes = []
    for entry in entries:
        first = kept.setdefault(replace(entry, source=""), entry)
        if first is not entry:
            where = f"{entry.method}, {entry.protocol.dimension}"
            notes.append(f"{where}: the result in {entry.source} is that in {first.source} and counts once")
    return list(kept.values()), tuple(notes)


def _split_key(result: Mapping[str, Any]) -> str:
    """The split with its digest: two files of one name may be two splits."""
    fields = dict(part.partition(":")[::2] for part in result["signature"].split("|"))
    return f"{result['split']} {fields.get('digest', '')}" if result["split"] else ""


def _ranked(entries: Sequence[Entry]) -> tuple[tuple[tuple[Protocol, tuple[Entry, ...]], ...], tuple[Entry, ...]]:
    """Rankings by SRCC; equal numbers share a rank. A protocol with one entry ranks nothing. Known splits come first,
    those of one split together, published results before own ones."""
    published = {entry.place for entry in entries if not entry.own and entry.place[1]}
    groups: dict[Protocol, list[Entry]] = {}
    beside: list[Entry] = []
    for entry in entries:
        reason = _unrankable(entry)
        if reason:
            beside.append(replace(entry, reason=reason))
        else:
            groups.setdefault(entry.protocol, []).append(entry)
    rankings = []
    for protocol, members_ in groups.items():
        if len(members_) == 1:
            (one,) = members_
            reason = (BESIDE if one.place in published else ALONE_OWN) if one.own else ALONE
            beside.append(replace(one, reason=reason))
            continue
        ordered = sorted(members_, key=lambda one: -(one.srcc or 0.0))
        values = [one.srcc for one in ordered]
        placed = tuple(replace(one, rank=values.index(one.srcc) + 1) for one in ordered)
        rankings.append((protocol, placed))
    rankings.sort(key=_order)
    return tuple(rankings), tuple(beside)


def _unrankable(entry: Entry) -> str:
    if entry.reason:
        return entry.reason
    if entry.srcc is None:
        return "no SRCC is stated"
    if not entry.own and not entry.protocol.known:
        return f"its split is not known ({entry.said})"
    return ""


def _order(ranking: tuple[Protocol, tuple[Entry, ...]]) -> tuple[str, bool, str, bool, int]:
    protocol, entries = ranking
    split = entries[0].place[1]
    return protocol.dimension, not split, split, entries[0].own, -len(entries)
