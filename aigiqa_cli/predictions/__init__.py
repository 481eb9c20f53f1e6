"""Predictions of models: a table with a column of image names and columns of numbers, each of which is one model.

`read` takes csv, tsv, json, jsonl or parquet, with or without a header, and returns text with its place; `take` finds
the columns, resolves the names onto the images of one database and turns the text into numbers. What is not exactly
one finite number for one known image is refused with its place (file:line) and its name.
"""

from __future__ import annotations

from aigiqa_cli.predictions.columns import Predictions, Wishes, take
from aigiqa_cli.predictions.reading import PredictionTable, read

__all__ = ["PredictionTable", "Predictions", "Wishes", "read", "take"]
