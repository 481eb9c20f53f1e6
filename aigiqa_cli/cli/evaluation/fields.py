"""The flat record of a result, the same for pipes and csv; and how numbers are written for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from aigiqa_cli.measuring.results import Result
from aigiqa_cli.measuring.values import COEFFICIENTS

FIELDS = (
    "model", "dimension", "split", "by", "key", "n", *COEFFICIENTS, "srcc_low", "srcc_high", "within_generator_srcc",
    "within_prompt_srcc", "floor_srcc", "floor_plcc", "ceiling_srcc", "ceiling_plcc", "main", "leak", "signature",
)  # fmt: skip
PLACES = 4


def fields_of(results: Sequence[Result]) -> tuple[str, ...]:
    """FIELDS, and after them `compat.MODE.NAME` for each value of the compatibility modes that were asked for."""
    modes = results[0].measured.compat if results else {}
    return (*FIELDS, *(f"compat.{mode}.{name}" for mode, printed in modes.items() for name in printed))


def flat(result: Result) -> list[str]:
    """The cells of `fields_of`: numbers digit for digit, nothing where there is no value."""
    data = result.as_json()
    low, high = (data["ci95"] or {}).get("srcc", (None, None))
    group = data["group"] or {"by": "", "key": ""}
    values = data | {
        "by": group["by"],
        "key": group["key"],
        "srcc_low": low,
        "srcc_high": high,
        "within_generator_srcc": data["within"]["generator"]["srcc"],
        "within_prompt_srcc": data["within"]["prompt"]["srcc"],
        **{
            f"{bound}_{name}": (data[bound] or {}).get(name)
            for bound in ("floor", "ceiling")
            for name in ("srcc", "plcc")
        },
        "main": (data["main"] or {}).get("value"),
    }
    printed = (value for mode in result.measured.compat.values() for value in mode.values())
    return [*(_exactly(values[name]) for name in FIELDS), *map(_exactly, printed)]


def as_printed(result: Result) -> Iterator[str]:
    """What other code prints for the same predictions, a sentence for each compatibility mode."""
    for mode, printed in result.measured.compat.items():
        values = ", ".join(f"{key} {'fails' if value is None else number(value)}" for key, value in printed.items())
        yield f"as {mode} prints it: {values}"


def _exactly(value: Any) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def number(value: float | None, places: int = PLACES) -> str:
    """`0.8350`; a dash where there is no value."""
    return "-" if value is None else f"{value:.{places}f}"


def with_interval(result: Result, name: str) -> str:
    """`0.8350 ±0.020`: the value and half the width of its 95 % interval; of folds, their standard deviation. The blank
    does not break."""
    value = result.measured.values[name]
    spread = half_width(result, name)
    return number(value) + (f"\u00a0±{spread:.3f}" if value is not None and spread is not None else "")


def half_width(result: Result, name: str) -> float | None:
    if result.repeats:
        spread: float | None = result.repeats["std"][name]
        return spread
    found: Sequence[float] | None = (result.measured.ci95 or {}).get(name)
    return (found[1] - found[0]) / 2 if found else None
