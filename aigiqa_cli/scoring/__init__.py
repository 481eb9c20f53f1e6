"""Scores of images by any metric: measures that are built in, metrics of pyiqa, functions and programs of the user's.

Whatever a metric is, it takes a batch of images (with prompt and reference) and answers with one number an image, or
with the reason why an image has none. `running` does that batch by batch, and what is done is kept through a kill.
"""

from __future__ import annotations

from aigiqa_cli.scoring.choosing import Wanted, chosen
from aigiqa_cli.scoring.contract import About, Item, Metric
from aigiqa_cli.scoring.measures import MEASURES
from aigiqa_cli.scoring.running import Measured, run

__all__ = ["MEASURES", "About", "Item", "Measured", "Metric", "Wanted", "chosen", "run"]
