"""What every command works at: its context, its terminal; and how its result becomes output and an exit code."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from aigiqa_cli import __version__
from aigiqa_cli.cli.progress import Bars, Lines
from aigiqa_cli.cli.terminal import Show, Terminal
from aigiqa_cli.errors import Exit, Fault, Finding
from aigiqa_cli.machine import machine_faults

if TYPE_CHECKING:
    from aigiqa_cli.context import Context
    from aigiqa_cli.manifest.models import Database

Item = TypeVar("Item")

EXIT_CODES = (
    "Exit codes: 0 done and durable · 1 a bug in aigiqa · 2 wrong usage · 3 a person is needed · "
    "4 bytes are not what they should be · 5 input refused · 6 temporary, try again · 7 this machine (disk, "
    "permission) · 130/143 interrupted."
)


@dataclass
class GlobalOptions:
    """The options that stand before or after any command."""

    root: str = ""
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False

    def merged(self, later: GlobalOptions) -> GlobalOptions:
        """What was said after the command wins over what was said before it."""
        return GlobalOptions(
            later.root or self.root,
            later.json or self.json,
            later.quiet or self.quiet,
            later.verbose or self.verbose,
            later.no_color or self.no_color,
        )


BEFORE = GlobalOptions()  # filled by the callback with what stands before the command

_PANEL = "Global options"
RootOption = Annotated[str, typer.Option(help="Data root (else AIGIQA_ROOT).", metavar="PATH", rich_help_panel=_PANEL)]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON envelope on stdout.", rich_help_panel=_PANEL)]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Only the answer.", rich_help_panel=_PANEL)]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.", rich_help_panel=_PANEL)]
NoColorOption = Annotated[bool, typer.Option("--no-color", help="No colours (also NO_COLOR).", rich_help_panel=_PANEL)]
GLOBALS: dict[str, Any] = {
    "root": RootOption,
    "json": JsonOption,
    "quiet": QuietOption,
    "verbose": VerboseOption,
    "no_color": NoColorOption,
}


@dataclass
class Outcome:
    """What came of one database of a command on several."""

    database: str
    data: Any = None
    fault: Fault | None = None

    def as_json(self) -> dict[str, Any]:
        error = self.fault.as_json() if self.fault else None
        return {"database": self.database, "result": self.data, "error": error}


@dataclass
class Answer:
    """The result of a command: data for machines, `show` for people, findings, and per-database outcomes.

    `strict`: one fault is a fault of the whole (status error, never partial). `silent`: another process answers.
    `given` is called once the answer has left this process, and not where its reader has gone.
    """

    data: Any = None
    show: Show = lambda _terminal: None
    findings: Sequence[Finding] = ()
    outcomes: Sequence[Outcome] = ()
    fault: Fault | None = None  # of the command as a whole, beside its data
    partial: bool = False
    strict: bool = False
    silent: bool = False
    given: Callable[[], None] = lambda: None


class Desk:
    """Made anew for each run of a command."""

    def __init__(self, name: str, options: GlobalOptions) -> None:
        self.name = name
        self.options = options
        color = not options.no_color and not os.environ.get("NO_COLOR")
        self.terminal = Terminal(options.json, options.quiet, options.verbose, color)
        live = self.terminal.err_is_terminal and not options.quiet and os.environ.get("TERM") != "dumb"
        self.reporter = Bars(self.terminal) if live else Lines(self.terminal)

    @functools.cached_property
    def context(self) -> Context:
        from aigiqa_cli.context import Context
        from aigiqa_cli.manifest.catalogue import Catalogue
        from aigiqa_cli.store.root import find_root

        root = find_root(self.options.root, os.environ)
        return Context(root, Catalogue(os.environ), os.environ, self.reporter)

    def databases(self, words: Sequence[str]) -> list[Database]:
        """The databases that these words mean, each once. An unknown one is a usage fault."""
        found = [self.context.catalogue.database(word) for word in words]
        return list({database.id: database for database in found}.values())

    def installed_names(self, words: Sequence[str]) -> list[str]:
        """The ids that these words mean, also of databases that are installed but whose manifest is not known here."""
        from aigiqa_cli.selecting import name_meant

        return list(dict.fromkeys(name_meant(self.context, word) for word in words))

    def each(self, names: Sequence[str], work: Callable[[str], Any]) -> list[Outcome]:
        """Run `work` for each database id; a fault of one does not stop the others."""
        outcomes = []
        for name in names:
            try:
                with machine_faults(f"working on {name}"):
                    outcomes.append(Outcome(name, work(name)))
            except Fault as fault:
                fault.database = fault.database or name
                outcomes.append(Outcome(name, None, fault))
        return outcomes


def command(function: Callable[..., Answer], name: str = "") -> Callable[..., None]:
    """Make `function(desk, ...) -> Answer` a command that takes the global options too; `name` is that of its group."""
    own = [p for name, p in inspect.signature(function, eval_str=True).parameters.items() if name != "desk"]

    def run(**arguments: Any) -> None:
        later = GlobalOptions(**{option: arguments.pop(option) for option in GLOBALS})
        desk = Desk(name or function.__name__.rstrip("_"), BEFORE.merged(later))
        with _closing(desk):
            answer = function(desk, **arguments)
        deliver(desk, answer)

    _takes(run, [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own])
    run.__doc__ = f"{_flowing(inspect.getdoc(function) or '')}\n\n{EXIT_CODES}"
    run.__name__ = function.__name__
    return run


def group(name: str, about: str, commands: Mapping[str, Callable[..., Answer]]) -> typer.Typer:
    """Several commands under one word; the global options stand before or after the second word, too."""
    app = typer.Typer(
        help=f"{_flowing(inspect.cleandoc(about))}\n\n{EXIT_CODES}",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode="rich",
    )

    def between(**arguments: Any) -> None:
        found = BEFORE.merged(GlobalOptions(**arguments))
        for option in GLOBALS:
            setattr(BEFORE, option, getattr(found, option))

    _takes(between, [])
    app.callback()(between)
    for word, function in commands.items():
        app.command(word)(command(function, name))
    return app


def _takes(run: Callable[..., None], own: Sequence[inspect.Parameter]) -> None:
    """Let the parser see these parameters and the global options."""
    extra = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default="" if name == "root" else False, annotation=kind
        )
        for name, kind in GLOBALS.items()
    ]
    parameters = [*own, *extra]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}


def _flowing(text: str) -> str:
    """Paragraphs as one line each, so that help wraps at the terminal's width and not at the source's."""
    return "\n\n".join(
        paragraph if paragraph.startswith(" ") else " ".join(paragraph.split("\n")) for paragraph in text.split("\n\n")
    )


@contextmanager
def _closing(desk: Desk) -> Iterator[None]:
    try:
        yield
    except Fault as fault:
        desk.reporter.close()
        fail(desk, fault)
    finally:
        desk.reporter.close()


def deliver(desk: Desk, answer: Answer) -> None:
    """Print the answer and exit with the highest code of its parts."""
    from aigiqa_cli.cli.explaining import explain

    if answer.silent:
        return
    faults = [outcome.fault for outcome in answer.outcomes if outcome.fault]
    faults += [answer.fault] if answer.fault else []
    code = max((int(fault.exit_code) for fault in faults), default=0)
    if desk.options.json:
        findings = [*answer.findings, *(finding for fault in faults for finding in fault.findings)]
        worst = max(faults, key=lambda fault: fault.exit_code, default=None)
        data = [outcome.as_json() for outcome in answer.outcomes] if answer.outcomes else answer.data
        good = not answer.strict and any(outcome.fault is None for outcome in answer.outcomes)
        status = "ok" if not faults else "partial" if good else "error"
        status = "partial" if status == "ok" and answer.partial else status
        desk.terminal.envelope(envelope(desk.name, status, data, findings, worst))
    else:
        answer.show(desk.terminal)
        for fault in faults:
            explain(desk.terminal, fault)
    sys.stdout.flush()
    answer.given()
    if code:
        raise typer.Exit(code)


def fail(desk: Desk, fault: Fault) -> None:
    """Report a fault of the whole command and exit with its code."""
    from aigiqa_cli.cli.explaining import explain

    if desk.options.json:
        desk.terminal.envelope(envelope(desk.name, "error", None, fault.findings, fault))
    else:
        explain(desk.terminal, fault)
    raise typer.Exit(int(fault.exit_code))


def envelope(name: str, status: str, data: Any, findings: Sequence[Finding], fault: Fault | None) -> dict[str, Any]:
    """The one JSON shape of every command."""
    return {
        "aigiqa": __version__,
        "command": name,
        "status": status,
        "data": data,
        "findings": [finding.as_json() for finding in findings],
        "error": fault.as_json() if fault else None,
    }


def bug(name: str, error: BaseException) -> Fault:
    """An exception that nobody foresaw, as a fault (exit 1)."""
    fault = Fault(
        f"a bug in aigiqa: {type(error).__name__}: {error}",
        hint="please report it with the command and the text above; what is installed is not harmed",
    )
    fault.phase = name
    assert fault.exit_code is Exit.BUG  # noqa: S101 - the base class
    return fault


__all__ = ["Answer", "Desk", "Outcome", "bug", "command", "deliver", "envelope", "fail", "group"]
