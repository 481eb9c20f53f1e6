"""The environment as aigiqa reads it. Secrets are never shown; of files with secrets only the rights are looked at."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from aigiqa_cli.examining.check import BAD, OK, WARN, Check
from aigiqa_cli.redaction import TOKENS
from aigiqa_cli.transport.redact import redact

AREA = "settings"
PRIVATE = "AIGIQA_ALLOW_PRIVATE_HOSTS"
_PLAIN = ("AIGIQA_ROOT", "AIGIQA_MANIFESTS", "NO_PROXY", "NO_COLOR")
_SECONDS = (
    "AIGIQA_CONNECT_SECONDS", "AIGIQA_SILENCE_SECONDS", "AIGIQA_SLOW_SECONDS", "AIGIQA_BUSY_SECONDS",
    "AIGIQA_LOCK_SECONDS", "AIGIQA_RETRY_SECONDS",
)  # fmt: skip
_ENDPOINTS = ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_ENTRUSTED = ("HF_TOKEN", "MODELSCOPE_API_TOKEN")


def settings(values: Mapping[str, str]) -> Iterator[Check]:
    """Only what is set, plus files in which other programs keep tokens."""
    for name in (*_PLAIN, *_PROXIES):
        if value := values.get(name) or (values.get(name.lower()) if name in _PROXIES else ""):
            yield Check(AREA, name, OK, redact(value, values))  # a proxy may hold a password
    yield from _hosts(values)
    for name in _SECONDS:
        if name in values:
            yield _number(name, values[name])
    for name in TOKENS:
        if value := values.get(name):
            yield _token(name, value)
    yield from _token_files(values)


def _hosts(values: Mapping[str, str]) -> Iterator[Check]:
    """Who is asked, and whose word is taken for it."""
    if value := values.get(PRIVATE):
        detail = f"{value}: mirrors may be private addresses, also over http" if value == "1" else f"{value}: no effect"
        yield Check(AREA, PRIVATE, WARN, detail, f"unset {PRIVATE}, unless this is a lab or a test")
    for name in _ENDPOINTS:
        if value := values.get(name):
            plain = value.startswith("http://")
            advice = "use https: whoever is on the way can read the token and change the answers" if plain else ""
            yield Check(AREA, name, WARN if plain else OK, redact(value, values), advice)
    for name in _CERTIFICATES:
        if value := values.get(name):
            here = os.path.exists(value)
            detail = value if here else f"{value} is not there"
            yield Check(
                AREA, name, OK if here else BAD, detail, "" if here else f"unset {name}, or name the right file"
            )


def _number(name: str, value: str) -> Check:
    try:
        good = float(value) >= 0
    except ValueError:
        good = False
    advice = "" if good else f"set {name} to a number of seconds; until then the usual value counts"
    return Check(AREA, name, OK if good else WARN, f"{value} seconds" if good else f"{value!r} is no number", advice)


def _token(name: str, value: str) -> Check:
    if name not in _ENTRUSTED:
        return Check(AREA, name, OK, "set (not shown, not used)")
    if len(value.split()) != 1 or not value.isascii() or not value.isprintable():
        advice = f"set {name} to the token alone, without blanks or line ends"
        return Check(AREA, name, WARN, "set (not shown), but it does not look like a token", advice)
    return Check(AREA, name, OK, "set (not shown); sent to its own host only")


def _token_files(values: Mapping[str, str]) -> Iterator[Check]:
    """Other programs' files: never read by us, but whoever uses the same hubs wants to know (K05)."""
    home = Path(values.get("HOME", "") or os.path.expanduser("~"))
    hub = Path(values.get("HF_HOME", "") or home / ".cache" / "huggingface")
    scope = Path(values.get("MODELSCOPE_HOME", "") or home / ".modelscope")
    files = (
        Path(values.get("HF_TOKEN_PATH", "") or hub / "token"),
        scope / "credentials" / "git_token",
        home / ".netrc",
    )
    for path in files:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        name = f"secrets in {path.name}"
        if mode & 0o077:
            yield Check(AREA, name, WARN, f"{path}: others may read it (mode {mode:04o})", f"chmod 600 {path}")
        else:
            yield Check(AREA, name, OK, f"{path}: only you can read it; aigiqa never does")
