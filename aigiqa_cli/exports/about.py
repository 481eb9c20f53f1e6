"""What an export says of the databases in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aigiqa_cli import bibtex

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database


@dataclass(frozen=True)
class About:
    """The facts of one manifest. `scales`: dimension -> lowest and highest score, as published text."""

    id: str
    version: int
    title: str
    summary: str
    homepage: str
    license: str
    license_scope: str
    license_note: str
    citation: str
    cited_title: str
    authors: tuple[str, ...]
    year: int
    url: str
    synthetic: bool
    scales: Mapping[str, tuple[str, str]]
    defects: tuple[str, ...]

    @classmethod
    def of(cls, database: Database) -> About:
        cited = database.citation
        doi, arxiv = f"https://doi.org/{cited.doi}", f"https://arxiv.org/abs/{cited.arxiv}"
        scales: dict[str, tuple[str, str]] = {
            dimension: (str(score.range[0]), str(score.range[1]))
            for source in reversed(database.labels)
            for dimension, score in source.scores.items()
        }
        return cls(
            database.id,
            database.version,
            database.title,
            " ".join(database.summary.split()),
            database.homepage,
            database.license.spdx,
            database.license.scope,
            database.license.note,
            bibtex.entry(cited),
            cited.title,
            cited.authors,
            cited.year,
            doi if cited.doi else arxiv if cited.arxiv else cited.url or database.homepage,
            database.synthetic,
            scales,
            tuple(defect.what for defect in database.defects),
        )
