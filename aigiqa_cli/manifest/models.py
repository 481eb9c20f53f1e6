"""The manifest: what is known of one database, as frozen records that forbid unknown keys.

Facts only. Unknown means that the key is left out; nothing here may be guessed. The fields' comments explain them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from aigiqa_cli.manifest.assets import ARCHIVES, Asset, Mirror, Role
from aigiqa_cli.manifest.base import Dimension, Strict
from aigiqa_cli.manifest.labels import (
    ImageRule,
    Join,
    LabelSource,
    ReferenceRule,
    Repeats,
    Score,
    Table,
    Target,
)
from aigiqa_cli.manifest.scalars import Count, DatabaseId, Flag, Number, RelativePath, Sha256, Slug, Text, Url
from aigiqa_cli.manifest.splits import Published, Rule, Split, SplitFile

SCHEMA = 1

__all__ = [
    "ARCHIVES", "SCHEMA", "Asset", "Citation", "Database", "Defect", "Dimension", "Expectation", "ImageRule", "Join",
    "LabelSource", "License", "Mirror", "Published", "ReferenceRule", "Repeats", "Result", "Role", "Rule", "Score",
    "Split", "SplitFile", "Statistics", "Table", "Target", "Vocabulary", "Witness",
]  # fmt: skip


class License(Strict):
    spdx: Text
    scope: Text
    source: Text
    note: Text = ""


class Citation(Strict):
    """BibTeX fields, as the database's authors ask to be cited."""

    key: Text
    type: Literal["article", "inproceedings", "misc"]
    title: Text
    authors: Annotated[tuple[Text, ...], Field(min_length=1)]
    year: Count
    journal: Text = ""
    booktitle: Text = ""
    volume: Text = ""
    number: Text = ""
    pages: Text = ""
    doi: Text = ""
    arxiv: Text = ""
    url: Url | Literal[""] = ""
    note: Text = ""


def _bounds(value: Any) -> Any:
    return [value, value] if isinstance(value, str) else value


Bounds = Annotated[tuple[Count, Count], BeforeValidator(_bounds)]


class Statistics(Strict):
    """Of one published column: to the digits given."""

    min: Number
    max: Number
    mean: Number


class PartExpectation(Strict):
    """What the rows with these index fields have. A label source that holds none of them is not judged by it."""

    of: Annotated[dict[Target, Text], Field(min_length=1)]
    rows: Bounds
    mos: dict[Dimension, Statistics] = {}


class Expectation(Strict):
    """What a complete install has. A number may be a range [low, high] where nobody has seen the archive."""

    images: Bounds
    rows: Bounds
    prompts: Bounds | None = None
    references: Bounds | None = None
    generators: Annotated[dict[Slug, Bounds], Field(min_length=1)]
    mos: dict[Dimension, Statistics] = {}
    parts: tuple[PartExpectation, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        numbers = [self.images, self.rows, *self.generators.values()]
        if any(low < 1 or low > high for low, high in numbers):
            raise ValueError("a check that expects nothing checks nothing: counts start at 1")
        return self


class Witness(Strict):
    """A single image whose bytes public material shows. A mismatch is a warning."""

    image: RelativePath
    bytes: Count | None = None
    sha256: Sha256
    source: Text


class Defect(Strict):
    """A known problem of the published database, so that it is not taken for damage."""

    what: Text
    evidence: Text
    affects: Text = ""


class Result(Strict):
    """Published correlation of a method with the MOS."""

    method: Text
    dimension: Dimension
    srcc: Number | None = None
    plcc: Number | None = None
    protocol: Text = ""
    source: Text
    note: Text = ""


class Database(Strict):
    """One manifest."""

    schema_: Annotated[Count, Field(alias="schema")]
    version: Count
    id: DatabaseId
    aliases: tuple[Slug, ...] = ()
    title: Text
    summary: Text
    homepage: Url | Literal[""] = ""
    synthetic: Flag = False
    license: License
    citation: Citation
    assets: Annotated[tuple[Asset, ...], Field(min_length=1)]
    labels: Annotated[tuple[LabelSource, ...], Field(min_length=1)]
    splits: tuple[Split, ...] = ()
    expect: Expectation
    witnesses: tuple[Witness, ...] = ()
    defects: tuple[Defect, ...] = ()
    results: tuple[Result, ...] = ()
    facts: dict[Text, Text] = {}  # what else the sources say, as "topic: statement [evidence]"

    def asset(self, name: str) -> Asset:
        return next(asset for asset in self.assets if asset.name == name)

    def assets_of(self, *roles: Role) -> tuple[Asset, ...]:
        """Assets of these roles that an install needs: repacks and optional ones are left out."""
        return tuple(a for a in self.assets if a.role in roles and not a.substitutes and not a.optional)

    @property
    def label_tables(self) -> tuple[Asset, ...]:
        """Every label table that there is, the optional ones too."""
        return tuple(asset for asset in self.assets if asset.role == "labels")

    @model_validator(mode="after")
    def _refer(self) -> Self:
        names = [asset.name for asset in self.assets]
        problems = [f"two assets are named {name}" for name in sorted({n for n in names if names.count(n) > 1})]
        problems += [
            f"{asset.name} substitutes {asset.substitutes}, which is no asset"
            for asset in self.assets
            if asset.substitutes and asset.substitutes not in names
        ]
        problems += [
            f"{asset.name} is inside {asset.inside}, which is no asset"
            for asset in self.assets
            if asset.inside and asset.inside not in names
        ]
        for source in self.labels:
            problems += [f"labels need {name}, which is no asset" for name in source.needs if name not in names]
            files = [table.file for table in (*source.tables, *(join.table for join in source.joins))]
            problems += [f"the table {name} is not among needs" for name in files if name not in source.needs]
        if not self.assets_of("images"):
            problems.append("no asset of role images is required")
        split_names = [split.name for split in self.splits]
        problems += [f"two splits are named {n}" for n in sorted({n for n in split_names if split_names.count(n) > 1})]
        if problems:
            raise ValueError("; ".join(problems))
        return self


class GeneratorName(Strict):
    """One entry of the generator vocabulary."""

    title: Text
    note: Text = ""


class Vocabulary(Strict):
    """The canonical generator slugs, the same for the same model in every database."""

    schema_: Annotated[Count, Field(alias="schema")]
    generators: dict[Slug, GeneratorName]
