"""How published work divided the images."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aigiqa_cli.manifest.base import Dimension, Strict, TableFormat
from aigiqa_cli.manifest.scalars import (
    Count,
    Flag,
    Number,
    Pattern,
    RelativePath,
    Repository,
    Revision,
    Sha256,
    Slug,
    Text,
)


class Rule(Strict):
    """A split that can be computed from the index alone.

    `every`/`test`: row number (within groups of equal `within`) modulo `every` is one of `test`.
    `shuffle`: rows in table order shuffled by numpy's legacy generator with this seed, the first `train` share trains.
    `everything`: every row belongs to this one part.
    `released`: the part that the release itself states for each row (the target `split`).
    """

    within: Literal["", "task", "generator"] = ""
    every: Count | None = None
    test: tuple[Count, ...] = ()
    shuffle: Shuffle | None = None
    everything: Text = ""
    released: Flag = False

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum((self.every is not None, self.shuffle is not None, bool(self.everything), self.released)) != 1:
            raise ValueError("expected exactly one of every, shuffle, everything, released")
        if self.every is not None and not (self.test and all(n < self.every for n in self.test)):
            raise ValueError("expected test: remainders smaller than every")
        return self


class Shuffle(Strict):
    seed: Count
    train: Number  # share of the rows, 0..1
    rows: Count | None = None  # rows of the published tables, where the index has fewer


class SplitFile(Strict):
    part: Literal["train", "val", "test"]
    fold: Count | None = None
    path: RelativePath
    bytes: Count | None = None
    sha256: Sha256 | Literal[""] = ""
    rows: Count | None = None
    skip: Count = 0  # leading lines that are no rows, such as a repeated row in place of a header
    tested: Flag = False  # true where this original was resolved onto the index


class Twice(Strict):
    """Of an image that is labelled twice, the published row whose `column` is the index's `mos` counts."""

    column: Text
    mos: Dimension


class Published(Strict):
    """A split that a project publishes as files of one repository at one commit."""

    kind: Literal["github", "huggingface"]
    repo: Repository
    revision: Revision
    format: TableFormat
    columns: Annotated[tuple[Text, ...], Field(min_length=1)]
    header: Flag = True
    image: Text  # the column that names the image, or a name with {column} places
    twice: Twice | None = None
    match: Pattern | Literal[""] = ""  # with a group `name`: the published image name inside that column
    tested: Flag = False  # true where all original files were resolved onto the index
    files: Annotated[tuple[SplitFile, ...], Field(min_length=1)]

    @property
    def image_template(self) -> str:
        return self.image if "{" in self.image else "{" + self.image + "}"

    @model_validator(mode="after")
    def _columns_exist(self) -> Self:
        named = {*re.findall(r"\{(\w+)\}", self.image_template), *([self.twice.column] if self.twice else [])}
        if stray := sorted(named - set(self.columns)):
            raise ValueError(f"the files have no column {', '.join(stray)}")
        return self


class Split(Strict):
    """One way that published work divided the images."""

    name: Slug
    by: Literal["image", "prompt", "unknown"] = "unknown"  # what is kept together on one side
    official: Flag = False
    rule: Rule | None = None
    published: Published | None = None
    described: Text = ""  # where neither rule nor file is public: what is known in words
    license: Text = ""
    note: Text = ""
    evidence: Text

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum((self.rule is not None, self.published is not None, bool(self.described))) != 1:
            raise ValueError("expected exactly one of rule, published, described")
        return self


Rule.model_rebuild()
