"""What vouches for the bytes of a database: every part of a split archive, its content, or the person here."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Command
from doubles import Box, Fault
from doubles.fault_server import Site
from test_commands import picture, serve_tiny, zip_of
from tiny import TINY_HOST, small_labels, tiny_manifest

from aigiqa_cli.archives.volumes import declared_set
from aigiqa_cli.manifest import json_schema

Put = Callable[[str, str], Path]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def archive() -> bytes:
    return zip_of()


def cut(data: bytes, count: int = 3) -> list[bytes]:
    step = len(data) // count + 1
    return [data[at : at + step] for at in range(0, len(data), step)]


def manifest_of_parts(parts: dict[str, bytes], *, by_hand: str = "", whole: str = "") -> str:
    """The manifest of `tiny` with its archive published in these parts; those of `by_hand` have a share only."""
    text = tiny_manifest(b"", pinned=True)
    before, rest = text.split("  - name: tiny.zip\n", 1)
    after = rest[rest.index("  - name: data.csv") :]
    lines = ["  - name: tiny.zip", "    role: images", "    format: zip", *([whole] if whole else []), "    volumes:"]
    for name, data in parts.items():
        lines += [f"      - name: {name}", f"        bytes: {len(data)}", f"        sha256: {sha256(data)}"]
        kind = "baidu, url: https://pan.baidu.com/s/1x" if name == by_hand else f"http, url: https://{TINY_HOST}/{name}"
        lines += ["        mirrors:", f"          - {{kind: {kind}}}"]
    return before + "\n".join(lines) + "\n" + after


def parts_of(data: bytes, stem: str = "tiny.zip") -> dict[str, bytes]:
    return {f"{stem}.{number:03}": part for number, part in enumerate(cut(data), 1)}


def serve_parts(box: Box, parts: dict[str, bytes]) -> Site:
    site = serve_tiny(box, b"")
    for name, data in parts.items():
        site.put(f"/{name}", data)
    return site


def sources(run: Command) -> list[dict[str, Any]]:
    record = json.loads((run.root / ".aigiqa" / "installed" / "tiny.json").read_bytes())
    return [source for source in record["sources"] if source["role"] == "images"]


# -- N27: an archive in parts ------------------------------------------------------------------------


@pytest.mark.parametrize("stem", ["tiny.zip", "tiny"])
def test_N27_every_part_is_fetched_proven_and_recorded(
    run: Command, box: Box, manifests: Put, archive: bytes, stem: str
) -> None:
    parts = parts_of(archive, stem)
    manifests("tiny", manifest_of_parts(parts))
    site = serve_parts(box, parts)
    name = f"{stem}.002"
    site.faults.add(f"/{name}", Fault(cut=100))
    result = run("fetch", "tiny", "--require-hashes", "--json", code=0).json()["data"][0]["result"]
    assert (result["state"], result["images"], result["unpinned"]) == ("installed", 12, [])
    assert [(s["name"], s["sha256"], s["proof"]) for s in sources(run)] == [
        (name, sha256(data), "sha256") for name, data in parts.items()
    ]
    asked = [(entry.path, entry.start) for entry in box.log if entry.host == TINY_HOST]
    assert asked == [(f"/{stem}.001", 0), (f"/{name}", 0), (f"/{name}", 100), (f"/{stem}.003", 0)]
    assert not list((run.root / ".aigiqa" / "partial").iterdir())
    run("verify", code=0)
    box.log.clear()
    run("fetch", "tiny", code=0)
    assert box.log == []


def test_N27_wrong_part_is_named_and_nothing_is_joined(run: Command, box: Box, manifests: Put, archive: bytes) -> None:
    """Two parts from one upload, one from another: the lengths are equal, so only the hashes tell."""
    parts = parts_of(archive)
    other = bytes(reversed(parts["tiny.zip.002"]))
    manifests("tiny", manifest_of_parts(parts))
    site = serve_parts(box, parts | {"tiny.zip.002": other})
    error = run("fetch", "tiny", "--json", code=4).json()["error"]
    assert "tiny.zip.002" in error["message"]
    assert error["fault"] in ("N05", "N27")
    assert not (run.root / "tiny").exists()
    site.put("/tiny.zip.002", parts["tiny.zip.002"])
    box.log.clear()
    run("fetch", "tiny", code=0)
    assert sum(entry.sent for entry in box.log if entry.path == "/tiny.zip.001") == 0, "it was proven already"


def test_N27_part_that_only_a_person_can_get(run: Command, box: Box, manifests: Put, archive: bytes) -> None:
    parts = parts_of(archive)
    manifests("tiny", manifest_of_parts(parts, by_hand="tiny.zip.003"))
    serve_parts(box, parts)
    error = run("fetch", "tiny", "--json", code=3).json()["error"]
    assert error["fault"] == "N22"
    assert {(share["name"], share["sha256"]) for share in error["shares"] if share["kind"] == "baidu"} == {
        ("tiny.zip.003", sha256(parts["tiny.zip.003"]))
    }


@pytest.fixture
def given(tmp_path: Path, archive: bytes) -> dict[str, Path]:
    folder = tmp_path / "given"
    folder.mkdir()
    paths = {}
    for name, data in parts_of(archive).items():
        paths[name] = folder / name
        paths[name].write_bytes(data)
    return paths


@pytest.mark.parametrize("words", [["tiny"], []])
def test_N27_parts_are_imported_and_proven(
    run: Command, box: Box, manifests: Put, archive: bytes, given: dict[str, Path], words: list[str]
) -> None:
    manifests("tiny", manifest_of_parts(parts_of(archive)))
    serve_parts(box, {})
    run("import", *words, given["tiny.zip.002"], "--require-hashes", code=0)
    assert [source["proof"] for source in sources(run)] == ["sha256"] * 3


def test_N27_part_of_another_upload_is_not_joined(
    run: Command, box: Box, manifests: Put, archive: bytes, given: dict[str, Path]
) -> None:
    manifests("tiny", manifest_of_parts(parts_of(archive)))
    serve_parts(box, {})
    flipped = bytearray(given["tiny.zip.002"].read_bytes())
    flipped[random.Random(27).randrange(len(flipped))] ^= 1
    given["tiny.zip.002"].write_bytes(flipped)
    done = run("import", "tiny", given["tiny.zip.001"], "--json", code=4).json()
    assert done["error"]["fault"] == "N27"
    assert "tiny.zip.002" in done["error"]["message"]
    assert [finding["path"].rpartition("/")[2] for finding in done["findings"]] == ["tiny.zip.002"]


def test_N27_last_part_that_is_missing_is_named(
    run: Command, box: Box, manifests: Put, archive: bytes, given: dict[str, Path]
) -> None:
    """No gap in the numbers tells that it is missing, only the manifest."""
    manifests("tiny", manifest_of_parts(parts_of(archive)))
    serve_parts(box, {})
    given["tiny.zip.003"].unlink()
    error = run("import", "tiny", given["tiny.zip.001"], "--json", code=3).json()["error"]
    assert error["fault"] == "N27"
    assert "tiny.zip.003" in error["message"]


def test_N27_parts_are_kept_and_used_again(run: Command, box: Box, manifests: Put, archive: bytes) -> None:
    parts = parts_of(archive)
    manifests("tiny", manifest_of_parts(parts))
    serve_parts(box, parts)
    run("fetch", "tiny", "--keep-archives", code=0)
    kept = {path.name for path in (run.root / ".aigiqa" / "archives" / "sha256").iterdir()}
    assert kept == {sha256(part) for part in parts.values()}
    box.log.clear()
    run("fetch", "tiny", "--force", code=0)
    assert [entry.path for entry in box.log if ".zip" in entry.path] == []


def test_N27_manifest_that_names_other_parts_fetches_them(
    run: Command, box: Box, manifests: Put, archive: bytes
) -> None:
    parts = parts_of(archive)
    manifests("tiny", manifest_of_parts(parts))
    serve_parts(box, parts)
    run("fetch", "tiny", code=0)
    newer = parts_of(zip_of(shift=100))
    manifest = Path(run.environment["AIGIQA_MANIFESTS"], "tiny.yaml")
    manifest.write_text(manifest_of_parts(newer).replace("version: 1", "version: 2"))
    serve_parts(box, newer)
    run("fetch", "tiny", code=0)
    assert {source["sha256"] for source in sources(run)} == {sha256(part) for part in newer.values()}
    run("verify", code=0)


def test_N27_info_list_and_plan_know_the_parts(run: Command, box: Box, manifests: Put, archive: bytes) -> None:
    parts = parts_of(archive)
    manifests("tiny", manifest_of_parts(parts))
    lines = run("info", "tiny", code=0).out.splitlines()
    assert [line.split("\t")[1] for line in lines if line.startswith("volume\t")] == list(parts)
    plan = run("fetch", "tiny", "--dry-run", "--json", code=0).json()["data"][0]["result"]["plan"]
    assert [item["bytes"] for item in plan if item["asset"] == "tiny.zip"] == [len(archive)]
    assert "http" in next(line for line in run("list", code=0).out.splitlines() if line.startswith("tiny\t"))
    assert box.log == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda text: text.replace("    volumes:\n", "    mirrors:\n      - {kind: gdrive, id: x}\n    volumes:\n"),
            "both",
        ),
        (lambda text: text.replace("name: tiny.zip.002", "name: tiny.zip.001"), "different names"),
        (lambda text: text.replace("    volumes:\n", "    bytes: 5\n    volumes:\n"), "sum of the volumes"),
        (lambda text: text.replace("    role: images\n", "    role: labels\n", 1), "images or references"),
        (lambda text: text.replace("        sha256: ", "        sha265: ", 1), "sha265"),
        (lambda text: text.replace("        bytes: ", "        note: ", 1), "bytes"),
    ],
    ids=["mirrors", "names", "sum", "role", "hash", "length"],
)
def test_N27_lint_refuses_what_proves_nothing(
    run: Command, manifests: Put, archive: bytes, change: Callable[[str], str], told: str
) -> None:
    path = manifests("tiny", change(manifest_of_parts(parts_of(archive))))
    done = run("lint", path, "--json", code=5).json()
    assert told in json.dumps(done["findings"])


def test_N27_schema_has_the_parts() -> None:
    text = json.dumps(json_schema())
    assert '"volumes"' in text
    assert '"Volume"' in text


@pytest.mark.parametrize(
    ("names", "shape", "name"),
    [
        (["a.zip.001", "a.zip.002"], "joined", "a.zip"),
        (["a.7z.001", "a.7z.002", "a.7z.003"], "joined", "a.7z"),
        (["xaa", "xab"], "joined", "xaa"),
        (["a.z01", "a.z02", "a.zip"], "disks", "a.zip"),
        (["a.part1.rar", "a.part2.rar"], "parts", "a.rar"),
        (["a.rar", "a.r00", "a.r01"], "parts", "a.rar"),
    ],
)
def test_N27_names_tell_how_parts_belong_together(tmp_path: Path, names: list[str], shape: str, name: str) -> None:
    paths = [tmp_path / f"{number}.part" for number in range(len(names))]
    for path in paths:
        path.write_bytes(b"Rar!\x1a\x07\x01\x00" + bytes(40))
    found = declared_set(names, paths)
    assert (found.shape, found.name, found.paths) == (shape, name, tuple(paths))
    assert len(set(found.names)) == len(names)


@pytest.mark.skipif(not shutil.which("zip"), reason="needs Info-ZIP")
def test_N27_disks_of_a_split_zip_are_fetched(run: Command, box: Box, manifests: Put, tmp_path: Path) -> None:
    import subprocess

    folder = tmp_path / "made"
    (folder / "tiny").mkdir(parents=True)
    names = [row["name"] for row in csv.DictReader(io.StringIO(small_labels().decode(), newline=""))]
    noise = random.Random(5)
    for number, name in enumerate(names):
        (folder / "tiny" / name).write_bytes(picture(number) + noise.randbytes(20_000))
    subprocess.run(["zip", "-q", "-0", "-r", "-s", "64k", "set.zip", "tiny"], cwd=folder, check=True)
    made = sorted(path for path in folder.iterdir() if path.is_file())
    parts = {path.name: path.read_bytes() for path in sorted(made, key=lambda path: (path.suffix == ".zip", path.name))}
    assert len(parts) > 2
    manifests("tiny", manifest_of_parts(parts))
    serve_parts(box, parts)
    run("fetch", "tiny", "--require-hashes", code=0)
    assert [source["name"] for source in sources(run)] == list(parts)


# -- N30: other bytes, the same content --------------------------------------------------------------


def zipped_anew(archive: bytes, *, other: bool = False) -> bytes:
    """The same members in another archive, as hosts that make archives on demand give them; or with one other image."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for number, info in enumerate(old.infolist()):
            data = picture(200) if other and number == 3 else old.read(info)
            new.writestr(zipfile.ZipInfo(f"tiny-0123abc/{info.filename}", (2026, 1, 1 + number, 0, 0, 0)), data)
    return target.getvalue()


def content_of(archive: bytes) -> str:
    """The content hash as the document defines it: sorted list of path, length, hash of the images."""
    with zipfile.ZipFile(io.BytesIO(archive)) as members:
        read = {f"images/{info.filename.rpartition('/')[2]}": members.read(info) for info in members.infolist()}
    lines = sorted(f"{name}  {len(data)}  {sha256(data)}\n" for name, data in read.items())
    return sha256("".join(lines).encode())


def with_content(text: str, content: str) -> str:
    return text.replace("    format: zip\n", f"    format: zip\n    content_sha256: {content}\n")


@pytest.mark.parametrize("pinned", [True, False])
def test_N30_archive_made_anew_is_known_by_its_content(
    run: Command, box: Box, manifests: Put, archive: bytes, pinned: bool
) -> None:
    manifests("tiny", with_content(tiny_manifest(archive, pinned=pinned), content_of(archive)))
    serve_tiny(box, zipped_anew(archive))
    run("fetch", "tiny", *(["--require-hashes"] if pinned else []), code=0)
    assert [source["proof"] for source in sources(run)] == ["content"], "the record says which of the two matched"
    run("fetch", "tiny", code=0)


def test_N30_pinned_bytes_are_preferred(run: Command, box: Box, manifests: Put, archive: bytes) -> None:
    """A mirror with a newly made archive does not keep another one from giving the pinned bytes."""
    text = with_content(tiny_manifest(archive), content_of(archive))
    second = "      - {kind: http, url: https://second.example.org/tiny.zip}\n      - {kind: baidu"
    manifests("tiny", text.replace("      - {kind: baidu", second, 1))
    serve_tiny(box, zipped_anew(archive))
    box.web("second.example.org").put("/tiny.zip", archive)
    run("fetch", "tiny", code=0)
    assert [(source["proof"], source["sha256"]) for source in sources(run)] == [("sha256", sha256(archive))]


def test_N30_one_other_image_is_another_content(run: Command, box: Box, manifests: Put, archive: bytes) -> None:
    manifests("tiny", with_content(tiny_manifest(archive), content_of(archive)))
    serve_tiny(box, zipped_anew(archive, other=True))
    error = run("fetch", "tiny", "--json", code=4).json()["error"]
    assert error["fault"] == "N30"
    assert not (run.root / "tiny").exists()


# -- N31: what a person accepts on this machine ------------------------------------------------------


@pytest.fixture
def replaced(run: Command, box: Box, manifests: Put, archive: bytes) -> bytes:
    """All mirrors agree on bytes that the manifest does not pin; the installed version is the pinned one."""
    manifests("tiny", tiny_manifest(archive))
    site = serve_tiny(box, archive)
    run("fetch", "tiny", code=0)
    newer = zip_of(shift=100)
    site.put("/tiny.zip", newer)
    return newer


def test_N31_refusal_names_both_hashes_and_the_cure(run: Command, replaced: bytes, archive: bytes) -> None:
    error = run("fetch", "tiny", "--force", "--json", code=4).json()["error"]
    assert sha256(replaced) in error["message"]
    assert sha256(archive) in error["message"]
    assert "--accept SHA256" in error["hint"]
    run("verify", code=0)
    assert sources(run)[0]["sha256"] == sha256(archive), "the installed version stays"


def test_N31_local_acceptance_is_remembered_and_shown_for_ever(run: Command, replaced: bytes) -> None:
    digest = sha256(replaced)
    done = run("fetch", "tiny", "--force", "--accept", digest.upper(), "--json", code=0).json()["data"][0]["result"]
    assert (done["state"], done["locally_accepted"]) == ("installed (locally accepted)", ["tiny.zip"])
    assert any("locally accepted" in warning and digest in warning for warning in done["warnings"])
    assert sources(run)[0]["proof"] == "local"
    assert digest in (run.root / ".aigiqa" / "accepted" / "tiny.json").read_text()
    run("fetch", "tiny", "--force", code=0)
    run("remove", "tiny", code=0)
    run("gc", code=0)
    run("fetch", "tiny", code=0)
    assert "installed (locally accepted)" in run("list", code=0).out
    assert "locally accepted" in run("info", "tiny", code=0).out
    run("fetch", "tiny", "--require-hashes", code=4)
    run("fetch", "tiny", "--force", "--require-hashes", code=4)


def test_N31_acceptance_is_of_these_bytes_only(run: Command, box: Box, replaced: bytes) -> None:
    run("fetch", "tiny", "--force", "--accept", sha256(replaced), code=0)
    box.web(TINY_HOST).put("/tiny.zip", zip_of(shift=50))
    run("fetch", "tiny", "--force", code=4)


def test_N31_manifest_that_pins_what_was_accepted_ends_it(run: Command, replaced: bytes) -> None:
    run("fetch", "tiny", "--force", "--accept", sha256(replaced), code=0)
    manifest = Path(run.environment["AIGIQA_MANIFESTS"], "tiny.yaml")
    manifest.write_text(tiny_manifest(replaced).replace("version: 1", "version: 2"))
    done = run("fetch", "tiny", "--json", code=0).json()["data"][0]["result"]
    assert (done["state"], done["locally_accepted"]) == ("installed", [])


def test_N31_own_download_is_accepted_on_import(run: Command, replaced: bytes, tmp_path: Path) -> None:
    mine = tmp_path / "mine.zip"
    mine.write_bytes(replaced)
    run("import", "tiny", mine, "--accept", sha256(replaced), code=0)
    assert "installed (locally accepted)" in run("list", code=0).out


@pytest.mark.parametrize("word", ["", "abc", "0" * 63, "g" * 64, "0" * 65])
def test_N31_no_hash_is_no_acceptance(run: Command, replaced: bytes, word: str) -> None:
    run("fetch", "tiny", "--force", "--accept", word, code=2 if word else 4)
    assert not (run.root / ".aigiqa" / "accepted").exists()
    run("fetch", "--all", "--accept", sha256(replaced), code=2)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"accepted": ["x"]}', b'{"accepted": 5}', b"\xff"])
def test_N31_damaged_lock_file_is_told(run: Command, replaced: bytes, content: bytes) -> None:
    run("fetch", "tiny", "--force", "--accept", sha256(replaced), code=0)
    (run.root / ".aigiqa" / "accepted" / "tiny.json").write_bytes(content)
    error = run("fetch", "tiny", "--force", "--json", code=4).json()["error"]
    assert (error["fault"], "tiny.json" in error["message"]) == ("N31", True)
