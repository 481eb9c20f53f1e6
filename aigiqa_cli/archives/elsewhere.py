"""Archives that lie elsewhere and are read in parts: the worker asks for bytes, somebody brings them.

Who brings them is not known here: a callable that hands the bytes of spans over (see transport.ranges). The bytes come
into a nameless local file, and the worker judges them exactly as it judges a file of this machine.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from aigiqa_cli import folders
from aigiqa_cli.archives import Archive
from aigiqa_cli.errors import RefusedInput

GAP = 1 << 16  # bytes that are rather fetched than left out: a further request costs more
MOST_PARTS = 2_000_000
TAIL = 22 + 0xFFFF  # as far before its end as the end record of a zip can begin

Span = tuple[int, int]  # first byte, and the one after the last
Bring = Callable[[Sequence[Span], Callable[[int, bytes], None]], None]


class ArchiveElsewhere(Archive):
    """A zip of `length` bytes of which only parts are brought. `costs` is, by the number of a member, how many bytes
    of the archive it takes."""

    def __init__(self, length: int, bring: Bring, target: Path, name: str) -> None:
        self.length, self.costs = length, dict[int, int]()
        self._bring = bring
        self._place = 0  # where the next part goes in the local file
        self._asked = 0
        self._parts = folders.unnamed(target)
        super().__init__(Path(f"/dev/fd/{self._parts.fileno()}"), "zip in parts", target, name)

    def close(self) -> None:
        super().close()
        self._parts.close()

    def _told(self, password: str) -> dict[str, Any]:  # noqa: ARG002 - what is encrypted is read only as a whole
        return {"length": self.length}

    def _extent(self, _descriptors: Sequence[int]) -> int:
        return self.length

    def _answers(self) -> Iterator[dict[str, Any]]:
        for answer in super()._answers():
            if "parts" not in answer:
                yield answer
                continue
            spans = [self._judged(*span) for span in answer["parts"]]
            self.costs |= {number: end - begin for number, (begin, end) in zip(answer["members"], spans, strict=False)}
            self._send(json.dumps(self._brought(merged(spans))) + "\n")

    def _judged(self, begin: int, end: int) -> Span:
        """The worker reads what others wrote: what it asks for has bounds too."""
        self._asked += 1
        if not 0 <= begin < end <= self.length or self._asked > MOST_PARTS:
            raise RefusedInput(f"{self.name} is refused: it leads out of itself", fault="A13", phase="LIST")
        return begin, end

    def _brought(self, spans: Sequence[Span]) -> list[tuple[int, int, int]]:
        """Fetch the spans; returns each with its place in the local file."""
        starts = [begin for begin, _ in spans]
        places = []
        for begin, end in spans:
            places.append(self._place)
            self._place += end - begin

        def put(at: int, data: bytes) -> None:
            number = bisect_right(starts, at) - 1
            folders.write(self._parts.fileno(), data, places[number] + at - starts[number])

        self._bring(spans, put)
        return [(begin, end, place) for (begin, end), place in zip(spans, places, strict=True)]


def merged(spans: Sequence[Span]) -> list[Span]:
    """The same bytes in as few spans as is worth while, in order."""
    found: list[Span] = []
    for begin, end in sorted(spans):
        if found and begin - found[-1][1] <= GAP:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((begin, end))
    return found
