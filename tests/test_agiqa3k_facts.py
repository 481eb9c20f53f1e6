"""The manifest of AGIQA-3K against the sources of its facts: the report, the list of split files, the real files."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from aigiqa_cli.manifest import VOCABULARY_NAME, load, load_vocabulary
from aigiqa_cli.manifest.catalogue import built_in_folder
from aigiqa_cli.manifest.models import Database, Published, Split, SplitFile
from aigiqa_cli.patterns import compile_pattern

ID = "agiqa3k"
SHARED = Path(os.environ.get("AIGIQA_SHARED") or Path(__file__).parent.parent.parent / "shared")
MANIFEST = built_in_folder() / f"{ID}.yaml"
TABLE = SHARED / "data" / ID / "data.csv"
REPORT = SHARED / "databases" / f"{ID}.md"
SPLIT_FILES = SHARED / "databases" / "split-files.tsv"

pytestmark = pytest.mark.skipif(not TABLE.is_file(), reason=f"needs the real label files in {SHARED}")


@pytest.fixture(scope="module")
def database() -> Database:
    return load(MANIFEST, generators=set(load_vocabulary(built_in_folder() / VOCABULARY_NAME).generators))


@pytest.fixture(scope="module")
def text() -> str:
    return MANIFEST.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def words(text: str) -> str:
    """The manifest on one line, so that folded text can be searched."""
    return " ".join(text.split())


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with TABLE.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def section(number: int) -> str:
    return re.split(r"(?m)^## \d+\. ", REPORT.read_text(encoding="utf-8"))[number]


# --- the report -------------------------------------------------------------------------------------------------


def test_every_hash_and_commit_of_the_report_is_in_the_manifest(text: str) -> None:
    stated = set(re.findall(r"(?<![0-9a-f])[0-9a-f]{40,64}(?![0-9a-f])", REPORT.read_text(encoding="utf-8")))
    assert len(stated) >= 10
    assert {digest for digest in stated if digest not in text} == set()


def test_every_drive_id_and_every_share_of_the_report_is_a_mirror(database: Database) -> None:
    mirrors = [mirror for asset in database.assets for mirror in asset.mirrors]
    drive = set(re.findall(r"(?:file|folder) id `([^`]+)`", section(2)))
    shares = set(re.findall(r"https://pan\.[^`\s]+", section(2)))
    assert len(drive) == 3
    assert len(shares) == 2
    assert drive == {mirror.id for mirror in mirrors if mirror.kind == "gdrive"}
    assert shares <= {mirror.url for mirror in mirrors}
    assert {mirror.code for mirror in mirrors if mirror.url in shares} == {"", "AIGC"}


def test_every_repository_and_path_of_the_report_is_in_the_manifest(database: Database, text: str) -> None:
    tokens = {token.rstrip("/") for token in re.findall(r"`([^`\s]+/[^`\s]*)`", section(2)) if "://" not in token}
    tokens = {"/".join(token.split("/")[:2]) for token in tokens} - {"chaofengc/..."}
    assert {"strawhat/agiqa-3k", "VQA-CityU/IQA_data", "agiqa-3k/data.csv"} <= tokens
    assert {token for token in tokens if token not in text} == set()
    repositories = {mirror.repo for asset in database.assets for mirror in asset.mirrors}
    named = set(re.findall(r"dataset `([\w.-]+/[\w.-]+)`", section(2))) | {
        "q-future/q-align-datasets",
        "VQA-CityU/IQA_data",
    }
    assert len(named) >= 9
    assert named <= repositories


def test_the_archive_is_tried_in_the_best_order(database: Database) -> None:
    mirrors = database.asset("AGIQA-3K.zip").mirrors
    assert [mirror.kind for mirror in mirrors] == ["huggingface", "huggingface", "gdrive", "quark", "baidu"]
    assert [mirror.health.state for mirror in mirrors if mirror.health] == ["reported-dead", "reported-dead"]


def test_repacks_never_count_as_needed(database: Database) -> None:
    assert [asset.name for asset in database.assets_of("images", "labels")] == ["AGIQA-3K.zip", "data.csv"]
    repacks = [asset for asset in database.assets if asset.substitutes]
    assert len(repacks) == 10
    assert all(asset.optional and asset.substitutes == "AGIQA-3K.zip" and asset.mirrors for asset in repacks)


def test_every_published_result_of_the_report_is_in_the_manifest(database: Database) -> None:
    def pairs(part: str) -> Counter[tuple[Decimal, Decimal]]:
        return Counter((Decimal(a), Decimal(b)) for a, b in re.findall(r"(?<!\d)(\.\d{3,4})/(\.\d{3,4})", part))

    stated = pairs(section(7))
    assert sum(stated.values()) >= 60
    assert stated == Counter((one.srcc, one.plcc) for one in database.results if "jiquan123" not in one.source)
    alignment = pairs("".join(re.findall(r"(?m)^\* (?:A, )?alignment.*(?:\n .*)*", section(7))))
    alignment += pairs(" ".join(re.findall(r"; (\.\d+/\.\d+)\.", section(7))))
    found = Counter((result.srcc, result.plcc) for result in database.results if result.dimension == "alignment")
    assert found == alignment
    assert all("check" in result.note for result in database.results if result.method in {"HPS", "PickScore"})


def test_no_two_results_say_the_same(database: Database) -> None:
    keys = [(result.method, result.dimension, result.source, result.protocol) for result in database.results]
    assert len(keys) == len(set(keys))


def test_every_number_of_the_label_section_is_in_the_manifest(words: str) -> None:
    cells = [cell.strip() for line in section(4).splitlines() if line.startswith("| ") for cell in line.split("|")]
    numbers = [cell for cell in cells if re.fullmatch(r"\d\.\d{6}", cell)]
    assert len(numbers) == 20
    assert [number for number in numbers if number not in words] == []


def test_every_setting_of_the_report_is_in_the_manifest(words: str) -> None:
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in section(5).splitlines() if line.startswith("| ")
    ]
    settings = [cells for cells in lines if cells[1].isdigit()]
    assert len(settings) == 10
    for prefix, count, missing, means in settings:
        assert f"{prefix} {count}, {means}" in words
        assert missing == "-" or f"{prefix} {missing}" in words


# --- the label table --------------------------------------------------------------------------------------------


def test_the_pinned_table_and_its_twin_are_the_real_ones(database: Database) -> None:
    asset, data = database.asset("data.csv"), TABLE.read_bytes()
    twin = data.replace(b"\r", b"")
    assert (asset.bytes, asset.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert [(t.bytes, t.sha256) for t in asset.twins] == [(len(twin), hashlib.sha256(twin).hexdigest())]
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    assert blob in asset.evidence


def test_the_declared_columns_are_the_header(database: Database, rows: list[dict[str, str]]) -> None:
    assert database.labels[0].tables[0].columns == tuple(rows[0])


def test_counts_are_those_of_the_table(database: Database, rows: list[dict[str, str]]) -> None:
    expect, source = database.expect, database.labels[0]
    assert expect.rows == expect.images == (len(rows), len(rows))
    assert expect.prompts == (300, 300)
    assert len({row["prompt"] for row in rows}) == 300
    pattern = compile_pattern(source.extract["name"])
    prefixes = Counter(row["name"].rpartition("_")[0].partition("_")[0] for row in rows)
    assert Counter(pattern.fullmatch(row["name"])["model"] for row in rows) == prefixes
    slugs = {source.recode["generator"][prefix]: (count, count) for prefix, count in prefixes.items()}
    assert slugs == expect.generators


@pytest.mark.parametrize(("dimension", "column"), [("quality", "mos_quality"), ("alignment", "mos_align")])
def test_statistics_are_those_of_the_table(
    database: Database, rows: list[dict[str, str]], dimension: str, column: str
) -> None:
    values = [Fraction(row[column]) for row in rows]
    expected = database.expect.mos[dimension]
    for stated, exact in (
        (expected.min, min(values)),
        (expected.max, max(values)),
        (expected.mean, sum(values) / len(values)),
    ):
        digits = -stated.as_tuple().exponent
        assert digits >= 6
        assert round(exact, digits) == Fraction(stated)
    low, high = database.labels[0].scores[dimension].range
    assert low <= expected.min <= expected.max <= high


def test_declared_gaps_are_exactly_the_missing_names(database: Database, rows: list[dict[str, str]]) -> None:
    present = {row["name"] for row in rows}
    settings = {name.rpartition("_")[0] for name in present}
    missing = {f"{s}_{i:03}" for s in settings for i in range(300)} - {name.removesuffix(".jpg") for name in present}
    gaps = next(defect for defect in database.defects if "18" in defect.what)
    declared = {f"{part.split()[0]}_{index}" for part in gaps.affects.split("; ") for index in part.split()[1:]}
    assert len(missing) == 18
    assert declared == missing


def test_declared_zeros_are_exactly_the_zeros(database: Database, rows: list[dict[str, str]]) -> None:
    zeros = next(defect for defect in database.defects if "exactly 0" in defect.what)
    assert zeros.affects.split() == [row["name"] for row in rows if Decimal(row["mos_quality"]) == 0]


def test_witnesses_are_real_images(database: Database, rows: list[dict[str, str]]) -> None:
    names = {row["name"] for row in rows}
    assert len(database.witnesses) == 2
    for witness in database.witnesses:
        data = (SHARED / "data" / "real-images" / "agiqa-3k" / witness.image).read_bytes()
        assert witness.image in names
        assert (witness.bytes, witness.sha256) == (len(data), hashlib.sha256(data).hexdigest())


# --- published splits -------------------------------------------------------------------------------------------


def listed() -> list[dict[str, str]]:
    with SPLIT_FILES.open(newline="", encoding="utf-8") as handle:
        return [row for row in csv.DictReader(handle, delimiter="\t") if row["database"] == ID]


def published(database: Database) -> Iterator[tuple[Split, Published, SplitFile]]:
    for split in database.splits:
        for file in split.published.files if split.published else ():
            yield split, split.published, file


def split_named(database: Database, name: str) -> Published:
    source = next(split for split in database.splits if split.name == name).published
    assert source
    return source


def names_in(source: Published, data: bytes) -> list[str]:
    """The image names of a split file, read as the manifest declares it."""
    content = data.decode("utf-8")
    if source.format == "json":
        records = json.loads(content)
        assert all(tuple(record) == source.columns for record in records)
        column = [record[source.image] for record in records]
    else:
        quoting = csv.QUOTE_NONE if source.format == "tsv" else csv.QUOTE_MINIMAL
        delimiter = "\t" if source.format == "tsv" else ","
        table = list(csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, quoting=quoting))
        if source.header:
            assert tuple(table.pop(0)) == source.columns
        assert {len(record) for record in table} == {len(source.columns)}
        column = [record[source.columns.index(source.image)] for record in table]
    pattern = compile_pattern(source.match or "(?P<name>.*)")
    return [pattern.fullmatch(value)["name"] for value in column]


def test_every_listed_split_file_is_in_the_manifest(database: Database) -> None:
    parts = {"train": "train", "val": "val", "validation": "val", "test": "test"}
    wanted = {
        (r["project"], r["repo"], r["commit"], r["path"], int(r["bytes"]), r["sha256"], r["number"], parts[r["side"]])
        for r in listed()
    }
    found = {
        (split.name, source.repo, source.revision, file.path, file.bytes, file.sha256, str(file.fold or ""), file.part)
        for split, source, file in published(database)
    }
    assert len(wanted) == 73
    assert found == wanted


def test_every_fold_divides_all_rows(database: Database) -> None:
    total: Counter[tuple[str, int | None]] = Counter()
    for split, _, file in published(database):
        total[split.name, file.fold] += file.rows or 0
    assert set(total.values()) == {2982}
    assert len(total) == 10 + 10 + 10 + 5 + 1


def test_lines_of_the_list_are_records_and_a_header(database: Database) -> None:
    lines = {row["sha256"]: int(row["lines_or_records"]) for row in listed()}
    for _, source, file in published(database):
        header = source.header and source.format == "csv"
        assert lines[file.sha256] == (file.rows or 0) + header


def original(split: str, file: SplitFile) -> Path | None:
    """The published file itself, where a copy lies beside the checkout."""
    suffix = Path(file.path).suffix
    if split == "ma-agiqa":
        return SHARED / "data" / ID / "splits" / split / Path(file.path).name
    path = SHARED / "data" / "split-files" / split / ID / f"{file.fold}-{file.part}{suffix}"
    return path if path.is_file() else None


def test_every_original_at_hand_resolves_with_no_row_left_over(database: Database, rows: list[dict[str, str]]) -> None:
    prompts = {row["name"]: row["prompt"] for row in rows}
    seen: dict[tuple[str, int | None], dict[str, list[str]]] = {}
    for split, source, file in published(database):
        path = original(split.name, file)
        if path is None:
            continue
        data = path.read_bytes()
        assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        names = names_in(source, data)
        assert len(names) == file.rows
        assert source.tested or file.tested
        seen.setdefault((split.name, file.fold), {})[file.part] = names
    assert {name for name, _ in seen} == {"ipce", "cmim", "amff-net", "ma-agiqa", "q-align"}
    for (name, _), sides in seen.items():
        assert sorted(itertools.chain(*sides.values())) == sorted(prompts)
        sets = [{prompts[image] for image in side} for side in sides.values()]
        shared = any(a & b for a, b in itertools.combinations(sets, 2))
        by = next(split.by for split in database.splits if split.name == name)
        assert by == ("image" if shared else "prompt")


def test_only_what_was_resolved_is_marked_tested(database: Database) -> None:
    for split, source, file in published(database):
        at_hand = split.name == "ipce" or original(split.name, file) is not None
        assert (source.tested or file.tested) == at_hand, (split.name, file.path)


def rebuilt_ipce(fold: int, part: str) -> bytes:
    """The original file from the label table and the assignment of names: LF, and the score 0 written as 0.0."""
    assignment = SHARED / "data" / ID / "splits" / "DERIVED_ipce_splits_compact.csv"
    with assignment.open(newline="", encoding="utf-8") as handle:
        sides = {row["name"]: row[f"split_{fold}"] for row in csv.DictReader(handle)}
    header, *lines = TABLE.read_bytes().decode().split("\r\n")[:-1]
    kept = [line for line in lines if sides[line.partition(",")[0]] == part]
    floats = [re.sub(r",0(?=,[^,]*,[^,]*,[^,]*$)", ",0.0", line) for line in kept]
    return "".join(f"{line}\n" for line in (header, *floats)).encode()


def test_ipce_originals_rebuild_to_their_hashes_and_resolve(database: Database, rows: list[dict[str, str]]) -> None:
    source = split_named(database, "ipce")
    prompts = {row["name"]: row["prompt"] for row in rows}
    assert source.tested
    sides: dict[int, dict[str, list[str]]] = {}
    for file in source.files:
        assert file.fold
        data = rebuilt_ipce(file.fold, file.part)
        assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest()), file.path
        names = names_in(source, data)
        assert len(names) == file.rows
        sides.setdefault(file.fold, {})[file.part] = names
    assert len(sides) == 10
    for fold in sides.values():
        assert sorted(fold["train"] + fold["val"]) == sorted(prompts)
        train, val = ({prompts[name] for name in fold[part]} for part in ("train", "val"))
        assert (len(train), len(val)) == (240, 60)
        assert not train & val
    assert sides[4] == sides[5]
