"""One thing that was looked at, with a verdict and the next step."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARN, BAD, NOT_TESTED = "ok", "warning", "bad", "not tested"


@dataclass(frozen=True)
class Check:
    """`verdict` is ok, warning, bad, or not tested (which counts as neither); `detail` says what was found, `next`
    what a person can do about it; `area` groups what belongs together."""

    area: str
    name: str
    verdict: str
    detail: str
    next: str = ""
