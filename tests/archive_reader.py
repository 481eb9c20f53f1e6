"""Reads archive after archive with the package's own formats: in one process with the worker's limits, which is thirty
times as fast as a worker for each. `with Reader() as read: read(path)`; run as a program it is the other end.

`read_here(path)` does the same in the process of the tests, where every branch of the readers can be measured.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from aigiqa_cli.archives import VolumeSet

MEMORY = 768 << 20  # the package gives its worker 2 GiB; what needs more than this is looked at
SECONDS = 30


@dataclass(frozen=True)
class Read:
    """What became of one archive. `verdict`: good, refused, needed (a person), or - never right - crash, hang."""

    verdict: str
    fault: str = ""
    reason: str = ""
    members: dict[str, tuple[int, str]] = field(default_factory=dict)  # name -> bytes, SHA-256
    peak: int = 0  # kB, of the process so far

    @property
    def closed(self) -> bool:
        """Refused, or left to a person, by a rule of ours."""
        return self.verdict in ("refused", "needed")


class Reader:
    """The child process; it is started anew after a crash."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def __call__(self, path: Path, password: str = "") -> Read:
        process = self.process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([str(path), password]) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            self.process = None
            process.wait()
            said = process.stderr.read().strip().splitlines() if process.stderr else []
            _close(process)
            return Read("crash", reason=f"exit status {process.returncode}: {said[-1] if said else ''}")
        answer: dict[str, Any] = json.loads(line)
        members = {name: (length, digest) for name, length, digest in answer.pop("members", ())}
        return Read(**answer, members=members)

    def _start(self) -> subprocess.Popen[str]:
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        return self.process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            _close(self.process)


def _close(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


# ---------------------------------------------------------------------------------------------------------------------
# The other end
# ---------------------------------------------------------------------------------------------------------------------


class _Late(BaseException):
    pass


def _late(*_: object) -> None:
    raise _Late


@contextlib.contextmanager
def _opened(paths: Sequence[Path], names: Sequence[str]) -> Iterator[tuple[int, ...]]:
    """The descriptors of an archive or of its volumes, which other programs find by name in the current folder."""
    with contextlib.ExitStack() as stack:
        descriptors = []
        for path in paths:
            descriptors.append(os.open(path, os.O_RDONLY))
            stack.callback(os.close, descriptors[-1])
        if names:
            links = stack.enter_context(tempfile.TemporaryDirectory())
            for name, descriptor in zip(names, descriptors, strict=True):
                os.symlink(f"/dev/fd/{descriptor}", os.path.join(links, name))
            stack.enter_context(contextlib.chdir(links))
        yield tuple(descriptors)


def read_here(path: Path, password: str = "", volumes: VolumeSet | None = None) -> Read:
    """What becomes of an archive, or of a set of volumes, in this very process."""
    told = answer(str(path), password, volumes)
    members = {name: (length, digest) for name, length, digest in told.pop("members", ())}
    return Read(**told, members=members)


def answer(path: str, password: str, volumes: VolumeSet | None = None) -> dict[str, Any]:
    import shutil

    from aigiqa_cli.archives import detect_format
    from aigiqa_cli.archives.contract import Chunks, Member, Needed, Refusal
    from aigiqa_cli.archives.source import Opened, Source
    from aigiqa_cli.archives.tools import PROGRAMS
    from aigiqa_cli.archives.worker import FORMATS

    members: list[tuple[str, int, str]] = []
    lock = threading.Lock()

    def consume(member: Member, chunks: Chunks) -> None:
        digest, length = hashlib.sha256(), 0
        for chunk in chunks:
            digest.update(chunk)
            length += len(chunk)
        with lock:
            members.append((member.name, length, digest.hexdigest()))

    tools = {name: found for name in PROGRAMS if (found := shutil.which(name))}
    paths, names, shape = (volumes.paths, volumes.names, volumes.shape) if volumes else ((Path(path),), (), "")
    try:
        with _opened(paths, names) as descriptors:
            kind = detect_format(os.pread(descriptors[0], 512, 0))
            if not kind:
                return {"verdict": "refused", "fault": "A23"}
            form = FORMATS[kind](Source(Opened(descriptors, names, shape, password, tools)))
            form.stream(form.members(), consume)
    except Refusal as refusal:
        return {"verdict": "refused", "fault": refusal.fault, "reason": refusal.reason}
    except Needed as needed:
        return {"verdict": "needed", "fault": needed.fault, "reason": needed.reason}
    except MemoryError:
        return {"verdict": "refused", "fault": "A13", "reason": "memory"}
    except _Late:
        return {"verdict": "hang"}
    except Exception as error:  # all that a rule of ours did not foresee
        import traceback

        where = traceback.extract_tb(error.__traceback__)[-1]
        return {"verdict": "crash", "reason": f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"}
    return {"verdict": "good", "members": members}


def peak() -> int:
    """kB: the most memory that this program had. `ru_maxrss` would begin with the size of what started it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def main() -> None:
    import warnings

    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _late)
    for line in sys.stdin:
        path, password = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        told = answer(path, password)
        signal.setitimer(signal.ITIMER_REAL, 0)
        told["peak"] = peak()
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
