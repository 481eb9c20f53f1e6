"""Archives and folders, read in one limited worker process.

`open_archive` lists a container; `Archive.unpack` streams wanted members into a folder, hashing them and reading
image headers on the way. Formats stand in `worker.FORMATS`; what a file is, its first bytes say, never its name.
Only which volumes belong to a split set, names say too.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from aigiqa_cli import folders
from aigiqa_cli.archives.contract import Member
from aigiqa_cli.archives.looking import HUNG, looked_at
from aigiqa_cli.archives.magic import detect_format
from aigiqa_cli.archives.member_names import is_junk
from aigiqa_cli.archives.misfits import verdict
from aigiqa_cli.archives.tools import PROGRAMS
from aigiqa_cli.archives.volumes import VolumeSet, declared_set, is_volume_name, volume_set
from aigiqa_cli.errors import Fault, Finding, MachineFault, PersonNeeded, RefusedInput
from aigiqa_cli.machine import machine_fault

__all__ = [
    "Archive",
    "Member",
    "Order",
    "Unpacked",
    "VolumeSet",
    "declared_set",
    "detect_format",
    "is_junk",
    "is_volume_name",
    "open_archive",
    "volume_set",
]

_PACKAGE_PARENT = str(Path(__file__).resolve().parent.parent.parent)
_FOLDERS = ("folder", "download")
_START = f"import sys; sys.path.insert(0, {_PACKAGE_PARENT!r}); from aigiqa_cli.archives.worker import main; main()"
# No token, proxy or home reaches the worker (K08). glibc keeps freed memory for the next member: giving it back and
# asking for it anew costs 600,000 page faults a gigabyte, an eighth of the processor time of an import.
_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "PYTHONUTF8": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
}
_CPU_BYTES_PER_SECOND = 2_000_000
_CPU_FLOOR = 120
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGXCPU)
_DAMAGED = ("A12", "A16", "A17")
_HINT_DAMAGED = "it is damaged, or its download was cut off: download it again, best from another mirror"
_HINT_FOLDER = "when no program changes the folder any more, run the same command again"
_HINT = "nothing of it was unpacked; get it from another mirror: aigiqa info DB"


@dataclass(frozen=True, slots=True)
class Order:
    """What to do with a member: write it to `to` below the target ("" = only hash it), and how to look into it."""

    member: Member
    to: str
    look: Literal["", "header", "decode"] = ""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """One member as it was written. `problem` says why it is not an image, `fault` by which rule; width and height are
    pixels."""

    member: Member
    to: str
    bytes: int
    sha256: str
    width: int = 0
    height: int = 0
    format: str = ""
    problem: str = ""
    fault: str = ""


class Archive:
    """An open container: its members, and the worker that reads it. Use as a context manager."""

    def __init__(
        self,
        path: Path,
        kind: str,
        target: Path,
        name: str = "",
        password: str = "",
        volumes: VolumeSet | None = None,
    ) -> None:
        self.path = path
        self.name = name or (volumes.name if volumes else path.name)
        self.kind = kind
        self.volumes = volumes
        self._target = target
        # Links to the worker's descriptors: a program that opens one reads the very file that the worker has open.
        self._links = tempfile.mkdtemp(prefix="aigiqa-") if volumes else None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe that nobody reads would block a talkative worker
        self._notes = tempfile.TemporaryFile()  # noqa: SIM115 - which images it looks at, see looking.py
        try:
            self._process = self._start(target)
            self._send(json.dumps(self._told(password)) + "\n")
            self.members = tuple(self._list())
        except BaseException:
            self.close()
            raise

    def _start(self, target: Path) -> subprocess.Popen[str]:
        flags = os.O_RDONLY | (os.O_DIRECTORY if self.kind in _FOLDERS else 0)
        opened: list[int] = []
        try:
            for path in self._paths():
                opened.append(os.open(path, flags))  # noqa: PERF401 - those opened before a failure are closed
            for at, name in enumerate(self.volumes.names if self.volumes else ()):  # `zip` is a module of this room
                os.symlink(f"/dev/fd/{opened[at]}", os.path.join(str(self._links), name))
            size = self._extent(opened)
            folder = folders.handle(target)
            seconds = _CPU_FLOOR + size // _CPU_BYTES_PER_SECOND if self.kind not in _FOLDERS else 24 * 3600
            opened.append(folder)
            notes = self._notes.fileno()
            sources = ",".join(str(descriptor) for descriptor in opened[:-1])
            return subprocess.Popen(
                # -B: compiled modules are not its to write, and its limit on file size would cut them off
                [sys.executable, "-I", "-B", "-c", _START, self.kind, sources, str(folder), str(notes), str(seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                pass_fds=(*opened, notes),
                env=_ENVIRONMENT,
                cwd=self._links,
                text=True,
                encoding="utf-8",
            )
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _paths(self) -> tuple[Path, ...]:
        """What the worker reads."""
        return self.volumes.paths if self.volumes else (self.path,)

    def _extent(self, descriptors: Sequence[int]) -> int:
        """The bytes of the whole archive."""
        return sum(os.fstat(descriptor).st_size for descriptor in descriptors)

    def _told(self, password: str) -> dict[str, Any]:
        """What the worker needs beside descriptors. The password goes this way, where no other user can see it."""
        if self.kind in (*_FOLDERS, "tar"):
            return {}
        found = {program: shutil.which(program) for program in PROGRAMS}
        told = {"tools": {n: p for n, p in found.items() if p and os.path.isabs(p)}, "password": password}
        return told | ({"names": self.volumes.names, "shape": self.volumes.shape} if self.volumes else {})

    def unpack(self, orders: Sequence[Order], *, last: bool = False) -> Iterator[Unpacked]:
        """Carry out `orders`; yields each as it is done, in no fixed order. `last`: nothing of it is read after."""
        if not orders:
            return
        by_number = {order.member.number: order for order in orders}
        plan = [{"member": order.member.number, "to": order.to, "look": order.look} for order in orders]
        self._send(self._planned(plan, last=last) + "\n")
        for answer in self._answers():
            if "done" in answer:
                return
            order = by_number[answer.pop("member")]
            yield Unpacked(order.member, order.to, **answer)

    def _planned(self, plan: list[dict[str, Any]], *, last: bool) -> str:  # noqa: ARG002 - for archives that are in the way
        return json.dumps(plan)

    def settle(self) -> None:
        """Judge what could not be judged when it was opened; nothing of it may be published before."""

    def close(self) -> None:
        """End the worker; whatever it was doing is lost."""
        if self._links:
            shutil.rmtree(self._links, ignore_errors=True)
        process: subprocess.Popen[str] | None = getattr(self, "_process", None)
        if process is not None:
            if process.poll() is None:
                process.kill()
            for pipe in filter(None, (process.stdin, process.stdout)):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
            process.wait()
        self._errors.close()
        self._notes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _list(self) -> Iterator[Member]:
        for answer in self._answers():
            if "listed" in answer:
                return
            yield Member(**answer)

    def _send(self, text: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - made with a pipe
        try:
            self._process.stdin.write(text)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._death() from None

    def _answers(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout is not None  # noqa: S101 - made with a pipe
        while line := self._process.stdout.readline():
            answer: dict[str, Any] = json.loads(line)
            if "refused" in answer:
                raise self._refusal(answer["refused"], answer["fault"])
            if "needed" in answer:
                hint = answer["hint"] or "put all volumes into one folder, then run the same command again"
                raise PersonNeeded(f"{self.name}: {answer['needed']}", hint=hint, fault=answer["fault"], phase="LIST")
            if "machine" in answer:
                raise self._machine(OSError(answer["errno"], answer["machine"]))
            yield answer
        raise self._death()

    def _machine(self, error: OSError) -> Fault:
        doing = f"unpacking {self.name}"
        fault = machine_fault(error, doing, phase="UNPACK", place=self._target)
        return fault or MachineFault(f"{doing} failed: {error.strerror}", fault="S07", phase="UNPACK")

    def _refusal(self, reason: str, fault: str) -> Fault:
        misfit = verdict(self.volumes, self.name, reason, fault)
        hint = _HINT_FOLDER if self.kind in _FOLDERS else _HINT_DAMAGED if fault in _DAMAGED else _HINT
        return misfit or RefusedInput(f"{self.name} is refused: {reason}", hint=hint, fault=fault, phase="LIST")

    def _death(self) -> RefusedInput | MachineFault:
        code = self._process.wait()
        self._errors.seek(0)
        errors = self._errors.read(1 << 16).decode("utf-8", "replace").strip()
        if fault := self._death_of_a_decoder(code):
            return fault
        if code == -signal.SIGXCPU:
            return RefusedInput(f"reading {self.name} took too much time", fault="S09", phase="UNPACK")
        if code == -signal.SIGKILL:
            errors = "it was killed, by a person or for want of memory"
        last = errors.splitlines()[-1] if errors else f"exit status {code}"
        return MachineFault(f"the worker that reads {self.name} died: {last}", fault="S09", phase="UNPACK")

    def _death_of_a_decoder(self, code: int) -> RefusedInput | None:
        """A crash, or no end, while it looked at images (I09)."""
        names = {member.number: member.name for member in getattr(self, "members", ())}
        looked = [names[number] for number in looked_at(self._notes.fileno()) if number in names]
        if not looked or -code not in (HUNG, *_CRASHES):
            return None
        how = "does not come back from" if -code in (HUNG, signal.SIGXCPU) else "crashes on"
        return RefusedInput(
            f"{self.name} is refused: the image decoder {how} {' or '.join(map(repr, looked))}",
            fault="I09",
            phase="IMAGES",
            findings=[Finding("", name, f"the image decoder {how} it", "an image", "") for name in looked],
        )


def open_archive(
    path: Path,
    target: Path,
    name: str = "",
    *,
    password: str = "",
    volumes: VolumeSet | None = None,
    ours: bool = False,
) -> Archive:
    """Open a zip, tar, 7z, rar or folder; members will be written below the existing folder `target`. `name` is
    what messages call it. Of a split set any volume may be given; `volumes` says which they are where that is known.
    The files of a folder that is `ours` are linked where the disk can, not copied.

    Raises RefusedInput for anything else, unsafe members and broken containers; PersonNeeded for a password, a program
    or a volume that is missing; IntegrityFault for volumes that do not belong together.
    """
    if path.is_dir():
        return Archive(path, "download" if ours else "folder", target, name)
    volumes = volumes or volume_set(path)
    with (volumes.paths[0] if volumes else path).open("rb") as stream:
        kind = detect_format(stream.read(512))
    if kind:
        return Archive(path, kind, target, name, password, volumes)
    raise RefusedInput(f"{name or path.name} is no zip, tar, 7z or rar archive", fault="A23", phase="LIST")
