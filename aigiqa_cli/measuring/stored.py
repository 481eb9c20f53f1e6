"""Evaluations that were kept as files: what `aigiqa evaluate --json` or `aigiqa train --json` printed, or the
`result.json` of a run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aigiqa_cli.errors import MachineFault, RefusedInput, UsageFault

MAX_BYTES = 64 << 20
_SHAPE: dict[str, type | tuple[type, ...]] = {
    "model": str, "dimension": str, "split": (str, type(None)), "n": int, "srcc": (float, type(None)),
    "krcc": (float, type(None)), "plcc_logistic": (float, type(None)), "missing": int, "fit": str, "signature": str,
    "leak": (str, type(None)), "group": (dict, type(None)),
}  # fmt: skip


def read_evaluation(path: Path) -> dict[str, Any]:
    """The `data` of `aigiqa evaluate --json`; of a training with the `protocol` by which its epoch was chosen, too.
    Raises RefusedInput for anything else."""
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_BYTES + 1)
    except OSError as error:
        kind = UsageFault if isinstance(error, FileNotFoundError | IsADirectoryError) else MachineFault
        raise kind(
            f"{path} cannot be read: {error.strerror}", hint="check its name and rights", phase="PLAN"
        ) from error
    try:
        content = json.loads(text, parse_constant=_no_number) if len(text) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        content = None
    data = _evaluation(content) if isinstance(content, dict) else None
    if data is None:
        raise RefusedInput(
            f"{path.name} is no evaluation", hint="aigiqa evaluate DB PREDICTIONS --json > FILE", phase="PLAN"
        )
    return data


def _evaluation(content: dict[str, Any]) -> dict[str, Any] | None:
    """What is one, wherever it stands."""
    command, data = content.get("command"), content.get("data")
    if command == "evaluate":
        return data if isinstance(data, dict) and _is_evaluation(data) else None
    training = data if command == "train" else content
    if not isinstance(training, dict):
        return None
    found, config = training.get("evaluation"), training.get("config")
    if not (isinstance(found, dict) and _is_evaluation(found)):
        return None
    settings = config.get("settings") if isinstance(config, dict) else None
    told = settings.get("protocol") if isinstance(settings, dict) else ""
    return found | {"protocol": training.get("protocol") or told}


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _is_evaluation(data: Mapping[str, Any]) -> bool:
    results = data.get("results")
    if not (isinstance(data.get("database"), str) and isinstance(data.get("index_sha256"), str)):
        return False
    return isinstance(results, list) and all(
        isinstance(one, dict) and all(name in one and isinstance(one[name], kind) for name, kind in _SHAPE.items())
        for one in results
    )
