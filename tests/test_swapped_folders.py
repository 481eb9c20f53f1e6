"""S17: a folder below the root is exchanged for a link to a copy of it, in the very moment before the run changes
something. Whatever comes of the run, what lies behind the link is as it was; and the next run heals."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import invariants
import pytest
from local import NAME, Local, local
from rigs import Rig

FOLDERS = (
    ".aigiqa", ".aigiqa/archives", ".aigiqa/archives/sha256", ".aigiqa/installed", ".aigiqa/locks", ".aigiqa/partial",
    ".aigiqa/quarantine", ".aigiqa/replaced", ".aigiqa/replaced/*", ".aigiqa/replaced/*/images", ".aigiqa/staging",
    ".aigiqa/staging/*", ".aigiqa/staging/*/scratch", ".aigiqa/staging/*/tree", ".aigiqa/staging/*/tree/images",
    ".aigiqa/staging/*/tree/labels", NAME, f"{NAME}/images",
)  # fmt: skip

# Runs in the process of the command: it sees each change before it happens, and exchanges the folder before one of them.
EXCHANGE = """
import os, shutil, sys
from pathlib import Path
root, base, folder, moment, span = {root!r}, {base!r}, {folder!r}, {moment}, {span}
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.chmod", "os.truncate", "os.utime",
           "shutil.rmtree", "shutil.copyfile", "subprocess.Popen", "fcntl.flock")
seen, busy, there = 0, False, None
count = os.open(base + "/moments", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

def changes(event, words):
    if event == "open":
        return isinstance(words[2], int) and words[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    return event in CHANGES

def hook(event, words):
    global seen, busy
    if busy or not changes(event, words):
        return
    busy, seen = True, seen + 1
    os.pwrite(count, b"%8d" % seen, 0)
    if moment <= seen < moment + span and there is None:
        exchange()
    elif seen >= moment + span and there:
        put_back()
    busy = False

def exchange():
    global there
    for found in sorted(Path(root).glob(folder)):
        if found.is_dir() and not found.is_symlink():
            there = str(found)
            os.rename(there, base + "/aside")
            shutil.copytree(base + "/aside", base + "/away", symlinks=True)
            shutil.copytree(base + "/aside", base + "/pristine", symlinks=True)
            os.symlink(base + "/away", there)
            Path(base, "there").write_text(there)
            return

def put_back():
    if os.path.islink(there):
        os.unlink(there)
        os.rename(base + "/aside", there)

sys.addaudithook(hook)
"""


def prepared(here: Local) -> None:
    """Installed, with what each command finds to do: a former version, leftovers, damage, files of the user's."""
    here.nursery("fetch", NAME, "--keep-archives", code=0)
    (here.root / NAME / "notes").mkdir()
    (here.root / NAME / "notes" / "mine.txt").write_bytes(b"mine")
    images = sorted((here.root / NAME / "images").iterdir())
    images[0].write_bytes(b"changed")
    images[1].unlink()
    internal = here.root / ".aigiqa"
    (internal / "partial" / f"{'0' * 64}.0123456789abcdef.part").write_bytes(b"PK\x03\x04")
    (internal / "archives" / "sha256" / ("0" * 64)).write_bytes(b"of nothing")
    (internal / "staging" / f"{NAME}-0123456789abcdef").mkdir()
    shutil.copytree(here.root / NAME, internal / "replaced" / f"{NAME}-fedcba9876543210")
    shutil.copy(internal / "installed" / f"{NAME}.json", internal / "replaced" / f"{NAME}-fedcba9876543210.json")


def nothing(_: Local) -> None:
    pass


COMMANDS: dict[str, tuple[Callable[[Local], None], tuple[str, ...]]] = {
    "first": (nothing, ("fetch", NAME)),
    "again": (prepared, ("fetch", NAME, "--force")),
    "remove": (prepared, ("remove", NAME)),
    "gc": (prepared, ("gc",)),
    "repair": (prepared, ("verify", NAME, "--repair")),
    "index": (prepared, ("index", "--rebuild")),
}


class Exchanges:
    """A root as each command finds it, and runs of the command in which a folder is exchanged."""

    def __init__(self, here: Local) -> None:
        self.here, self.base = here, here.base / "exchanged"
        self.templates: dict[str, Path] = {}
        self.moments: dict[str, int] = {}

    def start(self, command: str) -> None:
        prepare, words = COMMANDS[command]
        if command not in self.templates:
            self.here.clear()
            prepare(self.here)
            self.here.root.mkdir(exist_ok=True)
            self.templates[command] = self.here.keep(command)
            self.run(words, "nothing", 0, 0)
            self.moments[command] = int((self.base / "moments").read_text())
        self.here.restore(self.templates[command])

    def run(self, words: tuple[str, ...], folder: str, moment: int, span: int) -> None:
        shutil.rmtree(self.base, ignore_errors=True)
        self.base.mkdir()
        told = {"root": str(self.here.root), "base": str(self.base), "folder": folder, "moment": moment, "span": span}
        ended = self.here.nursery(*words, prelude=re.sub(r"\{(\w+)!?r?\}", lambda m: repr(told[m[1]]), EXCHANGE))
        assert ended.code in (0, 2, 4, 5, 6, 7), ended
        assert "Traceback" not in ended.err, ended.err

    def check(self) -> bool:
        """Nothing outside was touched. True if there was an exchange at all; it is undone."""
        assert self.here.world() == self.here.outside
        if not (self.base / "there").exists():
            return False
        there = Path((self.base / "there").read_text())
        away, pristine = (
            {name.removeprefix(str(place)): state for name, state in invariants.world(place).items()}
            for place in (self.base / "away", self.base / "pristine")
        )
        assert away == pristine
        if there.is_symlink():
            there.unlink()
        if (self.base / "aside").exists() and not os.path.lexists(there) and there.parent.is_dir():
            (self.base / "aside").rename(there)
        return True

    def heals(self, command: str) -> None:
        for words in (("fetch", NAME, "--force"), ("gc",), ("fetch", NAME)):
            self.here.nursery(*words, code=0)
        mine = [path for path in self.here.root.rglob("*mine.txt") if path.is_file()]
        assert {path.read_bytes() for path in mine} == ({b"mine"} if command != "first" else set()), "P5"
        shutil.rmtree(self.here.root / NAME / "notes", ignore_errors=True)
        invariants.check(self.here.root, settled=True)


@pytest.fixture
def exchanges(tmp_path: Path) -> Iterator[Exchanges]:
    with local(tmp_path, prompts=2) as here:
        yield Exchanges(here)


@pytest.mark.rig("swaps", sample=60)
def test_S17_folder_exchanged_before_any_change(exchanges: Exchanges, rig: Rig) -> None:
    for _ in range(rig.length):
        command, folder = rig.chance.choice(list(COMMANDS)), rig.chance.choice(FOLDERS)
        exchanges.start(command)
        moment = rig.chance.randint(1, exchanges.moments[command])
        span = rig.chance.choice((1, 2, 5, 10_000))
        try:
            exchanges.run(COMMANDS[command][1], folder, moment, span)
            exchanged = exchanges.check()
            if exchanged:
                exchanges.heals(command)
        except AssertionError:
            print(f"{command}: {folder} at {moment} of {exchanges.moments[command]}, for {span}")
            raise
        rig.did(exchanged=exchanged)
