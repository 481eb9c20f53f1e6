"""What a table must look like, and the one way to refuse one that does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aigiqa_cli.errors import Finding, RefusedInput

MAX_CELL = 1 << 20
MAX_ROWS = 10_000_000
MAX_COLUMNS = 256


@dataclass(frozen=True)
class Layout:
    """`name` is the file for messages; `columns` are exact and in order; without a header they are positions.

    The columns `may_lack` stand at the end and may be missing, all of them; rows then have so many cells fewer.
    With `others` further columns may stand anywhere beside these; readers leave them out. In files of users a csv may
    have another `delimiter`, and with `blank_lines` empty lines are no rows.
    """

    name: str
    format: str
    columns: tuple[str, ...]
    header: bool = True
    encoding: str = "utf-8"
    may_lack: tuple[str, ...] = ()
    others: bool = False
    delimiter: str = ","
    blank_lines: bool = False

    def check_header(self, found: Sequence[str]) -> int:
        """How many columns there are. Raises RefusedInput (T08) unless `found` is the declared header."""
        if self.fits(found):
            return len(found)
        missing = [name for name in self.columns if name not in found]
        foreign = [name for name in found if name not in self.columns and not self.others]
        parts = [f"missing column {', '.join(missing)}"] if missing else []
        parts += [f"unexpected column {', '.join(foreign)}"] if foreign else []
        parts += ["a column stands twice"] if len(set(found)) != len(found) else []
        problem = "; ".join(parts) or "the columns stand in another order"
        raise self.refusal(1, problem, ",".join(self.columns), ",".join(found), "T08")

    def fits(self, found: Sequence[str]) -> bool:
        """Is this the declared header?"""
        if self.others:
            return set(self.columns) <= set(found) and len(set(found)) == len(found)
        return tuple(found) in (self.columns, self.columns[: len(self.columns) - len(self.may_lack)])

    def places(self, found: Sequence[str]) -> tuple[int, ...] | None:
        """Where the declared columns stand in a row, if there may be others beside them."""
        return tuple(list(found).index(name) for name in self.columns) if self.others else None

    def refusal(
        self, line: int, problem: str, expected: str = "", found: str = "", fault: str = "", hint: str = ""
    ) -> RefusedInput:
        """A fault that names file and line (0: the whole file), what was expected and what was found. In a hint, DB
        stands for the database, which is not known here."""
        where = f"{self.name}:{line}" if line else self.name
        sides = [f"expected {expected}"] if expected else []
        sides += [f"found {found}"] if found else []
        detail = f" ({', '.join(sides)})" if sides else ""
        findings = [Finding("", where, problem, expected, found)]
        return RefusedInput(f"{where}: {problem}{detail}", hint=hint, fault=fault, phase="SCORES", findings=findings)
