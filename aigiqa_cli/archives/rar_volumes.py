"""The volumes of a rar set in their order: each goes on where the one before it ends, or is of another upload (A26)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aigiqa_cli.archives import rar_blocks
from aigiqa_cli.archives.contract import Needed, Refusal
from aigiqa_cli.archives.source import Piece

_FILE = 0x74
_SPLIT_BEFORE, _SPLIT_AFTER = 0x1, 0x2


def walk(pieces: Sequence[Piece], names: Sequence[str]) -> None:
    """Every volume is whole, and all are here. Of a set, `names` are those of the volumes; whether one more follows,
    reading it tells."""
    volumes = []
    for number, piece in enumerate(pieces):
        try:
            volumes.append(rar_blocks.walk(piece))
        except Refusal as refusal:
            if len(names) > 1:
                raise Refusal(f"{names[number]}: {refusal.reason}", "A26") from None
            raise
    alone = volumes[0]
    if len(volumes) == 1 and alone.known and (alone.number or alone.more):
        missing = "its first part" if alone.number else "its last part"
        raise Needed(f"this is a part of a rar set, and {missing} is missing", "N27", "put all parts in one folder")


class Order:
    """Sees every header as it is read, and refuses a volume that does not continue the one before it. What continues
    where nothing was left unfinished would be a member that the library does not list (A17)."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.restart()

    def restart(self) -> None:
        """The set is read again from its first volume."""
        self.volume, self.unfinished = -1, ""

    def __call__(self, header: Any) -> None:
        volume = min(header.volume, max(len(self.names) - 1, 0))
        number = getattr(header, "main_volume_number", None)
        if volume and number is not None and number != volume:
            raise Refusal(f"{self.names[volume]} calls itself volume {number + 1} of its set", "A26")
        if header.type != _FILE:
            return
        continued = header.filename if header.flags & _SPLIT_BEFORE else ""
        if volume == self.volume and (continued or self.unfinished):
            raise Refusal(f"the member {header.filename!r} does not begin where the one before it ends", "A17")
        if volume == 0 and continued:
            raise first_missing()
        if volume and continued != self.unfinished:
            raise Refusal(f"{self.names[volume]} does not go on where {self.names[volume - 1]} ends", "A26")
        self.volume = volume
        self.unfinished = header.filename if header.flags & _SPLIT_AFTER else ""


def first_missing() -> Needed:
    """The fault of a later part that is given for the whole."""
    what = "this is a later part of a rar set, and its first part is missing"
    return Needed(what, "N27", "put all parts in one folder")


def refuse_two_uploads(begun: Iterable[tuple[str, str]]) -> None:
    """`begun` are the members and the volumes in which they begin; one that begins in two is of two uploads."""
    first: dict[str, str] = {}
    for name, volume in begun:
        if first.setdefault(name, volume) != volume:
            raise Refusal(f"the member {name!r} begins in {first[name]} and again in {volume}", "A26")
