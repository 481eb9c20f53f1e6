"""How label tables become index rows: declared rules, no code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from aigiqa_cli.manifest.base import Dimension, Strict, TableFormat
from aigiqa_cli.manifest.scalars import Count, Flag, Number, Pattern, RelativePath, Text
from aigiqa_cli.patterns import compile_pattern

Target = Literal["prompt", "generator", "setting", "task", "split"]


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
    scale_up_to: Number | None = None  # the shift is for a column whose largest number is at most this, for no other
    optional: Flag = False  # rows without this score are expected
    raters: Count | None = None
    method: Text = ""
    evidence: Text = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.range[0] >= self.range[1]:
            raise ValueError("expected range: [lowest, highest]")
        if self.scale_up_to is not None and (not self.scale or self.std):
            raise ValueError("scale_up_to is for a score with a scale, and says nothing of an std")
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
    # Name in extra -> columns whose sum it is: where the database reports the sum, and no column of the table holds it.
    sums: dict[Text, Annotated[tuple[Text, ...], Field(min_length=2)]] = {}
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
        yield from (column for columns in self.sums.values() for column in columns)
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
        optional = {score.mos for score in self.scores.values() if score.optional}
        lacking = {name for table in self.tables for name in table.may_lack} & set(self.needed_columns()) - optional
        if lacking:
            raise ValueError(
                f"{', '.join(sorted(lacking))} may be missing, so only extra and optional scores may name it"
            )
        published = {column for table in self.tables for column in table.columns}
        for pattern in self.extract.values():
            if hidden := sorted(published & set(compile_pattern(pattern).groupindex)):
                raise ValueError(f"the group {', '.join(hidden)} would hide a published column of that name")
        stray = sorted(set(self.recode) - set(self.columns))
        if stray:
            raise ValueError(f"recode names {', '.join(stray)}, which columns does not fill")
        return self
