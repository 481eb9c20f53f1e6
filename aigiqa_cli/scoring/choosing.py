"""Which metric a word means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from aigiqa_cli.errors import UsageFault
from aigiqa_cli.index import COLUMNS
from aigiqa_cli.scoring import functions, programs, pyiqa_metrics
from aigiqa_cli.scoring.contract import Metric
from aigiqa_cli.scoring.measures import MEASURES, BuiltIn

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Wanted:
    """What the user says: metrics, then commands; `names` of the columns in this order; `timeout` in seconds for one
    batch of a command (0: none); `passed` are variables of the environment that a command gets in any case."""

    metrics: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    device: str = "auto"
    timeout: float = 0.0
    passed: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


def chosen(wanted: Wanted) -> dict[str, Metric]:
    """The metrics by the name of their column, in the order in which they were named.

    Raises UsageFault for a metric that is not known or not here, and for names that are no columns of predictions.
    """
    if not (wanted.metrics or wanted.commands):
        hint = f"--metric {next(iter(MEASURES))}, or --command 'PROGRAM …'; aigiqa score --list shows what there is"
        raise UsageFault("no metric is named", hint=hint, phase="PLAN")
    if wanted.device not in DEVICES:
        raise UsageFault(f"there is no device {wanted.device!r}", hint=f"devices: {', '.join(DEVICES)}", phase="PLAN")
    count = len(wanted.metrics) + len(wanted.commands)
    if wanted.names and len(wanted.names) != count:
        raise UsageFault(
            f"{len(wanted.names)} names for {count} metrics", hint="--name A,B: one for each, in order", phase="PLAN"
        )
    found: list[Metric] = [_metric(word, wanted.device) for word in wanted.metrics]
    found += [programs.opened(text, wanted.timeout, wanted.settings, wanted.passed) for text in wanted.commands]
    names = wanted.names or tuple(metric.about.name for metric in found)
    twice = [name for name, times in Counter(names).items() if times > 1]
    taken = [name for name in names if name in COLUMNS]
    if twice or taken:
        why = f"two columns would be called {twice[0]!r}" if twice else f"{taken[0]!r} is a column of the index"
        raise UsageFault(why, hint="--name A,B names the columns in order", phase="PLAN")
    return dict(zip(names, found, strict=True))


def _metric(word: str, device: str) -> Metric:
    if word in MEASURES:
        measure = BuiltIn(MEASURES[word])
        measure.demand()
        return measure
    if word.startswith(pyiqa_metrics.PREFIX):
        return pyiqa_metrics.opened(word, device)
    if ":" in word:
        return functions.opened(word, device)
    raise UsageFault(f"there is no metric {word!r}", hint=_nearest(word), phase="PLAN")


def _nearest(word: str) -> str:
    of_pyiqa = [pyiqa_metrics.PREFIX + name for name in pyiqa_metrics.names()]
    known = {name.rpartition(":")[2]: name for name in (*of_pyiqa, *MEASURES)}
    near = [known[name] for name in get_close_matches(word.lower(), known, n=3, cutoff=0.5)]
    said = f"nearest: {', '.join(near)}; " if near else ""
    return f"{said}built in: {', '.join(MEASURES)}; others: pyiqa:NAME, module:function, --command"
