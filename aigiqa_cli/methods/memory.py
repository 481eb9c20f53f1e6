"""Does a training fit? Told before the first epoch, in bytes and with a batch that does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aigiqa_cli.errors import MachineFault

MOMENTS = 4  # copies of the weights: themselves, gradients, and two moments of Adam
RESERVE = 256 << 20  # of the libraries: kernels, work space, the allocator's losses
FLOAT = 4  # bytes of a float32
_MEMINFO, _CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Footprint:
    """`weights`: bytes of all parameters. `kept`: bytes that one image leaves behind for the way back through the
    backbone. `image`: bytes of one image as the network takes it."""

    weights: int
    kept: int
    image: int


def needed(footprint: Footprint, batch: int, *, pairs: bool, training: bool = True, half: bool = False) -> int:
    """Bytes for a batch. FR and PR pass two images for each (`pairs`); mixed precision keeps half of most."""
    images = batch * (2 if pairs else 1)
    kept = footprint.kept // 2 if half else footprint.kept
    return footprint.weights * (MOMENTS if training else 1) + images * (kept + footprint.image) + RESERVE


def fitting(footprint: Footprint, free: int, *, pairs: bool, half: bool = False) -> int:
    """The largest batch that fits into `free` bytes; 0 if none does."""
    one = needed(footprint, 1, pairs=pairs, half=half)
    fixed = needed(footprint, 0, pairs=pairs, half=half)
    return max(0, (free - fixed) // (one - fixed))


def demand(footprint: Footprint, free: int | None, batch: int, *, pairs: bool, half: bool = False) -> None:
    """Raise MachineFault unless a training with this batch fits into what is free; None: nobody knows what is."""
    need = needed(footprint, batch, pairs=pairs, half=half)
    if free is None or need <= free:
        return
    most = fitting(footprint, free, pairs=pairs, half=half)
    raise MachineFault(
        f"a batch of {batch} needs about {need:,} bytes of memory, and {free:,} are free",
        hint=f"--batch {most} fits" if most else "a smaller backbone, or another device: --device",
        fault="S09",
        phase="PLAN",
    )


def free_here() -> int | None:
    """Bytes that this process may still take: of the machine, and of its control group. None where it does not say."""
    found = [one for one in (_available(), _of_the_group()) if one is not None]
    return min(found, default=None)


def _available() -> int | None:
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), None)


def _of_the_group() -> int | None:
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        cached = _inactive((_CGROUP / "memory.stat").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - used + cached)


def _inactive(text: str) -> int:
    """What the group's file cache gives back when it is asked."""
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("inactive_file ")), 0)
