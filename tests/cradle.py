"""The program behind `nursery`: it has imported the command, and forks for every run that it is told to begin.

An order is a line of JSON on a socket, and with it come four open files: stdin, stdout and stderr of the run, and a pipe
on which its process number is told when it has begun, and its exit status when it has ended.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import Any, NoReturn

# What commands import when they need it, but for what looks at the environment while it is imported (the hubs' own
# libraries, matplotlib) and what begins a thread (pyarrow, pandas).
LATER = (
    "PIL.Image", "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "numpy", "openpyxl", "py7zr", "pydantic.type_adapter",
    "rarfile", "re2", "requests", "rich.console", "rich.progress", "rich.table", "rich.text", "scipy.io",
    "scipy.optimize", "scipy.stats", "typer.rich_utils", "yaml",
)  # fmt: skip
ON_TORCH = ("aigiqa_cli.api.tensors", "aigiqa_cli.methods.")  # which people may not have, and which begins threads


def import_all() -> None:
    """Everything that runs can share."""
    sys.path.pop(0)  # the folder of the tests, which no command sees
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # nothing may fork while it has threads
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    import aigiqa_cli

    for found in pkgutil.walk_packages(aigiqa_cli.__path__, "aigiqa_cli."):
        if not found.name.endswith("__main__") and not found.name.startswith(ON_TORCH):
            importlib.import_module(found.name)
    for name in LATER:
        importlib.import_module(name)
    from aigiqa_cli.cli.app import build

    build(["list"])
    if "coverage" in sys.modules and (measured := sys.modules["coverage"].Coverage.current()):
        measured.stop()  # the imports are measured once, and each run by itself
        measured.save()
    gc.freeze()


class Keeper:
    """Forks, and tells of the end of each run."""

    def __init__(self, orders: socket.socket) -> None:
        self.orders = orders
        self.told: dict[int, int] = {}  # the pipe on which the end of a process is told

    def next_run(self) -> dict[str, Any] | None:
        """Returns in the process of each run, with its order; and at the end here, with None."""
        signal.signal(signal.SIGCHLD, self.reap)
        while order := self.receive():
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))
                for handle in (*self.told.values(), order["files"].pop(), self.orders.detach()):
                    os.close(handle)
                return order
            *streams, self.told[pid] = order["files"]
            for handle in streams:
                os.close(handle)
            if order["held"]:
                os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            os.write(self.told[pid], f"{pid}\n".encode())
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))
        return None

    def receive(self) -> dict[str, Any] | None:
        """The next order; None if there will be none."""
        text, files = b"", []
        while not text.endswith(b"\n"):
            more, handles, _, _ = socket.recv_fds(self.orders, 1 << 16, 4)
            if not more:
                return None
            text += more
            files += handles
        return json.loads(text) | {"files": files}

    def reap(self, *_about: object) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                told = self.told.pop(pid)
                with suppress(BrokenPipeError):  # nobody waits for it
                    os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
                os.close(told)


def run(order: dict[str, Any]) -> NoReturn:
    """The command as if just started: a session, an environment, a folder, a mask and three streams of its own."""
    os.setsid()
    os.environ.clear()
    os.environ.update(order["environment"])
    for number, handle in enumerate(order["files"]):
        os.dup2(handle, number)
        os.close(handle)
    os.chdir(order["work"])
    os.umask(order["umask"])
    sys.path.insert(0, os.getcwd())
    sys.executable = order["python"] or sys.executable
    if "coverage" in sys.modules:
        sys.modules["coverage"].process_startup(force=True)  # nothing, where the environment does not ask for it
    exec(order["prelude"], {})
    sys.argv = ["aigiqa", *order["words"]]
    if order["held"]:
        os.kill(os.getpid(), signal.SIGSTOP)
    try:
        sys.modules["aigiqa_cli.cli.main"].run()
    except SystemExit as ended:
        leave(int(ended.code or 0))


def leave(code: int) -> NoReturn:
    """What an interpreter does at its end, but for taking every object apart: far more of them here than in a command."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    import_all()
    begun = Keeper(socket.socket(fileno=int(sys.argv[1]))).next_run()
    if begun:
        run(begun)
