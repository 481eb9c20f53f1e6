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
        module = importlib.import_module(COMMANDS[name])
        app.command(name)(module.command_)
    return app


def _wanted(arguments: Sequence[str]) -> list[str]:
    words = [word for word in arguments if not word.startswith("-")]
    asked = next((word for word in words if word in COMMANDS), None)
    first = words[0] if words else None
    return [asked] if asked is not None and (asked == first or _follows_root(arguments, asked)) else list(COMMANDS)


def _follows_root(arguments: Sequence[str], asked: str) -> bool:
    """`--root PATH COMMAND`: the first plain word is the option's value."""
    return "--root" in arguments and list(arguments).index(asked) == list(arguments).index("--root") + 2


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
