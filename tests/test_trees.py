"""Folders of hubs: complete, resumed file by file, one pace for all workers, nothing wrong installed."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Command, kill
from doubles import Box, Fault
from doubles.hub import CDN, COMMIT, HUB, TOKEN
from doubles.modelscope import SCOPE, SCOPE_CDN, SCOPE_TOKEN
from PIL import Image
from test_mirrors import Mirror
from wire import Notes

from aigiqa_cli import mirrors
from aigiqa_cli.errors import Fault as Problem
from aigiqa_cli.errors import IntegrityFault, PersonNeeded, RefusedInput, TemporaryFault
from aigiqa_cli.transport import Limits, Session, Wanted
from aigiqa_cli.transport.pace import LOWEST, Pace, Stopped
from aigiqa_cli.transport.tree import CONNECTIONS, ReceivedTree, receive_tree

REPO = "owner/forest"
COUNT = 300
MIRRORS = {
    "huggingface": Mirror("huggingface", repo=REPO, revision=COMMIT, path="data/images"),
    "modelscope": Mirror("modelscope", repo=REPO, path="data/images"),
}
KINDS = sorted(MIRRORS)
FOREST = Wanted("images", "tree")


def picture(number: int) -> bytes:
    """A small image; every third is too small for the content network."""
    side = 4 if number % 3 == 0 else 24
    stream = io.BytesIO()
    Image.effect_noise((side, side), 90 + number / 100).convert("RGB").save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def pictures() -> dict[str, bytes]:
    return {f"leaf_{number:04}.png": picture(number) for number in range(COUNT)}


@pytest.fixture
def forest(box: Box, pictures: dict[str, bytes]) -> dict[str, bytes]:
    """The tree on both hubs, with other files beside it; returns what must arrive."""
    wanted = {f"data/images/{name}": data for name, data in pictures.items()}
    others = {".gitattributes": b"*.png filter=lfs", "README.md": b"# forest", "data/imagesque.txt": b"not below it"}
    box.hub.page = 100
    box.hub.add(REPO, wanted | others)
    box.scope.add(REPO, wanted | others)
    return wanted


class Woods:
    """Trees received into one folder by this process."""

    def __init__(self, box: Box, settings: dict[str, str], base: Path) -> None:
        self.box, self.reporter = box, Notes()
        self.settings = settings | {"AIGIQA_RETRY_SECONDS": "0.001"}
        self.partial = base / "root" / ".aigiqa" / "partial"
        self.partial.mkdir(parents=True)

    def receive(self, *wished: Mirror, limits: Limits | None = None) -> ReceivedTree:
        with Session(settings=self.settings, scratch=self.partial, limits=limits) as session:
            sources = [mirrors.tree_source(mirror, session) for mirror in wished]
            return receive_tree(FOREST, sources, self.partial, session, self.reporter)

    def fails(self, *wished: Mirror, limits: Limits | None = None) -> Problem:
        with pytest.raises(Problem) as caught:
            self.receive(*wished, limits=limits)
        return caught.value

    def asked(self) -> Counter[str]:
        """How often the bytes of each file began to come."""
        names = (
            f"{entry.path}?{entry.query}"
            for entry in self.box.log
            if entry.sent and "leaf_" in entry.path + entry.query
        )
        return Counter(name[name.index("leaf_") :][:13] for name in names)


@pytest.fixture
def woods(box: Box, at_box: dict[str, str], tmp_path: Path) -> Woods:
    return Woods(box, at_box, tmp_path)


def bytes_of(box: Box, kind: str) -> Callable[..., None]:
    """`add(name, *faults)` scripts the answers with the bytes of one file."""
    faults = box.hub.faults if kind == "huggingface" else box.scope.faults
    return lambda name, *scripted: faults.add(f"{REPO}/data/images/{name}", *scripted)


def on_disk(got: ReceivedTree) -> dict[str, bytes]:
    return {path.relative_to(got.path).as_posix(): path.read_bytes() for path in got.path.rglob("*") if path.is_file()}


# -- one tree from one host --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_N28_tree_arrives_complete_and_is_asked_for_once(woods: Woods, forest: dict[str, bytes], kind: str) -> None:
    got = woods.receive(MIRRORS[kind])
    assert on_disk(got) == forest
    assert (got.files, got.bytes) == (COUNT, sum(map(len, forest.values())))
    assert set(woods.asked().values()) == {1}
    assert woods.reporter.advanced == got.bytes
    assert [phase for phase in woods.reporter.phases if "leaf_" in phase[0]] == [], "one bar for all"
    listed = [entry for entry in woods.box.log if "/repo/tree" in entry.path or "/api/datasets/" in entry.path]
    assert len(listed) == {"huggingface": 1, "modelscope": 2}[kind]


def test_folder_of_a_huge_repository_is_listed_page_by_page(
    woods: Woods, forest: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aigiqa_cli.mirrors.huggingface.LONGEST_LIST", 200)
    assert on_disk(woods.receive(MIRRORS["huggingface"])) == forest
    assert sum("/tree/" in entry.path for entry in woods.box.log) == COUNT // woods.box.hub.page


@pytest.mark.parametrize("kind", KINDS)
def test_N28_few_connections_do_all(woods: Woods, forest: dict[str, bytes], kind: str) -> None:
    opened: list[object] = []
    track = woods.box.track
    woods.box.track = lambda connection: (opened.append(connection), track(connection))[1]  # type: ignore[method-assign]
    woods.receive(MIRRORS[kind])
    tunnels_and_their_tls = 2
    hosts_and_the_listing = 3
    assert len(opened) <= CONNECTIONS * tunnels_and_their_tls * hosts_and_the_listing


@pytest.mark.parametrize("kind", KINDS)
def test_second_run_asks_for_nothing_but_the_listing(woods: Woods, forest: dict[str, bytes], kind: str) -> None:
    woods.receive(MIRRORS[kind]).shelf.close()
    woods.box.log.clear()
    assert on_disk(woods.receive(MIRRORS[kind])) == forest
    assert not woods.asked()


@pytest.mark.parametrize("kind", KINDS)
def test_failed_tree_goes_on_where_it_stopped(woods: Woods, forest: dict[str, bytes], kind: str) -> None:
    bytes_of(woods.box, kind)("leaf_0200.png", Fault(status=404))
    problem = woods.fails(MIRRORS[kind])
    assert isinstance(problem, PersonNeeded)
    assert "leaf_0200.png" in problem.message
    before = woods.asked()
    assert on_disk(woods.receive(MIRRORS[kind])) == forest
    again = {name for name, count in woods.asked().items() if count > before[name] > 0}
    assert len(again) <= CONNECTIONS, "only what was on its way"


def test_damaged_file_of_an_earlier_run_is_fetched_again(woods: Woods, forest: dict[str, bytes]) -> None:
    """Also the small ones, of which the host states no SHA-256: the journal has it."""
    got = woods.receive(MIRRORS["huggingface"])
    got.shelf.close()
    for name in ("leaf_0003.png", "leaf_0004.png"):
        path = got.path / "data/images" / name
        path.write_bytes(bytes(len(path.read_bytes())))
    (got.path / "stray.png").write_bytes(b"of another version")
    woods.box.log.clear()
    assert on_disk(woods.receive(MIRRORS["huggingface"])) == forest
    assert set(woods.asked()) == {"leaf_0003.png", "leaf_0004.png"}


def test_listing_without_hashes_works_and_is_resumed(woods: Woods, forest: dict[str, bytes]) -> None:
    woods.box.scope.add(REPO, {}, hashes=False)
    first = woods.receive(MIRRORS["modelscope"])
    first.shelf.close()
    assert first.unhashed == COUNT
    assert f"lists no hashes for {COUNT} files: only lengths are checked" in " ".join(woods.reporter.notes)
    woods.box.log.clear()
    assert on_disk(woods.receive(MIRRORS["modelscope"])) == forest
    assert not woods.asked()


def test_cut_files_are_continued(woods: Woods, forest: dict[str, bytes]) -> None:
    for number in range(1, COUNT, 10):
        size = len(forest[f"data/images/leaf_{number:04}.png"])
        bytes_of(woods.box, "huggingface")(f"leaf_{number:04}.png", Fault(cut=size // 2))
    got = woods.receive(MIRRORS["huggingface"])
    assert on_disk(got) == forest
    assert woods.reporter.advanced == got.bytes, "what came twice is counted once"
    assert any(entry.start for entry in woods.box.log)


# -- several hosts -----------------------------------------------------------------------------------


def test_other_host_goes_on_with_what_the_first_gave(woods: Woods, forest: dict[str, bytes]) -> None:
    bytes_of(woods.box, "huggingface")("leaf_0151.png", Fault(status=404, always=True))
    got = woods.receive(MIRRORS["huggingface"], MIRRORS["modelscope"])
    assert on_disk(got) == forest
    assert got.kind == "modelscope"
    large = {name for name, count in woods.asked().items() if len(forest[f"data/images/{name}"]) >= 1000 and count > 1}
    assert len(large) <= CONNECTIONS


def test_all_hosts_fail_with_one_verdict(woods: Woods, forest: dict[str, bytes]) -> None:
    bytes_of(woods.box, "huggingface")("leaf_0151.png", Fault(status=404, always=True))
    bytes_of(woods.box, "modelscope")("leaf_0151.png", Fault(flip=5, always=True))
    problem = woods.fails(MIRRORS["huggingface"], MIRRORS["modelscope"])
    assert isinstance(problem, IntegrityFault)
    assert len(problem.findings) == 2


# -- what a host does wrong --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["leaf_0100.png", "leaf_0099.png"], ids=["large", "small"])
def test_wrong_bytes_of_one_file_name_it(woods: Woods, forest: dict[str, bytes], kind: str, name: str) -> None:
    bytes_of(woods.box, kind)(name, Fault(flip=20, always=True))
    problem = woods.fails(MIRRORS[kind])
    assert isinstance(problem, IntegrityFault)
    assert f"data/images/{name}" in problem.message
    assert not list(woods.partial.rglob(name))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wait", [(), (("Retry-After", "1"),)], ids=["silent", "with a time"])
def test_N28_storm_of_429_ends_well(
    woods: Woods, forest: dict[str, bytes], kind: str, wait: tuple[tuple[str, str], ...]
) -> None:
    hub = kind == "huggingface"
    faults, key = (woods.box.hub.faults, "resolve") if hub else (woods.box.scope.faults, "file")
    for number in range(30, 38):
        faults.add(f"{key} {REPO}/data/images/leaf_{number:04}.png", Fault(status=429, headers=wait))
    assert on_disk(woods.receive(MIRRORS[kind])) == forest


def test_host_that_stays_busy_is_given_up_and_the_rest_kept(woods: Woods, forest: dict[str, bytes]) -> None:
    for name in forest:
        if name > "data/images/leaf_0100.png":
            woods.box.hub.faults.add(f"resolve {REPO}/{name}", Fault(status=503, always=True))
    problem = woods.fails(MIRRORS["huggingface"])
    assert isinstance(problem, TemporaryFault)
    assert "101 files that arrived are kept" in problem.hint
    assert len(list(woods.partial.rglob("leaf_*.png"))) == 101


def test_host_that_asks_for_an_hour_is_not_waited_for(woods: Woods, forest: dict[str, bytes]) -> None:
    woods.box.hub.faults.add(
        f"resolve {REPO}/data/images/leaf_0100.png", Fault(status=429, headers=(("Retry-After", "3600"),))
    )
    problem = woods.fails(MIRRORS["huggingface"])
    assert isinstance(problem, TemporaryFault)
    assert "asks to come back" in problem.message


def test_silent_host_and_page_instead_of_an_image(woods: Woods, forest: dict[str, bytes]) -> None:
    bytes_of(woods.box, "modelscope")("leaf_0010.png", Fault(cut=10, stall=0.5))
    page = b"<html><title>login</title>" + bytes(2000)
    bytes_of(woods.box, "modelscope")("leaf_0020.png", Fault(status=200, body=page, always=True))
    problem = woods.fails(MIRRORS["modelscope"], limits=Limits(silence=0.2))
    assert isinstance(problem, PersonNeeded)
    assert "leaf_0020.png" in problem.message


@pytest.mark.parametrize("kind", KINDS)
def test_lfs_pointer_is_no_file(woods: Woods, forest: dict[str, bytes], kind: str) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
    hub = woods.box.hub if kind == "huggingface" else woods.box.scope
    hub.add(REPO, {"data/images/leaf_0007.png": pointer})
    problem = woods.fails(MIRRORS[kind])
    assert isinstance(problem, PersonNeeded)
    assert "pointer" in problem.message
    assert "leaf_0007.png" in problem.message


BAD_NAMES = ["../../etc/x.png", "a\\b.png", "C:x.png", "con.png", "tab\there.png", "LEAF_0001.PNG", "leaf_0001.png/x"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BAD_NAMES)
def test_unsafe_names_are_refused_before_any_byte(woods: Woods, forest: dict[str, bytes], kind: str, name: str) -> None:
    hub = woods.box.hub if kind == "huggingface" else woods.box.scope
    hub.add(REPO, {f"data/images/{name}": b"x"})
    assert isinstance(woods.fails(MIRRORS[kind]), RefusedInput)
    assert not woods.asked()
    assert not [path for path in woods.partial.rglob("*") if path.suffix == ".png"]


@pytest.mark.parametrize("mirror", [*MIRRORS.values()], ids=MIRRORS)
def test_missing_folder_is_gone(woods: Woods, mirror: Mirror) -> None:
    woods.box.hub.add(REPO, {"elsewhere/a.png": b"a"})
    woods.box.scope.add(REPO, {"elsewhere/a.png": b"a"})
    problem = woods.fails(mirror)
    assert isinstance(problem, PersonNeeded)
    assert "no files below data/images" in problem.message


@pytest.mark.parametrize("token", ["", "hf_of_somebody_else"])
def test_empty_and_gated_repositories(woods: Woods, token: str) -> None:
    """The Hub lists a gated repository to everybody, and refuses its files (status 401, or 403 with a token)."""
    woods.settings |= {"HF_TOKEN": token} if token else {}
    woods.box.hub.add(REPO, {".gitattributes": b"*.png filter=lfs"})
    assert "is empty or gone" in woods.fails(Mirror("huggingface", repo=REPO, revision=COMMIT)).message
    woods.box.hub.add(REPO, {"data/images/a.png": b"a" * 2000}, gated=True)
    problem = woods.fails(MIRRORS["huggingface"])
    assert isinstance(problem, PersonNeeded)
    assert problem.message.endswith(f"{REPO} is given out only after its terms are accepted")
    assert f"open https://{HUB}/datasets/{REPO}, accept the terms" in problem.hint
    assert ("set HF_TOKEN" in problem.hint) == (not token)


def test_refusal_of_a_content_network_is_no_matter_of_terms(woods: Woods, forest: dict[str, bytes]) -> None:
    bytes_of(woods.box, "huggingface")("leaf_0100.png", Fault(status=403, always=True))
    assert "terms" not in woods.fails(MIRRORS["huggingface"]).message


@pytest.mark.parametrize(("kind", "host", "content"), [("huggingface", HUB, CDN), ("modelscope", SCOPE, SCOPE_CDN)])
def test_tokens_stay_with_their_host(
    woods: Woods, forest: dict[str, bytes], kind: str, host: str, content: str
) -> None:
    woods.settings |= {"HF_TOKEN": TOKEN, "MODELSCOPE_API_TOKEN": SCOPE_TOKEN}
    woods.receive(MIRRORS[kind])
    secrets = (TOKEN, SCOPE_TOKEN)
    told = {e.host for e in woods.box.log if any(word in f"{e.headers} {e.query}" for word in secrets)}
    assert told == {host}
    assert content in {entry.host for entry in woods.box.log}


# -- the pace ----------------------------------------------------------------------------------------


def test_N28_one_complaint_slows_everybody() -> None:
    pace = Pace({"AIGIQA_RETRY_SECONDS": "0"}, Limits())
    begun = [pace.take() for _ in range(50)]
    for moment in begun[:4]:
        pace.heard(moment, 429, None)
    slowed = pace.rate
    assert slowed >= LOWEST
    pace.heard(begun[4], 429, None)
    assert pace.rate == slowed, "answers to requests from before halve nothing"
    moment = pace.take()
    pace.heard(moment, 200, None)
    assert pace.rate > slowed


def test_N28_wait_that_a_host_asks_for_holds_every_worker() -> None:
    pace = Pace({}, Limits())
    pace.heard(pace.take(), 429, "1")
    before = time.monotonic()
    assert pace.take() - before > 0.9


def test_pace_that_is_stopped_lets_nobody_wait() -> None:
    pace = Pace({}, Limits())
    pace.heard(pace.take(), 429, "100")
    pace.stopped.set()
    with pytest.raises(Stopped):
        pace.take()


# -- the command -------------------------------------------------------------------------------------


def manifest(*kinds: str, count: int = COUNT, more: str = "") -> str:
    lines = {
        "huggingface": f'{{kind: huggingface, repo: {REPO}, revision: "{COMMIT}", path: data/images}}',
        "modelscope": f"{{kind: modelscope, repo: {REPO}, path: data/images}}",
    }
    listed = "\n".join(f"      - {lines[kind]}" for kind in kinds)
    return f"""\
schema: 1
version: 1
id: forest
title: Forest
summary: Noise in many files.
license: {{spdx: CC0-1.0, scope: everything, source: invented for tests}}
citation: {{key: forest2026, type: misc, title: Forest, authors: [Nobody], year: 2026}}
assets:
  - name: images
    role: images
    format: tree
    mirrors:
{listed}
  - name: leaves.csv
    role: labels
    format: csv
    mirrors: [{{kind: http, url: https://files.example.org/leaves.csv}}]
{more}labels:
  - needs: [leaves.csv]
    tables: [{{file: leaves.csv, columns: [name, prompt, mos]}}]
    columns: {{prompt: prompt, generator: {{const: attngan}}, task: {{const: t2i}}}}
    scores: {{quality: {{mos: mos, range: [0, 5]}}}}
    image: {{id: name, find: ["images/{{name}}", "{{name}}"], names: '^leaf_\\d{{4}}\\.png$'}}
expect: {{images: {count}, rows: {count}, generators: {{attngan: {count}}}}}
"""


@pytest.fixture
def labels(box: Box, pictures: dict[str, bytes]) -> bytes:
    rows = [f"{name},a tree,{number % 50 / 10}" for number, name in enumerate(pictures)]
    table = ("\n".join(["name,prompt,mos", *rows]) + "\n").encode()
    box.web("files.example.org").put("/leaves.csv", table)
    return table


@pytest.fixture
def slow(box: Box) -> Iterator[None]:
    box.rate = 20_000
    yield
    box.rate = 0


@pytest.mark.parametrize("kind", KINDS)
def test_fetch_installs_a_tree(
    run: Command, manifests: Callable[[str, str], Path], forest: dict[str, bytes], labels: bytes, kind: str
) -> None:
    manifests("forest", manifest(kind))
    done = run("fetch", "forest", code=0)
    folder = run.root / "forest"
    assert done.out.strip() == str(folder)
    installed = {f"data/{path.relative_to(folder)}": path.read_bytes() for path in (folder / "images").iterdir()}
    assert installed == forest
    assert not list((run.root / ".aigiqa/partial").iterdir())
    run("verify", "forest", code=0)
    assert "unpinned" in run("list", code=0).out
    run("fetch", "--require-hashes", "--force", "forest", code=4)


def test_hashes_that_a_host_does_not_list_are_told_of(
    run: Command, manifests: Callable[[str, str], Path], forest: dict[str, bytes], labels: bytes
) -> None:
    run.box.scope.add(REPO, {}, hashes=False)
    pin = f"    role: labels\n    sha256: {hashlib.sha256(labels).hexdigest()}\n"
    manifests("forest", manifest("modelscope").replace("    role: labels\n", pin))
    error = run("fetch", "--require-hashes", "forest", "--json", code=4).json()["error"]
    assert f"lists no hash for {COUNT} of its files" in error["message"]
    assert "another mirror may have one: aigiqa info forest" in error["hint"]
    assert error["shares"] == [], "none of them brings a hash"
    done = run("fetch", "forest", code=0)
    assert f"modelscope {REPO} lists no hashes for {COUNT} files: only lengths are checked" in done.err


@pytest.mark.parametrize("what", ["gone", "empty", "pointer"])
def test_page_of_a_hub_that_gives_nothing_is_not_offered_by_hand(
    run: Command, box: Box, manifests: Callable[[str, str], Path], labels: bytes, what: str
) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
    files = {"gone": {}, "empty": {".gitattributes": b""}, "pointer": {"data/images/leaf_0001.png": pointer}}[what]
    if files:
        box.hub.add(REPO, files)
    manifests("forest", manifest("huggingface"))
    error = run("fetch", "forest", "--json", code=3).json()["error"]
    assert error["shares"] == []
    assert error["hint"]
    assert not (run.root / "forest").exists()


def test_archives_of_a_tree_are_opened(
    run: Command, box: Box, manifests: Callable[[str, str], Path], pictures: dict[str, bytes], labels: bytes
) -> None:
    stream, names = io.BytesIO(), list(pictures)
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names[:200]:
            archive.writestr(f"part/{name}", pictures[name])
    single = {f"data/images/{name}": pictures[name] for name in names[200:]}
    box.scope.add(REPO, {"data/images/part.zip": stream.getvalue(), **single})
    manifests("forest", manifest("modelscope"))
    run("fetch", "forest", code=0)
    folder = run.root / "forest/images"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == pictures
    assert not list((run.root / ".aigiqa/partial").iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_killed_fetch_asks_for_no_finished_file_again(
    run: Command,
    box: Box,
    manifests: Callable[[str, str], Path],
    forest: dict[str, bytes],
    labels: bytes,
    slow: None,
    kind: str,
) -> None:
    manifests("forest", manifest(kind))
    process = run.start("fetch", "forest")
    partial = run.root / ".aigiqa/partial"
    deadline = time.monotonic() + 60
    while len(list(partial.glob("*.tree/files/data/images/*"))) < 60 and time.monotonic() < deadline:
        time.sleep(0.01)
    kill(process, signal.SIGKILL)
    finished = {path.name for path in partial.glob("*.tree/files/data/images/*")}
    assert 60 <= len(finished) < COUNT
    assert not (run.root / "forest").exists()
    box.log.clear()
    box.rate = 0
    run("fetch", "forest", code=0)
    asked = {name for name in finished if any(name in f"{e.path} {e.query}" for e in box.log)}
    unjournaled = 1 if kind == "huggingface" else 0  # a small file without SHA-256, killed before its line was written
    assert len(asked) <= unjournaled * CONNECTIONS
    run("verify", "forest", code=0)


def test_leftover_of_a_killed_fetch_is_freed(
    run: Command,
    manifests: Callable[[str, str], Path],
    forest: dict[str, bytes],
    labels: bytes,
    slow: None,
) -> None:
    manifests("forest", manifest("modelscope"))
    process = run.start("fetch", "forest")
    partial = run.root / ".aigiqa/partial"
    deadline = time.monotonic() + 60
    while not list(partial.glob("*.tree/files/data/images/*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "partial" not in run("gc", "--dry-run", code=0).out, "what is in use is nobody's leftover"
    kill(process, signal.SIGINT)
    assert process.returncode == 130
    assert ".tree" in run("gc", "--dry-run", code=0).out
    run("gc", code=0)
    assert not list(partial.iterdir())


def test_wrong_bytes_install_nothing(
    run: Command, box: Box, manifests: Callable[[str, str], Path], forest: dict[str, bytes], labels: bytes
) -> None:
    manifests("forest", manifest("huggingface"))
    bytes_of(box, "huggingface")("leaf_0100.png", Fault(flip=100, always=True))
    done = run("fetch", "forest", code=4)
    assert "leaf_0100.png" in done.err
    assert not (run.root / "forest").exists()


def test_archive_is_replaced_by_a_tree_only_where_something_vouches_for_it(
    run: Command, box: Box, manifests: Callable[[str, str], Path], forest: dict[str, bytes], labels: bytes
) -> None:
    box.web("files.example.org")
    archive = """\
  - name: forest.zip
    role: images
    format: zip
{pin}    mirrors: [{{kind: http, url: https://files.example.org/forest.zip}}]
  - name: folder
    role: images
    format: tree
    substitutes: forest.zip
    mirrors: [{{kind: modelscope, repo: owner/forest, path: data/images}}]
"""
    text = manifest("modelscope")
    begin, end = text.index("  - name: images"), text.index("  - name: leaves.csv")
    lines = sorted(
        f"images/{name.rpartition('/')[2]}  {len(data)}  {hashlib.sha256(data).hexdigest()}\n"
        for name, data in forest.items()
    )
    content = hashlib.sha256("".join(lines).encode()).hexdigest()
    manifests("forest", text[:begin] + archive.format(pin="") + text[end:])
    run("fetch", "forest", code=3)
    pin = f"    content_sha256: {content}\n"
    manifests("forest", text[:begin] + archive.format(pin=pin) + text[end:])
    run("fetch", "forest", code=0)
    record = json.loads((run.root / ".aigiqa/installed/forest.json").read_bytes())
    assert [(s["asset"], s["proof"]) for s in record["sources"] if s["role"] == "images"] == [("forest.zip", "content")]
