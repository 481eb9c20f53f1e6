"""The index as a Dataset of the Hugging Face library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli.index import compact_json

if TYPE_CHECKING:
    import datasets
    import pandas as pd

FEATURES = {"image": "image_path", "reference": "reference_path"}


def dataset(root: Path, table: pd.DataFrame, *, parted: bool) -> datasets.Dataset | datasets.DatasetDict:
    """`table` with Image features in place of its paths; `parted`: one Dataset for each part of a split.
    `extra` is JSON text: its fields differ from row to row. Raises ImportError without the library."""
    try:
        import datasets
    except ImportError as error:
        raise ImportError("to_hf needs the library datasets: pip install 'aigiqa[hf]'") from error

    def whole(rows: pd.DataFrame) -> datasets.Dataset:
        columns = {
            name: [str(root / path) if path else None for path in rows[column]]
            for name, column in FEATURES.items()
            if any(rows[column])
        }
        fields = {name: rows[name].astype(object).where(rows[name].notna(), None).tolist() for name in rows.columns}
        fields["extra"] = [compact_json(value) for value in rows["extra"]]
        made = datasets.Dataset.from_dict(columns | fields)
        for name in columns:
            made = made.cast_column(name, datasets.Image())
        return made

    if not parted:
        return whole(table)
    return datasets.DatasetDict({part: whole(rows) for part, rows in table.groupby("split", sort=False)})
