"""Splits as files `image_id,split`: computed from the index by rule, or resolved from published files."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, BinaryIO, Protocol

from aigiqa_cli import rules, tables
from aigiqa_cli.errors import Finding, IntegrityFault
from aigiqa_cli.index import Row, write_rows
from aigiqa_cli.patterns import compile_pattern

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Mirror, Published, Rule, Split, SplitFile
    from aigiqa_cli.manifest.splits import Shuffle

MAX_LISTED = 20

Parts = dict[str, str]  # image_id -> train, val or test
Pairs = Iterable[tuple[str, str]]  # the same, one after the other


class Rows(Protocol):
    """The rows of an index, to be gone through as often as it takes."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Row]: ...


@dataclass(frozen=True)
class Resolved:
    """A published split on the index. `notes`: what the published files hold beside it (repeats, images left out)."""

    name: str
    parts: Parts
    notes: tuple[str, ...] = ()


def by_rule(rule: Rule, rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """What a rule makes of the rows of an index, which are in table order: image_id and part."""
    labelled = (row for row in rows if row["row"])
    if rule.everything:
        return ((row["image_id"], rule.everything) for row in labelled)
    if rule.released:
        return ((row["image_id"], row["split"]) for row in labelled if row["split"])
    if rule.shuffle is not None:
        return _shuffled(rule.shuffle, rows)
    return _counted(rule, labelled)


def _counted(rule: Rule, labelled: Iterable[Row]) -> Iterator[tuple[str, str]]:
    groups: dict[str, int] = defaultdict(int)
    for row in labelled:
        group = row[rule.within] if rule.within else ""
        yield row["image_id"], "test" if groups[group] % (rule.every or 1) in rule.test else "train"
        groups[group] += 1


def _shuffled(shuffle: Shuffle, rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """The shuffle of `numpy.random.seed(SEED); numpy.random.shuffle(range(n))`, which numpy promises to keep."""
    import numpy as np

    order = np.arange(shuffle.rows or sum(1 for row in rows if row["row"]))
    np.random.RandomState(shuffle.seed).shuffle(order)
    is_train = np.zeros(len(order), dtype=bool)
    is_train[order[: int(Decimal(len(order)) * shuffle.train)]] = True
    labelled = (row for row in rows if row["row"])
    for at, row in enumerate(labelled):
        number = int(row["row"]) if shuffle.rows else at
        yield row["image_id"], "train" if number < len(order) and is_train[number] else "test"


def asset_name(split: Split, file: SplitFile) -> str:
    """How a published split file is named among the assets."""
    return f"{split.name}/{file.path}"


def split_assets(split: Split) -> Iterator[Asset]:
    """The files of a published split, as assets with their mirror."""
    from aigiqa_cli.manifest.models import Asset

    published = split.published
    for file in published.files if published else ():
        yield Asset(
            name=asset_name(split, file),
            file=file.path.rpartition("/")[2],
            role="split",
            format=published.format,  # type: ignore[union-attr]
            bytes=file.bytes,
            sha256=file.sha256,
            optional=True,
            mirrors=(_mirror(published, file.path),),  # type: ignore[arg-type]
        )


def _mirror(published: Published, path: str) -> Mirror:
    from aigiqa_cli.manifest.models import Mirror

    return Mirror(kind=published.kind, repo=published.repo, revision=published.revision, path=path)


def from_files(split: Split, rows: Rows, open_file: Callable[[str], BinaryIO | None]) -> Iterator[Resolved]:
    """Resolve a published split onto the index, fold by fold; folds whose files are not all there are left out.

    Raises IntegrityFault if a published row names an image that the index does not have, or both sides name one.
    """
    published = split.published
    names = _published_names(rows)
    folds: dict[int | None, list[SplitFile]] = defaultdict(list)
    for file in published.files if published else ():
        folds[file.fold].append(file)
    for fold, files in folds.items():
        opened = [(file, open_file(asset_name(split, file))) for file in files]
        if all(stream is not None for _, stream in opened):
            name = split.name if fold is None else f"{split.name}-{fold}"
            yield _fold(split, name, [(file, stream) for file, stream in opened if stream], names, rows)
        for _, stream in opened:
            if stream:
                stream.close()


def _published_names(rows: Iterable[Row]) -> dict[str, str]:
    """Every name by which an image is published -> image_id."""
    names = {row["image_id"]: row["image_id"] for row in rows}
    for row in rows:
        if '"aliases"' in row["extra"]:
            for alias in json.loads(row["extra"]).get("aliases", ()):
                names.setdefault(alias, row["image_id"])
    return names


def _fold(
    split: Split, name: str, files: list[tuple[SplitFile, BinaryIO]], names: dict[str, str], index: Rows
) -> Resolved:
    parts: Parts = {}
    others: list[str] = []
    skipped: list[str] = []
    scores = _scores(split, index)
    rows = 0
    findings: list[Finding] = []
    for file, stream in files:
        count = 0
        for where, published_name, cells, is_row in _names(split, file, stream):
            if not is_row:
                skipped.append(f"{where}: {published_name} is left out, as declared")
                continue
            count += 1
            image_id = names.get(published_name)
            if image_id is not None and _is_other_row(split, cells, scores.get(image_id)):
                others.append(f"{where}: the row of {image_id} with another score is left out")
            elif image_id is None:
                findings.append(Finding("", where, "names no image of the index", "a published name", published_name))
            elif parts.setdefault(image_id, file.part) != file.part:
                findings.append(Finding("", where, "stands on two sides", parts[image_id], file.part))
        if file.rows is not None and count != file.rows:
            findings.append(Finding("", file.path, "wrong number of rows", str(file.rows), str(count)))
        rows += count
    if findings:
        first = findings[0]
        raise IntegrityFault(
            f"the split {name} does not fit the index: {first.path}: {first.problem}: {first.found}",
            findings=findings[:MAX_LISTED],
            phase="INDEX",
        )
    repeated = rows - len(others) - len(parts)
    notes = [*skipped, *others, *([f"{repeated} rows are repeated"] if repeated else [])]
    notes += [f"{len(index) - len(parts)} images are in no part"] if len(parts) < len(index) else []
    return Resolved(name, parts, tuple(notes))


def _scores(split: Split, index: Iterable[Row]) -> dict[str, tuple[Decimal, Decimal]]:
    """The two scores of each image that the files name twice: that of the index, and the other one."""
    twice = split.published.twice if split.published else None
    scores = {}
    for row in index if twice else ():
        other = json.loads(row["extra"]).get("mos_other") if '"mos_other"' in row["extra"] else None
        if twice and other:
            field = f"mos_{twice.mos}"
            scores[row["image_id"]] = Decimal(row[field]), Decimal(other if isinstance(other, str) else other[field])
    return scores


def _is_other_row(split: Split, cells: Mapping[str, str], scores: tuple[Decimal, Decimal] | None) -> bool:
    """Is this published row that of the score which the index does not hold? Copies may differ in the last digit."""
    if scores is None or split.published is None or split.published.twice is None:
        return False
    found = Decimal(cells[split.published.twice.column])
    return abs(found - scores[1]) < abs(found - scores[0])


def _names(split: Split, file: SplitFile, stream: BinaryIO) -> Iterator[tuple[str, str, Mapping[str, str], bool]]:
    """(file and line, published name, cells, is it a row and not one of the first lines that are to be skipped?)"""
    published = split.published
    assert published is not None  # noqa: S101 - the caller chose published splits
    layout = tables.Layout(file.path, published.format, published.columns, published.header)
    pattern = compile_pattern(published.match) if published.match else None
    for number, (line, cells) in enumerate(tables.rows(stream, layout)):
        record = dict(zip(published.columns, cells, strict=True))
        text = rules.fill(published.image_template, record)
        if pattern is not None:
            match = pattern.search(text)
            text = match.group("name") if match else text
        yield f"{file.path}:{line}", text, record, number >= file.skip


def in_order(parts: Parts, index: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """The parts of a split, in index order."""
    return ((row["image_id"], parts[row["image_id"]]) for row in index if row["image_id"] in parts)


def write(stream: BinaryIO, pairs: Pairs) -> None:
    """A split as a file: `image_id,split`."""
    write_rows(stream, ({"image_id": image_id, "split": part} for image_id, part in pairs), ("image_id", "split"))
