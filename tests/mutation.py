"""Do the tests notice a changed line? One small change at a time in a copy of the package, its tests run, and told.

    python tests/mutation.py store archives transport folders names redaction --sample 200 --seed 7
    python tests/mutation.py store/staging:120            every mutant of that line

Rooms and modules are named as below `aigiqa_cli/`. Mutants are chosen by chance among all that there are: comparisons,
`and`/`or`, `not`, numbers, truth values, arithmetic, conditions, and statements left out. Messages, annotations and
docstrings are not changed.

First the tests of the trust core run once, and it is noted which of them pass, how long they take and which lines each
of them reaches in its own process (`--notes FILE` keeps that for further runs, as long as the package and the tests
stay as they are). Then each mutant meets the tests that reach its line, the quickest first, until one fails or hangs.
What runs while a module is imported counts as reached where the name that it binds is used.
Each mutant is judged in a fresh process that is forked from one which has imported the libraries already, but nothing
of the package, so that the tests and the programs that they start see the changed copy alone.

Survivors are listed with file, line and change, for a person to judge: a missing test, or a change that nobody could
notice.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import accumulate
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from mutants import PACKAGE, REPOSITORY, Mutant, chosen_mutants

TESTS = (  # together they take every branch of the trust core
    "names", "folders", "store", "store_faults", "flushing", "archive_readers", "worker", "archives", "more_archives", "misfits",
    "rar_programs", "ranges", "transport", "transport_bounds", "transport_failures", "transport_faults",
    "transport_gate", "transport_pages", "transport_resume", "trees", "links", "doctor", "secrets", "owners",
    "local_faults", "trust_of_records", "lanes", "early", "stream", "damage", "stored_files", "verify_quick", "score_resume",
    "label_rows",
)  # fmt: skip
PATIENCE = 60  # seconds beside ten times what a test took; one that takes longer hangs
MEMORY = 8 << 30  # bytes of address space: a mutant that never stops reading ends here
SPAWNING, FORKING = multiprocessing.get_context("spawn"), multiprocessing.get_context("forkserver")


class Notes:
    """Which tests pass, how many seconds they take, and by module and line which of them reach it."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.seconds: dict[str, float] = told["seconds"]
        self.reached: dict[str, dict[str, list[str]]] = told["reached"]
        self.libraries: list[str] = told["libraries"]
        self._uses = cache(self._uses)  # type: ignore[method-assign]

    def tests(self, mutant: Mutant, most: float) -> list[str]:
        """Those to run for a mutant, the quickest first, as many as took `most` seconds."""
        here = self.reached.get(mutant.module, {})
        first, last = mutant.lines
        lines = [(mutant.module, str(line)) for line in {*range(first, last + 1), mutant.line}]
        found = self._of(lines) | self._of(use for name in mutant.bound for use in self._uses(name))
        tests = sorted(found or self._of((mutant.module, line) for line in here), key=self.seconds.__getitem__)
        took = accumulate(map(self.seconds.__getitem__, tests))
        return [
            test for number, (test, so_far) in enumerate(zip(tests, took, strict=True)) if so_far <= most or not number
        ]

    def _of(self, places: Any) -> set[str]:
        found = {test for module, line in places for test in self.reached.get(module, {}).get(line, ())}
        return found & self.seconds.keys()

    def _uses(self, name: str) -> list[tuple[str, str]]:
        """Where a name is used."""
        return [
            (module, str(node.lineno))
            for module in self.reached
            for node in _tree(module)
            if name == (node.id if isinstance(node, ast.Name) else node.attr)
        ]


@cache
def _tree(module: str) -> list[ast.Name | ast.Attribute]:
    tree = ast.parse((REPOSITORY / module).read_bytes())
    return [node for node in ast.walk(tree) if isinstance(node, (ast.Name, ast.Attribute))]


class _Recorder:
    """A plugin of pytest: every test is a context of its own to coverage."""

    def __init__(self, measured: Any) -> None:
        self.measured = measured
        self.seconds: dict[str, float] = {}
        self.left_out: set[str] = set()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.measured.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0) + report.duration
        if not report.passed:
            self.left_out.add(report.nodeid)


class _Chosen:
    """A plugin of pytest: these tests in this order, each told when it begins."""

    def __init__(self, chosen: Sequence[str], tell: Callable[[str], None]) -> None:
        self.order = {test: place for place, test in enumerate(chosen)}
        self.tell = tell

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        kept = (item for item in items if item.nodeid in self.order)
        items[:] = sorted(kept, key=lambda item: self.order[item.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.tell(nodeid)


def _enter(copied: Path) -> list[str]:
    """Make this process one that tests a copy in silence. Returns the common arguments of pytest."""
    os.setsid()
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(quiet, stream)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    os.chdir(copied)
    sys.path[:0] = [str(copied)]
    os.environ["PYTHONPATH"] = str(copied)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False  # what is not changed is compiled once
    os.environ.setdefault("AIGIQA_SHARED", str(REPOSITORY.parent / "shared"))
    ignored = "ignore::pytest.PytestAssertRewriteWarning"  # the libraries are here before their plugins
    return ["-q", "-p", "no:cacheprovider", "-p", "no:cov", "-W", ignored, f"--basetemp={copied.parent / 'tmp'}"]


def _record(copied: Path, names: Sequence[str], told: Connection) -> None:
    """In a process of its own: run all tests and note what they reach."""
    import coverage

    words = _enter(copied)
    measured = coverage.Coverage(data_file=None, config_file=False, source=[str(copied / PACKAGE)])
    recorder = _Recorder(measured)
    measured.start()
    pytest.main([*words, "-m", "not rig", *(f"tests/test_{name}.py" for name in names)], plugins=[recorder])
    measured.stop()
    data = measured.get_data()
    reached = {
        Path(file).relative_to(copied).as_posix(): {
            line: sorted(filter(None, contexts)) for line, contexts in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    libraries = [
        name for name, module in sys.modules.items() if "site-packages" in (getattr(module, "__file__", "") or "")
    ]
    seconds = {test: took for test, took in recorder.seconds.items() if test not in recorder.left_out}
    told.send({"seconds": seconds, "reached": reached, "libraries": libraries, "left_out": sorted(recorder.left_out)})
    os._exit(0)


def _judge(copied: Path, chosen: Sequence[str], told: Connection) -> None:
    """In a process of its own: run these tests until one fails; tells each, then pytest's exit status."""
    words = _enter(copied)
    files = dict.fromkeys(test.partition("::")[0] for test in chosen)
    told.send(int(pytest.main([*words, "-x", *files], plugins=[_Chosen(chosen, told.send)])))
    os._exit(0)


class Place:
    """A copy of the checkout, and what happens in it: one thing at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o755)
        self.copied = folder / "copy"
        ignored = shutil.ignore_patterns(".git", ".venv", "*.egg-info", ".mypy_cache", ".ruff_cache", ".hypothesis")
        shutil.copytree(REPOSITORY, self.copied, ignore=ignored)
        self._time = 0

    def notes(self, names: Sequence[str]) -> dict[str, Any]:
        with self._process(SPAWNING, _record, names) as (_, told):
            return dict(told.recv())

    def killer(self, mutant: Mutant, chosen: Sequence[str], seconds: dict[str, float]) -> str:
        """Which test notices the mutant, and how; empty if none does."""
        place = self.copied / mutant.module
        kept, status = place.read_bytes(), place.stat()
        self._time += 1  # compiled modules are known by time and length: no two mutants are taken for one
        try:
            place.write_bytes(kept[: mutant.begin] + mutant.after.encode() + kept[mutant.end :])
            os.utime(place, (status.st_mtime, status.st_mtime + self._time))
            with self._process(FORKING, _judge, chosen) as (process, told):
                test, code = "at the start", -1
                while told.poll(PATIENCE + 10 * seconds.get(test, 0)):
                    try:
                        said = told.recv()
                    except EOFError:
                        process.join()
                        return f"{test} (ended with {process.exitcode})"
                    if isinstance(said, str):
                        test = said
                    else:
                        code = said
                        break
                else:
                    return f"{test} (hangs)"
        finally:
            place.write_bytes(kept)
            os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))
        if code not in (0, 1, 2, 3):
            raise RuntimeError(f"{mutant.name}: pytest ended with {code}")
        return test if code else ""

    @contextlib.contextmanager
    def _process(self, way: Any, work: Callable[..., None], given: Sequence[str]) -> Iterator[tuple[Any, Connection]]:
        ours, theirs = way.Pipe()
        process = way.Process(target=work, args=(self.copied, given, theirs))
        process.start()
        theirs.close()
        try:
            yield process, ours
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.join()
            ours.close()
            shutil.rmtree(self.copied.parent / "tmp", ignore_errors=True)


def read_notes(at: Path | None, place: Callable[[], Place]) -> Notes:
    """Those of the file if they are of this very package and these tests, else new ones."""
    digest = hashlib.sha256()
    for path in sorted([*REPOSITORY.glob("tests/**/*.py"), *REPOSITORY.glob(f"{PACKAGE}/**/*.py")]):
        if path.name not in ("mutation.py", "mutants.py"):
            digest.update(path.read_bytes())
    if at and at.exists() and (told := json.loads(at.read_bytes()))["of"] == digest.hexdigest():
        return Notes(told)
    print("running the tests once, to note what they reach", flush=True)
    told = json.loads(json.dumps(place().notes(TESTS) | {"of": digest.hexdigest()}))
    if told["left_out"]:
        print("left out, because they do not pass here:", *told["left_out"], sep="\n  ")
    if at:
        at.write_text(json.dumps(told), encoding="utf-8")
    return Notes(told)


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Change the package a little and see whether its tests notice.")
    parser.add_argument("rooms", nargs="+", help="such as store; or a module such as store/staging, or a line of it")
    parser.add_argument("--sample", type=int, default=100)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=120, help="as long as its tests may have taken for the notes")
    parser.add_argument("--notes", type=Path, help="where to keep what the tests reach")
    asked = parser.parse_args(words)
    every = chosen_mutants(asked.rooms)
    chosen = random.Random(asked.seed).sample(every, min(asked.sample, len(every)))
    survivors = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(asked.workers) as pool:
        os.chmod(folder, 0o755)  # some tests become another user
        notes = read_notes(asked.notes, lambda: Place(Path(folder) / "notes"))
        FORKING.set_forkserver_preload(notes.libraries)
        free: SimpleQueue[Place] = SimpleQueue()
        for number in range(asked.workers):
            free.put(Place(Path(folder) / str(number)))

        def judge(mutant: Mutant) -> tuple[Mutant, str, int]:
            tests, place = notes.tests(mutant, asked.seconds), free.get()
            try:
                return mutant, place.killer(mutant, tests, notes.seconds) if tests else "", len(tests)
            finally:
                free.put(place)

        for mutant, killer, tests in pool.map(judge, chosen):
            survivors += not killer
            said = f"killed   {mutant.name}  by {killer}" if killer else f"SURVIVES {mutant.name}  after {tests} tests"
            print(said, flush=True)
    killed = len(chosen) - survivors
    print(f"{killed} of {len(chosen)} mutants killed, of {len(every)} that there are (--seed {asked.seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
