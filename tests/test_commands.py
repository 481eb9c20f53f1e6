"""The command line as its users meet it: envelopes, streams, exit codes, options, signals, terminals."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import resource
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import invariants
import pyarrow.parquet as pq
import pytest
from conftest import LIMIT, Command, kill
from doubles import Box, Fault
from doubles.fault_server import Site
from tiny import TINY_COMMIT, TINY_HOST, TINY_REPOSITORY, small_labels, tiny_manifest

COMMANDS = (
    "list",
    "info",
    "fetch",
    "import",
    "verify",
    "stats",
    "compare",
    "show",
    "export",
    "gallery",
    "split",
    "evaluate",
    "leaderboard",
    "index",
    "path",
    "cite",
    "remove",
    "gc",
    "lint",
    "doctor",
)
ENVELOPE = ["aigiqa", "command", "status", "data", "findings", "error"]
ERROR = {"kind", "fault", "message", "hint", "exit_code", "database", "phase", "mirror", "shares"}
FINDING = {"database", "path", "problem", "expected", "found"}
SHARE = {"kind", "url", "code", "name", "bytes", "sha256", "note", "state", "next"}
RESULT = {"database", "result", "error"}
ESCAPES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069]")


def picture(number: int) -> bytes:
    """A PNG of one pixel; each number gives other bytes."""
    from PIL import Image

    target = io.BytesIO()
    Image.new("RGB", (2, 1), (number * 20 % 256, number, 7)).save(target, "PNG")
    return target.getvalue()


@pytest.fixture(scope="session")
def tiny_zip() -> bytes:
    return zip_of()


def zip_of(shift: int = 0) -> bytes:
    """The archive of the invented database of twelve images; `shift` gives other images."""
    names = [row["name"] for row in csv.DictReader(io.StringIO(small_labels().decode(), newline=""))]
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(zipfile.ZipInfo(f"tiny/{name}"), picture(number + shift))
    return target.getvalue()


Put = Callable[[str, str], Path]


def serve_tiny(box: Box, archive: bytes, labels: bytes | None = None) -> Site:
    mirror = {"kind": "github", "repo": TINY_REPOSITORY, "revision": TINY_COMMIT, "path": "data.csv"}
    assert box.publish(mirror, small_labels() if labels is None else labels)
    site = box.web(TINY_HOST)
    site.put("/tiny.zip", archive)
    return site


def envelope_of(text: str) -> dict[str, object]:
    """stdout holds one JSON object in the one shape, and nothing else."""
    found: dict[str, object] = json.loads(text)
    assert list(found) == ENVELOPE
    assert found["status"] in ("ok", "partial", "error")
    findings, error = found["findings"], found["error"]
    assert isinstance(findings, list)
    assert all(set(finding) - {"bytes"} == FINDING for finding in findings)  # FIRST-LAST, of a damaged file (S10)
    if error is not None:
        assert isinstance(error, dict)
        assert set(error) == ERROR
        assert all(set(share) == SHARE for share in error["shares"])
        assert error["message"]
    assert (found["status"] == "error") <= (error is not None)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Help, version, completion
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_and_exit_codes(run: Command, name: str) -> None:
    text = " ".join(run(name, "--help", code=0, env={"COLUMNS": "200"}).out.split())
    assert f"aigiqa {name}" in text
    assert "Examples:" in text
    assert "Exit codes:" in text
    for code in ("0", "1", "2", "3", "4", "5", "6", "7", "130/143"):
        assert re.search(rf"\b{code} \w+", text), f"exit code {code}"
    for option in ("--root", "--json", "--quiet", "--verbose", "--no-color"):
        assert option in text


def test_help_lists_every_command(run: Command) -> None:
    text = run("--help", code=0).out
    assert [name for name in COMMANDS if not re.search(rf"^\W*{name}\b", text, re.MULTILINE)] == []
    assert "Exit codes" in text


@pytest.mark.parametrize("words", [["--version"], ["list", "--version"], ["--version", "--no-color"]])
def test_version(run: Command, words: list[str]) -> None:
    assert re.fullmatch(r"aigiqa \d+\.\d+\.\d+\S*\n", run(*words, code=0).out)


@pytest.mark.parametrize(("shell", "own"), [("bash", "COMPREPLY"), ("zsh", "#compdef"), ("fish", "complete --command")])
def test_completion_scripts(run: Command, shell: str, own: str) -> None:
    """For the shell from which the command is started, of which there may be none above the tests."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    words = f"{shlex.quote(sys.executable)} -m aigiqa_cli --show-completion; true"
    done = subprocess.run(
        [shell, "-c", words], env=run.environment, cwd=run.work, capture_output=True, text=True, check=True
    )
    assert "_AIGIQA_COMPLETE" in done.stdout, done.stderr
    assert own in done.stdout


def test_completion_of_commands_and_ids(run: Command) -> None:
    words = {"_AIGIQA_COMPLETE": "complete_bash", "COMP_CWORD": "1", "COMP_WORDS": "aigiqa ver"}
    assert run(env=words, code=0).out.split() == ["verify"]
    words |= {"COMP_CWORD": "2", "COMP_WORDS": "aigiqa fetch dem"}
    assert run(env=words, code=0).out.split() == ["demo"]


# ---------------------------------------------------------------------------------------------------------------------
# The envelope
# ---------------------------------------------------------------------------------------------------------------------

GOOD: dict[str, list[str]] = {
    "list": ["list"],
    "info": ["info", "demo"],
    "fetch": ["fetch", "demo"],
    "import": ["import", "demo", "{root}/demo"],
    "verify": ["verify"],
    "stats": ["stats"],
    "compare": ["compare", "demo", "demo"],
    "show": ["show", "demo", "atlas_normal_000.png"],
    "export": ["export", "demo", "-o", "out.csv"],
    "gallery": ["gallery", "demo", "-o", "out.html"],
    "split": ["split", "list", "demo"],
    "evaluate": ["evaluate", "demo", "{root}.csv"],
    "leaderboard": ["leaderboard", "agiqa3k"],
    "index": ["index"],
    "path": ["path", "demo"],
    "cite": ["cite", "demo"],
    "remove": ["remove", "demo"],
    "gc": ["gc"],
    "lint": ["lint"],
    "doctor": ["doctor"],
}
BAD: dict[str, list[str]] = {
    "list": ["list", "surplus"],
    "info": ["info", "agiqa9k"],
    "fetch": ["fetch", "no-such-thing"],
    "import": ["import", "/no/such/file"],
    "verify": ["verify", "--surplus"],
    "stats": ["stats", "demo", "--by", "colour"],
    "compare": ["compare", "demo", "no/such/folder"],
    "show": ["show", "demo"],
    "export": ["export", "demo", "--format", "xml"],
    "gallery": ["gallery", "demo"],
    "split": ["split", "show", "demo"],
    "evaluate": ["evaluate", "demo", "/no/such/file.csv"],
    "leaderboard": ["leaderboard", "agiqa9k"],
    "index": ["index"],
    "path": ["path", "demo"],
    "cite": ["cite"],
    "remove": ["remove", "demo"],
    "gc": ["gc", "surplus"],
    "lint": ["lint", "/no/such/file.yaml"],
    "doctor": ["doctor", "--surplus"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_json_when_it_works(installed: Command, tmp_path: Path, name: str) -> None:
    words = [word.replace("{root}", str(tmp_path / "copy")) for word in GOOD[name]]
    if name == "import":
        shutil.copytree(installed.root / "demo", tmp_path / "copy" / "demo")
    if name == "evaluate":
        names = installed("export", "demo", "--columns", "image_id,row", code=0).out
        (tmp_path / "copy.csv").write_text(names.replace("row", "model", 1), encoding="utf-8")
    done = installed(*words, "--json", code=0)
    found = envelope_of(done.out)
    assert (found["command"], found["status"], found["error"]) == (name, "ok", None)
    assert found["data"] is not None
    if name in ("fetch", "import", "verify", "remove", "stats"):
        assert isinstance(found["data"], list)
        assert [set(result) for result in found["data"]] == [RESULT]


@pytest.mark.parametrize("name", COMMANDS)
def test_json_when_it_fails(run: Command, name: str) -> None:
    found = envelope_of(run("--json", *BAD[name], code=2).out)
    assert (found["command"], found["status"]) == (name, "error")
    error = found["error"]
    assert isinstance(error, dict)
    assert (error["kind"], error["exit_code"]) == ("usage", 2)
    assert error["hint"]
    assert not run.root.exists(), "nothing is made for a usage fault"


@pytest.mark.parametrize(
    "words", [[], ["nosuch"], ["--nosuch"], ["fetch"], ["--root"], ["list", "--root"], ["-z", "list"]]
)
def test_json_of_usage_faults_of_the_parser(run: Command, words: list[str]) -> None:
    found = envelope_of(run(*words[:1], "--json", *words[1:], code=2).out if words else run("--json", code=2).out)
    assert found["status"] == "error"


def test_usage_faults_are_short_and_on_stderr(run: Command) -> None:
    done = run("fetch", "agiqa_3", code=2)
    assert done.out == ""
    assert "agiqa3k" in done.err
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) <= 3


@pytest.mark.parametrize("word", ["DEMO", "d-e-m-o", "De_mo", "synthetic"])
def test_ids_are_forgiving(installed: Command, word: str) -> None:
    assert installed("path", word, code=0).out == f"{installed.root}/demo\n"


@pytest.mark.parametrize("before", [True, False])
def test_global_options_before_and_after(run: Command, ready: Path, before: bool) -> None:
    options = ["--root", str(ready), "--json", "-q", "-v", "--no-color"]
    words = [*options, "path", "demo"] if before else ["path", "demo", *options]
    assert envelope_of(run(*words, code=0).out)["data"] == {"path": f"{ready}/demo"}
    words = [f"--root={ready}", "index"] if before else ["index", f"--root={ready}"]
    assert run(*words, code=0).out == f"{ready}/index.csv\n"


def test_several_databases_one_result_each_and_the_highest_code(installed: Command) -> None:
    found = envelope_of(installed("remove", "demo", "agiqa3k", "--json", code=2).out)
    assert found["status"] == "partial"
    data = found["data"]
    assert isinstance(data, list)
    assert [(result["database"], result["error"] is None) for result in data] == [("demo", True), ("agiqa3k", False)]


# ---------------------------------------------------------------------------------------------------------------------
# Streams
# ---------------------------------------------------------------------------------------------------------------------


def test_streams_without_a_terminal(installed: Command) -> None:
    for words in (["list"], ["info", "demo"], ["verify"], ["doctor"], ["fetch", "demo"], ["gc"], ["lint"]):
        done = installed(*words, code=0)
        assert not ESCAPES.search(done.out + done.err), words
        assert "─" not in done.out
    lines = installed("list", code=0).out.splitlines()
    assert [line.split("\t")[0] for line in lines] == sorted(line.split("\t")[0] for line in lines)
    assert {len(line.split("\t")) for line in lines} == {8}


def test_quiet(installed: Command) -> None:
    assert "demo" in installed("list", "-q", code=0).out.splitlines()
    done = installed("fetch", "demo", "--force", "-q", code=0)
    assert (done.out, done.err) == (f"{installed.root}/demo\n", "")
    done = installed("-q", "path", "agiqa3k", code=2)
    assert done.out == ""
    assert done.err, "a failure is told even then"


def test_reading_commands_make_nothing(run: Command) -> None:
    for words in (
        ["list"],
        ["info", "demo"],
        ["doctor"],
        ["lint"],
        ["cite", "demo"],
        ["gc", "--dry-run"],
        ["fetch", "demo", "--dry-run"],
    ):
        run(*words, code=0)
    assert not run.root.exists()


@pytest.mark.parametrize(
    "words", [["list"], ["index", "--cat"], ["export", "demo"], ["info", "demo"], ["cite", "demo"]]
)
def test_U05_reader_that_goes_away(installed: Command, words: list[str]) -> None:
    script = 'set -o pipefail; "$@" | head -c 1 >/dev/null; exit "${PIPESTATUS[0]}"'
    command = ["bash", "-c", script, "bash", sys.executable, "-m", "aigiqa_cli", *words]
    done = subprocess.run(
        command,
        env=installed.environment,
        cwd=installed.work,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode in (0, -signal.SIGPIPE, 128 + signal.SIGPIPE)


def test_U05_closed_and_full_stdout(installed: Command) -> None:
    closed = ["bash", "-c", '"$@" >&-', "bash", sys.executable, "-m", "aigiqa_cli", "list"]
    done = subprocess.run(closed, env=installed.environment, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert "Traceback" not in done.stderr
    full = ["bash", "-c", '"$@" >/dev/full', "bash", sys.executable, "-m", "aigiqa_cli", "list"]
    done = subprocess.run(full, env=installed.environment, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 7, "an answer that could not be written was not given"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "latin-1"])
def test_U05_terminals_of_other_encodings(installed: Command, encoding: str) -> None:
    environment = {"PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "0"}
    for words in (["info", "agiqa3k"], ["list"], ["fetch", "--help"], ["list", "--json"], ["cite", "agiqa3k"]):
        with installed.start(*words, env=environment, text=False) as process:
            _, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, err


# ---------------------------------------------------------------------------------------------------------------------
# Exit codes
# ---------------------------------------------------------------------------------------------------------------------


def test_exit_3_a_person_is_needed(run: Command, manifests: Put, tiny_zip: bytes) -> None:
    by_hand = re.sub(r"      - \{kind: (http|github).*\n", "", tiny_manifest(tiny_zip))
    by_hand = by_hand.replace("format: csv\n", "format: csv\n", 1)
    manifests("tiny", by_hand.replace("    mirrors:\nlabels:", "labels:"))
    found = envelope_of(run("fetch", "tiny", "--json", code=3).out)
    error = found["error"]
    assert isinstance(error, dict)
    assert [(share["kind"], share["code"], share["name"]) for share in error["shares"]] == [
        ("baidu", "0755", "tiny.zip")
    ]
    assert error["shares"][0]["next"] == "aigiqa import tiny ~/Downloads/tiny.zip"
    done = run("fetch", "tiny", code=3)
    assert done.out == ""
    for needed in ("https://pan.baidu.com/s/1tiny", "0755", "tiny.zip", "aigiqa import tiny"):
        assert needed in done.err


def test_exit_4_damage(installed: Command) -> None:
    target = next((installed.root / "demo" / "images").iterdir())
    target.write_bytes(target.read_bytes()[:-1] + b"\0")
    found = envelope_of(installed("verify", "--json", code=4).out)
    assert found["status"] == "error"
    findings = found["findings"]
    assert isinstance(findings, list)
    assert [finding["path"] for finding in findings] == [f"demo/images/{target.name}"]
    assert re.fullmatch(r"\d+-\d+", findings[0]["bytes"])
    assert target.name in installed("verify", code=4).err
    installed("verify", "--repair", code=0)
    installed("verify", code=0)


def test_exit_4_wrong_bytes_from_the_only_mirror(run: Command, box: Box, manifests: Put, tiny_zip: bytes) -> None:
    manifests("tiny", tiny_manifest(tiny_zip))
    serve_tiny(box, tiny_zip[:-30] + b"x" + tiny_zip[-29:])
    found = envelope_of(run("fetch", "tiny", "--json", code=4).out)
    assert not (run.root / "tiny").exists()
    error = found["error"]
    assert isinstance(error, dict)
    assert error["fault"] == "N05"


def test_exit_5_a_page_instead_of_an_archive(run: Command, tmp_path: Path) -> None:
    page = tmp_path / "synthetic.zip"
    page.write_bytes(b"<!DOCTYPE html><html><title>Log in\x1b[31m</title>")
    done = run("import", "demo", page, code=5)
    assert "Log in" in done.err
    assert not ESCAPES.search(done.err)
    assert page.read_bytes().startswith(b"<!DOCTYPE")
    assert not (run.root / "demo").exists()


def test_exit_6_temporary(run: Command, box: Box, manifests: Put, tiny_zip: bytes) -> None:
    manifests("tiny", tiny_manifest(tiny_zip))
    serve_tiny(box, tiny_zip).faults.add("/tiny.zip", Fault(status=503, always=True))
    found = envelope_of(run("fetch", "tiny", "--json", code=6).out)
    error = found["error"]
    assert isinstance(error, dict)
    assert error["kind"] == "temporary"
    assert [share["kind"] for share in error["shares"] if share["code"]] == ["baidu"]


def test_exit_7_no_room(run: Command) -> None:
    small = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))}
    with run.start("fetch", "demo", "--json", **small) as process:
        out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 7, err
    assert envelope_of(out)["status"] == "error"
    assert not (run.root / "demo").exists()
    run("fetch", "demo", code=0)
    run("gc", code=0)
    invariants.check_swept(run.root)


def test_tiny_end_to_end(run: Command, box: Box, manifests: Put, tiny_zip: bytes, tmp_path: Path) -> None:
    manifests("tiny", tiny_manifest(tiny_zip))
    serve_tiny(box, tiny_zip)
    assert run("fetch", "tiny", code=0).out == f"{run.root}/tiny\n"
    with (run.root / "tiny" / "index.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    published = list(csv.DictReader(io.StringIO(small_labels().decode(), newline="")))
    assert [row["image_id"] for row in rows] == [row["name"] for row in published]
    for column, name in (("prompt", "prompt"), ("mos_quality", "mos_quality"), ("mos_alignment", "mos_align")):
        assert [row[column] for row in rows] == [row[name] for row in published]
    line = next(line for line in run("list", code=0).out.splitlines() if line.startswith("tiny\t"))
    assert "installed" in line
    assert "tiny.yaml" in run("list", code=0).err, "every listing shows a manifest from AIGIQA_MANIFESTS"
    given = tmp_path / "anything.bin"
    given.write_bytes(tiny_zip)
    run("remove", "tiny", code=0)
    assert run("import", given, run.root / "nothing", code=2).out == ""
    assert run("import", given, code=0).out == f"{run.root}/tiny\n"
    assert given.read_bytes() == tiny_zip


# ---------------------------------------------------------------------------------------------------------------------
# Terminals and hostile text
# ---------------------------------------------------------------------------------------------------------------------


def at_terminal(run: Command, *words: str, **environment: str) -> str:
    """What a person sees: the command with both streams on a pseudo-terminal of 100 columns."""
    master, slave = pty.openpty()
    settings = {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"} | environment
    with run.start(*words, env=settings, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        seen = b""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    block = os.read(master, 65_536)
                except OSError:
                    break
                seen += block
            elif process.poll() is not None:
                break
        process.wait(timeout=LIMIT)
    os.close(master)
    return seen.decode("utf-8")


COLOR = re.compile(r"\x1b\[[0-9;]*(3[0-7]|38|9[0-7]|4[0-7]|48|10[0-7])[0-9;]*m")


def test_colours_only_where_they_are_wanted(installed: Command) -> None:
    assert COLOR.search(at_terminal(installed, "list"))
    assert not COLOR.search(at_terminal(installed, "list", NO_COLOR="1"))
    assert not COLOR.search(at_terminal(installed, "list", "--no-color"))
    assert not COLOR.search(at_terminal(installed, "--no-color", "path", "agiqa3k"))
    assert "\x1b" not in at_terminal(installed, "list", "--json")


def test_progress_at_a_terminal_ends_clean(run: Command) -> None:
    seen = at_terminal(run, "fetch", "demo")
    assert f"{run.root.name}/demo" in seen.replace("\r\n", "")
    assert seen.rfind("\x1b[?25h") >= seen.rfind("\x1b[?25l"), "the cursor is shown again"
    assert "\x1b" not in at_terminal(run, "fetch", "demo", "--force", "-q")


HOSTILE = "[/x][red]b\U0001f600ld[/red] :smile: {0} %s \\"


def retitled(archive: bytes, title: str) -> str:
    """The manifest of `tiny` with another title and summary, as YAML writes them."""
    text = tiny_manifest(archive)
    summary = "summary: Twelve invented images with invented scores."
    assert summary in text
    return text.replace("title: Tiny\nsummary", f"title: {title}\nsummary").replace(summary, f"summary: {title}")


def test_U02_markup_in_a_title_is_text(run: Command, manifests: Put, tiny_zip: bytes) -> None:
    manifests("tiny", retitled(tiny_zip, json.dumps(HOSTILE, ensure_ascii=False)))
    assert run("info", "tiny", code=0).out.count(HOSTILE) == 2
    assert HOSTILE in at_terminal(run, "info", "tiny")
    done = run("fetch", "tiny", "--mirror", "quark", code=2)
    assert HOSTILE in done.err
    assert HOSTILE in at_terminal(run, "fetch", "tiny", "--mirror", "quark")


EVIL = ["\x1b[2J\x1b[31m", "\x9b31m", "\u202e", "\x07", "\u2028", "\r", "\n error: no such luck"]


@pytest.mark.parametrize("text", EVIL)
def test_U01_U04_control_characters_in_a_manifest_become_visible(
    run: Command, manifests: Put, tiny_zip: bytes, text: str
) -> None:
    """YAML can say any character by its number; what it says never drives a terminal."""
    path = manifests("tiny", retitled(tiny_zip, json.dumps(f"Ti{text}ny")))
    visible = "Ti" + text.encode("unicode_escape").decode() + "ny"
    assert visible in run("info", "tiny", code=0).out
    for words in (["list"], ["lint", str(path)], ["fetch", "tiny", "--mirror", "quark"]):
        done = run(*words)
        assert not ESCAPES.search(done.out + done.err)
    for words in (["info", "tiny"], ["fetch", "tiny", "--mirror", "quark"]):
        seen = at_terminal(run, *words)
        assert text not in seen.replace("\r\n", "\n")
        assert "\x1b[2J" not in seen
    assert visible in run("fetch", "tiny", "--mirror", "quark", code=2).err


@pytest.mark.parametrize("character", ["\x1b", "\x9b", "\u202e"])
def test_U01_M16_control_characters_as_they_are_refuse_the_manifest(
    run: Command, manifests: Put, tiny_zip: bytes, character: str
) -> None:
    path = manifests("tiny", retitled(tiny_zip, f"'Ti{character}ny'"))
    for words, code in ((["lint", str(path)], 5), (["info", "tiny"], 5), (["list"], 0)):
        assert character not in "".join(run(*words, code=code).out + run(*words, code=code).err)


def test_U01_control_characters_in_labels_are_shown_and_kept(
    run: Command, box: Box, manifests: Put, tiny_zip: bytes
) -> None:
    evil = "\x1b]0;owned\x07\u202eevil"
    labels = small_labels().replace(b"a red square", f"a {evil} square".encode())
    manifests("tiny", tiny_manifest(tiny_zip, labels))
    serve_tiny(box, tiny_zip, labels)
    assert "\x1b]0" not in at_terminal(run, "fetch", "tiny")
    assert f"a {evil} square" in run("export", "tiny", code=0).out, "an export never alters data"
    broken = labels.replace(b"AttnGAN_normal_000.jpg", f"{evil}.jpg".encode())
    manifests_again = tiny_manifest(tiny_zip, broken)
    Path(run.environment["AIGIQA_MANIFESTS"], "tiny.yaml").write_text(manifests_again)
    serve_tiny(box, tiny_zip, broken)
    done = run("fetch", "tiny", "--force", code=5)
    assert not ESCAPES.search(done.err)
    assert "\\x1b]0;owned\\x07\\u202eevil" in done.err
    assert "\x1b]0" not in at_terminal(run, "fetch", "tiny", "--force")


# ---------------------------------------------------------------------------------------------------------------------
# Signals
# ---------------------------------------------------------------------------------------------------------------------

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}


def until_asked(box: Box, path: str) -> None:
    deadline = time.monotonic() + 20
    while not any(entry.path == path for entry in box.log):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("form", ["text", "json"])
def test_S03_signals(installed: Command, number: signal.Signals, form: str) -> None:
    """While another process holds the database: the command waits and has nothing to finish."""
    hold = "import fcntl, sys\nwith open(sys.argv[1]) as lock:\n fcntl.flock(lock, 2)\n print(flush=True)\n sys.stdin.read()\n"
    lock = installed.root / ".aigiqa" / "locks" / "demo.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with installed.start("fetch", "demo", "--force", *(["--json"] if form == "json" else [])) as process:
            assert process.stderr is not None
            assert "waiting" in process.stderr.readline()
            process.send_signal(number)
            try:
                out, err = process.communicate(timeout=LIMIT)
            except subprocess.TimeoutExpired:
                kill(process)
                raise
    finally:
        holder.kill()
        holder.communicate()
    assert process.returncode == SIGNALS[number], err
    assert "Traceback" not in err
    if form == "json":
        found = envelope_of(out)
        assert (found["command"], found["status"]) == ("fetch", "error")
        error = found["error"]
        assert isinstance(error, dict)
        assert (error["fault"], error["exit_code"]) == ("S03", SIGNALS[number])
    else:
        assert out == ""
        assert "interrupted" in err
    invariants.check(installed.root, settled=True)


def test_S03_interrupted_download_leaves_no_half_install(
    run: Command, box: Box, manifests: Put, tiny_zip: bytes
) -> None:
    manifests("tiny", tiny_manifest(tiny_zip))
    serve_tiny(box, tiny_zip).faults.add("/tiny.zip", Fault(rate=200))
    with run.start("fetch", "tiny", "--json") as process:
        until_asked(box, "/tiny.zip")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, err
    envelope_of(out)
    assert not (run.root / "tiny").exists()
    run("fetch", "tiny", code=0)


# ---------------------------------------------------------------------------------------------------------------------
# Single commands
# ---------------------------------------------------------------------------------------------------------------------


def test_doctor_finds_this_machine_in_order(installed: Command) -> None:
    checks = {check["name"]: check["verdict"] for check in installed("doctor", "--json", code=0).json()["data"]}
    assert checks["python"] == "ok"
    assert checks["database demo"] == "ok"
    assert not [name for name, verdict in checks.items() if verdict == "bad"]


def test_lint_prints_every_fault_with_its_line(run: Command, manifests: Put, tiny_zip: bytes) -> None:
    text = (
        tiny_manifest(tiny_zip)
        .replace("title: Tiny\nsummary", "titel: Tiny\nsummary")
        .replace("version: 1", "version: one")
    )
    path = manifests("tiny", text.replace("    role: labels", "    role: label"))
    lines = text.splitlines()
    done = run("lint", path, code=5)
    for needle, word in (("titel:", "title"), ("version: one", "version"), ("    role: labels", "labels")):
        number = next(n for n, line in enumerate(lines, 1) if line.startswith(needle))
        assert re.search(rf"{re.escape(str(path))}:{number}\b.*{word}", done.err), (number, done.err)
    findings = run("lint", path, "--json", code=5).json()["findings"]
    assert len(findings) >= 3
    assert run("lint", "--schema", code=0).out.startswith("{")


def test_lint_pin_writes_what_was_downloaded_first(run: Command, box: Box, manifests: Put, tiny_zip: bytes) -> None:
    path = manifests("tiny", tiny_manifest(tiny_zip, pinned=False))
    serve_tiny(box, tiny_zip)
    run("fetch", "tiny", "--require-hashes", code=4)
    run("fetch", "tiny", code=0)
    assert "unpinned" in run("list", code=0).out
    before = path.read_bytes()
    done = run("lint", "--pin", "tiny", code=0)
    assert path.read_bytes() == before
    path.write_text(done.out)
    pins = [line for line in tiny_manifest(tiny_zip).splitlines() if re.match("    (bytes|sha256): ", line)]
    assert [line for line in done.out.splitlines() if re.match("    (bytes|sha256): ", line)] == pins
    run("lint", path, code=0)
    run("fetch", "tiny", "--require-hashes", code=0)
    assert "unpinned" not in run("list", code=0).out
    run("lint", "--pin", "tiny", code=2)


def test_cite_is_bibtex(run: Command) -> None:
    text = run("cite", "agiqa3k", "demo", code=0).out
    entries = re.findall(r"^@(\w+)\{([^,\s]+),\n((?:  [a-z]+ = \{.*\},\n)+)\}$", text, re.MULTILINE)
    assert [key for _, key, _ in entries] == ["li2023agiqa3k", "aigiqa_synthetic"]
    for _, _, body in entries:
        fields = dict(re.findall(r"^  ([a-z]+) = \{(.*)\},$", body, re.MULTILINE))
        assert {"title", "author", "year"} <= set(fields)
        for value in fields.values():
            assert value.count("{") == value.count("}")
    assert "10.1109/TCSVT.2023.3319020" in text


def test_index_and_gc(installed: Command) -> None:
    path = installed("index", code=0).out.strip()
    assert path == str(installed.root / "index.csv")
    whole = Path(path).read_text()
    assert installed("index", "--cat", code=0).out == whole
    Path(path).unlink()
    installed("index", code=2)
    assert installed("index", "--rebuild", code=0).out.strip() == path
    assert Path(path).read_text() == whole
    leftover = installed.root / ".aigiqa" / "partial" / f"{'0' * 64}.0123456789abcdef.part"
    leftover.write_bytes(b"half")
    listed = installed("gc", "--dry-run", "--json", code=0).json()["data"]
    assert [item["path"] for item in listed] == [str(leftover)]
    assert leftover.exists()
    assert installed("gc", "--json", code=0).json()["data"] == listed
    assert not leftover.exists()


def test_export_where_nothing_is_installed_names_the_fetch(run: Command) -> None:
    assert "aigiqa fetch demo" in run("export", "demo", code=2).err
    run("export", code=2)
    run("export", "demo", "--json", code=2)


def test_X04_N31_a_manifest_that_pins_other_bytes_fetches_them(
    run: Command, box: Box, manifests: Put, tiny_zip: bytes
) -> None:
    text = tiny_manifest(tiny_zip)
    manifests("tiny", text)
    site = serve_tiny(box, tiny_zip)
    run("fetch", "tiny", code=0)
    newer = zip_of(shift=100)
    site.put("/tiny.zip", newer)
    Path(run.environment["AIGIQA_MANIFESTS"], "tiny.yaml").write_text(
        tiny_manifest(newer).replace("version: 1", "version: 2")
    )
    assert "update" in next(line for line in run("list", code=0).out.splitlines() if line.startswith("tiny\t"))
    before = invariants.tree(run.root)
    run("fetch", "tiny", code=0)
    after = invariants.tree(run.root)
    changed = {name for name in before if before[name] != after.get(name) and "/images/" in name}
    assert len(changed) == 12, "no row of two versions is mixed, and no old image is kept"
    run("verify", code=0)


# ---------------------------------------------------------------------------------------------------------------------
# The synthetic database, end to end
# ---------------------------------------------------------------------------------------------------------------------


def test_demo_end_to_end(run: Command) -> None:
    assert run("fetch", "demo", code=0).out == f"{run.root}/demo\n"
    assert run("verify", code=0).out.startswith("demo\tok\t")
    check = ["sha256sum", "--quiet", "--check", "checksums.sha256"]
    assert subprocess.run(check, cwd=run.root / "demo", check=False).returncode == 0
    rows = list(csv.reader(io.StringIO(run("export", "demo", code=0).out, newline="")))
    assert len(rows) == 61
    tsv = list(csv.reader(io.StringIO(run("export", "--format", "tsv", code=0).out, newline=""), delimiter="\t"))
    assert tsv == rows
    lines = [json.loads(line) for line in run("export", "-f", "jsonl", code=0).out.splitlines()]
    assert [line["image_id"] for line in lines] == [row[1] for row in rows[1:]]
    assert run("export", "demo", "--format", "parquet", code=0).out == "aigiqa.parquet\n"
    assert pq.read_table(run.work / "aigiqa.parquet").num_rows == 60
    with run.start("export", "--format", "parquet", "-o", "-", text=False) as process:
        out, _ = process.communicate(timeout=LIMIT)
    assert out == (run.work / "aigiqa.parquet").read_bytes()
    words = ["--split", "authors:test", "--where", "generator = 'synthetic-atlas'", "--columns", "image_id,split"]
    chosen = run("export", *words, code=0).out.splitlines()
    assert chosen[0] == "image_id,split"
    assert 0 < len(chosen[1:]) < 15
    assert all(re.fullmatch(r"atlas_\w+\.png,test", line) for line in chosen[1:])
    assert run("remove", "demo", code=0).out == "demo\n"
    line = next(line for line in run("list", code=0).out.splitlines() if line.startswith("demo\t"))
    assert line.split("\t")[-1].startswith("absent")
    assert not (run.root / "demo").exists()


def test_two_fetches_give_the_same_bytes(run: Command, ready: Path) -> None:
    run("fetch", "demo", code=0)
    assert invariants.tree(run.root) == invariants.tree(ready)
    records = [json.loads((root / ".aigiqa/installed/demo.json").read_text()) for root in (run.root, ready)]
    for record in records:
        assert record.pop("installed_at")
        assert record.pop("seal"), "the digest of all the rest, with the time"
    assert records[0] == records[1]
