"""verify: every installed file against its record. Only reads, also on a read-only root; with `quick` it notes below
`.aigiqa/` how the files looked that it had to read, where that can be written."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import compress, islice
from pathlib import Path
from typing import BinaryIO

from aigiqa_cli import looks
from aigiqa_cli.context import Context
from aigiqa_cli.digests import sha256_bytes, sha256_file, sha256_stream
from aigiqa_cli.errors import Finding, IntegrityFault, UsageFault
from aigiqa_cli.looks import INDEX, Noted, look
from aigiqa_cli.store import Record, StoredFile, read_record
from aigiqa_cli.store.stat_cache import Looks, clock, is_settled, note_looks, write_note

THREADS = 2
BATCH = 16  # files that a thread takes at one time
FOREIGN = "not ours"


@dataclass(frozen=True)
class Verified:
    """What was looked at, and everything that is not as recorded. `trusted` files were not read: they look as they did
    when they were hashed."""

    database: str
    files: int
    bytes: int
    images: int
    findings: tuple[Finding, ...] = ()
    trusted: int = 0


@dataclass(frozen=True)
class Checked:
    """One file: what is wrong with it, else how it looked all the time while it was read."""

    finding: Finding | None = None
    status: os.stat_result | None = None


Results = list[tuple[StoredFile, Checked]]


def verify(context: Context, name: str, *, decode: bool = False, quick: bool = False) -> Verified:
    """Read every file of one installed database; `quick`: every file but those that look as they did when they were
    hashed. Bits that rotted on the disk change no time, so only reading finds them."""
    sealed = _record_sha256(context, name) if quick else ""
    noted = looks.read(context.root.stat / name, sealed) if quick else None
    folder = context.root.folder(name)
    if noted and looks.is_unchanged(folder, noted):
        return Verified(name, noted.files, noted.bytes, noted.images, trusted=noted.files)
    record = read_record(context.root, name)
    if record is None:
        raise UsageFault(f"{name} is not installed", hint=f"aigiqa fetch {name}", database=name)
    sound, unread = _trusted(record, folder, noted)
    trusted = unread.count(0)
    before = _clock(context) if quick else None
    findings: list[Finding] = []
    settled = 0
    context.reporter.phase(f"verifying {name}", total=sum(compress(record.files.packed.sizes, unread)))
    files = compress(record.files, unread)
    for file, checked in _check_all(context, name, files, decode=decode):
        if checked.finding:
            findings.append(checked.finding)
        elif before is not None and checked.status and is_settled(checked.status, before):
            sound.add(file.path, look(file.path.rpartition("/")[2], checked.status))
            settled += 1
    findings += _extra_findings(context, record)
    if _is_read(record, unread, INDEX) and not any(finding.path == f"{name}/{INDEX}" for finding in findings):
        from aigiqa_cli import root_index

        if lost := root_index.astray(context.root, record):
            findings.append(lost)
            sound.drop(INDEX)
    if settled:
        with suppress(OSError):  # what is not noted is read again
            note_looks(context.root, record, sealed, sound)
    findings.sort(key=lambda finding: finding.path)
    return Verified(name, len(record.files), record.size, record.images, tuple(findings), trusted)


def _trusted(record: Record, folder: Path, noted: Noted | None) -> tuple[Looks, bytearray]:
    """The files that look as they did when they were noted, and for each of the record whether it has to be read: one
    byte each, as there may be millions."""
    sound, unread = Looks(), bytearray(b"\1") * len(record.files)
    for path, shape in looks.unchanged(folder, noted) if noted else ():
        if (place := record.files.position(path)) is not None:
            unread[place] = False
            sound.add(path, shape)
    return sound, unread


def _is_read(record: Record, unread: bytearray, path: str) -> bool:
    place = record.files.position(path)
    return place is None or bool(unread[place])


def verify_root(context: Context, results: Sequence[Verified] = (), *, quick: bool = False) -> list[Finding]:
    """The root index against the databases' own indexes; `quick`: not if it and all records are as they were then.
    `results` are those of `verify`, just now."""
    from aigiqa_cli import root_index

    proven = {one.database for one in results if not one.findings}
    if not quick:
        return root_index.check(context.root, proven)
    try:
        recorded = looks.records(str(context.root.internal))
    except OSError:
        recorded = {}
    path, key = looks.index_note(str(context.root.internal), recorded)
    if looks.is_index_unchanged(context.root.path, looks.read(path, key)):
        return []
    before = _clock(context)
    findings = root_index.check(context.root, proven)
    with suppress(OSError):
        status = context.root.index.lstat()
        if before is not None and not findings and is_settled(status, before):
            write_note(context.root, INDEX, looks.Noted(key, 1, status.st_size, 0, {"": {look(INDEX, status)}}))
    return findings


def require_sound(results: Sequence[Verified], root_findings: Sequence[Finding]) -> None:
    """Raise IntegrityFault if anything was found."""
    findings = [finding for result in results for finding in result.findings] + list(root_findings)
    if not findings:
        return
    damaged = sorted({finding.database for finding in findings if finding.database})
    count = f"{len(findings)} problem" + ("s" if len(findings) > 1 else "")
    hint = f"aigiqa verify --repair {' '.join(damaged)}" if damaged else "aigiqa index --rebuild"
    if all(finding.problem == FOREIGN for finding in findings):
        hint = "move elsewhere what is not ours; aigiqa never touches it"
    where = f" in {', '.join(damaged)}" if damaged else " in the root index"
    raise IntegrityFault(f"{count} found{where}", hint=hint, fault="S10", phase="CHECK", findings=findings)


def _record_sha256(context: Context, name: str) -> str:
    try:
        return sha256_file(context.root.record(name))[0]
    except OSError:
        return ""


def _clock(context: Context) -> int | None:
    """None where nothing can be noted."""
    try:
        return clock(context.root)
    except OSError:
        return None


def _check_all(
    context: Context, name: str, files: Iterable[StoredFile], *, decode: bool
) -> Iterator[tuple[StoredFile, Checked]]:
    """What became of each, in order. A few batches are under way at one time, whatever the number of files."""
    from concurrent.futures import Future, ThreadPoolExecutor

    folder = os.fspath(context.root.folder(name))

    def check(batch: Sequence[StoredFile]) -> Results:
        return [(file, _check(context, name, folder, file, decode=decode)) for file in batch]

    coming = iter(files)
    running: deque[Future[Results]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        while batch := list(islice(coming, BATCH)):
            running.append(pool.submit(check, batch))
            if len(running) > 2 * THREADS:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()


def _check(context: Context, database: str, folder: str, file: StoredFile, *, decode: bool) -> Checked:
    from aigiqa_cli import images

    path = f"{folder}/{file.path}"

    def finding(problem: str, expected: str, found: str = "", within: str = "") -> Checked:
        return Checked(Finding(database, f"{database}/{file.path}", problem, expected, found, within))

    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            return finding("not a regular file", "a file", "something else")
        if status.st_size != file.bytes:
            context.reporter.advance(file.bytes)
            return finding("wrong length", f"{file.bytes} bytes", f"{status.st_size} bytes")
        with open(path, "rb", buffering=0) as stream:
            status = os.fstat(stream.fileno())
            if decode and file.path.startswith(("images/", "references/")):
                data = stream.readall()
                context.reporter.advance(len(data))
                digest = sha256_bytes(data)
                if digest == file.sha256:
                    images.decode(data)
            else:
                digest, _ = sha256_stream(stream, context.reporter.advance, file.bytes)
            after = os.fstat(stream.fileno())
            within = _damaged(stream, file, digest)
    except FileNotFoundError:
        context.reporter.advance(file.bytes)
        return finding("missing", f"{file.bytes} bytes", "nothing")
    except images.NotAnImage as error:
        return finding(str(error), "an image that decodes")
    except OSError as error:
        return finding(f"cannot be read: {error.strerror}", "a readable file")
    if digest != file.sha256:
        return finding("wrong checksum", file.sha256, digest, within)
    return Checked(status=status if look("", status) == look("", after) else None)


def _damaged(stream: BinaryIO, file: StoredFile, digest: str) -> str:
    """FIRST-LAST of the bytes between which the damage is, "" where there is none."""
    from aigiqa_cli.damage import damaged_range

    if digest == file.sha256:
        return ""
    stream.seek(0)
    begin, end = damaged_range(stream, file.bytes)
    return f"{begin}-{end - 1}"


def _extra_findings(context: Context, record: Record) -> Iterator[Finding]:
    from aigiqa_cli.examining.contents import strays

    for path in strays(context.root.folder(record.database), record):
        yield Finding(record.database, f"{record.database}/{path}", FOREIGN, "no such file", "a file")
