"""The first bytes of an answer: the file that was asked for, or a web page in its place?"""

from __future__ import annotations

import hashlib
import html
import re
import zlib

from aigiqa_cli.errors import Fault, IntegrityFault, PersonNeeded
from aigiqa_cli.transport.answer import Answer, page_fault
from aigiqa_cli.transport.redact import cleaned

HEAD = 512
ENOUGH = 64 * 1024  # of a page, to tell its kind

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_MAGIC: dict[str, tuple[bytes, ...]] = {
    "zip": _ZIP,
    "xlsx": _ZIP,
    "npz": _ZIP,
    "7z": (b"7z\xbc\xaf\x27\x1c",),
    "rar": (b"Rar!\x1a\x07",),
    "gz": (b"\x1f\x8b",),
    "tgz": (b"\x1f\x8b",),
    "tar.gz": (b"\x1f\x8b",),
    "bz2": (b"BZh",),
    "tbz2": (b"BZh",),
    "tar.bz2": (b"BZh",),
    "xz": (b"\xfd7zXZ\x00",),
    "txz": (b"\xfd7zXZ\x00",),
    "tar.xz": (b"\xfd7zXZ\x00",),
    "zst": (b"\x28\xb5\x2f\xfd",),
    "tar.zst": (b"\x28\xb5\x2f\xfd",),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",),
    "parquet": (b"PAR1",),
    "npy": (b"\x93NUMPY",),
    "png": (b"\x89PNG\r\n\x1a\n",),
    "jpg": (b"\xff\xd8\xff",),
    "jpeg": (b"\xff\xd8\xff",),
    "pdf": (b"%PDF-",),
}
_TAR_MARK = slice(257, 262)
_LFS = b"version https://git-lfs.github.com/spec/v1"
_MARKUP = re.compile(
    # Possessive: a page of forty comments has 2**39 ways to be comments that enclose comments.
    r"\s*+(?:<!--(?:(?!-->).)*+-->\s*+)*+<(?:!doctype|html|head|body|title|script|meta|\?xml|error\b|div|form)",
    re.IGNORECASE | re.DOTALL,
)
_TITLE = re.compile(r"<title[^<>]*+>([^<]*+)</title", re.IGNORECASE)  # linear, also where nothing is ever closed
_TEXTS = ("html", "htm", "xml", "svg")

# In order: the first that fits names the page. Texts are those of the hosts, in lower case.
_KINDS: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (kind, fault, re.compile(pattern, re.DOTALL))
    for kind, fault, pattern in (
        (
            "host quota, too many downloads of this file lately",
            "N06",
            r"too many users have viewed or downloaded|quota exceeded|download quota",
        ),
        ("a virus-scan notice", "N06", r"virus scan warning|can.?t scan this file for viruses|too large .{0,40}virus"),
        (
            "a share page that a person has to open",
            "N06",
            r"pan\.baidu\.com|百度网盘|提取码|pan\.quark\.cn|夸克网盘|terabox",
        ),
        (
            "this network asks for a login",
            "N08",
            r"captive.?portal|hotspot|wi-?fi (?:login|access|gateway|portal)|network (?:login|sign.?in|authentication)",
        ),
        (
            "the file is not found",
            "N06",
            r"<title>[^<]*(?:not found|404|does ?n.t exist|no longer|gone)|nosuchkey|page not found",
        ),
        (
            "a permission is needed",
            "N06",
            r"request access|you need (?:access|permission)|access ?denied|permission denied|forbidden",
        ),
        ("a sign-in page", "N06", r"sign.?in|log.?in\b|type=.?password|servicelogin|登录|登入|anmelden"),
        ("a licence to accept", "N06", r"licen[cs]e|terms of (?:use|service)|agreement|i accept"),
    )
)


def judge(answer: Answer, name: str, expected: str) -> None:
    """Look at the head of a fresh body; raise a fault that names what came in place of an `expected` file."""
    head = answer.peek(HEAD)
    if head.startswith(_LFS):
        raise PersonNeeded(f"{answer.host} sent a Git LFS pointer, not the file {name}", fault="N06")
    plain = _unwrapped(head)
    if expected not in _TEXTS and _is_page(plain, answer.content_type, expected):
        raise _named(answer)
    if answer.encoding:
        raise encoding_fault(answer)
    if not _fits(head, expected):
        raise _not_the_format(answer, head, name, expected)


def page_instead(answer: Answer) -> Fault | None:
    """The fault for an error answer whose body is a page of a known kind; None for any other body."""
    if answer.content_type not in ("text/html", "application/xhtml+xml"):
        return None
    kind, title, mark, fault = _read(answer)
    return None if kind == _GENERIC else page_fault(answer, kind, title, mark, fault)


def encoding_fault(answer: Answer) -> PersonNeeded:
    return PersonNeeded(
        f"{answer.host} wraps the file in the encoding {cleaned(answer.encoding, 30)} although none was asked for",
        fault="N18",
    )


_GENERIC = "not the kind of content that was asked for"


def _named(answer: Answer) -> Fault:
    kind, title, mark, fault = _read(answer)
    return page_fault(answer, kind, title, mark, fault)


def _read(answer: Answer) -> tuple[str, str, str, str]:
    body = _unwrapped(answer.peek(ENOUGH))
    found = _TITLE.search(body)
    title = cleaned(html.unescape(found[1])) if found else ""
    lowered = body.lower()
    mark = hashlib.sha256(body.encode("utf-8", "replace")).hexdigest()
    for kind, fault, pattern in _KINDS:
        if pattern.search(lowered):
            return kind, title, mark, fault
    return _GENERIC, title, mark, "N06"


def _is_page(text: str, content_type: str, expected: str) -> bool:
    if _MARKUP.match(text):
        return True
    if expected.startswith("json") or content_type not in ("application/json", "application/problem+json"):
        return False
    return text.lstrip()[:1] in ("{", "[")


def _unwrapped(data: bytes) -> str:
    """The text at the start of `data`: gunzipped if it is gzip, decoded also from UTF-16."""
    if data[:2] == b"\x1f\x8b":
        try:
            data = zlib.decompressobj(wbits=31).decompress(data, ENOUGH)
        except zlib.error:
            return ""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    if data[1:2] == b"\0" and data[:1].strip():
        return data.decode("utf-16-le", "replace")
    if data[:1] == b"\0" and data[1:2] != b"\0":
        return data.decode("utf-16-be", "replace")
    return data.decode("utf-8-sig", "replace")


def _fits(head: bytes, expected: str) -> bool:
    kind = expected.lower()
    if kind == "tar":
        return head[_TAR_MARK] == b"ustar" or _old_tar(head) or head.startswith(_PACKED)
    magic = _MAGIC.get(kind)
    if magic is None:
        return True
    return any(head.startswith(mark) or (len(head) < len(mark) and mark.startswith(head)) for mark in magic)


def _old_tar(head: bytes) -> bool:
    """A header block without the ustar mark: its checksum holds (the field itself counts as blanks)."""
    if len(head) < HEAD:
        return True  # cut short: length or hash decide
    try:
        stated = int(head[148:156].strip(b" \0") or b"0", 8)
    except ValueError:
        return False
    return stated == sum(head[:148]) + 8 * 32 + sum(head[156:HEAD])


def _not_the_format(answer: Answer, head: bytes, name: str, expected: str) -> IntegrityFault:
    return IntegrityFault(
        f"{answer.host} sent something that is no {expected}: {name} begins with {head[:8].hex(' ') or 'nothing'}",
        fault="N06",
    )
