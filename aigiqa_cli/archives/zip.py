"""zip: listed and unpacked by us, strictly (see zip_directory, zip_layout and zip_data).

Two threads work on one descriptor. Other encryptions than the old one, and rare methods, go to other programs; those
only write bytes, which are held against lengths and checksums that were read here.
"""

from __future__ import annotations

import contextlib
import threading
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aigiqa_cli.archives import disks, member_names, tools, zip_data, zip_directory
from aigiqa_cli.archives.contract import (
    SMALL_MEMBER,
    Consume,
    Member,
    Refusal,
    check_ratio,
    check_total,
    password_missing,
)
from aigiqa_cli.archives.source import DISKS, Source
from aigiqa_cli.archives.zip_directory import Entry, the_field
from aigiqa_cli.archives.zip_layout import AES_FIELD, DEFERRED, ENCRYPTED, STRONG, Layout

THREADS = 2

_SYMLINK, _REGULAR = 0xA, 0x8
_DOS_LABEL, _DOS_FOLDER = 0x08, 0x10
_EMPTY_STREAM = b"\x03\x00"  # what deflating nothing gives: some writers give it to folders
_METHODS = {
    zipfile.ZIP_STORED: "stored",
    zipfile.ZIP_DEFLATED: "deflated",
    zipfile.ZIP_BZIP2: "bzip2",
    zipfile.ZIP_LZMA: "lzma",
}
_DEFLATE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_AES, _AES_FIELD_SIZE = 99, 7
_FOREIGN = {9: "Deflate64", 93: "Zstandard", 95: "XZ", 98: "PPMd"}
_SEVEN = ("7zz", "7z", "7za")
PROGRAMS = {9: (*_SEVEN, "unar"), 93: (*_SEVEN, "bsdtar"), 95: (*_SEVEN, "bsdtar"), 98: (*_SEVEN, "unar", "bsdtar")}
FOR_SECRETS = (*_SEVEN, "bsdtar")  # both read the password from their standard input


class ZipFormat:
    """A zip archive."""

    def __init__(self, source: Source) -> None:
        self.opened = source.opened
        whole = disks.joined(source) if source.opened.shape == DISKS else source
        self.pread, self.length = whole.pread, whole.length
        directory = zip_directory.read(self.pread, self.length)
        self.entries = directory.entries
        self.layout = Layout(self.pread, directory)
        self._slow = threading.Lock()  # one at a time: LZMA takes much memory, and the others no second processor
        self.foreign: set[int] = set()  # members that another program must unpack
        self.regular: list[Member] = []

    def members(self) -> list[Member]:
        self.layout.check()
        return self.judged()

    def judged(self) -> list[Member]:
        """The regular files as the directory lists them: all but what only the local headers can tell."""
        files, folders = [], []
        for name, entry in zip(member_names.zip_names(self.entries), self.entries, strict=True):
            if self._is_folder(name, entry):
                folders.append(member_names.judge_folder(name))
                continue
            member = Member(entry.number, member_names.judge(name), entry.unpacked)
            self._check(member, entry)
            files.append(member)
        member_names.refuse_twins((member.name for member in files), folders)
        check_total(self.length, sum(member.bytes for member in files))
        self.regular = files
        if self.foreign:
            self._programs(self.foreign)
        return files

    def stream(self, wanted: Iterable[Member], consume: Consume) -> None:
        chosen = list(wanted)
        own = [member for member in chosen if member.number not in self.foreign]
        ordered = sorted(own, key=lambda member: self.entries[member.number].offset)
        at_once([partial(self._consume_one, member, consume) for member in ordered])
        foreign = {member.number for member in chosen} & self.foreign
        if foreign:
            self._stream_foreign(foreign, consume)

    def _stream_foreign(self, foreign: set[int], consume: Consume) -> None:
        items = [tools.Item(member, _crc(self.entries[member.number])) for member in self.regular]
        secret = any(self.entries[number].flags & ENCRYPTED for number in foreign)
        tools.stream(self.opened, self._programs(foreign), items, foreign, consume, secret=secret)

    def _programs(self, foreign: set[int]) -> list[str]:
        """Installed programs for these members, or Needed."""
        entries = [self.entries[number] for number in foreign]
        if any(entry.flags & ENCRYPTED for entry in entries):
            return tools.require(self.opened, FOR_SECRETS, "the archive is encrypted")
        methods = {entry.method for entry in entries}
        common = [name for name in tools.PROGRAMS if all(name in PROGRAMS[method] for method in methods)]
        return tools.require(self.opened, common, f"the archive uses {_FOREIGN[min(methods)]}")

    def _consume_one(self, member: Member, consume: Consume) -> None:
        entry = self.entries[member.number]
        start = self.layout.start(entry)
        chunks = zip_data.unpacked(self.pread, start, entry, member, self.opened.password)
        secret = entry.flags & ENCRYPTED
        if entry.method == zipfile.ZIP_STORED and entry.flags & DEFERRED and not secret:
            chunks = zip_data.without_false_end(member, chunks)
        with contextlib.nullcontext() if entry.method in _DEFLATE and not secret else self._slow:
            consume(member, chunks)

    def _is_folder(self, name: str, entry: Entry) -> bool:
        """Folders come from files (A30); an entry for one passes the same gate and holds nothing."""
        if not name.endswith("/") or entry.unpacked:
            return False
        if entry.packed and not entry.flags & ENCRYPTED:
            empty = entry.method == zipfile.ZIP_DEFLATED and entry.packed == len(_EMPTY_STREAM)
            if not empty or self.pread(len(_EMPTY_STREAM), self.layout.start(entry)) != _EMPTY_STREAM:
                raise Refusal(f"the folder {name!r} holds data", "A12")
        return True

    def _check(self, member: Member, entry: Entry) -> None:
        kind = entry.attributes >> 28
        if kind == _SYMLINK:
            raise Refusal(f"the member {member.name!r} is a link", "A05")
        if kind not in (0, _REGULAR) or entry.attributes & (_DOS_LABEL | _DOS_FOLDER):
            raise Refusal(f"the member {member.name!r} is no regular file", "A07")
        secret = bool(entry.flags & ENCRYPTED)
        method = _method(entry)
        if method not in _METHODS and method not in _FOREIGN:
            raise Refusal(f"the member {member.name!r} uses compression method {method}", "A21")
        if entry.flags & STRONG:
            raise Refusal(f"the member {member.name!r} uses an encryption that nobody documents", "A21")
        if secret and not self.opened.password:
            raise password_missing(f"the member {member.name!r}")
        if method in _FOREIGN or entry.method == _AES or (secret and self._fast_at_secrets()):
            self.foreign.add(member.number)
        if method in _DEFLATE or entry.unpacked > SMALL_MEMBER:  # other methods pack small text better than any bomb
            check_ratio(member.name, entry.packed, entry.unpacked)
        if method == zipfile.ZIP_STORED and not secret and entry.packed != entry.unpacked:
            raise Refusal(f"the stored member {member.name!r} has two lengths", "A12")

    def _fast_at_secrets(self) -> bool:
        """We decrypt 1 MB a second: the old encryption goes byte by byte."""
        return bool(tools.installed(self.opened, FOR_SECRETS))


def at_once(calls: Iterable[Callable[[], None]]) -> None:
    """Do the work of the calls in two threads, begun in this order."""
    with ThreadPoolExecutor(THREADS) as pool:
        tasks = [pool.submit(call) for call in calls]
        try:
            for task in tasks:
                task.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _method(entry: Entry) -> int:
    """The compression method, which an AES member states in an extra field."""
    if entry.method != _AES or not entry.flags & ENCRYPTED:
        return entry.method
    body = the_field(entry.extra, AES_FIELD) or b""
    return int.from_bytes(body[5:7], "little") if len(body) == _AES_FIELD_SIZE else _AES


def _crc(entry: Entry) -> int | None:
    """AES members of the second version keep no CRC; the program checks their authentication code."""
    body = the_field(entry.extra, AES_FIELD) or b""
    return None if body[:2] == b"\x02\x00" else entry.crc
