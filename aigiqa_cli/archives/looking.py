"""Which images are being looked at: a decoder may crash or hang on hostile bytes, and then the image is named (I09).

The worker writes the numbers of its members into a small file that outlives it; the process that started it reads them.
"""

from __future__ import annotations

import os
import signal
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 120  # for one image; the largest that is accepted takes two
HUNG = signal.SIGALRM  # ends a worker whose decoder does not come back
_SLOT = struct.Struct("<q")
_NOBODY = -1
_BETWEEN_CHECKS = 1.0


class Looking:
    """The worker's side: one slot for each thread."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.lock = threading.Lock()
        self.slots: dict[int, int] = {}
        self.since: dict[int, float] = {}

    @contextmanager
    def at(self, number: int) -> Iterator[None]:
        """While this runs, the thread looks at the member with this number."""
        slot = self._slot()
        os.pwrite(self.descriptor, _SLOT.pack(number), slot * _SLOT.size)
        self.since[slot] = time.monotonic()
        try:
            yield
        finally:
            del self.since[slot]
            os.pwrite(self.descriptor, _SLOT.pack(_NOBODY), slot * _SLOT.size)

    def _slot(self) -> int:
        with self.lock:
            if not self.slots:
                threading.Thread(target=self._watch, daemon=True).start()
            return self.slots.setdefault(threading.get_ident(), len(self.slots))

    def _watch(self) -> None:
        """End the process if a look takes too long: nothing else ends a decoder that waits."""
        while True:
            time.sleep(_BETWEEN_CHECKS)
            if any(time.monotonic() - since > SECONDS for since in list(self.since.values())):
                os.kill(os.getpid(), HUNG)
                return


def looked_at(descriptor: int) -> list[int]:
    """The members that were being looked at when the worker ended."""
    data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    numbers = [number for (number,) in _SLOT.iter_unpack(data[: len(data) // _SLOT.size * _SLOT.size])]
    return [number for number in numbers if number != _NOBODY]
