"""`verify --quick` where nothing has changed: answered before the parser and the store are loaded, which takes longer
than looking at thousands of files. In every other case the command itself has to look, and says the same."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from aigiqa_cli import looks
from aigiqa_cli.cli.amounts import human_bytes
from aigiqa_cli.places import root_path

_SILENT = ("-q", "--quiet", "--no-color")  # do not change what a pipe gets


def verify_quick(arguments: Sequence[str]) -> str:
    """The answer; "" where it is not plain."""
    asked = _asked(arguments)
    if asked is None or sys.stdout.isatty() or any(os.sep in name for name in asked[1]):
        return ""
    root, names = root_path(asked[0], os.environ), asked[1]
    internal = os.path.join(root, ".aigiqa")
    lines = []
    try:
        records = looks.records(internal, names)
        if not names and not looks.is_index_unchanged(root, looks.read(*looks.index_note(internal, records))):
            return ""
        for name in dict.fromkeys(names or records):
            noted = looks.read(os.path.join(internal, "stat", name), records[name])
            if noted is None or not looks.is_unchanged(os.path.join(root, name), noted):
                return ""
            lines.append(f"{name}\tok\t{noted.files}\t{human_bytes(noted.bytes)}\t{noted.files}\n")
    except (OSError, KeyError):  # an unknown word; a root that is not here
        return ""
    return "".join(lines)


def _asked(arguments: Sequence[str]) -> tuple[str, list[str]] | None:
    """The root, and the databases, where there is nothing else."""
    root, words, remaining = "", [], iter(arguments)
    for word in remaining:
        if word == "--root":
            root = next(remaining, "")
        elif not word.startswith("-"):
            words.append(word)
        elif word not in (*_SILENT, "--quick"):
            return None
    return (root, words[1:]) if words[:1] == ["verify"] else None
