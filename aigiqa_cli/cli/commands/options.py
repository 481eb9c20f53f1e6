"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer


def complete_ids(incomplete: str) -> list[str]:
    """Database ids for the shell's completion."""
    from aigiqa_cli.manifest.catalogue import Catalogue

    return [name for name in Catalogue().entries if name.startswith(incomplete)]


OneDatabase = Annotated[str, typer.Argument(metavar="DB", help="A database.", autocompletion=complete_ids)]
Databases = Annotated[
    list[str] | None,
    typer.Argument(metavar="[DB]...", help="Databases; none: all installed.", autocompletion=complete_ids),
]
NeededDatabases = Annotated[list[str], typer.Argument(metavar="DB...", help="Databases.", autocompletion=complete_ids)]
Password = Annotated[
    str, typer.Option("--password", metavar="TEXT", help="Of encrypted archives; not the code of a share.")
]
Accept = Annotated[
    str,
    typer.Option(
        metavar="SHA256",
        help="Take these bytes for right from now on, whatever the manifest pins; shown as locally accepted.",
    ),
]
