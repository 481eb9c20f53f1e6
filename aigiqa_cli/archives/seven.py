"""7z: listed by py7zr, which also unpacks it; encrypted ones and rare methods go to an installed 7-Zip where there is
one. Nothing is ever extracted to a path: py7zr writes into a queue, from which each member is read as it comes."""

from __future__ import annotations

import lzma
import queue
import stat
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from aigiqa_cli.archives import member_names, tools
from aigiqa_cli.archives.contract import (
    MAX_MEMBERS,
    Chunks,
    Consume,
    Member,
    Refusal,
    check_total,
    checked,
    password_missing,
    password_wrong,
)
from aigiqa_cli.archives.source import Source

if TYPE_CHECKING:
    from py7zr import SevenZipFile

PROGRAMS = ("7zz", "7z", "7za", "unar", "bsdtar")
FAST_AT_SECRETS = ("7zz", "7z", "7za")  # fifty times as fast as py7zr, which decrypts in Python
AHEAD = 4  # chunks that may wait in the queue
CHUNK = 8 << 20
# What py7zr raises on hostile bytes beside its own exceptions.
_BROKEN = (
    lzma.LZMAError, zlib.error, struct.error, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError,
    AssertionError, ArithmeticError, RecursionError,
)  # fmt: skip

Event = tuple[str, Any]


class SevenFormat:
    """A 7z archive."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.password = source.opened.password
        self.encrypted = False
        self.entries: dict[int, Any] = {}
        self.listed: dict[int, Member] = {}

    def members(self) -> list[Member]:
        self._check_ends()
        archive = self._open()
        entries = list(getattr(archive, "files", ()))
        if len(entries) > MAX_MEMBERS:
            raise Refusal(f"{len(entries)} members", "A14")
        self.encrypted = bool(archive.password_protected)
        if self.encrypted and not self.password:
            raise password_missing("the archive")
        folders = []
        for number, entry in enumerate(entries):
            _check(entry)
            if entry.is_directory:
                folders.append(member_names.judge_folder(entry.filename))
                continue
            self.entries[number] = entry
            self.listed[number] = Member(number, member_names.judge(entry.filename), entry.uncompressed)
        member_names.refuse_twins((member.name for member in self.listed.values()), folders)
        check_total(self.source.length, sum(member.bytes for member in self.listed.values()))
        return list(self.listed.values())

    def stream(self, wanted: Iterable[Member], consume: Consume) -> None:
        chosen = {member.number: member for member in wanted}
        if self.encrypted and tools.installed(self.source.opened, FAST_AT_SECRETS):
            self._by_program(set(chosen), consume)
            return
        from py7zr.exceptions import UnsupportedCompressionMethodError

        done: set[int] = set()
        try:
            self._by_library(chosen, consume, done)
        except UnsupportedCompressionMethodError:
            self._by_program(set(chosen) - done, consume)

    def _open(self) -> SevenZipFile:
        from py7zr import SevenZipFile
        from py7zr.exceptions import ArchiveError, PasswordRequired

        try:
            return SevenZipFile(self.source.open(), password=self.password or None)
        except PasswordRequired:
            raise password_missing("the list of members") from None
        except (ArchiveError, *_BROKEN) as error:
            if self._header_is_encrypted():
                raise password_wrong("the list of members") from None
            raise Refusal(f"not a readable 7z: {error}", "A16") from None

    def _check_ends(self) -> None:
        """The first 32 bytes place the last ones: nothing is missing, and nothing follows (A17)."""
        head = self.source.pread(32, 0)
        if len(head) < 32:  # noqa: PLR2004 - the head's length
            raise Refusal("the 7z is cut off", "A17")
        if head[6]:
            raise Refusal(f"the 7z is of version {head[6]}, which nobody documents", "A21")
        checksum, offset, size = struct.unpack_from("<IQQ", head, 8)
        if zlib.crc32(head[12:]) != checksum:
            raise Refusal("the head of the 7z has a wrong checksum", "A16")
        if 32 + offset + size != self.source.length or (offset and not size):
            missing = 32 + offset + size > self.source.length
            raise Refusal("the 7z is cut off" if missing else "something follows the end of the 7z", "A17")

    def _header_is_encrypted(self) -> bool:
        """py7zr cannot say so once a password is given: without one it asks for it."""
        from py7zr import SevenZipFile
        from py7zr.exceptions import ArchiveError, PasswordRequired

        if not self.password:
            return False
        try:
            SevenZipFile(self.source.open()).close()
        except PasswordRequired:
            return True
        except (ArchiveError, *_BROKEN):
            pass  # without a password it is no better than with one
        return False

    def _by_program(self, wanted: set[int], consume: Consume) -> None:
        why = "the archive is encrypted" if self.encrypted else "the archive uses a rare compression method"
        programs = tools.require(self.source.opened, FAST_AT_SECRETS if self.encrypted else PROGRAMS, why)
        items = [tools.Item(member, self.entries[number].crc32) for number, member in self.listed.items()]
        tools.stream(self.source.opened, programs, items, wanted, consume, secret=self.encrypted)

    def _by_library(self, chosen: dict[int, Member], consume: Consume, done: set[int]) -> None:
        events: queue.Queue[Event] = queue.Queue(AHEAD)
        names = [self.entries[number].filename for number in chosen]
        threading.Thread(target=self._extract, args=(names, events), daemon=True).start()
        by_place = {_place(self.entries[number].filename): member for number, member in chosen.items()}
        while (event := events.get())[0] != "end":
            kind, value = event
            if kind == "failed":
                raise self._told(value)
            member = by_place[value]
            first = events.get()  # a method that the library lacks shows before anything of the member is written
            if first[0] == "failed":
                raise self._told(first[1])
            consume(member, checked(member, self._chunks(first, events), self.entries[member.number].crc32))
            done.add(member.number)
        if len(done) != len(chosen):
            raise Refusal("members are missing in the data", "A17")

    def _chunks(self, event: Event, events: queue.Queue[Event]) -> Chunks:
        while event[0] != "closed":
            if event[0] == "failed":
                raise self._told(event[1])
            yield event[1]
            event = events.get()

    def _extract(self, names: list[str], events: queue.Queue[Event]) -> None:
        """Runs in a thread of its own, which ends with the process if nobody reads the queue any more."""
        from py7zr.exceptions import ArchiveError, PasswordRequired

        try:
            with self._open() as archive:
                archive.extract(targets=names, factory=_factory(events))
        except (ArchiveError, PasswordRequired, Refusal, MemoryError, *_BROKEN) as error:
            events.put(("failed", error))
        else:
            events.put(("end", None))

    def _told(self, error: Exception) -> Exception:
        from py7zr.exceptions import CrcError, UnsupportedCompressionMethodError

        if isinstance(error, Refusal | MemoryError | UnsupportedCompressionMethodError):
            return error
        if self.encrypted:
            return password_wrong("the archive")
        if isinstance(error, CrcError):  # its text is a tuple of numbers
            return Refusal(f"the member {error.filename!r} has a wrong checksum", "A16")
        return Refusal(f"the archive cannot be unpacked: {error or type(error).__name__}", "A16")


def _check(entry: Any) -> None:
    if entry.is_symlink or entry.is_junction:
        raise Refusal(f"the member {entry.filename!r} is a link", "A05")
    if entry.is_directory and not entry.emptystream:
        raise Refusal(f"the folder {entry.filename!r} holds data", "A12")
    kind, right = entry.st_fmt, stat.S_IFDIR if entry.is_directory else stat.S_IFREG
    if entry.is_socket or (kind is not None and kind not in (0, right)):
        raise Refusal(f"the member {entry.filename!r} is no regular file", "A07")
    if entry.uncompressed < 0:
        raise Refusal(f"the member {entry.filename!r} has a negative size", "A12")


def _place(name: str) -> str:
    """The path under which py7zr announces a member."""
    from pathlib import PurePosixPath

    return PurePosixPath(name).as_posix()


def _factory(events: queue.Queue[Event]) -> Any:
    """What py7zr writes into. It opens, fills and closes one member after another."""
    from py7zr.io import Py7zIO, WriterFactory

    class Pipe(Py7zIO):
        def __init__(self) -> None:
            self.length = 0

        def write(self, data: bytes | bytearray) -> int:
            for chunk in _slices(data):
                events.put(("data", chunk))
            self.length += len(data)
            return len(data)

        def close(self) -> None:
            events.put(("closed", None))

        def read(self, size: int | None = None) -> bytes:  # noqa: ARG002 - part of the interface, never of use
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:  # noqa: ARG002 - as above
            return 0

        def flush(self) -> None:
            return

        def size(self) -> int:
            return self.length

    class Pipes(WriterFactory):
        def create(self, filename: str) -> Pipe:
            events.put(("open", filename))
            return Pipe()

    return Pipes()


def _slices(data: bytes | bytearray) -> Iterator[bytes]:
    if len(data) <= CHUNK:
        yield bytes(data)
        return
    for at in range(0, len(data), CHUNK):
        yield bytes(data[at : at + CHUNK])
