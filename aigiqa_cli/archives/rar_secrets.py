"""Passwords of rar: whether one is right, as far as the archive tells, and the cipher for encrypted headers."""

from __future__ import annotations

import functools
import hashlib
import operator

_HAS_CHECK = 0x1
_CHECK = 8  # bytes
_SLOWEST = 24  # as a power of two of rounds; the format allows no more


def opens(password: str, flags: int, power: int, salt: bytes, check: bytes | None) -> bool | None:
    """Is it the password of a member of version 5 with this encryption record? None if the record does not tell."""
    if not flags & _HAS_CHECK or not check or power > _SLOWEST:
        return None
    told, checksum = check[:_CHECK], check[_CHECK:]
    if not checksum or hashlib.sha256(told).digest()[: len(checksum)] != checksum:
        return None
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, (1 << power) + 32)
    return told == bytes(functools.reduce(operator.xor, key[at::_CHECK]) for at in range(_CHECK))


def lend_cipher() -> None:
    """rarfile looks for AES in two packages; py7zr, which is here, brings a third one with the same interface."""
    import rarfile

    if not rarfile._have_crypto:  # noqa: SLF001 - there is no other way to tell it
        from py7zr import compressor

        rarfile.AES = getattr(compressor, "AES")  # noqa: B009 - it is not exported
        rarfile._have_crypto = 2  # noqa: SLF001
