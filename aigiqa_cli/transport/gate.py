"""The URL gate: what may be asked at all. Every hop of every redirect passes it."""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import SplitResult, urlsplit

from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.transport.model import Later
from aigiqa_cli.transport.redact import bare, cleaned

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LONGEST = 2000
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?|[0-9A-Fa-f:.]+")
_NUMBER = re.compile(r"(0[xX][0-9A-Fa-f]*|[0-9]+)\Z")
_OUTSIDE = re.compile(r"[^\x21-\x7e]")
_LOCAL_ENDINGS = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def check(url: str, *, private_allowed: bool, proxied: bool, fault: str = "M06") -> SplitResult:
    """Return the parts of `url`, or raise RefusedInput.

    Without a proxy the name is resolved and every address judged; behind one the name is judged as it is
    written, because only the proxy resolves it. `private_allowed` admits private hosts, any port and http.
    """
    parts = shape(url, fault)
    if private_allowed:
        return parts
    if parts.scheme != "https":
        raise _refused(url, "only https is allowed", fault)
    if parts.port not in (None, 443):
        raise _refused(url, f"port {parts.port} is not allowed", fault)
    host = parts.hostname or ""
    literal = as_address(host)
    if literal is not None:
        if not is_public(literal):
            raise _refused(url, "the address is private", "M07" if fault == "M06" else fault)
    elif _is_local_name(host):
        raise _refused(url, "the name is local", "M07" if fault == "M06" else fault)
    elif not proxied:
        _judge_addresses(url, host, fault)
    return parts


def as_address(host: str) -> Address | None:
    """The address that `host` spells, also in decimal, octal and hexadecimal; None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        pass
    labels = host.rstrip(".").split(".")
    if not _NUMBER.match(labels[-1]):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host.rstrip(".")))
    except OSError:
        return ipaddress.IPv4Address(0)  # a numeric ending that is no address is no name either


def is_public(address: Address) -> bool:
    """True for an address on the open internet, looking through the wrappers of IPv4 in IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not (address.is_multicast or address.is_reserved)


def shape(url: str, fault: str = "M06") -> SplitResult:
    """The parts of what every reader takes for one and the same http address, or RefusedInput."""
    if len(url) > LONGEST:
        raise _refused(url, f"longer than {LONGEST:,} characters", fault)
    if _OUTSIDE.search(url):
        raise _refused(url, "blanks, control or non-ASCII characters", fault)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused(url, "not a URL", fault) from None
    if parts.scheme not in ("https", "http"):
        raise _refused(url, "only https is allowed", fault)
    if "@" in parts.netloc or "\\" in url:
        raise _refused(url, "user information", fault)
    if not parts.hostname or not _HOST.fullmatch(parts.hostname) or port == 0:
        raise _refused(url, "no proper host", fault)
    return parts


def _is_local_name(host: str) -> bool:
    name = host.lower().rstrip(".")
    return "." not in name or name.endswith(_LOCAL_ENDINGS)


def _judge_addresses(url: str, host: str, fault: str) -> None:
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Later(f"the name {host} cannot be resolved ({cleaned(str(error))})", fault="N14") from error
    if not all(is_public(ipaddress.ip_address(str(entry[4][0]).partition("%")[0])) for entry in found):
        raise _refused(url, "the name leads to a private address", "M07" if fault == "M06" else fault)


def _refused(url: str, why: str, fault: str) -> RefusedInput:
    try:
        shown = cleaned(bare(url[:LONGEST]) if "://" in url else url.partition(":")[0] + ":…")
    except ValueError:
        shown = "that is none"
    return RefusedInput(
        f"the address {shown} is refused: {why}",
        hint="AIGIQA_ALLOW_PRIVATE_HOSTS=1 allows private hosts, any port and http (labs and tests)",
        fault=fault,
    )
