"""The members of a zip in the file: every byte before the directory belongs to exactly one of them.

Readers go by the directory, by the local headers, or from the front. They agree only if the local headers say what
the directory says (A18), no byte belongs to two (A10) and none to nobody (A17): there another member may hide.
"""

from __future__ import annotations

import struct
from itertools import pairwise

from aigiqa_cli.archives import member_names
from aigiqa_cli.archives.contract import Refusal
from aigiqa_cli.archives.source import PRead
from aigiqa_cli.archives.zip_directory import Directory, Entry, the_field, widened

_LOCAL = struct.Struct("<4s5H3I2H")
_USUAL_EXTRA = 64
ENCRYPTED, DEFERRED, STRONG, UTF8 = 0x1, 0x8, 0x40, 0x800
AES_FIELD = 0x9901
_DESCRIPTORS = {12: "<3I", 16: "<4x3I", 20: "<I2Q", 24: "<4xI2Q"}  # with and without a mark, plain and ZIP64
DESCRIPTOR_MARK = b"PK\x07\x08"


class Layout:
    """Where the data of members begin."""

    def __init__(self, pread: PRead, directory: Directory) -> None:
        self.pread, self.directory = pread, directory

    def check(self) -> None:
        """Judge every local header and every byte before the directory."""
        begin = self.directory.begin
        ordered = sorted(self.directory.entries, key=lambda entry: entry.offset)
        if not ordered:
            if begin:
                raise Refusal(f"{begin} bytes stand before an empty directory", "A17")
            return
        if ordered[0].offset:
            raise Refusal(f"{ordered[0].offset} bytes stand before the first member", "A17")
        for entry, following in pairwise((*ordered, None)):
            assert entry is not None  # noqa: S101 - only the last one is
            self._check_extent(entry, begin if following is None else following.offset, last=following is None)

    def start(self, entry: Entry) -> int:
        """Where the data of a member begin; its local header is read and judged on the first call."""
        if entry.start < 0:
            self._read_local(entry)
        return entry.start

    def _check_extent(self, entry: Entry, limit: int, *, last: bool) -> None:
        deferred = self._read_local(entry) & DEFERRED
        end = entry.start + entry.packed
        if end > limit:
            what = "runs into the directory" if last else "overlaps another one"
            raise Refusal(f"the member {_shown(entry)} {what}", "A10")
        if deferred:
            self._check_descriptor(entry, end, limit)
        elif end != limit:
            raise Refusal(f"nothing explains the {limit - end} bytes behind the member {_shown(entry)}", "A17")

    def _check_descriptor(self, entry: Entry, end: int, limit: int) -> None:
        """The numbers behind the data of a member that was written to a pipe."""
        form = _DESCRIPTORS.get(limit - end)
        if form is None:
            raise Refusal(f"nothing explains the {limit - end} bytes behind the member {_shown(entry)}", "A17")
        data = self.pread(limit - end, end)
        marked = form.startswith("<4x")
        if struct.unpack(form, data) != (entry.crc, entry.packed, entry.unpacked) or (
            marked and data[:4] != DESCRIPTOR_MARK
        ):
            raise Refusal(f"the member {_shown(entry)} has other sizes behind its data", "A18")

    def _read_local(self, entry: Entry) -> int:
        """Hold the local header against the directory; returns its flags."""
        usual = _LOCAL.size + len(entry.raw) + _USUAL_EXTRA
        head = self.pread(usual, entry.offset)
        if len(head) < _LOCAL.size or head[:4] != b"PK\x03\x04":
            raise Refusal(f"the member {_shown(entry)} has no local header", "A18")
        _, _, flags, method, _, _, crc, packed, unpacked, name_size, extra_size = _LOCAL.unpack_from(head)
        size = _LOCAL.size + name_size + extra_size
        if size > usual:
            head = self.pread(size, entry.offset)
        name, extra = head[_LOCAL.size : _LOCAL.size + name_size], head[_LOCAL.size + name_size : size]
        if len(head) < size or name != entry.raw or method != entry.method:
            raise Refusal(f"the member {_shown(entry)} has another name or method in its local header", "A18")
        _check_flags(entry, flags)
        _check_extra(entry, extra)
        _check_numbers(entry, flags, extra, (crc, packed, unpacked))
        entry.start = entry.offset + size
        entry.flags |= flags & DEFERRED
        return int(flags)


def _check_flags(entry: Entry, flags: int) -> None:
    different = flags ^ entry.flags
    if different & (ENCRYPTED | STRONG):
        raise Refusal(f"the member {_shown(entry)} is encrypted in one of its headers only", "A18")
    if different & UTF8 and not entry.raw.isascii():
        raise Refusal(f"the name of the member {_shown(entry)} is UTF-8 in one of its headers only", "A18")


def _check_extra(entry: Entry, extra: bytes) -> None:
    if extra == entry.extra:
        return
    second = member_names.unicode_path(extra, entry.raw)
    if second is not None and second != member_names.unicode_path(entry.extra, entry.raw):
        raise Refusal(f"the member {_shown(entry)} has a second name in its local header", "A18")
    if the_field(extra, AES_FIELD) != the_field(entry.extra, AES_FIELD):
        raise Refusal(f"the member {_shown(entry)} is encrypted in two ways", "A18")


def _check_numbers(entry: Entry, flags: int, extra: bytes, numbers: tuple[int, int, int]) -> None:
    """Checksum and sizes, unless they follow the data: then zeros may stand in their place."""
    crc, packed, unpacked = numbers
    if extra:
        unpacked, packed = widened(extra, unpacked, packed)
    found, true = (crc, packed, unpacked), (entry.crc, entry.packed, entry.unpacked)
    deferred = flags & DEFERRED
    if any(one != other and not (deferred and one == 0) for one, other in zip(found, true, strict=True)):
        raise Refusal(f"the member {_shown(entry)} has other sizes in its local header", "A18")


def _shown(entry: Entry) -> str:
    return repr(entry.raw.decode("utf-8" if entry.flags & UTF8 else "cp437", "replace"))
