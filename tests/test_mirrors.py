"""Every automatic mirror kind at a double of its host, under its own name; every by-hand kind in words."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import REPOSITORY, Command
from doubles import Blob, Box, Fault
from doubles.hub import COMMIT, TOKEN
from wire import DATA, LOOSE, OTHER, PINNED, SHA256, SIZE, Notes, same

from aigiqa_cli import mirrors
from aigiqa_cli.errors import Exit, IntegrityFault, PersonNeeded, TemporaryFault
from aigiqa_cli.errors import Fault as Problem
from aigiqa_cli.transport import Received, Session, Wanted, receive

REVISION = "30ded2bed96fc78070636548e811ece37e5d8f66"
TABLE = b"name,prompt\r\nAttnGAN_normal_000.jpg,statue of a man\r\n"


@dataclass(frozen=True)
class Mirror:
    """What a manifest says of a mirror; "" where it says nothing."""

    kind: str
    url: str = ""
    repo: str = ""
    revision: str = ""
    path: str = ""
    id: str = ""
    code: str = ""
    note: str = ""
    health: None = None


HTTP = Mirror("http", url="https://files.example.org/set.zip")
GITHUB = Mirror("github", repo="owner/labels", revision=REVISION, path="sub dir/data+1.zip")
HUB = Mirror("huggingface", repo="owner/name", revision=COMMIT, path="sub dir/set+1.zip")
DRIVE = Mirror("gdrive", id="1ObuOZ6YZqZuxe4oRlaf3kdOBlTRg2GE4")
SCOPE = Mirror("modelscope", repo="owner/name", path="sub dir/set+1.zip")
ALL = [HTTP, GITHUB, HUB, DRIVE, SCOPE]
KINDS = [mirror.kind for mirror in ALL]


class Desk:
    """Mirrors of the box, received into one folder."""

    def __init__(self, box: Box, settings: dict[str, str], base: Path) -> None:
        self.box = box
        self.settings = settings | {"AIGIQA_RETRY_SECONDS": "0.001"}
        self.partial = base / "root" / ".aigiqa" / "partial"
        self.partial.parent.mkdir(parents=True)
        self.home = Path(settings["HOME"])
        self.reporter = Notes()

    def publish(self, data: bytes = DATA) -> None:
        self.box.web("files.example.org").put("/set.zip", data)
        self.box.github.add(GITHUB.repo, GITHUB.revision, {GITHUB.path: data})
        self.box.hub.add(HUB.repo, {HUB.path: data})
        self.box.drive.add(DRIVE.id, data, "set.zip")
        self.box.scope.add(SCOPE.repo, {SCOPE.path: data})

    def break_bytes(self, kind: str, *faults: Fault) -> None:
        """Script the answer of this kind's host that carries the bytes."""
        {
            "http": lambda: self.box.web("files.example.org").faults.add("/set.zip", *faults),
            "github": lambda: self.box.github.faults.add(f"{GITHUB.repo}/{REVISION}/{GITHUB.path}", *faults),
            "huggingface": lambda: self.box.hub.faults.add(f"{HUB.repo}/{HUB.path}", *faults),
            "gdrive": lambda: self.box.drive.faults.add(DRIVE.id, *faults),
            "modelscope": lambda: self.box.scope.faults.add(f"{SCOPE.repo}/{SCOPE.path}", *faults),
        }[kind]()

    def receive(self, wanted: Wanted, *wished: Mirror) -> Received:
        with Session(settings=self.settings) as session:
            ready = [mirrors.source(mirror, session) for mirror in wished]
            return receive(wanted, ready, self.partial, session, self.reporter)

    def fails(self, wanted: Wanted, *wished: Mirror) -> Problem:
        try:
            got = self.receive(wanted, *wished)
        except Problem as problem:
            return problem
        raise AssertionError(f"received from {got.source} where a fault was due")


@pytest.fixture
def desk(box: Box, at_box: dict[str, str], tmp_path: Path) -> Desk:
    return Desk(box, at_box, tmp_path)


# -- the contract that every automatic kind keeps ----------------------------------------------------


@pytest.mark.parametrize("mirror", ALL, ids=KINDS)
@pytest.mark.parametrize("wanted", [PINNED, LOOSE], ids=["pinned", "loose"])
def test_every_kind_delivers(desk: Desk, mirror: Mirror, wanted: Wanted) -> None:
    desk.publish()
    got = desk.receive(wanted, mirror)
    assert same(got)
    assert got.kind == mirror.kind
    assert got.source == mirrors.label(mirror)
    assert "?" not in got.url
    assert not [path for path in desk.home.rglob("*") if path.is_file()], "nothing is written to the home folder"


@pytest.mark.parametrize("mirror", ALL, ids=KINDS)
def test_every_kind_resumes(desk: Desk, mirror: Mirror) -> None:
    desk.publish()
    desk.break_bytes(mirror.kind, Fault(cut=150_000))
    assert same(desk.receive(PINNED, mirror))
    assert [entry.start for entry in desk.box.log if entry.sent > 100_000] == [0, 150_000]


@pytest.mark.parametrize("mirror", ALL, ids=KINDS)
def test_every_kind_shows_wrong_bytes(desk: Desk, mirror: Mirror) -> None:
    desk.publish(OTHER)
    assert isinstance(desk.fails(PINNED, mirror), IntegrityFault)


@pytest.mark.parametrize("mirror", ALL, ids=KINDS)
def test_every_kind_says_gone(desk: Desk, mirror: Mirror) -> None:
    desk.box.web("files.example.org")
    problem = desk.fails(PINNED, mirror)
    assert isinstance(problem, PersonNeeded)
    assert mirrors.label(mirror) in str(problem)


@pytest.mark.parametrize("mirror", ALL, ids=KINDS)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_every_kind_says_busy(desk: Desk, mirror: Mirror, status: int) -> None:
    desk.publish()
    desk.break_bytes(mirror.kind, Fault(status=status, body=b"busy", type="text/plain", always=True))
    assert isinstance(desk.fails(PINNED, mirror), TemporaryFault)


@pytest.mark.parametrize("first", ALL, ids=KINDS)
@pytest.mark.parametrize("second", ALL, ids=KINDS)
def test_every_kind_continues_the_part_of_every_other(desk: Desk, first: Mirror, second: Mirror) -> None:
    if first is second:
        return
    desk.publish()
    desk.break_bytes(first.kind, Fault(cut=int(SIZE * 0.4)), Fault(status=503, always=True))
    got = desk.receive(PINNED, first, second)
    assert same(got)
    assert got.kind == second.kind
    carried = [entry for entry in desk.box.log if entry.sent > 100_000]
    assert [entry.start for entry in carried] == [0, int(SIZE * 0.4)]


@pytest.mark.parametrize("mirror", ALL, ids=KINDS)
def test_resolving_starts_no_request(desk: Desk, mirror: Mirror) -> None:
    with Session(settings=desk.settings) as session:
        ready = mirrors.source(mirror, session)
    assert desk.box.log == []
    assert ready.label == mirrors.label(mirror)


# -- Hugging Face ------------------------------------------------------------------------------------


def test_hub_states_size_and_hash_at_the_commit(desk: Desk) -> None:
    desk.publish()
    with Session(settings=desk.settings) as session:
        request = mirrors.source(HUB, session).resolve()
    assert (request.bytes, request.sha256, request.fixed) == (SIZE, SHA256, True)
    assert COMMIT in request.url


def test_hub_asks_at_its_name_and_fetches_at_the_content_host(desk: Desk) -> None:
    desk.publish()
    desk.receive(PINNED, HUB)
    hosts = {entry.host for entry in desk.box.log}
    assert hosts == {"huggingface.co", "cdn-lfs.hf.co"}
    assert not [entry for entry in desk.box.log if entry.path.startswith("/api/")], "no statistics, no listings"


def test_hub_hash_proves_what_the_manifest_does_not_pin(desk: Desk) -> None:
    desk.publish()
    desk.break_bytes("huggingface", Fault(flip=200_000, always=True))
    assert isinstance(desk.fails(LOOSE, HUB), IntegrityFault)


def test_hub_gated_needs_a_person(desk: Desk) -> None:
    desk.box.hub.add(HUB.repo, {HUB.path: DATA}, gated=True)
    problem = desk.fails(PINNED, HUB)
    assert problem.exit_code == Exit.PERSON
    assert f"https://huggingface.co/datasets/{HUB.repo}" in str(problem) + problem.hint


@pytest.mark.parametrize("about", [{"gated": True}, {"private": True}])
def test_K02_hub_token_opens_and_stays_at_the_hub(desk: Desk, about: dict[str, bool]) -> None:
    desk.box.hub.add(HUB.repo, {HUB.path: DATA}, **about)
    desk.settings["HF_TOKEN"] = TOKEN
    assert same(desk.receive(PINNED, HUB))
    assert {entry.host for entry in desk.box.log if entry.auth} == {"huggingface.co"}


def test_K01_wrong_hub_token_is_not_shown(desk: Desk) -> None:
    desk.box.hub.add(HUB.repo, {HUB.path: DATA}, gated=True)
    desk.settings["HF_TOKEN"] = "hf_" + "canary" * 6
    problem = desk.fails(PINNED, HUB)
    assert problem.exit_code == Exit.PERSON
    assert "canary" not in str(problem) + str(problem.as_json()) + str(problem.findings) + str(desk.reporter.notes)


def test_no_token_is_sent_where_none_is_set(desk: Desk) -> None:
    desk.publish()
    (desk.home / ".cache/huggingface").mkdir(parents=True)
    (desk.home / ".cache/huggingface/token").write_text(TOKEN)
    (desk.home / ".netrc").write_text("machine huggingface.co login a password b\n")
    assert same(desk.receive(PINNED, HUB))
    assert not [entry for entry in desk.box.log if entry.auth]


@pytest.mark.parametrize(
    ("mirror", "word"),
    [
        (Mirror("huggingface", repo="owner/none", revision=COMMIT, path="set.zip"), "owner/none"),
        (Mirror("huggingface", repo=HUB.repo, revision="0" * 40, path=HUB.path), "revision"),
        (Mirror("huggingface", repo=HUB.repo, revision=COMMIT, path="none.zip"), "none.zip"),
    ],
    ids=["repository", "revision", "file"],
)
def test_hub_names_what_is_missing(desk: Desk, mirror: Mirror, word: str) -> None:
    desk.publish()
    problem = desk.fails(PINNED, mirror)
    assert problem.exit_code == Exit.PERSON
    assert word in str(problem)


@pytest.mark.parametrize(
    "fault",
    [Fault(status=500), Fault(status=503, headers=(("Retry-After", "0"),)), Fault(raw=b"\r\n"), Fault(status=429)],
)
def test_hub_out_of_order_is_temporary(desk: Desk, fault: Fault) -> None:
    desk.publish()
    desk.box.hub.faults.add(f"resolve {HUB.repo}/{HUB.path}", *[fault] * 2)
    assert same(desk.receive(PINNED, HUB))


def test_hub_small_file_comes_from_the_hub_itself(desk: Desk) -> None:
    desk.box.hub.add(HUB.repo, {"data.csv": TABLE})
    got = desk.receive(
        Wanted("data.csv", "csv", len(TABLE)), Mirror("huggingface", repo=HUB.repo, revision=COMMIT, path="data.csv")
    )
    assert same(got, TABLE)


def test_hub_branch_is_fixed_to_its_commit(desk: Desk) -> None:
    desk.publish()
    branch = Mirror("huggingface", repo=HUB.repo, revision="main", path=HUB.path)
    assert same(desk.receive(PINNED, branch))
    assert [entry for entry in desk.box.log if entry.method == "GET" and f"/resolve/{COMMIT}/" in entry.path]


def test_N23_expired_link_is_resolved_again(desk: Desk) -> None:
    desk.publish()
    expired = Fault(status=403, body=b"<Error>expired</Error>", type="application/xml")
    desk.break_bytes("huggingface", Fault(cut=150_000), expired)
    assert same(desk.receive(PINNED, HUB))
    carried = [entry.start for entry in desk.box.log if entry.sent > 100_000]
    assert carried == [0, 150_000], "the part is kept"


def test_N23_closed_for_good_ends(desk: Desk) -> None:
    desk.publish()
    desk.break_bytes("huggingface", Fault(status=403, always=True))
    assert desk.fails(PINNED, HUB).exit_code == Exit.PERSON
    assert len([entry for entry in desk.box.log if entry.host == "cdn-lfs.hf.co"]) <= 2


def test_hub_endpoint_is_read_at_call_time(desk: Desk) -> None:
    desk.publish()
    desk.box.hosts["hf-mirror.example"] = desk.box.hub.serve_hub
    desk.settings["HF_ENDPOINT"] = "https://hf-mirror.example/"
    assert same(desk.receive(PINNED, HUB))
    assert {entry.host for entry in desk.box.log} == {"hf-mirror.example", "cdn-lfs.hf.co"}


# -- Google Drive ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "hosts"), [("small", 2), ("big", 2)])
def test_drive_with_and_without_the_form(desk: Desk, kind: str, hosts: int) -> None:
    desk.box.drive.add(DRIVE.id, DATA, "set.zip", kind)  # type: ignore[arg-type]
    assert same(desk.receive(PINNED, DRIVE))
    assert len({entry.host for entry in desk.box.log}) == hosts
    assert not list(desk.home.rglob("*cookie*"))


def test_N06_drive_quota(desk: Desk) -> None:
    desk.box.drive.add(DRIVE.id, DATA, "set.zip", "quota")
    problem = desk.fails(PINNED, DRIVE)
    assert problem.exit_code == Exit.PERSON
    assert "host quota" in str(problem)


def test_drive_private_file_needs_a_person(desk: Desk) -> None:
    desk.box.drive.add(DRIVE.id, DATA, "set.zip", "private")
    problem = desk.fails(PINNED, DRIVE)
    assert problem.exit_code == Exit.PERSON
    assert "sign-in" in str(problem)


def test_drive_quota_in_the_middle_keeps_the_part(desk: Desk) -> None:
    desk.publish()
    desk.break_bytes("gdrive", Fault(cut=150_000))
    quota = Blob(b'<html><p class="uc-error-subcaption">Too many users have viewed or downloaded this file</p></html>')
    desk.break_bytes("gdrive", Fault(status=200, body=quota.data), Fault(status=200, body=quota.data))
    got = desk.receive(PINNED, DRIVE, HUB)
    assert same(got)
    assert got.kind == "huggingface"
    assert [entry.start for entry in desk.box.log if entry.sent > 100_000] == [0, 150_000]


def test_drive_without_ranges_starts_over(desk: Desk) -> None:
    desk.box.drive.add(DRIVE.id, DATA, "set.zip", ranges=False)
    desk.break_bytes("gdrive", Fault(cut=150_000))
    assert same(desk.receive(PINNED, DRIVE))


# -- GitHub ------------------------------------------------------------------------------------------


def test_github_lfs_pointer_is_refused(desk: Desk) -> None:
    desk.box.github.add(GITHUB.repo, GITHUB.revision, {GITHUB.path: DATA}, lfs=True)
    problem = desk.fails(LOOSE, GITHUB)
    assert problem.exit_code == Exit.PERSON
    assert "Git LFS pointer" in str(problem)


def test_github_asks_the_raw_host_once(desk: Desk) -> None:
    desk.publish()
    desk.receive(PINNED, GITHUB)
    assert desk.box.paths() == [f"GET raw.githubusercontent.com/{GITHUB.repo}/{REVISION}/{GITHUB.path}"]


# -- shares that a person opens ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mirror", "expected"),
    [
        (Mirror("baidu", url="https://pan.baidu.com/s/1abc", code="AIGC"), "https://pan.baidu.com/s/1abc?pwd=AIGC"),
        (
            Mirror("baidu", url="https://pan.baidu.com/s/1abc?pwd=old1", code="0755"),
            "https://pan.baidu.com/s/1abc?pwd=0755",
        ),
        (
            Mirror("baidu", url="https://pan.baidu.com/share/init?surl=abc", code="0755"),
            "https://pan.baidu.com/share/init?surl=abc&pwd=0755",
        ),
        (Mirror("baidu", url="https://pan.baidu.com/s/1abc"), "https://pan.baidu.com/s/1abc"),
        (Mirror("quark", url="https://pan.quark.cn/s/10187e65d5c1"), "https://pan.quark.cn/s/10187e65d5c1"),
        (Mirror("terabox", url="https://terabox.com/s/1x"), "https://terabox.com/s/1x"),
        (Mirror("onedrive", url="https://1drv.ms/u/s!abc"), "https://1drv.ms/u/s!abc"),
    ],
)
def test_manual_link_has_the_code_filled_in(mirror: Mirror, expected: str) -> None:
    assert mirrors.link(mirror) == expected


def test_share_says_all_that_a_person_needs() -> None:
    mirror = Mirror("baidu", url="https://pan.baidu.com/s/1abc", code="0755", note="log in first")
    share = mirrors.share(mirror, "set.zip", SIZE, SHA256, "aigiqa import tiny ~/Downloads/set.zip")
    assert share.as_json() == {
        "kind": "baidu",
        "url": "https://pan.baidu.com/s/1abc?pwd=0755",
        "code": "0755",
        "name": "set.zip",
        "bytes": SIZE,
        "sha256": SHA256,
        "note": "log in first",
        "state": "",
        "next": "aigiqa import tiny ~/Downloads/set.zip",
    }


@pytest.mark.parametrize("mirror", ALL, ids=KINDS)
def test_every_kind_has_a_link_for_people(mirror: Mirror) -> None:
    assert mirrors.link(mirror).startswith("https://")


def test_kinds_are_those_of_the_contract() -> None:
    assert set(mirrors.AUTOMATIC) >= {"http", "github", "huggingface", "gdrive", "builtin"}
    assert set(mirrors.MANUAL) == {"baidu", "quark", "terabox", "onedrive"}


@pytest.mark.parametrize("kind", ["baidu", "quark", "terabox", "onedrive"])
def test_manual_kind_is_never_fetched(desk: Desk, kind: str) -> None:
    with Session(settings=desk.settings) as session, pytest.raises(PersonNeeded):
        mirrors.source(Mirror(kind, url="https://share.example/x"), session)
    assert desk.box.log == []


# -- the environment of a fresh process --------------------------------------------------------------

CHILD = """
import sys
from pathlib import Path
from types import SimpleNamespace
from aigiqa_cli import mirrors
from aigiqa_cli.reporting import Silent
from aigiqa_cli.transport import Session, Wanted, receive
words = dict(word.split("=", 1) for word in sys.argv[2:])
blank = dict.fromkeys(("url", "repo", "revision", "path", "id", "code", "note"), "") | {"health": None}
with Session() as session:
    ready = mirrors.source(SimpleNamespace(**(blank | words)), session)
    print(receive(Wanted("set.zip", "zip"), [ready], Path(sys.argv[1]), session, Silent()).sha256)
"""


@pytest.mark.parametrize("bundle", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.parametrize("mirror", [HUB, DRIVE], ids=["huggingface", "gdrive"])
def test_N24_either_bundle_variable_is_enough(run: Command, bundle: str, mirror: Mirror) -> None:
    run.box.hub.add(HUB.repo, {HUB.path: DATA})
    run.box.drive.add(DRIVE.id, DATA, "set.zip")
    other = {"REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"} - {bundle}
    environment = {name: value for name, value in run.environment.items() if name not in other}
    words = [f"{name}={value}" for name, value in vars(mirror).items() if value]
    run.root.mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, str(run.root / "partial"), *words],
        env=environment | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.strip() == SHA256, ended.stderr[-3000:]
    assert not [path for path in run.home.rglob("*") if path.is_file()], "nothing is written to the home folder"
