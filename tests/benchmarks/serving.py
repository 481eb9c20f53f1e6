"""nginx on loopback over a folder, which counts the bytes of every answer itself."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import measure

CONFIGURATION = """\
{user}worker_processes 1; pid nginx.pid; error_log error.log warn; daemon off;
events {{ worker_connections 64; }}
http {{
  log_format counted '$body_bytes_sent'; access_log access.log counted; sendfile on; tcp_nopush on;
  server {{
    listen 127.0.0.1:{port}; root {root};
    location /bound/ {{ alias {root}/; limit_rate {rate}m; }}
  }}
}}
"""


BOUND_RATE = 50  # MB/s that each connection gets below /bound/


@dataclass(frozen=True)
class Server:
    """`base`: the address of the folder; the same files below `base`bound/ come at a bounded rate."""

    base: str
    log: Path

    def moved(self) -> int:
        """Bytes of all bodies that were sent so far."""
        return sum(map(int, self.log.read_text().split()))


@contextmanager
def served(root: Path, work: Path) -> Iterator[Server]:
    """Serve `root`; `work` is for nginx alone, and goes. Raises Missing, Failed."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        raise measure.Missing("not run: nginx is missing")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    work.mkdir(parents=True)
    user = "user root; " if os.geteuid() == 0 else ""  # else its worker may not read the folder
    (work / "nginx.conf").write_text(CONFIGURATION.format(user=user, port=port, root=root, rate=BOUND_RATE))
    process = subprocess.Popen([nginx, "-p", str(work), "-c", "nginx.conf", "-e", "error.log"])
    try:
        _await(port, process)
        yield Server(f"http://127.0.0.1:{port}/", work / "access.log")
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(work, ignore_errors=True)


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise measure.Failed("failed: nginx does not answer")
