"""aigiqa cite."""

from __future__ import annotations

from aigiqa_cli import bibtex
from aigiqa_cli.cli.commands.options import NeededDatabases
from aigiqa_cli.cli.desk import Answer, Desk, command


def cite(desk: Desk, databases: NeededDatabases) -> Answer:
    """BibTeX for databases.

    Examples:

        aigiqa cite DB >> paper.bib
    """
    entries = {known.id: bibtex.entry(known.citation) for known in desk.databases(databases)}
    return Answer({"bibtex": entries}, lambda terminal: terminal.raw("\n".join(entries.values())))


command_ = command(cite)
