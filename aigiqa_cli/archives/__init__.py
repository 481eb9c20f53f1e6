"""Archives and folders, read in one limited worker process.

`open_archive` lists a container; `Archive.unpack` streams wanted members into a folder, hashing them and reading
image headers on the way. Formats stand in `worker.FORMATS`; what a file is, its first bytes say, never its name.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from aigiqa_cli.archives.contract import Member
from aigiqa_cli.archives.member_names import is_junk
from aigiqa_cli.errors import MachineFault, RefusedInput

__all__ = ["Archive", "Member", "Order", "Unpacked", "detect_format", "is_junk", "open_archive"]

_PACKAGE_PARENT = str(Path(__file__).resolve().parent.parent.parent)
_START = f"import sys; sys.path.insert(0, {_PACKAGE_PARENT!r}); from aigiqa_cli.archives.worker import main; main()"
_TAR_MAGIC_AT = 257
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


@dataclass(frozen=True)
class Order:
    """What to do with a member: write it to `to` below the target ("" = only hash it), and how to look into it."""

    member: Member
    to: str
    look: Literal["", "header", "decode"] = ""


@dataclass(frozen=True)
class Unpacked:
    """One member as it was written. `problem` says why it is not an image; width and height in pixels."""

    member: Member
    to: str
    bytes: int
    sha256: str
    width: int = 0
    height: int = 0
    format: str = ""
    problem: str = ""


def detect_format(head: bytes) -> str:
    """'zip', 'tar' (also compressed), '7z', 'rar' by magic number; '' if it is none of these. `head`: 512 bytes."""
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    if head[:2] == b"\x1f\x8b" or head[:3] == b"BZh" or head[:6] == b"\xfd7zXZ\x00":
        return "tar"
    if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return "tar"
    if head[:6] == b"7z\xbc\xaf\x27\x1c":
        return "7z"
    if head[:7] in (b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01"):
        return "rar"
    return ""


class Archive:
    """An open container: its members, and the worker that reads it. Use as a context manager."""

    def __init__(self, path: Path, kind: str, target: Path, name: str = "") -> None:
        self.path = path
        self.name = name or path.name
        self.kind = kind
        flags = os.O_RDONLY | (os.O_DIRECTORY if kind == "folder" else 0)
        source = os.open(path, flags)
        folder = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        size = os.fstat(source).st_size
        seconds = _CPU_FLOOR + size // _CPU_BYTES_PER_SECOND if kind != "folder" else 24 * 3600
        command = [sys.executable, "-I", "-c", _START, kind, str(source), str(folder), str(seconds)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(source, folder),
                env=_ENVIRONMENT,
                text=True,
                encoding="utf-8",
            )
        finally:
            os.close(source)
            os.close(folder)
        try:
            self.members = tuple(self._list())
        except BaseException:
            self.close()
            raise

    def unpack(self, orders: Sequence[Order]) -> Iterator[Unpacked]:
        """Carry out `orders`; yields each as it is done, in no fixed order."""
        if not orders:
            return
        by_number = {order.member.number: order for order in orders}
        plan = [{"member": order.member.number, "to": order.to, "look": order.look} for order in orders]
        self._send(json.dumps(plan) + "\n")
        for answer in self._answers():
            if "done" in answer:
                return
            order = by_number[answer.pop("member")]
            yield Unpacked(order.member, order.to, **answer)

    def close(self) -> None:
        """End the worker; whatever it was doing is lost."""
        process = self._process
        if process.poll() is None:
            process.kill()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        process.wait()

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
                raise RefusedInput(f"{self.name} is refused: {answer['refused']}", fault=answer["fault"], phase="LIST")
            if "machine" in answer:
                raise MachineFault(
                    f"unpacking {self.name} failed: {answer['machine']}", fault=answer["fault"], phase="UNPACK"
                )
            yield answer
        raise self._death()

    def _death(self) -> RefusedInput | MachineFault:
        code = self._process.wait()
        errors = self._process.stderr.read().strip() if self._process.stderr else ""
        if code == -signal.SIGXCPU:
            return RefusedInput(f"reading {self.name} took too much time", fault="S09", phase="UNPACK")
        if code == -signal.SIGKILL:
            errors = "it was killed, by a person or for want of memory"
        last = errors.splitlines()[-1] if errors else f"exit status {code}"
        return MachineFault(f"the worker that reads {self.name} died: {last}", fault="S09", phase="UNPACK")


def open_archive(path: Path, target: Path, name: str = "") -> Archive:
    """Open a zip, tar or folder; members will be written below the existing folder `target`. `name` is
    what messages call it.

    Raises RefusedInput for anything else, unsafe members and broken containers.
    """
    if path.is_dir():
        return Archive(path, "folder", target, name)
    with path.open("rb") as stream:
        kind = detect_format(stream.read(512))
    if kind in ("zip", "tar"):
        return Archive(path, kind, target, name)
    known = f"a {kind} archive, which this version does not read" if kind else "neither a zip nor a tar archive"
    raise RefusedInput(f"{name or path.name} is {known}", fault="A21" if kind else "A23", phase="LIST")
