"""Other programs, for what the Python readers cannot do: 7-Zip, unar, unrar, bsdtar.

A program only turns packed bytes into unpacked ones. It writes all members to its standard output, in archive order;
what they are called, how long they are and which checksum they have, our own reader of the format has said before, and
every byte is held against that. So a program that lies, or another reading of a name, can do no harm. It runs with the
worker's limits, can make no file grow, opens the archive by descriptor and dies with the worker.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import re
import resource
import select
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from aigiqa_cli.archives.contract import Chunks, Consume, Member, Needed, Refusal, checked, password_wrong
from aigiqa_cli.archives.source import Opened

BLOCK = 1 << 20
IDLE_SECONDS = 120
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Program:
    """How a program writes all members to its standard output, and the oldest version that does it cleanly.

    `asks`: it reads the password from its standard input. unar takes one only as an argument, which other users of
    the machine can see while it runs.
    """

    arguments: tuple[str, ...]
    version: tuple[str, ...]
    oldest: tuple[int, int]
    package: str
    asks: bool = True


_SEVEN = Program(("x", "-so", "-bd", "--"), (), (16, 0), "7zip (in older Debian and Ubuntu: p7zip-full)")
PROGRAMS = {
    "7zz": _SEVEN,
    "7z": _SEVEN,
    "7za": _SEVEN,
    "unar": Program(("-q", "-nr", "-k", "skip", "-o", "-"), ("-v",), (1, 10), "unar", asks=False),
    "unrar": Program(("p", "-inul", "--"), (), (5, 0), "unrar"),
    "bsdtar": Program(("-x", "-O", "-f"), ("--version",), (3, 3), "libarchive-tools"),
}


@dataclass(frozen=True)
class Item:
    """A member in the order in which a program writes it; `crc` is None where the format has no CRC-32 of it."""

    member: Member
    crc: int | None


def require(opened: Opened, names: Sequence[str], why: str, advised: Sequence[str] = ()) -> list[str]:
    """The installed ones of these programs, best first. Raises Needed, with the packages of those `advised` (all of
    them by default), if there is none."""
    found = [name for name in installed(opened, names) if _recent(opened, name)]
    if not found:
        raise Needed(f"{why}, which needs another program", "A29", advice(advised or names))
    return found


def advice(names: Sequence[str]) -> str:
    """What a person can do who lacks these programs."""
    return f"install the package {' or '.join(dict.fromkeys(PROGRAMS[name].package for name in names))}"


def installed(opened: Opened, names: Sequence[str]) -> list[str]:
    """Those of these programs that are here; bsdtar reads no split set."""
    return [name for name in names if name in opened.tools and not (len(opened.names) > 1 and name == "bsdtar")]


def stream(
    opened: Opened,
    programs: Sequence[str],
    items: Sequence[Item],
    wanted: set[int],
    consume: Consume,
    *,
    secret: bool,
    proven: bool = False,
) -> None:
    """Call `consume` for the wanted members. A program that gives up before a member hands over to the next one.

    `items` are all regular members in the order in which programs write them. `secret`: they are encrypted;
    `proven`: the password is known to be right, so that a failure is no fault of it.
    """
    last = max((at for at, item in enumerate(items) if item.member.number in wanted), default=-1)
    if any(item.crc is None for item in items if item.member.number in wanted):
        last = len(items) - 1  # only the program can check these, and says so at the end
    reached = 0
    doubt = secret and not proven
    for name in programs[:1] if doubt else programs:  # a wrong password is wrong for all, and bsdtar tries it long
        run = _Run(opened, name, secret=secret, doubt=doubt, to_the_end=last == len(items) - 1)
        reached = run.carry_out(items[: last + 1], reached, wanted, consume)
        if reached > last:
            return
    name = items[reached].member.name
    raise (
        password_wrong(f"the member {name!r}")
        if doubt
        else Refusal(f"the member {name!r} cannot be unpacked by {' or '.join(programs)}", "A16")
    )


class _Run:
    """One run of a program."""

    def __init__(self, opened: Opened, name: str, *, secret: bool, doubt: bool, to_the_end: bool) -> None:
        self.name, self.doubt, self.to_the_end = name, doubt, to_the_end
        self.process = _start(opened, name, secret=secret)
        assert self.process.stdout is not None  # noqa: S101 - made with a pipe
        self.pipe = self.process.stdout
        self.out = self.pipe.fileno()

    def carry_out(self, items: Sequence[Item], reached: int, wanted: set[int], consume: Consume) -> int:
        """Number of the first item that was not carried out; those before `reached` are skipped."""
        try:
            for at, item in enumerate(items):
                chunks = self._chunks(item.member.bytes)
                first = next(chunks, b"")
                if item.member.bytes and not first:
                    return max(at, reached)
                whole = self._checked(item, itertools.chain([first] if first else [], chunks))
                if item.member.number in wanted and at >= reached:
                    consume(item.member, whole)
                else:
                    _exhaust(whole)
            if self.to_the_end:
                self._finish()
        finally:
            self._stop()
        return len(items)

    def _checked(self, item: Item, chunks: Chunks) -> Chunks:
        try:
            yield from checked(item.member, chunks, item.crc)
        except Refusal:
            if self.doubt:
                raise password_wrong(f"the member {item.member.name!r}") from None
            raise

    def _chunks(self, count: int) -> Iterator[bytes]:
        while count > 0:
            if not select.select([self.out], [], [], IDLE_SECONDS)[0]:
                raise Refusal(f"{self.name} has said nothing for {IDLE_SECONDS} seconds", "S09")
            data = os.read(self.out, min(count, BLOCK))
            if not data:
                return
            count -= len(data)
            yield data

    def _finish(self) -> None:
        if next(self._chunks(1), b""):
            raise Refusal(f"{self.name} unpacks more than the archive declares", "A12")
        try:
            code = self.process.wait(IDLE_SECONDS)
        except subprocess.TimeoutExpired:
            raise Refusal(f"{self.name} does not end", "S09") from None
        if code:
            problem = f"{self.name} found something wrong with the archive (exit status {code})"
            raise password_wrong("the archive") if self.doubt else Refusal(problem, "A16")

    def _stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.pipe.close()
        self.process.wait()


def _start(opened: Opened, name: str, *, secret: bool) -> subprocess.Popen[bytes]:
    program = PROGRAMS[name]
    command = [opened.tools[name], *program.arguments, opened.path]
    if secret and not program.asks:
        command[1:1] = ["-p", opened.password]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=opened.descriptors,
        env=_ENVIRONMENT,
        start_new_session=True,  # without a terminal of its own it asks for the password on its standard input
        preexec_fn=_confinement(),  # noqa: PLW1509 - no thread of ours runs beside
    )
    assert process.stdin is not None  # noqa: S101 - made with a pipe
    # One that ends without asking is judged by what it wrote all the same.
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(opened.password.encode() + b"\n" if secret and program.asks else b"")
    return process


def _confinement() -> Callable[[], None]:
    """What a program does before it becomes itself: no file may grow, and it dies with the worker."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)

    def confine() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        if prctl is not None and prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError("a program could not be tied to the life of the worker")

    return confine


def _recent(opened: Opened, name: str) -> bool:
    """Is the program new enough? One that does not say its version is not used."""
    program = PROGRAMS[name]
    try:
        done = subprocess.run(
            [opened.tools[name], *program.version],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
            preexec_fn=_confinement(),
            timeout=IDLE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    said = re.search(rb"(\d+)\.(\d+)", done.stdout[:500])
    return said is not None and (int(said[1]), int(said[2])) >= program.oldest


def _exhaust(chunks: Chunks) -> None:
    for _ in chunks:
        continue
