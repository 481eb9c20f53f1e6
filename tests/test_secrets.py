"""Unique secrets in every place where secrets are kept; afterwards they are looked for in every place where none may be.

`--rig canary=N` runs N of the scenarios (there are as many as `SCENARIOS` below).
"""

from __future__ import annotations

import base64
import json
import os
import random
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
from conftest import Command, Done
from doubles import Box, Fault
from doubles.fault_server import Entry
from doubles.hub import COMMIT, HUB
from doubles.modelscope import SCOPE
from rigs import Rig
from test_commands import serve_tiny, zip_of
from tiny import TINY_HOST, tiny_manifest

from aigiqa_cli.redaction import without_known

REPO = "owner/secret-forest"
OWN_HOSTS = {"HF_TOKEN": {HUB}, "MODELSCOPE_API_TOKEN": {SCOPE}}  # where a token belongs
Put = Callable[[str, str], Path]


@dataclass
class Canaries:
    """One secret a place; `plain` is what is looked for."""

    plain: dict[str, str] = field(default_factory=dict)

    @classmethod
    def hatched(cls, chance: random.Random) -> Canaries:
        def secret(begin: str) -> str:
            return begin + "".join(chance.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789", k=28))

        names = {
            "HF_TOKEN": "hf_",
            "MODELSCOPE_API_TOKEN": "ms-",
            "GITHUB_TOKEN": "ghp_",
            "proxy password": "pr",
            "netrc password": "ne",
            "hub token file": "hf_",
            "scope cookie file": "sc",
            "server cookie": "co",
            "signature": "si",
            "other variable": "ov",
            "archive password": "aw",
        }
        return cls({name: secret(begin) for name, begin in names.items()})

    def forms(self, name: str) -> set[str]:
        """A secret as it is, quoted, and in the three alignments of base64."""
        value = self.plain[name]
        coded = {base64.b64encode(b" " * shift + value.encode()).decode()[4:-4] for shift in range(3)}
        return {value, quote(value, safe=""), value[::-1], *coded}

    def found_in(self, text: str, *but: str) -> list[str]:
        return [name for name in self.plain if name not in but and any(form in text for form in self.forms(name))]


# Python of the child itself: everything that it starts is noted with its arguments, input descriptors and environment.
SPY = """
import json, os, subprocess, sys
_start = subprocess.Popen.__init__
def _noted(self, args, *rest, **named):
    told = [list(map(str, args)) if not isinstance(args, str) else args, named.get("env"), named.get("env") is None]
    with open(os.environ["SPY_LOG"], "a") as log:
        log.write(json.dumps(told) + "\\n")
    return _start(self, args, *rest, **named)
subprocess.Popen.__init__ = _noted
"""


class Cage:
    """A command whose surroundings are full of secrets, and the search for them."""

    def __init__(self, run: Command, box: Box, base: Path, canaries: Canaries) -> None:
        self.run, self.box, self.base, self.canaries = run, box, base, canaries
        self.proxy_heard: list[str] = []
        self.planted: set[Path] = set()
        secret = canaries.plain
        proxy = f"http://user:{secret['proxy password']}@127.0.0.1:{box.server_address[1]}"
        names = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
        run.environment |= dict.fromkeys(names, proxy)
        run.environment |= {name: secret[name] for name in ("HF_TOKEN", "MODELSCOPE_API_TOKEN", "GITHUB_TOKEN")}
        run.environment["AWS_SECRET_ACCESS_KEY"] = secret["other variable"]
        hosts = [HUB, SCOPE, TINY_HOST, "raw.githubusercontent.com", "127.0.0.1", "www.modelscope.cn"]
        lines = "".join(f"machine {host} login me password {secret['netrc password']}\n" for host in hosts)
        self._plant(".netrc", lines + f"default login me password {secret['netrc password']}\n")
        self._plant(".cache/huggingface/token", secret["hub token file"])
        self._plant(".modelscope/credentials/cookies", secret["scope cookie file"])
        self._plant(".modelscope/credentials/session", secret["scope cookie file"])
        self.spy = base / "spy"
        self.spy.mkdir()
        self.log = base / "spied.log"
        self.run.environment["SPY_LOG"] = str(self.log)
        self.hook(SPY)

    def hook(self, code: str) -> None:
        """Python that the command's process executes before anything else; its workers are isolated and do not."""
        with (self.spy / "sitecustomize.py").open("a") as stream:
            stream.write(code)
        path = os.pathsep.join(
            filter(None, [str(self.spy), self.run.environment.get("PYTHONPATH", "").partition(":")[2]])
        )
        self.run.environment["PYTHONPATH"] = path

    def _plant(self, name: str, text: str) -> None:
        path = self.run.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        self.planted.add(path)

    def spied(self) -> list[tuple[list[str], dict[str, str] | None, bool]]:
        if not self.log.exists():
            return []
        return [tuple(json.loads(line)) for line in self.log.read_text().splitlines()]

    def search(self, done: Done, *, given: tuple[str, ...] = ()) -> None:
        """No canary in what was printed, written, started or sent. `given`: what stood on the command line itself."""
        found = self.canaries.found_in
        assert found(done.out) == [], done.out
        assert found(done.err) == [], done.err
        for path in self.base.rglob("*"):
            if path.is_file() and not path.is_symlink() and path not in self.planted and path != self.log:
                assert found(path.read_bytes().decode("latin-1")) == [], f"{path} holds a secret"
            assert found(path.name) == [], f"{path} is named after a secret"
        for words, environment, inherited in self.spied():
            if words[0] == "uname":  # asked by Python's own platform module for a client library's name of itself
                continue
            assert not inherited, f"{words[:2]} inherits the whole environment"
            assert found(json.dumps([words, environment])) == [], "K08"
        for entry in self.box.log:
            self._sent(entry)

    def _sent(self, entry: Entry) -> None:
        """What a server received: a token at its own host, a cookie and a signature where they come from."""
        mine = [name for name, hosts in OWN_HOSTS.items() if entry.host in hosts]
        but = (*mine, "server cookie", "signature")
        text = json.dumps([entry.path, entry.query, entry.headers])
        assert self.canaries.found_in(text, *but) == [], f"{entry.host} received a secret: {entry.headers}"
        assert "Proxy-Authorization" not in entry.headers


@pytest.fixture
def caged(run: Command, box: Box, tmp_path: Path, request: pytest.FixtureRequest) -> Cage:
    return Cage(run, box, tmp_path, Canaries.hatched(random.Random(request.node.nodeid)))


# -- scenarios ---------------------------------------------------------------------------------------

ARCHIVE = zip_of()


def mirror_line(line: str) -> str:
    text = tiny_manifest(ARCHIVE)
    return text.replace(f"{{kind: http, url: https://{TINY_HOST}/tiny.zip}}", line)


def at_hub(cage: Cage, manifests: Put, **about: object) -> None:
    manifests("tiny", mirror_line(f"{{kind: huggingface, repo: {REPO}, revision: {COMMIT}, path: tiny.zip}}"))
    serve_tiny(cage.box, ARCHIVE)
    cage.box.hub.add(REPO, {"tiny.zip": ARCHIVE}, **about)  # type: ignore[arg-type]


def at_scope(cage: Cage, manifests: Put) -> None:
    manifests("tiny", mirror_line(f"{{kind: modelscope, repo: {REPO}, path: tiny.zip}}"))
    serve_tiny(cage.box, ARCHIVE)
    cage.box.scope.add(REPO, {"tiny.zip": ARCHIVE})


def at_web(cage: Cage, manifests: Put) -> None:
    """A host that sets a cookie and leads to a signed link on another host."""
    manifests("tiny", tiny_manifest(ARCHIVE))
    site = serve_tiny(cage.box, ARCHIVE)
    secret = cage.canaries.plain
    where = f"https://cdn.example.org/tiny.zip?Signature={secret['signature']}&Expires=9"
    headers = (("Location", where), ("Set-Cookie", f"sid={secret['server cookie']}; Path=/"))
    site.faults.add("/tiny.zip", Fault(status=302, headers=headers, always=True))
    cage.box.web("cdn.example.org").put("/tiny.zip", ARCHIVE)


def fetched(cage: Cage, manifests: Put) -> Done:
    at_web(cage, manifests)
    done = cage.run("fetch", "tiny", "-v", code=0)
    assert [entry.query.partition("=")[0] for entry in cage.box.log if entry.host == "cdn.example.org"] == ["Signature"]
    return done


def hub_gated(cage: Cage, manifests: Put) -> Done:
    """The double lets in only its own token, so ours is refused, and must not be named in the refusal."""
    at_hub(cage, manifests, gated=True)
    done = cage.run("fetch", "tiny", "-v", code=3)
    assert any(cage.canaries.plain["HF_TOKEN"] in entry.auth for entry in cage.box.log), "it was shown to its own host"
    return done


def hub_open(cage: Cage, manifests: Put) -> Done:
    at_hub(cage, manifests)
    return cage.run("fetch", "tiny", "-v", "--json", "--keep-archives", code=0)


def scope_open(cage: Cage, manifests: Put) -> Done:
    at_scope(cage, manifests)
    return cage.run("fetch", "tiny", "-v")


def link_cut(cage: Cage, manifests: Put) -> Done:
    """Cut for good: part and note stay on disk."""
    at_web(cage, manifests)
    cage.box.web("cdn.example.org").faults.add("/tiny.zip", Fault(cut=1000), Fault(cut=0, always=True))
    done = cage.run("fetch", "tiny", "-v", code=6)
    assert list((cage.run.root / ".aigiqa" / "partial").glob("*.part"))
    return done


def wrong_bytes(cage: Cage, manifests: Put) -> Done:
    at_web(cage, manifests)
    cage.box.web("cdn.example.org").put("/tiny.zip", bytes(reversed(ARCHIVE)))
    return cage.run("fetch", "tiny", "--json", code=4)


def echoing_page(cage: Cage, manifests: Put) -> Done:
    """A page that shows what it was sent, and the address that it was asked for, in its title."""
    at_web(cage, manifests)
    told = " ".join(cage.canaries.plain[name] for name in ("HF_TOKEN", "MODELSCOPE_API_TOKEN", "proxy password"))
    page = f"<html><head><title>{told}</title></head><body>Sign in</body></html>".encode()
    cage.box.web("cdn.example.org").put("/tiny.zip", page, type="text/html")
    return cage.run("fetch", "tiny", "-v", code=3)


def proxy_refuses(cage: Cage, manifests: Put) -> Done:
    at_web(cage, manifests)
    text = Path(cage.run.environment["AIGIQA_MANIFESTS"], "tiny.yaml").read_text()
    manifests_folder = Path(cage.run.environment["AIGIQA_MANIFESTS"], "tiny.yaml")
    manifests_folder.write_text(text.replace(TINY_HOST, "not-in-the-box.example.org"))
    done = cage.run("fetch", "tiny", "-v", code=6)
    cage.box.refused.clear()
    return done


def proxy_of_no_kind(cage: Cage, manifests: Put) -> Done:
    at_web(cage, manifests)
    proxy = cage.run.environment["HTTPS_PROXY"].replace("http://", "gopher://")
    return cage.run("fetch", "tiny", "-v", env=dict.fromkeys(("HTTPS_PROXY", "https_proxy"), proxy))


CRASH = """
import threading
from aigiqa_cli.transport import session
def _boom(self, url, **named):
    token, proxy = os.environ["HF_TOKEN"], os.environ["HTTPS_PROXY"]
    everything = dict(os.environ)
    def fall():
        raise RuntimeError("in a thread: " + token)
    thread = threading.Thread(target=fall)
    thread.start()
    thread.join()
    class Falls:
        def __del__(self):
            raise RuntimeError("in a destructor: " + token)
    Falls()
    raise RuntimeError(f"cannot ask {url}?Signature={token} through {proxy} with Authorization: Bearer {token}")
session.Session.open = _boom
"""
CRASH_AT_START = """
import aigiqa_cli.cli.main as main
_real = main._run
def _boom(arguments):
    token = os.environ["HF_TOKEN"]
    raise SystemError("before anything: " + token)
main._run = _boom
"""


def crashed(cage: Cage, manifests: Put) -> Done:
    at_web(cage, manifests)
    cage.hook(CRASH)
    done = cage.run("fetch", "tiny", code=1)
    for word in ("in a thread", "in a destructor", "cannot ask", "Traceback"):
        assert word in done.err, "the crash is told, its secrets are not"
    return done


def crashed_json(cage: Cage, manifests: Put) -> Done:
    at_web(cage, manifests)
    cage.hook(CRASH)
    done = cage.run("fetch", "tiny", "--json", code=1)
    assert done.json()["error"]["kind"] == "bug"
    return done


def crashed_early(cage: Cage, manifests: Put) -> Done:
    at_web(cage, manifests)
    cage.hook(CRASH_AT_START)
    done = cage.run("list", code=1)
    assert "before anything" in done.err
    return done


def looked_around(cage: Cage, manifests: Put) -> Done:
    """What only reads: the settings are shown, their secrets are not."""
    at_web(cage, manifests)
    parts = [cage.run(*words) for words in (["doctor"], ["doctor", "--json"], ["info", "tiny"], ["list", "-v"])]
    return Done(0, "".join(part.out for part in parts), "".join(part.err for part in parts))


def with_password(cage: Cage, manifests: Put) -> Done:
    at_web(cage, manifests)
    return cage.run("fetch", "tiny", "-v", "--password", cage.canaries.plain["archive password"], code=0)


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        fetched, hub_gated, hub_open, scope_open, link_cut, wrong_bytes, echoing_page, proxy_refuses, proxy_of_no_kind,
        crashed, crashed_json, crashed_early, looked_around, with_password,
    )
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.rig("canary", sample=14, share=1 / 14)) for name in SCENARIOS]
)
def test_K01_K02_K03_K04_K07_K08_no_canary_leaves_its_cage(caged: Cage, manifests: Put, rig: Rig, name: str) -> None:
    done = SCENARIOS[name](caged, manifests)
    caged.search(done)
    rig.did()


def test_the_search_finds_what_is_there(caged: Cage) -> None:
    secret = caged.canaries.plain["HF_TOKEN"]
    caged.search(Done(0, "", ""))
    for text in (f"x{secret}y", base64.b64encode(f"me:{secret}".encode()).decode(), quote(secret)):
        with pytest.raises(AssertionError):
            caged.search(Done(0, text, ""))
    (caged.run.root.parent / "leak").write_text(secret)
    with pytest.raises(AssertionError):
        caged.search(Done(0, "", ""))


# -- single rows -------------------------------------------------------------------------------------


def test_K03_N24_login_file_is_never_opened(run: Command, box: Box, manifests: Put, tmp_path: Path) -> None:
    """strace sees every file that is opened: .netrc is none of them, whatever the client libraries would like."""
    import shutil

    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    (run.home / ".netrc").write_text("default login me password canary\n")
    manifests("tiny", mirror_line(f"{{kind: huggingface, repo: {REPO}, revision: {COMMIT}, path: tiny.zip}}"))
    serve_tiny(box, ARCHIVE)
    box.hub.add(REPO, {"tiny.zip": ARCHIVE})
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-e", "trace=open,openat,openat2", "-o", str(trace), sys.executable, "-m", "aigiqa_cli"]
    done = subprocess.run(
        [*command, "fetch", "tiny"], env=run.environment, cwd=run.work, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    opened = trace.read_text()
    assert "tiny.zip" in opened or "partial" in opened, "the trace saw the download"
    assert ".netrc" not in opened
    assert "_netrc" not in opened


def test_K05_tokens_come_from_the_environment_and_are_kept_in_no_file(run: Command, box: Box, manifests: Put) -> None:
    """There is no token or cookie file of ours to protect: those of the client libraries are neither read nor made."""
    token = run.home / ".cache/huggingface/token"
    token.parent.mkdir(parents=True)
    token.write_text("hf_canarycanarycanary")
    token.chmod(0o644)
    manifests("tiny", mirror_line(f"{{kind: huggingface, repo: {REPO}, revision: {COMMIT}, path: tiny.zip}}"))
    serve_tiny(box, ARCHIVE)
    box.hub.add(REPO, {"tiny.zip": ARCHIVE})
    run("fetch", "tiny", code=0, env={"HF_TOKEN": "hf_" + "real" * 6})
    assert "canary" not in str([entry.headers for entry in box.log])
    assert [path for path in run.home.rglob("*") if path.is_file()] == [token]
    for path in run.root.rglob("*"):
        if path.is_file():
            assert b"real" * 6 not in path.read_bytes()


TOKEN_WORDS = ("token", "cookie", "bearer", "auth", "credential", "api-key", "netrc")


def test_K06_no_option_takes_a_token() -> None:
    import typer.main

    from aigiqa_cli.cli.app import build

    group = typer.main.get_command(build([]))
    commands = [group, *group.commands.values()]  # type: ignore[attr-defined]
    options = {option for command in commands for parameter in command.params for option in parameter.opts}
    assert {"--root", "--mirror", "--password"} <= options
    assert not [option for option in options if any(word in option for word in TOKEN_WORDS)]


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_K09_nobody_else_reads_what_is_unfinished(run: Command, box: Box, manifests: Put, umask: int) -> None:
    """Partial downloads, staging, quarantine, kept archives: closed for others whatever the umask, gated or not."""
    manifests("tiny", tiny_manifest(ARCHIVE))
    site = serve_tiny(box, ARCHIVE)
    site.faults.add("/tiny.zip", Fault(cut=1000), *[Fault(cut=0)] * 9)
    old = os.umask(umask)
    try:
        run("fetch", "tiny", code=6)
        inner = run.root / ".aigiqa"
        parts = list((inner / "partial").glob("*.part"))
        assert parts
        assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (inner / "partial").iterdir()} == {0}
        site.faults.clear()
        run("fetch", "tiny", "--keep-archives", code=0)
        run("remove", "tiny", code=0)
        for path in (inner / "archives" / "sha256").iterdir():
            path.unlink()
        site.put("/tiny.zip", ARCHIVE[:99] + bytes([ARCHIVE[99] ^ 1]) + ARCHIVE[100:])
        run("fetch", "tiny", code=4)
        site.put("/tiny.zip", ARCHIVE)
        run("fetch", "tiny", "--keep-archives", code=0)
    finally:
        os.umask(old)
    for name in ("partial", "staging", "quarantine", "archives/sha256", "replaced"):
        path = inner / name
        ways = [path, *(parent for parent in path.parents if inner in (parent, *parent.parents) and parent != inner)]
        assert any(stat.S_IMODE(way.stat().st_mode) & 0o077 == 0 for way in ways), f"{name} is open to others"
    assert list((inner / "quarantine").iterdir())
    assert list((inner / "archives" / "sha256").iterdir())


def test_K04_record_and_notes_hold_links_without_their_query(caged: Cage, manifests: Put) -> None:
    done = fetched(caged, manifests)
    record = (caged.run.root / ".aigiqa" / "installed" / "tiny.json").read_text()
    assert f"http {TINY_HOST}/tiny.zip" in record
    assert "Signature" not in record + done.err + done.out


def test_K_what_stands_before_the_host_of_a_proxy_is_hidden() -> None:
    """As it is written, by itself, and as it is meant."""
    settings = {"https_proxy": "http://somebody:p%40ssword@proxy.example.org:3128", "HF_TOKEN": " hf_abcdefgh "}
    text = "proxy somebody:p%40ssword, p%40ssword or p@ssword; Bearer hf_abcdefgh; proxy.example.org:3128"
    hidden = without_known(text, settings)
    assert not [word for word in ("p%40ssword", "p@ssword", "hf_abcdefgh") if word in hidden]
    assert "proxy.example.org:3128" in hidden


def test_K_the_longest_secret_is_hidden_first_and_words_are_left_alone() -> None:
    """Else what is left of a longer one would show; a value of three characters is no secret."""
    settings = {"HTTPS_PROXY": "http://somebody:word@proxy.example.org:3128", "GH_TOKEN": "the"}
    assert without_known("somebody:word and the password", settings) == "[hidden] and the pass[hidden]"
