"""What a mirror's record in a manifest looks like from here. Every text is "" where the manifest says nothing."""

from __future__ import annotations

import re
from typing import Protocol

_COMMIT = re.compile(r"[0-9a-f]{40}")


class Health(Protocol):
    @property
    def state(self) -> str: ...


class Mirror(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def repo(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def note(self) -> str: ...
    @property
    def health(self) -> Health | None: ...


def is_commit(revision: str) -> bool:
    """A full commit hash: what stands under it never changes."""
    return bool(_COMMIT.fullmatch(revision))
