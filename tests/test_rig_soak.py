"""Hours of anything: random commands under random faults on one root, replayable by its seed (SOAK).

`--rig soak=N` does N operations. After each the invariants hold; in the end one undisturbed run restores everything,
gc leaves no orphan, and no connection to the server is left open.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import invariants
import pytest
from doubles.faults import Fault
from local import ARCHIVE, NAME, TABLE, Local, local
from nursery import Ended
from rigs import Rig

FAULTS: tuple[Callable[[random.Random, int], Fault], ...] = (
    lambda chance, size: Fault(cut=chance.randrange(size)),
    lambda chance, size: Fault(cut=chance.randrange(size), how="rst"),
    lambda chance, size: Fault(flip=chance.randrange(size)),
    lambda chance, size: Fault(status=chance.choice([403, 404, 429, 500, 503]), body=b"no"),
    lambda chance, size: Fault(status=200, body=b"<!DOCTYPE html><title>Sign in</title>" + b" " * 999),
    lambda chance, size: Fault(ignore_range=True, cut=chance.randrange(size)),
    lambda chance, size: Fault(no_length=True, cut=chance.randrange(size)),
    lambda chance, size: Fault(more=b"x" * chance.randrange(1, 9999)),
    lambda chance, size: Fault(shift=chance.randrange(1, 99)),
)
CODES = {0, 2, 3, 4, 5, 6, 7}  # documented, and no bug in aigiqa
KILLED = -signal.SIGKILL


class Soak:
    """One root and everything that happens to it."""

    def __init__(self, here: Local, chance: random.Random) -> None:
        self.here, self.chance = here, chance
        self.span = 1.0
        self.told: list[str] = []
        self.counts: dict[str, int] = {}
        self.damaged: dict[Path, bytes] = {}
        self.added: list[Path] = []

    def step(self) -> None:
        ways = {
            self.fetch: 5, self.fetch_under_faults: 5, self.import_: 3, self.kill: 5, self.remove: 2, self.verify: 2,
            self.repair: 2, self.sweep: 2, self.reindex: 1, self.export: 1, self.damage: 3, self.add: 1, self.forget: 1,
        }  # fmt: skip
        way = self.chance.choices(list(ways), list(ways.values()))[0]
        self.counts[way.__name__] = self.counts.get(way.__name__, 0) + 1
        self.told.append(way.__name__)
        way()
        self.check()

    def check(self) -> None:
        """What holds at every instant; damage that this rig did itself is undone before."""
        if self.here.root.exists():
            self._undo()
            invariants.check(self.here.root, settled=False)
        assert self.here.world() == self.here.outside, "P1"

    def _undo(self) -> None:
        for path, data in self.damaged.items():
            if path.parent.exists() and (path.exists() or self._recorded()):
                path.write_bytes(data)
        self.damaged = {}
        for path in self.added:
            path.unlink(missing_ok=True)
        self.added = []

    def _recorded(self) -> bool:
        return (self.here.root / ".aigiqa" / "installed" / f"{NAME}.json").is_file()

    def run(self, *words: object) -> Ended:
        ended = self.here.nursery(*words)
        assert ended.code in CODES, f"{words}: exit {ended.code}: {ended.err[-3000:]}"
        return ended

    # --- what people do ---

    def fetch(self) -> None:
        self.here.server.site.faults.clear()
        begin = time.monotonic()
        ended = self.run(
            "fetch", NAME, *self.chance.choice([(), ("--force",), ("--labels-only",), ("--keep-archives",)])
        )
        self.span = max(0.05, time.monotonic() - begin)
        assert ended.code == 0, ended.err

    def import_(self) -> None:
        self.here.server.site.faults.clear()
        assert self.run("import", NAME, self.here.base / "tiny.zip").code == 0

    def remove(self) -> None:
        recorded = self._recorded()
        assert self.run("remove", NAME).code in ((0,) if recorded else (0, 2))

    def verify(self) -> None:
        if self._recorded():
            assert self.run("verify").code == 0

    def sweep(self) -> None:
        assert self.run("gc").code == 0

    def reindex(self) -> None:
        assert self.run("index", "--rebuild").code == 0

    def export(self) -> None:
        assert self.run("export", NAME).code == (0 if self._recorded() else 2)

    # --- what happens to them ---

    def fetch_under_faults(self) -> None:
        site, size = self.here.server.site, len(self.here.packed)
        for path, length in ((ARCHIVE, size), (TABLE, len(self.here.table))):
            count = self.chance.randrange(4)
            site.faults.add(path, *(self.chance.choice(FAULTS)(self.chance, length) for _ in range(count)))
        self.run("fetch", NAME, "--force")
        site.faults.clear()

    def kill(self) -> None:
        self.here.server.site.faults.clear()
        words = self.chance.choice(
            [("fetch", NAME, "--force"), ("fetch", NAME), ("remove", NAME), ("gc",), ("index", "--rebuild"),
             ("import", NAME, self.here.base / "tiny.zip"), ("verify", "--repair")]
        )  # fmt: skip
        run = self.here.nursery.begin(*words)
        time.sleep(self.span * self.chance.uniform(0, 1.1))
        with_group = self.chance.random() < 0.8  # else the worker outlives its parent for a moment
        with suppress(ProcessLookupError):
            (os.killpg if with_group else os.kill)(run.pid, signal.SIGKILL)
        ended = self.here.nursery.end(run)
        assert ended.code in (KILLED, *CODES), ended.err[-3000:]

    def damage(self) -> None:
        """Bits rot, files are cut, deleted, emptied; verify finds each, repair restores it or says that it cannot."""
        files = [path for path in (self.here.root / NAME).rglob("*") if path.is_file()] if self._recorded() else []
        if not files or self.run("verify").code:
            return
        path = self.chance.choice(sorted(files))
        data = path.read_bytes()
        self.damaged = {path: data}
        way = self.chance.choice(["flip", "cut", "delete"])
        if way == "delete" or not data:
            path.unlink()
        else:
            at = self.chance.randrange(len(data))
            spoilt = bytearray(data)
            spoilt[at] ^= 1 << self.chance.randrange(8)
            path.write_bytes(spoilt if way == "flip" else data[:at])
        assert self.run("verify").code == 4, f"{way} of {path} was not found"
        if self.chance.random() < 0.7:
            self.repair()
            assert path.read_bytes() == data
            self.damaged = {}

    def repair(self) -> None:
        self.here.server.site.faults.clear()
        if self._recorded():
            assert self.run("verify", "--repair").code == 0

    def add(self) -> None:
        """A file of the user's is never touched."""
        folder = self.here.root / NAME
        if not self._recorded():
            return
        path = folder / "mine.txt"
        path.write_text("mine")
        self.added = [path]
        assert self.run("verify").code == 4
        assert path.read_text() == "mine"

    def forget(self) -> None:
        """Somebody empties the internal folders that may be emptied."""
        for name in ("partial", "archives"):
            folder = self.here.root / ".aigiqa" / name
            for path in sorted(folder.rglob("*"), reverse=True) if folder.is_dir() else ():
                path.unlink() if path.is_file() else path.rmdir()


@pytest.mark.parametrize(
    "lane", [pytest.param(lane, marks=pytest.mark.rig("soak", sample=60, share=0.5)) for lane in (1, 2)]
)
def test_soak(rig: Rig, tmp_path: Path, lane: int) -> None:
    with local(tmp_path, prompts=3) as here:
        here.nursery("fetch", NAME, code=0)
        good = invariants.tree(here.root)
        soak = Soak(here, rig.chance)
        handles = len(os.listdir("/proc/self/fd"))
        for number in range(rig.length):
            try:
                soak.step()
            except AssertionError:
                print(f"operation {number} of lane {lane}: {' '.join(soak.told[-12:])}")
                raise
            rig.did()
        rig.did(0, **{name: count for name, count in soak.counts.items() if name in ("kill", "damage")})
        here.server.site.faults.clear()
        here.nursery("fetch", NAME, "--force", code=0)
        here.sound(good)
        here.nursery("verify", code=0)
        here.sweeps(good)
        assert len(os.listdir("/proc/self/fd")) <= handles + 2
