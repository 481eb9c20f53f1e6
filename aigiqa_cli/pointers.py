"""Git LFS pointers: three lines of text that stand for a file where Git LFS was not there to bring it."""

from __future__ import annotations

LFS = b"version https://git-lfs.github.com/spec/v1"
POINTER = "a Git LFS pointer, not the file"


def is_pointer(head: bytes) -> bool:
    """Does a file that begins like this only point to another one?"""
    return head.startswith(LFS)
