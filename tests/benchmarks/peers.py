"""What happens to a download that is killed, replaced in between, started twice, or answered with a web page.

    python tests/benchmarks/run.py --only peers [--work FOLDER] [--json PATH]

The published versions of the peers and aigiqa fetch the same file of 24 MB from a loopback server with ranges and
strong ETags, 8 MB a second. What a tool did is read from the bytes that it left, its exit status and the server's log,
alike for all. Libraries are installed by pip into an environment of their own below --work; what cannot be installed is
"not run". `hf` talks to the tests' double of its hub, all others to plain http.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import material
import measure
from material import Material
from measure import Row

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

MEGABYTES, RATE, KILL_AT = 24, 8_000_000, 0.35
LIMIT = 90  # seconds for one run: a tool that takes longer hangs
NAME, REPO = "bench.zip", "bench/peers"
PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
CASES = ("kill at 35 %, rerun", "replaced in between", "two at once", "page instead of file")
LIBRARIES = ("mirdata", "ir_datasets", "pooch", "huggingface_hub", "gdown")
PARTIAL = (".incomplete", ".part", ".aria2", ".tmp", ".download")
TARGETS = {CASES[0]: 0.70}  # of the file, that our rerun may fetch

_MIRDATA = """
import sys
from mirdata.download_utils import RemoteFileMetadata, download_from_remote
url, sha256, md5 = sys.argv[1:]
download_from_remote(RemoteFileMetadata("bench.zip", url, md5), ".", False, False)
"""
_IR_DATASETS = """
import sys
from ir_datasets.util.download import Download, RequestsDownload
url, sha256, md5 = sys.argv[1:]
Download([RequestsDownload(url)], "bench.zip", md5).path()
"""
_POOCH = """
import sys, pooch
url, sha256, md5 = sys.argv[1:]
pooch.retrieve(url, "sha256:" + sha256, "bench.zip", ".")
"""


@dataclass(frozen=True)
class Peer:
    """How a tool is asked for `{url}`, which had `{sha256}` and `{md5}` when it was published. `package` is the library
    that must be installed, `pinned`: the tool is told a hash."""

    name: str
    words: tuple[str, ...]
    package: str = ""
    version: tuple[str, ...] = ()
    hub: bool = False
    ours: bool = False


def _script(text: str) -> tuple[str, ...]:
    return ("{python}", "-c", text, "{url}", "{sha256}", "{md5}")


_FETCH = ("{aigiqa}", "--root", "root", "-q", "fetch", "bench", "--keep-archives")
_ARIA2 = ("aria2c", "-q", "-c", "-o", NAME)
_HF = ("{bin}/hf", "download", REPO, NAME, "--repo-type", "dataset", "--local-dir", ".")
PEERS = (
    Peer("aigiqa, hash published", _FETCH, version=("{aigiqa}", "--version"), ours=True),
    Peer("aigiqa, no hash published", _FETCH, version=("{aigiqa}", "--version"), ours=True),
    Peer("mirdata", _script(_MIRDATA), "mirdata"),
    Peer("ir_datasets", _script(_IR_DATASETS), "ir_datasets"),
    Peer("pooch", _script(_POOCH), "pooch"),
    Peer("hf download", _HF, "huggingface_hub", hub=True),
    Peer("gdown", ("{bin}/gdown", "-q", "{url}", "-O", NAME), "gdown"),
    Peer("gdown --continue", ("{bin}/gdown", "-q", "--continue", "{url}", "-O", NAME), "gdown"),
    Peer("curl -C -", ("curl", "-sSf", "-C", "-", "-o", NAME, "{url}"), version=("curl", "--version")),
    Peer("wget -c", ("wget", "-q", "-c", "{url}"), version=("wget", "--version")),
    Peer("aria2c -c", (*_ARIA2, "{url}"), version=("aria2c", "--version")),
    # It notes every 60 s how far it is, so that a short download that is killed begins anew; here as a long one would be.
    Peer("aria2c -c, noted each second", (*_ARIA2, "--auto-save-interval=1", "{url}"), version=("aria2c", "--version")),
)


@dataclass
class Stage:
    """The servers, the two versions of the file, and where a tool runs."""

    work: Path
    old: bytes
    new: bytes
    labels: bytes
    manifest: str
    plain: Any
    box: Any
    programs: Path
    folder: Path = field(default_factory=Path)
    peer: Peer = PEERS[0]

    def enter(self, peer: Peer, case: str) -> None:
        """An empty folder, and the old version on the servers."""
        self.peer = peer
        self.folder = self.work / "runs" / re.sub(r"\W+", "-", f"{peer.name} {case}")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.publish(self.old)
        self.plain.site.put("/bench.csv", self.labels)
        if peer.ours:
            text = self.manifest
            if "no hash" in peer.name:
                text = re.sub(r"(name: bench\.zip\n.*\n.*\n)    bytes: .*\n    sha256: .*\n", r"\1", text)
            (self.folder / "manifests").mkdir()
            (self.folder / "manifests" / "bench.yaml").write_text(text)
            (self.folder / "manifests" / "generators.yaml").write_text(material.VOCABULARY)

    def publish(self, data: bytes) -> None:
        self.plain.site.put(f"/{NAME}", data)
        self.box.hub.add(REPO, {NAME: data})

    def show_page(self) -> None:
        from doubles import Fault

        fault = Fault(status=200, body=PAGE, always=True)
        self.plain.site.faults.add(f"GET /{NAME}", fault)
        self.box.hub.faults.add(f"GET {REPO}/{NAME}", fault)

    def clear(self) -> None:
        for server in (self.plain, self.box):
            server.log.clear()
        self.plain.site.faults.clear()
        self.box.hub.faults.clear()

    @property
    def sent(self) -> int:
        """Bytes of the file that were handed out since `clear`."""
        log = [*self.plain.log, *self.box.log]
        return sum(entry.sent for entry in log if entry.path.endswith(NAME) and entry.method == "GET")

    def start(self) -> subprocess.Popen[bytes]:
        facts = {
            "url": self.plain.url(f"/{NAME}"), "sha256": hashlib.sha256(self.old).hexdigest(),
            "md5": hashlib.md5(self.old).hexdigest(), "python": str(self.programs / "python"),
            "bin": str(self.programs), "aigiqa": measure.program("aigiqa") if self.peer.ours else "",
        }  # fmt: skip
        words = [word.format(**facts) if word.startswith("{") else word for word in self.peer.words]
        settings = self.box.environment(self.work / "home")
        if not self.peer.hub:
            settings = {name: value for name, value in settings.items() if not name.lower().endswith("_proxy")}
        if self.peer.ours:
            settings |= {"AIGIQA_ALLOW_PRIVATE_HOSTS": "1", "AIGIQA_MANIFESTS": str(self.folder / "manifests")}
        settings |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "IR_DATASETS_HOME": str(self.folder)}
        return subprocess.Popen(
            words, cwd=self.folder, env=settings, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def run(self) -> int:
        """The exit status, -1 for a run that does not end."""
        return ended(self.start())

    def kill_at(self, share: float) -> None:
        """Start, and kill the whole group once that share of the file was handed out."""
        process = self.start()
        deadline = time.monotonic() + LIMIT
        while self.sent < share * len(self.old) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        kill(process)

    @property
    def result(self) -> bytes | None:
        """The file as the tool calls it done."""
        if self.peer.ours:
            kept = [path for path in (self.folder / "root/.aigiqa/archives/sha256").glob("*") if path.is_file()]
            done = (self.folder / "root/.aigiqa/installed/bench.json").exists()
            return max(kept, key=lambda path: path.stat().st_size).read_bytes() if done and kept else None
        path = self.folder / NAME
        control = path.with_name(NAME + ".aria2")  # it says itself that the file is not done
        return path.read_bytes() if path.is_file() and not control.exists() else None

    @property
    def orphans(self) -> int:
        """Files of the download that nothing will use any more."""
        if self.peer.ours:
            return sum(path.stat().st_size > 0 for path in (self.folder / "root/.aigiqa/partial").glob("*"))
        return sum(
            path.is_file()
            and path.name != NAME
            and (path.suffix in PARTIAL or path.stat().st_size > len(self.old) // 10)
            for path in self.folder.rglob("*")
        )


def ended(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        kill(process)
        return -1


def kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def killed_and_rerun(stage: Stage) -> tuple[str, float]:
    stage.kill_at(KILL_AT)
    stage.clear()
    code, share = stage.run(), stage.sent / len(stage.old)
    left = ", orphan left" if stage.orphans else ""
    if stage.result == stage.old and code == 0:
        return ("resumes" if share < 0.8 else "starts again") + left, share
    return told(stage, code), share


def replaced(stage: Stage) -> tuple[str, float]:
    stage.kill_at(KILL_AT)
    stage.clear()
    stage.publish(stage.new)
    code = stage.run()
    return told(stage, code), stage.sent / len(stage.old)


def two_at_once(stage: Stage) -> tuple[str, float]:
    both = [stage.start(), stage.start()]
    codes = [0, 0]

    def wait(at: int) -> None:
        codes[at] = ended(both[at])

    waiting = [threading.Thread(target=wait, args=(at,)) for at in (0, 1)]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    share = stage.sent / len(stage.old)
    good = sum(code == 0 for code in codes)
    fetched = f"fetched {max(1, round(share))}×"
    if stage.result == stage.old:
        return (
            "both good" if good == 2 else "one fails, file good" if good else "both fail, file good"
        ) + f", {fetched}", share
    return ("corrupt, success reported" if good else "both fail, no good file") + f", {fetched}", share


def page_instead(stage: Stage) -> tuple[str, float]:
    stage.show_page()
    code = stage.run()
    return told(stage, code), stage.sent / len(stage.old)


def told(stage: Stage, code: int) -> str:
    """What is there in the end, and what the exit status says of it."""
    found = stage.result
    if code == -1:
        return "hangs"
    success = code == 0
    if found is None:
        return "nothing, success reported" if success else f"refused (exit {code})"
    if found == stage.new:
        return "takes the new file" if success else "new file there, failure reported"
    if found == stage.old:
        return "old file" if success else "old file there, failure reported"
    if found == PAGE:
        return "page saved, success reported" if success else "failure reported, page left under the name"
    if len(found) < len(stage.old) and stage.old.startswith(found):
        return "half a file, success reported" if success else "stuck: half a file stays under the name"
    return "glued, success reported" if success else "glued file left, failure reported"


RUNS: dict[str, Callable[[Stage], tuple[str, float]]] = dict(
    zip(CASES, (killed_and_rerun, replaced, two_at_once, page_instead), strict=True)
)


def rows(material_: Material, _runs: int | None) -> list[Row]:
    """Prints the table of words; returns the rows that have a number to be held against a target."""
    try:
        from doubles import Box, FaultServer
    except ImportError as error:
        raise measure.Missing(f"not run: the doubles need {error.name}") from error
    work = material_.folder
    made = material.make(work, MEGABYTES)
    old = made.archive.read_bytes()
    programs = work / "peers-venv" / "bin"
    with ExitStack() as stack:
        plain, box = stack.enter_context(FaultServer()), stack.enter_context(Box())
        plain.rate = box.rate = RATE
        manifest = with_mirrors((made.folder / "manifests" / "bench.yaml").read_text(), plain.url("/"))
        stage = Stage(work, old, other_version(old), made.labels.read_bytes(), manifest, plain, box, programs)
        missing = installed(programs)
        lines, measured = [], []
        for peer in PEERS:
            version, problem = facts(peer, programs, missing)
            cells = [problem] * len(CASES)
            if not problem:
                cells = [cell(stage, peer, case, measured) for case in CASES]
            lines.append((peer.name, version, *cells))
            print("  ".join(lines[-1]), file=sys.stderr, flush=True)
    print(describe([("", "version", *CASES), *lines]))
    return measured


def cell(stage: Stage, peer: Peer, case: str, measured: list[Row]) -> str:
    stage.clear()
    stage.enter(peer, case)
    words, share = RUNS[case](stage)
    if peer.ours and case in TARGETS:
        measured.append(Row(f"{peer.name}: fetched again after {case}", "ratio", value=share, target=TARGETS[case]))
    stage.clear()
    shutil.rmtree(stage.folder, ignore_errors=True)
    return words


def with_mirrors(manifest: str, url: str) -> str:
    """The manifest of the benchmark's database, with both files on the plain server."""
    return re.sub(
        r"(  - name: (bench\.\w+)\n(?:    .*\n)+)", rf"\1    mirrors: [{{kind: http, url: {url}\2}}]\n", manifest
    )


def other_version(data: bytes) -> bytes:
    """The same images in another order: as long, as good, and different from the beginning."""
    import io
    import zipfile

    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for member in reversed(source.infolist()):
            made.writestr(member, source.read(member))
    return target.getvalue()


def installed(programs: Path) -> dict[str, str]:
    """Install each library by itself; returns the reasons of those that cannot be."""
    if not programs.is_dir():
        subprocess.run([sys.executable, "-m", "venv", str(programs.parent)], check=True, env=measure.environment())
    reasons = {}
    for name in LIBRARIES:
        pip = [str(programs / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", name]
        done = subprocess.run(pip, env=measure.environment() | _indexes(), capture_output=True, text=True, check=False)
        if done.returncode:
            reasons[name] = "not run: cannot be installed"
    return reasons


def _indexes() -> dict[str, str]:
    """Where pip looks, if this machine says so."""
    return {name: value for name, value in os.environ.items() if name.startswith("PIP_")}


def facts(peer: Peer, programs: Path, missing: dict[str, str]) -> tuple[str, str]:
    """The version, and why the tool is not run, if so."""
    if peer.package:
        if peer.package in missing:
            return "", missing[peer.package]
        ask = f"from importlib.metadata import version; print(version({peer.package!r}))"
        words = [str(programs / "python"), "-c", ask]
    else:
        try:
            words = [measure.program(peer.version[0].strip("{}")), *peer.version[1:]]
        except measure.Missing as reason:
            return "", str(reason)
    said = subprocess.run(words, env=measure.environment(), capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+(\.\d+)+", said)
    return (found[0] if found else "?"), ""


def describe(lines: list[tuple[str, ...]]) -> str:
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)
