"""`--command`: any program, which is given images and prints a score for each.

Without a placeholder it reads one JSON object a line on its standard input, `{"image_id", "path", "prompt",
"reference"}`, until that ends. `{}` (or `{path}`) as a word stands for the paths of a batch, as with xargs; with
`{prompt}`, `{reference}`, or a placeholder inside a word it is run for one image at a time. On its standard output it
prints one line an image, in the same order: a number, or in any order with its name: `path score`, or an object with
`score` and `image_id` or `path`. No shell is involved, and no secret of this program's environment is passed on.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import RefusedInput, UsageFault
from aigiqa_cli.redaction import TOKENS, secrets
from aigiqa_cli.scoring.contract import NEITHER, About, Item, Score, failed, judged

PATHS = ("{}", "{path}")
_PLACEHOLDER = re.compile(r"\{(?:path|prompt|reference)?\}")
_SCRIPT = re.compile(r"\.(?:py|sh|bash|pl|rb|js|r|jl|lua|m)$", re.IGNORECASE)
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL|COOKIE", re.IGNORECASE)
_TOLD = 5  # lines of the program's standard error
_LONGEST = 2000  # bytes of it


def opened(text: str, timeout: float, settings: Mapping[str, str], passed: Sequence[str] = ()) -> OfProgram:
    """The program that a line in shell words means. `timeout`: seconds for one batch, 0 for none; `passed`: variables
    that it gets although they look like secrets. Raises UsageFault for a program that is not here."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageFault(
            f"the command {text!r} cannot be read: {error}", hint="close its quotes", phase="PLAN"
        ) from None
    if not words:
        raise UsageFault("the command is empty", hint="--command 'PROGRAM WORDS …'", phase="PLAN")
    program = shutil.which(words[0])
    if program is None:
        hint = "give its path, such as ./score.sh, and check that it may be executed; no shell is involved"
        raise UsageFault(f"there is no program {words[0]!r}", hint=hint, phase="PLAN")
    found = [one for word in words[1:] for one in _PLACEHOLDER.findall(word)]
    about = About(_called(words), "a program of yours", NEITHER, "not stated", words[0], "{reference}" in found)
    return OfProgram(about, (program, *words[1:]), timeout, _environment(settings, passed))


def _called(words: Sequence[str]) -> str:
    """The name of the script, else of the program."""
    script = next((word for word in words if _SCRIPT.search(word)), words[0])
    return Path(script).stem or words[0]


def _environment(settings: Mapping[str, str], passed: Sequence[str]) -> dict[str, str]:
    """Without tokens and whatever else is called, or holds, a secret. Programs need the rest: PATH, CUDA, locale."""
    hidden = secrets(settings)
    return {
        name: value
        for name, value in settings.items()
        if name in passed
        or not (name in TOKENS or _SECRET_NAME.search(name) or any(secret in value for secret in hidden))
    }


@dataclass(frozen=True)
class OfProgram:
    """A program of the user's, started anew for each batch."""

    about: About
    words: tuple[str, ...]
    timeout: float
    environment: Mapping[str, str]

    @cached_property
    def identity(self) -> Mapping[str, str]:
        """The words, and the content of each that is a file: a script that was changed is another metric."""
        files = {f"file {at}": sha256_file(word)[0] for at, word in enumerate(self.words) if os.path.isfile(word)}
        return {"program": json.dumps(self.words)} | files

    @cached_property
    def singly(self) -> bool:
        """Does each image need a run of its own?"""
        return any(_PLACEHOLDER.search(word) and word not in PATHS for word in self.words[1:])

    def score(self, items: Sequence[Item]) -> list[Score]:
        if self.singly:
            return [score for item in items for score in self._run([item])]
        return self._run(items)

    def _run(self, items: Sequence[Item]) -> list[Score]:
        words, told = self._call(items)
        with tempfile.TemporaryFile() as errors:  # a pipe that nobody reads would block a talkative program
            try:
                process = subprocess.Popen(
                    words,
                    stdin=subprocess.PIPE if told else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=self.environment,
                    start_new_session=True,
                )
            except OSError as error:
                hint = "a smaller --batch makes the line shorter" if error.errno == errno.E2BIG else ""
                raise failed(self.about.name, items, f"cannot be started: {error.strerror}", hint) from error
            try:
                output, _ = process.communicate(told or None, self.timeout or None)
            except subprocess.TimeoutExpired:
                why = f"no end after {self.timeout:g} s"
                raise self._failed(items, why, errors, "--timeout, or a smaller --batch") from None
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # also what it has left behind
                process.wait()
            if process.returncode:
                raise self._failed(items, _ended(process.returncode), errors)
            try:
                return answers(output.decode(errors="replace"), items)
            except ValueError as error:
                raise self._failed(items, str(error), errors) from None

    def _call(self, items: Sequence[Item]) -> tuple[list[str], bytes]:
        """The words of one run, and what it reads on its standard input."""
        if not any(_PLACEHOLDER.search(word) for word in self.words[1:]):
            lines = [json.dumps(_told(item), ensure_ascii=False) for item in items]
            return list(self.words), ("\n".join(lines) + "\n").encode(errors="surrogateescape")
        words: list[str] = [self.words[0]]
        for word in self.words[1:]:
            words += [str(item.path) for item in items] if word in PATHS else [_filled(word, items[0])]
        return words, b""

    def _failed(self, items: Sequence[Item], why: str, errors: IO[bytes], hint: str = "") -> RefusedInput:
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - _LONGEST))
        lines = [line for line in errors.read().decode(errors="replace").splitlines() if line.strip()][-_TOLD:]
        said = f"; it said: {' | '.join(lines)}" if lines else ""
        return failed(self.about.name, items, why + said, hint)


def _told(item: Item) -> dict[str, str | None]:
    reference = str(item.reference) if item.reference else None
    return {"image_id": item.image_id, "path": str(item.path), "prompt": item.prompt, "reference": reference}


def _filled(word: str, item: Item) -> str:
    values = {"{}": str(item.path), "{path}": str(item.path), "{prompt}": item.prompt}
    values["{reference}"] = str(item.reference or "")
    return _PLACEHOLDER.sub(lambda match: values[match[0]], word)


def _ended(status: int) -> str:
    if status > 0:
        return f"it ended with exit status {status}"
    try:
        return f"it was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"it was ended by signal {-status}"


def answers(text: str, items: Sequence[Item]) -> list[Score]:
    """The scores in what a program printed. Raises ValueError, which says what is wrong with which line."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) != len(items):
        raise ValueError(f"it printed {len(lines)} lines for {len(items)} images")
    places = {name: at for at, item in enumerate(items) for name in (item.image_id, str(item.path))}
    found: list[Score | None] = [None] * len(items)
    for number, line in enumerate(lines):
        name, value = _answer(line.strip(), number + 1)
        at = number if not name else places.get(name, -1)
        if at < 0:
            raise ValueError(f"line {number + 1} names {name!r}, which it was not asked for")
        if found[at] is not None:
            raise ValueError(f"it answered {items[at].image_id} twice")
        found[at] = judged(value)
    return [score for score in found if score is not None]


def _answer(line: str, number: int) -> tuple[str, object]:
    """(name or "", value) of one line: a number, `path score`, or an object."""
    if line.startswith("{"):
        try:
            told = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number} is not JSON: {error}") from None
        if "score" not in told:
            raise ValueError(f"line {number} has no key score: {line[:80]}")
        return str(told.get("image_id") or told.get("path") or ""), told["score"]
    name, _, value = line.rpartition("\t") if "\t" in line else line.rpartition(" ")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise ValueError(f"line {number} is no score: {line[:80]!r}") from None
