"""llava, q-align: one question and answer about each image, for training multimodal language models.

The score becomes one of five words at equal distances, as in Q-Align (Wu et al., "Q-Align: Teaching LMMs for Visual
Scoring via Discrete Text-Defined Levels", arXiv 2312.17090, equation 1): bad, poor, fair, good, excellent, each for the
scores above (i-1)/5 and up to i/5 of the scale. The scale here is the one that the database declares, not lowest and
highest score of the selection, so that a word means the same in every part of a split.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from decimal import ROUND_CEILING, Decimal
from typing import BinaryIO

from aigiqa_cli.exports.columns import Row
from aigiqa_cli.exports.wanted import Wanted

LEVELS = ("bad", "poor", "fair", "good", "excellent")
# The wording for quality is Q-Align's; it has none for the other dimensions.
QUESTIONS = {
    "quality": ("How would you rate the quality of this image?", "The quality of the image is {}."),
    "alignment": (
        "How would you rate the alignment of this image with the prompt \u201c{prompt}\u201d?",
        "The alignment of the image with the prompt is {}.",
    ),
    "authenticity": ("How would you rate the authenticity of this image?", "The authenticity of the image is {}."),
    "overall": (
        "How would you rate this image overall, given the prompt \u201c{prompt}\u201d?",
        "The overall rating of the image is {}.",
    ),
}


def level(score: str) -> str:
    """The word for a score on 0..1."""
    step = int((Decimal(score) * len(LEVELS)).to_integral_value(ROUND_CEILING))
    return LEVELS[min(max(step, 1), len(LEVELS)) - 1]


def write_llava(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO) -> int:
    """A JSON list of {id, image, conversations} as LLaVA's docs/Finetune_Custom_Data.md says; the option
    `--image_folder` is the data root."""
    return _write(rows, wanted, stream, "<image>\n{}", lambda row: f"{row['database']}/{row['image_id']}")


def write_q_align(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO) -> int:
    """The same as Q-Align's playground/data/training_sft/*.json have it, with the published number in `id`."""
    return _write(rows, wanted, stream, "{}\n<|image|>", lambda row: f"{row['image_id']}->{row[wanted.score]}")


def _write(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO, asked: str, named: Callable[[Row], str]) -> int:
    question, answer = QUESTIONS[wanted.dimension]
    count = 0
    for count, row in enumerate(rows, 1):
        human = asked.replace("{}", question.replace("{prompt}", row["prompt"]))
        item = {
            "id": named(row),
            "image": row["image_path"],
            "conversations": [
                {"from": "human", "value": human},
                {"from": "gpt", "value": answer.format(level(row[f"score_{wanted.dimension}"]))},
            ],
        }
        stream.write((("[" if count == 1 else ",") + "\n" + json.dumps(item, ensure_ascii=False)).encode())
    stream.write(b"\n]\n" if count else b"[]\n")
    return count
