"""Runs of the command without its start: a process that has imported everything forks for each of them.

The rigs that kill or hinder a run at one chosen system call need thousands of runs. Each is the entry point of the
installed command, `aigiqa_cli.cli.main.run`, in a fresh process with its own environment; only imports are shared.
`traced` lets strace take hold of it before its first step: of its main thread, or (`worker=True`) of its workers.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

LIMIT = 120

CRADLE = """
import gc, json, os, signal, sys, time
import aigiqa_cli.cli.main, aigiqa_cli.cli.app, aigiqa_cli.cli.explaining, aigiqa_cli.installing, aigiqa_cli.steps.fetch
import aigiqa_cli.steps.import_, aigiqa_cli.steps.remove, aigiqa_cli.steps.gc, aigiqa_cli.steps.verify
import aigiqa_cli.manifest.models, aigiqa_cli.rules, aigiqa_cli.tables, aigiqa_cli.tables.delimited, aigiqa_cli.states
import aigiqa_cli.transport.answer, aigiqa_cli.transport.connection, aigiqa_cli.cli.desk, requests, re2
from aigiqa_cli.cli.app import build
build(["list"])
gc.freeze()

def child(order):
    os.setsid()
    os.environ.clear()
    os.environ.update(order["environment"])
    for number, name in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(name, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", buffering=1, closefd=False)
    os.chdir(order["work"])
    if order["python"]:
        sys.executable = order["python"]
    if order["code"]:
        exec(order["code"], {})
    sys.argv = ["aigiqa", *order["words"]]
    if order["held"]:
        os.kill(os.getpid(), signal.SIGSTOP)
    aigiqa_cli.cli.main.run()

for line in sys.stdin:
    order = json.loads(line)
    if "jobs" in order:
        pids = []
        for job in order["jobs"]:
            pids.append(os.fork())
            if pids[-1] == 0:
                sys.stdout = None
                child(order | job)
            time.sleep(job["then"])
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]), flush=True)
        continue
    pid = os.fork()
    if pid == 0:
        sys.stdout = None
        child(order)
    if order["held"]:
        os.waitpid(pid, os.WUNTRACED)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


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


class Nursery:
    """`nursery("fetch", "some", "--json")` is one run. Use as a context manager."""

    prelude = ""  # code that every run begins with

    def __init__(self, environment: Mapping[str, str], base: Path) -> None:
        self.environment = {k: v for k, v in environment.items() if not k.startswith(("COV", "PYTEST"))}
        self.base = base
        self.work = base / "work"
        for place in (self.work, base):
            place.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", CRADLE]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environment, cwd=self.base
        )

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
        pid = self._begin(words, held=held, python=python, env=env or {}, prelude=prelude)
        with _attached(pid, trace, log) if held and trace is not None else _nothing():
            status = self._status(pid)
        lines = tuple(log.read_text(errors="replace").splitlines()) if log.exists() else ()
        ended = Ended(status, self._text("out"), self._text("err"), lines)
        if code is not None:
            assert ended.code == code, f"exit {ended.code}, expected {code}: {ended.out[-2000:]} {ended.err[-4000:]}"
        return ended

    def begin(self, *words: object, env: Mapping[str, str] | None = None, prelude: str = "") -> int:
        """Start a run and return its process number; `end` waits for it."""
        return self._begin(words, held=False, python="", env=env or {}, prelude=prelude)

    def end(self, pid: int) -> Ended:
        return Ended(self._status(pid), self._text("out"), self._text("err"))

    def cut_off(self, delay: float, *words: object, env: Mapping[str, str] | None = None) -> int | None:
        """One run that is killed, workers and all, after `delay` seconds: None; its exit status if it was faster."""
        pid = self.begin(*words, env=env)
        assert self._process.stdout is not None
        if select.select([self._process.stdout], [], [], delay)[0]:
            return self._number()
        for kill in (os.killpg, os.kill):  # it may not yet have a group of its own
            with suppress(ProcessLookupError):
                kill(pid, signal.SIGKILL)
        self._number()
        return None

    def together(self, jobs: Sequence[Sequence[object]], pauses: Sequence[float]) -> list[Ended]:
        """Runs side by side, begun with these pauses in seconds after each; without what they write to stdout."""
        named = [
            {"words": [str(word) for word in words], "err": f"{self.base}/err-{number}", "then": pause}
            for number, (words, pause) in enumerate(zip(jobs, pauses, strict=True))
        ]
        self._order({"jobs": named, "out": os.devnull})
        watch = threading.Timer(LIMIT * len(named), self._process.kill)
        watch.start()
        try:
            assert self._process.stdout is not None
            codes = json.loads(self._process.stdout.readline())
        finally:
            watch.cancel()
        return [Ended(code, "", self._text(f"err-{number}")) for number, code in enumerate(codes)]

    def _begin(self, words: Sequence[object], *, held: bool, python: str, env: Mapping[str, str], prelude: str) -> int:
        self._order(
            {
                "words": [str(word) for word in words],
                "environment": self.environment | dict(env),
                "held": held,
                "python": python,
                "code": self.prelude + prelude,
            }
        )
        return self._number()

    def _order(self, order: Mapping[str, object]) -> None:
        whole = {
            "environment": self.environment,
            "out": str(self.base / "out"),
            "err": str(self.base / "err"),
            "work": str(self.work),
            "held": False,
            "python": "",
            "code": "",
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(whole | dict(order)) + "\n")
        self._process.stdin.flush()

    def _status(self, pid: int) -> int:
        watch = threading.Timer(LIMIT, os.killpg, (pid, signal.SIGKILL))
        watch.start()
        try:
            return self._number()
        finally:
            watch.cancel()

    def _number(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self._process.kill()
        self._process.communicate()


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
