"""Shares that only a person can open: the link that a browser needs, nothing else. None of them is asked by us."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from aigiqa_cli.mirrors.record import Mirror

_CODE_IN_LINK = ("baidu", "quark")


def link(mirror: Mirror) -> str:
    """The share's address, with the extraction code filled in where the host's page takes it from there."""
    if not (mirror.code and mirror.kind in _CODE_IN_LINK and mirror.url):
        return mirror.url
    parts = urlsplit(mirror.url)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "pwd"]
    query.append(("pwd", mirror.code))
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))
