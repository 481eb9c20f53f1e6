"""While foreign code runs in this process, what it prints goes to stderr: stdout is the answer and nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stdout_aside() -> Iterator[None]:
    """For the length of a block stdout leads to stderr, also for libraries in C and for child processes."""
    sys.stdout.flush()
    number = sys.stdout.fileno()
    kept = os.dup(number)
    try:
        os.dup2(sys.stderr.fileno(), number)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, number)
        os.close(kept)
