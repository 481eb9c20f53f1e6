"""AIGCIQA2023: its manifest against the report and the published files, its rules, and whole runs on a replica.

The six .mat files and the three lists of numbers are public nowhere as files. Their content is: the MOS in full double
precision in a published split file, the deviations in a pull request. So the replica has the true numbers, too.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import openpyxl
import pytest
import replicas
import trustme
from conftest import Command
from doubles import Box
from PIL import Image

from aigiqa_cli import expectations, rules
from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.installing import splitting
from aigiqa_cli.manifest import VOCABULARY_NAME, load, load_vocabulary
from aigiqa_cli.manifest.catalogue import built_in_folder
from aigiqa_cli.manifest.models import Database, Dimension, LabelSource, Split

ID = "aigciqa2023"
HOME, HOME_COMMIT = "wangjiarui153/AIGCIQA2023", "9c8486a1d085779c476c942e6b5df9de5766d5a5"
HUB = "IntMeGroup/AIGCIQA2023"
INDEX, PROMPTS, QUESTIONS = "pic-index.xlsx", "AIGCIQA2023_Prompts.xlsx", "AIGIQA2023.json"
DIMENSIONS: tuple[Dimension, ...] = ("quality", "authenticity", "alignment")  # mosz1, mosz2, mosz3
MODELS = ("Controlnet", "DALLE", "Glide", "Lafite", "stable-diffusion", "Unidiffuser")  # section 5 of the report
SLUGS = ("controlnet", "dall-e", "glide", "lafite", "stable-diffusion", "unidiffuser")
NUMBERS = range(2400)

Files = dict[str, bytes]
Pictures = dict[int, bytes]


def place(number: int) -> tuple[str, str]:
    """The folder and the file of a picture, by the order rule of the report."""
    return MODELS[number // 400], f"{number % 400 // 4:03}-{number % 4 + 1}.png"


LAYOUTS = {  # section 3 of the report
    "hub": ("allimg/{number}.png",),
    "package": ("AIGCIQA2023/Image/allimg/{number}.png", "AIGCIQA2023/Image/{model}/{file}"),
    "by generator": ("AIGCIQA2023/{model}/{file}",),
    "clip-agiqa": ("AIGCIQA2023/DATA/allimg/{number}.png",),
    "m3-agiqa": ("images/{number}.png",),
    "flat": ("{model}{file}",),
}


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
def mos(shared: Path) -> list[tuple[str, ...]]:
    """The three MOS of every picture on 0 to 100, as a published split file writes them."""
    found: dict[int, tuple[str, ...]] = {}
    for part in ("train", "test"):
        table = shared / f"data/split-files/amff-net/{ID}/1-{part}.txt"
        for line in table.read_text(encoding="utf-8").splitlines():
            path, *scores, _ = line.split("\t")
            found[int(path.removeprefix("Image/allimg/").removesuffix(".png"))] = tuple(scores)
    return [found[number] for number in NUMBERS]


@pytest.fixture(scope="module")
def deviations(shared: Path) -> list[tuple[str, ...]]:
    with (shared / "data" / ID / "AIGCIQA2023.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [tuple(row[f"{name}_std"] for name in ("quality", "authenticity", "correspondence")) for row in rows]


@pytest.fixture(scope="module")
def prompts(shared: Path) -> list[tuple[str, str, str]]:
    """Challenge, category and prompt of the workbook without a header."""
    return [(str(a), str(b), str(c)) for a, b, c in cells(shared / "data" / ID / PROMPTS)]


def cells(workbook: Path) -> list[tuple[object, ...]]:
    """The rows of a workbook's one sheet."""
    book = openpyxl.load_workbook(io.BytesIO(workbook.read_bytes()), read_only=True)
    return list(book.worksheets[0].iter_rows(values_only=True))


@pytest.fixture(scope="module")
def files(shared: Path, mos: list[tuple[str, ...]], deviations: list[tuple[str, ...]]) -> Files:
    """Every label table: the public ones as they are, the others rebuilt from their published content."""
    names = (INDEX, PROMPTS, QUESTIONS, "AIGCIQA2023.csv")
    found = {name: (shared / "data" / ID / name).read_bytes() for name in names}
    for number in (1, 2, 3):
        column = [float(scores[number - 1]) for scores in mos]
        found[f"mosz{number}.mat"] = matrix("MOSz", column)
        found[f"SD{number}.mat"] = matrix("SD", [float(each[number - 1]) for each in deviations])
        found[f"moz{number}.txt"] = listing(column)
    return found


def matrix(name: str, column: list[float]) -> bytes:
    from scipy.io import savemat

    target = io.BytesIO()
    savemat(target, {name: np.array(column).reshape(-1, 1)})
    return target.getvalue()


def listing(column: list[float]) -> bytes:
    """A number a line: 18 bytes each, which makes the 43.2 kB of the published files."""
    return "".join(f"{value:.14f}\n" for value in column).encode()


def applied(database: Database, number: int, files: Files) -> rules.Labels:
    source = database.labels[number]
    found = rules.apply(database, source, lambda name: io.BytesIO(files[name]))
    rules.refuse_undeclared(found, database)
    expectations.check(database, source, found)
    return found


@pytest.fixture(scope="module")
def sources(database: Database, files: Files) -> list[rules.Labels]:
    """Labels from .mat with and without deviations, from the lists, from JSON, from the pull request."""
    assert len(database.labels) == 5
    return [applied(database, number, files) for number in range(5)]


def section(report: str, number: int) -> str:
    return re.split(r"(?m)^## \d+\. ", report)[number]


# --- the manifest -----------------------------------------------------------------------------------------------


def test_every_mirror_of_the_report_is_in_the_manifest(database: Database, report: str, text: str) -> None:
    part = section(report, 2)
    mirrors = [mirror for asset in database.assets for mirror in asset.mirrors]
    assert {m.id for m in mirrors if m.kind == "gdrive"} == {
        *re.findall(r"file id `([^`]+)`", part), *re.findall(r"Google Drive folder \([^)]*\) \| `([^`]+)`", part)
    }  # fmt: skip
    assert {(m.kind, m.url, m.code) for m in mirrors if m.url} == {
        ("baidu", "https://pan.baidu.com/s/1v85j6hKJcRcHm74FDTEosA", "q9dt"),
        ("terabox", "https://terabox.com/s/1DtV-A9XiuQQDvVPXn6rYvg", ""),
        ("baidu", "https://pan.baidu.com/s/1Q-04YzcXyMefLDxQUKG2Ug", "0221"),
    }
    links = set(re.findall(r"`(https://(?:pan|terabox|www\.terabox)[^`]+)`", part))
    assert len(links) == 4
    assert {link for link in links if link not in text} == set()
    repositories = {"IntMeGroup/AIGCIQA2023", "IntMeGroup/AIGIs", "strawhat/aigciqa2023"}
    repositories |= {"Zevin2023/Assessment_Related_Datasets"}
    assert all(name in part for name in repositories)
    assert {m.repo for m in mirrors if m.kind == "huggingface"} == repositories


def test_every_raw_file_of_the_report_is_a_mirror(database: Database, report: str) -> None:
    found = set()
    for repo, names in re.findall(r"raw\.githubusercontent\.com/([^/]+/[^/]+)/main/\{([^}]*)\}", section(report, 2)):
        found |= {(repo, name) for name in names.split(",")}
    assert len(found) == 6
    mirrors = {(m.repo, m.path) for asset in database.assets for m in asset.mirrors if m.kind == "github"}
    mirrors |= {
        (split.published.repo, file.path)
        for split in database.splits
        if split.published
        for file in split.published.files
    }
    assert found <= mirrors


def test_every_file_of_the_official_hub_repository_is_known(database: Database, report: str, text: str) -> None:
    listed = re.search(r"Files in mirror 1 as the tree page showed them: (.*?)\. URL form", report, re.DOTALL)
    assert listed
    names = set(re.findall(r"`([^`]+)`", listed[1]))
    assert len(names) == 12
    assert {name for name in names if name not in text} == set()
    mirrored = {m.path for asset in database.assets for m in asset.mirrors if m.repo == HUB}
    aside = {".gitattributes", "README.md", "mytestdict_llm_2023.json", "mytraindict_llm_2023.json"}
    assert names - mirrored == aside


def test_every_hash_of_the_report_is_in_the_manifest(text: str, report: str) -> None:
    stated = set(re.findall(r"(?<![0-9a-f])[0-9a-f]{40,64}(?![0-9a-f])", report))
    assert len(stated) == 13
    assert {digest for digest in stated if digest not in text} == set()


def test_pinned_tables_are_the_real_ones(database: Database, shared: Path) -> None:
    for name in (INDEX, PROMPTS, QUESTIONS, "AIGCIQA2023.csv", "AIGIQA2023+.csv"):
        asset, data = database.asset(name), (shared / "data" / ID / name).read_bytes()
        assert (asset.bytes, asset.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_nothing_is_pinned_that_nobody_states(database: Database) -> None:
    pinned = {asset.name for asset in database.assets if asset.accepted}
    assert pinned == {
        "AIGCIQA2023.zip", "AIGCIQA2023_DATA.zip", INDEX, PROMPTS, QUESTIONS, "AIGCIQA2023.csv", "AIGIQA2023+.csv"
    }  # fmt: skip
    assert database.asset("AIGCIQA2023.zip").bytes == 889_119_660
    assert database.asset("AIGCIQA2023_DATA.zip").bytes == 4_941_678


def test_the_plus_table_is_what_the_facts_say(shared: Path) -> None:
    table = (shared / "data" / ID / "AIGIQA2023+.csv").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        table.decode("utf-8")
    rows = list(csv.reader(io.StringIO(table.decode("gb18030"), newline="")))
    assert (len(rows), {len(row) for row in rows}) == (2400, {12})
    assert [(row[0], row[2], row[1]) for row in rows] == [(str(n), *place(n)) for n in NUMBERS]


def test_every_published_result_is_in_the_manifest(database: Database, report: str) -> None:
    part = section(report, 7)
    stated = Counter((Decimal(a), Decimal(b)) for a, b in re.findall(r"(\.\d{4})/(\.\d{4})", part))
    assert sum(stated.values()) == 71
    reported = [result for result in database.results if "jiquan123" not in result.source]
    assert Counter((result.srcc, result.plcc) for result in reported) == stated
    ours = {(r.method, r.dimension, r.source[:8]): (str(r.srcc), str(r.plcc)) for r in reported}
    assert len(ours) == 71
    assert ours["ACL-IQA", "alignment", "table IV"] == ("0.8092", "0.8005")
    assert ours["M3-AGIQA", "alignment", "table of"] == ("0.8060", "0.7973")
    assert ours["M3-AGIQA", "authenticity", "table of"] == ("0.8282", "0.8165")


def test_every_number_of_the_label_section_is_in_the_manifest(text: str, report: str) -> None:
    numbers = re.findall(r"(?<![\d.])\d{1,2}\.\d{6}(?!\d)", section(report, 4) + section(report, 9))
    assert len(numbers) == 30
    assert [number for number in numbers if number not in text] == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_statistics_are_those_of_the_report(
    database: Database, report: str, mos: list[tuple[str, ...]], deviations: list[tuple[str, ...]], number: int
) -> None:
    for prefix, table in (("mosz", mos), ("SD", deviations)):
        line = re.search(rf"(?m)^\| {prefix}{number + 1}\b[^|]*\|(.*)\|$", report)
        assert line
        values = [Decimal(row[number]) for row in table]
        found = (min(values), max(values), sum(values) / 2400, statistics.stdev(values))
        assert [f"{value:.6f}" for value in found] == [cell.strip() for cell in line[1].split("|")]
    expected = database.expect.mos[DIMENSIONS[number]]
    values = [Decimal(row[number]) for row in mos]
    assert (expected.min, expected.max) == (round(min(values), 6), round(max(values), 6))


def test_statistics_per_generator_are_those_of_the_report(
    database: Database, report: str, mos: list[tuple[str, ...]]
) -> None:
    line = re.search(r"Per model means \(mosz1/2/3\): (.*)\.", report)
    assert line
    stated = {name: means.split("/") for name, means in (entry.split(" ") for entry in line[1].split(", "))}
    assert tuple(stated) == MODELS
    assert len(database.expect.parts) == 6
    for block, (part, slug, means) in enumerate(zip(database.expect.parts, SLUGS, stated.values(), strict=True)):
        assert (part.of, part.rows) == ({"generator": slug}, (400, 400))
        for column, (dimension, mean) in enumerate(zip(DIMENSIONS, means, strict=True)):
            values = [Decimal(row[column]) for row in mos[block * 400 : block * 400 + 400]]
            assert f"{sum(values) / 400:.2f}" == mean == str(part.mos[dimension].mean)
            assert part.mos[dimension].min == round(min(values), 6)
            assert part.mos[dimension].max == round(max(values), 6)


def test_every_listed_split_file_is_in_the_manifest(database: Database, shared: Path) -> None:
    wanted = {
        (
            row["project"],
            row["repo"],
            row["commit"],
            row["path"],
            row["bytes"],
            row["sha256"],
            row["number"],
            row["side"],
        )
        for row in listed(shared)
    }
    found = {
        (
            split.name,
            source.repo,
            source.revision,
            file.path,
            str(file.bytes),
            file.sha256,
            str(file.fold or ""),
            file.part,
        )
        for split in database.splits
        if (source := split.published)
        for file in source.files
    }
    assert len(wanted) == 62
    assert found == wanted


def test_only_splits_whose_originals_are_at_hand_are_called_tested(database: Database, shared: Path) -> None:
    held = {hashlib.sha256(data).hexdigest() for data in originals(shared).values()}
    assert len(held) == 8
    for split in database.splits:
        for file in split.published.files if split.published else ():
            assert (file.tested or bool(split.published and split.published.tested)) == (file.sha256 in held)


# --- the rules --------------------------------------------------------------------------------------------------


def test_every_row_follows_the_order_rule(
    sources: list[rules.Labels], mos: list[tuple[str, ...]], prompts: list[tuple[str, str, str]]
) -> None:
    rows = sources[0].rows
    assert len(rows) == 2400
    for number, row in enumerate(rows):
        model, file = place(number)
        challenge, category, prompt = prompts[number % 400 // 4]
        assert (row.image_id, row.fields["row"], row.fields["task"]) == (f"{number}.png", str(number), "t2i")
        assert (row.fields["generator"], row.fields["prompt"]) == (SLUGS[number // 400], prompt)
        assert tuple(row.fields[f"mos_{dimension}"] for dimension in DIMENSIONS) == mos[number]
        assert row.extra["aliases"] == [f"{model}/{file}", model + file]
        assert (row.extra["challenge"], row.extra["category"]) == (challenge, category)
        assert row.extra["draw"] == str(number % 4 + 1)


def test_pic_index_is_the_order_rule(shared: Path) -> None:
    assert cells(shared / "data" / ID / INDEX) == [place(number) for number in NUMBERS]


def test_the_numbers_worth_asserting(sources: list[rules.Labels]) -> None:
    """Section 9 of the report; its first row is written with the digits of the JSON."""
    first = sources[3].rows[0]
    assert [first.fields[f"mos_{dimension}"] for dimension in DIMENSIONS] == [
        "60.1641784272688", "47.246540868962694", "59.9858733492637"
    ]  # fmt: skip
    assert first.fields["mos_authenticity"].startswith("47.2465408689627"[:14])
    raw = [sources[0].rows[0].extra[f"raw_std_{dimension}"] for dimension in DIMENSIONS]
    assert raw == ["0.885226373", "1.260743306", "1.35627198"]
    rows = sources[0].rows
    quality = {400: "69.896301", 1600: "67.250359", 2000: "56.696465", 2399: "64.880766"}
    assert {number: f"{Decimal(rows[number].fields['mos_quality']):.6f}" for number in quality} == quality
    assert rows[2399].fields["prompt"] == "An aerial view of Ha Long Bay without any boats"
    assert f"{Decimal(rows[2399].fields['mos_authenticity']):.6f}" == "59.447650"
    assert f"{Decimal(rows[2399].fields['mos_alignment']):.6f}" == "64.645342"


def same_mos(one: str, other: str) -> bool:
    return abs(Decimal(one) - Decimal(other)) <= abs(Decimal(one)) * Decimal("1e-12")


@pytest.mark.parametrize("other", [1, 2, 3])
def test_sources_agree(sources: list[rules.Labels], other: int) -> None:
    """The scales are told apart: mat and lists are on 0 to 100, the JSON is the hundredth part."""
    for ours, theirs in zip(sources[0].rows, sources[other].rows, strict=True):
        for dimension in DIMENSIONS:
            assert same_mos(ours.fields[f"mos_{dimension}"], theirs.fields[f"mos_{dimension}"])
        same = ("row", "prompt", "prompt_id", "generator", "task", *(f"score_{name}" for name in DIMENSIONS))
        assert [ours.fields[name] for name in same] == [theirs.fields[name] for name in same]
        assert ours.image_id == theirs.image_id
        plain = {name: value for name, value in ours.extra.items() if not name.startswith("raw_std")}
        assert theirs.extra == plain


def test_the_pull_request_agrees_to_its_digits(sources: list[rules.Labels]) -> None:
    for ours, theirs in zip(sources[0].rows, sources[4].rows, strict=True):
        assert ours.extra.keys() == theirs.extra.keys()
        for dimension in DIMENSIONS:
            assert abs(Decimal(ours.fields[f"mos_{dimension}"]) - Decimal(theirs.fields[f"mos_{dimension}"])) < Decimal(
                "6e-9"
            )


def test_deviations_are_on_the_scale_of_the_ratings(
    sources: list[rules.Labels], deviations: list[tuple[str, ...]]
) -> None:
    """SD^2 * n * (n - 1) is a whole number for 17 to 20 raters, so they never stand beside a MOS on 0 to 100."""
    for row, published in zip(sources[0].rows, deviations, strict=True):
        assert not any(row.fields.get(f"std_{dimension}") for dimension in DIMENSIONS)
        found = [str(row.extra[f"raw_std_{dimension}"]) for dimension in DIMENSIONS]
        assert found == [repr(float(text)) for text in published]
        for text in published:
            squares = [Decimal(text) ** 2 * n * (n - 1) for n in (20, 19, 18, 17)]
            assert min(abs(square - round(square)) for square in squares) < Decimal("1e-5")


def test_row_57_keeps_its_published_category(sources: list[rules.Labels]) -> None:
    named = {row.extra["category"] for row in sources[0].rows}
    assert len(named) == 11
    rows = [row for row in sources[0].rows if row.extra["category"] == "Arts"]
    assert {row.image_id for row in rows} == {f"{block * 400 + 57 * 4 + k}.png" for block in range(6) for k in range(4)}
    assert {row.fields["prompt"] for row in rows} == {"an oil painting of a tree and a building"}
    assert Counter(row.extra["category"] for row in sources[0].rows)["Indoor Scenes"] == 9 * 24


def test_no_prompt_is_lost_to_a_header_and_blanks_stay(sources: list[rules.Labels]) -> None:
    assert sources[0].rows[0].fields["prompt"] == "a corgi"
    texts = [sources[0].rows[number * 4].fields["prompt"] for number in range(100)]
    assert len(set(texts)) == 100
    assert [number for number, prompt in enumerate(texts) if prompt != prompt.strip()] == [22, 54]


def swapped(column: list[float]) -> list[float]:
    """The order that a sort with capitals first gives: Unidiffuser before stable-diffusion."""
    return column[:1600] + column[2000:] + column[1600:2000]


@pytest.mark.parametrize("fault", ["swapped", "scaled", "short", "other variable"])
def test_lists_that_are_not_the_published_ones_are_refused(
    database: Database, files: Files, mos: list[tuple[str, ...]], fault: str
) -> None:
    column = [float(scores[0]) for scores in mos]
    changed = {
        "swapped": ("moz1.txt", listing(swapped(column)), 2, "T06"),
        "scaled": ("moz1.txt", listing([value / 20 for value in column]), 2, "T06"),
        "short": ("moz1.txt", listing(column[:-1]), 2, "T04"),
        "other variable": ("mosz1.mat", matrix("SD", column), 0, "T08"),
    }
    name, data, source, expected = changed[fault]
    with pytest.raises(RefusedInput) as caught:
        applied(database, source, files | {name: data})
    assert caught.value.fault == expected
    assert ("divided by 20" in caught.value.message) == (fault == "scaled")


def test_lists_are_told_apart_by_scale_as_declared(
    database: Database, sources: list[rules.Labels], files: Files, mos: list[tuple[str, ...]]
) -> None:
    """The report: not seen, so guard with "if max <= 1.5 then x100". Blanks as `numpy.savetxt` may leave them."""
    small = {
        f"moz{n}.txt": "".join(f"  {float(scores[n - 1]) / 100:.18e} \r\n" for scores in mos).encode()
        for n in (1, 2, 3)
    }
    for given, wanted in zip(applied(database, 2, files | small).rows, sources[2].rows, strict=True):
        for dimension in ("quality", "authenticity", "alignment"):
            for column in ("mos", "score"):
                name = f"{column}_{dimension}"
                assert float(given.fields[name]) == pytest.approx(float(wanted.fields[name]), rel=1e-12)


def test_a_bad_cell_is_named_with_its_own_file_and_line(database: Database, files: Files) -> None:
    lines = files["moz1.txt"].splitlines()
    lines[41] = b"n/a"
    with pytest.raises(RefusedInput, match=r"moz1\.txt:42: column moz1 is not a number"):
        applied(database, 2, files | {"moz1.txt": b"\n".join(lines)})


def test_one_column_name_in_two_tables_must_be_told_apart(database: Database) -> None:
    """Each of the .mat files calls its numbers MOSz: without other names the last one would stand for all."""
    source = database.labels[1].model_dump()
    for join in source["joins"]:
        join["table"].pop("rename")
    with pytest.raises(ValueError, match=r"mosz2\.mat has the column MOSz of another table: rename it"):
        LabelSource.model_validate(source)


def test_another_version_of_mat_is_named(database: Database, files: Files) -> None:
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM" + bytes(384) + b"\x89HDF\r\n\x1a\n"
    with pytest.raises(RefusedInput) as caught:
        applied(database, 0, files | {"mosz2.mat": head})
    assert caught.value.fault == "T13"
    assert "mosz2.mat" in caught.value.message
    assert "7.3" in caught.value.message


# --- splits -----------------------------------------------------------------------------------------------------


def listed(shared: Path) -> list[dict[str, str]]:
    with (shared / "databases/split-files.tsv").open(newline="", encoding="utf-8") as stream:
        return [row for row in csv.DictReader(stream, delimiter="\t") if row["database"] == ID]


def originals(shared: Path) -> Files:
    """Asset name -> the published bytes."""
    found = {}
    for row in listed(shared):
        suffix = Path(row["path"]).suffix
        path = shared / "data/split-files" / row["project"] / ID / f"{row['number']}-{row['side']}{suffix}"
        if row["project"] == "mint-iqa":
            path = shared / "data" / ID / "splits" / row["path"]
        if path.is_file():
            found[f"{row['project']}/{row['path']}"] = path.read_bytes()
            assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]
    return found


def numbers_in(project: str, data: bytes) -> set[int]:
    """The pictures that a split file names, read without the program."""
    content = data.decode("utf-8")
    if project == "mint-iqa":
        return {int(entry["id"]) for entry in json.loads(content)}
    if project == "amff-net":
        return {int(line.split("\t")[0][13:-4]) for line in content.splitlines()}
    at = {place(number): number for number in NUMBERS}
    rows = csv.DictReader(io.StringIO(content, newline=""))
    return {at[row["model"], row["image_name"]] for row in rows}


def index_rows(labels: rules.Labels) -> list[dict[str, str]]:
    return [row.fields | {"image_id": row.image_id, "extra": json.dumps(row.extra)} for row in labels.rows]


def split_named(database: Database, name: str) -> Split:
    return next(split for split in database.splits if split.name == name)


@pytest.mark.parametrize("project", ["mint-iqa", "ipce", "cmim", "amff-net"])
def test_originals_resolve_with_no_row_left_over(
    database: Database, sources: list[rules.Labels], shared: Path, project: str
) -> None:
    held = originals(shared)
    (fold,) = splitting.from_files(
        split_named(database, project),
        index_rows(sources[0]),
        lambda name: io.BytesIO(held[name]) if name in held else None,
    )
    assert (fold.name, fold.notes) == (project if project == "mint-iqa" else f"{project}-1", ())
    test = next(part for part in ("test", "val") if part in fold.parts.values())
    assert len(fold.parts) == 2400
    for row in listed(shared):
        data = held.get(f"{project}/{row['path']}")
        if row["project"] == project and data:
            part = test if row["side"] == test else "train"
            named = {int(image.removesuffix(".png")) for image, side in fold.parts.items() if side == part}
            assert named == numbers_in(project, data)


def test_all_divisions_of_ipce_give_each_image_its_side(
    database: Database, sources: list[rules.Labels], shared: Path
) -> None:
    """Divisions without an original are rebuilt in row order, which is not the published one."""
    with (shared / "data" / ID / "splits/DERIVED_ipce_splits_compact.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    made: Files = {}
    for fold in range(1, 11):
        for side in ("train", "val"):
            lines = [row["file"].replace("/", ",") + ',1,1,1,"""p"""' for row in table if row[f"split_{fold}"] == side]
            head = "model,image_name,mosz1,mosz2,mosz3,prompt"
            made[f"ipce/Database/AIGCIQA2023/{fold}/{side}.csv"] = "\n".join([head, *lines, ""]).encode()
    split, index = split_named(database, "ipce"), index_rows(sources[0])
    resolved = list(splitting.from_files(split, index, lambda name: io.BytesIO(made[name])))
    assert len(resolved) == 10
    for number, fold_found in enumerate(resolved, 1):
        assert fold_found.parts == {f"{row['index']}.png": row[f"split_{number}"] for row in table}
        assert Counter(fold_found.parts.values()) == {"train": 1920, "val": 480}


def test_the_shuffle_of_tier_and_pscr(database: Database, sources: list[rules.Labels]) -> None:
    order = np.arange(2400)
    np.random.seed(1)  # noqa: NPY002 - the published rule is this very generator
    np.random.shuffle(order)  # noqa: NPY002
    train = set(order[:1920].tolist())
    pairs = splitting.by_rule(split_named(database, "tier-pscr").rule, index_rows(sources[0]))
    assert dict(pairs) == {f"{number}.png": "train" if number in train else "test" for number in NUMBERS}


# --- whole runs -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return {number: picture(number) for number in NUMBERS}


def picture(number: int, seed: str = "") -> bytes:
    """A PNG of 8 x 8 pixels, different for every number."""
    target = io.BytesIO()
    data = hashlib.shake_128(f"{seed}{number}".encode()).digest(192)
    Image.frombytes("RGB", (8, 8), data).save(target, "PNG", compress_level=1)
    return target.getvalue()


def members(layout: str, pictures: Pictures, *, junk: bool = True) -> list[replicas.Member]:
    found: list[replicas.Member] = []
    for pattern in LAYOUTS[layout]:
        for number, data in pictures.items():
            model, file = place(number)
            found.append((pattern.format(number=number, model=model, file=file), data))
    if junk:
        folder = found[0][0].rpartition("/")[0] + "/" * ("/" in found[0][0])
        found[1:1] = replicas.junk(folder)
        found += [(f"{folder}~$pic-index.xlsx", b"\x05admin" + bytes(159)), (f"{folder}0 (1).png", picture(0, "x"))]
    return found


def tables(files: Files, names: tuple[str, ...], folder: str = "") -> list[replicas.Member]:
    return [(folder + name, files[name]) for name in names]


MATS = tuple(f"{name}{number}.mat" for name in ("mosz", "SD") for number in (1, 2, 3))
LISTS = ("moz1.txt", "moz2.txt", "moz3.txt")


def publish(box: Box, files: Files, archive: bytes | None = None) -> None:
    box.github.add(HOME, HOME_COMMIT, {name: files[name] for name in (INDEX, PROMPTS)})
    box.hub.add(HUB, {name: files[name] for name in LISTS})
    if archive:
        box.hub.add(HUB, {"allimg.zip": archive})


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def archive(pictures: Pictures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return replicas.archive(tmp_path_factory.mktemp(ID) / "allimg.zip", members("hub", pictures, junk=False))


@pytest.fixture(scope="module")
def home(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory, shared: Path, files: Files, archive: Path
) -> Iterator[Command]:
    """Fetched from the built-in mirrors, with every split file at hand; tests only read it."""
    with Box(authority) as box:
        publish(box, files, archive.read_bytes())
        held = originals(shared)
        for row in listed(shared):
            if data := held.get(f"{row['project']}/{row['path']}"):
                box.github.add(row["repo"], row["commit"], {row["path"]: data})
        run = Command(box, tmp_path_factory.mktemp("home"))
        run("fetch", ID, "--splits", code=0)
        yield run


@pytest.fixture(scope="module")
def rows(home: Command) -> list[dict[str, str]]:
    return read(home.root / ID / "index.csv")


def without(row: dict[str, str], *prefixes: str) -> dict[str, str]:
    """A row without its flags, its MOS, and such entries of `extra`."""
    extra = {name: value for name, value in json.loads(row["extra"]).items() if not name.startswith(prefixes)}
    plain = dict.fromkeys(["flags", *(f"mos_{dimension}" for dimension in DIMENSIONS)], "")
    return row | plain | {"extra": json.dumps(extra)}


def same_rows(run: Command, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The same labels and the same bytes for every picture; returns the rows."""
    found = read(run.root / ID / "index.csv")
    assert [without(row, "raw_std") for row in found] == [without(row, "raw_std") for row in rows]
    for ours, theirs in zip(found, rows, strict=True):
        for dimension in DIMENSIONS:
            assert same_mos(ours[f"mos_{dimension}"], theirs[f"mos_{dimension}"])
    return found


def test_fetch_installs_every_picture_under_its_label(
    home: Command, rows: list[dict[str, str]], pictures: Pictures, mos: list[tuple[str, ...]]
) -> None:
    assert len(rows) == 2400
    for number, row in enumerate(rows):
        assert (row["image_id"], row["generator"]) == (f"{number}.png", SLUGS[number // 400])
        assert (home.root / row["image_path"]).read_bytes() == pictures[number]
        for column, dimension in enumerate(DIMENSIONS):
            assert Decimal(row[f"mos_{dimension}"]) == Decimal(f"{float(mos[number][column]):.14f}")
            assert row[f"score_{dimension}"] == f"{Decimal(mos[number][column]) / 100:.6f}"
            assert row[f"std_{dimension}"] == ""
    assert {row["flags"] for row in rows} == {""}
    (entry,) = (entry for entry in home("list", "--json", code=0).json()["data"] if entry["id"] == ID)
    assert entry["state"] == "installed (unpinned)"


def test_splits_verify_and_export(home: Command, shared: Path) -> None:
    names = {path.stem for path in (home.root / ID / "splits").iterdir()}
    assert names == {"mint-iqa", "ipce-1", "cmim-1", "amff-net-1", "tier-pscr"}
    found = {
        int(row["image_id"][:-4]) for row in read(home.root / ID / "splits/mint-iqa.csv") if row["split"] == "test"
    }
    assert found == numbers_in("mint-iqa", originals(shared)["mint-iqa/mytestdict_llm.json"])
    home("verify", code=0)
    assert len(home("export", ID, code=0).out.splitlines()) == 2401
    assert len(home("export", ID, "--split", "amff-net-1:test", code=0).out.splitlines()) == 601


def test_the_whole_package_installs_with_its_own_numbers(
    run: Command, rows: list[dict[str, str]], files: Files, pictures: Pictures, tmp_path: Path,
    deviations: list[tuple[str, ...]],
) -> None:  # fmt: skip
    """The pictures stand in it twice, and prompts are not inside."""
    publish(run.box, files)
    given = [*members("package", pictures), *tables(files, MATS[:3], "AIGCIQA2023/DATA/MOS/")]
    given += tables(files, MATS[3:], "AIGCIQA2023/DATA/STD/")
    run("import", ID, replicas.archive(tmp_path / "AIGCIQA2023.zip", given), code=0)
    found = same_rows(run, rows)
    for row, published in zip(found, deviations, strict=True):
        extra = json.loads(row["extra"])
        found_here = [extra[f"raw_std_{dimension}"] for dimension in DIMENSIONS]
        assert found_here == [repr(float(text)) for text in published]
    assert {line.rpartition("/")[2] for line in run.box.paths()} == {INDEX, PROMPTS}
    assert {path.name for path in (run.root / ID / "labels").iterdir()} == {INDEX, PROMPTS, *MATS}


def test_an_archive_inside_the_package_is_opened(
    run: Command, rows: list[dict[str, str]], files: Files, archive: Path, tmp_path: Path
) -> None:
    given = [("AIGCIQA2023/Image/allimg.zip", archive.read_bytes()), *tables(files, MATS, "AIGCIQA2023/DATA/")]
    given += tables(files, (INDEX, PROMPTS), "AIGCIQA2023/")
    run("import", ID, replicas.archive(tmp_path / "share.zip", given), code=0)
    same_rows(run, rows)
    assert run.box.paths() == []


def test_generator_folders_install_from_the_json(
    run: Command, rows: list[dict[str, str]], files: Files, pictures: Pictures, tmp_path: Path
) -> None:
    """Nothing but the folders tells the generators apart. A stray picture with a number is no picture of these."""
    given = [*members("by generator", pictures), ("AIGCIQA2023/docs/7.png", picture(7, "stray"))]
    held = replicas.folder(tmp_path / "tables", tables(files, (INDEX, PROMPTS, QUESTIONS)))
    run("import", replicas.folder(tmp_path / "unpacked", given), *held.iterdir(), code=0)
    found = read(run.root / ID / "index.csv")
    assert {row["flags"] for row in found} == {"renamed"}
    assert [row["sha256"] for row in found] == [row["sha256"] for row in rows]
    assert found[0]["mos_quality"] == "60.1641784272688"
    assert run.box.paths() == []


@pytest.mark.parametrize("layout", ["clip-agiqa", "m3-agiqa", "flat"])
def test_every_other_layout_installs(
    run: Command, rows: list[dict[str, str]], files: Files, pictures: Pictures, tmp_path: Path, layout: str
) -> None:
    names = (INDEX, PROMPTS, *(MATS[:3] if layout == "clip-agiqa" else LISTS))
    held = members(layout, pictures)
    if layout == "clip-agiqa":
        given = [replicas.archive(tmp_path / "any.zip", [*held, *tables(files, names, "AIGCIQA2023/DATA/")])]
    else:
        loose = replicas.folder(tmp_path / "tables", tables(files, names))
        given = [replicas.archive(tmp_path / "any.zip", held), *loose.iterdir()]
    run("import", *given, code=0)
    same_rows(run, rows)
    assert run.box.paths() == []


def test_a_second_download_of_a_list_is_known(run: Command, files: Files, tmp_path: Path) -> None:
    names = {
        "moz1 (1).txt": "moz1.txt",
        "moz2.txt": "moz2.txt",
        "moz3(2).txt": "moz3.txt",
        INDEX: INDEX,
        PROMPTS: PROMPTS,
    }
    given = replicas.folder(tmp_path / "given", [(name, files[true]) for name, true in names.items()])
    run("import", ID, *given.iterdir(), code=0)
    assert len(read(run.root / ID / "index.csv")) == 2400
    assert run.box.paths() == []


def test_the_older_workbook_inside_is_told_and_the_published_one_given_beside_it_counts(
    run: Command, rows: list[dict[str, str]], files: Files, pictures: Pictures, shared: Path, tmp_path: Path
) -> None:
    older = (shared / "data" / ID / "history" / PROMPTS).read_bytes()
    given = [*members("hub", pictures), (PROMPTS, older), *tables(files, (INDEX, *LISTS))]
    archive = replicas.archive(tmp_path / "given.zip", given)
    done = run("import", ID, archive, code=5)
    assert f"{PROMPTS}:1: wrong number of cells (expected 3, found 6)" in done.err
    assert not (run.root / ID).exists()
    run("import", ID, archive, shared / "data" / ID / PROMPTS, code=0)
    same_rows(run, rows)
    assert (run.root / ID / "labels" / PROMPTS).read_bytes() == files[PROMPTS]


def test_copies_with_other_bytes_are_damage(run: Command, files: Files, pictures: Pictures, tmp_path: Path) -> None:
    given = [
        *members("hub", pictures),
        ("other/allimg/5.png", picture(5, "other")),
        *tables(files, (INDEX, PROMPTS, *LISTS)),
    ]
    done = run("import", ID, replicas.archive(tmp_path / "given.zip", given), code=4)
    assert "5.png" in done.err
    assert not (run.root / ID).exists()


def test_the_public_picture_is_the_witness(
    run: Command, files: Files, pictures: Pictures, shared: Path, tmp_path: Path
) -> None:
    genuine = (shared / "data" / ID / "sample/0.png").read_bytes()
    given = [*members("hub", pictures | {0: genuine}), *tables(files, (INDEX, PROMPTS, *LISTS))]
    done = run("import", ID, replicas.archive(tmp_path / "given.zip", given), code=0)
    assert "0.png is not the publicly known image" not in done.err
    row = read(run.root / ID / "index.csv")[0]
    assert [row[name] for name in ("width", "height", "format", "bytes")] == ["512", "512", "png", "472819"]
    assert row["sha256"] == "8a742feb6e7320b8da3660c6fb9d49960bfdbb09841b9872e7bcf05804e2afca"


def test_fetch_falls_back_to_the_json_of_the_successor(run: Command, files: Files) -> None:
    run.box.github.add(HOME, HOME_COMMIT, {name: files[name] for name in (INDEX, PROMPTS)})
    commit = "e76c07d9154d851d7c8da4af82e2f3f5e2f71091"
    run.box.github.add("IntMeGroup/MINT-IQA", commit, {QUESTIONS: files[QUESTIONS]})
    run("fetch", ID, "--labels-only", code=0)
    found = read(run.root / ID / "index.csv")
    assert (len(found), found[0]["mos_quality"]) == (2400, "60.1641784272688")
    assert {row["flags"] for row in found} == {"no-image"}


def test_other_peoples_table_comes_last_and_says_so(run: Command, files: Files) -> None:
    run.box.github.add(HOME, HOME_COMMIT, {name: files[name] for name in (INDEX, PROMPTS)})
    commit = "68283bba2490059b5071bca0c2686495998b0aa2"
    run.box.github.add(HOME, commit, {"AIGCIQA2023.csv": files["AIGCIQA2023.csv"]})
    done = run("fetch", ID, "--labels-only", code=0)
    assert "huskydoge" in done.err
    found = read(run.root / ID / "index.csv")
    assert found[0]["mos_quality"] == "60.16417843"
    assert json.loads(found[0]["extra"])["raw_std_quality"] == "0.885226373"


def test_labels_only_is_one_small_download(run: Command, files: Files) -> None:
    publish(run.box, files)
    run("fetch", ID, "--labels-only", code=0)
    assert sum(entry.sent for entry in run.box.log) < 250_000
    assert len(read(run.root / ID / "index.csv")) == 2400


def test_the_pinned_archive_of_the_same_group_stands_in(
    run: Command,
    home: Command,
    files: Files,
    archive: Path,
    manifests: Callable[[str, str], Path],
    built_in: Callable[[str], str],
) -> None:
    """Where the official repository has no images any more, or where hashes are required."""
    data = archive.read_bytes()
    overlay = replicas.overlay_manifest(built_in(ID), len(data), hashlib.sha256(data).hexdigest(), "AIGCIQA2023.zip")
    manifests(ID, overlay)
    publish(run.box, files)
    run.box.hub.add("IntMeGroup/AIGIs", {"AIGCIQA2023.zip": data}, commit="dfdcd9efded13b223a67ce0d20b96f6c04a1b938")
    run("fetch", ID, code=0)
    assert (run.root / ID / "index.csv").read_bytes() == (home.root / ID / "index.csv").read_bytes()
    record = json.loads((run.root / f".aigiqa/installed/{ID}.json").read_bytes())
    assert [s["proof"] for s in record["sources"] if s["role"] == "images"] == ["sha256"]


def test_by_hand_names_every_share_with_its_code(run: Command, files: Files) -> None:
    publish(run.box, files)
    done = run("fetch", ID, "--mirror", "baidu", "--json", code=3).json()
    shares = {(share["url"], share["code"]) for share in done["error"]["shares"]}
    assert shares == {
        ("https://pan.baidu.com/s/1v85j6hKJcRcHm74FDTEosA?pwd=q9dt", "q9dt"),
        ("https://pan.baidu.com/s/1Q-04YzcXyMefLDxQUKG2Ug?pwd=0221", "0221"),
    }
    done = run("fetch", ID, "--mirror", "terabox", "--json", code=3).json()
    assert [share["url"] for share in done["error"]["shares"]] == ["https://terabox.com/s/1DtV-A9XiuQQDvVPXn6rYvg"]


def test_require_hashes_refuses_lists_that_nobody_vouches_for(run: Command, files: Files) -> None:
    publish(run.box, files)
    done = run("fetch", ID, "--labels-only", "--require-hashes", code=4)
    assert "moz1.txt" in done.err
    assert not (run.root / ID).exists()


def test_require_hashes_takes_the_pinned_source(run: Command, files: Files) -> None:
    """The lists have no published hash; the questions, which say the same, have one."""
    publish(run.box, files)
    run.box.hub.add(HUB, {name: files[name] for name in (*LISTS, QUESTIONS)})
    run("fetch", ID, "--labels-only", "--require-hashes", code=0)
    assert len(read(run.root / ID / "index.csv")) == 2400
    (entry,) = (entry for entry in run("list", "--json", code=0).json()["data"] if entry["id"] == ID)
    assert entry["state"] == "labels"


def test_published_split_files_in_hand_are_known_by_their_hash(run: Command, shared: Path) -> None:
    """One of them is a single line of JSON, cut in a quote where the kind of a file is looked for."""
    folder = shared / "data" / ID
    tables_ = [folder / name for name in (INDEX, PROMPTS, QUESTIONS)]
    splits = [folder / "splits" / name for name in ("mytestdict_llm.json", "mytraindict_llm.json")]
    for path in splits:
        assert run("import", path).code != 5, "known, though not enough to install from"
    run("import", *tables_, *splits, code=0)
    found = {int(r["image_id"][:-4]) for r in read(run.root / ID / "splits/mint-iqa.csv") if r["split"] == "test"}
    assert found == numbers_in("mint-iqa", originals(shared)["mint-iqa/mytestdict_llm.json"])
