"""aigiqa stats."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aigiqa_cli.cli.commands.options import Databases
from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.statistics import plot as figure
from aigiqa_cli.cli.statistics import records, table
from aigiqa_cli.cli.terminal import Terminal
from aigiqa_cli.exports.selection import matching
from aigiqa_cli.measuring.selection import GROUPINGS, demand_word
from aigiqa_cli.selecting import chosen
from aigiqa_cli.steps.stats import Statistics
from aigiqa_cli.steps.stats import stats as described


def stats(
    desk: Desk,
    databases: Databases = None,
    *,
    by: Annotated[
        str, typer.Option(metavar="A,B", help=f"Groups: {', '.join(GROUPINGS)}, extra.FIELD; '' for none.")
    ] = "generator",
    where: Annotated[str, typer.Option(metavar="SQL", help="A condition over the columns of the index.")] = "",
    split: Annotated[str, typer.Option("--split", "-s", metavar="NAME[:PART]", help="Only images of a split.")] = "",
    plot: Annotated[str, typer.Option(metavar="FILE", help="Also a figure: .png, .svg or .pdf.")] = "",
) -> Answer:
    """What is in a database, in numbers: counts, and each score of all images and of each generator. No DB: all.

    Scores stand on their published scale; of several databases they stand side by side on 0-1, too. Moments are those
    of pandas: std with n - 1, linear quartiles, bias-corrected skewness. In a pipe one record a line: database, by,
    key, dimension, images, n, mean, std, min, q1, median, q3, max, skewness, mean std between raters, lowest and
    highest score of the scale.

    Examples:

        aigiqa stats DB

        aigiqa stats --by generator,setting DB

        aigiqa stats DB --where "mos_quality > 3" --plot scores.svg

        aigiqa stats --json | jq '.data[] | {database, quality: .result.dimensions.quality.mean}'
    """
    target = figure.demand(plot) if plot else None
    words = tuple(word.strip() for word in by.split(",") if word.strip())
    for word in words:
        demand_word(word)
    if where:
        matching((), where)  # a bad expression is one fault, not one for each database
    names = [record.database for record in chosen(desk.context.root, desk.installed_names(databases or ()))]
    found: dict[str, Statistics] = {}

    def work(name: str) -> Any:
        found[name] = described(desk.context, name, where=where, split=split, by=words)
        return found[name].as_json() | {"plot": str(target.absolute()) if target else None}

    outcomes = desk.each(names, work)
    if target and found:
        figure.plot(list(found.values()), target)

    def show(terminal: Terminal) -> None:
        if terminal.out_is_terminal:
            table.show(terminal, list(found.values()))
        else:
            for one in found.values():
                records.write(terminal, one)
        if target and found:
            terminal.note(f"figure: {target}")

    return Answer(outcomes=outcomes, show=show)


command_ = command(stats)
