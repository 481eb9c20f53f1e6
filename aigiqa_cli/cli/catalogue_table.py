"""The catalogue for a person: as many columns as the terminal has room for. No field is ever cut.

Wide: one line a database. Narrower: what says which one it is, how large and whether it is here, and below it in pale
what tells it apart. Narrowest: a few short lines a database.
"""

from __future__ import annotations

from collections.abc import Sequence

from aigiqa_cli.cli.page import Page, aligned, column_widths
from aigiqa_cli.cli.terminal import Terminal

Row = Sequence[str]  # id, images, generators, dimensions, size, licence, mirrors, state here
TITLES = ("id", "images", "generators", "dimensions", "size", "licence", "mirrors", "state here")
ID, IMAGES, GENERATORS, DIMENSIONS, SIZE, LICENCE, MIRRORS, STATE = range(len(TITLES))
NUMBERS = (IMAGES, GENERATORS, SIZE)
FIRST = (ID, IMAGES, GENERATORS, SIZE, STATE)
GAP = 2
STATE_STYLES = {"installed": "green", "absent": "dim", "damaged": "bold red", "broken": "bold red"}


def show(terminal: Terminal, rows: Sequence[Row]) -> None:
    page = Page(terminal, widest=None)
    page.blank()
    for chosen in (tuple(range(len(TITLES))), FIRST):
        widths = column_widths([[row[column] for column in chosen] for row in (TITLES, *rows)])
        if sum(widths) + GAP * (len(chosen) - 1) <= page.width:
            _table(page, rows, chosen, widths)
            return
    for row in rows:
        _card(page, row)


def _table(page: Page, rows: Sequence[Row], chosen: Sequence[int], widths: Sequence[int]) -> None:
    page.parts(_cells(TITLES, chosen, widths, heading=True))
    page.text("─" * (sum(widths) + GAP * (len(widths) - 1)), style="dim")
    for row in rows:
        page.parts(_cells(row, chosen, widths))
        if len(chosen) < len(TITLES):
            _below(page, row, DIMENSIONS, LICENCE, MIRRORS)


def _cells(row: Row, chosen: Sequence[int], widths: Sequence[int], *, heading: bool = False) -> list[tuple[str, str]]:
    cells = []
    for column, width in zip(chosen, widths, strict=True):
        last = column == chosen[-1]
        text = row[column] if last else aligned(row[column], width, right=column in NUMBERS) + " " * GAP
        cells.append((text, "bold" if heading else _style(row, column)))
    return cells


def _style(row: Row, column: int) -> str:
    if column == STATE:
        return STATE_STYLES.get(row[STATE].partition(" ")[0].rstrip(","), "yellow")
    return "bold cyan" if column == ID else ""


def _below(page: Page, row: Row, *columns: int) -> None:
    page.text(" · ".join(row[column] for column in columns if row[column] != "?"), 2, "dim")


def _card(page: Page, row: Row) -> None:
    page.parts([(row[ID] + " " * GAP, _style(row, ID)), (row[STATE], _style(row, STATE))], hang=2)
    if row[IMAGES] != "?":
        size = [] if row[SIZE] == "?" else [row[SIZE]]
        page.text(" · ".join([f"{row[IMAGES]} images", f"{row[GENERATORS]} generators", *size]), 2)
    _below(page, row, DIMENSIONS)
    _below(page, row, LICENCE, MIRRORS)
