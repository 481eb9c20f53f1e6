"""SHA-256, the one digest that proves bytes here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Protocol

BLOCK = 1 << 20  # hashlib releases the interpreter lock above 2 KiB; 1 MiB reads keep two threads busy


class Readable(Protocol):
    """A binary stream that reads into a buffer."""

    def readinto(self, buffer: bytearray, /) -> int | None: ...


def sha256_stream(
    stream: Readable, advance: Callable[[int], None] | None = None, expected: int = BLOCK
) -> tuple[str, int]:
    """Return (hex SHA-256, length in bytes) of the rest of `stream`, of which about `expected` bytes are left: to clear
    a whole block of memory takes longer than to hash a small file."""
    digest, length = hashlib.sha256(), 0
    buffer = bytearray(min(BLOCK, expected + 1))
    view = memoryview(buffer)
    while count := stream.readinto(buffer):
        digest.update(view[:count])
        length += count
        if advance:
            advance(count)
    return digest.hexdigest(), length


def sha256_file(path: str | os.PathLike[str], advance: Callable[[int], None] | None = None) -> tuple[str, int]:
    """Return (hex SHA-256, length in bytes) of a file; `advance` hears of every block."""
    with open(path, "rb", buffering=0) as stream:
        return sha256_stream(stream, advance)


def sha256_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
