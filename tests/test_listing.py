"""What people see of `list` and `info`: at every width, with and without colours, and in a pipe."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY, Command
from doubles import Box
from test_commands import at_terminal, picture, serve_tiny
from tiny import small_labels, tiny_manifest

MANIFESTS = sorted(path.stem for path in (REPOSITORY / "manifests").glob("*.yaml") if path.stem != "generators")
# Counts and licences as the reports give them; what of the images is published by a live mirror.
CATALOGUE = {
    "agiqa1k": ("1,079-1,080", "2", "quality", "MIT", "gdrive"),
    "agiqa3k": ("2,982", "6", "quality, alignment", "MIT", "huggingface, gdrive"),
    "aigciqa2023": ("2,400", "6", "quality, authenticity, alignment", "Apache-2.0", "huggingface"),
    "aigiqa20k": ("20,000", "15", "overall", "Apache-2.0", "modelscope"),
    "pku-aigiqa-4k": ("4,000", "3", "quality, authenticity, alignment", "MIT", "gdrive"),
    "pku-i2iqa": ("1,600", "2", "quality, authenticity, alignment", "unspecified", "gdrive"),
}
SIZES = {"agiqa3k": "98.4 MB", "aigciqa2023": "about 889 MB"}  # the archives with their label tables
STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;[^\x1b]*\x1b\\")
LINK = re.compile(r"\x1b\]8;id=[^;]*;([^\x1b]+)\x1b\\(?:\x1b\[[0-9;]*m)*([^\x1b]+)")


def seen(run: Command, *words: str, width: int = 80, **environment: str) -> list[str]:
    """The lines as the program broke them, without styles."""
    return STYLE.sub("", at_terminal(run, *words, COLUMNS=str(width), **environment)).replace("\r\n", "\n").split("\n")


def flat(text: str) -> str:
    """On one line, with single blanks: as if nothing had been wrapped."""
    return " ".join(text.split())


# ---------------------------------------------------------------------------------------------------------------------
# list
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160])
def test_list_cuts_nothing_at_any_width(run: Command, width: int) -> None:
    lines = seen(run, "list", width=width)
    assert max(map(len, lines)) <= width
    starts = [number for number, line in enumerate(lines) if line.split("  ")[0] in CATALOGUE]
    assert len(starts) == len(CATALOGUE)
    for start in starts:
        name = lines[start].split("  ")[0]
        block = [lines[start]]
        while lines[start + len(block)].startswith("  "):
            block.append(lines[start + len(block)])
        text = flat(" ".join(block)).replace(" · ", "  ")
        images, generators, dimensions, licence, mirrors = CATALOGUE[name]
        for field in (images, generators, dimensions, licence, mirrors, "absent", SIZES.get(name, "")):
            assert field in text, (name, field)
    wide = any("dimensions" in line for line in lines)
    assert wide == (width >= 160), "one line a database only where there is room"


def test_list_shows_a_long_state_whole(run: Command, box: Box, manifests: Any) -> None:
    packed = archive()
    manifests("tiny", tiny_manifest(packed, pinned=False))
    serve_tiny(box, packed)
    run("fetch", "tiny", code=0)
    for width in (40, 60, 80, 160):
        assert any(re.search(r"^tiny\b.* installed \(unpinned\)$", line) for line in seen(run, "list", width=width))


def test_list_in_a_pipe_keeps_its_eight_fields(run: Command) -> None:
    rows = {line.split("\t")[0]: line.split("\t") for line in run("list", code=0).out.splitlines()}
    for name, (images, generators, dimensions, licence, mirrors) in CATALOGUE.items():
        size = SIZES.get(name, "?")
        expected = [name, images.replace(",", ""), generators, dimensions, size, licence, mirrors, "absent"]
        assert rows[name] == expected


def test_a_size_that_is_known_roughly_is_said(run: Command) -> None:
    """A page says 889 MB of the archive; its exact length is not public."""
    (listed,) = (item for item in run("list", "--json", code=0).json()["data"] if item["id"] == "aigciqa2023")
    assert (listed["bytes"], listed["approximate_size"]) == (None, "889 MB")
    data = run("info", "aigciqa2023", "--json", code=0).json()["data"]
    assert (data["bytes"], data["approximate_size"]) == (None, "889 MB")
    plan = run("fetch", "aigciqa2023", "--dry-run", "--json", code=0).json()["data"][0]["result"]["plan"]
    assert [(p["bytes"], p["approximate_size"]) for p in plan if p["asset"] == "allimg.zip"] == [(None, "889 MB")]
    assert [(p["bytes"], p["approximate_size"]) for p in plan if p["asset"] == "pic-index.xlsx"] == [(36503, "")]
    rows = [line.split("\t") for line in run("fetch", "aigciqa2023", "--dry-run", code=0).out.splitlines()]
    assert [row[2] for row in rows if row[0] == "allimg.zip"] == ["about 889 MB"]
    (listed,) = (item for item in run("list", "--json", code=0).json()["data"] if item["id"] == "pku-i2iqa")
    assert (listed["bytes"], listed["approximate_size"]) == (None, ""), "nothing is known of that size"


@pytest.mark.parametrize("width", [40, 80])
def test_a_plan_is_not_cut_either(run: Command, width: int) -> None:
    text = "".join("".join(seen(run, "fetch", "aigciqa2023", "--dry-run", width=width)).split())
    for field in ("IntMeGroup/AIGCIQA2023", "allimg.zip"):
        assert field in text or width < 80
    assert max(map(len, seen(run, "fetch", "aigciqa2023", "--dry-run", width=width))) <= width


# ---------------------------------------------------------------------------------------------------------------------
# info
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 60, 80, 160])
@pytest.mark.parametrize("name", ["agiqa3k", "aigciqa2023", "pku-i2iqa"])
def test_info_breaks_no_word(run: Command, name: str, width: int) -> None:
    for line in seen(run, "info", name, width=width):
        assert len(line) <= min(width, 100) or " " not in line.strip(), line


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_info_shows_every_link_and_code_of_what_a_fetch_needs(run: Command, name: str) -> None:
    """Each link whole on one line, and where there is a code it stands on the line before."""
    lines = [line.strip() for line in seen(run, "info", name, width=60)]
    manifest = content(name)
    needed = [a for a in manifest["assets"] if not (a.get("substitutes") or a.get("optional"))]
    links = {item["url"]: item for item in run("info", name, "--json", code=0).json()["data"]["mirrors"]}
    wanted = [item for item in links.values() if item["asset"] in {asset["name"] for asset in needed}]
    assert wanted
    for item in wanted:
        assert item["url"] in lines
        if item["code"]:
            assert lines[lines.index(item["url"]) - 1] == f"code {item['code']}"
    for asset in manifest["assets"]:
        for mirror in asset.get("mirrors", []):
            if "code" in mirror:
                assert f"code {mirror['code']}" in lines, "a share that needs a person is always shown"


@pytest.mark.parametrize("name", MANIFESTS)
def test_info_all_and_a_pipe_lose_nothing(run: Command, name: str) -> None:
    at_all = flat("\n".join(seen(run, "info", name, "--all", width=100)))
    piped = run("info", name, code=0).out
    assert "\x1b" not in piped
    for text in told(content(name)):
        assert flat(text) in at_all, text
        assert flat(text) in flat(piped), text


def told(manifest: dict[str, Any]) -> Iterator[str]:
    """Every text of a manifest that is for people; the rules for tables and files of splits are for --json."""
    for key in ("title", "summary", "homepage"):
        yield manifest.get(key, "")
    yield from (manifest["license"][key] for key in ("spdx", "scope", "source"))
    yield manifest["license"].get("note", "")
    citation = manifest["citation"]
    yield from (citation["title"], citation.get("note", ""), citation.get("doi", ""), *citation["authors"])
    for asset in manifest["assets"]:
        yield from (asset[key] for key in ("name", "note", "evidence", "sha256", "approximate_size") if key in asset)
        for mirror in asset.get("mirrors", []):
            yield from (mirror[key] for key in ("code", "note", "evidence") if key in mirror)
            yield mirror.get("health", {}).get("source", "")
        for twin in asset.get("twins", []):
            yield from (twin["sha256"], twin["note"])
    for source in manifest["labels"]:
        yield from (source[key] for key in ("third_party", "lacks", "evidence") if key in source)
    for score in manifest["labels"][0]["scores"].values():
        yield from (score[key] for key in ("method", "evidence") if key in score)
    for split in manifest.get("splits", []):
        yield from (split[key] for key in ("name", "described", "license", "note", "evidence") if key in split)
    for defect in manifest.get("defects", []):
        yield from (defect["what"], defect["evidence"], defect.get("affects", ""))
    for witness in manifest.get("witnesses", []):
        yield from (witness["sha256"], witness["source"])
    for result in manifest.get("results", []):
        yield from (result[key] for key in ("method", "source", "protocol", "note") if key in result)
    yield from manifest.get("facts", {}).values()


def content(name: str) -> dict[str, Any]:
    """A manifest with every scalar as text."""
    found = yaml.load((REPOSITORY / "manifests" / f"{name}.yaml").read_text(encoding="utf-8"), yaml.BaseLoader)
    assert isinstance(found, dict)
    return found


def test_links_are_clickable_where_the_terminal_can(run: Command) -> None:
    links = LINK.findall(at_terminal(run, "info", "agiqa3k", COLUMNS="80"))
    assert ("https://pan.baidu.com/s/1_Cz9-aSzUDP-aEl3siIj6g?pwd=AIGC",) * 2 in links
    assert all(target == shown for target, shown in links)
    assert len(links) > 10
    for terminal in ("dumb", "linux"):
        assert "\x1b]" not in at_terminal(run, "info", "agiqa3k", TERM=terminal)
    assert "\x1b]8" in at_terminal(run, "info", "agiqa3k", NO_COLOR="1"), "a link is no colour"


def test_folders_of_hubs_are_opened_as_folders(run: Command) -> None:
    links = [
        line.split("\t") for line in run("info", "agiqa3k", code=0).out.splitlines() if line.startswith("mirror\t")
    ]
    of = {line[1]: line[2] for line in links}
    assert "/strawhat/agiqa-3k/tree/" in of["strawhat-images"]
    assert of["strawhat-images"].endswith("/images")
    assert "/blob/" in of["danceskycode-AGIQA-3K.zip"]
    links = [line.split("\t") for line in run("info", "aigiqa20k", code=0).out.splitlines()]
    of_kind = {line[5]: line[2] for line in links if line[0] == "mirror" and line[1] == "AIGCQA-30K-Image"}
    assert of_kind["modelscope"] == "https://modelscope.cn/datasets/lcysyzxdxc/AIGCQA-30K-Image/files"
    assert "/tree/" in of_kind["huggingface"]


def test_the_state_of_a_mirror_is_shown_with_its_date_and_source(run: Command) -> None:
    text = flat("\n".join(seen(run, "info", "agiqa3k")))
    assert "quark, by hand reported-dead 2024-02-19: issue 3 of the homepage (open), link expired" in text
    text = flat("\n".join(seen(run, "info", "aigiqa20k")))
    assert "huggingface empty 2024-02-04: the author in discussion 1 of this page" in text


def test_letters_of_evidence_are_explained_where_they_are_used(run: Command) -> None:
    for name in CATALOGUE:
        legend = content(name)["facts"]["evidence-tags"]
        assert flat(legend) in flat("\n".join(seen(run, "info", name)))
        assert f"fact\tevidence-tags\t{flat(legend)}" in run("info", name, code=0).out


def test_raters_that_only_a_fact_tells_stand_beside_the_scores(run: Command) -> None:
    """Its deviations prove 17 to 20 raters an image; no number is published for the whole."""
    lines = [line.split("\t") for line in run("info", "aigciqa2023", code=0).out.splitlines()]
    scores = [line for line in lines if line[0] == "score"]
    assert [line[1] for line in scores] == ["quality", "authenticity", "alignment"]
    for line in scores:
        assert "17 to 20 valid raters" in line[3]
        assert "z-scores mapped to 0 to 100" in line[4]
    text = flat("\n".join(seen(run, "info", "aigciqa2023")))
    start, end = text.index("Scores higher is better"), text.index("Licence ")
    assert "raters whole-number ratings by 17 to 20 valid raters an image" in text[start:end]
    assert "21 raters" in flat("\n".join(seen(run, "info", "agiqa3k")))


# ---------------------------------------------------------------------------------------------------------------------
# What is here
# ---------------------------------------------------------------------------------------------------------------------

TWICE = "AttnGAN_normal_000.jpg"


def archive() -> bytes:
    """The images of `tiny` with a file beside them that belongs to nothing."""
    names = [row["name"] for row in csv.DictReader(io.StringIO(small_labels().decode(), newline=""))]
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as packed:
        for number, name in enumerate(names):
            packed.writestr(zipfile.ZipInfo(f"tiny/{name}"), picture(number))
        packed.writestr("tiny/readme.txt", "hello")
    return target.getvalue()


def test_info_shows_rejected_rows_warnings_and_what_was_left_aside(
    run: Command, box: Box, manifests: Any, tmp_path: Path
) -> None:
    packed = archive()
    labels = small_labels() + f"{TWICE},a red square,,,,4.5,0.5,1.5,0.25\r\n".encode()
    text = tiny_manifest(packed, labels, pinned=False).replace(
        'image: {id: name, find: ["{name}"]}', f'image: {{id: name, find: ["{{name}}"], duplicates: [{TWICE}]}}'
    )
    manifests("tiny", text)
    serve_tiny(box, packed, labels)
    assert "see: aigiqa info tiny" in run("fetch", "tiny", code=0).err
    records = [line.split("\t") for line in run("info", "tiny", code=0).out.splitlines()]
    (rejected,) = (record for record in records if record[0] == "rejected")
    assert "data.csv" in rejected[1] or TWICE in rejected[1]
    assert rejected[2] == "declared duplicate"
    assert ["ignored", "1"] in records
    assert any(record[0] == "warning" and "unpinned" in record[1] for record in records)
    here = run("info", "tiny", "--json", code=0).json()["data"]["here"]
    assert [item["problem"] for item in here["rejected"]] == [rejected[2]]
    assert (here["ignored"], here["rows"], here["folder"]) == (1, 12, str(run.root / "tiny"))
    assert "files" not in here
    shown = flat("\n".join(seen(run, "info", "tiny", width=100)))
    assert f"rejected published rows that the index leaves out: 1 {rejected[1]}: {rejected[2]}" in shown
    assert "warning tiny.zip" in shown
    assert "left aside files that are no part of the database: 1" in shown


def test_info_of_what_is_absent_has_no_record(run: Command) -> None:
    assert run("info", "agiqa3k", "--json", code=0).json()["data"]["here"] is None
    assert not any(line.startswith("here\t") for line in run("info", "agiqa3k", code=0).out.splitlines())
    assert not run.root.exists()
