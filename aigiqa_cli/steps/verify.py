"""verify: every installed file against its record. Only reads, also on a read-only root; with `quick` it notes below
`.aigiqa/` how the files looked that it had to read, where that can be written."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from aigiqa_cli import looks
from aigiqa_cli.context import Context
from aigiqa_cli.digests import sha256_bytes, sha256_stream
from aigiqa_cli.errors import Finding, IntegrityFault, UsageFault
from aigiqa_cli.looks import INDEX, look
from aigiqa_cli.store import Record, StoredFile, read_record
from aigiqa_cli.store.stat_cache import clock, is_settled, note_looks, write_note

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
    trusted = looks.unchanged(folder, noted) if noted else {}
    before = _clock(context) if quick else None
    files = [file for file in record.files if file.path not in trusted]
    context.reporter.phase(f"verifying {name}", total=sum(file.bytes for file in files))
    sound, findings = dict(trusted), []
    for file, checked in zip(files, _check_all(context, name, files, decode=decode), strict=True):
        if checked.finding:
            findings.append(checked.finding)
        elif before is not None and checked.status and is_settled(checked.status, before):
            sound[file.path] = look(file.path.rpartition("/")[2], checked.status)
    findings += _extra_findings(context, record)
    if INDEX not in trusted and not any(finding.path == f"{name}/{INDEX}" for finding in findings):
        from aigiqa_cli import root_index

        if lost := root_index.astray(context.root, record):
            findings.append(lost)
            sound.pop(INDEX, None)
    if before is not None and len(sound) > len(trusted):
        with suppress(OSError):  # what is not noted is read again
            note_looks(context.root, record, sealed, sound.items())
    findings.sort(key=lambda finding: finding.path)
    return Verified(name, len(record.files), record.size, record.images, tuple(findings), len(trusted))


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
        return sha256_bytes(context.root.record(name).read_bytes())
    except OSError:
        return ""


def _clock(context: Context) -> int | None:
    """None where nothing can be noted."""
    try:
        return clock(context.root)
    except OSError:
        return None


def _check_all(context: Context, name: str, files: Sequence[StoredFile], *, decode: bool) -> Iterator[Checked]:
    """What became of each, in order. A few batches are under way at one time, whatever the number of files."""
    from concurrent.futures import Future, ThreadPoolExecutor

    def check(batch: Sequence[StoredFile]) -> list[Checked]:
        return [_check(context, name, file, decode=decode) for file in batch]

    running: deque[Future[list[Checked]]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(files), BATCH):
            running.append(pool.submit(check, files[start : start + BATCH]))
            if len(running) > 2 * THREADS:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()


def _check(context: Context, database: str, file: StoredFile, *, decode: bool) -> Checked:
    from aigiqa_cli import images

    path = context.root.folder(database) / file.path
    shown = f"{database}/{file.path}"

    def finding(problem: str, expected: str, found: str = "", within: str = "") -> Checked:
        return Checked(Finding(database, shown, problem, expected, found, within))

    try:
        status = path.lstat()
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
                digest, _ = sha256_stream(stream, context.reporter.advance)
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
    known = {file.path for file in record.files}
    folder = str(context.root.folder(record.database))
    for parent, folders, names in os.walk(folder):
        place = parent[len(folder) + 1 :].replace(os.sep, "/")
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in sorted([*names, *links]):
            path = f"{place}/{name}" if place else name
            if path not in known:
                yield Finding(record.database, f"{record.database}/{path}", FOREIGN, "no such file", "a file")
