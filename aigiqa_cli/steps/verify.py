"""verify: every installed file against its record. Only reads, also on a read-only root."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from aigiqa_cli import images, root_index
from aigiqa_cli.context import Context
from aigiqa_cli.digests import sha256_bytes, sha256_file
from aigiqa_cli.errors import Finding, IntegrityFault, UsageFault
from aigiqa_cli.store import Record, StoredFile, read_record

THREADS = 2
FOREIGN = "not ours"


@dataclass(frozen=True)
class Verified:
    """What was read, and everything that is not as recorded."""

    database: str
    files: int
    bytes: int
    images: int
    findings: tuple[Finding, ...]


def verify(context: Context, name: str, *, decode: bool = False) -> Verified:
    """Read every file of one installed database."""
    record = read_record(context.root, name)
    if record is None:
        raise UsageFault(f"{name} is not installed", hint=f"aigiqa fetch {name}", database=name)
    folder = context.root.folder(name)
    context.reporter.phase(f"verifying {name}", total=record.size)
    findings = list(_file_findings(context, folder, record, decode=decode))
    findings += _extra_findings(folder, record)
    if not any(finding.path == f"{name}/index.csv" for finding in findings):
        lost = root_index.astray(context.root, record)
        findings += [lost] if lost else []
    return Verified(
        name, len(record.files), record.size, record.images, tuple(sorted(findings, key=lambda finding: finding.path))
    )


def verify_root(context: Context) -> list[Finding]:
    """The root index against the databases' own indexes."""
    return root_index.check(context.root)


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


def _file_findings(context: Context, folder: Path, record: Record, *, decode: bool) -> Iterator[Finding]:
    def check(file: StoredFile) -> Finding | None:
        return _check(context, folder, record.database, file, decode=decode)

    with ThreadPoolExecutor(THREADS) as pool:
        yield from filter(None, pool.map(check, record.files, chunksize=64))


def _check(context: Context, folder: Path, database: str, file: StoredFile, *, decode: bool) -> Finding | None:
    path = folder / file.path
    shown = f"{database}/{file.path}"
    try:
        status = path.lstat()
        if not path.is_file() or path.is_symlink():
            return Finding(database, shown, "not a regular file", "a file", "something else")
        if status.st_size != file.bytes:
            context.reporter.advance(file.bytes)
            return Finding(database, shown, "wrong length", f"{file.bytes} bytes", f"{status.st_size} bytes")
        if decode and file.path.startswith(("images/", "references/")):
            data = path.read_bytes()
            context.reporter.advance(len(data))
            digest = sha256_bytes(data)
            if digest == file.sha256:
                images.decode(data)
        else:
            digest, _ = sha256_file(path, context.reporter.advance)
    except FileNotFoundError:
        context.reporter.advance(file.bytes)
        return Finding(database, shown, "missing", f"{file.bytes} bytes", "nothing")
    except images.NotAnImage as error:
        return Finding(database, shown, str(error), "an image that decodes", "")
    except OSError as error:
        return Finding(database, shown, f"cannot be read: {error.strerror}", "a readable file", "")
    if digest != file.sha256:
        return Finding(database, shown, "wrong checksum", file.sha256, digest)
    return None


def _extra_findings(folder: Path, record: Record) -> Iterator[Finding]:
    known = {file.path for file in record.files}
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in sorted([*names, *links]):
            path = os.path.relpath(os.path.join(parent, name), folder)
            if path not in known:
                yield Finding(record.database, f"{record.database}/{path}", FOREIGN, "no such file", "a file")
