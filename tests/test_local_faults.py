"""This machine's refusals by themselves: permissions, signals, limits, links, other file systems. S03 to S09, S11, S16,
S17, S21, S24."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import invariants
import pytest
import tracing
from conftest import Command
from local import NAME, Local, local
from rigs import Rig
from test_rig_tmpfs import disk, lacking

from aigiqa_cli import machine
from aigiqa_cli.errors import Exit, IntegrityFault, MachineFault, TemporaryFault
from aigiqa_cli.store import Root

NOBODY = 65534
FETCH = ("fetch", NAME, "--json")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path, prompts=3) as made:
        yield made


@pytest.fixture
def settled(here: Local) -> Local:
    here.nursery(*FETCH, code=0)
    return here


# ---------------------------------------------------------------------------------------------------------------------
# Which error is which fault
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "fault", "code"),
    [
        (errno.ENOSPC, "S04", Exit.MACHINE),
        (errno.EDQUOT, "S06", Exit.MACHINE),
        (errno.EFBIG, "S06", Exit.MACHINE),
        (errno.EIO, "S07", Exit.MACHINE),
        (errno.EROFS, "S08", Exit.MACHINE),
        (errno.EACCES, "S08", Exit.MACHINE),
        (errno.EMFILE, "S09", Exit.MACHINE),
        (errno.ENOMEM, "S09", Exit.MACHINE),
        (errno.ESTALE, "S11", Exit.TEMPORARY),
        (errno.EXDEV, "S16", Exit.MACHINE),
        (errno.ELOOP, "S17", Exit.MACHINE),
        (errno.EOPNOTSUPP, "S21", Exit.MACHINE),
    ],
)
def test_S04_S06_S07_S08_S09_S11_S16_S17_S21_error_numbers(tmp_path: Path, number: int, fault: str, code: Exit) -> None:
    with pytest.raises((MachineFault, TemporaryFault)) as caught, machine.machine_faults("trying", place=tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path / "file"))
    assert (caught.value.fault, caught.value.exit_code) == (fault, code)
    assert caught.value.hint
    if fault in ("S04", "S06"):
        assert "bytes free" in caught.value.message


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")])
def test_S09_memory_and_threads_are_this_machine(error: Exception) -> None:
    with pytest.raises(MachineFault) as caught, machine.machine_faults("trying"):
        raise error
    assert caught.value.fault == "S09"


def test_other_errors_stay_what_they_are() -> None:
    for error in (FileNotFoundError(errno.ENOENT, "no"), RuntimeError("other"), ValueError()):
        with pytest.raises(type(error)), machine.machine_faults("trying"):
            raise error


# ---------------------------------------------------------------------------------------------------------------------
# Permissions, as somebody whom they bind
# ---------------------------------------------------------------------------------------------------------------------

# No capabilities, also none of its children: mode bits bind as they bind everybody. Another user number would do the
# same, but often cannot read the interpreter that the tests run under.
AS_NOBODY = """
import ctypes
system = ctypes.CDLL(None, use_errno=True)
for capability in range(64):
    system.prctl(24, capability, 0, 0, 0)
header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
if system.capset(header, none) != 0:
    raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")
"""


def no_write(root: Path) -> None:
    for parent, _, _ in os.walk(root):
        os.chmod(parent, 0o555)


def not_ours(root: Path) -> None:
    for parent, folders, files in os.walk(root):
        for name in (".", *folders, *files):
            os.chown(os.path.join(parent, name), NOBODY, NOBODY)


def internal_closed(root: Path) -> None:
    os.chmod(root / ".aigiqa" / "staging", 0o000)


DENIALS: dict[str, Callable[[Path], None]] = {
    "read-only modes": no_write,
    "another's": not_ours,
    "closed": internal_closed,
}


@pytest.mark.parametrize(
    "denial", [pytest.param(name, marks=pytest.mark.rig("nobody", sample=3, share=1 / 3)) for name in DENIALS]
)
def test_S08_unprivileged(rig: Rig, tmp_path: Path, denial: str) -> None:
    """Denied in PLAN, before a byte is asked for; what only reads works on."""
    if os.geteuid() != 0:
        rig.not_run("only root can become another user")
    with local(tmp_path, prompts=3) as here:
        here.nursery(*FETCH, code=0)
        good = invariants.tree(here.root)
        here.nursery("fetch", NAME, "--force", prelude=AS_NOBODY, code=0)  # as the owner everything works
        DENIALS[denial](here.root)
        here.server.log.clear()
        for words in (("fetch", NAME, "--force", "--json"), ("remove", NAME, "--json"), ("gc", "--json")):
            ended = here.nursery(*words, prelude=AS_NOBODY)
            if words[0] == "gc" and ended.code == 0:
                continue  # there is nothing to be swept, so nothing is denied
            assert (ended.code, ended.error()["fault"]) == (7, "S08"), f"{words}: {ended.out} {ended.err}"
            assert not here.server.log, "nothing is asked for"
        for words in (("list", "--json"), ("info", NAME, "--json"), ("verify", "--json"), ("path", NAME), ("index",)):
            ended = here.nursery(*words, prelude=AS_NOBODY)
            assert ended.code == 0, f"{words}: {ended.out} {ended.err}"
        assert invariants.tree(here.root) == good
        rig.did()


def test_S08_P12_read_only_mount(tmp_path: Path) -> None:
    if lacking():
        pytest.skip(lacking())
    with local(tmp_path, prompts=3) as here, disk(here.root, "size=16m"):
        here.nursery(*FETCH, code=0)
        subprocess.run(["mount", "-o", "remount,ro", str(here.root)], check=True)
        here.server.log.clear()
        for words in (("fetch", NAME, "--force", "--json"), ("remove", NAME, "--json")):
            ended = here.nursery(*words, code=7)
            assert ended.error()["fault"] == "S08"
        assert not here.server.log
        for words in (("list",), ("info", NAME), ("verify",), ("index",), ("export", NAME, "--format", "csv")):
            here.nursery(*words, code=0)


def test_S08_immutable_file(settled: Local) -> None:
    if shutil.which("chattr") is None:
        pytest.skip("there is no chattr here")
    target = settled.root / NAME / "images" / "sd1.5_lowcorr_000.jpg"
    if subprocess.run(["chattr", "+i", str(target)], capture_output=True, check=False).returncode:
        pytest.skip("this file system has no immutable files")
    try:
        ended = settled.nursery("remove", NAME, "--json")
        assert (ended.code, ended.error()["fault"]) == (7, "S08")
        assert target.name in ended.error()["message"]
    finally:
        for path in settled.root.rglob(target.name):
            subprocess.run(["chattr", "-i", str(path)], check=True)
    settled.nursery("remove", NAME, code=0)
    assert list(invariants.tree(settled.root)) == ["index.csv"]


# ---------------------------------------------------------------------------------------------------------------------
# Signals in every phase
# ---------------------------------------------------------------------------------------------------------------------

SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 143}
SEEN = tracing.expression((*tracing.MAKING, *tracing.OPENING))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.rig("signals", sample=12, share=1 / 3)) for n in SIGNALS]
)
def test_S03_signal_at_any_call(rig: Rig, tmp_path: Path, name: str) -> None:
    """Stops with the documented code and whole JSON; the same command finishes."""
    if tracing.lacking():
        rig.not_run(tracing.lacking())
    with local(tmp_path, prompts=3) as here:
        here.nursery(*FETCH, code=0)
        here.clear()
        ended = here.nursery(*FETCH, trace=SEEN, code=0)
        good = invariants.tree(here.root)
        points = [c for c in tracing.calls("command", ended.trace) if c.changes and tracing.below(here.root, c)]
        for point in rig.chance.sample(points, min(rig.length, len(points))):
            here.clear()
            ended = here.nursery(*FETCH, trace=tracing.signalling(point, name))
            assert ended.code in (SIGNALS[name], 0), f"{point}: {ended}"
            assert "Traceback" not in ended.err
            if ended.code:
                error = ended.error()
                assert (error["fault"], error["exit_code"]) == ("S03", ended.code), point
            here.sound({}, settled=False)
            here.heals(good, *FETCH)
            here.sweeps(good)
            rig.did(stopped=ended.code != 0)


def test_S03_second_signal_ends_at_once(here: Local) -> None:
    """While the first one is still being seen to."""
    stubborn = (
        "import aigiqa_cli.cli.main as main, time, os, signal\n"
        "def slow(*_):\n"
        "    open(os.environ['HOME'] + '/waiting', 'w').close()\n"
        "    time.sleep(60)\n"
        "main._stopped = slow\n"
        "def hang(*_):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
        "main._command = hang\n"
    )
    run = here.nursery.begin(*FETCH, prelude=stubborn)
    while not (here.base / "home" / "waiting").exists():
        threading.Event().wait(0.01)
    os.kill(run.pid, signal.SIGTERM)
    ended = here.nursery.end(run)
    assert ended.code == 143
    assert "Traceback" not in ended.err


def test_S03_closed_stdout_and_stderr(run: Command) -> None:
    """Whoever listened has gone; the work is finished all the same."""
    read, write = os.pipe()
    os.close(read)
    with run.start("fetch", "demo", stdout=write, stderr=write) as process:
        os.close(write)
        assert process.wait(timeout=120) == 0
    invariants.check(run.root, settled=True)


def test_S04_full_disk_behind_the_log(run: Command) -> None:
    """What goes to stderr is no reason to stop."""
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    with open("/dev/full", "w") as full, run.start("fetch", "demo", "-v", stderr=full) as process:
        assert process.wait(timeout=120) == 0
    invariants.check(run.root, settled=True)
    with open("/dev/full", "w") as full, run.start("fetch", "demo", stdout=full) as process:
        assert process.wait(timeout=120) == 7, "the answer could not be given"


# ---------------------------------------------------------------------------------------------------------------------
# Limits
# ---------------------------------------------------------------------------------------------------------------------


def limited(run: Command, kind: int, value: int, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aigiqa_cli", *words],
        env=run.environment, cwd=run.work, capture_output=True, text=True, timeout=120, check=False,
        preexec_fn=lambda: resource.setrlimit(kind, (value, value)),
    )  # fmt: skip


def test_S09_32_handles_are_enough(run: Command) -> None:
    done = limited(run, resource.RLIMIT_NOFILE, 32, "fetch", "demo")
    assert done.returncode == 0, done.stderr
    invariants.check(run.root, settled=True)


@pytest.mark.parametrize("handles", [8, 10, 12])
def test_S09_too_few_handles(run: Command, handles: int) -> None:
    done = limited(run, resource.RLIMIT_NOFILE, handles, "fetch", "demo", "--json")
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 7), done.stdout
    if done.returncode:
        assert '"fault": "S09"' in done.stdout
    run("fetch", "demo", code=0)
    invariants.check(run.root, settled=True)


@pytest.mark.parametrize("length", [4096, 50_000])
def test_S06_limit_on_file_size(run: Command, length: int) -> None:
    done = limited(run, resource.RLIMIT_FSIZE, length, "fetch", "demo", "--json")
    assert done.returncode == 7, done.stderr
    assert '"fault": "S06"' in done.stdout
    assert not (run.root / "demo").exists()
    run("fetch", "demo", code=0)
    invariants.check(run.root, settled=True)


@pytest.mark.parametrize("megabytes", [150, 250, 350, 500])
def test_S09_little_memory(run: Command, megabytes: int) -> None:
    """Done, or said to be this machine's want of memory; never half done."""
    run("fetch", "demo", code=0)
    done = limited(run, resource.RLIMIT_AS, megabytes << 20, "fetch", "demo", "--force", "--json")
    if "aigiqa" in done.stdout:
        assert done.returncode in (0, 5, 7), done.stdout
    invariants.check(run.root, settled=False)
    run("fetch", "demo", code=0)
    invariants.check(run.root, settled=True)


NO_THREADS = """
import threading
def start(self):
    raise RuntimeError("can't start new thread")
threading.Thread.start = start
"""


def test_S09_no_thread_can_be_started(settled: Local) -> None:
    for words in (("verify", "--json"), ("fetch", NAME, "--force", "--json")):
        ended = settled.nursery(*words, prelude=NO_THREADS)
        assert ended.code in (0, 7), f"{ended.out} {ended.err}"
        assert ended.code == 0 or ended.error()["fault"] == "S09"
        assert "Traceback" not in ended.err
    settled.sound(invariants.tree(settled.root))


def test_S09_S24_one_database_of_several(settled: Local) -> None:
    """Want of memory for one is no reason not to do the others."""
    hindered = (
        "import aigiqa_cli.cli.desk as desk\n"
        "each = desk.Desk.each\n"
        "def one(self, names, work):\n"
        "    def half(name):\n"
        "        if name == 'demo':\n"
        "            raise MemoryError\n"
        "        return work(name)\n"
        "    return each(self, names, half)\n"
        "desk.Desk.each = one\n"
    )
    settled.nursery("fetch", "demo", code=0)
    ended = settled.nursery("remove", "demo", NAME, "--json", prelude=hindered, code=7)
    assert ended.error()["fault"] == "S09"
    assert not (settled.root / NAME).exists()
    assert (settled.root / "demo").exists()


# ---------------------------------------------------------------------------------------------------------------------
# Other file systems, links
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["staging", "installed", "replaced"])
def test_S16_two_file_systems_in_one_root(tmp_path: Path, folder: str) -> None:
    """A mount below the root: refused, never copied without a word."""
    if lacking():
        pytest.skip(lacking())
    with local(tmp_path, prompts=3) as here:
        if folder == "replaced":
            here.nursery(*FETCH, code=0)
        before = invariants.tree(here.root) if here.root.exists() else {}
        (here.root / ".aigiqa" / folder).mkdir(parents=True, exist_ok=True)
        with disk(here.root / ".aigiqa" / folder, "size=16m"):
            ended = here.nursery("fetch", NAME, "--force", "--json", code=7)
            assert ended.error()["fault"] == "S16", ended.out
            assert (invariants.tree(here.root) if before else {}) == before


def test_S17_root_behind_a_link(here: Local, tmp_path: Path) -> None:
    """The root itself may be a link: it is followed once."""
    real = tmp_path / "real"
    real.mkdir()
    here.root.symlink_to(real)
    here.nursery(*FETCH, code=0)
    invariants.check(real, settled=True)
    here.nursery("verify", code=0)
    here.nursery("remove", NAME, code=0)
    assert here.root.is_symlink()


@pytest.mark.parametrize(
    "below", [".aigiqa", ".aigiqa/staging", ".aigiqa/partial", ".aigiqa/installed", ".aigiqa/replaced"]
)
@pytest.mark.parametrize("words", [("fetch", NAME, "--force", "--json"), ("remove", NAME, "--json"), ("gc", "--json")])
def test_S17_link_below_the_root(settled: Local, below: str, words: tuple[str, ...]) -> None:
    """Refused before anything is written through it."""
    away = settled.base / "user" / "away"
    (settled.root / below).rename(away)
    (settled.root / below).symlink_to(away)
    settled.outside = settled.world()
    ended = settled.nursery(*words, code=7)
    assert ended.error()["fault"] == "S17", ended.out
    assert settled.world() == settled.outside


@pytest.mark.parametrize("words", [("fetch", NAME, "--force", "--json"), ("remove", NAME, "--json")])
def test_S17_database_folder_is_a_link(settled: Local, words: tuple[str, ...]) -> None:
    away = settled.base / "user" / "away"
    (settled.root / NAME).rename(away)
    (settled.root / NAME).symlink_to(away)
    settled.outside = settled.world()
    ended = settled.nursery(*words, code=7)
    assert ended.error()["fault"] == "S17", ended.out
    assert settled.world() == settled.outside


def test_S17_hard_linked_image_keeps_its_bytes(settled: Local) -> None:
    """A second name that the user gave an image shares its bytes, and they are never changed."""
    image = settled.root / NAME / "images" / "sd1.5_lowcorr_000.jpg"
    mine = settled.base / "mine.jpg"
    os.link(image, mine)
    data = mine.read_bytes()
    settled.nursery("fetch", NAME, "--force", code=0)
    settled.nursery("remove", NAME, code=0)
    assert mine.read_bytes() == data


@contextmanager
def swapping(folder: Path, away: Path) -> Iterator[None]:
    """Somebody exchanges a folder for a link to another one, and back, without a pause."""
    over = threading.Event()
    aside = folder.with_name(folder.name + "-aside")

    def swap() -> None:
        while not over.is_set():
            try:
                folder.rename(aside)
                folder.symlink_to(away)
                folder.unlink()
                aside.rename(folder)
            except OSError:
                continue

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if aside.exists() and not os.path.lexists(folder):
            aside.rename(folder)


@pytest.mark.rig("swaps", sample=6)
def test_S17_folder_swapped_for_a_link(settled: Local, rig: Rig) -> None:
    """Whatever comes of the run: what is the user's, behind the link, is never changed or removed."""
    away = settled.base / "user" / "away"
    shutil.copytree(settled.root / NAME, away)
    template = settled.keep("whole")
    held = invariants.world(settled.base / "user")
    for number in range(rig.length):
        settled.restore(template)
        words = ("fetch", NAME, "--force") if number % 2 else ("remove", NAME)
        with swapping(settled.root / NAME, away):
            ended = settled.nursery(*words)
        assert ended.code in (0, 2, 4, 6, 7), f"{ended}"
        assert invariants.world(settled.base / "user") == held
        rig.did()


HANDICAPS = {
    "no hard links": ("linkat", "EPERM"),
    "no opening without links in one step": ("openat2", "ENOSYS"),
    "no syncfs": ("syncfs", "ENOSYS"),
    "no locks": ("flock", "ENOLCK"),
}


@pytest.mark.parametrize("handicap", HANDICAPS)
def test_S21_slower_path_same_promises(settled: Local, handicap: str) -> None:
    """What this file system cannot do at all is done in another way."""
    if tracing.lacking():
        pytest.skip(tracing.lacking())
    call, error = HANDICAPS[handicap]
    text = settled.manifest.read_text()
    settled.manifest.write_text(text.replace("title: Tiny", "title: Tinier"))  # the images stay, by links
    settled.outside = settled.world()
    trace = ["-e", f"trace={call}", "-e", "signal=none", "-e", f"inject={call}:error={error}"]
    ended = settled.nursery(*FETCH, trace=trace)
    assert ended.code == 0, f"{ended.out} {ended.err}"
    invariants.check(settled.root, settled=True)
    assert any("INJECTED" in line for line in ended.trace), "it was never asked for"


# ---------------------------------------------------------------------------------------------------------------------
# Threads
# ---------------------------------------------------------------------------------------------------------------------


def test_S24_error_in_the_hashing_thread_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aigiqa_cli.installing import supplies

    def fails(_path: Path) -> tuple[str, int]:
        raise MemoryError

    monkeypatch.setattr(supplies, "sha256_file", fails)
    (tmp_path / "some.zip").write_bytes(b"PK")
    with pytest.raises(MemoryError):
        _ = supplies.File(tmp_path / "some.zip", "given").digest


def test_S24_first_error_of_many_members_wins(tmp_path: Path) -> None:
    """Two threads unpack; the fault of one ends the work of both, and is the one that is told."""
    import replicas

    from aigiqa_cli.archives import Order, open_archive

    names = [f"image {number}.jpg" for number in range(200)]
    path = replicas.archive(tmp_path / "some.zip", [(name, data) for name, data in replicas.images(names).items()])
    target = tmp_path / "target"
    (target / "in the way").mkdir(parents=True)
    with open_archive(path, target) as archive:
        orders = [Order(member, "in the way" if at == 50 else f"{at}.jpg") for at, member in enumerate(archive.members)]
        with pytest.raises((MachineFault, IntegrityFault)) as caught:
            list(archive.unpack(orders))
    assert caught.value.phase == "UNPACK"
    assert Root(tmp_path).path == tmp_path
