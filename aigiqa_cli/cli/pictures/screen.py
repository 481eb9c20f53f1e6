"""What a terminal can show: it is asked, and knows best.

One question in three parts: is there a kitty graphics protocol (terminals that have none pass over it in silence), how
large is a cell, and the primary device attributes, which every terminal answers, so that the wait ends with it. The 4
among them is sixel. iTerm2 does not answer for its own protocol and says its name in the environment.
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass

KITTY, ITERM2, SIXEL, BLOCKS = "kitty", "iterm2", "sixel", "blocks"
SECONDS = 1.0  # a terminal behind a slow line; an answer that comes later would be taken for keys
MOST = 4096  # bytes of an answer
_QUESTION = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[16t\x1b[c"
_ATTRIBUTES = re.compile(rb"\x1b\[\?([0-9;]*)c")
_CELL = re.compile(rb"\x1b\[6;(\d{1,4});(\d{1,4})t")
_MUTE = ("", "dumb", "linux", "eterm-color")  # kinds of terminals that would print the question
_USUAL = (10, 20)


@dataclass(frozen=True)
class Screen:
    """`way`: how pictures are shown; `cell`: width and height of a cell in pixels."""

    way: str
    cell: tuple[int, int] = _USUAL


def screen(terminal: int, environment: Mapping[str, str]) -> Screen:
    """The terminal behind a descriptor. Does not fail: what does not answer shows blocks."""
    term = environment.get("TERM", "")
    if term in _MUTE or "INSIDE_EMACS" in environment:
        return Screen(BLOCKS)
    answer = _ask(terminal)
    multiplexed = "TMUX" in environment or term.startswith(("screen", "tmux"))
    cell = _cell(answer)
    if b"\x1b_Gi=31;OK" in answer:
        return Screen(KITTY, cell)
    names = environment.get("TERM_PROGRAM", ""), environment.get("LC_TERMINAL", "")
    if names[0] == "iTerm.app" or names[1] == "iTerm2":
        return Screen(BLOCKS if multiplexed else ITERM2, cell)
    attributes = _ATTRIBUTES.search(answer)
    return Screen(SIXEL if attributes and b"4" in attributes[1].split(b";")[1:] else BLOCKS, cell)


def _cell(answer: bytes) -> tuple[int, int]:
    found = _CELL.search(answer)
    if found is None:
        return _USUAL
    height, width = int(found[1]), int(found[2])
    return (width, height) if width and height else _USUAL


def _ask(terminal: int) -> bytes:
    """What comes back up to the device attributes; b"" where nobody can be asked."""
    try:
        import termios
    except ImportError:
        return b""
    try:
        if _in_background(terminal):
            return b""  # a job there must not touch the keyboard
        before = termios.tcgetattr(terminal)
        quiet = termios.tcgetattr(terminal)
        quiet[3] &= ~(termios.ECHO | termios.ICANON)
        try:
            termios.tcsetattr(terminal, termios.TCSADRAIN, quiet)
            os.write(terminal, _QUESTION)
            answer = _read(terminal)
            if not _ATTRIBUTES.search(answer):
                termios.tcflush(terminal, termios.TCIFLUSH)
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
    except (termios.error, OSError):
        return b""
    return answer


def _read(terminal: int) -> bytes:
    answer, end = b"", time.monotonic() + SECONDS
    while len(answer) < MOST and not _ATTRIBUTES.search(answer):
        left = end - time.monotonic()
        if left <= 0 or not select.select([terminal], [], [], left)[0]:
            break
        answer += os.read(terminal, 256)
    return answer


def _in_background(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:  # not the one that controls this process: nothing is stopped for it
        return False
