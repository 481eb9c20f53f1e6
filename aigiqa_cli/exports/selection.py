"""`--where`: an SQL boolean expression over the typed index that can read nothing else.

The expression runs in an SQLite database in memory that holds one batch of rows and nothing else. It stands
in a DELETE, so that every SELECT that SQLite reports is one of the expression's own and is refused.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice

from aigiqa_cli.errors import UsageFault
from aigiqa_cli.exports.columns import Row, cells, integer, json_object, number, plan, suggestion

BATCH = 10_000
SECONDS = 30.0  # for one batch; an expression without sub-selects needs milliseconds
TABLE = "images"

# Pure functions of their arguments: no clock, no chance, no file, no extension, nothing about the machine.
# "->" and "->>" are the names that SQLite gives to the operators on JSON.
# fmt: off
FUNCTIONS = frozenset([
    "abs", "ceil", "ceiling", "char", "coalesce", "exp", "floor", "glob", "hex", "if", "ifnull", "iif",
    "instr", "json_array_length", "json_extract", "json_type", "json_valid", "length", "like", "ln", "log",
    "log10", "log2", "lower", "ltrim", "max", "min", "mod", "nullif", "pow", "power", "replace", "round",
    "rtrim", "sign", "sqrt", "substr", "substring", "trim", "trunc", "typeof", "unicode", "upper", "->",
    "->>",
])
# fmt: on

# No text leaves the first form's parentheses and also fits the second, and none leaves the CASE and fits
# the first: what compiles in both is one expression. A comment at its end stops at the line end.
_FORMS = (
    f"DELETE FROM {TABLE} WHERE (\n%s\n) IS NOT TRUE",  # noqa: S608 - judged by _guard
    f"DELETE FROM {TABLE} WHERE CASE WHEN\n%s\nTHEN 0 ELSE 1 END",  # noqa: S608
)
_TYPES = {"number": "REAL", "integer": "INTEGER"}
_VALUES: dict[str, Callable[[str], object]] = {
    "text": str,
    "number": number,
    "integer": integer,
    "json": json_object,
}


def matching(rows: Iterable[Row], where: str) -> Iterator[Row]:
    """The rows for which the expression `where` is true, unchanged and in order.

    A bad expression is a UsageFault at once; one that fails on a value (JSON, overflow) when that row comes.
    Columns have the types of the typed index: an empty number is NULL, an empty text '', an empty extra '{}'.
    """
    return _filter(rows, where, columns_read(where))


def columns_read(where: str) -> list[str]:
    """The columns that the expression reads, after SQLite has compiled it. Raises UsageFault for a bad one."""
    read: set[str] = set()
    refused: list[str] = []
    with closing(_database()) as database:
        database.set_authorizer(_guard(read, refused))
        for form in _FORMS:
            _run(database, form % where, where, refused)
    return sorted(read)


def _filter(rows: Iterable[Row], where: str, read: list[str]) -> Iterator[Row]:
    names = ", ".join(["place", *read])
    insert = f"INSERT INTO {TABLE} ({names}) VALUES ({', '.join('?' * (len(read) + 1))})"  # noqa: S608
    steps = plan(read, _VALUES)
    remaining = iter(rows)
    with closing(_database()) as database:
        while batch := list(islice(remaining, BATCH)):
            database.executemany(insert, ([place, *cells(row, steps)] for place, row in enumerate(batch)))
            database.set_authorizer(_guard(set(), []))
            _run(database, _FORMS[0] % where, where)
            database.set_authorizer(None)
            kept = database.execute(f"SELECT place FROM {TABLE} ORDER BY place").fetchall()  # noqa: S608
            database.execute(f"DELETE FROM {TABLE}")  # noqa: S608
            yield from (batch[place] for (place,) in kept)


def _database() -> sqlite3.Connection:
    """An empty table of the typed index, in memory, with limits that no honest expression meets."""
    from aigiqa_cli.index import KINDS

    database = sqlite3.connect(":memory:", isolation_level=None)
    columns = ", ".join(f"{name} {_TYPES.get(kind, 'TEXT')}" for name, kind in KINDS.items())
    database.execute(f"CREATE TABLE {TABLE} (place INTEGER PRIMARY KEY, {columns})")
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000_000)
    database.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 1_000_000)
    database.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000)
    database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    return database


def _guard(read: set[str], refused: list[str]) -> Callable[..., int]:
    """What SQLite asks for every table, column and function of a statement. Fills `read` and `refused`."""
    from aigiqa_cli.index import KINDS

    def judge(action: int, first: str | None, second: str | None, _place: str | None, _by: str | None) -> int:
        if action == sqlite3.SQLITE_DELETE and first == TABLE:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ and first == TABLE and second in KINDS:
            read.add(second)
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and second and second.lower() in FUNCTIONS:
            return sqlite3.SQLITE_OK
        what = {
            sqlite3.SQLITE_SELECT: "a sub-select",
            sqlite3.SQLITE_READ: f"reading {first}.{second}",
            sqlite3.SQLITE_FUNCTION: f"the function {second}",
        }
        refused.append(what.get(action, "anything but columns, operators and plain functions"))
        return sqlite3.SQLITE_DENY

    return judge


def _run(database: sqlite3.Connection, statement: str, where: str, refused: list[str] | None = None) -> None:
    deadline = time.monotonic() + SECONDS
    database.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        database.execute(statement)
    # Python 3.11 reports a second statement as sqlite3.Warning, which is no sqlite3.Error; NUL and lone
    # surrogates are a ValueError.
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        reason = f"{refused[0]} is not allowed" if refused else str(error)
        raise _fault(where, reason) from error
    finally:
        # The next statement of this connection is ours, and may come long after the deadline.
        database.set_progress_handler(None, 0)


def _fault(where: str, reason: str) -> UsageFault:
    from aigiqa_cli.index import COLUMNS

    missing = re.match(r"no such column: \"?([^\s\"]+)", reason)
    shown = where if len(where) <= 300 else where[:300] + "…"  # noqa: PLR2004
    return UsageFault(
        f"the expression {shown!r} cannot be used: {reason}",
        hint="columns: " + suggestion(missing[1] if missing else "", COLUMNS),
    )
