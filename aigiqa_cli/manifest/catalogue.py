"""Where manifests are found, and which database a word means."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli.errors import RefusedInput, UsageFault
from aigiqa_cli.manifest import VOCABULARY_NAME, load, load_vocabulary

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database

VARIABLE = "AIGIQA_MANIFESTS"


def built_in_folder() -> Path:
    """`manifests/` beside the modules in an installed package, else at the top of the checkout."""
    package = Path(__file__).parents[1]
    inside = package / "manifests"
    return inside if inside.is_dir() else package.parent / "manifests"


def fold(word: str) -> str:
    """`My-Set`, `my_set` and `myset` are one word."""
    return re.sub(r"[^a-z0-9]", "", word.lower())


@dataclass(frozen=True)
class Entry:
    """A manifest file of the catalogue. `extra` is true if it comes from AIGIQA_MANIFESTS."""

    id: str
    path: Path
    extra: bool
    shadows: bool


class Catalogue:
    """All known databases: extra folders first, then the built-in ones; an extra one replaces a built-in one whole."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        settings = os.environ if settings is None else settings
        self.extra_folders = tuple(Path(part) for part in settings.get(VARIABLE, "").split(os.pathsep) if part)
        self._loaded: dict[str, Database] = {}

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """Every entry by id, sorted by id."""
        for folder in self.extra_folders:
            if not folder.is_dir():
                raise UsageFault(
                    f"{VARIABLE} names {folder}, which is not a folder", hint=f"unset {VARIABLE}, or create the folder"
                )
        found: dict[str, Entry] = {}
        for folder in (*self.extra_folders, built_in_folder()):
            extra = folder in self.extra_folders
            for path in sorted(folder.glob("*.yaml")):
                if path.name == VOCABULARY_NAME:
                    continue
                if path.stem not in found:
                    shadows = extra and (built_in_folder() / path.name).exists()
                    found[path.stem] = Entry(path.stem, path, extra, shadows)
        return dict(sorted(found.items()))

    @cached_property
    def generators(self) -> set[str]:
        """Every known generator slug."""
        slugs: set[str] = set()
        for folder in (*self.extra_folders, built_in_folder()):
            if (folder / VOCABULARY_NAME).is_file():
                slugs |= set(load_vocabulary(folder / VOCABULARY_NAME).generators)
        return slugs

    def database(self, word: str) -> Database:
        """The database that `word` means; forgiving about case and punctuation."""
        entry = self.find(word)
        if entry is None:
            raise self.unknown(word)
        return self.load(entry)

    def load(self, entry: Entry) -> Database:
        """The manifest of `entry`, validated once."""
        if entry.id not in self._loaded:
            self._loaded[entry.id] = load(entry.path, generators=self.generators)
        return self._loaded[entry.id]

    def find(self, word: str) -> Entry | None:
        """The entry that `word` names by id or alias, or None."""
        wanted = fold(word)
        if not wanted:
            return None
        for entry in self.entries.values():
            if fold(entry.id) == wanted:
                return entry
        for entry in self.entries.values():
            if wanted in self._aliases(entry):
                return entry
        return None

    def databases(self) -> Iterator[Database]:
        """Every database; a broken manifest raises."""
        for entry in self.entries.values():
            yield self.load(entry)

    def unknown(self, word: str) -> UsageFault:
        """The fault for a word that names no database, with the nearest ids."""
        names: dict[str, str] = {}
        for entry in self.entries.values():
            names[fold(entry.id)] = entry.id
            names.update(dict.fromkeys(self._aliases(entry), entry.id))
        near = difflib.get_close_matches(fold(word), names, n=3, cutoff=0.5)
        ids = list(dict.fromkeys(names[name] for name in near))
        hint = f"did you mean {' or '.join(ids)}?" if ids else "all ids: aigiqa list -q"
        return UsageFault(f"no database is called {word!r}", hint=hint, phase="PLAN")

    def _aliases(self, entry: Entry) -> set[str]:
        """Folded aliases; of a broken manifest none, so that one bad file does not hide the others."""
        try:
            return {fold(alias) for alias in self.load(entry).aliases}
        except RefusedInput:
            return set()
