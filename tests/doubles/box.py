"""The internet in a box: a CONNECT proxy on loopback that ends TLS with a throw-away CA.

Clients run unpatched with HTTPS_PROXY and a CA bundle and meet the real host names. A host that is not in
the box is answered with 502 and recorded in `refused`: nothing ever leaves loopback.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import ssl
import tempfile
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import trustme

from doubles.drive import Drive
from doubles.fault_server import Exchange, FaultServer, Host, Site
from doubles.github import GitHub
from doubles.hub import Hub
from doubles.modelscope import ModelScope

DROPPED = ("HF_", "HUGGING", "MODELSCOPE", "AIGIQA_", "XDG_", "CURL_CA", "NO_PROXY", "ALL_PROXY")


class Tunnel(Exchange):
    server: Box

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        if host not in self.server.hosts or port != "443":
            self._refuse(self.path)
            return
        self.send_response(200, "Connection established")
        self.end_headers()
        outer = self.connection
        self.rfile.close()
        try:
            outer.settimeout(30)  # a client that never says hello must not hold a thread
            self.connection = self.server.context(host).wrap_socket(outer, server_side=True)
        except OSError as error:
            self.server.tls_errors.append(f"{host}: {error}")
            self.close_connection = True
            return
        self.connection.settimeout(None)
        self.server.track(self.connection)
        self.rfile = self.connection.makefile("rb", -1)
        self.wfile = self.connection.makefile("wb", 0)
        self.host, self.close_connection = host, False
        while not self.close_connection:
            self.handle_one_request()

    def dispatch(self) -> None:
        if not self.host and self.path.startswith("http://"):  # plain http arrives in absolute form
            host, _, rest = self.path.removeprefix("http://").partition("/")
            if host not in self.server.hosts:
                self._refuse(host)
                return
            self.path = "/" + rest
            self.host = host
            self.answer(self.server.hosts[host])
            self.host = ""
        elif self.host:
            self.answer(self.server.hosts[self.host])
        else:
            self._refuse(self.path)

    do_GET = do_HEAD = do_POST = dispatch  # noqa: N815

    def finish(self) -> None:
        if isinstance(self.connection, ssl.SSLSocket):
            self.server.forget(self.connection)
            if not self.reset:
                self._say_goodbye(self.connection)
        super().finish()

    def _say_goodbye(self, connection: ssl.SSLSocket) -> None:
        """Without close_notify a body that ends with the connection looks cut."""
        with contextlib.suppress(OSError, ValueError):
            connection.settimeout(0.2)
            connection.unwrap()

    def _refuse(self, target: str) -> None:
        self.server.refused.append(target)
        self.close_connection = True
        self.send_response(502, "no such host in the box")
        self.send_header("Content-Length", "0")
        self.end_headers()


class Box(FaultServer):
    """All hosts of the double; `hosts` may be extended, `web(name)` adds one with plain files."""

    def __init__(self, authority: trustme.CA | None = None) -> None:
        super().__init__(Tunnel)
        self._authority = authority or trustme.CA()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._making = threading.Lock()
        self._folder = Path(tempfile.mkdtemp(prefix="box-"))
        self.certificate = self._folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.certificate))
        self.refused: list[str] = []
        self.tls_errors: list[str] = []
        self.hub, self.drive, self.github = Hub(), Drive(), GitHub()
        self.scope = ModelScope()
        doubles = (self.hub, self.drive, self.github, self.scope)
        self.hosts: dict[str, Host] = {name: host for double in doubles for name, host in double.hosts().items()}

    def web(self, host: str) -> Site:
        """The plain file host of that name, made when it is not there yet."""
        found = self.hosts.setdefault(host, Site())
        if not isinstance(found, Site):
            raise TypeError(f"{host} has a double of its own")
        return found

    def publish(self, mirror: Mapping[str, Any], data: bytes) -> bool:
        """Put `data` where this mirror of a manifest points; False for a kind that no double serves."""
        match mirror["kind"]:
            case "http":
                parts = urlsplit(mirror["url"])
                self.web(parts.netloc).put(unquote(parts.path), data)
            case "github":
                self.github.add(mirror["repo"], str(mirror["revision"]), {mirror["path"]: data})
            case "huggingface":
                self.hub.add(mirror["repo"], {mirror["path"]: data}, commit=str(mirror["revision"]))
            case "modelscope":
                self.scope.add(mirror["repo"], {mirror["path"]: data})
            case "gdrive":
                self.drive.add(mirror["id"], data, Path(mirror.get("path", "file.zip")).name)
            case _:
                return False
        return True

    def context(self, host: str) -> ssl.SSLContext:
        with self._making:
            if host not in self._contexts:
                self._contexts[host] = self._issued(host)
            return self._contexts[host]

    def certify(self, host: str, name: str, not_after: datetime | None = None) -> None:
        """From now on `host` shows a certificate for `name`, which may have expired."""
        with self._making:
            self._contexts[host] = self._issued(name, not_after)

    def _issued(self, name: str, not_after: datetime | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name, not_after=not_after).configure_cert(context)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def settings(self) -> dict[str, str]:
        """Proxy and CA variables alone."""
        proxy = f"http://127.0.0.1:{self.server_address[1]}"
        names = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
        bundles = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
        return dict.fromkeys(names, proxy) | dict.fromkeys(bundles, str(self.certificate))

    def environment(self, base: Path) -> dict[str, str]:
        """The whole environment of a child process whose home and temporary files are below `base`."""
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(DROPPED)}
        folders = {
            "HOME": "home",
            "TMPDIR": "tmp",
            "XDG_DATA_HOME": "home/.local/share",
            "XDG_CACHE_HOME": "home/.cache",
            "XDG_CONFIG_HOME": "home/.config",
            "XDG_STATE_HOME": "home/.local/state",
            "XDG_RUNTIME_DIR": "tmp",
        }
        places = {name: str(base / folder) for name, folder in folders.items()}
        for place in places.values():
            Path(place).mkdir(parents=True, exist_ok=True)
        return kept | places | self.settings()

    def leaks(self, allowed: Iterable[str] = ("huggingface.co", "modelscope.cn")) -> list[str]:
        """Hosts that were asked for and are not in the box, and hosts other than `allowed` that got a token."""
        strays = [f"unknown host {target}" for target in self.refused]
        trusted = set(allowed)
        return strays + [
            f"token sent to {entry.host}"
            for entry in self.log
            if (entry.auth or "m_session_id" in entry.cookie) and entry.host not in trusted
        ]

    def close(self) -> None:
        super().close()
        shutil.rmtree(self._folder, ignore_errors=True)
