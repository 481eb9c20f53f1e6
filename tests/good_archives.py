"""Good archives as the programs of the world write them: by those programs where they are here, else byte by byte."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import shutil
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from archive_writers import (
    FULL_LONG,
    UTF8,
    Zipped,
    extra_field,
    file5,
    pax,
    pax_record,
    rar4,
    rar5,
    seven,
    streamed,
    tar_header,
    tarred_member,
    unicode_path,
    wide_field,
    zipped,
    zstd,
)  # fmt: skip

Files = dict[str, bytes]
Write = Callable[[random.Random, Files, Path], bytes]

ENVIRONMENT = dict(os.environ) | {"LC_ALL": "C.UTF-8"}
WORDS = (
    "images",
    "AGIQA",
    "sd1.5",
    "DALLE 2",
    "lowcorr",
    "a",
    "IMG_0001",
    "midjourney-v5",
    "图像",
    "数据集",
    "é",
    "Ωmega",
    "x" * 60,
)


@dataclass(frozen=True)
class Flavour:
    """A way of writing; `ascii_only` where its names hold nothing else, `needs` the program that writes it."""

    write: Write
    ascii_only: bool = False
    needs: str = ""
    flat: bool = False  # at least one name must have a folder unless this is so


def some_files(chance: random.Random, *, ascii_only: bool) -> Files:
    """1 to 12 files in folders, of any length up to 70 kB, random, text-like or flat."""
    words = [word for word in WORDS if word.isascii() or not ascii_only]
    files: Files = {}
    for number in range(chance.randrange(1, 13)):
        depth = chance.randrange(1, 4)
        folder = "/".join(chance.choice(words) + "d" for _ in range(depth))
        name = f"set/{folder}/{chance.choice(words)}_{number}.png"
        size = chance.choice((0, 1, 2, 511, 512, 513, 4096, chance.randrange(70_000)))
        kind = chance.randrange(3)
        files[name] = chance.randbytes(size) if kind else (b"mos, prompt\n" * (size // 12 + 1))[:size]
    return files


def _folders(files: Mapping[str, bytes]) -> list[str]:
    found: dict[str, None] = {}
    for name in files:
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            found["/".join(parts[:depth]) + "/"] = None
    return list(found)


# ---------------------------------------------------------------------------------------------------------------------
# zip, byte by byte
# ---------------------------------------------------------------------------------------------------------------------


def _raw(name: str, encoding: str = "utf-8") -> tuple[bytes, int]:
    raw = name.encode(encoding)
    return raw, 0 if raw.isascii() or encoding != "utf-8" else UTF8


def _method(chance: random.Random, data: bytes) -> int:
    return chance.choice((0, 8)) if data else 0


def explorer(chance: random.Random, files: Files, _: Path) -> bytes:
    """Windows Explorer: FAT, archive bit, no folders, flag for UTF-8 where it is needed."""
    members = []
    for name, data in files.items():
        raw, flags = _raw(name)
        members.append(Zipped(raw, data, _method(chance, data), flags, mode=0, system=0, attributes=0x20))
    return zipped(*members)


def explorer_gbk(chance: random.Random, files: Files, _: Path) -> bytes:
    """Windows in Chinese, before it knew UTF-8; some tools with backslashes."""
    back = chance.random() < 0.5
    members = []
    for name, data in files.items():
        raw = (name.replace("/", "\\") if back else name).encode("gb18030")
        members.append(Zipped(raw, data, _method(chance, data), mode=0, system=0, attributes=0x20))
    return zipped(*members)


def macos(chance: random.Random, files: Files, _: Path) -> bytes:
    """ditto and Archive Utility: sizes behind the data, folders stored, a twin of everything below __MACOSX."""
    times = extra_field(0x5855, bytes(8))
    local = extra_field(0x5855, bytes(12))
    members = [Zipped(f.encode(), b"", mode=0o040755, extra=times, local_extra=local) for f in _folders(files)]
    for name, data in files.items():
        made = streamed(name.encode(), data, 8) if data else Zipped(name.encode(), data)
        members.append(replace(made, extra=times, local_extra=local))
        if chance.random() < 0.5:
            folder, _, last = name.rpartition("/")
            twin = f"__MACOSX/{folder}/._{last}".encode()
            members.append(replace(streamed(twin, b"\0\x05\x16\x07" + bytes(50)), extra=times, local_extra=local))
    return zipped(*members)


def streaming(mark: bool, wide: bool) -> Write:
    """Go, Node, Java, PHP, Google Drive, Dropbox: written to a pipe."""

    def write(chance: random.Random, files: Files, _: Path) -> bytes:
        members = []
        for name, data in files.items():
            raw, flags = _raw(name)
            made = streamed(raw, data, chance.choice((0, 8)), mark=mark, wide=wide)
            extra = extra_field(0x5455, b"\1" + bytes(4))
            local = extra
            lies = dict(made.local)
            if wide and chance.random() < 0.5:
                local += wide_field(0, 0)
                lies |= {"packed": FULL_LONG, "unpacked": FULL_LONG}
            members.append(replace(made, flags=made.flags | flags, extra=extra, local_extra=local, local=lies))
        return zipped(*members)

    return write


def java(_chance: random.Random, files: Files, _: Path) -> bytes:
    """java.util.zip: folders are deflated too, into two bytes; the first member has a mark of its own."""
    members: list[Zipped] = []
    for folder in _folders(files):
        raw, flags = _raw(folder)
        made = streamed(raw, b"", 8)
        members.append(replace(made, flags=made.flags | flags, mode=0, system=0))
    for name, data in files.items():
        raw, flags = _raw(name)
        made = streamed(raw, data, 8)
        members.append(replace(made, flags=made.flags | flags, mode=0, system=0))
    mark = extra_field(0xCAFE, b"")
    members[0] = replace(members[0], extra=mark, local_extra=mark)
    return zipped(*members)


def wide(chance: random.Random, files: Files, _: Path) -> bytes:
    """ZIP64 though it is not needed: numbers in fields, records at the end."""
    members = []
    for name, data in files.items():
        raw, flags = _raw(name)
        plain = Zipped(raw, data, _method(chance, data), flags)
        numbers = wide_field(len(data), len(plain.packed()))
        full = {"packed": FULL_LONG, "unpacked": FULL_LONG}
        where = chance.randrange(4)
        if where & 1:
            plain = replace(plain, local=full, local_extra=numbers)
        if where & 2:
            plain = replace(plain, central=full, extra=numbers)
        members.append(plain)
    return zipped(*members, wide={})


def second_names(chance: random.Random, files: Files, _: Path) -> bytes:
    """Info-ZIP and 7-Zip: old names, and UTF-8 ones in a field."""
    members = []
    for name, data in files.items():
        raw = name.encode("gb18030")
        field = unicode_path(raw, name.encode())
        members.append(Zipped(raw, data, _method(chance, data), extra=field, local_extra=field))
    return zipped(*members, comment="说明".encode() if chance.random() < 0.5 else b"")


def winrar(chance: random.Random, files: Files, _: Path) -> bytes:
    """WinRAR and 7-Zip on Windows: NTFS times in the directory only, folders with their attribute."""
    times = extra_field(0x000A, bytes(4) + struct.pack("<HH", 1, 24) + chance.randbytes(24))
    members = []
    for folder in _folders(files):
        raw, flags = _raw(folder)
        members.append(Zipped(raw, b"", 0, flags, mode=0, system=0, attributes=0x10, extra=times))
    for name, data in files.items():
        raw, flags = _raw(name)
        members.append(Zipped(raw, data, _method(chance, data), flags, mode=0, system=0, attributes=0x20, extra=times))
    chance.shuffle(members)
    return zipped(*members)


def by_python(chance: random.Random, files: Files, _: Path) -> bytes:
    target = io.BytesIO()
    method = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(target, "w", method) as archive:
        for folder in _folders(files) if chance.random() < 0.3 else ():
            archive.mkdir(folder)
        for name, data in files.items():
            if chance.random() < 0.3:
                with archive.open(name, "w", force_zip64=True) as member:
                    member.write(data)
            else:
                archive.writestr(name, data)
        if chance.random() < 0.3:
            archive.comment = b"made for tests"
    return target.getvalue()


def by_python_twice(_chance: random.Random, files: Files, _: Path) -> bytes:
    """Appended to: the directory is written over."""
    target = io.BytesIO()
    for name, data in files.items():
        with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, data)
    return target.getvalue()


# ---------------------------------------------------------------------------------------------------------------------
# Programs
# ---------------------------------------------------------------------------------------------------------------------


def _written(files: Files, folder: Path) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def by_program(*command: str, choices: tuple[tuple[str, ...], ...] = ((),), stdout: bool = False) -> Write:
    """`command`, with one of `choices`, run where the files are; OUT stands for the archive."""

    def write(chance: random.Random, files: Files, folder: Path) -> bytes:
        _written(files, folder)
        out = folder / "out.archive"
        words = [word.replace("OUT", str(out)) for word in (*command, *chance.choice(choices))]
        done = subprocess.run([*words, "set"], cwd=folder, check=True, capture_output=True, timeout=60, env=ENVIRONMENT)
        shutil.rmtree(folder / "set")
        return done.stdout if stdout else out.read_bytes()

    return write


INFO_ZIP = (("-0",), ("-9",), ("-D",), ("-X",), ("-fz",), ("-1", "-y"), ("-UN=UTF8",))
SEVEN_ZIP = (
    ("-mm=Deflate",),
    ("-mm=Copy",),
    ("-mm=BZip2",),
    ("-mm=LZMA",),
    ("-mcu=on",),
    ("-mm=Deflate64",),
    ("-mm=PPMd",),
)
SEVEN = (
    ("-mx=0",),
    ("-mx=1",),
    ("-ms=off",),
    ("-m0=PPMd",),
    ("-m0=BZip2",),
    ("-m0=LZMA",),
    ("-mhc=off",),
    ("-m0=BCJ", "-m1=LZMA2"),
)

# ---------------------------------------------------------------------------------------------------------------------
# tar, 7z, rar
# ---------------------------------------------------------------------------------------------------------------------

PACKERS: tuple[Callable[[bytes], bytes], ...] = (
    bytes, gzip.compress, lzma.compress, bz2.compress, zstd, lambda data: zstd(data, checksum_flag=1),
    lambda data: gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :]),
    lambda data: lzma.compress(data[:700]) + lzma.compress(data[700:]),
)  # fmt: skip


def tar_by_python(chance: random.Random, files: Files, _: Path) -> bytes:
    target = io.BytesIO()
    form = chance.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        for folder in _folders(files):
            entry = tarfile.TarInfo(folder)
            entry.type = tarfile.DIRTYPE
            archive.addfile(entry)
        for name, data in files.items():
            entry = tarfile.TarInfo(chance.choice(("", "./")) + name)
            entry.size = len(data)
            entry.mtime = chance.choice((0, 1700000000, 1700000000.5))
            archive.addfile(entry, io.BytesIO(data))
    return chance.choice(PACKERS)(target.getvalue())


def tar_by_hand(chance: random.Random, files: Files, _: Path) -> bytes:
    """Old and odd but clear: a global header, contiguous files, names in a prefix, base 256, one block at the end."""
    out = pax(pax_record(b"comment", b"0123456789abcdef"), b"g") if chance.random() < 0.5 else b""
    for name, data in files.items():
        raw = name.encode()
        folder, _, last = raw.rpartition(b"/")
        kind = chance.choice((b"0", b"\0", b"7"))
        if len(raw) > 100 and (len(folder) > 155 or len(last) > 100):
            out += pax(pax_record(b"path", raw) + pax_record(b"mtime", b"1.5")) + tarred_member(
                b"short", data, kind=kind
            )
        elif len(raw) > 100 or chance.random() < 0.3:
            out += (
                tarred_member(last, data, kind=kind, prefix=folder) if len(last) <= 100 and len(folder) <= 155 else b""
            )
        elif chance.random() < 0.3:
            head = tar_header(raw, b"\x80" + len(data).to_bytes(11, "big"), kind)
            out += head + data.ljust(-(-len(data) // 512) * 512, b"\0")
        else:
            out += tarred_member(raw, data, kind=kind)
    return chance.choice(PACKERS)(out + bytes(512 * chance.choice((1, 2, 20))))


def tar_gbk(chance: random.Random, files: Files, _: Path) -> bytes:
    """7-Zip on a Chinese Windows."""
    out = b""
    for name, data in files.items():
        raw = name.encode("gb18030")
        if len(raw) > 100:
            out += tarred_member(b"././@LongLink", raw + b"\0", kind=b"L")
        out += tarred_member(raw[:100], data)
    return chance.choice(PACKERS)(out + bytes(1024))


def seven_by_python(_chance: random.Random, files: Files, _: Path) -> bytes:
    return seven(files)


def rar_by_hand(_chance: random.Random, files: Files, _: Path) -> bytes:
    folders = [file5(folder.removesuffix("/"), b"", file_flags=1, mode=0o040755) for folder in _folders(files)]
    return rar5(*(file5(name, data) for name, data in files.items()), *folders)


def rar4_by_hand(_chance: random.Random, files: Files, _: Path) -> bytes:
    return rar4({name.encode("gbk" if not name.isascii() else "ascii"): data for name, data in files.items()})


TAR = (("--format=gnu",), ("--format=pax",), ("--format=ustar",), ("--format=oldgnu",), ("--format=posix", "-z"), ("-J",), ("-j",),
       ("--zstd",), ("--format=v7", "-z"))  # fmt: skip
BSDTAR = (("--format=pax",), ("--format=ustar", "-z"), ("--format=gnutar",), ("--format=zip",), ("--format=restrictpax", "-J"),
          ("--format=zip", "--options=compression=store"), ("--format=7zip",))  # fmt: skip

FLAVOURS: dict[str, Flavour] = {
    "windows-explorer": Flavour(explorer),
    "windows-gbk": Flavour(explorer_gbk),
    "macos": Flavour(macos),
    "java": Flavour(java),
    "streamed": Flavour(streaming(mark=True, wide=False)),
    "streamed-unmarked": Flavour(streaming(mark=False, wide=False)),
    "streamed-wide": Flavour(streaming(mark=True, wide=True)),
    "streamed-wide-unmarked": Flavour(streaming(mark=False, wide=True)),
    "zip64": Flavour(wide),
    "second-names": Flavour(second_names),
    "winrar": Flavour(winrar),
    "python": Flavour(by_python),
    "python-appended": Flavour(by_python_twice),
    "info-zip": Flavour(by_program("zip", "-q", "-r", "OUT", choices=INFO_ZIP), needs="zip"),
    "info-zip-streamed": Flavour(by_program("zip", "-q", "-r", "-", stdout=True), needs="zip"),
    "7-zip": Flavour(by_program("7z", "a", "-tzip", "OUT", choices=SEVEN_ZIP), needs="7z"),
    "7z": Flavour(by_program("7z", "a", "-t7z", "OUT", choices=SEVEN), needs="7z"),
    "7z-python": Flavour(seven_by_python),
    "bsdtar": Flavour(by_program("bsdtar", "-c", "-f", "OUT", choices=BSDTAR), needs="bsdtar"),
    "gnu-tar": Flavour(by_program("tar", "-c", "-f", "OUT", choices=TAR), needs="tar"),
    "python-tar": Flavour(tar_by_python),
    "tar-by-hand": Flavour(tar_by_hand),
    "tar-gbk": Flavour(tar_gbk),
    "rar": Flavour(rar_by_hand),
    "rar4": Flavour(rar4_by_hand, ascii_only=True),
    "jar": Flavour(by_program("jar", "cMf", "OUT"), needs="jar"),
}
ZIPS = (
    "windows-explorer",
    "macos",
    "java",
    "streamed",
    "streamed-wide",
    "zip64",
    "winrar",
    "python",
    "info-zip",
    "7-zip",
    "bsdtar",
)
RARELY = {"jar": 0.1}  # starting Java takes a second
