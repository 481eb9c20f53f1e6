"""The entry point: version at once, then parse, run one command, and exit with a documented code."""

from __future__ import annotations

import errno
import gc
import io
import os
import stat
import sys
from collections.abc import Sequence
from types import TracebackType

from aigiqa_cli import __version__
from aigiqa_cli.cli.signals import Stopped, answered, listen

TYPE_CHECKING = False  # see the package
if TYPE_CHECKING:
    from typing import Any, NoReturn

_MADE_AT_START = 100_000  # objects, which all stay: to look for garbage among them took 17 of the 224 ms of `list`
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def run() -> NoReturn:
    """The `aigiqa` command."""
    gc.set_threshold(_MADE_AT_START)
    arguments = sys.argv[1:]
    _prepare_streams()
    if "--version" in arguments and "--help" not in arguments:
        _version(arguments)
        sys.exit(0)
    listen()
    _hide_secrets_in_tracebacks()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # else it looks through every installed package
    try:
        code = _finished(arguments, 0 if _told_at_once(arguments) else _run(arguments))
        answered()
    except Stopped as stopped:  # while a fault was being told
        code = _stopped(arguments, stopped)
    gc.freeze()  # or the interpreter's last collection visits everything, only to free it with the process
    sys.exit(code)


def _told_at_once(arguments: Sequence[str]) -> bool:
    """Was this a question that needs no parser?"""
    if "--quick" not in arguments:
        return False
    from aigiqa_cli.cli.at_once import verify_quick

    answer = verify_quick(arguments)
    sys.stdout.write(answer)
    return bool(answer)


def _version(arguments: Sequence[str]) -> None:
    """Answered before anything heavy is imported."""
    if "--json" not in arguments:
        sys.stdout.write(f"aigiqa {__version__}\n")
        return
    import json

    data = {"version": __version__}
    envelope: dict[str, object] = {
        "aigiqa": __version__,
        "command": "version",
        "status": "ok",
        "data": data,
        "findings": [],
        "error": None,
    }
    sys.stdout.write(json.dumps(envelope) + "\n")


def _run(arguments: Sequence[str]) -> int:
    from aigiqa_cli.errors import Exit
    from aigiqa_cli.machine import machine_fault

    os.umask(os.umask(0o022) | stat.S_IWOTH)  # a group may share a root; nothing is ever for everybody to write (C08)
    try:
        return _command(arguments)
    except BrokenPipeError:
        _silence_stdout()
        return int(Exit.DONE)
    except Stopped as stopped:
        return _stopped(arguments, stopped)
    except Exception as error:  # noqa: BLE001 - the edge: everything unforeseen is a bug and is shown as one
        if isinstance(error, OSError) and error.errno in _DISK and not error.filename:
            return _machine(arguments, error)
        fault = machine_fault(error, "this command")
        return _report(arguments, fault) if fault else _bug(arguments, error)


def _command(arguments: Sequence[str]) -> int:
    from aigiqa_cli.cli.app import build
    from aigiqa_cli.errors import UsageFault

    app = build(arguments)
    try:
        result = app(list(arguments), standalone_mode=False, prog_name="aigiqa")
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # the parser's own way out, with exit status 1
            raise ended.__context__ from None
        raise
    except Exception as error:
        show, code = getattr(error, "format_message", None), getattr(error, "exit_code", None)
        if show is None or code is None:
            raise
        if not show() and "--json" not in arguments:
            return int(code)  # help was asked for by giving nothing, and has been shown
        return _report(
            arguments,
            UsageFault(show() or "no command is given", hint="aigiqa --help, or aigiqa COMMAND --help", phase="PLAN"),
        )
    return result if isinstance(result, int) else 0


def _machine(arguments: Sequence[str], error: OSError) -> int:
    """The disk behind stdout, or one that nobody expected to be written to, refuses."""
    from aigiqa_cli.errors import MachineFault

    _silence_stdout()
    where = f" ({error.filename})" if error.filename else ""
    message = f"the output cannot be written{where}: {error.strerror}"
    return _report(arguments, MachineFault(message, hint="free some space, or write elsewhere", fault="S04"))


def _stopped(arguments: Sequence[str], stopped: Stopped) -> int:
    from aigiqa_cli.errors import Exit, interrupted

    return _report(arguments, interrupted(Exit(stopped.code)))


def _bug(arguments: Sequence[str], error: Exception) -> int:
    import traceback

    from aigiqa_cli.cli.desk import bug
    from aigiqa_cli.transport.redact import redact

    sys.stderr.write(redact("".join(traceback.format_exception(error)), os.environ))
    fault = bug("", error)
    fault.message = redact(fault.message, os.environ)
    return _report(arguments, fault)


def _hide_secrets_in_tracebacks() -> None:
    """What no handler catches passes the redactor too: threads, destructors, the start and the end (K07)."""
    import threading

    def show(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        import traceback

        from aigiqa_cli.transport.redact import redact

        sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace)), os.environ))

    sys.excepthook = show
    sys.unraisablehook = lambda told: show(told.exc_type, told.exc_value, told.exc_traceback)
    threading.excepthook = lambda told: (
        None if told.exc_type is SystemExit else show(told.exc_type, told.exc_value, told.exc_traceback)
    )


def _report(arguments: Sequence[str], fault: object) -> int:
    """Tell of a fault that no command has told of."""
    from aigiqa_cli.cli.commands import COMMANDS
    from aigiqa_cli.cli.desk import envelope
    from aigiqa_cli.cli.explaining import explain
    from aigiqa_cli.cli.terminal import Terminal
    from aigiqa_cli.errors import Fault

    assert isinstance(fault, Fault)  # noqa: S101 - typed as object to keep the import lazy
    terminal = Terminal(json="--json" in arguments, color="--no-color" not in arguments)
    if terminal.json:
        name = next((word for word in arguments if word in COMMANDS), "")
        terminal.envelope(envelope(name, "error", None, fault.findings, fault))
    else:
        explain(terminal, fault)
    return int(fault.exit_code)


def _prepare_streams() -> None:
    """A stream that the caller closed (`>&-`) is None here, and its number would go to the next file that is opened."""
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))  # noqa: SIM115 - for good
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # U05: what the terminal cannot show is spelled out
    if isinstance(sys.stderr, io.TextIOWrapper) and sys.stderr is sys.__stderr__:
        sys.stderr = _unhindered(sys.stderr)


def _unhindered(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """stderr as it was; but a full disk behind it, or a reader who has gone, does not stop the work (S04)."""

    class Hindered(io.FileIO):
        def write(self, data: Any, /) -> int:
            try:
                return super().write(data) or 0
            except OSError:
                return len(data)

    raw = io.BufferedWriter(Hindered(stream.fileno(), "w", closefd=False))
    return io.TextIOWrapper(raw, stream.encoding, "backslashreplace", line_buffering=True)


def _finished(arguments: Sequence[str], code: int) -> int:
    """The exit code, once the answer has left this process; an answer that cannot be written was not given."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
    except OSError as error:
        return max(code, _machine(arguments, error))
    return code


def _silence_stdout() -> None:
    """The reader has gone: nothing more may be written, not even by the interpreter's own flush at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
