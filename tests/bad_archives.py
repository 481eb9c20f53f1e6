"""Bad archives, each with the faults by which it may be refused. Made from scripts; nothing binary is kept.

The 14 kinds of ambiguity between readers of zip are those of "My ZIP isn't your ZIP" (USENIX Security 2025): a1-a5
metadata that stand in several places, b1-b4 names, c1-c5 where things are.
"""

from __future__ import annotations

import bz2
import gzip
import itertools
import lzma
import random
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from archive_writers import (
    FULL,
    FULL_LONG,
    PNG,
    RAR4,
    RAR5,
    TAR_END,
    UTF8,
    Lies,
    Packed,
    Zipped,
    block4,
    block5,
    bodies,
    central_header,
    descriptor,
    end_record,
    extra_field,
    file4,
    file5,
    forged,
    local_header,
    lzma_packed,
    lzma_without_mark,
    names,
    pax,
    pax_record,
    rar4,
    rar5,
    seven,
    seven_header,
    seven_of_kind,
    streamed,
    tar_header,
    tarred,
    tarred_member,
    unicode_path,
    vint,
    wide_end,
    wide_field,
    with_seven_header,
    zipped,
    zstd,
)  # fmt: skip


@dataclass(frozen=True)
class Bad:
    """One bad archive: what it is called, its bytes, and the faults that fit."""

    name: str
    make: Callable[[], bytes]
    faults: frozenset[str]
    of: str = ""  # the ambiguity type or the traversal shape that it stands for


def bad(name: str, data: bytes | Callable[[], bytes], faults: str, of: str = "") -> Bad:
    made = data if callable(data) else lambda: data
    return Bad(name, made, frozenset(faults.split()), of)


GOOD = Zipped(b"good.png")

# ---------------------------------------------------------------------------------------------------------------------
# Names, in every format
# ---------------------------------------------------------------------------------------------------------------------

TRAVERSAL = {
    "parent": (b"../x", "A01"),
    "parent-inside": (b"a/../../x", "A01"),
    "parent-deep": (b"../../../../../../../../x", "A01"),
    "parent-at-end": (b"a/..", "A01"),
    "parent-only": (b"..", "A01"),
    "dot-inside": (b"a/./x", "A01"),
    "dots-and-slashes": (b"....//x", "A01 A15 S15"),
    "backslash-parent": (b"..\\x", "A01 A03"),
    "backslash-parent-inside": (b"a\\..\\..\\x", "A01 A03"),
    "absolute": (b"/x", "A02"),
    "absolute-twice": (b"//x", "A02"),
    "absolute-after-dot": (b".//x", "A02 A15"),
    "drive": (b"C:\\x", "A03"),
    "drive-slash": (b"C:/x", "A03"),
    "drive-relative": (b"C:x", "A03"),
    "share": (b"\\\\host\\share\\x", "A02 A03"),
    "stream": (b"a.png:evil", "A03 A04"),
    "empty-part": (b"a//b", "A15"),
}
UNUSABLE = {
    "newline": (b"a\nb.png", "A04"),
    "escape": (b"\x1b[2Ja.png", "A04"),
    "delete": (b"a\x7f.png", "A04"),
    "wildcard": (b"a*.png", "A04"),
    "question": (b"a?.png", "A04"),
    "quote": (b'a".png', "A04"),
    "pipe": (b"a|b.png", "A04"),
    "trailing-dot": (b"a.png.", "S15"),
    "trailing-space": (b"dir /a.png", "S15"),
    "three-dots": (b".../a.png", "S15"),
    "reserved": (b"con.png", "S15"),
    "reserved-folder": (b"AUX/a.png", "S15"),
    "long-part": (b"n" * 252 + b".png", "S14"),
    "long-path": (b"/".join([b"d" * 200] * 6) + b"/a.png", "S14"),
    "deep": (b"d/" * 17 + b"a.png", "A30"),
    "right-to-left": ("\u202egnp.exe".encode(), "A04"),
    "control-c1": ("a\u0085b.png".encode(), "A04"),
}
TWINS = {
    "same": (b"a.png", b"a.png"),
    "case": (b"Set/A.png", b"set/a.PNG"),
    "dot": (b"./a.png", b"a.png"),
    "composed": ("é.png".encode(), "e\u0301.png".encode()),
    "sharp-s": ("ß.png".encode(), b"ss.png"),
    "file-and-folder": (b"a", b"a/b.png"),
    "folder-and-file": (b"a/b/c.png", b"A/B"),
}


def _names_in(form: str, write: Callable[..., bytes]) -> Iterator[Bad]:
    for shape, (name, faults) in (TRAVERSAL | UNUSABLE).items():
        kind = shape if shape in TRAVERSAL else ""
        for order, listed in (("last", (b"good.png", name)), ("first", (name, b"good.png"))):
            yield bad(f"{form}-name-{shape}-{order}", lambda n=listed: write(*n), faults, kind)  # type: ignore[misc]
    for shape, pair in TWINS.items():
        yield bad(f"{form}-twins-{shape}", lambda n=pair: write(*n), "A15")  # type: ignore[misc]


def _sevened(*listed: bytes) -> bytes:
    """A 7z whose names could not be written by the library: place-holders of the same length, then replaced."""
    holders = [f"{number}".ljust(len(name.decode()), "q") for number, name in enumerate(listed)]
    data = seven(dict.fromkeys(holders, PNG), plain_header=True)
    for holder, name in zip(holders, listed, strict=True):
        data = forged(data, holder.encode("utf-16-le") + b"\0\0", name.decode().encode("utf-16-le") + b"\0\0")
    return data


def _rarred(*listed: bytes) -> bytes:
    return rar5(*(file5(name, PNG) for name in listed))


def _rarred4(*listed: bytes) -> bytes:
    return RAR4 + block4(0x73, 0, bytes(6)) + b"".join(file4(n, PNG) for n in listed) + block4(0x7B, 0, b"")


# ---------------------------------------------------------------------------------------------------------------------
# The eight classic shapes: what leaves the folder by a name or by a link
# ---------------------------------------------------------------------------------------------------------------------

SHAPES = (
    "parent", "absolute", "backslash", "link to a file", "link to a folder", "file through a link", "chain of links",
    "hard link",
)  # fmt: skip
LINK = 0o120777


def _shapes() -> Iterator[Bad]:
    etc = b"/etc/passwd"
    link, folder = Zipped(b"l", etc, mode=LINK), Zipped(b"l", b"/etc", mode=LINK)
    yield bad("zip-shape-parent", names(b"../x"), "A01", "parent")
    yield bad("zip-shape-absolute", names(b"/x"), "A02", "absolute")
    yield bad("zip-shape-backslash", names(b"..\\x"), "A01 A03", "backslash")
    yield bad("zip-shape-link", zipped(link), "A05", "link to a file")
    yield bad("zip-shape-folder", zipped(folder), "A05", "link to a folder")
    yield bad("zip-shape-through", zipped(folder, Zipped(b"l/x")), "A05 A15", "file through a link")
    yield bad("zip-shape-chain", zipped(link, Zipped(b"m", b"l", mode=LINK), GOOD), "A05", "chain of links")
    hard = Zipped(
        b"h", etc, mode=LINK, extra=extra_field(0x756E, bytes(14)), local_extra=extra_field(0x756E, bytes(14))
    )
    yield bad("zip-shape-hard", zipped(hard, GOOD), "A05 A06", "hard link")

    soft = tar_header(b"l", kind=b"2", link=etc)
    yield bad("tar-shape-parent", tarred(b"../x"), "A01", "parent")
    yield bad("tar-shape-absolute", tarred(b"/x"), "A02", "absolute")
    yield bad("tar-shape-backslash", tarred(b"..\\x"), "A01 A03", "backslash")
    yield bad("tar-shape-link", soft + tarred(b"a.png"), "A05", "link to a file")
    yield bad("tar-shape-folder", tar_header(b"l", kind=b"2", link=b"/etc") + TAR_END, "A05", "link to a folder")
    through = tar_header(b"l", kind=b"2", link=b"/etc") + tarred(b"l/x")
    yield bad("tar-shape-through", through, "A05 A15", "file through a link")
    yield bad("tar-shape-chain", soft + tar_header(b"m", kind=b"2", link=b"l") + TAR_END, "A05", "chain of links")
    yield bad("tar-shape-hard", tar_header(b"h", kind=b"1", link=etc) + tarred(b"a.png"), "A06", "hard link")

    yield bad("7z-shape-parent", lambda: _sevened(b"../xx"), "A01", "parent")
    yield bad("7z-shape-absolute", lambda: _sevened(b"/xxxx"), "A02", "absolute")
    yield bad("7z-shape-backslash", lambda: _sevened(b"..\\xx"), "A01 A03", "backslash")
    yield bad("7z-shape-link", lambda: seven_of_kind(stat.S_IFLNK), "A05", "link to a file")
    yield bad("7z-shape-folder", lambda: seven_of_kind(stat.S_IFLNK, b"/etc"), "A05", "link to a folder")
    yield bad("7z-shape-through", lambda: seven_of_kind(stat.S_IFLNK, b"/etc", "l/x"), "A05 A15", "file through a link")
    yield bad("7z-shape-chain", lambda: seven_of_kind(stat.S_IFLNK, b"l", "m"), "A05", "chain of links")
    # the format has no hard links: a Windows junction is what comes next
    yield bad("7z-shape-hard", _junction, "A05 A07", "hard link")

    yield bad("rar-shape-parent", rar5(file5("../x", PNG)), "A01", "parent")
    yield bad("rar-shape-absolute", rar5(file5("/x", PNG)), "A02", "absolute")
    yield bad("rar-shape-backslash", rar5(file5("..\\x", PNG)), "A01 A03", "backslash")
    soft5 = file5("l", b"", mode=LINK, redirect=(1, "/etc/passwd"))
    to_folder = file5("l", b"", mode=LINK, redirect=(1, "/etc"))
    yield bad("rar-shape-link", rar5(soft5), "A05", "link to a file")
    yield bad("rar-shape-folder", rar5(to_folder), "A05", "link to a folder")
    yield bad("rar-shape-through", rar5(to_folder, file5("l/x", PNG)), "A05 A15", "file through a link")
    chain = rar5(soft5, file5("m", b"", mode=LINK, redirect=(1, "l")))
    yield bad("rar-shape-chain", chain, "A05", "chain of links")
    hard5 = rar5(file5("g.png", PNG), file5("h", b"", redirect=(4, "g.png")))
    yield bad("rar-shape-hard", hard5, "A06", "hard link")


def _junction() -> bytes:
    data = seven({"a.png": b"C:\\Windows"}, plain_header=True)
    mark = b"\x15\x06\x01\x00"
    at = data.index(mark) + 4
    return forged(data, mark + data[at : at + 4], mark + struct.pack("<I", 0x400 | 0x10))


# ---------------------------------------------------------------------------------------------------------------------
# zip: the fourteen ambiguities
# ---------------------------------------------------------------------------------------------------------------------


def _ambiguous_metadata() -> Iterator[Bad]:
    deflated = len(Zipped(b"a.png", method=8).packed())
    for where in ("local", "central"):
        lie: Lies = {"method": 0, "packed": len(PNG)}
        yield bad(f"zip-a1-stored-{where}", zipped(Zipped(b"a.png", method=8, **{where: lie})), "A18 A10 A17 A12", "a1")
        lie = {"method": 8}
        yield bad(f"zip-a1-deflated-{where}", zipped(Zipped(b"a.png", **{where: lie})), "A18", "a1")
    yield from _ambiguous_sizes(deflated)
    yield from _ambiguous_names()
    yield from _ambiguous_kinds()
    for where in ("local", "central"):
        lie = {"flags": 1}
        yield bad(f"zip-a5-{where}", zipped(Zipped(b"a.png", **{where: lie}), GOOD), "A18", "a5")
        lie = {"flags": 0x41}
        yield bad(f"zip-a5-strong-{where}", zipped(Zipped(b"a.png", **{where: lie}), GOOD), "A18", "a5")


def _ambiguous_sizes(deflated: int) -> Iterator[Bad]:
    for method, packed in ((0, len(PNG)), (8, deflated)):
        true = {"packed": packed, "unpacked": len(PNG), "crc": zlib.crc32(PNG)}
        for where, key in itertools.product(("local", "central"), true):
            for value in (0, true[key] - 1, true[key] + 1, FULL_LONG):
                made = Zipped(b"a.png", method=method, **{where: {key: value}})  # type: ignore[arg-type]
                yield bad(f"zip-a2-{method}-{where}-{key}-{value}", zipped(made, GOOD), "A18 A10 A17 A12 A16", "a2")
        for key, mark, wide in itertools.product(true, (False, True), (False, True)):
            for value in (0, true[key] + 1):
                honest = Zipped(b"a.png", method=method)
                after = descriptor(honest, mark=mark, wide=wide, **{key: value})
                made = Zipped(b"a.png", method=method, flags=8, descriptor=after)
                name = f"zip-a2-{method}-descriptor-{key}-{value == 0}-{mark}-{wide}"
                yield bad(name, zipped(made, GOOD), "A18", "a2")
        for where in ("local", "central"):
            key = "local_extra" if where == "local" else "extra"
            full: Lies = {"packed": FULL_LONG, "unpacked": FULL_LONG}
            for lie, numbers in {
                "zero": (0, 0), "swapped": (packed + 1, len(PNG)), "short": (len(PNG),), "more": (len(PNG) + 1, packed),
            }.items():  # fmt: skip
                made = Zipped(b"a.png", method=method, **{where: full, key: wide_field(*numbers)})  # type: ignore[arg-type]
                yield bad(f"zip-a2-{method}-wide-{where}-{lie}", zipped(made, GOOD), "A18 A19 A10 A17 A12", "a2")
                if lie != "short" or numbers != (len(PNG),):
                    made = Zipped(b"a.png", method=method, **{key: wide_field(*numbers)})  # type: ignore[arg-type]
                    yield bad(f"zip-a2-{method}-spare-{where}-{lie}", zipped(made, GOOD), "A19", "a2")
            twice = wide_field(len(PNG), packed) + wide_field(0, 0)
            made = Zipped(b"a.png", method=method, **{where: full, key: twice})  # type: ignore[arg-type]
            yield bad(f"zip-a2-{method}-wide-{where}-twice", zipped(made, GOOD), "A18 A19", "a2")
        no_descriptor = Zipped(b"a.png", method=method, flags=8)
        yield bad(f"zip-a2-{method}-no-descriptor", zipped(no_descriptor, GOOD), "A17", "a2")
        unasked = Zipped(b"a.png", method=method, descriptor=descriptor(Zipped(b"a.png", method=method)))
        yield bad(f"zip-a2-{method}-unasked-descriptor", zipped(unasked, GOOD), "A17", "a2")


def _ambiguous_names() -> Iterator[Bad]:
    for name in (b"b.png", b"a.PNG", b"a.png.exe", b"", b"a.png\0", b"../x"):
        for where in ("local", "central"):
            lie: Lies = {"name": name}
            made = zipped(Zipped(b"a.png", **{where: lie}), GOOD)
            yield bad(f"zip-a3-{where}-{name!r}", made, "A18 A17 A15 A04 A01 A10", "a3")
    up, other = unicode_path(b"a.png", b"b.png"), unicode_path(b"a.png", b"c.png")
    both = {"extra": up, "local_extra": up}
    cases: dict[str, Zipped] = {
        "two-names": Zipped(b"a.png", extra=up, local_extra=other),
        "local-only": Zipped(b"a.png", local_extra=up),
        "wrong-checksum": Zipped(b"a.png", extra=unicode_path(b"a.png", b"b.png", 1)),
        "version-0": Zipped(b"a.png", extra=unicode_path(b"a.png", b"b.png", version=0)),
        "version-2": Zipped(b"a.png", extra=unicode_path(b"a.png", b"b.png", version=2)),
        "two-fields": Zipped(b"a.png", extra=up + other, local_extra=up + other),
        "two-equal-fields": Zipped(b"a.png", extra=up + up, local_extra=up + up),
        "chained": Zipped(b"a.png", extra=up + unicode_path(b"b.png", b"c.png")),
        "flagged": Zipped(b"a.png", flags=UTF8, **both),
        "empty": Zipped(b"a.png", extra=unicode_path(b"a.png", b"")),
        "short": Zipped(b"a.png", extra=extra_field(0x7075, b"\1")),
        "flag-in-one": Zipped("é.png".encode(), flags=UTF8, local={"flags": 0}),
    }
    for name, member in cases.items():
        yield bad(f"zip-a3-{name}", zipped(member, GOOD), "A18", "a3")
    for name in (b"../x", b"/x", b"a/../../x", b"C:/x", b"a\nb"):
        made = unicode_path(b"a.png", name)
        yield bad(
            f"zip-a3-field-{name!r}", zipped(Zipped(b"a.png", extra=made, local_extra=made)), "A01 A02 A03 A04", "a3"
        )
    yield bad("zip-a3-broken-extra", zipped(Zipped(b"a.png", extra=b"\x75\x70\xff\x00x"), GOOD), "A17", "a3")
    yield bad("zip-a3-stray-extra", zipped(Zipped(b"a.png", extra=b"xyz"), GOOD), "A17", "a3")


def _ambiguous_kinds() -> Iterator[Bad]:
    """Folder or file, file or link: by the slash, by the mode, by the attribute."""
    yield bad("zip-a4-slash", names(b"test/"), "A15 A12", "a4")
    yield bad("zip-a4-backslash", names(b"test\\"), "A15 A12", "a4")
    packed: Lies = {"unpacked": 0}
    hiding = Zipped(b"test/", b"evil", local=packed, central=packed)
    yield bad("zip-a4-slash-with-hidden-data", zipped(hiding, GOOD), "A12 A15", "a4")
    hiding = Zipped(b"test/", b"", 8, local={"packed": 4}, central={"packed": 4}, descriptor=b"??")
    yield bad("zip-a4-slash-with-other-stream", zipped(hiding, GOOD), "A12", "a4")
    yield bad("zip-a4-file-and-folder", zipped(Zipped(b"a.png"), Zipped(b"a.png/", b"", mode=0o040755)), "A15", "a4")
    yield bad("zip-a4-folder-and-file", zipped(Zipped(b"A.png/", b"", mode=0o040755), Zipped(b"a.png")), "A15", "a4")
    kinds = {"folder": 0o040755, "fifo": 0o010644, "device": 0o020644, "block": 0o060644, "socket": 0o140755}
    for system in (0, 3, 10, 19):
        for kind, mode in kinds.items():
            yield bad(f"zip-a4-{kind}-{system}", zipped(Zipped(b"a", mode=mode, system=system)), "A07", "a4")
        yield bad(f"zip-a4-link-{system}", zipped(Zipped(b"a", b"/etc", mode=LINK, system=system)), "A05", "a4")
        for name, bit in (("attribute", 0x10), ("label", 0x08)):
            made = Zipped(b"a", mode=0, system=system, attributes=bit)
            yield bad(f"zip-a4-{name}-{system}", zipped(made, GOOD), "A07", "a4")


def _ambiguous_paths() -> Iterator[Bad]:
    one, other = Zipped(b"a/b", b"one"), Zipped(b"a/b", b"other")
    yield bad("zip-b1-twice", zipped(one, other), "A15", "b1")
    yield bad("zip-b1-twice-same", zipped(one, one), "A15", "b1")
    yield bad("zip-b1-thrice", zipped(one, other, one), "A15", "b1")
    for byte in (*range(0x20), 0x7F, *b'<>:"|?*'):
        for system in (0, 3):
            name = b"a" + bytes([byte]) + b"b"
            yield bad(f"zip-b2-{byte:02x}-{system}", zipped(Zipped(name, system=system)), "A04 A03", "b2")
    yield bad("zip-b2-mixed-encodings", zipped(Zipped(b"\xff\xfe\xfd.png", flags=UTF8)), "A22 A04", "b2")
    for path, faults in {
        b"/a/b": "A02", b"a//b": "A15", b"a\\b": "A03", b"./a/b": "A15", b"a/./b": "A01", b"a/b/.": "A01",
        b"../a/b": "A01", b".../a/b": "S15", b"a/.../b": "S15", b"c/../a/b": "A01", b"a/b/": "A15 A12",
        b"a/b\\": "A03", b"a/b ": "S15", b"a/b.": "S15",
    }.items():  # fmt: skip
        yield bad(f"zip-b3-{path!r}-first", zipped(Zipped(path), one), faults, "b3")
        yield bad(f"zip-b3-{path!r}-last", zipped(one, Zipped(path)), faults, "b3")
    for shape, pair in (TWINS | {"kelvin": (b"K.png", b"k.png"), "dotless": (b"A/x", b"a/X")}).items():
        yield bad(f"zip-b4-{shape}", zipped(*(Zipped(name, flags=UTF8) for name in pair)), "A15", "b4")


def _three() -> tuple[Zipped, Zipped, Zipped]:
    return Zipped(b"a", b"a"), Zipped(b"b", b"b"), Zipped(b"c", b"c")


def _ambiguous_places() -> Iterator[Bad]:
    yield from _hidden_members()
    yield from _several_ends()
    yield from _miscounted()
    yield from _moved_directories()


def _hidden_members() -> Iterator[Bad]:
    """c1: local headers that the directory does not list, and the reverse."""
    one, two, three = _three()
    for shape, pair in (("last", (one, Zipped(b"c", b"c"))), ("only", (one,))):
        hidden = local_header(two) + two.packed()
        yield bad(f"zip-c1-unlisted-{shape}", zipped(*pair, gap=hidden), "A17", "c1")
    yield bad("zip-c1-unlisted-middle", zipped(one, Zipped(b"c", b"c", before=local_header(two) + b"b")), "A17", "c1")
    yield bad("zip-c1-unlisted-first", zipped(Zipped(b"c", b"c", before=local_header(two) + b"b")), "A17", "c1")
    for size in (1, 4, 12, 16, 24, 30, 1000):
        yield bad(f"zip-c1-gap-{size}", zipped(one, Zipped(b"c", b"c", before=bytes(size))), "A17", "c1")
        yield bad(f"zip-c1-gap-end-{size}", zipped(one, gap=bytes(size)), "A17", "c1")
    body, directory = bodies(one)
    fake = directory + end_record(1, len(directory), len(body))
    truncating = zipped(Zipped(b"a", b"a", descriptor=fake), two, three)
    yield bad("zip-c1-fake-end-between", truncating, "A17", "c1")

    def in_comments(where: str) -> bytes:
        body, _ = bodies(one)
        inner = local_header(two) + two.packed()
        listed = [central_header(one, 0)]
        place = len(body) + len(listed[0]) + 46 + 1
        holder = Zipped(b"b", b"b", central={"offset": place}, comment=inner if where == "member" else b"")
        listed.append(central_header(holder, place))
        directory = b"".join(listed)
        if where == "archive":
            place = len(body) + len(directory) + 22
            directory = listed[0] + central_header(Zipped(b"b", b"b"), place)
        comment = inner if where == "archive" else b""
        return body + directory + end_record(2, len(directory), len(body), comment)

    for where in ("member", "archive"):
        yield bad(f"zip-c1-local-in-{where}-comment", lambda w=where: in_comments(w), "A10 A17 A18", "c1")  # type: ignore[misc]

    inner = Zipped(b"a", b"a")
    junk = Zipped(b"junk", local_header(inner) + inner.packed())
    for overlap in (False, True):
        outer, _ = bodies(junk, two)
        listed = central_header(inner, len(local_header(junk)))
        listed += central_header(junk, 0) + central_header(two, len(bodies(junk)[0])) if overlap else b""
        made = outer + listed + end_record(3 if overlap else 1, len(listed), len(outer))
        yield bad(f"zip-c1-desynchronised-{overlap}", made, "A10 A17", "c1")

    prefix = b"data before "
    ending = prefix + b"PK\x07\x08" + struct.pack("<3I", zlib.crc32(prefix), len(prefix), len(prefix))
    for wide in (False, True):
        more = (
            ending if not wide else prefix + b"PK\x07\x08" + struct.pack("<I2Q", zlib.crc32(prefix), *[len(prefix)] * 2)
        )
        hiding = streamed(b"a.png", more + local_header(two) + b"b", 0)
        yield bad(f"zip-c1-descriptor-in-the-data-{wide}", zipped(hiding, GOOD), "A18", "c1")
    lost = zipped(one, two)
    yield bad("zip-c1-no-local-header", lost.replace(b"PK\x03\x04", b"PK\x03\x05", 1), "A18 A23", "c1")
    second = lost.index(b"PK\x03\x04", 4)
    yield bad("zip-c1-no-second-local-header", lost[:second] + b"XXXX" + lost[second + 4 :], "A18", "c1")


def _several_ends() -> Iterator[Bad]:
    """c2: which end record is the end?"""
    one, two = zipped(Zipped(b"a")), zipped(Zipped(b"b"))
    yield bad("zip-c2-two-archives", one + two, "A17", "c2")
    yield bad("zip-c2-two-ends", one + one[-22:], "A17", "c2")
    for cut in (1, 4, 21):
        yield bad(f"zip-c2-half-an-end-more-{cut}", one + one[-22:][:cut], "A17", "c2")
    for wrong in (-1, 1, 2):
        body, directory = bodies(Zipped(b"a"))
        for text in (b"", b"hello", b"PK\x05\x06" + bytes(18)):
            length = len(text) + wrong
            if length >= 0:
                made = body + directory + end_record(1, len(directory), len(body), text, comment=length)
                yield bad(f"zip-c2-comment-{len(text)}-{wrong}", made, "A17", "c2")
    for number, text in enumerate(
        (b"PK\x05\x06", two, b"PK\x01\x02", b"PK\x06\x07" + bytes(16), b"x" * 60 + two[-22:])
    ):
        yield bad(f"zip-c2-comment-holding-{number}", zipped(Zipped(b"a"), comment=text), "A17", "c2")
    sizes = len(one) + 1
    parts = [
        _at(number * sizes, Zipped(name), b"\0", comment=(2 - number) * sizes + 1)
        for number, name in enumerate((b"a", b"b", b"c"))
    ]
    yield bad("zip-c2-three-in-one", b"".join(parts), "A17", "c2")
    for change in (-1, 1):
        parts = [
            _at(n * sizes, Zipped(name), b"\0", comment=(2 - n) * sizes + 1 + (change if n != 1 else 0))
            for n, name in enumerate((b"a", b"b", b"c"))
        ]
        yield bad(f"zip-c2-three-in-one-{change}", b"".join(parts), "A17", "c2")


def _at(place: int, member: Zipped, text: bytes, **end: int) -> bytes:
    """A zip that knows that it stands at `place`."""
    body = local_header(member) + member.packed()
    directory = central_header(member, place)
    return body + directory + end_record(1, len(directory), place + len(body), text, **end)


def _miscounted() -> Iterator[Bad]:
    """c3: how many members are there?"""
    one, two, _ = _three()
    body, directory = bodies(one, two)
    first = len(central_header(one, 0))
    for here, count, short in itertools.product((1, 2), (1, 2), (False, True)):
        if (here, count, short) == (2, 2, False):
            continue
        size = first if short else len(directory)
        made = body + directory + end_record(2, size, len(body), here=here, count=count)
        yield bad(f"zip-c3-{here}-{count}-{short}", made, "A17", "c3")
        wide = wide_end(len(body + directory), 2, size, len(body), here=here, count=count)
        for full in (False, True):
            lies = {"here": FULL, "count": FULL, "size": FULL_LONG, "offset": FULL_LONG} if full else {}
            made = body + directory + wide + end_record(2, len(directory), len(body), **lies)
            yield bad(f"zip-c5-{here}-{count}-{short}-{full}", made, "A19 A17", "c5")
    for count in (0, 3, FULL, 65_538):
        made = body + directory + end_record(2, len(directory), len(body), here=count & FULL, count=count & FULL)
        if count & FULL != 2:
            yield bad(f"zip-c3-{count}", made, "A17", "c3")
    for field, value in (("disk", 1), ("start", 1), ("disk", FULL), ("start", FULL)):
        made = body + directory + end_record(2, len(directory), len(body), **{field: value})
        yield bad(f"zip-c3-{field}-{value}", made, "A17", "c3")
    elsewhere = zipped(one, Zipped(b"b", b"b", disk=1))
    yield bad("zip-c3-member-on-another-disk", elsewhere, "A17", "c3")


def many(members: list[Zipped]) -> bytes:
    """A zip of so many members that joining them one by one would take too long; the count is cut to 16 bits."""
    body, listed, at = [], [], 0
    for member in members:
        body.append(local_header(member))
        listed.append(central_header(member, at))
        at += len(body[-1])
    directory = b"".join(listed)
    count = len(members) & FULL
    return b"".join(body) + directory + end_record(count, len(directory), at)


def _moved_directories() -> Iterator[Bad]:
    """c4 and c5: where is the directory? By its offset, by its size before the end, or by the ZIP64 records."""
    one, two, three = _three()
    body, directory = bodies(one, two)
    for wrong in (-1, 1, -len(body), 10, FULL_LONG - len(body)):
        made = body + directory + end_record(2, len(directory), len(body) + wrong)
        yield bad(f"zip-c4-offset-{wrong}", made, "A17", "c4")
        if wrong > 0:
            shifted = b"".join(
                central_header(m, at + wrong & FULL_LONG) for m, at in ((one, 0), (two, len(bodies(one)[0])))
            )
            made = body + shifted + end_record(2, len(shifted), len(body) + wrong & FULL_LONG)
            yield bad(f"zip-c4-all-offsets-{wrong}", made, "A17 A18", "c4")
    for front in (b"\0", b"MZ stub", b"#!/bin/sh\n", b"PK\x03\x04", b"PK00PK\x03\x04"):
        whole = zipped(one, two)
        yield bad(f"zip-c4-front-{len(front)}", front + whole, "A17 A23", "c4")
        corrected = zipped(Zipped(b"a", b"a", before=front), two)
        yield bad(f"zip-c4-front-corrected-{len(front)}", corrected, "A17 A23 A18", "c4")
    for size in (1, 20, 46):
        made = body + directory + bytes(size) + end_record(2, len(directory), len(body))
        yield bad(f"zip-c4-gap-before-end-{size}", made, "A17", "c4")
    groups = _two_directories()
    yield bad("zip-c4-two-directories", groups[0], "A17", "c4")
    yield bad("zip-c5-two-directories", groups[1], "A19 A17", "c5")
    yield from _hidden_wide_ends(three)
    plain = zipped(one, two)
    at = len(plain) - 22
    lies: dict[str, dict[str, int]] = {
        "locator-off": {"at": at - 1}, "locator-zero": {"at": 0}, "locator-far": {"at": 1 << 60}, "disks": {"disks": 2},
        "its-disk": {"its_disk": 1}, "length": {"length": 45}, "length-zero": {"length": 0}, "disk": {"disk": 1},
        "start": {"start": 1}, "size": {"size": len(directory) - 1}, "offset": {"offset": len(body) + 1},
        "giant": {"size": 1 << 62}, "giant-count": {"here": 1 << 40, "count": 1 << 40},
    }  # fmt: skip
    full = {"here": FULL, "count": FULL, "size": FULL_LONG, "offset": FULL_LONG}
    for name, lie in lies.items():
        for narrow in (False, True):
            wide = wide_end(at, 2, len(directory), len(body), **lie)
            end = end_record(2, len(directory), len(body), **(full if narrow else {}))
            yield bad(f"zip-c5-{name}-{narrow}", plain[:at] + wide + end, "A19 A17 A14", "c5")
    for key, value in full.items():
        made = plain[:at] + end_record(2, len(directory), len(body), **{key: value})
        yield bad(f"zip-c5-promised-{key}", made, "A17", "c5")
    wide = wide_end(at, 2, len(directory), len(body))
    yield bad("zip-c5-record-without-locator", plain[:at] + wide[:56] + plain[at:], "A17", "c5")
    yield bad("zip-c5-locator-without-record", plain[:at] + wide[56:] + plain[at:], "A19", "c5")
    yield bad("zip-c5-two-records", plain[:at] + wide + wide + plain[at:], "A19 A17", "c5")
    yield bad("zip-c5-gap-behind-locator", plain[:at] + wide + b"\0" + plain[at:], "A17", "c5")


def _two_directories() -> tuple[bytes, bytes]:
    """One at the stated offset, another one right before the end."""
    first, second = Zipped(b"adjac", b"A" * 11), Zipped(b"adjac", b"B" * 11)
    stated_body, stated = bodies(first)
    near = central_header(second, len(stated_body))
    body = stated_body + stated + local_header(second) + second.packed()
    wide = wide_end(len(body) + len(near), 1, len(stated), len(stated_body))
    full = {"here": FULL, "count": FULL, "size": FULL_LONG, "offset": FULL_LONG}
    return (
        body + near + end_record(1, len(stated), len(stated_body)),
        body + near + wide + end_record(1, 0, 0, **full),
    )


def _hidden_wide_ends(other: Zipped) -> Iterator[Bad]:
    """A second archive with ZIP64 end records in the last comment of the first one: 64 ways to choose between them."""
    for bits in range(64):
        disk, count, size, offset, gap, more = (bool(bits >> n & 1) for n in range(6))
        shown = [Zipped(b"a", b"a")] if more else [Zipped(b"a", b"a"), Zipped(b"b", b"b")]
        hidden = [other, Zipped(b"d", b"d")] if more else [other]
        body, _ = bodies(*shown)
        begin = len(body) + sum(len(central_header(m, 0)) for m in shown)
        inner = b"".join(local_header(m) + m.packed() for m in hidden)
        at, listed = begin, b""
        for member in hidden:
            listed += central_header(member, at)
            at += len(local_header(member) + member.packed())
        text = inner + listed + wide_end(begin + len(inner) + len(listed), len(hidden), len(listed), begin + len(inner))
        text += b"\0" if gap else b""
        shown[-1] = Zipped(shown[-1].name, shown[-1].data, comment=text)
        body, directory = bodies(*shown)
        lies = {"disk": FULL, "start": FULL} if disk else {}
        lies |= {"here": FULL, "count": FULL} if count else {}
        lies |= {"size": FULL_LONG} if size else {}
        lies |= {"offset": FULL_LONG} if offset else {}
        made = body + directory + end_record(len(shown), len(directory), len(body), **lies)
        yield bad(f"zip-c5-hidden-{bits}", made, "A19 A17", "c5")


# ---------------------------------------------------------------------------------------------------------------------
# zip: everything else
# ---------------------------------------------------------------------------------------------------------------------


def _zip_others() -> Iterator[Bad]:
    chance = random.Random(1)
    flat = bytes(2 << 20)
    yield bad("zip-A09-ratio", lambda: zipped(Zipped(b"a", flat, 8)), "A09")
    yield bad("zip-A09-total", lambda: zipped(*(_bzip(b"%d" % n, bytes((1 << 20) + n)) for n in range(3))), "A09")
    yield bad("zip-A10-overlap", _full_overlap, "A10")
    yield bad("zip-A10-quoted-overlap", _quoted_overlap, "A10 A17 A18")
    yield bad(
        "zip-A10-into-directory", zipped(Zipped(b"a", **_both(packed=len(PNG) + 9, unpacked=len(PNG) + 9))), "A10"
    )
    for name, numbers in {
        "giant": {"packed": 0x7FFFFFFF, "unpacked": 0x7FFFFFFF}, "full": {"packed": 0xFFFFFFF0, "unpacked": 0xFFFFFFF0},
        "unpacked-giant": {"unpacked": 0x7FFFFFFF}, "packed-giant": {"packed": 0x7FFFFFFF},
        "unpacked-less": {"unpacked": len(PNG) - 1}, "unpacked-more": {"unpacked": len(PNG) + 1},
        "unpacked-zero": {"unpacked": 0}, "packed-zero": {"packed": 0}, "both-zero": {"packed": 0, "unpacked": 0},
        "crc": {"crc": 1},
    }.items():  # fmt: skip
        for method in (0, 8):
            made = zipped(Zipped(b"a", method=method, **_both(**numbers)), GOOD)
            yield bad(f"zip-A12-A13-{name}-{method}", made, "A09 A10 A12 A13 A16 A17")
    for field in ("name_size",):
        for value in (0, 1, FULL):
            for where in ("local", "central"):
                made = zipped(Zipped(b"abc", **{where: {field: value}}), GOOD)
                yield bad(f"zip-A13-{field}-{value}-{where}", made, "A10 A17 A18 A15")
    yield bad("zip-A13-comment-size", zipped(Zipped(b"a", central={"comment_size": FULL}), GOOD), "A17")
    wide = {"method": 8, "extra": wide_field(1 << 62, 1 << 62)}
    full: Lies = {"packed": FULL_LONG, "unpacked": FULL_LONG}
    yield bad("zip-A13-wide-giant", zipped(Zipped(b"a", central=full, **wide)), "A10 A18 A09")  # type: ignore[arg-type]
    yield bad("zip-A14-count", lambda: _claims(3_000_000), "A14 A17 A19")
    yield bad("zip-A14-directory", lambda: _claims(1_000_000, size=1 << 40), "A14 A17 A19")
    for method in (1, 2, 3, 4, 5, 6, 7, 10, 11, 16, 18, 19, 94, 96, 97, 99, 1000, FULL):
        yield bad(f"zip-A21-{method}", zipped(Zipped(b"a.png", method=method)), "A21")
    yield bad("zip-A21-strong", zipped(Zipped(b"a.png", flags=0x41)), "A21 A20")
    for flags, after in ((1, b""), (9, descriptor(Zipped(b"a.png"))), (0x801, b"")):
        yield bad(f"zip-A20-{flags}", zipped(Zipped(b"a.png", flags=flags, descriptor=after)), "A20")
    yield bad("zip-A20-aes", zipped(Zipped(b"a.png", method=99, flags=1, **_aes())), "A20 A21")
    for name, member in {"deflate": Zipped(b"a", method=8), "stored": Zipped(b"a")}.items():
        good = zipped(member)
        start, length = 31, len(member.packed())
        for number in range(12):
            at = start + chance.randrange(length)
            flipped = good[:at] + bytes([good[at] ^ 1 << chance.randrange(8)]) + good[at + 1 :]
            yield bad(f"zip-A16-{name}-{number}", flipped, "A16 A12")
    yield from _streams_that_do_not_fit()
    packed = len(Zipped(b"a", method=8).packed())
    more = Zipped(b"a", method=8, **_both(packed=packed + 4), descriptor=b"more")
    yield bad("zip-A12-data-after-the-stream", zipped(more), "A12")
    yield bad("zip-A12-two-streams", zipped(_twice_deflated()), "A12")
    yield from _zip_cuts()


def _streams_that_do_not_fit() -> Iterator[Bad]:
    """Longer or shorter than declared, with a checksum that fits, or with something behind their end."""
    data = bytes(range(200)) * 2
    streams = {
        "deflate": (8, 0, Zipped(b"", data, 8).packed()), "bzip2": (12, 0, bz2.compress(data)),
        "lzma": (14, 2, lzma_packed(data)), "lzma-sized": (14, 0, lzma_without_mark(data)),
    }  # fmt: skip
    for name, (method, flags, body) in streams.items():

        def made(body: bytes, claimed: bytes, method: int = method, flags: int = flags) -> bytes:
            return zipped(Packed(b"a", claimed, method, flags, body=body))

        yield bad(f"zip-A12-{name}-longer", made(body, data[:99]), "A12 A16")
        yield bad(f"zip-A12-{name}-shorter", made(body, data + b"more"), "A12 A16")
        yield bad(f"zip-A12-{name}-twice", made(body + body, data), "A12 A16")
        yield bad(f"zip-A12-{name}-byte-behind", made(body + b"\0", data), "A12 A16")
        yield bad(f"zip-A12-{name}-cut", made(body[:-7], data), "A12 A16")
        yield bad(f"zip-A12-{name}-nothing", made(b"", data), "A09 A12 A16")
        yield bad(f"zip-A12-{name}-broken", made(body[:9] + bytes(20) + body[29:], data), "A12 A16")
        yield bad(f"zip-A16-{name}-crc", made(body, data[:-1] + b"?"), "A16")
    yield bad("zip-A16-lzma-properties", zipped(Packed(b"a", data, 14, 2, body=lzma_packed(data)[:8])), "A16")
    giant = bytearray(lzma_packed(data))
    giant[5:9] = (257 << 20).to_bytes(4, "little")
    yield bad("zip-A13-lzma-dictionary", zipped(Packed(b"a", data, 14, 2, body=bytes(giant))), "A13")


def _both(**numbers: int) -> dict[str, Lies]:
    return {"local": dict(numbers), "central": dict(numbers)}


def _aes() -> dict[str, bytes]:
    made = extra_field(0x9901, struct.pack("<H2sBH", 2, b"AE", 3, 0))
    return {"extra": made, "local_extra": made}


def _bzip(name: bytes, data: bytes) -> Zipped:
    packed = bz2.compress(data)
    facts = {"crc": zlib.crc32(data), "unpacked": len(data), "method": 12}
    return Zipped(name, packed, **_both(**facts))


def _twice_deflated() -> Zipped:
    member = Zipped(b"a", b"one", 8)
    return Zipped(b"a", b"one", 8, **_both(packed=2 * len(member.packed())), descriptor=member.packed())


def _full_overlap() -> bytes:
    member = Zipped(b"0", PNG)
    body = local_header(member) + member.packed()
    directory = b"".join(central_header(Zipped(b"%d" % n, PNG), 0) for n in range(100))
    return body + directory + end_record(100, len(directory), len(body))


def _quoted_overlap() -> bytes:
    """Each member's data begin with the next one's header, quoted in a stored block of deflate."""
    kernel = Zipped(b"9", PNG, 8)
    files = [local_header(kernel) + kernel.packed()]
    listed = [(kernel, 0)]
    for number in range(8, -1, -1):
        inner = files[0]
        header = inner[:31]
        quoted = b"\0" + struct.pack("<HH", len(header), len(header) ^ FULL) + header
        data = header + PNG
        member = Zipped(b"%d" % number, data, 8, **_both(packed=len(quoted) + len(inner) - 31 + 31, unpacked=len(data)))
        files.insert(0, local_header(member) + quoted + inner[31:])
        listed.insert(0, (member, 0))
    body = files[0]
    directory, at = b"", 0
    for member, _ in listed:
        directory += central_header(member, at)
        at += 31 + 5
    return body + directory + end_record(len(listed), len(directory), len(body))


def _claims(count: int, size: int | None = None) -> bytes:
    member = Zipped(b"a")
    body, directory = bodies(member)
    wide = wide_end(len(body + directory), count, len(directory) if size is None else size, len(body))
    full = {"here": FULL, "count": FULL, "size": FULL_LONG, "offset": FULL_LONG}
    return body + directory + wide + end_record(1, 0, 0, **full)


def _zip_cuts() -> Iterator[Bad]:
    """Cut at every edge of the structure, and one byte to either side."""
    members = [Zipped(b"a.png"), Zipped(b"b.png", method=8), streamed(b"c.png"), Zipped(b"d/", b"", mode=0o040755)]
    good = zipped(*members, comment=b"a comment", wide={})
    edges = {0, len(good)}
    for mark in (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08"):
        at = good.find(mark)
        while at >= 0:
            edges |= {at, at + 4, at + 30, at + 46}
            at = good.find(mark, at + 1)
    for at in sorted({edge + step for edge in edges for step in (-1, 0, 1)}):
        if 0 <= at < len(good):
            yield bad(f"zip-A17-cut-{at}", good[:at], "A17 A23" if at < 4 else "A17")
    for number, more in enumerate((b"\0", b"\n", b"PK", b"garbage" * 1000, bytes(70_000))):
        yield bad(f"zip-A17-more-{number}", good + more, "A17")


def zip_archives() -> Iterator[Bad]:
    def write(*listed: bytes) -> bytes:
        return zipped(*(Zipped(name, flags=0 if name.isascii() else UTF8) for name in listed))

    yield from _names_in("zip", write)
    for name, fault in ((b"../evil/", "A01"), (b"/evil/", "A02"), (b"a/../../evil/", "A01"), (b"C:/", "A03")):
        yield bad(f"zip-folder-{name!r}", zipped(GOOD, Zipped(name, b"", mode=0o040755)), fault)
    yield from _ambiguous_metadata()
    yield from _ambiguous_paths()
    yield from _ambiguous_places()
    yield from _zip_others()


# ---------------------------------------------------------------------------------------------------------------------
# tar
# ---------------------------------------------------------------------------------------------------------------------

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes, "gz": lambda data: gzip.compress(data, mtime=0), "xz": lzma.compress, "bz2": bz2.compress, "zst": lambda data: zstd(data, checksum_flag=1),
}  # fmt: skip


def tar_archives() -> Iterator[Bad]:
    def pathed(*listed: bytes) -> bytes:
        return b"".join(pax(pax_record(b"path", name)) + tarred_member(b"q") for name in listed) + TAR_END

    def long_named(*listed: bytes) -> bytes:
        return (
            b"".join(tarred_member(b"././@LongLink", name + b"\0", kind=b"L") + tarred_member(b"q") for name in listed)
            + TAR_END
        )

    short = {name for name, (raw, _) in (TRAVERSAL | UNUSABLE).items() if len(raw) <= 100}
    for item in _names_in("tar", tarred):
        if not item.name.startswith("tar-name-") or item.name.removeprefix("tar-name-").rpartition("-")[0] in short:
            yield item
    yield from _names_in("tar-pax", pathed)
    yield from _names_in("tar-gnu", long_named)
    for name, fault in ((b"../evil/", "A01"), (b"/evil/", "A02"), (b"a/../../evil/", "A01")):
        yield bad(f"tar-folder-{name!r}", tarred_member(name, b"", kind=b"5") + tarred(b"good.png"), fault)
    yield bad(
        "tar-file-and-folder", tarred_member(b"a.png") + tarred_member(b"a.png/", b"", kind=b"5") + TAR_END, "A15"
    )
    for prefix, fault in ((b"..", "A01"), (b"/etc", "A02"), (b"a/..", "A01"), (b"C:", "A03")):
        made = tarred_member(b"x", magic=b"ustar\x0000", prefix=prefix) + TAR_END
        yield bad(f"tar-prefix-{prefix!r}", made, fault)
    for kind, faults in {b"1": "A06", b"2": "A05", b"3": "A07", b"4": "A07", b"6": "A07", b"S": "A07 A17 A27",
                         b"D": "A07", b"M": "A07", b"V": "A07", b"Z": "A07", b"7": "A07"}.items():  # fmt: skip
        if kind == b"7":
            continue  # contiguous files are regular ones
        for order in (0, 1):
            parts = [tarred_member(b"good.png"), tar_header(b"a.png", kind=kind, link=b"good.png")]
            yield bad(f"tar-kind-{kind!r}-{order}", b"".join(parts[::-1] if order else parts) + TAR_END, faults)
    for key, value in ((b"linkpath", b"/etc/passwd"), (b"path", b"../x")):
        linked = pax(pax_record(key, value)) + tar_header(b"l", kind=b"2", link=b"x") + TAR_END
        yield bad(f"tar-pax-{key!r}", linked, "A05 A01")
    yield from _tar_numbers()
    yield from _tar_streams()


def _tar_numbers() -> Iterator[Bad]:
    for number, size in enumerate(
        (b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-0000000001\0", b"99999999999\0", b"junk", b"\x80" + bytes(3) + b"\x7f" + b"\xff" * 7,
         b"77777777777\0", b"\xff" + bytes(11))
    ):  # fmt: skip
        made = tar_header(b"a.png", size=size) + PNG.ljust(1024, b"\0") + TAR_END
        yield bad(f"tar-A27-size-{number}", made, "A09 A17 A27 A16")
    for kind in (b"x", b"g", b"L", b"K"):
        for number, size in enumerate(
            (b"77777777777\0", b"%011o\0" % (7 << 30), b"\x80" + bytes(7) + b"\x40" + bytes(3))
        ):
            made = tar_header(b"h", size=size, kind=kind) + bytes(1 << 12)
            yield bad(f"tar-A27-endless-{kind!r}-{number}", made, "A09 A13 A17 A27")
    bomb = tar_header(b"h", size=64 << 20, kind=b"x") + bytes(64 << 20)
    yield bad("tar-A27-header-bomb", lambda: gzip.compress(bomb + tarred(b"a.png")), "A09 A13 A17 A27")
    yield bad(
        "tar-A27-long-name-bomb",
        lambda: gzip.compress(tar_header(b"h", size=64 << 20, kind=b"L") + b"a" * (64 << 20)),
        "A09 A13 A17 A27 S14",
    )
    chained = pax(pax_record(b"path", b"a")) * 3000
    yield bad("tar-A27-chained-headers", chained + tarred(b"a.png"), "A27 A17")
    yield bad("tar-A27-chained-long-names", tarred_member(b"l", b"x\0", kind=b"L") * 3000 + tarred(b"a.png"), "A27 A17")
    for value in (b"-1", b"junk", b"99999999999999999999999", b"1e3", b""):
        yield bad(f"tar-A27-pax-size-{value!r}", pax(pax_record(b"size", value)) + tarred(b"a.png"), "A17 A27 A09 A16")
    for records in (
        b"0 path=x\n",
        b"5 path=x\n",
        b"99 path=x\n",
        b"-5 path=x\n",
        b"x path=y\n",
        b"9 path=xx",
        b"\0" * 20,
        b"11 path:x\n12",
    ):
        yield bad(f"tar-A27-pax-{records[:6]!r}", pax(records) + tarred(b"a.png"), "A17 A27")
    for key in (b"GNU.sparse.major", b"GNU.sparse.size", b"GNU.sparse.map", b"GNU.sparse.realsize"):
        sparse = pax(
            pax_record(b"GNU.sparse.major", b"1")
            + pax_record(b"GNU.sparse.minor", b"0")
            + pax_record(key, b"1000000000000")
        )
        yield bad(f"tar-A27-sparse-{key!r}", sparse + tarred(b"a.png"), "A07 A17 A27 A09")


def _tar_streams() -> Iterator[Bad]:
    chance = random.Random(17)
    parts = [tarred_member(name, chance.randbytes(2000)) for name in (b"a.png", b"b.png")]
    good = b"".join(parts) + TAR_END
    for packer, pack in PACKERS.items():
        packed = pack(good)
        edges = (
            [100, 512, 513, 1000, len(parts[0]), len(parts[0]) + 1, len(parts[0]) + 512, len(good) - 1024]
            if packer == "plain"
            else []
        )
        for keep in sorted(
            {
                *edges,
                *(len(packed) * n // 8 for n in range(1, 8)),
                *([] if packer == "plain" else [len(packed) - 1, len(packed) - 4, 20]),
            }
        ):
            yield bad(f"tar-A17-{packer}-cut-{keep}", packed[:keep], "A16 A17 A27 A23 A31")
        yield bad(f"tar-A17-{packer}-more", pack(good + tarred(b"hidden.png")), "A17 A31")
        yield bad(f"tar-A17-{packer}-garbage", pack(good + b"garbage" * 100), "A17 A31")
        yield bad(f"tar-A25-{packer}", pack(bytes(10240)), "A25 A17 A23")
        if packer != "plain":
            yield bad(f"tar-A31-{packer}-trailing", packed + b"garbage" * 100, "A17 A31 A16")
            yield bad(f"tar-A31-{packer}-trailing-tar", packed + good, "A17 A31 A16")
            yield bad(f"tar-A31-{packer}-second", packed + pack(tarred(b"hidden.png")), "A17 A31")
            yield bad(f"tar-A17-{packer}-no-tar", pack(b"this is not a tar at all " * 100), "A17")
            yield bad(f"tar-A11-{packer}-in-{packer}", pack(packed), "A17")
            bomb = tar_header(b"a.png", size=(4 << 30) - 1)
            yield bad(f"tar-A09-{packer}-claim", pack(bomb + bytes(1 << 16)), "A09 A17 A27")
            for number in range(6):
                at = 12 + chance.randrange(len(packed) - 20)
                flipped = packed[:at] + bytes([packed[at] ^ 1 << chance.randrange(8)]) + packed[at + 1 :]
                yield bad(f"tar-A16-{packer}-flip-{number}", flipped, "A16 A17 A27 A31 A04 A09 A15")
    for number in range(8):
        at = chance.randrange(500)
        header = bytearray(parts[1])
        header[at] ^= 0x7F  # no blank becomes a NUL
        yield bad(f"tar-A27-header-{number}", parts[0] + bytes(header) + TAR_END, "A16 A17 A27")
    window = bytearray(zstd(tarred(b"a.png") * 3, content_size_flag=0, window_log=17))
    window[5] = (30 - 10) << 3
    yield bad("tar-A31-zst-window", bytes(window), "A16 A17 A31")
    crc = gzip.compress(good, mtime=0)
    yield bad("tar-A16-gz-crc", crc[:-8] + bytes([crc[-8] ^ 1]) + crc[-7:], "A16 A17")
    yield bad("tar-A16-gz-length", crc[:-4] + bytes([crc[-4] ^ 1]) + crc[-3:], "A16 A17")
    old = bytearray(tar_header(b"a.png", 3, magic=bytes(8)))
    yield bad("tar-A23-without-magic", bytes(old) + b"abc".ljust(512, b"\0") + TAR_END, "A23")


# ---------------------------------------------------------------------------------------------------------------------
# 7z and rar
# ---------------------------------------------------------------------------------------------------------------------


def seven_archives() -> Iterator[Bad]:
    for item in _names_in("7z", _sevened):
        if not item.name.startswith("7z-twins"):
            yield item
    for shape, pair in TWINS.items():
        if len({name.decode() for name in pair}) == 2:
            yield bad(f"7z-twins-{shape}", lambda p=pair: _sevened(*p), "A15")  # type: ignore[misc]
    for kind in (stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK):
        yield bad(f"7z-kind-{kind:o}", lambda k=kind: seven_of_kind(k), "A07")  # type: ignore[misc]
    plain = seven({"a.png": PNG, "b/c.png": PNG[:50]}, plain_header=True)
    packed = seven({"a.png": PNG, "b/c.png": PNG[:50]})
    header = seven_header(plain)
    for name, data in (("plain", plain), ("packed", packed)):
        for keep in sorted({6, 12, 31, 32, 33, *(len(data) * n // 10 for n in range(1, 10)), len(data) - 1}):
            yield bad(f"7z-A17-{name}-cut-{keep}", data[:keep], "A17 A16 A23")
        for number, at in enumerate((6, 8, 12, 20, 28)):
            yield bad(
                f"7z-A16-{name}-start-{number}", data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :], "A16 A17 A21"
            )
        begin, size = 32, struct.unpack("<Q", data[12:20])[0]
        for at in range(begin, begin + size, max(1, size // 6)):
            yield bad(f"7z-A16-{name}-data-{at}", data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], "A16 A17 A12 A21")
        yield bad(f"7z-A17-{name}-more", data + b"garbage" * 10, "A17")
        yield bad(f"7z-A17-{name}-twice", data + data, "A17")
    for number in range(0, len(header), 7):
        made = header[:number] + bytes([header[number] ^ 0xFF]) + header[number + 1 :]
        broken = plain[: len(plain) - len(header)] + made
        yield bad(f"7z-A16-header-{number}", broken, "A16 A17")
    honest = seven({"a.png": bytes(1000)}, plain_header=True)
    sizes = b"\x0c\x83\xe8\x83\xe8"
    for name, lie in {
        "2GiB": b"\xf0\x00\x00\x00\x80", "8MiB": b"\xe0\x00\x00\x80", "all": b"\xff" + b"\xff" * 8, "less": b"\x83\xe7", "zero": b"\x00",
    }.items():  # fmt: skip
        yield bad(f"7z-A09-size-{name}", lambda v=lie: forged(honest, sizes, b"\x0c" + v * 2), "A09 A12 A13 A16 A17")  # type: ignore[misc]
    yield bad("7z-A13-count", lambda: forged(honest, b"\x05\x01", b"\x05\xf0\xff\xff\xff\x7f"), "A13 A14 A16 A17")
    yield bad("7z-A17-empty-header", lambda: with_seven_header(honest, b""), "A17 A16 A25")
    yield bad("7z-A17-header-of-zeros", lambda: with_seven_header(honest, bytes(40)), "A17 A16")
    for hidden in (False, True):
        yield bad(f"7z-A20-{hidden}", lambda h=hidden: seven({"a.png": PNG}, "secret", hidden=h), "A20")  # type: ignore[misc]
    yield bad("7z-A28-dictionary", lambda: forged(honest, b"\x21\x21\x01\x18", b"\x21\x21\x01\x28"), "A13 A16")


def rar_archives() -> Iterator[Bad]:
    yield from _names_in("rar", _rarred)
    for item in _names_in("rar4", _rarred4):
        if "composed" not in item.name and "sharp-s" not in item.name and "long-p" not in item.name:
            yield item
    for kind in (1, 2, 3):
        yield bad(f"rar-A05-{kind}", rar5(file5("a", b"", redirect=(kind, "..\\x"))), "A05")
    for kind in (4, 5):
        made = rar5(file5("good.png", PNG), file5("a", b"", redirect=(kind, "good.png")))
        yield bad(f"rar-A06-{kind}", made, "A06")
    yield bad("rar-A05-unknown-redirect", rar5(file5("a", b"", redirect=(77, "x"))), "A05 A06 A07")
    for mode in (0o010644, 0o020644, 0o060644, 0o140644, 0o120777, 0o040755):
        yield bad(f"rar-A07-{mode:o}", rar5(file5("a", PNG, mode=mode)), "A05 A07")
        yield bad(f"rar4-A07-{mode:o}", rar4({b"a": PNG}, mode=mode), "A05 A07")
    for name, more in {
        "crc": {"crc": 1}, "more": {"size": len(PNG) + 5}, "less": {"size": 5}, "zero": {"size": 0}, "giant": {"size": 1 << 40},
        "huge": {"size": (1 << 63) - 1},
    }.items():  # fmt: skip
        yield bad(f"rar-A12-{name}", rar5(file5("a.png", PNG, **more)), "A09 A12 A16 A13")
        if more.get("size", 0) < 1 << 32:
            made = RAR4 + block4(0x73, 0, bytes(6)) + file4(b"a.png", PNG, **more) + block4(0x7B, 0, b"")
            yield bad(f"rar4-A12-{name}", made, "A09 A12 A16 A13")
    yield bad("rar-A12-unknown-size", rar5(file5("a.png", PNG, file_flags=4 | 8)), "A12 A16")
    yield bad("rar-A13-name-size", rar5(file5("a.png", PNG, name_size=5000)), "A17 A16 A12")
    yield bad("rar-A13-header-size", RAR5 + struct.pack("<I", 0) + vint(1 << 30) + bytes(100), "A17 A16 A13")
    for method in (1, 5):
        yield bad(f"rar-A16-nonsense-{method}", rar5(file5("a.png", PNG, method=method)), "A16 A12 A29")
    encrypted = vint(1) + vint(0) + vint(0) + bytes([15]) + bytes(32)
    record = vint(len(encrypted)) + encrypted
    yield bad("rar-A20-member", rar5(file5("a.png", PNG, extra=record)), "A20")
    crypt = block5(4, 0, vint(0) + vint(0) + bytes([15]) + bytes(16))
    yield bad("rar-A20-headers", RAR5 + crypt + bytes(100), "A20 A17 A29")
    chance = random.Random(5)
    good5 = rar5(file5("a.png", chance.randbytes(3000)), file5("b.png", chance.randbytes(3000)))
    good4 = rar4({b"a.png": chance.randbytes(3000), b"b.png": chance.randbytes(3000)})
    for form, data in (("rar", good5), ("rar4", good4)):
        for keep in sorted({7, 8, 9, 20, 30, 60, *(len(data) * n // 10 for n in range(1, 10)), len(data) - 1}):
            yield bad(f"{form}-A17-cut-{keep}", data[:keep], "A16 A17 A12 A23 A25")
        for number in range(12):
            at = 8 + chance.randrange(len(data) - 8)
            flipped = data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
            yield bad(f"{form}-A16-flip-{number}", flipped, "A16 A17 A12 A20 A29 A05 A07 A15 N27")
        yield bad(f"{form}-A17-more", data + b"garbage" * 100, "A17")
        yield bad(f"{form}-A17-twice", data + data, "A17")
        yield bad(f"{form}-A17-before", b"MZ stub" + data, "A23 A17")
    yield bad("rar-N27-later-part", rar5(file5("a.png", PNG, flags=8), volume=1), "N27 A17")


def other_files() -> Iterator[Bad]:
    """What is no archive at all, whatever it is called."""
    for name, data in {
        "empty": b"", "text": b"hello", "zeros": bytes(4096), "image": PNG, "page": b"<!DOCTYPE html><html>", "pdf": b"%PDF-1.7",
        "pointer": b"version https://git-lfs.github.com/spec/v1\n", "elf": b"\x7fELF" + bytes(100), "PK": b"PK", "gz-only": gzip.compress(b""),
    }.items():  # fmt: skip
        yield bad(f"A23-{name}", data, "A23 A17 A25")


FORMATS: dict[str, Callable[[], Iterator[Bad]]] = {
    "zip": zip_archives, "tar": tar_archives, "7z": seven_archives, "rar": rar_archives, "shapes": _shapes, "others": other_files,
}  # fmt: skip
AMBIGUITIES = ("a1", "a2", "a3", "a4", "a5", "b1", "b2", "b3", "b4", "c1", "c2", "c3", "c4", "c5")
