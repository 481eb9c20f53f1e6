"""What the code may never do, read from the code itself: rows D01-D04, M15, T14, T17, T19 of the fault catalogue."""

from __future__ import annotations

import ast
import builtins
import io
import re
from collections.abc import Iterator
from pathlib import Path

import fuzz_seeds as seeds
import pytest
from packaging.requirements import Requirement
from test_house import MODULES, place, project, tree

from aigiqa_cli import tables
from aigiqa_cli.manifest import json_schema

# D03: a library's own way to unpack, fetch, move, guess or run something.
BANNED_NAMES = {
    "extractall", "unpack_archive", "cached_download", "read_pickle", "hf_hub_download", "snapshot_download", "download_folder",
    "download_and_unpack", "urlretrieve", "urlopen", "Sniffer", "expandvars", "from_file_picker", "HfFileSystem", "fsspec", "safe_substitute",
}  # fmt: skip
BANNED_CALLS = {
    "shutil.move", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "requests.get", "requests.post", "requests.head",
    "requests.put", "requests.request", "requests.Session", "requests.session", "gdown.download", "np.load", "numpy.load", "os.system",
    "os.popen", "eval", "exec", "compile", "__import__", "tempfile.mktemp", "os.path.expandvars", "pickle.load", "pickle.loads",
}  # fmt: skip
BANNED_MODULES = {
    "pickle",
    "dill",
    "joblib",
    "cloudpickle",
    "shelve",
    "marshal",
    "torch",
    "jinja2",
    "ftplib",
    "telnetlib",
    "xmlrpc",
    "modelscope",
}
# Imported only by whoever asks for tensors, trains, predicts, or asks for pyiqa.
ON_TORCH = ("api/tensors.py", "methods/", "scoring/pyiqa_metrics.py")
SESSION_OF_OURS = {"transport/session.py", "transport/connection.py"}
NETWORK = {"requests", "urllib3", "http", "urllib.request", "socket", "ssl", "aiohttp", "httpx"}
# Files are written by the store, and by those that write what is not below the root or into a staging folder of the
# store's. Whoever makes a new file there (mode "x") overwrites nothing.
WRITERS = {"folders", "store", "transport", "exports", "archives", "synthetic", "restoring"}


def dotted(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""


def calls(module: Path) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            yield node, dotted(node.func)


def imports(module: Path) -> Iterator[str]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES, ids=place)
def test_D03_M15_T14_T17_nothing_banned_is_named(module: Path) -> None:
    found = []
    for node in ast.walk(tree(module)):
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if name in BANNED_NAMES or (isinstance(node, ast.alias) and node.name in BANNED_NAMES):
            found.append(f"{getattr(node, 'lineno', 0)}: {name or 'import'}")
    for node, name in calls(module):
        allowed = place(module) in SESSION_OF_OURS and name == "requests.Session"
        if name in BANNED_CALLS and not allowed:
            found.append(f"{node.lineno}: {name}")
        if any(word.arg == "shell" for word in node.keywords) or any(
            word.arg == "allow_pickle" and ast.unparse(word.value) != "False" for word in node.keywords
        ):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    allowed_modules = {"torch"} if place(module).startswith(ON_TORCH) else set()
    found += [name for name in imports(module) if name.split(".")[0] in BANNED_MODULES - allowed_modules]
    assert not found, f"{place(module)}: {found}"


@pytest.mark.parametrize("module", MODULES, ids=place)
def test_T19_readers_get_open_handles(module: Path) -> None:
    """No library opens a table by its name, which could be a path of a row or a URL."""
    found = []
    for node, name in calls(module):
        last = name.rpartition(".")[2]
        if re.fullmatch(r"(pd|pandas)\.read_\w+|(arrow_csv|csv)\.read_csv", name):
            found.append(f"{node.lineno}: {name}")
        if place(module).startswith("tables/") and (
            name in ("open", "io.open", "os.open") or last in ("read_bytes", "read_text")
        ):
            found.append(f"{node.lineno}: {name}")
        if last in ("load_workbook", "loadmat", "whosmat"):
            given = node.args[0]
            handle = (isinstance(given, ast.Name) and given.id == "stream") or dotted(
                getattr(given, "func", given)
            ) == "io.BytesIO"
            found += [] if handle else [f"{node.lineno}: {ast.unparse(given)}"]
    assert not found, f"{place(module)}: {found}"


def test_T19_reading_a_table_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is called like a path, and holds one, is text."""
    materials = {
        "csv": (b"name\n/etc/passwd\nhttps://example.org/x.csv\n", ("name",)),
        "jsonl": (b'{"name": "file:///etc/passwd"}\n', ("name",)),
        "json": (b'[{"name": "/etc/passwd"}]', ("name",)),
        "mat": (seeds.matrix(packed=True), ("MOSz",)),
        "xlsx": (seeds.book(), ("name", "prompt", "mos")),
    }
    for kind, (data, columns) in materials.items():  # what is imported late is imported now
        list(tables.rows(io.BytesIO(data), tables.Layout("/etc/passwd", kind, columns)))

    def refuse(*words: object, **_: object) -> None:
        raise AssertionError(f"open{words}")

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", refuse)
        patch.setattr(io, "open", refuse)
        for kind, (data, columns) in materials.items():
            assert list(tables.rows(io.BytesIO(data), tables.Layout("https://example.org/a", kind, columns)))


@pytest.mark.parametrize("module", MODULES, ids=place)
def test_D03_files_are_written_by_the_store(module: Path) -> None:
    found = []
    for node, name in calls(module):
        last = name.rpartition(".")[2]
        named = [word.value for word in node.keywords if word.arg == "mode"]
        at = 1 if name == "open" else 0  # of a path, the mode comes first
        modes = [value.value for value in (*named, *node.args[at : at + 1]) if isinstance(value, ast.Constant)]
        opened = last == "open" and name != "os.open" and any(set(str(mode)) & set("wa+") for mode in modes)
        writes = opened or last in ("write_text", "write_bytes")
        if writes and place(module).split("/")[0].removesuffix(".py") not in WRITERS:
            found.append(f"{node.lineno}: {ast.unparse(node)[:80]}")
    allowed = {"cli/main.py", "cli/signals.py"}  # a closed stream is replaced by the null device
    assert not found or place(module) in allowed, f"{place(module)}: {found}"


@pytest.mark.parametrize("module", MODULES, ids=place)
def test_D03_what_a_foreign_call_answers_is_looked_at(module: Path) -> None:
    """A call through ctypes raises nothing: whoever drops its answer takes an I/O error for success."""
    users = {name for name in imports(module) if name.split(".")[0] == "ctypes"}
    if not users:
        return
    libraries = {
        target.id
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Assign) and "CDLL" in ast.unparse(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    dropped = [
        f"{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and dotted(node.value.func).split(".")[0] in libraries
    ]
    assert libraries
    assert not dropped


@pytest.mark.parametrize("module", MODULES, ids=place)
def test_D04_only_the_transport_moves_bytes(module: Path) -> None:
    """Libraries resolve; one transport of ours opens connections."""
    if place(module).startswith("transport/"):
        return
    found = {name for name in imports(module) if name.split(".")[0] in NETWORK or name in NETWORK}
    assert not found, f"{place(module)} imports {sorted(found)}"


def test_D04_one_session_is_made_in_one_place() -> None:
    makers = {
        place(module)
        for module in MODULES
        for _, name in calls(module)
        if re.fullmatch(r"requests\.[Ss]ession|(urllib3\.)?PoolManager", name)
    }
    assert len(makers) == 1
    assert makers <= SESSION_OF_OURS


FLOORS = {  # section 10 of the fault catalogue, and what each hole taught
    "gdown": "6.5", "huggingface-hub": "1.29", "requests": "2.33", "urllib3": "2.8", "pillow": "12.3", "py7zr": "1.1.3",
    "pyyaml": "6.0.2", "defusedxml": "0",
}  # fmt: skip


@pytest.mark.parametrize("name", FLOORS)
def test_D01_no_floor_lets_a_known_hole_in(name: str) -> None:
    listed = project()["dependencies"]
    assert isinstance(listed, list)
    wanted = {re.sub(r"[-_.]+", "-", Requirement(line).name).lower(): Requirement(line) for line in listed}
    assert name in wanted, "a hard dependency"
    below = FLOORS[name].split(".")
    below[-1] = str(int(below[-1]) - 1) if int(below[-1]) else "0"
    assert FLOORS[name] == "0" or ".".join(below) not in wanted[name].specifier
    assert not wanted[name].extras


def test_D02_no_hole_of_the_interpreter_matters() -> None:
    """The readers of the standard library that had holes are not those that decide: names and links are judged by us,
    nothing is extracted by a library, and whatever is left happens in the worker."""
    users = {
        place(module)
        for module in MODULES
        for name in imports(module)
        if name in ("tarfile", "zipfile", "shutil.unpack_archive")
    }
    assert users <= {"archives/zip.py", "archives/tar.py", "archives/member_names.py", "tables/workbook.py", "archives/disks.py",
                     "archives/zip_data.py", "synthetic/__init__.py", "synthetic/files.py", "archives/zip_directory.py", "archives/zip_layout.py",
                     "exports/webdataset.py"}  # fmt: skip  # the last writes headers of tar and reads none
    written = {
        name.rpartition(".")[2]
        for module in MODULES
        for _, name in calls(module)
        if "tar" in name or "zip" in name.lower()
    }
    assert not written & {"extract", "extractall", "_extract_member", "data_filter", "makefile"}


def test_M15_no_field_of_a_manifest_is_a_command() -> None:
    """There are no hooks: no key of any part says what is to be run, and no text is a template but `{column}`."""
    schema = json_schema()
    keys = {key for part in (schema, *schema["$defs"].values()) for key in part.get("properties", {})}
    words = re.compile(
        r"hook|command|script|\brun\b|exec|shell|plugin|entry_?point|template|environ|\benv\b|callback|eval|\bcode$"
    )
    assert {key for key in keys if words.search(key)} <= {"code"}, "the extraction code of a share"


def test_M13_there_are_no_downloaded_sets_of_manifests() -> None:
    """Manifests come with the package or from a folder of the user's: rollback, freeze and mix need a set that is fetched."""
    fetchers = {place(module) for module in MODULES if place(module).startswith(("manifest/", "catalogue.py"))}
    assert fetchers
    assert not [
        name for module in MODULES if place(module) in fetchers for name in imports(module) if "transport" in name
    ]
