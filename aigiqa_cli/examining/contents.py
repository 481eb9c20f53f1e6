"""What lies in the root, and which manifests are known: leftovers, files of nobody, databases, what is set aside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from aigiqa_cli.errors import Fault
from aigiqa_cli.examining.check import BAD, OK, WARN, Check
from aigiqa_cli.looks import joined
from aigiqa_cli.manifest.catalogue import Catalogue
from aigiqa_cli.states import DAMAGED, LABELS, State, state_of
from aigiqa_cli.store import Record, Root, installed_ids, leftovers, unfinished
from aigiqa_cli.store.ledger import DEAD, age_in_days, read_ledger

ROOT, MANIFESTS, DATABASES, MIRRORS = "contents of the root", "manifests", "databases", "mirrors"
SHOWN = 10  # names of a long list


def contents(root: Root) -> Iterator[Check]:
    if not root.path.is_dir():
        return
    left = leftovers(root)
    if left:
        detail = f"{len(left)} leftovers of dead runs, {sum(item.bytes for item in left):,} bytes"
        yield Check(ROOT, "leftovers", WARN, detail, "aigiqa gc")
    else:
        yield Check(ROOT, "leftovers", OK, "none")
    if halfway := unfinished(root):
        names = ", ".join(halfway)
        yield Check(
            ROOT, "half done", WARN, f"published or removed only in part: {names}", f"aigiqa fetch {halfway[0]}"
        )
    aside = sorted(root.quarantine.iterdir()) if root.quarantine.is_dir() else []
    if aside:
        size = sum(_size(path) for path in aside)
        detail = f"{len(aside)} files that did not match, {size:,} bytes in {root.quarantine}"
        yield Check(ROOT, "set aside", WARN, detail, "look at them; what you do not need can be deleted")
    kept = sorted(root.archives.iterdir()) if root.archives.is_dir() else []
    if kept:
        yield Check(ROOT, "kept archives", OK, f"{len(kept)}, {sum(_size(path) for path in kept):,} bytes")
    yield _foreign(root)


def _foreign(root: Root) -> Check:
    """Files of the user are never touched, and told (S22)."""
    records = installed_ids(root)
    known = {*records, ".aigiqa", "index.csv"}
    found = [path.name for path in sorted(root.path.iterdir()) if path.name not in known]
    for name in records:
        state = state_of(root, name)
        if state.record is not None:
            found += [f"{name}/{path}" for path in strays(root.folder(name), state.record)]
    if not found:
        return Check(ROOT, "foreign files", OK, "none")
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    detail = f"{len(found)}, never touched: {', '.join(found[:SHOWN])}{more}"
    return Check(ROOT, "foreign files", WARN, detail, "move them elsewhere if they are not meant to be here")


def strays(folder: Path, record: Record) -> Iterator[str]:
    """Files and links of a published folder that its record does not name; nothing is followed or read."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        place = parent[len(str(folder)) + 1 :].replace(os.sep, "/")
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in sorted((*names, *links)):
            relative = joined(place, name)
            if not record.files.has(relative):
                yield relative


def manifests(catalogue: Catalogue) -> Iterator[Check]:
    """One line for all that are in order and built in; one for each of the others."""
    try:
        entries = list(catalogue.entries.values())
    except Fault as fault:
        yield Check(MANIFESTS, "folders", BAD, fault.message, fault.hint)
        return
    good = 0
    for entry in entries:
        try:
            catalogue.load(entry)
        except Fault as fault:
            yield Check(MANIFESTS, entry.id, BAD, fault.message, f"aigiqa lint {entry.path}")
            continue
        if entry.shadows:
            yield Check(MANIFESTS, entry.id, WARN, f"{entry.path} replaces the built-in one", "unset AIGIQA_MANIFESTS")
        elif entry.extra:
            yield Check(MANIFESTS, entry.id, OK, f"{entry.path}, your own")
        else:
            good += 1
    yield Check(MANIFESTS, "built in", OK, f"{good} in order")


def databases(root: Root, catalogue: Catalogue) -> Iterator[Check]:
    for name in installed_ids(root):
        yield _database(name, state_of(root, name), known=_known(catalogue, name))


def _known(catalogue: Catalogue, name: str) -> bool:
    try:
        return name in catalogue.entries
    except Fault:
        return True  # told with the manifests


def _database(name: str, state: State, *, known: bool) -> Check:
    title = f"database {name}"
    if state.word == DAMAGED:
        return Check(DATABASES, title, BAD, f"{state} {state.why}".strip(), f"aigiqa verify --repair {name}")
    record = state.record
    held = (
        "" if record is None else f", {record.rows:,} rows" if state.word == LABELS else f", {record.images:,} images"
    )
    if not known:
        return Check(DATABASES, title, WARN, f"{state}{held}; no manifest of it is known", "set AIGIQA_MANIFESTS")
    return Check(DATABASES, title, OK, f"{state}{held}")


def mirrors(root: Root) -> Iterator[Check]:
    """What the last `doctor --links` found."""
    found = read_ledger(root)
    if not found:
        return
    dead = sum(entry.state in DEAD for entry in found.values())
    newest = min(age_in_days(entry) for entry in found.values())
    when = "today" if newest <= 0 else f"{newest} days ago"
    detail = f"{len(found)} were asked, the last {when}; {dead} of them did not answer as promised"
    yield Check(MIRRORS, "health", WARN if dead else OK, detail, "aigiqa doctor --links" if dead else "")


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
