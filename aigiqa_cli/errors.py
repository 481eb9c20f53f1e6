"""Everything that can go wrong, as a type, a sentence and a next step.

    Fault                     exit
    ├── UsageFault              2   wrong usage
    ├── PersonNeeded            3   a manual share, a login, a licence, a password, a missing tool, a dead mirror
    ├── IntegrityFault          4   bytes or records are not what they should be
    ├── RefusedInput            5   archive, table or manifest refused as unsafe or invalid
    ├── TemporaryFault          6   a retry helps
    └── MachineFault            7   disk, inodes, permission, read-only

Library code raises these and never prints, exits or asks; `cli.main` turns them into text and an exit code.
Any other exception is a bug in aigiqa (exit 1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, ClassVar


class Exit(IntEnum):
    """The documented exit codes."""

    DONE = 0
    BUG = 1
    USAGE = 2
    PERSON = 3
    INTEGRITY = 4
    REFUSED = 5
    TEMPORARY = 6
    MACHINE = 7
    INTERRUPTED = 130
    TERMINATED = 143


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be, as data: what, where, what was expected, what was found. `bytes`: of a
    damaged file, between which first and last byte all of the damage is (FIRST-LAST, as in a range of HTTP)."""

    database: str
    path: str
    problem: str
    expected: str = ""
    found: str = ""
    bytes: str = ""

    def as_json(self) -> dict[str, str]:
        """`bytes` only where there is one."""
        fields: dict[str, str] = asdict(self)
        return fields if self.bytes else {name: text for name, text in fields.items() if name != "bytes"}


BY_HAND = ("baidu", "quark", "terabox", "onedrive")  # kinds of mirrors that only a person can open
DOWN = ("reported-dead", "withdrawn", "empty")  # states of a mirror that is not worth trying first


@dataclass(frozen=True)
class Share:
    """A link that only a person can open, with all that the person needs to know."""

    kind: str
    url: str
    code: str
    name: str
    bytes: int | None
    sha256: str
    note: str
    state: str
    next: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Fault(Exception):
    """A foreseen failure. `message` is one sentence, `hint` the next thing to do, `fault` a catalogue ID."""

    exit_code: ClassVar[Exit] = Exit.BUG
    kind: ClassVar[str] = "bug"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        fault: str = "",
        database: str = "",
        phase: str = "",
        mirror: str = "",
        shares: Iterable[Share] = (),
        findings: Iterable[Finding] = (),
    ) -> None:
        super().__init__(message)
        if hint:
            self.add_note(f"next: {hint}")  # what Python users see below the traceback
        self.message = message
        self.hint = hint
        self.fault = fault
        self.database = database
        self.phase = phase
        self.mirror = mirror
        self.shares = tuple(shares)
        self.findings = tuple(findings)

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "fault": self.fault,
            "message": self.message,
            "hint": self.hint,
            "exit_code": int(self.exit_code),
            "database": self.database,
            "phase": self.phase,
            "mirror": self.mirror,
            "shares": [share.as_json() for share in self.shares],
        }


class UsageFault(Fault):
    exit_code = Exit.USAGE
    kind = "usage"


class PersonNeeded(Fault):
    exit_code = Exit.PERSON
    kind = "person"


class IntegrityFault(Fault):
    exit_code = Exit.INTEGRITY
    kind = "integrity"


class RefusedInput(Fault):
    exit_code = Exit.REFUSED
    kind = "refused"


class TemporaryFault(Fault):
    exit_code = Exit.TEMPORARY
    kind = "temporary"


class MachineFault(Fault):
    exit_code = Exit.MACHINE
    kind = "machine"


def interrupted(code: Exit) -> Fault:
    """The run was stopped from outside."""

    class Interrupted(Fault):
        exit_code = code
        kind = "interrupted"

    return Interrupted("interrupted", hint="the same command goes on where this one stopped", fault="S03")
