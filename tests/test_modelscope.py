"""ModelScope at a double of its host: what its listing says, whom a token reaches, and what its client leaves behind."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import IMPORT_PATH
from doubles import Box, Fault
from doubles.modelscope import SCOPE, SCOPE_CDN, SCOPE_TOKEN
from test_mirrors import Mirror
from wire import DATA, LOOSE, PINNED, SHA256, SIZE, Notes, same

from aigiqa_cli import mirrors
from aigiqa_cli.errors import Fault as Problem
from aigiqa_cli.errors import IntegrityFault, PersonNeeded, TemporaryFault
from aigiqa_cli.transport import Later, Received, Session, Wanted, receive

SET = "owner/name"
FILE = Mirror("modelscope", repo=SET, path="set.zip")
FOLDER = Mirror("modelscope", repo=SET, path="images")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + SHA256.encode() + b"\nsize 400004\n"


@pytest.fixture
def session(at_box: dict[str, str], tmp_path: Path) -> Iterator[Session]:
    scratch = tmp_path / "root" / ".aigiqa" / "partial"
    scratch.mkdir(parents=True)
    with Session(settings=at_box | {"AIGIQA_RETRY_SECONDS": "0.001"}, scratch=scratch) as made:
        yield made


def fetched(session: Session, mirror: Mirror = FILE, wanted: Wanted = LOOSE) -> Received:
    assert session.scratch
    return receive(wanted, [mirrors.source(mirror, session)], session.scratch, session, Notes())


def refused(session: Session, mirror: Mirror = FILE) -> Problem:
    with pytest.raises(Problem) as caught:
        fetched(session, mirror)
    return caught.value


def test_listing_tells_length_and_hash_before_the_bytes(box: Box, session: Session) -> None:
    box.scope.add(SET, {"set.zip": DATA, "images/a.png": b"a" * 2000, "README.md": b"text"})
    found = mirrors.source(FILE, session).resolve()
    assert (found.bytes, found.sha256, found.token, found.cookie) == (SIZE, SHA256, "", "")
    assert SCOPE_CDN not in {entry.host for entry in box.log}
    assert same(fetched(session))


def test_listing_of_many_pages_is_asked_for_once_in_a_run(box: Box, session: Session) -> None:
    files = {f"images/{number:04}.png": b"%d" % number for number in range(950)}
    box.scope.add(SET, {**files, "set.zip": DATA})
    listing = mirrors.tree_source(FOLDER, session).listing()
    assert {leaf.path for leaf in listing.leaves} == set(files)
    assert all(leaf.sha256 == hashlib.sha256(files[leaf.path]).hexdigest() for leaf in listing.leaves)
    assert mirrors.source(FILE, session).resolve().sha256 == SHA256
    assert sum("/repo/tree" in entry.path for entry in box.log) == 5


def test_listing_without_hashes_leaves_the_file_unpinned(box: Box, session: Session) -> None:
    box.scope.add(SET, {"set.zip": DATA}, hashes=False)
    assert session.scratch
    notes = Notes()
    got = receive(LOOSE, [mirrors.source(FILE, session)], session.scratch, session, notes)
    assert same(got)
    assert not got.pinned
    assert got.unhashed
    assert f"lists no hash of {LOOSE.name}: only its length was checked" in " ".join(notes.notes)


def test_wrong_bytes_are_seen_by_the_listed_hash(box: Box, session: Session) -> None:
    box.scope.add(SET, {"set.zip": DATA})
    box.scope.faults.add(f"{SET}/set.zip", Fault(flip=77_777, always=True))
    assert isinstance(refused(session), IntegrityFault)


def test_small_file_without_ranges_begins_anew(box: Box, session: Session) -> None:
    box.scope.add(SET, {"set.zip": DATA[:900]})
    box.scope.faults.add(f"{SET}/set.zip", Fault(cut=400))
    assert same(fetched(session), DATA[:900])
    assert [entry.sent for entry in box.log if entry.path.endswith("/repo")] == [400, 900]


def test_lfs_pointer_is_no_file(box: Box, session: Session) -> None:
    box.scope.add(SET, {"set.zip": POINTER})
    problem = refused(session)
    assert isinstance(problem, PersonNeeded)
    assert "pointer" in problem.message


@pytest.mark.parametrize("private", [True, False], ids=["private", "missing"])
def test_missing_and_private_sets_look_alike(box: Box, session: Session, private: bool) -> None:
    if private:
        box.scope.add(SET, {"set.zip": DATA}, private=True)
    problem = refused(session)
    assert isinstance(problem, PersonNeeded)
    assert "gone or private" in problem.message
    assert "MODELSCOPE_API_TOKEN" in problem.hint


def test_file_that_is_not_listed_is_gone(box: Box, session: Session) -> None:
    box.scope.add(SET, {"other.zip": DATA})
    problem = refused(session)
    assert isinstance(problem, PersonNeeded)
    assert "no file set.zip" in problem.message


@pytest.mark.parametrize("files", [{}, {".gitattributes": b"*.png filter=lfs"}], ids=["nothing", "attributes"])
@pytest.mark.parametrize("mirror", [FILE, FOLDER, Mirror("modelscope", repo=SET)], ids=["file", "folder", "whole"])
def test_empty_set_says_that_its_page_shows_no_files(
    box: Box, session: Session, files: dict[str, bytes], mirror: Mirror
) -> None:
    box.scope.add(SET, files)
    with pytest.raises(PersonNeeded, match="page of owner/name on ModelScope shows no files"):
        mirrors.tree_source(mirror, session).listing()


def test_rate_limit_of_the_listing_is_obeyed(box: Box, session: Session) -> None:
    box.scope.add(SET, {"set.zip": DATA})
    box.scope.faults.add(f"tree {SET}", *[Fault(status=429, headers=(("Retry-After", "0"),))] * 6)
    assert same(fetched(session))


def test_rate_limit_that_stays_is_temporary(box: Box, session: Session) -> None:
    box.scope.add(SET, {"set.zip": DATA})
    box.scope.faults.add(f"tree {SET}", Fault(status=429, headers=(("Retry-After", "0"),), always=True))
    with pytest.raises(Later) as caught:
        mirrors.tree_source(FOLDER, session).listing()
    assert caught.value.fault == "N13"


def test_page_instead_of_a_listing(box: Box, session: Session) -> None:
    box.scope.add(SET, {"set.zip": DATA})
    box.scope.faults.add(f"tree {SET}", Fault(body=b"<html>log in</html>", status=200, always=True))
    with pytest.raises(PersonNeeded, match="no list of files"):
        mirrors.tree_source(FOLDER, session).listing()


def test_host_that_cannot_be_reached_is_temporary(session: Session) -> None:
    session.settings = {**session.settings, "HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    with pytest.raises(TemporaryFault):
        mirrors.tree_source(FOLDER, session).listing()


def test_token_reaches_the_host_and_not_its_content_network(box: Box, session: Session) -> None:
    box.scope.add(SET, {"set.zip": DATA, "small.txt": b"text"}, private=True)
    session.settings = {**session.settings, "MODELSCOPE_API_TOKEN": SCOPE_TOKEN}
    assert same(fetched(session))
    with_token = {entry.host for entry in box.log if SCOPE_TOKEN in f"{entry.auth} {entry.cookie} {entry.query}"}
    assert with_token == {SCOPE}
    assert any(entry.host == SCOPE_CDN and entry.sent for entry in box.log)


def test_endpoint_is_read_when_it_is_needed(box: Box, session: Session) -> None:
    box.hosts["hub.example.org"] = box.scope.serve
    box.scope.add(SET, {"set.zip": DATA})
    session.settings = {**session.settings, "MODELSCOPE_ENDPOINT": "hub.example.org/"}
    assert same(fetched(session))
    assert SCOPE not in {entry.host for entry in box.log}


CHILD = """
import sys
sys.path.insert(0, sys.argv[2] or sys.path[0])
from pathlib import Path
from test_mirrors import Mirror
from wire import PINNED, Notes
from aigiqa_cli import mirrors
from aigiqa_cli.transport import Session, receive
scratch = Path(sys.argv[1])
with Session(scratch=scratch) as session:
    source = mirrors.source(Mirror("modelscope", repo="owner/name", path="set.zip"), session)
    receive(PINNED, [source], scratch, session, Notes())
print(sorted({name.partition(".")[0] for name in sys.modules} & {"modelscope", "torch", "modelscope_hub"}))
"""


def test_client_is_quiet_and_leaves_nothing_behind(box: Box, tmp_path: Path) -> None:
    """A child process: what the client does when it is imported counts too."""
    box.scope.add(SET, {"set.zip": DATA, **{f"images/{n:03}.png": b"x" for n in range(300)}})
    environment = box.environment(tmp_path) | {"PYTHONPATH": str(Path(__file__).parent)}
    scratch = tmp_path / "partial"
    scratch.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(scratch), IMPORT_PATH],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "['modelscope_hub']", "")
    left = [path for name in ("home", "tmp") for path in (tmp_path / name).rglob("*") if path.is_file()]
    assert not left
    assert {path.suffix for path in scratch.iterdir()} == {".part", ".json"}
    assert (scratch / next(path.name for path in scratch.glob("*.part"))).stat().st_size == PINNED.bytes


def test_password_of_another_program_stays_with_it(box: Box, session: Session, at_box: dict[str, str]) -> None:
    netrc = Path(at_box["HOME"]) / ".netrc"
    netrc.write_text(f"machine {SCOPE} login somebody password secret-word\n")
    netrc.chmod(0o600)
    box.scope.add(SET, {"set.zip": DATA})
    assert same(fetched(session))
    assert not [entry for entry in box.log if entry.auth]
