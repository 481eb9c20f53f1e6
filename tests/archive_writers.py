"""Archives written byte by byte, because libraries refuse to write broken ones: zip, tar, 7z, rar."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

UTF8 = 0x800
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3
FULL, FULL_LONG = 0xFFFF, 0xFFFFFFFF

Lies = Mapping[str, int | bytes]

# ---------------------------------------------------------------------------------------------------------------------
# zip
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Zipped:
    """One member. `local` and `central` override fields of one of its two headers: that is where lies live."""

    name: bytes
    data: bytes = PNG
    method: int = 0
    flags: int = 0
    mode: int = 0o100644
    system: int = 3
    local: Lies = field(default_factory=dict)
    central: Lies = field(default_factory=dict)
    local_extra: bytes = b""
    extra: bytes = b""
    descriptor: bytes = b""
    comment: bytes = b""
    attributes: int = 0  # the DOS half
    disk: int = 0
    before: bytes = b""  # in front of the local header

    def packed(self) -> bytes:
        if self.method == 8:
            deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
            return deflater.compress(self.data) + deflater.flush()
        return self.data

    def facts(self, other: Lies) -> dict[str, int | bytes]:
        true: dict[str, int | bytes] = {
            "name": self.name,
            "method": self.method,
            "flags": self.flags,
            "crc": zlib.crc32(self.data),
            "packed": len(self.packed()),
            "unpacked": len(self.data),
        }
        return true | dict(other)


def local_header(member: Zipped) -> bytes:
    f = member.facts(member.local)
    numbers = (20, f["flags"], f["method"], 0, 33, f["crc"], f["packed"], f["unpacked"])
    lengths = (f.get("name_size", len(f["name"])), len(member.local_extra))
    return struct.pack("<4s5H3I2H", b"PK\x03\x04", *numbers, *lengths) + f["name"] + member.local_extra


def central_header(member: Zipped, offset: int) -> bytes:
    f = member.facts(member.central)
    numbers = (member.system << 8 | 20, 20, f["flags"], f["method"], 0, 33, f["crc"], f["packed"], f["unpacked"])
    lengths = (f.get("name_size", len(f["name"])), len(member.extra), f.get("comment_size", len(member.comment)))
    rest = (member.disk, 0, member.mode << 16 | member.attributes, f.get("offset", offset))
    head = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *numbers, *lengths, *rest)
    return head + f["name"] + member.extra + member.comment


def end_record(count: int, size: int, offset: int, text: bytes = b"", /, **lies: int) -> bytes:
    numbers = {"disk": 0, "start": 0, "here": count, "count": count, "size": size, "offset": offset}
    numbers |= {"comment": len(text)} | lies
    return struct.pack("<4s4H2IH", b"PK\x05\x06", *numbers.values()) + text


def wide_end(at: int, count: int, size: int, offset: int, /, **lies: int) -> bytes:
    """ZIP64 end record and locator, as they stand at `at`."""
    record = {"length": 44, "made": 45, "needed": 45, "disk": 0, "start": 0}
    record |= {"here": count, "count": count, "size": size, "offset": offset}
    locator = {"its_disk": 0, "at": at, "disks": 1}
    record |= {key: value for key, value in lies.items() if key in record}
    locator |= {key: value for key, value in lies.items() if key in locator}
    return struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", *record.values()) + struct.pack(
        "<4sIQI", b"PK\x06\x07", *locator.values()
    )


def bodies(*members: Zipped) -> tuple[bytes, bytes]:
    """What stands before the end records: local headers with data, and the directory."""
    body, directory = b"", b""
    for member in members:
        body += member.before
        directory += central_header(member, len(body))
        body += local_header(member) + member.packed() + member.descriptor
    return body, directory


def zipped(
    *members: Zipped, comment: bytes = b"", count: int | None = None, gap: bytes = b"", wide: Lies | None = None,
    **end: int,
) -> bytes:  # fmt: skip
    """A zip. `gap` stands before the directory, `wide` asks for ZIP64 end records, `end` overrides the end record."""
    body, directory = bodies(*members)
    body += gap
    number = count or len(members)
    out = body + directory
    if wide is not None:
        out += wide_end(len(out), number, len(directory), len(body), **dict(wide))  # type: ignore[arg-type]
    return out + end_record(number, len(directory), len(body), comment, **end)


def names(*listed: bytes, flags: int = 0) -> bytes:
    return zipped(*(Zipped(name, flags=flags) for name in listed))


def extra_field(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def wide_field(*numbers: int) -> bytes:
    """The ZIP64 field: unpacked, packed, offset, each where it is needed."""
    return extra_field(1, struct.pack(f"<{len(numbers)}Q", *numbers))


def unicode_path(raw: bytes, name: bytes, checksum: int | None = None, version: int = 1) -> bytes:
    number = zlib.crc32(raw) if checksum is None else checksum
    return extra_field(0x7075, bytes([version]) + struct.pack("<I", number) + name)


def descriptor(member: Zipped, *, mark: bool = True, wide: bool = False, **lies: int) -> bytes:
    """What follows the data of a member that was written to a pipe."""
    f = {"crc": zlib.crc32(member.data), "packed": len(member.packed()), "unpacked": len(member.data)} | lies
    return (b"PK\x07\x08" if mark else b"") + struct.pack("<I2Q" if wide else "<3I", *f.values())


def streamed(name: bytes, data: bytes = PNG, method: int = 8, *, mark: bool = True, wide: bool = False) -> Zipped:
    """A member as it is written to a pipe: zeros in front, the numbers behind."""
    plain = Zipped(name, data, method)
    zeros: Lies = {"crc": 0, "packed": 0, "unpacked": 0}
    return Zipped(name, data, method, flags=8, local=zeros, descriptor=descriptor(plain, mark=mark, wide=wide))


def old_encrypted(data: bytes, password: bytes, mark: int) -> bytes:
    """The old encryption of zip, as APPNOTE 6.1 describes it; `mark` ends the twelve bytes before the data."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def crc(old: int, byte: int) -> int:
        return zlib.crc32(bytes([byte]), old ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

    def update(byte: int) -> None:
        keys[0] = crc(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) % (1 << 32)
        keys[2] = crc(keys[2], keys[1] >> 24)

    for byte in password:
        update(byte)
    out = bytearray()
    for byte in bytes(11) + bytes([mark]) + data:
        word = (keys[2] | 2) & 0xFFFF
        out.append(byte ^ ((word * (word ^ 1)) >> 8 & 0xFF))
        update(byte)
    return bytes(out)


@dataclass(frozen=True)
class Packed(Zipped):
    """A member whose packed bytes are given; all its numbers but those of `local` and `central` follow from them."""

    body: bytes = b""

    def packed(self) -> bytes:
        return self.body


def lzma_packed(data: bytes) -> bytes:
    """The LZMA member that the standard library writes: it ends by a mark, as the flag 2 says."""
    import zipfile

    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", data)
        packed = archive.infolist()[0].compress_size
    return target.getvalue()[31 : 31 + packed]


def lzma_without_mark(data: bytes) -> bytes:
    """An LZMA member of literals alone that ends with its last byte, as other programs may write it."""
    low, wide, cache, held = 0, 0xFFFFFFFF, 0, 1
    out = bytearray(b"\x09\x14\x05\x00\x00") + (1 << 16).to_bytes(4, "little")
    chances: dict[object, int] = {}

    def shift() -> None:
        nonlocal low, cache, held
        if low < 0xFF000000 or low >> 32:
            for number in range(held):
                out.append((cache if number == 0 else 0xFF) + (low >> 32) & 0xFF)
            cache, held = low >> 24 & 0xFF, 0
        held += 1
        low = (low & 0x00FFFFFF) << 8

    def encode(context: object, bit: int) -> None:
        nonlocal low, wide
        chance = chances.get(context, 1024)
        bound = (wide >> 11) * chance
        if bit:
            low, wide = low + bound, wide - bound
            chances[context] = chance - (chance >> 5)
        else:
            wide = bound
            chances[context] = chance + (2048 - chance >> 5)
        while wide < 1 << 24:
            wide <<= 8
            shift()

    for byte in data:
        encode("match", 0)
        symbol = 1
        for place in range(7, -1, -1):
            bit = byte >> place & 1
            encode(symbol, bit)
            symbol = symbol << 1 | bit
    for _ in range(5):
        shift()
    return bytes(out)


# ---------------------------------------------------------------------------------------------------------------------
# tar
# ---------------------------------------------------------------------------------------------------------------------

TAR_END = bytes(1024)


def tar_header(name: bytes, size: int | bytes = 0, kind: bytes = b"0", link: bytes = b"", **other: bytes) -> bytes:
    length = b"%011o\0" % size if isinstance(size, int) else size
    fields = [
        (name, 100), (b"0000644\0", 8), (b"0000000\0", 8), (b"0000000\0", 8),
        (length, 12), (b"00000000000\0", 12), (b" " * 8, 8), (kind, 1), (link, 100),
        (other.get("magic", b"ustar\x0000"), 8), (b"", 32), (b"", 32), (b"", 8), (b"", 8), (other.get("prefix", b""), 155),
    ]  # fmt: skip
    header = b"".join(value[:width].ljust(width, b"\0") for value, width in fields).ljust(512, b"\0")
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def tarred_member(name: bytes, data: bytes = PNG, **other: bytes) -> bytes:
    return tar_header(name, len(data), **other) + data.ljust(-(-len(data) // 512) * 512, b"\0")


def tarred(*listed: bytes) -> bytes:
    return b"".join(tarred_member(name) for name in listed) + TAR_END


def pax(records: bytes, kind: bytes = b"x") -> bytes:
    return tarred_member(b"PaxHeader", records, kind=kind)


def pax_record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    while len(b"%d" % length) + len(key) + len(value) + 3 != length:
        length += 1
    return b"%d %s=%s\n" % (length, key, value)


def zstd(data: bytes, **options: int) -> bytes:
    try:
        from compression import zstd as library
    except ImportError:
        from backports import zstd as library
    named = {library.CompressionParameter[name]: value for name, value in options.items()}
    return bytes(library.compress(data, options=named or None))


# ---------------------------------------------------------------------------------------------------------------------
# 7z
# ---------------------------------------------------------------------------------------------------------------------


def seven(files: Mapping[str, bytes], password: str = "", *, hidden: bool = False, plain_header: bool = False) -> bytes:
    from py7zr import SevenZipFile

    target = io.BytesIO()
    with SevenZipFile(target, "w", password=password or None, header_encryption=hidden) as archive:
        if plain_header:
            archive.set_encoded_header_mode(mode=False)
        for name, data in files.items():
            archive.writestr(data, name)
    return target.getvalue()


def seven_header(data: bytes) -> bytes:
    offset, size = struct.unpack("<QQ", data[12:28])
    return data[32 + offset : 32 + offset + size]


def with_seven_header(data: bytes, header: bytes) -> bytes:
    """The same 7z with another header, with all checksums right."""
    offset = struct.unpack("<Q", data[12:20])[0]
    start = struct.pack("<QQI", offset, len(header), zlib.crc32(header))
    return data[:8] + struct.pack("<I", zlib.crc32(start)) + start + data[32 : 32 + offset] + header


def forged(data: bytes, old: bytes, new: bytes) -> bytes:
    """A 7z with a plain header in which `old` is replaced, with all checksums right."""
    header = seven_header(data)
    assert old in header
    return with_seven_header(data, header.replace(old, new))


SEVEN_ATTRIBUTES = b"\x15\x06\x01\x00"  # attributes, six bytes, of all members, here


def seven_of_kind(kind: int, content: bytes = b"/etc/passwd", name: str = "a.png") -> bytes:
    """A 7z of one member whose Unix mode says that it is a link, a device, ..."""
    data = seven({name: content}, plain_header=True)
    at = data.index(SEVEN_ATTRIBUTES) + len(SEVEN_ATTRIBUTES)
    evil = struct.pack("<I", 0x8000 | 0x20 | ((kind | 0o644) << 16))
    return forged(data, data[at - 4 : at + 4], SEVEN_ATTRIBUTES + evil)


# ---------------------------------------------------------------------------------------------------------------------
# rar: no library writes it
# ---------------------------------------------------------------------------------------------------------------------

RAR5 = b"Rar!\x1a\x07\x01\x00"
RAR4 = b"Rar!\x1a\x07\x00"


def vint(number: int) -> bytes:
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def block5(kind: int, flags: int, body: bytes, extra: bytes = b"", data: bytes = b"") -> bytes:
    flags |= (1 if extra else 0) | (2 if data else 0)
    head = (
        vint(kind)
        + vint(flags)
        + (vint(len(extra)) if extra else b"")
        + (vint(len(data)) if data else b"")
        + body
        + extra
    )
    sized = vint(len(head)) + head
    return struct.pack("<I", zlib.crc32(sized)) + sized + data


def file5(
    name: str | bytes, data: bytes, *, mode: int = 0o100644, method: int = 0, redirect: tuple[int, str] | None = None,
    crc: int | None = None, flags: int = 0, size: int | None = None, extra: bytes = b"", file_flags: int = 4,
    name_size: int | None = None,
) -> bytes:  # fmt: skip
    raw = name.encode() if isinstance(name, str) else name
    body = vint(file_flags) + vint(len(data) if size is None else size) + vint(mode)
    if file_flags & 4:
        body += struct.pack("<I", zlib.crc32(data) if crc is None else crc)
    body += vint(method << 7) + vint(1) + vint(len(raw) if name_size is None else name_size) + raw
    if redirect:
        record = vint(5) + vint(redirect[0]) + vint(0) + vint(len(redirect[1])) + redirect[1].encode()
        extra += vint(len(record)) + record
    return block5(2, flags, body, extra, data)


def rar5(*files: bytes, volume: int | None = None, more: bool = False) -> bytes:
    main = vint(0) if volume is None else vint(1 | (2 if volume else 0)) + (vint(volume) if volume else b"")
    return RAR5 + block5(1, 0, main) + b"".join(files) + block5(5, 0, vint(1 if more else 0))


def rar5_hidden(*blocks: bytes, password: str, check: bool = True, damaged: bool = False) -> bytes:
    """A rar5 whose headers are encrypted; `blocks` are those of an open one, data behind them are left as they are."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    salt, rounds = bytes(range(16)), 4
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1 << rounds)
    sum_of = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, (1 << rounds) + 32)
    folded = bytes(sum_of[n] ^ sum_of[n + 8] ^ sum_of[n + 16] ^ sum_of[n + 24] for n in range(8))
    body = vint(0) + vint(int(check)) + bytes([rounds]) + salt
    out = RAR5 + block5(4, 0, body + (folded + hashlib.sha256(folded).digest()[:4] if check else b""))
    for number, block in enumerate(blocks):
        header, data = _header5(block)
        vector = bytes([number]) * 16
        cipher = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
        out += vector + cipher.update(header.ljust(-(-len(header) // 16) * 16, b"\0")) + cipher.finalize() + data
    return out[:-9] + bytes(9) if damaged else out


def _header5(block: bytes) -> tuple[bytes, bytes]:
    size, at, shift = 0, 4, 0
    while True:
        size |= (block[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not block[at - 1] & 0x80:
            return block[: at + size], block[at + size :]


def block4(kind: int, flags: int, body: bytes) -> bytes:
    head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
    return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head


def file4(
    name: bytes, data: bytes, *, mode: int = 0o100644, method: int = 0x30, size: int | None = None,
    crc: int | None = None, flags: int = 0x8000, version: int = 20,
) -> bytes:  # fmt: skip
    length, checksum = len(data) if size is None else size, zlib.crc32(data) if crc is None else crc
    numbers = (len(data), length, 3, checksum, 0x21 << 16, version, method, len(name), mode)
    return block4(0x74, flags, struct.pack("<LLBLLBBHL", *numbers) + name) + data


def rar4(files: Mapping[bytes, bytes], *, mode: int = 0o100644) -> bytes:
    body = b"".join(file4(name, data, mode=mode) for name, data in files.items())
    return RAR4 + block4(0x73, 0, bytes(6)) + body + block4(0x7B, 0, b"")
