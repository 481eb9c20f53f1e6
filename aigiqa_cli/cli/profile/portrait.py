"""One database as `info` tells it: the manifest, what is here of it, and how both are put into words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from aigiqa_cli import mirrors
from aigiqa_cli.cli.terminal import size_in_words
from aigiqa_cli.errors import DOWN
from aigiqa_cli.states import State
from aigiqa_cli.store import Record
from aigiqa_cli.store.ledger import Health

if TYPE_CHECKING:
    from aigiqa_cli.manifest.assets import Volume
    from aigiqa_cli.manifest.models import Asset, Citation, Database, Mirror, Score, Split

TAGS = "evidence-tags"  # the fact that explains the letters in brackets
RATERS, METHODS = ("raters",), ("mos-computation", "rating")  # facts that say it where the score itself does not


@dataclass(frozen=True)
class Portrait:
    """Everything that is known of one database. `folder` is where it is, or would be, on this machine."""

    known: Database
    state: State
    folder: str
    bytes: int | None
    approximate_size: str
    automatic: tuple[str, ...]
    asked: Mapping[str, Health] = field(default_factory=dict)  # the health ledger

    @property
    def record(self) -> Record | None:
        return self.state.record

    @property
    def size(self) -> str:
        return size_in_words(self.bytes, self.approximate_size)

    def as_json(self) -> dict[str, Any]:
        """The manifest whole, every mirror as a link that can be opened, and the record of what is here."""
        return {
            "manifest": self.known.model_dump(mode="json", by_alias=True, exclude_defaults=True),
            "state": str(self.state),
            "why": self.state.why,
            "bytes": self.bytes,
            "approximate_size": self.approximate_size,
            "mirrors": [
                {
                    "asset": asset.name,
                    "file": part.published_name,
                    "kind": mirror.kind,
                    "url": mirrors.link(mirror, folder=asset.is_tree),
                    "code": mirror.code,
                    "state": mirror.health.state if mirror.health else "",
                    "automatic": automatic(asset, mirror),
                    "checked": self._answer(mirror),
                }
                for asset, part, mirror in self.mirrors()
            ],
            "here": _here(self.record, self.folder),
        }

    def checked(self, mirror: Mirror) -> Health | None:
        """What it answered to `doctor --links` last."""
        return self.asked.get(mirrors.key(mirror))

    def _answer(self, mirror: Mirror) -> dict[str, str] | None:
        found = self.checked(mirror)
        return {"at": found.at, "state": found.state, "detail": found.detail} if found else None

    def mirrors(self) -> Iterator[tuple[Asset, Asset | Volume, Mirror]]:
        """Every mirror with the asset, and the very file of it, that it has."""
        for asset in self.known.assets:
            for part in asset.parts:
                for mirror in part.mirrors:
                    yield asset, part, mirror


def _here(record: Record | None, folder: str) -> dict[str, Any] | None:
    """The commit record but its list of files, which is as long as the database and stands in its checksums."""
    if record is None:
        return None
    told = {name: value for name, value in asdict(record).items() if name not in ("database", "files")}
    return told | {"folder": folder, "bytes": record.size, "unpinned": record.unpinned, "local": record.local}


def automatic(asset: Asset, mirror: Mirror) -> bool:
    """Can `fetch` use it without a person?"""
    return mirror.kind in (mirrors.TREES if asset.is_tree else mirrors.AUTOMATIC)


def down(mirror: Mirror) -> bool:
    return mirror.health is not None and mirror.health.state in DOWN


def health(mirror: Mirror) -> str:
    """What is known of its state, and since when: `reported-dead 2024-02-19`."""
    return f"{mirror.health.state} {mirror.health.date or ''}".strip() if mirror.health else ""


def address(asset: Asset, mirror: Mirror) -> str:
    """What a browser opens, or for bytes made on this machine what makes them."""
    return mirrors.link(mirror, folder=asset.is_tree) or mirrors.label(mirror)


def role(asset: Asset) -> str:
    return f"repack of {asset.substitutes}" if asset.substitutes else asset.role


def proof(asset: Asset) -> str:
    """The published hash, or what there is in its place."""
    if asset.volumes and not asset.sha256:
        return f"of each of {len(asset.volumes)} parts"
    begun = f"begins with {asset.sha256_begins}" if asset.sha256_begins else ""
    return asset.sha256 or begun or "unpinned"


def between(bounds: tuple[int, int] | None, *, plain: bool = False) -> str:
    """`1,079 to 1,080`; `plain` is for machines: `1079 to 1080`."""
    if bounds is None:
        return ""
    numbers = [str(bound) if plain else f"{bound:,}" for bound in dict.fromkeys(bounds)]
    return " to ".join(numbers)


def raters(known: Database, score: Score) -> str:
    """Their number, or what the sources say of it; "" where nothing is known."""
    return str(score.raters) if score.raters is not None else _fact(known, RATERS)


def method(known: Database, score: Score) -> str:
    """How the scores came about, or what the sources say of it."""
    return score.method or _fact(known, METHODS)


def _fact(known: Database, names: tuple[str, ...]) -> str:
    return next((known.facts[name] for name in names if name in known.facts), "")


def how(split: Split) -> str:
    """In what form it is published."""
    if split.published is None:
        return "rule" if split.rule is not None else "described only"
    files = split.published.files
    tested = split.published.tested or all(file.tested for file in files)
    some = any(file.tested for file in files)
    return f"{len(files)} published files{'' if tested else ', partly tested' if some else ', untested'}"


def folds_here(split: Split, record: Record | None) -> list[str]:
    """Names of what is installed of this split: itself, or its folds."""
    return [name for name in (record.splits if record else ()) if split.name in (name, name.rpartition("-")[0])]


def reference(citation: Citation) -> str:
    """The citation as a line of a list of references."""
    where = citation.journal or citation.booktitle
    issue = citation.volume + (f"({citation.number})" if citation.number else "")
    parts = [where, issue, citation.pages, str(citation.year)]
    return f"{', '.join(citation.authors)}: {citation.title}. {', '.join(part for part in parts if part)}"


def publications(citation: Citation) -> list[str]:
    """Where the publication is to be read."""
    found = [citation.doi and f"https://doi.org/{citation.doi}"]
    found += [citation.arxiv and f"https://arxiv.org/abs/{citation.arxiv}", citation.url]
    return [link for link in found if link]
