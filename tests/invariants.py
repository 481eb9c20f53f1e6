"""What must hold of a data root at every instant. Shares no code with the package: it knows the contract, not us.

    python tests/invariants.py ROOT               at any instant
    python tests/invariants.py ROOT --settled     after a command that ended well
    python tests/invariants.py ROOT --swept       after gc as well
    python tests/invariants.py ROOT --secret S    no file and no name below ROOT may hold S

Exit status 0, or 1 and what does not hold. Only the standard library is needed; pyarrow and duckdb, where they are
installed, read the root index too, and must see the same rows.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import stat
import sys
from collections.abc import Sequence
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


def published(root: Path) -> dict[str, str]:
    """The same without what a killed writer left beside its file: that goes with gc."""
    return {path: sha256 for path, sha256 in tree(root).items() if not path.endswith(".tmp")}


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
        left = sorted(path.name for path in (root / ".aigiqa" / folder).iterdir())
        assert not left, f"{folder}: {left}"
    strays = [path for path in root.rglob("*") if path.name.endswith((".tmp", ".part", ".new"))]
    assert not strays, strays


def check_secret(root: Path, secret: bytes) -> None:
    for parent, folders, files in os.walk(root):
        for name in (*folders, *files):
            assert secret not in os.fsencode(name), f"a secret is in the name of {parent}/{name}"
        for name in files:
            path = Path(parent, name)
            assert path.is_symlink() or secret not in path.read_bytes(), f"a secret is in {path}"


def check_modes(root: Path) -> None:
    """Nobody but owner and group may write anything; what is unfinished is for the owner alone."""
    for path in root.rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISLNK(mode) or not mode & stat.S_IWOTH, f"everybody may write {path}"
    for name in ("staging", "partial", "quarantine"):
        folder = root / ".aigiqa" / name
        assert not folder.exists() or not folder.stat().st_mode & 0o077, f"others may look into {folder}"


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
        ours = [path.parent / name / "index.csv" for name in sorted(recorded)]
        assert len(rows) == sum(_count(index) for index in ours if index.is_file()), "rows are the union of the records"
    _other_readers(path, len(rows))


def _count(path: Path) -> int:
    with path.open(encoding="utf-8", newline="") as stream:
        return sum(1 for _ in csv.reader(stream, strict=True)) - 1


def _other_readers(path: Path, rows: int) -> None:
    """Readers that share no code with each other agree on the number of rows."""
    if not rows:
        return
    if "pyarrow" in sys.modules or _available("pyarrow"):
        from pyarrow import csv as arrow

        options = arrow.ParseOptions(newlines_in_values=True)
        assert arrow.read_csv(path, parse_options=options).num_rows == rows, "pyarrow sees other rows"
    if _available("duckdb"):
        import duckdb

        text = str(path).replace("'", "''")
        found = duckdb.sql(f"SELECT count(*) FROM read_csv('{text}', all_varchar=true, header=true)").fetchall()
        assert found == [(rows,)], "duckdb sees other rows"


def _available(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Check a data root of aigiqa.")
    parser.add_argument("root", type=Path)
    parser.add_argument("--settled", action="store_true", help="a command has just ended well")
    parser.add_argument("--swept", action="store_true", help="gc has just ended well")
    parser.add_argument("--secret", default="", help="what must be nowhere below the root")
    asked = parser.parse_args(words)
    try:
        assert asked.root.is_dir(), f"{asked.root} is no folder"
        check(asked.root, settled=asked.settled or asked.swept)
        check_modes(asked.root)
        if asked.swept:
            check_swept(asked.root)
        if asked.secret:
            check_secret(asked.root, asked.secret.encode())
    except (AssertionError, ValueError, KeyError, csv.Error, OSError) as error:
        print(f"violated: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"{asked.root}: all invariants hold")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
