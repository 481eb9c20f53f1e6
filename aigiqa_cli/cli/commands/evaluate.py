"""aigiqa evaluate."""

from __future__ import annotations

from typing import Annotated

import typer

from aigiqa_cli import signatures
from aigiqa_cli.cli.commands.options import complete_ids, predictions_from, words
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.evaluation import document, table
from aigiqa_cli.cli.terminal import Terminal
from aigiqa_cli.errors import Finding, IntegrityFault, UsageFault
from aigiqa_cli.measuring.values import Effort
from aigiqa_cli.predictions import Wishes
from aigiqa_cli.steps.evaluate import Check, Request, check
from aigiqa_cli.steps.evaluate import evaluate as evaluate_predictions

FORMATS = ("table", *document.WRITERS)


def evaluate(
    desk: Desk,
    database: Annotated[str, typer.Argument(metavar="DB", help="An installed database.", autocompletion=complete_ids)],
    predictions: Annotated[
        str, typer.Argument(metavar="PREDICTIONS", help="csv, tsv, json, jsonl, parquet; - is stdin.")
    ] = "",
    *,
    dimension: Annotated[
        str, typer.Option("--dimension", "-d", metavar="A,B", help="quality, alignment, … or extra.FIELD; else all.")
    ] = "",
    split: Annotated[
        str, typer.Option("--split", "-s", metavar="NAME[:PART]", help="A split, a family of folds, a file, a folder.")
    ] = "",
    by: Annotated[
        str, typer.Option(metavar="FIELD", help="Also groups: generator, setting, prompt, task, extra.FIELD, …")
    ] = "",
    main: Annotated[str, typer.Option(metavar="NAME", help="A named main score, such as ntire2024.")] = "",
    compat: Annotated[
        str, typer.Option(metavar="A,B", help="Also what other code prints: pyiqa, dbcnn, ma-agiqa, …; or all.")
    ] = "",
    resamples: Annotated[int, typer.Option(metavar="N", min=0, help="Of the bootstrap; 0: no intervals.")] = 1000,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Of the bootstrap.")] = 0,
    compare: Annotated[
        bool | None, typer.Option("--compare/--no-compare", help="Paired tests; else if there are several models.")
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Evaluate the images that have a score, and say how many.")
    ] = False,
    image_column: Annotated[str, typer.Option(metavar="NAME", help="The column that names the images.")] = "",
    model: Annotated[str, typer.Option(metavar="A,B", help="Only these columns of scores.")] = "",
    form: Annotated[str, typer.Option("--format", "-f", metavar="F", help=f"{', '.join(FORMATS)}.")] = "table",
    signature: Annotated[
        str, typer.Option("--check", metavar="SIGNATURE", help="Compute this result again; 0 same, 4 not.")
    ] = "",
) -> Answer:
    """Predictions against the published scores: coefficients, intervals, floor, ceiling, and a line that pins it all.

    A table with a column of image names and one column of numbers for each model. `{fold}` in its path stands for the
    number of a fold: one file for each.

    Examples:

        aigiqa evaluate DB predictions.csv --split NAME --by generator

        my-model | aigiqa evaluate DB - --dimension quality --json

        aigiqa evaluate DB 'fold-{fold}.csv' --split FAMILY --format latex

        aigiqa evaluate --check 'aigiqa:…|…' predictions.csv
    """
    if form not in FORMATS:
        raise UsageFault(f"there is no format {form!r}", hint=f"formats: {', '.join(FORMATS)}", phase="PLAN")
    if desk.options.json and form != "table":
        raise UsageFault("--json is a format of its own", hint="leave out --format or --json", phase="PLAN")
    if signature and (ignored := _beside_check(form, main, compat, compare)):
        raise UsageFault(
            f"--check does not go with {', '.join(ignored)}",
            hint="leave these out: it computes the result of the signature and nothing else",
            phase="PLAN",
        )
    if signature and not predictions:
        database, predictions = "", database  # the signature names the database
    if not predictions:
        raise UsageFault(
            "no predictions are given", hint=f"aigiqa evaluate {database} PREDICTIONS, or - for stdin", phase="PLAN"
        )
    stated = signatures.parse(signature)["db"] if signature else ""
    name = desk.installed_names([database or stated])[0]
    request = Request(
        predictions_from(predictions),
        words(dimension),
        split,
        by,
        Wishes(image_column, words(model)),
        Effort(resamples, seed, _modes(compat), _main(main)),
        compare,
        allow_missing,
    )
    if signature:
        return _checked(check(desk.context, name, signature, request))
    done = evaluate_predictions(desk.context, name, request)

    def show(terminal: Terminal) -> None:
        for note in done.notes:
            terminal.note(note)
        if form == "table":
            table.show(terminal, done)
        else:
            terminal.raw(document.WRITERS[form](done))
            table.comparisons(terminal.note, done.pairs)

    return Answer(done.as_json(), show, fault=done.fault)


def _beside_check(form: str, main: str, compat: str, compare: bool | None) -> list[str]:
    given = {"--format": form != "table", "--main": main, "--compat": compat, "--compare": compare}
    return [name for name, value in given.items() if value]


def _modes(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    from aigiqa_cli.evaluating.compat import MODES

    wished = tuple(MODES) if text == "all" else words(text)
    for word in wished:
        if word not in MODES:
            raise UsageFault(f"there is no mode {word!r}", hint=f"modes: {', '.join(MODES)}, all", phase="PLAN")
    return wished


def _main(word: str) -> str:
    if not word:
        return ""
    from aigiqa_cli.evaluating.mains import MAIN

    if word not in MAIN:
        raise UsageFault(f"there is no main score {word!r}", hint=f"main scores: {', '.join(MAIN)}", phase="PLAN")
    return word


def _checked(done: Check) -> Answer:
    """The same: exit 0. What differs is damage to a claim: exit 4, with one finding a field."""
    data = {
        "same": not done.differences,
        "differences": [{"field": d.field, "stated": d.stated, "found": d.found} for d in done.differences],
        "result": done.result.as_json(),
    }
    if not done.differences:
        return Answer(data, lambda terminal: terminal.line(f"same: {done.result.signature}"))
    names = ", ".join(difference.field for difference in done.differences)
    findings = [
        Finding(done.stated["db"], difference.field, "differs", difference.stated, difference.found)
        for difference in done.differences
    ]
    fault = IntegrityFault(
        f"not the same result: {names} {'differ' if len(findings) > 1 else 'differs'}",
        hint=_advice({difference.field for difference in done.differences}),
        database=done.stated["db"],
        phase="CHECK",
        findings=findings,
    )
    return Answer(data, lambda terminal: terminal.line(f"found: {done.result.signature}"), fault=fault)


def _advice(fields: set[str]) -> str:
    if fields == {"aigiqa"}:
        return "only the version of the program differs; every number is the same"
    if "index" in fields:
        return "the labels here are other ones: compare the versions of the database with aigiqa info"
    if fields & {"split", "part", "digest"}:
        return "another split, or another version of it: --split says which one is meant"
    if fields & {"n", "missing", "group", "dim"}:
        return "other images are evaluated: compare the files, and --allow-missing"
    if "pred" in fields:
        return "these are other predictions than those of the signature"
    return "the split, the options or the rules differ"


command_ = command(evaluate)
