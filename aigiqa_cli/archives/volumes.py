"""Split sets: which files are the volumes of one archive, told by their content and their names.

    joined   NAME.zip.001 NAME.zip.002 ...             cut into pieces; end to end they are the archive
    disks    NAME.z01 NAME.z02 ... NAME.zip            a zip that counts by disk
    parts    NAME.part1.rar ... or NAME.rar NAME.r00   each volume a rar of its own

Given any one volume the others are looked for beside it. They stay where they are and are read in place.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aigiqa_cli.archives.magic import detect_format
from aigiqa_cli.archives.source import DISKS, JOINED, PARTS
from aigiqa_cli.errors import PersonNeeded

_NUMBERED = re.compile(r"(?P<stem>.+)\.(?P<number>\d{3,4})", re.DOTALL)
_DISK = re.compile(r"(?P<stem>.+)\.(?:z(?P<number>\d{2,3})|zip)", re.DOTALL | re.IGNORECASE)
_PART = re.compile(r"(?P<stem>.+)\.part(?P<number>\d{1,5})\.rar", re.DOTALL | re.IGNORECASE)
_OLD_PART = re.compile(r"(?P<stem>.+)\.(?:(?P<letter>[r-z])(?P<number>\d{2})|rar)", re.DOTALL | re.IGNORECASE)
_ARCHIVE_NAME = re.compile(r".+\.(zip|7z|rar|tar|tgz|tar\.(gz|xz|bz2|zst))", re.DOTALL | re.IGNORECASE)
_COPY = re.compile(r" ?\([0-9]{1,3}\)(?=\.)")
_END_OF_ZIP = struct.Struct("<4s4H2IH")
_LONGEST_END = _END_OF_ZIP.size + 0xFFFF
MAX_VOLUMES = 1_000


@dataclass(frozen=True)
class VolumeSet:
    """The volumes of one archive in order; `names` are those under which other programs find them."""

    name: str
    shape: str
    paths: tuple[Path, ...]
    names: tuple[str, ...]


def volume_set(path: Path, others: Iterable[Path] = ()) -> VolumeSet | None:
    """The set that a file is a volume of, from its folder and from `others`; None if it is an archive by itself, or
    none at all. Raises PersonNeeded, with its name, if a volume is missing (N27)."""
    if not path.is_file():
        return None
    for find in (_parts, _old_parts, _disks, _joined):
        found = find(path, others)
        if found is not None:
            return found
    return None


def is_volume_name(name: str) -> bool:
    """Is a file of this name, by its name alone, a volume of a split archive?"""
    if not (name[-1:].isdigit() or name.lower().endswith(".rar")):
        return False
    numbered, disk, old = _NUMBERED.fullmatch(name), _DISK.fullmatch(name), _OLD_PART.fullmatch(name)
    return bool(
        _PART.fullmatch(name)
        or (numbered and _ARCHIVE_NAME.fullmatch(numbered["stem"]))
        or (disk and disk["number"])
        or (old and old["number"])
    )


def declared_set(names: Sequence[str], paths: Sequence[Path]) -> VolumeSet:
    """Files that are known to be the volumes of one archive, in order, wherever they lie; `names` are the published
    ones, and those that follow none of the schemes were cut into pieces."""
    paths = tuple(paths)
    first, last = names[0], names[-1]
    disk = _DISK.fullmatch(last)
    if disk and disk["number"] is None and all((m := _DISK.fullmatch(name)) and m["number"] for name in names[:-1]):
        return VolumeSet(last, DISKS, paths, _names_of_disks(len(paths) - 1))
    part = _PART.fullmatch(first) or (_OLD_PART.fullmatch(first) if _OLD_PART.fullmatch(last) else None)
    if part:
        return VolumeSet(f"{part['stem']}.rar", PARTS, paths, _names_of_parts(paths))
    numbered = _NUMBERED.fullmatch(first)
    stem = numbered["stem"] if numbered else first
    return VolumeSet(stem, JOINED, paths, _names_of_pieces(stem, len(paths)))


def _joined(path: Path, others: Iterable[Path]) -> VolumeSet | None:
    match = _NUMBERED.fullmatch(_plain(path))
    if match is None:
        return None
    stem, width = match["stem"], len(match["number"])
    numbered = _siblings(path, others, _NUMBERED, stem, lambda m: int(m["number"]))
    first = 0 if 0 in numbered and detect_format(_head(numbered[0])) else 1
    begins = first in numbered and bool(detect_format(_head(numbered[first])))
    if not begins and not (_ARCHIVE_NAME.fullmatch(stem) and first not in numbered):
        return None
    if int(match["number"]) != first and detect_format(_head(path)) and not _ARCHIVE_NAME.fullmatch(stem):
        return None  # an archive by itself whose name happens to end in a number
    paths = _complete(numbered, first, lambda number: f"{stem}.{number:0{width}}")
    return VolumeSet(stem, JOINED, paths, _names_of_pieces(stem, len(paths)))


def _names_of_pieces(stem: str, count: int) -> tuple[str, ...]:
    suffix = _ARCHIVE_NAME.fullmatch(stem)
    link = f"set.{suffix[1].lower()}" if suffix else "set"
    return tuple(f"{link}.{at:03}" for at in range(1, count + 1))


def _disks(path: Path, others: Iterable[Path]) -> VolumeSet | None:
    match = _DISK.fullmatch(_plain(path))
    if match is None:
        return None
    stem = match["stem"]
    if match["number"] is None and _last_disk(path) == 0:
        return None  # a zip by itself, whatever lies beside it
    found = _siblings(path, others, _DISK, stem, lambda m: int(m["number"] or 0))
    last = found.pop(0, None)
    if last is None:
        raise _missing(f"{stem}.zip", path.parent)
    number = _last_disk(last)
    if number == 0:
        return None
    paths = _complete({n: p for n, p in found.items() if n <= number}, 1, lambda n: f"{stem}.z{n:02}", number)
    return VolumeSet(last.name, DISKS, (*paths, last), _names_of_disks(number))


def _names_of_disks(number: int) -> tuple[str, ...]:
    return (*(f"set.z{at:02}" for at in range(1, number + 1)), "set.zip")


def _parts(path: Path, others: Iterable[Path]) -> VolumeSet | None:
    match = _PART.fullmatch(_plain(path))
    if match is None or not _is_rar_volume(path):
        return None
    stem, width = match["stem"], len(match["number"])
    found = _siblings(path, others, _PART, stem, lambda m: int(m["number"]))
    paths = _complete(found, 1, lambda number: f"{stem}.part{number:0{width}}.rar")
    return VolumeSet(f"{stem}.rar", PARTS, paths, _names_of_parts(paths))


def _old_parts(path: Path, others: Iterable[Path]) -> VolumeSet | None:
    match = _OLD_PART.fullmatch(_plain(path))
    if match is None or not _is_rar_volume(path):
        return None
    stem = match["stem"]
    found = _siblings(path, others, _OLD_PART, stem, _old_number)
    paths = _complete(found, 0, lambda number: f"{stem}{_old_suffix(number)}")
    return VolumeSet(f"{stem}.rar", PARTS, paths, _names_of_parts(paths))


def _names_of_parts(paths: Sequence[Path]) -> tuple[str, ...]:
    """What readers take for the name of the next part, the first one's header says, whatever a person made of it."""
    head = _head(paths[0])
    if head[6:7] == b"\x00" and not head[10] & 0x10:
        return tuple(f"set{_old_suffix(at)}" for at in range(len(paths)))
    return tuple(f"set.part{at:05}.rar" for at in range(1, len(paths) + 1))


def _old_number(match: re.Match[str]) -> int:
    """.rar .r00 ... .r99 .s00 ... as 0 1 ... 100 101 ..."""
    return 100 * (ord(match["letter"].lower()) - ord("r")) + int(match["number"]) + 1 if match["letter"] else 0


def _old_suffix(number: int) -> str:
    return f".{chr(ord('r') + (number - 1) // 100)}{(number - 1) % 100:02}" if number else ".rar"


def _plain(path: Path) -> str:
    """The name without what browsers add to that of a second download: `x.7z (1).003` is `x.7z.003`."""
    return _COPY.sub("", path.name)


def _siblings(
    path: Path, others: Iterable[Path], pattern: re.Pattern[str], stem: str, number: Callable[[re.Match[str]], int]
) -> dict[int, Path]:
    """Volumes of the same stem, by number: those beside `path`, then those of `others`."""
    found: dict[int, Path] = {}
    beside = sorted(path.parent.iterdir(), key=lambda entry: (_plain(entry) != entry.name, entry.name))
    for candidate in (path, *beside, *others):
        match = pattern.fullmatch(_plain(candidate))
        if match and match["stem"].casefold() == stem.casefold() and candidate.is_file():
            found.setdefault(number(match), candidate)
    return found


def _complete(
    numbered: dict[int, Path], first: int, name: Callable[[int], str], last: int | None = None
) -> tuple[Path, ...]:
    """The volumes from `first` on without a gap."""
    last = max(numbered, default=first) if last is None else last
    beside = next(iter(numbered.values()), Path()).parent
    if last > MAX_VOLUMES:
        raise PersonNeeded(f"{name(last)} would be one of more than {MAX_VOLUMES} volumes", fault="N27", phase="LIST")
    for number in range(first, last + 1):
        if number not in numbered:
            raise _missing(name(number), beside)
    return tuple(numbered[number] for number in range(first, last + 1))


def _missing(name: str, folder: Path) -> PersonNeeded:
    return PersonNeeded(
        f"{name} is missing: the archive is split into volumes, and all of them are needed",
        hint=f"put {name} into {folder} beside the others, then run the same command again",
        fault="N27",
        phase="LIST",
    )


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(512)


def _last_disk(path: Path) -> int:
    """The number of the disk that a zip says it is; 0 for one that was never split."""
    with path.open("rb") as stream:
        length = stream.seek(0, 2)
        stream.seek(max(0, length - _LONGEST_END))
        tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END_OF_ZIP.size > len(tail):
        return 0
    disk: int = _END_OF_ZIP.unpack_from(tail, at)[1]
    return 0 if disk == 0xFFFF else disk  # noqa: PLR2004 - ZIP64 states it elsewhere; nobody splits so finely


def _is_rar_volume(path: Path) -> bool:
    """Does the main header of a rar say that it is one of several?"""
    head = _head(path)
    if head[:7] == b"Rar!\x1a\x07\x00":
        return len(head) > 11 and head[9] == 0x73 and bool(head[10] & 1)  # noqa: PLR2004 - type and flags of its header
    if head[:8] != b"Rar!\x1a\x07\x01\x00":
        return False
    numbers = _variable_numbers(head[12:])
    if len(numbers) > 1 and numbers[1] == 4:  # noqa: PLR2004 - the headers are encrypted: only the name is left
        return True
    main = numbers[1:2] == [1] and len(numbers) > 4  # noqa: PLR2004 - size, type, flags, [extra size,] flags
    return main and bool(numbers[4 if numbers[2] & 1 else 3] & 1)


def _variable_numbers(data: bytes) -> Sequence[int]:
    """The first numbers of a version 5 header, seven bits a byte."""
    numbers, value, shift = [], 0, 0
    for byte in data[:40]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            numbers.append(value)
            value, shift = 0, 0
    return numbers
