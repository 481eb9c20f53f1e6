"""doctor --links: what every mirror answers today, without downloading; kept in the health ledger of the root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aigiqa_cli import mirrors
from aigiqa_cli.context import Context
from aigiqa_cli.errors import Fault, Finding, IntegrityFault, PersonNeeded, TemporaryFault
from aigiqa_cli.examining.links import Found, ask_all, links
from aigiqa_cli.store.ledger import BY_HAND, CHANGED, CLOSED, DEAD, GONE, UNREACHABLE, Health, now, write_ledger

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database


@dataclass(frozen=True)
class Checked:
    """The mirrors of one database, and the fault that they amount to, if any."""

    database: str
    found: tuple[Found, ...]
    fault: Fault | None

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {
                "asset": found.link.part.published_name,
                "role": found.link.asset.role,
                "kind": found.link.mirror.kind,
                "mirror": mirrors.label(found.link.mirror),
                "url": mirrors.link(found.link.mirror, folder=found.link.asset.is_tree),
                "code": found.link.mirror.code,
                "automatic": found.link.automatic,
                "state": found.state,
                "detail": found.detail,
                "bytes": found.bytes,
                "promised_bytes": found.link.part.bytes,
                "proof": found.proof,
                "reported": found.link.mirror.health.state if found.link.mirror.health else "",
            }
            for found in self.found
        ]


def check_links(context: Context, databases: Sequence[Database]) -> list[Checked]:
    """Ask every mirror of these databases. Raises MachineFault if the ledger cannot be written."""
    context.root.prepare()
    wanted = list(links(databases))
    context.reporter.phase("mirrors", total=len(wanted), unit="mirrors")
    answers = ask_all(context, wanted, context.reporter.advance)
    write_ledger(context.root, _entries(answers))
    return [
        _checked(database, [found for found in answers if found.link.database is database]) for database in databases
    ]


def _entries(answers: Sequence[Found]) -> dict[str, Health]:
    at = now()
    return {
        mirrors.key(found.link.mirror): Health(
            found.link.database.id,
            found.link.part.published_name,
            found.link.mirror.kind,
            mirrors.label(found.link.mirror),
            found.state,
            found.detail,
            at,
            found.bytes,
        )
        for found in answers
        if found.state != BY_HAND
    }


def _checked(database: Database, answers: Sequence[Found]) -> Checked:
    """Mirrors that the manifest itself reports dead have promised nothing."""
    bad = [found for found in answers if found.state in DEAD and not found.link.given_up]
    if not bad:
        return Checked(database.id, tuple(answers), None)
    states = {found.state for found in bad}
    asked = sum(found.state != BY_HAND for found in answers)
    kind, fault, hint = _meaning(states, database.id)
    message = (
        f"{len(bad)} of {asked} mirrors of {database.title} {'do' if len(bad) > 1 else 'does'} not answer as promised"
    )
    findings = [
        Finding(
            database.id,
            mirrors.label(found.link.mirror),
            f"{found.link.part.published_name}: {found.state}",
            "",
            found.detail,
        )
        for found in bad
    ]
    return Checked(
        database.id,
        tuple(answers),
        kind(message, hint=hint, fault=fault, database=database.id, phase="RESOLVE", findings=findings),
    )


def _meaning(states: set[str], name: str) -> tuple[type[Fault], str, str]:
    """The highest exit code decides, as everywhere."""
    if UNREACHABLE in states:
        return TemporaryFault, "N14", f"try again later: aigiqa doctor --links {name}"
    if CHANGED in states:
        return IntegrityFault, "N31", "nothing is downloaded from there unproven; the manifest may need a new version"
    if states & {GONE, CLOSED}:
        return PersonNeeded, "N07", f"aigiqa info {name} shows the other mirrors; fetch tries these last from now on"
    raise AssertionError(states)
