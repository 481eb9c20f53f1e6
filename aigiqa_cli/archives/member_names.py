"""Member names: decoded for the whole archive at once, judged as data, never repaired."""

from __future__ import annotations

import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable

from aigiqa_cli.archives.contract import Refusal
from aigiqa_cli.names import unsafe_reason

MAX_DEPTH = 16
_ENCODINGS = ("utf-8", "gb18030", "cp932", "cp437")
_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075
_JUNK_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})


def is_junk(name: str) -> bool:
    """What operating systems and office programs leave behind (A24): skipped and counted."""
    parts = name.split("/")
    last = parts[-1]
    return "__MACOSX" in parts or last.lower() in _JUNK_FILES or last.startswith(("._", "~$"))


def judge(name: str) -> str:
    """The NFC name, if it is a safe relative path on every platform; otherwise Refusal (A01-A04, A30)."""
    clean = unicodedata.normalize("NFC", name)
    while clean.startswith("./"):
        clean = clean[2:]
    reason, fault = unsafe_reason(clean)
    if reason:
        raise Refusal(f"the member {name!r} {reason}", fault)
    if clean.count("/") >= MAX_DEPTH:
        raise Refusal(f"the member {name!r} lies deeper than {MAX_DEPTH} folders", "A30")
    return clean


def judge_folder(name: str) -> None:
    """Refusal if the entry of a folder has an unsafe name; `./` is the folder itself."""
    if name not in (".", "./"):
        judge(name.removesuffix("/"))


def refuse_twins(names: Iterable[str]) -> None:
    """Two members may not become one file on any platform (A15, S12)."""
    seen: dict[str, str] = {}
    for name in names:
        folded = name.casefold()
        if folded in seen:
            raise Refusal(f"two members have one name: {seen[folded]!r} and {name!r}", "A15")
        seen[folded] = name
    folders = {folder for folded in seen for folder in _parents(folded)}
    for clash in folders & seen.keys():
        raise Refusal(f"the member {seen[clash]!r} is a file and a folder", "A15")


def _parents(name: str) -> Iterable[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def zip_names(members: list[zipfile.ZipInfo]) -> list[str]:
    """The names of all members of a zip (A22): UTF-8 flag, else a valid Unicode-path field, else one encoding for
    all others. Deciding name by name would misread short GBK names, many of which are valid UTF-8."""
    names: list[str | None] = []
    raw: list[bytes] = []
    for member in members:
        if member.flag_bits & _UTF8_FLAG:
            names.append(member.orig_filename)
            continue
        data = member.orig_filename.encode("cp437")
        names.append(unicode_path(member.extra, data))
        if names[-1] is None:
            raw.append(data)
    decoded = iter(decode_all(raw))
    complete = [name if name is not None else next(decoded) for name in names]
    if any("\\" in name for name in complete) and not any("/" in name for name in complete):
        return [name.replace("\\", "/") for name in complete]  # Windows tools that know no other separator (A03)
    return complete


def decode_all(raw: list[bytes]) -> list[str]:
    """Names without a declared encoding, all in the first one that fits every name."""
    for encoding in _ENCODINGS:
        try:
            return [data.decode(encoding) for data in raw]
        except UnicodeDecodeError:
            continue
    raise Refusal("the member names are in no known encoding", "A22")


def unicode_path(extra: bytes, raw_name: bytes) -> str | None:
    """The UTF-8 name of a Unicode-path field among the extra fields of a header; None if there is none."""
    while len(extra) >= 4:  # noqa: PLR2004 - header of an extra field
        kind, length = struct.unpack("<HH", extra[:4])
        body, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _UNICODE_PATH and len(body) > 5 and body[0] == 1:  # noqa: PLR2004
            if struct.unpack("<I", body[1:5])[0] != zlib.crc32(raw_name):
                raise Refusal(f"the member {raw_name!r} has a second name that belongs to another one", "A18")
            try:
                return body[5:].decode("utf-8", "strict")
            except UnicodeDecodeError:
                raise Refusal(f"the second name of the member {raw_name!r} is not UTF-8", "A22") from None
    return None
