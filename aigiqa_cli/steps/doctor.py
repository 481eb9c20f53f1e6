"""doctor: this machine, interpreter, libraries, tools, root and settings, each with a verdict."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from aigiqa_cli import __version__
from aigiqa_cli.catalogue import VARIABLE
from aigiqa_cli.context import Context
from aigiqa_cli.errors import Fault
from aigiqa_cli.states import DAMAGED, state_of
from aigiqa_cli.store import installed_ids, leftovers

OK, WARN, BAD = "ok", "warning", "bad"
OLDEST = (3, 11)
SETTINGS = (
    "AIGIQA_ROOT", VARIABLE, "AIGIQA_ALLOW_PRIVATE_HOSTS", "HF_ENDPOINT", "MODELSCOPE_ENDPOINT", "HTTPS_PROXY",
    "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NO_COLOR",
)  # fmt: skip
SECRETS = ("HF_TOKEN", "MODELSCOPE_API_TOKEN")
TOOLS = {"7z": "7z archives", "unar": "rar archives", "bsdtar": "unusual archives"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `verdict` is ok, warning or bad; `detail` says what was found."""

    name: str
    verdict: str
    detail: str


def examine(context: Context) -> list[Check]:
    """Everything, without changing anything."""
    return [
        *_interpreter(),
        *_libraries(),
        *_tools(),
        *_root(context),
        *_settings(context),
        *_manifests(context),
        *_databases(context),
    ]


def _interpreter() -> Iterator[Check]:
    yield Check("aigiqa", OK, __version__)
    version = platform.python_version()
    good = sys.version_info[:2] >= OLDEST
    yield Check("python", OK if good else BAD, f"{version} on {platform.system()} {platform.machine()}")
    encoding = sys.getfilesystemencoding()
    yield Check("file names", OK if encoding == "utf-8" else WARN, encoding)


def _libraries() -> Iterator[Check]:
    for requirement in metadata.requires("aigiqa") or ():
        if ";" in requirement:
            continue
        match = re.match(r"([A-Za-z0-9_.-]+)\s*>=\s*([0-9.]+)", requirement)
        if match:
            yield _library(match[1], match[2])


def _library(name: str, floor: str) -> Check:
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, BAD, f"not installed; at least {floor} is needed")
    good = _numbers(found) >= _numbers(floor)
    return Check(name, OK if good else BAD, f"{found} (at least {floor})")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _tools() -> Iterator[Check]:
    for tool, purpose in TOOLS.items():
        found = shutil.which(tool)
        yield Check(tool, OK, found or f"not here; only needed for {purpose}")


def _root(context: Context) -> Iterator[Check]:
    path = context.root.path
    existing = path
    while not existing.exists():
        existing = existing.parent
    writable = os.access(existing, os.W_OK | os.X_OK)
    state = "exists" if path.is_dir() else "will be made by the first install"
    yield Check("root", OK if writable else BAD, f"{path} ({state}{'' if writable else ', not writable'})")
    usage = shutil.disk_usage(existing)
    yield Check("free space", OK if usage.free > 1 << 30 else WARN, f"{usage.free:,} of {usage.total:,} bytes")
    status = os.statvfs(existing)
    if status.f_files:
        yield Check("free inodes", OK if status.f_favail > 10_000 else WARN, f"{status.f_favail:,}")  # noqa: PLR2004
    left = leftovers(context.root)
    detail = f"{len(left)} leftovers, {sum(item.bytes for item in left):,} bytes: aigiqa gc" if left else "none"
    yield Check("leftovers", WARN if left else OK, detail)


def _settings(context: Context) -> Iterator[Check]:
    for name in SETTINGS:
        if value := context.settings.get(name):
            yield Check(name, WARN if name == "AIGIQA_ALLOW_PRIVATE_HOSTS" else OK, value)
    for name in SECRETS:
        if context.settings.get(name):
            yield Check(name, OK, "set (not shown)")


def _manifests(context: Context) -> Iterator[Check]:
    for entry in context.catalogue.entries.values():
        try:
            context.catalogue.load(entry)
        except Fault as fault:
            yield Check(f"manifest {entry.id}", BAD, fault.message)
            continue
        detail = f"{entry.path}{', replaces the built-in one' if entry.shadows else ''}"
        yield Check(f"manifest {entry.id}", WARN if entry.shadows else OK, detail)


def _databases(context: Context) -> Iterator[Check]:
    for name in installed_ids(context.root):
        state = state_of(context.root, name)
        yield Check(f"database {name}", BAD if state.word == DAMAGED else OK, f"{state} {state.why}".strip())
    known = {*installed_ids(context.root), ".aigiqa", "index.csv"}
    if context.root.path.is_dir():
        foreign = sorted(path.name for path in context.root.path.iterdir() if path.name not in known)
        if foreign:
            yield Check("foreign files", WARN, f"in the root, never touched: {', '.join(foreign[:10])}")
