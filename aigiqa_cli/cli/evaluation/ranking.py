"""A leaderboard for people, pipes and papers: rankings first, then what could not be ranked, by reason."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from aigiqa_cli.cli.evaluation.document import bar, latex, markdown
from aigiqa_cli.cli.evaluation.fields import number
from aigiqa_cli.cli.page import Page
from aigiqa_cli.cli.terminal import Column, Terminal

if TYPE_CHECKING:
    from aigiqa_cli.steps.leaderboard import Entry, Leaderboard

FIELDS = (
    "rank", "method", "dimension", "srcc", "plcc", "krcc", "n", "split", "protocol", "fit", "leak", "own", "source",
    "signature", "note", "reason", "plcc_raw",
)  # fmt: skip
TITLES = ("", "method", "SRCC", "PLCC", "source")
DOCUMENT = ("", "method", "SRCC", "PLCC", "split", "leak", "source")


def show(terminal: Terminal, board: Leaderboard) -> None:
    if not terminal.out_is_terminal:
        for cells in _records(board):
            terminal.record(*cells)
        return
    page = Page(terminal)
    for title, aside, entries in _sections(board):
        page.heading(title, aside)
        columns = [Column(name, right=place in (0, 2, 3), wrap=place in (1, 4)) for place, name in enumerate(TITLES)]
        rows = [_cells(entry) for entry in entries]
        if len(entries) > 1 and len({entry.source for entry in entries}) == 1:
            page.text(f"source: {entries[0].source}", 2, "dim", hang=4)
            columns[-1] = Column("note", wrap=True)
            rows = [[*cells[:-1], entry.note] for cells, entry in zip(rows, entries, strict=True)]
        terminal.table(columns, rows)


Section = tuple[str, str, "Sequence[Entry]"]


def _sections(board: Leaderboard) -> Iterator[Section]:
    """(title, what is to be known of it, entries): each ranking, after the last one of a split what stands beside it,
    at the end the others, by dimension and reason."""
    waiting = _beside(board)
    for count, (protocol, entries) in enumerate(board.rankings, 1):
        aside = "; ".join(part for part in (f"PLCC: fit {protocol.fit}", entries[0].leak) if part)
        yield f"{protocol.dimension} · {entries[0].said}", aside, entries
        place = entries[0].place
        if place[1] and all(later[0].place != place for _, later in board.rankings[count:]):
            yield from (section for section in waiting if section[2][0].place == place)
            waiting = [section for section in waiting if section[2][0].place != place]
    yield from waiting


def _beside(board: Leaderboard) -> list[Section]:
    """What is not ranked, by reason; those of one split follow one another, published results first."""
    reasons: dict[tuple[tuple[str, str], str], list[Entry]] = {}
    for entry in board.beside:
        known = f"; {entry.leak}" if entry.protocol.split and entry.leak else ""
        reasons.setdefault((entry.place, entry.reason + known), []).append(entry)
    places = list(dict.fromkeys(place for place, _ in reasons))
    first = {place: at for at, place in enumerate(places)}
    return [
        (
            f"{dimension} · {f'{split} · ' if split else ''}not ranked",
            reason,
            sorted(others, key=lambda one: -(one.srcc or -1.0)),
        )
        for ((dimension, split), reason), others in sorted(reasons.items(), key=lambda one: first[one[0][0]])
    ]


def _cells(entry: Entry) -> list[str]:
    method = f"{entry.method} (own)" if entry.own else entry.method
    rank = str(entry.rank) if entry.rank else ""
    raw = f"without it {number(entry.plcc_raw)}" if entry.own and entry.plcc_raw is not None else ""
    source = "; ".join(filter(None, (entry.source, entry.note if entry.own else "", raw)))
    return [rank, method, number(entry.srcc), number(entry.plcc), source]


def _documented(entry: Entry) -> list[str]:
    """The cells of DOCUMENT: in a paper each row says by itself what it was measured on."""
    rank, method, srcc, plcc, source = _cells(entry)
    return [rank, method, srcc, plcc, entry.split_name or "-", entry.leak.partition(":")[0] or "-", source]


def _records(board: Leaderboard) -> Iterator[list[str]]:
    for entry in (entry for _, _, entries in _sections(board) for entry in entries):
        told = entry.as_json()
        yield ["" if told[name] is None else str(told[name]) for name in FIELDS]


def to_csv(board: Leaderboard) -> str:
    """FIELDS as header, one row an entry."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows(_records(board))
    return text.getvalue()


def to_markdown(board: Leaderboard) -> str:
    lines: list[str] = []
    for title, aside, entries in _sections(board):
        lines += [f"**{markdown(title)}** ({markdown(aside)})", "", bar(DOCUMENT)]
        lines += [bar(["---:", "---", "---:", "---:", "---", "---", "---"])]
        lines += [*(bar([markdown(cell) for cell in _documented(entry)]) for entry in entries), ""]
    return "\n".join(lines)


def to_latex(board: Leaderboard) -> str:
    lines: list[str] = []
    for title, aside, entries in _sections(board):
        lines += [
            r"\begin{table}",
            f"\\caption{{{latex(f'{title} ({aside})')}}}",
            r"\begin{tabular}{rlrrlll}",
            r"\toprule",
        ]
        lines += [" & ".join(DOCUMENT) + r" \\", r"\midrule"]
        lines += [" & ".join(latex(cell) for cell in _documented(entry)) + r" \\" for entry in entries]
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    return "\n".join(lines)


WRITERS: dict[str, Callable[[Leaderboard], str]] = {"csv": to_csv, "markdown": to_markdown, "latex": to_latex}
