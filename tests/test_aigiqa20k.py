"""AIGIQA-20K: its manifest against the report, its rules on the real label files, and a replica of its release.

The label files are the real ones; the MOS that nobody has published (val, test) and the prompts of the test images are
invented here, and every image is a generated picture of 8 x 8 pixels under its true name.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import statistics
import struct
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Command

from aigiqa_cli import expectations, rules, tables
from aigiqa_cli.archives.contract import Member
from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.installing.matching import Members, match_images
from aigiqa_cli.manifest import VOCABULARY_NAME, load, load_vocabulary
from aigiqa_cli.manifest.catalogue import Catalogue, built_in_folder
from aigiqa_cli.manifest.models import Database, LabelSource

ID = "aigiqa20k"
MANIFEST = built_in_folder() / f"{ID}.yaml"
IPCE = ("pf0607/IPCE", "10642fc2f756090d79e1f6a4b305639152f84dbb")
MA_AGIQA = ("wangpuyi/MA-AGIQA", "11c0cda0319b0c43f9dbb35e73df323fcfabee72")
REHOST = ("strawhat/AIGIQA-20k", "96ec68fe70abc785102ec1399fa1fb098b5a962f")
PARTS = {"train": 14000, "val": 2000, "test": 4000}
SLUGS = {
    "DALLE2": "dall-e-2", "DALLE3": "dall-e-3", "IF": "deepfloyd-if", "MJ": "midjourney", "LCM_Pixart": "lcm-pixart",
    "LCM_SD1.5": "lcm-stable-diffusion-1.5", "LCM_SDXL": "lcm-stable-diffusion-xl",
    "SDXL_Turbo": "stable-diffusion-xl-turbo", "Dream": "dream", "Pixart": "pixart", "Playground": "playground",
    "SD1.4": "stable-diffusion-1.4", "SD1.5": "stable-diffusion-1.5", "SDXL": "stable-diffusion-xl", "SSD1B": "ssd-1b",
}  # fmt: skip
CSV = ("info_train.csv", "info_val.csv", "info_test.csv")
XLSX = ("info_train.xlsx", "info_val.xlsx", "info_test.xlsx")
IPCE_CSV = ("ipce-info_train.csv", "ipce-info_val.csv")

Cells = list[str]


@dataclass(frozen=True)
class Release:
    """The rows (name, prompt, and in train mos) of each part, and every label file by asset name."""

    rows: dict[str, list[Cells]]
    files: dict[str, bytes]

    @property
    def all(self) -> list[tuple[str, Cells]]:
        return [(part, cells) for part, rows in self.rows.items() for cells in rows]


def as_csv(rows: list[Cells]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def as_xlsx(rows: Sequence[Sequence[object]]) -> bytes:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Sheet1")
    for row in rows:
        sheet.append(row)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def png(name: str) -> bytes:
    """A PNG of 8 x 8 pixels, different for every name and the same in every run."""
    seed = hashlib.sha512(name.encode()).digest() * 3
    lines = b"".join(b"\0" + seed[24 * line : 24 * line + 24] for line in range(8))
    head = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b""))
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def invented_mos(name: str) -> str:
    return f"{int.from_bytes(hashlib.sha256(name.encode()).digest()[:3]) % 4_900_000 / 1_000_000 + 0.05:.6f}"


@pytest.fixture(scope="module")
def release(shared: Path) -> Release:
    folder = shared / "data" / ID
    train = list(csv.reader((folder / "AIGCQA-30K-Image/info_train.csv").read_text().splitlines()))
    val = list(csv.reader((folder / "AIGCQA-30K-Image/info_val.csv").read_text().splitlines()))
    names = (folder / "DERIVED_test_names.txt").read_text().split()
    rows = {"train": train, "val": val, "test": [[name, f"invented prompt {n}"] for n, name in enumerate(names)]}
    everything = [cells for part in rows.values() for cells in part]
    mos = {cells[0]: cells[2] if len(cells) > 2 else invented_mos(cells[0]) for cells in everything}
    wide = [[str(n), mos[c[0]], c[0], "x", c[1]] for n, c in enumerate(reversed(everything))]
    files = {name: (folder / "AIGCQA-30K-Image" / name.removeprefix("ipce-")).read_bytes() for name in IPCE_CSV}
    files |= {name: (folder / "AIGCQA-30K-Image" / name).read_bytes() for name in XLSX[:2]}
    files |= {
        "info_train.csv": (folder / "AIGCQA_20K/info_train.csv").read_bytes(),
        "info_val.csv": b"name,prompt\n" + files["ipce-info_val.csv"],
        "info_test.csv": as_csv([["name", "prompt"], *rows["test"]]),
        "info_test.xlsx": as_xlsx([["name", "prompt"], *rows["test"]]),
        "data.csv": as_csv([["index", "mos", "name", "style", "prompt"], *wide]),
        "info_merge.csv": as_csv([["name", "mos"], *([c[0], mos[c[0]]] for c in everything)]),
    }
    return Release(rows, files)


@pytest.fixture(scope="module")
def database() -> Database:
    return load(MANIFEST, generators=set(load_vocabulary(built_in_folder() / VOCABULARY_NAME).generators))


@pytest.fixture(scope="module")
def words() -> str:
    return " ".join(MANIFEST.read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def report(shared: Path) -> dict[int, str]:
    sections = re.split(r"(?m)^## (?=\d+\. )", (shared / "databases" / f"{ID}.md").read_text(encoding="utf-8"))[1:]
    return {int(text.partition(".")[0]): text for text in sections}


@pytest.fixture(scope="module")
def generators(report: dict[int, str]) -> dict[str, Cells]:
    """The table of section 4: prefix -> images, train, val, test, mean, sd."""
    lines = (line.split("|")[1:-1] for line in report[4].splitlines() if line.startswith("| "))
    cells = [[cell.strip() for cell in line] for line in lines]
    return {row[0]: row[1:] for row in cells if row[1].isdigit()}


# --- the manifest -----------------------------------------------------------------------------------------------


def test_every_hash_size_and_commit_of_the_report_is_in_the_manifest(report: dict[int, str], words: str) -> None:
    text = "".join(report.values())
    stated = set(re.findall(r"(?<![0-9a-f])[0-9a-f]{40,64}(?![0-9a-f])", text))
    assert len(stated) == 7
    assert {digest for digest in stated if digest not in words} == set()
    sizes = {int(size.replace(",", "")) for size in re.findall(r"\| (\d{1,3}(?:,\d{3})+) \| [0-9a-f]{64}", report[5])}
    assert len(sizes) == 6
    assert {size for size in sizes if f"bytes: {size} " not in words} == set()


def test_every_mirror_row_of_the_report_is_a_mirror(report: dict[int, str], database: Database) -> None:
    mirrors = [mirror for asset in database.assets for mirror in asset.mirrors]
    rows = [line for line in report[2].splitlines() if line.startswith("| ") and "| mirror |" not in line]
    assert len(rows) == 7
    drive = set(re.findall(r"`([\w-]{33})`", report[2]))
    assert len(drive) == 3
    assert drive == {mirror.id for mirror in mirrors if mirror.kind == "gdrive"}
    repositories = {(mirror.kind, mirror.repo) for mirror in mirrors if mirror.kind in ("modelscope", "huggingface")}
    assert repositories == {
        ("modelscope", "lcysyzxdxc/AIGCQA-30K-Image"),
        ("huggingface", "lcysyzxdxc/AIGCQA-30K-Image"),
        ("huggingface", REHOST[0]),
        ("huggingface", "jizhongpeng/AIGCQA-30K"),
    }
    listed = set(re.findall(r"`(data\.csv|info_\w+\.csv)`", rows[2]))
    assert listed == {mirror.path for mirror in mirrors if mirror.repo == REHOST[0]}


def test_mirrors_that_hold_nothing_say_so(database: Database) -> None:
    official, twin = database.asset("AIGCQA-30K-Image").mirrors
    assert official.kind == "modelscope"
    assert official.health is not None
    assert official.health.state == "unknown"
    assert "no data/label files" in official.health.source
    assert twin.health is not None
    assert twin.health.state == "empty"
    assert database.asset("AIGCQA-30K-Image").format == "tree"


def test_every_alias_of_the_report_finds_the_database(report: dict[int, str]) -> None:
    aliases = re.findall(r"`([\w-]+)`", next(line for line in report[1].splitlines() if "Aliases" in line))
    assert len(aliases) == 8
    catalogue = Catalogue()
    assert {catalogue.database(alias).id for alias in ("AIGIQA-20K", "aigiqa_20k", *aliases)} == {ID}


def test_every_published_result_of_the_report_is_in_the_manifest(report: dict[int, str], database: Database) -> None:
    pairs = [*re.findall(r"(0\.\d{4})/(0\.\d{4})", report[8]), ("0.9076", "0.9274")]
    assert len(pairs) == 25
    assert Counter((Decimal(a), Decimal(b)) for a, b in pairs) == Counter((r.srcc, r.plcc) for r in database.results)
    assert {result.dimension for result in database.results} == {"overall"}


def test_every_number_of_the_label_and_generator_sections_is_in_the_manifest(
    report: dict[int, str], generators: dict[str, Cells], words: str, database: Database
) -> None:
    numbers = {n for row in generators.values() for n in row if "." in n} | set(re.findall(r"\d\.\d{6}", report[5]))
    assert len(numbers) == 37
    assert {number for number in numbers if number not in words} == set()
    assert {SLUGS[p]: (int(r[0]), int(r[0])) for p, r in generators.items()} == database.expect.generators
    parts = {tuple(sorted(part.of.items())): part.rows for part in database.expect.parts}
    for prefix, row in generators.items():
        for part, count in zip(PARTS, row[1:4], strict=True):
            assert parts[("generator", SLUGS[prefix]), ("split", part)] == (int(count), int(count))


def test_every_listed_split_file_is_in_the_manifest(shared: Path, database: Database) -> None:
    with (shared / "databases/split-files.tsv").open(newline="", encoding="utf-8") as stream:
        listed = [row for row in csv.DictReader(stream, delimiter="\t") if row["database"] == ID]
    split = next(split for split in database.splits if split.name == "ipce")
    source = split.published
    assert source is not None
    assert len(listed) == 20
    assert {
        (r["repo"], r["commit"], r["path"], int(r["bytes"]), r["sha256"], r["number"], r["side"],
         int(r["lines_or_records"])) for r in listed
    } == {
        (source.repo, source.revision, f.path, f.bytes, f.sha256, str(f.fold), f.part, (f.rows or 0) + f.skip)
        for f in source.files
    }  # fmt: skip
    assert [f.fold for f in source.files if f.tested] == [2, 2]
    assert {f.rows for f in source.files if f.part == "val"} == {1400}


# --- the rules on the real files --------------------------------------------------------------------------------


def labels_of(database: Database, source: LabelSource, files: dict[str, bytes]) -> rules.Labels:
    labels = rules.apply(database, source, lambda name: io.BytesIO(files[name]))
    rules.refuse_undeclared(labels, database)
    expectations.check(database, source, labels)
    return labels


def source_of(database: Database, *needs: str) -> LabelSource:
    return next(source for source in database.labels if source.needs == needs)


@pytest.fixture(scope="module")
def official(release: Release, database: Database) -> rules.Labels:
    """The labels from the csv form of the three official tables."""
    return labels_of(database, source_of(database, *CSV), release.files)


def told(release: Release, *parts: str) -> list[tuple[str, ...]]:
    """What the index must say: id, prompt, split, row, mos."""
    rows = [(part, cells) for part, cells in release.all if part in (parts or PARTS)]
    return [(c[0], c[1], part, str(n), c[2] if len(c) > 2 else "") for n, (part, c) in enumerate(rows)]


def said(labels: rules.Labels) -> list[tuple[str, ...]]:
    return [(r.image_id, *(r.fields[k] for k in ("prompt", "split", "row", "mos_overall"))) for r in labels.rows]


def test_the_label_files_are_the_pinned_ones(release: Release, database: Database) -> None:
    for name in (*XLSX[:2], CSV[0], *IPCE_CSV):
        asset, data = database.asset(name), release.files[name]
        assert (asset.bytes, asset.sha256) == (len(data), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(
    "needs", [CSV, XLSX, (*XLSX[:2], CSV[2]), (*IPCE_CSV, CSV[2])], ids=["csv", "xlsx", "mixed", "without header"]
)
def test_every_form_of_the_official_tables_says_the_same(
    release: Release, database: Database, needs: tuple[str, ...]
) -> None:
    labels = labels_of(database, source_of(database, *needs), release.files)
    assert said(labels) == told(release)
    assert labels.rows[0].image_id == "DALLE2_0000.png"  # no header line is taken for it, nor it for one


@pytest.mark.parametrize(
    ("needs", "parts"), [(XLSX[:2], ("train", "val")), (IPCE_CSV, ("train", "val")), (CSV[:1], ("train",))]
)
def test_tables_without_the_test_part_are_partial_and_other_peoples(
    release: Release, database: Database, needs: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    source = source_of(database, *needs)
    assert source.third_party
    assert source.partial == sum(PARTS[part] for part in parts)
    assert said(labels_of(database, source, release.files)) == told(release, *parts)


@pytest.mark.parametrize("needs", [(*CSV, "data.csv"), (*XLSX, "data.csv"), (*XLSX, "info_merge.csv")])
def test_full_labels_fill_in_what_is_missing(release: Release, database: Database, needs: tuple[str, ...]) -> None:
    source = source_of(database, *needs)
    expected = [(*row[:4], row[4] or invented_mos(row[0])) for row in told(release)]
    assert source.third_party
    assert said(labels_of(database, source, release.files)) == expected


def edited(release: Release, name: str, edit: Callable[[list[Cells]], object]) -> dict[str, bytes]:
    """The files with the rows of one csv changed in place."""
    rows = list(csv.reader(release.files[name].decode().splitlines()))
    edit(rows)
    return release.files | {name: as_csv(rows)}


def test_full_labels_may_differ_in_the_last_digit_only(release: Release, database: Database) -> None:
    """Copies that went through binary numbers do; the official text stays."""
    source = source_of(database, *CSV, "data.csv")
    rounded = edited(release, "data.csv", lambda rows: rows[-1].__setitem__(1, "3.663886823500001"))
    assert said(labels_of(database, source, rounded))[0][-1] == "3.6638868235"
    other = edited(release, "data.csv", lambda rows: rows[-1].__setitem__(1, "3.66388683"))
    with pytest.raises(RefusedInput, match="says something else in mos"):
        labels_of(database, source, other)


def test_full_labels_that_are_not_full_are_refused(release: Release, database: Database) -> None:
    source = source_of(database, *CSV, "data.csv")
    with pytest.raises(RefusedInput, match="has no row for it"):
        labels_of(database, source, edited(release, "data.csv", lambda rows: rows.pop()))


def test_random_scores_of_another_loader_are_refused(release: Release, database: Database) -> None:
    """It fills a missing MOS with a number between 0 and 10."""
    source = source_of(database, *CSV, "data.csv")
    with pytest.raises(RefusedInput, match="out of range"):
        labels_of(database, source, edited(release, "data.csv", lambda rows: rows[1].__setitem__(1, "7.25")))


def test_dots_and_underscores_belong_to_the_generator(official: rules.Labels, generators: dict[str, Cells]) -> None:
    by_prefix: dict[str, list[rules.LabelRow]] = defaultdict(list)
    for row in official.rows:
        assert row.fields["generator"] == SLUGS[row.image_id.removesuffix(".png").rpartition("_")[0]]
        by_prefix[row.image_id.rpartition("_")[0]].append(row)
    assert set(by_prefix) == set(generators) == set(SLUGS)
    for prefix, (images, train, val, test, mean, deviation) in generators.items():
        rows = by_prefix[prefix]
        assert len(rows) == int(images)
        split = Counter(row.fields["split"] for row in rows)
        assert [split[part] for part in PARTS] == [int(train), int(val), int(test)]
        mos = [float(row.fields["mos_overall"]) for row in rows if row.fields["mos_overall"]]
        assert (f"{statistics.fmean(mos):.6f}", f"{statistics.stdev(mos):.6f}") == (mean, deviation)
        assert sorted(row.image_id for row in rows) == [f"{prefix}_{n:04}.png" for n in range(int(images))]


def test_statistics_are_those_of_the_report(official: rules.Labels) -> None:
    rows = official.rows
    texts = [row.fields["mos_overall"] for row in rows]
    mos = [float(text) for text in texts if text]
    assert len(mos) == len(set(mos)) == 14000
    quartiles = statistics.quantiles(mos, n=4, method="inclusive")
    found = [min(mos), max(mos), statistics.fmean(mos), statistics.stdev(mos), *quartiles]
    assert [f"{number:.6f}" for number in found] == [
        "0.122290", "4.981356", "3.863854", "0.710338", "3.555858", "4.023369", "4.367305",
    ]  # fmt: skip
    assert [sum(low < m <= low + 1 for m in mos) for low in range(5)] == [42, 384, 1014, 5340, 7220]
    known = {part: {r.fields["prompt"] for r in rows if r.fields["split"] == part} for part in PARTS}
    assert (len(known["train"]), len(known["train"] | known["val"]), len(known["train"] & known["val"])) == (
        13624, 15533, 82,
    )  # fmt: skip
    seen = {row.image_id: row.fields["prompt"] for row in rows if row.fields["split"] != "test"}
    pairs = [(seen.get(f"SD1.4_{n:04}.png"), seen.get(f"SD1.5_{n:04}.png")) for n in range(2000)]
    assert [pair for pair in pairs if pair[0] and pair[0] == pair[1]] == []  # a number is no prompt


def test_the_one_score_is_overall_and_optional(official: rules.Labels) -> None:
    columns = {
        name for row in official.rows for name, text in row.fields.items() if text and name[:4] in ("mos_", "scor")
    }
    assert columns == {"mos_overall", "score_overall"}
    first, last = official.rows[0].fields, official.rows[-1].fields
    assert (first["mos_overall"], first["score_overall"]) == ("3.6638868235", "0.732777")
    assert (last["mos_overall"], last["score_overall"]) == ("", "")


def test_a_training_table_without_its_scores_is_refused(release: Release, database: Database) -> None:
    moved = edited(release, CSV[0], lambda rows: rows[1].__setitem__(2, "4.9"))
    with pytest.raises(RefusedInput, match="mean of mos_overall"):
        labels_of(database, source_of(database, *CSV), moved)


# --- layouts ----------------------------------------------------------------------------------------------------

LAYOUTS = {  # section 3
    "official": "AIGCQA-30K-Image/{part}/{name}",
    "parts": "{part}/{name}",
    "M3-AGIQA": "aigciqa-20k/images/{name}",
    "SCVA-AGIQA": "all/{name}",
    "flat": "{name}",
}


def junk() -> list[str]:
    names = ("DALLE2_0000.png", "LCM_SD1.5_0305.png")
    copies = [f"resized_512/{name}" for name in names]  # beside the published folders
    return [f"__MACOSX/train/._{name}" for name in names] + copies + ["~$info_train.xlsx", "cover.png", "SD1.4_12.png"]


def test_full_labels_in_a_workbook_are_read_by_their_names(release: Release) -> None:
    layout = tables.Layout("data.xlsx", "xlsx", ("name", "mos"), others=True)
    rows = list(csv.reader(release.files["data.csv"].decode().splitlines()))[:3]
    found = list(tables.rows(io.BytesIO(as_xlsx(rows)), layout))
    assert found == [(n, [row[2], row[1]]) for n, row in enumerate(rows[1:], 2)]
    with pytest.raises(RefusedInput, match="missing column mos"):
        list(
            tables.rows(
                io.BytesIO(b"name,prompt,index\nx,y,1\n"), tables.Layout("a", "csv", ("name", "mos"), others=True)
            )
        )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_image_is_found_in_every_layout(release: Release, official: rules.Labels, layout: str) -> None:
    places = {name[0]: LAYOUTS[layout].format(part=part, name=name[0]) for part, name in release.all}
    beside = [] if layout in ("SCVA-AGIQA", "M3-AGIQA", "flat") else junk()
    listed = [Member(n, name, 1) for n, name in enumerate([*beside, *places.values(), *junk()[:2], *junk()[4:]])]
    matches = match_images(Members([SimpleNamespace(members=listed)]), official.rows)  # type: ignore[list-item]
    assert matches.missing == []
    assert {target: [p.member.name for p in found] for target, found in matches.found.items()} == {
        f"images/{name}": [place] for name, place in places.items()
    }


# --- end to end -------------------------------------------------------------------------------------------------


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def online(run: Command, release: Release, *, hub: bool = True) -> None:
    """The built-in mirrors of the label files under their own names."""
    for name in (*XLSX[:2], *IPCE_CSV):
        run.box.github.add(*IPCE, {f"data/AIGCQA-30K-Image/{name.removeprefix('ipce-')}": release.files[name]})
    run.box.github.add(*MA_AGIQA, {"dataset/AIGCQA_20K/info_train.csv": release.files["info_train.csv"]})
    if hub:
        run.box.hub.add(REHOST[0], {name: release.files[name] for name in (*CSV, "data.csv")}, commit=REHOST[1])


def index_of(run: Command) -> list[tuple[str, ...]]:
    rows = read_csv(run.root / ID / "index.csv")
    return [(r["image_id"], r["prompt"], r["split"], r["row"], r["mos_overall"]) for r in rows]


def record(run: Command) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run.root / ".aigiqa/installed" / f"{ID}.json").read_text())
    return content


def written(folder: Path, release: Release, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name.removeprefix("ipce-")).write_bytes(release.files[name])
    return [folder / name.removeprefix("ipce-") for name in names]


@pytest.fixture(scope="module")
def members(release: Release) -> list[tuple[str, str, bytes]]:
    """(part, name, bytes) of every image."""
    return [(part, cells[0], png(cells[0])) for part, cells in release.all]


def check_images(run: Command, members: list[tuple[str, str, bytes]]) -> list[dict[str, str]]:
    rows = read_csv(run.root / ID / "index.csv")
    hashes = {name: hashlib.sha256(data).hexdigest() for _, name, data in members}
    assert {row["image_id"]: row["sha256"] for row in rows} == hashes
    assert {row["image_path"] for row in rows} == {f"{ID}/images/{name}" for name in hashes}
    assert {(row["format"], row["width"], row["height"], row["flags"], row["task"]) for row in rows} == {
        ("png", "8", "8", "", "t2i")
    }
    return rows


def test_a_folder_as_published_installs(
    run: Command, release: Release, members: list[tuple[str, str, bytes]], shared: Path, tmp_path: Path
) -> None:
    """The three workbooks lie inside; the split files of fold 2 are given beside it, and a name that means nothing."""
    base = tmp_path / "AIGCQA-30K-Image"
    written(base, release, *XLSX)
    for part in PARTS:
        (base / part).mkdir()
    for part, name, data in members:
        (base / part / name).write_bytes(data)
    (base / "~$info_train.xlsx").write_bytes(b"\x05Anna" + bytes(160))
    (base / "resized").mkdir()
    (base / "resized/SD1.5_0000.png").write_bytes(png("another"))
    originals = shared / "data/split-files/ipce" / ID
    splits = [shutil.copy(originals / f"2-{side}.csv", tmp_path / f"{side}.csv") for side in ("train", "val")]
    done = run("import", ID, base, *splits, code=0)
    assert done.out == f"{run.root / ID}\n"
    assert run.box.paths() == []
    assert index_of(run) == told(release)
    rows = check_images(run, members)
    assert Counter(row["generator"] for row in rows)["lcm-stable-diffusion-1.5"] == 1000
    kept = {path.name: path.read_bytes() for path in (run.root / ID / "labels").iterdir()}
    assert kept == {name: release.files[name] for name in XLSX}
    official = {row["image_id"]: row["split"] for row in read_csv(run.root / ID / "splits/official.csv")}
    assert official == {cells[0]: part for part, cells in release.all}
    fold = {row["image_id"]: row["split"] for row in read_csv(run.root / ID / "splits/ipce-2.csv")}
    assert set(fold) == {cells[0] for cells in release.rows["train"]}
    assert Counter(fold.values()) == {"train": 12600, "val": 1400}
    assert fold["DALLE2_0000.png"] == "train"
    notes = record(run)["splits"]
    assert notes == {
        "official": "",
        "ipce-2": "Database/AIGC/2/val.csv:1: DALLE2_0000.png is left out, as declared; 6000 images are in no part",
    }
    exported = run("export", ID, "--split", "official:test", "--columns", "image_id,split", code=0).out
    assert exported.count("\n") == 4001


def test_the_official_tree_arrives_from_modelscope(
    run: Command, release: Release, members: list[tuple[str, str, bytes]]
) -> None:
    """All 20,000 files of the hub folder, one listing, under the real host name; a second fetch asks for nothing."""
    online(run, release)
    files = {f"{part}/{name}": data for part, name, data in members}
    run.box.scope.add("lcysyzxdxc/AIGCQA-30K-Image", files | {n: release.files[n] for n in XLSX})
    done = run("fetch", ID, code=0)
    assert done.out == f"{run.root / ID}\n"
    assert index_of(run) == told(release)
    check_images(run, members)
    asked = [entry for entry in run.box.log if entry.host == "modelscope.cn" and "FilePath" in str(entry.query)]
    assert len({str(entry.query) for entry in asked}) == len(asked) == 20_003
    run.box.log.clear()
    run("fetch", ID, code=0)
    assert run.box.paths() == []


def test_a_zip_of_a_colleague_with_full_labels_installs(
    run: Command, release: Release, members: list[tuple[str, str, bytes]], tmp_path: Path
) -> None:
    """The layout of M3-AGIQA: one folder of images, data.csv and the lists of the parts; junk beside them."""
    path = tmp_path / "whatever.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for name in (
            "__MACOSX/images/._IF_0000.png",
            "images/.DS_Store",
            "images/readme.txt",
            "images/IF_0000 (1).png",
        ):
            target.writestr(name, b"junk")
        for name in (*CSV, "data.csv"):
            target.writestr(name, release.files[name])
        for _, name, data in members:
            target.writestr(f"images/{name}", data)
    run("import", path, code=0)
    assert run.box.paths() == []
    assert index_of(run) == [(*row[:4], row[4] or invented_mos(row[0])) for row in told(release)]
    check_images(run, members)
    warnings = " ".join(record(run)["warnings"])
    assert "strawhat" in warnings
    assert run("export", ID, code=0).out.count("\naigiqa20k,") == 20000


def test_labels_only_comes_from_the_built_in_mirrors(run: Command, release: Release, shared: Path) -> None:
    online(run, release)
    for side in ("train", "val"):
        data = (shared / "data/split-files/ipce" / ID / f"2-{side}.csv").read_bytes()
        run.box.github.add(*IPCE, {f"Database/AIGC/2/{side}.csv": data})
    done = run("fetch", ID, "--labels-only", "--splits", code=0)
    assert "18 of 20 files are not to be had" in done.err
    assert index_of(run) == told(release)
    assert {path.name for path in (run.root / ID / "labels").iterdir()} == set(CSV)
    assert {path.name for path in (run.root / ID / "splits").iterdir()} == {"official.csv", "ipce-2.csv"}
    assert not [entry for entry in run.box.paths() if "data.csv" in str(entry)]


def test_without_the_re_host_labels_are_partial(run: Command, release: Release) -> None:
    online(run, release, hub=False)
    run("fetch", ID, "--labels-only", code=0)
    assert index_of(run) == told(release, "train", "val")
    listed = run("list", "--json", code=0).json()["data"]
    assert [entry["state"] for entry in listed if entry["id"] == ID] == ["labels (partial)"]


def test_data_csv_alone_is_completed_by_the_official_lists(run: Command, release: Release, tmp_path: Path) -> None:
    online(run, release)
    run("import", ID, *written(tmp_path / "given", release, "data.csv"), code=0)
    assert index_of(run) == [(*row[:4], row[4] or invented_mos(row[0])) for row in told(release)]


def test_files_in_hand_need_no_network(run: Command, release: Release, tmp_path: Path) -> None:
    """Those without a header are known by hash, two workbooks with one header are told apart by name.

    The hash of the copies of others is advisory: a workbook that was saved again is unpinned and no damage.
    """
    run("import", *written(tmp_path / "ipce", release, *IPCE_CSV), code=0)
    assert index_of(run) == told(release, "train", "val")
    books = written(tmp_path / "books", release, *reversed(XLSX))
    again = [[cells[0], cells[1], float(cells[2])] for cells in release.rows["train"]]
    books[-1].write_bytes(as_xlsx([["name", "prompt", "mos"], *again]))
    run("import", ID, *books, code=0)
    assert [row[:4] for row in index_of(run)] == [row[:4] for row in told(release)]
    proofs = {source["asset"]: source["proof"] for source in record(run)["sources"]}
    assert proofs == {"info_train.xlsx": "", "info_val.xlsx": "sha256", "info_test.xlsx": ""}
    assert run.box.paths() == []


def with_mos_column(release: Release, name: str) -> bytes:
    header, *rows = csv.reader(io.StringIO(release.files[name].decode(), newline=""))
    assert header == ["name", "prompt"]
    return as_csv([["name", "prompt", "mos"], *([*row, ""] for row in rows)])


def test_the_blind_parts_may_have_a_column_of_no_scores(run: Command, release: Release, tmp_path: Path) -> None:
    """The page of the re-host shows the features name, prompt, mos for all parts; the sizes say there are two."""
    files = {name: with_mos_column(release, name) for name in CSV[1:]} | {CSV[0]: release.files[CSV[0]]}
    run.box.hub.add(REHOST[0], files, commit=REHOST[1])
    run("fetch", ID, "--labels-only", code=0)
    assert index_of(run) == told(release)


def test_second_downloads_are_the_files_that_they_are(run: Command, release: Release, tmp_path: Path) -> None:
    """`info_val (1).csv` and `info_test (1).csv` have one header: the names tell them apart, and none is lost."""
    given = written(tmp_path, release, *CSV)
    renamed = [path.rename(path.with_stem(path.stem + " (1)")) for path in given[1:]]
    run("import", ID, given[0], *renamed, code=0)
    assert index_of(run) == told(release)
    assert run.box.paths() == []


def test_two_lists_that_nothing_tells_apart_are_refused(run: Command, release: Release, tmp_path: Path) -> None:
    given = written(tmp_path, release, *CSV)
    renamed = [path.rename(path.with_stem(f"list{number}")) for number, path in enumerate(given[1:])]
    done = run("import", ID, given[0], *renamed, code=5)
    assert "list0.csv and list1.csv are two different files" in done.err
    assert not (run.root / ID).exists()
