"""One published file put back in its place: only bytes that are the recorded ones, whole, durable, through handles.

The record does not change, so each file by itself is damaged or restored, never half. What stood in its place is the
user's, or was ours once: it goes to quarantine with a note, and is there before the new file has its name (P5).
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aigiqa_cli import folders
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import IntegrityFault, RefusedInput
from aigiqa_cli.names import ASIDE, shortened
from aigiqa_cli.store.durable import fsync_folder, write_whole
from aigiqa_cli.store.root import Root
from aigiqa_cli.store.stored_files import StoredFile


@dataclass(frozen=True)
class Mend:
    """A recorded file, where bytes for it lie (below the same root), and what is wrong with those in its place."""

    file: StoredFile
    staged: Path
    why: Mapping[str, str]


def is_sound(root: Root, database: str, file: StoredFile) -> bool:
    """Does the recorded file lie in its place with the recorded bytes?"""
    path = root.folder(database) / file.path
    try:
        return stat.S_ISREG(path.lstat().st_mode) and sha256_file(path) == (file.sha256, file.bytes)
    except OSError:
        return False


def mend(root: Root, database: str, mends: Sequence[Mend]) -> list[Path]:
    """Put files back in their places, durably; returns what is in quarantine now. The caller holds the lock.

    Raises IntegrityFault for bytes that are not the recorded ones, before anything is touched.
    """
    for one in mends:
        if sha256_file(one.staged) != (one.file.sha256, one.file.bytes):
            raise IntegrityFault(
                f"what was to replace {one.file.path} is not what the record says",
                fault="S10",
                database=database,
                phase="CHECK",
            )
    with ExitStack() as stack:
        aside: list[Path] = []
        parents: dict[str, int] = {}
        for one in mends:
            parent = one.file.path.rpartition("/")[0]
            if parent not in parents:
                parents[parent] = stack.enter_context(_folder(root, database, parent, aside))
        mode = stat.S_IMODE(root.folder(database).stat().st_mode) & 0o666
        for one in mends:
            _flush(one.staged, mode)
            _set_aside(root, database, parents[one.file.path.rpartition("/")[0]], one, aside)
        if aside:
            fsync_folder(root.quarantine)
        for one in mends:
            parent, _, name = one.file.path.rpartition("/")
            with folders.opened(one.staged.parent, folders.PASSED) as staging:
                os.rename(one.staged.name, name, src_dir_fd=staging, dst_dir_fd=parents[parent])
        for handle in parents.values():
            os.fsync(handle)
    return aside


@contextmanager
def _folder(root: Root, database: str, path: str, aside: list[Path]) -> Iterator[int]:
    """A handle of a published folder, made where it is missing. Links on the way are refused, not followed (S17)."""
    handle = folders.handle(root.path)
    try:
        for part in filter(None, (database, *path.split("/"))):
            following = _opened(root, database, handle, part, aside)
            os.close(handle)
            handle = following
        yield handle
    finally:
        os.close(handle)


def _opened(root: Root, database: str, handle: int, part: str, aside: list[Path]) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(part, flags, dir_fd=handle)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
    with suppress(FileNotFoundError):
        if stat.S_ISLNK(os.stat(part, dir_fd=handle, follow_symlinks=False).st_mode):
            raise RefusedInput(
                f"{part} in the folder of {database} is a link, and nothing is written through links",
                hint=f"move the link away, then: aigiqa verify --repair {database}",
                fault="S17",
                database=database,
                phase="PUBLISH",
            )
        _to_quarantine(root, database, handle, part, aside, {"problem": "in the place of a folder"})
        fsync_folder(root.quarantine)
    os.mkdir(part, 0o755, dir_fd=handle)
    os.fsync(handle)
    return os.open(part, flags, dir_fd=handle)


def _flush(path: Path, mode: int) -> None:
    descriptor = folders.open_file(path, os.O_RDONLY)
    try:
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _set_aside(root: Root, database: str, handle: int, one: Mend, aside: list[Path]) -> None:
    name = one.file.path.rpartition("/")[2]
    try:
        os.stat(name, dir_fd=handle, follow_symlinks=False)
    except FileNotFoundError:
        return
    _to_quarantine(root, database, handle, name, aside, one.why)


def _to_quarantine(
    root: Root, database: str, handle: int, name: str, aside: list[Path], why: Mapping[str, str]
) -> None:
    target = root.quarantine / f"{database}-{os.urandom(4).hex()}-{shortened(name, ASIDE)}"
    write_whole(target.with_name(target.name + ".why.json"), json.dumps(dict(why), ensure_ascii=False).encode())
    with folders.opened(target.parent, folders.PASSED) as quarantine:
        os.rename(name, target.name, src_dir_fd=handle, dst_dir_fd=quarantine)
    aside.append(target)
