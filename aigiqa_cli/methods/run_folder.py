"""The folder of one training: what it is made of, its course, its checkpoints, its predictions, its result.

    config.json         settings, database, sides, versions: what the numbers depend on
    curve.csv           epoch,loss,srcc,plcc
    best.safetensors    the network of the best epoch; last.safetensors: with the optimiser, to go on
    predictions.csv     the held-out images, in the form that evaluate takes
    result.json         what evaluate says of them, with the signature

Every file appears whole or not at all; the same command with the same folder goes on.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigiqa_cli.errors import RefusedInput, TemporaryFault, UsageFault
from aigiqa_cli.exports.whole import whole_target
from aigiqa_cli.machine import machine_faults

BEST, LAST = "best.safetensors", "last.safetensors"
CONFIG, CURVE, PREDICTIONS, RESULT = "config.json", "curve.csv", "predictions.csv", "result.json"
FREE = ("versions", "effort")  # what may differ when a run goes on
WEIGHTS = "weights"  # of a config: not known before they are here
_PARTS = re.compile(  # of a file of ours that was being written: see `exports.whole`
    rf"\.({'|'.join(map(re.escape, (BEST, LAST, CONFIG, CURVE, PREDICTIONS, RESULT)))})\.[0-9a-f]{{12}}\.part"
)
_OF_SAFETENSORS = re.compile(r"\.tmp[A-Za-z0-9]{6}")  # it writes such a file beside the one that it is told


@dataclass(frozen=True)
class RunFolder:
    path: Path

    @property
    def config(self) -> Path:
        return self.path / CONFIG

    @property
    def best(self) -> Path:
        return self.path / BEST

    @property
    def last(self) -> Path:
        return self.path / LAST

    @property
    def predictions(self) -> Path:
        return self.path / PREDICTIONS

    def demand_ours(self) -> None:
        """Raises UsageFault for a folder that holds something else than a training."""
        if self.config.is_file() or not self.path.exists():
            return
        if not self.path.is_dir() or self._holds_something():
            raise UsageFault(
                f"{self.path} is there and holds no training", hint="choose a new folder with -o", phase="PLAN"
            )

    def demand(self, config: Mapping[str, Any]) -> None:
        """Raises UsageFault for a folder that holds something else, or a training with other settings. A config without
        WEIGHTS is compared in the rest."""
        self.demand_ours()
        if self.config.is_file():
            self._demand_same(self.path, self.read_config(), config)

    def demand_of_it(self, path: Path, about: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        """Raises UsageFault for a checkpoint of another training, which somebody has put here."""
        self._demand_same(path, {key: told for key, told in about.items() if key in config}, config)

    def begin(self, config: Mapping[str, Any], *, finished: bool = False) -> None:
        """Make the folder, or go on in it. What a killed run has left is removed, and unless it is `finished` what an
        older end of it has: predictions and result are of this config."""
        with machine_faults(f"making {self.path}", phase="PLAN", place=self.path.parent):
            self.path.mkdir(parents=True, exist_ok=True)
            for path in list(self.path.iterdir()):
                left = _PARTS.fullmatch(path.name) or _OF_SAFETENSORS.fullmatch(path.name)
                if left or (path.name in (PREDICTIONS, RESULT) and not finished):
                    path.unlink(missing_ok=True)
        self.write_json(CONFIG, config)

    def _holds_something(self) -> bool:
        return any(path.name != ".lock" and not _PARTS.fullmatch(path.name) for path in self.path.iterdir())

    def _demand_same(self, path: Path, there: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        free = FREE if WEIGHTS in config else (*FREE, WEIGHTS)
        for key in dict.fromkeys(("settings", *there, *config)):
            if key not in free and there.get(key) != config.get(key):
                name, was, now = _difference(key, there.get(key), config.get(key))
                raise UsageFault(
                    f"{path} holds a training with another {name}: {was}, not {now}",
                    hint="the command that began it goes on; another training needs another folder: -o",
                    phase="PLAN",
                )

    def read_config(self) -> dict[str, Any]:
        """Raises RefusedInput if it cannot be read."""
        try:
            found = json.loads(self.config.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RefusedInput(f"{self.config} cannot be read: {error}", hint="choose a new folder with -o") from error
        if not isinstance(found, dict):
            raise RefusedInput(f"{self.config} is no JSON object", hint="choose a new folder with -o")
        return found

    @contextmanager
    def held(self, rank: int = 0) -> Iterator[None]:
        """Two commands do not train into one folder; of the processes of one command the first holds it. Raises
        TemporaryFault while another one does, UsageFault for a folder that holds something else."""
        self.demand_ours()  # before a lock is put there
        if rank:
            yield
            return
        with machine_faults(f"making {self.path}", phase="PLAN", place=self.path.parent):
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise TemporaryFault(
                f"another aigiqa trains into {self.path}", hint="wait for it, or choose another folder with -o"
            ) from None
        except OSError:
            pass  # this file system has no locks
        try:
            yield
        finally:
            os.close(descriptor)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        self.write(self.path / name, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())

    def write_curve(self, course: Sequence[Mapping[str, Any]]) -> None:
        self.write(self.path / CURVE, table(course[0], (one.values() for one in course)))

    def write(self, path: Path, data: bytes) -> None:
        """Replace a file of the folder."""
        with whole_target(path) as stream:
            stream.write(data)


def table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> bytes:
    """RFC 4180, UTF-8, LF; a number as the shortest text that reads back the same, nothing for None."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return text.getvalue().encode()


def _difference(key: str, was: Any, now: Any) -> tuple[str, Any, Any]:
    """The innermost name in which two parts of a config differ, and both of its values."""
    if isinstance(was, dict) and isinstance(now, dict):
        for name in [*was, *now]:
            if was.get(name) != now.get(name):
                return _difference(name, was.get(name), now.get(name))
    return key, was, now
