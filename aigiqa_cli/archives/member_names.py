"""Member names: decoded for the whole archive at once, judged as data, never repaired."""

from __future__ import annotations

import struct
import unicodedata
import zlib
from collections.abc import Iterable, Sequence

from aigiqa_cli.archives.contract import Refusal
from aigiqa_cli.archives.zip_directory import Entry, the_field
from aigiqa_cli.names import folded, unsafe_reason

MAX_DEPTH = 16
_ENCODINGS = ("utf-8", "gb18030", "cp932")
_LAST_RESORT = "cp437"  # has a character for every byte
_UTF8_FLAG = 0x800
_UNICODE_PATH, _BEFORE_THE_NAME = 0x7075, 5
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
    if clean.count("/") > MAX_DEPTH:
        raise Refusal(f"the member {name!r} lies deeper than {MAX_DEPTH} folders", "A30")
    return clean


def judge_folder(name: str) -> str:
    """The clean name of an entry for a folder; "" for `./`, the folder itself. Raises Refusal like judge."""
    return "" if name in (".", "./") else judge(name.removesuffix("/"))


def refuse_twins(names: Iterable[str], folders: Iterable[str] = ()) -> None:
    """Two members may not become one file on any platform, nor a file and a folder one name (A15, S12)."""
    seen: dict[str, str] = {}
    for name in names:
        key = folded(name)
        if key in seen:
            raise Refusal(f"two members have one name: {seen[key]!r} and {name!r}", "A15")
        seen[key] = name
    above = {folder for key in seen for folder in _parents(key)} | {folded(folder) for folder in folders}
    for clash in above & seen.keys():
        raise Refusal(f"the member {seen[clash]!r} is a file and a folder", "A15")


def _parents(name: str) -> Iterable[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def zip_names(entries: Sequence[Entry]) -> list[str]:
    """The names of all members of a zip (A22): UTF-8 flag, else a valid Unicode-path field, else one encoding for
    all others. Deciding name by name would misread short GBK names, many of which are valid UTF-8."""
    names: list[str | None] = []
    raw: list[bytes] = []
    for entry in entries:
        second = unicode_path(entry.extra, entry.raw)
        flagged = _flagged(entry.raw) if entry.flags & _UTF8_FLAG else None
        if flagged is not None and second not in (None, flagged):
            raise Refusal(f"the member {flagged!r} has a second name that says {second!r}", "A18")
        names.append(second if flagged is None else flagged)
        if names[-1] is None:
            raw.append(entry.raw)
    decoded = iter(decode_all(raw))
    complete = [name if name is not None else next(decoded) for name in names]
    if any("\\" in name for name in complete) and not any("/" in name for name in complete):
        return [name.replace("\\", "/") for name in complete]  # Windows tools that know no other separator (A03)
    return complete


def _flagged(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(f"the name {raw!r} is flagged as UTF-8 and is not", "A22") from None


def decode_all(raw: list[bytes]) -> list[str]:
    """Names without a declared encoding, all in the first one that fits every name."""
    for encoding in _ENCODINGS:
        try:
            return [data.decode(encoding) for data in raw]
        except UnicodeDecodeError:
            continue
    return [data.decode(_LAST_RESORT) for data in raw]


def unicode_path(extra: bytes, raw_name: bytes) -> str | None:
    """The UTF-8 name of the Unicode-path field among the extra fields of a header; None if there is none."""
    body = the_field(extra, _UNICODE_PATH)
    if body is None:
        return None
    if len(body) <= _BEFORE_THE_NAME or body[0] != 1 or struct.unpack_from("<I", body, 1)[0] != zlib.crc32(raw_name):
        raise Refusal(f"the member {raw_name!r} has a second name that belongs to another one", "A18")
    try:
        return body[_BEFORE_THE_NAME:].decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise Refusal(f"the second name of the member {raw_name!r} is not UTF-8", "A22") from None
