"""What strace writes, read back: which system call of a run touched which paths, and its number among its kind."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MAKING = (
    "mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "link", "linkat", "symlink",
    "symlinkat", "chmod", "fchmod", "fchmodat", "truncate", "ftruncate", "fallocate", "fsync", "fdatasync", "syncfs",
    "write", "pwrite64", "writev", "sendfile", "copy_file_range", "utimensat", "flock",
)  # fmt: skip
OPENING = ("openat", "openat2")
READING = ("read", "pread64", "close", "getdents64", "newfstatat", "fstat", "lseek", "statfs", "mmap")
STARTING = ("pipe2", "vfork", "clone", "clone3", "socket", "connect", "sendto", "recvfrom")
_LINE = re.compile(r"(?:\d+ +)?(\w+)\((.*)")
_PATHS = re.compile(r'(?:\d+<([^>]*)>, )?"((?:[^"\\]|\\.)*)"|\d+<([^>]*)>')  # a name relative to a handle; a handle
_CREATES = re.compile(r"O_CREAT|O_TRUNC")


@dataclass(frozen=True)
class Call:
    """One system call of a traced process: its name, the `number` among those of its name (from 1, in its thread)
    that the tracer needs to hit it, what it touches, and whether it changes anything."""

    process: str
    name: str
    number: int
    paths: tuple[str, ...]
    text: str

    @property
    def changes(self) -> bool:
        return bool(_CREATES.search(self.text)) if self.name in OPENING else self.name in MAKING

    def touches(self, fragment: str) -> bool:
        return any(fragment in path for path in self.paths)

    def __str__(self) -> str:
        return f"{self.process}:{self.name}:{self.number} {self.text[:160]}"


def calls(process: str, lines: Iterable[str]) -> list[Call]:
    """Every call of a trace, per thread as the tracer counts."""
    counted: Counter[tuple[str, str]] = Counter()
    found = []
    for line in lines:
        match = _LINE.match(line)
        if not match or "resumed>" in line.partition("(")[0]:
            continue
        thread = line.partition(" ")[0] if line[:1].isdigit() else ""
        counted[thread, match[1]] += 1
        paths = tuple(
            posixpath.join(base, name) if name else base or alone for base, name, alone in _PATHS.findall(match[2])
        )
        found.append(Call(process, match[1], counted[thread, match[1]], paths, line))
    return found


def expression(names: Sequence[str]) -> list[str]:
    """Options of strace that record these calls with paths."""
    return ["-y", "-s", "0", "-e", f"trace={','.join(names)}", "-e", "signal=none"]


def killing(call: Call) -> list[str]:
    return ["-e", f"trace={call.name}", "-e", f"inject={call.name}:signal=SIGKILL:when={call.number}"]


def failing(call: Call, error: str) -> list[str]:
    return [
        "-e",
        f"trace={call.name}",
        "-e",
        "signal=none",
        "-e",
        f"inject={call.name}:error={error}:when={call.number}",
    ]


def signalling(call: Call, name: str) -> list[str]:
    return ["-e", f"trace={call.name}", "-e", f"inject={call.name}:signal={name}:when={call.number}"]


@cache
def lacking() -> str:
    """Why nothing can be traced here; "" where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    command = ["strace", "-f", "-o", os.devnull, "-e", "inject=getppid:error=EIO", "true"]
    done = subprocess.run(command, capture_output=True, check=False)
    return "" if done.returncode == 0 else "this machine does not let a process be traced"


def below(root: Path, call: Call) -> bool:
    return call.touches(str(root))
