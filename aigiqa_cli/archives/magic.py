"""What an archive is, by its first bytes."""

from __future__ import annotations

_TAR_MAGIC_AT = 257
_PACKED_TAR = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")  # gzip, bzip2, xz, zstd
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_SPLIT_ZIP = (b"PK\x07\x08PK\x03\x04", b"PK00PK\x03\x04")


def detect_format(head: bytes) -> str:
    """'zip', 'tar' (also compressed), '7z', 'rar' by magic number; '' if it is none of these. `head`: 512 bytes."""
    if head.startswith((*_ZIP, *_SPLIT_ZIP)):
        return "zip"
    if head.startswith(_PACKED_TAR) or head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return "tar"
    if head.startswith(b"7z\xbc\xaf\x27\x1c"):
        return "7z"
    if head.startswith((b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01")):
        return "rar"
    return ""
