"""AGIQA-1K: its manifest against the report and the published files, its rules, and whole runs on a replica.

The archive of the images is public nowhere with a hash, so the replica is what the manifest can know of it: the true
names, around small generated images, in every folder layout that users report.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import statistics
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import openpyxl
import pytest
import replicas
import trustme
from conftest import Command
from doubles import Box

from aigiqa_cli import expectations, rules
from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.installing import splitting
from aigiqa_cli.manifest import VOCABULARY_NAME, load, load_vocabulary
from aigiqa_cli.manifest.catalogue import built_in_folder
from aigiqa_cli.manifest.models import Database, LabelSource, Split

ID = "agiqa1k"
HOME = "lcysyzxdxc/AGIQA-1k-Database"
COMMIT = "7a8d9f23c1426b4466d713a91c5a7a0a7a716eae"
DRIVE = "158uTLMnxGlzYA11r5jOtXFAWAG_4sjia"
WORKBOOK, MEANS = "AIGC_MOS_Zscore.xlsx", "AIGC_all.csv"
TWICE, ALONE, MALFORMED = "dreamStudio_8_9_1_1.jpg", "dreamStudio_8_5_0_0.jpg", "dreamStudio_8_9_1_.jpg"
SLUGS = {"deepai": "stable-diffusion-2.0", "dreamStudio": "stable-inpainting-1.0"}
LAYOUTS = {  # section 3 of the report
    "published": "file/",
    "in the repository": "AGIQA-1k-Database/file/",
    "renamed": "images/",
    "img": "data/AGIQA-1K/img/",
    "root": "",
}
MAIN = ["bird", "cat", "dog", "batman", "snoppy", "teddy bear"]  # section 5 of the report
MAINS = {
    "deepai": [*MAIN, "kid", "man", "woman", "alien", "demon", "witch"],
    "dreamStudio": [*MAIN, "man", "woman", "alien"],
}
SECOND = [
    "driving aircraft", "driving bike", "driving car", "having hamburger", "having icecream", "having pizza",
    "playing baseball", "playing football", "playing yoga", "using CD", "using laptop", "using phone", "wearing coat",
    "wearing hat", "wearing shirt",
]  # fmt: skip
SECONDS = {"deepai": SECOND, "dreamStudio": SECOND[5:]}
PLACES, STYLES = ["city", "wild"], ["anime style", "realistic style"]

Published = list[tuple[str, str, str]]


@pytest.fixture(scope="module")
def database() -> Database:
    return load(
        built_in_folder() / f"{ID}.yaml",
        generators=set(load_vocabulary(built_in_folder() / VOCABULARY_NAME).generators),
    )


@pytest.fixture(scope="module")
def text() -> str:
    return " ".join((built_in_folder() / f"{ID}.yaml").read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def report(shared: Path) -> str:
    return (shared / "databases" / f"{ID}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def book(shared: Path) -> Published:
    """The 1,080 rows of the workbook; numbers in their shortest form."""
    data = io.BytesIO((shared / "data" / ID / WORKBOOK).read_bytes())
    header, *rows = openpyxl.load_workbook(data, read_only=True).worksheets[0].iter_rows(values_only=True)
    assert header == ("Image", "Prompt", "MOS")
    return [(str(name), str(prompt), repr(mos)) for name, prompt, mos in rows]


@pytest.fixture(scope="module")
def means(shared: Path) -> dict[str, str]:
    table = (shared / "data" / ID / MEANS).read_text(encoding="utf-8")
    return {row["Image"]: row["Score"] for row in csv.DictReader(io.StringIO(table, newline=""))}


@pytest.fixture(scope="module")
def labels(database: Database, shared: Path) -> rules.Labels:
    return applied(database, database.labels[0], shared)


def applied(database: Database, source: LabelSource, shared: Path) -> rules.Labels:
    found = rules.apply(database, source, lambda name: (shared / "data" / ID / name).open("rb"))
    rules.refuse_undeclared(found, database)
    expectations.check(database, source, found)
    return found


def section(report: str, number: int) -> str:
    return re.split(r"(?m)^## \d+\. ", report)[number]


# --- the manifest -----------------------------------------------------------------------------------------------


def test_every_mirror_of_the_report_is_in_the_manifest(database: Database, report: str) -> None:
    part = section(report, 2)
    mirrors = [mirror for asset in database.assets for mirror in asset.mirrors]
    assert {m.id for m in mirrors if m.kind == "gdrive"} == {DRIVE} == set(re.findall(r"file id \| `([^`]+)`", part))
    shares = set(re.findall(r"https://pan\.[^`\s]+", part))
    assert {(m.url, m.code) for m in mirrors if m.kind == "baidu"} == {(url, "AIGC") for url in shares}
    assert len(shares) == 1
    assert {(m.repo, m.revision, m.path) for m in mirrors if m.kind == "github"} == {
        (HOME, COMMIT, WORKBOOK), (HOME, COMMIT, MEANS)
    }  # fmt: skip


def test_every_hash_of_the_report_is_in_the_manifest(text: str, report: str) -> None:
    stated = set(re.findall(r"(?<![0-9a-f])[0-9a-f]{40,64}(?![0-9a-f])", report))
    assert len(stated) == 5
    assert {digest for digest in stated if digest not in text} == set()


def test_pinned_tables_are_the_real_ones_and_nothing_else_is_pinned(database: Database, shared: Path) -> None:
    for name in (WORKBOOK, MEANS):
        asset, data = database.asset(name), (shared / "data" / ID / name).read_bytes()
        assert (asset.bytes, asset.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() in asset.evidence
    archive = database.asset("file.zip")
    assert (archive.bytes, archive.accepted, archive.content_sha256) == (None, (), "")


def test_every_published_result_is_in_the_manifest(database: Database, report: str) -> None:
    stated = re.findall(r"([\w-]+) (\.\d{4})/(\.\d{4})", section(report, 7))
    assert len(stated) == 10
    assert sorted((m, Decimal(s), Decimal(p)) for m, s, p in stated) == sorted(
        (result.method, result.srcc, result.plcc) for result in database.results if "jiquan123" not in result.source
    )


def test_every_number_of_the_label_section_is_in_the_manifest(text: str, report: str) -> None:
    numbers = set(re.findall(r"(?<![\d.])\d\.\d{4,}(?!\d)", section(report, 4)))
    rounded = {"0.4414", "2.0455", "2.0841", "2.2273", "2.7934105045636524"}  # stated in full, or in section 9
    assert len(numbers) > 15
    assert {number for number in numbers - rounded if number not in text} == set()


def test_every_listed_split_file_is_in_the_manifest(database: Database, shared: Path) -> None:
    wanted = {
        (row["project"], row["repo"], row["commit"], row["path"], row["bytes"], row["sha256"], row["number"],
         row["side"], int(row["lines_or_records"]) - 1)
        for row in listed(shared)
    }  # fmt: skip
    found = {
        (split.name, source.repo, source.revision, file.path, str(file.bytes), file.sha256, str(file.fold), file.part,
         file.rows)
        for split in database.splits
        if (source := split.published)
        for file in source.files
    }  # fmt: skip
    assert len(wanted) == 42
    assert found == wanted


def test_only_splits_whose_originals_are_at_hand_are_called_tested(database: Database, shared: Path) -> None:
    held = {hashlib.sha256(data).hexdigest() for data in originals(shared).values()}
    assert len(held) == 10
    for split in database.splits:
        for file in split.published.files if split.published else ():
            assert file.tested == (file.sha256 in held)


# --- the rules --------------------------------------------------------------------------------------------------


def test_names_prompts_and_scores_are_the_published_ones(labels: rules.Labels, book: Published) -> None:
    assert len(book) == 1080
    found = [(row.image_id, row.fields["prompt"], row.fields["mos_quality"]) for row in labels.rows]
    assert found == book[:1079]
    assert [row.fields["row"] for row in labels.rows] == [str(number) for number in range(1079)]
    assert {row.fields["task"] for row in labels.rows} == {"t2i"}
    assert not labels.rejected


def test_the_numbers_worth_asserting(labels: rules.Labels, book: Published) -> None:
    """Section 9 of the report."""
    assert book[0] == ("deepai_0_0_0_0.jpg", "bird, driving aircraft, city, anime style", "2.7934105045636524")
    first = labels.rows[720]
    assert (first.image_id, first.fields["prompt"], first.fields["mos_quality"]) == (
        "dreamStudio_0_0_0_0.jpg", "bird, having pizza, city, anime style", "2.1342476098301777"
    )  # fmt: skip
    values = [Decimal(mos) for _, _, mos in book]
    mean = sum(values, Decimal()) / 1080
    assert [min(values), max(values), round(mean, 6)] == [Decimal(0), Decimal(5), Decimal("2.500893")]
    assert Counter(row.fields["generator"] for row in labels.rows) == {SLUGS["deepai"]: 720, SLUGS["dreamStudio"]: 359}
    assert len({row.fields["prompt"] for row in labels.rows}) == 720


@pytest.mark.parametrize(
    ("model", "stated"),
    [("deepai", ("2.9321", "0.5506", "1.0793", "5.0000")), ("dreamStudio", ("1.6384", "0.6881", "0.0000", "3.4125"))],
)
def test_statistics_per_generator_are_those_of_the_report(
    labels: rules.Labels, model: str, stated: tuple[str, ...]
) -> None:
    """The report counts the second row of the image that is labelled twice."""
    rows = [row for row in labels.rows if row.fields["generator"] == SLUGS[model]]
    values = [Decimal(row.fields["mos_quality"]) for row in rows]
    values += [Decimal(str(row.extra["mos_other"])) for row in rows if "mos_other" in row.extra]
    found = (sum(values) / len(values), statistics.stdev(values), min(values), max(values))
    assert tuple(f"{value:.4f}" for value in found) == stated


def test_what_is_expected_is_the_mean_of_the_rows_that_count(database: Database, book: Published) -> None:
    values = [Decimal(mos) for _, _, mos in book[:1079]]
    stated = database.expect.mos["quality"]
    mean = sum(values, Decimal()) / 1079
    assert (stated.min, stated.max, stated.mean) == (min(values), max(values), round(mean, 6))
    (twin,) = (part for part in database.expect.parts if part.of["generator"] == SLUGS["dreamStudio"])
    assert twin.mos["quality"].mean == round(sum(values[720:]) / 359, 4)


def test_clipped_scores_are_exactly_zero_and_five(labels: rules.Labels, report: str) -> None:
    part = re.search(r"7 rows are exactly 0 \(`([^)]*)`\) and 2 exactly 5\s+\(([^)]*)\)", report)
    assert part
    zeros = {
        name if name.startswith("dream") else f"dreamStudio{name}" for name in part[1].replace("`", "").split(", ")
    }
    fives = set(re.findall(r"deepai[_\d]+", part[2]))
    assert (len(zeros), len(fives)) == (7, 2)
    by_score = {"0": zeros, "5": fives}
    for score, names in by_score.items():
        found = {row.image_id.removesuffix(".jpg") for row in labels.rows if row.fields["mos_quality"] == score}
        assert found == names


def test_the_image_that_is_labelled_twice_keeps_its_first_score(labels: rules.Labels) -> None:
    (row,) = (row for row in labels.rows if row.flags)
    assert (row.image_id, row.flags) == (TWICE, ("duplicate-label",))
    assert (row.fields["mos_quality"], row.extra["mos_other"]) == ("0.4414155439958131", "2.084115711537598")
    assert row.fields["row"] == "1078"
    assert [finding.found for finding in labels.declared if finding.problem == "declared duplicate"] == [TWICE]


def test_the_image_without_a_label_has_its_raw_mean_alone(labels: rules.Labels) -> None:
    (row,) = labels.unlabelled
    assert (row.image_id, row.flags, row.extra) == (ALONE, ("no-label",), {"raw_mean": "2.227272727"})
    assert row.fields == {
        "row": "", "prompt": "", "prompt_id": "", "generator": SLUGS["dreamStudio"], "task": "t2i"
    }  # fmt: skip


def test_raw_means_join_by_name_and_the_malformed_name_is_listed(labels: rules.Labels, means: dict[str, str]) -> None:
    assert len(means) == 1080
    found = {row.image_id: row.extra["raw_mean"] for row in labels.rows}
    assert found.pop(TWICE) == ""
    assert found == {name: mean for name, mean in means.items() if name not in (ALONE, MALFORMED)}
    assert len(found) == 1078
    assert means[MALFORMED] == "2.045454545"
    left = [finding for finding in labels.declared if finding.path == MEANS]
    assert [(finding.problem, finding.found) for finding in left] == [
        ("declared: a row belongs to no image", MALFORMED)
    ]  # fmt: skip


def test_every_raw_mean_is_a_whole_number_of_points_by_22_raters(database: Database, means: dict[str, str]) -> None:
    assert all(abs(Decimal(mean) * 22 - round(Decimal(mean) * 22)) < Decimal("1e-7") for mean in means.values())
    assert database.labels[0].scores["quality"].raters == 22


def test_parts_of_the_prompt_agree_with_the_codes_of_each_generator(labels: rules.Labels) -> None:
    for row in labels.rows:
        model, *codes = row.image_id.removesuffix(".jpg").split("_")
        tables = (MAINS[model], SECONDS[model], PLACES, STYLES)
        parts = [table[int(code)] for table, code in zip(tables, codes, strict=True)]
        assert [row.extra[name] for name in ("main", "second", "place", "style")] == parts
        assert row.fields["prompt"] == ", ".join(parts)


def test_the_table_of_the_readme_is_wrong_for_every_image_of_dreamstudio(labels: rules.Labels) -> None:
    wrong = 0
    for row in labels.rows[720:]:
        _, main, second, *_ = row.image_id.split("_")
        wrong += (MAINS["deepai"][int(main)], SECOND[int(second)]) != (row.extra["main"], row.extra["second"])
    assert wrong == 359


def test_the_order_is_that_of_the_parts_of_the_name(labels: rules.Labels) -> None:
    names = [row.image_id for row in labels.rows]
    assert names == sorted(names, key=lambda name: name[:-4].split("_"))
    assert names != sorted(names)


def test_without_the_raw_means_all_else_is_the_same(database: Database, shared: Path, labels: rules.Labels) -> None:
    reduced = applied(database, database.labels[1], shared)
    assert database.labels[1].lacks
    for ours, theirs in zip(reduced.rows, labels.rows, strict=True):
        assert ours.fields == theirs.fields
        assert ours.extra == {name: value for name, value in theirs.extra.items() if name != "raw_mean"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (TWICE, "dreamStudio_8_9_1_0.jpg"),
        ("deepai_0_0_0_0.jpg", "deepai_0_0_0_.jpg"),
        ("deepai_0_0_0_0.jpg", "cat.jpg"),
    ],
)
def test_other_faults_of_the_kind_are_not_forgiven(
    database: Database, shared: Path, book: Published, old: str, new: str
) -> None:
    """The declared faults are these very rows, not a licence for others."""
    sheet = openpyxl.Workbook()
    sheet.active.append(("Image", "Prompt", "MOS"))
    for name, prompt, mos in book:
        sheet.active.append((new if name == old else name, prompt, float(mos)))
    data = io.BytesIO()
    sheet.save(data)
    source = database.labels[0]
    tables = {WORKBOOK: data.getvalue(), MEANS: (shared / "data" / ID / MEANS).read_bytes()}
    found = rules.apply(database, source, lambda name: io.BytesIO(tables[name]))
    with pytest.raises(RefusedInput) as caught:
        rules.refuse_undeclared(found, database)
    assert caught.value.fault == "T04"


# --- splits -----------------------------------------------------------------------------------------------------


def listed(shared: Path) -> list[dict[str, str]]:
    with (shared / "databases/split-files.tsv").open(newline="", encoding="utf-8") as stream:
        return [row for row in csv.DictReader(stream, delimiter="\t") if row["database"] == ID]


def originals(shared: Path) -> dict[str, bytes]:
    """Asset name -> the published bytes; two files of CMIM are those of IPCE with other line ends."""
    found = {}
    for row in listed(shared):
        path = shared / "data/split-files" / row["project"] / ID / f"{row['number']}-{row['side']}.csv"
        if path.is_file():
            found[f"{row['project']}/{row['path']}"] = path.read_bytes()
    for side in ("train", "val"):
        ipce = found[f"ipce/Database/AGIQA-1K/2/{side}.csv"]
        found[f"cmim/Database/AGIQA-1k/2/{side}.csv"] = ipce.replace(b"\n", b"\r\n")
    for row in listed(shared):
        data = found.get(f"{row['project']}/{row['path']}")
        assert data is None or hashlib.sha256(data).hexdigest() == row["sha256"]
    return found


def sides(shared: Path) -> list[dict[str, str]]:
    """The published assignment of all eleven divisions of IPCE, a line for each row of the workbook."""
    with (shared / "data" / ID / "splits/DERIVED_ipce_splits_compact.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def index_rows(labels: rules.Labels) -> list[dict[str, str]]:
    return [row.fields | {"image_id": row.image_id, "extra": json.dumps(row.extra)} for row in labels.rows]


def split_named(database: Database, name: str) -> Split:
    return next(split for split in database.splits if split.name == name)


def test_originals_resolve_with_no_row_left_over(database: Database, labels: rules.Labels, shared: Path) -> None:
    files = originals(shared)
    expected = {f"ipce-{number}" for number in (0, 1, 2)} | {"cmim-1", "cmim-2"}
    index = index_rows(labels)
    resolved = {
        fold.name: fold
        for name in ("ipce", "cmim")
        for fold in splitting.from_files(
            split_named(database, name), index, lambda name: io.BytesIO(files[name]) if name in files else None
        )
    }
    assert set(resolved) == expected
    table = sides(shared)
    for fold in resolved.values():
        number = fold.name.rpartition("-")[2]
        assert fold.parts == {row["Image"]: row[f"split_{number}"] for row in table[:1079]}
        (note,) = fold.notes
        assert TWICE in note


@pytest.mark.parametrize("number", range(11))
def test_all_divisions_of_ipce_give_each_image_the_side_of_its_score(
    database: Database, labels: rules.Labels, shared: Path, number: int
) -> None:
    """Divisions without an original are rebuilt in row order, which is not the published one."""
    table = sides(shared)
    files: dict[str, bytes] = {}
    for side in ("train", "val"):
        lines = [f"{row['Image']},p,{row['MOS']}" for row in table if row[f"split_{number}"] == side]
        assert len(lines) == {"train": 864, "val": 216}[side]
        files[f"ipce/Database/AGIQA-1K/{number}/{side}.csv"] = "\n".join(["Image,Prompt,MOS", *lines, ""]).encode()
    (fold,) = splitting.from_files(
        split_named(database, "ipce"),
        index_rows(labels),
        lambda name: io.BytesIO(files[name]) if name in files else None,
    )
    both = {row[f"split_{number}"] for row in table if row["Image"] == TWICE}
    assert len(both) == (2 if number in (2, 3, 5, 10) else 1), "section 6 of the report"
    assert len(fold.parts) == 1079
    assert fold.parts[TWICE] == next(row for row in table if row["Image"] == TWICE)[f"split_{number}"]


def test_the_shuffle_of_tier_and_pscr_counts_all_published_rows(database: Database, labels: rules.Labels) -> None:
    order = np.arange(1080)
    np.random.seed(1)  # noqa: NPY002 - the published rule is this very generator
    np.random.shuffle(order)  # noqa: NPY002
    train = set(order[: int(0.8 * 1080)].tolist())
    pairs = splitting.by_rule(split_named(database, "tier-pscr").rule, index_rows(labels))
    assert [part for _, part in pairs] == ["train" if number in train else "test" for number in range(1079)]


# --- whole runs -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images(book: Published) -> dict[str, bytes]:
    """1,080 images: every name of the workbook, and the one without a label."""
    return replicas.images([*dict.fromkeys(name for name, _, _ in book), ALONE])


def members(folder: str, pictures: dict[str, bytes]) -> list[replicas.Member]:
    office = [(f"{folder}~$AIGC_MOS_Zscore.xlsx", b"\x05admin" + bytes(159)), ("readme.txt", b"see the paper\n")]
    foreign = [(f"{folder}AIGC_all_shunxu.csv", b"Image,Score\r\nx.jpg,1\r\n")]
    return [*replicas.junk(folder), *((folder + name, data) for name, data in pictures.items()), *office, *foreign]


def publish(box: Box, shared: Path, archive: bytes | None = None, names: tuple[str, ...] = (WORKBOOK, MEANS)) -> None:
    box.github.add(HOME, COMMIT, {name: (shared / "data" / ID / name).read_bytes() for name in names})
    if archive:
        box.drive.add(DRIVE, archive, "file.zip")


def tables(shared: Path) -> list[Path]:
    return [shared / "data" / ID / name for name in (WORKBOOK, MEANS)]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def archive(images: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return replicas.archive(tmp_path_factory.mktemp(ID) / "file.zip", members("file/", images))


@pytest.fixture(scope="module")
def home(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory, shared: Path, archive: Path
) -> Iterator[Command]:
    """Fetched from the built-in mirrors, with every split file at hand; tests only read it."""
    with Box(authority) as box:
        publish(box, shared, archive.read_bytes())
        for row in listed(shared):
            if data := originals(shared).get(f"{row['project']}/{row['path']}"):
                box.github.add(row["repo"], row["commit"], {row["path"]: data})
        run = Command(box, tmp_path_factory.mktemp("home"))
        run("fetch", ID, "--splits", code=0)
        yield run


@pytest.fixture(scope="module")
def rows(home: Command) -> list[dict[str, str]]:
    return read(home.root / ID / "index.csv")


def same_index(run: Command, home: Command) -> None:
    assert (run.root / ID / "index.csv").read_bytes() == (home.root / ID / "index.csv").read_bytes()


def test_fetch_indexes_every_label_and_the_image_without_one(
    home: Command, rows: list[dict[str, str]], book: Published, images: dict[str, bytes]
) -> None:
    assert len(rows) == 1080
    assert [(r["image_id"], r["prompt"], r["mos_quality"]) for r in rows[:-1]] == book[:1079]
    assert Counter(row["flags"] for row in rows) == {"": 1078, "duplicate-label": 1, "no-label": 1}
    last = rows[-1]
    empty = ("prompt", "prompt_id", "row", "mos_quality", "score_quality")
    assert (last["image_id"], {last[name] for name in empty}) == (ALONE, {""})
    for row in rows:
        assert (home.root / row["image_path"]).read_bytes() == images[row["image_id"]]
        assert row["score_quality"] == (f"{Decimal(row['mos_quality']) / 5:.6f}" if row["mos_quality"] else "")
        assert row["std_quality"] == row["mos_alignment"] == row["mos_authenticity"] == row["mos_overall"] == ""
    assert json.loads(rows[0]["extra"])["raw_mean"] == "3.681818182"


def test_fetch_used_the_mirrors_of_the_report(home: Command) -> None:
    hosts = {entry.host for entry in home.box.log if entry.status == 200}
    assert {"drive.usercontent.google.com", "raw.githubusercontent.com"} <= hosts
    assert home("list", "--json", code=0).json()["data"][0]["id"]
    (entry,) = (entry for entry in home("list", "--json", code=0).json()["data"] if entry["id"] == ID)
    assert entry["state"] == "installed (unpinned)"


def test_splits_verify_and_export(home: Command, shared: Path) -> None:
    names = {path.stem for path in (home.root / ID / "splits").iterdir()}
    assert names == {"ipce-0", "ipce-1", "ipce-2", "cmim-1", "cmim-2", "tier-pscr"}
    found = {row["image_id"]: row["split"] for row in read(home.root / ID / "splits/ipce-2.csv")}
    assert found == {row["Image"]: row["split_2"] for row in sides(shared)[:1079]}
    home("verify", code=0)
    assert len(home("export", ID, code=0).out.splitlines()) == 1081
    part = home("export", ID, "--split", "ipce-1:val", code=0).out.splitlines()
    assert len(part) == 1 + sum(row["split_1"] == "val" for row in sides(shared)[:1079])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_installs(
    run: Command, home: Command, shared: Path, images: dict[str, bytes], tmp_path: Path, layout: str
) -> None:
    given = members(LAYOUTS[layout], images)
    if layout == "in the repository":
        held = [(f"AGIQA-1k-Database/{path.name}", path.read_bytes()) for path in tables(shared)]
        run("import", ID, replicas.folder(tmp_path / "loose", [*given, *held]), code=0)
    else:
        run("import", *tables(shared), replicas.archive(tmp_path / "images (1).zip", given), code=0)
    same_index(run, home)
    assert run.box.paths() == []


def test_the_image_without_a_label_may_be_missing(
    run: Command, home: Command, shared: Path, images: dict[str, bytes], tmp_path: Path
) -> None:
    known = {name: data for name, data in images.items() if name != ALONE}
    run("import", ID, *tables(shared), replicas.archive(tmp_path / "file.zip", members("file/", known)), code=0)
    lines = (home.root / ID / "index.csv").read_text().splitlines()
    assert (run.root / ID / "index.csv").read_text().splitlines() == lines[:-1]
    assert len(lines) == 1081
    run("verify", code=0)


def test_any_other_image_may_not(run: Command, shared: Path, images: dict[str, bytes], tmp_path: Path) -> None:
    known = {name: data for name, data in images.items() if name != TWICE}
    given = replicas.archive(tmp_path / "file.zip", members("file/", known))
    done = run("import", ID, *tables(shared), given, code=4)
    assert TWICE in done.err
    assert not (run.root / ID).exists()


def test_png_under_a_jpeg_name_is_flagged(run: Command, shared: Path, images: dict[str, bytes], tmp_path: Path) -> None:
    from PIL import Image

    target = io.BytesIO()
    Image.open(io.BytesIO(images[TWICE])).save(target, "PNG")
    given = replicas.archive(tmp_path / "file.zip", members("file/", images | {TWICE: target.getvalue()}))
    run("import", ID, *tables(shared), given, code=0)
    (row,) = (row for row in read(run.root / ID / "index.csv") if row["image_id"] == TWICE)
    assert (row["format"], row["flags"]) == ("png", "duplicate-label;other-format")


def test_raw_means_that_are_not_given_are_fetched(run: Command, home: Command, shared: Path, archive: Path) -> None:
    publish(run.box, shared)
    run("import", ID, archive, tables(shared)[0], code=0)
    same_index(run, home)
    assert [line.rpartition("/")[2] for line in run.box.paths()] == [MEANS]


def test_without_raw_means_the_rest_is_installed_and_it_says_so(
    run: Command, home: Command, shared: Path, archive: Path
) -> None:
    done = run("import", ID, archive, tables(shared)[0], code=0)
    assert "without the raw means" in done.err
    for ours, theirs in zip(read(run.root / ID / "index.csv"), read(home.root / ID / "index.csv"), strict=True):
        extra = json.loads(theirs["extra"])
        assert extra.pop("raw_mean") or theirs["image_id"] == TWICE
        assert json.loads(ours["extra"] or "{}") == extra
        assert ours | {"extra": ""} == theirs | {"extra": ""}


def test_labels_only(run: Command, shared: Path) -> None:
    publish(run.box, shared)
    run("fetch", ID, "--labels-only", code=0)
    found = read(run.root / ID / "index.csv")
    assert len(found) == 1079
    assert {row["flags"] for row in found} == {"no-image", "duplicate-label;no-image"}
    assert {entry.host for entry in run.box.log} == {"raw.githubusercontent.com"}


@pytest.mark.parametrize("words", [(), ("--mirror", "baidu")])
def test_only_a_person_can_open_the_share(run: Command, shared: Path, words: tuple[str, ...]) -> None:
    publish(run.box, shared)
    done = run("fetch", ID, *words, "--json", code=3).json()
    (share,) = (share for share in done["error"]["shares"] if share["kind"] == "baidu")
    assert share["code"] == "AIGC"
    assert share["url"] == "https://pan.baidu.com/s/1n_-_9WPCDf8nlVeQ6OwIDg?pwd=AIGC"
    assert share["next"] == f"aigiqa import {ID} ~/Downloads/file.zip"


def test_nothing_vouches_for_the_archive(run: Command, shared: Path, archive: Path) -> None:
    publish(run.box, shared, archive.read_bytes())
    run("fetch", ID, "--require-hashes", code=4)
    assert not (run.root / ID).exists()


@pytest.mark.parametrize("word", ["AGIQA-1K", "agiqa_1k"])
def test_the_id_is_forgiving(home: Command, word: str) -> None:
    assert home("path", word, code=0).out.strip() == str(home.root / ID)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_a_clone_of_the_repository_is_its_labels(
    run: Command, shared: Path, tmp_path: Path, packed: bool, named: bool
) -> None:
    """Also as the zip that GitHub makes of it: no image is in there, and none is missed."""
    name = "AGIQA-1k-Database-main"
    files = {file: (shared / "data" / ID / file).read_bytes() for file in (WORKBOOK, MEANS)}
    clone = [(f"{name}/{file}", data) for file, data in files.items()] + [(f"{name}/README.md", b"# AGIQA-1K")]
    given = replicas.archive(tmp_path / f"{name}.zip", clone) if packed else replicas.folder(tmp_path / name, clone)
    run("import", *([ID] if named else []), given, code=0)
    assert len((run.root / ID / "index.csv").read_text().splitlines()) == 1080
    assert run.box.paths() == []
