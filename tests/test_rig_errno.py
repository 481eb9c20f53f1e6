"""One error of the operating system at one call, in every phase: S04 to S09, S11, S16, S21.

208 cells: 16 errors x the 13 phases of a run. A recorded run tells which calls each phase makes; strace then fails one
of them in another run. `--rig errno=24` takes 24 cells by chance, 208 all of them. Errors fall where the kernel can
give them; where a phase has no such call, on any of its calls: what the machine says must never matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import invariants
import pytest
import tracing
from local import NAME, Local, labels, local, manifest
from nursery import Ended
from rigs import Rig
from tracing import Call

PHASES = ("PLAN", "RESOLVE", "FETCH", "CHECK", "LIST", "UNPACK", "IMAGES", "SCORES", "INDEX", "FLUSH", "PUBLISH", "RECORD", "REMOVE")  # fmt: skip

MAKES = ("openat", "mkdir", "mkdirat", "rename", "renameat", "linkat", "write")
WRITES = ("write", "copy_file_range")
READS = ("read", "pread64", "getdents64", "openat")
FLUSHES = ("fsync", "syncfs")
HANDLES = ("openat", "socket", "pipe2")
NAMES = ("openat", "mkdir", "mkdirat", "rename", "renameat", "linkat", "unlink", "unlinkat", "rmdir")

# error: the faults that it may be told as, and the calls that the kernel gives it for
ERRORS: dict[str, tuple[set[str], tuple[str, ...]]] = {
    "ENOSPC": ({"S04"}, (*MAKES, *FLUSHES)),
    "EDQUOT": ({"S06"}, (*MAKES, *FLUSHES)),
    "EFBIG": ({"S06"}, WRITES),
    "EIO": ({"S07", "S10", "X01"}, (*WRITES, *FLUSHES, *READS)),
    "EROFS": ({"S08"}, NAMES),
    "EACCES": ({"S08"}, (*NAMES, "connect")),
    "EPERM": ({"S08"}, (*NAMES, "connect")),
    "EMFILE": ({"S09"}, HANDLES),
    "ENFILE": ({"S09"}, HANDLES),
    "ENOMEM": ({"S09"}, (*HANDLES, "mkdirat", "renameat", "read")),
    "ESTALE": ({"S11"}, (*NAMES, *READS, *FLUSHES)),
    "EXDEV": ({"S16"}, ("rename", "renameat", "linkat")),
    "EINTR": ({"S11"}, (*WRITES, *READS, "connect")),
    "EOPNOTSUPP": ({"S21"}, ("linkat", "flock", "syncfs", "openat2")),
    "ENODEV": ({"S07"}, ("openat", *WRITES)),
    "ETIMEDOUT": ({"S11"}, (*WRITES, *READS, *FLUSHES, "connect")),
}
NETWORK = ("socket", "connect", "sendto", "recvfrom")
SEEN = (*tracing.MAKING, *tracing.OPENING, "read", "pread64", "getdents64", "pipe2", *NETWORK)


@dataclass(frozen=True)
class Scene:
    """A run to be hindered: how the root is before, the command, and the one that must heal it."""

    template: Path
    words: tuple[str, ...]
    again: tuple[str, ...]
    good: dict[str, str]
    calls: tuple[Call, ...]


def phase(call: Call, words: tuple[str, ...]) -> str:
    """In which phase a call of `fetch` or `remove` is made, by what it touches."""
    paths = " ".join(call.paths)
    if words[0] == "remove":
        return "REMOVE"
    if call.name in NETWORK:
        return "RESOLVE"
    if "/partial/" in paths or paths.endswith("/partial"):
        if call.process == "worker" or "O_RDONLY" in call.text or call.name == "pread64":
            return "LIST"
        return "CHECK" if call.name in ("fsync", "flock", "getdents64") or paths.endswith("/partial") else "FETCH"
    if call.name == "pipe2":
        return "LIST"
    if call.process == "worker" and "/tree/" in paths:
        return "UNPACK"
    if "/tree/images" in paths or f"/{NAME}/images" in paths:
        return "IMAGES"
    if "/tree/labels" in paths or "/scratch" in paths:
        return "SCORES"
    if "index" in paths or "/tree/" in paths:
        return "INDEX"
    if call.name == "syncfs":
        return "FLUSH"
    if "/installed" in paths:
        return "RECORD"
    if "record.json" in paths or f"/root/{NAME}" in paths or "/replaced" in paths or re.search(r"/root( |$)", paths):
        return "PUBLISH"
    if "/staging/" in paths and "owner.json" not in paths and call.name in ("openat", "fsync"):
        return "FLUSH"
    return "PLAN"


def scene(here: Local, name: str, prepare: Callable[[], None], words: tuple[str, ...], again: tuple[str, ...]) -> Scene:
    """Record a run: the calls of the command below the root or to the network, and those of its worker."""
    here.clear()
    prepare()
    template = here.keep(name) if here.root.exists() else here.base / "no such"
    found: list[Call] = []
    for process in ("command", "worker"):
        here.restore(template)
        options = tracing.expression(SEEN)
        ended = here.nursery(*words, trace=options, worker=process == "worker", code=0)
        made = tracing.calls(process, ended.trace)
        found += [c for c in made if tracing.below(here.root, c) or c.name in NETWORK or _is_pipe(c, process)]
    return Scene(template, words, again, invariants.tree(here.root), tuple(found))


def _is_pipe(call: Call, process: str) -> bool:
    return call.name == "pipe2" and process == "command"


def scenes(here: Local) -> list[Scene]:
    """A first install; an upgrade that keeps the images and has other labels; a removal."""

    def install() -> None:
        here.nursery("fetch", NAME, code=0)

    found = [scene(here, "absent", lambda: None, ("fetch", NAME, "--json"), ("fetch", NAME))]
    found.append(scene(here, "whole", install, ("remove", NAME, "--json"), ("remove", NAME)))
    here.clear()
    install()
    changed = labels(len(here.table.splitlines()) // 4, shift=1)
    here.server.site.put("/data.csv", changed)
    here.manifest.write_text(manifest(here.server, here.packed, changed, len(here.table.splitlines()) // 4))
    here.outside = here.world()
    found.append(
        scene(
            here,
            "older",
            lambda: here.restore(here.base / "templates" / "whole"),
            ("fetch", NAME, "--json"),
            ("fetch", NAME),
        )
    )
    return found


def cells(found: list[Scene], names: list[str]) -> list[tuple[str, str, Scene, list[Call]]]:
    """Every cell with the calls that it may fail. Cells of the first install that the upgrade also has are its own."""
    made = []
    for name in names:
        for wanted in PHASES:
            at = found[1] if wanted == "REMOVE" else found[2] if wanted == "IMAGES" else found[0]
            there = [call for call in at.calls if phase(call, at.words) == wanted]
            able = [call for call in there if call.name in ERRORS[name][1]]
            assert there, f"no call is known of {wanted}"
            made.append((name, wanted, at, able or there))
    return made


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=pytest.mark.rig("errno", sample=60, share=0.25)) for part in range(4)]
)
def test_S04_S05_S06_S07_S08_S09_S11_S16_S21_error_in_a_phase(rig: Rig, tmp_path: Path, part: int) -> None:
    if tracing.lacking():
        rig.not_run(tracing.lacking())
    with local(tmp_path, prompts=3) as here:
        here.nursery("fetch", NAME, code=0)
        all_of_them = cells(scenes(here), list(ERRORS)[part::4])
        new = here.manifest.read_text(), here.server.site.blobs["/data.csv"].data
        old = manifest(here.server, here.packed, here.table, 3), here.table
        chosen = rig.chance.sample(all_of_them, min(rig.length, len(all_of_them)))
        for name, wanted, at, able in chosen:
            text, table = new if at is not None and at.template.name == "older" else old
            here.manifest.write_text(text)
            here.server.site.put("/data.csv", table)
            here.outside = here.world()
            call = rig.chance.choice(able)
            here.restore(at.template)
            ended = here.nursery(*at.words, trace=tracing.failing(call, name), worker=call.process == "worker")
            hit = any("(INJECTED)" in line for line in ended.trace)
            try:
                judge(here, at, ended, name, wanted, hit=hit, worker=call.process == "worker")
            except AssertionError:
                print(f"{name} in {wanted} at {call}\nexit {ended.code}\n{ended.out}\n{ended.err}")
                raise
            rig.did(hits=hit, harmless=hit and ended.code == 0)


def judge(here: Local, at: Scene, ended: Ended, name: str, wanted: str, *, hit: bool, worker: bool) -> None:
    """Documented exit code, an error object with the fault, nothing half done, and the same command heals it."""
    expected, _ = ERRORS[name]
    assert "Traceback" not in ended.err
    if not hit:
        assert ended.code == 0
    if ended.code == 0:
        here.sound(at.good)
        return
    error = ended.error()
    network = {"N14"} if wanted == "RESOLVE" and "S09" not in expected else set()
    unread = {"S07"} if wanted == "INDEX" else set()  # what was written and cannot be read back
    unstarted = {"S09"} if worker else set()  # the error came before the worker could speak
    assert error["fault"] in expected | network | unread | unstarted, error
    assert error["exit_code"] == ended.code
    codes = {6} if error["fault"] in {"S11", *network} else {7, 4} if name == "EIO" else {7}
    assert ended.code in codes
    here.sound({}, settled=False)
    if at.again[0] == "remove" and not (here.root / ".aigiqa" / "installed" / f"{NAME}.json").exists():
        here.removed(at.good, *at.again)
    else:
        here.heals(at.good, *at.again)
        here.sweeps(at.good)
