"""`doctor --links`: every mirror is asked, nothing is downloaded, and what came of it is kept, shown and used."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import LIMIT, REPOSITORY, Command
from doubles import Blob, Box, Fault
from doubles.hub import COMMIT, TOKEN
from test_commands import envelope_of, serve_tiny, until_asked, zip_of
from tiny import TINY_COMMIT, TINY_HOST, TINY_REPOSITORY, tiny_manifest

from aigiqa_cli import mirrors
from aigiqa_cli.examining.links import links
from aigiqa_cli.manifest.catalogue import Catalogue
from aigiqa_cli.obtaining.hosts import automatic
from aigiqa_cli.store.ledger import Health, now, read_ledger, write_ledger
from aigiqa_cli.store.root import Root

Put = Callable[[str, str], Path]
OTHER_HOST = "mirror.example.org"
DRIVE = "1ObuOZ6YZqZuxe4oRlaf3kdOBlTRg2GE4"
HTTP = f"{{kind: http, url: https://{TINY_HOST}/tiny.zip}}"
KINDS = (
    HTTP,
    f"{{kind: http, url: https://{OTHER_HOST}/tiny.zip}}",
    f'{{kind: huggingface, repo: owner/tiny, revision: "{COMMIT}", path: tiny.zip}}',
    "{kind: modelscope, repo: owner/tiny, path: tiny.zip}",
    f"{{kind: gdrive, id: {DRIVE}}}",
)


@pytest.fixture(scope="module")
def archive() -> bytes:
    return zip_of()


@pytest.fixture
def everywhere(box: Box, manifests: Put, archive: bytes) -> Box:
    """`tiny` with a mirror of every automatic kind, all of them in order."""
    manifests("tiny", with_mirrors(archive, *KINDS))
    publish(box, archive)
    return box


def with_mirrors(archive: bytes, *wanted: str) -> str:
    text = tiny_manifest(archive)
    assert f"      - {HTTP}\n" in text
    return text.replace(f"      - {HTTP}\n", "".join(f"      - {mirror}\n" for mirror in wanted))


def publish(box: Box, archive: bytes) -> None:
    serve_tiny(box, archive)
    box.web(OTHER_HOST).put("/tiny.zip", archive)
    box.hub.add("owner/tiny", {"tiny.zip": archive})
    box.scope.add("owner/tiny", {"tiny.zip": archive})
    box.drive.add(DRIVE, archive, "tiny.zip")


def results(run: Command, code: int, *more: str, **settings: Any) -> list[dict[str, Any]]:
    found = envelope_of(run("doctor", "--links", "tiny", "--json", *more, code=code, **settings).out)
    data = found["data"]
    assert isinstance(data, list)
    (result,) = data
    answers: list[dict[str, Any]] = result["result"]
    return answers


def states(answers: list[dict[str, Any]]) -> list[str]:
    """Of the archive's mirrors, in the manifest's order."""
    return [answer["state"] for answer in answers if answer["asset"] == "tiny.zip"]


def ledger(run: Command) -> dict[str, dict[str, Any]]:
    told = json.loads((run.root / ".aigiqa" / "health.json").read_text())
    assert told["schema"] == 1
    return {entry["label"]: entry for entry in told["mirrors"].values()}


def test_every_automatic_mirror_is_asked_and_nothing_is_downloaded(
    run: Command, everywhere: Box, archive: bytes
) -> None:
    answers = results(run, 0)
    assert states(answers) == ["alive"] * 5 + ["by hand"]
    proofs = {answer["kind"]: answer["proof"] for answer in answers if answer["asset"] == "tiny.zip"}
    assert proofs == {
        "http": "length", "huggingface": "hash", "modelscope": "hash", "gdrive": "length", "baidu": "",
    }  # fmt: skip
    assert {answer["bytes"] for answer in answers if answer["state"] == "alive"} == {len(archive), len(csv(everywhere))}
    pages = [entry for entry in everywhere.log if entry.path == "/download" and "confirm" not in entry.query]
    assert len(pages) == 1, "Google Drive's warning, which has to be read"
    of_files = ("tiny.zip", "data.csv", "/download", "/repo")
    moved = [entry.sent for entry in everywhere.log if entry.path.endswith(of_files) and entry not in pages]
    assert moved
    assert not any(moved)
    assert "baidu" not in str(ledger(run))
    assert not list(run.root.glob("*.csv")), "nothing was installed"
    assert sorted(path.name for path in (run.root / ".aigiqa" / "partial").iterdir()) == []


def csv(box: Box) -> bytes:
    return box.github.blobs[f"{TINY_REPOSITORY}/{TINY_COMMIT}/data.csv"].data


def test_a_mirror_with_other_bytes_is_told_and_tried_last(run: Command, everywhere: Box, archive: bytes) -> None:
    everywhere.web(TINY_HOST).put("/tiny.zip", archive + b"more")
    assert states(results(run, 4)) == ["changed", "alive", "alive", "alive", "alive", "by hand"]
    entry = ledger(run)[f"http {TINY_HOST}/tiny.zip"]
    assert (entry["state"], entry["database"], entry["asset"]) == ("changed", "tiny", "tiny.zip")
    everywhere.log.clear()
    plan = run("fetch", "tiny", "--dry-run", "--json", code=0).json()["data"][0]["result"]
    order = next(part["mirrors"] for part in plan["plan"] if part["asset"] == "tiny.zip")
    assert order[0] == f"http {OTHER_HOST}/tiny.zip"
    assert order[-1] == f"http {TINY_HOST}/tiny.zip", "last, but never left out"
    run("fetch", "tiny", code=0)
    assert not [line for line in everywhere.paths() if TINY_HOST in line]


def test_the_only_mirror_is_used_whatever_the_ledger_says(
    run: Command, box: Box, manifests: Put, archive: bytes
) -> None:
    manifests("tiny", tiny_manifest(archive))
    site = serve_tiny(box, archive)
    site.faults.add("/tiny.zip", Fault(status=404, always=True))
    assert states(results(run, 3)) == ["gone", "by hand"]
    site.faults.clear()
    run("fetch", "tiny", code=0)


def test_a_hub_that_names_another_hash_is_not_asked_for_a_byte(run: Command, everywhere: Box, archive: bytes) -> None:
    other = bytes([archive[0]]) + bytes(len(archive) - 1)
    everywhere.hub.add("owner/tiny", {"tiny.zip": other})
    everywhere.scope.add("owner/tiny", {"tiny.zip": other})
    assert states(results(run, 4)) == ["alive", "alive", "changed", "changed", "alive", "by hand"]
    assert not [entry for entry in everywhere.log if entry.host.startswith("cdn")]


@pytest.mark.parametrize(
    "head",
    [Fault(status=405, always=True), Fault(status=403, always=True), Fault(longer=7, always=True)],
    ids=["405", "403", "another-length"],
)
def test_the_first_byte_decides_where_HEAD_does_not(run: Command, everywhere: Box, head: Fault) -> None:
    everywhere.web(TINY_HOST).faults.add("HEAD /tiny.zip", head)
    assert states(results(run, 0))[0] == "alive"
    asked = [entry for entry in everywhere.log if (entry.host, entry.method) == (TINY_HOST, "GET")]
    assert [entry.range for entry in asked] == ["bytes=0-0"]


def test_a_host_that_ignores_ranges_is_read_no_further_than_its_head(run: Command, box: Box, manifests: Put) -> None:
    large = zip_of() + bytes(24 << 20)
    manifests("tiny", tiny_manifest(large))
    serve_tiny(box, large)
    site = box.web(TINY_HOST)
    site.blobs["/tiny.zip"] = Blob(large, ranges=False)
    site.faults.add("HEAD /tiny.zip", Fault(status=405, always=True))
    assert states(results(run, 0))[0] == "alive"
    assert sum(entry.sent for entry in box.log if entry.host == TINY_HOST) < len(large), "the rest was not taken"


@pytest.mark.parametrize(
    ("fault", "state", "code"),
    [
        (Fault(status=404, always=True), "gone", 3),
        (Fault(status=410, always=True), "gone", 3),
        (Fault(status=403, always=True), "closed", 3),
        (Fault(status=200, body=b"<html><title>Sign in</title></html>", always=True), "closed", 3),
        (Fault(status=503, always=True), "unreachable", 6),
        (Fault(status=429, headers=(("Retry-After", "86400"),), always=True), "unreachable", 6),
        (Fault(raw=b"nonsense", always=True), "unreachable", 6),
    ],
    ids=["404", "410", "403", "page", "503", "429", "nonsense"],
)
def test_what_an_answer_means(
    run: Command, everywhere: Box, bad_heads: None, fault: Fault, state: str, code: int
) -> None:
    everywhere.web(OTHER_HOST).faults.add("/tiny.zip", fault)
    assert states(results(run, code)) == ["alive", state, "alive", "alive", "alive", "by hand"]
    done = run("doctor", "--links", "tiny", code=code)
    assert f"http {OTHER_HOST}/tiny.zip" in done.err
    assert "next: " in done.err


def test_one_bad_moment_is_not_the_end(run: Command, everywhere: Box) -> None:
    everywhere.web(OTHER_HOST).faults.add("/tiny.zip", Fault(status=503))
    assert states(results(run, 0))[1] == "alive"


def test_the_highest_code_counts(run: Command, everywhere: Box, archive: bytes) -> None:
    everywhere.web(TINY_HOST).put("/tiny.zip", archive + b"more")
    everywhere.web(OTHER_HOST).faults.add("/tiny.zip", Fault(status=503, always=True))
    done = run("doctor", "--links", "tiny", "--json", code=6).json()
    assert {finding["problem"] for finding in done["findings"]} == {"tiny.zip: changed", "tiny.zip: unreachable"}
    assert done["error"]["kind"] == "temporary"


def test_a_mirror_that_is_reported_dead_has_promised_nothing(
    run: Command, box: Box, manifests: Put, archive: bytes
) -> None:
    dead = HTTP.removesuffix("}") + ", health: {state: reported-dead, source: a forum}}"
    manifests("tiny", with_mirrors(archive, dead))
    serve_tiny(box, archive).faults.add("/tiny.zip", Fault(status=404, always=True))
    assert states(results(run, 0)) == ["gone", "by hand"]
    assert ledger(run)[f"http {TINY_HOST}/tiny.zip"]["state"] == "gone"


def test_a_host_that_is_away_is_not_asked_for_each_of_its_files(
    run: Command, box: Box, manifests: Put, archive: bytes
) -> None:
    many = [f"{{kind: http, url: https://{TINY_HOST}/{number}.zip}}" for number in range(9)]
    manifests("tiny", with_mirrors(archive, *many))
    serve_tiny(box, archive)
    for number in range(9):
        box.web(TINY_HOST).faults.add(f"/{number}.zip", Fault(status=503, always=True))
    answers = results(run, 6)
    assert states(answers) == ["unreachable"] * 9 + ["by hand"]
    assert len({entry.path for entry in box.log if entry.host == TINY_HOST}) == 3
    assert "not asked" in answers[8]["detail"]


def test_gated_files_need_a_token_that_goes_to_the_hub_alone(run: Command, everywhere: Box, archive: bytes) -> None:
    everywhere.hub.add("owner/tiny", {"tiny.zip": archive}, gated=True)
    assert states(results(run, 3))[2] == "closed"
    assert states(results(run, 0, env={"HF_TOKEN": TOKEN}))[2] == "alive"
    told = (run.root / ".aigiqa" / "health.json").read_text()
    assert TOKEN not in told


def test_K04_no_signature_is_kept_or_shown(run: Command, box: Box, manifests: Put, archive: bytes) -> None:
    canary = "s1gnature0canary"
    signed = f'{{kind: http, url: "https://{TINY_HOST}/tiny.zip?Signature={canary}"}}'
    manifests("tiny", with_mirrors(archive, signed))
    serve_tiny(box, archive).faults.add("/tiny.zip", Fault(status=404, always=True))
    done = run("doctor", "--links", "tiny", code=3)
    assert canary not in (run.root / ".aigiqa" / "health.json").read_text()
    assert canary not in done.err


@pytest.mark.parametrize("gated", [False, True])
def test_a_folder_of_a_hub_is_listed_and_one_byte_of_it_is_asked_for(
    run: Command, box: Box, manifests: Put, archive: bytes, gated: bool
) -> None:
    text = with_mirrors(archive, f'{{kind: huggingface, repo: owner/tree, revision: "{COMMIT}", path: images}}')
    pins = r"    format: zip\n    bytes: \d+\n    sha256: \w+\n"
    manifests("tiny", re.sub(pins, "    format: tree\n", text))
    serve_tiny(box, archive)
    box.hub.add("owner/tree", {f"images/{number}.png": bytes(5000) for number in range(7)}, gated=gated)
    answers = results(run, 3 if gated else 0)
    assert states(answers) == ["closed" if gated else "alive", "by hand"]
    assert gated or (answers[0]["bytes"], "7 files" in answers[0]["detail"]) == (35_000, True)
    assert sum(entry.sent for entry in box.log if entry.host.startswith("cdn")) <= 1


def test_info_shows_what_was_found(run: Command, everywhere: Box, archive: bytes) -> None:
    before = run("info", "tiny", code=0).out
    assert "checked" not in before
    everywhere.web(OTHER_HOST).faults.add("/tiny.zip", Fault(status=404, always=True))
    run("doctor", "--links", "tiny", code=3)
    lines = [line.split("\t") for line in run("info", "tiny", code=0).out.splitlines() if line.startswith("checked\t")]
    assert {(fields[2], fields[3]) for fields in lines} >= {
        (f"https://{TINY_HOST}/tiny.zip", "alive"), (f"https://{OTHER_HOST}/tiny.zip", "gone"),
    }  # fmt: skip
    told = run("info", "tiny", "--json", code=0).json()["data"]["mirrors"]
    by_hand = [mirror["checked"] for mirror in told if mirror["kind"] == "baidu"]
    assert by_hand == [None]
    assert {mirror["checked"]["state"] for mirror in told if mirror["checked"]} == {"alive", "gone"}
    checks = {check["name"]: check for check in run("doctor", "--json", code=0).json()["data"]}
    assert checks["health"]["verdict"] == "warning"


def test_without_a_terminal_one_record_a_line(run: Command, everywhere: Box) -> None:
    lines = run("doctor", "--links", "tiny", code=0).out.splitlines()
    assert {len(line.split("\t")) for line in lines} == {7}
    assert [line.split("\t")[3] for line in lines if "\ttiny.zip\t" in line] == ["alive"] * 5 + ["by hand"]
    shares = [line.split("\t") for line in lines if "baidu" in line]
    assert [(fields[5], fields[6]) for fields in shares] == [("https://pan.baidu.com/s/1tiny?pwd=0755", "0755")]


def test_databases_without_links_are_a_usage_fault(run: Command) -> None:
    done = run("doctor", "demo", code=2)
    assert "aigiqa doctor --links demo" in done.err
    assert not run.root.exists()


def test_a_link_that_leads_to_a_private_address_is_never_asked(
    run: Command, box: Box, manifests: Put, archive: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.2)
        port = trap.getsockname()[1]
        where = f"https://127.0.0.1:{port}/tiny.zip"
        manifests("tiny", tiny_manifest(archive))
        serve_tiny(box, archive).faults.add("/tiny.zip", Fault(status=302, headers=(("Location", where),), always=True))
        assert states(results(run, 3)) == ["closed", "by hand"]
        with pytest.raises(TimeoutError):
            trap.accept()


def test_S03_an_interrupted_check_writes_nothing(run: Command, everywhere: Box) -> None:
    everywhere.web(TINY_HOST).faults.add("/tiny.zip", Fault(delay=3, always=True))
    with run.start("doctor", "--links", "tiny", "--json") as process:
        until_asked(everywhere, "/tiny.zip")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    envelope_of(out)
    assert not (run.root / ".aigiqa" / "health.json").exists()


# -- the ledger ---------------------------------------------------------------------------------------------------------


def entry(state: str = "gone", **about: Any) -> Health:
    told = {"database": "tiny", "asset": "tiny.zip", "kind": "http", "label": "http x", "detail": "", "at": now()}
    return Health(**(told | {"state": state} | about))


def days_ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def two(manifests: Put, archive: bytes, run: Command) -> Any:
    """The archive of `tiny` with two plain mirrors, as the catalogue reads it."""
    manifests("tiny", with_mirrors(archive, KINDS[0], KINDS[1]))
    return Catalogue(run.environment).database("tiny").asset("tiny.zip")


@pytest.mark.parametrize(
    ("days", "first"), [(0, OTHER_HOST), (29, OTHER_HOST), (32, TINY_HOST), (400, TINY_HOST), (-3, TINY_HOST)]
)
def test_only_a_fresh_finding_changes_the_order(two: Any, days: int, first: str) -> None:
    known = {mirrors.key(two.mirrors[0]): entry(at=days_ago(days))}
    order = automatic(two, known=known)
    assert len(order) == 2, "none is ever left out"
    assert first in order[0].url


@pytest.mark.parametrize(("state", "moved"), [("alive", False), ("gone", True), ("closed", True), ("changed", True), ("unreachable", True)])  # fmt: skip
def test_who_did_not_answer_well_comes_last(two: Any, state: str, moved: bool) -> None:
    order = automatic(two, known={mirrors.key(two.mirrors[0]): entry(state)})
    assert (TINY_HOST in order[-1].url) is moved
    both = {mirrors.key(mirror): entry("unreachable") for mirror in two.mirrors}
    assert automatic(two, known=both) == list(two.mirrors[:2]), "all alike: the manifest's order"


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"schema": 2, "mirrors": {}}', b'{"schema": 1, "mirrors": []}', b"\xff\xfe", b"[" * 100_000,
     b'{"schema": 1, "mirrors": {"' + b"a" * 32 + b'": {"at": 5}}}'],
)  # fmt: skip
def test_X01_a_damaged_ledger_counts_as_empty(tmp_path: Path, damage: bytes) -> None:
    root = Root(tmp_path)
    root.internal.mkdir()
    root.health.write_bytes(damage)
    assert read_ledger(root) == {}
    write_ledger(root, {"a" * 32: entry()})
    assert list(read_ledger(root)) == ["a" * 32]


@pytest.mark.parametrize("about", [{"at": 5}, {"at": "yesterday"}, {"bytes": "7"}, {"state": None}, {"more": 1}])
def test_X01_one_wrong_entry_spoils_the_ledger_and_nothing_else(tmp_path: Path, about: dict[str, Any]) -> None:
    root = Root(tmp_path)
    root.internal.mkdir()
    told = {**asdict(entry()), **about}
    root.health.write_text(json.dumps({"schema": 1, "mirrors": {"a" * 32: told}}))
    assert read_ledger(root) == {}


def test_a_ledger_beyond_all_measure_is_not_read(tmp_path: Path) -> None:
    root = Root(tmp_path)
    root.internal.mkdir()
    write_ledger(root, {"a" * 32: entry()})
    os.truncate(root.health, 17 << 20)
    assert read_ledger(root) == {}


def test_what_was_not_asked_now_keeps_its_entry(tmp_path: Path) -> None:
    root = Root(tmp_path)
    root.internal.mkdir()
    write_ledger(root, {"a" * 32: entry("alive"), "b" * 32: entry("gone")})
    write_ledger(root, {"b" * 32: entry("alive")})
    assert {key: found.state for key, found in read_ledger(root).items()} == {"a" * 32: "alive", "b" * 32: "alive"}
    assert os.listdir(root.internal) == ["health.json"]
    assert entry(at="2026-11-20T23:59:59Z").day == "2026-11-20"


def test_a_link_in_place_of_the_ledger_is_not_followed(tmp_path: Path) -> None:
    root = Root(tmp_path / "root")
    root.internal.mkdir(parents=True)
    outside = tmp_path / "outside.json"
    outside.write_text('{"schema": 1, "mirrors": {}}')
    root.health.symlink_to(outside)
    assert read_ledger(root) == {}
    write_ledger(root, {"a" * 32: entry()})
    assert outside.read_text() == '{"schema": 1, "mirrors": {}}'


def test_every_mirror_of_the_built_in_manifests_has_a_key_of_its_own() -> None:
    catalogue = Catalogue({})
    found = list(links(list(catalogue.databases())))
    text = "".join(path.read_text() for path in (REPOSITORY / "manifests").glob("*.yaml"))
    assert len(found) > 200, "the split files alone are more"
    fields = {(m.kind, m.url, m.repo, m.revision, m.path, m.id) for m in (link.mirror for link in found)}
    assert len({mirrors.key(link.mirror) for link in found}) == len(fields)
    assert {link.mirror.kind for link in found} == set(re.findall(r"kind: ([a-z]+)", text)) & {
        "http", "github", "huggingface", "modelscope", "gdrive", "builtin", "baidu", "quark", "terabox", "onedrive"
    }  # fmt: skip
