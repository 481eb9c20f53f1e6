"""Where files can be had. Automatic kinds resolve to a request; the others tell a person what to open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from urllib.parse import quote, urlencode

from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.errors import BY_HAND, PersonNeeded, Share
from aigiqa_cli.mirrors import manual
from aigiqa_cli.mirrors.record import Mirror
from aigiqa_cli.transport.model import Listing, Request, Source, TreeSource
from aigiqa_cli.transport.redact import bare
from aigiqa_cli.transport.session import Session

Resolver = Callable[[Mirror, Session], Request]
Lister = Callable[[Mirror, Session], Listing]


def _http(mirror: Mirror, session: Session) -> Request:
    from aigiqa_cli.mirrors import http

    return http.resolve(mirror, session)


def _github(mirror: Mirror, session: Session) -> Request:
    from aigiqa_cli.mirrors import github

    return github.resolve(mirror, session)


def _huggingface(mirror: Mirror, session: Session) -> Request:
    from aigiqa_cli.mirrors import huggingface

    return huggingface.resolve(mirror, session)


def _gdrive(mirror: Mirror, session: Session) -> Request:
    from aigiqa_cli.mirrors import gdrive

    return gdrive.resolve(mirror, session)


def _modelscope(mirror: Mirror, session: Session) -> Request:
    from aigiqa_cli.mirrors import modelscope

    return modelscope.resolve(mirror, session)


def _builtin(mirror: Mirror, _session: Session) -> Request:
    from aigiqa_cli.mirrors import builtin

    return builtin.resolve(cast("Any", mirror))


AUTOMATIC: dict[str, Resolver] = {
    "http": _http,
    "github": _github,
    "huggingface": _huggingface,
    "modelscope": _modelscope,
    "gdrive": _gdrive,
    "builtin": _builtin,
}


def _huggingface_tree(mirror: Mirror, session: Session) -> Listing:
    from aigiqa_cli.mirrors import huggingface

    return huggingface.listing(mirror, session)


def _modelscope_tree(mirror: Mirror, session: Session) -> Listing:
    from aigiqa_cli.mirrors import modelscope

    return modelscope.listing(mirror, session)


TREES: dict[str, Lister] = {"huggingface": _huggingface_tree, "modelscope": _modelscope_tree}
MANUAL = BY_HAND


def source(mirror: Mirror, session: Session) -> Source:
    """An automatic mirror made ready; nothing is asked before its `resolve` is called."""
    resolver = AUTOMATIC.get(mirror.kind)
    if resolver is None:
        raise PersonNeeded(f"{label(mirror)} can only be opened by a person", fault="N22", mirror=label(mirror))
    return Source(kind=mirror.kind, label=label(mirror), resolve=lambda: resolver(mirror, session))


def tree_source(mirror: Mirror, session: Session) -> TreeSource:
    """A folder of a hub made ready, for an asset of many files."""
    lister = TREES.get(mirror.kind)
    if lister is None:
        raise PersonNeeded(f"{label(mirror)} cannot list a folder", fault="N22", mirror=label(mirror))
    return TreeSource(kind=mirror.kind, label=label(mirror), listing=lambda: lister(mirror, session))


def label(mirror: Mirror) -> str:
    """The mirror's name for people and records; the same in every run, and never with a code or a signature."""
    place = mirror.repo or mirror.id or bare(mirror.url).partition("://")[2] or mirror.path
    return f"{mirror.kind} {place}".strip()


def key(mirror: Mirror) -> str:
    """What the health ledger knows this very mirror by: a hash, so that no signature of a link stands there."""
    fields = (mirror.kind, mirror.url, mirror.repo, mirror.revision, mirror.path, mirror.id)
    return sha256_bytes("\0".join(fields).encode())[:32]


def link(mirror: Mirror, *, folder: bool = False) -> str:
    """An address that a person can open in a browser; "" for bytes that are made on this machine."""
    path, revision = quote(mirror.path), quote(mirror.revision, safe="")
    if mirror.kind == "github" and mirror.repo:
        return f"https://github.com/{mirror.repo}/blob/{revision or 'HEAD'}/{path}"
    if mirror.kind == "huggingface" and mirror.repo:
        kind = "tree" if folder else "blob"
        return f"https://huggingface.co/datasets/{mirror.repo}/{kind}/{revision or 'main'}/{path}".rstrip("/")
    if mirror.kind == "modelscope" and mirror.repo and (folder or not path):
        return f"https://modelscope.cn/datasets/{mirror.repo}/files"
    if mirror.kind == "modelscope" and mirror.repo:
        return f"https://modelscope.cn/datasets/{mirror.repo}/resolve/{revision or 'master'}/{path}"
    if mirror.kind == "gdrive" and mirror.id:
        return f"https://drive.google.com/open?{urlencode({'id': mirror.id})}"
    return manual.link(mirror)


def share(
    mirror: Mirror,
    asset_name: str,
    bytes: int | None,  # noqa: A002
    sha256: str,
    next_command: str,
    *,
    folder: bool = False,
) -> Share:
    """All that a person needs to fetch one file by hand."""
    return Share(
        kind=mirror.kind,
        url=link(mirror, folder=folder),
        code=mirror.code,
        name=asset_name,
        bytes=bytes,
        sha256=sha256,
        note=mirror.note,
        state=mirror.health.state if mirror.health else "",
        next=next_command,
    )
