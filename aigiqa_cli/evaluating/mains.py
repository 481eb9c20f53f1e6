"""Main scores of challenges: one number from several, each under a name that says which formula was meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aigiqa_cli.errors import UsageFault
from aigiqa_cli.evaluating.samples import Undefined


@dataclass(frozen=True)
class Main:
    """`needs` are the values that `formula` takes; `known` says how sure the formula is."""

    name: str
    challenge: str
    formula: str
    needs: tuple[str, ...]
    source: str
    known: str
    of: Callable[[Mapping[str, float]], float]


def _mean(values: Mapping[str, float]) -> float:
    return (values["srcc"] + values["plcc"]) / 2


MAIN: dict[str, Main] = {
    main.name: main
    for main in (
        Main(
            "ntire2024",
            "NTIRE 2024 Quality Assessment of AI-Generated Content, image track",
            "(SRCC + PLCC) / 2",
            ("srcc", "plcc"),
            "arXiv 2404.16687",
            "inferred: two entrants select their models by it; whether the organisers fitted a curve before PLCC is "
            "not known, so PLCC is the raw one",
            _mean,
        ),
        Main(
            "vquala",
            "VQualA",
            "(SRCC + PLCC) / 2",
            ("srcc", "plcc"),
            "the scoring code of an entrant",
            "read in the code of an entrant; PLCC is the raw one",
            _mean,
        ),
    )
}


def main(name: str, values: Mapping[str, float | None]) -> float:
    """The main score `name` of the values of one result.

    UsageFault for an unknown name, Undefined where a value that it needs is missing or None.
    """
    if name not in MAIN:
        raise UsageFault(f"there is no main score {name!r}", hint=f"known: {', '.join(MAIN)}")
    chosen = MAIN[name]
    taken = {need: values.get(need) for need in chosen.needs}
    missing = [need for need, value in taken.items() if value is None]
    if missing:
        raise Undefined(f"{name} needs {', '.join(missing)}")
    return chosen.of({need: value for need, value in taken.items() if value is not None})
