"""Interpreter, libraries and other programs: their versions against what is known of each."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata

from aigiqa_cli import __version__
from aigiqa_cli.examining.check import BAD, OK, WARN, Check
from aigiqa_cli.examining.floors import HOLES, LIBRARIES, OLDEST_PYTHON, TOOLS, ToolFloor

INTERPRETER, LIBRARY, TOOL = "interpreter", "libraries", "other programs"
_SHOWN = 3  # identifiers; the others are counted
_PATIENCE = 10.0  # seconds for a program that is asked for its version
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
_VERSION = re.compile(rb"\bv?(\d+(?:\.\d+)+)")


def interpreter() -> Iterator[Check]:
    yield Check(INTERPRETER, "aigiqa", OK, __version__)
    version = (sys.version_info.major, sys.version_info.minor, sys.version_info.micro)
    yield python(version, f"{platform.system()} {platform.machine()}")
    yield patches(version)
    encoding = sys.getfilesystemencoding()
    named = encoding.lower().replace("-", "") == "utf8"
    advice = "" if named else "set a UTF-8 locale, for example LC_ALL=C.UTF-8"
    yield Check(INTERPRETER, "file names", OK if named else WARN, encoding, advice)


def python(version: tuple[int, int, int], system: str) -> Check:
    """Is the version supported at all?"""
    word = ".".join(map(str, version))
    if version[:2] >= OLDEST_PYTHON:
        return Check(INTERPRETER, "python", OK, f"{word} on {system}")
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return Check(INTERPRETER, "python", BAD, f"{word} on {system}", f"use Python {oldest} or newer")


def patches(version: tuple[int, int, int]) -> Check:
    """Old patch releases are no danger to us (D02): archives are read by our own reader in a limited child process."""
    found = [hole for hole in HOLES if hole.is_open(version)]
    if not found:
        return Check(INTERPRETER, "python's patches", OK, "no hole in its archive readers is known")
    ids = [name for hole in reversed(found) for name in hole.ids]
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    detail = (
        f"open holes in its zip and tar readers ({', '.join(ids[:_SHOWN])}{more}). aigiqa does not rely on them, other "
        "programs may"
    )
    return Check(INTERPRETER, "python's patches", WARN, detail, f"update to {_sound_release(version)} or newer")


def _sound_release(version: tuple[int, int, int]) -> str:
    """The first release without any of the holes: of this minor version if there is one."""
    minors = sorted({minor for hole in HOLES for minor in hole.closed if minor >= version[:2]})
    for minor in minors:
        if all(minor in hole.closed or minor > max(hole.closed) for hole in HOLES):
            return ".".join(map(str, (*minor, max(hole.closed.get(minor, 0) for hole in HOLES))))
    newest = max(minors)
    return ".".join(map(str, (*newest, max(hole.closed.get(newest, 0) for hole in HOLES))))


def libraries() -> Iterator[Check]:
    """Every dependency against its floor, which is that of the package or, where it is higher, of the known holes."""
    for requirement in metadata.requires("aigiqa") or ():
        if ";" in requirement:  # of other versions of Python, or extras
            continue
        match = re.match(r"([A-Za-z0-9_.-]+)\s*>=\s*([0-9.]+)", requirement)
        if match:
            yield _library(match[1], match[2])


def _library(name: str, floor: str) -> Check:
    known = LIBRARIES.get(re.sub(r"[-.]", "_", name.lower()))
    oldest = max(floor, known.oldest, key=numbers) if known else floor
    advice = f"pip install --upgrade '{name}>={oldest}'"
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(LIBRARY, name, BAD, f"not installed; at least {oldest} is needed", advice)
    if numbers(found) >= numbers(oldest):
        return Check(LIBRARY, name, OK, f"{found} (at least {oldest})")
    why = f": {known.why}" if known else ""
    return Check(LIBRARY, name, BAD, f"{found}, older than {oldest}{why}", advice)


def numbers(version: str) -> tuple[int, ...]:
    """For comparing: `2.33` is as new as `2.33.0`."""
    found = [int(part) for part in re.findall(r"\d+", version)[:3]]
    return tuple(found + [0] * (3 - len(found)))


def tools() -> Iterator[Check]:
    """Programs for what Python cannot read. One of each kind is enough; a missing one is no fault."""
    groups: dict[str, list[str]] = {}
    for name, floor in TOOLS.items():
        groups.setdefault(floor.package, []).append(name)
    for package, names in groups.items():
        found = next(((name, path) for name in names if (path := shutil.which(name))), None)
        if found is None:
            purpose = TOOLS[names[0]].purpose
            yield Check(TOOL, names[-1] if package == "7zip" else names[0], OK, f"not here; only needed for {purpose}")
        else:
            yield tool(found[0], found[1], said(found[1], TOOLS[found[0]].version))


def tool(name: str, path: str, version: str) -> Check:
    floor: ToolFloor = TOOLS[name]
    if not version:
        return Check(TOOL, name, WARN, f"{path} does not say its version", f"reinstall the package {floor.package}")
    if _parts(version) >= floor.oldest:
        return Check(TOOL, name, OK, f"{version}, {path}")
    detail = f"{version}, {path}: holes are known below {'.'.join(map(str, floor.oldest))} ({floor.why or 'its age'})"
    advice = f"update the package {floor.package}; a distribution may have closed them under the old number"
    return Check(TOOL, name, WARN, detail, advice)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def said(path: str, words: Sequence[str]) -> str:
    """The version that a program states of itself, "" if it states none."""
    try:
        done = subprocess.run(
            [path, *words],
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    match = _VERSION.search(done.stdout + done.stderr)
    return match[1].decode() if match else ""
