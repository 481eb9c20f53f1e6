"""Arguments and options that several commands share."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

STDIN = "-"


def complete_ids(incomplete: str) -> list[str]:
    """Database ids for the shell's completion."""
    from aigiqa_cli.manifest.catalogue import Catalogue

    return [name for name in Catalogue().entries if name.startswith(incomplete)]


def predictions_from(word: str) -> Path | BinaryIO:
    """A file, or stdin."""
    if word != STDIN:
        return Path(word).expanduser()
    return sys.stdin.buffer if sys.stdin else io.BytesIO()


def words(text: str) -> tuple[str, ...]:
    """What an option lists with commas, each once."""
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


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
