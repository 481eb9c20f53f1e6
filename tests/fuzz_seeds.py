"""Small whole files of every format that a parser of ours reads: what the fuzzer starts from, built by code."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

from tiny import SMALL

FILES = {"set/a.png": b"\x89PNG\r\n\x1a\n" + bytes(20), "set/b.txt": b"some text, some text, some text"}
TABLE = b'name,prompt,mos\na.png,"one, ""two""",3.50\nb.png,,0001\n'
ROWS = [{"name": "a.png", "prompt": "x", "mos": 3.5}, {"name": "b.png", "prompt": None, "mos": 12345678901234567890}]
MANIFEST = (
    SMALL.replace("    format: zip\n", f"    format: zip\n    bytes: 12\n    sha256: {'a' * 64}\n")
    .replace("CODE", "'0755'")
    .replace("rows: 2,", "rows: [1, 2],")
    + "splits:\n  - {name: authors, evidence: none, rule: {within: task, every: 4, test: [3]}}\n"
).encode()
RECORD = json.dumps(
    {
        "record": 1, "database": "some", "state": "installed", "partial": False, "manifest_version": 1,
        "manifest_sha256": "1" * 64, "aigiqa": "0", "installed_at": "2026-01-01T00:00:00+00:00", "rows": 1, "images": 1,
        "references": 0, "index_sha256": "2" * 64,
        "sources": [{"asset": "a.zip", "role": "images", "origin": "by hand", "name": "a.zip", "bytes": 5,
                     "sha256": "0" * 64, "proof": ""}],
        "files": [["index.csv", 5, "2" * 64], ["images/a.png", 9, "3" * 64]], "rejected": [], "ignored": 0,
        "warnings": [], "splits": {},
    }
).encode()  # fmt: skip
PAGES = (
    b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>log in here</body></html>",
    b"<!-- a --> <!-- b --><html><title>Quota exceeded</title>",
    "<html><title>提取码</title>".encode("utf-16"),
    b'{"error": "not found"}',
    b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
    b"PK\x03\x04" + bytes(60),
)


def zipped(*, method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
        archive.comment = comment
    return stream.getvalue()


def streamed_zip() -> bytes:
    """With data descriptors, as programs write that cannot go back."""

    class Forward(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    stream = Forward()
    archive = zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED)
    with archive, archive.open("set/图.png", "w", force_zip64=True) as member:
        member.write(b"x" * 50)
    return stream.getvalue()


def tarred(kind: str = "", form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{kind}", format=form) as archive:  # type: ignore[call-overload]
        for name, data in (FILES | {"set/" + "图" * 60 + ".png": b"long"}).items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return stream.getvalue()


def seven(*, method: int | None = None) -> bytes:
    import py7zr

    filters = None if method is None else [{"id": method}]
    stream = io.BytesIO()
    with py7zr.SevenZipFile(stream, "w", filters=filters) as archive:
        for name, data in FILES.items():
            archive.writestr(data, name)
    return stream.getvalue()


def _vint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _block5(kind: int, flags: int, body: bytes, data: bytes = b"") -> bytes:
    head = _vint(kind) + _vint(flags | (2 if data else 0)) + (_vint(len(data)) if data else b"") + body
    sized = _vint(len(head)) + head
    return struct.pack("<I", zlib.crc32(sized)) + sized + data


def rar5() -> bytes:
    out = b"Rar!\x1a\x07\x01\x00" + _block5(1, 0, _vint(0))
    for name, data in FILES.items():
        body = _vint(4) + _vint(len(data)) + _vint(0o100644) + struct.pack("<I", zlib.crc32(data))
        out += _block5(2, 0, body + _vint(0) + _vint(1) + _vint(len(name)) + name.encode(), data)
    return out + _block5(5, 0, _vint(0))


def rar4() -> bytes:
    def block(kind: int, flags: int, body: bytes) -> bytes:
        head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head

    out = b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6))
    for name, data in FILES.items():
        numbers = (len(data), len(data), 3, zlib.crc32(data), 0x21 << 16, 20, 0x30, len(name), 0o100644)
        out += block(0x74, 0x8000, struct.pack("<LLBLLBBHL", *numbers) + name.encode()) + data
    return out + block(0x7B, 0, b"")


def book() -> bytes:
    import openpyxl

    workbook = openpyxl.Workbook()
    for row in (["name", "prompt", "mos"], ["a.png", "one, two", 3.5], ["b.png", None, "0001"]):
        workbook.active.append(row)
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()


def sheet() -> bytes:
    """The XML of the first sheet of `book`."""
    with zipfile.ZipFile(io.BytesIO(book())) as archive:
        return archive.read("xl/worksheets/sheet1.xml")


def around(xml: bytes, name: str = "xl/worksheets/sheet1.xml") -> bytes:
    """`book` with another XML in one of its parts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book_once())) as old, zipfile.ZipFile(stream, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, xml if info.filename == name else old.read(info))
    return stream.getvalue()


_BOOK: list[bytes] = []


def book_once() -> bytes:
    if not _BOOK:
        _BOOK.append(book())
    return _BOOK[0]


def matrix(*, packed: bool) -> bytes:
    import numpy as np
    from scipy.io import savemat

    stream = io.BytesIO()
    values = {"MOSz": np.array([[60.25], [0.5], [7.0]]), "names": np.array(["a", "bc"], dtype=object)}
    savemat(stream, values, do_compression=packed)
    return stream.getvalue()


def matrix4() -> bytes:
    import numpy as np
    from scipy.io import savemat

    stream = io.BytesIO()
    savemat(stream, {"MOSz": np.array([[1.5], [2.5]])}, format="4")
    return stream.getvalue()


def picture(kind: str, **options: object) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.frombytes("RGB", (9, 7), bytes(range(189))).save(stream, kind, **options)
    return stream.getvalue()


def index_csv() -> bytes:
    from aigiqa_cli.index import COLUMNS, write_rows

    stream = io.BytesIO()
    row = dict.fromkeys(COLUMNS, "") | {"database": "some", "image_id": "a.png", "prompt": 'one, "two"\nthree'}
    write_rows(stream, [row, row | {"image_path": "some/images/a.png"}])
    return stream.getvalue()


# ---------------------------------------------------------------------------------------------------------------------
# Checksums over what was mutated, so that the parser looks behind them
# ---------------------------------------------------------------------------------------------------------------------


def with_png_sums(data: bytes) -> bytes:
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        length = int.from_bytes(out[at : at + 4])
        end = at + 8 + length
        if end + 4 > len(out):
            break
        out[end : end + 4] = struct.pack(">I", zlib.crc32(out[at + 4 : end]))
        at = end + 4
    return bytes(out)


def with_tar_sums(data: bytes) -> bytes:
    out = bytearray(data)
    for at in range(0, len(out) - 511, 512):
        if out[at + 257 : at + 262] == b"ustar":
            head = out[at : at + 512]
            head[148:156] = b" " * 8
            out[at + 148 : at + 156] = b"%06o\0 " % sum(head)
    return bytes(out)


def with_seven_sums(data: bytes) -> bytes:
    if len(data) < 32:
        return data
    offset, size = struct.unpack("<QQ", data[12:28])
    if 32 + offset + size > len(data):
        offset, size = min(offset, len(data) - 32), max(0, len(data) - 32 - offset)
    start = struct.pack("<QQI", offset, size, zlib.crc32(data[32 + offset : 32 + offset + size]))
    return data[:8] + struct.pack("<I", zlib.crc32(start)) + start + data[32:]


def with_rar5_sums(data: bytes) -> bytes:
    if not data.startswith(b"Rar!\x1a\x07\x01"):
        return data
    out, at = bytearray(data), 8
    while at + 5 < len(out):
        size, width = _read_vint(out, at + 4)
        end = at + 4 + width + size
        if end > len(out) or not size:
            break
        out[at : at + 4] = struct.pack("<I", zlib.crc32(out[at + 4 : end]))
        _, one = _read_vint(out, at + 4 + width)
        flags, two = _read_vint(out, at + 4 + width + one)
        place = at + 4 + width + one + two
        if flags & 1:
            _, three = _read_vint(out, place)
            place += three
        at = end + (_read_vint(out, place)[0] if flags & 2 else 0)
    return bytes(out)


def _read_vint(data: bytes | bytearray, at: int) -> tuple[int, int]:
    number = 0
    for width in range(10):
        if at + width >= len(data):
            return 0, width + 1
        number |= (data[at + width] & 0x7F) << (7 * width)
        if not data[at + width] & 0x80:
            return number, width + 1
    return number, 10


def packed_matrix(data: bytes) -> bytes:
    """A MATLAB 5 file whose elements are compressed anew: mutations then lie behind zlib."""
    out, at = data[:128].ljust(128, b" "), 128
    while at + 8 <= len(data):
        kind, size = struct.unpack("<II", data[at : at + 8])
        body = zlib.compress(data[at : at + 8 + size], 1)
        out += struct.pack("<II", 15, len(body)) + body
        at += 8 + min(size, len(data))
        if not kind:
            break
    return out


Fix = Callable[[bytes], bytes]
