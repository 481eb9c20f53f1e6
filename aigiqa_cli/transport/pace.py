"""One rate of requests for all workers that ask the same host (N28): free until the host says that it is too much."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from aigiqa_cli.transport.model import Limits
from aigiqa_cli.transport.patience import backoff, retry_after

LOWEST = 4.0  # requests a second that are asked for in the worst case, between two pauses
GROWTH = 0.02  # of the rate with each answered request ...
LEAST_GROWTH = 0.5  # ... and at least this much
SLOWER = (408, 425, 429, 503)  # answers that ask for fewer requests


class Stopped(Exception):
    """The work was called off; whoever called it off knows why."""


class Pace:
    """A token bucket that halves when a host answers 429 or 503, waits as long as the host asks, and
    then grows again. Answers to requests that were sent before the last halving halve nothing."""

    def __init__(self, settings: Mapping[str, str], limits: Limits) -> None:
        self.stopped = threading.Event()
        self._settings = settings
        self._limits = limits
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._asked = 0
        self.rate = 0.0  # requests a second; 0 while nobody has complained
        self._next = 0.0  # when the next request may be sent
        self._closed_until = 0.0
        self._slowed = 0.0
        self.complaints = 0  # in a row: nothing was given out since the first of them

    def take(self) -> float:
        """Wait for a turn; returns the moment, for `heard`. Raises Stopped."""
        with self._lock:
            turn = max(time.monotonic(), self._next)
            self._next = turn + 1.0 / self.rate if self.rate else self._next
            self._asked += 1
        self.wait(turn - time.monotonic())
        while (left := self._closed_until - time.monotonic()) > 0:  # the host complained while we waited
            self.wait(left)
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Sleep, unless the work is called off: then raise Stopped."""
        if self.stopped.is_set() or (seconds > 0 and self.stopped.wait(seconds)):
            raise Stopped

    def heard(self, begun: float, status: int, after: str | None) -> None:
        """What the host answered to a request that was sent at `begun`."""
        asked = retry_after(after)
        with self._lock:
            if status in SLOWER:
                self._slow(begun, asked)
            else:
                self.complaints = 0
                self.rate += max(LEAST_GROWTH, GROWTH * self.rate) if self.rate else 0.0

    def _slow(self, begun: float, asked: float | None) -> None:
        now = time.monotonic()
        if begun >= self._slowed:
            self.complaints += 1
            too_much = self.rate or self._asked / max(now - self._begun, 1e-3)
            self.rate = max(LOWEST, too_much / 2)
            self._slowed = now
        pause = backoff(self.complaints, self._settings) if asked is None else asked
        if pause <= self._limits.retry_after:  # who asks for more is not waited for at all
            self._closed_until = max(self._closed_until, now + pause)
            self._next = max(self._next, self._closed_until)
