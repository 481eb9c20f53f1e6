"""One answer of a server: its raw bytes as they came over the wire, and what its status means."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Self, cast
from urllib.parse import urlsplit

import requests
import urllib3

from aigiqa_cli.errors import Fault, PersonNeeded
from aigiqa_cli.machine import shortage
from aigiqa_cli.transport.model import Closed, Later, Limits, Page
from aigiqa_cli.transport.patience import clock, retry_after
from aigiqa_cli.transport.redact import cleaned

BLOCK = 64 * 1024
_DEEPEST = 12  # links of a chain of errors that are looked at
_PASSING: tuple[tuple[tuple[type[BaseException], ...], str, str], ...] = (
    ((socket.gaierror,), "the name {host} cannot be resolved", "N14"),
    # Refused or unreachable: a kind of time-out for urllib3, but nobody was waited for.
    ((urllib3.exceptions.NewConnectionError,), "the connection to {host} failed ({reason})", "N14"),
    (
        (urllib3.exceptions.IncompleteRead, http.client.IncompleteRead),
        "{host} cut the connection before the end",
        "N01",
    ),
    (
        (TimeoutError, urllib3.exceptions.TimeoutError, requests.exceptions.Timeout),
        "{host} was silent too long",
        "N11",
    ),
)
_BOMBS = (http.client.LineTooLong, http.client.HTTPException)  # the latter for more than a hundred lines
_BUSY = (408, 425, 429)
_GONE = (404, 410)
PORTAL = 511  # RFC 6585: Network Authentication Required
_CLOSED = (401, 403, 451)


class Answer:
    """Open until closed; use as a context manager. `read` never decodes and never hides a cut."""

    def __init__(self, response: requests.Response, url: str, asked: str) -> None:
        self.url = url
        self.asked = asked
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._raw = cast("urllib3.response.HTTPResponse", response.raw)
        self._response = response
        self._ahead = b""
        self._late: Fault | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def encoding(self) -> str:
        """What the body is wrapped in; empty for plain bytes."""
        value = self.headers.get("Content-Encoding", "").strip().lower()
        return "" if value == "identity" else value

    @property
    def length(self) -> int | None:
        return plain_number(self.headers.get("Content-Length"))

    @property
    def chunked(self) -> bool:
        return "chunked" in self.headers.get("Transfer-Encoding", "").lower()

    def read(self, size: int = BLOCK) -> bytes:
        """At most `size` bytes, b"" at the end. Raises Later when the connection is cut, silent or drips."""
        if self._ahead:
            block, self._ahead = self._ahead[:size], self._ahead[size:]
            return block
        if self._late:
            raise self._late
        try:
            block = self._raw.read1(size, decode_content=False) or b""
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise trouble(error, self.host) from error
        return block

    def peek(self, size: int) -> bytes:
        """The first `size` bytes (fewer where the body is shorter or cut), which `read` will give again."""
        held = bytearray()
        while len(held) < size:
            try:
                block = self.read(size - len(held))
            except Later as fault:
                self._late = fault
                break
            if not block:
                break
            held += block
        self._ahead = bytes(held) + self._ahead
        return bytes(held)

    def close(self) -> None:
        self._response.close()

    def dismiss(self) -> None:
        """Close an answer whose body is of no use. A short one is read to its end, so that the connection can be used
        again: a hub answers for each of thousands of files with a redirect."""
        if self.length is not None and self.length <= BLOCK and not self.encoding:
            with contextlib.suppress(Later):
                while self.read():
                    pass
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def plain_number(value: str | None) -> int | None:
    """A header's non-negative decimal integer; None for anything else."""
    text = (value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None  # noqa: PLR2004


def status_fault(status: int, headers: Mapping[str, str], host: str, limits: Limits) -> Fault:
    """What a status other than success means."""
    if status == PORTAL:
        return PersonNeeded("this network asks for a login (status 511)", fault="N08")
    if status == 407:  # noqa: PLR2004
        return PersonNeeded("the proxy asks for a login (status 407)", fault="N24")
    if status in _GONE:
        return PersonNeeded(f"{host} says the file is gone (status {status})", fault="N07")
    if status in _CLOSED:
        closed = Closed(f"{host} refuses access (status {status}): a login or a permission is needed", fault="N07")
        closed.host = host
        return closed
    if status not in _BUSY and status < 500:  # noqa: PLR2004
        return PersonNeeded(f"{host} answered with status {status}", fault="N07")
    return _busy(status, headers, host, limits)


def _busy(status: int, headers: Mapping[str, str], host: str, limits: Limits) -> Later:
    wait = retry_after(headers.get("Retry-After"))
    too_long = wait is not None and wait > limits.retry_after
    until = f" and asks to come back at {clock(wait)}" if wait is not None and too_long else ""
    fault = Later(
        f"{host} is busy or out of order (status {status}){until}",
        fault="N13" if status in (*_BUSY, 503) else "N07",
    )
    fault.wait, fault.over = wait, too_long
    return fault


def trouble(error: Exception, host: str) -> Fault:
    """Sort a network error of the libraries: what a retry may help, and what it cannot."""
    chain = _chain(error)
    here = shortage(chain, f"asking {host}")
    if here:
        return here
    if isinstance(error, requests.exceptions.InvalidSchema):
        return PersonNeeded(f"the proxy setting cannot be used: {cleaned(str(error))}", fault="N24")
    if _any(chain, ssl.SSLCertVerificationError):
        return _certificate(chain, host)
    if _any(chain, urllib3.exceptions.InvalidHeader):
        return PersonNeeded(f"{host} contradicts itself ({_reason(chain[-1])})", fault="N04")
    if any(type(link) in _BOMBS for link in chain):
        return Later(f"{host} sends a head without measure ({_reason(chain[-1])})", fault="N20")
    for kinds, said, fault in _PASSING:
        if _any(chain, *kinds):
            return Later(said.format(host=host, reason=_reason(chain[-1])), fault=fault)
    return Later(f"the connection to {host} failed ({_reason(chain[-1])})", fault="N14")


def page_fault(answer: Answer, kind: str, title: str, mark: str, fault: str) -> Page:
    shown = f" (title: {title})" if title else ""
    page = Page(f"{answer.host} answered with a web page instead of the file: {kind}{shown}", fault=fault)
    page.mark, page.host, page.sender = mark, urlsplit(answer.asked).hostname or "", answer.host
    return page


def portal_fault(answer: Answer) -> Page:
    """Status 511, from whichever host it seems to come."""
    page = Page("this network asks for a login (status 511)", fault="N08")
    page.mark, page.host, page.sender = "status 511", urlsplit(answer.asked).hostname or "", answer.host
    return page


def _certificate(chain: list[BaseException], host: str) -> PersonNeeded:
    found = next(link for link in chain if isinstance(link, ssl.SSLCertVerificationError))
    reason = getattr(found, "verify_message", "") or str(found)
    hint = "behind a proxy with its own certificates set SSL_CERT_FILE or REQUESTS_CA_BUNDLE"
    if "expired" in reason or "not yet valid" in reason:
        hint = f"check the clock of this machine; {hint}"
    return PersonNeeded(
        f"the certificate of {host} does not prove who it is ({cleaned(reason)})", hint=hint, fault="N15"
    )


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what it was raised from, down to the plain reason."""
    links = [error]
    while len(links) < _DEEPEST:
        last = links[-1]
        wrapped = next((part for part in last.args if isinstance(part, BaseException)), None)
        below = last.__cause__ or wrapped or last.__context__
        if below is None or below in links:
            break
        links.append(below)
    return links


def _any(chain: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(link, kinds) for link in chain)


def _reason(error: BaseException) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return cleaned(said) or type(error).__name__
