"""PKU-AIGIQA-4K: its manifest against the report and the published values, its rules, and whole runs on a replica."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pku
import pytest
import replicas
import trustme
from conftest import Command
from doubles import Box

from aigiqa_cli import expectations, rules
from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.installing.belonging import examine
from aigiqa_cli.installing.recognising import look
from aigiqa_cli.manifest import VOCABULARY_NAME, load, load_vocabulary
from aigiqa_cli.manifest.catalogue import Catalogue, built_in_folder
from aigiqa_cli.manifest.models import Database
from aigiqa_cli.obtaining.shares import shares as links
from aigiqa_cli.store import Root, staged

ID = "pku-aigiqa-4k"
ARCHIVE, WORKBOOK = "pku-aigiqa-4k-archive", "annotation.xlsx"
DRIVE = "1EuXe_6UNONJSH91uI3edrMMe7utOmpFz"
CMIM = "Buka-Xing/CMIM-AIGIQA"
REFERENCES = [f"{number}.jpg" for number in range(200)]
DIMENSIONS = {"MOS_q": "quality", "MOS_a": "authenticity", "MOS_c": "alignment"}
Cells = dict[str, str]
Rows = list[Cells]

LAYOUTS = {  # top folder, folder of the references, folders of image-to-image and of text-to-image pictures
    "documented": (
        "PKU-AIGIQA-4K/",
        "I2I/Image_prompt/",
        ("All/", "I2I/Generated_image/All/", "I2I/Generated_image/{model}/"),
        ("All/", "T2I/All/", "T2I/{model}/"),
    ),
    "early name": ("AGIQA-4K/", "I21/Image_prompt/", ("All/",), ("All/",)),
    "as the loaders read": ("", "I2I/Image_prompt/", ("All/",), ("All/",)),
    "subsets only": ("x/y/", "I2I/Image_prompt/", ("I2I/Generated_image/All/",), ("T2I/{model}/",)),
}


@pytest.fixture(scope="module")
def database() -> Database:
    return load(
        built_in_folder() / f"{ID}.yaml",
        generators=set(load_vocabulary(built_in_folder() / VOCABULARY_NAME).generators),
    )


@pytest.fixture(scope="module")
def report(shared: Path) -> str:
    return (shared / "databases" / f"{ID}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def t2i(shared: Path) -> Rows:
    return pku.t2i_rows(shared)


@pytest.fixture(scope="module")
def table(shared: Path, t2i: Rows) -> Rows:
    """All 4,000 rows in the order of the workbook; the image-to-image ones are those of the sister database."""
    return [*pku.i2i_rows(shared), *t2i]


@pytest.fixture(scope="module")
def book(table: Rows) -> bytes:
    return pku.workbook(table)


@pytest.fixture(scope="module")
def pictures(table: Rows) -> dict[str, bytes]:
    return replicas.images([*(row["Generated_image"] for row in table), *REFERENCES])


def is_t2i(name: str) -> bool:
    return len(name.split("_")[1]) == 4


def members(layout: str, pictures: dict[str, bytes], book: bytes, *, junk: bool = False) -> list[replicas.Member]:
    top, references, i2i, t2i = LAYOUTS[layout]
    listed = [(f"{top}{WORKBOOK}", book)]
    for name, data in pictures.items():
        if name in REFERENCES:
            listed.append((f"{top}{references}{name}", data))
            continue
        folders = t2i if is_t2i(name) else i2i
        listed += [(top + folder.format(model=name.split("_")[0]) + name, data) for folder in folders]
    return [*(pku.junk(top) if junk else ()), *listed]


def read_csv(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def section(report: str, number: int) -> str:
    return re.split(r"(?m)^## \d+\. ", report)[number]


# --- the manifest and its sources -------------------------------------------------------------------------------


def test_every_mirror_of_the_report_is_in_the_manifest(database: Database, report: str) -> None:
    mirrors = [mirror for asset in database.assets for mirror in asset.mirrors]
    shares = set(re.findall(r"https://pan\.[^`?]+", section(report, 2)))
    assert len(shares) == 3
    assert shares == {mirror.url for mirror in mirrors if mirror.kind == "baidu"}
    assert re.findall(r"file id `([^`]+)`", section(report, 2)) == [DRIVE]
    assert [mirror.id for mirror in mirrors if mirror.kind == "gdrive"] == [DRIVE]
    official = database.asset(ARCHIVE)
    assert [(mirror.kind, mirror.code) for mirror in official.mirrors] == [("gdrive", ""), ("baidu", "AIGI")]
    shared = [asset for asset in database.assets if asset.role == "weights" and asset.mirrors[0].kind == "baidu"]
    weights = {asset.name: asset.mirrors[0].code for asset in shared}
    assert weights == {"vit-weights": "vitl", "bert-base-weights": "text"}
    (offered,) = links(database, database.asset("resnet18-f37072fd.pth"))
    assert offered.next == "aigiqa train … --weights ~/Downloads/resnet18-f37072fd.pth", "import takes no weights"
    assert [asset.name for asset in database.assets_of("images", "labels")] == [ARCHIVE, WORKBOOK]


def test_nothing_is_pinned_that_nobody_states(database: Database) -> None:
    for name in (ARCHIVE, WORKBOOK):
        asset = database.asset(name)
        assert (asset.bytes, asset.sha256, asset.content_sha256, asset.approximate_size) == (None, "", "", "")
    assert database.asset(ARCHIVE).format == "zip"
    assert [(r.method, r.dimension, str(r.srcc), str(r.plcc)) for r in database.results] == [
        ("CMIM-AIGIQA", "quality", "0.8586", "0.8786"),
        ("CMIM-AIGIQA", "alignment", "0.8223", "0.8930"),
    ], "the paper's own tables are in no readable copy"


def test_the_published_part_of_the_labels_is_the_real_file(database: Database, shared: Path) -> None:
    data = (shared / "data/pku-aigiqa-4k/PKU-AIGIQA/annotation.csv").read_bytes()
    asset = database.asset("annotation.csv")
    assert (asset.bytes, asset.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert asset.sha256 in (shared / "databases/mirrors-and-checksums.md").read_text(encoding="utf-8")
    source = database.labels[1]
    assert (source.needs, source.partial, source.first_row) == (("annotation.csv",), 2400, 1600)
    assert "CMIM" in source.third_party


def test_every_listed_split_file_is_in_the_manifest_and_is_the_real_one(database: Database, shared: Path) -> None:
    with (shared / "databases/split-files.tsv").open(newline="", encoding="utf-8") as stream:
        listed = [row for row in csv.DictReader(stream, delimiter="\t") if row["database"] == ID]
    published = {split.name: split.published for split in database.splits if split.published}
    found = {
        (name, source.repo, source.revision, file.path, file.bytes, file.sha256, str(file.fold), file.part, file.rows)
        for name, source in published.items()
        for file in source.files
    }
    assert len(listed) == 20
    assert found == {
        (row["project"], row["repo"], row["commit"], row["path"], int(row["bytes"]), row["sha256"], row["number"],
         row["side"], int(row["lines_or_records"]) - 1)
        for row in listed
    }  # fmt: skip
    for file in published["cmim"].files:
        data = (shared / "data/pku-aigiqa-4k" / file.path.partition("/")[2]).read_bytes()
        assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_every_number_of_the_label_section_is_in_the_manifest(report: str) -> None:
    words = " ".join((built_in_folder() / f"{ID}.yaml").read_text(encoding="utf-8").split())
    numbers = re.findall(r"(?<![\d.])\d+\.\d{4,6}(?!\d)", section(report, 5))
    assert len(numbers) >= 45
    assert {number for number in numbers if number not in words} == set()


def test_statistics_are_those_of_the_published_values(database: Database, t2i: Rows) -> None:
    parts = [part for part in database.expect.parts if part.mos]
    assert [part.rows[0] for part in parts] == [2400, 800, 800, 800]
    assert all(part.of["task"] == "t2i" for part in parts), "nobody has published the image-to-image values of it"
    slugs = {slug: model for model, slug in pku.SLUGS.items()}
    for part in parts:
        model = slugs.get(part.of.get("generator", ""), "")
        chosen = [row for row in t2i if row["Generated_image"].startswith(model)]
        for column, dimension in DIMENSIONS.items():
            values = [Fraction(row[column]) for row in chosen]
            stated = part.mos[dimension]  # type: ignore[index]
            assert (Fraction(stated.min), Fraction(stated.max)) == (min(values), max(values))
            assert round(sum(values) / len(values), 6) == Fraction(stated.mean)


# --- the rules --------------------------------------------------------------------------------------------------


def applied(database: Database, book: bytes) -> rules.Labels:
    labels = rules.apply(database, database.labels[0], lambda _: io.BytesIO(book))
    rules.refuse_undeclared(labels, database)
    expectations.check(database, database.labels[0], labels)
    return labels


@pytest.fixture(scope="module")
def own(database: Database, book: bytes) -> rules.Labels:
    return applied(database, book)


def test_every_row_of_the_workbook(own: rules.Labels, table: Rows) -> None:
    assert len(own.rows) == len(table) == 4000
    assert own.rejected == own.declared == own.unlabelled == ()
    for number, (row, line) in enumerate(zip(own.rows, table, strict=True)):
        model, prompt, position = line["Generated_image"].removesuffix(".jpg").split("_")
        fields = row.fields
        assert (row.image_id, fields["row"]) == (line["Generated_image"], str(number))
        assert (fields["prompt"], fields["generator"]) == (line["Text_prompt"], pku.SLUGS[model])
        assert fields["task"] == ("i2i" if number < 1600 else "t2i")
        mos = [fields[f"mos_{dimension}"] for dimension in DIMENSIONS.values()]
        assert mos == [pku.cell(line[name]) for name in DIMENSIONS], "q, a and c are never mixed up"
        assert (row.reference.name if row.reference else "") == line["Image_prompt"]
        assert row.extra == row.extra | {"prompt_number": prompt, "position": position}


def test_the_sum_is_no_mos(own: rules.Labels, t2i: Rows) -> None:
    """0 to 15: it stands in extra, and nowhere else."""
    for row, line in zip(own.rows[1600:], t2i, strict=True):
        assert abs(Decimal(str(row.extra["final_score"])) - Decimal(line["MOS"])) < Decimal("1e-12")
    largest = max(Decimal(str(row.extra["final_score"])) for row in own.rows)
    assert largest > 12
    assert {name for row in own.rows for name in row.fields if "overall" in name} == set()
    scores = [Decimal(text) for row in own.rows for name, text in row.fields.items() if name.startswith("mos_")]
    assert len(scores) == 12_000
    assert max(scores) < 5


def test_anchor_rows_and_order_are_those_of_the_report(own: rules.Labels) -> None:
    names = {n: own.rows[n].image_id for n in (0, 800, 1599, 1600, 2400, 3200, 3999)}
    assert list(names.values()) == [
        "SD_000_00.jpg", "MJ_000_00.jpg", "MJ_199_11.jpg", "SD_1000_00.jpg", "MJ_1000_00.jpg", "DALLE_1000_00.jpg",
        "DALLE_1199_11.jpg",
    ]  # fmt: skip
    anchors = {1600: "2.6233 2.4229 3.1514 8.1976", 3999: "3.8175 2.8933 4.0314 10.7422"}
    for number, stated in anchors.items():
        row = own.rows[number]
        found = [*(row.fields[f"mos_{dimension}"] for dimension in DIMENSIONS.values()), row.extra["final_score"]]
        assert [f"{float(str(text)):.10g}" for text in found] == stated.split()


def test_statistics_per_generator_are_those_of_the_report(own: rules.Labels, report: str) -> None:
    lines = re.findall(r"(?m)^\| (SD|MJ|DALLE) \| ([\d./ ]+) \| ([\d./ ]+) \| ([\d./ ]+) \|$", section(report, 5))
    assert len(lines) == 3
    t2i = [row.fields for row in own.rows if row.fields["task"] == "t2i"]
    for model, *cells in lines:
        for dimension, cell in zip(DIMENSIONS.values(), cells, strict=True):
            chosen = [Decimal(row[f"mos_{dimension}"]) for row in t2i if row["generator"] == pku.SLUGS[model]]
            found = [f"{sum(chosen) / len(chosen):.6f}", f"{statistics.stdev(chosen):.6f}"]
            found += [f"{min(chosen):.4f}", f"{max(chosen):.4f}"]
            stated = cell.split(" / ")
            assert found[: len(stated)] == stated


def test_both_subsets_share_their_prompts(own: rules.Labels) -> None:
    texts: dict[str, set[str]] = defaultdict(set)
    for row in own.rows:
        texts[str(row.extra["prompt_number"])[-3:]].add(row.fields["prompt"])
    assert len(texts) == 200
    assert all(len(found) == 1 for found in texts.values())
    assert texts["099"] == texts["196"] == {"there is a clock that is sitting on a table"}
    assert len({row.fields["prompt_id"] for row in own.rows}) == 199


def test_references_come_from_the_column(database: Database, table: Rows) -> None:
    some = [*table[:8], *table[1600:1604]]
    other = [row | {"Image_prompt": row["Image_prompt"] and f"photo of {row['Image_prompt']}"} for row in some]
    book = pku.workbook(other)
    labels = rules.apply(database, database.labels[0], lambda _: io.BytesIO(book))
    names = [row.reference.name if row.reference else "" for row in labels.rows]
    assert names == ["photo of 0.jpg"] * 4 + ["photo of 1.jpg"] * 4 + [""] * 4


def test_an_image_to_image_row_without_its_reference_is_refused(database: Database, table: Rows) -> None:
    book = pku.workbook([table[0] | {"Image_prompt": ""}, table[1600]])
    labels = rules.apply(database, database.labels[0], lambda _: io.BytesIO(book))
    assert [row.image_id for row in labels.rows] == ["SD_1000_00.jpg"]
    assert [(finding.path, finding.problem) for finding in labels.rejected] == [
        (f"{WORKBOOK}:2", "column Image_prompt is empty")
    ]


def test_formulas_beside_empty_cells(database: Database, book: bytes, own: rules.Labels) -> None:
    """The sum may well be a formula, and the empty Image_prompt of a text-to-image row is none without its value."""
    assert applied(database, pku.with_formulas(book, cached=True)) == own
    with pytest.raises(RefusedInput, match="a formula without its stored value"):
        applied(database, pku.with_formulas(book, cached=False))


def test_wrong_workbooks_are_refused(database: Database, table: Rows) -> None:
    swapped = [row | {"MOS_a": row["MOS_c"], "MOS_c": row["MOS_a"]} for row in table]
    with pytest.raises(RefusedInput, match="mos_authenticity of t2i"):
        applied(database, pku.workbook(swapped))
    with pytest.raises(RefusedInput, match="rows: expected 4000, found 2400"):
        applied(database, pku.workbook(table[1600:]))
    with pytest.raises(RefusedInput, match="missing column MOS"):
        applied(database, pku.workbook(table, pku.HEADER[:6]))


def test_the_part_of_others_has_the_numbers_of_the_whole(
    database: Database, own: rules.Labels, t2i: Rows, shared: Path
) -> None:
    source = database.labels[1]
    path = shared / "data/pku-aigiqa-4k/PKU-AIGIQA/annotation.csv"
    labels = rules.apply(database, source, lambda _: path.open("rb"))
    rules.refuse_undeclared(labels, database)
    expectations.check(database, source, labels)
    assert [row.fields["row"] for row in labels.rows] == [str(number) for number in range(1600, 4000)]
    for part, whole, line in zip(labels.rows, own.rows[1600:], t2i, strict=True):
        assert part.fields["mos_quality"] == line["MOS_q"]
        assert part.extra["final_score"] == line["MOS"], "verbatim"
        assert {name: pku.cell(text) for name, text in part.fields.items()} == whole.fields
        assert part.reference is None
    broken = [line.replace("2.6233", "2.7233") for line in path.read_text("utf-8-sig").splitlines(keepends=True)]
    altered = rules.apply(database, source, lambda _: io.BytesIO("".join(broken).encode()))
    with pytest.raises(RefusedInput, match="mean of mos_quality of t2i"):
        expectations.check(database, source, altered)


# --- whole runs -------------------------------------------------------------------------------------------------


def serve_published(box: Box, database: Database, shared: Path) -> None:
    published = next(split.published for split in database.splits if split.name == "cmim")
    assert published
    paths = [file.path for file in published.files] + ["Database/PKU-AIGIQA/annotation.csv"]
    for path in paths:
        data = (shared / "data/pku-aigiqa-4k" / path.partition("/")[2]).read_bytes()
        box.github.add(published.repo, published.revision, {path: data})


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, pictures: dict[str, bytes], book: bytes) -> Path:
    path = tmp_path_factory.mktemp("replica") / "download.zip"
    return replicas.archive(path, members("documented", pictures, book, junk=True))


@pytest.fixture(scope="module")
def home(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory, database: Database, archive: Path, shared: Path
) -> Iterator[Command]:
    """Fetched from the built-in mirrors, with all published splits."""
    with Box(authority) as box:
        run = Command(box, tmp_path_factory.mktemp("fetch"))
        serve_published(box, database, shared)
        box.drive.add(DRIVE, archive.read_bytes(), "PKU-AIGIQA-4K.zip")
        done = run("fetch", ID, "--splits", "--json", code=0).json()
        assert done["status"] == "ok"
        assert set(done["data"][0]["result"]["unpinned"]) == {ARCHIVE, WORKBOOK}
        assert not any(path.endswith("annotation.csv") for path in box.paths()), "the own table is inside"
        yield run
        assert not box.leaks()


@pytest.fixture(scope="module")
def rows(home: Command) -> Rows:
    return read_csv(home.root / ID / "index.csv")


def test_fetch_installs_every_image_once(home: Command, rows: Rows, table: Rows, pictures: dict[str, bytes]) -> None:
    folder = home.root / ID
    assert len(rows) == 4000
    assert {path.name for path in (folder / "references").iterdir()} == set(REFERENCES)
    assert {path.name for path in (folder / "images").iterdir()} == set(pictures) - set(REFERENCES)
    assert {path.name for path in (folder / "labels").iterdir()} == {WORKBOOK}
    assert (folder / "references/0.jpg").read_bytes() == pictures["0.jpg"], "not the figure of that name"
    for number, (row, line) in enumerate(zip(rows, table, strict=True)):
        name, reference = line["Generated_image"], line["Image_prompt"]
        assert (row["image_id"], row["row"], row["image_path"]) == (name, str(number), f"{ID}/images/{name}")
        assert row["reference_path"] == (f"{ID}/references/{reference}" if reference else "")
        assert row["sha256"] == hashlib.sha256(pictures[name]).hexdigest()
        assert (row["flags"], row["mos_overall"], row["score_overall"]) == ("", "", ""), "a copy is no duplicate"
    counts = Counter((row["task"], row["generator"]) for row in rows)
    assert counts == {
        ("i2i", "stable-diffusion-1.5"): 800,
        ("i2i", "midjourney"): 800,
        ("t2i", "stable-diffusion-1.5"): 800,
        ("t2i", "midjourney"): 800,
        ("t2i", "dall-e-3"): 800,
    }


def test_the_official_split_is_every_image_that_ends_in_11(home: Command, rows: Rows) -> None:
    split = {row["image_id"]: row["split"] for row in read_csv(home.root / ID / "splits/authors.csv")}
    assert Counter(split.values()) == {"train": 3000, "test": 1000}
    assert {name for name, part in split.items() if part == "test"} == {n for n in split if n.endswith("_11.jpg")}
    test = [row for row in rows if split[row["image_id"]] == "test" and row["task"] == "t2i"]
    means = [sum(Decimal(row[f"mos_{name}"]) for row in test) / len(test) for name in DIMENSIONS.values()]
    assert (len(test), [f"{mean:.4f}" for mean in means]) == (600, ["3.1359", "2.7741", "3.6365"])


def test_every_published_split_resolves_with_no_row_left_over(home: Command, shared: Path, t2i: Rows) -> None:
    prompts = {row["Generated_image"]: row["Text_prompt"] for row in t2i}
    for fold in range(1, 11):
        found = {row["image_id"]: row["split"] for row in read_csv(home.root / ID / f"splits/cmim-{fold}.csv")}
        assert list(found) == list(prompts), "the text-to-image part, in the order of the index"
        assert Counter(found.values()) == {"train": 1920, "val": 480}
        for part in ("train", "val"):
            path = shared / f"data/pku-aigiqa-4k/PKU-AIGIQA/{fold}/{part}.csv"
            with path.open(newline="", encoding="utf-8-sig") as stream:
                names = {row["Generated_image"] for row in csv.DictReader(stream)}
            assert {name for name, side in found.items() if side == part} == names
        if fold == 1:
            train, val = ({prompts[n] for n, side in found.items() if side == part} for part in ("train", "val"))
            assert (len(val), len(train & val)) == (189, 189), "its validation side has 189 prompts"
    record = json.loads((home.root / f".aigiqa/installed/{ID}.json").read_text())
    assert "1600 images are in no part" in json.dumps(record["splits"])


def test_verify_and_export(home: Command) -> None:
    home("verify", ID, code=0)
    lines = home("export", ID, "--format", "jsonl", code=0).out.splitlines()
    assert len(lines) == 4000
    first, last = json.loads(lines[0]), json.loads(lines[-1])
    assert first["reference_path"] == f"{ID}/references/0.jpg"
    assert last["extra"]["final_score"][:7] == "10.7422"


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "documented"])
def test_every_layout_installs(
    run: Command, home: Command, pictures: dict[str, bytes], book: bytes, tmp_path: Path, layout: str
) -> None:
    listed = members(layout, pictures, book, junk=True)
    if layout == "early name":
        run("import", ID, replicas.folder(tmp_path / "given", listed), code=0)
    else:
        run("import", replicas.archive(tmp_path / "set (2).zip", listed), code=0)
    assert (run.root / ID / "index.csv").read_bytes() == (home.root / ID / "index.csv").read_bytes()
    assert run.box.paths() == []


def test_the_archive_is_not_taken_for_the_sister_database(archive: Path, tmp_path: Path) -> None:
    """All names of PKU-I2IQA are in it."""
    known = list(Catalogue({}).databases())
    root = Root(tmp_path / "root")
    root.prepare()
    with staged(root, "sorting") as work:
        owner = examine(known, look(archive), work).owner
    assert owner
    assert owner.id == ID


def test_a_copy_with_other_bytes_is_damage(
    run: Command, pictures: dict[str, bytes], book: bytes, tmp_path: Path
) -> None:
    listed = dict(members("as the loaders read", pictures, book))
    listed["T2I/DALLE/DALLE_1007_10.jpg"] = replicas.image("another picture")
    done = run("import", ID, replicas.archive(tmp_path / "set.zip", list(listed.items())), "--json", code=4).json()
    assert [finding["path"] for finding in done["findings"]] == ["images/DALLE_1007_10.jpg"]
    assert not (run.root / ID).exists()


def test_labels_only_are_the_part_of_others_and_say_so(
    run: Command, rows: Rows, database: Database, shared: Path
) -> None:
    serve_published(run.box, database, shared)
    done = run("fetch", ID, "--labels-only", "--splits", "--json", code=0).json()
    (result,) = [each["result"] for each in done["data"]]
    assert (result["state"], result["rows"], result["unpinned"]) == ("labels (partial)", 2400, [])
    warning = next(warning for warning in result["warnings"] if "other people's copy" in warning)
    assert "2400 of 4000 rows" in warning
    assert "CMIM" in warning
    found = read_csv(run.root / ID / "index.csv")
    same = ["image_id", "row", "prompt", "prompt_id", "generator", "task", *(f"score_{d}" for d in DIMENSIONS.values())]
    assert [[row[name] for name in same] for row in found] == [[row[name] for name in same] for row in rows[1600:]]
    split = {row["image_id"]: row["split"] for row in read_csv(run.root / ID / "splits/authors.csv")}
    assert {name for name, part in split.items() if part == "test"} == {n for n in split if n.endswith("_11.jpg")}
    assert (run.root / ID / "splits/cmim-10.csv").is_file()
    listed = run("list", "--json", code=0).json()["data"]
    assert [entry["state"] for entry in listed if entry["id"] == ID] == ["labels (partial)"]


def test_without_anybodys_labels_it_says_so(run: Command) -> None:
    done = run("fetch", ID, "--labels-only", code=3)
    assert "annotation.csv" in done.err
    assert not (run.root / ID).exists()


def test_the_part_alone_is_no_install_of_images(
    run: Command, pictures: dict[str, bytes], shared: Path, tmp_path: Path
) -> None:
    """The text-to-image half with its table is not passed off as the database."""
    some = {name: data for name, data in pictures.items() if name in REFERENCES or is_t2i(name)}
    listed = members("as the loaders read", some, b"")[1:]
    given = replicas.archive(tmp_path / "t2i.zip", listed)
    table = shared / "data/pku-aigiqa-4k/PKU-AIGIQA/annotation.csv"
    done = run("import", ID, given, table, code=3)
    assert "2,400 of the 4,000 rows" in done.err
    assert WORKBOOK in done.err
    without = run("import", ID, given, code=3)
    assert f"the label table {WORKBOOK}" in without.err


def test_only_the_share_is_left(run: Command) -> None:
    for words in ((), ("--mirror", "baidu")):
        error = run("fetch", ID, *words, "--json", code=3).json()["error"]
        offered: dict[str, Any] = {share["url"]: share for share in error["shares"]}
        share = offered["https://pan.baidu.com/s/1Co7Sca7Yl_RWNz_UP7zHuA?pwd=AIGI"]
        assert (share["code"], share["bytes"], share["sha256"]) == ("AIGI", None, "")
        assert not any("1xXpgvmHpipYeYym9D3sKHA" in url for url in offered), "weights are no part of it"


def test_info_shows_what_is_known(run: Command) -> None:
    text = run("info", ID, code=0).out
    for word in ("AIGI", DRIVE, "authors", "cmim", "unpinned", "withdrawn"):
        assert word in text
    shown: dict[str, Any] = run("info", ID, "--json", code=0).json()["data"]["manifest"]
    assert len(shown["facts"]) >= 25


@pytest.mark.parametrize("word", ["PKU-AIGIQA-4K", "AIGIQA4K", "AGIQA-4K", "PKU-AIGIQA", "pku_aigiqa_4k"])
def test_the_id_is_forgiving(home: Command, word: str) -> None:
    assert home("path", word, code=0).out == f"{home.root / ID}\n"
