"""aigiqa split list, show, make, audit."""

from __future__ import annotations

import math
import re
import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from aigiqa_cli.cli import split_tables
from aigiqa_cli.cli.commands.options import OneDatabase, complete_ids
from aigiqa_cli.cli.desk import Answer, Desk, group
from aigiqa_cli.cli.terminal import Terminal
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.partitions import KINDS, LEAKS, Recipe, csv_of, part_named
from aigiqa_cli.partitions.made import write
from aigiqa_cli.partitions.making import BY
from aigiqa_cli.partitions.partition import rows_of
from aigiqa_cli.steps.split import listing, make_split
from aigiqa_cli.steps.split import show as find_split
from aigiqa_cli.steps.split_audit import Question, refuse_unmeasured, split_audit

ABOUT = """Splits: which there are and what they leak, new ones that do not leak, and the audit of any split file.

    Examples:

        aigiqa split list DB

        aigiqa split make DB --by prompt --ratio 8:1:1 --repeats 10 --seed 1 -o splits

        aigiqa split audit train.csv test.csv --fail-on prompt,image
"""
RATIO = re.compile(r"\d{1,9}(\.\d{1,6})?(:\d{1,9}(\.\d{1,6})?){1,2}", re.ASCII)
MAX_MADE = 1000  # partitions of one recipe


def list_(desk: Desk, database: OneDatabase) -> Answer:
    """Every split of a database: official ones, the authors' rules, published files; each with its measured overlap.

    clean: no image, prompt or reference is on both sides. leaky: some are, and how many. unknown: it is not here.

    Examples:

        aigiqa split list DB

        aigiqa split list DB --json | jq -r '.data.splits[] | [.name, .label] | @tsv'
    """
    known = desk.databases([database])[0]
    found = listing(desk.context, known)
    data = {"database": known.id, "splits": [each.as_json() for each in found]}
    return Answer(data, lambda terminal: split_tables.listed(terminal, known.title, found))


def show(
    desk: Desk,
    database: OneDatabase,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A split, or the name that its folds share.")],
    *,
    part: Annotated[str, typer.Option(metavar="PART", help="Only the names of this part, one a line.")] = "",
) -> Answer:
    """A split as csv: image_id,split. Of a split with folds a column for each.

    Examples:

        aigiqa split show DB NAME > split.csv

        aigiqa split show DB NAME --part test | head
    """
    database = desk.installed_names([database])[0]
    partitions, order = find_split(desk.context, database, name)
    if not part:
        return _table(desk, {"database": database, "split": name}, partitions, order)
    if len(partitions) > 1:
        folds = ", ".join(partition.name for partition in partitions)
        raise UsageFault(f"{name} has {len(partitions)} folds", hint=f"one of: {folds}", phase="PLAN")
    wanted = part if part in partitions[0].sides else part_named(part)
    if wanted not in partitions[0].sides:
        known = ", ".join(partitions[0].sides)
        raise UsageFault(f"the split {name} has no part called {part!r}", hint=f"parts: {known}", phase="PLAN")
    images = partitions[0].sides[wanted]

    def show_names(terminal: Terminal) -> None:
        for image in images:
            terminal.line(image)

    return Answer({"database": database, "split": name, "part": wanted, "images": images}, show_names)


def make(
    desk: Desk,
    database: OneDatabase,
    *,
    by: Annotated[str, typer.Option(metavar="KEY", help=f"What stays on one side: {', '.join(BY)}; else prompt.")] = "",
    ratio: Annotated[str, typer.Option(metavar="A:B[:C]", help="train:test or train:val:test; else 8:1:1.")] = "",
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="So many different splits.")] = 1,
    seed: Annotated[
        int | None, typer.Option(metavar="S", min=0, help="The same seed gives the same splits anywhere; else 0.")
    ] = None,
    folds: Annotated[int, typer.Option(metavar="K", min=0, help="K folds: every image is tested once.")] = 0,
    leave_one_out: Annotated[
        str, typer.Option("--leave-one-out", metavar="generator", help="One split for each generator, tested alone.")
    ] = "",
    output: Annotated[str, typer.Option("--output", "-o", metavar="PATH", help="A .csv file, or a folder.")] = "",
) -> Answer:
    """New splits: groups stay together, generators and scores are spread evenly, the same on every machine.

    csv on stdout: image_id,split; of several splits a column for each (repeat-1, fold-1, a generator). With -o a .csv
    file of the same, or a folder with a file for each split; the signature stands beside each as .json. How well ratio
    and scores are kept is told on stderr.

    Examples:

        aigiqa split make DB --by prompt --ratio 8:2 --seed 1 > split.csv

        aigiqa split make DB --by prompt --ratio 8:1:1 --repeats 10 --seed 1 -o splits

        aigiqa split make DB --by prompt --folds 5 -o folds.csv

        aigiqa split make DB --leave-one-out generator -o by-generator
    """
    recipe = _recipe(by, ratio, repeats, seed, folds, leave_one_out)
    made = make_split(desk.context, desk.installed_names([database])[0], recipe)
    whole = made.csv
    data = made.as_json(whole)
    if not output:
        answer = _table(desk, data, made.partitions, made.order)
        return Answer(answer.data, _both(answer, lambda terminal: split_tables.made(terminal, made, whole)))
    paths = write(made, Path(output).expanduser())

    def show_paths(terminal: Terminal) -> None:
        for path in paths:
            terminal.line(path)
        split_tables.made(terminal, made, whole)

    return Answer(data | {"paths": [str(path.absolute()) for path in paths]}, show_paths)


def audit(
    desk: Desk,
    words: Annotated[
        list[str],
        typer.Argument(metavar="DB SPLIT | FILE...", help="A split, or files.", autocompletion=complete_ids),
    ],
    *,
    database: Annotated[str, typer.Option(metavar="DB", help="Of the files; else found by their names.")] = "",
    against: Annotated[
        list[str] | None, typer.Option(metavar="DB", help="Compare with this whole database; may be repeated.")
    ] = None,
    fail_on: Annotated[
        str, typer.Option("--fail-on", metavar="KINDS", help=f"Exit 4 if shared: {', '.join(KINDS)}, any.")
    ] = "",
    near: Annotated[bool, typer.Option("--near/--no-near", help="Compare pictures too, where they are here.")] = True,
) -> Answer:
    """What two sides share: images, bytes, near-identical images, prompts, references, generators.

    DB SPLIT: train, val and test of an installed split, or of all its folds. FILE...: any csv, tsv, txt, json or jsonl
    that names images, with or without folders and extensions; FILE:PART is one part of it. One FILE with a column of
    parts is audited by itself.

    Examples:

        aigiqa split audit DB NAME

        aigiqa split audit train.csv test.csv --fail-on prompt

        aigiqa split audit DB NAME --against OTHER

        aigiqa split audit train.csv test.csv --json | jq .data.overlap.prompt.percent_b
    """
    kinds = _kinds(fail_on)
    question = Question(
        tuple(words),
        desk.installed_names([database])[0] if database else "",
        tuple(desk.installed_names(against or ())),
        near or "near" in kinds,
    )
    found = split_audit(desk.context, question)
    if "any" not in fail_on.split(","):
        refuse_unmeasured(found, kinds)
    fault = found.fault(kinds)
    return Answer(
        found.as_json(),
        lambda terminal: split_tables.audited(terminal, found),
        findings=() if fault else found.unknown,
        fault=fault,
        strict=True,
    )


def _table(desk: Desk, data: dict[str, Any], partitions: Any, order: Any) -> Answer:
    """The csv on stdout; with --json its rows as objects."""
    if desk.options.json:
        return Answer(data | {"rows": list(rows_of(partitions, order))})

    def show_csv(_terminal: Terminal) -> None:
        sys.stdout.flush()
        sys.stdout.buffer.write(csv_of(partitions, order))
        sys.stdout.buffer.flush()

    return Answer(data, show_csv)


def _both(first: Answer, then: Any) -> Any:
    def both(terminal: Terminal) -> None:
        first.show(terminal)
        then(terminal)

    return both


def _recipe(by: str, ratio: str, repeats: int, seed: int | None, folds: int, leave_one_out: str) -> Recipe:
    problem, hint = "", ""
    given = {"--by": by, "--ratio": ratio, "--repeats": repeats > 1, "--seed": seed is not None, "--folds": folds}
    ignored = [name for name, value in given.items() if value]
    if by not in ("", *BY):
        problem, hint = f"--by {by} is not known", f"one of: {', '.join(BY)}"
    elif leave_one_out not in ("", "generator"):
        problem, hint = f"--leave-one-out {leave_one_out} is not known", "--leave-one-out generator"
    elif leave_one_out and ignored:
        problem = f"--leave-one-out does not go with {', '.join(ignored)}"
        hint = "leave these out: each generator is tested once, and there is one way to do it"
    elif folds and ratio:
        problem, hint = "--folds and --ratio are two ways to divide", "leave out one of the two"
    elif folds == 1:
        problem, hint = "--folds 1 divides nothing", f"--folds 2 to {MAX_MADE}, or --ratio"
    elif repeats * max(folds, 1) > MAX_MADE:
        problem = f"{repeats * max(folds, 1):,} splits are too many for one command: {repeats} repeats"
        problem, hint = problem + (f" of {folds} folds" if folds else ""), f"at most {MAX_MADE:,}"
    elif ratio and not RATIO.fullmatch(ratio):
        problem, hint = f"{ratio!r} is no ratio", "such as 8:2 or 8:1:1"
    if problem:
        raise UsageFault(problem, hint=hint, phase="PLAN")
    return Recipe(by or "prompt", _whole(ratio or "8:1:1"), seed or 0, repeats, folds, leave_one_out)


def _whole(ratio: str) -> tuple[int, ...]:
    """`0.8:0.1:0.1` and `80:10:10` are 8:1:1."""
    shares = [int(Decimal(share).scaleb(6)) for share in ratio.split(":")]
    if not all(shares):
        raise UsageFault(f"{ratio}: a part without images", hint="such as 8:2 or 8:1:1", phase="PLAN")
    return tuple(share // math.gcd(*shares) for share in shares)


def _kinds(text: str) -> tuple[str, ...]:
    words = [word.strip() for word in text.split(",")] if text else []
    for word in words:
        if word not in (*KINDS, "any"):
            raise UsageFault(f"--fail-on {word} is not known", hint=f"{', '.join(KINDS)}, any", phase="PLAN")
    return tuple(dict.fromkeys(kind for word in words for kind in (LEAKS if word == "any" else (word,))))


command_ = group("split", ABOUT, {"list": list_, "show": show, "make": make, "audit": audit})
