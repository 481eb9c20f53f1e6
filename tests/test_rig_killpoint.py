"""Killed at the entry of every system call that changes anything: S01, exhaustive.

`--rig killpoint=100` takes 100 of the points, spread over all of them; a length beyond their number takes all. The last
lines of the run tell the number of points that there were. A point is (call, n) of the command or of its worker: it is
found by a recorded run, and hit by strace in another one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import invariants
import pytest
import tracing
from local import NAME, Local, local
from rigs import Rig

Prepare = Callable[[Local], None]
FETCH, FORCE, STREAM = ("fetch", NAME), ("fetch", NAME, "--force"), ("fetch", NAME, "--stream")
SMALL, LARGER = ("fetch", NAME, "--sample", "3"), ("fetch", NAME, "--sample", "9")
SEEN = tracing.expression((*tracing.MAKING, *tracing.OPENING))


def nothing(here: Local) -> None:
    here.clear()


def installed(here: Local) -> None:
    here.nursery(*FETCH, code=0)


def sampled(here: Local) -> None:
    here.nursery(*SMALL, code=0)


def litter(here: Local) -> None:
    """What killed runs leave: a download, a staging folder, a former folder, a prepared publication, a temporary."""
    installed(here)
    points = points_of(here, FORCE, "command")
    renames = [point for point in points if point.name == "renameat" and point.touches("/replaced/")]
    downloads = [point for point in points if point.name == "write" and point.touches("/partial/")]
    for point in (downloads[-1], renames[-1]):
        here.nursery(*FORCE, trace=tracing.killing(point))
    (here.root / ".index.csv.0123456789ab.tmp").write_bytes(b"half")
    (here.root / ".aigiqa" / "archives" / "sha256" / ("0" * 64)).write_bytes(b"kept for nothing")


SCENES: dict[str, tuple[Prepare, tuple[str, ...], tuple[str, ...]]] = {
    "install": (nothing, FETCH, FETCH),
    "reinstall": (installed, FORCE, FETCH),
    "stream": (nothing, STREAM, STREAM),
    "part": (nothing, LARGER, LARGER),
    "more": (sampled, LARGER, LARGER),
    "remove": (installed, ("remove", NAME), ("remove", NAME)),
    "gc": (litter, ("gc",), ("gc",)),
}
CASES = (
    "install-command", "install-worker", "reinstall-command", "reinstall-worker", "stream-command", "part-command",
    "more-command", "remove-command", "gc-command",
)  # fmt: skip
SHARES = dict.fromkeys(CASES, 1 / len(CASES))


def points_of(here: Local, words: tuple[str, ...], process: str) -> list[tracing.Call]:
    """Every call below the root that changes something, in a run that is not hindered. The tracer counts per thread:
    the same (call, n) of two threads is one point, and which of them is hit is chance."""
    ended = here.nursery(*words, trace=SEEN, worker=process == "worker", code=0)
    found = {
        (call.name, call.number): call
        for call in tracing.calls(process, ended.trace)
        if call.changes and tracing.below(here.root, call) and " = -1 " not in call.text
    }
    return list(found.values())


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.rig("killpoint", sample=100, share=SHARES[case])) for case in SHARES]
)
def test_S01_killed_at_every_call(rig: Rig, tmp_path: Path, case: str) -> None:
    if tracing.lacking():
        rig.not_run(tracing.lacking())
    scene, _, process = case.partition("-")
    prepare, words, again = SCENES[scene]
    with local(tmp_path) as here:
        installed(here)  # nothing is compiled any more when calls are counted
        here.clear()
        prepare(here)
        template = here.keep("before") if here.root.exists() else tmp_path / "no such"
        points = points_of(here, words, process)
        good = invariants.tree(here.root)
        chosen = points if rig.length >= len(points) else rig.chance.sample(points, rig.length)
        rig.did(0, points=len(points))
        for point in chosen:
            here.restore(template)
            ended = here.nursery(*words, trace=tracing.killing(point), worker=process == "worker")
            try:
                killed(here, ended.code, process)
                heals(here, good, again)
            except AssertionError:
                print(f"{case}: killed at {point}")
                raise
            rig.did(hits=ended.code != 0)


def killed(here: Local, code: int, process: str) -> None:
    """The state right after it: whole or absent."""
    assert code in ((-9, 0) if process == "command" else (7, 0))
    here.sound({}, settled=False)


def heals(here: Local, good: dict[str, str], words: tuple[str, ...]) -> None:
    gone = words[0] == "remove" and not (here.root / ".aigiqa" / "installed" / f"{NAME}.json").exists()
    if gone:
        here.removed(good, *words)
    else:
        here.heals(good, *words)
        here.sweeps(good)
