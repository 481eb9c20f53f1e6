"""The command against a real web server: nginx on loopback, with its limits, its ranges and its refusals."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Command, kill
from replicas import archive, images
from tiny import TINY_COMMIT, TINY_HOST, TINY_REPOSITORY, small_labels, tiny_manifest

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

CONFIGURATION = """
{user}worker_processes 1; pid nginx.pid; error_log error.log warn; daemon off;
events {{ worker_connections 64; }}
http {{
  log_format plain '$status $request_uri $http_range $body_bytes_sent';
  access_log access.log plain;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  limit_req_zone $binary_remote_addr zone=few:1m rate=15r/m;
  server {{
    listen 127.0.0.1:{port};
    root www;
    location /slow/ {{ alias www/; limit_rate 2m; }}
    location /noranges/ {{ alias www/; max_ranges 0; }}
    location /noetag/ {{ alias www/; etag off; limit_rate 2m; }}
    location /busy/ {{ alias www/; limit_req zone=few; limit_req_status 429; add_header Retry-After 2 always; }}
    location /hop/ {{ return 302 /slow/tiny.zip; }}
    location /down/ {{ return 503; }}
  }}
}}
"""

USER = "user root; " if os.geteuid() == 0 else ""  # else its worker may not read the test's folder


@dataclass
class Nginx:
    """A running nginx: its folder and port."""

    folder: Path
    port: int

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def log(self) -> list[str]:
        """Requests as 'status path range bytes', in the order in which they ended."""
        return (self.folder / "access.log").read_text().splitlines()


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    folder = tmp_path / "nginx"
    (folder / "www").mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "nginx.conf").write_text(CONFIGURATION.format(port=port, user=USER))
    command = [str(NGINX), "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Nginx(folder, port)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def served(nginx: Nginx, manifests: Callable[[str, str], Path], run: Command) -> Callable[..., bytes]:
    """`served("/slow/tiny.zip")` puts an archive of about 1.5 MB there and the manifest that points to it."""

    def put(path: str, *, pinned: bool = True, seed: int = 1) -> bytes:
        names = [line.split(",")[0] for line in small_labels().decode().splitlines()[1:]]
        members = [(f"tiny/{name}", data) for name, data in images(names).items()]
        members.append(("tiny/padding.bin", random.Random(seed).randbytes(1_500_000)))
        data = archive(nginx.folder / "www" / "tiny.zip", members).read_bytes()
        labels = {"kind": "github", "repo": TINY_REPOSITORY, "revision": TINY_COMMIT, "path": "data.csv"}
        run.box.publish(labels, small_labels())
        text = tiny_manifest(data, pinned=pinned)
        manifests("tiny", text.replace(f"https://{TINY_HOST}/tiny.zip", nginx.url(path)))
        run.environment |= {"AIGIQA_ALLOW_PRIVATE_HOSTS": "1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        return data

    return put


def killed_on_the_way(run: Command, nginx: Nginx, size: int) -> int:
    """Start a fetch and kill it once about a third has arrived; returns how many bytes are on disk."""
    process = run.start("fetch", "tiny")
    parts = run.root / ".aigiqa" / "partial"
    arrived = 0
    while arrived < 0.35 * size and process.poll() is None:
        arrived = max((path.stat().st_size for path in parts.glob("*.part")), default=0)
        time.sleep(0.01)
    kill(process)
    return max(path.stat().st_size for path in parts.glob("*.part"))


@pytest.mark.parametrize("path", ["/slow/tiny.zip", "/hop/tiny.zip", "/noetag/tiny.zip"])
def test_killed_fetch_asks_nginx_only_for_the_rest(run: Command, nginx: Nginx, served, path: str) -> None:
    size = len(served(path))
    had = killed_on_the_way(run, nginx, size)
    run("fetch", "tiny").expect(0)
    last = nginx.log()[-1].split()
    assert last[0] == "206"
    start = int(last[2].removeprefix("bytes=").rstrip("-"))
    assert 0.3 * size < start <= had
    assert int(last[3]) == size - start


def test_N16_object_replaced_between_two_runs_is_never_spliced(run: Command, nginx: Nginx, served) -> None:
    size = len(served("/slow/tiny.zip", pinned=False))
    killed_on_the_way(run, nginx, size)
    new = served("/slow/tiny.zip", pinned=False, seed=2)
    os.utime(nginx.folder / "www" / "tiny.zip", (2_000_000_000, 2_000_000_000))  # nginx makes its ETag from the date
    run("fetch", "tiny", "--keep-archives").expect(0)
    kept = list((run.root / ".aigiqa" / "archives" / "sha256").iterdir())
    assert [path.read_bytes() for path in kept] == [new]


def test_N17_server_without_ranges_gives_the_whole_file_again(run: Command, nginx: Nginx, served) -> None:
    size = len(served("/slow/tiny.zip"))
    killed_on_the_way(run, nginx, size)
    served("/noranges/tiny.zip")
    run("fetch", "tiny").expect(0)
    assert nginx.log()[-1].startswith("200 /noranges/tiny.zip")


def test_N13_too_many_requests_are_waited_out(run: Command, nginx: Nginx, served) -> None:
    served("/busy/tiny.zip")
    with urllib.request.urlopen(nginx.url("/busy/tiny.zip")) as answer:
        answer.read()
    run("fetch", "tiny").expect(0)
    assert [line.split()[0] for line in nginx.log()][:2] == ["200", "429"]


def test_server_that_is_down_is_temporary(run: Command, nginx: Nginx, served) -> None:
    served("/down/tiny.zip")
    failed = run("fetch", "tiny", env={"AIGIQA_RETRY_SECONDS": "0.01"})
    assert failed.code == 6
    assert "https://pan.baidu.com/s/1tiny?pwd=0755" in failed.err
