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
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
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
_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|COOKIE|(?:API|ACCESS|PRIVATE)_?KEY|(?:^|_)(?:KEYS?|PASS|PAT|AUTH)$",
    re.IGNORECASE,
)
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
        return self.stream(items, lambda _item, _score: None)

    def stream(self, items: Sequence[Item], keep: Callable[[Item, float], None]) -> list[Score]:
        if not self.singly:
            return self._run(items, keep)
        found = []
        for item in items:
            (score,) = self._run([item], lambda _item, _score: None)
            if not isinstance(score, str):
                keep(item, score)  # its program has ended well
            found.append(score)
        return found

    def _run(self, items: Sequence[Item], keep: Callable[[Item, float], None]) -> list[Score]:
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
            late = threading.Event()
            found: dict[int, Score] = {}
            wrong = ""
            try:
                found = _heard(process, told, self._timer(process, late), items, keep)
            except ValueError as error:
                wrong = str(error)
            finally:
                _end(process)
                process.wait()
            if late.is_set():
                raise self._failed(items, f"no end after {self.timeout:g} s", errors, "--timeout, or a smaller --batch")
            if not wrong and process.returncode:
                wrong = _ended(process.returncode)
            if not wrong and len(found) != len(items):
                wrong = f"it printed {len(found)} lines for {len(items)} images"
            if wrong:
                raise self._failed(items, wrong, errors)
            return [found[at] for at in range(len(items))]

    def _timer(self, process: subprocess.Popen[bytes], late: threading.Event) -> threading.Timer:
        def expire() -> None:
            late.set()
            _end(process)

        timer = threading.Timer(self.timeout, expire)
        timer.daemon = True
        if self.timeout:
            timer.start()
        return timer

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


def _heard(
    process: subprocess.Popen[bytes],
    told: bytes,
    timer: threading.Timer,
    items: Sequence[Item],
    keep: Callable[[Item, float], None],
) -> dict[int, Score]:
    """The answers until the program has closed its output and ended. Raises ValueError as `answers`."""
    assert process.stdout is not None  # noqa: S101 - made with a pipe
    feeder = threading.Thread(target=_feed, args=(process, told), daemon=True)
    feeder.start()
    try:
        lines = (line.decode(errors="replace") for line in process.stdout)
        found = answers(lines, items, keep)
        process.wait()
    finally:
        timer.cancel()
        _end(process)  # so that the feeder ends, too
        feeder.join()
        process.stdout.close()
    return found


def _feed(process: subprocess.Popen[bytes], told: bytes) -> None:
    """Everything at once: what the program does not read yet waits in this thread."""
    if process.stdin is not None:
        with suppress(OSError), process.stdin as pipe:  # it may end without reading
            pipe.write(told)


def _end(process: subprocess.Popen[bytes]) -> None:
    """The program, and what it has left behind."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def answers(lines: Iterable[str], items: Sequence[Item], keep: Callable[[Item, float], None]) -> dict[int, Score]:
    """The scores in what a program prints, by the place of their image. `keep` hears of those with a name at once: what
    has none is certain only when the number of lines is right. Raises ValueError, which says what is wrong."""
    places = {name: at for at, item in enumerate(items) for name in (item.image_id, str(item.path))}
    found: dict[int, Score] = {}
    for number, line in enumerate((line for line in lines if line.strip()), 1):
        name, value = _answer(line.strip(), number)
        at = number - 1 if not name else places.get(name, -1)
        if at < 0:
            raise ValueError(f"line {number} names {name!r}, which it was not asked for")
        if at in found:
            raise ValueError(f"it answered {items[at].image_id} twice")
        found[at] = score = judged(value)
        if name and line.endswith("\n") and not isinstance(score, str):  # else digits may be missing
            keep(items[at], score)
    return found


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
