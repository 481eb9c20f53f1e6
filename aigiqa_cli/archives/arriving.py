"""Archives that are read while they are being downloaded (see zip_arriving)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from aigiqa_cli import folders
from aigiqa_cli.archives import Archive
from aigiqa_cli.archives.contract import Member
from aigiqa_cli.errors import MachineFault, RefusedInput

OnLoss = Callable[[Callable[[], None]], None]


class Reading(Protocol):
    """Who is told how far a zip is read that is read once."""

    def needs(self, end: int) -> None:
        """Nothing goes on before the file has `end` bytes."""

    def passed(self, end: int) -> None:
        """The bytes before `end` are not needed any more."""


class ArchiveArriving(Archive):
    """A zip that will have `length` bytes; `tail` are its last ones. The file at `path` only grows at its end.

    `on_loss` is given what is to be called, from whatever thread, when the rest will never come. With `once` its images
    are read once, which that is told."""

    def __init__(
        self,
        path: Path,
        length: int,
        tail: bytes,
        target: Path,
        name: str,
        on_loss: OnLoss,
        once: Reading | None = None,
    ) -> None:
        self.length, self._on_loss, self._once = length, on_loss, once
        self._given_up = False
        self._tail = folders.unnamed(target)
        self._tail.write(tail)
        self._tail.flush()
        super().__init__(path, "zip arriving", target, name)

    def close(self) -> None:
        super().close()
        self._tail.close()

    def _planned(self, plan: list[dict[str, Any]], *, last: bool) -> str:
        return json.dumps({"last": plan} if last and self._once else plan)

    def _answers(self) -> Iterator[dict[str, Any]]:
        for answer in super()._answers():
            if self._once and "needs" in answer:
                self._once.needs(answer["needs"])
            elif self._once and "passed" in answer:
                self._once.passed(answer["passed"])
            else:
                yield answer

    def settle(self) -> None:
        self._send("[]\n")
        next(self._answers())  # that it is done, or why not

    def _list(self) -> Iterator[Member]:
        self._on_loss(self._give_up)  # the worker runs, and may be waiting for bytes already
        yield from super()._list()

    def _give_up(self) -> None:
        self._given_up = True
        self._process.kill()

    def _death(self) -> RefusedInput | MachineFault:
        if self._given_up:
            return RefusedInput(f"the download of {self.name} ended before it was whole", fault="N01", phase="UNPACK")
        return super()._death()

    def _paths(self) -> tuple[Path, ...]:
        return self.path, Path(f"/dev/fd/{self._tail.fileno()}")

    def _told(self, password: str) -> dict[str, Any]:  # noqa: ARG002 - what is encrypted is read only as a whole
        return {"length": self.length, "once": bool(self._once)}

    def _extent(self, _descriptors: Sequence[int]) -> int:
        return self.length
