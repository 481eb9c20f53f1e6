"""Long tests by chance: `--rig kill=5000 --seed 7` runs one rig at a chosen length, and nothing else.

Without the option every rig runs its short sample. A test of a rig is marked `@pytest.mark.rig("kill", sample=24)` and
takes the fixture `rig`. With `share=0.5` it does half of the rig's length. The last lines of the test run say of every
rig how much of it was done, with which seed, and what was not run and why: a rig that cannot run here never counts
as passed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pytest

_PROPERTY = "rig"


@dataclass
class Rig:
    """What one test of a rig may do and has done."""

    name: str
    length: int
    seed: str
    chance: random.Random
    done: int = 0
    found: dict[str, int] = field(default_factory=dict)
    reason: str = ""

    def did(self, count: int = 1, **found: int) -> None:
        """Count what was done; `found` names what else is worth its number (`hits=1`)."""
        self.done += count
        for name, number in found.items():
            self.found[name] = self.found.get(name, 0) + number

    def not_run(self, reason: str) -> NoReturn:
        """End the test: this machine lacks what the rig needs."""
        self.reason = reason
        pytest.skip(f"not run: {reason}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rig", action="append", default=[], metavar="NAME[=LENGTH]", help="run this rig alone, at this length"
    )
    parser.addoption("--seed", default="", help="repeat the random choices of an earlier run")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "rig(name, sample, share=1.0): a part of a rig that can run at any length")
    shared = getattr(config, "workerinput", {}).get("seed")  # one seed for all processes of a run
    config.option.seed = shared or config.getoption("--seed") or str(int.from_bytes(os.urandom(4)))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A process of pytest-xdist is told the seed of the run."""
    node.workerinput["seed"] = node.config.option.seed


def _chosen(config: pytest.Config) -> dict[str, int | None]:
    chosen: dict[str, int | None] = {}
    for word in config.getoption("--rig"):
        name, _, length = word.partition("=")
        if length and not length.isdecimal():
            raise pytest.UsageError(f"--rig {word}: the length must be a whole number")
        chosen[name] = int(length) if length else None
    return chosen


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = _chosen(config)
    if not chosen:
        return
    marks = {item: item.get_closest_marker("rig") for item in items}
    unknown = set(chosen) - {mark.args[0] for mark in marks.values() if mark}
    if unknown:
        raise pytest.UsageError(f"--rig: there is no rig {', '.join(sorted(unknown))}")
    kept = [item for item, mark in marks.items() if mark and mark.args[0] in chosen]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """The length, the seed and the chance of this test; what it did is told at the end of the run."""
    mark = request.node.get_closest_marker("rig")
    name, sample = mark.args[0], mark.kwargs["sample"]
    asked = _chosen(request.config).get(name)
    total = sample if asked is None else asked
    length = max(1, round(total * mark.kwargs.get("share", 1.0)))
    seed = request.config.getoption("--seed")
    made = Rig(name, length, seed, random.Random(f"{seed}:{request.node.nodeid}"))
    yield made
    request.node.user_properties.append((_PROPERTY, vars(made) | {"chance": None}))


_TOLD: list[dict[str, Any]] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What the rigs told, also through other processes: it is complete when their fixture has been torn down."""
    if report.when == "teardown":
        _TOLD.extend(value for name, value in report.user_properties if name == _PROPERTY)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    told: dict[str, list[dict[str, Any]]] = {}
    for value in _TOLD:
        told.setdefault(value["name"], []).append(value)
    if told:
        terminalreporter.section("rigs")
    for name, parts in sorted(told.items()):
        for line in _lines(name, parts):
            terminalreporter.write_line(line)


def _lines(name: str, parts: list[dict[str, Any]]) -> Iterator[str]:
    ran = [part for part in parts if not part["reason"]]
    if ran:
        found: dict[str, int] = {}
        for part in ran:
            for what, number in part["found"].items():
                found[what] = found.get(what, 0) + number
        more = "".join(f", {number:,} {what.replace('_', ' ')}" for what, number in found.items())
        done, length = (sum(part[key] for part in ran) for key in ("done", "length"))
        yield f"{name}: {done:,} of {length:,}{more} (--seed {ran[0]['seed']})"
    for reason in sorted({part["reason"] for part in parts if part["reason"]}):
        yield f"{name}: NOT RUN: {reason}"
