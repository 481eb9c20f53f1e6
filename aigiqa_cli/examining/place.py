"""The root: whose it is, on what file system, how much room there is, and what that file system really does."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from aigiqa_cli.errors import Fault
from aigiqa_cli.examining.check import BAD, NOT_TESTED, OK, WARN, Check
from aigiqa_cli.store.probing import Ability, probe
from aigiqa_cli.store.root import MAX_ROOT, Root

AREA = "root"
ENOUGH, ENOUGH_INODES = 1 << 30, 10_000
_OTHER_ROOT = "choose another root with --root PATH"
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "afs", "ocfs2",
     "gfs2", "virtiofs", "fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.glusterfs"}
)  # fmt: skip
_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})
_FOREIGN = frozenset({"vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk", "hfsplus", "apfs"})
_MOUNTS = Path("/proc/self/mountinfo")

# What it means where an ability is missing: the verdict, and what to do. Most are only a comfort (S11, S21).
_WITHOUT = {
    "locks": (WARN, "run one aigiqa at a time here: two would do the same work twice, but break nothing"),
    "flushing": (BAD, f"what is acknowledged may be lost in a power cut: {_OTHER_ROOT}"),
    "renaming": (BAD, _OTHER_ROOT),
    "handles": (BAD, _OTHER_ROOT),
    "preallocation": (OK, ""),
    "hard links": (OK, ""),
    "upper and lower case": (OK, ""),
    "forms of letters": (OK, ""),
}


def root(where: Root) -> Iterator[Check]:
    existing = _existing(where.path)
    yield _path(where, existing)
    length = len(os.fsencode(where.path))
    if length > MAX_ROOT:
        yield Check(AREA, "length of its path", BAD, f"{length} bytes, at most {MAX_ROOT}", _OTHER_ROOT)
    try:
        where.refuse_links()
    except Fault as fault:
        yield Check(AREA, "links", BAD, fault.message, fault.hint)
    yield _rights(where)
    yield file_system(kind_of(existing))
    yield from _room(existing)
    yield from _abilities(where)


def _path(where: Root, existing: Path) -> Check:
    path = where.path
    if os.path.lexists(path) and not path.is_dir():
        return Check(AREA, "path", BAD, f"{path} is no folder", _OTHER_ROOT)
    state = "exists" if path.is_dir() else "will be made by the first install"
    if os.access(existing, os.W_OK | os.X_OK):
        return Check(AREA, "path", OK, f"{path} ({state})")
    if path.is_dir():
        return Check(
            AREA, "path", WARN, f"{path} (exists, read-only for you)", f"reading works; to install {_OTHER_ROOT}"
        )
    return Check(AREA, "path", BAD, f"{path} (cannot be made: {existing} is not writable)", _OTHER_ROOT)


def _rights(where: Root) -> Check:
    """Whose it is, and whether others may write there (C08, K09)."""
    if not where.path.is_dir():
        return Check(AREA, "rights", OK, "the root does not exist yet")
    about = where.path.stat()
    ours = (where.path, *(path for path in (where.internal, where.installed, where.partial, where.staging)))
    open_ = [path for path in ours if path.is_dir() and path.stat().st_mode & stat.S_IWOTH]
    if open_:
        return Check(AREA, "rights", WARN, f"everybody may write in {open_[0]}", f"chmod o-w {open_[0]}")
    if hasattr(os, "geteuid") and about.st_uid != os.geteuid():
        detail = f"belongs to user {about.st_uid}, you are user {os.geteuid()}"
        return Check(AREA, "rights", WARN, detail, "to install, be its owner or share a group that may write")
    return Check(AREA, "rights", OK, f"yours, mode {stat.S_IMODE(about.st_mode):04o}")


def kind_of(path: Path) -> str:
    """The kind of file system as the kernel names it, "" where it does not say."""
    if sys.platform != "linux":
        return ""
    try:
        lines = os.fsdecode(_MOUNTS.read_bytes()).splitlines()
        device = path.stat().st_dev
    except OSError:
        return ""
    wanted, best = f"{os.major(device)}:{os.minor(device)}", (-1, "")
    for line in lines:
        left, _, right = line.partition(" - ")
        fields = left.split()
        place = fields[4].encode().decode("unicode_escape") if "\\" in fields[4] else fields[4]
        if fields[2] == wanted or path.resolve().is_relative_to(place):
            best = max(best, (len(place) + (1 << 16 if fields[2] == wanted else 0), right.split()[0]))
    return best[1]


def file_system(kind: str) -> Check:
    if not kind:
        return Check(AREA, "file system", NOT_TESTED, "this system does not say its kind")
    if kind in _NETWORK or kind.startswith("fuse."):
        detail = (
            f"{kind}, a network file system: its locks and flushes may only seem to work (no promise needs its locks)"
        )
        return Check(AREA, "file system", WARN, detail, "not proven here: a local disk is the safer place")
    if kind in _MEMORY:
        return Check(AREA, "file system", WARN, f"{kind}, in memory: gone after a restart", _OTHER_ROOT)
    if kind in _FOREIGN:
        return Check(AREA, "file system", WARN, f"{kind}: not proven here", _OTHER_ROOT)
    return Check(AREA, "file system", OK, kind)


def _room(existing: Path) -> Iterator[Check]:
    usage = shutil.disk_usage(existing)
    detail = f"{usage.free:,} of {usage.total:,} bytes"
    advice = f"free some space, or {_OTHER_ROOT}"
    yield Check(AREA, "free space", *((OK, detail) if usage.free > ENOUGH else (WARN, detail, advice)))
    status = os.statvfs(existing)
    if not status.f_files:
        yield Check(AREA, "free inodes", OK, "not counted by this file system")
    elif status.f_favail > ENOUGH_INODES:
        yield Check(AREA, "free inodes", OK, f"{status.f_favail:,}")
    else:
        yield Check(AREA, "free inodes", WARN, f"{status.f_favail:,}", f"remove files, or {_OTHER_ROOT}")


def _abilities(where: Root) -> Iterator[Check]:
    """Only where there is a folder of ours already: looking makes none (P12)."""
    if not where.internal.is_dir() or where.internal.is_symlink():
        yield Check(AREA, "abilities", NOT_TESTED, "the root does not exist yet, and looking makes nothing")
        return
    try:
        found = probe(where.internal)
    except OSError as error:
        yield Check(AREA, "abilities", NOT_TESTED, f"nothing can be tried out here: {error.strerror}")
        return
    for ability in found:
        yield judged(ability)


def judged(ability: Ability) -> Check:
    if ability.works is None:
        return Check(AREA, ability.name, NOT_TESTED, ability.detail)
    verdict, advice = (OK, "") if ability.works else _WITHOUT[ability.name]
    optional = ability.name in ("preallocation", "hard links")
    missing = "none here, and none is needed: " if optional and not ability.works else ""
    return Check(AREA, ability.name, verdict, missing + ability.detail, advice)


def _existing(path: Path) -> Path:
    return next((at for at in (path, *path.parents) if at.exists()), path)
