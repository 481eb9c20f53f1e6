"""The house rules: layers, who prints, what is imported when, which names stand where, what the wheel holds."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from conftest import IMPORT_PATH, REPOSITORY

PACKAGE = REPOSITORY / "aigiqa_cli"
MODULES = sorted(PACKAGE.rglob("*.py"))

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"__init__", "errors", "digests", "folders", "looks", "places", "machine", "reporting", "redaction", "names", "owners", "patterns",
         "pointers", "damage"}),
    frozenset(
        {"index", "images", "tables", "archives", "exports", "expectations", "manifest", "transport", "mirrors", "store", "rules", "label_rows",
         "bibtex", "synthetic", "signatures", "evaluating", "gallery", "describing"}
    ),
    frozenset({"states", "selecting", "early", "obtaining", "root_index", "columnar", "installing", "restoring", "subsets", "examining", "watching", "context", "partitions",
         "predictions", "measuring", "scoring", "methods"}),
    frozenset({"steps"}),
    frozenset({"cli", "__main__", "api"}),
)  # fmt: skip
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}

HEAVY = frozenset(
    {"pandas", "openpyxl", "requests", "gdown", "huggingface_hub", "modelscope", "modelscope_hub", "pyarrow", "scipy",
     "PIL", "numpy", "py7zr", "rarfile", "matplotlib", "skimage", "pyiqa"}
)  # fmt: skip
# Both are requests' own half of the transport; nobody imports them before the first connection (see the test).
ON_REQUESTS = {"transport/answer.py", "transport/connection.py"}
# The worker's stdout is the pipe to its parent, not the terminal.
PIPE = "archives/worker.py"

BANNED_CALLS = {"extractall", "unpack_archive", "cached_download", "read_pickle"}
BANNED_PAIRS = {("shutil", "move"), ("requests", "get"), ("yaml", "load"), ("pickle", "load"), ("pickle", "loads")}

CORE = ("agiqa1k", "agiqa3k", "aigciqa2023", "pku-i2iqa", "pku-aigiqa-4k", "aigiqa20k")

TOP_LEVEL = {"aigiqa_cli", "manifests", "tests", "pyproject.toml", "README.md", "LICENSE"}
MADE_BY_TOOLS = re.compile(r"\..*|__pycache__|build|dist|.*\.egg-info|aigiqa\.parquet")  # the last by the README


def place(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


@cache
def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def room(dotted: str) -> str:
    """`aigiqa_cli.store.root` -> `store`; `aigiqa_cli` itself -> `__init__`."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def own_imports(module: Path) -> Iterator[str]:
    """Dotted names of what a module imports of the package, wherever in the module, also only for types."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "aigiqa_cli")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{place(module)}:{node.lineno}: a relative import hides its layer"
            if (node.module or "").split(".")[0] != "aigiqa_cli":
                continue
            if node.module == "aigiqa_cli":
                yield from (f"aigiqa_cli.{a.name}" if a.name in LEVEL else "aigiqa_cli" for a in node.names)
            else:
                yield str(node.module)


def module_level(node: ast.AST) -> Iterator[ast.AST]:
    """Statements that run at import: not in functions, not under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from module_level(child)


def test_every_room_has_a_layer() -> None:
    rooms = {place(module).split("/")[0].removesuffix(".py") for module in MODULES}
    assert rooms <= set(LEVEL), f"new rooms without a layer: {sorted(rooms - set(LEVEL))}"


@pytest.mark.parametrize("module", MODULES, ids=place)
def test_no_layer_knows_a_higher_one(module: Path) -> None:
    here = place(module).split("/")[0].removesuffix(".py")
    higher = {name for name in own_imports(module) if LEVEL[room(name)] > LEVEL[here]}
    if here == "__init__":  # the lowest room, for the version, and the front door of Python users: for types alone
        higher -= {"aigiqa_cli.api"}
    assert not higher, f"{place(module)} (layer {LEVEL[here]}) imports {sorted(higher)}"


def test_steps_never_import_one_another() -> None:
    for module in (PACKAGE / "steps").glob("*.py"):
        others = {name for name in own_imports(module) if room(name) == "steps"}
        assert not others, f"{place(module)} imports {sorted(others)}"


def test_commands_never_import_one_another() -> None:
    shared = {"aigiqa_cli.cli.commands.options"}
    for module in (PACKAGE / "cli" / "commands").glob("*.py"):
        others = {name for name in own_imports(module) if name.startswith("aigiqa_cli.cli.commands.")} - shared
        assert not others, f"{place(module)} imports {sorted(others)}"


def test_only_cli_prints() -> None:
    found = []
    for module in MODULES:
        if place(module).startswith("cli/") or place(module) == PIPE:
            continue
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "input"):
                found.append(f"{place(module)}:{node.lineno}")
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr", "sys.stdin"):
                found.append(f"{place(module)}:{node.lineno}")
    assert not found


def test_only_main_exits() -> None:
    found = []
    for module in MODULES:
        allowed = {"cli/main.py": {"sys.exit"}, "cli/signals.py": {"os._exit"}, PIPE: {"os._exit"}}.get(
            place(module), set()
        )
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name in {"sys.exit", "os._exit", "exit", "quit", "SystemExit"} - allowed:
                    found.append(f"{place(module)}:{node.lineno}: {name}")
    assert not found


def test_D03_no_library_downloads_or_unpacks() -> None:
    found = []
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.Attribute):
                owner = node.value.id if isinstance(node.value, ast.Name) else ""
                if node.attr in BANNED_CALLS or (owner, node.attr) in BANNED_PAIRS:
                    found.append(f"{place(module)}:{node.lineno}: {ast.unparse(node)}")
            if isinstance(node, ast.ImportFrom):
                pairs = {(node.module, alias.name) for alias in node.names}
                if pairs & BANNED_PAIRS or {alias.name for alias in node.names} & BANNED_CALLS:
                    found.append(f"{place(module)}:{node.lineno}: from {node.module}")
    assert not found


@pytest.mark.parametrize(
    "name", sorted({path.stem for path in (REPOSITORY / "manifests").glob("*.yaml")} - {"generators"} | set(CORE))
)
def test_no_database_is_named_in_code(name: str) -> None:
    word = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])", re.IGNORECASE)
    found = [
        f"{place(module)}:{number}"
        for module in MODULES
        for number, line in enumerate(module.read_text(encoding="utf-8").splitlines(), 1)
        if word.search(line)
    ]
    assert not found, f"{name} is named in {found}"


@pytest.mark.parametrize("module", MODULES, ids=place)
def test_annotations_are_lazy(module: Path) -> None:
    first = [node for node in tree(module).body if not isinstance(node, ast.Expr)][:1]
    assert first, f"{place(module)} is empty"
    assert ast.unparse(first[0]) == "from __future__ import annotations"


@pytest.mark.parametrize("module", MODULES, ids=place)
def test_heavy_libraries_are_not_imported_at_module_level(module: Path) -> None:
    found = set()
    for node in module_level(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    assert found & HEAVY <= ({"requests"} if place(module) in ON_REQUESTS else set())


def loaded_after(words: list[str], tmp_path: Path) -> set[str]:
    """Top-level names in sys.modules after a command, in a process of its own."""
    code = (
        "import atexit, json, runpy, sys\n"
        "target = sys.argv.pop()\n"
        "atexit.register(lambda: open(target, 'w').write(json.dumps(sorted(sys.modules))))\n"
        "sys.argv[0] = 'aigiqa'\n"
        "runpy.run_module('aigiqa_cli', run_name='__main__')\n"
    )
    target = tmp_path / "modules.json"
    environment = dict(os.environ) | {"AIGIQA_ROOT": str(tmp_path / "root"), "PYTHONPATH": IMPORT_PATH}
    environment = {name: value for name, value in environment.items() if not name.startswith("COV")}
    command = [sys.executable, "-c", code, *words, str(target)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in json.loads(target.read_text())}


def test_version_loads_next_to_nothing(tmp_path: Path) -> None:
    assert not loaded_after(["--version"], tmp_path) & (HEAVY | {"typer", "rich", "pydantic", "yaml", "re2"})


def test_list_loads_no_heavy_library(tmp_path: Path) -> None:
    assert not loaded_after(["list"], tmp_path) & HEAVY
    assert not (tmp_path / "root").exists(), "P12: reading never writes"


def test_top_level_holds_only_what_belongs_there() -> None:
    names = {path.name for path in REPOSITORY.iterdir() if not MADE_BY_TOOLS.fullmatch(path.name)}
    assert names == TOP_LEVEL
    assert (PACKAGE / "py.typed").is_file()


def project() -> dict[str, object]:
    return dict(tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements() -> list[str]:
    """What every user gets, and the extras that users can ask for; not what tests need, nor extras within extras."""
    listed, extras = project()["dependencies"], project()["optional-dependencies"]
    assert isinstance(listed, list)
    assert isinstance(extras, dict)
    asked = (line for name, lines in extras.items() if name != "test" for line in lines)
    return [*listed, *(line for line in asked if not line.startswith("aigiqa["))]


def dependencies() -> set[str]:
    return {canonical(re.split(r"[<>=!~;\[ ]", line, maxsplit=1)[0]) for line in requirements()}


def test_D01_every_dependency_has_a_floor() -> None:
    assert [line for line in requirements() if ">=" not in line] == []


def test_only_declared_libraries_are_imported() -> None:
    distributions = {"google_re2": "re2", "pyyaml": "yaml", "pillow": "PIL", "modelscope": "modelscope_hub"}
    distributions |= {"backports_zstd": "backports", "scikit_image": "skimage"}
    modules = {distributions.get(name.replace("-", "_"), name.replace("-", "_")) for name in dependencies()}
    imported = set()
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"aigiqa_cli", "compression"}  # of Python 3.14
    assert foreign - modules <= {"numpy"}, "numpy comes with pandas, scipy and pyarrow"


@pytest.fixture(scope="module")
def readme() -> str:
    return (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_every_dependency_stands_in_the_readme_with_its_reason(readme: str) -> None:
    rows = re.findall(r"^\| *`([^`\n]+)` *\| *[^|\s][^|\n]*\|$", readme, re.MULTILINE)
    assert dependencies() <= {canonical(name) for name in rows}


def test_the_pictures_of_the_readme_are_here_small_and_load_nothing(readme: str) -> None:
    pictures = [REPOSITORY / found for found in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme)]
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < 100_000
        if picture.suffix == ".svg":
            assert not re.findall(r"""(?:href|src)=|url\(["']?http|@import""", picture.read_text(encoding="utf-8"))


def blocks(readme: str) -> list[list[str]]:
    """The commands of every fenced shell block, continued lines joined, comments left out."""
    found = re.findall(r"^```(?:bash|sh|shell|console)\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    return [
        [line.split(" #")[0].strip() for line in re.sub(r"\\\n\s*", "", block).splitlines() if line.strip()]
        for block in found
    ]


def test_the_readme_starts_with_two_commands_and_the_machine_runs_the_second(readme: str) -> None:
    first, second, *_ = blocks(readme)
    assert len(first) == 1
    assert "pip install" in first[0]
    assert "fetch demo" in first[0]
    assert "--format parquet" in first[0]
    assert len(second) == 1
    runner = REPOSITORY / ".ci" / "run"
    assert os.access(runner, os.X_OK)
    assert second[0] in re.sub(r"\\\n\s*", "", runner.read_text(encoding="utf-8"))


def test_the_wheel_holds_manifests_types_and_the_page(tmp_path: Path) -> None:
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not importable here, so no wheel is built without a network")
    if importlib.util.find_spec("pip") is None:
        pytest.skip("pip is not importable here")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--disable-pip-version-check", "--no-index", "--wheel-dir", str(tmp_path), str(REPOSITORY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("aigiqa-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for manifest in (REPOSITORY / "manifests").glob("*.yaml"):
            assert archive.read(f"aigiqa_cli/manifests/{manifest.name}") == manifest.read_bytes()
        page = sorted((PACKAGE / "gallery" / "page").iterdir())
        assert {"page.html", "gallery.css", "gallery.js"} <= {path.name for path in page}
        for path in page:
            assert archive.read(f"aigiqa_cli/gallery/page/{path.name}") == path.read_bytes()
    assert {f"aigiqa_cli/{place(module)}" for module in MODULES} <= names
    assert "aigiqa_cli/py.typed" in names
    strays = {name for name in names if not name.startswith("aigiqa_cli/") and ".dist-info/" not in name}
    assert not strays


def test_generator_words_are_the_only_shared_file_of_the_manifests() -> None:
    for path in (REPOSITORY / "manifests").iterdir():
        assert path.suffix == ".yaml"
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert path.name == "generators.yaml" or content["id"] == path.stem
