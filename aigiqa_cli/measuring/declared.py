"""The scales of the scores, as manifests declare them."""

from __future__ import annotations

from decimal import Decimal

from aigiqa_cli.context import Context


def ranges(context: Context, database: str) -> dict[str, tuple[tuple[Decimal, Decimal], ...]]:
    """Dimension -> every scale that a source of labels declares for it: which one holds, the rows tell (see
    `describing.scores.declared`). Nothing for a database whose manifest is not known here."""
    entry = context.catalogue.entries.get(database)
    stated: dict[str, dict[tuple[Decimal, Decimal], None]] = {}
    for source in context.catalogue.load(entry).labels if entry else ():
        for dimension, score in source.scores.items():
            stated.setdefault(dimension, {})[score.range] = None
    return {dimension: tuple(found) for dimension, found in stated.items()}
