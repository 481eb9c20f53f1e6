"""rar, versions 4 and 5: listed by rarfile. Stored members are read by it too, packed ones by an installed program."""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aigiqa_cli.archives import member_names, rar_secrets, rar_volumes, tools
from aigiqa_cli.archives.contract import (
    MAX_MEMBERS,
    Chunks,
    Consume,
    Member,
    Needed,
    Refusal,
    check_total,
    checked,
    password_missing,
    password_wrong,
)
from aigiqa_cli.archives.source import Source

if TYPE_CHECKING:
    from rarfile import RarFile

BLOCK = 1 << 20
ABLE = ("unar", "unrar")  # know every method; 7-Zip as Debian builds it, and bsdtar, unpack some archives only
PROGRAMS = (*ABLE, "7zz", "7z", "bsdtar")
_STORED = 0x30
_UNICODE = 0x200
_FAILED = ("A12", "A16", "A20")  # how it ends when a program cannot unpack something
_HARD_LINK, _COPY = 4, 5
_UNIX = 3
_VERSION_5, _UNKNOWN_SIZE = 50, 0x8
_BROKEN = (struct.error, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


class RarFormat:
    """A rar archive, or the first of its parts."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.password = source.opened.password
        self.infos: dict[int, Any] = {}
        self.listed: dict[int, Member] = {}
        self.version = 5 if source.pread(8, 0)[6:8] == b"\x01\x00" else 4
        self.proven = False  # that the password is the right one

    def members(self) -> list[Member]:
        rar_volumes.walk(self.source.pieces, self.source.opened.names)
        self.rar = self._open()
        infos = self.rar.infolist()
        if len(infos) > MAX_MEMBERS:
            raise Refusal(f"{len(infos)} members", "A14")
        if self.rar.needs_password() and not self.password:
            raise password_missing("the archive")
        self._check_password(infos)
        folders = []
        for number, (name, info) in enumerate(zip(self._names(infos), infos, strict=True)):
            if info.is_dir():
                folders.append(member_names.judge_folder(name))
                continue
            _check(name, info)
            self.infos[number] = info
            self.listed[number] = Member(number, member_names.judge(name), info.file_size)
        rar_volumes.refuse_two_uploads((m.name, self.infos[n].volume_file) for n, m in self.listed.items())
        member_names.refuse_twins((member.name for member in self.listed.values()), folders)
        check_total(self.source.length, sum(member.bytes for member in self.listed.values()))
        if any(not _stored(info) for info in self.infos.values()):
            self._programs()
        return list(self.listed.values())

    def stream(self, wanted: Iterable[Member], consume: Consume) -> None:
        packed = set()
        for member in wanted:
            info = self.infos[member.number]
            if _stored(info):
                consume(member, checked(member, self._chunks(member, info), info.CRC))
            else:
                packed.add(member.number)
        if packed:
            items = [tools.Item(member, _crc(self.infos[number])) for number, member in self.listed.items()]
            secret = any(info.needs_password() for info in self.infos.values()) or self.rar.needs_password()
            self._by_program(items, packed, consume, secret=secret)

    def _open(self) -> RarFile:
        import rarfile

        rar_secrets.lend_cipher()
        hidden = False
        try:
            names = self.source.opened.names
            order = rar_volumes.Order(names)
            rar = rarfile.RarFile(self.source.opened.path, errors="strict", part_only=not names, info_callback=order)
            if rar.needs_password() and self.password:
                hidden = not rar.infolist()
                order.restart()
                rar.setpassword(self.password)
                if hidden and not rar.infolist():  # to the library a giant header is the end of the list
                    raise password_wrong("the list of members")
                self.proven = hidden
        except (rarfile.RarWrongPassword, rarfile.PasswordRequired):
            raise password_wrong("the list of members") from None
        except rarfile.NeedFirstVolume:
            raise rar_volumes.first_missing() from None
        except (rarfile.Error, *_BROKEN) as error:
            if hidden:
                raise password_wrong("the list of members") from None
            if "next volume" in str(error):
                raise Needed("the last part of the rar set is missing", "N27", "put all parts in one folder") from None
            raise Refusal(f"not a readable rar: {error}", "A17") from None
        return rar

    def _names(self, infos: list[Any]) -> list[str]:
        """Version 4 may hold names without Unicode: they are decoded for the whole archive at once (A22)."""
        raw = [i.orig_filename for i in infos if self.version == 4 and not i.flags & _UNICODE]  # noqa: PLR2004
        decoded = iter(member_names.decode_all(raw))
        plain = [self.version == 4 and not info.flags & _UNICODE for info in infos]  # noqa: PLR2004
        names = [
            next(decoded).replace("\\", "/") if old else info.filename for old, info in zip(plain, infos, strict=True)
        ]
        return [name.removesuffix("/") if info.is_dir() else name for name, info in zip(names, infos, strict=True)]

    def _check_password(self, infos: list[Any]) -> None:
        """A member of version 5 mostly holds a check of the password. Raises Needed if that says it is wrong."""
        secret = next((info for info in infos if info.needs_password()), None)
        if secret is None or self.version == 4:  # noqa: PLR2004
            return
        _, flags, power, salt, _, check = secret.file_encryption
        fits = rar_secrets.opens(self.password, flags, power, salt, check)
        if fits is False:
            raise password_wrong("the archive")
        self.proven = self.proven or bool(fits)

    def _programs(self) -> list[str]:
        return tools.require(self.source.opened, PROGRAMS, "the archive is a packed rar", ABLE)

    def _by_program(self, items: list[tools.Item], wanted: set[int], consume: Consume, *, secret: bool) -> None:
        programs = self._programs()
        able = [name for name in programs if name in ABLE]
        if secret and self.proven:
            programs = able or programs
        try:
            opened = self.source.opened
            tools.stream(opened, programs, items, wanted, consume, secret=secret, proven=self.proven)
        except (Refusal, Needed) as fault:
            if fault.fault not in _FAILED:
                raise
            if not able:
                said = f"{' or '.join(programs)} cannot unpack this rar, as other programs can"
                raise Needed(said, "A29", tools.advice(ABLE)) from None
            if secret and self.proven and "unrar" not in able:
                said = f"the password is right, but {' and '.join(able)} cannot unpack this rar"
                raise Needed(
                    said, "A29", "try it with unrar, which comes from rarlab.com: put it on the PATH"
                ) from None
            raise

    def _chunks(self, member: Member, info: Any) -> Chunks:
        import rarfile

        try:
            with self.rar.open(info) as stream:
                while chunk := stream.read(BLOCK):
                    yield chunk
        except (rarfile.Error, *_BROKEN) as error:
            raise Refusal(f"the member {member.name!r} cannot be read: {error}", "A16") from None


def _check(name: str, info: Any) -> None:
    kind = info.file_redir[0] if info.file_redir else 0
    if kind == _HARD_LINK:
        raise Refusal(f"the member {name!r} is a hard link", "A06")
    if kind == _COPY:
        raise Refusal(f"the member {name!r} is stored as a copy of another one", "A06")
    if kind or info.is_symlink():
        raise Refusal(f"the member {name!r} is a link", "A05")
    mode = stat.S_IFMT(info.mode or 0) if info.host_os == _UNIX else 0
    if not info.is_file() or mode not in (0, stat.S_IFREG):
        raise Refusal(f"the member {name!r} is no regular file", "A07")
    unknown = info.extract_version == _VERSION_5 and info.file_flags & _UNKNOWN_SIZE
    if unknown or not isinstance(info.file_size, int) or info.file_size < 0:
        raise Refusal(f"the member {name!r} does not say how long it is", "A12")


def _stored(info: Any) -> bool:
    return info.compress_type == _STORED and not info.needs_password()


def _crc(info: Any) -> int | None:
    """Of an encrypted member of version 5 the checksum is keyed, so that only the program can check it."""
    return None if info.needs_password() else info.CRC
