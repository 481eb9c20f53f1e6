"""Splits for people: what there is, what was made, what leaks. Without a terminal one record a line."""

from __future__ import annotations

from collections.abc import Sequence

from aigiqa_cli.cli.page import Page
from aigiqa_cli.cli.terminal import Terminal
from aigiqa_cli.partitions import KINDS, Audited, Overlap, judge, percent_in_words, worst
from aigiqa_cli.partitions.made import Made
from aigiqa_cli.steps.split import Listed
from aigiqa_cli.steps.split_audit import Audit

STYLES = {"clean": "green", "leaky": "bold red", "unknown": "yellow"}
BY = {"prompt": "by prompt", "image": "by image", "unknown": ""}
TOLD = ("image", "prompt", "reference")  # percent in the records of `list`


def listed(terminal: Terminal, title: str, found: Sequence[Listed]) -> None:
    """name, label, by, kind, folds here of folds, images of each part, percent_b of TOLD, verdict, fetch."""
    if not terminal.out_is_terminal:
        for each in found:
            most = worst(each.audits)
            shares = [_share(most[kind][1].overlap[kind]) if kind in most else "" for kind in TOLD]
            folds = f"{len(each.audits)}/{each.folds}"
            terminal.record(
                each.name, each.verdict.label, each.by, each.kind, folds, sizes(each.audits), *shares,
                each.verdict.text, each.fetch,
            )  # fmt: skip
        return
    page = Page(terminal)
    page.heading(title, "the verdict is measured, whatever its authors say")
    room = max((len(each.name) for each in found), default=0)
    for each in found:
        _block(page, each, room)
    commands = list(dict.fromkeys(each.fetch for each in found if each.fetch))
    if commands:
        page.blank()
        page.parts([("what is not here comes with ", "dim"), (max(commands, key=len), "green")], 2, 4)


def _block(page: Page, each: Listed, room: int) -> None:
    kind = "official" if each.official else each.kind
    folds = f"{len(each.audits)} of {each.folds} folds here" if each.folds > 1 else ""
    about = ", ".join(filter(None, (kind, BY[each.by], folds)))
    page.parts(
        [(f"{each.name:<{room}}  ", "bold"), (f"{each.verdict.label:<8}", STYLES[each.verdict.label]), (about, "")],
        2,
        4,
    )
    page.text(sizes(each.audits), 4)
    page.text(each.verdict.text, 4, STYLES[each.verdict.label].replace("bold ", ""))
    if each.kind == "described":
        page.text(each.note, 4, "dim")


def sizes(audits: Sequence[Audited]) -> str:
    """`train 2,382-2,389, val 593-600`: images of each part, over all folds."""
    counts: dict[str, list[int]] = {}
    for each in audits:
        for part, count in each.counts.items():
            counts.setdefault(part, []).append(count)
    return ", ".join(f"{part} {_between(found)}" for part, found in counts.items())


def _between(counts: Sequence[int]) -> str:
    return "-".join(f"{count:,}" for count in dict.fromkeys((min(counts), max(counts))))


def _share(found: Overlap) -> str:
    return "" if found.percent_b is None else f"{found.percent_b:g}"


def audited(terminal: Terminal, found: Audit) -> None:
    """split, a, b, percent_b of each kind (empty: not compared), verdict (across databases: that of the pair)."""
    if not terminal.out_is_terminal:
        for each in found.splits:
            for pair in each.pairs:
                shares = [_share(pair.overlap[kind]) for kind in KINDS]
                verdict = judge([pair]) if each.across else each.verdict
                terminal.record(each.name, pair.a, pair.b, *shares, verdict.text)
        return
    page = Page(terminal)
    first = _names(found)
    page.heading(", ".join(found.databases), "images of the second side that share it with the first")
    titles = [*(["split"] if first else []), "sides", "image", "bytes", "near", "prompt", "ref.", "gen."]
    rows = [
        [*([each.name] if first else []), f"{pair.a} - {pair.b}", *(_cell(pair.overlap[kind]) for kind in KINDS)]
        for each in found.splits
        for pair in each.pairs
    ]
    start = len(titles) - len(KINDS)
    page.columns([titles, *rows], ["bold", *[""] * (len(titles) - 1)], right=range(start, len(titles)))
    why = dict.fromkeys(o.why for s in found.splits for p in s.pairs for o in p.overlap.values() if o.why)
    if why:
        page.text(f"- not compared: {', '.join(why)}", 2, "dim")
    page.blank()
    page.text(found.verdict.text, 2, STYLES[found.verdict.label])
    _example(page, found)


def _names(found: Audit) -> bool:
    """Is there more than one split, so that they need their names?"""
    return len(found.splits) > 1


def _cell(found: Overlap) -> str:
    return "-" if found.percent_b is None else percent_in_words(found)


def _example(page: Page, found: Audit) -> None:
    """One shared thing in plain sight convinces more than a number."""
    if found.verdict.label != "leaky":
        return
    for kind in ("image", "bytes", "near", "prompt", "reference"):
        for each in found.splits:
            for pair in each.pairs:
                for key, one, other in pair.overlap[kind].examples[:1]:
                    told = f"{one} and {other}" if one != other else one
                    page.text(f"such as {told}" + (f": {key}" if key not in (one, other) else ""), 4, "dim")
                    return


def made(terminal: Terminal, found: Made, data: bytes) -> None:
    """On stderr: what every part came to, the verdict of the audit, the signature."""
    for part in found.reached[0]:
        each = [reached[part] for reached in found.reached if part in reached]
        wanted = f" of {100 * each[0].wanted:.1f} % wanted" if each[0].wanted is not None else ""
        means = [
            f"{dimension} {_span([one.means[dimension] for one in each if dimension in one.means], '.3f')}"
            for dimension in each[0].means
        ]
        whole = found.recipe.by == "generator" or found.recipe.leave_one_out
        off = "" if whole else f"generators within {max(100 * one.generator_off for one in each):.1f} %"
        groups = f"{_between([one.groups for one in each])} groups" if not found.recipe.leave_one_out else ""
        images = f"{_between([one.images for one in each])} images"
        share = f"{_span([100 * one.share for one in each], '.1f')} %{wanted}"
        terminal.note(f"{part}: " + ", ".join(filter(None, (f"{images} ({share})", groups, *means, off))))
    if found.left_out:
        terminal.note(f"left out, without a score: {found.left_out:,} images")
    leaks = [each for each in found.audits if each.verdict.label != "clean"]
    terminal.note((leaks or list(found.audits))[0].verdict.text)
    terminal.note(f"signature: {found.signature(data)}")


def _span(values: Sequence[float], form: str) -> str:
    return "-".join(dict.fromkeys(format(value, form) for value in (min(values), max(values))))
