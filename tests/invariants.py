"""What must hold of a data root at every instant. Shares no code with the package: it knows the contract, not us."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from pathlib import Path

HEX = re.compile(r"[0-9a-f]{64}")
FIRST_COLUMNS = ["database", "image_id", "image_path", "reference_path"]
COLUMNS = 30


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(root: Path) -> dict[str, str]:
    """Everything published: path -> SHA-256."""
    published = [path for path in root.rglob("*") if path.is_file() and ".aigiqa" not in path.relative_to(root).parts]
    return {path.relative_to(root).as_posix(): digest(path) for path in sorted(published)}


def world(*places: Path) -> dict[str, tuple[int, int, int]]:
    """What lies outside the root: kind and mode, length, time."""
    found = {}
    for place in places:
        for parent, folders, files in os.walk(place):
            for name in (*folders, *files):
                status = Path(parent, name).lstat()
                found[f"{parent}/{name}"] = (status.st_mode, status.st_size, status.st_mtime_ns)
    return found


def check(root: Path, *, settled: bool) -> None:
    """`settled`: after a command that ended well. Otherwise a prepared publication may wait to be finished."""
    recorded = {path.stem: _record(path) for path in sorted((root / ".aigiqa" / "installed").glob("*.json"))}
    waiting = {path.parent.name.rpartition("-")[0] for path in (root / ".aigiqa" / "staging").glob("*/record.json")}
    assert not (settled and waiting), f"still half done: {waiting}"
    for name, files in recorded.items():
        if name not in waiting:
            _published(root / name, files)
    if settled:
        folders = {path.name for path in root.iterdir() if path.is_dir()} - {".aigiqa"}
        assert folders == set(recorded), "published and recorded are the same"
    if (root / "index.csv").exists():
        _index(root / "index.csv", root, recorded, settled=settled)
    assert not settled or (root / "index.csv").exists()


def check_swept(root: Path) -> None:
    """After gc: no staging, no partial download, no former folder, no temporary name."""
    for folder in ("staging", "partial", "replaced"):
        assert list((root / ".aigiqa" / folder).iterdir()) == []
    strays = [path for path in root.rglob("*") if path.name.endswith((".tmp", ".part", ".new"))]
    assert not strays


def _record(path: Path) -> dict[str, tuple[int, str]]:
    content = json.loads(path.read_bytes())
    files = {name: (length, sha256) for name, length, sha256 in content["files"]}
    assert files
    assert content["database"] == path.stem
    for name, (length, sha256) in files.items():
        assert not name.startswith("/")
        assert ".." not in name.split("/")
        assert length >= 0
        assert HEX.fullmatch(sha256)
    return files


def _published(folder: Path, files: dict[str, tuple[int, str]]) -> None:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    assert set(found) == set(files), f"{folder}: {set(found) ^ set(files)}"
    for name, path in found.items():
        assert not path.is_symlink()
        assert (path.stat().st_size, digest(path)) == files[name], f"{path} is not as recorded"


def _index(path: Path, root: Path, recorded: dict[str, dict[str, tuple[int, str]]], *, settled: bool) -> None:
    with path.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream, strict=True)
    assert header[:4] == FIRST_COLUMNS
    assert {len(row) for row in rows} <= {COLUMNS} == {len(header)}
    for row in rows:
        for cell in row[2:4]:
            assert not cell or (cell.startswith(row[0] + "/") and ".." not in cell.split("/"))
            if settled and cell:
                assert cell.partition("/")[2] in recorded[row[0]]
                assert (root / cell).is_file()
    if settled:
        assert {row[0] for row in rows} == set(recorded)
