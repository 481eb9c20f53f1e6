"""`aigiqa import` on a replica of AGIQA-3K: the true names and the true label table around small generated images.

What is expected is read here from the published `data.csv` and from the report, never from the program.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import os
import re
import statistics
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
import replicas
import trustme
import yaml
from conftest import Command
from doubles import Box
from PIL import Image

ID = "agiqa3k"
COLUMNS = [
    "database", "image_id", "image_path", "reference_path", "task", "prompt", "prompt_id", "generator", "setting",
    "split", "row", "mos_quality", "std_quality", "mos_alignment", "std_alignment", "mos_authenticity",
    "std_authenticity", "mos_overall", "std_overall", "score_quality", "score_alignment", "score_authenticity",
    "score_overall", "width", "height", "format", "bytes", "sha256", "flags", "extra",
]  # fmt: skip
SLUGS = {
    "AttnGAN": "attngan",
    "DALLE2": "dall-e-2",
    "glide": "glide",
    "midjourney": "midjourney",
    "sd1.5": "stable-diffusion-1.5",
    "xl2.2": "stable-diffusion-xl-2.2",
}
GENERATORS = {  # section 1 of the report
    "attngan": 300,
    "dall-e-2": 290,
    "glide": 300,
    "midjourney": 592,
    "stable-diffusion-1.5": 1200,
    "stable-diffusion-xl-2.2": 300,
}
ZEROS = {  # section 4 of the report
    "AttnGAN_normal_289", "DALLE2_normal_253", "glide_normal_057", "glide_normal_101", "glide_normal_175",
    "glide_normal_234", "glide_normal_263", "sd1.5_lowcorr_076",
}  # fmt: skip

Rows = list[dict[str, str]]


# --- shared by the tests of this database -----------------------------------------------------------------------


def published() -> Rows:
    """The rows of the true `data.csv`."""
    return list(csv.DictReader(io.StringIO(replicas.true_labels().decode(), newline="")))


def read_csv(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@functools.cache
def untouched(folder: Path) -> dict[str, bytes]:
    """`tree` of a folder that nobody changes, read once."""
    return tree(folder)


def snapshot(*paths: Path) -> dict[str, tuple[int, int, int, str]]:
    """Mode, length, modification time and SHA-256 of everything at and below `paths`; folders show new names."""
    found = {}
    for path in sorted({entry for top in paths for entry in (top, *top.rglob("*"))}):
        about = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (about.st_mode, about.st_size, about.st_mtime_ns, digest)
    return found


def nothing_installed(run: Command) -> bool:
    """No folder, no record, no index, no staging: as if the command had never run."""
    internal = run.root / ".aigiqa"
    left = [path for name in ("installed", "staging", "replaced") for path in (internal / name).glob("*")]
    return not left and not (run.root / ID).exists() and not (run.root / "index.csv").exists()


@contextmanager
def house(authority: trustme.CA, base: Path, replica: Path, manifest: str) -> Iterator[Command]:
    """A root that holds the replica, imported, for tests that only read it; every mirror serves it too."""
    with Box(authority) as box:
        data = replica.read_bytes()
        contents = {"AGIQA-3K.zip": data, "data.csv": replicas.true_labels()}
        for asset in yaml.safe_load(manifest)["assets"]:
            for mirror in asset["mirrors"] if asset["name"] in contents else ():
                box.publish(mirror, contents[asset["name"]])
        run = Command(box, base)
        (base / "manifests").mkdir()
        overlay = replicas.overlay_manifest(manifest, len(data), hashlib.sha256(data).hexdigest())
        (base / "manifests" / f"{ID}.yaml").write_text(overlay)
        run.environment["AIGIQA_MANIFESTS"] = str(base / "manifests")
        run("import", ID, replica, table_file(base), code=0)
        yield run


def table_file(folder: Path, data: bytes | None = None, name: str = "data.csv") -> Path:
    """The true label table, or `data`, as a file of its own."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(replicas.true_labels() if data is None else data)
    return path


@pytest.fixture(scope="module")
def home(
    authority: trustme.CA,
    tmp_path_factory: pytest.TempPathFactory,
    replica_zip: Path,
    built_in: Callable[[str], str],
) -> Iterator[Command]:
    with house(authority, tmp_path_factory.mktemp("import"), replica_zip, built_in(ID)) as run:
        yield run


@pytest.fixture(scope="module")
def rows(home: Command) -> Rows:
    return read_csv(home.root / ID / "index.csv")


def same_install(run: Command, home: Command) -> None:
    """The same index, images, labels and splits as in the root whose index is checked row by row below."""
    assert tree(run.root / ID) == untouched(home.root / ID)
    assert (run.root / "index.csv").read_bytes() == (home.root / "index.csv").read_bytes()


# --- what is given ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", replicas.LAYOUTS)
def test_every_layout_installs(
    run: Command, replica_online: Path, home: Command, pictures: dict[str, bytes], tmp_path: Path, layout: str
) -> None:
    given = tmp_path / "given"
    table = table_file(given)
    archive = replicas.archive(given / "AGIQA-3K.zip", replicas.members(layout, pictures, with_junk=True))
    for path in (archive, table):
        path.chmod(0o440)
        os.utime(path, (1_700_000_000, 1_600_000_000.25))
    before = snapshot(given)
    done = run("import", ID, archive, table, code=0)
    assert done.out == f"{run.root / ID}\n"
    same_install(run, home)
    assert snapshot(given) == before
    assert run.box.paths() == []


@pytest.mark.parametrize("suffix", replicas.ARCHIVES)
def test_every_archive_format_installs(
    run: Command, replica_online: Path, home: Command, pictures: dict[str, bytes], tmp_path: Path, suffix: str
) -> None:
    given = replicas.archive(tmp_path / f"set{suffix}", replicas.members("images", pictures, with_junk=True))
    run("import", ID, table_file(tmp_path / "given"), given, code=0)
    same_install(run, home)


def test_the_name_of_an_archive_says_nothing(
    run: Command, replica_online: Path, home: Command, pictures: dict[str, bytes], tmp_path: Path
) -> None:
    archive = replicas.archive(tmp_path / "whatever.tar", replicas.members("top", pictures))
    misnamed = archive.rename(tmp_path / "data.zip")
    run("import", ID, misnamed, table_file(tmp_path / "given", name="labels (2).txt"), code=0)
    same_install(run, home)


@pytest.mark.parametrize("order", ["folder first", "table first", "table inside"])
def test_a_loose_folder_installs(
    run: Command, replica_online: Path, home: Command, pictures: dict[str, bytes], tmp_path: Path, order: str
) -> None:
    folder = replicas.folder(tmp_path / "loose", replicas.members("nested", pictures, with_junk=True))
    table = table_file(folder / "AGIQA-3k" if order == "table inside" else tmp_path / "given")
    words = {"folder first": [folder, table], "table first": [table, folder], "table inside": [folder]}[order]
    before = snapshot(folder)
    run("import", ID, *words, code=0)
    same_install(run, home)
    assert snapshot(folder) == before
    assert run.box.paths() == []


def test_pieces_add_up_to_one_install(
    run: Command, replica_online: Path, home: Command, pictures: dict[str, bytes], tmp_path: Path
) -> None:
    members = replicas.members("flat", pictures)
    first = replicas.archive(tmp_path / "a.zip", members[:1000])
    second = replicas.archive(tmp_path / "b.tar.gz", members[1000:2000])
    third = replicas.folder(tmp_path / "c", members[1990:])  # ten images stand twice, with the same bytes
    run("import", ID, first, third, table_file(tmp_path / "given"), second, code=0)
    same_install(run, home)


def test_a_table_inside_the_archive_is_used(
    run: Command, replica_online: Path, home: Command, pictures: dict[str, bytes], tmp_path: Path
) -> None:
    members = [*replicas.members("img", pictures), ("CLIP/data.csv", replicas.true_labels())]
    run("import", ID, replicas.archive(tmp_path / "set.zip", members), code=0)
    same_install(run, home)
    assert run.box.paths() == []


def test_a_table_that_is_not_given_is_fetched(
    run: Command, replica_online: Path, replica_zip: Path, home: Command
) -> None:
    run("import", ID, replica_zip, code=0)
    same_install(run, home)
    assert [line.rpartition("/")[2] for line in run.box.paths()] == ["data.csv"]


def test_a_table_that_cannot_be_fetched_is_named(run: Command, manifests: object, replica_zip: Path) -> None:
    done = run("import", ID, replica_zip, code=3)
    assert "data.csv was not given, and could not be fetched" in done.err
    assert nothing_installed(run)


def test_the_database_need_not_be_named(
    run: Command, replica_online: Path, home: Command, pictures: dict[str, bytes], tmp_path: Path
) -> None:
    archive = replicas.archive(tmp_path / "unknown.zip", replicas.members("mixed", pictures, with_junk=True))
    foreign = tmp_path / "notes.txt"
    foreign.write_text("what I did in June\n")
    done = run("import", archive, table_file(tmp_path / "given"), foreign, code=0)
    same_install(run, home)
    assert done.out == f"{run.root / ID}\n"
    assert "notes.txt" in done.err
    assert run.box.paths() == []


@pytest.mark.parametrize("word", ["AGIQA-3K", "agiqa_3k", "agiqa-3k"])
def test_the_id_is_forgiving(run: Command, replica_online: Path, tmp_path: Path, word: str) -> None:
    done = run("import", word, table_file(tmp_path / "given"), "--json", code=0).json()
    assert [(each["database"], each["result"]["state"]) for each in done["data"]] == [(ID, "labels")]


def test_the_twin_with_other_line_ends_is_accepted(
    run: Command, replica_online: Path, replica_zip: Path, home: Command, tmp_path: Path
) -> None:
    twin = replicas.true_labels().replace(b"\r\n", b"\n")
    assert len(twin) == 442_561
    done = run("import", ID, replica_zip, table_file(tmp_path / "given", twin), "--require-hashes", "--json", code=0)
    assert done.json()["data"][0]["result"]["unpinned"] == []
    assert (run.root / ID / "labels/data.csv").read_bytes() == twin
    assert (run.root / ID / "index.csv").read_bytes() == (home.root / ID / "index.csv").read_bytes()


def test_labels_alone_make_an_index_without_images(run: Command, replica_online: Path, tmp_path: Path) -> None:
    run("import", table_file(tmp_path / "given"), code=0)
    found = read_csv(run.root / ID / "index.csv")
    assert [row["image_id"] for row in found] == [row["name"] for row in published()]
    assert {row["flags"] for row in found} == {"no-image"}
    empty = ("image_path", "width", "height", "format", "bytes", "sha256")
    assert {row[name] for row in found for name in empty} == {""}
    assert [row["mos_quality"] for row in found] == [row["mos_quality"] for row in published()]
    assert not (run.root / ID / "images").exists()
    state = run("list", "--json", code=0).json()["data"]
    assert [entry["state"] for entry in state if entry["id"] == ID] == ["labels"]


def test_what_no_published_hash_vouches_for_is_called_unpinned(
    run: Command, replica_online: Path, pictures: dict[str, bytes], tmp_path: Path
) -> None:
    archive = replicas.archive(tmp_path / "AGIQA-3K.zip", replicas.members("flat", pictures))
    table = table_file(tmp_path / "given")
    refused = run("import", ID, archive, table, "--require-hashes", code=4)
    assert "no published hash vouches for AGIQA-3K.zip" in refused.err
    assert nothing_installed(run)
    done = run("import", ID, archive, table, code=0)
    assert hashlib.sha256(archive.read_bytes()).hexdigest() in done.err
    listed = run("list", "--json", code=0).json()["data"]
    assert [entry["state"] for entry in listed if entry["id"] == ID] == ["installed (unpinned)"]


def test_a_second_import_replaces_the_first(
    run: Command, replica_online: Path, replica_zip: Path, home: Command, pictures: dict[str, bytes], tmp_path: Path
) -> None:
    table = table_file(tmp_path / "given")
    other = {name: replicas.image("other " + name) for name in pictures}
    run("import", ID, replicas.folder(tmp_path / "other", replicas.members("flat", other)), table, code=0)
    assert {row["sha256"] for row in read_csv(run.root / "index.csv")} == {
        hashlib.sha256(data).hexdigest() for data in other.values()
    }
    run("import", ID, replica_zip, table, code=0)
    same_install(run, home)
    assert not list((run.root / ".aigiqa/replaced").iterdir())


# --- the index --------------------------------------------------------------------------------------------------


def test_the_header_is_the_contract(home: Command) -> None:
    data = (home.root / ID / "index.csv").read_bytes()
    assert data.split(b"\n", 1)[0].decode() == ",".join(COLUMNS)
    assert b"\r" not in data
    assert data.endswith(b"\n")
    assert (home.root / "index.csv").read_bytes() == data, "the only database of this root"


def test_every_published_label_stands_unchanged(rows: Rows) -> None:
    table = published()
    assert len(rows) == len(table) == 2982
    same = {
        "image_id": "name",
        "prompt": "prompt",
        "mos_quality": "mos_quality",
        "std_quality": "std_quality",
        "mos_alignment": "mos_align",
        "std_alignment": "std_align",
    }
    for ours, theirs in same.items():
        assert [row[ours] for row in rows] == [row[theirs] for row in table], ours


def test_first_and_last_row_are_those_of_the_report(rows: Rows) -> None:
    first = [rows[0][name] for name in ("image_id", "prompt", "mos_quality", "std_quality", "mos_alignment")]
    assert first == ["AttnGAN_normal_000.jpg", "statue of a man", "0.965602553", "0.223270101", "0.40889324"]
    assert rows[0]["std_alignment"] == "0.615607722"
    last = [rows[-1][name] for name in ("image_id", "mos_quality", "mos_alignment")]
    assert last == ["xl2.2_normal_299.jpg", "3.60083465", "3.467108847"]


def test_what_has_no_column_stands_in_extra(rows: Rows) -> None:
    for row, line in zip(rows, published(), strict=True):
        expected = {name: line[name] for name in ("adj1", "adj2", "style")}
        assert json.loads(row["extra"]) == expected
        assert row["extra"] == json.dumps(expected, separators=(",", ":"), ensure_ascii=False)


def test_names_are_taken_apart(rows: Rows) -> None:
    for number, (row, line) in enumerate(zip(rows, published(), strict=True)):
        model, setting, _ = line["name"].removesuffix(".jpg").rsplit("_", 2)
        assert (row["generator"], row["setting"], row["row"]) == (SLUGS[model], setting, str(number))
        assert (row["database"], row["task"], row["split"]) == (ID, "t2i", "")
        assert row["image_path"] == f"{ID}/images/{line['name']}"
        assert row["reference_path"] == row["flags"] == ""


def test_dimensions_that_nobody_rated_are_empty(rows: Rows) -> None:
    names = [name for name in COLUMNS if name.endswith(("_authenticity", "_overall"))]
    assert len(names) == 6
    assert {row[name] for row in rows for name in names} == {""}


def test_scores_are_fifths_of_the_mos(rows: Rows) -> None:
    for row in rows:
        for dimension in ("quality", "alignment"):
            fifth = (Decimal(row[f"mos_{dimension}"]) / 5).quantize(Decimal("0.000001"))
            assert row[f"score_{dimension}"] == f"{fifth:f}"


def test_prompt_ids_follow_the_rule(rows: Rows) -> None:
    for row in rows:
        folded = " ".join(unicodedata.normalize("NFKC", row["prompt"]).lower().split())
        assert row["prompt_id"] == hashlib.sha256(folded.encode()).hexdigest()[:12]
    assert len({row["prompt_id"] for row in rows}) == 300
    numbers = defaultdict(set)
    for row in rows:
        numbers[row["image_id"][-7:-4]].add(row["prompt_id"])
    assert all(len(ids) == 1 for ids in numbers.values()), "the index in the name stands for the prompt"


def test_images_are_described_as_they_are(home: Command, rows: Rows, pictures: dict[str, bytes]) -> None:
    assert {path.name for path in (home.root / ID / "images").iterdir()} == set(pictures)
    for row in rows:
        data = pictures[row["image_id"]]
        assert (home.root / row["image_path"]).read_bytes() == data
        with Image.open(io.BytesIO(data)) as image:
            assert (int(row["width"]), int(row["height"]), row["format"]) == (*image.size, "jpeg")
        assert (int(row["bytes"]), row["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def test_statistics_are_those_of_the_report(rows: Rows, shared: Path) -> None:
    report = (shared / "databases" / f"{ID}.md").read_text(encoding="utf-8")
    lines = re.findall(r"(?m)^\| ((?:mos|std)_\w+) \| " + r" \| ".join([r"(\d\.\d{6})"] * 5) + r" \|$", report)
    assert len(lines) == 4
    for column, *stated in lines:
        values = [Decimal(row[column.replace("align", "alignment")]) for row in rows]
        found = (min(values), max(values), sum(values) / len(values), statistics.stdev(values))
        assert [f"{value:.6f}" for value in (*found, statistics.median(values))] == stated, column


def test_counts_and_means_of_each_setting_are_those_of_the_report(rows: Rows, shared: Path) -> None:
    report = (shared / "databases" / f"{ID}.md").read_text(encoding="utf-8")
    lines = re.findall(r"(?m)^\| (\w+[\w.]*)_(\w+) \| (\d+) \| [-\d ]+ \| (\d\.\d{3}) / (\d\.\d{3}) \|$", report)
    assert len(lines) == 10
    groups: dict[tuple[str, str], Rows] = defaultdict(list)
    for row in rows:
        groups[row["generator"], row["setting"]].append(row)
    assert list(groups) == [(SLUGS[model], setting) for model, setting, *_ in lines], "the order of the table"
    for model, setting, count, *means in lines:
        group = groups[SLUGS[model], setting]
        assert len(group) == int(count)
        for column, mean in zip(("mos_quality", "mos_alignment"), means, strict=True):
            assert f"{sum(Decimal(row[column]) for row in group) / len(group):.3f}" == mean


def test_counts_are_those_of_the_report(rows: Rows) -> None:
    assert Counter(row["generator"] for row in rows) == GENERATORS
    assert len({row["prompt"] for row in rows}) == 300
    zeros = {row["image_id"].removesuffix(".jpg") for row in rows if Decimal(row["mos_quality"]) == 0}
    assert zeros == ZEROS
    empty = Counter(name for row in rows for name, text in json.loads(row["extra"]).items() if not text)
    assert empty == {"adj1": 1190, "adj2": 2188, "style": 1587}


def test_the_witness_of_the_real_images_speaks(
    run: Command, replica_online: Path, pictures: dict[str, bytes], shared: Path, tmp_path: Path
) -> None:
    """A public genuine image ends the warning about it, and its header is read as the report says."""
    name = "AttnGAN_normal_056.jpg"
    genuine = (shared / "data" / ID / "sample" / name).read_bytes()
    folder = replicas.folder(tmp_path / "loose", replicas.members("flat", pictures | {name: genuine}))
    done = run("import", ID, folder, table_file(tmp_path / "given"), code=0)
    assert name not in done.err
    row = next(row for row in read_csv(run.root / "index.csv") if row["image_id"] == name)
    assert [row[key] for key in ("width", "height", "format", "bytes")] == ["512", "512", "jpeg", "47247"]
    assert row["sha256"] == "5ff6ed02de91a508ef2a770b1f899e818598359a6197fb4bdedc5c0d6ff365b7"


def test_files_under_our_paths_are_copies(home: Command, replica_zip: Path) -> None:
    """Labels byte for byte as published, the manifest byte for byte as used, checksums of every file."""
    folder = home.root / ID
    assert (folder / "labels/data.csv").read_bytes() == replicas.true_labels()
    overlay = Path(home.environment["AIGIQA_MANIFESTS"]) / f"{ID}.yaml"
    assert (folder / "database.yaml").read_bytes() == overlay.read_bytes()
    with zipfile.ZipFile(replica_zip) as archive:
        assert {name.rpartition("/")[2] for name in archive.namelist()} == set(os.listdir(folder / "images"))
    listed = dict(line.split("  ")[::-1] for line in (folder / "checksums.sha256").read_text().splitlines())
    others = {"checksums.sha256", "database.yaml"}
    expected = {name: hashlib.sha256(data).hexdigest() for name, data in tree(folder).items() if name not in others}
    assert listed == expected
