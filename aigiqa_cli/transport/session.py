"""The one HTTP session: proxies and certificates read by us, redirects followed by us, every hop gated."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urljoin, urlsplit

from aigiqa_cli import __version__
from aigiqa_cli.errors import Fault, MachineFault, PersonNeeded
from aigiqa_cli.transport import gate
from aigiqa_cli.transport.model import Later, Limits
from aigiqa_cli.transport.pace import Pace
from aigiqa_cli.transport.redact import redact

if TYPE_CHECKING:
    import requests

    from aigiqa_cli.transport.answer import Answer

HOPS = 10
LONGEST_PAGE = 2 << 20
_REDIRECTS = (301, 302, 303, 307, 308)
_CA_SETTINGS = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")


@dataclass(frozen=True)
class WebPage:
    """A small page that a resolver reads."""

    text: str
    url: str
    status: int
    headers: Mapping[str, str]


class Session:
    """Holds connections and cookies in memory until closed; nothing of it is written to disk."""

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        scratch: Path | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.settings: Mapping[str, str] = os.environ if settings is None else settings
        self.limits = limits or Limits.chosen(self.settings)
        self.scratch = scratch  # where a client library may keep what it insists on keeping while it is asked
        self.pace = pace  # shared by the sessions that ask one host together
        self.remembered: dict[tuple[str, ...], Any] = {}  # what resolvers have learned in this run
        self._judged: set[str] = set()
        self._http: requests.Session | None = None

    @property
    def private_allowed(self) -> bool:
        return self.settings.get("AIGIQA_ALLOW_PRIVATE_HOSTS", "") == "1"

    def gate(self, url: str, *, fault: str = "M06") -> None:
        """Raise RefusedInput unless `url` may be asked."""
        gate.shape(url, fault)  # whatever a host writes into a redirect: the rest reads it as an address
        proxied = bool(self.proxy(url))
        # Thousands of files of one host need one look at its addresses: each connection judges its own peer anyway.
        known = proxied or _host(url) in self._judged
        gate.check(url, private_allowed=self.private_allowed, proxied=known, fault=fault)
        if not proxied:
            self._judged.add(_host(url))

    def open(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        token: str = "",
        cookie: str = "",
        method: str = "GET",
    ) -> Answer:
        """The answer at the end of the redirects, whatever its status; close it after use.

        `token` is sent to the scheme, host and port of `url` only; once a redirect leaves them it is gone. `cookie`
        names a cookie that carries it too.
        """
        asked, origin = url, None
        for hop in range(HOPS + 1):
            self.gate(url, fault="N10" if hop else "M06")
            origin = origin or _origin(url)
            if _origin(url) != origin:
                token = ""
            begun = self.pace.take() if self.pace else 0.0
            answer = self._send(method, url, asked, dict(headers or {}) | _proof_of(token, cookie))
            if self.pace:
                self.pace.heard(begun, answer.status, answer.headers.get("Retry-After"))
            target = answer.headers.get("Location") if answer.status in _REDIRECTS else None
            if target is None:
                return answer
            answer.dismiss()
            url = _joined(url, target)
        raise PersonNeeded(f"{urlsplit(asked).hostname} redirects more than {HOPS} times", fault="N09")

    def page(self, url: str, *, headers: Mapping[str, str] | None = None, token: str = "") -> WebPage:
        """The text of a page of at most 2 MiB, whatever its status."""
        with self.open(url, headers=headers, token=token) as answer:
            return self.read_page(answer)

    def read_page(self, answer: Answer) -> WebPage:
        """The text of an answer that is already open."""
        if answer.encoding:
            raise PersonNeeded(f"{answer.host} sends a page in an encoding that was not asked for", fault="N18")
        body = answer.peek(LONGEST_PAGE + 1)
        if len(body) > LONGEST_PAGE:
            raise PersonNeeded(f"{answer.host} sends a page of more than 2 MiB", fault="N03")
        return WebPage(body.decode("utf-8", "replace"), answer.url, answer.status, answer.headers)

    def proxy(self, url: str) -> str:
        """The proxy that the settings name for `url`, "" for none."""
        parts = urlsplit(url)
        if _bypassed(parts.hostname or "", parts.port, self._setting("no_proxy")):
            return ""
        proxy = self._setting(f"{parts.scheme}_proxy") or self._setting("all_proxy")
        return proxy if not proxy or "://" in proxy else f"http://{proxy}"

    def certificates(self) -> str:
        """The file or folder of trusted certificates that the settings name, "" for the usual ones."""
        for name in _CA_SETTINGS:
            path = self.settings.get(name, "")
            if path and not os.path.exists(path):
                raise MachineFault(f"{name} names a file that is not there: {path}", fault="N24")
            if path:
                return path
        return ""

    def redact(self, text: str) -> str:
        return redact(text, self.settings)

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _setting(self, name: str) -> str:
        return (self.settings.get(name) or self.settings.get(name.upper()) or "").strip()

    def _send(self, method: str, url: str, asked: str, headers: dict[str, str]) -> Answer:
        import requests
        import urllib3
        from requests.cookies import extract_cookies_to_jar

        from aigiqa_cli.transport.answer import Answer, trouble

        http = self._connected()
        proxy = self.proxy(url)
        certificates = self.certificates() or True
        try:
            prepared = http.prepare_request(requests.Request(method, url, headers=headers))
            # The adapter, not http.send: that would read the whole body of a redirect, and decode it.
            response = http.get_adapter(url).send(
                prepared,
                stream=True,
                timeout=(self.limits.connect, self.limits.silence),
                verify=certificates,
                proxies={urlsplit(url).scheme: proxy} if proxy else {},
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._told(trouble(error, urlsplit(url).hostname or "")) from error
        extract_cookies_to_jar(http.cookies, prepared, response.raw)  # type: ignore[no-untyped-call]
        return Answer(response, url, asked)

    def _told(self, fault: Fault) -> Fault:
        fault.message = self.redact(fault.message)
        fault.args = (fault.message,)
        return fault

    def _connected(self) -> requests.Session:
        if self._http is None:
            import requests

            from aigiqa_cli.transport.connection import GatedAdapter

            http = requests.Session()
            http.trust_env = False  # no .netrc, and the proxies are those that we read
            http.headers.clear()
            http.headers.update({"User-Agent": f"aigiqa/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"})
            for scheme in ("https://", "http://"):
                http.mount(scheme, GatedAdapter(private_allowed=self.private_allowed, limits=self.limits))
            self._http = http
        return self._http


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


def _proof_of(token: str, cookie: str) -> dict[str, str]:
    """The headers that carry a token."""
    if not token:
        return {}
    return {"Authorization": f"Bearer {token}"} | ({"Cookie": f"{cookie}={token}"} if cookie else {})


def _joined(url: str, location: str) -> str:
    try:
        text = location.encode("latin-1").decode("utf-8")  # http.client reads headers as Latin-1
    except UnicodeError:
        text = location
    try:
        target = urljoin(url, quote(text.strip(), safe="%/:?#[]@!$&'()*+,;=~"))
    except ValueError:
        raise PersonNeeded(f"{urlsplit(url).hostname} redirects to no URL", fault="N09") from None
    if target == url and not text.strip():
        raise Later(f"{urlsplit(url).hostname} redirects to nowhere", fault="N09")
    return target.partition("#")[0]


def _bypassed(host: str, port: int | None, exceptions: str) -> bool:
    """Whether NO_PROXY names the host: `*`, a name with all below it, an address or a network."""
    address = gate.as_address(host)
    for word in exceptions.replace(",", " ").split():
        entry = word.lower()
        if entry == "*":
            return True
        if address is not None:
            if _within(address, entry, port):
                return True
            continue
        name, _, wanted_port = entry.partition(":")
        name = name.removeprefix("*").lstrip(".")
        same = host.lower() == name or host.lower().endswith(f".{name}")
        if name and same and (not wanted_port or wanted_port == str(port or "")):
            return True
    return False


def _within(address: gate.Address, entry: str, port: int | None) -> bool:
    if port is not None:
        entry = entry.removesuffix(f":{port}")
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
