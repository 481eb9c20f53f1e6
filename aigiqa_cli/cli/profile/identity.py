"""What it is: title, counts, scores, licence, citation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aigiqa_cli.cli.page import Page
from aigiqa_cli.cli.profile.portrait import Portrait, between, method, publications, raters, reference

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Database, Score

STATE_STYLES = {"installed": "green", "damaged": "bold red", "absent": "dim"}


def show(page: Page, portrait: Portrait, *, everything: bool) -> None:
    known = portrait.known
    page.parts([(known.title, "bold cyan"), (f"  {known.id}", "dim")])
    page.text(known.summary)
    page.blank()
    _counts(page, portrait, everything=everything)
    _scores(page, known, everything=everything)
    _licence(page, known)
    _citation(page, known)


def _counts(page: Page, portrait: Portrait, *, everything: bool) -> None:
    known, state = portrait.known, portrait.state
    style = STATE_STYLES.get(state.word, "yellow")
    page.named("here", [(str(state), style), (f": {state.why}" if state.why else "", "")])
    page.named("images", [(between(known.expect.images), "bold")])
    if known.expect.rows != known.expect.images:
        page.named("label rows", [(between(known.expect.rows), "")])
    if known.expect.references:
        page.named("references", [(between(known.expect.references), "")])
    if known.expect.prompts:
        page.named("prompts", [(between(known.expect.prompts), "")])
    generators = ", ".join(f"{name} {between(bounds)}" for name, bounds in known.expect.generators.items())
    page.named("generators", [(f"{len(known.expect.generators)}: ", "bold"), (generators, "")])
    if known.homepage:
        page.link(known.homepage, 2, name=f"{'homepage':<12} ")
    if everything and known.aliases:
        page.named("aliases", [(", ".join(known.aliases), "")])


def _scores(page: Page, known: Database, *, everything: bool) -> None:
    page.heading("Scores", "higher is better; published numbers are never altered")
    scores = known.labels[0].scores
    page.columns([_score(known, name, score) for name, score in scores.items()], ("bold", "", "", "", "dim"))
    by_number = any(score.raters is not None for score in scores.values())
    tell: list[tuple[str, Callable[[Score], str]]] = [("method", lambda score: method(known, score))]
    if not by_number:
        unknown = "" if known.synthetic else "their number is not known"
        tell.insert(0, ("raters", lambda score: raters(known, score) or unknown))
    if everything:
        tell.append(("evidence", lambda score: score.evidence))
    for word, told in tell:
        _of_each(page, word, {name: told(score) for name, score in scores.items()})


def _score(known: Database, name: str, score: Score) -> list[str]:
    seen = known.expect.mos.get(name)  # type: ignore[call-overload]
    return [
        name,
        f"{score.range[0]} to {score.range[1]}",
        f"{score.raters} raters" if score.raters is not None else "",
        "std" if score.std else "raw std" if score.raw_std else "",
        f"MOS {seen.min} to {seen.max}, mean {seen.mean}" if seen else "",
    ]


def _of_each(page: Page, word: str, texts: dict[str, str]) -> None:
    """What is said of every score: once, if it is the same of all."""
    if len(set(texts.values())) == 1:
        page.named(word, [(next(iter(texts.values())), "")])
        return
    page.text(word, 2, "dim")
    for name, text in texts.items():
        page.named(name, [(text, "")], indent=4, room=max(map(len, texts)) + 1)


def _licence(page: Page, known: Database) -> None:
    page.heading("Licence")
    page.parts([(known.license.spdx, "bold"), (f": {known.license.scope}", "")], indent=2)
    page.text(known.license.source, 2, "dim")
    if known.license.note:
        page.text(known.license.note, 2)


def _citation(page: Page, known: Database) -> None:
    page.heading("Citation", f"BibTeX: aigiqa cite {known.id}")
    page.text(reference(known.citation), 2, hang=4)
    for link in publications(known.citation):
        page.link(link, 2)
    if known.citation.note:
        page.text(known.citation.note, 2, "dim")
