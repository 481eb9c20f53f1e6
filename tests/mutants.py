"""The mutants of the package: all the small changes of its modules that `mutation.py` can make, one at a time.

Comparisons, `and`/`or`, `not`, numbers, truth values, arithmetic, conditions, and statements left out. Messages,
annotations and docstrings are not changed.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = "aigiqa_cli"
SWAPPED: dict[type, type] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the module below the repository, what was there and what is there now, where its bytes are, and the
    statement around it: its first and last line (of one with a body its head alone, but of a function all: who comes
    into it meets its defaults) and, if it runs while its module is imported, the names that it binds."""

    module: str
    line: int
    before: str
    after: str
    begin: int
    end: int
    lines: tuple[int, int]
    bound: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.module}:{self.line}: {_shown(self.before)}  ->  {_shown(self.after)}"


def chosen_mutants(words: Sequence[str]) -> list[Mutant]:
    """All mutants of rooms, of single modules, or of single lines."""
    found: list[Mutant] = []
    for word in words:
        name, _, line = word.partition(":")
        place = REPOSITORY / PACKAGE / name
        modules = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
        found += [mutant for module in modules for mutant in mutants(module) if line in ("", str(mutant.line))]
    return found


def mutants(module: Path) -> Iterator[Mutant]:
    """Every mutant of a module."""
    source = module.read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    tree = ast.parse(source)
    imported = [each for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef)) for each in node.body]
    for node, statement in _nodes(tree, None):
        for old, new in _changes(node):
            text = f"({ast.unparse(new)})" if isinstance(new, ast.expr) else ast.unparse(new)
            body = None if isinstance(statement, ast.FunctionDef) else getattr(statement, "body", None)
            yield Mutant(
                module.relative_to(REPOSITORY).as_posix(),
                node.lineno,
                ast.unparse(old),
                text,
                starts[old.lineno - 1] + old.col_offset,
                starts[(old.end_lineno or 0) - 1] + (old.end_col_offset or 0),
                (statement.lineno, max(statement.lineno, body[0].lineno - 1) if body else statement.end_lineno or 0),
                tuple(_bound(statement)) if statement in imported else (),
            )


def _nodes(node: ast.AST, statement: ast.stmt | None) -> Iterator[tuple[Any, Any]]:
    """Each expression and statement, with the statement around it; annotations, texts and declarations are passed
    over."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "keywords" if isinstance(node, ast.ClassDef) else ""):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, (ast.JoinedStr, ast.Import, ast.ImportFrom)) or not isinstance(child, ast.AST):
                continue
            around = child if isinstance(child, ast.stmt) else statement
            if isinstance(child, (ast.expr, ast.stmt)):
                yield child, around
            yield from _nodes(child, around)


def _changes(node: ast.expr | ast.stmt) -> Iterator[tuple[ast.expr | ast.stmt, ast.expr | ast.stmt]]:
    """What can be put in place of what."""
    match node:
        case ast.Compare(ops=[op, *_]) if type(op) in SWAPPED:
            changed = copy.deepcopy(node)
            changed.ops[0] = SWAPPED[type(op)]()
            yield node, changed
        case ast.BoolOp(op=op) | ast.BinOp(op=op) if type(op) in SWAPPED:
            changed = copy.deepcopy(node)
            changed.op = SWAPPED[type(op)]()
            yield node, changed
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, operand
        case ast.Constant(value=bool(value)):
            yield node, ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield node, ast.Constant(value + 1)
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) if not isinstance(
            test, ast.Compare | ast.UnaryOp
        ):
            yield test, ast.UnaryOp(ast.Not(), test)
        case ast.Raise() | ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Break() | ast.Continue():
            yield node, ast.Pass()
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield node, ast.Return(ast.Constant(None))


def _bound(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _shown(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= 70 else line[:67] + "..."
