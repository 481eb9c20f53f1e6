"""Progress on stderr: live bars on a terminal, elsewhere a line at most every ten seconds."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from aigiqa_cli.cli.safe_text import safe_text
from aigiqa_cli.cli.terminal import Terminal, human_bytes

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

INTERVAL = 10.0
WORTH_KEEPING = 1_000_000  # bytes; the bars of smaller files go when they are done


class Lines:
    """For pipes, files and CI."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.lock = threading.Lock()
        self.name, self.unit, self.total, self.done = "", "bytes", None, 0  # type: str, str, int | None, int
        self.last = time.monotonic()

    def phase(self, name: str, *, total: int | None = None, unit: str = "bytes", done: int = 0) -> None:
        with self.lock:
            self.name, self.total, self.unit, self.done = name, total, unit, done

    def advance(self, amount: int = 1) -> None:
        with self.lock:
            self.done += amount
            now = time.monotonic()
            if now - self.last < INTERVAL or self.terminal.quiet:
                return
            self.last = now
            text = f"{self.name}: {_amount(self.done, self.unit)}"
            if self.total:
                text += f" of {_amount(self.total, self.unit)} ({100 * self.done // self.total} %)"
        sys.stderr.write(safe_text(text) + "\n")
        sys.stderr.flush()

    def note(self, text: str) -> None:
        self.terminal.note(text)

    def detail(self, text: str) -> None:
        if self.terminal.verbose:
            self.note(text)

    def close(self) -> None:
        """Nothing is held."""


class Bars:
    """For a person at a terminal: name, bar, amount, speed, time left."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.lock = threading.RLock()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def phase(self, name: str, *, total: int | None = None, unit: str = "bytes", done: int = 0) -> None:
        with self.lock:
            progress = self._started()
            self._finish()
            self._task = progress.add_task(safe_text(name), total=total, completed=done, unit=unit)

    def advance(self, amount: int = 1) -> None:
        with self.lock:
            if self._progress is not None and self._task is not None:
                self._progress.advance(self._task, amount)

    def note(self, text: str) -> None:
        with self.lock:
            if self._progress is None:
                self.terminal.note(text)
            elif not self.terminal.quiet:
                self._progress.console.print(safe_text(text), style="yellow", markup=False, soft_wrap=True)

    def detail(self, text: str) -> None:
        if self.terminal.verbose:
            self.note(text)

    def close(self) -> None:
        with self.lock:
            if self._progress is not None:
                self._finish()
                self._progress.stop()
                self._progress = None

    def _finish(self) -> None:
        if self._progress is not None and self._task is not None:
            task = next(task for task in self._progress.tasks if task.id == self._task)
            done = task.completed or 1
            small = task.fields["unit"] == "bytes" and done < WORTH_KEEPING
            self._progress.update(self._task, total=done, completed=done, visible=not small)
            self._task = None

    def _started(self) -> Progress:
        if self._progress is None:
            self._progress = _bars(self.terminal)
            self._progress.start()
        return self._progress


def _bars(terminal: Terminal) -> Progress:
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        SpinnerColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.text import Text

    class Amount(ProgressColumn):
        def render(self, task: Task) -> Text:
            unit = task.fields["unit"]
            if not unit:
                return Text("")
            done = _amount(int(task.completed), unit)
            if task.total is None or task.finished:
                return Text(done, "cyan")
            return Text(f"{done} of {_amount(int(task.total), unit)}", "cyan")

    class Speed(TransferSpeedColumn):
        def render(self, task: Task) -> Text:
            return super().render(task) if task.fields["unit"] == "bytes" else Text("")

    return Progress(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        Amount(),
        Speed(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=terminal.console(stderr=True),
    )


def _amount(count: int, unit: str) -> str:
    return human_bytes(count) if unit == "bytes" else f"{count:,} {unit}"
