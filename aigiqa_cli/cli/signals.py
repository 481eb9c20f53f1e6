"""Interrupt, terminate, hang up: the first stops at the next safe point, the second at once (S03)."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

TYPE_CHECKING = False  # see the package
if TYPE_CHECKING:
    from typing import Any

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN = 0.01  # seconds until a stop that a finaliser swallowed is said again


class Stopped(BaseException):
    """A signal asked to stop. No KeyboardInterrupt: the parser would turn that into a silent exit."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def code(self) -> int:
        """The exit code: 130 for an interrupt, 143 for the others."""
        return _code(self.number)


class _Seen:
    number = 0
    answered = False


def listen() -> None:
    """From now on a signal raises Stopped, where it is not ignored already, as nohup and shells want it."""
    for number in NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    sys.unraisablehook = _swallowed


def answered() -> None:
    """The command is done and its answer is on its way: a first signal comes too late to change that."""
    _Seen.answered = True


def _stop(number: int, _frame: FrameType | None) -> None:
    if _Seen.number:
        os._exit(_code(number))
    _Seen.number = number
    if not _Seen.answered:
        raise Stopped(number)


def _code(number: int) -> int:
    return 130 if number == signal.SIGINT else 143


def _swallowed(about: Any) -> None:
    """A stop that came while a finaliser ran is dropped by the interpreter, so it is raised again a moment later."""
    if not isinstance(about.exc_value, Stopped):
        sys.__unraisablehook__(about)
        return
    number = about.exc_value.number

    def again(_number: int, _frame: FrameType | None) -> None:
        raise Stopped(number)

    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, _AGAIN)
