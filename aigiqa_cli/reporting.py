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


class Forwarding:
    """Passes everything on; those that change one thing of it derive from this."""

    def __init__(self, to: Reporter) -> None:
        self._to = to

    def phase(self, name: str, *, total: int | None = None, unit: str = "bytes", done: int = 0) -> None:
        self._to.phase(name, total=total, unit=unit, done=done)

    def advance(self, amount: int = 1) -> None:
        self._to.advance(amount)

    def note(self, text: str) -> None:
        self._to.note(text)

    def detail(self, text: str) -> None:
        self._to.detail(text)


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


class Counting:
    """Tells of rows by the ten thousand, and nothing where there are fewer: that is done before it could be read."""

    STEP = 10_000

    def __init__(self, reporter: Reporter, name: str, total: int | None = None) -> None:
        self._reporter, self._name, self._total = reporter, name, total
        self._count = 0

    def one(self) -> None:
        """One more row is done."""
        self._count += 1
        if self._count % self.STEP:
            return
        if self._count == self.STEP:
            self._reporter.phase(self._name, total=self._total, unit="rows")
        self._reporter.advance(self.STEP)

    def end(self) -> None:
        """That was the last one: what is shown stays on the screen, and is to be the number of rows."""
        if self._count > self.STEP and (rest := self._count % self.STEP):
            self._reporter.advance(rest)
