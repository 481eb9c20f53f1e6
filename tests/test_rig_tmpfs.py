"""Disks that are too small, from "nothing fits" to "all fits": S04 (bytes) and S05 (inodes), on small tmpfs.

The plan demands room before the first byte, so what it would refuse is tried twice: as it is, and as on a disk that
somebody else fills up after the plan, which the run must find out by itself. `--rig tmpfs=6` takes 6 steps; 200 and
more are 50 steps of each of the four series.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import invariants
import pytest
from local import ARCHIVE, NAME, Local, local
from rigs import Rig

FETCH = ("fetch", NAME, "--force", "--json")
OPTIMIST = """
import collections, os, shutil
usage = collections.namedtuple("usage", "total used free")
shutil.disk_usage = lambda path: usage(10**13, 0, 10**13)
real = os.statvfs
def statvfs(path):
    found = list(real(path))
    found[3:5] = [10**9, 10**9]
    found[5:8] = [10**9, 10**9, 10**9]
    return os.statvfs_result(found)
os.statvfs = statvfs
"""
SERIES = {
    "bytes-fresh": ("size", "S04", False),
    "bytes-again": ("size", "S04", True),
    "inodes-fresh": ("nr_inodes", "S05", False),
    "inodes-again": ("nr_inodes", "S05", True),
}
PAGE = 4096
ROOMY = "size=64m,nr_inodes=100000"


def lacking() -> str:
    return "" if os.geteuid() == 0 and os.access("/bin/mount", os.X_OK) else "only root can mount a tmpfs"


@contextmanager
def disk(at: Path, options: str) -> Iterator[None]:
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def resize(at: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(at)], check=True)


def used(root: Path) -> dict[str, int]:
    found = os.statvfs(root)
    return {"size": (found.f_blocks - found.f_bfree) * PAGE, "nr_inodes": found.f_files - found.f_ffree}


@pytest.mark.parametrize(
    "series", [pytest.param(name, marks=pytest.mark.rig("tmpfs", sample=6, share=0.25)) for name in SERIES]
)
def test_S04_S05_disk_too_small(rig: Rig, tmp_path: Path, series: str) -> None:
    if lacking():
        rig.not_run(lacking())
    option, fault, again = SERIES[series]
    with local(tmp_path, prompts=3) as here:
        with disk(here.root, ROOMY):
            here.nursery(*FETCH, code=0)
            good, template, held = invariants.tree(here.root), here.keep("whole"), used(here.root)
        template = template if again else tmp_path / "no such"
        unit = PAGE if option == "size" else 1
        least = held[option] + unit if again else 2 * unit
        most = held[option] * (2 if again else 1) + (len(here.packed) * 2 if option == "size" else 0) + 24 * unit
        steps = min(50, rig.length)
        places = sorted(rig.chance.sample(range(50), steps))
        for place in places:
            room = least + (most - least) * place // 49
            with disk(here.root, f"{ROOMY},{option}={room}"):
                here.restore(template)
                before = invariants.tree(here.root) if again else {}
                try:
                    hindered = step(here, fault, place, before, good)
                except AssertionError:
                    print(f"{series}: {option}={room}, step {place} of 50")
                    raise
                assert not (place == 49 and hindered), "the largest disk is large enough"
                rig.did(full=hindered)


def step(here: Local, fault: str, place: int, before: dict[str, str], good: dict[str, str]) -> bool:
    """One disk: install on it; if that cannot be, nothing is lost, and what reads or frees still works."""
    if place % 5 == 0:  # as it is: the plan refuses before a byte is asked for
        here.server.log.clear()
        plan = here.nursery(*FETCH)
        assert plan.code in (0, 7)
        assert plan.code == 0 or plan.error()["fault"] in ("S04", "S05"), plan.out
        assert place >= 10 or not here.asked(ARCHIVE), plan.out
    ended = here.nursery(*FETCH, prelude=OPTIMIST)
    if ended.code == 0:
        here.sound(good)
        return False
    assert ended.code == 7, f"{ended.out} {ended.err}"
    error = ended.error()
    assert error["fault"] in {fault, "S04"}, error
    assert "bytes free" in error["message"] or "inodes" in error["message"], error
    here.sound({}, settled=False)
    if before:
        assert {p: h for p, h in invariants.tree(here.root).items() if not p.endswith(".tmp")} == before
    fill(here.root)
    here.nursery("list", "--json", code=0)
    if before:
        here.nursery("verify", "--json", code=0)
    here.nursery("gc", "--json", code=0)
    if before and place % 3 == 0:
        here.nursery("remove", NAME, "--json", code=0)
        assert not (here.root / NAME).exists()
    empty(here.root)
    resize(here.root, ROOMY)
    here.nursery(*FETCH, code=0)
    here.sound(good)
    here.sweeps(good)
    return True


BALLAST = ".aigiqa/quarantine/ballast"


def fill(root: Path) -> None:
    """Take every byte that is left."""
    try:
        (root / BALLAST).parent.mkdir(parents=True, exist_ok=True)
        with (root / BALLAST).open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(PAGE))
    except OSError:
        return


def empty(root: Path) -> None:
    (root / BALLAST).unlink(missing_ok=True)
