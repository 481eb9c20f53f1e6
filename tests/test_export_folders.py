"""Exports that are folders: what `datasets`, `webdataset`, `mlcroissant` and DuckDB read of them equals the index."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import LIMIT, REPOSITORY, Command, kill
from PIL import Image

from aigiqa_cli.errors import IntegrityFault, TemporaryFault, UsageFault
from aigiqa_cli.exports import FORMATS, Source, Wanted, export_folder, plan, pouring, webdataset
from aigiqa_cli.exports.about import About
from aigiqa_cli.exports.pouring import Installed
from aigiqa_cli.exports.samples import PATHS, Again
from aigiqa_cli.index import COLUMNS, KINDS

FOLDERS = [name for name, form in FORMATS.items() if form.fill]
KEPT = tuple(column for column in COLUMNS if column not in PATHS)
ABOUT = About(
    id="someset", version=3, title="Some: set", summary="Invented.", homepage="https://example.org/set", license="MIT",
    license_scope="all", license_note="", citation="@misc{some,\n  title = {{Some}},\n}\n", cited_title="Some",
    authors=("A. Body", "N. Body"), year=2026, url="https://example.org/paper", synthetic=True,
    scales={"quality": ("0", "5")}, defects=("one row twice",),
)  # fmt: skip


def picture(number: int, form: str) -> bytes:
    """A few pixels; each number gives other bytes."""
    target = io.BytesIO()
    Image.effect_noise((40 + number, 24), 60 + number).convert("RGB").save(target, form.upper())
    return target.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def install(root: Path, database: str, count: int = 11) -> list[dict[str, str]]:
    """Rows and files of an invented database: JPEG and PNG, every third image has a reference, one row has no score,
    prompts are unpleasant."""
    prompts = ("NA", 'a "red"\nsign, ünder 画像', "", "=1+1", "null")
    rows = []
    for folder in ("images", "references"):
        (root / database / folder).mkdir(parents=True)
    for number in range(count):
        form = ("jpeg", "png")[number % 2]
        name = f"SD1.5_{database}_{number:03}.{'jpg' if form == 'jpeg' else form}"
        data = picture(number, form)
        (root / database / "images" / name).write_bytes(data)
        row = dict.fromkeys(COLUMNS, "") | {
            "database": database,
            "image_id": name,
            "image_path": f"{database}/images/{name}",
            "task": "t2i",
            "prompt": prompts[number % len(prompts)],
            "generator": "stable-diffusion-1.5",
            "split": ("train", "train", "test")[number % 3],
            "row": str(number),
            "mos_quality": f"{number % 5}.250" if number else "",
            "score_quality": f"{number % 5 / 5 + 0.05:.6f}" if number else "",
            "width": str(40 + number),
            "height": "24",
            "format": form,
            "bytes": str(len(data)),
            "sha256": sha256(data),
            "extra": '{"style":"x"}' if number % 2 else "",
        }
        if number % 3 == 1:
            reference = f"{database}/references/{number % 2}/ref.png"
            (root / reference).parent.mkdir(exist_ok=True)
            (root / reference).write_bytes(picture(90 + number % 2, "png"))
            row |= {"reference_path": reference, "task": "i2i"}
        rows.append(row)
    return rows


def source(root: Path, given: list[dict[str, str]], **more: object) -> Source:
    names = dict.fromkeys(row["database"] for row in given)
    files = {}
    for row in given:
        for path in (row["image_path"], row["reference_path"]):
            if path:
                data = (root / path).read_bytes()
                files[path] = Installed(path, len(data), sha256(data))
    about = [replace(ABOUT, id=name, title=f"Some: {name}") for name in names]
    made = Source(rows=lambda: iter(given), wanted=Wanted(KEPT), root=root, files=files, about=about)
    return replace(made, **more)  # type: ignore[arg-type]


def make(made: Source, name: str, target: Path) -> Path:
    export_folder(made, plan(made), name, target)
    return target


def tree(folder: Path) -> dict[str, str]:
    """Path -> SHA-256 of every file, and where links lead."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else sha256(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if not path.is_dir()
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def rows(root: Path) -> list[dict[str, str]]:
    return install(root, "someset")


@pytest.fixture(scope="module")
def two(root: Path, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [*rows, *({**row, "split": ""} for row in install(root, "other", 4))]


MADE = {
    "hf-copy": ("hf", {}), "hf-link": ("hf", {"images": "link"}), "hf-two": ("hf", {}),
    "parquet-copy": ("hf-parquet", {}), "parquet-none": ("hf-parquet", {"images": "none"}),
    "parquet-two": ("hf-parquet", {}), "parquet-shards": ("hf-parquet", {"shard_bytes": 9_000}),
    "webdataset-copy": ("webdataset", {}), "webdataset-none": ("webdataset", {"images": "none"}),
    "webdataset-two": ("webdataset", {}), "webdataset-shards": ("webdataset", {"shard_bytes": 9_000}),
    "croissant-copy": ("croissant", {}), "croissant-link": ("croissant", {"images": "link"}),
    "croissant-none": ("croissant", {"images": "none"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(
    root: Path, rows: list[dict[str, str]], two: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    base = tmp_path_factory.mktemp("made")
    for name, (form, more) in MADE.items():
        make(source(root, two if name.endswith("-two") else rows, **more), form, base / name)
    return base


@pytest.fixture(scope="module")
def read(made: Path) -> dict[str, dict[str, list[dict[str, object]]]]:
    """What the libraries make of all of them."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(made), "HF_HOME": str(made / ".hf"), "TMPDIR": str(made)}
    command = [sys.executable, str(REPOSITORY / "tests" / "export_readers.py"), str(made)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=4 * LIMIT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, dict[str, list[dict[str, object]]]] = json.loads((made / "read.json").read_text())
    return found


def typed(row: dict[str, str], *, empty: object = "", objects: bool = False) -> dict[str, object]:
    """A row of the index as a typed reader must give it."""
    found: dict[str, object] = {}
    for column in KEPT:
        text, kind = row[column], KINDS[column]
        if kind in ("number", "integer"):
            found[column] = (float(text) if kind == "number" else int(text)) if text else None
        else:
            found[column] = text or empty
    if objects:
        found["extra"] = json.loads(row["extra"] or "{}")
    return found


def expected(root: Path, row: dict[str, str], **more: bool) -> dict[str, object]:
    found = typed(row, **more)
    found["image"] = sha256((root / row["image_path"]).read_bytes())
    if row["reference_path"]:
        found["reference"] = sha256((root / row["reference_path"]).read_bytes())
    return found


def in_part(rows: list[dict[str, str]], part: str) -> list[dict[str, str]]:
    return [row for row in rows if row["split"] == part]


# --- read back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*(n for n in MADE if n.startswith(("hf", "parquet"))), "duckdb-parquet-copy"])
def test_datasets_and_duckdb_read_the_index_and_the_bytes(name, root, rows, two, read):
    given = two if name.endswith("-two") else rows
    parts = {"train": "train", "test": "test"} | ({"unassigned": ""} if name.endswith("-two") else {})
    assert set(read[name]) == set(parts)
    for part, split in parts.items():
        wanted = [{"reference": None, **expected(root, row)} for row in in_part(given, split)]
        if name == "parquet-none":
            wanted = [typed(row) for row in in_part(given, split)]
        assert read[name][part] == wanted


@pytest.mark.parametrize("name", [name for name in MADE if name.startswith("webdataset")])
def test_webdataset_reads_the_index_and_the_bytes(name, root, rows, two, read):
    given = two if name.endswith("-two") else rows
    keys = []
    for part, found in read[name].items():
        split = "" if part == "unassigned" else part
        keys += [row.pop("__key__") for row in found]
        wanted = [expected(root, row, objects=True) for row in in_part(given, split)]
        if name == "webdataset-none":
            wanted = [typed(row, objects=True) for row in in_part(given, split)]
        assert found == wanted
    assert len(set(keys)) == len(given)
    assert all("." not in str(key) for key in keys)


@pytest.mark.parametrize("name", [name for name in MADE if name.startswith("croissant")])
def test_mlcroissant_validates_and_reads_the_records(name, root, rows, read):
    def decoded(row):
        with Image.open(root / row["image_path"]) as image:
            return sha256(image.convert("RGB").tobytes())

    wanted = []
    for row in rows:
        record = typed(row, empty=None)
        record |= {
            "file_name": row["image_id"],
            "reference_file_name": row["reference_path"].partition("references/")[2] or None,
        }
        record |= {} if name == "croissant-none" else {"image": decoded(row)}
        # mlcroissant reads the csv with pandas' defaults, to which these words are nothing
        record["prompt"] = None if row["prompt"] in ("NA", "null") else record["prompt"]
        wanted.append(record)
    assert read[name][""] == wanted


# --- what stands in them ---------------------------------------------------------------------------------------


def test_the_card_carries_licence_citation_scales_and_defects(made):
    import yaml

    for name in ("hf-copy", "parquet-copy", "webdataset-copy"):
        _, head, text = (made / name / "README.md").read_text().split("---\n", 2)
        header = yaml.safe_load(head)
        assert header["license"] == "mit"
        assert header["pretty_name"] == "Some: someset"
        assert [split["num_examples"] for split in header["dataset_info"]["splits"]] == [8, 3]
        assert ABOUT.citation in text
        assert "`mos_quality`: 0 to 5" in text
        assert "one row twice" in text
        assert "synthetic" in header["tags"]


def test_croissant_states_licence_citation_and_hashes(made):
    folder = made / "croissant-copy"
    found = json.loads((folder / "croissant.json").read_text())
    assert found["license"] == "https://spdx.org/licenses/MIT.html"
    assert found["citeAs"] == ABOUT.citation
    assert [one["name"] for one in found["creator"]] == list(ABOUT.authors)
    table = next(one for one in found["distribution"] if one["@type"] == "cr:FileObject")
    assert table["sha256"] == sha256((folder / table["contentUrl"]).read_bytes())
    with open(folder / "images.csv", newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            assert row["sha256"] == sha256((folder / "images" / row["file_name"]).read_bytes())


def test_tar_members_are_of_nobody_and_no_time(made):
    with tarfile.open(made / "webdataset-copy" / "train-000000.tar") as archive:
        members = archive.getmembers()
    assert {(one.mtime, one.uid, one.gid, one.uname, one.gname, one.mode) for one in members} == {
        (0, 0, 0, "", "", 0o644)
    }
    names = [one.name.partition(".")[2] for one in members]
    assert names[:5] == ["jpg", "json", "png", "reference.png", "json"]
    assert (made / "webdataset-copy" / "train-000000.tar").stat().st_size % tarfile.RECORDSIZE == 0


@pytest.mark.parametrize(("name", "pattern"), [("parquet-shards", "data/*.parquet"), ("webdataset-shards", "*.tar")])
def test_shards_have_at_most_the_size_and_say_how_many_they_are(name, pattern, made, rows):
    paths = sorted(path.name for path in (made / name).glob(pattern))
    assert len(paths) > 3
    if name.startswith("parquet"):
        train = [path for path in paths if path.startswith("train")]
        assert train == [f"train-{number:05}-of-{len(train):05}.parquet" for number in range(len(train))]
        for path in train:
            table = pq.read_table(made / name / "data" / path)
            size = sum(
                len(one["bytes"]) for column in ("image", "reference") for one in table[column].to_pylist() if one
            )
            assert size <= 9_000 or table.num_rows == 1


def test_links_lead_to_the_installed_files(made, root, rows):
    first = made / "hf-link" / "train" / rows[0]["image_id"]
    assert os.readlink(first) == str(root / rows[0]["image_path"])


def test_columns_are_those_that_were_asked_for(root, rows, tmp_path):
    chosen = source(root, rows, wanted=Wanted(("image_id", "mos_quality")))
    make(chosen, "hf-parquet", tmp_path / "out")
    names = pq.read_schema(next((tmp_path / "out" / "data").glob("test-*"))).names
    assert names == ["image", "reference", "image_id", "mos_quality"]


def test_a_set_without_parts_is_train(root, rows, tmp_path):
    whole = [{**row, "split": ""} for row in rows]
    make(source(root, whole), "webdataset", tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == ["README.md", "train-000000.tar"]


# --- the contract ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FOLDERS)
def test_the_same_input_gives_the_same_bytes(name, root, rows, tmp_path):
    small = {"shard_bytes": 9_000}
    first = tree(make(source(root, rows, **small), name, tmp_path / "first"))
    time.sleep(1.1)  # a clock in the bytes would show
    assert tree(make(source(root, rows, **small), name, tmp_path / "second")) == first


@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_not_empty_is_refused_and_not_touched(name, root, rows, tmp_path):
    taken, file, link = tmp_path / "taken", tmp_path / "file", tmp_path / "link"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    file.write_text("mine")
    link.symlink_to("nowhere")
    for target in (taken, file, link, tmp_path / "missing" / "out"):
        with pytest.raises(UsageFault):
            make(source(root, rows), name, target)
    assert sorted(os.listdir(tmp_path)) == ["file", "link", "taken"]
    assert tree(taken) == {"mine.txt": sha256(b"mine")}
    (tmp_path / "empty").mkdir()
    assert tree(make(source(root, rows), name, tmp_path / "empty"))


def test_a_folder_that_was_filled_meanwhile_is_not_replaced(root, rows, tmp_path):
    target = tmp_path / "out"

    def somebody(_count: int) -> None:
        target.mkdir(exist_ok=True)
        (target / "mine.txt").write_text("mine")

    with pytest.raises(UsageFault, match="not empty"):
        make(source(root, rows, advance=somebody), "webdataset", target)
    assert tree(tmp_path) == {"out/mine.txt": sha256(b"mine")}


DAMAGES = {
    "changed": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\0"),
    "cut": lambda path: os.truncate(path, 10),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "missing": lambda path: path.unlink(),
    "link": lambda path: (path.rename(path.with_suffix(".away")), path.symlink_to(path.with_suffix(".away"))),
    "folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(("name", "images"), [*((name, "copy") for name in FOLDERS), ("hf", "link")])
def test_a_damaged_file_is_found_and_nothing_is_left(name, images, damage, tmp_path):
    root = tmp_path / "root"
    rows = install(root, "someset", 5)
    made = source(root, rows, images=images)
    for path in (rows[3]["image_path"], rows[4]["reference_path"]):
        good = (root / path).read_bytes()
        DAMAGES[damage](root / path)
        with pytest.raises(IntegrityFault) as caught:
            make(made, name, tmp_path / "out")
        assert [finding.path for finding in caught.value.findings] == [path]
        assert "verify --repair someset" in caught.value.hint
        assert sorted(os.listdir(tmp_path)) == ["root"]
        if (root / path).is_dir():
            (root / path).rmdir()
        (root / path).unlink(missing_ok=True)
        (root / path).write_bytes(good)
    make(made, name, tmp_path / "out")


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("failure", [RuntimeError("half way"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_run_that_ends_half_way_leaves_nothing(name, failure, root, rows, tmp_path):
    calls = 0

    def halfway():
        nonlocal calls
        calls += 1
        for number, row in enumerate(rows):
            if calls > 1 and number == 6:
                raise failure
            yield row

    with pytest.raises(type(failure)):
        make(source(root, rows, rows=halfway, shard_bytes=9_000), name, tmp_path / "out")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", FOLDERS)
def test_rows_that_change_between_counting_and_writing_are_noticed(name, root, rows, tmp_path):
    for second in (rows[:-1], [*rows, rows[0]], [{**row, "split": "new"} for row in rows]):
        turns = chain([rows], repeat(second))
        with pytest.raises(TemporaryFault, match="changed"):
            make(source(root, rows, rows=lambda turns=turns: iter(next(turns))), name, tmp_path / "out")
        assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("part", ["a b", "../x", "all", "a/b", "é"])
def test_a_part_that_cannot_be_a_split_is_refused(part, root, rows):
    with pytest.raises(UsageFault, match="cannot be a split"):
        plan(source(root, [{**rows[0], "split": part}]))


def test_no_rows_are_a_usage_fault(root, rows):
    with pytest.raises(UsageFault, match="no image is selected"):
        plan(source(root, rows, rows=lambda: iter([])))


@pytest.mark.parametrize(("most", "reads"), [(10, 2), (11, 1), (12, 1)])
def test_few_rows_are_read_once_and_many_are_not_held(most, reads, rows):
    begun = []

    def read():
        begun.append(1)
        yield from rows

    again = Again(read, most)
    assert list(again()) == list(again()) == rows
    assert len(begun) == reads


def test_only_so_many_shards_are_held_at_one_time():
    """Bounded memory: a unit is made when a thread is free for it."""
    made, done = [], []

    def units():
        for number in range(50):
            made.append(number)
            yield number

    def work(number: int) -> None:
        assert len(made) - len(done) <= pouring.THREADS + 1
        done.append(number)

    pouring.side_by_side(units(), work)
    assert sorted(done) == list(range(50))


@pytest.mark.parametrize("size", [0, 51_234, 8**11 - 1])
@pytest.mark.parametrize("name", ["a", "00000012_SD1_5_000.reference.png", "x" * 100])
def test_the_header_of_a_member_is_that_of_tarfile(name, size):
    member = tarfile.TarInfo(name)
    member.size = size
    assert webdataset._header(name, size) == member.tobuf(tarfile.USTAR_FORMAT)


@pytest.mark.parametrize("size", [0, 1, pouring.PIECE - 1, pouring.PIECE, pouring.PIECE + 1, 3 * pouring.PIECE + 5])
def test_what_is_poured_is_what_was_there(size, tmp_path):
    data = os.urandom(size)
    (tmp_path / "in").write_bytes(data)
    file = Installed("in", size, sha256(data))
    with pouring.Pouring(tmp_path / "out") as out:
        for _ in range(2):
            out.write(b"head")
            out.pour(tmp_path, file)
            out.write(b"x" * (pouring.PIECE + 3))
    assert out.length == 2 * (4 + size + pouring.PIECE + 3)
    assert (tmp_path / "out").read_bytes() == (b"head" + data + b"x" * (pouring.PIECE + 3)) * 2


# --- the command -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("ready")
    environment = {"PATH": os.environ["PATH"], "HOME": str(base), "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "aigiqa_cli", "--root", str(base / "root"), "fetch", "demo"]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=LIMIT)
    return base / "root"


def test_the_command_fills_a_folder_by_split_and_tells_what_is_in_it(run: Command, ready: Path) -> None:
    found = run(
        "export", "demo", "-f", "webdataset", "--split", "authors", "-o", "out", "--root", ready, "--json", code=0
    )
    data = found.json()["data"]
    assert data["parts"] == {"train": 45, "test": 15}  # every fourth image of a task is test, says the manifest
    assert (data["rows"], data["left_out"]) == (60, {})
    with tarfile.open(run.work / "out" / "test-000000.tar") as archive:
        images = [one for one in archive.getmembers() if one.name.count(".") == 1 and one.name.endswith(".png")]
        assert len(images) == 15
        told = json.loads(archive.extractfile(images[0].name.replace(".png", ".json")).read())  # type: ignore[union-attr]
        assert sha256(archive.extractfile(images[0]).read()) == told["sha256"]  # type: ignore[union-attr]
    assert "nothing there is replaced" in run("export", "demo", "-f", "hf", "-o", "out", "--root", ready, code=2).err


@pytest.mark.parametrize(
    "words",
    [
        ["-f", "hf"], ["-f", "hf", "-o", "-"], ["-f", "hf", "--images", "none", "-o", "x"],
        ["-f", "webdataset", "--images", "link", "-o", "x"], ["-f", "webdataset", "--shard-size", "0", "-o", "x"],
        ["-f", "webdataset", "--shard-size", "big", "-o", "x"], ["-f", "hf", "--shard-size", "1GB", "-o", "x"],
        ["-f", "csv", "--images", "copy"], ["-f", "hf", "--margin", "1", "-o", "x"], ["-f", "llava", "--columns", "row"],
        ["-f", "pyiqa", "--dimension", "overall"], ["-f", "pairs", "--dimension", "beauty"],
        ["-f", "hf", "--where", "0", "-o", "x"],
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused_with_a_hint(words, run: Command, ready: Path) -> None:
    error = run("export", "demo", "--root", ready, *words, "--json", code=2).json()["error"]
    assert error["hint"]
    assert os.listdir(run.work) == []


def test_without_images_the_next_command_is_named(run: Command) -> None:
    run("fetch", "demo", "--labels-only", code=0)
    for name in (*FOLDERS, "pyiqa", "llava", "q-align"):
        assert "aigiqa fetch demo" in run("export", "demo", "-f", name, "-o", "out", code=2).err
    assert os.listdir(run.work) == []
    assert run("export", "demo", "-f", "pairs", code=0).out.count("\n") > 10


def test_a_damaged_install_is_exit_4(run: Command) -> None:
    run("fetch", "demo", code=0)
    path = run.root / "demo" / "images" / "atlas_normal_003.png"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    found = run("export", "demo", "-f", "hf-parquet", "-o", "out", "--json", code=4).json()
    assert found["findings"][0]["path"] == "demo/images/atlas_normal_003.png"
    assert os.listdir(run.work) == []


@pytest.mark.parametrize("name", FOLDERS)
def test_S01_a_killed_export_leaves_nothing_that_looks_finished(name: str, run: Command, ready: Path) -> None:
    words = ("export", "demo", "-f", name, "-o", "out", "--root", ready)
    (run.work / "mine.txt").write_text("mine")
    process = run.start(*words)
    deadline = time.monotonic() + LIMIT
    while len(os.listdir(run.work)) == 1 and process.poll() is None and time.monotonic() < deadline:
        pass
    if process.poll() is None:
        kill(process)
    process.communicate(timeout=LIMIT)
    left = set(os.listdir(run.work)) - {"mine.txt"}
    if left == {"out"}:  # it was quicker
        left = set()
    else:
        assert all(one.startswith(".out.") and one.endswith(".part") for one in left)
        run(*words, code=0)
    assert set(os.listdir(run.work)) == {"mine.txt", "out", *left}, "nothing is cleaned that is not known to be ours"
    again = (*words[:5], "again", *words[6:])
    run(*again, code=0)
    assert tree(run.work / "out") == tree(run.work / "again")
