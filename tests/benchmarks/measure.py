"""Timing of commands: pairs run in turn, ratios within a pair, peak memory of a whole process tree."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
SAMPLING = 0.01  # seconds between two looks at the memory
MEGABYTE = 1_000_000


class Missing(Exception):
    """Something that a row needs is not there: a program, or room on the disk."""


class Failed(Exception):
    """A measured command did not do its work: there is no time to report."""


@dataclass(frozen=True)
class Command:
    """What is run. `before` makes the same start for every run and is not timed."""

    words: tuple[str, ...]
    folder: Path | None = None
    settings: dict[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.words,
            cwd=self.folder,
            env=environment() | self.settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )


@dataclass(frozen=True)
class Row:
    """One result. `ratios` are A / B of each pair; `value` is what is held against `target`: at most that much."""

    name: str
    unit: str = "ratio"
    a: tuple[float, ...] = ()
    b: tuple[float, ...] = ()
    value: float | None = None
    target: float | None = None
    problem: str = ""

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(a / b for a, b in zip(self.a, self.b, strict=True)) if self.b else ()

    @property
    def verdict(self) -> str:
        if self.problem:
            return self.problem
        if self.target is None or self.value is None:
            return "no target"
        return "met" if self.value <= self.target else "MISSED"

    @property
    def missed(self) -> bool:
        """Also what was not run has not met its target."""
        return self.verdict not in ("met", "no target")


def environment() -> dict[str, str]:
    """The environment of both sides: no settings of Python or of the programs, no question about updates."""
    ours = ("PYTHON", "AIGIQA_", "HF_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"HF_HUB_DISABLE_UPDATE_CHECK": "1", "LC_ALL": "C.UTF-8"}


def program(name: str) -> str:
    """The program beside this interpreter, else the one on PATH. Raises Missing."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise Missing(f"not run: {name} is missing")
    return found


def compare(name: str, a: Command, b: Command, *, runs: int, target: float | None) -> tuple[Row, float]:
    """A and B in turn after one warm-up each; the row, and the peak memory of A in megabytes (from its warm-up)."""
    peak = peak_memory(a)
    timed(b)
    times_a, times_b = [], []
    for _ in range(runs):
        times_a.append(timed(a))
        times_b.append(timed(b))
    ratio = statistics.median(x / y for x, y in zip(times_a, times_b, strict=True))
    return Row(name, "ratio", tuple(times_a), tuple(times_b), ratio, target), peak


def memory_row(name: str, peak: float, target: float = 300.0) -> Row:
    return Row(f"{name}: peak memory", "MB", value=peak, target=target)


def timed(command: Command) -> float:
    """Seconds of wall time. Raises Failed for a command that fails."""
    command.before()
    begin = time.perf_counter()
    process = command.start()
    _, errors = process.communicate()
    seconds = time.perf_counter() - begin
    _demand_success(command, process.returncode, errors)
    return seconds


def peak_memory(command: Command) -> float:
    """Megabytes (see `watched`)."""
    return watched(command)[1]


def watched(command: Command) -> tuple[float, float]:
    """Seconds, and megabytes: the largest sum of resident memory over the process and all its descendants, seen while
    it runs.

    Pages that two of them share count twice, so the true figure is lower. The high-water mark of the first process
    guards against what the sampling misses; `ru_maxrss` would not do: it starts with the size of this program, from
    which that one was forked.
    """
    command.before()
    begin = time.perf_counter()
    process = command.start()
    stop, peaks = threading.Event(), [0]

    def watch() -> None:
        while not stop.wait(SAMPLING):
            peaks.append(max(highest(process.pid), sum(resident(pid) for pid in descendants(process.pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert process.stderr is not None
    errors = process.stderr.read()
    process.wait()
    seconds = time.perf_counter() - begin
    stop.set()
    watcher.join()
    process.stderr.close()
    _demand_success(command, process.returncode, errors)
    return seconds, max(peaks) / MEGABYTE


def descendants(pid: int) -> list[int]:
    """The process and everything that it and its threads have started."""
    found, tasks = [pid], Path("/proc", str(pid), "task")
    try:
        threads = os.listdir(tasks)
    except OSError:  # the process has ended
        return found
    for thread in threads:
        try:
            started = (tasks / thread / "children").read_text().split()
        except OSError:  # the thread has
            continue
        for child in started:
            found += descendants(int(child))
    return found


def resident(pid: int) -> int:
    """Bytes in memory, 0 for a process that has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def highest(pid: int) -> int:
    """The most bytes that the process had in memory since its program was loaded, 0 where the kernel does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _demand_success(command: Command, code: int, errors: bytes) -> None:
    if code:
        last = errors.decode(errors="replace").strip().splitlines()[-1:] or [f"exit status {code}"]
        raise Failed(f"failed: {' '.join(command.words)[:120]}: {last[0]}")


def fresh(folder: Path, aside: Path) -> Callable[[], None]:
    """Put what the run before has left aside, and let no write of it wait on the disk while the next one is timed.

    The files are emptied, not deleted: ext4 looks twice at every inode that was freed in the last minutes, and the
    next run, which creates as many files, would be timed doing that. Their memory is free for the next run at once.
    """

    def clear() -> None:
        aside.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            for path in folder.rglob("*"):
                if path.is_file():
                    os.truncate(path, 0)
            folder.rename(aside / str(time.monotonic_ns()))
        os.sync()

    return clear


def demand_space(folder: Path, size: int) -> None:
    """Raises Missing if the disk cannot take `size` bytes."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise Missing(f"not run: {size // MEGABYTE} MB of free disk are missing, there are {free // MEGABYTE}")


def demand_memory(size: int) -> None:
    """Raises Missing if the machine cannot hold `size` bytes."""
    held = PAGE * os.sysconf("SC_PHYS_PAGES")
    if held < size:
        raise Missing(f"not run: {size // MEGABYTE} MB of memory are needed, there are {held // MEGABYTE}")


def describe(rows: Sequence[Row]) -> str:
    """The table of results."""
    lines = [("row", "A", "B", "median", "min-max", "target", "verdict")]
    for row in rows:
        ratios = row.ratios
        lines.append(
            (
                row.name,
                _seconds(row.a),
                _seconds(row.b),
                "" if row.value is None else _with_unit(f"{row.value:.2f}", f"{row.value:.0f}", row.unit),
                f"{min(ratios):.2f}-{max(ratios):.2f}" if ratios else "",
                "" if row.target is None else _with_unit(f"{row.target:g}", f"{row.target:g}", row.unit),
                row.verdict,
            )
        )
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def _with_unit(exact: str, rounded: str, unit: str) -> str:
    """Ratios and seconds with two decimals, megabytes and milliseconds without."""
    return exact if unit == "ratio" else f"{exact if unit == 's' else rounded} {unit}"


def _seconds(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.3f} s" if times else ""
