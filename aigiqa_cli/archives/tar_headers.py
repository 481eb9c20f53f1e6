"""The headers of a tar, read strictly (A27): old, ustar, GNU and pax. What readers understand differently is refused.

The standard library's reader skips pax records that it cannot read, takes an unreadable header for the end, recurses
over chained headers, and reads one of any length into memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aigiqa_cli.archives.contract import MAX_MEMBERS, Refusal

BLOCK = 512
MAX_EXTENDED = 1 << 20
_NUMBER = re.compile(rb" *0*(?P<digits>[0-7]*)[ \0]*", re.DOTALL)
_RECORD = re.compile(rb"(?P<length>[1-9][0-9]{0,6}) (?P<key>[^=]+)=", re.DOTALL)
_CHECKSUM = slice(148, 156)
_FILE, _OLD_FILE, _CONTIGUOUS, _FOLDER = b"0", b"\0", b"7", b"5"
_HARD_LINK, _LINK = b"1", b"2"
_EXTENDED, _GLOBAL, _LONG_NAME, _LONG_LINK = (b"x", b"X"), b"g", b"L", b"K"
_USTAR = b"ustar\0"
_DECISIVE = (b"path", b"size", b"linkpath")


@dataclass(frozen=True)
class Header:
    """One member. `name` is text where the tar says that it is UTF-8, else bytes."""

    name: str | bytes
    size: int
    folder: bool


def read(take: Callable[[int], bytes]) -> Iterator[Header]:
    """The members in order, up to the end mark. `take(count)` gives the next bytes; a caller that gets a header takes
    its data, padded to blocks, before the next one."""
    for _ in range(MAX_MEMBERS):
        header = _member(take)
        if header is None:
            return
        yield header
    raise Refusal(f"more than {MAX_MEMBERS} members", "A14")


def _member(take: Callable[[int], bytes]) -> Header | None:
    said: dict[bytes, bytes] = {}  # pax records of the next member
    long: dict[bytes, bytes] = {}  # GNU long names of it
    while (block := _block(take)) is not None:
        kind = block[156:157]
        size = _number(block[124:136], "length")
        if kind in _EXTENDED:
            if said:
                raise Refusal("two extended headers stand in a row", "A27")
            said = _records(_extended(take, size))
        elif kind == _GLOBAL:
            if said or long or any(key in _DECISIVE for key in _records(_extended(take, size))):
                raise Refusal("a global header says what only a member's own may say", "A27")
        elif kind in (_LONG_NAME, _LONG_LINK):
            if kind in long:
                raise Refusal("two long names stand in a row", "A27")
            long[kind] = _extended(take, size).removesuffix(b"\0")
        else:
            return _judged(block, kind, size, said, long)
    if said or long:
        raise Refusal("the tar ends between an extended header and its member", "A17")
    return None


def _judged(block: bytes, kind: bytes, size: int, said: dict[bytes, bytes], long: dict[bytes, bytes]) -> Header:
    name = _name(block, said, long)
    if kind == _LINK:
        raise Refusal(f"the member {_shown(name)} is a link", "A05")
    if kind == _HARD_LINK:
        raise Refusal(f"the member {_shown(name)} is a hard link", "A06")
    if kind not in (_FILE, _OLD_FILE, _CONTIGUOUS, _FOLDER) or any(key.startswith(b"GNU.sparse") for key in said):
        raise Refusal(f"the member {_shown(name)} is no regular file", "A07")
    if b"size" in said:
        if not said[b"size"].isdigit():
            raise Refusal(f"the member {_shown(name)} has no readable length", "A27")
        size = int(said[b"size"])
    slash = name.endswith("/") if isinstance(name, str) else name.endswith(b"/")
    folder = kind == _FOLDER or (kind == _OLD_FILE and slash)  # the oldest tars mark folders by the slash alone
    if folder and size:
        raise Refusal(f"the folder {_shown(name)} holds data", "A27")
    return Header(name, size, folder)


def _name(block: bytes, said: dict[bytes, bytes], long: dict[bytes, bytes]) -> str | bytes:
    short = _text(block[:100])
    if block[257:263] == _USTAR and (prefix := _text(block[345:500])):
        short = prefix + b"/" + short
    path = said.get(b"path")
    if path is not None and long.get(_LONG_NAME, path) != path:
        raise Refusal(f"the member {_shown(path)} has two long names", "A27")
    raw = path if path is not None else long.get(_LONG_NAME, short)
    if path is None or said.get(b"hdrcharset") == b"BINARY":
        return raw
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw


def _block(take: Callable[[int], bytes]) -> bytes | None:
    """The next header; None at the end, which is a block of zeros and nothing else."""
    block = take(BLOCK)
    if not block.strip(b"\0") and len(block) == BLOCK:
        return None
    if len(block) < BLOCK:
        raise Refusal("the tar is cut off", "A17")
    stated = _NUMBER.fullmatch(block[_CHECKSUM])
    plain = block[:148] + b" " * 8 + block[156:]
    sums = sum(plain), sum(plain) - 256 * sum(byte > 127 for byte in plain)  # noqa: PLR2004 - some old tars: signed
    if stated is None or int(stated["digits"] or b"0", 8) not in sums:
        raise Refusal("a header of the tar is broken or missing", "A17")
    return block


def _extended(take: Callable[[int], bytes], size: int) -> bytes:
    if size > MAX_EXTENDED:
        raise Refusal(f"an extended header of the tar is {size} bytes long", "A27")
    data = take(padded(size))
    if len(data) < padded(size):
        raise Refusal("the tar is cut off", "A17")
    return data[:size]


def padded(size: int) -> int:
    """Up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def _records(data: bytes) -> dict[bytes, bytes]:
    """The pax records of an extended header."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        match = _RECORD.match(data, at)
        end = at + int(match["length"]) if match else 0
        if match is None or end > len(data) or end <= match.end() or data[end - 1 : end] != b"\n":
            raise Refusal("an extended header of the tar cannot be read", "A27")
        key, value = match["key"], data[match.end() : end - 1]
        if key in _DECISIVE and (key in found or not value or b"\0" in value):
            raise Refusal(f"an extended header of the tar has no clear {key.decode()}", "A27")
        found[key] = value
        at = end
    return found


def _number(field: bytes, what: str) -> int:
    """Octal digits, or a number of base 256 that is not negative."""
    if field[0] == 0x80:  # noqa: PLR2004 - the mark of base 256
        return int.from_bytes(field[1:], "big")
    match = _NUMBER.fullmatch(field)
    if match is None:
        raise Refusal(f"a header of the tar has no readable {what}", "A27")
    return int(match["digits"] or b"0", 8)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _shown(name: str | bytes) -> str:
    return repr(name if isinstance(name, str) else name.decode("utf-8", "replace"))
