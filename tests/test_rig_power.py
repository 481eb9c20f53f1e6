"""Power cuts: ext4 in a file, the file copied without a sync, the copy mounted as after a restart (S02).

What the program wrote and the file system had not yet handed to the device is missing from the copy. Nothing may be
half there, and what was acknowledged must be there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import invariants
import pytest
from conftest import Command
from nursery import Nursery
from rigs import Rig

SIZE = 96 << 20
HARSH = "loop,noauto_da_alloc,commit=300"  # nothing is written for the program's sake that it did not ask for
CASES = {"install": 0.4, "reinstall": 0.3, "remove": 0.2, "index": 0.1}


def system(*words: object) -> None:
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{words[0]}: {done.stderr.strip()}")


@contextmanager
def mounted(image: Path, place: Path, options: str) -> Iterator[Path]:
    place.mkdir(exist_ok=True)
    system("mount", "-o", options, image, place)
    try:
        yield place
    finally:
        system("umount", place)


@pytest.fixture
def blank(tmp_path: Path, rig: Rig) -> Path:
    """An empty file system in a file."""
    if os.geteuid() or not all(shutil.which(tool) for tool in ("mkfs.ext4", "mount", "umount")):
        rig.not_run("file systems in a file need root and mkfs.ext4")
    image = tmp_path / "blank.img"
    with image.open("wb") as stream:
        stream.truncate(SIZE)
    try:
        system("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
        with mounted(image, tmp_path / "probe", HARSH):
            pass
    except OSError as error:
        rig.not_run(str(error))
    return image


def copy(source: Path, target: Path) -> Path:
    system("cp", "--sparse=always", source, target)
    return target


class Machine:
    """A computer with one disk, whose power can fail."""

    def __init__(self, run: Nursery, blank: Path, folder: Path) -> None:
        self.run, self.blank, self.folder = run, blank, folder
        self.root = folder / "disk" / "root"
        self.run.environment["AIGIQA_ROOT"] = str(self.root)

    def prepared(self, prepare: Callable[[Nursery], None]) -> Path:
        """A disk on which `prepare` has been run and everything was written."""
        disk = copy(self.blank, self.folder / "prepared.img")
        with self.on(disk, "loop") as run:
            prepare(run)
        return disk

    @contextmanager
    def on(self, disk: Path, options: str) -> Iterator[Nursery]:
        with mounted(disk, self.folder / "disk", options):
            yield self.run

    def cut(self, disk: Path, words: tuple[str, ...], delay: float) -> tuple[Path, bool]:
        """The disk after power failed `delay` seconds into a command; and whether it had acknowledged by then."""
        working, left = copy(disk, self.folder / "working.img"), self.folder / "left.img"
        with self.on(working, HARSH) as run:
            status = run.cut_off(delay, *words)
            assert status in (0, None)
            copy(working, left)  # no sync, no unmount before this line
        return left, status == 0


def _nothing(_: Nursery) -> None:
    pass


def _installed(run: Nursery) -> None:
    run("fetch", "demo", code=0)


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.rig("power", sample=50, share=CASES[case])) for case in CASES]
)
def test_S02_power_fails_at_any_instant(run: Command, rig: Rig, blank: Path, tmp_path: Path, case: str) -> None:
    cut_often(Machine(Nursery(run.environment, tmp_path / "nursery"), blank, tmp_path), rig, case)


def cut_often(machine: Machine, rig: Rig, case: str) -> None:
    words, prepare = {
        "install": (("fetch", "demo"), _nothing),
        "reinstall": (("fetch", "demo", "--force"), _installed),
        "remove": (("remove", "demo"), _installed),
        "index": (("index", "--rebuild"), _installed),
    }[case]
    start = machine.prepared(prepare)
    with machine.on(copy(start, machine.folder / "good.img"), "loop") as there:
        before = time.monotonic()
        there(*words, code=0)
        span = time.monotonic() - before
        if case == "remove":
            there("fetch", "demo", code=0)
        good = invariants.tree(machine.root)
    for number in range(rig.length):
        # One cut in three comes after the command's last word: what it acknowledged must have been durable then.
        late = number % 3 == 2
        delay = 60.0 if late else span * rig.chance.uniform(0.1, 1.1)
        left, acknowledged = machine.cut(start, words, delay)
        rig.did(acknowledged=acknowledged)
        with machine.on(left, "loop") as there:
            told = f"cut {number} of {case} after {delay:.4f} s of {span:.4f} s, acknowledged: {acknowledged}"
            try:
                invariants.check(machine.root, settled=acknowledged)
                here = (machine.root / ".aigiqa" / "installed" / "demo.json").is_file()
                if acknowledged:
                    assert here == (case != "remove"), "what was acknowledged is lost"
                there("fetch", "demo", code=0)
                invariants.check(machine.root, settled=True)
                assert invariants.published(machine.root) == good
                if not acknowledged:
                    there("gc", code=0)
                    invariants.check_swept(machine.root)
            except (AssertionError, FileNotFoundError):
                print(told)
                raise


@pytest.mark.rig("power", sample=50, share=0.05)
def test_the_rig_loses_what_was_not_flushed(blank: Path, rig: Rig, tmp_path: Path) -> None:
    """A rig that loses nothing proves nothing: a file that nobody flushed must be empty or gone in the copy."""
    rig.length = 0
    with mounted(blank, tmp_path / "disk", HARSH) as place:
        temporary = place / "temporary"
        temporary.write_bytes(b"x" * 100_000)
        temporary.rename(place / "final")
        left = copy(blank, tmp_path / "left.img")
    with mounted(left, tmp_path / "disk", "loop") as place:
        final = place / "final"
        assert not final.exists() or final.stat().st_size == 0
