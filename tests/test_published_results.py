"""Every row of the published tables, as the reports have them, is what `aigiqa leaderboard` shows."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import Command

ROWS = {"agiqa1k": 12, "agiqa3k": 64, "aigciqa2023": 77, "aigiqa20k": 25, "pku-i2iqa": 218, "pku-aigiqa-4k": 2}
LOG = "exp/NR-AIGCIQA.log of jiquan123/PSCR"
FIGURES = {  # figure of the authors -> what its protocol says
    "Pic/Results.png": "split authors: all 1,600 images",
    "Pic/SD.png": "trained and tested on SD images",
    "Pic/MJ.png": "trained and tested on MJ images",
    "Pic/SD-MJ.png": "trained on SD, tested on MJ images",
    "Pic/MJ-SD.png": "trained on MJ, tested on SD images",
}


def shown(run: Command, name: str) -> list[dict[str, Any]]:
    data = run("leaderboard", name, "--json", code=0).json()["data"]
    return [row for ranking in data["rankings"] for row in ranking["rows"]] + data["beside"]


@pytest.fixture(scope="module")
def methods(shared: Path) -> str:
    return (shared / "databases/methods-nr-fr-pr.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ROWS)
def test_how_many_rows_there_are(run: Command, name: str) -> None:
    assert len(shown(run, name)) == ROWS[name]


def test_values_by_hand(run: Command) -> None:
    """Typed from the reports: first, last and odd cells of the tables."""
    found = {(row["method"], row["dimension"], row["source"].split(" ")[0]): row for row in shown(run, "pku-i2iqa")}
    for method, dimension, figure, srcc, plcc in (
        ("NR-AIGCIQA, VGG16", "quality", "Pic/Results.png", 0.6734, 0.6854),
        ("FR-AIGCIQA, InceptionV4", "overall", "Pic/Results.png", 0.7282, 0.7529),
        ("FR-AIGCIQA, VGG16", "authenticity", "Pic/SD.png", 0.6641, 0.7725),
        ("FR-AIGCIQA, ResNet50", "alignment", "Pic/MJ.png", 0.8014, 0.8737),
        ("NR-AIGCIQA, VGG16", "quality", "Pic/SD-MJ.png", 0.1796, 0.2046),
        ("FR-AIGCIQA, InceptionV4", "overall", "Pic/MJ-SD.png", 0.2911, 0.3023),
    ):
        row = found[method, dimension, figure]
        assert (row["srcc"], row["plcc"]) == (srcc, plcc)
        assert row["protocol"].endswith("best epoch on the test set")
    assert "typing error" in found["FR-AIGCIQA, VGG16", "authenticity", "Pic/SD.png"]["note"]
    for backbone in ("VGG16", "InceptionV4"):
        assert "this very pair" in found[f"FR-AIGCIQA, {backbone}", "overall", "Pic/SD.png"]["note"]
    assert sum("typing error" in row["note"] for row in found.values()) == 1
    assert sum("this very pair" in row["note"] for row in found.values()) == 2


def test_the_five_tables_of_pku_i2iqa(run: Command, methods: str) -> None:
    part = methods.partition("## 5. ")[2].partition("## 6. ")[0]
    stated: Counter[tuple[Any, ...]] = Counter()
    for table in re.split(r"\n(?=[^\n]*\(`Pic/)", part)[1:]:
        figure = re.findall(r"`(Pic/[^`]+)`", table)[0]
        for line in table.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if len(cells) != 5 or "/" not in cells[1]:
                continue
            backbone, kind = cells[0].split()
            for dimension, cell in zip(("quality", "authenticity", "alignment", "overall"), cells[1:], strict=True):
                srcc, plcc = map(Decimal, cell.split("/"))
                stated[figure, f"{kind}-AIGCIQA, {backbone}", dimension, srcc, plcc] += 1
    assert sum(stated.values()) == 5 * 10 * 4
    rows = [row for row in shown(run, "pku-i2iqa") if row["source"].startswith("Pic/")]
    found = Counter(
        (
            row["source"].split(" ")[0],
            row["method"],
            row["dimension"],
            Decimal(str(row["srcc"])),
            Decimal(str(row["plcc"])),
        )
        for row in rows
    )
    assert found == stated
    for row in rows:
        assert row["protocol"].startswith(FIGURES[row["source"].split(" ")[0]])
        assert row["split"] == ("authors" if row["source"].startswith("Pic/Results") else None)


def test_the_log_of_pscr(run: Command, methods: str) -> None:
    part = " ".join(methods.partition("## 8. ")[2].split())
    databases = {"agiqa1k": "AGIQA-1K", "agiqa3k": "AGIQA-3K", "aigciqa2023": "AIGCIQA2023"}
    words = {"quality": "quality", "authenticity": "authenticity", "correspondence": "alignment"}
    for name, title in databases.items():
        told = re.findall(rf"{title} ((?:\w+ )?\.\d{{4}}/[^;(]+)", part)[0]
        stated = set()
        for dimension, *runs in re.findall(r"(\w+ )?(\.\d{4}/\.\d{4}) and (\.\d{4}/\.\d{4})", told):
            for number, pair in enumerate(runs, 1):
                srcc, plcc = map(float, pair.split("/"))
                stated.add((f"NR-AIGCIQA (run {number} of its log)", words[dimension.strip() or "quality"], srcc, plcc))
        rows = [row for row in shown(run, name) if row["source"].startswith(LOG)]
        assert {(row["method"], row["dimension"], row["srcc"], row["plcc"]) for row in rows} == stated
        assert len(rows) == len(stated) == (6 if name == "aigciqa2023" else 2)
        assert all(row["split"] == "tier-pscr" and row["rank"] for row in rows)
        assert all("best epoch" in row["protocol"] and "optimistic" in row["note"] for row in rows)


@pytest.mark.parametrize(
    ("name", "section", "lines"),
    [
        ("agiqa1k", 7, 10), ("agiqa3k", 7, 62), ("aigciqa2023", 7, 71), ("aigiqa20k", 8, 25), ("pku-aigiqa-4k", 7, 2)
    ],
)  # fmt: skip
def test_the_tables_of_the_other_reports(run: Command, shared: Path, name: str, section: int, lines: int) -> None:
    report = (shared / f"databases/{name}.md").read_text(encoding="utf-8")
    part = report.partition(f"## {section}. ")[2].partition(f"## {section + 1}. ")[0]
    part = re.sub(
        r"\(The DeQA-Score and [^)]*\)", "", part
    )  # cells that the reading of the figure merged: in no manifest
    pairs = re.findall(r"(?<!\d)(0?\.\d{3,4}) ?/ ?(?:PLCC )?(0?\.\d{3,4})(?!\d)", part)
    pairs += re.findall(r"SRCC (0\.\d{4}), PLCC (0\.\d{4})", part)
    assert len(pairs) == lines
    rows = [row for row in shown(run, name) if not row["source"].startswith(LOG)]
    found = Counter((Decimal(str(row["srcc"])), Decimal(str(row["plcc"]))) for row in rows)
    assert found == Counter((Decimal(srcc), Decimal(plcc)) for srcc, plcc in pairs)
