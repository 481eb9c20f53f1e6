"""zip: listed and inflated by us, strictly (see zip_directory and zip_layout).

Own reading of stored and deflated members lets two threads work on one descriptor. bzip2, LZMA and the old encryption
go through the standard library, other encryptions and rare methods to other programs; both only write bytes, which
are held against lengths and checksums that were read here.
"""

from __future__ import annotations

import lzma
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from aigiqa_cli.archives import disks, member_names, tools, zip_directory
from aigiqa_cli.archives.contract import (
    SMALL_MEMBER,
    Chunks,
    Consume,
    Member,
    Refusal,
    check_ratio,
    check_total,
    password_missing,
    password_wrong,
)
from aigiqa_cli.archives.source import DISKS, Source
from aigiqa_cli.archives.zip_directory import Entry, the_field
from aigiqa_cli.archives.zip_layout import AES_FIELD, DEFERRED, DESCRIPTOR_MARK, ENCRYPTED, STRONG, Layout

THREADS = 2
WHOLE = 32 << 20  # members up to this size are inflated in one call, which runs without the interpreter lock
BLOCK = 1 << 20
MAX_DICTIONARY = 256 << 20  # of LZMA: reserved whole before the first byte is unpacked
_LZMA_HEAD = 9  # version, length, properties, and the size of the dictionary

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
        self.whole = disks.joined(source) if source.opened.shape == DISKS else source
        self.pread, self.length = self.whole.pread, self.whole.length
        directory = zip_directory.read(self.pread, self.length)
        self.entries = directory.entries
        self.layout = Layout(self.pread, directory)
        self._library = threading.Lock()
        self._by_library: zipfile.ZipFile | None = None
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
        self._stream_own(ordered, consume)
        foreign = {member.number for member in chosen} & self.foreign
        if foreign:
            self._stream_foreign(foreign, consume)

    def _stream_own(self, ordered: list[Member], consume: Consume) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            tasks = [pool.submit(self._consume_one, member, consume) for member in ordered]
            try:
                for task in tasks:
                    task.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

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
        ours = entry.method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if ours and not entry.flags & ENCRYPTED:
            chunks = self._chunks(member, entry)
            hidden = entry.flags & DEFERRED and entry.method == zipfile.ZIP_STORED
            consume(member, _without_false_end(member, chunks) if hidden else chunks)
            return
        with self._library:
            consume(member, self._library_chunks(member, entry))

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
        """The standard library decrypts 3 MB a second."""
        return bool(tools.installed(self.opened, FOR_SECRETS))

    def _chunks(self, member: Member, entry: Entry) -> Chunks:
        position, left = self.layout.start(entry), entry.packed
        inflater = zlib.decompressobj(-zlib.MAX_WBITS) if entry.method == zipfile.ZIP_DEFLATED else None
        step = entry.packed if entry.unpacked <= WHOLE else BLOCK
        checksum, produced = 0, 0
        while left > 0:
            packed = self.pread(min(step, left), position)
            if not packed:
                raise Refusal(f"the member {member.name!r} is cut off", "A17")
            position, left = position + len(packed), left - len(packed)
            for chunk in self._inflate(member, entry, inflater, packed, entry.unpacked - produced):
                checksum = zlib.crc32(chunk, checksum)
                produced += len(chunk)
                yield chunk
        self._finish(member, entry, inflater, checksum, produced)

    def _inflate(
        self, member: Member, entry: Entry, inflater: zlib._Decompress | None, packed: bytes, room: int
    ) -> Iterator[bytes]:
        if inflater is None:
            yield packed
            return
        if inflater.eof:
            raise Refusal(f"the member {member.name!r} does not end where it should", "A12")
        limit = room if entry.unpacked <= WHOLE else BLOCK
        try:
            while packed and not inflater.eof:
                chunk = inflater.decompress(packed, max(limit, 1))
                packed = inflater.unconsumed_tail
                room -= len(chunk)
                if room < 0:
                    raise Refusal(f"the member {member.name!r} is longer than declared", "A12")
                if chunk:
                    yield chunk
        except zlib.error as error:
            raise Refusal(f"the member {member.name!r} cannot be inflated: {error}", "A16") from None

    def _finish(
        self, member: Member, entry: Entry, inflater: zlib._Decompress | None, checksum: int, produced: int
    ) -> None:
        if inflater is not None and (not inflater.eof or inflater.unused_data):
            raise Refusal(f"the member {member.name!r} does not end where it should", "A12")
        if produced != entry.unpacked:
            raise Refusal(f"the member {member.name!r} has {produced} bytes instead of {entry.unpacked}", "A12")
        if checksum != entry.crc:
            raise Refusal(f"the member {member.name!r} has a wrong checksum", "A16")

    def _library_chunks(self, member: Member, entry: Entry) -> Chunks:
        """bzip2, lzma and the old encryption through the standard reader, one at a time."""
        produced = 0
        secret = bool(entry.flags & ENCRYPTED)
        if entry.method == zipfile.ZIP_LZMA and not secret:
            wanted = int.from_bytes(self.pread(_LZMA_HEAD, self.layout.start(entry))[5:], "little")
            if wanted > MAX_DICTIONARY:
                raise Refusal(f"the member {member.name!r} asks for a dictionary of {wanted} bytes", "A13")
        try:
            with self._library_open(entry, self.opened.password.encode() if secret else None) as stream:
                while chunk := stream.read(min(BLOCK, entry.unpacked - produced + 1)):
                    produced += len(chunk)
                    if produced > entry.unpacked:
                        raise Refusal(f"the member {member.name!r} is longer than declared", "A12")
                    yield chunk
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError, zlib.error, lzma.LZMAError) as error:
            if secret:
                raise password_wrong(f"the member {member.name!r}") from None
            raise Refusal(f"the member {member.name!r} cannot be read: {error}", "A16") from None
        if produced != entry.unpacked:
            raise Refusal(f"the member {member.name!r} has {produced} bytes instead of {entry.unpacked}", "A12")

    def _library_open(self, entry: Entry, password: bytes | None) -> IO[bytes]:
        if self._by_library is None:
            self._by_library = zipfile.ZipFile(self.whole.open())
        return self._by_library.open(self._by_library.infolist()[entry.number], pwd=password)


def _without_false_end(member: Member, chunks: Chunks) -> Chunks:
    """The data of a stored member whose sizes follow it: one who reads from the front looks for them in the data, and
    must not find them there (A18)."""
    kept, begin = b"", 0
    for chunk in chunks:
        data = kept + chunk
        at = data.find(DESCRIPTOR_MARK)
        while 0 <= at <= len(data) - 12:
            if struct.unpack_from("<I", data, at + 8)[0] == (begin + at) & 0xFFFFFFFF:
                raise Refusal(f"the member {member.name!r} holds what looks like its own end", "A18")
            at = data.find(DESCRIPTOR_MARK, at + 1)
        kept = data[-11:]
        begin += len(data) - len(kept)
        yield chunk


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
