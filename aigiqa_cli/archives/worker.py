"""The worker: one limited child process that reads hostile bytes and writes only where it is told.

It is given the archive and the target folder as open descriptors, never as paths, has a minimal environment and
limits on memory, CPU time, file size and open files. It speaks JSON lines: it is told how the volumes belong together,
the password, if any, and where other programs are; it answers with the list of members; then, for each plan that it
is sent, with one line per member written. Parts of an archive that lies elsewhere it asks for with a line of its own.
A refusal or a full disk ends it with one line that says so.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from aigiqa_cli.archives.contract import Chunks, Format, Member, Needed, Refusal
from aigiqa_cli.archives.folder import DownloadedFolder, FolderFormat
from aigiqa_cli.archives.looking import Looking
from aigiqa_cli.archives.rar import RarFormat
from aigiqa_cli.archives.seven import SevenFormat
from aigiqa_cli.archives.source import Opened, Source
from aigiqa_cli.archives.tar import TarFormat
from aigiqa_cli.archives.zip import ZipFormat
from aigiqa_cli.archives.zip_arriving import ZipArriving
from aigiqa_cli.archives.zip_parts import ZipInParts
from aigiqa_cli.folders import WORTH_BEGINNING, begin_flush, below, write
from aigiqa_cli.machine import machine_fault

FORMATS: dict[str, type[Any]] = {
    "zip": ZipFormat,
    "zip in parts": ZipInParts,
    "zip arriving": ZipArriving,
    "tar": TarFormat,
    "7z": SevenFormat,
    "rar": RarFormat,
    "folder": FolderFormat,
    "download": DownloadedFolder,
}

Link = Callable[[Member, int, str], bool]  # gives a member a name in an open folder; False where that cannot be

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # of <linux/sched.h>
ADDRESS_SPACE = 2 << 30
OPEN_FILES = 64
_NOTES = 1 << 10  # bytes that any file may have: those of the notes on what is looked at
HEAD = 4 << 20  # an image header that is not within the first 4 MiB is none


def without_network() -> bool:
    """Leave the network, where the kernel lets us: a network of our own has no way out. Root needs no new user."""
    unshare = getattr(ctypes.CDLL(None), "unshare", None)
    return unshare is not None and any(unshare(flags) == 0 for flags in (_NEW_NETWORK, _NEW_USER | _NEW_NETWORK))


def limit(cpu_seconds: int, volumes: int) -> None:
    """Limits of this process and its children; they can only be lowered."""
    files = OPEN_FILES + 2 * (volumes - 1)  # each volume may be open twice, here and in a library
    _lower(resource.RLIMIT_AS, ADDRESS_SPACE)
    _lower(resource.RLIMIT_NOFILE, files)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")  # what a library warns of (giant pixel counts) is judged by our own caps
    _lower(resource.RLIMIT_CPU, cpu_seconds, 5)


def _lower(kind: int, value: int, grace: int = 0) -> None:
    """Limit this process, unless it is limited more already: who may do less than we would allow stays there (S09)."""
    soft, hard = (bound if bound != resource.RLIM_INFINITY else sys.maxsize for bound in resource.getrlimit(kind))
    resource.setrlimit(kind, (min(value, soft, hard), min(value + grace, hard)))


_SAYING = threading.Lock()


class Unpacker:
    """Writes the members of one plan below the target folder and reports each."""

    def __init__(
        self, target: int, plan: dict[int, dict[str, Any]], looking: Looking, link: Link | None = None
    ) -> None:
        self.target = target
        self.looking = looking
        self.link = link
        self.plan = plan
        self.lock = threading.Lock()
        self.folders: dict[str, int] = {}

    def consume(self, member: Member, chunks: Chunks) -> None:
        """Hash, write and look into one member; called from several threads."""
        order = self.plan[member.number]
        digest, length, head = hashlib.sha256(), 0, b""
        descriptor = self._create(member, order["to"]) if order["to"] else -1
        try:
            for chunk in chunks:
                digest.update(chunk)
                length += len(chunk)
                if order["look"] and len(head) < HEAD:
                    head = head + chunk if head else chunk
                if descriptor >= 0:
                    write(descriptor, chunk)
        finally:
            if descriptor >= 0:
                if order["look"] and length >= WORTH_BEGINNING:  # what is not looked at is not published, mostly
                    begin_flush(descriptor)
                os.close(descriptor)
        answer: dict[str, Any] = {"member": member.number, "bytes": length, "sha256": digest.hexdigest()}
        if order["look"]:
            with self.looking.at(member.number):
                answer |= _look(head, order["look"])
        say(answer)

    def _create(self, member: Member, place: str) -> int:
        """A new file to be written, or -1 where the bytes are there already."""
        folder, _, name = place.rpartition("/")
        with self.lock:
            if folder not in self.folders:
                self.folders[folder] = below(self.target, folder)
        if self.link and self.link(member, self.folders[folder], name):
            return -1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        return os.open(name, flags, 0o644, dir_fd=self.folders[folder])


def _look(data: bytes, how: str) -> dict[str, Any]:
    from aigiqa_cli import images

    try:
        header = images.decode(data) if how == "decode" else images.header(data)
    except images.NotAnImage as error:
        return {"problem": str(error), "fault": error.fault}
    return {"width": header.width, "height": header.height, "format": header.format}


def say(answer: dict[str, Any]) -> None:
    """Tell the other side; from several threads, a line each."""
    with _SAYING:
        sys.stdout.write(json.dumps(answer, ensure_ascii=True) + "\n")


def tell(what: str, count: int) -> None:
    """Tell at once: a download waits for it."""
    say({what: count})
    sys.stdout.flush()


def ask(spans: Sequence[tuple[int, int]], numbers: Sequence[int]) -> list[tuple[int, int, int]]:
    """Have parts of an archive that lies elsewhere brought; returns where they, and perhaps more, are now."""
    say({"parts": spans, "members": numbers})
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        raise BrokenPipeError
    return [(begin, end, place) for begin, end, place in json.loads(line)]


def serve(reader: Format, target: int, looking: Looking) -> None:
    """List, then carry out plans until the input ends."""
    members = reader.members()
    for member in members:
        say({"number": member.number, "name": member.name, "bytes": member.bytes})
    say({"listed": len(members)})
    sys.stdout.flush()
    by_number = {member.number: member for member in members}
    largest = max((member.bytes for member in members), default=0) + _NOTES
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that the limit is an error of the write, not a death
    _lower(resource.RLIMIT_FSIZE, largest)
    link: Link | None = getattr(reader, "link", None)
    for line in sys.stdin:
        orders = json.loads(line)
        last = isinstance(orders, dict)
        plan = {order["member"]: order for order in (orders["last"] if last else orders)}
        if not plan:
            reader.settle()  # type: ignore[attr-defined]  # nobody else is sent an empty plan
        unpacker, wanted = Unpacker(target, plan, looking, link), [by_number[number] for number in plan]
        if last:
            reader.stream_once(wanted, unpacker.consume)  # type: ignore[attr-defined]  # as above
        else:
            reader.stream(wanted, unpacker.consume)
        say({"done": len(plan)})
        sys.stdout.flush()


def main() -> None:
    """`worker FORMAT ARCHIVE_DESCRIPTOR[,...] TARGET_DESCRIPTOR NOTES_DESCRIPTOR CPU_SECONDS`; what else it needs comes
    as one line."""
    kind, volumes, target = sys.argv[1], tuple(int(word) for word in sys.argv[2].split(",")), int(sys.argv[3])
    looking = Looking(int(sys.argv[4]))
    without_network()
    limit(int(sys.argv[5]), len(volumes))
    try:
        told = json.loads(sys.stdin.readline() or "{}")
        opened = Opened(volumes, **told | {"names": tuple(told.get("names", ())), "ask": ask, "tell": tell})
        serve(FORMATS[kind](Source(opened)), target, looking)
    except Refusal as refusal:
        say({"refused": refusal.reason, "fault": refusal.fault})
    except Needed as needed:
        say({"needed": needed.reason, "fault": needed.fault, "hint": needed.hint})
    except MemoryError:
        say({"refused": "reading it takes too much memory", "fault": "A13"})
    except BrokenPipeError:
        os._exit(1)
    except OSError as error:
        say({"machine": error.strerror or str(error), "errno": error.errno or errno.EIO})
    except RuntimeError as error:
        if machine_fault(error, "") is None:
            raise
        say({"machine": str(error), "errno": errno.EAGAIN})
    sys.stdout.flush()
