"""The manifest: what is known of one database, as frozen records that forbid unknown keys.

Facts only. Unknown means that the key is left out; nothing here may be guessed. `docs` of each field are its comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from aigiqa_cli.manifest.scalars import (
    Count,
    Day,
    Flag,
    Number,
    Pattern,
    RelativePath,
    Repository,
    Revision,
    Sha256,
    Slug,
    Text,
    Url,
)
from aigiqa_cli.patterns import compile_pattern

SCHEMA = 1
MAX_MIRRORS = 20

Dimension = Literal["quality", "alignment", "authenticity", "overall"]
Kind = Literal[
    "http", "github", "huggingface", "modelscope", "gdrive", "builtin", "baidu", "quark", "terabox", "onedrive"
]
Role = Literal["images", "references", "labels", "split", "weights"]
AssetFormat = Literal["zip", "tar", "7z", "rar", "tree", "csv", "tsv", "json", "jsonl", "xlsx", "mat", "txt", "other"]
TableFormat = Literal["csv", "tsv", "json", "jsonl", "xlsx", "mat"]
Target = Literal["prompt", "generator", "setting", "task", "split"]

NEEDED_BY_KIND: dict[str, tuple[str, ...]] = {
    "http": ("url",),
    "github": ("repo", "revision", "path"),
    "huggingface": ("repo", "revision"),
    "modelscope": ("repo",),
    "gdrive": ("id",),
    "builtin": ("path",),
    "baidu": ("url",),
    "quark": ("url",),
    "terabox": ("url",),
    "onedrive": ("url",),
}
ARCHIVES = ("zip", "tar", "7z", "rar")


class Strict(BaseModel):
    """A record that refuses unknown keys and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Health(Strict):
    """What is publicly known of a mirror's state, and since when."""

    state: Literal["ok", "reported-dead", "withdrawn", "empty", "unknown"]
    date: Day | None = None
    source: Text


class Mirror(Strict):
    """One place that an asset can be had from."""

    kind: Kind
    url: Url | Literal[""] = ""
    repo: Repository | Literal[""] = ""
    revision: Revision | Literal[""] = ""
    path: RelativePath | Literal[""] = ""
    id: Text = ""
    code: Text = ""  # the extraction code of the share, verbatim; never an archive password
    note: Text = ""
    evidence: Text = ""
    health: Health | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [key for key in NEEDED_BY_KIND[self.kind] if not getattr(self, key)]
        if missing:
            raise ValueError(f"a mirror of kind {self.kind} needs {' and '.join(missing)}")
        return self


class Twin(Strict):
    """Other bytes that public material shows to be the same content."""

    bytes: Count | None = None
    sha256: Sha256
    note: Text


class Asset(Strict):
    """One published file. `bytes` and `sha256` only where public material states them."""

    name: RelativePath
    file: RelativePath | Literal[""] = ""  # the published file name, where `name` had to differ to be unique
    role: Role
    format: AssetFormat
    bytes: Count | None = None
    approximate_size: Text = ""  # as a page rounds it ("99.3 MB"), where the exact size is not known
    sha256: Sha256 | Literal[""] = ""
    content_sha256: Sha256 | Literal[""] = ""  # over published names, lengths and hashes of the images, sorted
    twins: tuple[Twin, ...] = ()
    advisory: Flag = False  # the hashes are those of copies that others carry: other bytes may be right as well
    optional: Flag = False
    password: Text = ""  # of the archive itself, where it is published; the code of a share is another thing
    nested: tuple[RelativePath, ...] = ()  # archives inside this one, as path endings; they are opened too
    inside: Text = ""  # the asset that holds this one, where it is published in no other way
    substitutes: Text = ""  # the asset whose content this repack carries in other bytes
    evidence: Text = ""
    note: Text = ""
    mirrors: Annotated[tuple[Mirror, ...], Field(max_length=MAX_MIRRORS)] = ()

    @model_validator(mode="after")
    def _one_file(self) -> Self:
        """A mirror on a hub names a file; that of a tree may mean the whole repository."""
        if self.format != "tree" and any(m.kind == "huggingface" and not m.path for m in self.mirrors):
            raise ValueError("a mirror of kind huggingface needs path")
        return self

    @property
    def published_name(self) -> str:
        return self.file or self.name

    @property
    def accepted(self) -> tuple[str, ...]:
        """Every hash that proves this content, the pinned one first."""
        return tuple(h for h in (self.sha256, *(twin.sha256 for twin in self.twins)) if h)

    @property
    def is_tree(self) -> bool:
        """A folder of many files, each of which is fetched by itself."""
        return self.format == "tree"

    @property
    def is_archive(self) -> bool:
        """Also one of which nobody has published the kind."""
        return self.format in ARCHIVES or (self.format == "other" and self.role in ("images", "references"))


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


class Repeats(Strict):
    """Rows with an equal `key` are one row; they may differ in the columns of `ignore` alone."""

    key: Text
    ignore: tuple[Text, ...] = ()


class Table(Strict):
    """A table file and the columns that it must have, in order. Every row also has the column `row`, 0-based."""

    file: RelativePath
    columns: Annotated[tuple[Text, ...], Field(min_length=1)]
    format: TableFormat | None = None  # default: the asset's
    encoding: Literal["utf-8", "gb18030", "utf-16"] = "utf-8"
    header: Flag = True
    may_lack: tuple[Text, ...] = ()  # the last columns, where it is not known that the file has them
    others: Flag = False  # further columns may stand beside these, anywhere: nobody has published the whole header
    rename: dict[Text, Text] = {}  # published column -> what the rules call it, where two tables use one name
    constants: dict[Text, Text] = {}  # further columns with one value for the whole table
    repeats: Repeats | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns as the rules call them, in order."""
        return tuple(self.rename.get(column, column) for column in self.columns)

    @model_validator(mode="after")
    def _renames_columns(self) -> Self:
        stray = sorted(set(self.rename) - set(self.columns))
        if stray:
            raise ValueError(f"rename names {', '.join(stray)}, which is no column")
        if len(set(self.names)) != len(self.names):
            raise ValueError("two columns have the same name")
        return self

    @model_validator(mode="after")
    def _lacks_the_end(self) -> Self:
        if self.may_lack and (not self.header or self.columns[-len(self.may_lack) :] != self.may_lack):
            raise ValueError("may_lack names the last columns of a table with a header")
        if self.others and (self.may_lack or not self.header):
            raise ValueError("others is for a table with a header, and leaves no room for may_lack")
        return self


class Join(Strict):
    """A further table whose columns are added to each row, by equal text of a key or by row number.

    A column of `fills` belongs to both: it is taken from here where the row has none, and must agree where it has one.
    """

    table: Table
    on: tuple[Text, Text] | None = None  # (column of the rows, column of this table); left out: by row
    integer: Flag = False  # the keys are whole numbers: 007 and 7 are equal
    optional: Flag = False  # rows without a partner are expected
    unused: tuple[Text, ...] = ()  # keys of this table that are known to belong to no row
    fills: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _key_exists(self) -> Self:
        if self.on and self.on[1] not in (*self.table.names, "row"):
            raise ValueError(f"the joined table has no column {self.on[1]}")
        if missing := [name for name in self.fills if name not in self.table.names]:
            raise ValueError(f"the joined table has no column {', '.join(missing)}")
        return self

    @property
    def added(self) -> tuple[str, ...]:
        """The columns that each row gains; the key keeps the row's own text."""
        own = {self.on[0] if self.on else "", *self.fills}
        return tuple(name for name in (*self.table.names, *self.table.constants) if name not in own)


def _same_names(value: Any) -> Any:
    return {name: name for name in value} if isinstance(value, list) else value


def _column_or_const(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class _Field(Strict):
    column: Text = ""
    const: Text = ""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if bool(self.column) == bool(self.const):
            raise ValueError("expected the name of a column, or {const: TEXT}")
        return self


FieldSource = Annotated[_Field, BeforeValidator(_column_or_const)]


class _Key(Strict):
    """Rows in the order of a column: of its text, or of `values` where these are given."""

    column: Text
    values: tuple[Text, ...] = ()


OrderKey = Annotated[_Key, BeforeValidator(_column_or_const)]


class Score(Strict):
    """One rated dimension. `range` is the declared scale of the MOS (higher is better)."""

    mos: Text
    std: Text = ""  # on the scale of the MOS
    raw_std: Text = ""  # on another scale: goes to extra.raw_std_D
    range: tuple[Number, Number]
    scale: Literal["10", "100", "1000", ""] = ""  # a declared decimal shift of the published text
    optional: Flag = False  # rows without this score are expected
    raters: Count | None = None
    method: Text = ""
    evidence: Text = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.range[0] >= self.range[1]:
            raise ValueError("expected range: [lowest, highest]")
        return self


class ImageRule(Strict):
    """How a label row finds its image: `find` are path endings with {column} places, tried in order, in any folder."""

    id: Text  # a column, or a name with {column} places
    find: Annotated[tuple[Text, ...], Field(min_length=1)]
    names: Pattern | Literal[""] = ""  # how image files are named; default: the pattern that extracts from `id`
    aliases: tuple[Text, ...] = ()
    unlabelled: tuple[Text, ...] = ()  # images that the database has without a label row
    duplicates: tuple[Text, ...] = ()  # images that are known to be labelled twice: the first row counts

    @property
    def id_template(self) -> str:
        return self.id if "{" in self.id else "{" + self.id + "}"


class ReferenceRule(Strict):
    """How an image-to-image row finds its reference image; `when` names the column that is empty without one."""

    when: Text
    name: Text
    find: Annotated[tuple[Text, ...], Field(min_length=1)]


class LabelSource(Strict):
    """One way to the labels. Rules run in a fixed order: tables, extract, joins, columns, recode, scores, image.

    Rows are numbered in the order of the authors' own table: `order` restores it in a copy that has lost it, and
    `first_row` is the number of the first row of a copy that has only part of it.
    """

    needs: Annotated[tuple[Text, ...], Field(min_length=1)]
    tables: Annotated[tuple[Table, ...], Field(min_length=1)]  # stacked in this order; `row` counts through all
    order: tuple[OrderKey, ...] = ()
    first_row: Count = 0
    extract: dict[Text, Pattern] = {}
    joins: tuple[Join, ...] = ()
    columns: dict[Target, FieldSource]
    recode: dict[Target, dict[Text, Text]] = {}
    extra: Annotated[dict[Text, Text], BeforeValidator(_same_names)] = {}  # name in extra -> column
    scores: Annotated[dict[Dimension, Score], Field(min_length=1)]
    image: ImageRule
    reference: ReferenceRule | None = None
    third_party: Text = ""  # whose copy this is, where it is not the authors' own
    partial: Count | None = None  # how many rows it has, where it has only part of the database's
    lacks: Text = ""  # what an earlier source says beside the scores: this one serves where that is not to be had
    evidence: Text = ""

    def known_columns(self) -> set[str]:
        """Every column that a rule may name."""
        known = self._own_columns()
        for join in self.joins:
            known |= set(join.added)
        return known

    def _own_columns(self) -> set[str]:
        """Those of the stacked tables, and what the patterns find in them."""
        known = {"row"} | {name for table in self.tables for name in (*table.names, *table.constants)}
        for pattern in self.extract.values():
            known |= set(compile_pattern(pattern).groupindex)
        return known

    def named_columns(self) -> Iterator[str]:
        """Every column that the rules name."""
        yield from self.needed_columns()
        yield from self.extra.values()

    def needed_columns(self) -> Iterator[str]:
        """Every column that the rules cannot do without."""
        yield from self.extract
        yield from (key.column for key in self.order)
        yield from (field.column for field in self.columns.values() if field.column)
        yield from (join.on[0] for join in self.joins if join.on)
        for score in self.scores.values():
            yield from (column for column in (score.mos, score.std, score.raw_std) if column)
        templates = [self.image.id_template, *self.image.find, *self.image.aliases]
        if self.reference:
            yield self.reference.when
            templates += [self.reference.name, *self.reference.find]
        for template in templates:
            yield from re.findall(r"\{(\w+)\}", template)

    @model_validator(mode="after")
    def _no_column_hides_another(self) -> Self:
        known = self._own_columns()
        for join in self.joins:
            if twice := sorted(known & set(join.added)):
                raise ValueError(f"{join.table.file} has the column {', '.join(twice)} of another table: rename it")
            known |= set(join.added)
        return self

    @model_validator(mode="after")
    def _columns_exist(self) -> Self:
        known = self.known_columns()
        unknown = sorted({column for column in self.named_columns() if column not in known})
        if unknown:
            raise ValueError(f"no table has the column {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        lacking = {name for table in self.tables for name in table.may_lack} & set(self.needed_columns())
        if lacking:
            raise ValueError(f"{', '.join(sorted(lacking))} may be missing, so only extra may name it")
        published = {column for table in self.tables for column in table.columns}
        for pattern in self.extract.values():
            if hidden := sorted(published & set(compile_pattern(pattern).groupindex)):
                raise ValueError(f"the group {', '.join(hidden)} would hide a published column of that name")
        stray = sorted(set(self.recode) - set(self.columns))
        if stray:
            raise ValueError(f"recode names {', '.join(stray)}, which columns does not fill")
        return self


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
    id: Slug
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


Rule.model_rebuild()
