"""zip: listed by the standard library's reader, checked against the file itself, inflated by us.

Own reading of stored and deflated members lets two threads work on one descriptor, and compares every local header
with the central directory (A18). Encrypted members, and methods that the library does not know, go to other programs.
"""

from __future__ import annotations

import struct
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from aigiqa_cli.archives import disks, member_names, tools
from aigiqa_cli.archives.contract import (
    MAX_MEMBERS,
    Chunks,
    Consume,
    Member,
    Refusal,
    check_ratio,
    password_missing,
    password_wrong,
)
from aigiqa_cli.archives.source import DISKS, Source

THREADS = 2
WHOLE = 32 << 20  # members up to this size are inflated in one call, which runs without the interpreter lock
BLOCK = 1 << 20

_LOCAL = struct.Struct("<4s5H3I2H")
_END = struct.Struct("<4s4H2IH")
_WIDE_END = struct.Struct("<4sQ2H2I4Q")
_WIDE_LOCATOR = struct.Struct("<4sIQI")
_ENCRYPTED, _STRONG = 0x1, 0x40
_ZIP64 = 0xFFFFFFFF
_MANY = 0xFFFF
_SYMLINK, _REGULAR = 0xA, 0x8
_UNIX = 3
_METHODS = {
    zipfile.ZIP_STORED: "stored",
    zipfile.ZIP_DEFLATED: "deflated",
    zipfile.ZIP_BZIP2: "bzip2",
    zipfile.ZIP_LZMA: "lzma",
}
_AES, _AES_FIELD = 99, 0x9901
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
        stated = self._check_end()
        try:
            self.zip = zipfile.ZipFile(whole.open())
        except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError) as error:
            raise Refusal(f"not a readable zip: {error}", "A17") from None
        self.infos = self.zip.infolist()
        if len(self.infos) & _MANY != stated & _MANY:
            raise Refusal(f"the end of the zip counts {stated} members, its directory {len(self.infos)}", "A17")
        self._fallback = threading.Lock()
        self.foreign: set[int] = set()  # members that another program must unpack
        self.regular: list[Member] = []

    def members(self) -> list[Member]:
        if len(self.infos) > MAX_MEMBERS:
            raise Refusal(f"{len(self.infos)} members", "A14")
        listed = zip(range(len(self.infos)), member_names.zip_names(self.infos), self.infos, strict=True)
        files = [
            Member(number, member_names.judge(name), info.file_size)
            for number, name, info in listed
            if not self._is_folder(name, info)
        ]
        member_names.refuse_twins(member.name for member in files)
        self._refuse_overlap()
        for member in files:
            self._check(member, self.infos[member.number])
        self.regular = files
        if self.foreign:
            self._programs(self.foreign)
        return files

    def stream(self, wanted: Iterable[Member], consume: Consume) -> None:
        chosen = list(wanted)
        own = [member for member in chosen if member.number not in self.foreign]
        ordered = sorted(own, key=lambda member: self.infos[member.number].header_offset)
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
        items = [tools.Item(member, _crc(self.infos[member.number])) for member in self.regular]
        secret = any(self.infos[number].flag_bits & _ENCRYPTED for number in foreign)
        tools.stream(self.opened, self._programs(foreign), items, foreign, consume, secret=secret)

    def _programs(self, foreign: set[int]) -> list[str]:
        """Installed programs for these members, or Needed."""
        infos = [self.infos[number] for number in foreign]
        if any(info.flag_bits & _ENCRYPTED for info in infos):
            return tools.require(self.opened, FOR_SECRETS, "the archive is encrypted")
        methods = {info.compress_type for info in infos}
        common = [name for name in tools.PROGRAMS if all(name in PROGRAMS[method] for method in methods)]
        return tools.require(self.opened, common, f"the archive uses {_FOREIGN[min(methods)]}")

    def _consume_one(self, member: Member, consume: Consume) -> None:
        info = self.infos[member.number]
        ours = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if ours and not info.flag_bits & _ENCRYPTED:
            consume(member, self._chunks(member, info))
            return
        with self._fallback:
            consume(member, self._library_chunks(member, info))

    def _check_end(self) -> int:
        """Exactly one end record, at the exact end (A17): front or trailing data makes readers disagree.

        Returns the number of members that it states.
        """
        tail_start = max(0, self.length - 65_557)
        tail = self.pread(self.length - tail_start, tail_start)
        last = tail.rfind(b"PK\x05\x06")
        if last < 0 or last + _END.size > len(tail):
            raise Refusal("the end of the zip is missing: the file is cut off or not a zip", "A17")
        ends = [at for at in _places(tail, b"PK\x05\x06") if _reaches_end(tail, at)]
        if not ends:
            raise Refusal("something follows the end of the zip", "A17")
        if len(ends) > 1:
            raise Refusal("the zip has two ends: its comment holds another one", "A17")
        *_, count, size, offset, _comment = _END.unpack_from(tail, ends[0])
        return self._check_wide_end(tail_start + ends[0], count, size, offset)

    def _check_wide_end(self, end: int, *narrow: int) -> int:
        """The ZIP64 end record, where there is one, says what the plain one says (A19); returns its count."""
        locator_at = end - _WIDE_LOCATOR.size
        locator = self.pread(_WIDE_LOCATOR.size, locator_at) if locator_at >= 0 else b""
        if locator[:4] != b"PK\x06\x07":
            return narrow[0]
        at = locator_at - _WIDE_END.size
        record = self.pread(_WIDE_END.size, at) if at >= 0 else b""
        if record[:4] != b"PK\x06\x06" or _WIDE_LOCATOR.unpack(locator)[2] != at:
            raise Refusal("the ZIP64 end record is not where it should be", "A19")
        wide = _WIDE_END.unpack(record)[-3:]
        for short, long, mask in zip(narrow, wide, (_MANY, _ZIP64, _ZIP64), strict=True):
            if short not in (mask, long):
                raise Refusal("the zip has two ends that disagree", "A19")
        return int(wide[0])

    def _is_folder(self, name: str, info: zipfile.ZipInfo) -> bool:
        """Folders come from files (A30); the name of an entry for one passes the same gate all the same."""
        if not name.endswith("/") or info.file_size != 0:
            return False
        member_names.judge_folder(name)
        return True

    def _check(self, member: Member, info: zipfile.ZipInfo) -> None:
        kind = info.external_attr >> 28
        if kind == _SYMLINK or (info.create_system == _UNIX and kind not in (0, _REGULAR)):
            what, fault = ("a link", "A05") if kind == _SYMLINK else ("no regular file", "A07")
            raise Refusal(f"the member {member.name!r} is {what}", fault)
        secret = bool(info.flag_bits & _ENCRYPTED)
        method = _method(info)
        if method not in _METHODS and method not in _FOREIGN:
            raise Refusal(f"the member {member.name!r} uses compression method {method}", "A21")
        if info.flag_bits & _STRONG:
            raise Refusal(f"the member {member.name!r} uses an encryption that nobody documents", "A21")
        if secret and not self.opened.password:
            raise password_missing(f"the member {member.name!r}")
        if method in _FOREIGN or info.compress_type == _AES or (secret and self._fast_at_secrets()):
            self.foreign.add(member.number)
        check_ratio(member.name, info.compress_size, info.file_size)
        if method == zipfile.ZIP_STORED and not secret and info.compress_size != info.file_size:
            raise Refusal(f"the stored member {member.name!r} has two lengths", "A12")

    def _fast_at_secrets(self) -> bool:
        """The standard library decrypts 3 MB a second."""
        return bool(tools.installed(self.opened, FOR_SECRETS))

    def _refuse_overlap(self) -> None:
        """No byte of the file may belong to two members, nor to a member and the directory (A10)."""
        end, directory = 0, self.zip.start_dir
        first = min((info.header_offset for info in self.infos), default=0)
        if first != 0:
            raise Refusal(f"{first} bytes stand before the first member", "A17")
        for info in sorted(self.infos, key=lambda info: info.header_offset):
            if info.header_offset < end:
                raise Refusal(f"the member {info.filename!r} overlaps another one", "A10")
            end = self._data_start(info) + info.compress_size
            if end > directory:
                raise Refusal(f"the member {info.filename!r} runs into the directory", "A10")

    def _data_start(self, info: zipfile.ZipInfo) -> int:
        head = self.pread(_LOCAL.size, info.header_offset)
        if len(head) != _LOCAL.size or head[:4] != b"PK\x03\x04":
            raise Refusal(f"the member {info.filename!r} has no local header", "A18")
        _, _, flags, method, _, _, crc, packed, unpacked, name_length, extra_length = _LOCAL.unpack(head)
        start = info.header_offset + _LOCAL.size
        text = self.pread(name_length + extra_length, start)
        name, extra = text[:name_length], text[name_length:]
        encoding = "utf-8" if info.flag_bits & 0x800 else "cp437"
        if name != info.orig_filename.encode(encoding) or method != info.compress_type:
            raise Refusal(f"the member {info.filename!r} has another name or method in its local header", "A18")
        if (flags ^ info.flag_bits) & _ENCRYPTED:
            raise Refusal(f"the member {info.filename!r} is encrypted in one of its headers only", "A18")
        second = member_names.unicode_path(extra, name)
        if second is not None and second != member_names.unicode_path(info.extra, name):
            raise Refusal(f"the member {info.filename!r} has a second name in its local header", "A18")
        deferred = flags & 0x8  # sizes follow the data; the local header then holds zeros
        wide = _ZIP64 in (packed, unpacked)  # the sizes stand in an extra field
        if not deferred and not wide and (crc, packed, unpacked) != (info.CRC, info.compress_size, info.file_size):
            raise Refusal(f"the member {info.filename!r} has other sizes in its local header", "A18")
        return int(start + name_length + extra_length)

    def _chunks(self, member: Member, info: zipfile.ZipInfo) -> Chunks:
        position, left = self._data_start(info), info.compress_size
        inflater = zlib.decompressobj(-zlib.MAX_WBITS) if info.compress_type == zipfile.ZIP_DEFLATED else None
        step = info.compress_size if info.file_size <= WHOLE else BLOCK
        checksum, produced = 0, 0
        while left > 0:
            packed = self.pread(min(step, left), position)
            if not packed:
                raise Refusal(f"the member {member.name!r} is cut off", "A17")
            position, left = position + len(packed), left - len(packed)
            for chunk in self._inflate(member, info, inflater, packed, info.file_size - produced):
                checksum = zlib.crc32(chunk, checksum)
                produced += len(chunk)
                yield chunk
        self._finish(member, info, inflater, checksum, produced)

    def _inflate(
        self, member: Member, info: zipfile.ZipInfo, inflater: zlib._Decompress | None, packed: bytes, room: int
    ) -> Iterator[bytes]:
        if inflater is None:
            yield packed
            return
        if inflater.eof:
            raise Refusal(f"the member {member.name!r} does not end where it should", "A12")
        limit = room if info.file_size <= WHOLE else BLOCK
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
        self, member: Member, info: zipfile.ZipInfo, inflater: zlib._Decompress | None, checksum: int, produced: int
    ) -> None:
        if inflater is not None and (not inflater.eof or inflater.unused_data):
            raise Refusal(f"the member {member.name!r} does not end where it should", "A12")
        if produced != info.file_size:
            raise Refusal(f"the member {member.name!r} has {produced} bytes instead of {info.file_size}", "A12")
        if checksum != info.CRC:
            raise Refusal(f"the member {member.name!r} has a wrong checksum", "A16")

    def _library_chunks(self, member: Member, info: zipfile.ZipInfo) -> Chunks:
        """bzip2, lzma and the old encryption through the standard reader, one at a time."""
        produced = 0
        secret = bool(info.flag_bits & _ENCRYPTED)
        try:
            with self.zip.open(info, pwd=self.opened.password.encode() if secret else None) as stream:
                while chunk := stream.read(min(BLOCK, info.file_size - produced + 1)):
                    produced += len(chunk)
                    if produced > info.file_size:
                        raise Refusal(f"the member {member.name!r} is longer than declared", "A12")
                    yield chunk
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError, zlib.error) as error:
            if secret:
                raise password_wrong(f"the member {member.name!r}") from None
            raise Refusal(f"the member {member.name!r} cannot be read: {error}", "A16") from None
        if produced != info.file_size:
            raise Refusal(f"the member {member.name!r} has {produced} bytes instead of {info.file_size}", "A12")


def _places(data: bytes, word: bytes) -> Iterator[int]:
    at = data.find(word)
    while at >= 0:
        yield at
        at = data.find(word, at + 1)


def _reaches_end(tail: bytes, at: int) -> bool:
    """Is this an end record whose comment ends exactly where the file ends?"""
    if at + _END.size > len(tail):
        return False
    *_, comment = _END.unpack_from(tail, at)
    return bool(at + _END.size + comment == len(tail))


def _method(info: zipfile.ZipInfo) -> int:
    """The compression method, which an AES member states in an extra field."""
    if info.compress_type != _AES or not info.flag_bits & _ENCRYPTED:
        return info.compress_type
    body = _aes(info)
    return int.from_bytes(body[5:7], "little") if body else _AES


def _crc(info: zipfile.ZipInfo) -> int | None:
    """AES members of the second version keep no CRC; the program checks their authentication code."""
    body = _aes(info)
    return None if body[:2] == b"\x02\x00" else info.CRC


def _aes(info: zipfile.ZipInfo) -> bytes:
    extra = info.extra
    while len(extra) >= 4:  # noqa: PLR2004 - header of an extra field
        kind, length = struct.unpack("<HH", extra[:4])
        body, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _AES_FIELD and len(body) >= 7:  # noqa: PLR2004 - the field's fixed part
            return body
    return b""
