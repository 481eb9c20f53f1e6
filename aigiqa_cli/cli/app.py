"""The typer application, with only the command that is asked for; all of them for help and for unknown words."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Annotated

import typer

from aigiqa_cli import __version__
from aigiqa_cli.cli import desk
from aigiqa_cli.cli.commands import COMMANDS

HELP = """Obtain, verify and use the human-rated databases of AI-generated-image quality assessment.

aigiqa list · aigiqa fetch DB · aigiqa verify · aigiqa export --format parquet
"""


def build(arguments: Sequence[str]) -> typer.Typer:
    """The application for these arguments."""
    app = typer.Typer(
        help=f"{HELP}\n\n{desk.EXIT_CODES}",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode="rich",
    )
    app.callback()(_globals)
    for name in _wanted(arguments):
        found = importlib.import_module(COMMANDS[name]).command_
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def _wanted(arguments: Sequence[str]) -> list[str]:
    """The command that is asked for; all of them where that is not plain."""
    words = list(arguments)
    while "--root" in words:  # its value may look like a command
        at = words.index("--root")
        del words[at : at + 2]
    first = next((word for word in words if not word.startswith("-")), None)
    return [first] if first in COMMANDS else list(COMMANDS)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"aigiqa {__version__}")
        raise typer.Exit


def _globals(
    root: desk.RootOption = "",
    json: desk.JsonOption = False,
    quiet: desk.QuietOption = False,
    verbose: desk.VerboseOption = False,
    no_color: desk.NoColorOption = False,
    version: Annotated[  # noqa: ARG001 - answered by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    before = desk.BEFORE
    before.root, before.json, before.quiet = root, json, quiet
    before.verbose, before.no_color = verbose, no_color
