"""Do the tests notice a changed line? One small change at a time in a copy of the package, its tests run, and told.

    python tests/mutation.py store archives transport names redaction --sample 200 --seed 7

Rooms and modules are named as below `aigiqa_cli/`. Mutants are chosen by chance among all that there are: comparisons,
`and`/`or`, `not`, numbers, truth values, arithmetic, conditions, and statements left out. A mutant is killed when its
room's tests fail or hang; survivors are listed with file, line and change, for a person to judge: a missing test, or
a change that nobody could notice. Messages, annotations and docstrings are not changed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

REPOSITORY = Path(__file__).resolve().parent.parent
LIMIT = 300  # seconds for the tests of one mutant; one that takes longer hangs
TESTS = {  # the quick tests of each room first; the first failure ends a run
    "store": ("test_store.py", "test_store_faults.py", "test_owners.py", "test_trust_of_records.py", "test_local_faults.py"),
    "archives": ("test_archives.py", "test_archive_readers.py", "test_misfits.py", "test_rar_programs.py",
                 "test_more_archives.py"),
    "transport": ("test_transport.py", "test_transport_gate.py", "test_transport_pages.py", "test_transport_bounds.py",
                  "test_transport_resume.py", "test_transport_failures.py", "test_ranges.py", "test_trees.py"),
    "names": ("test_rig_bad_names.py", "test_archives.py"),
    "redaction": ("test_secrets.py",),
    "owners": ("test_owners.py", "test_store.py"),
    "digests": ("test_store.py", "test_transport.py"),
    "machine": ("test_local_faults.py", "test_store.py"),
}  # fmt: skip
SWAPPED: dict[type, type] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the module, its line, what was there and what is there now, and the whole mutated source."""

    module: Path
    line: int
    before: str
    after: str
    source: str

    @property
    def name(self) -> str:
        return f"{self.module.relative_to(REPOSITORY)}:{self.line}: {self.before}  ->  {self.after}"


def mutants(module: Path) -> Iterator[Mutant]:
    """Every mutant of a module."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    for parent, field, at in list(_places(tree)):
        node = _get(parent, field, at)
        for change in _changes(node):
            changed = ast.copy_location(change, node)
            _set(parent, field, at, changed)
            yield Mutant(
                module, node.lineno, _shown(node), _shown(changed), ast.unparse(ast.fix_missing_locations(tree))
            )
            _set(parent, field, at, node)


def _places(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Where a node hangs in the tree; annotations, texts and declarations are passed over."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "keywords" if isinstance(node, ast.ClassDef) else ""):
            continue
        listed = value if isinstance(value, list) else [value]
        for at, child in enumerate(listed):
            if isinstance(child, (ast.JoinedStr, ast.Import, ast.ImportFrom)) or not isinstance(child, ast.AST):
                continue
            if isinstance(child, (ast.expr, ast.stmt)):
                yield node, field, at if isinstance(value, list) else None
            yield from _places(child)


def _get(parent: ast.AST, field: str, at: int | None) -> ast.expr | ast.stmt:
    value = getattr(parent, field)
    found: ast.expr | ast.stmt = value if at is None else value[at]
    return found


def _set(parent: ast.AST, field: str, at: int | None, node: ast.AST) -> None:
    if at is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[at] = node


def _changes(node: ast.expr | ast.stmt) -> Iterator[ast.expr | ast.stmt]:
    match node:
        case ast.Compare(ops=[op, *_]) if type(op) in SWAPPED:
            changed = copy.deepcopy(node)
            changed.ops[0] = SWAPPED[type(op)]()
            yield changed
        case ast.BoolOp(op=op):
            changed = copy.deepcopy(node)
            changed.op = SWAPPED[type(op)]()
            yield changed
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield copy.deepcopy(operand)
        case ast.BinOp(op=op) if type(op) in SWAPPED:
            changed = copy.deepcopy(node)
            changed.op = SWAPPED[type(op)]()
            yield changed
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) if not isinstance(test, ast.Compare):
            changed = copy.deepcopy(node)
            changed.test = ast.UnaryOp(ast.Not(), changed.test)
            yield changed
        case ast.Raise() | ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Break() | ast.Continue():
            yield ast.Pass()
        case ast.Return(value=ast.expr()):
            yield ast.Return(ast.Constant(None))


def _shown(node: ast.AST) -> str:
    text = ast.unparse(node).partition("\n")[0]
    return text if len(text) <= 70 else text[:67] + "..."


def survives(mutant: Mutant, copied: Path) -> bool:
    """Run the tests of the mutant's room in a copy of the checkout; True if nobody noticed."""
    place = copied / mutant.module.relative_to(REPOSITORY)
    kept = place.read_bytes()
    try:
        place.write_text(mutant.source, encoding="utf-8")
        room = mutant.module.relative_to(REPOSITORY / "aigiqa_cli").parts[0].removesuffix(".py")
        tests = [str(path) for name in TESTS[room] if (path := copied / "tests" / name).exists()]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        if not any("test_rig_" in test for test in tests):  # long ones, elsewhere
            command += ["-m", "not rig"]
        environment = os.environ | {"PYTHONPATH": str(copied), "PYTHONDONTWRITEBYTECODE": "1"}
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            command, cwd=copied, env=environment, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        ) as running:
            try:
                return running.wait(timeout=LIMIT) == 0
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, 9)
                return False
    finally:
        place.write_bytes(kept)


def modules(words: Sequence[str]) -> list[Path]:
    """The modules of rooms, or single ones."""
    found: list[Path] = []
    for word in words:
        place = REPOSITORY / "aigiqa_cli" / word
        found += sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    return found


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Change the package a little and see whether its tests notice.")
    parser.add_argument("rooms", nargs="+", help=f"of {', '.join(TESTS)}; or a module such as store/staging")
    parser.add_argument("--sample", type=int, default=100)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args(words)
    every = [mutant for module in modules(asked.rooms) for mutant in mutants(module)]
    chosen = random.Random(asked.seed).sample(every, min(asked.sample, len(every)))
    survivors: list[Mutant] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(asked.workers) as pool:
        free: SimpleQueue[Path] = SimpleQueue()
        for number in range(asked.workers):
            ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", "*.egg-info", ".mypy_cache", ".ruff_cache")
            shutil.copytree(REPOSITORY, Path(folder) / str(number), ignore=ignored)
            free.put(Path(folder) / str(number))

        def judge(mutant: Mutant) -> tuple[Mutant, bool]:
            copied = free.get()
            try:
                return mutant, survives(mutant, copied)
            finally:
                free.put(copied)

        for mutant, lives in pool.map(judge, chosen):
            if lives:
                survivors.append(mutant)
            print("survives" if lives else "killed  ", mutant.name, flush=True)
    killed = len(chosen) - len(survivors)
    print(f"{killed} of {len(chosen)} mutants killed, of {len(every)} that there are (--seed {asked.seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
