"""`aigiqa verify --repair`: exactly what is damaged gets its recorded bytes back, from the nearest source, cheaply."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import invariants
import pytest
from conftest import Command, kill
from doubles import Blob, Box, Fault
from doubles.fault_server import Site
from grove import COUNT, FIRST, HEADERS, REFERENCES, SECOND, TAIL, Put, archived, packed, picture, pictures
from rigs import Rig


@pytest.fixture(scope="session")
def members() -> dict[str, bytes]:
    return pictures()


def table() -> bytes:
    rows = [f"{n:03}.png,tree number {n},r{n % REFERENCES}.png,{n % 50 / 10}" for n in range(COUNT)]
    return ("\n".join(["name,prompt,origin,mos", *rows]) + "\n").encode()


def manifest(archive: bytes, *, pinned: bool = True, name: str = "grove.zip", kind: str = "zip", more: str = "") -> str:
    return f"""\
schema: 1
version: 1
id: grove
title: Grove
summary: Invented trees.
license: {{spdx: CC0-1.0, scope: everything, source: invented for tests}}
citation: {{key: grove2026, type: misc, title: Grove, authors: [Nobody], year: 2026}}
assets:
{archived(archive, pinned=pinned, kind=kind, more=more, name=name)}  - name: trees.csv
    role: labels
    format: csv
    mirrors: [{{kind: http, url: https://{FIRST}/trees.csv}}]
labels:
  - needs: [trees.csv]
    tables: [{{file: trees.csv, columns: [name, prompt, origin, mos]}}]
    extract: {{name: '^(?P<number>\\d{{3}})\\.png$'}}
    columns: {{prompt: prompt, generator: {{const: attngan}}, task: {{const: i2i}}}}
    scores: {{quality: {{mos: mos, range: [0, 5]}}}}
    image: {{id: "tree_{{name}}", find: ["pictures/{{name}}"]}}
    reference: {{when: origin, name: "{{origin}}", find: ["origins/{{origin}}"]}}
splits:
  - {{name: authors, rule: {{every: 4, test: [3]}}, evidence: invented}}
expect: {{images: {COUNT}, rows: {COUNT}, generators: {{attngan: {COUNT}}}}}
"""


@dataclass
class Grove:
    """An installed database, its mirrors, and what was there before it was damaged."""

    run: Command
    archive: bytes
    first: Site
    second: Site
    before: dict[str, bytes] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.run.root / "grove"

    @property
    def record(self) -> Path:
        return self.run.root / ".aigiqa/installed/grove.json"

    def tree(self) -> dict[str, bytes]:
        return {p.relative_to(self.folder).as_posix(): p.read_bytes() for p in self.folder.rglob("*") if p.is_file()}

    def damage(self, *names: str, how: str = "flip") -> list[bytes]:
        """Spoil files; returns the bytes that stand there now."""
        left = []
        for name in names:
            path = self.folder / name
            data = bytearray(path.read_bytes())
            path.unlink()
            data[len(data) // 2] ^= 1
            if how == "flip":
                path.write_bytes(data)
            elif how == "cut":
                data = data[:-1]
                path.write_bytes(data)
            if how != "missing":
                left.append(bytes(data))
        return left

    def repair(self, *words: str, code: int = 0) -> dict[str, Any]:
        self.run.box.log.clear()
        return self.run("verify", "grove", "--repair", "--json", *words, code=code).json()

    def whole(self) -> None:
        """Everything is as it was, the record and the index of the root included; nothing is left over."""
        assert self.tree() == self.before
        invariants.check(self.run.root, settled=True)
        assert list((self.run.root / ".aigiqa/staging").iterdir()) == []
        assert list((self.run.root / ".aigiqa/partial").iterdir()) == []

    def asked(self, path: str = "/grove.zip", host: str = "") -> list[Any]:
        return [e for e in self.run.box.log if e.path == path and host in ("", e.host)]

    def moved(self, path: str = "/grove.zip", host: str = "") -> int:
        return sum(entry.sent for entry in self.asked(path, host))

    def quarantined(self) -> list[bytes]:
        folder = self.run.root / ".aigiqa/quarantine"
        return sorted(path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".why.json"))


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Roots that were installed once; tests damage copies."""
    return tmp_path_factory.mktemp("nursery")


@pytest.fixture
def plant(run: Command, box: Box, manifests: Put, members: dict[str, bytes], nursery: Path) -> Callable[..., Grove]:
    """`plant(pinned=False)` installs the database; both mirrors serve its archive."""

    def make(archive: bytes | None = None, words: tuple[str, ...] = (), **about: Any) -> Grove:
        data = packed(members) if archive is None else archive
        name = about.get("name", "grove.zip")
        first, second = box.web(FIRST), box.web(SECOND)
        for site in (first, second):
            site.put(f"/{name}", data)
        first.put("/trees.csv", table())
        manifests("grove", manifest(data, **about))
        key = hashlib.sha256(repr((data, words, sorted(about.items()))).encode()).hexdigest()
        if not (nursery / key).exists():
            run("fetch", "grove", *words, code=0)
            shutil.move(run.root, nursery / key)
        shutil.copytree(nursery / key, run.root)
        made = Grove(run, data, first, second)
        made.before = made.tree()
        box.log.clear()
        return made

    return make


@pytest.fixture
def grove(plant: Callable[..., Grove]) -> Grove:
    return plant()


IMAGE = "images/tree_007.png"


def repaired(envelope: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["path"]: entry for entry in envelope["data"][0]["result"]["repaired"]}


# --- just what is damaged ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["flip", "cut", "missing"])
def test_S10_one_image_costs_one_member(grove: Grove, how: str) -> None:
    record = grove.record.read_bytes()
    put_aside = grove.damage(IMAGE, how=how)
    envelope = grove.repair()
    assert grove.tree() == grove.before
    assert grove.record.read_bytes() == record, "the bytes are the recorded ones, so the record does not change"
    size = len(grove.before[IMAGE])
    assert size <= grove.moved() <= size + TAIL + HEADERS < len(grove.archive) / 5
    entry = repaired(envelope)[IMAGE]
    assert (entry["how"], entry["origin"]) == ("range requests", f"http {FIRST}/grove.zip")
    assert size <= entry["moved"] <= size + HEADERS
    result = envelope["data"][0]["result"]
    assert result["moved"] == grove.moved()
    assert result["fetched"] == [{"origin": f"http {FIRST}/grove.zip", "bytes": grove.moved()}]
    assert grove.quarantined() == put_aside
    assert len(result["quarantined"]) == len(put_aside)
    grove.whole()


def test_S10_several_images_and_a_reference(grove: Grove) -> None:
    names = ["images/tree_000.png", "images/tree_011.png", "images/tree_023.png", "references/r1.png"]
    put_aside = grove.damage(*names)
    envelope = grove.repair()
    assert set(repaired(envelope)) == set(names)
    size = sum(len(grove.before[name]) for name in names)
    assert grove.moved() <= size + TAIL + len(names) * HEADERS
    assert grove.quarantined() == sorted(put_aside)
    grove.whole()


def test_S10_people_are_told_what_was_damaged_and_what_was_fetched(grove: Grove) -> None:
    grove.damage(IMAGE)
    done = grove.run("verify", "--repair", code=0)
    assert done.out.split("\t")[:2] == ["grove", "ok"]
    assert f"grove/{IMAGE}: wrong checksum; restored (range requests, http {FIRST}/grove.zip" in done.err
    assert f"({grove.moved():,} bytes) fetched from http {FIRST}/grove.zip" in done.err
    assert "1 damaged file kept in" in done.err


def test_S10_half_of_the_archive_is_fetched_as_a_whole(grove: Grove) -> None:
    names = [f"images/tree_{number:03}.png" for number in range(16)]
    grove.damage(*names, how="missing")
    envelope = grove.repair()
    assert {entry["how"] for entry in repaired(envelope).values()} == {"whole download"}
    assert [(entry.range, entry.sent) for entry in grove.asked()] == [("", len(grove.archive))]
    grove.whole()


def test_S10_a_folder_that_is_gone(grove: Grove) -> None:
    shutil.rmtree(grove.folder)
    grove.repair()
    grove.whole()


def test_S10_label_table(grove: Grove) -> None:
    put_aside = grove.damage("labels/trees.csv")
    envelope = grove.repair()
    assert repaired(envelope)["labels/trees.csv"]["how"] == "label table"
    assert grove.run.box.paths() == [f"GET {FIRST}/trees.csv"]
    assert grove.quarantined() == put_aside
    grove.whole()


@pytest.mark.parametrize("name", ["index.csv", "checksums.sha256", "database.yaml", "splits/authors.csv"])
def test_S10_what_is_computed_costs_nothing(grove: Grove, name: str) -> None:
    put_aside = grove.damage(name)
    envelope = grove.repair()
    assert repaired(envelope)[name]["how"] == "computed"
    assert grove.run.box.paths() == []
    assert grove.quarantined() == put_aside
    grove.whole()


def test_S10_index_is_rebuilt_from_the_labels_where_the_root_has_none(grove: Grove) -> None:
    """Every image has another name in the archive; the index alone remembers that, and it is the recorded one again."""
    record = grove.record.read_bytes()
    assert grove.before["index.csv"].count(b"renamed") == COUNT
    grove.damage("index.csv", how="missing")
    (grove.run.root / "index.csv").unlink()
    envelope = grove.repair()
    assert repaired(envelope)["index.csv"]["origin"] == "the labels"
    assert grove.run.box.paths() == []
    assert grove.record.read_bytes() == record
    grove.whole()


def test_S10_everything_at_once(grove: Grove) -> None:
    names = [IMAGE, "references/r0.png", "labels/trees.csv", "index.csv", "splits/authors.csv", "checksums.sha256"]
    grove.damage(*names)
    envelope = grove.repair()
    assert set(repaired(envelope)) == set(names)
    assert grove.moved() <= 2 * (len(grove.before[IMAGE]) + HEADERS) + TAIL
    grove.whole()


def test_S22_foreign_files_stay_and_are_listed(grove: Grove) -> None:
    grove.damage(IMAGE)
    mine = grove.folder / "images/mine.txt"
    mine.write_bytes(b"mine")
    envelope = grove.repair(code=4)
    assert [finding["path"] for finding in envelope["findings"]] == ["grove/images/mine.txt"]
    assert set(repaired(envelope)) == {IMAGE}
    assert mine.read_bytes() == b"mine"
    mine.unlink()
    grove.whole()


def test_P5_what_was_there_is_in_quarantine_with_a_note(grove: Grove) -> None:
    (put_aside,) = grove.damage(IMAGE)
    grove.repair()
    (note,) = (grove.run.root / ".aigiqa/quarantine").glob("*.why.json")
    assert Path(str(note).removesuffix(".why.json")).read_bytes() == put_aside
    why = json.loads(note.read_bytes())
    assert (why["path"], why["problem"]) == (IMAGE, "wrong checksum")
    assert why["expected_sha256"] == hashlib.sha256(grove.before[IMAGE]).hexdigest()


def test_S17_nothing_is_written_through_a_link(grove: Grove, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.move(grove.folder / "images", elsewhere)
    (grove.folder / "images").symlink_to(elsewhere)
    (elsewhere / "tree_007.png").unlink()
    envelope = grove.repair(code=5)
    assert envelope["error"]["fault"] == "S17"
    assert not (elsewhere / "tree_007.png").exists()


def test_S10_a_file_in_the_place_of_a_folder(grove: Grove) -> None:
    shutil.rmtree(grove.folder / "splits")
    (grove.folder / "splits").write_bytes(b"mine")
    grove.repair()
    assert grove.quarantined() == [b"mine"]
    grove.whole()


def test_labels_only_installs_are_repaired(run: Command, box: Box, manifests: Put, members: dict[str, bytes]) -> None:
    archive = packed(members)
    box.web(FIRST).put("/trees.csv", table())
    manifests("grove", manifest(archive))
    run("fetch", "grove", "--labels-only", code=0)
    made = Grove(run, archive, box.web(FIRST), box.web(SECOND))
    made.before = made.tree()
    made.damage("index.csv", "labels/trees.csv")
    made.repair()
    made.whole()


# --- from where -------------------------------------------------------------------------------------------------


def test_S10_kept_archive_comes_first(plant: Callable[..., Grove]) -> None:
    grove = plant(words=("--keep-archives",))
    grove.damage(IMAGE, "references/r0.png")
    envelope = grove.repair()
    assert {entry["how"] for entry in repaired(envelope).values()} == {"kept archive"}
    assert grove.run.box.paths() == []
    grove.whole()


def test_S10_damaged_kept_archive_is_never_used(plant: Callable[..., Grove]) -> None:
    grove = plant(words=("--keep-archives",))
    (kept,) = (grove.run.root / ".aigiqa/archives/sha256").iterdir()
    kept.chmod(0o644)
    data = bytearray(kept.read_bytes())
    data[-1] ^= 1
    kept.write_bytes(data)
    grove.damage(IMAGE)
    envelope = grove.repair()
    assert repaired(envelope)[IMAGE]["how"] == "range requests"
    grove.whole()


def test_N17_server_without_ranges_is_cut_off_then_asked_for_the_whole(grove: Grove) -> None:
    grove.damage(IMAGE)
    for site in (grove.first, grove.second):
        site.faults.add("/grove.zip", Fault(ignore_range=True, rate=200_000))
    envelope = grove.repair()
    assert repaired(envelope)[IMAGE]["how"] == "whole download"
    *cut, last = grove.asked()
    assert [(entry.host, entry.status) for entry in cut] == [(FIRST, 200), (SECOND, 200)]
    assert all(entry.range and entry.sent < len(grove.archive) / 4 for entry in cut)
    assert (last.range, last.sent) == ("", len(grove.archive))
    assert envelope["data"][0]["result"]["moved"] == len(grove.archive)
    grove.whole()


ODD = {
    "shifted": Fault(shift=-7),
    "another total": Fault(total=99),
    "416": Fault(status=416),
    "multipart": Fault(headers=(("Content-Range", ""), ("Content-Type", "multipart/byteranges; boundary=x"))),
    "encoded": Fault(gzip=True),
    "login": Fault(status=401),
    "gone": Fault(status=404),
    "no range": Fault(ignore_range=True),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("at", [0, 1])
def test_N17_the_next_mirror_helps(grove: Grove, odd: str, at: int) -> None:
    grove.damage(IMAGE)
    fine = Fault(rate=1 << 30)
    grove.first.faults.add("/grove.zip", *[fine] * at, *[ODD[odd]] * 12)
    envelope = grove.repair()
    entry = repaired(envelope)[IMAGE]
    assert (entry["how"], entry["origin"]) == ("range requests", f"http {SECOND}/grove.zip")
    grove.first.faults.clear()
    grove.whole()


def test_N01_cut_and_reset_parts_are_continued(grove: Grove) -> None:
    grove.damage(IMAGE)
    grove.first.faults.add("/grove.zip", Fault(cut=100), Fault(cut=1_000), Fault(cut=20_000, how="rst"))
    envelope = grove.repair()
    assert repaired(envelope)[IMAGE]["origin"] == f"http {FIRST}/grove.zip"
    assert grove.moved() <= len(grove.before[IMAGE]) + TAIL + 3 * HEADERS + 65_536
    grove.whole()


def test_N13_busy_mirror_is_waited_for(grove: Grove) -> None:
    grove.damage(IMAGE)
    grove.first.faults.add("/grove.zip", Fault(status=503), Fault(status=429, headers=(("Retry-After", "0"),)))
    envelope = grove.repair()
    assert repaired(envelope)[IMAGE]["origin"] == f"http {FIRST}/grove.zip"
    grove.whole()


def test_N16_replaced_between_two_requests_is_read_anew(plant: Callable[..., Grove], members: dict[str, bytes]) -> None:
    """The new version has the same members in another order: its directory does not fit the old one's bytes."""
    grove = plant(pinned=False)
    grove.damage(IMAGE)
    turned = packed(dict(reversed(members.items())), comment=b"second edition")
    grove.first.faults.add("/grove.zip", Fault(then=Blob(turned)))
    envelope = grove.repair()
    assert repaired(envelope)[IMAGE]["how"] == "range requests"
    asked = grove.asked(host=FIRST)
    assert [entry.status for entry in asked] == [206, 200, 206, 206]
    assert asked[1].if_range == Blob(grove.archive).tag
    grove.whole()


def test_N16_server_that_ignores_if_range_is_found_out(plant: Callable[..., Grove], members: dict[str, bytes]) -> None:
    grove = plant(pinned=False)
    grove.damage(IMAGE)
    turned = packed(dict(reversed(members.items())))
    assert len(turned) == len(grove.archive)
    start = f"bytes 0-9/{len(turned)}"
    raw = f'HTTP/1.1 206 Partial Content\r\nContent-Range: {start}\r\nETag: "other"\r\nContent-Length: 10\r\n\r\n'
    grove.first.faults.add("/grove.zip", Fault(rate=1 << 30), *[Fault(raw=raw.encode() + turned[:10])] * 9)
    envelope = grove.repair()
    assert repaired(envelope)[IMAGE]["origin"] == f"http {SECOND}/grove.zip"
    grove.first.faults.clear()
    grove.whole()


def test_N16_host_without_validators_gives_no_parts(grove: Grove) -> None:
    grove.damage(IMAGE)
    for site in (grove.first, grove.second):
        site.put("/grove.zip", grove.archive, etag=None, modified=None)
    envelope = grove.repair()
    assert repaired(envelope)[IMAGE]["how"] == "whole download"
    grove.whole()


@pytest.mark.parametrize("pinned", [True, False])
def test_S10_other_bytes_are_never_accepted(
    plant: Callable[..., Grove], members: dict[str, bytes], pinned: bool
) -> None:
    """A zip of the very same length with another image under that name, at every mirror."""
    grove = plant(pinned=pinned)
    (damaged,) = grove.damage(IMAGE)
    name = "grove/pictures/007.png"
    other = bytearray(members[name])
    other[-20] ^= 1  # inside the last checksum of the PNG: any file of any bytes does here
    false = packed(members | {name: bytes(other)})
    for site in (grove.first, grove.second):
        site.put("/grove.zip", false)
    envelope = grove.repair(code=4)
    assert envelope["error"]["exit_code"] == 4
    assert (grove.folder / IMAGE).read_bytes() == damaged, "what cannot be replaced stays where it is"
    found = {hashlib.sha256(bytes(other)).hexdigest(), hashlib.sha256(false).hexdigest()}
    told = json.dumps(envelope)
    assert any(digest in told for digest in found), "the hash of what the mirrors have now"
    assert {path: data for path, data in grove.tree().items() if path != IMAGE} == {
        path: data for path, data in grove.before.items() if path != IMAGE
    }
    for site in (grove.first, grove.second):
        site.put("/grove.zip", grove.archive)
    grove.repair()
    assert grove.tree() == grove.before


def test_S10_one_false_mirror_does_not_stop_the_other(plant: Callable[..., Grove], members: dict[str, bytes]) -> None:
    grove = plant(pinned=False)
    grove.damage(IMAGE)
    false = packed(members | {"grove/pictures/007.png": members["grove/pictures/008.png"]})
    grove.first.put("/grove.zip", false)
    envelope = grove.repair()
    assert repaired(envelope)[IMAGE]["origin"] == f"http {SECOND}/grove.zip"
    grove.whole()


def test_N04_another_length_than_the_pinned_one_is_another_file(grove: Grove, members: dict[str, bytes]) -> None:
    grove.damage(IMAGE)
    grove.first.put("/grove.zip", packed(members, comment=b"longer"))
    envelope = grove.repair()
    assert repaired(envelope)[IMAGE]["origin"] == f"http {SECOND}/grove.zip"
    assert grove.moved(host=FIRST) <= TAIL
    grove.whole()


def test_N22_nothing_is_to_be_had(grove: Grove) -> None:
    (damaged,) = grove.damage(IMAGE)
    for site in (grove.first, grove.second):
        site.blobs.clear()
    envelope = grove.repair(code=3)
    assert envelope["data"][0]["result"]["problems"] == 1
    assert IMAGE in envelope["error"]["message"]
    assert (grove.folder / IMAGE).read_bytes() == damaged


def test_N14_temporary_trouble_is_exit_6(grove: Grove) -> None:
    grove.damage(IMAGE)
    for site in (grove.first, grove.second):
        site.faults.add("/grove.zip", Fault(status=503, always=True))
    envelope = grove.repair(code=6)
    assert envelope["error"]["exit_code"] == 6
    for site in (grove.first, grove.second):
        site.faults.clear()
    grove.repair()
    grove.whole()


def test_other_containers_are_fetched_as_a_whole(plant: Callable[..., Grove], members: dict[str, bytes]) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    grove = plant(stream.getvalue(), name="grove.tar", kind="tar")
    grove.damage(IMAGE)
    envelope = grove.repair()
    assert repaired(envelope)[IMAGE]["how"] == "whole download"
    assert [(entry.range, entry.sent) for entry in grove.asked("/grove.tar")] == [("", len(grove.archive))]
    grove.whole()


def test_A11_archives_in_an_archive_are_fetched_as_a_whole(
    plant: Callable[..., Grove], members: dict[str, bytes]
) -> None:
    grove = plant(packed({"inner.zip": packed(members)}))
    grove.damage(IMAGE)
    envelope = grove.repair()
    assert repaired(envelope)[IMAGE]["how"] == "whole download"
    grove.whole()


@pytest.mark.skipif(shutil.which("7z") is None, reason="7z makes the encrypted archive")
def test_A20_encrypted_archives_need_the_password_here_too(
    plant: Callable[..., Grove], members: dict[str, bytes], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    for name, data in members.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    packer = ["7z", "a", "-tzip", "-mem=AES256", "-psesame", str(tmp_path / "grove.zip"), "grove"]
    subprocess.run(packer, cwd=source, check=True, capture_output=True)
    grove = plant((tmp_path / "grove.zip").read_bytes(), words=("--password", "sesame"))
    grove.damage(IMAGE)
    envelope = grove.repair(code=3)
    assert envelope["error"]["fault"] == "A20"
    assert "sesame" not in json.dumps(grove.repair("--password", "sesame"))
    grove.whole()


# --- folders of hubs --------------------------------------------------------------------------------------------


HUB = "owner/grove"


def forest(kind: str) -> str:
    """The manifest with a folder on a hub instead of the archive."""
    text = manifest(b"", pinned=False, name="pictures", kind="tree")
    revision = ', revision: "' + hashlib.sha1(b"first commit").hexdigest() + '"' if kind == "huggingface" else ""
    begin, end = text.index("    mirrors:\n"), text.index("  - name: trees.csv")
    mirror = f"    mirrors:\n      - {{kind: {kind}, repo: {HUB}{revision}, path: grove}}\n"
    return text[:begin] + mirror + text[end:]


@pytest.fixture(params=["huggingface", "modelscope"])
def woods(
    request: pytest.FixtureRequest, run: Command, box: Box, manifests: Put, members: dict[str, bytes]
) -> Iterator[Grove]:
    host = box.hub if request.param == "huggingface" else box.scope
    host.add(HUB, members)
    box.web(FIRST).put("/trees.csv", table())
    manifests("grove", forest(request.param))
    run("fetch", "grove", code=0)
    made = Grove(run, b"", box.web(FIRST), box.web(SECOND))
    made.before = made.tree()
    return made


def test_S10_single_file_of_a_hub(woods: Grove) -> None:
    names = [IMAGE, "references/r1.png"]
    woods.damage(*names)
    envelope = woods.repair()
    assert {path: entry["how"] for path, entry in repaired(envelope).items()} == dict.fromkeys(names, "single file")
    size = sum(len(woods.before[name]) for name in names)
    assert {entry["moved"] for entry in repaired(envelope).values()} == {len(woods.before[name]) for name in names}
    assert size <= sum(entry.sent for entry in woods.run.box.log) <= size + 50_000  # a listing, and redirects
    woods.whole()


def test_S10_many_files_of_a_hub(woods: Grove) -> None:
    shutil.rmtree(woods.folder / "images")
    envelope = woods.repair()
    assert len(repaired(envelope)) == COUNT
    assert sum(entry.sent for entry in woods.run.box.log) <= sum(map(len, woods.before.values())) + 50_000
    woods.whole()


def test_S10_other_bytes_of_a_hub_are_never_accepted(
    run: Command, box: Box, manifests: Put, members: dict[str, bytes]
) -> None:
    """The hub states a hash, and it is that of another file now."""
    box.scope.add(HUB, members)
    box.web(FIRST).put("/trees.csv", table())
    manifests("grove", forest("modelscope"))
    run("fetch", "grove", code=0)
    grove = Grove(run, b"", box.web(FIRST), box.web(SECOND))
    grove.before = grove.tree()
    (damaged,) = grove.damage(IMAGE)
    box.scope.add(HUB, {"grove/pictures/007.png": picture("another one")})
    grove.repair(code=4)
    assert (grove.folder / IMAGE).read_bytes() == damaged
    box.scope.add(HUB, members)
    grove.repair()
    assert grove.tree() == grove.before


def test_S10_zip_in_a_folder_of_a_hub_is_read_in_parts(
    run: Command, box: Box, manifests: Put, members: dict[str, bytes]
) -> None:
    archive = packed(members)
    box.scope.add(HUB, {"grove/all.zip": archive})
    box.web(FIRST).put("/trees.csv", table())
    manifests("grove", forest("modelscope"))
    run("fetch", "grove", code=0)
    grove = Grove(run, archive, box.web(FIRST), box.web(SECOND))
    grove.before = grove.tree()
    grove.damage(IMAGE)
    envelope = grove.repair()
    assert repaired(envelope)[IMAGE]["how"] == "range requests"
    assert sum(entry.sent for entry in box.log) <= len(grove.before[IMAGE]) + TAIL + HEADERS + 50_000
    grove.whole()


# --- interrupted ------------------------------------------------------------------------------------------------


def some(grove: Grove) -> list[str]:
    """Damaged files of every kind, far apart in the archive."""
    images = [f"images/tree_{number:03}.png" for number in range(0, COUNT, 4)]
    return [*images, "references/r0.png", "labels/trees.csv", "index.csv", "splits/authors.csv"]


def restored_or_not(grove: Grove, damaged: dict[str, bytes]) -> None:
    """Each file is the recorded one, the damaged one or absent; whatever is absent lies in quarantine."""
    aside = set(grove.quarantined())
    now = grove.tree()
    for path, data in grove.before.items():
        found = now.get(path)
        assert found in (data, damaged.get(path), None), f"{path} is neither old nor new"
        if path not in damaged:
            assert found == data
        elif found != damaged[path]:
            assert damaged[path] in aside, f"what stood at {path} is lost"


@pytest.mark.rig("repair-kill", sample=8)
def test_S01_killed_at_any_instant_of_a_repair(grove: Grove, rig: Rig) -> None:
    record = grove.record.read_bytes()
    names = some(grove)
    grove.damage(*names)
    begin = time.monotonic()
    grove.repair()
    span = time.monotonic() - begin
    for _ in range(rig.length):
        shutil.rmtree(grove.run.root / ".aigiqa/quarantine")
        (grove.run.root / ".aigiqa/quarantine").mkdir()
        damaged = dict(zip(names, grove.damage(*names), strict=True))
        hits = 0
        with grove.run.start("verify", "grove", "--repair") as process:
            try:
                process.communicate(timeout=span * rig.chance.uniform(0.3, 1.0))
            except subprocess.TimeoutExpired:
                kill(process)
                hits = 1
        rig.did(hits=hits)
        restored_or_not(grove, damaged)
        assert grove.record.read_bytes() == record
        grove.repair()
        assert grove.tree() == grove.before
        assert set(damaged.values()) <= set(grove.quarantined())
    grove.run("gc", code=0)
    grove.whole()


CALLS = ("rename", "renameat", "renameat2", "fsync", "mkdir", "unlink", "unlinkat", "fchmod", "syncfs")


def traced(run: Command, *options: str) -> int:
    """A repair under strace; returns its exit code."""
    words = ["strace", "-f", "-qq", *options, sys.executable, "-m", "aigiqa_cli", "verify", "grove", "--repair"]
    return subprocess.run(words, env=run.environment, cwd=run.work, capture_output=True, check=False).returncode


@pytest.mark.rig("repair-points", sample=4)
def test_S01_killed_at_every_call_of_a_repair(grove: Grove, rig: Rig, tmp_path: Path) -> None:
    """Every n-th system call of each kind that changes names or flushes; a length beyond their number means all."""
    if shutil.which("strace") is None or traced(grove.run, "-o", "/dev/null") != 0:
        rig.not_run("strace cannot trace here")
    names = some(grove)
    record, log = grove.record.read_bytes(), tmp_path / "calls"
    grove.damage(*names)
    assert traced(grove.run, "-o", str(log), "-e", f"trace={','.join(CALLS)}") == 0
    assert grove.tree() == grove.before
    found = Counter(re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE))
    points = [(call, n + 1) for call, count in sorted(found.items()) for n in range(count)]
    assert found["fsync"] > len(names)
    for call, number in rig.chance.sample(points, min(rig.length, len(points))):
        damaged = dict(zip(names, grove.damage(*names), strict=True))
        code = traced(grove.run, "-o", "/dev/null", "-e", f"inject={call}:signal=SIGKILL:when={number}")
        rig.did(hits=code != 0)
        restored_or_not(grove, damaged)
        assert grove.record.read_bytes() == record
        grove.repair()
        assert grove.tree() == grove.before, (call, number)
    print(f"{len(points)} points")
    grove.run("gc", code=0)
    invariants.check(grove.run.root, settled=True)
    left = list((grove.run.root / ".aigiqa/staging").iterdir())
    assert not [path for path in left if (path / "owner.json").exists()], "gc keeps only what says no owner (S18)"


def test_S01_killed_between_files_keeps_those_that_are_done(grove: Grove) -> None:
    """The second image never comes before the kill; the label table, restored before it, is not fetched again."""
    grove.damage(IMAGE, "labels/trees.csv")
    for site in (grove.first, grove.second):
        site.faults.add("/grove.zip", Fault(delay=60, always=True))
    grove.run.box.log.clear()
    with grove.run.start("verify", "grove", "--repair") as process:
        deadline = time.monotonic() + 60
        while not grove.asked() and time.monotonic() < deadline:
            time.sleep(0.01)
        kill(process)
    assert (grove.folder / "labels/trees.csv").read_bytes() == grove.before["labels/trees.csv"]
    for site in (grove.first, grove.second):
        site.faults.clear()
    grove.repair()
    assert grove.asked("/trees.csv") == []
    grove.run("gc", code=0)
    grove.whole()


def test_N16_a_changed_manifest_does_not_change_what_is_recorded(
    grove: Grove, manifests: Put, members: dict[str, bytes]
) -> None:
    """The manifest of today has another title; what is restored is still the recorded version."""
    manifests(
        "grove", manifest(grove.archive).replace("title: Grove", "title: Groves").replace("version: 1", "version: 2", 1)
    )
    record = grove.record.read_bytes()
    grove.damage("index.csv", IMAGE, "splits/authors.csv")
    (grove.run.root / "index.csv").unlink()
    grove.repair()
    assert grove.tree() == grove.before
    assert grove.record.read_bytes() == record


# --- what is published elsewhere or changed since ---------------------------------------------------------------


def installed(run: Command, manifests: Put, text: str, archive: bytes, *words: str) -> Grove:
    """An installation of a manifest of its own."""
    for host in (FIRST, SECOND):
        run.box.web(host).put("/grove.zip", archive)
    run.box.web(FIRST).put("/trees.csv", table())
    manifests("grove", text)
    run("fetch", "grove", *words, code=0)
    made = Grove(run, archive, run.box.web(FIRST), run.box.web(SECOND))
    made.before = made.tree()
    return made


def test_S10_a_label_table_inside_the_archive(run: Command, manifests: Put, members: dict[str, bytes]) -> None:
    archive = packed(members | {"grove/trees.csv": table()})
    text = manifest(archive).replace(
        f"    mirrors: [{{kind: http, url: https://{FIRST}/trees.csv}}]\n", "    inside: grove.zip\n"
    )
    grove = installed(run, manifests, text, archive)
    put_aside = grove.damage("labels/trees.csv", IMAGE)
    envelope = grove.repair()
    assert {entry["how"] for entry in repaired(envelope).values()} == {"range requests"}
    assert grove.quarantined() == sorted(put_aside)
    grove.whole()


def test_S10_a_label_table_that_no_install_needs(run: Command, manifests: Put, members: dict[str, bytes]) -> None:
    """It was given by hand; a repair looks for it like for any other."""
    archive = packed(members)
    text = manifest(archive)
    optional = f"""\
  - name: full.csv
    role: labels
    format: csv
    optional: true
    mirrors: [{{kind: http, url: https://{FIRST}/full.csv}}]
labels:
  - needs: [full.csv]
"""
    source = text[text.index("    tables:") : text.index("splits:")].replace("trees.csv", "full.csv")
    manifests("grove", text.replace("labels:\n", optional + source, 1))
    given = run.work / "full.csv"
    given.write_bytes(table())
    (run.work / "grove.zip").write_bytes(archive)
    run("import", "grove", run.work / "grove.zip", given, code=0)
    grove = Grove(run, archive, run.box.web(FIRST), run.box.web(SECOND))
    grove.before = grove.tree()
    assert "labels/full.csv" in grove.before
    grove.first.put("/full.csv", table())
    grove.damage("labels/full.csv")
    envelope = grove.repair()
    assert repaired(envelope)["labels/full.csv"]["how"] == "label table"
    grove.whole()


def test_S10_a_published_split(run: Command, manifests: Put, members: dict[str, bytes]) -> None:
    archive, commit = packed(members), "5" * 40
    sides = {"train": range(18), "test": range(18, COUNT)}
    files = {side: ("name\n" + "".join(f"tree_{n:03}.png\n" for n in rows)).encode() for side, rows in sides.items()}
    run.box.github.add("owner/splits", commit, {f"{side}.csv": data for side, data in files.items()})
    listed = "".join(
        f"        - {{part: {side}, path: {side}.csv, bytes: {len(data)}, rows: {len(sides[side])}, "
        f"sha256: {hashlib.sha256(data).hexdigest()}}}\n"
        for side, data in files.items()
    )
    split = (
        "  - name: paper\n    published:\n      kind: github\n      repo: owner/splits\n"
        f'      revision: "{commit}"\n      format: csv\n      columns: [name]\n      image: name\n'
        f"      files:\n{listed}    evidence: invented\n"
    )
    text = manifest(archive)
    at = text.index("expect:")
    grove = installed(run, manifests, text[:at] + split + text[at:], archive, "--splits")
    assert grove.before["splits/paper.csv"].count(b",test") == COUNT - 18
    grove.damage("splits/paper.csv")
    envelope = grove.repair()
    assert repaired(envelope)["splits/paper.csv"]["how"] == "computed"
    assert grove.asked() == []
    assert envelope["data"][0]["result"]["moved"] == sum(map(len, files.values()))
    grove.whole()


def test_S10_a_manifest_that_is_no_more_is_built_anew(grove: Grove, manifests: Put) -> None:
    """The recorded copy is damaged and the catalogue has another version: the database follows the catalogue."""
    newer = manifest(grove.archive).replace("title: Grove", "title: Groves")
    manifests("grove", newer)
    (put_aside,) = grove.damage("database.yaml")
    grove.repair()
    assert grove.tree() == grove.before | {"database.yaml": newer.encode()}
    assert put_aside in grove.quarantined()
    assert grove.asked() == []
    invariants.check(grove.run.root, settled=True)


def test_N31_a_label_table_that_was_replaced_upstream_is_not_taken(grove: Grove) -> None:
    (damaged,) = grove.damage("labels/trees.csv")
    grove.first.put("/trees.csv", table().replace(b"tree number 3", b"tree number three"))
    envelope = grove.repair(code=4)
    assert envelope["error"]["fault"] == "N31"
    assert (grove.folder / "labels/trees.csv").read_bytes() == damaged
    grove.first.put("/trees.csv", table())
    grove.repair()
    grove.run("gc", code=0)
    grove.whole()


def test_root_index_is_repaired_with_the_rest(grove: Grove) -> None:
    index = grove.run.root / "index.csv"
    before = index.read_bytes()
    index.write_bytes(before[:-5])
    grove.run("verify", code=4)
    grove.run("verify", "--repair", code=0)
    assert index.read_bytes() == before
    assert grove.quarantined() == [before[:-5]]
