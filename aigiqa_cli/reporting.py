"""How work tells that it goes on. Steps report; only `cli` knows whether anybody watches."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """What long work calls. Must be cheap and safe from any thread."""

    def phase(self, name: str, *, total: int | None = None, unit: str = "bytes", done: int = 0) -> None:
        """A new phase begins. `name` is shown as it is ('AGIQA-3K.zip from huggingface'); `unit` is 'bytes', a plural
        noun ('files') or '' where there is nothing to count; `total` None means unknown; `done` was done by an
        earlier run."""

    def advance(self, amount: int = 1) -> None:
        """`amount` more units of the current phase are done."""

    def note(self, text: str) -> None:
        """One line that a person may want to read (a mirror failed, a resume, a wait)."""

    def detail(self, text: str) -> None:
        """One line for a person who asked for more (each single try)."""


class Silent:
    """Nobody watches."""

    def phase(self, name: str, *, total: int | None = None, unit: str = "bytes", done: int = 0) -> None:
        pass

    def advance(self, amount: int = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def detail(self, text: str) -> None:
        pass
