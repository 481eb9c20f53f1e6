"""PKU-I2IQA: its manifest against the report and the published values, its rules, and whole runs on a replica."""

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

import numpy as np
import pku
import pytest
import replicas
import trustme
from conftest import Command
from doubles import Box

from aigiqa_cli import expectations, rules
from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.manifest import VOCABULARY_NAME, load, load_vocabulary
from aigiqa_cli.manifest.catalogue import built_in_folder
from aigiqa_cli.manifest.models import Database

ID = "pku-i2iqa"
WORKBOOK = "I2IQA_annotation.xlsx"
DRIVE = "1QP7vaGIkzMiaAzdjL_p_UfrABeLoQeXW"
FINAL_SCORES = [
    1,
    7,
    13,
    39,
    103,
    156,
    240,
    410,
    401,
    177,
    43,
    9,
    1,
]  # Pic/4d.png, in bins from 2 to 15 (report, section 5)
AMFF = "TanSongBai/AMFF-Net"
REFERENCES = [f"{number}.jpg" for number in range(200)]
Cells = dict[str, str]
Rows = list[Cells]

LAYOUTS = {  # generated image -> folders that hold it; the reference stands in Image_prompt/
    "documented": ("I2IQA/", ("Generated_image/All/",)),
    "with copies": ("I2IQA/", ("Generated_image/All/", "Generated_image/{model}/")),
    "copies first": ("PKU-I2IQA/", ("Generated_image/{model}/", "Generated_image/All/")),
    "no top folder": ("", ("Generated_image/All/",)),
    "only by generator": ("Dataset/I2IQA/", ("Generated_image/{model}/",)),
    "flat": ("PKUI2IQA/", ("image/",)),
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
def table(shared: Path) -> Rows:
    """The published rows in the order of the workbook."""
    return pku.i2i_rows(shared)


@pytest.fixture(scope="module")
def book(table: Rows) -> bytes:
    return pku.workbook(table)


@pytest.fixture(scope="module")
def pictures(table: Rows) -> dict[str, bytes]:
    return replicas.images([*(row["Generated_image"] for row in table), *REFERENCES])


def members(layout: str, pictures: dict[str, bytes], book: bytes, *, junk: bool = False) -> list[replicas.Member]:
    top, folders = LAYOUTS[layout]
    listed = [(f"{top}{WORKBOOK}", book)]
    for name, data in pictures.items():
        if name in REFERENCES:
            listed.append((f"{top}Image_prompt/{name}", data))
        else:
            listed += [(top + folder.format(model=name[:2]) + name, data) for folder in folders]
    return [*(pku.junk(top) if junk else ()), *listed]


def read_csv(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def section(report: str, number: int) -> str:
    return re.split(r"(?m)^## \d+\. ", report)[number]


# --- the manifest and its sources -------------------------------------------------------------------------------


def test_every_mirror_of_the_report_is_in_the_manifest(database: Database, report: str) -> None:
    mirrors = [mirror for asset in database.assets for mirror in asset.mirrors]
    shares = set(re.findall(r"`(https://pan\.[^`]+)` \| `(\w+)`", section(report, 2)))
    assert len(shares) == 2
    assert shares == {(mirror.url, mirror.code) for mirror in mirrors if mirror.kind == "baidu"}
    assert re.findall(r"file id `([^`]+)`", section(report, 2)) == [DRIVE]
    assert [mirror.id for mirror in mirrors if mirror.kind == "gdrive"] == [DRIVE]
    official = database.asset("pku-i2iqa-archive")
    assert [mirror.kind for mirror in official.mirrors] == ["gdrive", "baidu"], "the automatic one first"
    assert [asset.name for asset in database.assets_of("images", "labels")] == ["pku-i2iqa-archive", WORKBOOK]


def test_nothing_is_pinned_that_nobody_states(database: Database) -> None:
    """No size, hash or kind of archive was found in any public material."""
    for name in ("pku-i2iqa-archive", WORKBOOK, "dpgf-net-repack"):
        asset = database.asset(name)
        assert (asset.bytes, asset.sha256, asset.content_sha256, asset.approximate_size) == (None, "", "", "")
    assert database.asset("pku-i2iqa-archive").format == "other"
    assert database.license.spdx == "unspecified"


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
         row["side"], int(row["lines_or_records"]))
        for row in listed
    }  # fmt: skip
    for file in published["amff-net"].files:
        data = (shared / "data/pku-i2iqa" / file.path.partition("/")[2]).read_bytes()
        assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert len(data.splitlines()) == file.rows


def test_the_label_tables_of_others_are_one_whole_fold(database: Database) -> None:
    published = next(split.published for split in database.splits if split.name == "amff-net")
    assert published
    fold = {file.path: (file.bytes, file.sha256) for file in published.files if file.fold == 1}
    assets = [database.asset(name) for name in ("amff-net-train.txt", "amff-net-test.txt")]
    assert {asset.mirrors[0].path: (asset.bytes, asset.sha256) for asset in assets} == fold
    assert all(asset.mirrors[0].repo == AMFF and asset.optional for asset in assets)


def test_every_published_result_is_in_the_manifest(database: Database, report: str, shared: Path) -> None:
    methods = (shared / "databases/methods-nr-fr-pr.md").read_text(encoding="utf-8")
    figures = methods.partition("## 5. ")[2].partition("## 6. ")[0]
    stated: Counter[tuple[str, str, str, Decimal | None, Decimal | None]] = Counter()
    for part in re.split(r"\n(?=[^\n]*\(`Pic/)", figures)[1:]:
        figure = re.findall(r"`(Pic/[^`]+)`", part)[0]
        for backbone, kind, *cells in re.findall(r"(?m)^\| (\w+) (NR|FR)" + r" \| (\S+/\S+)" * 4 + r" \|$", part):
            for dimension, cell in zip(("quality", "authenticity", "alignment", "overall"), cells, strict=True):
                srcc, plcc = map(Decimal, cell.split("/"))
                stated[figure, f"{kind}-AIGCIQA, {backbone}", dimension, srcc, plcc] += 1
    assert sum(stated.values()) == 200
    zero_shot = re.findall(r"(?m)^Zero-shot .*$", report)[0]
    for name, *values in re.findall(r"([A-Z]+) (0\.\d{4})/(0\.\d{4})/(0\.\d{4})", zero_shot):
        for dimension, value in zip(("quality", "authenticity", "alignment"), values, strict=True):
            stated["kguniverse/I2IQA_scripts", name, dimension, Decimal(value), None] += 1
    assert sum(stated.values()) == 218
    found = Counter((r.source.partition(" of ")[0], r.method, r.dimension, r.srcc, r.plcc) for r in database.results)
    assert found == stated
    assert all("no MOS" in result.note for result in database.results if result.dimension == "overall")
    keys = [(result.method, result.dimension, result.source, result.protocol) for result in database.results]
    assert len(keys) == len(set(keys))


def test_every_number_of_the_label_section_is_in_the_manifest(report: str) -> None:
    words = " ".join((built_in_folder() / f"{ID}.yaml").read_text(encoding="utf-8").split())
    numbers = re.findall(r"(?<![\d.])\d+\.\d{4,6}(?!\d)", section(report, 5))
    assert len(numbers) >= 30
    assert {number for number in numbers if number not in words} == set()


def test_statistics_are_those_of_the_published_values(database: Database, shared: Path) -> None:
    """Against the second public source of the values, which has neither names nor prompts."""
    scores = json.loads((shared / "data/pku-i2iqa/real_scores.json").read_text(), parse_float=str, parse_int=str)
    words = {"quality": "Quality", "authenticity": "Authenticity", "alignment": "Correspondence"}
    models = {"stable-diffusion-1.5": ["SD"], "midjourney": ["MJ"]}
    wanted = [(database.expect.mos, ["SD", "MJ"])]
    wanted += [(part.mos, models[part.of["generator"]]) for part in database.expect.parts]
    assert len(wanted) == 3
    for expected, chosen in wanted:
        for dimension, word in words.items():
            values = [Fraction(text) for model in chosen for text in scores[model][word]]
            assert len(values) == 800 * len(chosen)
            stated = expected[dimension]  # type: ignore[index]
            assert (Fraction(stated.min), Fraction(stated.max)) == (min(values), max(values))
            assert round(sum(values) / len(values), 6) == Fraction(stated.mean)
            low, high = database.labels[0].scores[dimension].range  # type: ignore[index]
            assert low <= stated.min <= stated.max <= high


# --- the rules --------------------------------------------------------------------------------------------------


def applied(database: Database, book: bytes) -> rules.Labels:
    labels = rules.apply(database, database.labels[0], lambda _: io.BytesIO(book))
    rules.refuse_undeclared(labels, database)
    expectations.check(database, database.labels[0], labels)
    return labels


def test_every_row_of_the_workbook(database: Database, book: bytes, table: Rows) -> None:
    labels = applied(database, book)
    assert len(labels.rows) == len(table) == 1600
    assert labels.rejected == labels.declared == labels.unlabelled == ()
    for number, (row, line) in enumerate(zip(labels.rows, table, strict=True)):
        model, prompt, position = line["Generated_image"].removesuffix(".jpg").split("_")
        fields = row.fields
        assert (row.image_id, fields["row"], fields["prompt"]) == (
            line["Generated_image"],
            str(number),
            line["Text_prompt"],
        )
        assert (fields["generator"], fields["task"]) == (pku.SLUGS[model], "i2i")
        mos = (fields["mos_quality"], fields["mos_authenticity"], fields["mos_alignment"])
        assert mos == tuple(pku.cell(line[name]) for name in pku.SCORES), "q, a and c are never mixed up"
        assert row.reference
        assert row.reference.name == line["Image_prompt"]
        total = sum(Decimal(line[name]) for name in pku.SCORES)
        assert abs(Decimal(str(row.extra["final_score"])) - total) < Decimal("1e-12")
        assert row.extra == row.extra | {"prompt_number": prompt, "position": position}
        assert len(row.extra) == 3
    assert {name for row in labels.rows for name in row.fields if "overall" in name} == set(), "the sum is no MOS"


def test_the_workbook_may_lack_the_sum(database: Database, book: bytes, table: Rows) -> None:
    """That the seventh column exists here is not proven. The sum is then taken, exactly."""
    six = applied(database, pku.workbook(table, pku.HEADER[:6]))
    seven = applied(database, book)
    for row, line in zip(six.rows, table, strict=True):
        assert Decimal(str(row.extra["final_score"])) == sum(Decimal(line[name]) for name in pku.SCORES)
    assert [row.fields for row in six.rows] == [row.fields for row in seven.rows]


def test_rows_follow_the_published_order(database: Database, book: bytes) -> None:
    rows = applied(database, book).rows
    assert [rows[n].image_id for n in (0, 800, 1599)] == ["SD_000_00.jpg", "MJ_000_00.jpg", "MJ_199_11.jpg"]
    anchors = {"SD_000_00": "1.71 1.4086 3.5814", "MJ_000_00": "3.94 3.0129 4.415", "MJ_199_11": "2.97 2.3857 3.8483"}
    scores = {
        row.image_id.removesuffix(".jpg"): [
            row.fields[f"mos_{name}"] for name in ("quality", "authenticity", "alignment")
        ]
        for row in rows
    }
    assert {name: " ".join(scores[name]) for name in anchors} == anchors
    quality = {name: Decimal(values[0]) for name, values in scores.items()}
    assert min(quality, key=lambda name: quality[name]) == "SD_027_01"
    assert max(quality, key=lambda name: quality[name]) == "SD_049_01"


def test_statistics_per_generator_are_those_of_the_report(database: Database, book: bytes, report: str) -> None:
    rows = applied(database, book).rows
    lines = re.findall(r"(?m)^\| (SD|MJ) \(800\) \| (\S+) / (\S+) \| (\S+) / (\S+) \| (\S+) / (\S+) \|$", report)
    assert len(lines) == 2
    for model, *stated in lines:
        found = []
        for dimension in ("quality", "authenticity", "alignment"):
            chosen = [row for row in rows if row.fields["generator"] == pku.SLUGS[model]]
            values = [Decimal(row.fields[f"mos_{dimension}"]) for row in chosen]
            found += [f"{sum(values) / len(values):.6f}", f"{statistics.stdev(values):.6f}"]
        assert found == stated


def test_two_numbers_share_one_text(database: Database, book: bytes) -> None:
    """199 texts, 200 numbers: the text alone joins two references."""
    rows = applied(database, book).rows
    numbers, references = defaultdict(set), defaultdict(set)
    for row in rows:
        assert row.reference
        numbers[row.fields["prompt_id"]].add(row.extra["prompt_number"])
        references[row.extra["prompt_number"]].add(row.reference.name)
    assert len(numbers) == 199
    assert [found for found in numbers.values() if len(found) > 1] == [{"099", "196"}]
    assert len(references) == 200
    assert all(len(names) == 1 for names in references.values())


def test_the_reference_comes_from_the_column(database: Database, table: Rows) -> None:
    """Other names than those that one would build from the number are followed."""
    other = [row | {"Image_prompt": f"photo {199 - int(row['Image_prompt'][:-4])}.png"} for row in table]
    rows = applied(database, pku.workbook(other)).rows
    assert [row.reference.name for row in rows if row.reference] == [row["Image_prompt"] for row in other]


def test_a_row_without_its_reference_is_refused(database: Database, table: Rows) -> None:
    with pytest.raises(RefusedInput, match=rf"{WORKBOOK}:9: column Image_prompt is empty") as caught:
        applied(database, pku.workbook([*table[:7], table[7] | {"Image_prompt": ""}, *table[8:]]))
    assert caught.value.exit_code == 5


def test_wrong_workbooks_are_refused(database: Database, table: Rows) -> None:
    swapped = [row | {"MOS_q": row["MOS_c"], "MOS_c": row["MOS_q"]} for row in table]
    with pytest.raises(RefusedInput, match="mos_quality"):
        applied(database, pku.workbook(swapped))
    with pytest.raises(RefusedInput, match="rows: expected 1600, found 1599"):
        applied(database, pku.workbook(table[:-1]))
    with pytest.raises(RefusedInput, match="missing column MOS_a"):
        applied(database, pku.workbook(table, [*pku.HEADER[:4], "alignment", *pku.HEADER[5:]]))


def test_formulas_count_by_their_stored_value(database: Database, book: bytes) -> None:
    stored = applied(database, pku.with_formulas(book, cached=True))
    assert stored == applied(database, book)
    with pytest.raises(RefusedInput, match="a formula without its stored value"):
        applied(database, pku.with_formulas(book, cached=False))


def test_other_peoples_rows_are_put_back_into_order(database: Database, book: bytes, table: Rows, shared: Path) -> None:
    own = applied(database, book)
    source = database.labels[1]
    files = {f"amff-net-{side}.txt": shared / f"data/pku-i2iqa/PKU-I2IQA/1/{side}.txt" for side in ("train", "test")}
    labels = rules.apply(database, source, lambda name: files[name].open("rb"))
    rules.refuse_undeclared(labels, database)
    expectations.check(database, source, labels)
    assert [row.image_id for row in labels.rows] == [row["Generated_image"] for row in table]
    for theirs, ours, line in zip(labels.rows, own.rows, table, strict=True):
        assert theirs.fields["mos_quality"] == line["MOS_q"], "the text of the file, also 4.0"
        assert {name: pku.cell(text) for name, text in theirs.fields.items()} == ours.fields, "also the row number"
    totals = [float(str(row.extra["final_score"])) for row in labels.rows]
    bins, _ = np.histogram(totals, range(2, 16))
    assert bins.tolist() == FINAL_SCORES, "the authors' figure of the Final_score, bar for bar"
    assert (round(np.mean(totals), 6), round(np.std(totals, ddof=1), 6)) == (9.378869, 1.676956)
    assert {row.reference for row in labels.rows} == {None}
    assert "AMFF-Net" in source.third_party
    assert source.partial is None


# --- whole runs -------------------------------------------------------------------------------------------------


def serve_splits(box: Box, database: Database, shared: Path) -> None:
    published = next(split.published for split in database.splits if split.name == "amff-net")
    assert published
    for file in published.files:
        data = (shared / "data/pku-i2iqa" / file.path.partition("/")[2]).read_bytes()
        box.github.add(published.repo, published.revision, {file.path: data})


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, pictures: dict[str, bytes], book: bytes) -> Path:
    path = tmp_path_factory.mktemp("replica") / "download.zip"
    return replicas.archive(path, members("with copies", pictures, book, junk=True))


@pytest.fixture(scope="module")
def home(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory, database: Database, archive: Path, shared: Path
) -> Iterator[Command]:
    """Fetched from the built-in mirrors, with all published splits."""
    with Box(authority) as box:
        run = Command(box, tmp_path_factory.mktemp("fetch"))
        serve_splits(box, database, shared)
        box.drive.add(DRIVE, archive.read_bytes(), "I2IQA.zip")
        done = run("fetch", ID, "--splits", "--json", code=0).json()
        assert done["status"] == "ok"
        assert done["data"][0]["result"]["unpinned"] == [WORKBOOK, "pku-i2iqa-archive"]
        yield run
        assert not box.leaks()


@pytest.fixture(scope="module")
def rows(home: Command) -> Rows:
    return read_csv(home.root / ID / "index.csv")


def installed_like(run: Command, home: Command) -> None:
    assert (run.root / ID / "index.csv").read_bytes() == (home.root / ID / "index.csv").read_bytes()
    for name in ("images", "references", "labels"):
        ours, theirs = ({path.name for path in (each.root / ID / name).iterdir()} for each in (run, home))
        assert ours == theirs


def test_fetch_installs_every_row_with_its_reference(
    home: Command, rows: Rows, table: Rows, pictures: dict[str, bytes]
) -> None:
    assert len(rows) == 1600
    assert {path.name for path in (home.root / ID / "references").iterdir()} == set(REFERENCES)
    assert {path.name for path in (home.root / ID / "images").iterdir()} == set(pictures) - set(REFERENCES)
    for row, line in zip(rows, table, strict=True):
        name = line["Generated_image"]
        assert (row["image_id"], row["image_path"]) == (name, f"{ID}/images/{name}")
        assert row["reference_path"] == f"{ID}/references/{line['Image_prompt']}"
        assert row["sha256"] == hashlib.sha256(pictures[name]).hexdigest()
        assert (row["task"], row["flags"], row["mos_overall"], row["std_quality"]) == ("i2i", "", "", "")
        assert Decimal(row["score_quality"]) == (Decimal(line["MOS_q"]) / 5).quantize(Decimal("0.000001"))
    for name in (REFERENCES[0], REFERENCES[-1]):
        assert (home.root / ID / "references" / name).read_bytes() == pictures[name], "not the figure of that name"


def test_the_official_split_is_every_image_that_ends_in_11(home: Command) -> None:
    split = {row["image_id"]: row["split"] for row in read_csv(home.root / ID / "splits/authors.csv")}
    assert Counter(split.values()) == {"train": 1200, "test": 400}
    assert {name for name, part in split.items() if part == "test"} == {n for n in split if n.endswith("_11.jpg")}


def test_every_published_split_resolves_with_no_row_left_over(home: Command, shared: Path, table: Rows) -> None:
    prompts = {row["Generated_image"]: row["Text_prompt"] for row in table}
    for fold in range(1, 11):
        found = {row["image_id"]: row["split"] for row in read_csv(home.root / ID / f"splits/amff-net-{fold}.csv")}
        assert list(found) == list(prompts)
        for part in ("train", "test"):
            lines = (shared / f"data/pku-i2iqa/PKU-I2IQA/{fold}/{part}.txt").read_text().splitlines()
            names = {line.split("\t")[0].rpartition("/")[2] for line in lines}
            assert {name for name, side in found.items() if side == part} == names
        train, test = ({prompts[n] for n, side in found.items() if side == part} for part in ("train", "test"))
        assert test <= train, "prompts stand on both sides"
    names = {path.stem for path in (home.root / ID / "splits").iterdir()}
    assert names == {"authors", *(f"amff-net-{fold}" for fold in range(1, 11))}


def test_verify_and_export(home: Command) -> None:
    home("verify", ID, code=0)
    lines = home("export", ID, "--format", "jsonl", code=0).out.splitlines()
    assert len(lines) == 1600
    assert json.loads(lines[0])["extra"]["prompt_number"] == "000"
    tested = home("export", ID, "--format", "csv", "--split", "authors", code=0).out
    assert len(list(csv.reader(io.StringIO(tested)))) == 1601


def test_a_second_fetch_does_nothing(home: Command) -> None:
    home.box.log.clear()
    done = home("fetch", ID, "--splits", "--json", code=0).json()
    assert done["data"][0]["result"]["changed"] is False
    assert home.box.paths() == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_installs(
    run: Command, home: Command, pictures: dict[str, bytes], book: bytes, tmp_path: Path, layout: str
) -> None:
    listed = members(layout, pictures, book, junk=True)
    if layout in ("documented", "flat"):
        given = replicas.folder(tmp_path / "given", listed)
        run("import", ID, given, code=0)
    else:  # by its content alone, whatever it is called
        given = replicas.archive(tmp_path / "下载 (1).zip", listed)
        run("import", given, code=0)
    installed_like(run, home)
    assert run.box.paths() == []


def test_pieces_add_up(run: Command, home: Command, pictures: dict[str, bytes], book: bytes, tmp_path: Path) -> None:
    """The folders themselves, and the workbook as a file of its own, which is no archive of images."""
    listed = members("no top folder", pictures, book)
    folder = replicas.folder(tmp_path / "given", listed)
    pieces = (folder / WORKBOOK, folder / "Image_prompt", folder / "Generated_image" / "All")
    run("import", ID, *pieces, code=0)
    installed_like(run, home)


def test_a_workbook_alone_is_known_by_its_name(run: Command, home: Command, book: bytes, tmp_path: Path) -> None:
    """Two databases have this very header."""
    path = tmp_path / WORKBOOK
    path.write_bytes(book)
    done = run("import", path, "--json", code=0).json()
    assert [(each["database"], each["result"]["state"]) for each in done["data"]] == [(ID, "labels (unpinned)")]
    found = read_csv(run.root / ID / "index.csv")
    blank = {"image_path", "reference_path", "width", "height", "format", "bytes", "sha256", "flags"}
    assert [{k: v for k, v in row.items() if k not in blank} for row in found] == [
        {k: v for k, v in row.items() if k not in blank} for row in read_csv(home.root / ID / "index.csv")
    ]
    assert {row["flags"] for row in found} == {"no-image"}


def test_copies_with_other_bytes_are_damage(
    run: Command, pictures: dict[str, bytes], book: bytes, tmp_path: Path
) -> None:
    listed = dict(members("with copies", pictures, book))
    listed["I2IQA/Generated_image/MJ/MJ_000_00.jpg"] = replicas.image("another picture")
    given = replicas.archive(tmp_path / "set.zip", list(listed.items()))
    done = run("import", ID, given, "--json", code=4).json()
    assert any("MJ_000_00.jpg" in finding["path"] for finding in done["findings"])


def test_a_missing_reference_is_named(run: Command, pictures: dict[str, bytes], book: bytes, tmp_path: Path) -> None:
    some = {name: data for name, data in pictures.items() if name != "137.jpg"}
    done = run("import", ID, replicas.folder(tmp_path / "given", members("documented", some, book)), code=4)
    assert "137.jpg" in done.err


def test_another_workbook_inside_is_told_by_its_columns(
    run: Command, pictures: dict[str, bytes], table: Rows, tmp_path: Path
) -> None:
    other = pku.workbook(table, ["Image", *pku.HEADER[1:]])
    given = replicas.archive(tmp_path / "set.zip", members("documented", pictures, other))
    done = run("import", ID, given, code=5)
    assert f"{WORKBOOK}:1: missing column Image_prompt" in done.err


def test_labels_only_are_other_peoples_and_say_so(
    run: Command, home: Command, rows: Rows, database: Database, archive: Path, shared: Path
) -> None:
    serve_splits(run.box, database, shared)
    done = run("fetch", ID, "--labels-only", "--json", code=0).json()
    (result,) = [each["result"] for each in done["data"]]
    assert (result["state"], result["rows"], result["unpinned"]) == ("labels", 1600, [])
    assert any("other people's copy" in warning and "AMFF-Net" in warning for warning in result["warnings"])
    assert sorted(path.rpartition("/")[2] for path in run.box.paths()) == ["test.txt", "train.txt"]
    found = read_csv(run.root / ID / "index.csv")
    same = ["image_id", "prompt", "prompt_id", "generator", "task", "row", "score_quality", "score_authenticity"]
    same += ["score_alignment"]
    assert [[row[name] for name in same] for row in found] == [[row[name] for name in same] for row in rows]
    authors = (run.root / ID / "splits/authors.csv").read_bytes()
    assert authors == (home.root / ID / "splits/authors.csv").read_bytes(), "the order of rows is the authors'"
    run("import", ID, archive, code=0)
    installed_like(run, home)


def test_without_anybodys_labels_it_says_where_they_are(run: Command) -> None:
    done = run("fetch", ID, "--labels-only", code=3)
    assert "train.txt" in done.err
    assert not (run.root / ID).exists()


def test_only_the_share_is_left(run: Command) -> None:
    for words in ((), ("--mirror", "baidu")):
        error = run("fetch", ID, *words, "--json", code=3).json()["error"]
        offered: dict[str, Any] = {share["url"]: share for share in error["shares"]}
        share = offered["https://pan.baidu.com/s/1Jq6aAW5y3i_p5jgoRWvB8w?pwd=i2ia"]
        assert (share["code"], share["bytes"], share["sha256"]) == ("i2ia", None, "")
        assert share["next"].startswith(f"aigiqa import {ID} ")
        assert "https://pan.baidu.com/s/1Q-04YzcXyMefLDxQUKG2Ug?pwd=0221" in offered
    text = run("fetch", ID, code=3)
    assert "i2ia" in text.err
    assert DRIVE in text.err


def test_a_split_file_that_is_a_label_table_serves_both(
    run: Command, archive: Path, shared: Path, tmp_path: Path, home: Command
) -> None:
    sides = [shared / f"data/pku-i2iqa/PKU-I2IQA/1/{side}.txt" for side in ("train", "test")]
    run("import", ID, archive, *sides, code=0)
    installed_like(run, home)
    assert (run.root / ID / "splits/amff-net-1.csv").read_bytes() == (
        home.root / ID / "splits/amff-net-1.csv"
    ).read_bytes()


def test_require_hashes_refuses_what_nobody_vouches_for(run: Command, archive: Path) -> None:
    done = run("import", ID, archive, "--require-hashes", code=4)
    assert "no published hash vouches for" in done.err
    assert not (run.root / ID).exists()


def test_info_shows_what_is_known(run: Command) -> None:
    text = run("info", ID, code=0).out
    for word in ("i2ia", "0221", DRIVE, "unspecified", "authors", "amff-net", "unpinned"):
        assert word in text
    shown: dict[str, Any] = run("info", ID, "--json", code=0).json()["data"]["manifest"]
    assert len(shown["results"]) == 218
    assert len(shown["facts"]) >= 25


@pytest.mark.parametrize("word", ["PKU-I2IQA", "I2IQA", "PKUI2IQA", "PKU-I2I", "pku_i2iqa"])
def test_the_id_is_forgiving(home: Command, word: str) -> None:
    assert home("path", word, code=0).out == f"{home.root / ID}\n"
