"""Copy a short text to the clipboard of the person's own terminal (OSC 52), where there is one; else say nothing.

Not every terminal allows it, so whatever is copied is printed too.
"""

from __future__ import annotations

import base64
import os
import sys


def copy(text: str) -> bool:
    """Ask the terminal to take `text`; false where nobody listens."""
    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return False
    sequence = f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07"
    if os.environ.get("TMUX"):  # tmux passes a wrapped sequence on to the terminal around it
        doubled = sequence.replace("\x1b", "\x1b\x1b")
        sequence = f"\x1bPtmux;{doubled}\x1b\\"
    sys.stderr.write(sequence)
    sys.stderr.flush()
    return True
