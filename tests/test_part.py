"""`aigiqa fetch --sample | --where | --images`: the labels, and just the images that are wanted."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tarfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import invariants
import pytest
import replicas
from conftest import LIMIT, Command, Done, kill
from doubles import Blob, Box, Fault
from doubles.fault_server import Site
from grove import COUNT, FIRST, HEADERS, REFERENCES, SECOND, TAIL, Put, archived, packed, picture, pictures

import aigiqa_cli

REPO = "owner/grove"


@pytest.fixture(scope="session")
def members() -> dict[str, bytes]:
    return pictures()


def tarred(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return stream.getvalue()


def table() -> bytes:
    """Scores 0.0, 0.1, ... 2.3; the first eight trees are by attngan, the others by glide."""
    rows = [f"{n:03}.png,tree number {n},r{n % REFERENCES}.png,{n / 10},{kind(n)}" for n in range(COUNT)]
    return ("\n".join(["name,prompt,origin,mos,model", *rows]) + "\n").encode()


def kind(number: int) -> str:
    return "attngan" if number < 8 else "glide"


def manifest(assets: str) -> str:
    return f"""\
schema: 1
version: 1
id: grove
title: Grove
summary: Invented trees.
license: {{spdx: CC0-1.0, scope: everything, source: invented for tests}}
citation: {{key: grove2026, type: misc, title: Grove, authors: [Nobody], year: 2026}}
assets:
{assets}
  - name: trees.csv
    role: labels
    format: csv
    bytes: {len(table())}
    sha256: {hashlib.sha256(table()).hexdigest()}
    mirrors: [{{kind: http, url: https://{FIRST}/trees.csv}}]
labels:
  - needs: [trees.csv]
    tables: [{{file: trees.csv, columns: [name, prompt, origin, mos, model]}}]
    extract: {{name: '^(?P<number>\\d{{3}})\\.png$'}}
    columns: {{prompt: prompt, generator: model, task: {{const: i2i}}}}
    scores: {{quality: {{mos: mos, range: [0, 5]}}}}
    image: {{id: "tree_{{name}}", find: ["pictures/{{name}}"]}}
    reference: {{when: origin, name: "{{origin}}", find: ["origins/{{origin}}"]}}
splits:
  - {{name: authors, rule: {{every: 4, test: [3]}}, evidence: invented}}
expect: {{images: {COUNT}, rows: {COUNT}, generators: {{attngan: 8, glide: 16}}}}
"""


@dataclass
class Grove:
    """The database, not installed yet, and its mirrors."""

    run: Command
    archive: bytes
    first: Site
    second: Site

    @property
    def folder(self) -> Path:
        return self.run.root / "grove"

    def fetch(self, *words: object, code: int = 0, **more: Any) -> Done:
        return self.run("fetch", "grove", *words, code=code, **more)

    def fault(self, *words: object, code: int) -> dict[str, Any]:
        """The error of a fetch that fails; the hint is the next command."""
        return dict(self.fetch(*words, "--json", code=code).json()["data"][0]["error"])

    def images(self) -> list[int]:
        """The numbers of the trees that are here."""
        folder = self.folder / "images"
        return sorted(int(path.stem.removeprefix("tree_")) for path in folder.iterdir()) if folder.exists() else []

    def rows(self) -> list[dict[str, str]]:
        with (self.folder / "index.csv").open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def record(self) -> dict[str, Any]:
        return dict(json.loads((self.run.root / ".aigiqa/installed/grove.json").read_bytes()))

    def proofs(self) -> set[tuple[str, str]]:
        """(origin, what vouches for it) of the images."""
        return {(s["origin"], s["proof"]) for s in self.record()["sources"] if s["role"] == "images"}

    def asked(self, path: str = "/grove.zip", host: str = "") -> list[Any]:
        return [e for e in self.run.box.log if e.path == path and host in ("", e.host)]

    def moved(self, path: str = "/grove.zip", host: str = "") -> int:
        return sum(entry.sent for entry in self.asked(path, host))

    def sound(self, members: dict[str, bytes]) -> None:
        """Every file is as recorded, and has the bytes of the archive; nothing is left over."""
        self.run("verify", "--decode", code=0)
        invariants.check(self.run.root, settled=True)
        for number in self.images():
            data = (self.folder / f"images/tree_{number:03}.png").read_bytes()
            assert data == members[f"grove/pictures/{number:03}.png"]
        assert list((self.run.root / ".aigiqa/staging").iterdir()) == []
        assert list((self.run.root / ".aigiqa/partial").iterdir()) == []


@pytest.fixture
def plant(run: Command, box: Box, manifests: Put, members: dict[str, bytes]) -> Callable[..., Grove]:
    """`plant(pinned=False)`: both mirrors serve the archive."""

    def make(archive: bytes | None = None, **about: Any) -> Grove:
        data = packed(members) if archive is None else archive
        first, second = box.web(FIRST), box.web(SECOND)
        for site in (first, second):
            site.put(f"/{about.get('name', 'grove.zip')}", data)
        first.put("/trees.csv", table())
        manifests("grove", manifest(archived(data, **about)))
        return Grove(run, data, first, second)

    return make


@pytest.fixture
def grove(plant: Callable[..., Grove]) -> Grove:
    return plant()


def drawn(count: int, numbers: list[int], seed: int = 0) -> list[int]:
    """The rule of README: the lowest SHA-256 of the seed, a line end and the name."""
    keys = {hashlib.sha256(f"{seed}\ntree_{number:03}.png".encode()).hexdigest(): number for number in numbers}
    return sorted(keys[key] for key in sorted(keys)[:count])


EVERY = list(range(COUNT))
PARTS = f"http {FIRST}/grove.zip, in parts"


# --- what comes, and what it costs ------------------------------------------------------------------------------


def test_sample_brings_labels_and_just_these_images(grove: Grove, members: dict[str, bytes]) -> None:
    done = grove.fetch("--sample", 5, "--json")
    numbers = drawn(5, EVERY)
    assert grove.images() == numbers
    size = sum(len(members[f"grove/pictures/{n:03}.png"]) for n in numbers)
    size += sum(len(members[f"grove/origins/r{r}.png"]) for r in {n % REFERENCES for n in numbers})
    assert size <= grove.moved() <= size + TAIL + 7 * HEADERS < len(grove.archive) / 2
    (told,) = done.json()["data"]
    assert (told["result"]["images"], told["result"]["rows"], told["result"]["chosen"]) == (5, COUNT, 5)
    assert told["result"]["state"] == "sample (5 of 24 images, unpinned)"
    assert told["result"]["unpinned"] == ["grove.zip"]
    grove.sound(members)


def test_labels_of_all_images_are_in_the_index(grove: Grove) -> None:
    grove.fetch("--sample", 3)
    rows = grove.rows()
    assert [row["image_id"] for row in rows] == [f"tree_{n:03}.png" for n in EVERY]
    assert [row["mos_quality"] for row in rows] == [str(n / 10) for n in EVERY]
    for row in rows:
        here = int(row["image_id"][5:8]) in grove.images()
        assert bool(row["image_path"]) == bool(row["reference_path"]) == bool(row["sha256"]) == here
        assert ("no-image" in row["flags"].split(";")) != here
        assert not here or (row["width"], row["height"], row["format"]) == ("160", "160", "png")


def test_a_sample_is_the_same_everywhere_and_part_of_a_larger_one(grove: Grove) -> None:
    grove.fetch("--sample", 4, "--seed", 7)
    first = grove.images()
    assert first == drawn(4, EVERY, 7) != drawn(4, EVERY, 0)
    grove.run.box.log.clear()
    grove.fetch("--sample", 6, "--seed", 7)
    assert grove.images() == drawn(6, EVERY, 7)
    assert set(first) < set(grove.images())
    assert grove.moved() < 2 * 90_000 + TAIL + 3 * HEADERS, "what is here is not moved again"
    assert grove.asked("/trees.csv") == []


def test_where_speaks_the_language_of_export(grove: Grove) -> None:
    grove.fetch("--where", "generator = 'attngan' AND mos_quality > 0.4")
    assert grove.images() == [5, 6, 7]
    done = grove.run("export", "grove", "--where", "image_path <> ''", "--columns", "image_id", code=0)
    assert done.out.split() == ["image_id", "tree_005.png", "tree_006.png", "tree_007.png"]


def test_sample_of_where_of_images(grove: Grove) -> None:
    names = "".join(f"tree_{n:03}.png\n" for n in range(4, 20))
    grove.fetch("--images", "-", "--where", "generator = 'attngan'", "--sample", 2, stdin=names)
    assert grove.images() == drawn(2, [4, 5, 6, 7])


def test_images_by_any_published_name(grove: Grove) -> None:
    names = grove.run.work / "names.txt"
    names.write_text("\ufefftree_003.png\n\n  images\\tree_004.PNG \ntree_005\n", encoding="utf-8")
    grove.fetch("--images", names)
    assert grove.images() == [3, 4, 5]


def test_the_same_again_asks_nobody(grove: Grove) -> None:
    grove.fetch("--sample", 4)
    before = grove.record()
    grove.run.box.log.clear()
    done = grove.fetch("--sample", 4, "--json")
    assert done.json()["data"][0]["result"]["changed"] is False
    grove.fetch("--sample", 2)
    assert grove.run.box.log == []
    assert grove.record() == before


def test_force_brings_the_chosen_anew_and_keeps_the_others(grove: Grove, members: dict[str, bytes]) -> None:
    grove.fetch("--sample", 4)
    grove.run.box.log.clear()
    grove.fetch("--where", "row < 2", "--force")
    assert grove.images() == sorted({*drawn(4, EVERY), 0, 1})
    grove.run.box.log.clear()
    grove.fetch("--where", "row < 2", "--force")
    assert grove.moved() > sum(len(members[f"grove/pictures/{n:03}.png"]) for n in (0, 1))
    assert grove.images() == sorted({*drawn(4, EVERY), 0, 1})
    grove.sound(members)


# --- the rest later ---------------------------------------------------------------------------------------------


def test_plain_fetch_completes_and_proves(grove: Grove, members: dict[str, bytes]) -> None:
    grove.fetch("--sample", 5)
    assert grove.proofs() == {(PARTS, "")}
    done = grove.fetch("--json")
    assert done.json()["data"][0]["result"]["state"] == "installed"
    assert grove.images() == EVERY
    assert grove.proofs() == {(f"http {FIRST}/grove.zip", "sha256")}
    grove.sound(members)


def test_parts_that_add_up_to_all_are_still_unproven(grove: Grove, members: dict[str, bytes]) -> None:
    for where in ("row < 8", "row BETWEEN 8 AND 15", "row > 15"):
        grove.fetch("--where", where)
    assert grove.images() == EVERY
    assert grove.run("list", code=0).out.count("\tinstalled (unpinned)\n") == 1
    grove.run.box.log.clear()
    grove.fetch()
    assert grove.moved() == len(grove.archive)
    assert grove.proofs() == {(f"http {FIRST}/grove.zip", "sha256")}
    grove.sound(members)


def test_a_part_of_what_is_whole_is_nothing_new(grove: Grove) -> None:
    grove.fetch()
    before = grove.record()
    grove.run.box.log.clear()
    grove.fetch("--sample", 5)
    assert grove.run.box.log == []
    assert grove.record() == before
    error = grove.fault("--sample", 5, "--force", code=2)
    assert "aigiqa verify --repair grove" in error["hint"]
    assert grove.record() == before


def test_most_of_it_comes_whole_and_proven(grove: Grove, members: dict[str, bytes]) -> None:
    grove.fetch("--sample", 3)
    grove.run.box.log.clear()
    grove.fetch("--where", "row < 20")
    assert [(entry.range, entry.sent) for entry in grove.asked()] == [("", len(grove.archive))]
    assert grove.images() == sorted({*range(20), *drawn(3, EVERY)})
    assert grove.proofs() == {(f"http {FIRST}/grove.zip", "sha256")}, "what had come in parts is out of it too"
    grove.sound(members)


def test_every_image_is_a_whole_fetch(grove: Grove, members: dict[str, bytes]) -> None:
    grove.fetch("--sample", 1_000)
    assert grove.images() == EVERY
    assert str(grove.record()["state"]) == "installed"
    assert grove.proofs() == {(f"http {FIRST}/grove.zip", "sha256")}
    grove.sound(members)


def test_kept_archives_are_the_nearest_source(grove: Grove, members: dict[str, bytes]) -> None:
    grove.fetch("--keep-archives")
    grove.run("remove", "grove", code=0)
    grove.run.box.log.clear()
    grove.fetch("--sample", 3)
    assert grove.asked() == []
    assert grove.proofs() == {("kept archive", "sha256")}
    assert grove.run("list", code=0).out.count("sample (3 of 24 images)") == 1
    grove.sound(members)


def test_N31_later_bytes_are_others(plant: Callable[..., Grove], members: dict[str, bytes]) -> None:
    grove = plant(pinned=False)
    grove.fetch("--where", "row = 3")
    changed = packed(members | {"grove/pictures/003.png": picture("another")})
    for site in (grove.first, grove.second):
        site.put("/grove.zip", changed)
    error = grove.fault(code=4)
    assert error["fault"] == "N31"
    assert "aigiqa remove grove" in error["hint"]
    assert grove.images() == [3], "nothing was replaced"


def test_N31_parts_of_two_archives_are_not_added_up(plant: Callable[..., Grove], members: dict[str, bytes]) -> None:
    grove = plant(pinned=False)
    grove.fetch("--where", "row = 3")
    for site in (grove.first, grove.second):
        site.put("/grove.zip", packed(members | {"grove/pictures/003.png": picture("a smaller one")[:-1]}))
    error = grove.fault("--where", "row = 4", code=4)
    assert (error["fault"], error["hint"]) == ("N31", "all of it, to be compared: aigiqa fetch grove")
    assert grove.images() == [3]
    grove.run("verify", "grove", code=0)


def test_proven_bytes_replace_unproven_ones(plant: Callable[..., Grove], members: dict[str, bytes]) -> None:
    """A mirror that lies about single members cannot lie about the whole."""
    name = "grove/pictures/003.png"
    other = bytearray(members[name])
    other[len(other) // 2] ^= 1
    grove = plant(packed(members, zipfile.ZIP_STORED))
    lying = packed(members | {name: bytes(other)}, zipfile.ZIP_STORED)
    for site in (grove.first, grove.second):
        site.put("/grove.zip", lying)
    grove.fetch("--where", "row = 3")
    assert (grove.folder / "images/tree_003.png").read_bytes() == other
    for site in (grove.first, grove.second):
        site.put("/grove.zip", grove.archive)
    (warning,) = grove.fetch("--json").json()["data"][0]["result"]["warnings"]
    assert "1 of the images that came in parts had other bytes (tree_003.png)" in warning
    grove.sound(members)


# --- where parts are not to be had ------------------------------------------------------------------------------


def labels_alone(grove: Grove) -> None:
    """The labels came first, and stay."""
    assert grove.images() == []
    assert grove.record()["state"] == "labels"
    grove.run("verify", code=0)


def test_N17_a_server_that_ignores_ranges(grove: Grove) -> None:
    for site in (grove.first, grove.second):
        site.faults.add("/grove.zip", Fault(ignore_range=True, always=True))
    error = grove.fault("--sample", 3, code=3)
    assert error["hint"] == "the whole database: aigiqa fetch grove"
    assert error["shares"] == []
    labels_alone(grove)
    grove.fetch()
    assert grove.images() == EVERY


def test_N17_another_mirror_gives_parts(grove: Grove, members: dict[str, bytes]) -> None:
    grove.first.faults.add("/grove.zip", Fault(ignore_range=True, always=True))
    done = grove.fetch("--sample", 3)
    assert "gives out the file only as a whole; trying http" in done.err
    assert grove.proofs() == {(f"http {SECOND}/grove.zip, in parts", "")}
    grove.sound(members)


def test_N16_replaced_between_two_requests_is_read_anew(plant: Callable[..., Grove], members: dict[str, bytes]) -> None:
    grove = plant(pinned=False)
    turned = packed(dict(reversed(members.items())))
    grove.first.faults.add("/grove.zip", Fault(then=Blob(turned)))
    done = grove.fetch("--sample", 3)
    assert "has changed meanwhile; it is read anew" in done.err
    assert [entry.status for entry in grove.asked(host=FIRST)][:3] == [206, 200, 206]
    grove.sound(members)


def test_N16_replaced_again_and_again_is_given_up(plant: Callable[..., Grove], members: dict[str, bytes]) -> None:
    grove = plant(pinned=False)
    del grove.second.blobs["/grove.zip"]
    editions = [Blob(packed(members | {"note.txt": str(number).encode()})) for number in range(4)]
    grove.first.faults.add("/grove.zip", *(Fault(then=blob) for blob in editions))
    grove.fetch("--sample", 3, code=3)  # the second mirror has it no more: that needs a person
    labels_alone(grove)
    grove.second.put("/grove.zip", grove.archive)
    grove.second.faults.add("/grove.zip", *(Fault(then=blob) for blob in editions))
    grove.first.faults.add("/grove.zip", *(Fault(then=blob) for blob in editions))
    error = grove.fault("--sample", 3, code=6)
    assert error["hint"] == "run the same command again"
    labels_alone(grove)


def test_N05_a_mirror_with_another_file_is_passed_over(grove: Grove, members: dict[str, bytes]) -> None:
    grove.first.put("/grove.zip", grove.archive + b"x")
    grove.fetch("--sample", 3)
    assert grove.proofs() == {(f"http {SECOND}/grove.zip, in parts", "")}
    grove.second.put("/grove.zip", grove.archive + b"x")
    grove.fault("--sample", 4, code=4)
    assert len(grove.images()) == 3
    grove.sound(members)


OTHER_KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "tar": ({"kind": "tar", "name": "grove.tar"}, "grove.tar is a tar archive"),
    "nobody knows": ({"kind": "other", "name": "grove.bin"}, "grove.bin is a tar archive"),
    "nested": ({"more": "    nested: [inner.zip]\n"}, "grove.zip holds archives"),
    "encrypted": ({"more": "    password: secret\n"}, "grove.zip is encrypted"),
}


@pytest.mark.parametrize("name", OTHER_KINDS)
def test_no_random_access_is_said_with_the_next_command(
    plant: Callable[..., Grove], members: dict[str, bytes], name: str
) -> None:
    about, told = OTHER_KINDS[name]
    grove = plant(tarred(members) if "grove." in about.get("name", "") else None, **about)
    error = grove.fault("--sample", 3, code=3)
    assert told in error["message"]
    assert "only as a whole" in error["message"]
    assert error["hint"] == "the whole database: aigiqa fetch grove"
    assert grove.moved(f"/{about.get('name', 'grove.zip')}") <= TAIL + 1024
    labels_alone(grove)


def test_several_archives_are_said(run: Command, box: Box, manifests: Put, members: dict[str, bytes]) -> None:
    origins = archived(b"", name="origins.zip", pinned=False).replace("role: images", "role: references")
    manifests("grove", manifest(archived(packed(members)) + origins))
    box.web(FIRST).put("/trees.csv", table())
    error = run("fetch", "grove", "--sample", 3, "--json", code=3).json()["data"][0]["error"]
    assert "is published in 2 archives" in error["message"]
    assert error["hint"] == "the whole database: aigiqa fetch grove"


def test_A11_archives_inside(plant: Callable[..., Grove], members: dict[str, bytes]) -> None:
    """Nobody has declared them: the directory at the mirror tells."""
    grove = plant(packed({"inner/a.zip": packed(members)}))
    error = grove.fault("--sample", 3, code=3)
    assert "holds archives" in error["message"]
    assert grove.moved() <= TAIL + HEADERS
    labels_alone(grove)


@pytest.mark.parametrize(
    ("extra", "fault"),
    [({"../escape.png": b"x"}, "A01"), ({"grove/a.png": b"x", "grove/A.png": b"y"}, "A15")],
    ids=["escape", "twins"],
)
def test_what_refuses_a_whole_archive_refuses_its_parts(
    plant: Callable[..., Grove], members: dict[str, bytes], extra: dict[str, bytes], fault: str
) -> None:
    grove = plant(packed(members | extra))
    assert grove.fault("--sample", 3, code=5)["fault"] == fault
    labels_alone(grove)
    assert grove.fault(code=5)["fault"] == fault


def test_twice_with_other_bytes_is_exit_4(plant: Callable[..., Grove], members: dict[str, bytes]) -> None:
    grove = plant(packed(members | {"old/pictures/003.png": picture("another")}))
    error = grove.fault("--where", "row = 3", code=4)
    assert "twice with different bytes" in str(error)
    grove.fetch("--where", "row = 4")
    assert grove.images() == [4]


def test_A25_an_image_that_is_not_there(plant: Callable[..., Grove], members: dict[str, bytes]) -> None:
    grove = plant(packed({name: data for name, data in members.items() if "003" not in name}))
    error = grove.fault("--where", "row IN (3, 4)", code=4)
    assert "lacks 1 of the 4 files" in str(error)
    labels_alone(grove)
    grove.fetch("--where", "row = 4")
    assert grove.images() == [4]


def test_require_hashes_refuses_before_anything_is_moved(grove: Grove) -> None:
    error = grove.fault("--sample", 3, "--require-hashes", code=4)
    assert (error["fault"], error["hint"]) == ("M10", "the whole of it is proven: aigiqa fetch grove --require-hashes")
    assert grove.asked() == []
    grove.fetch("--sample", 3)
    grove.fetch("--require-hashes")
    assert grove.images() == EVERY


BAIDU = "    mirrors: [{kind: baidu, url: https://pan.baidu.com/s/1grove, code: gr0v}]\n"


def test_only_a_person_can_download_it(run: Command, box: Box, manifests: Put) -> None:
    manifests("grove", manifest("  - name: grove.zip\n    role: images\n    format: zip\n" + BAIDU))
    box.web(FIRST).put("/trees.csv", table())
    error = run("fetch", "grove", "--sample", 3, "--json", code=3).json()["data"][0]["error"]
    assert [(share["kind"], share["code"]) for share in error["shares"]] == [("baidu", "gr0v")]
    assert error["hint"] == "aigiqa import grove ~/Downloads/grove.zip"


def test_what_a_person_downloads_meanwhile_is_taken(
    run: Command, box: Box, manifests: Put, members: dict[str, bytes], tmp_path: Path
) -> None:
    """It is there as a whole then, so the whole of it is installed."""
    manifests("grove", manifest(archived(packed(members)).partition("    mirrors:")[0] + BAIDU))
    box.web(FIRST).put("/trees.csv", table())
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    process = run.start("fetch", "grove", "--sample", 3, "--watch", downloads)
    assert process.stderr is not None
    while "watching" not in (line := process.stderr.readline()):  # what came before that is older
        assert line, "it ended before"
    (downloads / "x.part").write_bytes(packed(members))
    (downloads / "x.part").rename(downloads / "whatever.zip")
    out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out) == (0, f"{run.root / 'grove'}\n"), err
    assert len(list((run.root / "grove/images").iterdir())) == COUNT


def test_labels_that_are_only_inside_come_with_the_whole(
    run: Command, manifests: Put, members: dict[str, bytes]
) -> None:
    text = manifest(archived(packed(members)))
    manifests(
        "grove",
        text.replace(f"    mirrors: [{{kind: http, url: https://{FIRST}/trees.csv}}]\n", "    inside: grove.zip\n"),
    )
    error = run("fetch", "grove", "--sample", 3, "--json", code=3).json()["data"][0]["error"]
    assert "only inside its image archive" in error["message"]
    assert error["hint"] == "aigiqa fetch grove"


# --- wrong usage ------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "no column": (("--where", "beauty > 3"), "beauty"),
    "sub-select": (("--where", "row IN (SELECT 1)"), "sub-select"),
    "what files tell": (("--where", "width > 10"), "width is known only of images that are here"),
    "nothing fits": (("--where", "mos_quality > 4"), "no image of grove is chosen"),
    "seed alone": (("--seed", "3"), "--seed goes with --sample"),
    "labels only": (("--labels-only", "--sample", "3"), "--labels-only brings no images"),
    "unknown name": (("--images", "names.txt"), "no image 'tree_099.png'"),
    "no file": (("--images", "nowhere.txt"), "nowhere.txt cannot be read"),
    "empty file": (("--images", "empty.txt"), "names no image"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage(grove: Grove, name: str) -> None:
    (grove.run.work / "names.txt").write_text("tree_001.png\ntree_099.png\n")
    (grove.run.work / "empty.txt").write_text("\n")
    words, told = WRONG[name]
    done = grove.fetch(*words, code=2)
    assert told in done.err
    assert grove.asked() == []


def test_sample_of_nothing_is_no_number(grove: Grove) -> None:
    assert "--sample" in grove.fetch("--sample", 0, code=2).err


# --- what else works on a part ----------------------------------------------------------------------------------


def test_every_command_reads_a_part(grove: Grove) -> None:
    grove.fetch("--sample", 5)
    numbers = grove.images()
    run = grove.run
    assert run("path", "grove", code=0).out == f"{grove.folder}\n"
    assert "sample (5 of 24 images, unpinned)" in run("list", code=0).out
    assert "sample (5 of 24 images, unpinned)" in run("info", "grove", code=0).out
    assert "sample (5 of 24 images, unpinned)" in run("doctor").out
    assert run("index", "--cat", code=0).out.count("\n") == COUNT + 1
    assert run("stats", "grove", "--json", code=0).json()["data"][0]["result"]["counts"]["files"] == 5
    done = run("export", "grove", "--format", "hf", "-o", "hf", code=0)
    assert len([p for p in (run.work / "hf").rglob("*.png") if "reference" not in str(p)]) == 5
    assert "19" in done.err, "the rows without image are counted"
    assert run("export", "grove", "--format", "pyiqa", code=0).out.count("\n") == 6
    run("gallery", "grove", "-o", "page.html", "--embed", code=0)
    here, away = f"tree_{numbers[0]:03}.png", next(f"tree_{n:03}.png" for n in EVERY if n not in numbers)
    assert len(run("show", "grove", here, "--json", code=0).json()["data"]["files"]) == 2
    assert run("show", "grove", away, "--json", code=0).json()["data"]["files"] == []
    run("verify", "grove", code=0)


def test_overlap_of_bytes_is_not_claimed_of_images_that_are_not_here(grove: Grove) -> None:
    grove.fetch("--sample", 5)
    (pair,) = grove.run("split", "audit", "grove", "authors", "--json", code=0).json()["data"]["pairs"]
    for kind in ("bytes", "near"):
        assert pair["overlap"][kind]["shared"] is None
        assert pair["overlap"][kind]["why"] == "only 5 of 24 images are here"


def test_repair_of_a_part(grove: Grove, members: dict[str, bytes]) -> None:
    grove.fetch("--sample", 5)
    before = grove.record()
    number = grove.images()[0]
    (grove.folder / f"images/tree_{number:03}.png").write_bytes(b"damaged")
    (grove.folder / "index.csv").unlink()
    (grove.run.root / "index.csv").unlink()
    grove.run("verify", "--repair", code=0)
    assert grove.record() == before
    grove.sound(members)


def test_damage_is_told_before_anything_is_added(grove: Grove, members: dict[str, bytes]) -> None:
    grove.fetch("--where", "row = 3")
    (grove.folder / "images/tree_003.png").write_bytes(b"damaged")
    error = grove.fault("--where", "row = 4", code=4)
    assert error["hint"] == "aigiqa verify --repair grove"
    grove.run("verify", "--repair", code=0)
    grove.fetch("--where", "row = 4")
    grove.sound(members)


def test_labels_only_and_import_on_a_part(grove: Grove, members: dict[str, bytes]) -> None:
    grove.fetch("--sample", 5)
    grove.fetch("--labels-only")
    assert len(grove.images()) == 5
    archive = grove.run.work / "mine.zip"
    archive.write_bytes(grove.archive)
    grove.run("import", "grove", archive, code=0)
    assert grove.images() == EVERY
    assert str(grove.record()["state"]) == "installed"
    grove.sound(members)


def test_a_newer_manifest_keeps_the_part(grove: Grove, manifests: Put, members: dict[str, bytes]) -> None:
    grove.fetch("--sample", 5)
    text = manifest(archived(grove.archive)).replace("version: 1\nid", "version: 2\nid").replace("Invented", "Planted")
    manifests("grove", text)
    assert "update (5 of 24 images, unpinned)" in grove.run("list", code=0).out
    grove.run.box.log.clear()
    grove.fetch("--sample", 6)
    assert grove.images() == drawn(6, EVERY)
    assert grove.record()["manifest_version"] == 2
    grove.sound(members)


def test_remove_takes_a_part(grove: Grove) -> None:
    grove.fetch("--sample", 5)
    grove.run("remove", "grove", code=0)
    assert not grove.folder.exists()
    invariants.check(grove.run.root, settled=True)


def test_dry_run_says_how_many(grove: Grove) -> None:
    (told,) = grove.fetch("--sample", 5, "--dry-run", "--json").json()["data"]
    plan = {item["asset"]: item for item in told["result"]["plan"]}
    assert plan["trees.csv"]["bytes"] == len(table())
    assert (plan["grove.zip"]["bytes"], plan["grove.zip"]["approximate_size"]) == (None, "5 of 24 images")
    assert not grove.run.root.exists()
    grove.fetch("--sample", 4)
    (told,) = grove.fetch("--sample", 5, "--dry-run", "--json").json()["data"]
    (item,) = told["result"]["plan"]
    assert item["approximate_size"] == "1 of 24 images"
    (told,) = grove.fetch("--sample", 4, "--dry-run", "--json").json()["data"]
    assert told["result"]["plan"] == []


def test_killed_on_the_way_the_same_command_heals(grove: Grove, members: dict[str, bytes]) -> None:
    """The third part never comes before the kill."""
    grove.fetch("--where", "row = 3")
    grove.run.box.log.clear()
    for site in (grove.first, grove.second):
        site.faults.add("/grove.zip", Fault(), Fault(stall=60, cut=10))
    process = grove.run.start("fetch", "grove", "--where", "row < 9")
    deadline = time.monotonic() + LIMIT
    while len(grove.asked()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    kill(process)
    invariants.check(grove.run.root, settled=False)
    assert grove.images() == [3]
    for site in (grove.first, grove.second):
        site.faults.clear()
    grove.fetch("--where", "row < 9")
    assert grove.images() == list(range(9))
    grove.sound(members)


# --- folders of hubs --------------------------------------------------------------------------------------------

TREE = """\
  - name: forest
    role: images
    format: tree
    mirrors: [{kind: huggingface, repo: %s, revision: "%s", path: grove}]
"""


@pytest.fixture
def forest(run: Command, box: Box, manifests: Put, members: dict[str, bytes]) -> Grove:
    """The same as single files of a hub."""
    first = box.web(FIRST)
    first.put("/trees.csv", table())
    commit = box.hub.add(REPO, members | {"README.md": b"# forest"}).commit
    manifests("grove", manifest(TREE % (REPO, commit)))
    return Grove(run, b"", first, first)


def files(grove: Grove) -> list[str]:
    """The images whose bytes the hub has sent."""
    return sorted(e.path.rpartition("/")[2] for e in grove.run.box.log if e.path.endswith(".png") and e.status == 200)


def test_tree_gives_just_these_files(forest: Grove, members: dict[str, bytes]) -> None:
    forest.fetch("--where", "row < 3")
    assert files(forest) == ["000.png", "001.png", "002.png", "r0.png", "r1.png"]
    assert forest.images() == [0, 1, 2]
    assert forest.record()["state"] == "sample"
    assert forest.proofs() == {(f"huggingface {REPO}", "")}
    forest.sound(members)


def test_tree_is_completed_without_moving_what_is_here(forest: Grove, members: dict[str, bytes]) -> None:
    forest.fetch("--where", "row < 20")
    forest.run.box.log.clear()
    forest.fetch("--where", "row = 21")
    assert files(forest) == ["021.png"], "its reference is here"
    forest.run.box.log.clear()
    forest.fetch()
    assert files(forest) == ["020.png", "022.png", "023.png"]
    assert forest.images() == EVERY
    assert str(forest.record()["state"]) == "installed"
    forest.sound(members)


def test_an_unfinished_whole_fetch_is_left_alone(forest: Grove, members: dict[str, bytes]) -> None:
    forest.run.box.hub.faults.add(f"{REPO}/grove/pictures/023.png", Fault(status=403, always=True))
    forest.fetch(code=3)
    done = len(files(forest))
    assert done > 10
    forest.fetch("--where", "row = 3")
    forest.run.box.hub.faults.clear()
    forest.run.box.log.clear()
    forest.fetch()
    assert len(files(forest)) <= COUNT + REFERENCES - done
    forest.sound(members)


def test_tree_with_archives_comes_whole(forest: Grove, members: dict[str, bytes]) -> None:
    hub = forest.run.box.hub
    repository = hub.repositories[REPO]
    for name in [name for name in repository.blobs if name.endswith("003.png")]:
        del repository.blobs[name]
    hub.add(REPO, {"grove/more.zip": packed({"pictures/003.png": members["grove/pictures/003.png"]})})
    error = forest.fault("--where", "row = 3", code=3)
    assert "holds archives" in error["message"]
    assert error["hint"] == "the whole database: aigiqa fetch grove"
    forest.fetch("--where", "row = 4")
    forest.fetch()
    assert forest.images() == EVERY
    forest.sound(members)


# --- a built-in manifest ----------------------------------------------------------------------------------------


def test_agiqa3k_by_its_own_mirrors(
    run: Command, replica_online: Path, replica_zip: Path, pictures: dict[str, bytes]
) -> None:
    """The Hub states the published hash of the archive, and its content network gives out parts by signed links."""
    where = "generator = 'midjourney' AND mos_quality > 3"
    rows = csv.DictReader(io.StringIO(replicas.true_labels().decode(), newline=""))
    fitting = [row["name"] for row in rows if row["name"].startswith("midjourney") and float(row["mos_quality"]) > 3]
    wanted = sorted(fitting, key=lambda name: hashlib.sha256(f"0\n{name}".encode()).hexdigest())[:50]
    done = run("fetch", "AGIQA-3K", "--sample", 50, "--where", where, code=0)
    assert done.out == f"{run.root / 'agiqa3k'}\n"
    assert "state sample (50 of 2,982 images, unpinned)" in done.err
    found = {path.name: path.read_bytes() for path in (run.root / "agiqa3k/images").iterdir()}
    assert found == {name: pictures[name] for name in wanted}
    parts = [entry for entry in run.box.log if entry.path.endswith("/AGIQA-3K.zip") and entry.status == 206]
    assert parts
    assert all(entry.range for entry in parts)
    listed = next(line for line in run("list", code=0).out.splitlines() if line.startswith("agiqa3k\t"))
    assert listed.endswith("\tsample (50 of 2,982 images, unpinned)")
    run("verify", "agiqa3k", "--decode", code=0)
    run("fetch", "agiqa3k", code=0)
    record = json.loads((run.root / ".aigiqa/installed/agiqa3k.json").read_bytes())
    assert (record["state"], record["images"]) == ("installed", 2982)
    assert [s["proof"] for s in record["sources"] if s["role"] == "images"] == ["sha256"]


def test_one_made_here_is_whole_and_proven(run: Command) -> None:
    run("fetch", "demo", "--sample", 7, code=0)
    assert len(list((run.root / "demo/images").iterdir())) == 7
    assert "sample (7 of 60 images), synthetic" in run("list", code=0).out


def test_python_sees_the_images_that_are_here(run: Command) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    run("fetch", "demo", "--sample", 7, code=0)
    here = aigiqa_cli.open_database("demo", root=run.root)
    assert here.state == "sample"
    assert len(here) == 60
    assert len([one for one in here.images() if one.path]) == 7
    assert len(here.to_torch("quality")) <= 7
