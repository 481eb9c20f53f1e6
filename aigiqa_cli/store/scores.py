"""Scores of a run that is not finished: `<root>/.aigiqa/scores/<run>`, one line a score, flushed batch by batch.

A line is the key of an image (SHA-256 over name, bytes, prompt and reference), the score and a CRC-32 of both. What is
torn at the end, or does not have its CRC, counts as never written. The name of the file is a digest of everything that
the scores depend on, so that scores of another metric or of other settings never mix; the file goes when the run has
given its answer.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from typing import Protocol

from aigiqa_cli import folders
from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.errors import TemporaryFault
from aigiqa_cli.machine import machine_faults
from aigiqa_cli.store.durable import fsync_folder
from aigiqa_cli.store.locks import NO_LOCKS, try_flock
from aigiqa_cli.store.root import Root

_NAME = 32  # hex digits


class Ledger(Protocol):
    """Kept scores by the key of their image; see ScoreLedger."""

    scores: dict[str, float]

    def add(self, scores: Mapping[str, float]) -> None: ...

    def discard(self) -> None: ...

    def close(self) -> None: ...


class Forgetful:
    """Where nothing may be written, as in a root that others share: scores live as long as the process."""

    def __init__(self) -> None:
        self.scores: dict[str, float] = {}

    def add(self, scores: Mapping[str, float]) -> None:
        self.scores |= scores

    def discard(self) -> None:
        """Nothing was kept."""

    def close(self) -> None:
        """Nothing is open."""


class ScoreLedger:
    """The kept scores of one metric on one selection; `scores` by key. Held by a lock while it is open."""

    def __init__(self, root: Root, identity: Mapping[str, object], *, fresh: bool = False) -> None:
        """Open, or begin. `fresh`: forget what is there. Raises TemporaryFault if another run has it open."""
        digest = sha256_bytes(json.dumps(identity, sort_keys=True).encode(errors="surrogatepass"))
        self.path = root.scores / digest[:_NAME]
        root.refuse_links()
        with machine_faults("keeping scores", phase="SCORE", place=root.path):
            folders.make(root.scores, 0o700, exist_ok=True)
            self._descriptor = self._opened()
            try:
                self.scores = {} if fresh else self._read()
                os.ftruncate(self._descriptor, 0 if fresh else self._sound)
                fsync_folder(root.scores)
            except BaseException:
                os.close(self._descriptor)
                raise

    def add(self, scores: Mapping[str, float]) -> None:
        """Keep these, durably: they outlive a kill and a power cut once this returns."""
        if not scores:
            return
        data = "".join(_line(key, score) for key, score in scores.items()).encode()
        with machine_faults("keeping scores", phase="SCORE", place=self.path.parent):
            folders.write(self._descriptor, data)
            os.fsync(self._descriptor)
        self.scores |= scores

    def discard(self) -> None:
        """The answer was given: nothing is to be gone on with."""
        folders.remove(self.path, missing_ok=True)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _opened(self) -> int:
        """An open, locked file; one that its last holder removed meanwhile is made anew."""
        while True:
            descriptor = folders.open_file(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            try:
                free = try_flock(descriptor)
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    os.close(descriptor)
                    raise
                free = True
            if not free:
                os.close(descriptor)
                raise TemporaryFault(
                    "another aigiqa is scoring these images with this metric",
                    hint="wait for it, or stop it: what it has done is kept",
                    fault="C05",
                    phase="PLAN",
                )
            if os.fstat(descriptor).st_nlink:
                return descriptor
            os.close(descriptor)

    def _read(self) -> dict[str, float]:
        with open(os.dup(self._descriptor), "rb") as stream:
            data = stream.read()
        whole = data.rfind(b"\n") + 1
        self._sound = whole
        return dict(filter(None, map(_parsed, data[:whole].splitlines())))

    _sound = 0  # bytes up to the last whole line


def _line(key: str, score: float) -> str:
    body = f"{key} {score!r}"
    return f"{body} {zlib.crc32(body.encode()):08x}\n"


def _parsed(line: bytes) -> tuple[str, float] | None:
    body, _, check = line.rpartition(b" ")
    if f"{zlib.crc32(body):08x}".encode() != check:
        return None
    key, _, score = body.decode().partition(" ")
    return key, float(score)
