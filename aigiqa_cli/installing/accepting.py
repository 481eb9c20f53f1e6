"""Bytes that no manifest pins, accepted by a person by their hash: remembered below the root, shown for ever (N31)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from aigiqa_cli import folders
from aigiqa_cli.errors import IntegrityFault, UsageFault
from aigiqa_cli.machine import machine_faults
from aigiqa_cli.store import Root, write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from aigiqa_cli.manifest.models import Database

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NOTE = "accepted on this machine"


def lock_file(root: Root, database: str) -> Path:
    """Where the accepted hashes of a database stand."""
    return root.internal / "accepted" / f"{database}.json"


def accept(root: Root, database: str, sha256: str) -> None:
    """Remember that these bytes are accepted. Raises UsageFault for what is no SHA-256."""
    digest = sha256.strip().lower()
    if not _SHA256.fullmatch(digest):
        raise UsageFault(f"{sha256!r} is no SHA-256", hint="64 hexadecimal digits, as sha256sum prints them")
    known = accepted(root, database)
    if digest in known:
        return
    path = lock_file(root, database)
    with machine_faults(f"remembering what is accepted of {database}", phase="PLAN"):
        folders.make(path.parent, 0o700, exist_ok=True)
        write_whole(path, (json.dumps({"accepted": [*known, digest]}, indent=1) + "\n").encode())


def accepted(root: Root, database: str) -> tuple[str, ...]:
    """Every SHA-256 that was accepted here. Raises IntegrityFault for a lock file that is none."""
    path = lock_file(root, database)
    try:
        found = json.loads(path.read_bytes())["accepted"]
        if not all(_SHA256.fullmatch(digest) for digest in found):
            raise ValueError("not a list of SHA-256")
    except FileNotFoundError:
        return ()
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityFault(
            f"{path} is damaged: {error}",
            hint=f"remove it, then say again what you accept: aigiqa fetch {database} --accept SHA256",
            fault="N31",
            database=database,
            phase="PLAN",
        ) from None
    return tuple(found)


def with_accepted(root: Root, database: Database) -> Database:
    """The database with what was accepted here beside what its manifest pins. Nothing is added where nothing is pinned:
    any bytes go there, and are shown as unpinned."""
    digests = accepted(root, database.id)
    if not digests:
        return database
    from aigiqa_cli.manifest.assets import LocalTwin

    def widened(pins: tuple[str, ...]) -> tuple[LocalTwin, ...]:
        return tuple(LocalTwin(sha256=digest, note=_NOTE) for digest in digests if digest not in pins)

    assets = tuple(
        asset.model_copy(update={"twins": (*asset.twins, *widened(asset.accepted))}) if asset.accepted else asset
        for asset in database.assets
    )
    return database.model_copy(update={"assets": assets})
