"""Runs of the command without its start: a process that has imported everything forks for each of them.

An interpreter's start and the imports take longer than most commands, and the tests need thousands of runs; the rigs
that kill or hinder one at a chosen system call need thousands more. Each is the entry point of the installed command,
`aigiqa_cli.cli.main.run`, in a fresh process with its own environment; only imports are shared. `trace` lets strace take
hold of it before its first step: of its main thread, or (`worker=True`) of its workers.
"""

from __future__ import annotations

import json
import os
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

LIMIT = 120

CRADLE = Path(__file__).with_name("cradle.py")
# Variables that nothing reads before a run begins: all runs whose others are alike can share what was imported.
OWN = (
    "AIGIQA_", "COLUMNS", "HF_", "HOME", "LINES", "MODELSCOPE", "PYTEST", "REQUESTS_CA", "SSL_CERT", "TMPDIR", "XDG_",
)  # fmt: skip
OWN_PROXIES = ("ALL_PROXY", "CURL_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Ended:
    """How a run ended: exit status (negative: a signal), both streams, and the lines that strace wrote."""

    code: int
    out: str
    err: str
    trace: tuple[str, ...] = ()

    def error(self) -> dict[str, Any]:
        """The error object of a run with --json; {} where there is none."""
        return dict(json.loads(self.out)["error"] or {})


class Run:
    """A run that has begun: its process number, which is also that of its group."""

    def __init__(self, told: int) -> None:
        self._told = open(told, encoding="ascii")  # noqa: SIM115 - closed by `status`
        self.pid = int(self._told.readline())

    def has_ended(self, patience: float) -> bool:
        """Waits so many seconds for the end."""
        return bool(select.select([self._told], [], [], patience)[0])

    def status(self) -> int:
        """Waits for the end; negative: the signal that ended it. What takes longer than any command is killed."""
        with self._told:
            if not self.has_ended(LIMIT):
                self.kill()
            return int(self._told.readline())

    def kill(self) -> None:
        """Kill it and its workers; it may not yet have a group of its own."""
        for way in (os.killpg, os.kill):
            with suppress(ProcessLookupError):
                way(self.pid, signal.SIGKILL)


class Cradle:
    """The process that forks (see `cradle.py`)."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._orders, theirs = socket.socketpair()
        self._turn = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(CRADLE), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,  # both as a run has them: what cannot be sought remains so
                stderr=subprocess.PIPE,
                env=environment,
                cwd="/",
                pass_fds=[theirs.fileno()],
            )

    def begin(
        self,
        words: Sequence[object],
        environment: Mapping[str, str],
        work: Path,
        streams: Sequence[int],
        *,
        prelude: str = "",
        python: str = "",
        held: bool = False,
    ) -> Run:
        """Fork a run with these open files as its streams. `held` stops it before its first step."""
        os.umask(mask := os.umask(0o077))
        order = {
            "words": [str(word) for word in words],
            "environment": dict(environment),
            "work": str(work),
            "umask": mask,
            "prelude": prelude,
            "python": python,
            "held": held,
        }
        hears, tells = os.pipe()
        try:
            with self._turn:
                text = json.dumps(order).encode() + b"\n"
                sent = socket.send_fds(self._orders, [text], [*streams, tells])
                self._orders.sendall(text[sent:])
        finally:
            os.close(tells)
        return Run(hears)

    def finish(self, words: Sequence[object], environment: Mapping[str, str], work: Path, stdin: str = "") -> Ended:
        """One run to its end, and to that of everything that it left with its streams."""
        heard, told = zip(*(os.pipe() for _ in range(2)), strict=True)
        with tempfile.TemporaryFile() as given:
            given.write(stdin.encode())
            given.seek(0)
            try:
                run = self.begin(words, environment, work, [given.fileno(), *told])
            finally:
                for handle in told:
                    os.close(handle)
        try:
            out, err = _read(heard)
        except TimeoutError:
            run.kill()
            raise
        return Ended(run.status(), out, err)

    def close(self) -> None:
        self._orders.close()
        try:
            _, complaint = self._process.communicate(timeout=LIMIT)  # it ends by itself, and notes what was measured
        finally:
            self._process.kill()
            self._process.communicate()
        assert not complaint, complaint.decode()


def _read(handles: Sequence[int]) -> list[str]:
    """What arrives on these pipes until everybody has closed them, with the line ends that text files have."""
    found = {handle: bytearray() for handle in handles}
    with selectors.DefaultSelector() as waiting:
        for handle in handles:
            waiting.register(handle, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(LIMIT)
            for key, _ in ready:
                arrived = os.read(key.fd, 1 << 16)
                found[key.fd] += arrived
                if not arrived:
                    waiting.unregister(key.fd)
            if not ready:
                break
        silent = bool(waiting.get_map())
    for handle in handles:
        os.close(handle)
    if silent:
        raise TimeoutError(f"nothing in {LIMIT} s; before that: {found}")
    return [data.decode().replace("\r\n", "\n").replace("\r", "\n") for data in found.values()]


def shareable(environment: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """The variables that an interpreter or a library may read before a run begins."""
    own = (*OWN, *OWN_PROXIES, *map(str.lower, OWN_PROXIES))
    return frozenset((name, value) for name, value in environment.items() if not name.startswith(own))


_cradles: dict[frozenset[tuple[str, str]], Cradle] = {}


def cradle(environment: Mapping[str, str]) -> Cradle:
    """The cradle for such an environment, for all tests of this process."""
    key = shareable(environment)
    if key not in _cradles:
        _cradles[key] = Cradle(environment)
    return _cradles[key]


def close_cradles() -> None:
    while _cradles:
        _cradles.popitem()[1].close()


class Nursery:
    """`nursery("fetch", "some", "--json")` is one run."""

    prelude = ""  # code that every run begins with

    def __init__(self, environment: Mapping[str, str], base: Path) -> None:
        self.environment = {k: v for k, v in environment.items() if not k.startswith(("COV", "PYTEST"))}
        self.base = base
        self.work = base / "work"
        for place in (self.work, base):
            place.mkdir(parents=True, exist_ok=True)
        self._cradle = cradle(self.environment)

    def __call__(
        self,
        *words: object,
        trace: Sequence[str] | None = None,
        worker: bool = False,
        code: int | None = None,
        env: Mapping[str, str] | None = None,
        prelude: str = "",
    ) -> Ended:
        """One run to its end. `trace`: what strace is told; `prelude`: Python that the process executes first."""
        log = self.base / "trace"
        log.unlink(missing_ok=True)
        python = str(self._wrapper(trace, log)) if worker and trace is not None else ""
        held = trace is not None and not worker
        run = self._begin(words, env, held=held, python=python, prelude=prelude)
        with _attached(run.pid, trace, log) if held and trace is not None else _nothing():
            ended = self.end(run)
        if log.exists():
            ended = replace(ended, trace=tuple(log.read_text(errors="replace").splitlines()))
        if code is not None:
            assert ended.code == code, f"exit {ended.code}, expected {code}: {ended.out[-2000:]} {ended.err[-4000:]}"
        return ended

    def begin(self, *words: object, env: Mapping[str, str] | None = None, prelude: str = "") -> Run:
        """Start a run; `end` waits for it."""
        return self._begin(words, env, prelude=prelude)

    def end(self, run: Run) -> Ended:
        return Ended(run.status(), self._text("out"), self._text("err"))

    def cut_off(self, delay: float, *words: object, env: Mapping[str, str] | None = None) -> int | None:
        """One run that is killed, workers and all, after `delay` seconds: None; its exit status if it was faster."""
        run = self.begin(*words, env=env)
        in_time = run.has_ended(delay)
        if not in_time:
            run.kill()
        status = run.status()
        return status if in_time else None

    def together(self, jobs: Sequence[Sequence[object]], pauses: Sequence[float]) -> list[Ended]:
        """Runs side by side, begun with these pauses in seconds after each; without what they write to stdout."""
        runs = []
        for number, (words, pause) in enumerate(zip(jobs, pauses, strict=True)):
            runs.append(self._begin(words, None, out=os.devnull, err=f"err-{number}"))
            time.sleep(pause)
        return [Ended(run.status(), "", self._text(f"err-{number}")) for number, run in enumerate(runs)]

    def _begin(
        self,
        words: Sequence[object],
        env: Mapping[str, str] | None,
        *,
        out: str = "out",
        err: str = "err",
        prelude: str = "",
        **more: Any,
    ) -> Run:
        environment = self.environment | dict(env or {})
        with (
            open(os.devnull, "rb") as nothing,
            (self.base / out).open("wb") as told,
            (self.base / err).open("wb") as noted,
        ):
            streams = [stream.fileno() for stream in (nothing, told, noted)]
            return self._cradle.begin(words, environment, self.work, streams, prelude=self.prelude + prelude, **more)

    def _text(self, name: str) -> str:
        return (self.base / name).read_text(encoding="utf-8", errors="replace")

    def _wrapper(self, trace: Sequence[str], log: Path) -> Path:
        """What runs instead of the interpreter of a worker: the same under strace."""
        script = self.base / "python"
        words = " ".join(f"'{word}'" for word in trace)
        script.write_text(
            f"#!/bin/sh\nexec {shutil.which('strace')} -f -q {words} -o '{log}' {sys.executable} \"$@\"\n"
        )
        script.chmod(0o755)
        return script


@contextmanager
def _attached(pid: int, trace: Sequence[str], log: Path) -> Iterator[None]:
    command = ["strace", *trace, "-o", str(log), "-p", str(pid)]
    tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert tracer.stderr is not None
        line = tracer.stderr.readline()
        assert "attached" in line, line
        os.kill(pid, signal.SIGCONT)
        yield
        tracer.wait(timeout=LIMIT)
    finally:
        if tracer.poll() is None:
            tracer.kill()
        tracer.communicate()


@contextmanager
def _nothing() -> Iterator[None]:
    yield
