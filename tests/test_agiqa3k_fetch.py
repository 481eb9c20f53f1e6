"""`aigiqa fetch` of AGIQA-3K through its own mirrors, met under their real names."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import replicas
import trustme
import yaml
from conftest import LIMIT, Command, kill
from doubles import Box, Fault
from doubles.drive import WARNING
from doubles.faults import Blob, Entry
from test_agiqa3k_import import ID, house, nothing_installed, read_csv, same_install, snapshot

FIRST, SECOND, DRIVE = "chaofengc/IQA-PyTorch-Datasets", "IntMeGroup/AIGIs", "1ObuOZ6YZqZuxe4oRlaf3kdOBlTRg2GE4"
ARCHIVE = "AGIQA-3K.zip"
CDN, DRIVE_CDN, RAW = "cdn-lfs.hf.co", "drive.usercontent.google.com", "raw.githubusercontent.com"
PAGE = b"<!DOCTYPE html><html><head><title>Sign in to continue</title></head><body>" + b"x" * 3000 + b"</body></html>"
BY_HAND = {
    ("quark", "https://pan.quark.cn/s/10187e65d5c1", ""),
    ("baidu", "https://pan.baidu.com/s/1_Cz9-aSzUDP-aEl3siIj6g?pwd=AIGC", "AIGC"),
}
RATE = 1_500_000  # bytes a second: slow enough to be stopped on the way


@pytest.fixture(scope="module")
def home(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory, replica_zip: Path, built_in: Callable[[str], str]
) -> Iterator[Command]:
    with house(authority, tmp_path_factory.mktemp("fetch"), replica_zip, built_in(ID)) as run:
        yield run


@pytest.fixture
def unpinned(replica_online: Path) -> Path:
    """The overlay without length and hash of the archive."""
    lines, inside = [], False
    for line in replica_online.read_text().splitlines(keepends=True):
        if line.startswith("  - name: "):
            inside = line.strip() == f"- name: {ARCHIVE}"
        if not (inside and line.startswith(("    bytes: ", "    sha256: "))):
            lines.append(line)
    assert yaml.safe_load("".join(lines))["assets"][0].keys().isdisjoint({"bytes", "sha256"})
    replica_online.write_text("".join(lines))
    return replica_online


def bodies(box: Box, name: str = ARCHIVE) -> list[Entry]:
    """The answers that carried bytes of a file, whatever host gave them."""
    drive = [entry for entry in box.log if entry.host == DRIVE_CDN and entry.sent > len(WARNING) + 500]
    named = [entry for entry in box.log if entry.host in (CDN, RAW) and entry.path.endswith(f"/{name}")]
    return [entry for entry in (*named, *(drive if name == ARCHIVE else ())) if entry.status in (200, 206)]


def gone(box: Box, *, hub: bool = True, drive: bool = True) -> None:
    """Take the archive off its automatic mirrors."""
    if hub:
        for name in (FIRST, SECOND):
            del box.hub.repositories[name].blobs[ARCHIVE]
    if drive:
        del box.drive.items[DRIVE]


def fails(box: Box, fault: Fault) -> None:
    """The archive's bytes come with this fault from every mirror, for ever."""
    for name in (FIRST, SECOND):
        box.hub.faults.add(f"{name}/{ARCHIVE}", replace(fault, always=True))
    box.drive.faults.add(DRIVE, replace(fault, always=True))


# --- mirrors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "host"), [("huggingface", CDN), ("gdrive", DRIVE_CDN)])
def test_each_kind_of_mirror_alone(run: Command, replica_online: Path, home: Command, kind: str, host: str) -> None:
    done = run("fetch", ID, "--mirror", kind, code=0)
    assert done.out == f"{run.root / ID}\n"
    same_install(run, home)
    assert [entry.host for entry in bodies(run.box)] == [host]
    other = {"huggingface": "drive.google.com", "gdrive": "huggingface.co"}[kind]
    assert other not in {entry.host for entry in run.box.log}


def test_the_best_mirror_is_asked_first(run: Command, replica_online: Path, home: Command, replica_zip: Path) -> None:
    run("fetch", "AGIQA-3K", code=0)
    same_install(run, home)
    (entry,) = bodies(run.box)
    assert (entry.host, entry.path) == (CDN, f"/{FIRST}/-/{ARCHIVE}")
    assert entry.sent == replica_zip.stat().st_size
    assert len(bodies(run.box, "data.csv")) == 1
    assert not list((run.root / ".aigiqa/partial").iterdir()), "the download has done its work"
    assert not list((run.root / ".aigiqa/archives/sha256").iterdir())


def test_failover_to_the_second_uploader(run: Command, replica_online: Path, home: Command) -> None:
    del run.box.hub.repositories[FIRST]
    done = run("fetch", ID, code=0)
    same_install(run, home)
    assert [entry.path for entry in bodies(run.box)] == [f"/{SECOND}/-/{ARCHIVE}"]
    assert FIRST in done.err


def test_failover_to_another_host(run: Command, replica_online: Path, home: Command) -> None:
    gone(run.box, drive=False)
    run("fetch", ID, code=0)
    same_install(run, home)
    assert [entry.host for entry in bodies(run.box)] == [DRIVE_CDN]


def test_another_mirror_continues_what_one_began(
    run: Command, replica_online: Path, home: Command, replica_zip: Path
) -> None:
    half = replica_zip.stat().st_size // 2
    run.box.hub.faults.add(f"{FIRST}/{ARCHIVE}", Fault(cut=half), *[Fault(status=503)] * 9)
    run("fetch", ID, code=0)
    same_install(run, home)
    first, rest = bodies(run.box)
    assert (first.sent, rest.path, rest.start) == (half, f"/{SECOND}/-/{ARCHIVE}", half)
    assert rest.sent == replica_zip.stat().st_size - half


def test_labels_fall_back_to_the_hub(run: Command, replica_online: Path, home: Command) -> None:
    run.box.github.blobs.clear()
    run("fetch", ID, code=0)
    same_install(run, home)


@pytest.mark.parametrize("kind", ["huggingface", "gdrive", ""])
def test_the_built_in_pin_refuses_a_replica(run: Command, replica_online: Path, replica_zip: Path, kind: str) -> None:
    del run.environment["AIGIQA_MANIFESTS"]
    done = run("fetch", ID, *(["--mirror", kind] if kind else []), "--json", code=4).json()
    assert nothing_installed(run)
    error = done["error"]
    assert (error["kind"], error["exit_code"], error["database"]) == ("integrity", 4, ID)
    told = error["message"] + json.dumps(done["findings"])
    assert "97,950,738" in told or "96401d1f9844ef68" in told
    assert f"{replica_zip.stat().st_size:,}" in told or hashlib.sha256(replica_zip.read_bytes()).hexdigest() in told


@pytest.mark.parametrize("kind", ["huggingface", "gdrive"])
def test_other_bytes_of_the_right_length_are_refused(
    run: Command, replica_online: Path, replica_zip: Path, kind: str
) -> None:
    """On Drive nothing but the bytes themselves tells; the Hub says beforehand that it has another file."""
    true = hashlib.sha256(replica_zip.read_bytes()).hexdigest()
    replica_online.write_text(replica_online.read_text().replace(true, "ab" * 32))
    done = run("fetch", ID, "--mirror", kind, code=4)
    assert nothing_installed(run)
    assert true in done.err
    assert "ab" * 32 in done.err
    assert len(bodies(run.box)) == {"huggingface": 0, "gdrive": 1}[kind]


# --- options ----------------------------------------------------------------------------------------------------


def test_labels_first_and_images_later(run: Command, replica_online: Path, home: Command) -> None:
    run("fetch", ID, "--labels-only", code=0)
    assert bodies(run.box) == []
    found = read_csv(run.root / ID / "index.csv")
    assert len(found) == 2982
    assert {row["flags"] for row in found} == {"no-image"}
    assert {row["image_path"] for row in found} == {""}
    listed = run("list", "--json", code=0).json()["data"]
    assert [entry["state"] for entry in listed if entry["id"] == ID] == ["labels"]
    run("fetch", ID, code=0)
    same_install(run, home)
    listed = run("list", "--json", code=0).json()["data"]
    assert [entry["state"] for entry in listed if entry["id"] == ID] == ["installed"]


def test_a_second_fetch_does_nothing(run: Command, replica_online: Path) -> None:
    run("fetch", ID, code=0)
    before = snapshot(run.root / ID, run.root / "index.csv", run.root / ".aigiqa/installed")
    run.box.log.clear()
    done = run("fetch", ID, code=0)
    assert done.out == f"{run.root / ID}\n"
    assert run.box.paths() == []
    assert snapshot(run.root / ID, run.root / "index.csv", run.root / ".aigiqa/installed") == before


def test_a_dry_run_touches_nothing(run: Command, replica_online: Path, replica_zip: Path) -> None:
    before = snapshot(run.work, run.home)
    done = run("fetch", ID, "--dry-run", "--json", code=0).json()
    plan = {item["asset"]: item for item in done["data"][0]["result"]["plan"]}
    assert {name: item["bytes"] for name, item in plan.items()} == {
        "data.csv": 445_544,
        ARCHIVE: replica_zip.stat().st_size,
    }
    assert [url for url in plan[ARCHIVE]["by_hand"] if "quark" in url] == ["https://pan.quark.cn/s/10187e65d5c1"]
    assert run.box.paths() == []
    assert not run.root.exists()
    assert snapshot(run.work, run.home) == before


def test_kept_archives_serve_the_next_install(
    run: Command, replica_online: Path, home: Command, replica_zip: Path
) -> None:
    run("fetch", ID, "--keep-archives", code=0)
    digest = hashlib.sha256(replica_zip.read_bytes()).hexdigest()
    assert (run.root / ".aigiqa/archives/sha256" / digest).read_bytes() == replica_zip.read_bytes()
    run.box.log.clear()
    run("remove", ID, code=0)
    run("fetch", ID, code=0)
    assert bodies(run.box) == []
    same_install(run, home)


def test_required_hashes(run: Command, unpinned: Path, home: Command) -> None:
    done = run("fetch", ID, "--require-hashes", code=4)
    assert nothing_installed(run)
    assert "--require-hashes" in done.err
    answer = run("fetch", ID, "--json", code=0).json()["data"][0]["result"]
    assert (answer["state"], answer["unpinned"]) == ("installed (unpinned)", [ARCHIVE])
    run("fetch", ID, "--require-hashes", code=4)


def test_required_hashes_are_met_by_pins(run: Command, replica_online: Path) -> None:
    answer = run("fetch", ID, "--require-hashes", "--json", code=0).json()["data"][0]["result"]
    assert (answer["state"], answer["unpinned"]) == ("installed", [])


def test_a_pin_made_from_the_first_download_holds(
    run: Command, unpinned: Path, replica_zip: Path, pictures: dict[str, bytes], tmp_path: Path
) -> None:
    run("fetch", ID, code=0)
    pinned = run("lint", "--pin", ID, code=0).out
    (asset,) = [asset for asset in yaml.safe_load(pinned)["assets"] if asset["name"] == ARCHIVE]
    data = replica_zip.read_bytes()
    assert (asset["bytes"], asset["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    unpinned.write_text(pinned)
    other = next(iter(pictures))
    changed = replicas.archive(
        tmp_path / "changed.zip", replicas.members("top", pictures | {other: pictures[other] + b"x"})
    )
    replace_archive(run.box, changed.read_bytes())
    before = snapshot(run.root / ID)
    run("fetch", ID, "--force", code=4)
    assert snapshot(run.root / ID) == before, "what is installed stays"
    replace_archive(run.box, another_version(replica_zip))  # the same pictures: their hash is pinned as well (N30)
    run("fetch", ID, "--force", code=0)
    record = json.loads((run.root / ".aigiqa" / "installed" / f"{ID}.json").read_bytes())
    (source,) = [source for source in record["sources"] if source["asset"] == ARCHIVE]
    assert source["proof"] == "content"


# --- interruption and replacement -------------------------------------------------------------------------------


def another_version(archive: Path) -> bytes:
    """The same names, pictures and length, every entry dated a year later: a splice of the two would unpack."""
    first = archive.read_bytes()
    second = first.replace(b"\x00\x60\xcb\x56", b"\x00\x60\xcb\x58")  # 2023-06-11 12:00 as zip writes it
    assert len(second) == len(first)
    assert second[: len(second) // 3] != first[: len(first) // 3]
    assert second[-len(second) // 3 :] != first[-len(first) // 3 :]
    return second


def replace_archive(box: Box, data: bytes) -> None:
    for name in (FIRST, SECOND):
        box.hub.repositories[name].blobs[ARCHIVE] = Blob(data)
    box.drive.items[DRIVE].blob = Blob(data, etag=None, modified=1_710_000_000)


def killed(run: Command, size: int, *words: str) -> int:
    """Bytes of the archive on disk after `fetch` was killed at 35 percent of it."""
    run.box.rate = RATE
    process = run.start("fetch", ID, *words)
    partial, end = run.root / ".aigiqa/partial", time.monotonic() + LIMIT
    while time.monotonic() < end and process.poll() is None:
        largest = max((path.stat().st_size for path in partial.glob("*.part")), default=0)
        if largest >= size * 0.35 and bodies(run.box):
            break
        time.sleep(0.005)
    assert process.poll() is None, "it ended before it could be killed"
    kill(process)
    assert nothing_installed(run)
    run.box.rate = 0
    run.box.log.clear()
    left = max(path.stat().st_size for path in partial.glob("*.part"))
    assert size * 0.35 <= left < size
    return left


@pytest.mark.parametrize("kind", ["huggingface", "gdrive"])
def test_after_a_kill_only_the_rest_is_fetched(
    run: Command, replica_online: Path, home: Command, replica_zip: Path, kind: str
) -> None:
    size = replica_zip.stat().st_size
    left = killed(run, size, "--mirror", kind)
    run("fetch", ID, "--mirror", kind, code=0)
    (entry,) = bodies(run.box)
    assert (entry.status, entry.range) == (206, f"bytes={left}-")
    assert entry.sent == size - left
    assert bodies(run.box, "data.csv") == [], "it was whole before the kill"
    same_install(run, home)


def test_what_one_host_began_another_ends_after_a_kill(
    run: Command, replica_online: Path, home: Command, replica_zip: Path
) -> None:
    left = killed(run, replica_zip.stat().st_size)
    gone(run.box, drive=False)
    run("fetch", ID, code=0)
    (entry,) = bodies(run.box)
    assert (entry.host, entry.start) == (DRIVE_CDN, left)
    same_install(run, home)


@pytest.mark.parametrize("kind", ["huggingface", "gdrive"])
def test_a_file_replaced_in_between_is_never_spliced(
    run: Command, unpinned: Path, replica_zip: Path, kind: str
) -> None:
    killed(run, replica_zip.stat().st_size, "--mirror", kind)
    second = another_version(replica_zip)
    replace_archive(run.box, second)
    done = run("fetch", ID, "--mirror", kind, "--json", code=0).json()
    assert done["data"][0]["result"]["unpinned"] == [ARCHIVE]
    record = json.loads((run.root / f".aigiqa/installed/{ID}.json").read_bytes())
    (source,) = [source for source in record["sources"] if source["asset"] == ARCHIVE]
    assert (source["sha256"], source["bytes"]) == (hashlib.sha256(second).hexdigest(), len(second))
    assert [(entry.status, entry.sent) for entry in bodies(run.box)] == [(200, len(second))]


def test_a_pinned_file_replaced_in_between_is_refused(run: Command, replica_online: Path, replica_zip: Path) -> None:
    killed(run, replica_zip.stat().st_size)
    replace_archive(run.box, another_version(replica_zip))
    run("fetch", ID, code=4)
    assert nothing_installed(run)


def test_bytes_damaged_on_disk_are_not_continued_into_an_install(
    run: Command, replica_online: Path, home: Command, replica_zip: Path
) -> None:
    left = killed(run, replica_zip.stat().st_size)
    part = max((run.root / ".aigiqa/partial").glob("*.part"), key=lambda path: path.stat().st_size)
    data = bytearray(part.read_bytes())
    data[left // 2] ^= 1
    part.write_bytes(data)
    run("fetch", ID, code=0)
    assert [entry.start for entry in bodies(run.box)] == [left, 0], "the glued bytes are wrong: once more from zero"
    same_install(run, home)


@pytest.mark.parametrize("number", [2, 8])
def test_several_at_once_share_one_download(
    run: Command, replica_online: Path, home: Command, replica_zip: Path, number: int
) -> None:
    run.box.rate = 4 * RATE
    processes = [run.start("fetch", ID) for _ in range(number)]
    ended = [finish(process) for process in processes]
    assert [code for code, _, _ in ended] == [0] * number, ended
    assert {out for _, out, _ in ended} == {f"{run.root / ID}\n"}
    assert [(entry.start, entry.sent) for entry in bodies(run.box)] == [(0, replica_zip.stat().st_size)]
    assert len(bodies(run.box, "data.csv")) == 1
    same_install(run, home)
    assert not list((run.root / ".aigiqa/partial").iterdir())
    assert not list((run.root / ".aigiqa/staging").iterdir())


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    with process:
        out, err = process.communicate(timeout=LIMIT)
    return process.returncode, out, err


# --- what goes wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", ["text/html; charset=utf-8", "application/zip"])
def test_a_page_instead_of_the_archive_is_named_as_what_it_is(run: Command, replica_online: Path, type_: str) -> None:
    fails(run.box, Fault(status=200, body=PAGE, type=type_))
    done = run("fetch", ID, "--mirror", "huggingface", code=3)
    assert nothing_installed(run)
    assert "page" in done.err
    assert "Sign in to continue" in done.err
    assert ARCHIVE in done.err


@pytest.mark.parametrize(("kind", "word"), [("quota", "quota"), ("private", "sign")])
def test_the_pages_of_drive_are_understood(
    run: Command, replica_online: Path, replica_zip: Path, kind: Any, word: str
) -> None:
    run.box.drive.add(DRIVE, replica_zip.read_bytes(), ARCHIVE, kind)
    done = run("fetch", ID, "--mirror", "gdrive", "--json", code=3).json()
    assert word in (done["error"]["message"] + done["error"]["hint"]).lower()
    assert nothing_installed(run)


def offered(error: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(share["kind"], share["url"], share["code"]) for share in error["shares"]}


@pytest.mark.parametrize("share", sorted(BY_HAND))
def test_only_a_share_is_left(
    run: Command, replica_online: Path, replica_zip: Path, share: tuple[str, str, str]
) -> None:
    kind, url, code = share
    error = run("fetch", ID, "--mirror", kind, "--json", code=3).json()["error"]
    assert share in offered(error)
    assert {offer["kind"] for offer in error["shares"]} == {kind}
    (found,) = [offer for offer in error["shares"] if offer["url"] == url]
    assert (found["name"], found["bytes"], found["state"]) == (ARCHIVE, replica_zip.stat().st_size, "reported-dead")
    assert found["next"] == f"aigiqa import {ID} ~/Downloads/{ARCHIVE}"
    text = run("fetch", ID, "--mirror", kind, code=3)
    assert text.out == ""
    for part in (url, code, ARCHIVE, found["sha256"], found["next"]):
        assert part in text.err
    assert nothing_installed(run)
    assert bodies(run.box) == []


def test_every_automatic_mirror_is_gone(run: Command, replica_online: Path, replica_zip: Path) -> None:
    gone(run.box)
    done = run("fetch", ID, code=3)
    assert nothing_installed(run)
    for _, url, code in BY_HAND:
        assert url in done.err
        assert code in done.err
    for name in (ARCHIVE, "FILE"):  # the name of the repack is not known
        assert f"aigiqa import {ID} ~/Downloads/{name}\n" in done.err
    error = run("fetch", ID, "--json", code=3).json()["error"]
    assert offered(error) > BY_HAND
    assert ("baidu", "https://pan.baidu.com/s/1Q-04YzcXyMefLDxQUKG2Ug?pwd=0221", "0221") in offered(error), "a repack"
    assert all(share["next"] for share in error["shares"])


def test_the_command_that_the_message_gives_works(
    run: Command, replica_online: Path, home: Command, replica_zip: Path
) -> None:
    gone(run.box)
    next_line = run("fetch", ID, "--json", code=3).json()["error"]["shares"][0]["next"]
    downloads = run.home / "Downloads"
    downloads.mkdir()
    (downloads / ARCHIVE).write_bytes(replica_zip.read_bytes())
    word, *rest = next_line.split()
    assert word == "aigiqa"
    run(*rest, code=0)
    same_install(run, home)


def test_everything_fails_for_the_moment(run: Command, replica_online: Path) -> None:
    fails(run.box, Fault(status=503))
    done = run("fetch", ID, "--json", code=6).json()
    assert done["error"]["kind"] == "temporary"
    assert offered(done["error"]) > BY_HAND
    assert nothing_installed(run)
    run.box.hub.faults.clear()
    run("fetch", ID, code=0)


def test_labels_gone_and_images_here(run: Command, replica_online: Path) -> None:
    """Without its labels an archive is worth nothing: it is not even asked for."""
    run.box.github.blobs.clear()
    for name in ("strawhat/agiqa-3k", "AaronCIH/IQA_dataset"):
        del run.box.hub.repositories[name]
    done = run("fetch", ID, code=3)
    assert "data.csv" in done.err
    assert bodies(run.box) == []
    assert nothing_installed(run)


# --- the envelope -----------------------------------------------------------------------------------------------

KEYS = ["aigiqa", "command", "status", "data", "findings", "error"]
ERROR = {"kind", "fault", "message", "hint", "exit_code", "database", "phase", "mirror", "shares"}


def test_envelope_of_success(run: Command, replica_online: Path) -> None:
    done = run("--json", "fetch", ID, code=0)
    envelope = done.json()
    assert list(envelope) == KEYS
    assert [envelope[key] for key in ("command", "status", "findings", "error")] == ["fetch", "ok", [], None]
    (only,) = envelope["data"]
    assert (only["database"], only["error"]) == (ID, None)
    result = only["result"]
    assert (result["folder"], result["rows"], result["images"]) == (str(run.root / ID), 2982, 2982)
    assert (result["state"], result["changed"]) == ("installed", True)
    assert run("fetch", ID, "--json", code=0).json()["data"][0]["result"]["changed"] is False


def test_envelope_of_partial_success(run: Command, replica_online: Path) -> None:
    """The highest code of several databases wins; each has its own error."""
    gone(run.box)
    envelope = run("fetch", "demo", ID, "--json", code=3).json()
    assert list(envelope) == KEYS
    assert envelope["status"] == "partial"
    by_name = {entry["database"]: entry for entry in envelope["data"]}
    assert by_name["demo"]["error"] is None
    assert by_name["demo"]["result"]["state"] == "installed"
    assert by_name[ID]["result"] is None
    assert set(by_name[ID]["error"]) == set(envelope["error"]) == ERROR
    assert by_name[ID]["error"]["exit_code"] == 3


@pytest.mark.parametrize("words", [["fetch", "--nonsense", ID], ["fetch"], ["fetch", ID, "--mirror", "floppy"]])
def test_envelope_of_wrong_usage(run: Command, replica_online: Path, words: list[str]) -> None:
    envelope = run(*words, "--json", code=2).json()
    assert list(envelope) == KEYS
    assert (envelope["status"], envelope["error"]["kind"], envelope["error"]["exit_code"]) == ("error", "usage", 2)
    assert not (run.root / ID).exists()
