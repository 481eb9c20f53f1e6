"""Who works on something: enough to tell a living process from a dead one, whatever became of its number (C09).

Kernel locks say the same and are asked first. This is for file systems whose locks lie or do not exist (C06, S11).
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_STARTED = 19  # field of /proc/PID/stat behind the name of the program: clock ticks from boot to start


def note() -> dict[str, Any]:
    """This process, as JSON: host, boot of its kernel, number, start, and when the note was made."""
    return {
        "host": os.uname().nodename,
        "boot": boot_id(),
        "pid": os.getpid(),
        "start": _start(os.getpid()),
        "at": time.time(),
    }


def lives(found: Mapping[str, Any]) -> bool:
    """Is the process of this note still running here, and not this very one? False where that cannot be known: of
    another machine, of an earlier boot, of a note that says too little."""
    pid, start = found.get("pid"), found.get("start")
    if not (isinstance(pid, int) and start and found.get("boot") == boot_id()):
        return False
    return pid != os.getpid() and _start(pid) == start


@functools.cache
def boot_id() -> str:
    """Which boot of which kernel this is; "" where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _start(pid: int) -> str:
    """When a process was started; "" if it is dead, or is only waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[_STARTED]
