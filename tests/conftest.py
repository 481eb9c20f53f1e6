"""Fixtures: the internet on loopback, the `aigiqa` command as a child process, replicas of a database."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import replicas
import trustme
import yaml
from doubles import Box, FaultServer
from nursery import close_cradles, cradle, shareable

if TYPE_CHECKING:
    from wire import Wire

REPOSITORY = replicas.REPOSITORY
# Coverage doubles the time of every child process. These modules run every command; what the others run again, with other
# databases or in thousands, is not measured again.
MEASURED = (
    "test_agiqa3k_import", "test_agiqa3k_splits", "test_agiqa3k_verify", "test_commands", "test_exports",
)  # fmt: skip
LIMIT = 120  # seconds for one command: hangs end here, nothing is asserted about time


pytest_plugins = ["rigs"]


def _installed() -> bool:
    try:
        distribution("aigiqa")
    except PackageNotFoundError:
        return False
    return True


# Whoever sets PYTHONPATH means the commands too: a copy of the package is tested while another one is installed.
IMPORT_PATH = os.environ.get("PYTHONPATH", "") if _installed() else str(REPOSITORY)
if IMPORT_PATH:
    sys.path.insert(0, IMPORT_PATH)


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """The envelope; it is the whole of stdout."""
        envelope: dict[str, Any] = json.loads(self.out)
        return envelope

    def expect(self, code: int) -> Done:
        assert self.code == code, (
            f"exit {self.code}, expected {code}\nstdout: {self.out[-4000:]}\nstderr: {self.err[-6000:]}"
        )
        return self


def _measured(environment: dict[str, str]) -> dict[str, str]:
    """The environment, without what makes a child process measure its coverage where that is not wanted."""
    module = Path(os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[0]).stem
    if module in MEASURED:
        return environment
    return {name: value for name, value in environment.items() if not name.startswith("COV")}


class Command:
    """`run("list", "--json")` runs the installed `aigiqa` at the box's internet, with `root` below the test's folder."""

    def __init__(self, box: Box, base: Path) -> None:
        self.box, self.root = box, base / "root"
        self.work = base / "work"
        self.work.mkdir(exist_ok=True)
        self.environment = box.environment(base) | {
            "AIGIQA_ROOT": str(self.root),
            "AIGIQA_RETRY_SECONDS": "0.01",
        }
        self.home = Path(self.environment["HOME"])
        if IMPORT_PATH:
            self.environment["PYTHONPATH"] = IMPORT_PATH
        self._plain = shareable(self.environment)

    def start(self, *words: object, env: Mapping[str, str] | None = None, **more: Any) -> subprocess.Popen[str]:
        """The command as a running process in a group of its own (see `kill`)."""
        pipes: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "aigiqa_cli", *map(str, words)],
            env=_measured(self.environment | dict(env or {})),
            cwd=self.work,
            start_new_session=True,
            **(pipes | more),
        )

    def __call__(
        self,
        *words: object,
        env: Mapping[str, str] | None = None,
        code: int | None = None,
        stdin: str | None = None,
    ) -> Done:
        """Run to the end; `code` asserts the exit code and shows both streams if it differs.

        A process that has imported the command is forked, since an interpreter's start takes longer than most commands.
        Where the environment has more than the command itself reads, an interpreter is started, and so does `start`.
        """
        environment = self.environment | dict(env or {})
        if shareable(environment) == self._plain:
            environment = _measured(environment)
            ended = cradle(environment).finish(words, environment, self.work, stdin or "")
            done = Done(ended.code, ended.out, ended.err)
            return done if code is None else done.expect(code)
        with self.start(*words, env=env, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL) as process:
            try:
                out, err = process.communicate(stdin, timeout=LIMIT)
            except subprocess.TimeoutExpired:
                kill(process)
                raise
        done = Done(process.returncode, out, err)
        return done if code is None else done.expect(code)


def kill(process: subprocess.Popen[str], number: signal.Signals = signal.SIGKILL) -> None:
    """Signal the command and its workers, then wait and close the pipes."""
    os.killpg(process.pid, number)
    process.communicate(timeout=LIMIT)


@pytest.fixture(scope="session", autouse=True)
def _cradles() -> Iterator[None]:
    yield
    close_cradles()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def box(authority: trustme.CA) -> Iterator[Box]:
    """huggingface.co, drive.google.com, github.com and their content hosts. Every other host fails the test."""
    with Box(authority) as made:
        yield made
        leaks = made.leaks()
    assert not leaks, "\n".join(leaks)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """A plain http server on 127.0.0.1."""
    with FaultServer() as made:
        yield made


@pytest.fixture
def wire(server: FaultServer, tmp_path: Path) -> Wire:
    """A receiver in this process, and `/set.zip` on a plain server."""
    from wire import DATA, Wire

    server.site.put("/set.zip", DATA)
    return Wire(server, tmp_path)


@pytest.fixture
def bad_heads() -> Iterator[None]:
    """urllib3 leaves the answer open whose head it refuses; collect it while that is expected."""
    yield
    gc.collect()


@pytest.fixture
def run(box: Box, tmp_path: Path) -> Command:
    return Command(box, tmp_path)


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the synthetic database, made once; tests work on copies."""
    base = tmp_path_factory.mktemp("ready")
    environment = {"PATH": os.environ["PATH"], "HOME": str(base), "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "aigiqa_cli", "--root", str(base / "root"), "fetch", "demo"]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=LIMIT)
    return base / "root"


@pytest.fixture
def installed(run: Command, ready: Path) -> Command:
    """The command at a root of its own, in which the synthetic database is installed."""
    shutil.copytree(ready, run.root)
    return run


@pytest.fixture
def at_box(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """This very process meets the box: its environment, and no connection kept from an earlier test."""
    settings = box.environment(tmp_path)
    for name in set(os.environ) - set(settings) - {"PYTEST_CURRENT_TEST"}:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    _forget_connections()
    yield settings
    _forget_connections()


def _forget_connections() -> None:
    if "huggingface_hub" in sys.modules:
        sys.modules["huggingface_hub"].close_session()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the published label files; the test is skipped on a machine without it."""
    found = replicas.shared()
    if found is None:
        pytest.skip("the published label files are not on this machine (set AIGIQA_SHARED)")
    return found


@pytest.fixture(scope="session")
def pictures(shared: Path) -> dict[str, bytes]:
    """2,982 small images under the true names of AGIQA-3K."""
    return replicas.images(replicas.names(replicas.true_labels()))


@pytest.fixture(scope="session")
def replica_zip(pictures: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AGIQA-3K.zip of the replica: top folder `AGIQA-3K/`, images only."""
    path = tmp_path_factory.mktemp("replica") / "AGIQA-3K.zip"
    return replicas.archive(path, replicas.members("top", pictures))


@pytest.fixture
def manifests(tmp_path: Path, run: Command) -> Callable[[str, str], Path]:
    """`manifests("tiny", text)` puts a manifest into the extra folder that `run` searches first."""
    folder = tmp_path / "manifests"
    folder.mkdir()

    def put(name: str, text: str) -> Path:
        path = folder / f"{name}.yaml"
        path.write_text(text)
        run.environment["AIGIQA_MANIFESTS"] = str(folder)
        return path

    return put


@pytest.fixture
def replica_online(
    box: Box, manifests: Callable[[str, str], Path], replica_zip: Path, built_in: Callable[[str], str]
) -> Path:
    """The built-in manifest of AGIQA-3K with the replica's size and hash, and both of its files at every mirror.

    Returns the overlay. Serving a file through `box` alone would not do: the published hash fits no replica.
    """
    text = built_in("agiqa3k")
    archive = replica_zip.read_bytes()
    for asset in yaml.safe_load(text)["assets"]:
        content = {"AGIQA-3K.zip": archive, "data.csv": replicas.true_labels()}.get(asset["name"])
        if content:
            for mirror in asset["mirrors"]:
                box.publish(mirror, content)
    overlay = replicas.overlay_manifest(text, len(archive), hashlib.sha256(archive).hexdigest())
    return manifests("agiqa3k", overlay)


@pytest.fixture(scope="session")
def built_in() -> Callable[[str], str]:
    """Text of a built-in manifest."""
    return lambda name: (REPOSITORY / "manifests" / f"{name}.yaml").read_text(encoding="utf-8")
